"""The same work on any library: each step within a limit of time, each answer compared with what was stored."""

from __future__ import annotations

import contextlib
import itertools
import operator
import os
import shutil
import signal
import statistics
import time
import tracemalloc
from typing import TYPE_CHECKING, Any, Final

from threadkeep.bench.peers._peer import CHECKPOINT_BACK, SUMMARY, Cannot
from threadkeep.bench.peers._report import PeerStep
from threadkeep.bench.peers._turns import MESSAGES, made_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from threadkeep.bench.peers._peer import Driven, Peer

__all__ = ["FORKS", "LAST", "STEPS", "Work"]

LAST: Final = 20
"""Turns of the page that is read."""

FORKS: Final = 100
"""Forks whose bytes are measured, as far as the limits allow."""

_AGAIN_SECONDS: Final = 5.0

_SHOWN: Final = 40
"""Characters that are shown of a text that is wrong."""

_FORKED_BYTES: Final = 2_000_000_000
"""No more forks are made above this many bytes of them, nor above half of what is free."""

STEPS: Final = (
    "prepare",
    "resume",
    "last",
    "memory",
    "cold",
    "disk",
    "append",
    "append-each",
    "fork-middle",
    "fork-head",
    "per-fork",
)
"""What is done, in this order."""


class _Stopped(BaseException):
    """The step's time is over. No library catches it, as it is no `Exception`."""


