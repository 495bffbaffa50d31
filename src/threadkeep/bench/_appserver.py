"""The benchmark of app-servers: threadkeep's beside Codex's, on the same threads, a fresh process for each request."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Final, NamedTuple

from threadkeep.bench._appserver_beside import beside
from threadkeep.bench._appserver_calls import CALLS
from threadkeep.bench._appserver_crowd import CLIENTS, crowd
from threadkeep.bench._appserver_places import order, scratch, servers_of, used, version_of
from threadkeep.bench._appserver_process import memory_of
from threadkeep.bench._appserver_report import AppServerReport, AppServerRow, Served, Start, took
from threadkeep.bench._appserver_socket import free_port
from threadkeep.bench._bench import MB, MODES, SIZES, TAIL_BYTES, machine
from threadkeep.bench._generate import Recipe
from threadkeep.bench._home import made_home
from threadkeep.bench._spread import pair_by_pair
from threadkeep.records import PAGINATED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from threadkeep.bench._appserver_calls import Call
    from threadkeep.bench._appserver_places import Place, Server
    from threadkeep.bench._appserver_process import Answer
    from threadkeep.bench._home import BenchHome

__all__ = ["MEMORY", "NO_CODEX", "PARTS", "bench_app_server", "bytes_needed"]

PARTS: Final = ("calls", "beside", "crowd")
"""Calls on threads of every size; small requests beside a large answer; many clients at the same time."""

MEMORY: Final = "the most that the server's process had resident (VmHWM)"

_SLOW_MS: Final = 3_000.0
_SLOW_RUNS: Final = 3
"""So many runs are enough of what takes seconds."""

NO_CODEX: Final = "Codex is not installed here: nothing to compare with"


class _Runs(NamedTuple):
    """Runs of one call on one server."""

    at_once: list[float]
    loaded: list[float]
    peaks: list[int]
    written: list[int]
    answers: list[Answer]


def bytes_needed(sizes: Sequence[int], modes: Sequence[str]) -> int:
    """How much disk the generated threads and the servers' homes take, about."""
    # At a time: a copy for each server, Codex's index of it and the copy of that, and a fork that Codex copies.
    return len(modes) * sum(sizes) + 4 * max(sizes)


def bench_app_server(
    folder: str,
    *,
    codex: str | None,
    sizes: Sequence[int] = SIZES,
    modes: Sequence[str] = MODES,
    runs: int = 5,
    parts: Sequence[str] = PARTS,
    progress: Callable[[str], None] | None = None,
) -> AppServerReport:
    """Measure everything.

    Args:
        folder: Where generated threads are kept; those that are there are used again.
        codex: The Codex binary; None where there is none.
        sizes: Bytes of history.
        modes: History modes.
        runs: Runs of each call, in each of the two ways; fewer of what takes seconds.
        parts: What is measured, of :data:`PARTS`.
        progress: Told what is being measured.

    Raises:
        Failed: A server ended, refused what it must not, or answered nothing in time.
        Closed: A server ended a connection.
    """
    tell = progress if progress is not None else _nobody
    here = machine()
    here.memory = MEMORY
    report = AppServerReport(here, version_of(codex), TAIL_BYTES, [], [], [], [], [])
    if codex is None:
        report.skipped.append(NO_CODEX)
    servers = servers_of(codex)
    for mode in modes:
        for size in sizes:
            if "calls" in parts:
                _calls(report, servers, made_home(folder, _recipe(mode, size, tell)), runs, tell)
    if "beside" in parts:
        _beside(report, servers, made_home(folder, _recipe(PAGINATED, max(sizes), tell)), tell)
    if "crowd" in parts:
        _crowd(report, servers[0], made_home(folder, _recipe(PAGINATED, min(sizes), tell)), tell)
    return report


def _recipe(mode: str, size: int, tell: Callable[[str], None]) -> Recipe:
    tell(f"{_named(mode, size)}: making the thread")
    return Recipe(mode=mode, size=size, tail=TAIL_BYTES)


def _named(mode: str, size: int) -> str:
    return f"{mode}, {size // MB or size / MB} MB"


def _calls(
    report: AppServerReport, servers: Sequence[Server], thread: BenchHome, runs: int, tell: Callable[[str], None]
) -> None:
    """Every call on one thread; before the first ones, starts of processes."""
    named = _named(thread.recipe.mode, thread.recipe.size)
    with scratch(thread) as folder:
        tell(f"{named}: using the homes once")
        places = [used(server, folder, thread) for server in servers]
        if not report.starts:
            tell("starting")
            report.starts = _starts(places, 2 * runs)
        for name, call in CALLS.items():
            tell(f"{named}: {call.title}")
            report.rows.append(_row(thread, name, _measured(places, call, runs)))


