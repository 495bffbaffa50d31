"""Turns of legacy rollouts: most of their records name no turn, so a turn is what stands between two boundaries.

Read backwards, records are gathered until a place where the state is known without anything older: a ``task_started``,
or, where a rollout (or its older part) has none, a user message that opens a turn of its own. What was gathered is
then built forwards, by the rules observed on 0.169.0 (``storage.md`` 5.3). What it cannot settle, a rollback that
reaches further back and records of turns that stand further back, is handed on to what is gathered next.

Ids that Codex counts from the beginning of the file (``item-N``, ``rollout-N``) are made of the record's offset here,
so that they do not depend on how much was read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.records import (
    Compacted,
    RolledBack,
    SessionMeta,
    TaskComplete,
    TaskStarted,
    TurnAborted,
    TurnContext,
    present,
)
from threadkeep.replay._legacy_kinds import EXTENDED
from threadkeep.replay._starts import COMPLETES, STARTS
from threadkeep.replay._stated import is_whole
from threadkeep.replay._turn import ItemEntry, ItemsView, Position, TurnEntry
from threadkeep.replay.items import (
    CallBuilder,
    LegacyItem,
    UndecodableError,
    dynamic_tools,
    has_hosted_images,
    hook_prompt,
    legacy_item,
    reasoning_text,
    turn_error,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from threadkeep.records import Record

__all__ = ["LegacyBuilder", "LegacyTurn"]

_IN_SUMMARY: Final = frozenset({"userMessage", "agentMessage"})


class LegacyTurn:
    """A turn while it is built."""

    def __init__(self, turn_id: str, position: Position, *, explicit: bool, named: bool) -> None:
        self.id = turn_id
        self.position = position
        self.explicit = explicit
        self.named = named
        self.compacted = False
        self.shows = False
        self.root: str | None = None
        self.status = "inProgress" if explicit else "completed"
        self.error: dict[str, Any] | None = None
        self.started_at: int | None = None
        self.completed_at: int | None = None
        self.duration_ms: int | None = None
        self.end: Position | None = None
        self.items: list[tuple[Position, dict[str, Any]]] = []
        self.times: dict[str, tuple[int | None, int | None]] = {}
        self.calls: list[Record] = []
        self.cwd: str | None = None

    @property
    def empty(self) -> bool:
        """Whether the turn is dropped when it closes: nothing opened it and nothing stands in it."""
        return not (self.shows or self.explicit or self.compacted)

    def put(self, place: Position, item: dict[str, Any], *, upsert: bool) -> None:
        self.shows = True
        if upsert:
            for index, (at, old) in enumerate(self.items):
                if old["id"] == item["id"]:
                    self.items[index] = (at, item)
                    return
        self.items.append((place, item))

    def note_times(self, item: LegacyItem) -> None:
        if item.started_at_ms is None and not item.completed_at_ms:
            return
        item_id = item.item["id"]
        started, completed = self.times.get(item_id, (None, None))
        self.times[item_id] = (
            item.started_at_ms if started is None else started,
            (item.completed_at_ms or None) if completed is None else completed,
        )


class LegacyBuilder:
    """Builds turns forwards from a place where no turn is open, or where one is about to be opened explicitly.

    Args:
        rollout: Id of the rollout.
        view: How much of each turn's items to show.
        meta: The rollout's first record.
        elsewhere: By ``id()``: where records stand that come from other rollouts.

    Attributes:
        turns: The closed turns, oldest first.
        dropped: How many turns before the first record were rolled back.
        late: Records that name a turn which is not here.
        crossing: Records that name a turn of these which is not the one that was open.
    """

    def __init__(
        self, rollout: str, view: ItemsView, meta: SessionMeta | None, elsewhere: Mapping[int, Position]
    ) -> None:
        self._rollout = rollout
        self._elsewhere = elsewhere
        self._view = view
        self._meta = meta
        self._cwd = meta.cwd if meta is not None else None
        self._open: LegacyTurn | None = None
        self._last: LegacyTurn | None = None
        self.turns: list[LegacyTurn] = []
        self.dropped = 0
        self.late: list[Record] = []
        self.crossing: list[Record] = []

    def feed(self, record: Record) -> None:
        """Take the next newer record."""
        subtype = record.subtype
        if record.kind == "compacted":
            self._compacted(record)
        elif record.kind == "turn_context":
            self._context(record)
        elif record.kind == "response_item":
            self._response_item(record)
        elif subtype in STARTS:
            self._started(record)
        elif subtype in COMPLETES:
            self._complete(record)
        elif subtype == "turn_aborted":
            self._aborted(record)
        elif subtype == "thread_rolled_back":
            self._rolled_back(record)
        elif subtype in {"agent_reasoning", "agent_reasoning_raw_content"}:
            self._reasoning(record)
        elif subtype in EXTENDED:
            self._call(record, None)
        else:
            self._event(record)

    def close(self) -> None:
        """Close the open turn; one that nothing opened and nothing is in is dropped."""
        turn, self._open = self._open, None
        if turn is not None and not turn.empty:
            self.turns.append(turn)
            self._last = turn

    def settle(self, records: Iterable[Record]) -> None:
        """Take records from further on that name a turn; those whose turn is not here either are handed on."""
        for record in records:
            subtype = record.subtype
            if subtype in COMPLETES:
                complete = record.view(TaskComplete)
                turn = self._find(complete.turn_id) if complete is not None else None
                if complete is not None and turn is not None:
                    self._end(turn, complete, record)
                    continue
            elif subtype == "turn_aborted":
                aborted = record.view(TurnAborted)
                turn = self._find(aborted.turn_id) if aborted is not None and aborted.turn_id is not None else None
                if aborted is not None and turn is not None:
                    self._interrupt(turn, aborted, record)
                    continue
            else:
                payload = record.payload
                made = legacy_item(subtype, payload, self._id(record)) if payload is not None else None
                turn = self._find(made.turn_id) if made is not None and made.turn_id else None
                if made is not None and turn is not None:
                    self._place(turn, record, made)
                    continue
            self.late.append(record)

    # One record

    def _started(self, record: Record) -> None:
        event = record.view(TaskStarted)
        if event is None:
            return
        self.close()
        turn = LegacyTurn(event.turn_id, self._at(record), explicit=True, named=True)
        turn.started_at, turn.root = event.started_at, event.root_turn_id
        turn.cwd = self._cwd
        self._open = turn

    def _compacted(self, record: Record) -> None:
        """It shows nothing, but a turn that nothing started is kept for it, if it counts."""
        if self._open is not None and self._open.explicit:
            return
        view = record.view(Compacted)
        if view is not None and is_whole(view):
            self._current(record).compacted = True

    def _complete(self, record: Record) -> None:
        event = record.view(TaskComplete)
        if event is None:
            return
        turn = self._find(event.turn_id)
        if turn is None and self._open is not None and not self._open.explicit:
            turn = self._open
        if turn is not None:
            self._crosses(turn, record)
            self._end(turn, event, record)
        else:
            self.late.append(record)

    def _aborted(self, record: Record) -> None:
        event = record.view(TurnAborted)
        if event is None:
            return
        turn = self._open if event.turn_id is None else self._find(event.turn_id)
        if turn is None and self._open is not None and not self._open.named:
            turn = self._open
        if turn is not None:
            self._crosses(turn, record)
            self._interrupt(turn, event, record)
        elif event.turn_id is not None:
            self.late.append(record)

    def _end(self, turn: LegacyTurn, event: TaskComplete, record: Record) -> None:
        try:
            error = turn_error(event.error)
        except UndecodableError:
            return
        if error is not None:
            turn.status, turn.error = "failed", error
        elif turn.status == "inProgress":
            turn.status = "completed"
        self._times(turn, event, record)

    def _interrupt(self, turn: LegacyTurn, event: TurnAborted, record: Record) -> None:
        try:
            error = turn_error(event.error)
        except UndecodableError:
            return
        turn.status = "interrupted"
        turn.error = error if error is not None else turn.error
        self._times(turn, event, record)

    def _times(self, turn: LegacyTurn, event: TaskComplete | TurnAborted, record: Record) -> None:
        turn.completed_at, turn.duration_ms = event.completed_at, event.duration_ms
        if turn is self._open:
            turn.end = Position(self._rollout, record.end)
            self.close()

    def _rolled_back(self, record: Record) -> None:
        event = record.view(RolledBack)
        if event is None or not 0 <= event.num_turns < 2**32:
            return
        self.close()
        here = min(event.num_turns, len(self.turns))
        if here:
            del self.turns[-here:]
        self.dropped += event.num_turns - here
        self._last = None

    def _reasoning(self, record: Record) -> None:
        payload = record.payload
        text = reasoning_text(payload) if payload is not None else None
        if text is None:
            return
        member, other = ("summary", "content") if record.subtype == "agent_reasoning" else ("content", "summary")
        turn = self._current(record)
        if not text:
            return
        if turn.items and turn.items[-1][1]["type"] == "reasoning":
            turn.items[-1][1][member].append(text)
            return
        turn.shows = True
        item = {"type": "reasoning", "id": self._id(record), member: [text], other: []}
        turn.items.append((self._at(record), {key: item[key] for key in ("type", "id", "summary", "content")}))

    def _event(self, record: Record) -> None:
        payload = record.payload
        made = legacy_item(record.subtype, payload, self._id(record)) if payload is not None else None
        if made is None:
            return
        if record.subtype == "user_message":
            turn = self._open
            if turn is not None and not turn.explicit and not (turn.compacted and not turn.shows):
                self.close()
            self._place(self._current(record), record, made)
            return
        if made.turn_id is None:
            self._place(self._current(record), record, made)
            return
        found = self._find(made.turn_id)
        if found is None and made.opens:
            self.close()
            found = self._open = LegacyTurn(made.turn_id, self._at(record), explicit=False, named=True)
        if found is None:
            self.late.append(record)
        else:
            self._crosses(found, record)
            self._place(found, record, made)

    def _place(self, turn: LegacyTurn, record: Record, made: LegacyItem) -> None:
        turn.note_times(made)
        if made.shows and (self._view == "full" or made.item["type"] in _IN_SUMMARY):
            turn.put(self._at(record), made.item, upsert=made.upsert)
        turn.shows = turn.shows or made.shows
        if record.subtype == "web_search_end" and self._view == "full":
            turn.calls.append(record)  # the call that it shows stands again as a response item, which has no id

    def _response_item(self, record: Record) -> None:
        payload = record.payload
        if payload is None:
            return
        if record.subtype == "message":
            made = hook_prompt(payload, self._id(record)) if b"hook_run_id" in record.line else None
            if made is not None:
                self._current(record).put(self._at(record), made.item, upsert=False)
                return
        if self._view == "full":
            self._call(record, payload)

    def _call(self, record: Record, payload: msgspec.Raw | None) -> None:
        """Give a call, or its output, to the turn that it belongs to: the one it names, the open one, or the last."""
        turn_id = _passthrough_turn(payload) if payload is not None else None
        turn = (self._find(turn_id) if turn_id else None) or self._open or self._last
        if turn is not None:
            turn.calls.append(record)

    def _context(self, record: Record) -> None:
        event = record.view(TurnContext)
        if event is not None and event.cwd:
            self._cwd = event.cwd
            if self._open is not None:
                self._open.cwd = event.cwd

    # Helpers

    def _at(self, record: Record) -> Position:
        return self._elsewhere.get(id(record)) or Position(self._rollout, record.offset)

    @staticmethod
    def _id(record: Record) -> str:
        return f"item-{record.offset}"

    def _crosses(self, turn: LegacyTurn, record: Record) -> None:
        if turn is not self._open:
            self.crossing.append(record)

    def _current(self, record: Record) -> LegacyTurn:
        if self._open is None:
            self._open = LegacyTurn(f"rollout-{record.offset}", self._at(record), explicit=False, named=False)
            self._open.cwd = self._cwd
        return self._open

    def _find(self, turn_id: str | None) -> LegacyTurn | None:
        if self._open is not None and self._open.id == turn_id:
            return self._open
        return next((turn for turn in self.turns if turn.id == turn_id), None)

    # Results

    def entry(self, turn: LegacyTurn) -> TurnEntry:
        """A closed turn in the app-server's shape."""
        items = [item for _, item in self._placed_items(turn)]
        if self._view == "summary":
            users = [item for item in items if item["type"] == "userMessage"]
            agents = [item for item in items if item["type"] == "agentMessage"]
            items = users[:1] + agents[-1:]
        elif self._view == "messages":
            items = [item for item in items if item["type"] in _IN_SUMMARY]
        elif self._view == "notLoaded":
            items = []
        return TurnEntry(
            turn.position,
            turn.end,
            {
                "id": turn.id,
                "rootTurnId": turn.root,
                "items": items,
                "itemsView": self._view,
                "status": "interrupted" if turn.status == "inProgress" else turn.status,
                "error": turn.error,
                "startedAt": turn.started_at,
                "completedAt": turn.completed_at,
                "durationMs": turn.duration_ms,
            },
        )

    def rows(self, turn: LegacyTurn) -> list[ItemEntry]:
        """The items of a closed turn with their places."""
        return [ItemEntry(place, turn.id, item) for place, item in self._placed_items(turn)]

    def _placed_items(self, turn: LegacyTurn) -> list[tuple[Position, dict[str, Any]]]:
        unknown: tuple[int | None, int | None] = (None, None)
        placed: list[tuple[Position, dict[str, Any]]] = []
        for place, item in turn.items:
            started, completed = turn.times.get(item["id"], unknown)
            placed.append((place, {**item, "startedAtMs": started, "completedAtMs": completed}))
        if self._view != "full" or not turn.calls:
            return placed
        meta = self._meta
        calls = CallBuilder(
            thread_id=meta.id if meta is not None else "",
            cwd=turn.cwd,
            dynamic_tools=dynamic_tools(meta.dynamic_tools) if meta is not None and present(meta.dynamic_tools) else (),
            hosted_images=has_hosted_images(meta.cli_version if meta is not None else None),
        )
        for record in turn.calls:
            payload = record.payload
            if payload is None:
                continue
            if record.kind == "response_item":
                calls.response_item(record.offset, record.subtype, payload)
            else:
                calls.event(record.offset, record.subtype, payload)
        rebuilt = calls.finish(shown_ids={item["id"] for _, item in placed}, running=False)
        placed += [(Position(self._rollout, offset), item) for offset, item in rebuilt]
        # Stable: what events show comes first where a rebuilt call has the same place; what a child added comes last.
        return sorted(placed, key=lambda entry: (entry[0].rollout != self._rollout, entry[0].offset))


class _Passthrough(msgspec.Struct):
    turn_id: str | None = None


class _WithPassthrough(msgspec.Struct):
    internal_chat_message_metadata_passthrough: _Passthrough | None = None


_decode_passthrough: Final = msgspec.json.Decoder(_WithPassthrough).decode


def _passthrough_turn(payload: msgspec.Raw) -> str | None:
    if b"passthrough" not in bytes(payload):
        return None
    try:
        passthrough = _decode_passthrough(payload).internal_chat_message_metadata_passthrough
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return passthrough.turn_id if passthrough is not None else None
