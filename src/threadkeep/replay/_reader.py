"""Turns of a lineage, newest first, whatever the history modes of its rollouts."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, get_args

import msgspec

from threadkeep.records import (
    PAGINATED,
    Record,
    Sieve,
    TaskStarted,
    lines_backward,
    lines_forward,
    record_of,
    records_of,
    sifted,
)
from threadkeep.replay._before_envelope import as_told
from threadkeep.replay._legacy import LegacyBuilder, is_kept, may_matter, opens_nothing, starts_turn
from threadkeep.replay._paginated import Grouping, Placed, placed, speaks_of_turns
from threadkeep.replay._turn import ItemEntry, ItemsView, LateRecord, Position, TurnEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from threadkeep.lineage import Lineage, Segment

__all__ = ["TurnReader"]

_ASK_AFTER: Final = 1_000
"""Records of a legacy rollout gathered without a turn's start before it is asked where the first one stands."""

_VIEWS: Final[tuple[ItemsView, ...]] = get_args(ItemsView)
_TURNS: Final = {view: Sieve(functools.partial(speaks_of_turns, view=view)) for view in _VIEWS}
_LEGACY_TURNS: Final = {view: Sieve(functools.partial(may_matter, view=view)) for view in _VIEWS}

FirstStart = "Callable[[Segment], int | None]"


