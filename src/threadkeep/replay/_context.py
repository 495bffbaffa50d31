"""The model context, computed from records that come in newest first (``storage.md`` 3.2 to 3.5).

One state machine serves both ways: it is fed backwards until nothing older can matter, or over everything, and the
results are the same. What a turn says is settled when its ``task_started`` comes; turns that a rollback takes away are
passed over; the newest compaction ends the feeding where it alone bounds what is needed, and otherwise the checkpoint
of the newest turn that survives, once the settings that go with the context are in as well. The history itself is then
built forwards from the checkpoint.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from threadkeep.ids import canonical
from threadkeep.records import (
    LEGACY,
    PAGINATED,
    AgentMessage,
    Compacted,
    CompactionTrigger,
    HarnessMetadata,
    InputImage,
    InputText,
    InterAgentCommunication,
    Message,
    OutputText,
    PreviousSettings,
    Record,
    ResponseItem,
    ResumeMetadata,
    RolledBack,
    TaskComplete,
    TaskStarted,
    TokenCount,
    TurnAborted,
    TurnContext,
    WorldState,
    harness_metadata,
    response_item,
)
from threadkeep.replay._legacy import starts_turn
from threadkeep.replay._spoken import (
    announces_model,
    is_boundary,
    is_contextual,
    is_contextual_developer,
    is_summary,
    summary_text,
)
from threadkeep.replay._turn import Position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from threadkeep.lineage import Segment

__all__ = ["ContextItem", "ContextMachine", "ModelContext", "Window"]

_SUMMARY_TOKENS: Final = 20_000
"""Tokens of user messages that a compaction without replacement history keeps; a token is taken as four bytes."""

_COMPLETES: Final = frozenset({"task_complete", "turn_complete"})
_NEVER: Final = "system"


class ContextItem(msgspec.Struct):
    """One response item of the context.

    Attributes:
        payload: The item as the bytes that it is.
        metadata: The harness metadata beside it; empty where there is none. Never sent to a model.
        position: The record that it comes from: its own, or the checkpoint's.
        checkpointed: Whether it comes from the checkpoint's replacement history.
    """

    payload: msgspec.Raw
    metadata: msgspec.Raw
    position: Position
    checkpointed: bool = False


class Window(msgspec.Struct, frozen=True):
    """Where in the count of context windows a thread is; every compaction begins the next one.

    Attributes:
        number: 0 before the first compaction; None while it would take the whole history to count it.
        first_id: Id of the thread's first window.
        previous_id: Id of the window before.
        id: Id of the window.
    """

    number: int | None
    first_id: str | None = None
    previous_id: str | None = None
    id: str | None = None


class ModelContext(msgspec.Struct):
    """What the next model call starts with.

    Attributes:
        items: Response items, oldest first.
        checkpoint: The checkpoint that the items begin with; None where they begin with the thread.
        window: The context window.
        last_started_turn: Id of the newest turn started, as far as the replay reaches.
        previous_turn_settings: Model and so on of the last turn of a person; None where nothing says.
        reference_context: The ``turn_context`` that the next turn is compared with; None: it states everything anew.
        world_state: What the next ``world_state`` is a patch of; None: it is written in full.
        settings: The newest ``turn_context`` or ``thread_settings_applied``, whole records' payloads, newest first.
        usage: ``info`` of the newest ``token_count`` that has one; None where none was met.
    """

    items: list[ContextItem]
    checkpoint: Position | None
    window: Window
    last_started_turn: str | None
    previous_turn_settings: dict[str, Any] | None
    reference_context: msgspec.Raw | None
    world_state: Any | None
    settings: msgspec.Raw | None
    usage: msgspec.Raw | None


class _TokenInfo(msgspec.Struct):
    info: msgspec.Raw


class _Kept(msgspec.Struct, gc=False):
    """A record that the history is built from, decoded as far as that needs."""

    kind: Literal["item", "communication", "rollback", "compaction"]
    record: Record
    rollout: str
    item: ResponseItem | None = None
    parts: tuple[msgspec.Raw, msgspec.Raw] | None = None
    count: int = 0
    message: str = ""


class _Context(msgspec.Struct):
    turn_id: str | None
    record: Record
    view: TurnContext


class _World(msgspec.Struct):
    full: bool
    record: Record


class _Compaction(msgspec.Struct):
    """A compaction in a turn that survives or not."""

    view: Compacted
    record: Record
    rollout: str
    newer: int  # how many of the kept records are newer than it


class _End(msgspec.Struct):
    turn_id: str | None
    complete: bool
    counts: bool | None = None  # whether it ends the turn that was started last before it; None: not known yet


class _Span:
    """The records of one turn, while they come in newest first."""

    __slots__ = ("completed", "events", "user_turn")

    def __init__(self) -> None:
        self.events: list[_Context | _World | _Compaction | _End] = []
        self.user_turn = False
        self.completed = False

    @property
    def empty(self) -> bool:
        return not (self.events or self.user_turn)

    def resolve_ends(self, started: str | None) -> None:
        """The turn started before the newest records is known: an end counts if it is that turn's."""
        for event in self.events:
            if isinstance(event, _End) and event.counts is None:
                event.counts = event.turn_id is None or started is None or event.turn_id == started

    @property
    def turn_id(self) -> str | None:
        """The newest id that an end which counts, or a context, names."""
        for event in self.events:
            if event_id := _named(event):
                return event_id
        return None

    def contexts(self, turn_id: str | None) -> list[_Context]:
        """Its contexts, newest first, but for those of another turn."""
        return [event for event in self.events if isinstance(event, _Context) and _compatible(turn_id, event.turn_id)]

    def is_completed(self, turn_id: str | None) -> bool:
        """Whether a ``task_complete`` ended it."""
        return any(
            isinstance(event, _End) and event.complete and (event.counts or event.turn_id == turn_id)
            for event in self.events
        )


