"""One turn's records while they come in newest first: what decides whether it counts, and what it says."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from threadkeep.records import Compacted, Record, TurnContext

__all__ = ["Reference", "Span", "SpanCompaction", "SpanContext", "SpanEnd", "SpanWorld", "compatible"]

Reference: TypeAlias = "Record | Literal['never', 'cleared']"
"""The record of a turn's reference context; ``cleared`` by a compaction; ``never`` where nothing said anything."""


class SpanContext(msgspec.Struct):
    """A ``turn_context``."""

    turn_id: str | None
    record: Record
    view: TurnContext


class SpanWorld(msgspec.Struct):
    """A ``world_state``."""

    full: bool
    record: Record


class SpanCompaction(msgspec.Struct):
    """A compaction in a turn that survives or not."""

    view: Compacted
    record: Record
    rollout: str
    newer: int  # how many of the kept records are newer than it


class SpanEnd(msgspec.Struct):
    """The end of a turn, of this one or of another."""

    turn_id: str | None
    complete: bool
    counts: bool | None = None  # whether it ends the turn that was started last before it; None: not known yet


class Span:
    """The records of one turn, while they come in newest first."""

    __slots__ = ("completed", "events", "user_turn")

    def __init__(self) -> None:
        self.events: list[SpanContext | SpanWorld | SpanCompaction | SpanEnd] = []
        self.user_turn = False
        self.completed = False

    @property
    def empty(self) -> bool:
        """Whether nothing was met that matters."""
        return not (self.events or self.user_turn)

    def resolve_ends(self, started: str | None) -> None:
        """The turn started before the newest records is known: an end counts if it is that turn's."""
        for event in self.events:
            if isinstance(event, SpanEnd) and event.counts is None:
                event.counts = event.turn_id is None or started is None or event.turn_id == started

    @property
    def turn_id(self) -> str | None:
        """The newest id that an end which counts, or a context, names."""
        for event in self.events:
            if event_id := _named(event):
                return event_id
        return None

    def contexts(self, turn_id: str | None) -> list[SpanContext]:
        """Its contexts, newest first, but for those of another turn."""
        return [event for event in self.events if isinstance(event, SpanContext) and compatible(turn_id, event.turn_id)]

    def is_completed(self, turn_id: str | None) -> bool:
        """Whether a ``task_complete`` ended it."""
        return any(
            isinstance(event, SpanEnd) and event.complete and (event.counts or event.turn_id == turn_id)
            for event in self.events
        )

    def reference(self, contexts: list[SpanContext]) -> Reference:
        """The turn's newest context, unless a compaction came after it."""
        wanted = contexts[0] if contexts else None
        for event in self.events:
            if isinstance(event, SpanCompaction):
                return "cleared"
            if event is wanted:
                return wanted.record
        return "never"

    def has_full_world(self) -> bool:
        """Whether a full world state stands after the turn's newest compaction."""
        for event in self.events:
            if isinstance(event, SpanCompaction):
                return False
            if isinstance(event, SpanWorld) and event.full:
                return True
        return False


def _named(event: SpanContext | SpanWorld | SpanCompaction | SpanEnd) -> str | None:
    if isinstance(event, SpanContext) or (isinstance(event, SpanEnd) and event.counts):
        return event.turn_id
    return None


def compatible(one: str | None, other: str | None) -> bool:
    """Whether two records may be of one turn: one names none, or both the same."""
    return one is None or other is None or one == other
