"""Processes that are made to be killed: forked from a parent that has loaded everything, so that they start at once."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
import traceback
from typing import TYPE_CHECKING, Any, Final

from tests.faults.kill_entries import Broken
from tests.faults.kill_ledger import FileLedger
from tests.faults.kill_worker import Worker

from threadkeep.backends.local import Files, LocalBackend
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Process", "spawn", "warm", "worker"]

_CALLS: Final = frozenset(
    "open close write pread truncate fsync stat fstat utime link rename unlink mkdir rmdir flock".split()
)
_REAP_SECONDS: Final = 30.0
_TORN: Final = 0.4
"""How many of those who kill themselves do so in a write."""

_CALLS_A_WRITE: Final = 30


class Fuse(Files):
    """Kills its process at the n-th call to the file system: right before it, right after it, or in the middle.

    Args:
        at: Which call.
        chance: Which side of it.
        calls: Which calls count.
    """

    def __init__(self, at: int, chance: random.Random, calls: frozenset[str] = _CALLS) -> None:
        self.left = at
        self.chance = chance
        self.calls = calls

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in _CALLS or name not in self.calls:
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                after = self.chance.random() < 0.5
                if name == "write" and after:
                    data = bytes(arguments[1])
                    os.write(arguments[0], data[: self.chance.randrange(len(data) + 1)])
                elif after:
                    found(*arguments, **named)
                os.kill(os.getpid(), signal.SIGKILL)
            return found(*arguments, **named)

        return call


class Process:
    """A child process.

    Attributes:
        name: The worker's name.
        pid: Its process id.
    """

    def __init__(self, name: str, pid: int) -> None:
        self.name = name
        self.pid = pid
        self.status: int | None = None

    def kill(self) -> None:
        """End it as a crash does, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self.reap()

    def signal(self, number: int) -> None:
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def reap(self, seconds: float = _REAP_SECONDS) -> bool:
        """Wait for its end, so long; whether it has ended."""
        end = time.monotonic() + seconds
        while self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
            elif time.monotonic() >= end:
                return False
            else:
                time.sleep(0.0005)
        return True

    def check_death(self) -> None:
        """Make sure that it died of nothing else; one that ended by itself has written down why.

        Raises:
            Broken: It died of another signal, or lives.
        """
        if self.status is None:
            raise Broken(f"{self.name} cannot be killed")
        if os.WIFSIGNALED(self.status) and os.WTERMSIG(self.status) != signal.SIGKILL:
            raise Broken(f"{self.name} died of signal {os.WTERMSIG(self.status)}")


def spawn(name: str, ledger: str, work: Callable[[FileLedger], None]) -> Process:
    """Fork a process that works until it is killed; an error that is none of threadkeep's own is written down."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return Process(name, pid)
    lines = FileLedger(ledger)
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: who forked it ends it
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        work(lines)
    except BaseException:  # noqa: BLE001 - whatever it is, the driver must see it
        if os.getppid() == parent:
            lines.put({"w": name, "n": 0, "s": "broken", "error": traceback.format_exc()})
    finally:
        os._exit(0)


def worker(name: str, home: str, seed: str, *, fuse: int | None, beside_codex: bool) -> Callable[[FileLedger], None]:
    """The work of one client.

    Args:
        name: The worker's name.
        home: The home.
        seed: What it does follows from this.
        fuse: At which call to the file system it kills itself; None: somebody else does.
        beside_codex: Whether Codex works in the home.
    """
    parent = os.getpid()

    def work(ledger: FileLedger) -> None:
        chance = random.Random(seed)
        files = Files()
        if fuse is not None and chance.random() < _TORN:
            files = Fuse(fuse // _CALLS_A_WRITE + 1, chance, frozenset({"write"}))
        elif fuse is not None:
            files = Fuse(fuse, chance)
        client = Worker(name, ThreadStore(LocalBackend(home, files=files)), ledger, chance, beside_codex=beside_codex)
        while os.getppid() == parent:  # an orphan ends by itself
            client.step()

    return work


def warm(folder: str) -> None:
    """Do something of everything once, so that forked processes find it loaded."""
    ledger = FileLedger(os.path.join(folder, "ledger"))
    store = ThreadStore(LocalBackend(os.path.join(folder, "home")), durability="os")
    with store, contextlib.closing(ledger):
        Worker("warm", store, ledger, random.Random(1)).work(60)
