"""Finding one turn by its id, without reading what lies between it and the end.

A turn's id is a UUIDv7, made when the turn starts, and records carry their write time; so the place of a turn's first
record can be found by halving. What is found is checked by reading it; where times do not help (copied histories are
stamped anew, ids need not be UUIDs) the id itself is searched for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from threadkeep.ids import timestamp_ms, utc
from threadkeep.records import LEGACY, TaskStarted, lines_backward, lines_forward, record_of, records_of
from threadkeep.replay._at import named_turn, record_at
from threadkeep.replay._before_envelope import as_told
from threadkeep.replay._copied import own_from
from threadkeep.replay._legacy_kinds import is_kept
from threadkeep.replay._paginated import placed
from threadkeep.replay._reader import TurnReader
from threadkeep.replay._starts import STARTS, starts_own_turn, starts_turn
from threadkeep.replay._turn import ItemEntry, ItemsView, LateRecord, Position, TurnEntry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from threadkeep.lineage import Lineage, Segment
    from threadkeep.records import Record
    from threadkeep.replay._totals import TotalsSource

__all__ = ["began_in_legacy", "find_turn", "next_start", "next_turn", "reader_before", "turn_rows"]

_NEAR: Final = 256 * 1024
"""Halving stops at a stretch of this many bytes, which is then read."""

_FAR: Final = 4 * 1024 * 1024
"""How far a stretch is read on before the times are not trusted any more."""

_SLACK_MS: Final = 5_000
"""A turn's first record is written within moments of its id."""

_MADE_UP: Final = "rollout-"


def find_turn(lineage: Lineage, turn_id: str, totals: TotalsSource, view: ItemsView = "notLoaded") -> TurnEntry | None:
    """The turn of this id as the thread shows it; None where it shows none (it may have been rolled back).

    Raises:
        BrokenLineage: An ancestor that is reached is missing or changed.
    """
    entry, _ = _found(lineage, turn_id, totals, view, rows=False)
    return entry


def turn_rows(lineage: Lineage, turn_id: str, totals: TotalsSource) -> Sequence[ItemEntry]:
    """The items of one turn with their places, oldest first; empty for a turn that is not shown."""
    _, rows = _found(lineage, turn_id, totals, "full", rows=True)
    return rows


def began_in_legacy(lineage: Lineage, turn_id: str) -> bool:
    """Whether a turn began in a legacy root, which loses what it does not show of it (as of a turn rolled back)."""
    root = lineage.oldest_first()[0]
    start = _start_of(lineage, turn_id) if root.mode == LEGACY else None
    return start is not None and start.rollout == root.rollout_id


def _found(
    lineage: Lineage, turn_id: str, totals: TotalsSource, view: ItemsView, *, rows: bool
) -> tuple[TurnEntry | None, Sequence[ItemEntry]]:
    start = _start_of(lineage, turn_id)
    high = next_start(lineage, start) if start is not None else None
    reader = reader_before(lineage, high, totals, view, rows=rows)
    for entry in reader:
        if entry.id == turn_id:
            return entry, [row for row in reader.rows if row.turn_id == turn_id]
        if start is not None and _key(lineage, entry.position) < _key(lineage, start):
            break
    return None, ()


def _key(lineage: Lineage, position: Position) -> tuple[int, int]:
    return lineage.order(position.rollout, position.offset)


def _start_of(lineage: Lineage, turn_id: str) -> Position | None:
    """Where the turn's first record stands; None where no record starts it explicitly."""
    for segment in lineage.newest_first():
        offset = _made_up(segment, turn_id)
        if offset is None:
            offset = _by_time(segment, turn_id)
        if offset is None:
            offset = _by_bytes(segment, turn_id)
        if offset is not None:
            return Position(segment.rollout_id, offset)
    return None


def _made_up(segment: Segment, turn_id: str) -> int | None:
    """The place that an id which was made of a place names."""
    offset = turn_id.removeprefix(_MADE_UP)
    if segment.mode != LEGACY or offset == turn_id or not offset.isdecimal() or len(offset) > 18:
        return None
    return int(offset) if record_at(segment, int(offset)) is not None else None


def _by_time(segment: Segment, turn_id: str) -> int | None:
    ms = timestamp_ms(turn_id)
    if ms is None:
        return None
    first, last = utc(max(0, ms - _SLACK_MS)), utc(ms + 60_000)
    low, high = own_from(segment), segment.end  # low: always the beginning of a record
    while high - low > _NEAR:
        middle = (low + high) // 2
        record = _next_stamped(segment, middle, high)
        if record is None or record.timestamp >= first:
            high = middle
        else:
            low = record.offset
    wanted = turn_id.encode("utf-8", "replace")  # what is no text names no turn
    for record in records_of(lines_forward(segment.source, low, segment.end)):
        beyond = record.offset > high
        if record.offset > high + _FAR or (beyond and record.timestamp > last):
            return None
        if wanted in record.line and _starts(record, segment, turn_id):
            return record.offset
    return None


def _next_stamped(segment: Segment, offset: int, high: int) -> Record | None:
    """The first whole record after ``offset`` that has a write time."""
    lines = lines_forward(segment.source, offset, high)
    next(lines, None)  # most likely the rest of a record that begins before
    return next((record for record in records_of(lines) if record.timestamp), None)