def _named(event: _Context | _World | _Compaction | _End) -> str | None:
    if isinstance(event, _Context) or (isinstance(event, _End) and event.counts):
        return event.turn_id
    return None


def _compatible(one: str | None, other: str | None) -> bool:
    return one is None or other is None or one == other


class ContextMachine:
    """Computes a `ModelContext` from records fed newest first, over the segments of a lineage.

    Args:
        bounded: Stop as soon as older records cannot matter. False feeds it everything: the results are the same.

    Attributes:
        decoded: Records that were looked into.
    """

    def __init__(self, *, bounded: bool = True) -> None:
        self._bounded = bounded
        self._span = _Span()
        self._kept: list[_Kept] = []  # newest first
        self._collecting = True
        self._pending = 0
        self._done = False
        self._saw_compaction = False
        self._compactions = 0
        self._unnumbered = 0
        self._last_started: str | None = None
        self._checkpoint: _Compaction | None = None
        self._resume: ResumeMetadata | None = None
        self._previous: dict[str, Any] | None = None
        self._reference: Record | Literal["never", "cleared"] = "never"
        self._worlds: list[_World | None] = []  # newest first; None: a compaction voids what is older
        self._worlds_closed = False
        self._window: Window | None = None
        self._first_window: str | None = None
        self._meta_window: str | None = None
        self._settings: msgspec.Raw | None = None
        self._usage: msgspec.Raw | None = None
        self._modes: set[str] = set()
        self.decoded = 0
        self._handlers = {
            "compacted": self._compacted,
            "event_msg": self._event,
            "turn_context": self._turn_context,
            "world_state": self._world_state,
            "response_item": self._response_item,
            "inter_agent_communication": self._communication,
            "session_meta": self._session_meta,
        }

    # Feeding

    def feed(self, record: Record, segment: Segment) -> bool:
        """Take the next older record; whether nothing older matters any more."""
        if self._done:
            self._late(record)
            return True
        handler = self._handlers.get(record.kind)
        if handler is not None:
            self.decoded += 1
            handler(record, segment)
        return self._done

    def enter(self, segment: Segment) -> None:
        """The next older segment begins; the first one is the current rollout."""
        meta = segment.head.meta
        if not self._modes and meta is not None and meta.context_window is not None:
            self._first_window = _uuid7(meta.context_window.window_id)
        self._modes.add(segment.mode)

    @property
    def settled(self) -> bool:
        """Whether everything is known but, perhaps, the window: that of an older compaction, or a count of them all."""
        return self._done or (
            self._checkpoint is not None
            and self._previous is not None
            and self._reference != "never"
            and self._worlds_closed
            and self._last_started is not None
            and self._settings is not None
        )

    @property
    def needs_usage(self) -> bool:
        """Whether no usage was met."""
        return self._usage is None

    @property
    def needs_settings(self) -> bool:
        """Whether no settings were met."""
        return self._settings is None

    @property
    def needs_count(self) -> bool:
        """Whether the window has no number but the count of all compactions, older ones included."""
        return self._window is None and self._unnumbered > 0

    def supply(self, *, usage: Record | None = None, settings: Record | None = None) -> None:
        """Take the newest usage or settings from records that the feeding did not reach."""
        if usage is not None and self._usage is None:
            self._usage = _usage(usage)
        if settings is not None and self._settings is None:
            self._settings = _settings(settings)

    # One record

    def _late(self, record: Record) -> None:
        """What is older than what bounds the replay: only the newest usage and settings can still be missing."""
        if record.kind == "turn_context":
            self.supply(settings=record)
        elif record.subtype == "token_count":
            self.supply(usage=record)
        elif record.subtype == "thread_settings_applied":
            self.supply(settings=record)

    def _compacted(self, record: Record, segment: Segment) -> None:
        view = record.view(Compacted)
        if view is None or not _is_whole(view):
            return
        self._compactions += 1
        window = _window_of(view)
        if window is None:
            self._unnumbered += 1
        compaction = _Compaction(view, record, segment.rollout_id, len(self._kept))
        newest, self._saw_compaction = not self._saw_compaction, True
        if newest and view.replacement_history is not None and window is not None:
            resume = view.resume_metadata
            if segment.mode == PAGINATED or resume is not None:
                self._input_checkpoint(compaction, resume, window)
                return
        self._span.events.append(compaction)
        if view.replacement_history is None:
            self._keep("compaction", record, segment, message=view.message)

    def _input_checkpoint(self, compaction: _Compaction, resume: ResumeMetadata | None, window: Window) -> None:
        """The newest compaction bounds everything: nothing older matters."""
        self._resume = resume
        if self._last_started is None and resume is not None:
            self._last_started = resume.last_started_turn_id
        self._span.resolve_ends(resume.last_started_turn_id if resume is not None else None)
        self._finalise(closed=False)
        if self._previous is None and resume is not None and resume.previous_turn_settings is not None:
            self._previous = _settings_dict(resume.previous_turn_settings)
        self._choose(compaction)
        self._window = window
        self._worlds.append(None)
        self._worlds_closed = True
        if self._reference == "never":
            self._reference = "cleared"
        self._done = True

    def _event(self, record: Record, segment: Segment) -> None:
        subtype = record.subtype
        if subtype == "item_completed":
            return
        if starts_turn(record):
            self._started(record)
        elif subtype in _COMPLETES:
            complete = record.view(TaskComplete)
            if complete is not None:
                self._span.events.append(_End(complete.turn_id, complete=True))
        elif subtype == "turn_aborted":
            aborted = record.view(TurnAborted)
            if aborted is not None:
                self._span.events.append(_End(aborted.turn_id, complete=False))
        elif subtype == "thread_rolled_back":
            rolled = record.view(RolledBack)
            if rolled is not None and 0 <= rolled.num_turns < 2**32:
                self._pending += rolled.num_turns
                self._keep("rollback", record, segment, count=rolled.num_turns)
        elif subtype == "user_message":
            if record.intact:
                self._span.user_turn = True
        elif subtype == "token_count":
            if self._usage is None:
                self._usage = _usage(record)
        elif subtype == "thread_settings_applied" and self._settings is None:
            self._settings = _settings(record)

    def _started(self, record: Record) -> None:
        event = record.view(TaskStarted)
        if event is None:
            return
        if self._last_started is None:
            self._last_started = event.turn_id
        self._span.resolve_ends(event.turn_id)
        if _compatible(self._span.turn_id, event.turn_id):
            self._finalise(closed=True)
            if self._bounded and self.settled and self._window is not None:
                self._done = True

    def _turn_context(self, record: Record, _segment: Segment) -> None:
        view = record.view(TurnContext)
        if view is None or not view.counts:
            return
        self._span.events.append(_Context(view.turn_id, record, view))
        if self._settings is None:
            self._settings = record.payload

    def _world_state(self, record: Record, _segment: Segment) -> None:
        view = record.view(WorldState)
        if view is not None and bytes(view.state)[:1] == b"{":
            self._span.events.append(_World(view.full, record))

    def _response_item(self, record: Record, segment: Segment) -> None:
        if not self._collecting and self._span.user_turn:
            return
        parts = record.parts()
        item = response_item(parts[0]) if parts is not None else None
        if parts is None or item is None or isinstance(item, str):
            return
        if len(parts[1]):
            try:
                metadata = harness_metadata(parts[1])
            except ValueError:
                return
            if metadata is not None and metadata.delivered_assistant_message and _is_delivery(item, metadata):
                return
        span = self._span
        if isinstance(item, Message):
            if not span.user_turn and is_boundary(item):
                span.user_turn = True
            if item.role == _NEVER:
                return
        elif isinstance(item, AgentMessage):
            span.user_turn = True
        elif isinstance(item, CompactionTrigger):
            return
        if self._collecting:
            self._kept.append(_Kept("item", record, segment.rollout_id, item, parts))

    def _communication(self, record: Record, segment: Segment) -> None:
        item = _communication_item(record)
        if item is not None:
            self._span.user_turn = True
            self._keep("communication", record, segment)

    def _session_meta(self, record: Record, segment: Segment) -> None:
        """A later ``session_meta``: in a legacy rollout it may name the first window."""
        if segment.mode == LEGACY:
            self._meta_window = _stated_window(record) or self._meta_window

    def _keep(
        self,
        kind: Literal["item", "communication", "rollback", "compaction"],
        record: Record,
        segment: Segment,
        *,
        count: int = 0,
        message: str = "",
    ) -> None:
        if self._collecting:
            self._kept.append(_Kept(kind, record, segment.rollout_id, count=count, message=message))

    # One turn

    def _finalise(self, *, closed: bool) -> None:
        """The turn's records are all in: take what it says, or pass it over when it was rolled back."""
        span, self._span = self._span, _Span()
        if span.empty and self._pending == 0:
            return
        if self._pending > 0:
            self._pending -= span.user_turn
            return
        turn_id = span.turn_id
        contexts = span.contexts(turn_id)
        reference = _reference(span, contexts)
        baseline = span.user_turn or _has_full_world(span)
        goes_on = self._resume is not None and not closed and not span.is_completed(turn_id)
        for event in span.events:
            if isinstance(event, _Compaction):
                self._take_compaction(event)
            elif isinstance(event, _World) and not self._worlds_closed:
                self._worlds.append(event)
                self._worlds_closed = event.full
        if self._previous is None and baseline and contexts and not goes_on:
            self._previous = _settings_dict(contexts[-1].view)
        if self._reference == "never" and (baseline or reference == "cleared"):
            self._reference = reference

    def _take_compaction(self, compaction: _Compaction) -> None:
        if not self._worlds_closed:
            self._worlds.append(None)
            self._worlds_closed = True
        if self._window is None:
            self._window = _window_of(compaction.view)
        if self._checkpoint is None and compaction.view.replacement_history is not None:
            self._choose(compaction)

    def _choose(self, compaction: _Compaction) -> None:
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
        if root and not self._done:
            self._span.resolve_ends(None)
            self._finalise(closed=False)
            self._done = True
        items, saw_summary = self._history()
        reference = self._reference if isinstance(self._reference, Record) and not saw_summary else None
        return ModelContext(
            items,
            Position(self._checkpoint.rollout, self._checkpoint.record.offset) if self._checkpoint else None,
            self._final_window(root=root, compactions=compactions),
            self._last_started,
            self._previous,
            reference.payload if reference is not None else None,
            self._world(),
            self._settings,
            self._usage,
        )

    def _final_window(self, *, root: bool, compactions: int | None) -> Window:
        if self._window is not None:
            return self._window
        total = self._compactions if root else compactions
        first = self._first_window or self._meta_window
        if self._unnumbered == 0 and first is not None:
            return Window(0, first, None, first)
        return Window(total)

    def _world(self) -> Any | None:
        state: Any | None = None
        for event in reversed(self._worlds):
            if event is None:
                state = None
                continue
            view = event.record.view(WorldState)
            if view is None:
                continue
            if event.full:
                state = msgspec.json.decode(view.state)
            elif state is not None:
                state = merge_patch(state, msgspec.json.decode(view.state))
        return state

    def _history(self) -> tuple[list[ContextItem], bool]:
        history: list[tuple[ContextItem, ResponseItem]] = []
        if self._checkpoint is not None:
            history = _replacement(self._checkpoint)
        saw_summary = False
        for kept in reversed(self._kept):
            if kept.kind == "item":
                assert kept.parts is not None
                assert kept.item is not None
                position = Position(kept.rollout, kept.record.offset)
                history.append((ContextItem(*kept.parts, position), kept.item))
            elif kept.kind == "communication":
                history.append(_communicated(kept))
            elif kept.kind == "rollback":
                _drop_turns(history, kept.count)
            else:
                history = _summarised(history, kept)
                saw_summary = True
        return [entry for entry, _ in history], saw_summary


