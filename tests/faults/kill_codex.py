"""The real Codex as one of the clients of a home: it runs turns with a mock model, and is killed like the others."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.codex.client import AppServer, ClientError, RpcError, write_config
from tests.codex.mock_responses import MockResponses
from tests.faults.kill_entries import END

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.kill_ledger import FileLedger
    from tests.faults.kill_processes import Process

__all__ = ["Codex"]

_START_SECONDS: Final = 30.0
_REFUSED: Final = "Codex"


class Codex:
    """The binary, and a mock model in a process of its own.

    Args:
        binary: The binary.
        folder: Where the home lies, as ``home``.
    """

    def __init__(self, binary: str, folder: str) -> None:
        self._binary = binary
        self._folder = Path(folder)
        self._project = self._folder / "project"
        self._project.mkdir()
        told, tell = os.pipe()
        self._mock = os.fork()
        if not self._mock:
            os.close(told)
            _serve(tell)
        os.close(tell)
        with os.fdopen(told) as answer:
            write_config(self._folder / "home", answer.readline().strip())

    def client(self, name: str, home: str, seed: str) -> Callable[[FileLedger], None]:
        """The work of a client that drives a Codex of its own until that is killed."""

        def work(ledger: FileLedger) -> None:
            command = [self._binary, "app-server"]
            server = AppServer(command, home=Path(home), cwd=self._project)
            self._place(name).write_text(str(server.pid))
            try:
                with contextlib.suppress(ClientError):
                    server.initialize("kill")
                    _Client(name, server, ledger, random.Random(seed), str(self._project)).work()
            finally:
                server.kill()

        return work

    def kill(self, process: Process) -> int:
        """Kill the Codex that a client drives; how many were killed."""
        end = time.monotonic() + _START_SECONDS
        place = self._place(process.name)
        while not (place.exists() and place.read_text()) and not process.reap(0):
            if time.monotonic() > end:
                return 0
            time.sleep(0.01)
        if not place.exists():
            return 0
        pid = int(place.read_text())
        place.unlink()
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            return 0
        _wait_until_gone(pid)
        return 1

    def close(self) -> None:
        """End the mock."""
        os.kill(self._mock, signal.SIGKILL)
        os.waitpid(self._mock, 0)

    def _place(self, name: str) -> Path:
        return self._folder / f"{name}.pid"


def _serve(tell: int) -> None:
    """Be the mock model, until the parent is gone."""
    parent = os.getppid()
    with MockResponses() as mock:
        os.write(tell, f"{mock.base_url}\n".encode())
        os.close(tell)
        while os.getppid() == parent:
            time.sleep(0.5)
    os._exit(0)


def _wait_until_gone(pid: int) -> None:
    """Wait until a process that was killed holds nothing any more: it is a zombie, or gone."""
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
                if stat.read().rpartition(")")[2].split()[0] in "ZX":
                    return
        except OSError:
            return
        time.sleep(0.002)


class _Client:
    """Runs turns, each on a new thread or on one of the home's."""

    def __init__(self, name: str, server: AppServer, ledger: FileLedger, chance: random.Random, cwd: str) -> None:
        self._name = name
        self._server = server
        self._ledger = ledger
        self._chance = chance
        self._cwd = cwd
        self._count = 0
        self._said = 0

    def work(self) -> None:
        while True:
            thread = self._begun() if self._chance.random() < 0.3 else self._resumed()
            if thread is not None:
                for _ in range(self._chance.randint(1, 3)):
                    self._turn(thread)
                self._server.request("thread/unsubscribe", {"threadId": thread})

    def _put(self, number: int, what: str, **about: Any) -> None:
        self._ledger.put({"w": self._name, "n": number, "s": what, **about})

    def _number(self) -> int:
        self._count += 1
        return self._count

    def _begun(self) -> str:
        params = {"cwd": self._cwd, "historyMode": "paginated"}
        thread = str(self._server.request("thread/start", params)["thread"]["id"])
        self._put(self._number(), "intent", op="begin", thread=thread)
        return thread

    def _resumed(self) -> str | None:
        """One of the newest threads of the home, if nobody holds it."""
        found = [one["id"] for one in self._server.request("thread/list", {"limit": 20})["data"]]
        if not found:
            return None
        thread = str(self._chance.choice(found))
        number = self._number()
        self._put(number, "intent", op="look", thread=thread, allowed=[_REFUSED])
        try:
            self._server.request("thread/resume", {"threadId": thread, "excludeTurns": True})
        except RpcError:
            self._put(number, "refused", error=_REFUSED)
            return None
        self._put(number, "ack")
        return thread

    def _turn(self, thread: str) -> None:
        self._said += 1
        said = f"{self._name}-{self._said}"
        texts = (said, f"mock answer to: {said}", END + said)
        numbers = [self._number() for _ in texts]
        for number, text in zip(numbers, texts, strict=True):
            self._put(number, "intent", op="add", thread=thread, text=text, turn=said)
        try:
            ended = self._server.run_turn(thread, said)["status"]
        except RpcError:
            ended = "refused"
        for number in numbers:
            self._put(number, "ack" if ended == "completed" else "failed")
