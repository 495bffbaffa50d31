"""The model context of a thread, computed the slow and plain way: the definition that fast code is measured against.

:func:`decode_line` says which lines of a rollout are records, :func:`counts` which records fit their schema,
:func:`reconstruct` computes the :class:`Context` from the records of a whole lineage, and :func:`normalise` says what
Codex sends to the model for it. Plain lists of dicts, one pass after the other, no care for speed.

Every rule was tried on Codex 0.169.0: a crafted rollout was resumed, one turn was run, and the ``input`` that the model
received and the records that the turn wrote were compared with what stands here. The recorded trials are in
``tests/fixtures/context``. Where a rule's text names a section, it is one of the format facts (``storage.md``).
"""

from __future__ import annotations

import hashlib
import html
import json
import math
import re
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Check = Callable[[Any], bool]

Record = dict[str, Any]
"""One line of a rollout: ``timestamp``, ``ordinal`` (paginated), ``type``, ``payload``, perhaps ``metadata``."""

Payload = dict[str, Any]
"""The payload of a record; for a response item what the model is sent, before :func:`normalise`."""


# --- what is a record ------------------------------------------------------------------------------------------------

MAX_DEPTH: Final = 127
"""Containers within containers that one line may hold, the line's own object included."""


class _NotJsonError(ValueError):
    """The line is not what Codex's JSON parser reads."""


def _integer(digits: str) -> int:
    value = int(digits)
    if not -(2**63) <= value < 2**64:
        raise _NotJsonError("integer out of range")
    return value


def _constant(name: str) -> Any:
    raise _NotJsonError(name)


def _check_value(value: object, depth: int = 1) -> None:
    """Refuse lone surrogates, in keys and in values, and nesting beyond :data:`MAX_DEPTH`."""
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, (dict, list)):
        if depth > MAX_DEPTH:
            raise _NotJsonError("nested too deeply")
        if isinstance(value, dict):
            for key in value:
                key.encode()
            value = list(value.values())
        for part in value:
            _check_value(part, depth + 1)


def decode_line(line: bytes) -> Record | None:
    """Decode one line (without its newline), or say None where Codex skips it.

    0.169.0 observed, alike in both modes: keys may come in any order, twice (the last one stands) and unknown; spaces,
    tabs and a carriage return around tokens do no harm; a ``timestamp`` must be a string, whatever it says; an
    ``ordinal``, in either mode, must be an unsigned 64-bit integer or null or absent. Not decoded: a lone surrogate
    escape anywhere, an integer below -2^63 or from 2^64 on, ``NaN``, depth above :data:`MAX_DEPTH`, invalid UTF-8. (In
    a legacy rollout one byte of invalid UTF-8 makes the whole thread unreadable; there is no context then.)
    """
    try:
        # "_integer" refuses what overflows; a float of any size is a number to Codex.
        record = json.loads(line.decode(), parse_int=_integer, parse_constant=_constant)
        _check_value(record)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not isinstance(record.get("timestamp"), str):
        return None
    return record if _maybe(_unsigned)(record.get("ordinal")) else None


# --- which records fit their schema ----------------------------------------------------------------------------------
# A record that does not fit is dropped whole (7.3). Unknown keys are ignored. Codex reads some arrays as objects (their
# members in the order of its own declarations); that is not transcribed.


def _any(_value: Any) -> bool:
    return True


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value < high


def _unsigned(value: Any) -> bool:
    return _whole(value, 0, 2**64)


def _unsigned32(value: Any) -> bool:
    return _whole(value, 0, 2**32)


