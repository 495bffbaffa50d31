"""Small requests on one connection while another one receives a large answer."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.bench._appserver_process import UNREADABLE, Failed, memory_of
from threadkeep.bench._appserver_report import Beside
from threadkeep.bench._appserver_socket import Closed, SocketClient

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Client", "beside", "percentile"]

_ALONE: Final = 300
_PAUSE_SECONDS: Final = 0.002
_MOST: Final = 100_000
"""Small requests that are sent at most."""


class _Message(msgspec.Struct):
    id: Any = None
    method: str | None = None
    error: dict[str, Any] | None = None
    result: Any = None


class Client:
    """A client that waits for each answer.

    Args:
        socket: Its connection.
    """

    def __init__(self, socket: SocketClient) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self.request(
            "initialize",
            {
                "clientInfo": {"name": "threadkeep-bench", "title": None, "version": "1"},
                "capabilities": {"experimentalApi": True},
            },
        )
        socket.send(b'{"method":"initialized"}')

    def request(self, method: str, params: dict[str, Any]) -> Any:
        """Ask, and wait for the result.

        Raises:
            Failed: The server refused, or said what is no answer.
        """
        number = next(self._ids)
        self._socket.send(msgspec.json.encode({"id": number, "method": method, "params": params}))
        while True:
            said = self._socket.receive()
            try:
                message = msgspec.json.decode(said, type=_Message)
            except UNREADABLE as error:
                raise Failed(f"{method}: {error}: {said[:200].decode('utf-8', 'replace')}") from error
            if message.id == number and message.method is None:
                if message.error is not None:
                    raise Failed(f"{method}: {message.error.get('message')}")
                return message.result

    def request_size(self, method: str, params: dict[str, Any]) -> int:
        """Ask, and wait for the whole answer; its bytes. What it says is dropped."""
        number = next(self._ids)
        self._socket.send(msgspec.json.encode({"id": number, "method": method, "params": params}))
        while True:
            head, size = self._socket.receive_head()
            if head.startswith((b'{"error"', b'{"id":%d,"error"' % number)):
                raise Failed(f"{method}: {head[:200].decode('utf-8', 'replace')}")
            if head.startswith((b'{"id":%d,' % number, b'{"result"')):
                return size


def percentile(values: Sequence[float], share: float) -> float:
    """The value that only so small a share of them exceeds, 0.5 for the median; 0 where there are none."""
    ordered = sorted(values) or [0.0]
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)


def beside(name: str, port: int, pid: int, thread_id: str, cwd: str) -> Beside:
    """Measure it on a server that was just started and has a large thread.

    Args:
        name: What the server is called.
        port: Where it listens.
        pid: Its process.
        thread_id: The large thread: all of it is asked for.
        cwd: A folder for the thread that the small requests are about.

    Raises:
        Failed: The server refused.
        Closed: It ended a connection.
    """
    with SocketClient(port) as first, SocketClient(port) as second:
        large, small = Client(first), Client(second)
        started = small.request("thread/start", {"cwd": cwd})
        try:
            own = started["thread"]["id"]
        except (KeyError, TypeError) as error:
            raise Failed(f"thread/start: the answer has no thread: {str(started)[:200]}") from error
        asked = itertools.cycle(
            (
                ("thread/read", {"threadId": own, "includeTurns": False}),
                ("thread/loaded/list", {}),
                ("thread/list", {"limit": 5}),
            )
        )

        def ask() -> float:
            method, params = next(asked)
            started = time.perf_counter_ns()
            small.request(method, params)
            return (time.perf_counter_ns() - started) / 1e6

        alone = [ask() for _ in range(_ALONE)]
        _, before = memory_of(pid)
        size, large_ms, taken = _while_receiving(large, thread_id, ask)
        _, peak = memory_of(pid)
    return Beside(
        name,
        size,
        round(large_ms, 1),
        len(taken),
        percentile(taken, 0.5),
        percentile(taken, 0.99),
        round(max(taken), 3),
        percentile(alone, 0.5),
        round(max(alone), 3),
        peak,
        peak - before if peak is not None and before is not None else None,
    )


def _while_receiving(large: Client, thread_id: str, ask: Callable[[], float]) -> tuple[int, float, list[float]]:
    """(bytes of the large answer, its milliseconds, those of the small requests that were sent meanwhile)."""
    sizes: list[int] = []
    failures: list[Exception] = []
    ended: list[float] = []

    def receive() -> None:
        try:
            sizes.append(large.request_size("thread/resume", {"threadId": thread_id}))
        except (Failed, Closed, OSError) as error:
            failures.append(error)
        ended.append(time.perf_counter())

    receiver = threading.Thread(target=receive)
    started = time.perf_counter()
    receiver.start()
    taken: list[float] = []
    try:
        while not taken or (receiver.is_alive() and len(taken) < _MOST):  # a short answer may be there already
            taken.append(ask())
            time.sleep(_PAUSE_SECONDS)
    finally:
        receiver.join()
    if failures:
        raise failures[0]
    return sizes[0], (ended[0] - started) * 1000, taken
