"""The preview of a thread: what the user said first, as one record says it (``storage.md`` 6.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from threadkeep.records import ItemCompleted
from threadkeep.replay._before_envelope import as_told

if TYPE_CHECKING:
    from threadkeep.records import Record

__all__ = ["said_first"]

_REQUEST_MARKER: Final = "## My request for Codex:"
"""What an IDE puts before the user's own words."""


class _Part(msgspec.Struct):
    type: str
    text: str = ""


class _UserItem(msgspec.Struct, tag_field="type", tag="UserMessage"):
    content: list[_Part]


_decode_user_item: Final = msgspec.json.Decoder(_UserItem).decode


class _UserEvent(msgspec.Struct):
    message: str
    images: list[msgspec.Raw] | None = None
    local_images: list[msgspec.Raw] | None = None
    audio: list[msgspec.Raw] | None = None
    local_audio: list[msgspec.Raw] | None = None


class _Goal(msgspec.Struct):
    objective: str


class _GoalUpdated(msgspec.Struct):
    goal: _Goal


def said_first(record: Record) -> str:
    """What a record contributes to a preview; empty for nothing (``storage.md`` 6.2)."""
    return next(filter(None, map(_said, as_told(record))), "")


def _said(record: Record) -> str:
    if record.subtype == "item_completed":
        if b'"UserMessage"' not in record.line:
            return ""
        completed = record.view(ItemCompleted)
        try:
            item = _decode_user_item(completed.item) if completed is not None else None
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return ""
        if item is None:
            return ""
        kinds = {part.type for part in item.content}
        return _shortened("".join(part.text for part in item.content if part.type == "text")) or _media(
            images=bool(kinds & {"image", "local_image"}), audio=bool(kinds & {"audio", "local_audio"})
        )
    if record.subtype == "user_message":
        event = record.view(_UserEvent)
        if event is None:
            return ""
        return _shortened(event.message) or _media(
            images=bool(event.images or event.local_images), audio=bool(event.audio or event.local_audio)
        )
    if record.subtype == "thread_goal_updated":
        goal = record.view(_GoalUpdated)
        return goal.goal.objective.strip() if goal is not None else ""
    return ""


def _shortened(text: str) -> str:
    _, found, request = text.partition(_REQUEST_MARKER)
    return (request if found else text).strip()


def _media(*, images: bool, audio: bool) -> str:
    return "[Image]" if images else "[Audio]" if audio else ""