class Work:
    """The steps of one library on one conversation.

    Args:
        peer: The library.
        driven: How it is driven.
        folder: Where it keeps its files.
        turns: Turns of the conversation.
        runs: Runs of each step.
        limit: Seconds that a step may take.
    """

    def __init__(self, peer: Peer, driven: Driven, folder: str, *, turns: int, runs: int, limit: float) -> None:
        self._peer = peer
        self._driven = driven
        self._folder = folder
        self._turns = turns
        self._runs = runs
        self._limit = limit
        self._stored: list[str] = []  # the texts of all messages
        self._unsure = False

    def steps(self) -> Iterator[PeerStep]:
        """Do everything, and say what became of it; nothing more where the conversation could not be made."""
        prepared = self._step("prepare", self._prepare)
        yield prepared
        if prepared.outcome != "measured":
            return
        self._stored = [text for number in range(self._turns) for text in made_turn(number).texts]
        done = {
            "resume": self._resume,
            "last": self._last,
            "memory": self._memory,
            "cold": self._cold,
            "append": self._append_all,
            "append-each": self._append_each,
            "disk": self._disk,
            "fork-middle": self._fork_middle,
            "fork-head": self._fork_head,
            "per-fork": self._per_fork,
        }
        for name in STEPS[1:]:
            yield self._step(name, done[name])

    def _step(self, name: str, do: Callable[[PeerStep], None]) -> PeerStep:
        step = PeerStep(name)
        alarm = _Alarm(self._limit)
        try:
            with alarm:
                do(step)
        except Cannot as error:
            step.outcome, step.why = "cannot", str(error)
        except (_Stopped, Exception) as error:  # noqa: BLE001 - whatever a library raises is told as its failure
            self._unsure = self._unsure or name.startswith("append")
            if not alarm.over:
                step.outcome, step.why = "failed", f"{type(error).__name__}: {error}"[:300]
            elif step.runs == 0 and step.bytes is None:
                step.outcome, step.why = "stopped", f"not done once in {self._limit:g} s"
            elif step.outcome == "measured":
                step.why = f"stopped after {step.runs} of {self._runs} runs, the last answer not compared"
        return step

    # The steps

    def _prepare(self, step: PeerStep) -> None:
        started = time.perf_counter_ns()
        step.why = self._peer.prepare(self._turns, self._limit)
        _count(step, [(time.perf_counter_ns() - started) / 1e6])

    def _resume(self, step: PeerStep) -> None:
        answer = self._timed(step, self._peer.resume)
        self._check(step, answer, self._context(self._total))

    def _last(self, step: PeerStep) -> None:
        answer = self._timed(step, lambda: self._peer.last_turns(LAST))
        self._check(step, answer, self._stored[-LAST * MESSAGES :])

    def _memory(self, step: PeerStep) -> None:
        tracemalloc.start()
        try:
            answer = self._peer.resume()
            step.bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        del answer

    def _cold(self, step: PeerStep) -> None:
        taken: list[float] = []
        for _ in range(self._runs):
            self._peer.close()
            started = time.perf_counter_ns()
            self._peer.open()
            answer = self._peer.resume()
            taken.append((time.perf_counter_ns() - started) / 1e6)
            _count(step, taken)
            self._check(step, answer, self._context(self._total))
            del answer

    def _append_all(self, step: PeerStep) -> None:
        self._append(step, self._peer.append)

    def _append_each(self, step: PeerStep) -> None:
        self._append(step, self._peer.append_each)

    def _append(self, step: PeerStep, append: Callable[[Any], object]) -> None:
        new = iter([made_turn(self._total + number) for number in range(1 + self._runs)])

        def one() -> None:
            turn = next(new)
            append(turn)
            self._stored += turn.texts

        self._timed(step, one)
        self._check(step, self._peer.resume(), self._context(self._total))

    def _disk(self, step: PeerStep) -> None:
        step.bytes = self._closed_bytes()
        if step.bytes == 0:
            raise Cannot("it is in memory alone")

    def _fork_middle(self, step: PeerStep) -> None:
        if self._turns < 2:
            raise Cannot("there is no middle")
        half = self._turns // 2
        fork = self._timed(step, self._peer.fork_middle)
        self._check(step, self._peer.resume(fork), self._context(half))

    def _fork_head(self, step: PeerStep) -> None:
        turns = self._total - self._driven.head_leaves_out
        fork = self._timed(step, self._peer.fork_head)
        self._check(step, self._peer.resume(fork), self._context(turns))

    def _per_fork(self, step: PeerStep) -> None:
        before = self._closed_bytes()
        if before == 0:
            raise Cannot("it is in memory alone")
        most = min(_FORKED_BYTES, shutil.disk_usage(self._folder).free // 2)
        until = time.monotonic() + self._limit / 2
        made = 0
        while made < FORKS and time.monotonic() < until:
            self._peer.fork_head()
            made += 1
            if made % 10 == 0 and _bytes_of(self._folder) - before > most:
                break
        step.bytes = (self._closed_bytes() - before) // made
        step.runs = made
        if made < FORKS:
            step.why = f"of {made} forks"

    # Helpers

    def _timed(self, step: PeerStep, run: Callable[[], Any]) -> Any:
        """Do something once, and then as often as it is to be done; the last answer.

        The first time counts only where there is no other before the limit.
        """
        answer: Any = None
        taken: list[float] = []
        for number in range(1 + self._runs):
            answer = None
            started = time.perf_counter_ns()
            answer = run()
            taken.append((time.perf_counter_ns() - started) / 1e6)
            _count(step, taken[1:] if number else taken)
        return answer

    def _check(self, step: PeerStep, answer: Any, wanted: Sequence[str]) -> None:
        """Compare every text of an answer with what was stored."""
        if self._unsure and step.name != "fork-middle":
            return  # an append was cut off: what stands at the end is not known
        seen = self._peer.seen(answer)
        if len(seen) != len(wanted):
            step.outcome, step.why = "wrong", f"{len(seen):,} messages, not {len(wanted):,}"
            return
        for number, (text, stored) in enumerate(zip(seen, wanted, strict=True), 1):
            if text != stored:
                same = sum(1 for _ in itertools.takewhile(bool, map(operator.eq, text, stored)))
                got, not_ = (repr(each[same : same + _SHOWN]) for each in (text, stored))
                step.outcome = "wrong"
                step.why = f"message {number:,} of {len(seen):,} is {got}, not {not_}, from character {same:,} on"
                return

    @property
    def _total(self) -> int:
        """How many turns are stored now."""
        return len(self._stored) // MESSAGES

    def _context(self, turns: int) -> list[str]:
        """The texts of the context of so many turns."""
        replaced = self._turns - CHECKPOINT_BACK
        if self._driven.checkpointed and 0 < replaced <= turns:
            return [SUMMARY, *self._stored[MESSAGES * replaced : MESSAGES * turns]]
        return self._stored[: MESSAGES * turns]

    def _closed_bytes(self) -> int:
        """Bytes of the files, as they are when nobody has them open."""
        self._peer.close()
        size = _bytes_of(self._folder)
        if size:
            self._peer.open()
        return size


def _count(step: PeerStep, taken: list[float]) -> None:
    step.ms, step.ms_min, step.runs = round(statistics.median(taken), 3), round(min(taken), 3), len(taken)


def _bytes_of(folder: str) -> int:
    """Bytes of all files below a folder; a file with several names counts once."""
    files = {}
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                facts = os.lstat(os.path.join(path, name))
                files[facts.st_dev, facts.st_ino] = facts.st_size
    return sum(files.values())


class _Alarm:
    """Stops what is done inside after some time, and again where a library made nothing of it.

    Attributes:
        over: Whether the time was over. What is raised then may be another error: not all code hands ours on.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.over = False

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGALRM, self._stop)
        signal.setitimer(signal.ITIMER_REAL, self._seconds, _AGAIN_SECONDS)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.over = True
        raise _Stopped