def _signed(value: Any) -> bool:
    return _whole(value, -(2**63), 2**63)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _maybe(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _list(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(check(part) for part in value)


def _one_of(*names: str) -> Check:
    return lambda value: isinstance(value, str) and value in names


def _shape(required: dict[str, Check] | None = None, optional: dict[str, Check] | None = None) -> Check:
    """An object: required keys must be there and fit, optional ones must fit where they are there."""
    must, may = required or {}, optional or {}

    def check(value: Any) -> bool:
        return (
            isinstance(value, dict)
            and all(key in value and fits(value[key]) for key, fits in must.items())
            and all(fits(value[key]) for key, fits in may.items() if key in value)
        )

    return check


def _tagged(shapes: dict[str, Check], *, other: bool = False) -> Check:
    """An object whose ``type`` says its shape; `other` lets unknown types pass."""

    def check(value: Any) -> bool:
        if not isinstance(value, dict) or not isinstance(value.get("type"), (str, int) if other else str):
            return False
        fits = shapes.get(value["type"])
        return other if fits is None else fits(value)

    return check


_CONTENT: Final = _tagged(
    {
        "input_text": _shape({"text": _text}),
        "input_image": lambda part: (
            _media(part, "image_url")
            and _shape({}, {"detail": _maybe(_one_of("auto", "low", "high", "original"))})(part)
        ),
        "input_audio": lambda part: _media(part, "audio_url"),
        "output_text": _shape({"text": _text}, {"annotations": _maybe(_list(_any)), "logprobs": _maybe(_list(_any))}),
    }
)
_OUTPUT_PARTS: Final = _list(
    _tagged(
        {
            "input_text": _shape({"text": _text}),
            "input_image": lambda part: (
                _media(part, "image_url")
                and _shape({}, {"detail": _maybe(_one_of("auto", "low", "high", "original"))})(part)
            ),
            "input_audio": lambda part: _media(part, "audio_url"),
            "encrypted_content": _shape({"encrypted_content": _text}),
        }
    )
)
_PASSTHROUGH: Final = _maybe(_shape({}, {"turn_id": _maybe(_text), "create_time": _maybe(_number)}))
_ITEM_KEYS: Final[dict[str, Check]] = {"id": _maybe(_text), "internal_chat_message_metadata_passthrough": _PASSTHROUGH}


def _media(part: Any, url: str) -> bool:
    """An image or a sound names its source in exactly one known way, or in both; the address wins."""
    return any(_text(part.get(key)) for key in (url, "file_id"))


def _output(value: Any) -> bool:
    return _text(value) or _OUTPUT_PARTS(value)


def _item(required: dict[str, Check], optional: dict[str, Check] | None = None, texts: str = "") -> Check:
    """A response item; `texts` names further optional keys that hold a string."""
    return _shape(required, {**_ITEM_KEYS, **dict.fromkeys(texts.split(), _maybe(_text)), **(optional or {})})


RESPONSE_ITEM: Final = _tagged(
    {
        "message": _item(
            {"role": _text, "content": _list(_CONTENT)},
            {"phase": _maybe(_one_of("commentary", "partial_answer", "final_answer"))},
            texts="status encrypted_content",
        ),
        "additional_tools": _shape({"role": _text, "tools": _list(_any)}, {"id": _maybe(_text)}),
        "agent_message": _item(
            {
                "author": _text,
                "recipient": _text,
                "content": _list(
                    _tagged(
                        {
                            "input_text": _shape({"text": _text}),
                            "encrypted_content": _shape({"encrypted_content": _text}),
                        }
                    )
                ),
            }
        ),
        "reasoning": _item(
            {"summary": _list(_tagged({"summary_text": _shape({"text": _text})}))},
            {
                "content": _maybe(
                    _list(_tagged({"reasoning_text": _shape({"text": _text}), "text": _shape({"text": _text})}))
                )
            },
            texts="encrypted_content",
        ),
        "local_shell_call": _item(
            {
                "status": _one_of("completed", "in_progress", "incomplete"),
                "action": _tagged(
                    {
                        "exec": _shape(
                            {"command": _list(_text)},
                            {
                                "timeout_ms": _maybe(_unsigned),
                                "working_directory": _maybe(_text),
                                "user": _maybe(_text),
                                "env": _maybe(lambda env: _mapping(env) and all(map(_text, env.values()))),
                            },
                        )
                    }
                ),
            },
            texts="call_id encrypted_content",
        ),
        "function_call": _item(
            {"name": _text, "arguments": _text, "call_id": _text},
            {"encrypted_function_args": _maybe(_list(_text))},
            texts="status namespace encrypted_content",
        ),
        "tool_search_call": _item({"execution": _text, "arguments": _any}, texts="call_id status encrypted_content"),
        "function_call_output": _item({"output": _output}, texts="call_id name namespace"),
        "custom_tool_call": _item(
            {"name": _text, "input": _text, "call_id": _text}, texts="status namespace encrypted_content"
        ),
        "custom_tool_call_output": _item({"output": _output, "call_id": _text}, texts="name"),
        "tool_search_output": _item({"execution": _text, "status": _text, "tools": _list(_any)}, texts="call_id"),
        "web_search_call": _item(
            {},
            {
                "action": _maybe(
                    _tagged(
                        {
                            "search": _shape({}, {"query": _maybe(_text), "queries": _maybe(_list(_text))}),
                            "open_page": _shape({}, {"url": _maybe(_text)}),
                            "find_in_page": _shape({}, {"url": _maybe(_text), "pattern": _maybe(_text)}),
                        },
                        other=True,
                    )
                )
            },
            texts="status encrypted_content",
        ),
        "image_generation_call": _item({"status": _text, "result": _text}, texts="revised_prompt encrypted_content"),
        "compaction": _item({"encrypted_content": _text}),
        "compaction_summary": _item({"encrypted_content": _text}),
        "configuration_update": _shape({"reasoning": _shape({"effort": _text})}),
        "compaction_trigger": _shape(),
        "context_compaction": _item({}, texts="encrypted_content"),
    },
    other=True,
)
"""A response item; one of an unknown type is read as ``other`` (2.1)."""

_METADATA: Final = _maybe(
    _shape(
        {},
        {
            **dict.fromkeys(("history_sequence", "sampled_through_sequence", "user_input_order"), _maybe(_unsigned)),
            **dict.fromkeys(("delivered_assistant_message", "compaction_model_hash"), _maybe(_text)),
            **dict.fromkeys(
                (
                    "additional_context_tool_output",
                    "client_authored",
                    "compaction_output",
                    "compaction_without_file_error_sources",
                    "guardian_source_order_guidance",
                    "harness_authored_configuration",
                    "inherited_user_message",
                    "native_search_fallback_used",
                ),
                _flag,
            ),
            "fallback_token_limit_override": _maybe(_unsigned),
        },
    )
)
_SETTINGS: Final = _shape(
    {"model": _text},
    {
        "comp_hash": _maybe(_text),
        "realtime_active": _maybe(_flag),
        "cyber_access_program": _maybe(_one_of("standard", "daybreak_blue", "daybreak_red")),
    },
)
_USAGE: Final = _shape(
    dict.fromkeys(
        ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens", "total_tokens"), _signed
    ),
    {"cache_write_input_tokens": _signed},
)


def _uuid(value: Any) -> bool:
    try:
        uuid.UUID(value if isinstance(value, str) else "")
    except ValueError:
        return False
    return True


_USAGE_RECORD: Final = _shape(
    {
        **dict.fromkeys(("thread_id", "session_id"), _uuid),
        **dict.fromkeys(("turn_id", "root_turn_id", "response_id"), _text),
        **dict.fromkeys(("usage", "turn_token_usage", "thread_token_usage"), _USAGE),
    }
)
_COMPACTED_SHAPE: Final = _shape(
    {"message": _text},
    {
        "replacement_history": _maybe(_list(RESPONSE_ITEM)),
        "replacement_history_metadata": _maybe(_list(lambda entry: entry is not None and _METADATA(entry))),
        "window_number": _maybe(_unsigned),
        "first_window_id": _maybe(_text),
        "previous_window_id": _maybe(_text),
        "window_id": _maybe(lambda value: _text(value) or _unsigned(value)),
        "compaction_response_id": _maybe(_text),
        "latest_token_usage_record": _maybe(_USAGE_RECORD),
        # Side state is looked at no deeper than its kind.
        "guardian_history": _maybe(_list(_any)),
        "retained_context": _maybe(_mapping),
        "mcp_resource_origins": _maybe(_mapping),
        "resume_metadata": _maybe(
            _shape(
                {},
                {
                    "dynamic_tools": _maybe(_mapping),
                    "last_started_turn_id": _maybe(_text),
                    "multi_agent_version": _maybe(_one_of("disabled", "v1", "v2")),
                    "previous_turn_settings": _maybe(_SETTINGS),
                    "rejected_audio_file_ids": _list(_text),
                    "turn_attribution": _maybe(_shape({"turn_id": _text})),
                },
            )
        ),
    },
)


def _compacted(payload: Any) -> bool:
    """2.3: metadata stands beside a replacement history, entry for entry, or the record does not count."""
    if not _COMPACTED_SHAPE(payload):
        return False
    history, metadata = payload.get("replacement_history"), payload.get("replacement_history_metadata")
    return metadata is None or (history is not None and len(history) == len(metadata))


_MODE: Final = _one_of("plan", "default", "code", "custom", "execute", "pair_programming")
_COLLABORATION: Final = _shape(
    {
        "mode": _MODE,
        "settings": _shape(
            {"model": _text}, {"reasoning_effort": _maybe(_text), "developer_instructions": _maybe(_text)}
        ),
    }
)
_GRANULAR: Final = _shape(dict.fromkeys(("sandbox_approval", "rules", "mcp_elicitations"), _flag))


def _approval(value: Any) -> bool:
    if isinstance(value, dict):
        return list(value) == ["granular"] and _GRANULAR(value["granular"])
    return _one_of("untrusted", "on-failure", "on-request", "never")(value)


_PERMISSIONS: Final = _tagged({"managed": _mapping, "disabled": _shape(), "external": _mapping})
_SANDBOX: Final = _tagged(
    {"danger-full-access": _shape(), "read-only": _mapping, "workspace-write": _mapping, "external-sandbox": _mapping}
)
_REVIEWER: Final = _one_of("user", "auto_review", "guardian_subagent")
_TURN_CONTEXT_SHAPE: Final = _shape(
    {
        "cwd": lambda value: _text(value) and value.startswith("/"),
        "approval_policy": _approval,
        "model": _text,
    },
    {
        "turn_id": _maybe(_text),
        "root_turn_id": _maybe(_text),
        "permission_profile": _maybe(_PERMISSIONS),
        "sandbox_policy": _maybe(_SANDBOX),
        "summary": _maybe(_one_of("auto", "concise", "detailed", "none")),
        "effort": _maybe(_text),
        "collaboration_mode": _maybe(_COLLABORATION),
        "multi_agent_version": _maybe(_one_of("disabled", "v1", "v2")),
        "realtime_active": _maybe(_flag),
        "disabled_plugin_ids": _maybe(_list(_text)),
        "approvals_reviewer": _maybe(_REVIEWER),
        "cyber_access_program": _maybe(_one_of("standard", "daybreak_blue", "daybreak_red")),
        "comp_hash": _maybe(_text),
        "active_permission_profile": _maybe(_mapping),
        "file_system_sandbox_policy": _maybe(_mapping),
    },
)


def _turn_context(payload: Any) -> bool:
    """An old record names its rights by ``sandbox_policy`` alone; one of the two must be there."""
    return _TURN_CONTEXT_SHAPE(payload) and any(
        payload.get(key) is not None for key in ("permission_profile", "sandbox_policy")
    )


_EVENT: Final = _tagged(
    {
        **dict.fromkeys(
            ("task_started", "turn_started"),
            _shape(
                {"turn_id": _text},
                {
                    "root_turn_id": _maybe(_text),
                    "trace_id": _maybe(_text),
                    "started_at": _maybe(_signed),
                    "model_context_window": _maybe(_signed),
                    "collaboration_mode_kind": _MODE,
                    "turn_attribution": _maybe(_shape({"turn_id": _text})),
                },
            ),
        ),
        **dict.fromkeys(
            ("task_complete", "turn_complete"),
            _shape(
                {"turn_id": _text},
                {
                    "root_turn_id": _maybe(_text),
                    "last_agent_message": _maybe(_text),
                    "error": _maybe(_shape({"message": _text})),
                    **dict.fromkeys(
                        ("started_at", "completed_at", "duration_ms", "time_to_first_token_ms"), _maybe(_signed)
                    ),
                },
            ),
        ),
        "turn_aborted": _shape(
            {"reason": _one_of("interrupted", "replaced", "review_ended", "budget_limited")},
            {
                "turn_id": _maybe(_text),
                "root_turn_id": _maybe(_text),
                "error": _maybe(_shape({"message": _text})),
                **dict.fromkeys(("started_at", "completed_at", "duration_ms"), _maybe(_signed)),
            },
        ),
        "thread_rolled_back": _shape({"num_turns": _unsigned32}),
        "user_message": _shape({"message": _text}),
        "token_count": _shape(
            {},
            {
                "info": _maybe(
                    _shape(
                        {"total_token_usage": _USAGE, "last_token_usage": _USAGE},
                        {"model_context_window": _maybe(_signed), "last_usage_includes_reasoning": _maybe(_flag)},
                    )
                ),
                "rate_limits": _maybe(_mapping),
            },
        ),
        "thread_settings_applied": _shape(
            {
                "thread_settings": _shape(
                    {
                        "model": _text,
                        "model_provider_id": _text,
                        "approval_policy": _approval,
                        "approvals_reviewer": _REVIEWER,
                        "permission_profile": _PERMISSIONS,
                        "cwd": lambda value: _text(value) and value.startswith("/"),
                        "collaboration_mode": _COLLABORATION,
                    }
                )
            },
            {"thread_id": _maybe(_uuid)},
        ),
    },
    other=True,
)


def _agent_path(value: Any) -> bool:
    if value == "/morpheus":
        return True
    return _text(value) and re.fullmatch(r"/root(?:/(?!root(?:/|\Z))[a-z0-9_]+)*", value) is not None


_INTER_AGENT: Final = _shape(
    {"author": _agent_path, "recipient": _agent_path, "content": _text, "trigger_turn": _flag},
    {
        "other_recipients": _list(_agent_path),
        "id": _maybe(_text),
        "encrypted_content": _maybe(_text),
        "internal_chat_message_metadata_passthrough": _PASSTHROUGH,
    },
)
_RECORD_PAYLOADS: Final[dict[str, Check]] = {
    "session_meta": _shape(
        {"id": _uuid, **dict.fromkeys(("timestamp", "cwd", "originator", "cli_version"), _text)},
        {"context_window": _maybe(_shape({"window_id": _text}))},
    ),
    "response_item": RESPONSE_ITEM,
    "compacted": _compacted,
    "turn_context": _turn_context,
    "world_state": _shape({"full": _flag, "state": _mapping}),
    "inter_agent_communication": _INTER_AGENT,
    "token_usage_record": _USAGE_RECORD,
    "event_msg": _EVENT,
}


def counts(record: Record) -> bool:
    """Whether Codex can use the record: known type, a payload that fits, metadata that fits.

    Record types that the model context does not depend on are not looked into.
    """
    kind = record.get("type")
    if not isinstance(kind, str) or "payload" not in record or not _RECORD_PAYLOADS.get(kind, _any)(record["payload"]):
        return False
    return kind != "response_item" or _METADATA(record.get("metadata"))


# --- what a person said, and what the harness said in a person's name ------------------------------------------------


@dataclass(frozen=True)
class Sentence:
    """A text of Codex's own that has to be recognised: we keep its length in UTF-8 and its SHA-256."""

    stands: str
    """What stands for it in the fixtures."""
    length: int
    digest: str

    def _is(self, data: bytes) -> bool:
        return len(data) == self.length and hashlib.sha256(data).hexdigest() == self.digest

    def begins(self, text: str) -> bool:
        """Whether `text` begins with it."""
        return text.startswith(self.stands) or self._is(text.encode()[: self.length])

    def ends(self, text: str) -> bool:
        """Whether `text` ends with it."""
        return text.endswith(self.stands) or self._is(text.encode()[-self.length :])

    def equals(self, text: str) -> bool:
        """Whether `text` is it."""
        return text == self.stands or self._is(text.encode())


SUMMARY_PREFIX: Final = Sentence(
    "SUMMARY-PREFIX", 399, "e9b088e794a6bb9082ac053fcc760bd818d7e720ee4bcdc72c6e480de7b7cb0e"
)
"""What Codex puts, with a newline, before a summary: the same sentence from 0.60.1 to 0.169.0."""

WARNINGS: Final = (
    Sentence("WARNING-1", 74, "a46d9fea25ca31ee7f3f4fcaa5093df8b3252df420fbdc33b2e444faaabe8a17"),
    Sentence("WARNING-2", 74, "a7d11c9e717ee5a3357ee03efc21637ab6e0c6fa1a7921ebeb1b9b31b21bbe02"),
    Sentence("WARNING-3-BEGIN", 39, "2862ced2689514583c255aadc45004137dfef698137bde19651aacfa94e69935"),
    Sentence("WARNING-3-END", 49, "e7e144f3adad4b18f096c7b40f96640cdb6807eea16eb2154b9fae03ea13cb3d"),
)
"""Warnings of old versions that stand as a user's message: how two begin, how the third begins and ends."""

_CONTEXT_TAGS: Final = (
    "agent_message_board_notification",
    "environment_context",
    "goal_context",
    "recommended_plugins",
    "skill",
    "subagent_notification",
    "turn_aborted",
    "user_shell_command",
)
_CONTEXT_PAIRS: Final = (
    ("# AGENTS.md instructions", "</INSTRUCTIONS>"),
    *((f"<{tag}>", f"</{tag}>") for tag in _CONTEXT_TAGS),
)
_INTERNAL_CONTEXT: Final = re.compile(
    r'<codex_internal_context source="[a-z][a-z0-9_]*">.*</codex_internal_context>', re.DOTALL
)
_EXTERNAL_CONTEXT: Final = re.compile(r"<external_([^>]*)>.*</external_\1>", re.DOTALL)
_DEVELOPER_TAGS: Final = (
    "apps_instructions",
    "collaboration_mode",
    "context_window",
    "context_window_guidance",
    "environments_instructions",
    "git_attribution",
    "managed_developer_instructions",
    "model_switch",
    "multi_agent_mode",
    "multi_agent_role",
    "permissions instructions",
    "persistent_mode",
    "personality_spec",
    "plugins_instructions",
    "realtime_conversation",
    "rollout_budget",
    "skills_instructions",
    "token_budget",
    "tools",
)


_HOOK_PROMPT: Final = re.compile(
    r"""(?:<[?!][^>]*>\s*)*<([^\s/>!?]+)((?:\s+[^\s=]+=(?:"[^"]*"|'[^']*'))*)\s*>(.*?)</\1\s*>""", re.DOTALL
)
_ENTITIES: Final = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[0-9a-fA-F]+);)")


