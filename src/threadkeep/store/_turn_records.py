"""The records that a turn consists of, in the order and form that Codex gives them (``storage.md`` 2.1).

Nothing is written here: `TurnWriter`, and whoever else records a turn, appends what this makes.
"""

from __future__ import annotations

from collections.abc import Sequence  # msgspec evaluates the fields
from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.records import PAGINATED
from threadkeep.records import _build as build
from threadkeep.store._writer import NewRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from threadkeep.store._user_input import UserInput
    from threadkeep.store._writer import Writer

__all__ = ["Checkpoint", "Made", "TurnRecords", "interrupt_marker"]

Json = dict[str, Any]

_MARKER: Final = "<turn_aborted>\nThe turn was interrupted before it ended.\n</turn_aborted>"
"""Tells the model that a turn was cut off. Codex knows it by the tags (``storage.md`` 3.5); the words are ours."""


class Made(msgspec.Struct):
    """Records that show an item, and the item.

    Attributes:
        records: What is to be appended.
        item: The turn item, as an ``item_completed`` has it; None where nothing is shown.
        payload: The response item that the model sees; None where it sees none.
        started_ms: When the item began (Unix time, milliseconds).
        completed_ms: When it was complete.
    """

    records: list[NewRecord]
    item: Json | None = None
    payload: Any = None
    started_ms: int = 0
    completed_ms: int = 0


class Checkpoint(msgspec.Struct):
    """A compacted context.

    Attributes:
        summary: What the compaction says of what came before.
        replacement: Response items (values or `msgspec.Raw`) that stand for everything before.
        window_number: Number of the context window that begins.
        window_ids: Ids (UUIDv7) of the first window, the previous one and this one.
        response_id: The provider's id of the response that made it.
        usage_record: The newest ``token_usage_record``.
        dynamic_tools: The client's tools, for a reader that goes no further back.
        world_state: What Codex has told the model of its surroundings, where that stays in ``replacement``; None: it is
            told anew.
    """

    summary: str
    replacement: Sequence[Any]
    window_number: int
    window_ids: tuple[str, str, str]
    response_id: str | None = None
    usage_record: Any = None
    dynamic_tools: Sequence[Any] = ()
    world_state: Any = None


