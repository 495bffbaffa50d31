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
from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.appserver._config_values import ConfigProblem
from threadkeep.appserver._engine_steps import END, EngineSteps
from threadkeep.appserver._happening import Happening
from threadkeep.appserver._in_order import InOrder
from threadkeep.appserver._items import failure, wire_error
from threadkeep.appserver._loaded import ACTIVE, IDLE, SYSTEM_ERROR
from threadkeep.appserver._telling import turn_json
from threadkeep.appserver._tool_calls import ask_clients
from threadkeep.appserver._turn_settings import turn_settings
from threadkeep.appserver.engine import (
    Compacted,
    Compacting,
    EngineFailure,
    ItemDone,
    ItemStarted,
    Retrying,
    Usage,
)
from threadkeep.errors import ThreadkeepError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from threadkeep.appserver._loaded import LoadedThread
    from threadkeep.appserver.engine import Event, ToolCall, ToolResult, TurnSettings
    from threadkeep.store._user_input import UserInput

__all__ = ["Run"]

Json = dict[str, Any]

MOST_WAITING: Final = 1000
"""Inputs that may wait to be heard in a running turn."""

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


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
        unsure: Whether its end could not be kept: a writer that is not sure of what it wrote takes nothing more; a new
            one looks at what stands.
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
        self._happening = Happening(thread)
        self._recording = self._happening.recording
        self.turn_id = self._recording.turn_id
        self.ended = threading.Event()
        self.unsure = False
        self._lock = threading.Lock()
        self._listening = given is not None
        self._waiting: list[UserInput] = []
        self._interrupted = False
        self._replaced = False
        self._on_kept: list[Callable[[], object]] = []
        # From here on: used on the loop alone.
        self._settings: TurnSettings | None = None
        self._unheard = False
        self._steered: list[msgspec.Raw] = []
        self._pressing = False
        self._arrived = asyncio.Event()
        self._in_order = InOrder()
        self._steps = EngineSteps()

    # From other threads

    @property
    def compacts(self) -> bool:
        """Whether it compacts and does nothing else: it hears nobody."""
        return self._given is None

    def launch(self) -> None:
        """Begin. What is told of it comes after whatever was sent before this."""
        driving = self._drive()
        try:
            self._thread.server.loop.start(driving)
        except RuntimeError:  # the server is about to end: its loop is closed
            driving.close()
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
        """Keep response items: the next model call of the turn has them. Returns when they are kept.

        They are kept in order with everything else of the turn: no checkpoint passes over them.
        """
        self._thread.server.loop.start(self._put_in(items)).result()

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
        self._thread.server.loop.call(self._steps.stop)

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
        """The model context as it stands. What it holds, `steered` does not hold any more."""
        self.steered()
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
        happening = self._happening
        await self._in_order.do_with(self._thread.lock, lambda: happening.begin_call(call))
        answer = await ask_clients(self._thread, self.turn_id, call)
        await self._in_order.do(lambda: happening.end_call(call, answer))
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
        except (ThreadkeepError, ConfigProblem) as problem:
            error = failure(str(problem), "other")
        except Exception as problem:  # noqa: BLE001  # whatever an engine does wrong, the turn ends and the thread goes on
            traceback.print_exception(problem, file=sys.stderr)
            error = failure(f"internal error: {type(problem).__name__}: {problem}", "other")
        with self._lock:
            self._listening = False
        try:
            await self._finish(error, details)
        except Exception as problem:  # noqa: BLE001  # nobody awaits this: it is said where the operator looks
            traceback.print_exception(problem, file=sys.stderr)
        finally:
            self._leave()
            self.ended.set()

    async def _begin(self) -> None:
        await self._in_order.do(self._record_beginning)
        self._check()
        if self.compacts:
            return
        stated = False
        limit = self.settings.compact_limit
        if limit is not None and self.tokens_used >= limit and self._recording.history:
            await self._follow(self._thread.server.engine.compact(self), hears=False)
            stated = True
        await self._in_order.do(lambda: self._record_input(stated=stated))
        await self._hear_waiting()

    def _record_beginning(self) -> None:
        recording = self._recording
        self._thread.set_status(ACTIVE)
        recording.begin()
        self._unheard = self._given is not None
        self._happening.telling.turn("turn/started", turn_json(self.turn_id, startedAt=recording.started_at))
        self._settings = turn_settings(self._thread, **self._asked)
        recording.read(self._settings.output_tokens)

    def _record_input(self, *, stated: bool) -> None:
        self._unheard = False
        made = self._recording.hear_first(
            self._given if self._given is not None and self._given.parts else None,
            self._thread.settings.developer_instructions,
            stated=stated,
        )
        if made is not None:
            self._happening.telling.said(made)

    async def _follow_to_the_end(self) -> None:
        """Run the engine, and again as long as something came in that no model call had."""
        engine = self._thread.server.engine
        if self.compacts:
            await self._follow(engine.compact(self), hears=False)
            return
        while True:
            await self._follow(engine.run(self))
            if not await self._something_came():
                return

    async def _something_came(self) -> bool:
        """Whether the user said something that no model call had; if not, nothing is heard any more."""
        while True:
            await self._hear_waiting()
            with self._lock:
                if not self._waiting:
                    self._listening = self._pressing
                    return self._listening

    async def _follow(self, events: AsyncIterator[Event], *, hears: bool = True) -> None:
        """Take everything that an engine says, one after the other, and what the user says between."""
        try:
            while True:
                self._check()
                event = await self._steps.next(events)
                self._check()
                if event is END:
                    break
                await self._take(event)
                if self._waiting and hears and not self._happening.busy:
                    await self._hear_waiting()
        finally:
            await self._steps.let_go(events)
        self._check()
        await self._in_order.do(self._happening.count_if_due)

    async def _take(self, event: Event) -> None:
        happening = self._happening
        match event:
            case ItemDone():
                await self._in_order.do(lambda: happening.item(event.item))
            case Usage():
                await self._in_order.do(lambda: happening.usage(event))
            case Compacting():
                await self._in_order.do(happening.begin_compaction)
            case Compacted():
                await self._in_order.do(lambda: happening.checkpoint(event, list(self._steered)))
            case ItemStarted():
                await self._in_order.do_with(self._thread.lock, lambda: happening.begin_item(_decode(event.item)))
            case Retrying():
                await self._in_order.do_with(self._thread.lock, lambda: happening.retry(event))
            case _:
                await self._in_order.do_with(self._thread.lock, lambda: happening.telling.delta(event))

    # What comes in meanwhile

    def _wake(self) -> None:
        self._arrived.set()

    async def _put_in(self, items: Sequence[msgspec.Raw]) -> None:
        await self._in_order.do(lambda: self._recording.put_in(items), lambda _: self._take_items(items))

    def _take_items(self, items: Sequence[msgspec.Raw]) -> None:
        self._recording.history += items
        self._steered += items

    async def _hear_waiting(self, *, in_a_call: bool = False) -> None:
        with self._lock:
            heard, self._waiting = self._waiting, []
        if heard:
            await self._in_order.do(lambda: self._hear_all(heard, in_a_call=in_a_call), self._steer)

    def _hear_all(self, given: list[UserInput], *, in_a_call: bool) -> list[msgspec.Raw]:
        """Keep what the user said. What cannot be kept waits on: the one who waits for this may have gone."""
        try:
            return self._happening.hear(given, in_a_call=in_a_call)
        except ThreadkeepError:
            with self._lock:
                self._waiting = [*given, *self._waiting]
            raise

    def _steer(self, items: Sequence[msgspec.Raw]) -> None:
        self._steered += items
        self._pressing = True
        self._arrived.set()

    # Its end

    def _check(self) -> None:
        if self._interrupted:
            raise _InterruptedError

    async def _finish(self, error: Json | None, details: str | None) -> None:
        happening = self._happening
        with self._lock:
            interrupted, replaced = self._interrupted and error is None, self._replaced
            heard, self._waiting = [] if self._interrupted else self._waiting, []
        try:
            if self._unheard:  # it ends before it began in earnest: what the user said is kept all the same
                with contextlib.suppress(ThreadkeepError):
                    await self._in_order.do(lambda: self._record_input(stated=False))
            turn = await self._in_order.do(
                lambda: happening.end(error, heard, interrupted=interrupted, replaced=replaced)
            )
        except Exception as problem:  # noqa: BLE001  # the end could not be kept: this is what clients are told
            if not isinstance(problem, ThreadkeepError):
                traceback.print_exception(problem, file=sys.stderr)
            self.unsure = True
            error = error or failure(str(problem), "other")
            turn = happening.ended({"started_at": self._recording.started_at}, error)
        await self._in_order.do(lambda: self._tell_end(turn, wire_error(error, details) if error is not None else None))

    def _tell_end(self, turn: Json, error: Json | None) -> None:
        thread, telling = self._thread, self._happening.telling
        with thread.lock:
            if error is not None:
                thread.set_status(SYSTEM_ERROR)
                telling.error(error, will_retry=False)
            if not self.compacts and (turn["status"] != "interrupted" or self._happening.last_message is not None):
                telling.unread()
            self._answer_interrupts()
            self._leave()
            if self.unsure:
                thread.server.in_lane(thread.id, thread.renew)
            if error is None:
                thread.set_status(IDLE)
            telling.turn("turn/completed", turn)

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