def _is_hook_prompt(text: str) -> bool:
    """One XML element, of any name, with an attribute ``hook_run_id`` and a text; what follows it is not looked at."""
    match = _HOOK_PROMPT.match(text)
    if match is None:
        return False
    names = re.findall(r"""([^\s=]+)=(?:"([^"]*)"|'([^']*)')""", match[2])
    if len({name for name, _, _ in names}) != len(names):
        return False
    run_id = [html.unescape(double or single) for name, double, single in names if name == "hook_run_id"]
    body = re.sub(r"<!--.*?-->", "", match[3], flags=re.DOTALL)
    plain = re.sub(r"<!\[CDATA\[(.*?)\]\]>", r"\1", body, flags=re.DOTALL)
    if plain == body and (_ENTITIES.search(body) or "<" in body):
        return False
    return bool(run_id and run_id[0].strip() and html.unescape(plain).strip())


def _is_between(text: str, begin: str, end: str) -> bool:
    """Whether a text, white space apart and in capitals or not, begins and ends so."""
    lowered = text.strip().lower()
    long_enough = len(lowered) >= len(begin) + len(end)
    return long_enough and lowered.startswith(begin.lower()) and lowered.endswith(end.lower())


def is_contextual_text(text: str) -> bool:
    """Whether the harness, not the person, wrote this part of a user message (3.5).

    ``content_item_kinds`` of the message's metadata changes nothing about it (0.169.0 observed).
    """
    trimmed = text.strip()
    lowered = trimmed.lower()
    pairs = any(
        lowered.startswith(begin.lower()) and lowered.endswith(end.lower()) and len(trimmed) >= len(begin) + len(end)
        for begin, end in _CONTEXT_PAIRS
    )
    return (
        pairs
        or _INTERNAL_CONTEXT.fullmatch(trimmed) is not None
        or _EXTERNAL_CONTEXT.fullmatch(trimmed) is not None
        or WARNINGS[0].begins(trimmed)
        or WARNINGS[1].begins(trimmed)
        or (WARNINGS[2].begins(trimmed) and WARNINGS[3].ends(trimmed))
        or _is_hook_prompt(trimmed)
    )


