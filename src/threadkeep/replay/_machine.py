"""The model context, computed from records that come in newest first (``storage.md`` 3.2 to 3.5).

One state machine serves both ways: it is fed backwards until nothing older can matter, or over everything, and the
results are the same. What a turn says is settled when its ``task_started`` comes; turns that a rollback takes away are
passed over; the newest compaction ends the feeding where it alone bounds what is needed, and otherwise the checkpoint
of the newest turn that survives, once the settings that go with the context are in as well. The history itself is then
built forwards from the checkpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from threadkeep.records import (
    PAGINATED,
    AgentMessage,
    Compacted,
    CompactionTrigger,
    Message,
    Record,
    ResumeMetadata,
    RolledBack,
    TaskComplete,
    TaskStarted,
    TurnAborted,
    TurnContext,
    WorldState,
    item_of,
)
from threadkeep.replay._context import ContextItem, ModelContext, Window
from threadkeep.replay._history import Entry, Kept, build_history, communication_item
from threadkeep.replay._latest import Latest
from threadkeep.replay._span import Reference, Span, SpanCompaction, SpanContext, SpanEnd, SpanWorld, compatible
from threadkeep.replay._spoken import is_boundary
from threadkeep.replay._starts import COMPLETES, STARTS
from threadkeep.replay._stated import (
    is_delivery,
    is_whole,
    turn_settings,
)
from threadkeep.replay._turn import Position
from threadkeep.replay._whole_meta import WholeMeta
from threadkeep.replay._windows import Windows, window_of
from threadkeep.replay._worlds import Worlds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from threadkeep.lineage import Segment

__all__ = ["ContextMachine"]

_NEVER: Final = "system"


class ContextMachine:
    """Computes a `ModelContext` from records fed newest first, over the segments of a lineage.

    Records that `context_needs` says no of need not be fed.

    Args:
        bounded: Stop as soon as older records cannot matter. False feeds it everything: the results are the same.

    Attributes:
        latest: The newest settings and usage; what the feeding did not reach can be given to it afterwards.
        windows: What is known of the context window.
        done: Whether nothing older matters, but for `latest`.
        waiting: Whether all is known but the window, which only an older compaction with a number can still say:
            `resolve` goes on.
        seen: Records that were taken.
        decoded: Records that were looked into.
    """

    def __init__(self, *, bounded: bool = True) -> None:
        self._bounded = bounded
        self._span = Span()
        self._kept: list[Entry | Kept] = []  # newest first
        self._collecting = True
        self._pending = 0
        self._pause = False
        self._asked = False
        self._saw_compaction = False
        self._last_started: str | None = None
        self._rollout = ""
        self._checkpoint: SpanCompaction | None = None
        self._resume: ResumeMetadata | None = None
        self._previous: dict[str, Any] | None = None
        self._reference: Reference = "never"
        self._worlds = Worlds()
        self.windows = Windows()
        self.latest = Latest()
        self.done = False
        self.waiting = False
        self.seen = 0
        self.decoded = 0

    # Feeding

    def enter(self, segment: Segment) -> None:
        """The next older segment begins; the first one is the current rollout."""
        self.windows.enter(segment)
        self._rollout = segment.rollout_id

    def feed(self, records: Iterator[Record], segment: Segment) -> None:
        """Take the next older records of a segment, until it is `done` or `waiting`, or they end.

        What stands before a second ``session_meta`` of a paginated rollout is hidden by it: there they end, too.
        """
        handlers = {
            "compacted": self._compacted,
            "event_msg": self._event,
            "turn_context": self._turn_context,
            "world_state": self._world_state,
            "response_item": self._response_item,
            "inter_agent_communication": self._communication,
            "session_meta": self._session_meta,
        }
        seen = decoded = 0
        self._pause = False
        for record in records:
            seen += 1
            kind = record.kind
            if self.done and kind != "session_meta":
                self.latest.take(record)  # nothing else of what is older can matter
                continue
            handler = handlers.get(kind)
            if handler is not None:
                decoded += 1
                handler(record, segment)
                if self._pause:
                    break
        self.seen += seen
        self.decoded += decoded

    def resolve(self, *, numbered: bool) -> None:
        """Say what was waited for: whether a compaction of the lineage states the number of its window."""
        self.waiting = False
        self.done = self.done or not numbered

    def _settle(self) -> None:
        """Stop where nothing older can matter but, perhaps, the window: that of an older compaction, or a count."""
        if not (
            self._bounded
            and self._checkpoint is not None
            and self._previous is not None
            and self._reference != "never"
            and self._worlds.closed
            and self._last_started is not None
            and self.latest.settings is not None
        ):
            return
        if self.windows.known:
            self.done = self._pause = True
        elif not self._asked:
            self._asked = self.waiting = self._pause = True

    # One record

    def _compacted(self, record: Record, segment: Segment) -> None:
        view = record.view(Compacted)
        if view is None or not is_whole(view):
            return
        window = self.windows.met(view)
        compaction = SpanCompaction(view, record, segment.rollout_id, len(self._kept))
        newest, self._saw_compaction = not self._saw_compaction, True
        if newest and view.replacement_history is not None and window is not None:
            resume = view.resume_metadata
            if segment.mode == PAGINATED or resume is not None:
                self._input_checkpoint(compaction, resume, window)
                return
        self._span.events.append(compaction)
        if view.replacement_history is None:
            self._keep(Kept("compaction", record, segment.rollout_id, message=view.message))

    def _input_checkpoint(self, compaction: SpanCompaction, resume: ResumeMetadata | None, window: Window) -> None:
        """The newest compaction bounds everything: nothing older matters."""
        self._resume = resume
        if self._last_started is None and resume is not None:
            self._last_started = resume.last_started_turn_id
        self._span.resolve_ends(resume.last_started_turn_id if resume is not None else None)
        self._finalise(closed=False)
        if self._previous is None and resume is not None and resume.previous_turn_settings is not None:
            self._previous = turn_settings(resume.previous_turn_settings)
        self._choose(compaction)
        self.windows.take(window)
        self._worlds.close()
        if self._reference == "never":
            self._reference = "cleared"
        self.done = True
        self._pause = self._bounded

    def _event(self, record: Record, segment: Segment) -> None:
        subtype = record.subtype
        if subtype in STARTS:
            self._started(record)
        elif subtype in COMPLETES:
            complete = record.view(TaskComplete)
            if complete is not None:
                self._span.events.append(SpanEnd(complete.turn_id, complete=True))
        elif subtype == "turn_aborted":
            aborted = record.view(TurnAborted)
            if aborted is not None:
                self._span.events.append(SpanEnd(aborted.turn_id, complete=False))
        elif subtype == "thread_rolled_back":
            rolled = record.view(RolledBack)
            if rolled is not None and 0 <= rolled.num_turns < 2**32:
                self._pending += rolled.num_turns
                self._keep(Kept("rollback", record, segment.rollout_id, count=rolled.num_turns))
        elif subtype == "user_message":
            if record.intact:
                self._span.user_turn = True
        else:
            self.latest.take(record)

    def _started(self, record: Record) -> None:
        event = record.view(TaskStarted)
        if event is None:
            return
        if self._last_started is None:
            self._last_started = event.turn_id
        self._span.resolve_ends(event.turn_id)
        if compatible(self._span.turn_id, event.turn_id):
            self._finalise(closed=True)
            self._settle()

    def _turn_context(self, record: Record, _segment: Segment) -> None:
        view = record.view(TurnContext)
        if view is None or not view.counts:
            return
        self._span.events.append(SpanContext(view.turn_id, record, view))
        if self.latest.settings is None:
            self.latest.settings = record.payload
            self._settle()

    def _world_state(self, record: Record, _segment: Segment) -> None:
        view = record.view(WorldState)
        if view is not None and bytes(view.state)[:1] == b"{":
            self._span.events.append(SpanWorld(view.full, record))

    def _response_item(self, record: Record, _segment: Segment) -> None:
        span = self._span
        if not self._collecting and span.user_turn:
            return
        found = item_of(record)
        if found is None:
            return
        payload, harness, item, metadata = found
        if metadata is not None and metadata.delivered_assistant_message and is_delivery(item, metadata):
            return
        said: Message | AgentMessage | None = None
        # Most items are none of these, and to say so `isinstance` would call a metaclass three times a record.
        if type(item) is Message:
            said = item
            if not span.user_turn and is_boundary(item):
                span.user_turn = True
            if item.role == _NEVER:
                return
        elif type(item) is AgentMessage:
            said = item
            span.user_turn = True
        elif type(item) is CompactionTrigger:
            return
        if self._collecting:
            self._kept.append((ContextItem(payload, Position(self._rollout, record.offset), harness), said))

    def _communication(self, record: Record, segment: Segment) -> None:
        item = communication_item(record)
        if item is not None:
            self._span.user_turn = True
            self._keep(Kept("communication", record, segment.rollout_id))

    def _session_meta(self, record: Record, segment: Segment) -> None:
        """A later ``session_meta``: in a legacy rollout it may name the first window."""
        if segment.mode == PAGINATED:
            self._pause = record.view(WholeMeta) is not None  # it hides what is older (storage.md 3.2, step 3)
        elif not self.done:
            self.windows.update(record)

    def _keep(self, kept: Kept) -> None:
        if self._collecting:
            self._kept.append(kept)

    # One turn

    def _finalise(self, *, closed: bool) -> None:
        """The turn's records are all in: take what it says, or pass it over when it was rolled back."""
        span, self._span = self._span, Span()
        if span.empty and self._pending == 0:
            return
        if self._pending > 0:
            self._pending -= span.user_turn
            return
        if self._previous is None or self._reference == "never":
            self._take_settings(span, closed=closed)
        for event in span.events:
            if isinstance(event, SpanCompaction):
                self._take_compaction(event)
            elif isinstance(event, SpanWorld):
                self._worlds.take(event)

    def _take_settings(self, span: Span, *, closed: bool) -> None:
        """What the newest turns with a user's message say of settings."""
        turn_id = span.turn_id
        contexts = span.contexts(turn_id)
        reference = span.reference(contexts)
        baseline = span.user_turn or span.has_full_world()
        goes_on = self._resume is not None and not closed and not span.is_completed(turn_id)
        if self._previous is None and baseline and contexts and not goes_on:
            self._previous = turn_settings(contexts[-1].view)
        if self._reference == "never" and (baseline or reference == "cleared"):
            self._reference = reference

    def _take_compaction(self, compaction: SpanCompaction) -> None:
        self._worlds.close()
        self.windows.take(window_of(compaction.view))
        if self._checkpoint is None and compaction.view.replacement_history is not None:
            self._choose(compaction)

    def _choose(self, compaction: SpanCompaction) -> None:
        self._checkpoint = compaction
        del self._kept[compaction.newer :]
        self._collecting = False

    # The result

    def finish(self, *, root: bool, compactions: int | None = None) -> ModelContext:
        """The context.

        Args:
            root: Whether everything was fed, down to the root of the lineage.
            compactions: How many compactions the whole lineage holds, for a window that is only counted.
        """
        if root and not self.done:
            self._span.resolve_ends(None)
            self._finalise(closed=False)
            self.done = True
        items, saw_summary = build_history(self._checkpoint, self._kept)
        reference = self._reference if isinstance(self._reference, Record) and not saw_summary else None
        return ModelContext(
            items,
            Position(self._checkpoint.rollout, self._checkpoint.record.offset) if self._checkpoint else None,
            self.windows.newest(None if root else compactions),
            self._last_started,
            self._previous,
            reference.payload if reference is not None else None,
            self._worlds.state(),
            self.latest.settings,
            self.latest.usage,
        )
