"""What of each thread was not read yet, as clients share it while the server runs."""

from __future__ import annotations

import threading
from typing import Any, Final

from threadkeep.appserver import _rpc

__all__ = ["ReadStates"]

MOST_KEPT: Final = 10_000
"""Threads whose state is kept; beyond that the one that changed longest ago is forgotten, and counts as read."""


class ReadStates:
    """The read state of every thread that something happened to since the server started."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: dict[str, dict[str, Any]] = {}

    def get(self, thread_id: str) -> dict[str, Any] | None:
        """A thread's state (``firstUnread``, ``revision``); None where nothing happened to it."""
        with self._lock:
            state = self._states.get(thread_id)
            return dict(state) if state is not None else None

    def turn_ended(self, thread_id: str, turn_id: str) -> dict[str, Any]:
        """A turn is there that nobody read yet: the new state."""
        with self._lock:
            state = self._states.get(thread_id)
            first = state["firstUnread"] if state is not None else None
            return self._put(thread_id, first or {"type": "turn", "turnId": turn_id})

    def update(self, thread_id: str, expected: str, first_unread: dict[str, Any] | None) -> dict[str, Any]:
        """Set where the unread part begins; None: everything was read.

        Raises:
            RpcError: There is no state, or it is no longer the one that the client saw.
        """
        with self._lock:
            state = self._states.get(thread_id)
            if state is None:
                raise _rpc.invalid("thread read state unavailable")
            if state["revision"] != expected:
                raise _rpc.invalid("read state changed")
            return self._put(thread_id, first_unread)

    def forget(self, thread_id: str) -> None:
        """The thread is gone."""
        with self._lock:
            self._states.pop(thread_id, None)

    def _put(self, thread_id: str, first_unread: dict[str, Any] | None) -> dict[str, Any]:
        import uuid

        self._states.pop(thread_id, None)
        state = self._states[thread_id] = {"firstUnread": first_unread, "revision": str(uuid.uuid4())}
        while len(self._states) > MOST_KEPT:
            self._states.pop(next(iter(self._states)))
        return dict(state)
