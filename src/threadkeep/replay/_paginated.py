"""Turns of paginated rollouts, read backwards: records are grouped by the turn that they name, newest turn first.

A turn's group is complete when a record that starts or ends another turn shows that nothing older belongs to it. What
a group says is then computed forwards, by the rules that were observed on 0.169.0 for one rollout's rows and for rows
of one turn in several rollouts (``storage.md`` 5.1 and 4.4):

* The first start or end makes the row. Each further one overwrites it, nulls included, until the first end.
* An item stands where it was completed first, with the first times that are known, and shows what was completed last.
* In a lineage the newest rollout's row counts wholly; the items come from all.

Rollback markers do nothing here: only legacy turn lists know them (``storage.md`` 3.4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from threadkeep.records import ItemCompleted, Record, TaskComplete, TaskStarted, TurnAborted
from threadkeep.replay._copied import is_copied
from threadkeep.replay._starts import COMPLETES, ENDS, STARTS
from threadkeep.replay._turn import ItemEntry, ItemsView, LateRecord, Position, TurnEntry
from threadkeep.replay.items import UndecodableError, item_type, thread_item, turn_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from threadkeep.lineage import Segment

__all__ = ["Group", "Grouping", "Placed", "build_turn", "placed", "speaks_of_turns"]

T = TypeVar("T")

_MOST_OPEN: Final = 64
"""Most turns that wait for their starts: in a thread that lost every start, no newest-first page reads it all."""

_SAID: Final = frozenset({"UserMessage", "AgentMessage"})


class Placed(msgspec.Struct):
    """A record of a turn, with the segment that it stands in and what of it was decoded."""

    depth: int
    rollout: str
    record: Record
    event: TaskStarted | TaskComplete | TurnAborted | ItemCompleted

    @property
    def position(self) -> Position:
        """Where the record stands."""
        return Position(self.rollout, self.record.offset)

    def as_item(self) -> ItemEntry | None:
        """The item that the record alone shows; None where it shows none."""
        if not isinstance(self.event, ItemCompleted):
            return None
        item = thread_item(self.event.item, self.event.started_at_ms, self.event.completed_at_ms)
        return ItemEntry(self.position, self.event.turn_id, item) if item is not None else None


def placed(record: Record, segment: Segment, view: ItemsView) -> Placed | None:
    """The record as one of a turn's, or None: it says nothing of turns, does not count, or the view leaves it out."""
    subtype = record.subtype
    event: TaskStarted | TaskComplete | TurnAborted | ItemCompleted | None
    if subtype == "item_completed":
        if view == "notLoaded" or (view != "full" and item_type(record.line) not in _SAID):
            return None
        event = record.view(ItemCompleted)
    elif subtype in STARTS:
        event = record.view(TaskStarted)
    elif subtype in COMPLETES:
        event = record.view(TaskComplete)
    elif subtype == "turn_aborted":
        event = record.view(TurnAborted)
        if event is not None and event.turn_id is None:
            return None
    else:
        return None
    if event is None or is_copied(record, segment):
        return None
    return Placed(segment.depth, segment.rollout_id, record, event)


def speaks_of_turns(kind: str, subtype: str, view: ItemsView) -> bool:
    """Whether records of a type and payload type can be of a turn in this view."""
    return kind == "event_msg" and (
        subtype in STARTS or subtype in ENDS or (subtype == "item_completed" and view != "notLoaded")
    )


class Group:
    """The records of one turn as far as they were found, newest first.

    Attributes:
        passed: Starts of other turns that were met since its oldest start or end.
    """

    __slots__ = ("passed", "records", "started", "turn_id")

    def __init__(self, turn_id: str, records: list[Placed]) -> None:
        self.turn_id = turn_id
        self.records = records
        self.started = any(isinstance(entry.event, TaskStarted) for entry in records)
        self.passed = 0

    @property
    def first(self) -> tuple[int, int]:
        """Where its oldest start or end stands, as a key that sorts from old to new."""
        return min(
            (-entry.depth, entry.record.offset) for entry in self.records if not isinstance(entry.event, ItemCompleted)
        )

    def add(self, entry: Placed) -> None:
        """Take the next older start or end."""
        self.records.append(entry)
        self.started = self.started or isinstance(entry.event, TaskStarted)
        self.passed = 0


