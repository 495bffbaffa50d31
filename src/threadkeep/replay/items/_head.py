"""What an ``item_completed`` line is about, found without decoding its content.

A page of summaries needs two messages of each turn and nothing of the commands between them, so the lines that it
passes over are judged by their first bytes.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal, get_args

import msgspec

from threadkeep.replay.items._messages import Phase

__all__ = ["ItemHead", "item_head", "item_type"]

_HEAD: Final = re.compile(
    rb'\{"timestamp":"[^"\\]{20,35}",(?:"ordinal":[0-9]{1,19},)?"type":"event_msg",'
    rb'"payload":\{"type":"item_completed","thread_id":"[^"\\]{1,64}","turn_id":"[^"\\]{0,256}",'
    rb'"item":\{"type":"([A-Za-z]{1,64})"'
)
_PHASES: Final = frozenset({None, *get_args(Phase)})


class ItemHead(msgspec.Struct, frozen=True):
    """What a line is about.

    Attributes:
        turn_id: The turn that the item belongs to.
        type: The type of the item, such as ``UserMessage``.
        id: The item's id within its turn.
        phase: The phase of an agent message: ``commentary``, ``partial_answer``, ``final_answer`` or None. None for
            every other item.
    """

    turn_id: str
    type: str
    id: str
    phase: str | None = None


class Item(msgspec.Struct):
    """The members of an item that say what it is; the phase of other items than agent messages may be anything."""

    type: str
    id: str
    phase: Any = None


class Payload(msgspec.Struct):
    """The payload of an ``item_completed`` event."""

    type: Literal["item_completed"]
    turn_id: str
    item: Item


class Line(msgspec.Struct):
    """The envelope of an event."""

    type: Literal["event_msg"]
    payload: Payload


_decode_line: Final = msgspec.json.Decoder(Line).decode


def item_type(line: bytes) -> str | None:
    """The type of the item (``UserMessage``, ...) that ``line`` completes, as the rollout spells it.

    The first bytes tell it where the members stand in the order in which Codex writes them; else the line is decoded.
    None for a line that completes no item. A type says nothing about the rest of the line: `thread_item` does.
    """
    match = _HEAD.match(line)
    if match is not None:
        return match[1].decode("ascii")
    head = item_head(line)
    return None if head is None else head.type


def item_head(line: bytes) -> ItemHead | None:
    """What ``line`` is about, its content passed over but not decoded.

    None for a line that completes no item, and for an agent message whose phase is none (it does not count). The rest
    of the item may still not fit its schema: `thread_item` says so.
    """
    try:
        payload = _decode_line(line).payload
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    item = payload.item
    if item.type != "AgentMessage":
        return ItemHead(payload.turn_id, item.type, item.id)
    if isinstance(item.phase, str | None) and item.phase in _PHASES:
        return ItemHead(payload.turn_id, item.type, item.id, item.phase)
    return None
