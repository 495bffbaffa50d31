"""The order in which things are done to one thread.

Changes run one after the other, in the order in which they came. A read starts when the changes that came before it are
done, and then runs beside whatever follows. Threads do not wait for each other.
"""

from __future__ import annotations

import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from threadkeep.appserver._workers import Workers

__all__ = ["Lanes"]


class Lanes:
    """The lanes of all threads; one exists as long as something is in it."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._lock = threading.Lock()
        self._lanes: dict[str, deque[tuple[bool, Callable[[], None]]]] = {}

    def change(self, key: str, task: Callable[[], None]) -> None:
        """Do a change when those before it are done."""
        self._put(key, True, task)

    def read(self, key: str, task: Callable[[], None]) -> None:
        """Start a read when the changes before it are done."""
        self._put(key, False, task)

    def _put(self, key: str, changes: bool, task: Callable[[], None]) -> None:
        with self._lock:
            lane = self._lanes.get(key)
            if lane is not None:
                lane.append((changes, task))
                return
            if changes:
                self._lanes[key] = deque()
        self._workers.submit(partial(self._run, key, task) if changes else task)

    def _run(self, key: str, task: Callable[[], None]) -> None:
        try:
            task()
        finally:
            self._next(key)

    def _next(self, key: str) -> None:
        """After a change: start the reads behind it, and the next change."""
        ready: list[Callable[[], None]] = []
        with self._lock:
            lane = self._lanes[key]
            while lane:
                changes, task = lane.popleft()
                if changes:
                    ready.append(partial(self._run, key, task))
                    break
                ready.append(task)
            else:
                del self._lanes[key]
        for task in ready:
            self._workers.submit(task)
