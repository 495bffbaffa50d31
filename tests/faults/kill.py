"""Real processes, killed with SIGKILL at random moments while they work on one home.

``python -m tests.faults.kill --seed 7 --kills 2000 [--codex PATH] [--json]``

Several clients (`tests.faults.kill_worker`) work on one home. About half of them are killed from outside at a random
moment, the others kill themselves before, in the middle of, or after a random call to the file system. After a few
deaths all that are left are killed, and a fresh store looks whether the home holds what was acknowledged
(`tests.faults.kill_check`). Then the next ones go on with the same home. With ``--codex`` one client is the real
Codex, whose model is a mock.

What a worker does follows from the seed; when it is killed, and whom it meets, does not: a run is not repeated exactly.
A home in which a promise was broken stays, with the ledger of all that was done.
"""

# ruff: noqa: T201 - a program for people

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any, Final

from tests.faults.kill_check import Checker
from tests.faults.kill_entries import Broken
from tests.faults.kill_ledger import FileLedger, LedgerReader
from tests.faults.kill_model import Model
from tests.faults.kill_processes import Process, spawn, warm, worker
from tests.faults.trial import Stopped, Trial

from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from tests.faults.kill_codex import Codex

__all__ = ["Kills", "main"]

WORKERS: Final = 3
DEATHS: Final = 5
"""Deaths between two looks at the home, besides those of all who are left then."""

_LIFE_SECONDS: Final = 0.06
_CODEX_LIFE_SECONDS: Final = 0.6
"""It takes a while to start."""

_LIFE_CALLS: Final = 1500
_LONGEST_LIFE_SECONDS: Final = 5.0


class Kills:
    """One run.

    Args:
        folder: Where home and ledger lie.
        seed: What is done follows from it.
        trial: Says when it is to end.
        codex: The real Codex, if it takes part.
    """

    def __init__(self, folder: str, seed: int, trial: Trial, codex: Codex | None = None) -> None:
        self.home = os.path.join(folder, "home")
        self.ledger = os.path.join(folder, "ledger")
        self.kills = 0
        self.codex_kills = 0
        self.rounds = 0
        self.model = Model()
        self.checker = Checker(self.model, strict=codex is None, power=False)
        self._chance = random.Random(seed)
        self._seed = seed
        self._trial = trial
        self._codex = codex
        self._names = 0
        self._lines = FileLedger(self.ledger)
        self._reader = LedgerReader(self.ledger)
        self._alive: list[Process] = []

    def round(self) -> None:
        """Some deaths, and a look at the home.

        Raises:
            Broken: A promise was broken.
            Stopped: It was told to end.
        """
        self.rounds += 1
        for _ in range(DEATHS):
            while len(self._alive) < WORKERS:
                self._alive.append(self._begin())
            self._death()
        while self._alive:
            self._death()
        self.look(everything=self.rounds % 10 == 0)

    def look(self, *, everything: bool) -> None:
        """Look at the home, in which nobody works: at all of its threads, or at those that were touched.

        Raises:
            Broken: A promise was broken.
        """
        for line in self._reader.new():
            self.model.take(line)
        with ThreadStore.open(self.home) as store:
            self.checker.at_rest(store, everything=everything)

    def _begin(self) -> Process:
        self._names += 1
        name = f"w{self._names}"
        if self._codex is not None and not any(process.name.startswith("codex") for process in self._alive):
            name = f"codex{self._names}"
            return spawn(name, self.ledger, self._codex.client(name, self.home, f"{self._seed}/{name}"))
        fuse = int(self._chance.expovariate(1 / _LIFE_CALLS)) + 1 if self._chance.random() < 0.5 else None
        beside = self._codex is not None
        return spawn(name, self.ledger, worker(name, self.home, f"{self._seed}/{name}", fuse=fuse, beside_codex=beside))

    def _death(self) -> None:
        """One process dies: one that has killed itself by now, or whoever it hits."""
        life = _LIFE_SECONDS if self._codex is None else _CODEX_LIFE_SECONDS
        self._trial.pause(min(self._chance.expovariate(1 / life), _LONGEST_LIFE_SECONDS))
        dying = next((process for process in self._alive if process.reap(0)), None) or self._chance.choice(self._alive)
        self._end(dying)
        self._alive.remove(dying)
        self._lines.put({"w": dying.name, "n": 0, "s": "dead"})
        dying.check_death()
        self.kills += 1

    def _end(self, process: Process) -> None:
        if process.name.startswith("codex"):
            assert self._codex is not None
            self.codex_kills += self._codex.kill(process)
        process.kill()

    def close(self) -> None:
        """End whatever still runs."""
        for process in self._alive:
            self._end(process)
        self._lines.close()

    def figures(self) -> dict[str, Any]:
        return {
            "kills": self.kills,
            "codex_kills": self.codex_kills,
            "acknowledged": self.model.acknowledged,
            "records": self.model.texts,
            "erased": len(self.model.erased),
            "rounds": self.rounds,
            "threads_checked": self.checker.threads,
            "threads_verified": self.checker.verified,
        }


def main(arguments: list[str] | None = None) -> int:
    """Run it from the command line; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kill", description="Kills clients of one home.")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--kills", type=int, default=2_000)
    parser.add_argument("--codex", metavar="PATH", help="the real Codex binary, to take part")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args(arguments)
    trial = Trial()
    folder = tempfile.mkdtemp(prefix="threadkeep-kill-")
    print(f"seed {given.seed}, in {folder}", file=sys.stderr, flush=True)
    warmed = os.path.join(folder, "warm")
    os.mkdir(warmed)
    warm(warmed)
    shutil.rmtree(warmed)
    began = time.monotonic()
    status = 0
    codex = None
    if given.codex is not None:
        from tests.faults.kill_codex import Codex

        codex = Codex(given.codex, folder)
    run = Kills(folder, given.seed, trial, codex)
    try:
        while run.kills < given.kills:
            run.round()
            trial.tell(f"{run.kills} kills, {run.model.acknowledged} operations")
        run.look(everything=True)
    except Broken as error:
        print(f"BROKEN with seed {given.seed} after {run.kills} kills: {error}", file=sys.stderr)
        print(f"home {run.home}, ledger {run.ledger}", file=sys.stderr)
        return 1
    except Stopped as stopped:
        status = stopped.status
    finally:
        run.close()
        if codex is not None:
            codex.close()
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
