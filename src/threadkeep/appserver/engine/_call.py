"""One model call: it is sent, tried again where the provider could not take it, and its stream is read to the end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeVar

from threadkeep.appserver.engine._errors import CallFailed, disconnected, not_connected
from threadkeep.appserver.engine._stream import Completed, ResponseReader, server_sent_data

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine

    from openai import AsyncStream

    from threadkeep.appserver._config import Provider
    from threadkeep.appserver.engine._client import Endpoint
    from threadkeep.appserver.engine._protocol import Event

__all__ = ["ModelCall", "Steered", "backoff", "network_wait"]

FIRST_DELAY: Final = 0.2
"""Seconds before the first retry; each later one waits twice as long (0.169.0 observed)."""
FIRST_WAIT: Final = 5.0
"""Seconds before a provider that was not reached is tried again; each later time twice as long."""
MAX_WAIT: Final = 60.0
"""Longest time between two calls, in seconds."""

_Result = TypeVar("_Result")


class Steered(Exception):
    """Somebody said more while the model was speaking: the call was cut."""


def backoff(attempt: int) -> float:
    """Seconds before the ``attempt``-th retry, counted from 1."""
    return min(FIRST_DELAY * 2.0 ** min(attempt - 1, 16), MAX_WAIT)


def network_wait(attempt: int) -> float:
    """Seconds before a provider that was not reached is called for the ``attempt``-th time again, counted from 1."""
    return min(FIRST_WAIT * 2.0 ** min(attempt - 1, 8), MAX_WAIT)


class ModelCall:
    """One call of a model.

    Args:
        endpoint: Where it goes.
        provider: How patient one is with it.
        headers: The call's own.
        wait_steered: Returns when the call is to be cut; None for one that is not.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        provider: Provider,
        headers: dict[str, str],
        wait_steered: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._client = endpoint.client
        self._provider = provider
        self._headers = {**headers, **endpoint.headers}
        self._wait_steered = wait_steered

    async def events(self, body: bytes) -> AsyncGenerator[Event | Completed, None]:
        """What comes of a request, `Completed` last. However it is left, its connection is closed then.

        Raises:
            CallFailed: It failed.
            Steered: It was cut.
        """
        steered = asyncio.ensure_future(self._steering())
        stream: AsyncStream[object] | None = None
        try:
            stream = await self._unless(steered, self._opened(body), None)
            reader = ResponseReader()
            data = server_sent_data(_bytes_of(stream))
            silence = self._provider.stream_idle_timeout_ms / 1000
            while (piece := await self._unless(steered, _next(data), silence)) is not None:
                event = reader.read(piece)
                if event is not None:
                    yield event
                if isinstance(event, Completed):
                    return
            raise reader.ended()
        finally:
            await _cancelled(steered)
            if stream is not None:
                await stream.close()

    async def _steering(self) -> None:
        if self._wait_steered is None:
            await asyncio.get_running_loop().create_future()
        else:
            await self._wait_steered()

    async def _unless(
        self, steered: asyncio.Future[None], work: Coroutine[Any, Any, _Result], silence: float | None
    ) -> _Result:
        """What ``work`` gives, unless somebody says more first, or nothing comes for ``silence`` seconds."""
        task = asyncio.ensure_future(work)
        both: set[asyncio.Future[Any]] = {task, steered}
        try:
            done, _ = await asyncio.wait(both, timeout=silence, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not task.done():
                await _cancelled(task)
        if task in done:
            return task.result()
        if steered in done:
            steered.result()  # where what was said could not be kept, the turn fails
            raise Steered
        raise disconnected("idle timeout waiting for SSE")

    async def _opened(self, body: bytes) -> AsyncStream[object]:
        """The stream of the response. A call that the provider could not take is sent again, without a word."""
        for attempt in range(1, self._provider.request_max_retries + 1):
            try:
                return await self._sent(body)
            except CallFailed as failed:
                if not failed.unsent:
                    raise
            await asyncio.sleep(backoff(attempt))
        return await self._sent(body)

    async def _sent(self, body: bytes) -> AsyncStream[object]:
        from openai import APIConnectionError, APITimeoutError, AsyncStream

        try:
            return await self._client.post(
                "/responses",
                cast_to=object,
                content=body,
                options={"headers": self._headers},
                stream=True,
                stream_cls=AsyncStream[object],
            )
        except APITimeoutError as error:
            raise not_connected("timed out", refused=type(error.__cause__).__name__ == "ConnectTimeout") from None
        except APIConnectionError as error:
            cause = error.__cause__
            if isinstance(cause, CallFailed):
                raise cause from None
            raise not_connected(
                str(cause) or type(cause).__name__, refused=type(cause).__name__ == "ConnectError"
            ) from None


async def _bytes_of(stream: AsyncStream[object]) -> AsyncIterator[bytes]:
    """The bytes of a response, as they come."""
    try:
        async for chunk in stream.response.aiter_bytes():
            yield chunk
    except Exception as error:  # noqa: BLE001 - whatever the transport below the package raises: it is over
        raise disconnected(f"Transport error: {str(error) or type(error).__name__}") from None


async def _next(data: AsyncIterator[bytes]) -> bytes | None:
    return await anext(data, None)


async def _cancelled(task: asyncio.Future[Any]) -> None:
    """Cancel a task and wait until it has let go."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # looked at: what nobody waits for any more is no news