class Grouping(Generic[T]):
    """Groups records by turn while they come in, newest first.

    A turn is open from its newest start or end on. Once its start was met, any start or end of another turn closes it.
    Until then it waits past the start of one other turn: its end may have come late, after that turn had begun, and a
    review has no start and runs another turn. Past a second one, its start is lost, and its oldest end stands for it.

    Args:
        make: What to make of a turn's records when they are complete.

    Attributes:
        late: Records of turns that were not reached yet, by turn id, newest first.
    """

    def __init__(self, make: Callable[[Group], T]) -> None:
        self._make = make
        self._open: list[Group] = []  # at most one whose start was met, besides those that wait for theirs
        self._complete: list[Group] = []  # to be given
        self.late: dict[str, list[Placed]] = {}

    def feed(self, entry: Placed) -> Iterable[T]:
        """Take the next older record; the turns that are complete with it, newest first."""
        event = entry.event
        turn_id = event.turn_id
        assert turn_id is not None, "records without a turn's id are left out before"
        group = next((group for group in self._open if group.turn_id == turn_id), None)
        if isinstance(event, ItemCompleted):
            # In the middle of another turn: its own turn is further back.
            (group.records if group is not None else self.late.setdefault(turn_id, [])).append(entry)
            return ()
        if group is None:
            group = Group(turn_id, self.late.pop(turn_id, []))
            self._open.append(group)
        return self._closed(self._passed_by(group, entry))

    def _passed_by(self, met: Group, entry: Placed) -> list[Group]:
        """The open turns that a turn's start or end closes when it is added to that turn."""
        begins = isinstance(entry.event, TaskStarted) and not met.started
        met.add(entry)
        others = [group for group in self._open if group is not met]
        for group in others:
            group.passed += begins
        closed = [group for group in others if group.started or group.passed > 1]
        return closed or others[: max(0, len(others) - _MOST_OPEN)]

    def _closed(self, groups: Iterable[Group]) -> Iterator[T]:
        """Close open turns, and give what is newer than every open one: turns are given newest first."""
        for group in groups:
            self._open.remove(group)
            self._complete.append(group)
        return self._given()

    def _given(self) -> Iterator[T]:
        """Make one turn after the other: `pending` has the records of those that are still to come."""
        self._complete.sort(key=lambda group: group.first, reverse=True)
        while self._complete and all(group.first < self._complete[0].first for group in self._open):
            yield self._make(self._complete.pop(0))

    def close(self) -> Iterator[T]:
        """The open turns, when nothing older can belong to them, newest first."""
        return self._closed(list(self._open))

    def take_back(self, entries: Iterable[Placed]) -> Iterator[T]:
        """Take records whose turns are not further back, oldest first; the turns of which there is only an end.

        Items of a turn of which neither start nor end was found stay among the late records: no turn shows them.
        """
        self.preload(entries)
        ended = [
            turn_id
            for turn_id, records in self.late.items()
            if any(not isinstance(entry.event, ItemCompleted) for entry in records)
        ]
        self._complete += [Group(turn_id, self.late.pop(turn_id)) for turn_id in ended]
        return self._given()

    def preload(self, entries: Iterable[Placed]) -> None:
        """Tell of late records that stand above the place where the reading starts, oldest first."""
        for entry in entries:
            assert entry.event.turn_id is not None
            self.late.setdefault(entry.event.turn_id, []).insert(0, entry)

    def pending(self) -> list[LateRecord]:
        """The records that no complete turn has taken, to be told to a later reader; oldest first.

        Those of the open turns are among them: late ones may stand far above their starts.
        """
        found = [entry for records in self.late.values() for entry in records]
        found += [entry for group in (*self._open, *self._complete) for entry in group.records]
        found.sort(key=lambda entry: (-entry.depth, entry.record.offset))
        return [LateRecord(entry.event.turn_id or "", entry.position) for entry in found]

    def unreached(self) -> list[LateRecord]:
        """`pending` of a scan that ends here, in the middle: of open turns, those whose start was not met."""
        self._open = [group for group in self._open if not group.started]
        self._complete.clear()
        return self.pending()

    def take_unstarted(self, turn_id: str | None) -> list[Placed]:
        """Take out the records of the open turn of this id whose start was not met; empty where none is open."""
        found = [group for group in self._open if not group.started and group.turn_id == turn_id]
        self._open = [group for group in self._open if group not in found]
        return [entry for group in found for entry in group.records]

    @property
    def awaits_start(self) -> bool:
        """Whether a turn is open whose start was not met."""
        return any(not group.started for group in self._open)


class _Row:
    """A turn's row in one rollout (``storage.md`` 5.1)."""

    def __init__(self, position: Position) -> None:
        self.position = position
        self.end: Position | None = None
        self.root: str | None = None
        self.status = "inProgress"
        self.error: dict[str, Any] | None = None
        self.started_at: int | None = None
        self.completed_at: int | None = None
        self.duration_ms: int | None = None
        self.first: str | None = None
        self.final: str | None = None

    @property
    def open(self) -> bool:
        return self.status == "inProgress"


class _Item:
    """An item's row in one rollout."""

    __slots__ = ("completed", "item", "position", "started")

    def __init__(self, position: Position) -> None:
        self.position = position
        self.item: dict[str, Any] = {}
        self.started: int | None = None
        self.completed: int | None = None

    def complete(self, item: dict[str, Any], started: int | None, completed: int | None) -> None:
        self.started = started if self.started is None else self.started
        self.completed = (completed or None) if self.completed is None else self.completed
        self.item = {**item, "startedAtMs": self.started, "completedAtMs": self.completed}


