"""A turn that runs: it drives the engine, has everything kept, and then tells whoever watches the thread.

All of a run happens on the engine loop; what writes or reads files is done in a worker thread meanwhile, one step
after the other. What is interrupted is the engine alone, never a step that writes. Orders: 0.169.0 observed.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from threadkeep.appserver._items import beginning, failure, wire_begun, wire_done, wire_error
from threadkeep.appserver._loaded import ACTIVE, IDLE, SYSTEM_ERROR
from threadkeep.appserver._recording import Recording
from threadkeep.appserver._tool_calls import ask_clients
from threadkeep.appserver._turn_settings import turn_settings
from threadkeep.appserver._usage import token_usage
from threadkeep.appserver.engine import (
    Compacted,
    Compacting,
    EngineFailure,
    ItemDone,
    ItemStarted,
    Retrying,
    SummaryDelta,
    SummaryPart,
    TextDelta,
    ThoughtDelta,
    Usage,
)
from threadkeep.errors import ThreadkeepError
from threadkeep.records import TokenUsageInfo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from threadkeep.appserver._loaded import LoadedThread
    from threadkeep.appserver.engine import Event, ToolCall, ToolResult, TurnSettings
    from threadkeep.store._turn_records import Made
    from threadkeep.store._user_input import UserInput

__all__ = ["NO_LIMITS", "Run", "turn_json"]

Json = dict[str, Any]
T = TypeVar("T")

NO_LIMITS: Final[Json] = {
    "limitId": "codex",
    "limitName": None,
    "normalModelSlug": None,
    "primary": None,
    "secondary": None,
    "credits": None,
    "individualLimit": None,
    "spendControlReached": None,
    "planType": None,
    "rateLimitReachedType": None,
}
"""What is told of an account's limits where the provider says nothing of them."""

MOST_WAITING: Final = 1000
"""Inputs that may wait to be heard in a running turn."""

_LETTING_GO: Final = 10.0
"""Seconds that an engine has to stop when it is interrupted; one that does not is left to itself."""

_END: Final = object()
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


def turn_json(turn_id: str, status: str = "inProgress", **members: Any) -> Json:
    """A ``Turn`` of which no items are shown."""
    turn: Json = {
        "id": turn_id,
        "rootTurnId": turn_id,
        "items": [],
        "itemsView": "notLoaded",
        "status": status,
        "error": None,
        "startedAt": None,
        "completedAt": None,
        "durationMs": None,
    }
    return {**turn, **members}


class _InterruptedError(Exception):
    """The turn is to end here."""


