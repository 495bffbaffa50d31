"""Pages of turns and items, newest first or oldest first, by cursors that hold across appends.

A page reads what it shows: backwards from its cursor, or, oldest first, in a window that ends where enough turns have
begun. What stands above and still matters (records of older turns, rollbacks) is told by the cursor or by the totals.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import msgspec

from threadkeep.records import LEGACY, Record, TaskStarted, lines_forward, records_of
from threadkeep.replay._at import record_at
from threadkeep.replay._before_envelope import as_told
from threadkeep.replay._copied import own_from
from threadkeep.replay._cursor import Cursor, check_anchor, decode_cursor, encode_cursor
from threadkeep.replay._find import began_in_legacy, next_start, reader_before, turn_rows
from threadkeep.replay._paginated import placed
from threadkeep.replay._reader import TurnReader
from threadkeep.replay._starts import starts_own_turn
from threadkeep.replay._turn import ItemEntry, ItemsView, LateRecord, Position, TurnEntry

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from threadkeep.lineage import Lineage, Segment
    from threadkeep.replay._totals import TotalsSource

__all__ = [
    "DEFAULT_LIMIT",
    "MAX_LIMIT",
    "ItemPage",
    "TurnPage",
    "item_anchor",
    "item_page",
    "stray_items",
    "turn_cursor",
    "turn_page",
]

DEFAULT_LIMIT: Final = 25
MAX_LIMIT: Final = 100
"""Most entries of a page, as for the app-server."""


class TurnPage(msgspec.Struct):
    """One page of turns.

    Attributes:
        data: The turns, in the order that was asked for.
        next_cursor: Where the next page in that order begins; None at the end.
        backwards_cursor: Where a page in the other order begins, with the first turn of this one; None if it is empty.
    """

    data: list[TurnEntry]
    next_cursor: str | None
    backwards_cursor: str | None


class ItemPage(msgspec.Struct):
    """One page of items; the cursors are those of `TurnPage`."""

    data: list[ItemEntry]
    next_cursor: str | None
    backwards_cursor: str | None


def bounded(limit: int | None) -> int:
    """A page's size: at least 1, at most `MAX_LIMIT`, by default `DEFAULT_LIMIT`."""
    return max(1, min(MAX_LIMIT, DEFAULT_LIMIT if limit is None else limit))


