"""The benchmark: every operation on threads of every size, beside a full replay and a bare scan."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import statistics
import sys
import tempfile
from typing import TYPE_CHECKING, Final, get_args

import msgspec

from threadkeep._version import __version__
from threadkeep.bench._generate import CheckpointAge, Recipe
from threadkeep.bench._home import BenchHome, made_home, scratch_copy
from threadkeep.bench._limit import bare_append, bare_scan, beside
from threadkeep.bench._measure import PEAK_MEANING, Measured, measured, measured_cold
from threadkeep.bench._operations import FULL_REPLAY, OPERATIONS
from threadkeep.bench._spread import Spread, pair_by_pair
from threadkeep.records import LEGACY, PAGINATED
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from threadkeep.bench._limit import Pair

__all__ = [
    "MB",
    "MODES",
    "SIZES",
    "TAIL_BYTES",
    "AppendLimit",
    "BenchRow",
    "Limit",
    "Machine",
    "Report",
    "aged_size",
    "bench",
    "bytes_needed",
    "machine",
]

MB: Final = 1_000_000
MODES: Final = (PAGINATED, LEGACY)
SIZES: Final = (1 * MB, 10 * MB, 100 * MB, 500 * MB)

TAIL_BYTES: Final = 1 * MB
"""How far before the end the last checkpoint stands, whatever the size."""

_AGED_SIZE: Final = 10 * MB
_LARGE: Final = 50 * MB
_RECORD_BYTES: Final = 6_400
_PAIRS_A_RUN: Final = 20
_COLD_RUNS: Final = 3


class Machine(msgspec.Struct):
    """Where it was measured.

    Attributes:
        system: Operating system and its release.
        processor: The processor, as far as the system names it.
        cores: Processors that this process may use.
        python: Version of Python.
        threadkeep: Version of threadkeep.
        msgspec: Version of msgspec.
        memory: What the figures of memory are.
    """

    system: str
    processor: str
    cores: int
    python: str
    threadkeep: str
    msgspec: str
    memory: str = PEAK_MEANING


class BenchRow(msgspec.Struct):
    """One operation on one thread.

    Attributes:
        mode: History mode.
        size: Bytes of history.
        age: The shape of the thread's checkpoints.
        measured: What it took.
    """

    mode: str
    size: int
    age: CheckpointAge
    measured: Measured


class Limit(msgspec.Struct):
    """A bare scan of what a resume reads, beside that resume.

    Attributes:
        mode: History mode.
        size: Bytes of history.
        lines: Lines scanned.
        ms: Milliseconds of the resume, the median of the pairs.
        ms_min: The quickest.
        bare_ms: Milliseconds of the scan, the median.
        bare_ms_min: The quickest.
        ratio: How many times as long the resume takes, pair by pair.
        pairs: How many pairs there were; which of both comes first alternates.
    """

    mode: str
    size: int
    lines: int
    ms: float
    ms_min: float
    bare_ms: float
    bare_ms_min: float
    ratio: Spread
    pairs: int


class AppendLimit(msgspec.Struct):
    """A durable append of one record, beside a write and an fdatasync of the same number of bytes.

    Attributes:
        mode: History mode.
        size: Bytes of the record.
        ms: Milliseconds of the append, the median of the pairs.
        ms_min: The quickest.
        bare_ms: Milliseconds of the write and the fdatasync, the median.
        bare_ms_min: The quickest.
        ratio: How many times as long the append takes, pair by pair.
        pairs: How many pairs there were; which of both comes first alternates.
    """

    mode: str
    size: int
    ms: float
    ms_min: float
    bare_ms: float
    bare_ms_min: float
    ratio: Spread
    pairs: int


class Report(msgspec.Struct):
    """What was measured.

    Attributes:
        machine: Where.
        tail_bytes: How far before the end the last checkpoint stands.
        rows: Operations on threads of every size; ``replay`` is the full replay.
        aged: Resumes of threads whose checkpoints have an older shape.
        limits: Bare scans.
        appends: Bare appends.
    """

    machine: Machine
    tail_bytes: int
    rows: list[BenchRow]
    aged: list[BenchRow]
    limits: list[Limit]
    appends: list[AppendLimit] = []


def bytes_needed(sizes: Sequence[int], modes: Sequence[str]) -> int:
    """How much disk the generated threads take, about."""
    return len(modes) * (sum(sizes) + 3 * aged_size(sizes))


def bench(
    folder: str,
    *,
    sizes: Sequence[int] = SIZES,
    modes: Sequence[str] = MODES,
    runs: int = 15,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Measure everything.

    Args:
        folder: Where generated threads are kept; those that are there are used again.
        sizes: Bytes of history.
        modes: History modes.
        runs: Runs of each operation, after one that does not count.
        progress: Told what is being measured.
    """
    tell = progress if progress is not None else _nobody
    report = Report(machine(), TAIL_BYTES, [], [], [])
    for mode in modes:
        for size in sizes:
            named = f"{mode}, {size // MB or size / MB} MB"
            tell(f"{named}: making the thread")
            home = made_home(folder, Recipe(mode=mode, size=size, tail=TAIL_BYTES))
            _measure_home(report, home, runs, functools.partial(_tell, tell, named))
    for mode in modes:
        for age in get_args(CheckpointAge)[1:]:
            tell(f"{mode}, checkpoints of the kind {age}")
            home = made_home(folder, Recipe(mode=mode, size=aged_size(sizes), tail=TAIL_BYTES, age=age))
            with ThreadStore.open(home.path) as store:
                row = measured("resume", OPERATIONS["resume"], store, home.thread_id, min(runs, _COLD_RUNS))
            cold = measured_cold("resume", OPERATIONS["resume"], home.path, home.thread_id, 1)
            report.aged += [BenchRow(mode, home.size, age, each) for each in (row, cold)]
    for mode in modes:
        tell(f"{mode}: durable append")
        report.appends.append(_append_limit(folder, mode, runs * _PAIRS_A_RUN))
    return report


