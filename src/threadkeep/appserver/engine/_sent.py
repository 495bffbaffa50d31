"""The wire form of a history: what a provider is sent of response items that a thread keeps.

Which items a context has says replay; here is how Codex 0.169 sends them: members that the API does not know are left
out, calls without an output get one, outputs without a call go. Values pass through as the bytes that they are.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.appserver.engine._outputs import OUTPUTS, output_item
from threadkeep.records import CompactionTrigger, present, response_item

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["is_known", "sent_items", "without_oldest"]

Members = dict[str, msgspec.Raw]

_decode_members: Final = msgspec.json.Decoder(Members).decode
_decode_parts: Final = msgspec.json.Decoder(list[Members]).decode
_decode_kinds: Final = msgspec.json.Decoder(list[str] | None).decode
_decode_text: Final = msgspec.json.Decoder(str).decode

_SYNTHETIC_IDS: Final = uuid.UUID("90d38d3e-6a5b-4d52-bfe2-2f1e634bfac4")
"""Namespace of the ids of outputs that are made up (0.169.0 observed)."""

_OUTPUT_KINDS: Final = frozenset(kind for _, kind in OUTPUTS.values())

_SENT: Final = {
    "message": (("role", "content", "status", "phase"), ()),
    "additional_tools": (("role", "tools"), ()),
    "agent_message": (("author", "recipient", "content"), ()),
    "reasoning": (("summary",), ("encrypted_content",)),
    "local_shell_call": (("status", "action"), ("call_id",)),
    "function_call": (("name", "namespace", "arguments", "call_id", "status"), ()),
    "tool_search_call": (("status", "execution"), ("call_id", "arguments")),
    "function_call_output": (("call_id", "name", "namespace", "output"), ()),
    "custom_tool_call": (("status", "call_id", "name", "namespace", "input"), ()),
    "custom_tool_call_output": (("call_id", "name", "output"), ()),
    "tool_search_output": (("status", "execution", "tools"), ("call_id",)),
    "web_search_call": (("status", "action"), ()),
    "image_generation_call": (("status", "revised_prompt", "result"), ()),
    "compaction": (("encrypted_content",), ()),
    "context_compaction": (("encrypted_content",), ()),
    "compaction_trigger": ((), ()),
}
"""Of each kind of item: the members that are sent when they hold something, and those that are sent even as null."""
_SEALED: Final = frozenset(
    {
        "message",
        "function_call",
        "custom_tool_call",
        "local_shell_call",
        "tool_search_call",
        "web_search_call",
        "image_generation_call",
    }
)
"""Kinds whose ``encrypted_content`` OpenAI alone is sent."""

_NOTED: Final = ("turn_id", "create_time")
"""What is noted of an item's origin and sent to OpenAI, beside what its parts are."""

_PARTS: Final = {
    "input_text": ("text",),
    "input_image": ("image_url", "file_id", "detail"),
    "output_text": ("text", "annotations", "logprobs"),
    "encrypted_content": ("encrypted_content",),
    "summary_text": ("text",),
    "reasoning_text": ("text",),
    "text": ("text",),
}
_ACTIONS: Final = {"search": ("query", "queries"), "open_page": ("url",), "find_in_page": ("url", "pattern")}
_SHELL_ACTION: Final = ("command", "timeout_ms", "working_directory", "env", "user")

_REMOTE_IMAGE: Final = "[an image at a web address, which is not shown]"
_AUDIO: Final = "[a sound, which is not played]"
_NULL: Final = msgspec.Raw(b"null")


class _Item(msgspec.Struct):
    """An item, taken apart as far as it has to be."""

    kind: str
    members: Members
    call_id: str | None


def sent_items(history: Iterable[msgspec.Raw], *, openai: bool) -> list[dict[str, Any]]:
    """What a provider is sent of a history.

    Args:
        history: Response items, oldest first, each a JSON object that fits its schema.
        openai: Whether it is a provider with the name ``OpenAI``: it alone gets what Codex notes for it
            (``internal_chat_message_metadata_passthrough``) and contents that are sealed for it.

    Returns:
        The items as JSON values, with `msgspec.Raw` where nothing has to change.
    """
    items = [_taken_apart(raw) for raw in history]
    calls = {(OUTPUTS[item.kind][1], item.call_id) for item in items if item.kind in OUTPUTS}
    outputs = {(item.kind, item.call_id) for item in items if item.kind in _OUTPUT_KINDS}
    sent: list[dict[str, Any]] = []
    for item in items:
        if item.kind == "configuration_update" or _is_orphan(item, calls):
            continue
        sent.append(_sent(item, openai=openai))
        if item.kind in OUTPUTS and item.call_id is not None and (OUTPUTS[item.kind][1], item.call_id) not in outputs:
            sent.append(_missing_output(item))
    return sent


def is_known(item: msgspec.Raw) -> bool:
    """Whether an item is one that a thread keeps: of a known kind, and as its schema has it (``storage.md`` 2.5)."""
    known = response_item(item)
    return known is not None and not isinstance(known, str | CompactionTrigger)


def _taken_apart(raw: msgspec.Raw) -> _Item:
    members = _decode_members(raw)
    kind = _text(members, "type") or "other"
    return _Item("compaction" if kind == "compaction_summary" else kind, members, _text(members, "call_id"))


def _text(members: Members, name: str) -> str | None:
    """A member that is a text; None where it is absent, null or anything else."""
    raw = members.get(name)
    return _decode_text(raw) if raw is not None and _begins(raw, b'"') else None