def is_summary_text(text: str) -> bool:
    """Whether the text is a summary that an earlier compaction wrote: the known sentence, then a newline."""
    head, newline, _ = text.partition("\n")
    return bool(newline) and SUMMARY_PREFIX.equals(head)


def _texts(item: Payload) -> list[str]:
    return [part["text"] for part in item["content"] if part["type"] == "input_text"]


def _is_message(item: Payload, role: str) -> bool:
    return bool(item["type"] == "message" and item["role"] == role)


def is_contextual_user_message(item: Payload) -> bool:
    """A user message of which at least one text part is the harness's."""
    return _is_message(item, "user") and any(map(is_contextual_text, _texts(item)))


def is_contextual_developer_message(item: Payload) -> bool:
    """A developer message of which at least one part begins with a tag that the harness uses; rollback trims those."""
    begins = tuple(f"<{tag}>" for tag in _DEVELOPER_TAGS)
    return _is_message(item, "developer") and any(text.lstrip().lower().startswith(begins) for text in _texts(item))


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    known = [key for key, _ in pairs if key in _ENVELOPE_KEYS]
    if len(known) != len(set(known)):
        raise _NotJsonError("a key stands twice")
    return dict(pairs)


_ENVELOPE_KEYS: Final = frozenset(
    {"author", "recipient", "content", "trigger_turn", "other_recipients", "id", "encrypted_content"}
)


def is_inter_agent_envelope(item: Payload) -> bool:
    """An assistant message that is, in its only part, the JSON of an inter-agent communication.

    Unlike a line of the rollout, it may not hold one of its keys twice.
    """
    if not _is_message(item, "assistant") or len(item["content"]) != 1:
        return False
    try:
        value = json.loads(item["content"][0].get("text", ""), object_pairs_hook=_no_twins, parse_constant=_constant)
    except (ValueError, RecursionError):
        return False
    return _INTER_AGENT(value)


def is_user_turn_boundary(item: Payload) -> bool:
    """Where a turn of the person, or of another agent, begins (3.5): what a rollback counts."""
    if item["type"] == "agent_message" or is_inter_agent_envelope(item):
        return True
    return (
        _is_message(item, "user")
        and not is_contextual_user_message(item)
        and not any(map(is_summary_text, _texts(item)))
    )


# --- tool outputs, cut as they are loaded ----------------------------------------------------------------------------

OUTPUT_LIMIT: Final = ("chars", 12_000)
"""How much of a tool output a model is sent that Codex does not know, in bytes; known: 12,000 tokens of 4 bytes."""


def _cut_parts(text: str, unit: str, budget: int) -> list[str]:
    """The beginning and the end of a text, half of the budget (in bytes) each, and a marker between them."""
    data = text.encode()
    if len(data) <= budget:
        return [text]
    left, right = budget // 2, budget - budget // 2
    head = data[:left].decode(errors="ignore")
    tail = data[len(data) - right :]
    while tail and tail[0] & 0xC0 == 0x80:
        tail = tail[1:]
    end = tail.decode()
    removed = math.ceil((len(data) - budget) / 4) if unit == "tokens" else len(text) - len(head) - len(end)
    return [head, f"…{removed} {unit} truncated…", end]


def _cut(text: str, unit: str, budget: int) -> str:
    return "".join(_cut_parts(text, unit, budget))


def cut_output(output: Any, metadata: Record | None, limit: tuple[str, int] = OUTPUT_LIMIT) -> Any:
    """A tool output as the model gets it: its texts share one budget, what is no text passes.

    The limit is the one that the item's metadata saved (``fallback_token_limit_override``), else the model's. A text
    that is begun when the budget runs out is cut, later ones are only counted. 0.169.0 observed.
    """
    override = (metadata or {}).get("fallback_token_limit_override")
    unit, budget = ("tokens", override * 4) if override is not None else limit
    if isinstance(output, str):
        return _cut(output, unit, budget)
    parts: list[Payload] = []
    omitted = 0
    for part in output:
        if part["type"] != "input_text":
            parts.append(part)
        elif budget <= 0:
            omitted += 1
        else:
            size = len(part["text"].encode())
            parts.append({**part, "text": _cut(part["text"], unit, budget)})
            budget = max(0, budget - size)
    if omitted:
        parts.append({"type": "input_text", "text": f"[omitted {omitted} text items ...]"})
    return parts


# --- the context -----------------------------------------------------------------------------------------------------


@dataclass
class Window:
    """Where in the count of context windows a thread is; every compaction begins the next one."""

    number: int
    first_id: str | None = None
    previous_id: str | None = None
    id: str | None = None