def _nobody(_what: str) -> None:
    """Nobody wants to know."""


def _tell(tell: Callable[[str], None], named: str, what: str) -> None:
    tell(f"{named}: {what}")


def aged_size(sizes: Sequence[int]) -> int:
    """The size of which other kinds of threads are made: the one that is nearest to ten megabytes."""
    return min(sizes, key=lambda size: abs(size - _AGED_SIZE))


def _measure_home(report: Report, home: BenchHome, runs: int, tell: Callable[[str], None]) -> None:
    rows: list[Measured] = []
    for name, operation in OPERATIONS.items():
        tell(operation.title)
        with contextlib.ExitStack() as stack:
            path = stack.enter_context(scratch_copy(home)) if operation.writes else home.path
            store = stack.enter_context(ThreadStore.open(path))
            rows.append(measured(name, operation, store, home.thread_id, runs))
        if operation.derived:
            rows.append(measured_cold(name, operation, home.path, home.thread_id, _COLD_RUNS))
    tell("full replay")
    with ThreadStore.open(home.path) as store:
        replays = 1 if home.size > _LARGE else min(runs, _COLD_RUNS)
        rows.append(measured("replay", FULL_REPLAY, store, home.thread_id, replays))
        report.rows += [BenchRow(home.recipe.mode, home.size, home.recipe.age, row) for row in rows]
        checkpoint = store.resume(home.thread_id).context.checkpoint
        if checkpoint is not None:
            tell("bare scan")
            report.limits.append(_limit(home, checkpoint.offset, store, runs * _PAIRS_A_RUN))


def _limit(home: BenchHome, low: int, store: ThreadStore, pairs: int) -> Limit:
    lines: list[int] = []
    measured = beside(lambda: store.resume(home.thread_id), lambda: lines.append(bare_scan(home.rollout, low)), pairs)
    return Limit(home.recipe.mode, home.size, lines[-1], *_compared(measured))


def _compared(measured: Sequence[Pair]) -> tuple[float, float, float, float, Spread, int]:
    """Both in short, and how many times as long as the limit it takes, pair by pair."""
    ours, bare = [pair.ms for pair in measured], [pair.bare_ms for pair in measured]
    return (
        round(statistics.median(ours), 3),
        round(min(ours), 3),
        round(statistics.median(bare), 3),
        round(min(bare), 3),
        pair_by_pair(bare, ours),
        len(measured),
    )


def _append_limit(folder: str, mode: str, pairs: int) -> AppendLimit:
    """Appends to a new thread below the folder, so that they are flushed to the disk that is measured."""
    output = {"type": "function_call_output", "call_id": "call", "output": "word " * (_RECORD_BYTES // 5 - 36)}
    with (
        tempfile.TemporaryDirectory(prefix="append-", dir=folder) as path,
        ThreadStore.open(os.path.join(path, "home")) as store,
        store.create(cwd=path, mode=mode) as writer,
    ):
        writer.append("response_item", output)
        before = writer.cost.bytes_written
        writer.append("response_item", output)
        size = writer.cost.bytes_written - before
        with bare_append(os.path.join(path, "bare"), b"x" * size) as bare:
            measured = beside(lambda: writer.append("response_item", output), bare, pairs)
    return AppendLimit(mode, size, *_compared(measured))


def machine() -> Machine:
    """This machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine(
        f"{platform.system()} {platform.release()}",
        _processor(),
        cores,
        f"{platform.python_implementation()} {platform.python_version()}",
        __version__,
        msgspec.__version__,
    )


def _processor() -> str:
    if sys.platform == "linux":
        try:
            with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
                for line in file:
                    if line.startswith("model name"):
                        return line.split(":", 1)[1].strip()
        except OSError:
            pass
    return platform.processor() or platform.machine()
