"""Measuring one operation: time in this process, warm or cold, and what it read."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
import tracemalloc
from typing import TYPE_CHECKING, Final

import msgspec

from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from threadkeep.bench._operations import Operation
    from threadkeep.records import Cost

__all__ = ["PEAK_MEANING", "Measured", "forget_catalog", "measured", "measured_cold", "timed"]

PEAK_MEANING: Final = "peak of what Python allocated during one warm run (tracemalloc)"

_CATALOG: Final = "threadkeep/catalog.sqlite"


class Measured(msgspec.Struct):
    """What an operation took.

    Attributes:
        operation: Its name.
        cold: Whether the catalog was thrown away before each run.
        ms: Milliseconds, the median of the runs.
        ms_min: The quickest run.
        runs: How many there were.
        bytes_read: Bytes of rollouts that were read.
        bytes_written: Bytes of rollouts that were written.
        records_seen: Records whose first bytes were looked at.
        records_decoded: Records that were decoded.
        full_scans: How many whole rollouts had to be read, by the stated exceptions.
        peak_bytes: The peak of what Python allocated during one more run; None where it was not measured.
    """

    operation: str
    cold: bool
    ms: float
    ms_min: float
    runs: int
    bytes_read: int
    bytes_written: int
    records_seen: int
    records_decoded: int
    full_scans: int
    peak_bytes: int | None = None


def timed(run: Callable[[], object], runs: int) -> list[float]:
    """Milliseconds of each of ``runs`` runs, after one that does not count."""
    run()
    taken = []
    for _ in range(runs):
        started = time.perf_counter_ns()
        run()
        taken.append((time.perf_counter_ns() - started) / 1e6)
    return taken


def measured(name: str, operation: Operation, store: ThreadStore, thread: str, runs: int) -> Measured:
    """An operation on an open store, warm: the median of ``runs`` runs after a first one."""
    costs: list[Cost] = []
    taken = timed(lambda: costs.append(operation.run(store, thread)), runs)
    summary = _summary(name, taken, costs[-1], cold=False)
    summary.peak_bytes = _peak_of(lambda: operation.run(store, thread))
    return summary


def _peak_of(run: Callable[[], object]) -> int:
    """The peak of what Python allocates in one run, in bytes."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def measured_cold(name: str, operation: Operation, home: str, thread: str, runs: int) -> Measured:
    """An operation on a store that was just opened and knows nothing of the home yet."""
    taken, cost = [], None
    for _ in range(runs):
        forget_catalog(home)
        with ThreadStore.open(home) as store:
            started = time.perf_counter_ns()
            cost = operation.run(store, thread)
            taken.append((time.perf_counter_ns() - started) / 1e6)
    assert cost is not None, "there is at least one run"
    return _summary(name, taken, cost, cold=True)


def forget_catalog(home: str) -> None:
    """Throw a home's catalog away."""
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(home, _CATALOG + suffix))


def _summary(name: str, taken: list[float], cost: Cost, *, cold: bool) -> Measured:
    return Measured(
        name,
        cold,
        round(statistics.median(taken), 3),
        round(min(taken), 3),
        len(taken),
        cost.bytes_read,
        cost.bytes_written,
        cost.records_seen,
        cost.records_decoded,
        len(cost.full_scans),
    )
