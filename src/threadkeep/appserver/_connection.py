"""One client: its handshake, what it wants to hear, its requests and ours to it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

from threadkeep.appserver import _rpc
from threadkeep.appserver._call import Streamed
from threadkeep.appserver._outbox import ClientGone
from threadkeep.appserver._workers import Share

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from threadkeep.appserver._outbox import Outbox, Stream
    from threadkeep.appserver._rpc import Incoming, RpcError
    from threadkeep.appserver._server import Server

__all__ = ["MOST_IN_FLIGHT", "Connection"]

MOST_IN_FLIGHT: Final = 512
"""Requests of one client that may be worked on at once; more are refused as an overload."""

MOST_READING: Final = 8
"""Requests of one client that change nothing and are worked on at once; the others wait, and keep no client waiting."""

_EXPERIMENTAL: Final = frozenset({"thread/readState/changed"})
"""What only clients are told that asked for the experimental API (0.169.0 observed)."""

MOST_ASKED: Final = 1024
"""Requests to one client that may wait for its answer."""


class Connection:
    """A client of the server.

    Made by `Server.connect`; its transport calls `receive` with every message, and `Server.disconnect` at the end.

    Attributes:
        number: Counts the connections of a server.
        client_name: What the client calls itself.
        client_version: Its version.
        experimental: Whether it asked for the experimental API.
        reading: Works on its requests that change nothing.
        on_close: Set by the transport: called with a reason when the server lets the client go.
    """

    def __init__(self, server: Server, number: int, outbox: Outbox) -> None:
        self.number = number
        self.client_name = ""
        self.client_version = ""
        self.experimental = False
        self.on_close: Callable[[str], None] | None = None
        self.reading = Share(server.workers, MOST_READING)
        self._server = server
        self._outbox = outbox
        # In the order in which they leave: a client that takes nothing holds one worker.
        self._pouring = Share(server.bulk, 1)
        self._opted_out: frozenset[str] = frozenset()
        self._ready = False
        self._lock = threading.Condition()
        self._in_flight = 0
        self._asked: dict[int | str, Callable[[Incoming | None], None]] = {}
        self._last_asked = 0
        self.gone = False
        outbox.on_close = self._let_go

    @property
    def ready(self) -> bool:
        """Whether the handshake was made."""
        return self._ready

    def shake_hands(self, params: Mapping[str, Any]) -> None:
        """Take over what the client said in a valid ``initialize``."""
        client = params["clientInfo"]
        capabilities = params.get("capabilities") or {}
        self.client_name = client["name"]
        self.client_version = client["version"]
        self.experimental = bool(capabilities.get("experimentalApi"))
        self._opted_out = frozenset(capabilities.get("optOutNotificationMethods") or ())
        self._ready = True

    # From the client

    def receive(self, message: bytes) -> None:
        """Take one message. Quick, and never raises: the work is done by the server's workers."""
        incoming = _rpc.decode(message)
        if incoming is None:
            return
        if incoming.is_response:
            self._answered(incoming)
        elif incoming.is_request:
            self._server.handle(self, incoming)

    @property
    def busy(self) -> bool:
        """Whether one of its requests is being worked on."""
        return self._in_flight > 0

    def admit(self) -> bool:
        """Whether one more request may be worked on."""
        with self._lock:
            if self._in_flight >= MOST_IN_FLIGHT:
                return False
            self._in_flight += 1
            return True

    def _answered(self, incoming: Incoming) -> None:
        with self._lock:
            waiting = self._asked.pop(incoming.id, None) if incoming.id is not None else None
        if waiting is not None:
            waiting(incoming)

    # To the client

    def answer(self, request_id: int | str, value: Any) -> None:
        """Send the result of an admitted request."""
        if isinstance(value, Streamed):
            stream = self._outbox.stream()
            self._pouring.submit(lambda: self._pour(stream, request_id, value))
            return
        try:
            message = _rpc.result(request_id, value)
        except Exception as error:
            self.refuse(request_id, _rpc.internal(f"the answer cannot be sent: {type(error).__name__}"))
            raise
        self._outbox.put(message)
        self._done()

    def _pour(self, stream: Stream, request_id: int | str, answer: Streamed) -> None:
        try:
            stream.write(_rpc.result_head(request_id))
            for piece in answer.pieces:
                stream.write(piece)
            stream.write(_rpc.RESULT_TAIL)
            stream.end()
        except ClientGone:
            pass
        except Exception as error:  # noqa: BLE001  # half an answer stands: nothing after it could be understood
            self.close(f"an answer could not be finished: {error}")
        finally:
            answer.close()
            self._done()

    def refuse(self, request_id: int | str, error: RpcError) -> None:
        """Send the error of an admitted request."""
        self._outbox.put(_rpc.error(request_id, error))
        self._done()

    def refuse_at_once(self, request_id: int | str, error: RpcError) -> None:
        """Send the error of a request that was not admitted."""
        self._outbox.put(_rpc.error(request_id, error))

    def send_result(self, request_id: int | str, value: Any) -> None:
        """Send the result of a request that was not admitted (the handshake)."""
        self._outbox.put(_rpc.result(request_id, value))

    def _done(self) -> None:
        with self._lock:
            self._in_flight -= 1
            self._lock.notify_all()

    def notify(self, method: str, params: Any) -> None:
        """Tell the client something, unless it does not want to hear it."""
        self.tell(method, _rpc.notification(method, params, self._server.now_ms()))

    def tell(self, method: str, message: bytes) -> None:
        """Send a notification that was encoded for several clients."""
        if self._ready and method not in self._opted_out and (self.experimental or method not in _EXPERIMENTAL):
            self._outbox.put(message)

    def ask(self, method: str, params: Any, answered: Callable[[Incoming | None], None]) -> int:
        """Send a request to the client.

        Args:
            method: What is asked.
            params: With what.
            answered: Called with the answer, from another thread; with None when the client left.

        Returns:
            The request's id.
        """
        with self._lock:
            self._last_asked += 1
            request_id = self._last_asked
            refused = self.gone or len(self._asked) >= MOST_ASKED
            if not refused:
                self._asked[request_id] = answered
        if refused:
            answered(None)
        else:
            self._outbox.put(_rpc.request(request_id, method, params))
        return request_id

    def forget(self, request_id: int) -> None:
        """Wait no longer for the answer to a request of ours."""
        with self._lock:
            self._asked.pop(request_id, None)

    def close(self, reason: str) -> None:
        """Let the client go, with a reason."""
        self._outbox.close(reason)

    def _let_go(self, reason: str) -> None:
        if self.on_close is not None:
            self.on_close(reason)

    def settled(self, seconds: float) -> bool:
        """Wait until every request is answered, for so many seconds at most; whether it is."""
        with self._lock:
            return self._lock.wait_for(lambda: self._in_flight == 0, seconds)

    def finish(self, seconds: float) -> None:
        """Wait until the client has taken everything, for so many seconds at most."""
        self._outbox.drained(seconds)

    def left(self) -> None:
        """The client is gone: whoever waits for it is told. Called by `Server.disconnect`."""
        with self._lock:
            self.gone = True
            waiting = list(self._asked.values())
            self._asked.clear()
        self._outbox.close("the client left")
        for answered in waiting:
            answered(None)