class Run:
    """One turn of a loaded thread, from its beginning to its end. It is the engine's `RunningTurn`, too.

    Args:
        thread: The thread; nothing else runs in it.
        given: What the user said; None for a turn that compacts and does nothing else.
        output_schema: JSON schema of the final answer, or None.
        service_tier: The tier of this turn alone, or None.

    Attributes:
        turn_id: The turn.
        ended: Set when the turn has ended, and everybody was told.
    """

    def __init__(
        self,
        thread: LoadedThread,
        given: UserInput | None,
        *,
        output_schema: Any = None,
        service_tier: str | None = None,
    ) -> None:
        self._thread = thread
        self._given = given
        self._asked = {"output_schema": output_schema, "service_tier": service_tier}
        self._recording = Recording(thread)
        self.turn_id = self._recording.turn_id
        self.ended = threading.Event()
        self._lock = threading.Lock()
        self._listening = given is not None
        self._waiting: list[UserInput] = []
        self._interrupted = False
        self._replaced = False
        self._on_kept: list[Callable[[], object]] = []
        # From here on: used on the loop alone.
        self._settings: TurnSettings | None = None
        self._steered: list[msgspec.Raw] = []
        self._pressing = False
        self._arrived = asyncio.Event()
        self._writing = asyncio.Lock()
        self._step: asyncio.Task[Any] | None = None
        self._given_up: asyncio.Future[None] | None = None
        self._open: dict[str, int] = {}
        self._asking: dict[str, tuple[ToolCall, int]] = {}
        self._compaction: tuple[str, int] | None = None
        self._last_message: Json | None = None

    # From other threads

    @property
    def compacts(self) -> bool:
        """Whether it compacts and does nothing else: it hears nobody."""
        return self._given is None

    def launch(self) -> None:
        """Begin. What is told of it comes after whatever was sent before this."""
        try:
            self._thread.server.loop.start(self._drive())
        except RuntimeError:  # the server is about to end: its loop is closed
            self._leave()
            self.ended.set()

    def hear(self, given: UserInput) -> bool:
        """Take what the user says while the turn runs; False where it is about to end and hears no more."""
        with self._lock:
            if not self._listening or self._interrupted or len(self._waiting) >= MOST_WAITING:
                return False
            self._waiting.append(given)
        self._thread.server.loop.call(self._wake)
        return True

    def inject(self, items: Sequence[msgspec.Raw]) -> None:
        """Take response items that are recorded already: the next model call of the turn has them."""
        self._thread.server.loop.call(lambda: self._take_items(items))

    def interrupt(self, on_kept: Callable[[], object] | None = None, *, replaced: bool = False) -> None:
        """End the turn as interrupted.

        Args:
            on_kept: Called when its end is kept, before anybody is told of it.
            replaced: Another turn takes its place.
        """
        with self._lock:
            self._replaced = self._replaced or (replaced and not self._interrupted)
            self._interrupted = True
            if on_kept is not None:
                self._on_kept.append(on_kept)
        self._thread.server.loop.call(self._stop)

    # What the engine sees

    @property
    def thread_id(self) -> str:
        """The thread."""
        return self._thread.id

    @property
    def settings(self) -> TurnSettings:
        """What it runs with."""
        assert self._settings is not None, "the turn has not begun"
        return self._settings

    @property
    def history(self) -> Sequence[msgspec.Raw]:
        """The model context as it stands."""
        return list(self._recording.history)

    @property
    def tokens_used(self) -> int:
        """Tokens of the context after the last model call."""
        return self._recording.last.total_tokens if self._recording.last is not None else 0

    def steered(self) -> list[msgspec.Raw]:
        """What came in since the last time."""
        taken, self._steered = self._steered, []
        self._pressing = False
        if not self._waiting:
            self._arrived.clear()
        return taken

    async def wait_steered(self) -> None:
        """Return when the user said something. Items that a client put in do not cut a call (0.169.0 observed)."""
        while not self._pressing:
            await self._arrived.wait()
            if self._waiting:
                await self._hear_waiting(in_a_call=True)
            elif not self._pressing:
                self._arrived.clear()

    async def call_tool(self, call: ToolCall) -> ToolResult:
        """Have the clients run a tool, and show that they did."""
        started = self._now()
        begun = {
            "type": "DynamicToolCall",
            "id": call.call_id,
            "namespace": call.namespace,
            "tool": call.tool,
            "arguments": call.arguments,
            "status": "in_progress",
        }
        await self._say(lambda: self._tell_begun(begun, started))
        self._asking[call.call_id] = (call, started)
        answer = await ask_clients(self._thread, self.turn_id, call)
        del self._asking[call.call_id]
        recording = self._recording
        await self._keep(
            lambda: self._tell_done(recording.tool_called(call, answer.content, started, success=answer.success))
        )
        return answer.result()

    # Its course

    async def _drive(self) -> None:
        error: Json | None = None
        details: str | None = None
        try:
            await self._begin()
            await self._follow_to_the_end()
        except (_InterruptedError, asyncio.CancelledError):
            with self._lock:
                self._interrupted = True
        except EngineFailure as problem:
            error, details = failure(problem.message, problem.info), problem.details
        except ThreadkeepError as problem:
            error = failure(str(problem), "other")
        except Exception as problem:  # noqa: BLE001  # whatever an engine does wrong, the turn ends and the thread goes on
            traceback.print_exception(problem, file=sys.stderr)
            error = failure(f"internal error: {type(problem).__name__}: {problem}", "other")
        with self._lock:
            self._listening = False
        try:
            await self._finish(error, details)
        finally:
            self._leave()
            self.ended.set()

    async def _begin(self) -> None:
        await self._keep(self._record_beginning)
        self._check()
        if self.compacts:
            return
        stated = False
        limit = self.settings.compact_limit
        if limit is not None and self.tokens_used >= limit and self._recording.history:
            await self._follow(self._thread.server.engine.compact(self))
            stated = True
        await self._keep(lambda: self._record_input(stated=stated))

    def _record_beginning(self) -> None:
        recording = self._recording
        self._thread.set_status(ACTIVE)
        recording.begin()
        started = turn_json(self.turn_id, startedAt=recording.started_at)
        self._tell("turn/started", {"threadId": self.thread_id, "turn": started})
        self._settings = turn_settings(self._thread, **self._asked)
        recording.read(self._settings.output_tokens)

    def _record_input(self, *, stated: bool) -> None:
        made = self._recording.hear_first(
            self._given if self._given is not None and self._given.parts else None,
            self._thread.settings.developer_instructions,
            stated=stated,
        )
        if made is not None:
            self._tell_said(made)

    async def _follow_to_the_end(self) -> None:
        """Run the engine, and again as long as something came in that no model call had."""
        engine = self._thread.server.engine
        if self.compacts:
            await self._follow(engine.compact(self))
            return
        while True:
            await self._follow(engine.run(self))
            if not await self._something_came():
                return
            self.steered()  # the history has it

    async def _something_came(self) -> bool:
        """Whether the user said something that no model call had; if not, nothing is heard any more."""
        while True:
            await self._hear_waiting()
            with self._lock:
                if not self._waiting:
                    self._listening = self._pressing
                    return self._listening

    async def _follow(self, events: AsyncIterator[Event]) -> None:
        """Take everything that an engine says, one after the other."""
        try:
            while True:
                self._check()
                event = await self._next(events)
                if event is _END:
                    break
                await self._take(event)
                if self._waiting and not self._recording.open_calls and not self._open:
                    await self._hear_waiting()
        finally:
            await self._let_go(events)
        self._check()
        if self._recording.count_is_due:
            await self._keep(self._count)

    async def _next(self, events: AsyncIterator[Event]) -> Any:
        async def step() -> Any:
            return await anext(events, _END)

        loop = asyncio.get_running_loop()
        self._step = loop.create_task(step())
        self._given_up = loop.create_future()
        try:
            await asyncio.wait({self._step, self._given_up}, return_when=asyncio.FIRST_COMPLETED)
            self._check()
            return self._step.result()
        finally:
            self._step.cancel()
            self._step = None

    async def _let_go(self, events: AsyncIterator[Event]) -> None:
        """Have the engine let go of what it holds; it has a limited time to do so."""
        close = getattr(events, "aclose", None)
        if close is None:
            return
        # It may hang, or its last step may still run: nobody listens to it any more.
        with contextlib.suppress(TimeoutError, RuntimeError, EngineFailure):
            await asyncio.wait_for(close(), _LETTING_GO)

    async def _take(self, event: Event) -> None:
        match event:
            case ItemDone():
                await self._keep(lambda: self._record_item(event.item))
            case Usage():
                await self._keep(lambda: self._record_usage(event))
            case Compacting():
                await self._keep(self._begin_compaction)
            case Compacted():
                await self._keep(lambda: self._record_checkpoint(event))
            case ItemStarted():
                await self._say(lambda: self._begin_item(_decode(event.item)))
            case Retrying():
                self._open.clear()
                error = wire_error(failure(event.message, event.info), event.details)
                await self._say(lambda: self._tell_error(error, will_retry=True))
            case _:
                await self._say(lambda: self._tell_delta(event))

    def _tell_delta(self, event: Event) -> None:
        match event:
            case TextDelta():
                self._tell_part("item/agentMessage/delta", event.item_id, delta=event.delta)
            case SummaryDelta():
                more = {"delta": event.delta, "summaryIndex": event.index}
                self._tell_part("item/reasoning/summaryTextDelta", event.item_id, **more)
            case SummaryPart():
                self._tell_part("item/reasoning/summaryPartAdded", event.item_id, summaryIndex=event.index)
            case ThoughtDelta():
                more = {"delta": event.delta, "contentIndex": event.index}
                self._tell_part("item/reasoning/textDelta", event.item_id, **more)

    def _begin_item(self, item: Json) -> None:
        if not isinstance(item.get("id"), str):
            return
        begun = beginning(item)
        if begun is not None and item["id"] not in self._open:
            started = self._open[item["id"]] = self._now()
            self._tell_begun(begun, started)

    def _record_item(self, raw: msgspec.Raw) -> None:
        item_id = _decode(raw).get("id")
        started = self._open.pop(item_id, None) if isinstance(item_id, str) else None
        made = self._recording.item(raw, started)
        if made.item is not None and started is None:
            # Nobody said that it began: its beginning is told with its end.
            begun = beginning({**_decode(raw), "id": made.item["id"]})
            if begun is not None:
                self._tell_begun(begun, made.started_ms)
        done = self._tell_done(made)
        if done is not None and done["type"] == "agentMessage":
            self._last_message = done
        if self._recording.count_is_due:
            self._count()

    def _record_usage(self, event: Usage) -> None:
        self._recording.used(event)
        if self._recording.count_is_due:
            self._count()

    def _begin_compaction(self) -> None:
        self._compaction = (self._thread.writer.new_id(), self._now())
        item_id, started = self._compaction
        self._tell_begun({"type": "ContextCompaction", "id": item_id}, started)
        self._count()

    def _record_checkpoint(self, event: Compacted) -> None:
        if self._compaction is None:
            self._begin_compaction()
        assert self._compaction is not None
        item_id, started = self._compaction
        self._compaction = None
        self._recording.compacted(event)
        self._count()
        self._tell_done(self._recording.compaction_shown(item_id, started))

    # What comes in meanwhile

    def _wake(self) -> None:
        self._arrived.set()

    def _take_items(self, items: Sequence[msgspec.Raw]) -> None:
        self._recording.history += items
        self._steered += items

    async def _hear_waiting(self, *, in_a_call: bool = False) -> None:
        with self._lock:
            heard, self._waiting = self._waiting, []
        if heard:
            await self._keep(lambda: self._record_heard(heard, in_a_call=in_a_call), self._steer)

    def _record_heard(self, heard: Sequence[UserInput], *, in_a_call: bool) -> list[msgspec.Raw]:
        if in_a_call:
            self._count()
        items = []
        for given in heard:
            made = self._recording.hear(given)
            items.append(self._recording.history[-1])
            self._tell_said(made)
        return items

    def _steer(self, items: Sequence[msgspec.Raw]) -> None:
        self._steered += items
        self._pressing = True
        self._arrived.set()

    # Its end

    def _stop(self) -> None:
        if self._step is not None and self._given_up is not None:
            self._step.cancel()
            asyncio.get_running_loop().call_later(_LETTING_GO, _resolve, self._given_up)

    def _check(self) -> None:
        if self._interrupted:
            raise _InterruptedError

    async def _finish(self, error: Json | None, details: str | None) -> None:
        with self._lock:
            interrupted = self._interrupted and error is None
        try:
            end = await self._keep(lambda: self._record_end(error, interrupted=interrupted))
        except Exception as problem:  # noqa: BLE001  # the end could not be kept: this is what clients are told
            if not isinstance(problem, ThreadkeepError):
                traceback.print_exception(problem, file=sys.stderr)
            error, interrupted = error or failure(str(problem), "other"), False
            end = {"started_at": self._recording.started_at}
        turn = self._ended_turn(end, error, interrupted=interrupted)
        await self._keep(lambda: self._tell_end(turn, wire_error(error, details) if error is not None else None))

    def _record_end(self, error: Json | None, *, interrupted: bool) -> Json:
        recording = self._recording
        for made in recording.tools_cancelled(list(self._asking.values())):
            self._tell_done(made)
        recording.outputs_of_open_calls()
        if not interrupted:
            return recording.completed(error)
        self._count()
        return recording.aborted(replaced=self._replaced)

    def _tell_end(self, turn: Json, error: Json | None) -> None:
        thread = self._thread
        with thread.lock:
            if error is not None:
                thread.set_status(SYSTEM_ERROR)
                self._tell_error(error, will_retry=False)
            unread = turn["status"] != "interrupted" or self._last_message is not None
            if unread and not self.compacts and not thread.ephemeral:
                state = thread.server.read_states.turn_ended(thread.id, self.turn_id)
                thread.announce("thread/readState/changed", {"threadId": thread.id, "readState": state})
            self._answer_interrupts()
            self._leave()
            if error is None:
                thread.set_status(IDLE)
            self._tell("turn/completed", {"threadId": thread.id, "turn": turn})

    def _ended_turn(self, end: Json, error: Json | None, *, interrupted: bool) -> Json:
        times = {
            "startedAt": end.get("started_at"),
            "completedAt": end.get("completed_at"),
            "durationMs": end.get("duration_ms"),
        }
        if error is not None:
            return turn_json(self.turn_id, "failed", error=wire_error(error), **times)
        if interrupted:
            return turn_json(self.turn_id, "interrupted", **times)
        if self._last_message is None:
            return turn_json(self.turn_id, "completed", **times)
        return turn_json(self.turn_id, "completed", items=[self._last_message], itemsView="summary", **times)

    def _answer_interrupts(self) -> None:
        with self._lock:
            waiting, self._on_kept = self._on_kept, []
        for answer in waiting:
            answer()

    def _leave(self) -> None:
        """The thread has no running turn any more."""
        with self._thread.lock:
            if self._thread.run is self:
                self._thread.run = None

    # Keeping and telling

    async def _keep(self, write: Callable[[], T], then: Callable[[T], object] | None = None) -> T:
        """Do what writes in a worker thread, after what writes already, and ``then`` what follows on the loop.

        Both are done to their end, whatever is interrupted.
        """
        loop = asyncio.get_running_loop()

        async def in_order() -> T:
            async with self._writing:
                written = await loop.run_in_executor(None, write)
                if then is not None:
                    then(written)
                return written

        return await asyncio.shield(loop.create_task(in_order()))

    async def _say(self, tell: Callable[[], object]) -> None:
        """Tell something that is not kept. Where somebody holds the thread's lock, the loop does not wait for it."""
        if self._thread.lock.acquire(blocking=False):
            try:
                tell()
            finally:
                self._thread.lock.release()
        else:
            await self._keep(tell)

    def _now(self) -> int:
        return self._thread.writer.now_ms()

    def _count(self) -> None:
        self._recording.count()
        self._tell_usage()
        self._tell_limits()

    def _tell(self, method: str, params: Json) -> None:
        self._thread.publish(method, params)

    def _tell_part(self, method: str, item_id: str, **members: Any) -> None:
        self._tell(method, {"threadId": self.thread_id, "turnId": self.turn_id, "itemId": item_id, **members})

    def _tell_begun(self, item: Json, started_ms: int) -> None:
        shown = wire_begun(item, started_ms)
        place = {"threadId": self.thread_id, "turnId": self.turn_id}
        self._tell("item/started", {"item": shown, **place, "startedAtMs": started_ms})

    def _tell_done(self, made: Made) -> Json | None:
        """Tell that an item is complete; the item as it was told."""
        shown = wire_done(made)
        if shown is not None:
            place = {"threadId": self.thread_id, "turnId": self.turn_id}
            at = {"contentTokenCount": None, "completedAtMs": made.completed_ms}
            self._tell("item/completed", {"item": shown, **place, **at})
        return shown

    def _tell_said(self, made: Made) -> None:
        assert made.item is not None
        self._tell_begun(made.item, made.started_ms)
        self._tell_done(made)

    def _tell_usage(self) -> None:
        recording = self._recording
        if recording.total is None or recording.last is None:
            return
        usage = token_usage(TokenUsageInfo(recording.total, recording.last, recording.window_tokens))
        place = {"threadId": self.thread_id, "turnId": self.turn_id}
        self._tell("thread/tokenUsage/updated", {**place, "tokenUsage": usage})

    def _tell_limits(self) -> None:
        self._tell("account/rateLimits/updated", {"rateLimits": NO_LIMITS})

    def _tell_error(self, error: Json, *, will_retry: bool) -> None:
        place = {"threadId": self.thread_id, "turnId": self.turn_id}
        self._tell("error", {"error": error, "willRetry": will_retry, **place})


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
