"""``threadkeep bench peers``: what the same work takes on other libraries that keep conversations."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import TYPE_CHECKING, Final

import click

from threadkeep.cli._bench_common import names_of, runs_option, show_machine, show_table
from threadkeep.cli._errors import OK, PROBLEM
from threadkeep.cli._options import example, json_option

if TYPE_CHECKING:
    from threadkeep.bench.peers._report import PeerReport, PeerRow, PeersReport, PeerStep
    from threadkeep.cli._session import Session

__all__ = ["peers"]

_MOST_TURNS: Final = 100_000
_NAMES: Final = (
    "threadkeep",
    "threadkeep-checkpoint",
    "floor",
    "langgraph",
    "openai-sqlite",
    "openai-advanced",
    "claude",
    "pydantic-memory",
    "pydantic-sqlite",
    "adk",
)
_COLUMNS: Final = {
    "append": "append, ms",
    "append-each": "by message, ms",
    "resume": "resume, ms",
    "cold": "resume cold, ms",
    "memory": "its memory",
    "last": "last 20 turns, ms",
    "fork-head": "fork at head, ms",
    "fork-middle": "fork in middle, ms",
    "disk": "on disk",
    "per-fork": "a fork on disk",
}
_GET_IT: Final = "`pip install 'threadkeep[bench]'` in a virtual environment of its own brings all of them"


def _as_lengths(_context: click.Context, _option: click.Parameter, given: str) -> list[int]:
    """Numbers of turns, separated by commas."""
    try:
        lengths = [int(part) for part in given.split(",")]
    except ValueError:
        lengths = [0]
    if not all(1 <= length <= _MOST_TURNS for length in lengths):
        raise click.BadParameter(f"{given!r} is no list of numbers of turns, such as 10,1000")
    return list(dict.fromkeys(lengths))


@click.command(
    epilog=example("threadkeep bench peers --turns 10,1000", "threadkeep bench peers --only threadkeep,floor --json")
)
@click.option(
    "--turns",
    metavar="N,N",
    callback=_as_lengths,
    default="10,1000,10000",
    show_default=True,
    help="Turns of the conversations.",
)
@runs_option(5, "Runs of each step, after a first.")
@click.option(
    "--limit",
    metavar="SECONDS",
    type=click.FloatRange(min=0.1, max=86_400),
    default=60.0,
    show_default=True,
    help="How long a step may take, with all its runs.",
)
@click.option(
    "--only",
    metavar="NAME,NAME",
    callback=names_of(_NAMES),
    default=",".join(_NAMES),
    help=f"What is measured, of {', '.join(_NAMES)}.  [default: all]",
)
@click.option(
    "--folder",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, writable=True),
    help="Make the conversations below this folder, on the file system that is to be measured.",
)
@json_option
@click.pass_obj
def peers(session: Session, turns: list[int], runs: int, limit: float, only: list[str], folder: str | None) -> int:
    """Measure the same work on other libraries that keep conversations.

    A turn is a question of 300 characters, a tool call, its output of 4,000 and an answer of 1,500. Each library is
    driven through its public API in a process of its own, and every answer is compared with what was stored: the
    command fails where one is wrong or a step failed. What is not installed is left out, and what takes too long is
    stopped: neither is a failure.

    Their packages do not go together with those of `threadkeep app-server`: install the extra `bench` into a virtual
    environment of its own, and run this command there.
    """
    from threadkeep.bench._peers import bench_peers

    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="threadkeep-bench-"))
        progress = stack.enter_context(session.working("measuring"))
        report = bench_peers(
            os.path.abspath(folder), turns=turns, runs=runs, limit=limit, names=only, progress=progress
        )
    if session.json:
        session.answer(report)
    else:
        _show(session, report)
    return PROBLEM if report.told("wrong") or report.told("failed") else OK


def _show(session: Session, report: PeersReport) -> None:
    from threadkeep.cli._text import clean

    show_machine(session, report.machine)
    measured = [peer for peer in report.peers if peer.rows]
    lengths = list(dict.fromkeys(row.turns for peer in measured for row in peer.rows))
    runs = f"Medians of {report.runs} runs" if report.runs > 1 else "One run"
    session.line(
        f"{runs} at {' / '.join(f'{length:,}' for length in lengths)} turns of "
        f"{report.turn_bytes:,} characters in 4 messages; a step is stopped after {report.limit_seconds:g} s.\n"
        "Append: a turn at once, and message by message. Its memory: of a resume. A fork on disk: of 100 at the head."
    )
    session.line()
    rows = [
        [peer.title, _flushed(peer), *(_cell(peer, name, report.limit_seconds) for name in _COLUMNS)]
        for peer in measured
    ]
    show_table(session, ("", "flushed", *_COLUMNS.values()), rows, left=2)
    session.line()
    for peer in report.peers:
        for line in _notes(peer):
            session.line(line)
    if any(peer.skipped for peer in report.peers):
        session.line(f"{_GET_IT}.")
    for outcome in ("wrong", "failed"):
        for sentence in report.told(outcome):
            session.line(session.style(f"{outcome.upper()}: {clean(sentence)}", "bad"))


def _flushed(peer: PeerReport) -> str:
    return "no" if peer.durable.startswith("no") else "yes"


def _cell(peer: PeerReport, name: str, limit: float) -> str:
    """One step at every length; once, where it is the same for all of them."""
    cells = [_figure(row, row.step(name), limit) for row in peer.rows]
    return cells[0] if set(cells) == {"-"} else " / ".join(cells)


def _figure(row: PeerRow, step: PeerStep | None, limit: float) -> str:
    from threadkeep.cli._text import size

    prepared = row.step("prepare")
    if step is None or prepared is None or prepared.outcome != "measured":
        return "-"
    if step.outcome == "stopped":
        return f"> {limit:g} s"
    if step.outcome != "measured":
        return {"cannot": "-", "wrong": "WRONG", "failed": "failed"}[step.outcome]
    if step.bytes is not None:
        return size(step.bytes) + ("*" if step.name == "disk" and prepared.why else "")
    return _ms(step.ms) if step.ms is not None else "-"


def _ms(ms: float) -> str:
    if ms >= 10_000:
        return f"{ms / 1000:.1f} s"
    return f"{ms:,.{2 if ms < 10 else 1 if ms < 100 else 0}f}"


def _notes(peer: PeerReport) -> list[str]:
    """What is to be known of a library's figures."""
    said = f"{peer.how}." if peer.skipped is None else f"left out: {peer.skipped}."
    if peer.durable:
        said += f" Flushed: {peer.durable}."
    whys: dict[str, dict[str, list[str]]] = {}
    for row in peer.rows:
        for step in row.steps:
            of_prepare = step.name == "prepare" and step.outcome == "stopped"
            if step.why and (of_prepare or step.outcome in ("measured", "cannot")):
                star = "*" if step.name == "prepare" and step.outcome == "measured" else ""
                title = star + _COLUMNS.get(step.name, "preparing it").removesuffix(", ms")
                whys.setdefault(step.why, {}).setdefault(title, []).append(f"{row.turns:,}")
    for why, titles in whys.items():
        lengths = list(dict.fromkeys(length for found in titles.values() for length in found))
        where = f" (at {', '.join(lengths)})" if len(lengths) < len(peer.rows) else ""
        said += f" {_capital(', '.join(titles))}: {why}{where}."
    return [f"- {peer.title} {peer.version}".rstrip() + f": {said}"]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