def _uuid7(value: str | None) -> str | None:
    id_ = canonical(value) if value is not None else None
    return id_ if id_ is not None and id_[14] == "7" else None


class _WindowId(msgspec.Struct):
    window_id: str | None = None


class _WindowMeta(msgspec.Struct):
    context_window: _WindowId | None = None


def _stated_window(record: Record) -> str | None:
    meta = record.view(_WindowMeta)
    return _uuid7(meta.context_window.window_id) if meta is not None and meta.context_window is not None else None


def _is_whole(view: Compacted) -> bool:
    """Metadata stands beside a replacement history, entry for entry, and every entry fits (``storage.md`` 2.3)."""
    history, metadata = view.replacement_history, view.replacement_history_metadata
    if metadata is not None:
        if history is None or len(history) != len(metadata):
            return False
        try:
            if not all(harness_metadata(entry) for entry in metadata):
                return False
        except ValueError:
            return False
    return history is None or all(response_item(item) is not None for item in history)


def _window_of(view: Compacted) -> Window | None:
    """The window that a compaction began; very old files hold its number in ``window_id`` (``storage.md`` 2.3)."""
    number, window_id = view.window_number, view.window_id
    if isinstance(window_id, int):
        number, window_id = (window_id if number is None else number), None
    if number is None:
        return None
    return Window(number, _uuid7(view.first_window_id), _uuid7(view.previous_window_id), _uuid7(window_id))