class _Pager:
    """What both kinds of pages need."""

    def __init__(self, lineage: Lineage, totals: TotalsSource) -> None:
        self.lineage = lineage
        self.totals = totals
        self.end = Position(lineage.tip.rollout_id, lineage.tip.end)
        self._rows: dict[str, Sequence[ItemEntry]] = {}
        self._shown: dict[str, set[Identity]] = {}
        self._looked_at: set[Position] = set()
        self._strays: Sequence[ItemEntry] | None = None

    def rows_of(self, late: LateRecord) -> Sequence[ItemEntry]:
        """The items of a late record's turn; also its strays, once a record showed that it has some.

        The turn, its strays and the item of each record are looked for once a page.
        """
        turn_id = late.turn_id
        if turn_id not in self._rows:
            self._rows[turn_id] = turn_rows(self.lineage, turn_id, self.totals)
            self._shown[turn_id] = {_identity(row) for row in self._rows[turn_id]}
        if turn_id in self._shown and late.position not in self._looked_at:
            self._looked_at.add(late.position)
            alone = _late_item(self.lineage, late)
            if alone is not None and _identity(alone) not in self._shown[turn_id]:
                del self._shown[turn_id]
                self._rows[turn_id] = [*self._rows[turn_id], *self._strays_of(turn_id)]
        return self._rows[turn_id]

    def _strays_of(self, turn_id: str) -> Sequence[ItemEntry]:
        """The items that name a turn and are not shown by it. For them a damaged history is read whole, once a page."""
        if began_in_legacy(self.lineage, turn_id):
            return ()
        if self._strays is None:
            reader = TurnReader(self.lineage, "full", first_start=self.first_start)
            turns = {entry.id for entry in reader}
            self._strays = stray_items(self.lineage, self.totals, turns, reader.pending())
        return [row for row in self._strays if row.turn_id == turn_id]

    def first_start(self, segment: Segment) -> int | None:
        return self.totals.of(segment).first_start

    def key(self, position: Position) -> tuple[int, int]:
        return self.lineage.order(position.rollout, position.offset)

    def anchored(self, text: str | None, scope: str, turn: str | None = None) -> Cursor | None:
        """The caller's cursor, checked against the history."""
        if text is None:
            return None
        cursor = decode_cursor(text, thread=self.lineage.thread_id, scope=scope, turn=turn)  # type: ignore[arg-type]
        self.lineage.segment(cursor.anchor.rollout)
        check_anchor(cursor, self.lineage.resolved)
        return cursor

    def below(self, cursor: Cursor, high: Position | None, view: ItemsView, *, rows: bool) -> TurnReader:
        """A reader of what stands before ``high``, told by the cursor where it can, else by the totals."""
        told = self._told(cursor)
        if told is None or high is None:
            return reader_before(self.lineage, high, self.totals, view, rows=rows)
        late = [known for known in told if self.key(known.position) >= self.key(high)]  # the others are read again
        return TurnReader(
            self.lineage, view, start=high, below=high, late=late, first_start=self.first_start, rows=rows
        )

    def _told(self, cursor: Cursor) -> list[LateRecord] | None:
        """Late records above the anchor: those that the cursor carries, and those among what was appended since."""
        tip, seen = self.lineage.tip, cursor.seen
        if seen is None or cursor.late is None or seen.rollout != tip.rollout_id or seen.offset > tip.end:
            return None
        if seen.offset == tip.end:
            return cursor.late
        if tip.mode == LEGACY and self._rolled_back_since(seen.offset):
            return None
        suffix = TurnReader(self.lineage, "full", stop=seen, first_start=self.first_start)
        for _ in suffix:
            pass
        return cursor.late + suffix.unreached()

    def older_than(self, position: Position) -> Position:
        """The place before which everything older than a turn stands.

        A turn that lost its start stands where it ended: that end is read again, and takes what is the turn's below.
        """
        segment = self.lineage.segment(position.rollout)
        record = record_at(segment, position.offset) if segment is not None and segment.mode != LEGACY else None
        if segment is None or record is None or starts_own_turn(record, segment):
            return position
        return Position(position.rollout, min(record.end, segment.end))

    def _rolled_back_since(self, offset: int) -> bool:
        tip = self.lineage.tip
        return any(
            record.subtype == "thread_rolled_back" for record in records_of(lines_forward(tip.source, offset, tip.end))
        )

    def window_end(self, low: Position, turns: int) -> Position | None:
        """Where the window ends that begins at ``low`` and holds at least so many turns; None: with the lineage.

        Turns that nothing starts explicitly are counted by their user messages; the window ends only where nothing
        before can belong to a turn after.
        """
        count = 0
        last: str | None = None
        for segment in self._up_from(low):
            start = low.offset if segment.rollout_id == low.rollout else own_from(segment)
            compacted = False
            for record in records_of(lines_forward(segment.source, start, segment.end)):
                begun = _begins(record, segment)
                if begun is None or begun == last:
                    compacted = compacted or record.kind == "compacted"
                    continue
                if begun == "" and compacted:
                    compacted = False
                    continue
                compacted = False
                count += 1
                last = begun or last
                if count > turns and (begun or self._unstarted(segment, record)):
                    return Position(segment.rollout_id, record.offset)
        return None

    def _unstarted(self, segment: Segment, record: Record) -> bool:
        first = self.first_start(segment)
        return first is None or record.offset < first

    def _up_from(self, low: Position) -> Iterator[Segment]:
        begun = False
        for segment in self.lineage.oldest_first():
            begun = begun or segment.rollout_id == low.rollout
            if begun:
                yield segment

    def root(self) -> Position:
        """The beginning of the thread's history."""
        segment = self.lineage.oldest_first()[0]
        return Position(segment.rollout_id, own_from(segment))

    def cursor(self, anchor: Position, scope: str, *, inclusive: bool, **more: object) -> str:
        return encode_cursor(
            self.lineage.resolved,
            thread=self.lineage.thread_id,
            scope=scope,  # type: ignore[arg-type]
            anchor=anchor,
            inclusive=inclusive,
            **more,  # type: ignore[arg-type]
        )