class TurnReader:
    """Reads turns backwards from the end of a lineage, or from a place inside it.

    Args:
        lineage: The thread's lineage.
        view: How much of each turn's items to show.
        start: Read only what stands before this place; None: from the end.
        below: Give only turns that begin before this place: for a reader that has to begin further up.
        stop: Read nothing before this place, which must be in the rollout that is read first; None: to the root.
        late: Records that stand at or after ``start`` and name a turn that stands before it.
        first_start: Where the first explicit turn start of a legacy rollout stands, asked only for rollouts in which
            none is near.
        rows: Also keep each turn's items with their places, in `rows`.

    Attributes:
        rows: The items of the turns given so far, when they were asked for.
        told: The late records that it was told of.
    """

    def __init__(
        self,
        lineage: Lineage,
        view: ItemsView,
        *,
        start: Position | None = None,
        below: Position | None = None,
        stop: Position | None = None,
        late: Sequence[LateRecord] = (),
        first_start: Callable[[Segment], int | None],
        rows: bool = False,
    ) -> None:
        self._lineage = lineage
        self._view = view
        self._start = start
        self._below = below
        self._stop = stop
        self.told = late
        self._first_start = first_start
        self._grouping = Grouping(view, keep_rows=rows)
        self._legacy_late: list[Record] = []
        self._legacy_crossing: list[Record] = []  # of the stretch that is being given
        self._legacy_given: set[str] = set()
        self._from_children: dict[int, Placed] = {}
        self._going_on: set[int] = set()  # those of the turn that ran where the legacy root ends
        self._legacy_rollout = ""
        self._keep_rows = rows
        self.rows: list[ItemEntry] = []

    def __iter__(self) -> Iterator[TurnEntry]:
        """The turns, newest first.

        Raises:
            BrokenLineage: An ancestor that is reached is missing or changed.
        """
        order, below = self._lineage.order, self._below
        for entry in self._read():
            if below is None or order(*_pair(entry.position)) < order(*_pair(below)):
                yield entry

    def _read(self) -> Iterator[TurnEntry]:
        started = self._start is None
        for segment in self._lineage.newest_first():
            high = segment.end
            if not started:
                assert self._start is not None
                if segment.rollout_id != self._start.rollout:
                    continue
                started, high = True, min(high, self._start.offset)
                self._preload()
            low = segment.start
            if self._stop is not None and segment.rollout_id == self._stop.rollout:
                low = max(low, self._stop.offset)
            if segment.mode == PAGINATED:
                yield from self._paginated(segment, low, high)
            else:
                yield from self._legacy(segment, low, high)
            if self._stop is not None:
                return
        for entry in self._grouping.finish():
            yield self._given(entry)

    def pending(self) -> list[LateRecord]:
        """The late records that no turn given so far has taken."""
        return self._grouping.pending() + self._pending_legacy()

    def unreached(self) -> list[LateRecord]:
        """The late records that no turn has taken, with those of an open turn whose start was not read."""
        return self._grouping.unreached() + self._pending_legacy()

    def _pending_legacy(self) -> list[LateRecord]:
        found: dict[Position, LateRecord] = {}
        for record in (*self._legacy_late, *self._legacy_crossing):
            turn_id = named_turn(record)
            if turn_id is not None and turn_id not in self._legacy_given:
                entry = self._from_children.get(id(record))
                place = entry.position if entry is not None else Position(self._legacy_rollout, record.offset)
                found[place] = LateRecord(turn_id, place)
        return sorted(found.values(), key=lambda late: self._lineage.order(*_pair(late.position)))

    def _given(self, entry: TurnEntry) -> TurnEntry:
        if self._keep_rows:
            self.rows += self._grouping.take_rows()
        return entry

    def _preload(self) -> None:
        by_rollout = {segment.rollout_id: segment for segment in self._lineage.oldest_first()} if self.told else {}
        entries: list[Placed] = []
        for late in self.told:
            segment = by_rollout.get(late.position.rollout)
            record = record_at(segment, late.position.offset) if segment is not None else None
            if segment is None or record is None:
                continue
            if segment.mode != PAGINATED:
                self._legacy_late.append(record)
            elif (entry := placed(record, segment, self._view)) is not None:
                entries.append(entry)
        self._grouping.preload(entries)

    def _paginated(self, segment: Segment, low: int, high: int) -> Iterator[TurnEntry]:
        meta = segment.head.meta
        copied = meta.subagent_history_start_ordinal if meta is not None else None
        view, feed = self._view, self._grouping.feed
        cost = self._lineage.cost
        for record in sifted(lines_backward(segment.source, high, low), _TURNS[view], cost):
            cost.records_seen += 1
            if record.kind != "event_msg":
                continue
            if copied is not None and record.ordinal is not None and record.ordinal < copied:
                return  # what a sub-agent copied of its parent is not its own history (storage.md 4.6)
            entry = placed(record, segment, view)
            if entry is None:
                continue
            cost.records_decoded += 1
            for done in feed(entry):
                yield self._given(done)

    def _legacy(self, segment: Segment, low: int, high: int) -> Iterator[TurnEntry]:
        """A legacy rollout is the root of its lineage: turns of paginated children that began in it end here."""
        for done in self._hand_over(segment, low, high):
            yield self._given(done)
        self._legacy_rollout = segment.rollout_id
        pending = 0
        for chunk in self._chunks(segment, low, high):
            builder = self._built(segment, chunk)
            self._legacy_crossing = self._legacy_late + builder.crossing
            self._legacy_given = set()
            builder.settle(self._legacy_late)
            self._legacy_late = builder.late
            count = len(builder.turns)
            kept = builder.turns[: max(0, count - pending)]
            pending = max(0, pending - count) + builder.dropped
            for turn in reversed(kept):
                if self._keep_rows:
                    self.rows += builder.rows(turn)
                self._legacy_given.add(turn.id)
                yield builder.entry(turn)
            self._legacy_crossing = []
        if self._stop is None:
            self._take_back()

    def _hand_over(self, segment: Segment, low: int, high: int) -> list[TurnEntry]:
        """Tell a legacy root of its children's records of turns that may be in it; the open turns that are not."""
        waiting: list[Placed] = []
        if self._grouping.awaits_start:
            waiting = self._grouping.take_unstarted(self._newest_started(segment, low, high))
        going_on = {id(entry.record) for entry in waiting}
        done = self._grouping.close()
        for records in self._grouping.late.values():
            waiting += records
        self._grouping.late = {}
        waiting.sort(key=lambda entry: (-entry.depth, entry.record.offset))
        self._from_children = {id(entry.record): entry for entry in waiting}
        self._legacy_late += [entry.record for entry in waiting]
        self._going_on = going_on
        return done

    def _newest_started(self, segment: Segment, low: int, high: int) -> str | None:
        """The turn of a legacy rollout that was started last: the only one that can go on in a child."""
        for seen, record in enumerate(records_of(lines_backward(segment.source, high, low))):
            if starts_turn(record):
                return named_turn(record)
            if seen == _ASK_AFTER:
                first = self._first_start(segment)
                if first is None or first > record.offset:
                    return None
        return None

    def _take_back(self) -> None:
        """Records of children that belong to no turn of the legacy root: they are of turns that lost their start.

        Those of a turn that began in the root are gone with it: it was rolled back there.
        """
        children = self._from_children.keys() - self._going_on
        entries = [self._from_children[id(record)] for record in self._legacy_late if id(record) in children]
        self._legacy_late = []
        self._grouping.preload(entries)

    def _built(self, segment: Segment, oldest_first: Sequence[Record]) -> LegacyBuilder:
        elsewhere = {identity: entry.position for identity, entry in self._from_children.items()}
        builder = LegacyBuilder(segment.rollout_id, self._view, segment.head.meta, elsewhere)
        for record in oldest_first:
            builder.feed(record)
        builder.close()
        self._lineage.cost.records_decoded += len(oldest_first)
        return builder

    def _told(self, segment: Segment, low: int, high: int) -> Iterator[Record]:
        """What tells of turns in a legacy rollout, newest first."""
        cost = self._lineage.cost
        for record in sifted(lines_backward(segment.source, high, low), _LEGACY_TURNS[self._view], cost):
            cost.records_seen += 1
            if record.bare:
                yield from reversed(as_told(record))
            else:
                yield record

    def _chunks(self, segment: Segment, low: int, high: int) -> Iterator[list[Record]]:
        """Stretches of records that build the same turns alone as within the whole, newest first."""
        gathered: list[Record] = []  # newest first
        message: int | None = None  # where in it a user message stands that may be a cut
        first_start: int | None = None
        asked = False
        for record in self._told(segment, low, high):
            if not is_kept(record, self._view):
                continue
            if opens_nothing(record):
                gathered.append(record)
                continue
            if message is not None and record.kind != "compacted":
                # A message opens a turn of its own, but for one that follows a bare compaction: it joins that turn.
                yield gathered[message::-1]
                gathered = gathered[message + 1 :]
            message = None
            gathered.append(record)
            if starts_turn(record) and not _runs_inside(record):
                yield gathered[::-1]
                gathered = []
            elif record.subtype == "user_message" and asked and (first_start is None or record.offset < first_start):
                message = len(gathered) - 1
            elif len(gathered) >= _ASK_AFTER and not asked:
                asked, first_start = True, self._first_start(segment)
        yield gathered[::-1]


def _runs_inside(record: Record) -> bool:
    """Whether a turn is started inside another one, which goes on after it: a review runs one so (0.169.0 observed)."""
    event = record.view(TaskStarted)
    return event is not None and event.root_turn_id not in {None, event.turn_id}


def _pair(position: Position) -> tuple[str, int]:
    return position.rollout, position.offset


def record_at(segment: Segment, offset: int) -> Record | None:
    """The record that starts at an offset of a segment; None where none does."""
    if not segment.start <= offset < segment.end or (offset and segment.source.read(offset - 1, 1) != b"\n"):
        return None
    for at, line in lines_forward(segment.source, offset, segment.end):
        return record_of(at, line) if line else None
    return None


class _Named(msgspec.Struct):
    turn_id: str | None = None


def named_turn(record: Record) -> str | None:
    """The turn that a record names."""
    named: Any = record.view(_Named)
    return named.turn_id if named is not None else None
