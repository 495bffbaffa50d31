"""What happens in a running turn: each thing is kept first, and then told.

The methods block: they are called from a worker thread, one at a time, but for those that keep nothing.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.appserver._items import beginning, failure, wire_error
from threadkeep.appserver._recording import Recording
from threadkeep.appserver._telling import Telling, turn_json
from threadkeep.appserver.engine import is_known
from threadkeep.errors import ThreadkeepError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from threadkeep.appserver._loaded import LoadedThread
    from threadkeep.appserver._tool_calls import Answer
    from threadkeep.appserver.engine import Compacted, Retrying, ToolCall, Usage
    from threadkeep.store._user_input import UserInput

__all__ = ["Happening"]

Json = dict[str, Any]

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


class Happening:
    """Keeps and tells what happens in one turn.

    Attributes:
        recording: What is kept.
        telling: What is told.
        last_message: The newest message of the agent, as it was told.
    """

    def __init__(self, thread: LoadedThread) -> None:
        self.recording = Recording(thread)
        self.telling = Telling(thread, self.recording.turn_id)
        self.last_message: Json | None = None
        self._thread = thread
        self._open: dict[str, int] = {}
        self._asking: list[tuple[ToolCall, int]] = []
        self._compaction: tuple[str, int] | None = None

    @property
    def compacting(self) -> bool:
        """Whether the context is being compacted."""
        return self._compaction is not None

    @property
    def busy(self) -> bool:
        """Whether what the user says has to wait: an item or a call is open, or the context is being compacted."""
        return bool(self._open or self.recording.open_calls or self.compacting)

    # Items

    def begin_item(self, item: Json) -> None:
        """The model begins an item; keeps nothing."""
        if not isinstance(item.get("id"), str) or item["id"] in self._open:
            return
        begun = beginning(item)
        if begun is not None:
            started = self._open[item["id"]] = self._now()
            self.telling.begun(begun, started)

    def retry(self, event: Retrying) -> None:
        """A model call is tried again: what it began comes once more; keeps nothing."""
        self._open.clear()
        self.telling.error(wire_error(failure(event.message, event.info), event.details), will_retry=True)

    def item(self, raw: msgspec.Raw) -> None:
        """An item is whole."""
        item_id = _decode(raw).get("id")
        started = self._open.pop(item_id, None) if isinstance(item_id, str) else None
        if not is_known(raw):
            return  # nobody could read it
        made = self.recording.item(raw, started)
        if made.item is not None and started is None:
            # Nobody said that it began: its beginning is told with its end.
            begun = beginning({**_decode(raw), "id": made.item["id"]})
            if begun is not None:
                self.telling.begun(begun, made.started_ms)
        done = self.telling.done(made)
        if done is not None and done["type"] == "agentMessage":
            self.last_message = done
        self.count_if_due()

    def hear(self, given: list[UserInput], *, in_a_call: bool) -> list[msgspec.Raw]:
        """The user said something meanwhile; the response items that it is for the model. Empties ``given``."""
        if in_a_call:
            self.count()
        items = []
        while given:
            made = self.recording.hear(given[0])
            del given[0]
            items.append(self.recording.history[-1])
            self.telling.said(made)
        return items

    # Tools

    def begin_call(self, call: ToolCall) -> None:
        """A client's tool is about to be called; keeps nothing."""
        started = self._now()
        self._asking.append((call, started))
        begun = {
            "type": "DynamicToolCall",
            "id": call.call_id,
            "namespace": call.namespace,
            "tool": call.tool,
            "arguments": call.arguments,
            "status": "in_progress",
        }
        self.telling.begun(begun, started)

    def end_call(self, call: ToolCall, answer: Answer) -> None:
        """A client ran a tool, or did not."""
        asked = next(asked for asked in self._asking if asked[0] is call)  # two calls may have the same id
        self._asking.remove(asked)
        started = asked[1]
        self.telling.done(self.recording.tool_called(call, answer.content, started, success=answer.success))

    # Tokens and compaction

    def usage(self, event: Usage) -> None:
        """A model call ended."""
        self.recording.used(event)
        self.count_if_due()

    def count_if_due(self) -> None:
        """Count the tokens of a model call whose calls all have their outputs."""
        if self.recording.count_is_due:
            self.count()

    def count(self) -> None:
        """Count the tokens of the thread as they stand."""
        self.recording.count()
        self.telling.counted(self.recording.usage)

    def begin_compaction(self) -> None:
        """The context is about to be compacted."""
        self._compaction = (self._thread.writer.new_id(), self._now())
        item_id, started = self._compaction
        self.telling.begun({"type": "ContextCompaction", "id": item_id}, started)
        self.count()

    def checkpoint(self, event: Compacted, late: Sequence[msgspec.Raw]) -> None:
        """The context was compacted; ``late`` are response items that the engine has not had yet."""
        if self._compaction is None:
            self.begin_compaction()
        assert self._compaction is not None
        item_id, started = self._compaction
        self._compaction = None
        self.recording.compacted(event, late)
        self.count()
        self.telling.done(self.recording.compaction_shown(item_id, started))

    # The end

    def end(self, error: Json | None, heard: list[UserInput], *, interrupted: bool, replaced: bool) -> Json:
        """The turn ended; the turn as it is to be told.

        Args:
            error: Why it failed, as a rollout has it; None where it did not.
            heard: What the user said that no model call had: the next turn has it.
            interrupted: Whether it was interrupted.
            replaced: Whether another turn takes its place.
        """
        recording = self.recording
        for made in recording.tools_cancelled(self._asking):
            self.telling.done(made)
        recording.outputs_of_open_calls()
        with contextlib.suppress(ThreadkeepError):  # the end is kept, whatever becomes of it
            self.hear(heard, in_a_call=False)
        if interrupted:
            self.count()
            return self.ended(recording.aborted(replaced=replaced), None, interrupted=True)
        return self.ended(recording.completed(error), error)

    def ended(self, end: Json, error: Json | None, *, interrupted: bool = False) -> Json:
        """A turn whose end is this record."""
        times = {
            "startedAt": end.get("started_at"),
            "completedAt": end.get("completed_at"),
            "durationMs": end.get("duration_ms"),
        }
        turn_id = self.recording.turn_id
        if error is not None:
            return turn_json(turn_id, "failed", error=wire_error(error), **times)
        if interrupted:
            return turn_json(turn_id, "interrupted", **times)
        if self.last_message is None:
            return turn_json(turn_id, "completed", **times)
        return turn_json(turn_id, "completed", items=[self.last_message], itemsView="summary", **times)

    def _now(self) -> int:
        return self._thread.writer.now_ms()
