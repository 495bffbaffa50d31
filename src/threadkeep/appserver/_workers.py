"""Threads that do the work of requests: as many as are needed, up to a bound.

`concurrent.futures` would do, and costs 14 ms of the first answer for what is not used here.
"""

from __future__ import annotations

import sys
import threading
from _queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Workers"]


class Workers:
    """A pool of threads that do not keep the process alive.

    Args:
        name: What its threads are called.
        most: How many there may be.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._tasks: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0

    def submit(self, task: Callable[[], None]) -> None:
        """Have a thread call ``task`` as soon as one is free."""
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
            elif self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()
        self._tasks.put(task)

    def _work(self) -> None:
        while True:
            task = self._tasks.get()
            try:
                task()
            except BaseException:  # noqa: BLE001  # a worker outlives whatever a task did not catch
                sys.excepthook(*sys.exc_info())
            del task
            with self._lock:
                self._idle += 1
