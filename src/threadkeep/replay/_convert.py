"""A legacy history as paginated records, by the rules of Codex's own migration (``storage.md`` 5.4; 0.169.0 observed).

What the model sees, settings and usage stay the bytes that they are. Events become ``item_completed`` records; items
and turns that no event gives an id get one that is made of the offset of the record that made them, the ids that a
legacy thread shows here anyway. A turn without lifecycle gets one, at the times of the records that begin and end it.

It differs from Codex's migration in this: ids are made of offsets, not counted. Reasoning that comes in several
events is written once, when all of it is there. After rollbacks the model context is stated (see `restated`), where
Codex's migration may lose some of it. Of sub-agents Codex keeps the model context alone, so that its lists of them are
empty; here their turns are converted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.ids import utc
from threadkeep.records import (
    PAGINATED,
    ItemCompletedHead,
    TaskComplete,
    TaskStarted,
    TurnAborted,
    encode_record,
    is_persisted,
)
from threadkeep.records._items import KNOWN_ITEMS
from threadkeep.replay._before_envelope import as_told
from threadkeep.replay._convert_rollbacks import RollbackPlan
from threadkeep.replay._metadata import parse_utc
from threadkeep.replay._restate import restated
from threadkeep.replay._starts import COMPLETES, starts_turn
from threadkeep.replay.items import reasoning_text, stored_hook_prompt, stored_item, stored_reasoning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from threadkeep.records import Record
    from threadkeep.replay._context import ModelContext
    from threadkeep.replay.items import StoredItem

__all__ = ["LegacyConverter", "RollbackPlan"]

_REASONING: Final = frozenset({"agent_reasoning", "agent_reasoning_raw_content"})

_MOST_TURNS: Final = 4_096
"""How many ended turns are remembered, so that what names one of them is not taken for the start of a new one."""


class _Turn(msgspec.Struct):
    id: str
    explicit: bool
    asked: bool = False
    """Whether a user message stands in it."""


class _Thought(msgspec.Struct):
    """Reasoning that is being gathered, with the turn and the time (ms) of its first event."""

    turn_id: str
    ms: int
    item_id: str
    summary: list[str] = []
    content: list[str] = []


class LegacyConverter:
    """Takes the records of a legacy rollout, oldest first, and gives lines of a paginated one, without ordinals.

    It holds the open turn's reasoning and ids of turns, nothing else. First records of rollouts and damaged lines are
    left out; so are events that neither mode of history keeps.

    Args:
        thread_id: The thread that items are said to be of.
        plan: What rollbacks took back; None for a history without rollback markers.
    """

    def __init__(self, thread_id: str, plan: RollbackPlan | None = None) -> None:
        self._thread_id = thread_id
        self._plan = plan
        self._index = -1
        self._turn: _Turn | None = None
        self._thought: _Thought | None = None
        self._ended: dict[str, None] = {}
        self._stamp = ""
        self._ms = 0
        self._lines: list[bytes] = []

    def feed(self, record: Record) -> Iterator[bytes]:
        """The lines that the next record becomes."""
        self._index += 1
        if self._plan is not None and not self._plan.survives(self._index):
            return
        self._stamp = record.timestamp or self._stamp
        if record.kind == "event_msg":
            self._event(record)
        elif record.kind == "response_item":
            self._response_item(record)
        elif record.kind not in {"", "session_meta", "state"}:
            self._keep(record)
        yield from self._taken()

    def close(self, context: ModelContext | None = None) -> Iterator[bytes]:
        """The lines that end what is open: a turn that nothing else ends.

        Args:
            context: The model context at the end of the history, where records were left out (see `restated`).
        """
        self._end_made_up()
        self._settle()
        yield from self._taken()
        if context is not None:
            yield from restated(context, utc(self._now()))

    def _taken(self) -> list[bytes]:
        lines, self._lines = self._lines, []
        return lines

    # Records

    def _response_item(self, record: Record) -> None:
        if record.subtype not in KNOWN_ITEMS or not is_persisted(record.kind, record.subtype, PAGINATED):
            return  # Codex leaves it out of a legacy context; in a paginated one it would send an empty shell
        self._keep(record)
        for told in as_told(record):
            if told is not record:
                self._event(told)
        payload = record.payload if b"hook_run_id" in record.line else None
        prompt = stored_hook_prompt(payload, f"hook-{record.offset}") if payload is not None else None
        if prompt is not None:
            self._settle()
            self._complete_item(self._current(record).id, prompt)

    def _event(self, record: Record) -> None:
        subtype = record.subtype
        if starts_turn(record):
            self._started(record)
        elif subtype in COMPLETES:
            self._completed(record)
        elif subtype == "turn_aborted":
            self._aborted(record)
        elif subtype in _REASONING:
            self._reasoning(record)
        elif subtype == "item_completed":
            self._settle()
            if record.view(ItemCompletedHead) is not None:
                self._keep(record)
        elif subtype == "thread_rolled_back":
            pass  # what it took back is gone already
        elif is_persisted(record.kind, subtype, PAGINATED):
            self._keep(record)
        else:
            payload = record.payload
            made = stored_item(subtype, payload, f"item-{record.offset}") if payload is not None else None
            if made is not None:
                self._item(record, made)

    def _started(self, record: Record) -> None:
        event = record.view(TaskStarted)
        if event is None:
            return
        self._end_made_up()
        self._settle()
        self._turn = _Turn(event.turn_id, explicit=True)
        self._keep(record)

    def _completed(self, record: Record) -> None:
        event = record.view(TaskComplete)
        if event is None:
            return
        self._settle()
        self._close(event.turn_id)
        self._keep(record)

    def _aborted(self, record: Record) -> None:
        event = record.view(TurnAborted)
        if event is None:
            return
        self._settle()
        turn_id = event.turn_id
        if turn_id is None and self._turn is not None:
            turn_id = self._turn.id
            payload = msgspec.json.decode(record.payload or b"{}", type=dict[str, msgspec.Raw])
            payload["turn_id"] = msgspec.Raw(msgspec.json.encode(turn_id))
            self._write("event_msg", payload)
        else:
            self._keep(record)
        self._close(turn_id)

    def _reasoning(self, record: Record) -> None:
        payload = record.payload
        text = reasoning_text(payload) if payload is not None else None
        if text is None:
            return
        if self._thought is None:
            self._thought = _Thought(self._current(record).id, self._now(), f"item-{record.offset}")
        gathered = self._thought.summary if record.subtype == "agent_reasoning" else self._thought.content
        gathered.append(text)

    def _item(self, record: Record, made: StoredItem) -> None:
        turn = self._turn
        if made.turn_id is not None and turn is not None and turn.id != made.turn_id:
            self._complete_item(made.turn_id, made.item)  # of another turn: this one goes on thinking
            return
        self._settle()
        if record.subtype == "user_message":
            if turn is not None and not turn.explicit and turn.asked:
                self._end_made_up()
            self._current(record).asked = True
        elif made.turn_id is not None and turn is None and made.turn_id not in self._ended:
            self._make_up(made.turn_id)
        turn_id = made.turn_id if made.turn_id is not None else self._current(record).id
        self._complete_item(turn_id, made.item)

    # Turns

    def _current(self, record: Record) -> _Turn:
        return self._turn if self._turn is not None else self._make_up(f"rollout-{record.offset}")

    def _make_up(self, turn_id: str) -> _Turn:
        turn = self._turn = _Turn(turn_id, explicit=False)
        self._write("event_msg", {"type": "task_started", "turn_id": turn_id, "started_at": self._now() // 1000})
        return turn

    def _end_made_up(self) -> None:
        turn = self._turn
        if turn is None or turn.explicit:
            return
        self._settle()
        self._close(turn.id)
        ended = {"type": "task_complete", "turn_id": turn.id, "last_agent_message": None}
        self._write("event_msg", {**ended, "completed_at": self._now() // 1000})

    def _close(self, turn_id: str | None) -> None:
        if self._turn is None or self._turn.id != turn_id:
            return
        self._ended[self._turn.id] = None
        if len(self._ended) > _MOST_TURNS:
            del self._ended[next(iter(self._ended))]
        self._turn = None

    # Lines

    def _now(self) -> int:
        """When the record that is being converted was written, in milliseconds; the last time that makes sense."""
        ms = parse_utc(self._stamp)
        self._ms = ms if ms is not None else self._ms
        return self._ms

    def _settle(self) -> None:
        """Write the reasoning that was gathered: nothing more belongs to it."""
        thought, self._thought = self._thought, None
        if thought is not None:
            item = stored_reasoning(thought.item_id, thought.summary, thought.content)
            self._complete_item(thought.turn_id, item, ms=thought.ms)

    def _complete_item(self, turn_id: str, item: dict[str, Any], *, ms: int | None = None) -> None:
        ms = self._now() if ms is None else ms
        head = {"type": "item_completed", "thread_id": self._thread_id, "turn_id": turn_id}
        self._write("event_msg", {**head, "item": item, "completed_at_ms": ms}, ms=ms)

    def _write(self, kind: str, payload: Any, *, ms: int | None = None) -> None:
        self._lines.append(encode_record(kind, payload, timestamp=utc(self._now() if ms is None else ms)))

    def _keep(self, record: Record) -> None:
        """The record as the bytes that it is; one from before the envelope gets an envelope."""
        if record.bare:
            self._write(record.kind, record.payload)
        elif record.intact:
            self._lines.append(record.line + b"\n")
