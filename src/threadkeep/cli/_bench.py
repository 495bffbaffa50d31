"""``threadkeep bench``: what operations take on this machine, against the size of the history."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from typing import TYPE_CHECKING, Final

import click

from threadkeep.cli._options import example, json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from threadkeep.bench._bench import BenchRow, Report
    from threadkeep.cli._session import Session

__all__ = ["bench", "check_space"]

_MB: Final = 1_000_000
_LEAST: Final = 10_000
_MOST: Final = 10**12
_MODES: Final = ("paginated", "legacy")
_PARTS: Final = ("calls", "beside", "crowd")


def _as_sizes(_context: click.Context, _option: click.Parameter, given: str) -> list[int]:
    """Megabytes, separated by commas, as bytes."""
    try:
        sizes = [int(float(part) * _MB) for part in given.split(",")]
    except (ValueError, OverflowError):
        sizes = [0]
    if not all(_LEAST <= size <= _MOST for size in sizes):
        raise click.BadParameter(f"{given!r} is no list of megabytes, such as 1,10,100")
    return list(dict.fromkeys(sizes))


def _as_modes(_context: click.Context, _option: click.Parameter, given: str) -> list[str]:
    """History modes, separated by commas."""
    modes = given.split(",")
    if not set(modes) <= set(_MODES):
        raise click.BadParameter(f"{given!r} is no list of {' and '.join(_MODES)}")
    return list(dict.fromkeys(modes))


def _as_parts(_context: click.Context, _option: click.Parameter, given: str | None) -> list[str] | None:
    """Parts of the benchmark of app-servers, separated by commas."""
    if given is None:
        return None
    parts = given.split(",")
    if not set(parts) <= set(_PARTS):
        raise click.BadParameter(f"{given!r} is no list of {', '.join(_PARTS)}")
    return list(dict.fromkeys(parts))


@click.command(
    epilog=example(
        "threadkeep bench --sizes 1,10",
        "threadkeep bench --home /tmp/bench --json",
        "threadkeep bench app-server --sizes 1,10 --codex /usr/local/bin/codex",
    )
)
@click.argument("what", metavar="[app-server]", type=click.Choice(["app-server"]), required=False)
@click.option(
    "--sizes",
    metavar="MB,MB",
    callback=_as_sizes,
    default="1,10,100,500",
    show_default=True,
    help="Sizes of the threads.",
)
@click.option(
    "--modes",
    metavar="MODE,MODE",
    callback=_as_modes,
    default=",".join(_MODES),
    show_default=True,
    help="History modes.",
)
@click.option(
    "--runs",
    type=click.IntRange(1, 10_000),
    help="Runs of each operation, after a first.  [default: 15, of app-servers 5]",
)
@click.option("--home", "folder", metavar="DIR", help="Keep the made-up threads here, and use those that are here.")
@click.option("--svg", metavar="FILE", type=click.Path(dir_okay=False, writable=True), help="Draw it, too.")
@click.option(
    "--codex",
    metavar="PATH",
    help="Of app-servers: the Codex binary to stand beside; by default THREADKEEP_CODEX, or the one on the PATH.",
)
@click.option(
    "--parts",
    metavar="PART,PART",
    callback=_as_parts,
    help=f"Of app-servers: what is measured.  [default: {','.join(_PARTS)}]",
)
@json_option
@click.pass_obj
def bench(
    session: Session,
    what: str | None,
    sizes: list[int],
    modes: list[str],
    runs: int | None,
    folder: str | None,
    svg: str | None,
    codex: str | None,
    parts: list[str] | None,
) -> None:
    """Measure it on this machine.

    On made-up threads of each size, whose last checkpoint stands one megabyte before the end. Touches no home of yours.

    `app-server` measures the server instead: every request to a process that was just started, beside the same request
    to Codex's app-server where Codex is installed; small requests beside a large answer; many clients at once.
    """
    if what is not None:
        if svg is not None:
            raise click.UsageError("there is no picture of app-servers")
        from threadkeep.cli._bench_appserver import bench_app_server

        bench_app_server(session, sizes, modes, runs or 5, folder, codex=codex, parts=parts or list(_PARTS))
        return
    if codex is not None or parts is not None:
        raise click.UsageError("--codex and --parts are of threadkeep bench app-server")
    _bench_store(session, sizes, modes, runs or 15, folder, svg)


def _bench_store(
    session: Session, sizes: list[int], modes: list[str], runs: int, folder: str | None, svg: str | None
) -> None:
    from threadkeep.bench._bench import bench as run
    from threadkeep.bench._bench import bytes_needed
    from threadkeep.bench._svg import drawn

    if svg is not None and not os.path.isdir(os.path.dirname(os.path.abspath(svg))):
        raise click.UsageError(f"there is no folder for {svg}")
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


def check_space(folder: str, needed: int) -> None:
    from threadkeep.cli._text import size

    free = shutil.disk_usage(folder).free
    if free < needed * 11 // 10:
        raise click.UsageError(
            f"the threads need {size(needed)}, and {folder} has {size(free)} free: choose smaller --sizes, or a "
            "--home on a larger disk"
        )


def _show(session: Session, report: Report) -> None:
    machine = report.machine
    session.line(f"{machine.system}, {machine.processor}, {machine.cores} cores; {machine.python}")
    session.line(f"threadkeep {machine.threadkeep}, msgspec {machine.msgspec}. Memory: {machine.memory}.")
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
    from threadkeep.cli._table import Column
    from threadkeep.cli._text import size

    session.line(session.style(f"The limit: a bare scan of the last {size(report.tail_bytes)}", "bold"))
    cells = [
        [limit.mode, size(limit.size), f"{limit.ms:.2f} ms", f"{limit.ms_min:.2f} ms", f"{limit.ratio:.1f}x"]
        for limit in report.limits
    ]
    titles = ("history", "median", "quickest", "resume takes")
    session.table([Column(""), *(Column(title, right=True) for title in titles)], cells, titled=True)