@dataclass
class Context:
    """What the next model call starts with, and the settings that go with it."""

    history: list[Payload] = field(default_factory=list)
    """Response items, oldest first, as their records hold them."""
    history_metadata: list[Record | None] = field(default_factory=list)
    """The metadata of each, or None."""
    from_checkpoint: int = 0
    """How many of the first items came from the checkpoint: their tool outputs are sent uncut."""
    previous_turn_settings: Payload | None = None
    """``model``, ``comp_hash``, ``realtime_active`` (and ``cyber_access_program``) of the last turn of a person."""
    reference_context: Payload | None = None
    """The turn_context that the next turn is compared with; None: the next turn states everything anew."""
    world_state: dict[str, Any] | None = None
    """What the next world_state is a patch of; None: it is written in full."""
    window: Window = field(default_factory=lambda: Window(0))
    last_started_turn_id: str | None = None
    token_info: Payload | None = None
    """``info`` of the newest token_count among the records that Codex reads."""
    thread_tokens: int = 0
    """What the thread had used, its ancestors included, by the newest token_usage_record or compaction."""


def _kind(record: Record) -> str:
    """The record's type, for an event the event's."""
    if record["type"] != "event_msg":
        return str(record["type"])
    name = str(record["payload"]["type"])
    return {"turn_started": "task_started", "turn_complete": "task_complete"}.get(name, name)


def _compatible(one: str | None, other: str | None) -> bool:
    return one is None or other is None or one == other


def _uuid7(value: Any) -> str | None:
    if not isinstance(value, str) or not _uuid(value) or uuid.UUID(value).version != 7:
        return None
    return str(uuid.UUID(value))


def window_of(compacted: Payload) -> Window | None:
    """The window that a compaction began. Very old files hold its number in ``window_id`` (2.3)."""
    number, window_id = compacted.get("window_number"), compacted.get("window_id")
    if isinstance(window_id, int):
        number, window_id = (window_id if number is None else number), None
    if number is None:
        return None
    first, previous = compacted.get("first_window_id"), compacted.get("previous_window_id")
    return Window(number, _uuid7(first), _uuid7(previous), _uuid7(window_id))


def _newest_compaction(records: list[Record]) -> int | None:
    found = [index for index, record in enumerate(records) if record["type"] == "compacted"]
    return found[-1] if found else None


def _bounds(compacted: Payload) -> bool:
    """Whether a compaction says all that is needed of what came before it."""
    return compacted.get("replacement_history") is not None and window_of(compacted) is not None


def loaded(records: list[Record], mode: str) -> list[Record]:
    """The records that Codex reads: all of a legacy lineage, of a paginated one those from its newest compaction on.

    A newest compaction that does not bound what is needed makes it read everything; older ones are not tried. Neither a
    rollback nor a missing ``resume_metadata`` makes it read further back (0.169.0 observed).
    """
    newest = _newest_compaction(records)
    if mode == "legacy" or newest is None or not _bounds(records[newest]["payload"]):
        return records
    return records[newest:]


def _input_checkpoint(records: list[Record], mode: str) -> int | None:
    """Step A: the newest compaction, if it alone can bound the replay; older ones are not tried."""
    newest = _newest_compaction(records)
    if newest is None or not _bounds(records[newest]["payload"]):
        return None
    return newest if mode == "paginated" or records[newest]["payload"].get("resume_metadata") is not None else None


def _settings_of(turn_context: Payload) -> Payload:
    settings = {
        "model": turn_context["model"],
        "comp_hash": turn_context.get("comp_hash"),
        "realtime_active": turn_context.get("realtime_active"),
    }
    if turn_context.get("cyber_access_program") is not None:
        settings["cyber_access_program"] = turn_context["cyber_access_program"]
    return settings


def _said_texts(item: Payload) -> list[str]:
    """The texts of a user message without the tags that Codex puts around an image."""
    content = item["content"]
    images = [part["type"] == "input_image" for part in content]
    said = []
    for index, part in enumerate(content):
        text = part.get("text", "")
        opens = text == "<image>" or (text.startswith("<image name=") and text.endswith(">"))
        wraps = (opens and images[index + 1 : index + 2] == [True]) or (
            text == "</image>" and index > 0 and images[index - 1]
        )
        if part["type"] == "input_text" and not wraps:
            said.append(text)
    return said


def _legacy_compaction(
    history: list[tuple[Payload, Record | None]], summary: str
) -> list[tuple[Payload, Record | None]]:
    """A compaction without replacement history: the newest user messages that fit into 20,000 tokens, then the summary.

    A message keeps its id and its parts if it fits and is all text; else its texts become one, and if that does not
    fit, three: beginning, marker, end. A token is four bytes, rounded up for each message. 0.169.0 observed.
    """
    kept: list[tuple[Payload, Record | None]] = []
    remaining = 20_000
    for item, metadata in reversed(history):
        if not _is_message(item, "user") or is_contextual_user_message(item):
            continue
        text = "".join(_said_texts(item))
        if is_summary_text(text):
            continue
        if remaining == 0:
            break
        tokens = math.ceil(len(text.encode()) / 4)
        content = item["content"]
        if tokens > remaining or any(part["type"] != "input_text" for part in content):
            parts = _cut_parts(text, "tokens", remaining * 4)
            content = [{"type": "input_text", "text": part} for part in parts if part or len(parts) == 1]
        message = {"type": "message", "role": "user", "content": content}
        for key in ("id", "internal_chat_message_metadata_passthrough"):
            if item.get(key) is not None:
                message[key] = item[key]
        kept.append((message, metadata))
        if tokens > remaining:
            break
        remaining -= tokens
    kept.reverse()
    text = summary or "(no summary available)"
    kept.append(({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}, None))
    return kept


def _turn_id_of(item: Payload) -> Any:
    return (item.get("internal_chat_message_metadata_passthrough") or {}).get("turn_id")


def _without_model_switch(item: Payload) -> Payload | None:
    """A developer message without the parts that announce a change of model; None if nothing is left."""

    def announces(part: Payload) -> bool:
        return part["type"] == "input_text" and _is_between(part["text"], "<model_switch>", "</model_switch>")

    content = [part for part in item["content"] if not announces(part)]
    return {**item, "content": content} if content else None


def _drop_turns(history: list[tuple[Payload, Record | None]], count: int) -> list[tuple[Payload, Record | None]]:
    """A rollback: cut before the `count`-th last boundary, or before the first one, and what led up to the cut."""
    boundaries = [index for index, (item, _) in enumerate(history) if is_user_turn_boundary(item)]
    if count == 0 or not boundaries:
        return history
    first = boundaries[0]
    cut = boundaries[max(0, len(boundaries) - count)]
    while cut > first:
        before = history[cut - 1][0]
        if not is_contextual_developer_message(before) and not is_contextual_user_message(before):
            break
        cut -= 1
    kept = history[:cut]
    turn_id = _turn_id_of(history[first][0])
    if cut == first and turn_id is not None:
        again: list[tuple[Payload, Record | None]] = []
        for item, metadata in kept:
            if _is_message(item, "developer") and _turn_id_of(item) == turn_id:
                rest = _without_model_switch(item)
                if rest is not None:
                    again.append((rest, metadata))
            else:
                again.append((item, metadata))
        kept = again
    return kept


def inter_agent_item(communication: Payload) -> Payload:
    """What the model is sent of an inter-agent communication; before encrypted content, a header names both ends."""
    content = [{"type": "input_text", "text": communication["content"]}]
    encrypted = communication.get("encrypted_content")
    if encrypted is not None:
        task = "NEW_TASK" if communication["trigger_turn"] else "MESSAGE"
        header = f"{INTER_AGENT_HEADER} {task} {communication['recipient']} {communication['author']}"
        content = [
            {"type": "input_text", "text": header},
            {"type": "encrypted_content", "encrypted_content": encrypted},
        ]
    item = {
        "type": "agent_message",
        "author": communication["author"],
        "recipient": communication["recipient"],
        "content": content,
    }
    for key in ("id", "internal_chat_message_metadata_passthrough"):
        if communication.get(key) is not None:
            item[key] = communication[key]
    return item


