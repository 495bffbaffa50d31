"""Many clients on one server, each starting, naming, forking and reading; every client checks what it hears."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.bench._appserver_beside import percentile
from threadkeep.bench._appserver_process import Failed, memory_of
from threadkeep.bench._appserver_report import Crowd
from threadkeep.bench._appserver_socket import SocketClient

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CLIENTS", "crowd"]

CLIENTS: Final = 200
ROUNDS: Final = 2
"""Threads that each client starts."""

_ONCE: Final = ("thread/started", "thread/name/updated")
"""What is heard once of every new thread, in this order: each gets its name once."""

_SETTLE_SECONDS: Final = 20.0
_SETTLE_PAUSE: Final = 0.05
_PAGE: Final = 5
_PATIENCE_SECONDS: Final = 300.0
_MOST_WRONG: Final = 20
"""Sentences about what went wrong that are kept of one client."""


class _Member:
    """One of the clients: what it asks, and what it heard."""

    def __init__(self, number: int, socket: SocketClient, shared: str, cwd: str) -> None:
        self.number = number
        self.shared = shared
        self.cwd = cwd
        self.taken: list[float] = []
        self.wrong: list[str] = []
        self.own: dict[str, list[str]] = {}
        self.heard: Counter[tuple[str, Any]] = Counter()
        self._ids = 0
        self._socket = socket

    def run(self) -> None:
        """Everything that a client does."""
        for round_ in range(ROUNDS):
            name = f"thread {round_} of client {self.number}"
            thread = self._thread("thread/start", {"cwd": self.cwd})
            self.request("thread/name/set", {"threadId": thread, "name": name})
            self._expect(self.request("thread/read", {"threadId": thread})["thread"]["name"], name)
            fork = self._thread("thread/fork", {"threadId": self.shared, "excludeTurns": True})
            turns = self.request("thread/turns/list", {"threadId": fork, "limit": _PAGE})["data"]
            again = self.request("thread/turns/list", {"threadId": self.shared, "limit": _PAGE})["data"]
            self._expect([turn["id"] for turn in turns], [turn["id"] for turn in again])
            self._expect(turns != [], True)
            read = self.request("thread/read", {"threadId": fork, "includeTurns": False})["thread"]
            self._expect((read["id"], read["forkedFromId"]), (fork, self.shared))
            self.request("thread/name/set", {"threadId": fork, "name": name})

    def initialize(self) -> None:
        """Make the handshake."""
        self.request(
            "initialize",
            {
                "clientInfo": {"name": f"client-{self.number}", "title": None, "version": "1"},
                "capabilities": {"experimentalApi": True},
            },
        )
        self._socket.send(b'{"method":"initialized"}')

    def request(self, method: str, params: dict[str, Any]) -> Any:
        """Ask, and wait for the result; what is heard meanwhile is counted."""
        self._ids += 1
        started = time.perf_counter_ns()
        self._socket.send(msgspec.json.encode({"id": self._ids, "method": method, "params": params}))
        while True:
            message = msgspec.json.decode(self._socket.receive())
            if "method" in message:
                self._hear(message)
            elif message["id"] != self._ids:
                self.wrong.append(f"client {self.number} asked {self._ids} and was answered {message['id']}")
                if len(self.wrong) >= _MOST_WRONG:
                    raise Failed(f"{method}: it was answered {_MOST_WRONG} other requests")
            else:
                break
        self.taken.append((time.perf_counter_ns() - started) / 1e6)
        if "error" in message:
            raise Failed(f"{method}: {message['error'].get('message')}")
        return message["result"]

    def check(self) -> None:
        """Hear what is still on its way, and say what is missing, came twice or out of order."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while any(len(heard) < len(_ONCE) for heard in self.own.values()) and time.monotonic() < deadline:
            self.request("thread/loaded/list", {})
            time.sleep(_SETTLE_PAUSE)
        for thread, heard in self.own.items():
            if heard != list(_ONCE):
                self.wrong.append(f"client {self.number} heard {heard} about {thread}")
        for (method, thread), count in self.heard.items():
            if count > 1:
                self.wrong.append(f"client {self.number} heard {method} about {thread} {count} times")
        if len(self.own) != 2 * ROUNDS:
            self.wrong.append(f"client {self.number} has {len(self.own)} threads, not {2 * ROUNDS}")

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def _thread(self, method: str, params: dict[str, Any]) -> str:
        """A new thread of this client's; its notification must come after the answer."""
        thread: str = self.request(method, params)["thread"]["id"]
        if self.heard["thread/started", thread]:
            self.wrong.append(f"client {self.number} heard of {thread} before the answer")
        self.own[thread] = []
        return thread

    def _hear(self, message: dict[str, Any]) -> None:
        method, params = message["method"], message.get("params") or {}
        thread = params.get("threadId") or (params.get("thread") or {}).get("id")
        if method in _ONCE:
            self.heard[method, thread] += 1
            if thread in self.own:
                self.own[thread].append(method)

    def _expect(self, got: object, wanted: object) -> None:
        if got != wanted and len(self.wrong) < _MOST_WRONG:
            self.wrong.append(f"client {self.number} got {got!r}, not {wanted!r}")


def crowd(name: str, port: int, pid: int, thread_id: str, cwd: str, clients: int) -> Crowd:
    """Measure it on a server that was just started.

    Args:
        name: What the server is called.
        port: Where it listens.
        pid: Its process.
        thread_id: A thread of some turns, which all clients fork.
        cwd: A folder for new threads.
        clients: How many there are at the same time.

    Raises:
        Closed: The server took no connection.
    """
    members = [_Member(number, SocketClient(port), thread_id, cwd) for number in range(clients)]
    try:
        _together(members, _Member.initialize)
        _, idle = memory_of(pid)
        started = time.perf_counter()
        for member in members:
            member.taken.clear()
        _together(members, _Member.run)
        seconds = time.perf_counter() - started
        taken = [ms for member in members for ms in member.taken]
        _together(members, _Member.check)
    finally:
        for member in members:
            member.close()
    _, peak = memory_of(pid)
    wrong = [sentence for member in members for sentence in member.wrong]
    heard = sum(len(methods) for member in members for methods in member.own.values())
    return Crowd(
        name,
        clients,
        len(taken),
        heard,
        wrong,
        round(seconds, 2),
        percentile(taken, 0.5),
        percentile(taken, 0.99),
        idle,
        peak,
    )


def _together(members: list[_Member], work: Callable[[_Member], None]) -> None:
    """Every client does it at the same time; what fails is said by the client."""
    gate = threading.Barrier(len(members), timeout=_PATIENCE_SECONDS)

    def one(member: _Member) -> None:
        try:
            gate.wait()
            work(member)
        except Exception as error:  # noqa: BLE001 - whatever a server answers, it is told
            member.wrong.append(f"client {member.number}: {type(error).__name__}: {error}")

    threads = [threading.Thread(target=one, args=(member,), daemon=True) for member in members]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_PATIENCE_SECONDS)
    for member, thread in zip(members, threads, strict=True):
        if thread.is_alive():
            member.wrong.append(f"client {member.number} was not done in {_PATIENCE_SECONDS:.0f} seconds")
