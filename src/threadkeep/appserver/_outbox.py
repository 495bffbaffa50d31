"""What waits to be sent to one client: whole messages, and answers that are made while they are sent.

The order in which messages are put is the order in which they leave. A streamed answer takes its place when it begins,
and what is put after it waits behind it. Everything that waits is bounded: whoever makes a streamed answer waits for
the client, and a client that does not take its messages is let go.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HIGH_WATER", "MOST_WAITING", "ClientGone", "Outbox", "Stream"]

MOST_WAITING: Final = 64 * 1024 * 1024
"""Bytes of whole messages that may wait for a client; one that leaves more is let go."""

HIGH_WATER: Final = 2 * 1024 * 1024
"""Bytes of a streamed answer that are made ahead of the client."""

PATIENCE: Final = 120.0
"""Seconds for which a streamed answer waits for a client that takes nothing."""


class ClientGone(Exception):
    """Nobody takes what is sent any more."""


class _Message:
    __slots__ = ("ended", "pieces")

    def __init__(self) -> None:
        self.pieces: deque[bytes] = deque()
        self.ended = False


class Outbox:
    """The messages that wait for one client. Any thread may put; one thread takes.

    Args:
        most_waiting: Bytes of whole messages that may wait.
        patience: Seconds for which a streamed answer waits for a client that takes nothing.

    Attributes:
        on_ready: Called, from any thread and without a lock held, when something can be taken, or it was closed.
        on_close: Called once, with the reason, when it is closed from this side.
    """

    def __init__(self, *, most_waiting: int = MOST_WAITING, patience: float = PATIENCE) -> None:
        self.on_ready: Callable[[], None] | None = None
        self.on_close: Callable[[str], None] | None = None
        self._most_waiting = most_waiting
        self._patience = patience
        self._changed = threading.Condition()
        self._messages: deque[_Message] = deque()
        self._waiting = 0
        self._taken = 0
        self._closed: str | None = None

    @property
    def closed(self) -> str | None:
        """Why nothing is taken any more; None while it is."""
        return self._closed

    @property
    def waiting(self) -> int:
        """Bytes that wait now."""
        return self._waiting

    def put(self, message: bytes) -> None:
        """Put a whole message; what is put for a client that is gone is dropped."""
        whole = _Message()
        whole.pieces.append(message)
        whole.ended = True
        with self._changed:
            if self._closed is not None:
                return
            self._messages.append(whole)
            self._waiting += len(message)
            too_much = self._waiting > self._most_waiting
            self._changed.notify_all()
        if too_much:
            self.close(f"more than {self._most_waiting} bytes wait for a client that does not take them")
        self._tell()

    def stream(self) -> Stream:
        """Begin a message that is made in pieces; its place among the others is here."""
        begun = _Message()
        with self._changed:
            if self._closed is None:
                self._messages.append(begun)
        return Stream(self, begun)

    def take(self, timeout: float | None = None) -> tuple[bytes, bool] | None:
        """The next piece, and whether it ends its message; waits for one.

        Returns:
            None after the timeout (seconds), and when there will be no more.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed is not None or self._ready(), timeout)
            return self._take()

    def try_take(self) -> tuple[bytes, bool] | None:
        """The next piece, and whether it ends its message; None where there is none now."""
        with self._changed:
            return self._take()

    def drained(self, timeout: float) -> bool:
        """Wait until everything was taken; whether it was."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed is not None or not self._messages, timeout)

    def close(self, reason: str) -> None:
        """Drop what waits, and take no more. Closing twice is no error: the first reason stays."""
        with self._changed:
            if self._closed is not None:
                return
            self._closed = reason
            self._messages.clear()
            self._waiting = 0
            self._changed.notify_all()
        if self.on_close is not None:
            self.on_close(reason)
        self._tell()

    def _ready(self) -> bool:
        return bool(self._messages) and (bool(self._messages[0].pieces) or self._messages[0].ended)

    def _take(self) -> tuple[bytes, bool] | None:
        if not self._ready():
            return None
        message = self._messages[0]
        piece = message.pieces.popleft() if message.pieces else b""
        last = message.ended and not message.pieces
        if last:
            self._messages.popleft()
        self._waiting -= len(piece)
        self._taken += 1
        self._changed.notify_all()
        return piece, last

    def _tell(self) -> None:
        if self.on_ready is not None:
            self.on_ready()

    # For streams

    def _add(self, message: _Message, piece: bytes) -> None:
        with self._changed:
            self._wait_for_room(message)
            message.pieces.append(piece)
            self._waiting += len(piece)
            self._changed.notify_all()
        self._tell()

    def _wait_for_room(self, message: _Message) -> None:
        taken, deadline = self._taken, time.monotonic() + self._patience
        while self._closed is None and sum(map(len, message.pieces)) >= HIGH_WATER:
            if not self._changed.wait(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                break
            if self._taken != taken:
                taken, deadline = self._taken, time.monotonic() + self._patience
        else:
            if self._closed is not None:
                raise ClientGone(self._closed)
            return
        self._changed.release()
        try:
            self.close(f"a client took nothing for {self._patience:.0f} seconds")
        finally:
            self._changed.acquire()
        raise ClientGone(self._closed)

    def _end(self, message: _Message) -> None:
        with self._changed:
            message.ended = True
            self._changed.notify_all()
        self._tell()


class Stream:
    """A message while it is made."""

    def __init__(self, outbox: Outbox, message: _Message) -> None:
        self._outbox = outbox
        self._message = message

    def write(self, piece: bytes) -> None:
        """Add a piece; waits while the client is behind.

        Raises:
            ClientGone: Nobody takes it any more.
        """
        self._outbox._add(self._message, piece)  # noqa: SLF001  # the two are one thing

    def end(self) -> None:
        """The message is whole."""
        self._outbox._end(self._message)  # noqa: SLF001
