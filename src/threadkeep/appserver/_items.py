"""Items of a running turn: what a response item shows, and the shapes in which clients are told of it.

What clients are told is made from what is recorded, by the same conversion that lists of items use
(`threadkeep.replay.items`): the two cannot differ.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.records import _build as build
from threadkeep.replay.items import UndecodableError, thread_item, turn_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from threadkeep.store._turn_records import Made

__all__ = ["beginning", "failure", "shown_by", "wire_begun", "wire_done", "wire_error"]

Json = dict[str, Any]

_encode: Final = msgspec.json.Encoder().encode
_PHASES: Final = ("commentary", "final_answer")
_HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


def beginning(item: Mapping[str, Any]) -> Json | None:
    """The turn item that a response item begins; None where it is shown when it is whole, or not at all.

    Args:
        item: The beginning of a response item, with its ``id``.
    """
    kind = item.get("type", "message")
    if kind == "message" and item.get("role") == "assistant":
        return {**build.agent_item("", item_id=item["id"]), "content": [], **_phase(item)}
    if kind == "reasoning":
        return build.reasoning_item([], [], item_id=item["id"])
    return None


def shown_by(item: Mapping[str, Any]) -> tuple[Json | None, list[Json]]:
    """What a whole response item shows: a turn item, and the events that a legacy rollout keeps instead."""
    kind = item.get("type", "message")
    if kind == "message" and item.get("role") == "assistant":
        texts = [part["text"] for part in item.get("content") or () if isinstance(part.get("text"), str)]
        shown = build.agent_item("", item_id=item["id"])
        shown["content"] = [{"type": "Text", "text": text} for text in texts]
        event = build.agent_message_event("".join(texts))
        return {**shown, **_phase(item)}, [{**event, **_phase(item)}]
    if kind == "reasoning":
        summary = [part["text"] for part in item.get("summary") or () if isinstance(part.get("text"), str)]
        thoughts = [part["text"] for part in item.get("content") or () if isinstance(part.get("text"), str)]
        events = [{"type": "agent_reasoning", "text": text} for text in summary]
        events += [{"type": "agent_reasoning_raw_content", "text": text} for text in thoughts]
        return build.reasoning_item(summary, thoughts, item_id=item["id"]), events
    return None, []


def _phase(item: Mapping[str, Any]) -> Json:
    return {"phase": item["phase"]} if item.get("phase") in _PHASES else {}


def wire_begun(item: Mapping[str, Any], started_ms: int) -> Json:
    """A turn item that began, as clients are shown it."""
    shown = thread_item(_encode(item), started_ms, None)
    assert shown is not None, f"no turn item: {item}"
    return shown


def wire_done(made: Made) -> Json | None:
    """A turn item that is recorded, as clients and lists show it; None where nothing is shown."""
    if made.item is None:
        return None
    shown = thread_item(_encode(made.item), made.started_ms, made.completed_ms)
    assert shown is not None, f"no turn item: {made.item}"
    return shown


def failure(message: str, info: Any) -> Json:
    """The error of a turn as a rollout has it.

    Args:
        message: What went wrong.
        info: Its kind in the protocol's words: a word, or an object with one member.
    """
    return {"message": message, "codex_error_info": _in_snake_case(info)}


def wire_error(recorded: Json, details: str | None = None) -> Json:
    """A recorded error as clients are shown it."""
    try:
        shown = turn_error(msgspec.Raw(_encode(recorded)))
    except UndecodableError:
        shown = turn_error(msgspec.Raw(_encode({**recorded, "codex_error_info": "other"})))
    assert shown is not None
    return {**shown, "additionalDetails": details}


def _in_snake_case(info: Any) -> Any:
    if isinstance(info, str):
        return _HUMP.sub("_", info).lower()
    if isinstance(info, dict):
        return {_in_snake_case(name): _in_snake_case(value) for name, value in info.items()}
    return info
