"""Tables: aligned columns, cut to the terminal's width where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from threadkeep.cli._text import fit, width

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Column", "table"]

_GAP: Final = "  "
_LEAST: Final = 12
"""Columns that the last cell of a row has at least, whatever the terminal."""

_MOST: Final = 120
"""Columns that the last cell of a row has at most where there is no terminal: a title may be a whole document."""


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        title: What stands above it on a terminal.
        right: Whether its cells are aligned to the right.
        style: How its cells look on a terminal with colours.
        least: Columns that it takes at least.
    """

    title: str
    right: bool = False
    style: str = ""
    least: int = 0


def table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    *,
    terminal: int | None,
    style: Callable[[str, str], str],
    titled: bool = False,
) -> list[str]:
    """The lines of a table; the last column takes what is left of the width.

    Args:
        columns: The columns.
        rows: Their cells, fit to be shown.
        terminal: Width of the terminal; None where there is none: then no titles are shown, and the last cell alone is
            cut.
        style: Applies a style to a text.
        titled: Whether titles are shown without a terminal, too: figures say nothing without them.
    """
    titles = [column.title for column in columns]
    titled = titled or terminal is not None
    shown = [titles, *rows] if titled else list(rows)
    widths = [
        max([columns[index].least, *(width(row[index]) for row in shown)], default=0)
        for index in range(len(columns) - 1)
    ]
    used = sum(widths) + len(_GAP) * len(widths)
    rest = max(terminal - used, _LEAST) if terminal is not None else _MOST
    lines = [_line(columns, row, widths, rest, style) for row in rows]
    if titled:
        plain = [column._replace(style="dim") for column in columns]
        lines.insert(0, _line(plain, titles, widths, rest, style))
    return lines


def _line(
    columns: Sequence[Column],
    row: Sequence[str],
    widths: Sequence[int],
    rest: int,
    style: Callable[[str, str], str],
) -> str:
    cells = []
    for column, cell, taken in zip(columns, row, widths, strict=False):
        padding = " " * (taken - width(cell))
        styled = style(cell, column.style)
        cells.append(padding + styled if column.right else styled + padding)
    last = fit(row[-1], rest)
    cells.append(style(last, columns[-1].style) if last else "")
    return _GAP.join(cells).rstrip()
