"""Fork points: where in a lineage a fork starts, and the history base that says so.

The base names the rollout that owns the boundary, so a chain of forks grows only through rollouts with records of
their own (``architecture.md``, "Forks").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from threadkeep.lineage._boundary import UNRESOLVABLE_OFFSET, boundary_digest, next_ordinal
from threadkeep.lineage._lineage import Segment
from threadkeep.records import LEGACY, Boundary, HistoryBase, RolledBack, committed_end, lines_backward, records_of

if TYPE_CHECKING:
    from threadkeep.lineage._lineage import Lineage

__all__ = ["UNRESOLVABLE_ORDINAL", "ForkPoint", "fork_point", "newest_turn"]

UNRESOLVABLE_ORDINAL: Final = 2**64 - 1
"""With it Codex refuses to resolve a base, before and after it migrates the base, and still guards it from deletion
(0.169.0 and 0.149.0 observed)."""

_STARTS: Final = frozenset({"task_started", "turn_started"})
_ENDS: Final = frozenset({"task_complete", "turn_complete", "turn_aborted"})


class ForkPoint(msgspec.Struct):
    """Where a child begins.

    Attributes:
        segment: The segment that owns the boundary; None where nothing is inherited.
        end: The boundary: offset in that segment's rollout.
        first_ordinal: The ordinal of the child's first record.
        base: What the child's first record says of it; None where nothing is inherited.
        running: Id and start time (Unix seconds) of the turn that runs at the boundary; None where none does.
    """

    segment: Segment | None
    end: int
    first_ordinal: int
    base: HistoryBase | None
    running: tuple[str, int | None] | None


def fork_point(lineage: Lineage, rollout: str, offset: int | None, *, interrupts: bool) -> ForkPoint:
    """The fork point at a place in a lineage.

    Args:
        lineage: The source's lineage.
        rollout: The rollout in which the place is.
        offset: Where a record ends and the next begins; None: at the rollout's last newline.
        interrupts: Whether a turn that runs there is cut off by the fork, and needs its end.
    """
    segment = lineage.segment(rollout)
    assert segment is not None, "the place was found in this lineage"
    end = min(segment.end, committed_end(segment.source)) if offset is None else offset
    running = _running(lineage, segment, end) if interrupts else None
    for older in lineage.newest_first():
        if older.depth < segment.depth:
            continue
        if older.depth > segment.depth:
            segment, end = older, older.end
        if end > segment.start:
            return ForkPoint(segment, end, *_base(segment, end), running)
    return ForkPoint(None, 0, 0, None, running)


def _running(lineage: Lineage, segment: Segment, end: int) -> tuple[str, int | None] | None:
    """The turn that runs at a place: one that began in an ancestor runs until something in the lineage ends it."""
    for older in lineage.newest_first():
        if older.depth >= segment.depth:
            found = _newest_lifecycle(older, end if older is segment else older.end)
            if found is not None:
                return found.running
    return None


def _base(segment: Segment, end: int) -> tuple[int, HistoryBase]:
    boundary = Boundary(end, boundary_digest(segment.source, end), segment.mode, _turn_before(segment, end))
    if segment.mode == LEGACY:
        # Codex must never resolve this: its own lines would start in the middle of a record once it has migrated.
        return 0, HistoryBase(segment.rollout_id, UNRESOLVABLE_ORDINAL, UNRESOLVABLE_OFFSET, boundary)
    ordinal = next_ordinal(segment.source, end, 0) or 1
    return ordinal, HistoryBase(segment.rollout_id, ordinal, end, boundary)


class _Turned(msgspec.Struct):
    turn_id: str | None = None
    started_at: int | None = None


class _Lifecycle(msgspec.Struct):
    """What the newest start, end or rollback leaves running: (id, start time) of a turn, or None."""

    running: tuple[str, int | None] | None


def newest_turn(segment: Segment, end: int) -> tuple[str, int | None] | None:
    """Id and start of the turn that was started and not ended before ``end``; None where none runs there."""
    found = _newest_lifecycle(segment, end)
    return found.running if found is not None else None


def _newest_lifecycle(segment: Segment, end: int) -> _Lifecycle | None:
    """What the records of a segment before ``end`` leave running; None where they start and end nothing."""
    for record in records_of(lines_backward(segment.source, end, segment.start)):
        if record.kind != "event_msg":
            continue
        if record.subtype == "thread_rolled_back" and record.view(RolledBack) is not None:
            return _Lifecycle(None)  # it takes back the turn that ran
        if record.subtype not in _STARTS | _ENDS:
            continue
        turned = record.view(_Turned)
        if turned is None:
            continue
        if record.subtype in _ENDS or turned.turn_id is None:
            return _Lifecycle(None)
        return _Lifecycle((turned.turn_id, turned.started_at))
    return None


def _turn_before(segment: Segment, end: int) -> str | None:
    """The newest turn that a start or an end before ``end`` names."""
    for record in records_of(lines_backward(segment.source, end, segment.start)):
        if record.kind == "event_msg" and record.subtype in _STARTS | _ENDS:
            turned = record.view(_Turned)
            if turned is not None and turned.turn_id is not None:
                return turned.turn_id
    return None