def _by_bytes(segment: Segment, turn_id: str) -> int | None:
    wanted = turn_id.encode("utf-8", "replace")  # what is no text names no turn
    for offset, line in lines_backward(segment.source, segment.end, own_from(segment)):
        if line is not None and wanted in line and _starts(record_of(offset, line), segment, turn_id):
            return offset
    return None


def _starts(record: Record, segment: Segment, turn_id: str) -> bool:
    event = record.view(TaskStarted) if starts_own_turn(record, segment) else None
    return event is not None and event.turn_id == turn_id


def next_start(lineage: Lineage, position: Position) -> Position | None:
    """Where the first other turn after the one at ``position`` starts; None: nowhere before the end.

    A second start of the turn that the record there names, or of the one that was started or ended last before it, is
    none of another.
    """
    named: str | None = None
    last: str | None = None
    for segment in _from(lineage, position):
        low = own_from(segment)
        if segment.rollout_id == position.rollout:
            record = record_at(segment, position.offset)
            low = record.end if record is not None else position.offset
            named = named_turn(record) if record is not None else None
        for record in records_of(lines_forward(segment.source, min(low, segment.end), segment.end)):
            turn_id = _bounded(record, segment)
            if turn_id is None:
                continue
            if record.subtype in STARTS and turn_id not in (named, last or _bounded_last(lineage, position)):
                return Position(segment.rollout_id, record.offset)
            last = turn_id
    return None


def _bounded(record: Record, segment: Segment) -> str | None:
    """The turn that a record starts or ends."""
    entry = placed(record, segment, "notLoaded") if record.kind == "event_msg" else None
    return entry.event.turn_id if entry is not None else None


def _bounded_last(lineage: Lineage, position: Position) -> str | None:
    """The turn that was started or ended last before a place of a rollout, or at it."""
    segment = lineage.segment(position.rollout)
    record = record_at(segment, position.offset) if segment is not None else None
    if segment is None or record is None:
        return None
    lines = records_of(lines_backward(segment.source, record.end, own_from(segment)))
    return next((turn for before in lines if (turn := _bounded(before, segment)) is not None), None)


def next_turn(lineage: Lineage, entry: TurnEntry) -> Position | None:
    """Where the next turn begins after one that nothing ends; None: nowhere before the end."""
    segment = lineage.segment(entry.position.rollout)
    first = record_at(segment, entry.position.offset) if segment is not None else None
    if segment is not None and segment.mode == LEGACY and first is not None and not starts_turn(first):
        from threadkeep.replay._legacy import LegacyBuilder

        builder = LegacyBuilder(segment.rollout_id, "notLoaded", segment.head.meta, {})
        for record in records_of(lines_forward(segment.source, first.offset, segment.end)):
            for told in as_told(record):
                if is_kept(told, "notLoaded"):
                    builder.feed(told)
            if builder.turns:  # this record closed it: a message of a turn of its own, as a rule
                return Position(segment.rollout_id, record.offset)
    return next_start(lineage, entry.position)


def _from(lineage: Lineage, position: Position) -> list[Segment]:
    """The segments from that of a position to the current one, oldest first."""
    found: list[Segment] = []
    for segment in lineage.newest_first():
        found.insert(0, segment)
        if segment.rollout_id == position.rollout:
            break
    return found


def reader_before(
    lineage: Lineage, high: Position | None, totals: TotalsSource, view: ItemsView, *, rows: bool = False
) -> TurnReader:
    """A reader of the turns before ``high``, told by the totals of what stands after it and still matters to them.

    That is: late records of turns before ``high``, and, in a legacy rollout, rollbacks that reach back beyond it.
    """

    def first_start(segment: Segment) -> int | None:
        return totals.of(segment).first_start

    if high is None:
        return TurnReader(lineage, view, first_start=first_start, rows=rows)
    start: Position | None = high
    late: list[LateRecord] = []
    for segment in _from(lineage, high):
        found = totals.of(segment)
        here = segment.rollout_id == high.rollout
        if found.late is None or found.rollbacks is None:
            start, late = None, []  # too many to be kept: read it all
            break
        late += [
            entry
            for entry in found.late
            if entry.position.offset < segment.end and (not here or entry.position.offset >= high.offset)
        ]
        if here and segment.mode == LEGACY:
            start = _after_rollbacks(lineage, segment, high, found.rollbacks, totals)
    return TurnReader(lineage, view, start=start, below=high, late=late, first_start=first_start, rows=rows)


def _after_rollbacks(
    lineage: Lineage, segment: Segment, high: Position, markers: Sequence[int], totals: TotalsSource
) -> Position:
    """Where to begin reading so that rollbacks above ``high`` take away what they take away below it.

    Each marker is followed back until its count is used up: it costs what it took back. One whose count reaches below
    ``high`` is where the reading must begin.
    """
    bound = segment.end
    for marker in reversed(markers):
        if marker < high.offset or marker >= bound:
            continue
        record = record_at(segment, marker)
        after = Position(segment.rollout_id, record.end if record is not None else bound)
        reader = TurnReader(lineage, "notLoaded", start=after, first_start=lambda of: totals.of(of).first_start)
        newest = next(iter(reader), None)
        if newest is None or _key(lineage, newest.position) < _key(lineage, high):
            return after
        bound = newest.position.offset
    return high
