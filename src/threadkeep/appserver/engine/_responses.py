"""The built-in engine: it runs turns on a Responses API, with the client's own tools and no others.

A turn is model calls, one after the other, until the model asks for nothing more and nobody has said anything more.
What fails is tried again as Codex 0.169 does (observed): a call that the provider could not take, without a word; a
stream that broke, with one. What a broken stream had finished stays.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from threadkeep.appserver.engine._client import Clients
from threadkeep.appserver.engine._turn import Turn

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from threadkeep.appserver.engine._protocol import Event, RunningTurn

__all__ = ["ResponsesEngine"]


class ResponsesEngine:
    """An `Engine` for every provider with a Responses API. It belongs to one event loop.

    Args:
        environ: The environment that keys and headers are taken from; None for the process's own.
        stored_key: Gives the home's own key (``auth.json``), asked anew for each turn of a provider that wants it.
    """

    def __init__(
        self, environ: Mapping[str, str] | None = None, stored_key: Callable[[], str | None] | None = None
    ) -> None:
        self._clients = Clients(environ, stored_key)

    async def run(self, turn: RunningTurn) -> AsyncGenerator[Event, None]:
        """Run a turn to its end.

        Raises:
            EngineFailure: It cannot go on.
        """
        endpoint = await self._clients.of(turn.settings.provider)
        async with aclosing(Turn(turn, endpoint).run()) as events:
            async for event in events:
                yield event

    async def compact(self, turn: RunningTurn) -> AsyncGenerator[Event, None]:
        """Compact the context of a thread, and do nothing else.

        Raises:
            EngineFailure: It cannot be compacted.
        """
        endpoint = await self._clients.of(turn.settings.provider)
        async with aclosing(Turn(turn, endpoint).compact()) as events:
            async for event in events:
                yield event

    async def close(self) -> None:
        """Close all connections."""
        await self._clients.close()
