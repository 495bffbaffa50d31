"""The way back through a lineage, whatever the history modes of its rollouts: which records make up which turns.

What is made of them is another's: the turns themselves (`TurnReader`), or the places of their records (`Planner`).
"""

from __future__ import annotations

import functools
from abc import abstractmethod
from typing import TYPE_CHECKING, Final, Generic, TypeVar, get_args

from threadkeep.records import PAGINATED, Record, Sieve, TaskStarted, lines_backward, records_of, sifted
from threadkeep.replay._at import named_turn, record_at
from threadkeep.replay._before_envelope import as_told
from threadkeep.replay._copied import until_copied
from threadkeep.replay._legacy_kinds import is_kept, may_matter, opens_nothing
from threadkeep.replay._paginated import Group, Grouping, Placed, placed, speaks_of_turns
from threadkeep.replay._starts import starts_turn
from threadkeep.replay._turn import ItemsView, LateRecord, Position

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from threadkeep.lineage import Lineage, Segment
    from threadkeep.replay._legacy import LegacyBuilder, LegacyTurn

__all__ = ["LEGACY_TURNS", "PAGINATED_TURNS", "Stretch", "Walk", "built"]

T = TypeVar("T")

_ASK_AFTER: Final = 1_000
"""Records of a legacy rollout gathered without a turn's start before it is asked where the first one stands."""

_VIEWS: Final[tuple[ItemsView, ...]] = get_args(ItemsView)
PAGINATED_TURNS: Final = {view: Sieve(functools.partial(speaks_of_turns, view=view)) for view in _VIEWS}
LEGACY_TURNS: Final = {view: Sieve(functools.partial(may_matter, view=view)) for view in _VIEWS}


class Stretch:
    """Records of a legacy rollout that build the same turns alone as within the whole.

    Attributes:
        segment: The rollout's segment.
        low: Where the stretch begins.
        high: Where it ends.
        builder: What was built of it.
        kept: How many of its turns no rollback further on takes away: the oldest ones.
        settled: Where records from further on stand that belong to turns of the stretch.
    """

    __slots__ = ("builder", "high", "kept", "low", "segment", "settled")

    def __init__(
        self,
        segment: Segment,
        low: int,
        high: int,
        builder: LegacyBuilder,
        kept: int,
        settled: list[Position],
    ) -> None:
        self.segment = segment
        self.low = low
        self.high = high
        self.builder = builder
        self.kept = kept
        self.settled = settled

    @property
    def turns(self) -> list[LegacyTurn]:
        """The turns that are kept, oldest first."""
        return self.builder.turns[: self.kept]


