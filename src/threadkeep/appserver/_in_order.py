"""Steps that block, done in worker threads for somebody on the loop: one after the other, each to its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

__all__ = ["InOrder"]

T = TypeVar("T")


class InOrder:
    """Does what blocks in a worker thread, after what was given to it before."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def do(self, step: Callable[[], T], then: Callable[[T], object] | None = None) -> T:
        """Do a step in a worker thread, and ``then`` what follows on the loop.

        Both are done to their end, whatever becomes of the one who waits.
        """
        loop = asyncio.get_running_loop()

        async def in_turn() -> T:
            async with self._turn:
                made = await loop.run_in_executor(None, step)
                if then is not None:
                    then(made)
                return made

        return await asyncio.shield(loop.create_task(in_turn()))

    async def do_with(self, lock: threading.RLock, step: Callable[[], object]) -> None:
        """Do a quick step on the loop, or in a worker thread where somebody holds the lock that it takes."""
        if lock.acquire(blocking=False):
            try:
                step()
            finally:
                lock.release()
        else:
            await self.do(step)
