"""A simulated machine: several clients on one home, faults, kills, power cuts, clocks that jump; all from one seed.

``python -m tests.faults.simulation --seed 7 --steps 5000 [--json]``

The clients are those of `tests.faults.kill_worker`, each with a store of its own, in one process in which one runs at
a time (`tests.faults.simulation_world`). A run goes in bursts of a few operations: in most of them something goes
wrong, then a fresh store looks whether the home holds what was acknowledged. The same seed does the same, to the call,
wherever it runs: the digest of all calls says so.
"""

# ruff: noqa: T201 - a program for people

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import random
import shutil
import sys
import tempfile
import time
from typing import Any, Final

from tests.faults.kill_check import Checker
from tests.faults.kill_entries import Broken
from tests.faults.kill_ledger import MemoryLedger
from tests.faults.kill_model import Model
from tests.faults.kill_worker import Worker
from tests.faults.simulation_clock import Ids, machine_time
from tests.faults.simulation_fault import Fault
from tests.faults.simulation_files import SimulatedFiles
from tests.faults.simulation_world import Client, World
from tests.faults.trial import Stopped, Trial

from threadkeep.backends.local import LocalBackend
from threadkeep.store import ThreadStore

__all__ = ["Simulation", "main"]

CLIENTS: Final = 4
_BURST: Final = 16
_FAULTS: Final = {"none": 2, "kill": 2, "torn": 3, "power": 5, "EIO": 3, "ENOSPC": 2, "short": 2, "flush": 3}
_CALLS: Final = {"short": 60, "flush": 40, "torn": 60}
"""Up to which of its calls a fault waits; 2,000 where it is not said."""
_SURROUNDINGS: Final = {"PYTHONHASHSEED": "0", "TZ": "UTC0"}
"""What would be sources of chance, too: the order of sets, and the local times that rollouts are named by."""


class Simulation:
    """One run.

    Args:
        folder: Where the machine's files lie.
        seed: What happens.
    """

    def __init__(self, folder: str, seed: int) -> None:
        self.chance = random.Random(seed)
        self.world = World(folder, self.chance)
        self.ledger = MemoryLedger()
        self.model = Model()
        self.checker = Checker(self.model)
        self.steps = 0
        self.faults: dict[str, int] = {}
        self._names = 0
        self._alive: list[tuple[Client, ThreadStore]] = []

    def burst(self) -> None:
        """Some operations, something that goes wrong, and a look at the home.

        Raises:
            Broken: A promise was broken.
        """
        world = self.world
        world.clock.jump()
        while len(self._alive) < CLIENTS:
            self._alive.append(self._begin())
        kind = self.chance.choices(list(_FAULTS), list(_FAULTS.values()))[0]
        at = int(self.chance.expovariate(1 / (_CALLS.get(kind, 2_000) / 3))) + 1
        fault = Fault(kind, at, for_good=kind == "ENOSPC" or (kind == "EIO" and self.chance.random() < 0.3))
        faulty = self.chance.choice(self._alive)[0]
        faulty.fault = fault if kind != "none" else None
        world.run([client for client, _ in self._alive], _BURST)
        faulty.fault = None
        self.steps += _BURST
        if fault.struck:
            self.faults[kind] = self.faults.get(kind, 0) + 1
        self._bury(everybody=world.power_cut)
        gc.collect()
        if world.power_cut:
            world.disk.power_cut()
        for line in self.ledger.new():
            world.note(json.dumps(line))
            self.model.take(line)
        if world.trouble is not None:
            raise Broken(f"a client met what must not be: {world.trouble}")
        self._look(sure=world.power_cut)
        world.power_cut = False

    def _begin(self) -> tuple[Client, ThreadStore]:
        self._names += 1
        client = Client(f"w{self._names}", self.world)
        store = self._store(client.files)
        client.step = Worker(client.name, store, self.ledger, self.chance, faulty=True).step
        return client, store

    def _store(self, files: SimulatedFiles) -> ThreadStore:
        clock = self.world.clock
        return ThreadStore(LocalBackend(self.world.home, clock=clock, ids=Ids(clock, self.chance), files=files))

    def _bury(self, *, everybody: bool) -> None:
        """Those who were killed are gone; what they had open is closed."""
        for client, store in list(self._alive):
            if client.dead or everybody:
                self._alive.remove((client, store))
                client.dead = True
                client.files.drop()
                store.close()
                self.ledger.put({"w": client.name, "n": 0, "s": "dead"})

    def _look(self, *, sure: bool) -> None:
        self.checker.sure = sure
        with self._store(SimulatedFiles(self.world)) as store:
            self.checker.at_rest(store, everything=sure)

    def close(self) -> None:
        """Let go of everything."""
        self._bury(everybody=True)
        self.world.disk.close()

    def figures(self) -> dict[str, Any]:
        return {
            "steps": self.steps,
            "calls": self.world.calls,
            "acknowledged": self.model.acknowledged,
            "records": self.model.texts,
            "erased": len(self.model.erased),
            **{f"{kind}": self.faults.get(kind, 0) for kind in _FAULTS if kind != "none"},
            "threads_checked": self.checker.threads,
            "digest": self.world.digest[:16],
        }


def main(arguments: list[str] | None = None) -> int:
    """Run it from the command line; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.simulation", description="Simulates a machine.")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--steps", type=int, default=5_000)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args(arguments)
    if not _SURROUNDINGS.items() <= os.environ.items():
        again = [
            sys.executable,
            "-m",
            "tests.faults.simulation",
            *(arguments or sys.argv[1:]),
            "--seed",
            str(given.seed),
        ]
        os.execve(sys.executable, again, {**os.environ, **_SURROUNDINGS})
    trial = Trial()
    folder = tempfile.mkdtemp(prefix="threadkeep-simulation-")
    print(f"seed {given.seed}, in {folder}", file=sys.stderr, flush=True)
    began = time.monotonic()
    status = 0
    run = Simulation(folder, given.seed)
    gc.disable()
    try:
        with machine_time(run.world):
            while run.steps < given.steps:
                run.burst()
                trial.tell(f"{run.steps} steps, {run.world.calls} calls")
                trial.go_on()
    except Broken as error:
        print("\n".join(run.world.newest), file=sys.stderr)
        print(f"BROKEN with seed {given.seed} after {run.steps} steps: {error}", file=sys.stderr)
        print(f"python -m tests.faults.simulation --seed {given.seed} --steps {run.steps}", file=sys.stderr)
        print(f"home {run.world.home}", file=sys.stderr)
        return 1
    except Stopped as stopped:
        status = stopped.status
    finally:
        with contextlib.suppress(OSError):
            run.close()
    if status:
        shutil.rmtree(folder)
        return status
    figures = {"seed": given.seed, **run.figures(), "seconds": round(time.monotonic() - began, 1)}
    if given.json:
        print(json.dumps(figures))
    else:
        print("| " + " | ".join(figures) + " |\n|" + " ---: |" * len(figures))
        print("| " + " | ".join(str(value) for value in figures.values()) + " |")
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
