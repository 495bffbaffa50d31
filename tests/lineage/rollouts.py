"""Rollouts by hand for tests of lineages: records whose ordinals and boundaries are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support import Json, MemoryLibrary, dump

from threadkeep.lineage import Lineage, boundary_digest
from threadkeep.records import LEGACY, PAGINATED, Boundary, Cost

if TYPE_CHECKING:
    from tests.support import BytesSource

TIME = "2026-11-22T10:00:00.000Z"


def id_of(number: int) -> str:
    return f"00000000-0000-7000-8000-{number:012d}"


def record(kind: str, payload: Any, ordinal: int | None = None) -> bytes:
    envelope: Json = {"timestamp": TIME}
    if ordinal is not None:
        envelope["ordinal"] = ordinal
    return dump({**envelope, "type": kind, "payload": payload}) + b"\n"


def event(subtype: str, ordinal: int | None = None, **values: Any) -> bytes:
    return record("event_msg", {"type": subtype, **values}, ordinal)


class Made:
    """A rollout that is being made."""

    def __init__(self, number: int, *, mode: str = PAGINATED, base: Json | None = None, meta: bool = True) -> None:
        self.id = id_of(number)
        self.mode = mode
        self.ordinal = base["end_ordinal_exclusive"] if base else 0
        self.data = b""
        payload = {
            "id": self.id,
            "timestamp": TIME,
            "cwd": "/work",
            "originator": "test",
            "cli_version": "0",
            "history_mode": mode,
            **({"history_base": base} if base else {}),
        }
        if meta:
            self.add("session_meta", payload)

    def add(self, kind: str, payload: Any) -> int:
        """Add a record; returns the offset after it."""
        self.data += record(kind, payload, self.ordinal if self.mode == PAGINATED else None)
        self.ordinal += 1
        return len(self.data)

    def turn(self, turn_id: str, *, ended: bool = True, started_at: int = 7, size: int = 0) -> int:
        """A turn's start, a message and its end; returns the offset after it."""
        self.add("event_msg", {"type": "task_started", "turn_id": turn_id, "started_at": started_at})
        content = [{"type": "input_text", "text": turn_id + "x" * size}]
        self.add("response_item", {"type": "message", "role": "user", "content": content})
        if ended:
            self.add("event_msg", {"type": "task_complete", "turn_id": turn_id})
        return len(self.data)

    def base(self, end: int | None = None, *, own: bool = False, **changed: Any) -> Json:
        """What a child's first record says: inherited up to ``end``, with threadkeep's own key where ``own``."""
        end = len(self.data) if end is None else end
        ordinal = self.data[:end].count(b"\n") + (self.ordinal - self.data.count(b"\n"))
        said: Json = {"thread_id": self.id, "end_ordinal_exclusive": ordinal, "end_byte_offset": end}
        if own:
            digest = boundary_digest(MemoryLibrary().add(self.id, self.data), end)
            said["threadkeep"] = {"end": end, "digest": digest, "mode": self.mode}
        return {**said, **changed}


def library(*made: Made) -> MemoryLibrary:
    found = MemoryLibrary()
    for rollout in made:
        found.add(rollout.id, rollout.data)
    return found


def lineage(made: MemoryLibrary, tip: Made, *, thread: str | None = None) -> Lineage:
    source: BytesSource = made.rollouts[tip.id]
    return Lineage(made, source, thread or tip.id, Cost())


__all__ = ["LEGACY", "PAGINATED", "Boundary", "Made", "event", "id_of", "library", "lineage", "record"]
