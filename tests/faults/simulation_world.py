"""A machine with several clients on it, in one process: one runs at a time, and who goes on is decided by a seed.

Each client is a thread of its own; at every call to the file system it may have to wait for others, may be killed, or
may be told that the call failed. The time, the ids and the names that folders list are the machine's. So a run is the
same every time.
"""

from __future__ import annotations

import hashlib
import os
import threading
import traceback
from collections import deque
from typing import TYPE_CHECKING, Final

from tests.faults.kill_entries import Broken
from tests.faults.simulation_clock import Clock, MachineTime
from tests.faults.simulation_disk import SimulatedDisk
from tests.faults.simulation_fault import Killed
from tests.faults.simulation_files import SimulatedFiles

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from tests.faults.simulation_fault import Fault

__all__ = ["Client", "World"]

_SWITCH: Final = 0.15
_KEPT_CALLS: Final = 40
_STUCK_SECONDS: Final = 90.0


class Client:
    """One client of the machine, while it lives.

    Attributes:
        name: Its name.
        files: Its calls to the file system.
        step: Does its next operation.
        fault: What goes wrong for it.
        dead: Whether it was killed.
    """

    def __init__(self, name: str, world: World) -> None:
        self.name = name
        self.files = SimulatedFiles(world, self)
        self.step: Callable[[], None] = lambda: None
        self.fault: Fault | None = None
        self.dead = False
        self.turn = threading.Semaphore(0)


class World:
    """The machine.

    Args:
        folder: Where its home lies, as ``home``.
        chance: What happens.

    Attributes:
        home: The home.
        trouble: An error that no client may meet; None where none did.
        calls: How many calls to the file system were made.
    """

    def __init__(self, folder: str, chance: random.Random) -> None:
        self.home = os.path.join(folder, "home")
        self.chance = chance
        self.clock = Clock(chance)
        self.disk = SimulatedDisk(os.path.join(folder, "graves"), chance)
        self.time = MachineTime(self)
        self.trouble: str | None = None
        self.power_cut = False
        self.calls = 0
        self.newest: deque[str] = deque(maxlen=_KEPT_CALLS)
        self._folder = folder
        self._digest = hashlib.sha256()
        self._runnable: list[Client] = []
        self._running: Client | None = None
        self._ended = threading.Semaphore(0)
        self._budget = 0

    # Who goes on

    def run(self, clients: list[Client], operations: int) -> None:
        """Let the clients do so many operations between them, each call of theirs in an order that the seed decides."""
        self._budget = operations
        self._runnable = list(clients)
        threads = [threading.Thread(target=self._live, args=(client,), daemon=True) for client in clients]
        for thread in threads:
            thread.start()
        self._hand_on()
        if not self._ended.acquire(timeout=_STUCK_SECONDS):
            raise Broken(f"nobody goes on: {self._running.name if self._running else 'nobody'} has the turn")
        for thread in threads:
            thread.join()

    def _live(self, client: Client) -> None:
        client.turn.acquire()
        try:
            while self._budget > 0 and self.trouble is None:
                self._budget -= 1
                client.step()
                self.let_others()
        except Killed:
            client.dead = True
        except BaseException:  # noqa: BLE001 - whatever it is, the run must tell of it
            self.trouble = traceback.format_exc()
            client.dead = True
        if client.dead:
            client.files.drop()
        self._runnable.remove(client)
        self._hand_on()

    def _hand_on(self) -> None:
        self._running = self.chance.choice(self._runnable) if self._runnable else None
        (self._running.turn if self._running is not None else self._ended).release()

    def let_others(self) -> None:
        """The running client lets another one go on, if the seed says so."""
        me = self._running
        if me is None:
            return
        following = self.chance.choice(self._runnable)
        if following is not me:
            self._running = following
            following.turn.release()
            me.turn.acquire()  # from the release on the others run: nothing may be looked at before this

    def before(self, client: Client, call: str, path: str) -> Fault | None:
        """A client is about to call the file system: others may come first, it may be killed, the call may fail."""
        self.calls += 1
        self.note(f"{client.name} {call} {os.path.relpath(path, self._folder)}")
        if self.chance.random() < _SWITCH:
            self.let_others()
        if self.power_cut or self.trouble is not None:
            raise Killed
        fault = client.fault
        if fault is None or not fault.strikes(call):
            return None
        self.note(f"{client.name} meets {fault.kind}")
        if fault.kind == "power":
            self.power_cut = True
        if fault.kind in ("power", "kill", "torn"):
            raise Killed
        return fault

    def note(self, what: str) -> None:
        """Write down what happened: two runs that do the same have the same digest."""
        self.newest.append(what)
        self._digest.update(what.encode() + b"\n")

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()
