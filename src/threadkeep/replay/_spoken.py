"""Who said a message: a person (or another agent), or the harness in a person's name (``storage.md`` 3.5).

A rollback counts turns by the first kind; where it cuts, messages of the second kind that led up to the turn go too.
Sentences of Codex's own that have to be recognised are known here by length and SHA-256 alone.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from threadkeep.records import AgentMessage, InputText, InterAgentCommunication, Message, OutputText, ResponseItem

__all__ = [
    "announces_model",
    "is_boundary",
    "is_contextual",
    "is_contextual_developer",
    "is_summary",
    "summary_text",
]


class _Sentence:
    """A sentence that is recognised without being repeated: its length in UTF-8 and its SHA-256."""

    def __init__(self, length: int, digest: str) -> None:
        self._length = length
        self._digest = digest

    def begins(self, text: str) -> bool:
        return self._is(text[: self._length].encode("utf-8", "replace")[: self._length])

    def ends(self, text: str) -> bool:
        return self._is(text[-self._length :].encode("utf-8", "replace")[-self._length :])

    def equals(self, text: str) -> bool:
        return len(text) <= self._length and self._is(text.encode("utf-8", "replace"))

    def _is(self, data: bytes) -> bool:
        if len(data) != self._length:
            return False
        import hashlib

        return hashlib.sha256(data).hexdigest() == self._digest


SUMMARY_PREFIX: Final = _Sentence(399, "e9b088e794a6bb9082ac053fcc760bd818d7e720ee4bcdc72c6e480de7b7cb0e")
"""Stands, with a newline, before a summary that Codex wrote itself: the same from 0.60 to 0.169."""

_BEGINNINGS: Final = (
    _Sentence(74, "a46d9fea25ca31ee7f3f4fcaa5093df8b3252df420fbdc33b2e444faaabe8a17"),
    _Sentence(74, "a7d11c9e717ee5a3357ee03efc21637ab6e0c6fa1a7921ebeb1b9b31b21bbe02"),
)
_FLAG: Final = (
    _Sentence(39, "2862ced2689514583c255aadc45004137dfef698137bde19651aacfa94e69935"),
    _Sentence(49, "e7e144f3adad4b18f096c7b40f96640cdb6807eea16eb2154b9fae03ea13cb3d"),
)
_WARNING_START: Final = "Warning: "
"""The warnings of old versions that stand as a user's message all begin with this word."""

_TAGS: Final = (
    "agent_message_board_notification",
    "environment_context",
    "goal_context",
    "recommended_plugins",
    "skill",
    "subagent_notification",
    "turn_aborted",
    "user_shell_command",
)
_PAIRS: Final = (("# agents.md instructions", "</instructions>"), *((f"<{tag}>", f"</{tag}>") for tag in _TAGS))
_INTERNAL: Final = re.compile(
    r'<codex_internal_context source="[a-z][a-z0-9_]*">.*</codex_internal_context>', re.DOTALL
)
_EXTERNAL: Final = re.compile(r"<external_([^>]*)>.*</external_\1>", re.DOTALL)
_DEVELOPER: Final = tuple(
    f"<{tag}>"
    for tag in (
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
)
_EDGE: Final = 512
"""Characters of a text's beginning and end that tags are looked for in: none is longer."""


def is_boundary(item: ResponseItem | None) -> bool:
    """Whether a turn of a person, or of another agent, begins with this item: what a rollback counts."""
    if isinstance(item, AgentMessage):
        return True
    if not isinstance(item, Message):
        return False
    if item.role == "user":
        texts = item.texts
        return not any(map(_is_contextual_text, texts)) and not any(map(is_summary, texts))
    return item.role == "assistant" and _is_envelope(item)


def is_contextual(item: ResponseItem | None) -> bool:
    """Whether a user message holds a text that the harness wrote."""
    return isinstance(item, Message) and item.role == "user" and any(map(_is_contextual_text, item.texts))


def is_contextual_developer(item: ResponseItem | None) -> bool:
    """Whether a developer message holds a part that begins with one of the harness's tags."""
    return (
        isinstance(item, Message)
        and item.role == "developer"
        and any(text[:_EDGE].lstrip().lower().startswith(_DEVELOPER) for text in item.texts)
    )


def announces_model(text: str) -> bool:
    """Whether a part of a developer message announces a change of model."""
    return _is_between(text.strip(), "<model_switch>", "</model_switch>")


def is_summary(text: str) -> bool:
    """Whether a text is a summary that an earlier compaction wrote: the known sentence, then a newline."""
    newline = text.find("\n", 0, 400)
    return newline >= 0 and SUMMARY_PREFIX.equals(text[:newline])


def summary_text(message: str) -> str:
    """What stands in the context for a compaction that has a summary alone."""
    return message or "(no summary available)"


def _is_contextual_text(text: str) -> bool:
    trimmed = text.strip()
    if trimmed.startswith(_WARNING_START):
        return any(sentence.begins(trimmed) for sentence in _BEGINNINGS) or (
            _FLAG[0].begins(trimmed) and _FLAG[1].ends(trimmed)
        )
    if not trimmed.startswith(("<", "#")):
        return False
    return (
        any(_is_between(trimmed, begin, end) for begin, end in _PAIRS)
        or _INTERNAL.fullmatch(trimmed) is not None
        or _EXTERNAL.fullmatch(trimmed) is not None
        or ("hook_run_id" in trimmed and _is_hook_text(trimmed))
    )


def _is_hook_text(text: str) -> bool:
    from threadkeep.replay.items import is_hook_text  # the XML parser: few threads have hooks

    return is_hook_text(text)


def _is_between(trimmed: str, begin: str, end: str) -> bool:
    return (
        len(trimmed) >= len(begin) + len(end)
        and trimmed[: len(begin)].lower() == begin
        and trimmed[-len(end) :].lower() == end
    )


_decode_communication: Final = msgspec.json.Decoder(InterAgentCommunication).decode


def _is_envelope(item: Message) -> bool:
    """An assistant message that is, in its only part, the JSON of an inter-agent communication."""
    if len(item.content) != 1 or not isinstance(item.content[0], InputText | OutputText):
        return False
    text = item.content[0].text
    if text.lstrip()[:1] != "{":
        return False
    try:
        _decode_communication(text)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True
