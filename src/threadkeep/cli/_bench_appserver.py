"""``threadkeep bench app-server``: what requests take on this machine, beside Codex's app-server."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import tempfile
from typing import TYPE_CHECKING, Final

import click

from threadkeep.cli._bench_common import (
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
    sizes_option,
)
from threadkeep.cli._errors import OK, PROBLEM
from threadkeep.cli._options import example, json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from threadkeep.bench._appserver_report import AppServerReport, AppServerRow, Served, Took
    from threadkeep.cli._session import Session

__all__ = ["app_server", "find_codex"]

_PARTS: Final = ("calls", "beside", "crowd")
_MOST_SHOWN: Final = 10


@click.command("app-server", epilog=example("threadkeep bench app-server --sizes 1,10 --codex /usr/local/bin/codex"))
@sizes_option
@modes_option
@runs_option(5, "Runs of each request.")
@folder_option("--home")
@codex_option
@click.option(
    "--parts",
    metavar="PART,PART",
    callback=names_of(_PARTS),
    default=",".join(_PARTS),
    show_default=True,
    help="What is measured.",
)
@json_option
@click.pass_obj
def app_server(
    session: Session,
    sizes: list[int],
    modes: list[str],
    runs: int,
    folder: str | None,
    binary: str | None,
    parts: list[str],
) -> int:
    """Measure the server's answers beside Codex's app-server.

    Every request to a process that was just started, beside the same request to Codex's where Codex is installed; small
    requests beside a large answer; many clients at once: where one of them loses a message, hears it twice or out of
    order, or a server refuses what it is asked, that is told, and the exit code is 1. Touches no home of yours.
    """
    from threadkeep.bench._appserver import bench_app_server as run
    from threadkeep.bench._appserver import bytes_needed
    from threadkeep.bench._appserver_process import Failed
    from threadkeep.bench._appserver_socket import Closed
    from threadkeep.cli._text import clean

    codex = find_codex(binary)
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="threadkeep-bench-"))
            check_space(folder, bytes_needed(sizes, modes))
        progress = stack.enter_context(session.working("measuring"))
        try:
            report = run(folder, codex=codex, sizes=sizes, modes=modes, runs=runs, parts=parts, progress=progress)
        except (Failed, Closed) as error:
            raise click.ClickException(str(error)) from error
    if session.json:
        session.answer(report)
    else:
        _show(session, report)
    for sentence in report.wrong[:_MOST_SHOWN]:
        click.echo(f"threadkeep: {clean(sentence)}", err=True)
    return PROBLEM if report.wrong else OK


def find_codex(given: str | None) -> str | None:
    """The Codex binary: the given one, that of ``THREADKEEP_CODEX``, the one on the path; None where there is none.

    Where it is the script of a package, the binary inside the package: a measurement of the script's would be one of
    what runs it.

    Raises:
        click.UsageError: The one that is named is none.
    """
    named = given or os.environ.get("THREADKEEP_CODEX")
    path = shutil.which(named or "codex")
    if path is None:
        if named:
            raise click.UsageError(f"{named} is no program")
        return None
    path = os.path.realpath(path)
    with open(path, "rb") as file:
        if file.read(2) != b"#!":
            return path
    package = os.path.dirname(os.path.dirname(path))
    for place in (os.path.join(package, "node_modules", "@openai"), os.path.dirname(package)):
        for binary in sorted(glob.glob(os.path.join(place, "codex-*", "vendor", "*", "bin", "codex"))):
            return binary
    return path


def _show(session: Session, report: AppServerReport) -> None:
    show_machine(session, report.machine, report.codex or "no Codex")
    for reason in report.skipped:
        session.line(f"{reason}.")
    if report.starts:
        session.line()
        _show_starts(session, report)
    for mode in dict.fromkeys(row.mode for row in report.rows):
        session.line()
        _show_rows(session, mode, [row for row in report.rows if row.mode == mode])
    if report.beside:
        session.line()
        _show_beside(session, report)
    if report.crowds:
        session.line()
        _show_crowds(session, report)


def _show_starts(session: Session, report: AppServerReport) -> None:
    session.line(session.style("From the start of the process to initialize answered", "bold"))
    session.line()
    cells = [
        [start.server, f"{start.took.ms:.1f} ms", f"{start.took.ms_min:.1f} ms", shown_size(start.resident_bytes)]
        for start in report.starts
    ]
    show_table(session, ("", "median", "quickest", "memory, idle"), cells)


def _show_rows(session: Session, mode: str, rows: Sequence[AppServerRow]) -> None:
    from threadkeep.bench._appserver_calls import CALLS

    session.line(session.style(f"{mode.capitalize()} threads, a fresh process for each request", "bold"))
    session.line(
        "Milliseconds, median (quickest); at once: sent when initialize was answered; idle: some time later; quicker: "
        "run by run, median (least-most)."
    )
    session.line()
    order = {name: place for place, name in enumerate(CALLS)}
    cells = []
    for row in sorted(rows, key=lambda row: (order[row.call], row.size)):
        ours, theirs = row.threadkeep, row.codex
        cells.append(
            [
                CALLS[row.call].title,
                shown_size(row.size),
                _ms(ours, ours.at_once),
                _ms(theirs, theirs.at_once) if theirs else "",
                shown_ratio(row.ratio),
                _ms(ours, ours.loaded),
                _ms(theirs, theirs.loaded) if theirs else "",
                shown_ratio(row.ratio_loaded),
                shown_size(ours.peak_bytes),
                shown_size(theirs.peak_bytes) if theirs else "",
                shown_size(ours.written),
                shown_size(theirs.written) if theirs else "",
                shown_size(ours.answered),
            ]
        )
    titles = ("", "history", "at once", "Codex", "quicker", "idle", "Codex", "quicker", "memory", "Codex", "written")
    show_table(session, (*titles, "Codex", "answer"), cells)


def _show_beside(session: Session, report: AppServerReport) -> None:
    session.line(session.style("Small requests on one connection while another receives a large answer", "bold"))
    session.line()
    cells = [
        [
            each.server,
            shown_size(each.answered),
            f"{each.large_ms:,.0f} ms",
            f"{each.requests:,}",
            f"{each.alone_p50:.2f} ms",
            f"{each.alone_max:.2f} ms",
            f"{each.ms_p50:.2f} ms",
            f"{each.ms_p99:.2f} ms",
            f"{each.ms_max:.2f} ms",
            shown_size(each.peak_bytes),
            shown_size(each.grown_bytes),
        ]
        for each in report.beside
    ]
    titles = ("", "large answer", "took", "small", "alone", "slowest", "p50", "p99", "slowest", "memory", "grown by")
    show_table(session, titles, cells)


def _show_crowds(session: Session, report: AppServerReport) -> None:
    for each in report.crowds:
        session.line(session.style(f"{each.clients} clients at once", "bold"))
        session.line(
            f"{each.requests:,} requests in {each.seconds:.1f} s, p50 {each.ms_p50:.1f} ms, p99 {each.ms_p99:.1f} ms; "
            f"{each.notifications:,} notifications"
        )
        session.line(f"memory: {shown_size(each.idle_bytes)} with all connected, {shown_size(each.peak_bytes)} at most")
        session.line(f"lost, twice or out of order: {len(each.wrong) or 'nothing'}")


def _ms(served: Served, took: Took) -> str:
    if served.error is not None:
        return "refused"
    digits = 1 if took.ms < 100 else 0
    return f"{took.ms:,.{digits}f} ({took.ms_min:,.{digits}f})"
