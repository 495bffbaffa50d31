"""One request on its way: what it asks, who asks it, and how it is answered."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from threadkeep.appserver._connection import Connection
    from threadkeep.appserver._rpc import RpcError
    from threadkeep.appserver._server import Server

__all__ = ["Call", "Elsewhere", "Streamed"]


class Streamed:
    """A result that is made while it is sent.

    Args:
        pieces: The JSON of the result, in pieces of at most about a megabyte.
        close: Called once at the end, however much of it was sent.
    """

    def __init__(self, pieces: Iterator[bytes], close: Callable[[], None] = lambda: None) -> None:
        self.pieces = pieces
        self.close = close


class Elsewhere(Exception):
    """A request turned out to be about another thread than the one in whose lane it is: it goes on in that one's.

    Raised by a handler before it changed anything.
    """

    def __init__(self, thread_id: str) -> None:
        super().__init__(thread_id)
        self.thread_id = thread_id


class Call:
    """A request of a client.

    Attributes:
        server: The server.
        connection: The client.
        method: What is asked.
        params: With what, checked (`threadkeep.appserver._params.check`).
        lane: The thread in whose lane it is; None where it is in none's.
    """

    def __init__(
        self, server: Server, connection: Connection, request_id: int | str, method: str, params: dict[str, Any]
    ) -> None:
        self.server = server
        self.connection = connection
        self.method = method
        self.params = params
        self.lane: str | None = None
        self._id = request_id
        self._lock = threading.Lock()
        self._answered = False

    def respond(self, value: Any) -> None:
        """Answer it; what a handler sends afterwards reaches the client after the answer.

        Args:
            value: JSON values, which may hold `msgspec.Raw`, or `Streamed`.
        """
        if self._answer():
            self.connection.answer(self._id, value)

    def fail(self, error: RpcError) -> None:
        """Answer it with an error."""
        if self._answer():
            self.connection.refuse(self._id, error)

    def _answer(self) -> bool:
        with self._lock:
            first, self._answered = not self._answered, True
        return first