def _usage(record: Record) -> msgspec.Raw | None:
    view = record.view(TokenCount)
    if view is None or view.info is None:
        return None
    raw = record.view(_TokenInfo)
    return raw.info if raw is not None else None


class _SettingsRaw(msgspec.Struct):
    thread_settings: msgspec.Raw


def _settings(record: Record) -> msgspec.Raw | None:
    """The settings that a ``thread_settings_applied`` or a ``turn_context`` record states."""
    if record.kind == "turn_context":
        return record.payload if record.view(TurnContext) is not None else None
    view = record.view(_SettingsRaw)
    return view.thread_settings if view is not None else None


def _reference(span: _Span, contexts: list[_Context]) -> Record | Literal["never", "cleared"]:
    """The turn's newest context, unless a compaction came after it."""
    wanted = contexts[0] if contexts else None
    for event in span.events:
        if isinstance(event, _Compaction):
            return "cleared"
        if event is wanted:
            return wanted.record
    return "never"


def _has_full_world(span: _Span) -> bool:
    """Whether a full world state stands after the turn's newest compaction."""
    for event in span.events:
        if isinstance(event, _Compaction):
            return False
        if isinstance(event, _World) and event.full:
            return True
    return False


def _settings_dict(view: TurnContext | PreviousSettings) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "model": view.model,
        "comp_hash": view.comp_hash,
        "realtime_active": view.realtime_active,
    }
    if view.cyber_access_program is not None:
        settings["cyber_access_program"] = view.cyber_access_program
    return settings


