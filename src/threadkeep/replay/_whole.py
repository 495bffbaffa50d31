"""All turns of a lineage, oldest first, one at a time: a plan made on the way back, then turn by turn forwards.

Which records make up a turn is known only on the way back from the end: a late record, a rollback or an end in a child
may stand anywhere after it. So the way back is gone once, and of each turn the places of its records are noted (mostly
one stretch of bytes). Then each is read again and shown. Two passes over the bytes; in memory there are one turn and a
few numbers of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from threadkeep.records import Record, lines_forward, sifted
from threadkeep.replay._at import record_at
from threadkeep.replay._before_envelope import as_told
from threadkeep.replay._legacy_kinds import is_kept
from threadkeep.replay._paginated import Group, Placed, build_turn, placed
from threadkeep.replay._turn import ItemsView, Position, TurnEntry
from threadkeep.replay._walk import LEGACY_TURNS, PAGINATED_TURNS, Stretch, Walk, built

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from threadkeep.lineage import Lineage, Segment

__all__ = ["whole_turns"]


def whole_turns(
    lineage: Lineage, view: ItemsView, *, first_start: Callable[[Segment], int | None]
) -> Iterator[TurnEntry]:
    """Every turn of a lineage, oldest first: the turns of `TurnReader`, in the other order.

    Args:
        lineage: The thread's lineage; it must stay open meanwhile.
        view: How much of each turn's items to show.
        first_start: As for `Walk`.

    Raises:
        BrokenLineage: An ancestor is missing or changed.
    """
    plan = list(Planner(lineage, view, first_start=first_start))
    segments = lineage.resolved
    open_ones: set[int] = set()
    while plan:
        planned = plan.pop()
        depths = planned.depths()
        for depth in open_ones - depths:  # a lineage of any depth needs few descriptors
            segments[depth].source.rest()
        open_ones = depths
        if isinstance(planned, _Turn):
            yield _turn(planned, lineage, view)
        else:
            yield from _turns(planned, lineage, view)


class _Turn(msgspec.Struct, gc=False):
    """Where the records of a turn of paginated rollouts stand: stretches of (depth, from, to), oldest first."""

    id: str
    runs: tuple[int, ...]

    def depths(self) -> set[int]:
        """The segments that it takes records of."""
        return set(self.runs[::3])


class _Turns(msgspec.Struct):
    """Where the records of a stretch of a legacy rollout stand, and of those from further on that belong to it."""

    depth: int
    low: int
    high: int
    kept: int
    settled: list[Position]

    def depths(self) -> set[int]:
        """The segment that it takes records of, but for single ones."""
        return {self.depth}


class _Noted(Placed):
    """A record with its number on the way back."""

    number: int


class Planner(Walk[_Turn | _Turns]):
    """Notes where the records of each turn stand."""

    def __init__(self, lineage: Lineage, view: ItemsView, *, first_start: Callable[[Segment], int | None]) -> None:
        super().__init__(lineage, view, first_start=first_start)
        self._legacy_view = "notLoaded"  # which turns there are is the same in every view
        self._count = 0

    def _noted(self, record: Record, segment: Segment) -> Placed | None:
        entry = placed(record, segment, self._view)
        if entry is None:
            return None
        self._count += 1
        return _Noted(entry.depth, entry.rollout, record, entry.event, self._count)

    def _made(self, group: Group) -> _Turn:
        runs: list[int] = []
        last = 0
        for entry in sorted(group.records, key=lambda entry: (-entry.depth, entry.record.offset)):
            assert isinstance(entry, _Noted)
            if runs and entry.number == last - 1 and entry.depth == runs[-3]:
                runs[-1] = entry.record.end
            else:
                runs += (entry.depth, entry.record.offset, entry.record.end)
            last = entry.number
        return _Turn(group.turn_id, tuple(runs))

    def _of_stretch(self, stretch: Stretch) -> Iterator[_Turns]:
        if stretch.kept:
            yield _Turns(stretch.segment.depth, stretch.low, stretch.high, stretch.kept, stretch.settled)


def _turn(planned: _Turn, lineage: Lineage, view: ItemsView) -> TurnEntry:
    """Read a turn of paginated rollouts."""
    records: list[Placed] = []
    runs = planned.runs
    for depth, low, high in zip(runs[::3], runs[1::3], runs[2::3], strict=True):
        segment = lineage.resolved[depth]
        lines = lines_forward(segment.source, low, min(high, segment.end))  # a last line may lack its newline
        for record in sifted(lines, PAGINATED_TURNS[view], lineage.cost):
            lineage.cost.records_seen += 1
            entry = placed(record, segment, view)
            if entry is not None:
                lineage.cost.records_decoded += 1
                records.append(entry)
    return build_turn(Group(planned.id, records), view)[0]


def _turns(planned: _Turns, lineage: Lineage, view: ItemsView) -> Iterator[TurnEntry]:
    """Read a stretch of a legacy rollout."""
    segments = {segment.rollout_id: segment for segment in lineage.resolved} if planned.settled else {}
    found = [(record_at(segments[place.rollout], place.offset), place) for place in planned.settled]
    settled = [(record, place) for record, place in found if record is not None]
    segment = lineage.resolved[planned.depth]
    elsewhere = {id(record): place for record, place in settled}
    builder = built(segment, view, _told(planned, segment, lineage, view), elsewhere)
    builder.settle([record for record, _ in settled])
    for turn in builder.turns[: planned.kept]:
        yield builder.entry(turn)


def _told(planned: _Turns, segment: Segment, lineage: Lineage, view: ItemsView) -> Iterator[Record]:
    """What tells of turns in a stretch of a legacy rollout, oldest first."""
    cost = lineage.cost
    for record in sifted(lines_forward(segment.source, planned.low, planned.high), LEGACY_TURNS[view], cost):
        cost.records_seen += 1
        told: Sequence[Record] = as_told(record) if record.bare else (record,)
        for event in told:
            if is_kept(event, view):
                cost.records_decoded += 1
                yield event
