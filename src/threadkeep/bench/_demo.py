"""The demonstration: a long thread in each history mode, what people do with one, and a full replay beside it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

import msgspec

from threadkeep.bench._generate import Recipe
from threadkeep.bench._home import write_rollout
from threadkeep.bench._operations import FULL_REPLAY, OPERATIONS
from threadkeep.records import LEGACY, PAGINATED, Cost
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from threadkeep.bench._operations import Operation

__all__ = ["DEMO_BYTES", "Demo", "DemoStep", "DemoThread", "demo"]

DEMO_BYTES: Final = 50_000_000

_STEPS: Final = ("resume", "fork", "page")
_RUNS: Final = 5
_REPLAYS: Final = 2
_FORKS: Final = 3
"""The first fork of a home also makes the folders that forks need."""


class DemoStep(msgspec.Struct):
    """One thing that was done with a thread.

    Attributes:
        title: What it was.
        ms: Milliseconds: the quickest of a few runs.
        bytes_read: Bytes of rollouts that it read.
        bytes_written: Bytes of rollouts that it wrote.
        ratio: How many times as long a full replay takes.
    """

    title: str
    ms: float
    bytes_read: int
    bytes_written: int
    ratio: float


class DemoThread(msgspec.Struct):
    """A thread of the demonstration.

    Attributes:
        thread_id: Its id.
        mode: Its history mode.
        size: Bytes of its history.
        turns: Turns that it has.
        items: Response items that a resume gives to the model.
        fork_id: Its newest fork.
        steps: What was done; the last one is the full replay.
        equal: Whether fast and full gave the same, of the thread and of its fork.
    """

    thread_id: str
    mode: str
    size: int
    turns: int
    items: int
    fork_id: str
    steps: list[DemoStep]
    equal: bool


class Demo(msgspec.Struct):
    """What the demonstration did.

    Attributes:
        home: Its home; None where it is not kept.
        threads: A thread in each history mode.
        seconds: How long it took.
    """

    home: str | None
    threads: list[DemoThread]
    seconds: float


def demo(
    home: str, *, size: int = DEMO_BYTES, kept: bool = False, progress: Callable[[str], None] | None = None
) -> Demo:
    """Make threads in a home and show what they take.

    Args:
        home: The home's folder; made where it is missing.
        size: Bytes of each thread.
        kept: Whether the home stays.
        progress: Told what is being done.
    """
    started = time.monotonic()
    threads: list[DemoThread] = []
    for mode in (PAGINATED, LEGACY):
        if progress is not None:
            progress(f"writing a {mode} thread")
        recipe = Recipe(mode=mode, size=size, seed=len(threads) + 1, opening=f"A made-up {mode} thread")
        made, location = write_rollout(home, recipe)
        if progress is not None:
            progress(f"using the {mode} thread")
        with ThreadStore.open(home) as store:
            written = os.path.getsize(os.path.join(home, location))
            threads.append(_shown(store, made.thread_id, mode, written, made.turns))
    return Demo(home if kept else None, threads, round(time.monotonic() - started, 1))


def _shown(store: ThreadStore, thread: str, mode: str, size: int, turns: int) -> DemoThread:
    full, replayed = _timed(FULL_REPLAY, store, thread, _REPLAYS)
    steps = []
    for name in _STEPS:
        operation = OPERATIONS[name]
        ms, cost = _timed(operation, store, thread, _FORKS if operation.writes else _RUNS)
        steps.append(_step(operation.title, ms, cost, full))
    steps.append(_step(FULL_REPLAY.title, full, replayed, full))
    fork = next(child for child in store.list().data if child.forked_from_id == thread)
    fast = store.resume(thread)
    equal = _same(store, thread) and _same(store, fork.id)
    return DemoThread(thread, mode, size, turns, len(fast.context.items), fork.id, steps, equal)


def _timed(operation: Operation, store: ThreadStore, thread: str, runs: int) -> tuple[float, Cost]:
    """(milliseconds of the quickest run, what it cost)."""
    best, cost = float("inf"), Cost()
    for _ in range(runs):
        started = time.perf_counter()
        cost = operation.run(store, thread)
        best = min(best, (time.perf_counter() - started) * 1000)
    return best, cost


def _step(title: str, ms: float, cost: Cost, full: float) -> DemoStep:
    return DemoStep(title, round(ms, 2), cost.bytes_read, cost.bytes_written, round(full / ms, 1))


def _same(store: ThreadStore, thread: str) -> bool:
    """Whether a resume gives what the whole history says."""
    fast, full = store.resume(thread), store.replay(thread)
    return fast.context == full.context and fast.settings == full.settings and fast.usage == full.usage