class _Rollout:
    """What one rollout of a lineage says of one turn: computed forwards."""

    def __init__(self) -> None:
        self.row: _Row | None = None
        self.items: dict[str, _Item] = {}

    def feed(self, entry: Placed) -> None:
        event = entry.event
        if isinstance(event, ItemCompleted):
            self._item(entry, event)
            return
        try:
            error = turn_error(event.error) if not isinstance(event, TaskStarted) else None
        except UndecodableError:
            return
        if self.row is None:
            self.row = _Row(entry.position)
        row = self.row
        if not row.open:
            return
        if row.root is None:
            row.root = event.root_turn_id
        row.started_at = event.started_at
        if isinstance(event, TaskStarted):
            row.error, row.completed_at, row.duration_ms = None, None, None
        else:
            row.status = "interrupted" if isinstance(event, TurnAborted) else "completed" if error is None else "failed"
            row.error = error
            row.completed_at, row.duration_ms = event.completed_at, event.duration_ms
            row.end = Position(entry.rollout, entry.record.end)
        self._note_messages(row)

    def _item(self, entry: Placed, event: ItemCompleted) -> None:
        item = thread_item(event.item, event.started_at_ms, event.completed_at_ms)
        if item is None:
            return
        item_id = item["id"]
        self.items.setdefault(item_id, _Item(entry.position)).complete(item, event.started_at_ms, event.completed_at_ms)
        row = self.row
        if row is not None and row.open:
            if item["type"] == "userMessage" and row.first is None:
                row.first = item_id
            elif item["type"] == "agentMessage" and item["phase"] == "final_answer":
                row.final = item_id

    def _note_messages(self, row: _Row) -> None:
        """At a start or an end: the first user message, and the final answer as far as it is known."""
        shown = [entry.item for entry in self.items.values()]
        if row.first is None:
            row.first = next((item["id"] for item in shown if item["type"] == "userMessage"), None)
        said = [item for item in shown if item["type"] == "agentMessage"]
        answers = [item["id"] for item in said if item["phase"] == "final_answer"]
        plain = [item["id"] for item in said if item["phase"] is None]
        if answers:
            row.final = answers[-1]
        elif not row.open and plain:
            row.final = plain[-1]

    def summary(self, row: _Row) -> list[dict[str, Any]]:
        """The first user message and the final answer, in the order in which they stand."""
        wanted = [item_id for item_id in (row.first, row.final) if item_id in self.items]
        shown = [self.items[item_id] for item_id in dict.fromkeys(wanted)]
        order = {item_id: number for number, item_id in enumerate(self.items)}
        return [entry.item for entry in sorted(shown, key=lambda entry: order[entry.item["id"]])]


def build_turn(group: Group, view: ItemsView, *, rows_too: bool = False) -> tuple[TurnEntry, list[ItemEntry]]:
    """The turn that a complete group makes, and its items with their places, oldest first, where they are wanted."""
    rollouts: dict[int, _Rollout] = {}
    for entry in sorted(group.records, key=lambda entry: (-entry.depth, entry.record.offset)):
        rollouts.setdefault(entry.depth, _Rollout()).feed(entry)
    rows = [(depth, rollout) for depth, rollout in sorted(rollouts.items()) if rollout.row is not None]
    newest, oldest = (rows[0][1].row, rows[-1][1].row) if rows else (None, None)
    if newest is None or oldest is None:  # every start and end was undecodable
        newest = oldest = _Row(min(group.records, key=lambda entry: (-entry.depth, entry.record.offset)).position)
    items: list[dict[str, Any]] = []
    if view in ("full", "messages"):
        for _, rollout in sorted(rollouts.items(), reverse=True):
            items += [entry.item for entry in rollout.items.values()]
    elif view == "summary" and rows:
        shown, row = rows[0][1], newest
        if row.status == "interrupted" and row.first is None and row.final is None:
            # A fork in mid-turn has nothing but the interruption: the oldest row tells what was said.
            shown = rows[-1][1]
            row = shown.row or row
        items = shown.summary(row)
    rows_of_items: list[ItemEntry] = []
    if rows_too:
        for _, rollout in sorted(rollouts.items(), reverse=True):
            rows_of_items += [ItemEntry(item.position, group.turn_id, item.item) for item in rollout.items.values()]
    made = TurnEntry(
        oldest.position,  # a fork cut the turn off: it begins where the source began it
        newest.end,
        {
            "id": group.turn_id,
            "rootTurnId": newest.root,
            "items": items,
            "itemsView": view,
            "status": "interrupted" if newest.open else newest.status,
            "error": newest.error,
            "startedAt": newest.started_at,
            "completedAt": newest.completed_at,
            "durationMs": newest.duration_ms,
        },
    )
    return made, rows_of_items