class TurnRecords:
    """Makes the records of one turn, in the thread's history mode.

    Args:
        writer: The thread's writer: it gives mode, clock and ids.
        context: Makes the payload of the turn's ``turn_context`` of the turn's id.
        applied: The settings of a ``thread_settings_applied``; None: they are not stated.
        window: Tokens that the model takes; None where it is not known.

    Attributes:
        id: The turn.
        started_ms: When it began.
    """

    def __init__(
        self,
        writer: Writer,
        *,
        context: Callable[[str], Json],
        applied: Mapping[str, Any] | None,
        window: int | None = None,
    ) -> None:
        self.id = writer.new_id()
        self.started_ms = writer.now_ms()
        self._writer = writer
        self._context = context(self.id)
        self._applied = applied
        self._window = window

    @property
    def started_at(self) -> int:
        """When it began, in Unix seconds."""
        return self.started_ms // 1000

    # Its beginning and its end

    def start(self) -> NewRecord:
        """The turn begins, now."""
        self.started_ms = self._writer.now_ms()
        return NewRecord(
            "event_msg", build.task_started(self.id, started_at=self.started_at, model_context_window=self._window)
        )

    def context(self) -> NewRecord:
        """What the turn runs with."""
        return NewRecord("turn_context", self._context)

    def applied(self) -> list[NewRecord]:
        """The thread's settings, stated: a reader that stops here finds them."""
        if self._applied is None:
            return []
        return [NewRecord("event_msg", build.thread_settings_applied(self._writer.thread_id, self._applied))]

    def completed(self, *, last: str | None, error: Json | None) -> NewRecord:
        """The turn ended, now, with what the agent said last; with an error it failed."""
        return NewRecord(
            "event_msg", build.task_complete(self.id, last_agent_message=last, error=error, **self._times())
        )

    def aborted(self, *, replaced: bool = False) -> list[NewRecord]:
        """The turn was interrupted, now; a marker tells the model, unless another turn took its place."""
        reason = "replaced" if replaced else "interrupted"
        end = NewRecord("event_msg", build.turn_aborted(self.id, reason=reason, **self._times()))
        return [end] if replaced else [self.marker(), end]

    def marker(self) -> NewRecord:
        """What tells the model of an interruption."""
        return NewRecord("response_item", interrupt_marker(self._writer.new_id(), self.id))

    def _times(self) -> dict[str, int]:
        now = self._writer.now_ms()
        return {
            "started_at": self.started_at,
            "completed_at": now // 1000,
            "duration_ms": max(0, now - self.started_ms),
        }

    # What happens in it

    def said(self, given: UserInput) -> Made:
        """What the user said."""
        payload = given.message(f"msg_{self._writer.new_id()}", self.id)
        made = self.shown(given.item(self._writer.new_id()), [given.event()], payload=payload)
        # The model's side comes first here, unlike that of every other item (0.169.0 observed).
        made.records = [made.records[-1], *made.records[:-1]]
        return made

    def shown(
        self,
        item: Json | None,
        events: Sequence[Json] = (),
        *,
        payload: Any = None,
        metadata: Any = None,
        started_ms: int | None = None,
    ) -> Made:
        """An item that is complete now.

        Args:
            item: The turn item, which a paginated rollout keeps; None for nothing to show.
            events: The events that a legacy rollout keeps instead.
            payload: The response item that the model sees.
            metadata: Harness metadata of it.
            started_ms: When the item began; by default now.
        """
        now = self._writer.now_ms()
        started = now if started_ms is None else started_ms
        records: list[NewRecord] = []
        if self._writer.mode != PAGINATED:
            records += [NewRecord("event_msg", event) for event in events]
        elif item is not None:
            thread = self._writer.thread_id
            event = build.item_completed(
                item, thread_id=thread, turn_id=self.id, started_at_ms=started, completed_at_ms=now
            )
            records.append(NewRecord("event_msg", event))
        if payload is not None:
            records.append(NewRecord("response_item", payload, metadata))
        return Made(records, item, payload, started, now)

    def count(self, *, total: Mapping[str, int] | None, last: Mapping[str, int] | None) -> NewRecord:
        """The token usage; None where none is known."""
        if total is None or last is None:
            return NewRecord("event_msg", build.no_token_count())
        return NewRecord("event_msg", build.token_count(total, last, model_context_window=self._window))

    def checkpoint(self, given: Checkpoint) -> list[NewRecord]:
        """From here on the model context begins with what stands for everything before.

        What the context was set up with is stated again after it, so that nothing older is needed.
        """
        first, previous, current = given.window_ids
        payload = build.compacted(
            given.summary,
            given.replacement,
            window_number=given.window_number,
            first_window_id=first,
            previous_window_id=previous,
            window_id=current,
            response_id=given.response_id,
            usage_record=given.usage_record,
            resume_metadata={
                **self._tools(given.dynamic_tools),
                "last_started_turn_id": self.id,
                "previous_turn_settings": {
                    "model": self._context["model"],
                    "comp_hash": self._context.get("comp_hash"),
                    "realtime_active": self._context.get("realtime_active", False),
                },
            },
        )
        world = [NewRecord("world_state", {"full": True, "state": given.world_state})] if given.world_state else []
        return [NewRecord("compacted", payload), *world, self.context(), *self.applied()]

    def _tools(self, tools: Sequence[Any]) -> Json:
        return {"dynamic_tools": {"thread_id": self._writer.thread_id, "tools": list(tools)}} if tools else {}

    def compaction_shown(self, started_ms: int | None = None, item_id: str | None = None) -> Made:
        """That the context was compacted, as a person sees it."""
        item = build.context_compaction_item(item_id or self._writer.new_id())
        return self.shown(item, [{"type": "context_compacted"}], started_ms=started_ms)


def interrupt_marker(item_id: str, turn_id: str | None) -> Json:
    """The response item that tells the model of an interruption."""
    passthrough: Json = {"turn_id": turn_id} if turn_id is not None else {}
    passthrough["content_item_kinds"] = ["generic.turn_aborted"]
    return {
        "type": "message",
        "id": f"msg_{item_id}",
        "role": "user",
        "content": [build.input_text(_MARKER)],
        "internal_chat_message_metadata_passthrough": passthrough,
    }