class Walk(Generic[T]):
    """Goes backwards from the end of a lineage, or from a place inside it, turn by turn.

    Args:
        lineage: The thread's lineage.
        view: How much of each turn's items matters.
        start: Read only what stands before this place; None: from the end.
        stop: Read nothing before this place, which must be in the rollout that is read first; None: to the root.
        late: Records that stand at or after ``start`` and name a turn that stands before it.
        first_start: Where the first explicit turn start of a legacy rollout stands, asked only for rollouts in which
            none is near.

    Attributes:
        told: The late records that it was told of.
    """

    def __init__(
        self,
        lineage: Lineage,
        view: ItemsView,
        *,
        start: Position | None = None,
        stop: Position | None = None,
        late: Sequence[LateRecord] = (),
        first_start: Callable[[Segment], int | None],
    ) -> None:
        self._lineage = lineage
        self._view = view
        self._legacy_view: ItemsView = view
        self._start = start
        self._stop = stop
        self.told = late
        self._first_start = first_start
        self._grouping = Grouping(self._made)
        self._legacy_late: list[Record] = []
        self._legacy_crossing: list[Record] = []  # of the stretch that is being given
        self._legacy_given: set[str] = set()
        self._from_children: dict[int, Placed] = {}
        self._going_on: set[int] = set()  # those of the turn that ran where the legacy root ends
        self._legacy_rollout = ""

    # What is made of a turn's records

    def _noted(self, record: Record, segment: Segment) -> Placed | None:
        """A record of a paginated rollout as one of a turn's; None for one that says nothing of turns."""
        return placed(record, segment, self._view)

    @abstractmethod
    def _made(self, group: Group) -> T:
        """What is made of a complete turn of paginated rollouts."""

    @abstractmethod
    def _of_stretch(self, stretch: Stretch) -> Iterator[T]:
        """What is made of a stretch of a legacy rollout, newest first."""

    # The way back

    def __iter__(self) -> Iterator[T]:
        """The turns, newest first.

        Raises:
            BrokenLineage: An ancestor that is reached is missing or changed.
        """
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
        yield from self._grouping.close()

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
                place = self._place(record)
                found[place] = LateRecord(turn_id, place)
        return sorted(found.values(), key=lambda late: self._lineage.order(*_pair(late.position)))

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
            elif (entry := self._noted(record, segment)) is not None:
                entries.append(entry)
        self._grouping.preload(entries)

    def _paginated(self, segment: Segment, low: int, high: int) -> Iterator[T]:
        noted, feed = self._noted, self._grouping.feed
        cost, sieve = self._lineage.cost, PAGINATED_TURNS[self._view]

        def backward(low: int, high: int) -> Iterator[Record]:
            return sifted(lines_backward(segment.source, high, low), sieve, cost)

        for record in until_copied(segment, low, high, backward):
            cost.records_seen += 1
            if record.kind != "event_msg":
                continue
            entry = noted(record, segment)
            if entry is None:
                continue
            cost.records_decoded += 1
            yield from feed(entry)

    def _legacy(self, segment: Segment, low: int, high: int) -> Iterator[T]:
        """A legacy rollout is the root of its lineage: turns of paginated children that began in it end here."""
        yield from self._hand_over(segment, low, high)
        self._legacy_rollout = segment.rollout_id
        elsewhere = {identity: entry.position for identity, entry in self._from_children.items()}
        pending = 0
        for begins, ends, records in self._chunks(segment, low, high):
            builder = built(segment, self._legacy_view, records, elsewhere)
            self._lineage.cost.records_decoded += len(records)
            late = self._legacy_late
            self._legacy_crossing = late + builder.crossing
            self._legacy_given = set()
            builder.settle(late)
            self._legacy_late = builder.late
            count = len(builder.turns)
            kept = max(0, count - pending)
            pending = max(0, pending - count) + builder.dropped
            yield from self._of_stretch(Stretch(segment, begins, ends, builder, kept, self._settled(late)))
            self._legacy_crossing = []
        if self._stop is None:
            yield from self._take_back()

    def _settled(self, late: Sequence[Record]) -> list[Position]:
        """Where those of the late records stand that are late no more."""
        if not late:
            return []
        still = {id(record) for record in self._legacy_late}
        return [self._place(record) for record in late if id(record) not in still]

    def _place(self, record: Record) -> Position:
        """Where a late record of a legacy root stands: in it, or in a child."""
        entry = self._from_children.get(id(record))
        return entry.position if entry is not None else Position(self._legacy_rollout, record.offset)

    def _hand_over(self, segment: Segment, low: int, high: int) -> Iterator[T]:
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

    def _take_back(self) -> Iterator[T]:
        """Records of children that belong to no turn of the legacy root: they are of turns that lost their start.

        Those of the turn that was started last in the root are gone with it: it was rolled back there.
        """
        children = self._from_children.keys() - self._going_on
        entries = [self._from_children[id(record)] for record in self._legacy_late if id(record) in children]
        self._legacy_late = []
        return self._grouping.take_back(entries)

    def _chunks(self, segment: Segment, low: int, high: int) -> Iterator[tuple[int, int, list[Record]]]:
        """Stretches of records that build the same turns alone as within the whole, newest first.

        Each as (where it begins, where it ends, its records oldest first).
        """
        gathered: list[Record] = []  # newest first
        message: int | None = None  # where in it a user message stands that may be a cut
        first_start: int | None = None
        asked = False
        for record in self._told(segment, low, high):
            if opens_nothing(record):
                gathered.append(record)
                continue
            if message is not None and record.kind != "compacted":
                if not (starts_turn(record) or _shows(record)):
                    gathered.append(record)  # it may count for nothing: what is older says
                    continue
                # A message opens a turn of its own, but for one that follows a bare compaction: it joins that turn.
                begins = gathered[message].offset
                yield begins, high, gathered[message::-1]
                gathered, high = gathered[message + 1 :], begins
            message = None
            gathered.append(record)
            if starts_turn(record) and not _runs_inside(record):
                yield record.offset, high, gathered[::-1]
                gathered, high = [], record.offset
            elif (
                record.subtype == "user_message"
                and asked
                and (first_start is None or record.offset < first_start)
                and _shows(record)
            ):
                message = len(gathered) - 1
            elif len(gathered) >= _ASK_AFTER and not asked:
                asked, first_start = True, self._first_start(segment)
        yield low, high, gathered[::-1]

    def _told(self, segment: Segment, low: int, high: int) -> Iterator[Record]:
        """What tells of turns in a legacy rollout, newest first."""
        cost, view = self._lineage.cost, self._legacy_view
        for record in sifted(lines_backward(segment.source, high, low), LEGACY_TURNS[view], cost):
            cost.records_seen += 1
            if record.bare:
                yield from reversed([event for event in as_told(record) if is_kept(event, view)])
            elif is_kept(record, view):
                yield record


def built(
    segment: Segment, view: ItemsView, oldest_first: Iterable[Record], elsewhere: Mapping[int, Position]
) -> LegacyBuilder:
    """The turns of a stretch of a legacy rollout.

    Args:
        segment: The rollout's segment.
        view: How much of each turn's items to show.
        oldest_first: The stretch's records.
        elsewhere: By ``id()``: where records stand that come from other rollouts.
    """
    from threadkeep.replay._legacy import LegacyBuilder  # and with it all that rebuilds calls

    builder = LegacyBuilder(segment.rollout_id, view, segment.head.meta, elsewhere)
    for record in oldest_first:
        builder.feed(record)
    builder.close()
    return builder


def _shows(record: Record) -> bool:
    """Whether an event is an item of the turn that is open, whichever that is."""
    from threadkeep.replay.items import legacy_item

    payload = record.payload if record.kind == "event_msg" else None
    made = legacy_item(record.subtype, payload, "") if payload is not None else None
    return made is not None and made.shows and made.turn_id is None


def _runs_inside(record: Record) -> bool:
    """Whether a turn is started inside another one, which goes on after it: a review runs one so (0.169.0 observed)."""
    event = record.view(TaskStarted)
    return event is not None and event.root_turn_id not in {None, event.turn_id}


def _pair(position: Position) -> tuple[str, int]:
    return position.rollout, position.offset
