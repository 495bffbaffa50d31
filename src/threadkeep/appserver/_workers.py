"""Threads that do the work of requests: as many as are needed, up to a bound.

`concurrent.futures` would do, and costs 14 ms of the first answer for what is not used here.
"""

from __future__ import annotations

import sys
import threading
from _queue import SimpleQueue
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Share", "Workers"]


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


class Share:
    """Some of the workers, for tasks of one kind: however many there are, the other workers are left to others.

    Args:
        workers: Whose threads do the work.
        most: How many tasks may be worked on at once. They are begun in the order in which they came.
    """

    def __init__(self, workers: Workers, most: int) -> None:
        self._workers = workers
        self._most = most
        self._lock = threading.Lock()
        self._running = 0
        self._waiting: deque[Callable[[], None]] = deque()

    def submit(self, task: Callable[[], None]) -> None:
        """Have ``task`` called when it is its turn."""
        with self._lock:
            if self._running >= self._most:
                self._waiting.append(task)
                return
            self._running += 1
        self._workers.submit(partial(self._work, task))

    def _work(self, task: Callable[[], None]) -> None:
        try:
            task()
        finally:
            with self._lock:
                following = self._waiting.popleft() if self._waiting else None
                if following is None:
                    self._running -= 1
            if following is not None:
                self._workers.submit(partial(self._work, following))