_DELIVERY: Final = "codex:code-mode-delivery:v1:"


def _is_delivery(item: ResponseItem, metadata: HarnessMetadata) -> bool:
    """An assistant message that repeats what was delivered already: side state (``storage.md`` 2.4)."""
    mark = metadata.delivered_assistant_message
    return (
        mark is not None
        and isinstance(item, Message)
        and item.role == "assistant"
        and len(item.content) == 1
        and isinstance(item.content[0], OutputText)
        and item.turn_id is not None
        and metadata.user_input_order is not None
        and (mark == f"{_DELIVERY}complete" or mark.startswith(f"{_DELIVERY}incomplete:"))
    )


def merge_patch(state: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(state) if isinstance(state, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def _replacement(checkpoint: _Compaction) -> list[tuple[ContextItem, ResponseItem]]:
    view = checkpoint.view
    position = Position(checkpoint.rollout, checkpoint.record.offset)
    payloads = view.replacement_history or []
    metadata: Sequence[msgspec.Raw] = view.replacement_history_metadata or [msgspec.Raw(b"")] * len(payloads)
    history: list[tuple[ContextItem, ResponseItem]] = []
    for payload, harness in zip(payloads, metadata, strict=True):
        item = response_item(payload)
        if item is not None and not isinstance(item, str):  # items of unknown type are never sent to a model
            history.append((ContextItem(payload, harness, position, checkpointed=True), item))
    return history


def _drop_turns(history: list[tuple[ContextItem, ResponseItem]], count: int) -> None:
    """A rollback: cut before the ``count``-th last boundary, or the first one, and what led up to the cut."""
    boundaries = [index for index, (_, item) in enumerate(history) if is_boundary(item)]
    if count == 0 or not boundaries:
        return
    first = boundaries[0]
    cut = boundaries[max(0, len(boundaries) - count)]
    while cut > first:
        before = history[cut - 1][1]
        if not is_contextual_developer(before) and not is_contextual(before):
            break
        cut -= 1
    turn_id = history[first][1].turn_id
    del history[cut:]
    if cut == first and turn_id is not None:
        history[:] = [
            kept for entry, item in history if (kept := _without_model_switch(entry, item, turn_id)) is not None
        ]


def _without_model_switch(
    entry: ContextItem, item: ResponseItem, turn_id: str
) -> tuple[ContextItem, ResponseItem] | None:
    """A developer message of a turn that was taken back, without the parts that announce a change of model."""
    if not isinstance(item, Message) or item.role != "developer" or item.turn_id != turn_id:
        return entry, item
    announced = [isinstance(part, InputText) and announces_model(part.text) for part in item.content]
    if not any(announced):
        return entry, item
    if all(announced):
        return None
    payload = msgspec.json.decode(entry.payload)
    payload["content"] = [part for part, gone in zip(payload["content"], announced, strict=True) if not gone]
    return _made(payload, entry)


def _made(payload: dict[str, Any], entry: ContextItem) -> tuple[ContextItem, ResponseItem]:
    raw = msgspec.Raw(msgspec.json.encode(payload))
    item = response_item(raw)
    assert item is not None
    assert not isinstance(item, str)
    return msgspec.structs.replace(entry, payload=raw), item


def _summarised(history: list[tuple[ContextItem, ResponseItem]], kept: _Kept) -> list[tuple[ContextItem, ResponseItem]]:
    """A compaction without replacement history: the newest user messages that fit, then the summary (3.3, step E)."""
    chosen: list[tuple[ContextItem, ResponseItem]] = []
    remaining = _SUMMARY_TOKENS
    for entry, item in reversed(history):
        if not isinstance(item, Message) or item.role != "user" or is_contextual(item):
            continue
        text = _said(item)
        if is_summary(text):
            continue
        if remaining == 0:
            break
        tokens = math.ceil(len(text.encode()) / 4)
        source = msgspec.json.decode(entry.payload)
        content = source["content"]
        if tokens > remaining or not all(isinstance(part, InputText) for part in item.content):
            parts = _cut(text, remaining * 4)
            content = [{"type": "input_text", "text": part} for part in parts if part or len(parts) == 1]
        message = {"type": "message", "role": "user", "content": content}
        for key in ("id", "internal_chat_message_metadata_passthrough"):
            if source.get(key) is not None:
                message[key] = source[key]
        chosen.append(_made(message, entry))
        if tokens > remaining:
            break
        remaining -= tokens
    chosen.reverse()
    summary = {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": summary_text(kept.message)}],
    }
    place = ContextItem(msgspec.Raw(b""), msgspec.Raw(b""), Position(kept.rollout, kept.record.offset))
    return [*chosen, _made(summary, place)]


def _said(item: Message) -> str:
    """The texts of a user message, without the tags that Codex puts around an image."""
    said = []
    for index, part in enumerate(item.content):
        if not isinstance(part, InputText):
            continue
        text = part.text
        opens = text == "<image>" or (text.startswith("<image name=") and text.endswith(">"))
        follows = index + 1 < len(item.content) and isinstance(item.content[index + 1], InputImage)
        closes = text == "</image>" and index > 0 and isinstance(item.content[index - 1], InputImage)
        if not ((opens and follows) or closes):
            said.append(text)
    return "".join(said)


def _cut(text: str, budget: int) -> list[str]:
    """The beginning and the end of a text, half of the budget (bytes) each, and a marker between them."""
    data = text.encode()
    if len(data) <= budget:
        return [text]
    left, right = budget // 2, budget - budget // 2
    head = data[:left].decode(errors="ignore")
    start = len(data) - right
    while start < len(data) and data[start] & 0xC0 == 0x80:
        start += 1
    return [head, f"…{math.ceil((len(data) - budget) / 4)} tokens truncated…", data[start:].decode()]


def _communication_item(record: Record) -> dict[str, Any] | None:
    """What the model is sent of an inter-agent communication."""
    view = record.view(InterAgentCommunication)
    if view is None:
        return None
    content: list[dict[str, Any]] = [{"type": "input_text", "text": view.content}]
    if view.encrypted_content is not None:
        kind = "NEW_TASK" if view.trigger_turn else "MESSAGE"
        header = f"Message Type: {kind}\nTask name: {view.recipient}\nSender: {view.author}\nPayload:\n"
        content = [
            {"type": "input_text", "text": header},
            {"type": "encrypted_content", "encrypted_content": view.encrypted_content},
        ]
    item: dict[str, Any] = {
        "type": "agent_message",
        "author": view.author,
        "recipient": view.recipient,
        "content": content,
    }
    if view.id is not None:
        item["id"] = view.id
    if view.internal_chat_message_metadata_passthrough is not None:
        item["internal_chat_message_metadata_passthrough"] = view.internal_chat_message_metadata_passthrough
    return item


def _communicated(kept: _Kept) -> tuple[ContextItem, ResponseItem]:
    item = _communication_item(kept.record)
    assert item is not None, "it was one when it was kept"
    place = ContextItem(msgspec.Raw(b""), msgspec.Raw(b""), Position(kept.rollout, kept.record.offset))
    return _made(item, place)