def _begins(record: Record, segment: Segment) -> str | None:
    """The id of the turn that a record starts; empty for one that has no id yet; None where it starts none."""
    if starts_own_turn(record, segment):
        event = record.view(TaskStarted)
        return event.turn_id if event is not None else None
    if segment.mode != LEGACY:
        return None
    return "" if any(told.subtype == "user_message" for told in as_told(record)) else None


# --- turns -----------------------------------------------------------------------------------------------------------


def turn_page(
    lineage: Lineage,
    totals: TotalsSource,
    *,
    cursor: str | None,
    limit: int | None,
    descending: bool,
    view: ItemsView,
) -> TurnPage:
    """A page of turns.

    Raises:
        InvalidCursor: The cursor is none, belongs elsewhere, or its anchor is not what it was.
        BrokenLineage: An ancestor that is reached is missing or changed.
    """
    pager = _Pager(lineage, totals)
    at = pager.anchored(cursor, "turns")
    size = bounded(limit)
    return _newest_turns(pager, at, size, view) if descending else _oldest_turns(pager, at, size, view)


def turn_cursor(lineage: Lineage, totals: TotalsSource, position: Position) -> str:
    """The cursor of a page, in either order, that begins with the turn at a position."""
    return _Pager(lineage, totals).cursor(position, "turns", inclusive=True)


def _newest_turns(pager: _Pager, at: Cursor | None, size: int, view: ItemsView) -> TurnPage:
    if at is None:
        reader = TurnReader(pager.lineage, view, first_start=pager.first_start)
    else:
        high = next_start(pager.lineage, at.anchor) if at.inclusive else pager.older_than(at.anchor)
        reader = pager.below(at, high, view, rows=False)
    page: list[TurnEntry] = []
    late: list[LateRecord] = []
    more = False
    for entry in reader:
        if len(page) == size:
            more = True
            break
        if at is not None and not _beyond(pager, (entry, 0), at, descending=True):
            continue  # turns that nothing starts explicitly stand between the anchor and where the reading began
        page.append(entry)
        if len(page) == size:
            late = [known for known in reader.pending() if pager.key(known.position) >= pager.key(entry.position)]
    return TurnPage(
        page,
        pager.cursor(page[-1].position, "turns", inclusive=False, seen=pager.end, late=late) if more else None,
        pager.cursor(page[0].position, "turns", inclusive=True) if page else None,
    )


def _oldest_turns(pager: _Pager, at: Cursor | None, size: int, view: ItemsView) -> TurnPage:
    low = at.anchor if at is not None else pager.root()
    wanted = size + (2 if at is not None and not at.inclusive else 1)
    turns = wanted
    while True:
        high = pager.window_end(low, turns)
        reader = reader_before(pager.lineage, high, pager.totals, view)
        found: list[TurnEntry] = []
        for entry in reader:
            if pager.key(entry.position) < pager.key(low):
                break
            found.append(entry)
        if high is None or len(found) >= wanted:
            break
        turns *= 2
    found.reverse()
    if at is not None and not at.inclusive:
        found = [entry for entry in found if pager.key(entry.position) > pager.key(low)]
    page = found[:size]
    return TurnPage(
        page,
        pager.cursor(page[-1].position, "turns", inclusive=False) if len(found) > size else None,
        pager.cursor(page[0].position, "turns", inclusive=True) if page else None,
    )


# --- items -----------------------------------------------------------------------------------------------------------