INTER_AGENT_HEADER: Final = "INTER-AGENT-HEADER"
"""Stands in the fixtures for the words of that header; kind of message, recipient and author follow."""


def _is_delivery(record: Record) -> bool:
    """An assistant message that only repeats what was delivered already; Codex reads it as side state (2.4)."""
    item, metadata = record["payload"], record.get("metadata") or {}
    mark = metadata.get("delivered_assistant_message") or ""
    return (
        _is_message(item, "assistant")
        and [part["type"] for part in item["content"]] == ["output_text"]
        and _turn_id_of(item) is not None
        and metadata.get("user_input_order") is not None
        and (mark == f"{_DELIVERY}complete" or mark.startswith(f"{_DELIVERY}incomplete:"))
    )


_DELIVERY: Final = "codex:code-mode-delivery:v1:"


def _enters_history(record: Record) -> bool:
    """System messages, compaction triggers and items of unknown type do not enter it by a record of their own."""
    item = record["payload"]
    if _is_delivery(record):
        return False
    if item["type"] == "message":
        return bool(item["role"] != "system")
    return item["type"] in _KNOWN_ITEMS and item["type"] != "compaction_trigger"


_KNOWN_ITEMS: Final = frozenset(
    {
        "message",
        "additional_tools",
        "agent_message",
        "reasoning",
        "local_shell_call",
        "function_call",
        "tool_search_call",
        "function_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "tool_search_output",
        "web_search_call",
        "image_generation_call",
        "compaction",
        "compaction_summary",
        "configuration_update",
        "compaction_trigger",
        "context_compaction",
    }
)


@dataclass
class _Turn:
    """The records that belong together as one turn, and what they say."""

    records: list[Record]
    positions: list[int]
    """Where each of them stands among the records that are replayed."""
    ends: list[bool]
    """For each of them, whether it is the end of the turn that was started last before it (or of none)."""
    closed: bool
    """Whether it begins with its own task_started."""

    @property
    def turn_id(self) -> str | None:
        """The newest id that the end or a context of the turn names."""
        for record, end in zip(reversed(self.records), reversed(self.ends), strict=True):
            turn_id = record["payload"].get("turn_id")
            if turn_id is not None and (end or record["type"] == "turn_context"):
                return str(turn_id)
        return None

    @property
    def is_user_turn(self) -> bool:
        """Whether somebody, a person or an agent, asked something in it: a rollback counts such turns."""
        return any(
            _kind(record) in {"user_message", "inter_agent_communication"}
            or (
                record["type"] == "response_item"
                and record["payload"]["type"] in _KNOWN_ITEMS
                and is_user_turn_boundary(record["payload"])
            )
            for record in self.records
        )

    @property
    def rolls_back(self) -> int:
        return sum(record["payload"]["num_turns"] for record in self.records if _kind(record) == "thread_rolled_back")

    @property
    def contexts(self) -> list[Payload]:
        """Its turn contexts, but for those of another turn."""
        own = [record["payload"] for record in self.records if record["type"] == "turn_context"]
        return [payload for payload in own if _compatible(self.turn_id, payload.get("turn_id"))]

    @property
    def is_completed(self) -> bool:
        """Whether a task_complete ended it: one that counts as the end of a turn, or one that names this turn."""
        return any(
            _kind(record) == "task_complete" and (end or record["payload"]["turn_id"] == self.turn_id)
            for record, end in zip(self.records, self.ends, strict=True)
        )

    @property
    def world_states(self) -> list[Record]:
        """Its world states, and the compactions that void those before them."""
        return [record for record in self.records if record["type"] in {"world_state", "compacted"}]

    @property
    def has_baseline(self) -> bool:
        """Whether the next turn can be compared with it: a user turn, or a full world state since its compaction."""
        full = False
        for record in self.world_states:
            full = record["type"] == "world_state" and (full or record["payload"]["full"])
        return full or self.is_user_turn

    @property
    def reference(self) -> Payload | str | None:
        """Its newest context, or that a compaction came after it, or None."""
        found: Payload | str | None = None
        contexts = self.contexts
        for record in self.records:
            if record["type"] == "compacted":
                found = "cleared"
            elif record["payload"] in contexts:
                found = record["payload"]
        return found

    @property
    def checkpoint(self) -> int | None:
        """The position of its newest compaction with a replacement history."""
        found = [
            position
            for record, position in zip(self.records, self.positions, strict=True)
            if record["type"] == "compacted" and record["payload"].get("replacement_history") is not None
        ]
        return found[-1] if found else None

    @property
    def window(self) -> Window | None:
        """The window of its newest compaction that has one."""
        windows = [window_of(record["payload"]) for record in self.records if record["type"] == "compacted"]
        numbered = [window for window in windows if window is not None]
        return numbered[-1] if numbered else None


def _last_started(replay: Sequence[Record], resume_metadata: Payload | None) -> str | None:
    """Step C: the turn that was started last, by the records or by what the checkpoint says of older ones."""
    started = [record["payload"]["turn_id"] for record in replay if _kind(record) == "task_started"]
    return started[-1] if started else (resume_metadata or {}).get("last_started_turn_id")


def _ends_its_turn(replay: Sequence[Record], position: int, resume_metadata: Payload | None) -> bool:
    """Whether a record is the end of the turn that was started last before it, or of any if none is known."""
    record = replay[position]
    if _kind(record) not in {"task_complete", "turn_aborted"}:
        return False
    turn_id = record["payload"].get("turn_id")
    started = _last_started(replay[:position], resume_metadata)
    return turn_id is None or started is None or started == turn_id


def _turns(replay: Sequence[Record], resume_metadata: Payload | None) -> list[_Turn]:
    """Step D, first half: the replayed records, turn by turn, oldest first.

    A turn goes from a task_started to before the next one. Where its end or its context names another turn than its
    task_started does, that start is not its own: it takes in what stands before, back to the start that is, or to the
    beginning.
    """
    starts = [position for position, record in enumerate(replay) if _kind(record) == "task_started"]
    bounds = list(zip([0, *starts], [*starts, len(replay)], strict=True))
    turns: list[_Turn] = []
    while bounds:
        first, end = bounds.pop()
        turn = _turn(replay, first, end, resume_metadata)
        turn_id = turn.turn_id
        while not _begins_with(replay, first, turn_id) and bounds:
            first, _ = bounds.pop()
        turns.insert(0, _turn(replay, first, end, resume_metadata))
        turns[0].closed = _begins_with(replay, first, turn_id)
    return turns


def _begins_with(replay: Sequence[Record], first: int, turn_id: str | None) -> bool:
    """Whether a task_started stands there that may be that of the turn."""
    return (
        first < len(replay)
        and _kind(replay[first]) == "task_started"
        and _compatible(turn_id, replay[first]["payload"]["turn_id"])
    )


def _turn(replay: Sequence[Record], first: int, end: int, resume_metadata: Payload | None) -> _Turn:
    positions = list(range(first, end))
    ends = [_ends_its_turn(replay, position, resume_metadata) for position in positions]
    return _Turn(list(replay[first:end]), positions, ends, closed=False)


