"""Asynchronous libraries, called one call after the other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["Loop"]


class Loop:
    """An event loop that is kept between calls, and is a new one after a call that was stopped."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def run(self, call: Coroutine[Any, Any, Any]) -> Any:
        """Wait for a call."""
        try:
            return self._runner.run(call)
        except BaseException:
            used, self._runner = self._runner, asyncio.Runner()
            used.close()  # what was begun must not go on beside what is measured next
            raise
