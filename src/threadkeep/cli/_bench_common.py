"""What the benchmarks have in common: their options, room for what they make, how their figures look."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from threadkeep.bench._bench import Machine
    from threadkeep.bench._spread import Spread
    from threadkeep.cli._session import Session

__all__ = [
    "as_megabytes",
    "check_folder_of",
    "check_space",
    "codex_option",
    "folder_option",
    "modes_option",
    "names_of",
    "runs_option",
    "show_machine",
    "show_table",
    "shown_ratio",
    "shown_size",
    "sizes_option",
    "svg_option",
]

F = TypeVar("F", bound="Callable[..., Any]")

_MB: Final = 1_000_000
_LEAST: Final = 10_000
_MOST: Final = 10**12
_MODES: Final = ("paginated", "legacy")


def as_megabytes(_context: click.Context, _option: click.Parameter, given: str) -> list[int]:
    """Megabytes, separated by commas, as bytes."""
    try:
        sizes = [int(float(part) * _MB) for part in given.split(",")]
    except (ValueError, OverflowError):
        sizes = [0]
    if not all(_LEAST <= size <= _MOST for size in sizes):
        raise click.BadParameter(f"{given!r} is no list of megabytes, such as 1,10,100")
    return list(dict.fromkeys(sizes))


def names_of(known: Sequence[str]) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Reads names, separated by commas, each one of those that are known."""

    def read(_context: click.Context, _option: click.Parameter, given: str) -> list[str]:
        names = given.split(",")
        if not set(names) <= set(known):
            raise click.BadParameter(f"{given!r} is no list of {', '.join(known)}")
        return list(dict.fromkeys(names))

    return read


def sizes_option(command: F) -> F:
    """``--sizes``."""
    return click.option(
        "--sizes",
        metavar="MB,MB",
        callback=as_megabytes,
        default="1,10,100,500",
        show_default=True,
        help="Sizes of the threads.",
    )(command)


def modes_option(command: F) -> F:
    """``--modes``."""
    return click.option(
        "--modes",
        metavar="MODE,MODE",
        callback=names_of(_MODES),
        default=",".join(_MODES),
        show_default=True,
        help="History modes.",
    )(command)


def runs_option(default: int, what: str) -> Callable[[F], F]:
    """``--runs``: how many, and of what."""
    return click.option("--runs", type=click.IntRange(1, 10_000), default=default, show_default=True, help=what)


def folder_option(name: str) -> Callable[[F], F]:
    """Where generated threads are kept."""
    return click.option(
        name, "folder", metavar="DIR", help="Keep the made-up threads here, and use those that are here."
    )


def svg_option(command: F) -> F:
    """``--svg``."""
    return click.option("--svg", metavar="FILE", type=click.Path(dir_okay=False, writable=True), help="Draw it, too.")(
        command
    )


def codex_option(command: F) -> F:
    """``--codex``."""
    return click.option(
        "--codex",
        "binary",
        metavar="PATH",
        help="The Codex binary to stand beside; by default THREADKEEP_CODEX, or the one on the PATH.",
    )(command)


def check_space(folder: str, needed: int) -> None:
    """Refuse to begin where the disk has too little room.

    Raises:
        click.UsageError: It has.
    """
    from threadkeep.cli._text import size

    free = shutil.disk_usage(folder).free
    if free < needed * 11 // 10:
        raise click.UsageError(
            f"the threads need {size(needed)}, and {folder} has {size(free)} free: choose smaller --sizes, or a "
            "folder on a larger disk"
        )


def check_folder_of(svg: str | None) -> None:
    """Refuse to begin where the picture could not be written at the end.

    Raises:
        click.UsageError: There is no folder for it.
    """
    if svg is not None and not os.path.isdir(os.path.dirname(os.path.abspath(svg))):
        raise click.UsageError(f"there is no folder for {svg}")


def show_machine(session: Session, machine: Machine, *beside: str) -> None:
    """Where it was measured, and with what: threadkeep, ``beside`` it others."""
    session.line(f"{machine.system}, {machine.processor}, {machine.cores} cores; {machine.python}")
    session.line(f"{', '.join((f'threadkeep {machine.threadkeep}', *beside))}. Memory: {machine.memory}.")


def show_table(session: Session, titles: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> None:
    """A table in Markdown, which people can read as it is, too.

    Args:
        session: Where it is shown.
        titles: Its titles.
        rows: Its cells.
        left: So many of the first columns are aligned to the left, the others to the right.
    """
    shown = [[cell.replace("|", r"\|") for cell in row] for row in (titles, *rows)]
    widths = [max(3, *(len(row[index]) for row in shown)) for index in range(len(titles))]
    rules = ["-" * width if index < left else "-" * (width - 1) + ":" for index, width in enumerate(widths)]
    for row in (shown[0], rules, *shown[1:]):
        cells = (
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        session.line(f"| {' | '.join(cells)} |")


def shown_ratio(ratio: Spread | None) -> str:
    """How many times as long, for people; nothing where it is not known."""
    return f"{ratio.median:.1f}x ({ratio.low:.1f}-{ratio.high:.1f})" if ratio is not None else ""


def shown_size(count: int | None) -> str:
    """Bytes for people; nothing where they are not known."""
    from threadkeep.cli._text import size

    return size(count) if count is not None else ""