def _surviving(turns: list[_Turn]) -> list[_Turn]:
    """Step D, second half: a rollback takes away turns, newest first, until it has taken that many of a user.

    The turn in which it stands is the first to go, with what follows the rollback in it.
    """
    kept: list[_Turn] = []
    for turn in turns:
        kept.append(turn)
        left = turn.rolls_back
        while left > 0 and kept:
            left -= kept.pop().is_user_turn
    return kept


def lineage(segments: Iterable[Sequence[Record]]) -> list[Record]:
    """The records of a paginated lineage as Codex meets them, from those of each segment after its first record.

    A second session_meta within a segment hides what stands before it in that segment (3.2, 0.169.0 observed).
    """
    records: list[Record] = []
    for segment in segments:
        again = [
            index for index, record in enumerate(segment) if record.get("type") == "session_meta" and counts(record)
        ]
        records += segment[again[-1] + 1 :] if again else segment
    return records


def reconstruct(records: Sequence[Record], mode: str, session_meta: Payload | None = None) -> Context:
    """Compute the context from the records of a whole lineage, oldest first (3.3).

    Args:
        records: What :func:`decode_line` made of the lines, first records left out; for a paginated thread what
            :func:`lineage` made of its segments, for a legacy one those of its only rollout.
        mode: ``legacy`` or ``paginated``.
        session_meta: The payload of the first record of the current rollout.
    """
    items = loaded([record for record in records if counts(record)], mode)
    context = Context()
    for record in items:
        if _kind(record) == "token_count" and record["payload"].get("info") is not None:
            context.token_info = record["payload"]["info"]
        if record["type"] in {"token_usage_record", "compacted"}:
            usage = record["payload"]
            if record["type"] == "compacted":
                usage = usage.get("latest_token_usage_record") or {"thread_token_usage": {"total_tokens": 0}}
            context.thread_tokens = usage["thread_token_usage"]["total_tokens"]

    chosen = _input_checkpoint(items, mode)
    start = 0 if chosen is None else chosen + 1
    replay = items[start:]
    newest = items[chosen]["payload"] if chosen is not None else {}
    resume_metadata = newest.get("resume_metadata")
    context.last_started_turn_id = _last_started(replay, resume_metadata)
    kept = _surviving(_turns(replay, resume_metadata))
    checkpoints = [start + turn.checkpoint for turn in kept if turn.checkpoint is not None]
    settings = [_settings_of(turn.contexts[0]) for turn in kept if _gives_settings(turn, resume_metadata)]
    references = [turn.reference for turn in kept if turn.has_baseline or turn.reference == "cleared"]
    windows = [turn.window for turn in kept if turn.window is not None]
    context.previous_turn_settings = settings[-1] if settings else (resume_metadata or {}).get("previous_turn_settings")

    history: list[tuple[Payload, Record | None]] = []
    position = 0
    if chosen is not None or checkpoints:
        position = checkpoints[-1] if chosen is None else chosen
        payload = items[position]["payload"]
        metadata = payload.get("replacement_history_metadata")
        entries = payload["replacement_history"]
        history = list(zip(entries, metadata or [None] * len(entries), strict=True))
        if mode == "legacy":
            history = [entry for entry in history if entry[0]["type"] != "ghost_snapshot"]
        position += 1
    from_checkpoint = len(history)
    saw_legacy_compaction = False
    for record in items[position:]:
        kind, payload = _kind(record), record["payload"]
        if kind == "response_item" and _enters_history(record):
            history.append((payload, record.get("metadata")))
        elif kind == "inter_agent_communication":
            history.append((inter_agent_item(payload), None))
        elif kind == "thread_rolled_back":
            history = _drop_turns(history, payload["num_turns"])
        elif kind == "compacted" and payload.get("replacement_history") is None:
            history = _legacy_compaction(history, payload["message"])
            saw_legacy_compaction, from_checkpoint = True, 0
        from_checkpoint = min(from_checkpoint, len(history))
    context.history = [item for item, _ in history]
    context.history_metadata = [metadata for _, metadata in history]
    context.from_checkpoint = from_checkpoint

    known = [reference for reference in references if reference is not None]
    if known and isinstance(known[-1], dict) and not saw_legacy_compaction:
        context.reference_context = known[-1]
    for record in (state for turn in kept for state in turn.world_states):
        if record["type"] == "compacted":
            context.world_state = None
        elif record["payload"]["full"]:
            context.world_state = record["payload"]["state"]
        elif context.world_state is not None:
            context.world_state = merge_patch(context.world_state, record["payload"]["state"])
    if chosen is not None:
        windows = [window_of(newest) or Window(0)]
    context.window = windows[-1] if windows else _first_window(items, mode, session_meta)
    return context


def _gives_settings(turn: _Turn, resume_metadata: Payload | None) -> bool:
    """Whether its settings are newer than what the checkpoint says: not if it began before that and never ended."""
    goes_on = resume_metadata is not None and not turn.closed and not turn.is_completed
    return bool(turn.has_baseline and turn.contexts and not goes_on)


def _first_window(items: list[Record], mode: str, session_meta: Payload | None) -> Window:
    """Step B: no compaction survives, so the window is the thread's first; with one of old age it is only counted.

    Its id stands in the rollout's first record; in a legacy rollout any session_meta does, the first that names one.
    """
    compactions = [record["payload"] for record in items if record["type"] == "compacted"]
    metas = [session_meta or {}]
    if mode == "legacy":
        metas += [record["payload"] for record in items if record["type"] == "session_meta"]
    named = [_uuid7((meta.get("context_window") or {}).get("window_id")) for meta in metas]
    first = next((window_id for window_id in named if window_id is not None), None)
    if first is None or any(window_of(payload) is None for payload in compactions):
        return Window(len(compactions))
    return Window(0, first, None, first)


