"""One client over standard input and output: a JSON message on each line.

The main thread reads, so that a signal finds it; another writes what waits in the outbox. The end of the input, a
signal, and a client that reads no more are all the same: what is being appended is finished, running turns end as
interrupted, and the process ends.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from threadkeep.appserver._outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["GRACE", "MOST_LINE", "LineTooLong", "Lines", "Serving", "say", "serve"]

MOST_LINE: Final = 256 * 1024 * 1024
"""Bytes of one message; a client that sends more is let go."""

GRACE: Final = 10.0
"""Seconds for which the end waits for turns and appends."""

FLUSH: Final = 2.0
"""Seconds for which the end waits for the client to take what was sent."""

_READ: Final = 256 * 1024

_WRITE: Final = 64 * 1024
"""Bytes up to which short messages are written at once."""


class Serving(Protocol):
    """What a transport needs of the server."""

    def connect(self, outbox: Outbox, *, handshake: Mapping[str, Any] | None = None) -> Client:
        """A new client."""

    def disconnect(self, connection: Any) -> None:
        """A client is gone."""

    def shutdown(self, seconds: float = ...) -> None:
        """The end of the server."""


class Client(Protocol):
    """What a transport needs of a connection."""

    on_close: Callable[[str], None] | None

    def receive(self, message: bytes) -> None:
        """Take one message."""


class LineTooLong(Exception):
    """A message is longer than any may be."""


def say(text: str) -> None:
    """Tell whoever runs the server, on standard error."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"threadkeep app-server: {text}\n")
            sys.stderr.flush()


def serve(
    server: Serving,
    source: int,
    sink: int,
    *,
    received: bytes = b"",
    handshake: Mapping[str, Any] | None = None,
    most_line: int = MOST_LINE,
) -> int:
    """Serve one client until it leaves or the process is told to end.

    Args:
        server: The server, which ends with its client.
        source: Descriptor to read from.
        sink: Descriptor to write to.
        received: What was read of it before.
        handshake: The parameters of an ``initialize`` that was answered before.
        most_line: Bytes that a message may have.

    Returns:
        The exit code: 1 where the client was let go, with a word on standard error.
    """
    outbox = Outbox()
    with _Ending() as ending:
        connection = server.connect(outbox, handshake=handshake)
        connection.on_close = ending.because
        writer = threading.Thread(target=_write, args=(outbox, sink, ending), name="stdout", daemon=True)
        writer.start()
        try:
            _read(connection, source, ending, Lines(most_line), received)
        except LineTooLong as error:
            ending.because(str(error))
        reason = ending.reason
    if reason:
        say(reason)
    server.shutdown(GRACE)
    outbox.drained(FLUSH)
    server.disconnect(connection)
    writer.join(FLUSH)
    return 1 if reason else 0


class Lines:
    """Lines of what comes in pieces.

    Args:
        most: Bytes that a line may have.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._begun: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The lines that a piece ends, without their ends.

        Raises:
            LineTooLong: One is longer than any may be.
        """
        *ended, rest = piece.split(b"\n")
        for part in ended:
            self._add(part)
            yield self.rest()
        self._add(rest)

    def rest(self) -> bytes:
        """What was begun, and is no more."""
        line = b"".join(self._begun)
        self._begun.clear()
        self._size = 0
        return line

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._most:
            self._begun.clear()
            raise LineTooLong(f"a message has more than {self._most} bytes")
        if part:
            self._begun.append(part)


class _Ending:
    """What ends the reading: a signal, or another thread, with or without a reason to tell.

    Attributes:
        reason: Why the client is let go; empty where it leaves or the process is told to end.
        descriptor: Can be read from when it is time.
    """

    def __init__(self) -> None:
        self.reason = ""
        self.descriptor, self._tell = os.pipe()
        os.set_blocking(self._tell, False)
        self._lock = threading.Lock()
        self._over = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            signal.set_wakeup_fd(self._tell, warn_on_full_buffer=False)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, _nothing)
        return self

    def __exit__(self, *_: object) -> None:
        """From now on a signal ends the process as it is."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            signal.set_wakeup_fd(-1)
        with self._lock:
            self._over = True
            os.close(self._tell)
            os.close(self.descriptor)

    def because(self, reason: str) -> None:
        """It is time; the first reason stays."""
        with self._lock:
            if self._over:
                return
            self.reason = self.reason or reason
            with contextlib.suppress(BlockingIOError):  # it is full: the reader will look
                os.write(self._tell, b"\0")


def _nothing(number: int, frame: object) -> None:
    """The signal is read from the descriptor."""


def _read(connection: Client, source: int, ending: _Ending, lines: Lines, received: bytes) -> None:
    piece = received
    while True:
        for line in lines.feed(piece):
            connection.receive(line)
        ready, _, _ = select.select([source, ending.descriptor], [], [])
        if ending.descriptor in ready:
            return
        try:
            piece = os.read(source, _READ)
        except BlockingIOError:
            piece = b""
            continue
        except OSError:  # a terminal that is gone, a socket that was reset
            return
        if not piece:
            connection.receive(lines.rest())
            return


def _write(outbox: Outbox, sink: int, ending: _Ending) -> None:
    try:
        while (taken := outbox.take()) is not None:
            _write_all(sink, _gathered(outbox, taken))
    except OSError:  # nobody reads any more
        outbox.close("")
        ending.because("")


def _gathered(outbox: Outbox, taken: tuple[bytes, bool]) -> bytes:
    """A piece and those behind it that are ready, as long as they are short."""
    parts, size = [], 0
    more: tuple[bytes, bool] | None = taken
    while more is not None:
        piece, last = more
        parts.append(piece)
        if last:
            parts.append(b"\n")
        size += len(piece)
        more = outbox.try_take() if size < _WRITE else None
    return b"".join(parts)


def _write_all(sink: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(sink, left) :]
        except BlockingIOError:
            select.select([], [sink], [])
