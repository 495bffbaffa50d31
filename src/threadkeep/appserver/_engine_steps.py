"""An engine's events, one after the other, by somebody who may have to stop in the middle of a step."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from threadkeep.appserver.engine import Event

__all__ = ["END", "EngineSteps"]

END: Final = object()
"""What comes after an engine's last event."""

_LETTING_GO: Final = 10.0
"""Seconds that an engine has to stop when it is interrupted; one that does not is left to itself."""


class EngineSteps:
    """Takes the events of one engine at a time; used on the loop."""

    def __init__(self) -> None:
        self._step: asyncio.Task[Any] | None = None
        self._given_up: asyncio.Future[None] | None = None
        self._stopped = False

    async def next(self, events: AsyncIterator[Event]) -> Any:
        """The next event, or `END`.

        Raises:
            CancelledError: It was stopped meanwhile.
            EngineFailure: The engine cannot go on.
        """

        async def step() -> Any:
            return await anext(events, END)

        loop = asyncio.get_running_loop()
        self._step, self._given_up, self._stopped = loop.create_task(step()), loop.create_future(), False
        try:
            await asyncio.wait({self._step, self._given_up}, return_when=asyncio.FIRST_COMPLETED)
            if self._given_up.done():
                raise asyncio.CancelledError
            if self._stopped and (failed := self._step.exception()) is not None:
                raise asyncio.CancelledError from failed  # it was to stop, and did
            return self._step.result()
        finally:
            self._step.cancel()
            self._step = None

    def stop(self) -> None:
        """End the step that is waited for; where the engine does not end it, it is waited for no longer.

        An engine that lets go of what it holds is not disturbed by another stop.
        """
        if self._step is not None and self._given_up is not None and not self._stopped:
            self._stopped = True
            self._step.cancel()
            asyncio.get_running_loop().call_later(_LETTING_GO, _resolve, self._given_up)

    @staticmethod
    async def let_go(events: AsyncIterator[Event]) -> None:
        """Have an engine let go of what it holds; it has a limited time to do so."""
        close = getattr(events, "aclose", None)
        if close is None:
            return
        # It may hang, or its last step may still run: nobody listens to it any more.
        closing = asyncio.ensure_future(close())
        await asyncio.wait({closing}, timeout=_LETTING_GO)
        closing.cancel()
        if closing.done():
            # What it kept is kept, and how the turn ended is settled: a clean-up that fails changes neither.
            with contextlib.suppress(asyncio.CancelledError, Exception):
                closing.result()


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
