"""The benchmark of libraries: the same work on each, a process for each conversation, beside threadkeep."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time
from typing import IO, TYPE_CHECKING, Final, NamedTuple

import msgspec

from threadkeep.bench._bench import machine
from threadkeep.bench.peers._peer import PEERS
from threadkeep.bench.peers._report import PeerReport, PeerRow, PeersReport, PeerStep
from threadkeep.bench.peers._run import Hello, Task
from threadkeep.bench.peers._steps import STEPS
from threadkeep.bench.peers._turns import ANSWER, OUTPUT, QUESTION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from threadkeep.bench.peers._report import Outcome

__all__ = ["LENGTHS", "bench_peers"]

LENGTHS: Final = (10, 1_000, 10_000)
"""Turns of the conversations."""

MEMORY: Final = "the most that Python allocated during a resume (tracemalloc)"
"""What the figures of memory are."""

_GRACE_SECONDS: Final = 30.0
"""How much longer than its limit a step may take before its process is ended: it cannot be stopped from inside."""

_READ: Final = 1 << 16
_RUN: Final = "threadkeep.bench.peers._run"


class _Ended(Exception):
    """The process said nothing more; the message says why.

    Attributes:
        outcome: What becomes of the step that it was at.
    """

    def __init__(self, outcome: Outcome, why: str) -> None:
        super().__init__(why)
        self.outcome = outcome


class _Done(NamedTuple):
    """One conversation of one library."""

    hello: Hello
    row: PeerRow


def bench_peers(
    folder: str,
    *,
    turns: Sequence[int] = LENGTHS,
    runs: int = 5,
    limit: float = 60.0,
    names: Sequence[str] = tuple(PEERS),
    progress: Callable[[str], None] | None = None,
    environment: Mapping[str, str] | None = None,
) -> PeersReport:
    """Measure everything.

    Args:
        folder: Where the conversations are made; nothing of them stays.
        turns: How long they are.
        runs: Runs of each step, after one that does not count.
        limit: Seconds that a step may take with all its runs.
        names: The libraries, of :data:`PEERS`.
        progress: Told what is being measured.
        environment: Environment of the processes; by default this one's.
    """
    here = machine()
    here.memory = MEMORY
    report = PeersReport(here, QUESTION + OUTPUT + ANSWER, limit, runs, [])
    for name in names:
        driven = PEERS[name]
        peer = PeerReport(name, driven.title, "", driven.how, "", None, [])
        report.peers.append(peer)
        for length in turns:
            if progress is not None:
                progress(f"{driven.title}, {length:,} turns")
            with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=folder, ignore_cleanup_errors=True) as scratch:
                done = _measured(Task(name, scratch, length, runs, limit), progress, environment)
            if done.hello.missing:
                peer.skipped = f"{done.hello.missing} is not installed"
                break
            peer.version, peer.durable = done.hello.version, done.hello.durable
            peer.rows.append(done.row)
    return report


def _measured(task: Task, progress: Callable[[str], None] | None, environment: Mapping[str, str] | None) -> _Done:
    """Do a task in a process of its own."""
    hello, row = Hello(), PeerRow(task.turns, [])
    title = PEERS[task.name].title
    command = [sys.executable, "-m", _RUN, msgspec.json.encode(task).decode()]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=environment
        ) as process,
    ):
        try:
            lines = _lines(process, task.limit + _GRACE_SECONDS)
            hello = msgspec.json.decode(next(lines), type=Hello)
            for line in lines:
                row.steps.append(msgspec.json.decode(line, type=PeerStep))
                if progress is not None:
                    progress(f"{title}, {task.turns:,} turns: {row.steps[-1].name}")
        except _Ended as end:
            process.kill()
            if not hello.missing and not _is_whole(row):
                row.steps.append(_unfinished(row, end, errors))
        finally:
            process.kill()
    return _Done(hello, row)


def _lines(process: subprocess.Popen[bytes], seconds: float) -> Iterator[bytes]:
    """What a process prints, until it ends or says nothing for some time."""
    assert process.stdout is not None, "it is a pipe"
    rest = b""
    while True:
        until = time.monotonic() + seconds
        while b"\n" not in rest:
            left = until - time.monotonic()
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                raise _Ended("stopped", f"it could not be stopped after {seconds:g} s")
            read = os.read(process.stdout.fileno(), _READ)
            if not read:
                raise _Ended("failed", f"the process ended with {process.wait(seconds)}")
            rest += read
        line, _, rest = rest.partition(b"\n")
        yield line


def _is_whole(row: PeerRow) -> bool:
    """Whether every step was told, or the one that all others need was not done."""
    return len(row.steps) == len(STEPS) or (bool(row.steps) and row.steps[0].outcome != "measured")


def _unfinished(row: PeerRow, end: _Ended, errors: IO[bytes]) -> PeerStep:
    """The step that the process did not come back from."""
    errors.seek(0)
    last = errors.read()[-2_000:].decode("utf-8", "replace").strip().rpartition("\n")[2]
    return PeerStep(STEPS[len(row.steps)], end.outcome, why=f"{end}: {last}"[:300] if last else str(end))
