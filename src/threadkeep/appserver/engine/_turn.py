"""One turn on a Responses API: model calls, the tools that are called, compaction where the context is too large."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.appserver.engine._call import ModelCall, Steered, backoff, network_wait
from threadkeep.appserver.engine._compaction import (
    COMPACT_PROMPT,
    answer_text,
    is_sealed_summary,
    replacement,
    split_fresh,
    summary_item,
    summary_words,
    user_message,
)
from threadkeep.appserver.engine._errors import CONTEXT_EXCEEDED, CallFailed
from threadkeep.appserver.engine._messages import states
from threadkeep.appserver.engine._outputs import BYTES_PER_TOKEN, shown_output
from threadkeep.appserver.engine._protocol import (
    Compacted,
    Compacting,
    EngineFailure,
    ItemDone,
    Retrying,
    ToolCall,
    Usage,
)
from threadkeep.appserver.engine._request import call_headers, estimated_tokens, is_openai, request_body
from threadkeep.appserver.engine._sent import is_known, without_oldest
from threadkeep.appserver.engine._stream import Completed
from threadkeep.appserver.engine._tools import Tools, is_call, output_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from threadkeep.appserver.engine._client import Endpoint
    from threadkeep.appserver.engine._protocol import Event, RunningTurn

__all__ = ["Turn"]

MAX_CALLS: Final = 1_000
"""Model calls of one turn: one that goes round in a circle ends."""
MAX_WAITS: Final = 1_000
"""How often a provider that is not reached is called again: half a day and more."""


class _Reply(msgspec.Struct):
    """What one model call gave, retries included."""

    calls: list[msgspec.Raw] = []
    answered: bool = False
    items: list[msgspec.Raw] = []
    completed: Completed | None = None


class Turn:
    """One turn, or one compaction, of a thread.

    Args:
        turn: The turn, as the server runs it.
        endpoint: Where its provider is called.
    """

    def __init__(self, turn: RunningTurn, endpoint: Endpoint) -> None:
        self._turn = turn
        self._settings = turn.settings
        self._provider = turn.settings.provider
        self._endpoint = endpoint
        self._tools = Tools(turn.settings.tools)
        self._history = list(turn.history)
        self._tokens = turn.tokens_used

    async def run(self) -> AsyncGenerator[Event, None]:
        """Run it to its end.

        Raises:
            EngineFailure: It cannot go on.
        """
        async with aclosing(self._compact_if_full()) as compaction:
            async for event in compaction:
                yield event
        for _ in range(MAX_CALLS):
            reply = _Reply()
            async with aclosing(self._tried_again(partial(self._ask, reply))) as events:
                async for event in events:
                    yield event
            more = self._turn.steered()
            self._add(*more)
            if not more and not reply.answered:
                return
            async with aclosing(self._compact_if_full()) as compaction:
                async for event in compaction:
                    yield event
        raise EngineFailure(f"the model was called {MAX_CALLS} times in one turn and still asks for more")

    async def compact(self, fresh: int = 0) -> AsyncGenerator[Event, None]:
        """Compact the context, but for its newest ``fresh`` items.

        Raises:
            EngineFailure: It cannot be compacted.
        """
        yield Compacting()
        older = self._history[: len(self._history) - fresh]
        sealed = is_openai(self._provider)
        reply = _Reply()
        async with aclosing(self._summed_up(older, reply, sealed=sealed)) as events:
            async for event in events:
                yield event
        made, words = self._summary(reply, sealed=sealed)
        new = [*replacement(older, made, sealed=sealed), *self._history[len(older) :]]
        self._history = new
        told = self._settings.instructions or ""
        self._tokens = estimated_tokens(new) + (0 if states(new, told) else len(told.encode()) // BYTES_PER_TOKEN)
        response_id = reply.completed.response_id if reply.completed is not None else None
        yield Compacted(words, tuple(new), response_id, self._tokens)

    async def _compact_if_full(self) -> AsyncGenerator[Event, None]:
        """Compact where the context has passed its limit; input that nothing has answered yet stays as it is."""
        limit = self._settings.compact_limit
        if limit is None or not self._tokens or self._tokens < limit:
            return
        older = split_fresh(self._history)
        if older:
            async with aclosing(self.compact(len(self._history) - older)) as events:
                async for event in events:
                    yield event

    def _add(self, *items: msgspec.Raw) -> None:
        """Have the next call know of items that no provider has counted yet."""
        shown = [shown_output(item, self._settings.output_tokens) for item in items]
        self._history += shown
        self._tokens += estimated_tokens(shown)

    # --- one model call, again and again ------------------------------------------------------------------------------

    async def _tried_again(self, attempt: Callable[[], AsyncGenerator[Event, None]]) -> AsyncGenerator[Event, None]:
        """The events of an attempt; where it fails, of the next one.

        Raises:
            EngineFailure: Nothing more is tried.
        """
        tried = waited = 0
        most = self._provider.stream_max_retries
        while True:
            try:
                async with aclosing(attempt()) as events:
                    async for event in events:
                        yield event
            except CallFailed as failed:
                failure = failed
            else:
                return
            if failure.offline and waited < MAX_WAITS:
                waited += 1
                told, delay = "waiting for network", network_wait(waited)
            elif failure.again and not failure.offline and tried < most:
                tried += 1
                told, delay = f"{tried}/{most}", failure.delay if failure.delay is not None else backoff(tried)
            else:
                raise failure.failure()
            info = {"responseStreamDisconnected": {"httpStatusCode": failure.status}}
            yield Retrying(f"Reconnecting... {told}", info, failure.message)
            await asyncio.sleep(delay)

    def _call(self, *, cut: bool) -> ModelCall:
        steered = self._turn.wait_steered if cut else None
        return ModelCall(self._endpoint, self._provider, call_headers(self._turn.thread_id), steered)

    async def _ask(self, reply: _Reply) -> AsyncGenerator[Event, None]:
        """One attempt of a call, and the tools that it calls."""
        body = request_body(self._settings, self._turn.thread_id, self._history, self._tools.offered)
        calls: list[msgspec.Raw] = []
        try:
            async with aclosing(self._call(cut=True).events(body)) as events:
                async for event in events:
                    if isinstance(event, Completed):
                        reply.completed = event
                        break
                    yield event
                    if isinstance(event, ItemDone) and is_known(event.item):
                        self._history.append(event.item)
                        if is_call(event.item):
                            calls.append(event.item)
        except Steered:
            pass
        except CallFailed as failed:
            if failed.again:
                reply.answered = reply.answered or bool(calls)
                for output in await self._outputs(calls):
                    yield ItemDone(output)
                    self._add(output)
            raise
        usage = reply.completed.usage if reply.completed is not None else None
        if usage is not None and reply.completed is not None:
            self._tokens = usage.total_tokens
            yield Usage(usage, reply.completed.response_id)
        for output in await self._outputs(calls):
            yield ItemDone(output)
            self._add(output)
        reply.answered = reply.answered or bool(calls)

    # --- tools --------------------------------------------------------------------------------------------------------

    async def _outputs(self, calls: list[msgspec.Raw]) -> list[msgspec.Raw]:
        """The outputs of calls, in their order; the tools run at the same time."""
        answers = [asyncio.ensure_future(self._answer(call)) for call in calls]
        try:
            outputs = await asyncio.gather(*answers)
        finally:
            for answer in answers:  # where one failed, nobody waits for the others
                answer.cancel()
        return [output_of(call, output) for call, output in zip(calls, outputs, strict=True)]

    async def _answer(self, item: msgspec.Raw) -> Any:
        meant = self._tools.meant_by(item)
        if isinstance(meant, ToolCall):
            return (await self._turn.call_tool(meant)).output
        return meant

    # --- compaction ---------------------------------------------------------------------------------------------------

    async def _summed_up(self, older: list[msgspec.Raw], reply: _Reply, *, sealed: bool) -> AsyncGenerator[Event, None]:
        """The call that sums a context up. Where that is too large even for this, its oldest items are left out."""
        rest = older
        while True:
            body = self._sealing_body(rest) if sealed else self._summing_body(rest)
            attempt = self._tried_again(partial(self._listen, body, reply))
            try:
                async with aclosing(attempt) as events:
                    async for event in events:
                        yield event
            except EngineFailure as failure:
                if sealed or failure.info != CONTEXT_EXCEEDED or len(rest) <= 1:
                    raise
                rest = without_oldest(rest)
            else:
                return

    async def _listen(self, body: bytes, reply: _Reply) -> AsyncGenerator[Event, None]:
        """One attempt of a call whose items nobody is shown."""
        reply.items = []
        async with aclosing(self._call(cut=False).events(body)) as events:
            async for event in events:
                if isinstance(event, ItemDone):
                    reply.items.append(event.item)
                elif isinstance(event, Completed):
                    reply.completed = event
                    if event.usage is not None:
                        yield Usage(event.usage, event.response_id)

    def _summing_body(self, history: list[msgspec.Raw]) -> bytes:
        prompt = user_message(self._settings.compact_prompt or COMPACT_PROMPT)
        settings = msgspec.structs.replace(self._settings, output_schema=None)
        return request_body(settings, self._turn.thread_id, history, (), last=[prompt], parallel=False)

    def _sealing_body(self, history: list[msgspec.Raw]) -> bytes:
        trigger = {"type": "compaction_trigger"}
        return request_body(self._settings, self._turn.thread_id, history, self._tools.offered, last=[trigger])

    def _summary(self, reply: _Reply, *, sealed: bool) -> tuple[msgspec.Raw, str]:
        """The summary as an item, and in words where anybody can read it."""
        if sealed:
            made = [item for item in reply.items if is_sealed_summary(item)]
            if len(made) != 1:
                raise EngineFailure(f"asked to compact, the provider gave {len(made)} compactions for one")
            return made[0], ""
        texts = [text for item in reply.items if (text := answer_text(item)) is not None]
        words = texts[-1] if texts else ""
        return summary_item(words, self._turn.turn_id), summary_words(words)
