"""Where turns start and end: the one question that every reader of records asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from threadkeep.records import TaskStarted
from threadkeep.replay._copied import is_copied

if TYPE_CHECKING:
    from threadkeep.lineage import Segment
    from threadkeep.records import Record

__all__ = ["COMPLETES", "ENDS", "STARTS", "starts_own_turn", "starts_turn"]

STARTS: Final = frozenset({"task_started", "turn_started"})
"""Types of the events that start a turn: the name of today, and one from before."""

COMPLETES: Final = frozenset({"task_complete", "turn_complete"})
"""Types of the events that end a turn as complete, likewise."""

ENDS: Final = COMPLETES | {"turn_aborted"}
"""Types of the events that end a turn, however it went."""


def starts_turn(record: Record) -> bool:
    """Whether a record starts a turn explicitly: nothing older changes how records from it on group into turns."""
    return record.kind == "event_msg" and record.subtype in STARTS and record.view(TaskStarted) is not None


def starts_own_turn(record: Record, segment: Segment) -> bool:
    """Whether a record starts a turn of the segment's rollout, and not one that was copied into it."""
    return starts_turn(record) and not is_copied(record, segment)
