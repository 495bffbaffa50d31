"""``threadkeep bench``: what operations take on this machine, against the size of the history."""

from __future__ import annotations

import contextlib
import tempfile
from typing import TYPE_CHECKING, Final

import click

from threadkeep.cli._bench_common import (
    check_folder_of,
    check_space,
    folder_option,
    modes_option,
    runs_option,
    show_machine,
    sizes_option,
    svg_option,
)
from threadkeep.cli._commands import Commands, Place
from threadkeep.cli._options import example, json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from threadkeep.bench._bench import AppendLimit, BenchRow, Limit, Report
    from threadkeep.cli._session import Session

__all__ = ["BENCHMARKS", "bench"]

BENCHMARKS: Final = {
    "app-server": Place("_bench_appserver", "app_server", "Measure the server's answers beside Codex's app-server."),
    "codex": Place("_bench_codex", "codex", "Measure what a client of Codex waits for, beside the real Codex."),
    "peers": Place("_bench_peers", "peers", "Measure the same work on other libraries that keep conversations."),
}
"""The benchmarks beside others."""


@click.group(
    cls=Commands,
    places=BENCHMARKS,
    invoke_without_command=True,
    subcommand_metavar="[COMMAND [ARGS]...]",
    epilog=example("threadkeep bench --sizes 1,10", "threadkeep bench --home /tmp/bench --json"),
)
@sizes_option
@modes_option
@runs_option(15, "Runs of each operation, after a first.")
@folder_option("--home")
@svg_option
@json_option
@click.pass_context
def bench(
    context: click.Context, sizes: list[int], modes: list[str], runs: int, folder: str | None, svg: str | None
) -> None:
    """Measure it on this machine.

    On made-up threads of each size, whose last checkpoint stands one megabyte before the end. Touches no home of yours.
    A command measures it beside others instead, with options of its own.
    """
    if context.invoked_subcommand is None:
        _bench_store(context.obj, sizes, modes, runs, folder, svg)
        return
    given = [option for option in context.params if _is_given(context, option)]
    if given:
        named = context.invoked_subcommand
        raise click.UsageError(f"options of threadkeep bench {named} stand behind its name")


def _is_given(context: click.Context, option: str) -> bool:
    return context.get_parameter_source(option) is not click.core.ParameterSource.DEFAULT


def _bench_store(
    session: Session, sizes: list[int], modes: list[str], runs: int, folder: str | None, svg: str | None
) -> None:
    from threadkeep.bench._bench import bench as run
    from threadkeep.bench._bench import bytes_needed
    from threadkeep.bench._svg import drawn

    check_folder_of(svg)
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="threadkeep-bench-"))
            check_space(folder, bytes_needed(sizes, modes))
        progress = stack.enter_context(session.working("measuring"))
        report = run(folder, sizes=sizes, modes=modes, runs=runs, progress=progress)
    if svg is not None:
        with open(svg, "w", encoding="utf-8") as file:
            file.write(drawn(report, modes[0]))
    if session.json:
        session.answer(report)
    else:
        _show(session, report)


def _show(session: Session, report: Report) -> None:
    show_machine(session, report.machine, f"msgspec {report.machine.msgspec}")
    for mode in dict.fromkeys(row.mode for row in report.rows):
        session.line()
        rows = [row for row in report.rows if row.mode == mode]
        _show_rows(session, mode, rows)
    if report.aged:
        session.line()
        _show_aged(session, report.aged)
    if report.limits:
        session.line()
        _show_limits(session, report)
    if report.appends:
        session.line()
        _show_appends(session, report.appends)


def _show_rows(session: Session, mode: str, rows: Sequence[BenchRow]) -> None:
    from threadkeep.bench._operations import FULL_REPLAY, OPERATIONS
    from threadkeep.cli._table import Column
    from threadkeep.cli._text import size

    session.line(session.style(f"{mode.capitalize()} threads", "bold"))
    operations = {**OPERATIONS, "replay": FULL_REPLAY}
    cells = []
    order = {name: place for place, name in enumerate(operations)}
    for row in sorted(rows, key=lambda row: (order[row.measured.operation], row.measured.cold, row.size)):
        measured = row.measured
        title = operations[measured.operation].title + (", cold catalog" if measured.cold else "")
        memory = size(measured.peak_bytes) if measured.peak_bytes is not None else ""
        cells.append(
            [
                title,
                size(row.size),
                f"{measured.ms:.2f} ms",
                f"{measured.ms_min:.2f} ms",
                size(measured.bytes_read),
                size(measured.bytes_written),
                f"{measured.records_decoded:,}",
                memory,
            ]
        )
    titles = ("history", "median", "quickest", "read", "written", "decoded", "peak memory")
    session.table([Column(""), *(Column(title, right=True) for title in titles)], cells, titled=True)


def _show_aged(session: Session, rows: Sequence[BenchRow]) -> None:
    from threadkeep.cli._table import Column
    from threadkeep.cli._text import size

    session.line(session.style("Resumes of threads with checkpoints of older shapes", "bold"))
    cells = [
        [
            f"{row.mode}, {row.age}" + (", cold catalog" if row.measured.cold else ""),
            size(row.size),
            f"{row.measured.ms:.2f} ms",
            size(row.measured.bytes_read),
            str(row.measured.full_scans),
        ]
        for row in rows
    ]
    titles = ("history", "median", "read", "whole scans")
    session.table([Column(""), *(Column(title, right=True) for title in titles)], cells, titled=True)


def _show_limits(session: Session, report: Report) -> None:
    from threadkeep.cli._text import size

    title = f"The limit: a bare scan of the last {size(report.tail_bytes)}"
    titles = ("history", "bare scan", "quickest", "resume", "quickest", "resume takes")
    _show_beside(session, title, titles, report.limits)


def _show_appends(session: Session, limits: Sequence[AppendLimit]) -> None:
    title = "The limit: a write and an fdatasync of the bytes of a record"
    titles = ("record", "bare append", "quickest", "durable append", "quickest", "append takes")
    _show_beside(session, title, titles, limits)


def _show_beside(session: Session, title: str, titles: Sequence[str], limits: Sequence[Limit | AppendLimit]) -> None:
    from threadkeep.cli._table import Column
    from threadkeep.cli._text import size

    session.line(session.style(title, "bold"))
    cells = [
        [
            limit.mode,
            size(limit.size),
            *(f"{ms:.3f} ms" for ms in (limit.bare_ms, limit.bare_ms_min, limit.ms, limit.ms_min)),
            f"{limit.ratio.median:.2f}x ({limit.ratio.low:.2f}-{limit.ratio.high:.2f})",
        ]
        for limit in limits
    ]
    session.table([Column(""), *(Column(title, right=True) for title in titles)], cells, titled=True)
