"""``threadkeep bench codex``: what a client of Codex waits for on this machine, beside the real Codex."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from typing import TYPE_CHECKING, Final

import click

from threadkeep.cli._bench_appserver import find_codex
from threadkeep.cli._bench_common import (
    as_megabytes,
    check_folder_of,
    check_space,
    codex_option,
    folder_option,
    modes_option,
    names_of,
    runs_option,
    show_machine,
    show_table,
    shown_ratio,
    shown_size,
    svg_option,
)
from threadkeep.cli._errors import OK, PROBLEM
from threadkeep.cli._options import example, json_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from threadkeep.bench._codex_report import CodexReport, CodexRow, CodexSide
    from threadkeep.bench._spread import Spread
    from threadkeep.cli._session import Session

__all__ = ["codex"]

_HOMES: Final = ("late", "early", "none", "ages", "rollbacks", "threads", "forks")
_DEFAULT_HOMES: Final = "late,rollbacks,forks"
_MOST_SHOWN: Final = 10


@click.command(
    epilog=example(
        "threadkeep bench codex --sizes 1,10 --runs 5",
        "threadkeep bench codex --home ~/.codex --thread 0199c82c --svg cost.svg",
        "threadkeep bench codex --homes late,early,none --sizes 1,10,100,500 --keep /tmp/bench",
    )
)
@click.option(
    "--homes",
    metavar="NAME,NAME",
    callback=names_of(_HOMES),
    default=_DEFAULT_HOMES,
    show_default=True,
    help=f"Which made-up homes: {', '.join(_HOMES)}. The first four by where their checkpoints stand (late: a megabyte "
    "before the end, early: after the first turn) and by their age.",
)
@click.option(
    "--sizes",
    metavar="MB,MB",
    callback=as_megabytes,
    default="1,10,100",
    show_default=True,
    help="Sizes of the threads in late, early and none; the others have one of the size nearest to ten megabytes.",
)
@modes_option
@click.option(
    "--threads",
    type=click.IntRange(1, 100_000),
    default=2_000,
    show_default=True,
    help="Threads of the home of this name.",
)
@click.option(
    "--forks", type=click.IntRange(1, 5_000), default=200, show_default=True, help="Forks of the home of this name."
)
@click.option("--home", metavar="DIR", help="A home of your own; it is only read. By default the one of every command.")
@click.option("--thread", metavar="ID", help="Measure a copy of this thread of it, with all that it inherits, instead.")
@runs_option(20, "Pairs of runs of each scenario.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="What the homes are made up from.")
@folder_option("--keep")
@codex_option
@svg_option
@json_option
@click.pass_context
def codex(
    context: click.Context,
    homes: list[str],
    sizes: list[int],
    modes: list[str],
    threads: int,
    forks: int,
    home: str | None,
    thread: str | None,
    runs: int,
    seed: int,
    folder: str | None,
    binary: str | None,
    svg: str | None,
) -> int:
    """Measure what a client of Codex waits for, beside the real Codex.

    A new thread, resumes and forks of the newest thread and of a named one: each on a server that is started for it,
    threadkeep's and Codex's in turns, on the same home as it was. Every answer is compared with Codex's; one that
    differs is told, its home is left standing, and the exit code is 1.
    """
    from threadkeep.bench._appserver_process import Failed
    from threadkeep.bench._codex import bench_codex
    from threadkeep.bench._codex_homes import Choice, bytes_needed
    from threadkeep.bench._svg import drawn_codex

    session: Session = context.obj
    if home is not None and thread is None:
        raise click.UsageError("--home goes with --thread: which one of it?")
    check_folder_of(svg)
    own = None if thread is None else (home or session.home, thread)
    generated = own is None or context.get_parameter_source("homes") is not click.core.ParameterSource.DEFAULT
    choice = Choice(homes if generated else (), sizes, modes, threads, forks, seed)
    if svg is not None and "late" not in choice.homes:
        raise click.UsageError("--svg draws the home late: it is not among those that are measured")
    found = find_codex(binary)
    with contextlib.ExitStack() as stack:
        kept = _Folder(folder)
        stack.enter_context(kept)
        if folder is None:
            check_space(kept.path, bytes_needed(choice))
        progress = stack.enter_context(session.working("measuring"))
        try:
            report = bench_codex(kept.path, codex=found, choice=choice, own=own, runs=runs, progress=progress)
        except Failed as error:
            raise click.ClickException(str(error)) from error
        kept.stays |= bool(report.failed)
    if svg is not None:
        with open(svg, "w", encoding="utf-8") as file:
            file.write(drawn_codex(report))
    if session.json:
        session.answer(report)
    else:
        _show(session, report)
    return PROBLEM if report.failed else OK


class _Folder:
    """The folder of generated threads: the given one, or one that is gone at the end, unless it is to stay."""

    def __init__(self, given: str | None) -> None:
        self.path = os.path.abspath(given) if given is not None else tempfile.mkdtemp(prefix="threadkeep-bench-")
        self.stays = given is not None
        os.makedirs(self.path, exist_ok=True)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        if not self.stays:
            shutil.rmtree(self.path, ignore_errors=True)


def _show(session: Session, report: CodexReport) -> None:
    show_machine(session, report.machine, report.codex or "no Codex")
    session.line(f"Seed {report.seed}. Milliseconds, medians of the runs; quicker: pair by pair, median (least-most).")
    for reason in report.skipped:
        session.line(f"{reason}.")
    session.line()
    titles = ("home", "history", "", "threadkeep", "Codex", "quicker", "action", "Codex", "quicker")
    more = ("written", "Codex", "memory", "Codex")
    show_table(session, (*titles, *more), [_cells(row) for row in report.rows], left=3)
    refusals = list(dict.fromkeys(_refusals(report)))
    if refusals:
        session.line()
        for refusal in refusals:
            session.line(refusal)
    session.line()
    _show_checks(session, report)


def _cells(row: CodexRow) -> list[str]:
    ours, theirs = row.threadkeep, row.codex
    return [
        f"{row.title}, {row.mode}",
        shown_size(row.size),
        row.scenario,
        _ms(ours, ours.total),
        _ms(theirs, theirs.total) if theirs else "",
        shown_ratio(row.ratio),
        _ms(ours, ours.action),
        _ms(theirs, theirs.action) if theirs else "",
        shown_ratio(row.ratio_action),
        shown_size(ours.written),
        shown_size(theirs.written) if theirs else "",
        shown_size(ours.peak_bytes),
        shown_size(theirs.peak_bytes) if theirs else "",
    ]


def _ms(side: CodexSide, taken: Spread) -> str:
    if side.refused is not None:
        return "refused"
    return f"{taken.median:,.{1 if taken.median < 100 else 0}f}"


def _refusals(report: CodexReport) -> Iterator[str]:
    for row in report.rows:
        for name, side in (("threadkeep", row.threadkeep), ("Codex", row.codex)):
            if side is not None and side.refused is not None:
                from threadkeep.cli._text import clean

                yield f"{name} refused on {row.title}, {row.mode} ({row.scenario}): {clean(side.refused)}"


def _show_checks(session: Session, report: CodexReport) -> None:
    from threadkeep.cli._text import clean

    how = "compared with Codex's" if report.codex is not None else "checked"
    session.line(f"Answers {how}: {report.checked:,}; wrong: {len(report.failed) or 'none'}.")
    for check in report.failed[:_MOST_SHOWN]:
        session.line(f"  {check.home}, {check.scenario}, pair {check.pair}, seed {check.seed}: {clean(check.what)}")
        session.line(f"    the home stands in {check.path}")
