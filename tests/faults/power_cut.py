"""Real power cuts: clients work on a home on a real file system, whose disk is cut off at random moments.

``python -m tests.faults.power_cut --fs ext4,xfs,btrfs --cuts 20 --seed 7 [--json]``, as root.

The clients of `tests.faults.kill_worker` work on a home on a loop device (`tests.faults.power_cut_disk`); what was
acknowledged to them stands in a ledger outside of it. At a random moment they are stopped, the device's bytes are
copied, and they are killed. The copy is mounted in the place of the disk, its journal is replayed, a fresh store looks
whether it holds what was acknowledged, and the next clients go on with it.

Beside the home somebody appends to a file and never flushes it. If that were never lost, the cuts would prove nothing.
"""

# ruff: noqa: T201 - a program for people

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any, Final

from tests.faults.kill_check import Checker
from tests.faults.kill_entries import Broken
from tests.faults.kill_ledger import FileLedger, LedgerReader
from tests.faults.kill_model import Model
from tests.faults.kill_processes import Process, spawn, warm, worker
from tests.faults.power_cut_disk import FILE_SYSTEMS, Disk, why_not
from tests.faults.trial import Stopped, Trial

from threadkeep.store import ThreadStore

__all__ = ["Cuts", "main"]

WORKERS: Final = 3
_LIFE_SECONDS: Final = 0.6
_LONGEST_LIFE_SECONDS: Final = 4.0
_STOP_SECONDS: Final = 30.0
_UNFLUSHED: Final = b"never flushed\n"


class Cuts:
    """Power cuts of one disk.

    Args:
        folder: Where the ledger lies.
        disk: The disk.
        seed: What is done follows from it.
        trial: Says when it is to end.

    Attributes:
        lost: In how many cuts something was lost that nobody flushed.
    """

    def __init__(self, folder: str, disk: Disk, seed: int, trial: Trial) -> None:
        self.disk = disk
        self.home = os.path.join(disk.place, "home")
        self.ledger = os.path.join(folder, f"{disk.kind}.ledger")
        self.cuts = 0
        self.lost = 0
        self.model = Model()
        self.checker = Checker(self.model)
        self._chance = random.Random(f"{seed}/{disk.kind}")
        self._seed = seed
        self._trial = trial
        self._lines = FileLedger(self.ledger)
        self._reader = LedgerReader(self.ledger)
        self._names = 0

    def cut(self) -> None:
        """Work, a cut, and a look at what is left.

        Raises:
            Broken: A promise was broken.
            Stopped: It was told to end.
        """
        workers: list[Process] = []
        try:
            workers += [self._begin() for _ in range(WORKERS)]
            self._trial.pause(min(0.15 + self._chance.expovariate(1 / _LIFE_SECONDS), _LONGEST_LIFE_SECONDS))
            control = os.path.join(self.disk.place, "control")
            with open(control, "ab", buffering=0) as file:
                before = file.seek(0, os.SEEK_END)
                file.write(_UNFLUSHED)
            for process in workers:
                process.signal(signal.SIGSTOP)
            for process in workers:
                _wait_until_stopped(process)
            copy = self.disk.copied()
        finally:
            for process in workers:
                process.kill()
                self._lines.put({"w": process.name, "n": 0, "s": "dead"})
        for process in workers:
            process.check_death()
        self.disk.start_again(copy)
        self.cuts += 1
        after = os.path.getsize(control) if os.path.exists(control) else 0
        self.lost += after < before + len(_UNFLUSHED)
        for line in self._reader.new():
            self.model.take(line)
        with ThreadStore.open(self.home) as store:
            self.checker.at_rest(store, everything=True)

    def _begin(self) -> Process:
        self._names += 1
        name = f"w{self._names}"
        work = worker(name, self.home, f"{self._seed}/{self.disk.kind}/{name}", fuse=None, beside_codex=False)
        return spawn(name, self.ledger, work)

    def figures(self) -> dict[str, Any]:
        return {
            "file_system": self.disk.kind,
            "cuts": self.cuts,
            "acknowledged": self.model.acknowledged,
            "records": self.model.texts,
            "erased": len(self.model.erased),
            "threads_checked": self.checker.threads,
            "unflushed_lost": self.lost,
            "copies_retaken": self.disk.retaken,
        }


def _wait_until_stopped(process: Process) -> None:
    """A process that waits for the disk stops when that has answered."""
    end = time.monotonic() + _STOP_SECONDS
    while time.monotonic() < end and not process.reap(0):
        with open(f"/proc/{process.pid}/stat", encoding="utf-8", errors="replace") as stat:
            if stat.read().rpartition(")")[2].split()[0] == "T":
                return
        time.sleep(0.001)


def _left_behind(folder: str) -> str:
    """What of a run is still mounted or attached."""
    with open("/proc/mounts", encoding="utf-8") as mounts:
        mounted = [line for line in mounts if folder in line]
    devices = subprocess.run(["losetup", "--all"], capture_output=True, text=True, check=False).stdout
    return "".join([*mounted, *(line for line in devices.splitlines(keepends=True) if folder in line)])


def main(arguments: list[str] | None = None) -> int:
    """Run it from the command line; 1 where a promise was broken, 2 where no power could be cut."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.power_cut", description="Cuts the power of a home.")
    parser.add_argument("--fs", default=",".join(FILE_SYSTEMS), help="file systems, by default all")
    parser.add_argument("--cuts", type=int, default=20, help="cuts of each")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    given = parser.parse_args(arguments)
    trial = Trial()
    folder = tempfile.mkdtemp(prefix="threadkeep-power-cut-")
    print(f"seed {given.seed}, in {folder}", file=sys.stderr, flush=True)
    rows: list[dict[str, Any]] = []
    status = 0
    try:
        warmed = os.path.join(folder, "warm")
        os.mkdir(warmed)
        warm(warmed)
        shutil.rmtree(warmed)
        for kind in given.fs.split(","):
            reason = why_not(kind)
            if reason is not None:
                print(f"{kind} is skipped: {reason}", file=sys.stderr)
                continue
            rows.append(_series(folder, kind, given.cuts, given.seed, trial))
    except Broken as error:
        print(f"BROKEN with seed {given.seed}: {error}\nledger and images in {folder}", file=sys.stderr)
        return 1
    except Stopped as stopped:
        status = stopped.status
    finally:
        left = _left_behind(folder)
        if left:
            print(f"left behind:\n{left}", file=sys.stderr)
    if status:
        shutil.rmtree(folder)
        return status
    if given.json:
        print(json.dumps({"seed": given.seed, "file_systems": rows}))
    elif rows:
        print("| " + " | ".join(rows[0]) + " |\n|" + " ---: |" * len(rows[0]))
        for row in rows:
            print("| " + " | ".join(str(value) for value in row.values()) + " |")
    shutil.rmtree(folder)
    if not rows:
        print("no power was cut: nothing was proved", file=sys.stderr)
        return 2
    return 1 if left else 0


def _series(folder: str, kind: str, cuts: int, seed: int, trial: Trial) -> dict[str, Any]:
    """The cuts of one file system."""
    began = time.monotonic()
    with Disk(folder, kind) as disk:
        run = Cuts(folder, disk, seed, trial)
        for _ in range(cuts):
            run.cut()
            trial.tell(f"{kind}: {run.cuts} cuts, {run.lost} with losses")
            trial.go_on()
        if cuts and not run.lost:
            raise Broken(f"of {cuts} cuts of {kind} none lost what nobody had flushed: they prove nothing")
    return {**run.figures(), "seconds": round(time.monotonic() - began, 1)}


if __name__ == "__main__":
    sys.exit(main())
