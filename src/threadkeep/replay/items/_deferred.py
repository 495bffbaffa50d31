"""Outputs that a client asks for later: items without the part that may be long (``deferOutput``, 0.169.0 observed)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

if TYPE_CHECKING:
    from threadkeep.replay.items._schema import Json

__all__ = ["without_output"]


class TextPart(msgspec.Struct, forbid_unknown_fields=True):
    """A part of an MCP result that is text and nothing else."""

    type: Literal["text"]
    text: str


_decode_texts: Final = msgspec.json.Decoder(list[TextPart]).decode


def without_output(item: Json) -> Json | None:
    """A copy of ``item`` (as `thread_item` gives it) without its output; None where the output stays in its place.

    Deferred are the output of a command that succeeded, and the result of an MCP call that succeeded, is not meant for
    an app, and is text alone, some of it not empty; both only with a time of completion. The length does not matter.
    The server does this for the lists of one turn (``turnId``) alone, each of the two kinds where it is asked for, and
    says ``outputDeferred`` beside the item.
    """
    if item["completedAtMs"] is None or item.get("status") != "completed":
        return None
    if item["type"] == "commandExecution" and item["exitCode"] == 0 and item["aggregatedOutput"] is not None:
        return {**item, "aggregatedOutput": None}
    if item["type"] == "mcpToolCall" and _is_text_alone(item):
        return {**item, "result": {"content": [], "structuredContent": None, "_meta": None}}
    return None


def _is_text_alone(item: Json) -> bool:
    result = item["result"]
    if result is None or item["error"] is not None or item["mcpAppUi"] is not None or "mcpAppResourceUri" in item:
        return False
    if result["structuredContent"] is not None or result["_meta"] is not None:
        return False
    try:
        return any(part.text for part in _decode_texts(result["content"]))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
