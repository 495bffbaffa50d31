"""The benchmark beside the real Codex: what a client waits for, from the start of the server to the answer.

Both servers work in the same home, in turns, as after normal use: each has resumed its threads before, Codex has its
index of them. After every run each file of the home is again what it was, byte for byte, so that every run begins as in
a fresh copy at the same place, with all of it in the page cache (Codex's index holds absolute paths: a copy elsewhere
would be another home). Runs come in pairs, one of each server, who comes first changes with every pair, and answers are
compared in every pair.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import tempfile
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from threadkeep.bench._appserver import MEMORY, NO_CODEX
from threadkeep.bench._appserver_homes import ServerHome
from threadkeep.bench._appserver_places import Place, order, servers_of, use, version_of
from threadkeep.bench._appserver_process import UNREADABLE, memory_of
from threadkeep.bench._bench import machine
from threadkeep.bench._codex_checks import Asked, Seen, differences, mistakes, thread_of
from threadkeep.bench._codex_homes import own_plan, plans
from threadkeep.bench._codex_report import CodexReport, CodexRow, CodexSide, FailedCheck
from threadkeep.bench._codex_scenarios import SCENARIOS, play
from threadkeep.bench._spread import pair_by_pair, spread
from threadkeep.records import LEGACY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from threadkeep.bench._appserver_process import ServerProcess
    from threadkeep.bench._codex_homes import Choice, Plan

__all__ = ["bench_codex"]

_PAGE: Final = 20
"""Turns of the page that is compared."""

_WRITTEN_PAIRS: Final = 3
"""In so many pairs what was written is looked at: that takes waiting until the process is idle."""

_USAGE: Final = b'"thread/tokenUsage/updated"'
_USAGE_TRIES: Final = 20
_USAGE_SECONDS: Final = 0.01


class _Run(NamedTuple):
    """A scenario, run once.

    Attributes:
        total_ms: From the start of the process to the answer.
        action_ms: What the request that acts took of it.
        written: Bytes by which the home grew; None where it was not looked at.
        peak: The most memory that the process had.
        seen: What was answered.
    """

    total_ms: float
    action_ms: float
    written: int | None
    peak: int | None
    seen: Seen


def bench_codex(
    folder: str,
    *,
    codex: str | None,
    choice: Choice,
    own: tuple[str, str] | None = None,
    runs: int = 20,
    progress: Callable[[str], None] | None = None,
) -> CodexReport:
    """Measure everything.

    Args:
        folder: Where generated threads are kept; those that are there are used again.
        codex: The Codex binary; None where there is none.
        choice: Which homes are generated.
        own: A home and a thread of it, which is measured on a copy.
        runs: Pairs of runs of each scenario.
        progress: Told what is being measured.

    Raises:
        Failed: A server ended, or answered nothing in time.
        ThreadNotFound: The home has no such thread.
    """
    tell = progress if progress is not None else _nobody
    here = machine()
    here.memory = MEMORY
    report = CodexReport(here, version_of(codex), choice.seed, [], 0, [], [])
    if codex is None:
        report.skipped.append(NO_CODEX)
    wanted = list(plans(choice))
    if own is not None:
        wanted.insert(0, own_plan(*own))
    for plan in wanted:
        _measure(report, plan, folder, codex, runs, tell)
    return report


def _nobody(_what: str) -> None:
    """Nobody wants to know."""


def _measure(
    report: CodexReport, plan: Plan, folder: str, codex: str | None, runs: int, tell: Callable[[str], None]
) -> None:
    """Every scenario on one home."""
    tell(f"{plan.title}: making it")
    template = plan.make(folder, lambda what: tell(f"{plan.title}: {what}"))
    size = sum(os.path.getsize(os.path.join(template.path, location)) for location in template.locations)
    mode = plan.mode or getattr(template, "mode", "")
    named = f"{plan.title}, {mode}, {size / 1e6:.3g} MB"
    failed = len(report.failed)
    scratch = tempfile.mkdtemp(prefix="servers-", dir=folder)
    try:
        home = ServerHome(scratch, template)
        places = [Place(server, home) for server in servers_of(codex)]
        for place in reversed(places):  # Codex first: threadkeep then finds its index, as in any home of Codex
            tell(f"{named}: {place.server.name} uses the home once")
            use(place)
        home.keep()
        for name in SCENARIOS:
            tell(f"{named}: {name}")
            asked = Asked(SCENARIOS[name], home.thread_id, mode == LEGACY, bool(home.ancestors), home.cwd)
            pairs = _pairs(places, asked, runs)
            _check(report, f"{plan.name}: {named}", name, asked, pairs, home.path)
            report.rows.append(_row(plan, mode, size, name, pairs))
    finally:
        if len(report.failed) == failed:
            shutil.rmtree(scratch, ignore_errors=True)


def _pairs(places: Sequence[Place], asked: Asked, runs: int) -> list[list[_Run]]:
    """The runs of each pair: threadkeep's, and Codex's where there is one."""
    pairs = []
    for pair in range(runs):
        done: dict[int, _Run] = {}
        for index in order(len(places), pair):
            done[index] = _run(places[index], asked, weighed=pair < _WRITTEN_PAIRS)
        pairs.append([done[index] for index in range(len(places))])
    return pairs


def _run(place: Place, asked: Asked, *, weighed: bool) -> _Run:
    """A scenario on a process that is started for it; its home is put back afterwards."""
    before = place.home.sizes() if weighed else {}
    written = page = usage = None
    with place.start() as process:
        done = play(process, asked.scenario, asked.thread_id, asked.cwd)
        _, peak = memory_of(process.pid)
        if weighed:
            process.idle()
            written = place.home.grown(before)
        refused = done.answer.error
        if refused is None and asked.scenario.lookup is not None:
            with contextlib.suppress(*UNREADABLE):  # whoever compares it tells it
                page, refused = _page(process, thread_of(done.answer.line))
            usage = _usage(process, asked)
    place.home.put_back()
    seen = Seen(done.found, done.answer.line, page, usage, refused)
    return _Run(done.total_ms, done.action_ms, written, peak, seen)


def _page(process: ServerProcess, thread: str) -> tuple[bytes, str | None]:
    """(the newest turns of a thread, what was said where they were refused)."""
    params: dict[str, Any] = {"threadId": thread, "limit": _PAGE}
    answer = process.request("thread/turns/list", params, whole=True)
    return answer.line, answer.error and f"thread/turns/list: {answer.error}"


def _usage(process: ServerProcess, asked: Asked) -> bytes | None:
    """What the server said of the tokens that a thread used; it says so some time after a paginated one is resumed."""
    if asked.scenario.makes or asked.legacy:
        return None
    for _ in range(_USAGE_TRIES):
        said = next((line for line in process.heard if _USAGE in line), None)
        if said is not None:
            return said
        time.sleep(_USAGE_SECONDS)
        process.request("thread/read", {"threadId": asked.thread_id})
    return None


def _check(
    report: CodexReport, home: str, scenario: str, asked: Asked, pairs: Sequence[Sequence[_Run]], path: str
) -> None:
    """Look at every answer, and compare those of each pair."""
    for number, (ours, *others) in enumerate(pairs, 1):
        wrong = mistakes(asked, ours.seen)
        for theirs in others:
            if theirs.seen.refused is not None and ours.seen.refused is not None:
                wrong = []  # what neither does is no mistake of one
            wrong += differences(asked, ours.seen, theirs.seen)
        report.checked += 1
        told = dict.fromkeys(wrong)  # what cannot be read is no mistake and a difference both
        report.failed += [FailedCheck(home, scenario, number, report.seed, what, path) for what in told]


def _row(plan: Plan, mode: str, size: int, scenario: str, pairs: Sequence[Sequence[_Run]]) -> CodexRow:
    ours, *others = (_side([pair[index] for pair in pairs]) for index in range(len(pairs[0])))
    row = CodexRow(plan.name, plan.title, mode, size, scenario, len(pairs), ours, None, None, None)
    if others:
        row.codex = others[0]
        if ours.refused is None and row.codex.refused is None:
            own, theirs = zip(*pairs, strict=True)
            row.ratio = pair_by_pair([run.total_ms for run in own], [run.total_ms for run in theirs])
            row.ratio_action = pair_by_pair([run.action_ms for run in own], [run.action_ms for run in theirs])
    return row


def _side(runs: Sequence[_Run]) -> CodexSide:
    peaks = [run.peak for run in runs if run.peak is not None]
    return CodexSide(
        spread([run.total_ms for run in runs]),
        spread([run.action_ms for run in runs]),
        max(run.written for run in runs if run.written is not None),
        statistics.median_low(peaks) if peaks else None,
        next((run.seen.refused for run in runs if run.seen.refused is not None), None),
    )