def _beside(report: AppServerReport, servers: Sequence[Server], thread: BenchHome, tell: Callable[[str], None]) -> None:
    """Small requests beside a large answer, on each server."""
    for server in servers:
        tell(f"{server.name}: small requests beside a large answer")
        with scratch(thread) as folder:
            place = used(server, folder, thread)
            port = free_port()
            with place.start("--listen", f"ws://127.0.0.1:{port}") as process:
                report.beside.append(beside(server.name, port, process.pid, thread.thread_id, place.home.cwd))


def _crowd(report: AppServerReport, server: Server, thread: BenchHome, tell: Callable[[str], None]) -> None:
    """Many clients on threadkeep's server."""
    tell(f"{CLIENTS} clients")
    with scratch(thread) as folder:
        place = used(server, folder, thread)
        port = free_port()
        with place.start("--listen", f"ws://127.0.0.1:{port}") as process:
            report.crowds.append(crowd(server.name, port, process.pid, thread.thread_id, place.home.cwd, CLIENTS))


def _nobody(_what: str) -> None:
    """Nobody wants to know."""


def _starts(places: Sequence[Place], runs: int) -> list[Start]:
    """Starts of the servers, one after the other in changing order."""
    taken: list[list[float]] = [[] for _ in places]
    memory: list[list[tuple[int | None, int | None]]] = [[] for _ in places]
    for run in range(runs + 1):
        for index in order(len(places), run):
            with places[index].start() as process:
                ms = process.initialize().ms
                process.idle()
                if run > 0:  # the first one has what a first start leaves behind
                    taken[index].append(ms)
                    memory[index].append(memory_of(process.pid))
            places[index].home.put_back()
    return [
        Start(
            place.server.name,
            took(taken[index]),
            _middle([now for now, _ in memory[index] if now is not None]),
            _middle([most for _, most in memory[index] if most is not None]),
        )
        for index, place in enumerate(places)
    ]


def _measured(places: Sequence[Place], call: Call, runs: int) -> list[_Runs]:
    """A call on every server, one after the other in changing order: the runs of the same number are a pair."""
    measured = [_Runs([], [], [], [], []) for _ in places]
    for run in range(runs):
        for loaded in (False, True):
            for index in order(len(places), run):
                _run(places[index], call, measured[index], loaded=loaded)
        slowest = max(max(each.at_once[-1], each.loaded[-1]) for each in measured)
        if run + 1 >= _SLOW_RUNS and slowest > _SLOW_MS:
            break
    return measured


def _run(place: Place, call: Call, into: _Runs, *, loaded: bool) -> None:
    """One request to a process that was just started; its home is put back afterwards."""
    before: dict[int, int] = {}
    with place.start() as process:
        process.initialize()
        if loaded:
            process.idle()
            before = place.home.sizes()
        answer = process.request(call.method, {"threadId": place.home.thread_id, **call.params})
        _, peak = memory_of(process.pid)
        (into.loaded if loaded else into.at_once).append(answer.ms)
        into.answers.append(answer)
        if peak is not None:
            into.peaks.append(peak)
        if loaded:
            process.idle()
            into.written.append(place.home.grown(before))
    place.home.put_back()


def _row(thread: BenchHome, name: str, measured: Sequence[_Runs]) -> AppServerRow:
    served = [_served(each) for each in measured]
    ours, theirs = served[0], served[1] if len(served) > 1 else None
    ratio = ratio_loaded = None
    if theirs is not None and ours.error is None and theirs.error is None:
        own, others = measured
        ratio = pair_by_pair(own.at_once, others.at_once)
        ratio_loaded = pair_by_pair(own.loaded, others.loaded)
    return AppServerRow(thread.recipe.mode, thread.size, name, ours, theirs, ratio, ratio_loaded)


def _served(runs: _Runs) -> Served:
    refused = next((answer.error for answer in runs.answers if answer.error is not None), None)
    return Served(
        took(runs.at_once),
        took(runs.loaded),
        runs.answers[-1].size,
        max(runs.written),
        _middle(runs.peaks),
        refused,
    )


def _middle(values: Sequence[int]) -> int | None:
    return statistics.median_low(values) if values else None