def merge_patch(state: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(state) if isinstance(state, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


# --- what the model is sent ------------------------------------------------------------------------------------------


def scrubbed(text: str) -> str:
    """What stands in the fixtures for a text that Codex adds: its length and the beginning of its SHA-256."""
    return f"SCRUBBED {len(text)} {hashlib.sha256(text.encode()).hexdigest()[:16]}"


REMOTE_IMAGE: Final = "SCRUBBED 65 60c94aea2afeaac3"
"""Takes the place of an image with a web address."""

AUDIO: Final = "SCRUBBED 60 ebd0e7e38639b202"
"""Takes the place of a sound, for a model that cannot hear."""

_SYNTHETIC_IDS: Final = uuid.UUID("90d38d3e-6a5b-4d52-bfe2-2f1e634bfac4")
_CALLS: Final = {
    "function_call": ("fco", "function_call_output"),
    "local_shell_call": ("fco", "function_call_output"),
    "custom_tool_call": ("ctco", "custom_tool_call_output"),
    "tool_search_call": ("tso", "tool_search_output"),
}

# Keys that are sent when they hold something, and keys that are sent even when they hold null.
_SENT: Final = {
    "message": ("role content status phase", ""),
    "additional_tools": ("role tools", ""),
    "agent_message": ("author recipient content", ""),
    "reasoning": ("summary", "encrypted_content"),
    "local_shell_call": ("status action", "call_id"),
    "function_call": ("name namespace arguments call_id status", ""),
    "tool_search_call": ("status execution", "call_id arguments"),
    "function_call_output": ("call_id name namespace output", ""),
    "custom_tool_call": ("status call_id name namespace input", ""),
    "custom_tool_call_output": ("call_id name output", ""),
    "tool_search_output": ("status execution tools", "call_id"),
    "web_search_call": ("status action", ""),
    "image_generation_call": ("status revised_prompt result", ""),
    "compaction": ("encrypted_content", ""),
    "context_compaction": ("encrypted_content", ""),
    "compaction_trigger": ("", ""),
}
_PART_KEYS: Final = {
    "input_text": "text",
    "input_image": "image_url file_id detail",
    "output_text": "text annotations logprobs",
    "encrypted_content": "encrypted_content",
    "summary_text": "text",
    "reasoning_text": "text",
    "text": "text",
}
_ACTION_KEYS: Final = {"search": "query queries", "open_page": "url", "find_in_page": "url pattern"}


def _part(part: Payload) -> Payload:
    if part["type"] == "input_audio":
        return {"type": "input_text", "text": AUDIO}
    url = part.get("image_url")
    if url is not None and url.lower().startswith(("http://", "https://")):
        return {"type": "input_text", "text": REMOTE_IMAGE}
    keys = _PART_KEYS[part["type"]].split()
    if url is not None:
        keys.remove("file_id")
    return {"type": part["type"], **{key: part[key] for key in keys if part.get(key) is not None}}


def sent_id(item_id: Any) -> bool:
    """An id goes along if it looks like one of the server's: something, an underscore, something."""
    return isinstance(item_id, str) and all(item_id.partition("_"))


def _sent(item: Payload) -> Payload:
    """One item as it goes over the wire to a provider that is not OpenAI's own.

    (To that one, ``internal_chat_message_metadata_passthrough`` and the ``encrypted_content`` of calls and messages go
    along too.)
    """
    kind = {"compaction_summary": "compaction"}.get(item["type"], item["type"])
    if kind not in _SENT:
        return {"type": "other"}
    filled, always = _SENT[kind]
    wire: Payload = {"type": kind}
    if sent_id(item.get("id")):
        wire["id"] = item["id"]
    wire |= {key: item[key] for key in filled.split() if item.get(key) is not None}
    wire |= {key: item.get(key) for key in always.split()}
    for key in ("content", "summary", "output"):
        if isinstance(wire.get(key), list):
            wire[key] = [_part(part) for part in wire[key]]
    if kind == "reasoning":
        content = item.get("content")
        if content is None:
            wire["content"] = None
        elif any(part["type"] == "reasoning_text" for part in content):
            wire["content"] = [_part(part) for part in content]
    elif kind == "local_shell_call":
        action = item["action"]
        keys = ("command", "timeout_ms", "working_directory", "env", "user")
        wire["action"] = {"type": "exec", **{key: action.get(key) for key in keys}}
    elif kind == "web_search_call" and "action" in wire:
        action = item["action"]
        keys_of = _ACTION_KEYS.get(action["type"])
        wire["action"] = {"type": "other" if keys_of is None else action["type"]}
        wire["action"] |= {key: action[key] for key in (keys_of or "").split() if action.get(key) is not None}
    return wire


def _missing_output(call: Payload) -> Payload:
    """The output that a call without one is sent with; its id is derived from the call's."""
    prefix, kind = _CALLS[call["type"]]
    output: Payload = {"type": kind, "call_id": call["call_id"]}
    if call.get("id"):
        output["id"] = f"{prefix}_{uuid.uuid5(_SYNTHETIC_IDS, prefix + ':' + call['id'])}"
    if kind == "tool_search_output":
        return {**output, "status": "completed", "execution": "client", "tools": []}
    return {**output, "output": "aborted"}


def normalise(
    history: Iterable[Payload],
    metadata: Sequence[Record | None] | None = None,
    *,
    uncut: int = 0,
    limit: tuple[str, int] = OUTPUT_LIMIT,
) -> list[Payload]:
    """What the model is sent of a history, without what the next turn itself adds.

    Args:
        history: Response items.
        metadata: That of each item.
        uncut: How many of the first items came from a checkpoint; tool outputs are cut only as they are loaded.
        limit: The model's limit on a tool output: unit and bytes.
    """
    cut = list(history)
    notes = list(metadata or [None] * len(cut))
    for index, item in enumerate(cut):
        if index >= uncut and item["type"] in {"function_call_output", "custom_tool_call_output"}:
            cut[index] = {**item, "output": cut_output(item["output"], notes[index], limit)}
    calls = {(_CALLS[item["type"]][1], item.get("call_id")) for item in cut if item["type"] in _CALLS}
    outputs = {
        (item["type"], item.get("call_id")) for item in cut if item["type"] in {kind for _, kind in _CALLS.values()}
    }
    sent: list[Payload] = []
    for item in cut:
        kind, call_id = item["type"], item.get("call_id")
        if kind == "configuration_update":
            continue
        orphan = kind in {name for _, name in _CALLS.values()} and call_id is not None and (kind, call_id) not in calls
        if orphan and not (kind == "tool_search_output" and item["execution"] == "server"):
            continue
        sent.append(_sent(item))
        if kind in _CALLS and call_id is not None and (_CALLS[kind][1], call_id) not in outputs:
            sent.append(_missing_output(item))
    return sent


def model_input(context: Context, limit: tuple[str, int] = OUTPUT_LIMIT) -> list[Payload]:
    """:func:`normalise` of a context."""
    return normalise(context.history, context.history_metadata, uncut=context.from_checkpoint, limit=limit)


def resumed_settings(records: Sequence[Record], rollout: Sequence[Record], mode: str, session_meta: Payload) -> Payload:
    """The settings that a thread is resumed with, as far as its records say them; else the configuration's hold.

    Model and effort are those of the newest turn_context or thread_settings_applied of the current rollout; the rest is
    looked for among the records of the lineage that Codex reads (:func:`loaded`). There, what was applied to this very
    thread comes first, however old; else the newest of the others, and the folder of the first record. No rollback
    takes any of it back. 0.169.0 observed, for threads not in its SQLite yet: model and effort are columns of it.

    Args:
        records: As for :func:`reconstruct`.
        rollout: The records of the current rollout alone.
        mode: ``legacy`` or ``paginated``.
        session_meta: The payload of the first record of the current rollout.
    """
    kinds = {"turn_context", "thread_settings_applied"}
    own = [record for record in rollout if counts(record) and _kind(record) in kinds]
    read = [
        record for record in loaded([record for record in records if counts(record)], mode) if _kind(record) in kinds
    ]
    settings: Payload = {"cwd": session_meta["cwd"]}
    if own:
        newest = own[-1]["payload"]
        applied = newest.get("thread_settings") or newest
        settings["model"] = applied["model"]
        settings["reasoning_effort"] = applied.get("effort", applied.get("reasoning_effort"))
    for record in read:
        payload = record["payload"]
        policy = (payload.get("thread_settings") or payload)["approval_policy"]
        settings["approval_policy"] = "on-request" if policy == "on-failure" else policy
        if record["type"] == "turn_context":
            settings["collaboration_mode"] = (payload.get("collaboration_mode") or {"mode": "default"})["mode"]
    applied_here = [
        record["payload"]["thread_settings"]
        for record in read
        if record["type"] == "event_msg" and record["payload"].get("thread_id") == session_meta["id"]
    ]
    if applied_here:
        settings["cwd"] = applied_here[-1]["cwd"]
        settings["approval_policy"] = applied_here[-1]["approval_policy"]
        settings["collaboration_mode"] = applied_here[-1]["collaboration_mode"]["mode"]
    return settings