def item_page(
    lineage: Lineage,
    totals: TotalsSource,
    *,
    cursor: str | None,
    limit: int | None,
    descending: bool,
    turn_id: str | None,
) -> ItemPage:
    """A page of items, of one turn or of all, in the order in which they were first completed.

    Raises:
        InvalidCursor: The cursor is none, belongs elsewhere, or its anchor is not what it was.
        BrokenLineage: An ancestor that is reached is missing or changed.
    """
    pager = _Pager(lineage, totals)
    at = pager.anchored(cursor, "items", turn_id)
    size = bounded(limit)
    late: list[LateRecord] | None = None
    if turn_id is not None:
        rows = _ordered(pager, turn_rows(lineage, turn_id, totals))
    elif descending:
        rows, late = _newest_rows(pager, at, size)
    else:
        rows = _oldest_rows(pager, at, size)
    if descending:
        rows = rows[::-1]
    if at is not None:
        rows = [row for row in rows if _beyond(pager, row, at, descending=descending)]
    page = [row for row, _ in rows[:size]]
    seen = pager.end if descending and turn_id is None else None
    following = None
    if len(rows) > size:
        last, sub = rows[size - 1]
        following = pager.cursor(last.position, "items", inclusive=False, sub=sub, turn=turn_id, seen=seen, late=late)
    backwards = None
    if rows:
        first, sub = rows[0]
        backwards = pager.cursor(first.position, "items", inclusive=True, sub=sub, turn=turn_id)
    return ItemPage(page, following, backwards)


def item_anchor(lineage: Lineage, totals: TotalsSource, turn_id: str, item_id: str) -> str | None:
    """The cursor of what lies beyond one item of a turn, in either order; None where the turn has no such item."""
    pager = _Pager(lineage, totals)
    for row, sub in _ordered(pager, turn_rows(lineage, turn_id, totals)):
        if row.item["id"] == item_id:
            return pager.cursor(row.position, "items", inclusive=False, sub=sub, turn=turn_id)
    return None


Row = tuple[ItemEntry, int]
"""An item, and which of the items that stand at its record it is."""


def _ordered(pager: _Pager, entries: Sequence[ItemEntry]) -> list[Row]:
    """Oldest first; items that stand at one record in the order in which they are shown."""
    rows: list[Row] = []
    for entry in sorted(entries, key=lambda entry: pager.key(entry.position)):
        sub = rows[-1][1] + 1 if rows and rows[-1][0].position == entry.position else 0
        rows.append((entry, sub))
    return rows


def _beyond(pager: _Pager, row: tuple[ItemEntry | TurnEntry, int], at: Cursor, *, descending: bool) -> bool:
    """Whether an item, or a turn, lies beyond the cursor, in the direction that is read."""
    mine, anchor = (*pager.key(row[0].position), row[1]), (*pager.key(at.anchor), at.sub)
    if mine == anchor:
        return at.inclusive
    return mine < anchor if descending else mine > anchor


def _newest_rows(pager: _Pager, at: Cursor | None, size: int) -> tuple[list[Row], list[LateRecord] | None]:
    """The items before the cursor: all of as many turns as a page needs, oldest first; and what is known above them.

    None: that is not all that matters below, since the page ends with a late item among turns that may be taken back.
    """
    if at is None:
        reader = TurnReader(pager.lineage, "full", first_start=pager.first_start, rows=True)
    else:
        reader = pager.below(at, next_start(pager.lineage, at.anchor), "full", rows=True)
    # A page may end within a turn, so late records count also after their turn was given: they belong to its rest, too.
    told = {late.position: late for late in reader.told}
    begun: dict[str, tuple[int, int]] = {}
    ended: dict[str, Position | None] = {}
    rows: list[Row] = []
    for entry in itertools.chain(reader, (None,)):
        low = None
        if entry is not None:
            low = entry.position
            of_turn = [low, *(row.position for row in reader.rows if row.turn_id == entry.id)]
            begun[entry.id] = min(map(pager.key, of_turn))
            ended[entry.id] = entry.end
        told |= {
            late.position: late
            for late in reader.pending()
            if low is None or pager.key(late.position) >= pager.key(low)
        }
        rows = _with_late(pager, reader, low, at.anchor if at is not None else None)
        usable = [row for row in rows if at is None or _beyond(pager, row, at, descending=True)]
        if len(usable) > size:
            last = usable[-size][0]
            if _is_late(pager, last, ended.get(last.turn_id)):
                return rows, None
            floor = pager.key(last.position)
            known = [late for late in told.values() if _goes_below(pager, late, floor, begun)]
            return rows, sorted(known, key=lambda late: pager.key(late.position))
    return rows, []