def _begins(raw: msgspec.Raw, first: bytes) -> bool:
    return memoryview(raw)[:1] == first


def _is_orphan(item: _Item, calls: set[tuple[str, str | None]]) -> bool:
    """Whether it is an output of a call that is not there; searches that the server ran need none."""
    if item.kind not in _OUTPUT_KINDS or item.call_id is None or (item.kind, item.call_id) in calls:
        return False
    return not (item.kind == "tool_search_output" and _text(item.members, "execution") == "server")


def _sent(item: _Item, *, openai: bool) -> dict[str, Any]:
    known = _SENT.get(item.kind)
    if known is None:
        return {"type": "other"}
    members = item.members
    wire: dict[str, Any] = {"type": item.kind}
    if _is_sent_id(id_ := _text(members, "id")):
        wire["id"] = id_
    filled, always = known
    wire |= _filled(members, filled)
    wire |= {name: members.get(name, _NULL) for name in always}
    for name in ("content", "summary", "output"):
        if name in wire and _begins(wire[name], b"["):
            wire[name] = _parts(wire[name])
    if item.kind == "reasoning":
        _add_thoughts(wire, members)
    elif item.kind == "local_shell_call":
        action = _decode_members(members["action"])
        wire["action"] = {"type": "exec", **{name: action.get(name, _NULL) for name in _SHELL_ACTION}}
    elif item.kind == "web_search_call" and "action" in wire:
        wire["action"] = _search_action(_decode_members(members["action"]))
    if openai:
        _add_noted(wire, item)
    return wire


def _filled(members: Members, names: Iterable[str]) -> dict[str, Any]:
    return {name: members[name] for name in names if name in members and present(members[name])}


def _is_sent_id(id_: str | None) -> bool:
    """An id goes along if it looks like one of the provider's: something, an underscore, something."""
    return id_ is not None and all(id_.partition("_"))


def _parts(raw: msgspec.Raw) -> list[dict[str, Any]]:
    return [_part(part) for part in _decode_parts(raw)]


def _part(part: Members) -> dict[str, Any]:
    kind = _text(part, "type") or ""
    if kind == "input_audio":
        return {"type": "input_text", "text": _AUDIO}
    wire: dict[str, Any] = {"type": kind, **_filled(part, _PARTS.get(kind, ()))}
    url = _text(part, "image_url")
    if url is not None:
        if url[:8].lower().startswith(("http://", "https://")):
            return {"type": "input_text", "text": _REMOTE_IMAGE}
        wire.pop("file_id", None)
    return wire


def _add_thoughts(wire: dict[str, Any], members: Members) -> None:
    """Reasoning in the open: null where there is none, left out where no part of it is reasoning's own."""
    content = members.get("content", _NULL)
    if not present(content):
        wire["content"] = None
        return
    parts = _parts(content)
    if any(part["type"] == "reasoning_text" for part in parts):
        wire["content"] = parts


def _search_action(action: Members) -> dict[str, Any]:
    kind = _text(action, "type") or "other"
    names = _ACTIONS.get(kind)
    return {"type": "other"} if names is None else {"type": kind, **_filled(action, names)}


def _add_noted(wire: dict[str, Any], item: _Item) -> None:
    """What OpenAI alone is sent: sealed contents, and what is noted of where an item comes from."""
    if item.kind in _SEALED:
        wire |= _filled(item.members, ("encrypted_content",))
    raw = item.members.get("internal_chat_message_metadata_passthrough", _NULL)
    members = _decode_members(raw) if present(raw) else {}
    noted: dict[str, Any] = _filled(members, _NOTED)
    kinds = _kinds(members.get("content_item_kinds", _NULL))
    if item.kind == "message":
        parts = len(wire["content"])
        kinds = [*(kinds or ())[:parts], *["unknown"] * (parts - len(kinds or ()))]
    if kinds is not None:
        noted["content_item_kinds"] = kinds
    if noted:
        wire["internal_chat_message_metadata_passthrough"] = noted


def _kinds(raw: msgspec.Raw) -> list[str] | None:
    """What the parts of an item are, where that is noted."""
    try:
        kinds: list[str] | None = _decode_kinds(raw)
    except msgspec.ValidationError:
        return None
    return kinds


def _missing_output(call: _Item) -> dict[str, Any]:
    """The output that a call without one is sent with; its id is made from the call's."""
    id_, prefix = _text(call.members, "id"), OUTPUTS[call.kind][0]
    made = str(uuid.uuid5(_SYNTHETIC_IDS, f"{prefix}:{id_}")) if id_ else None
    return output_item(call.kind, call.call_id or "", "aborted", item_id=made)


def without_oldest(history: Sequence[msgspec.Raw]) -> list[msgspec.Raw]:
    """A history without its oldest item; where that is a call or an output, without what belongs to it, too."""
    oldest = _taken_apart(history[0])
    kinds = {oldest.kind, OUTPUTS.get(oldest.kind, ("", ""))[1]}
    kinds |= {kind for kind, (_, output) in OUTPUTS.items() if output == oldest.kind}
    rest = list(history[1:])
    if oldest.call_id is None or (oldest.kind not in OUTPUTS and oldest.kind not in _OUTPUT_KINDS):
        return rest
    return [raw for raw in rest if (item := _taken_apart(raw)).call_id != oldest.call_id or item.kind not in kinds]