def _is_late(pager: _Pager, row: ItemEntry, end: Position | None) -> bool:
    """Whether an item of a legacy rollout may stand after its turn: only there do rollbacks take turns away."""
    segment = pager.lineage.segment(row.position.rollout)
    if segment is None or segment.mode != LEGACY:
        return False
    return end is None or pager.key(row.position) >= pager.key(end)


def _goes_below(pager: _Pager, late: LateRecord, floor: tuple[int, int], begun: dict[str, tuple[int, int]]) -> bool:
    """Whether a late record stands on or above a page, and its turn has items below the page's end."""
    began = begun.get(late.turn_id)
    return pager.key(late.position) >= floor and (began is None or began < floor)


def _oldest_rows(pager: _Pager, at: Cursor | None, size: int) -> list[Row]:
    """The items from the cursor on: all of as many turns as a page needs, oldest first."""
    anchor = at.anchor if at is not None else pager.root()
    turns = 4
    while True:
        high = pager.window_end(anchor, turns)
        reader = reader_before(pager.lineage, high, pager.totals, "full", rows=True)
        for entry in reader:
            if pager.key(entry.position) <= pager.key(anchor):
                break
        rows = _with_late(pager, reader, anchor, high)
        if high is not None:
            rows = [row for row in rows if pager.key(row[0].position) < pager.key(high)]
        usable = [row for row in rows if at is None or _beyond(pager, row, at, descending=False)]
        if high is None or len(usable) > size:
            return rows
        turns *= 2


def _with_late(pager: _Pager, reader: TurnReader, low: Position | None, high: Position | None) -> list[Row]:
    """The items that a reader met down to ``low``, with those of older turns that stand among them, up to ``high``."""
    floor, top = (None if place is None else pager.key(place) for place in (low, high))
    known = {_identity(row) for row in reader.rows}
    turns: dict[str, Sequence[ItemEntry]] = {}
    for late in reader.pending():
        key = pager.key(late.position)
        if (floor is None or key >= floor) and (top is None or key <= top):
            turns[late.turn_id] = pager.rows_of(late)
    fresh = [row for rows in turns.values() for row in rows if _identity(row) not in known]
    return _ordered(pager, [row for row in (*reader.rows, *fresh) if floor is None or pager.key(row.position) >= floor])


Identity = tuple[str, str, str]


def _identity(entry: ItemEntry) -> Identity:
    """An item is one in each rollout that completes it."""
    return entry.position.rollout, entry.turn_id, entry.item["id"]


def stray_items(
    lineage: Lineage, totals: TotalsSource, turns: Collection[str], pending: Iterable[LateRecord]
) -> list[ItemEntry]:
    """The items that no turn shows, since damage parted them from their turns: each once in a rollout.

    Args:
        lineage: The thread's lineage.
        totals: As for the pages.
        turns: Ids of all turns that are shown.
        pending: The records that no turn has taken, when all are read; oldest first.
    """
    found: dict[Identity, ItemEntry] = {}
    shown: dict[str, set[Identity] | None] = {}  # None: what is not shown of it is gone
    for late in pending:
        row = _late_item(lineage, late)
        if row is None:
            continue
        if late.turn_id not in shown:
            of_turn = turn_rows(lineage, late.turn_id, totals) if late.turn_id in turns else ()
            gone = began_in_legacy(lineage, late.turn_id)
            shown[late.turn_id] = None if gone else {_identity(of) for of in of_turn}
        of_its_turn = shown[late.turn_id]
        if of_its_turn is not None and _identity(row) not in of_its_turn:
            found.setdefault(_identity(row), row)
    return list(found.values())


def _late_item(lineage: Lineage, late: LateRecord) -> ItemEntry | None:
    """The item of a record whose turn is nowhere; legacy rollouts lose such items (0.169.0 observed)."""
    segment = lineage.segment(late.position.rollout)
    if segment is None or segment.mode == LEGACY:
        return None
    record = record_at(segment, late.position.offset)
    entry = placed(record, segment, "full") if record is not None else None
    return entry.as_item() if entry is not None else None
