"""The picture of it: what operations take against how much history there is, both axes logarithmic.

It has a background of its own: a page shows it as an image, and its theme need not be the one that the browser tells.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Final, NamedTuple
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from threadkeep.bench._bench import Report
    from threadkeep.bench._codex_report import CodexReport, CodexRow

__all__ = ["drawn", "drawn_codex"]

_WIDTH: Final = 720
_HEIGHT: Final = 400
_LEFT: Final = 76
_RIGHT: Final = 220
_TOP: Final = 72
_BOTTOM: Final = 60
_MB: Final = 1_000_000
_LABEL_GAP: Final = 16
_TICK_GAP: Final = 56


class _Line(NamedTuple):
    """A line of a chart: its name, its style, its points as (MB, ms), smallest first."""

    title: str
    style: str
    points: list[tuple[float, float]]


class _Chart(NamedTuple):
    """What one pair of axes shows."""

    title: str
    about: str
    lines: list[_Line]


_OPERATIONS: Final = {"replay": "full replay", "fork": "fork", "page": "page of 20 turns", "resume": "resume"}
_SIDES: Final = {"codex": "Codex", "threadkeep": "threadkeep"}

_STYLE: Final = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #57606a }
  .title { font-size: 15px; font-weight: 600; fill: #24292f }
  .ground { fill: #ffffff; stroke: #d0d7de }
  .grid { stroke: #d0d7de; stroke-width: 1 }
  .line { fill: none; stroke: currentColor; stroke-width: 2.5; stroke-linejoin: round }
  .dot, .name { fill: currentColor }
  .replay, .codex { color: #cf222e } .fork { color: #8250df } .page { color: #0969da }
  .resume, .threadkeep { color: #1a7f37 } .legacy { stroke-dasharray: 6 4 }
  @media (prefers-color-scheme: dark) {
    text { fill: #9198a1 } .title { fill: #f0f6fc } .grid { stroke: #30363d }
    .ground { fill: #0d1117; stroke: #30363d } .name { fill: currentColor }
    .replay, .codex { color: #ff7b72 } .fork { color: #bc8cff } .page { color: #58a6ff }
    .resume, .threadkeep { color: #3fb950 }
  }
"""


class _Scale(NamedTuple):
    """A logarithmic axis: the values and the places of its ends, and the values that get a line."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Where a value stands."""
        part = math.log10(value / self.low) / math.log10(self.high / self.low)
        return self.start + part * (self.end - self.start)


def drawn(report: Report, mode: str) -> str:
    """An SVG of what operations take in one history mode. The same figures make the same bytes.

    Args:
        report: What was measured.
        mode: The history mode that is drawn.

    Raises:
        ValueError: Nothing was measured in this mode.
    """
    lines = [
        _Line(title, operation, points)
        for operation, title in _OPERATIONS.items()
        if (points := _points(report, mode, operation))
    ]
    if not lines:
        raise ValueError(f"nothing was measured of {mode} threads")
    runs = max(row.measured.runs for row in report.rows if row.mode == mode)
    title = f"Time against length of history ({mode} threads)"
    return _document(title, [_Chart(title, _taken(runs), lines)])


def _points(report: Report, mode: str, operation: str) -> list[tuple[float, float]]:
    """(MB, ms) of an operation, smallest thread first."""
    rows = (row for row in report.rows if row.mode == mode and row.measured.operation == operation)
    return sorted((row.size / _MB, max(row.measured.ms, 0.01)) for row in rows if not row.measured.cold)


def drawn_codex(report: CodexReport) -> str:
    """An SVG of what each scenario takes on both servers, one chart a scenario; threads with a late checkpoint.

    Args:
        report: What was measured.

    Raises:
        ValueError: No thread with a late checkpoint was measured.
    """
    rows = [row for row in report.rows if row.home == "late"]
    if not rows:
        raise ValueError("nothing was measured of threads with a late checkpoint")
    pairs = max(row.pairs for row in rows)
    charts = []
    for scenario in dict.fromkeys(row.scenario for row in rows):
        same = [row for row in rows if row.scenario == scenario]
        lines = [line for side in _SIDES for line in _lines_of(same, side) if line.points]
        charts.append(_Chart(f"{scenario}: from the start of the process to the answer", _taken(pairs), lines))
    return _document("Time against length of history, beside Codex", charts)


def _lines_of(rows: Sequence[CodexRow], side: str) -> Iterator[_Line]:
    """A line for each history mode that one server was measured in; without what it refused."""
    for mode in dict.fromkeys(row.mode for row in rows):
        served = ((row.size / _MB, getattr(row, side)) for row in rows if row.mode == mode)
        points = sorted((mb, max(each.total.median, 0.01)) for mb, each in served if each and each.refused is None)
        yield _Line(f"{_SIDES[side]}, {mode}", f"{side} {mode}", points)


def _taken(runs: int) -> str:
    return f"{'one run' if runs == 1 else f'median of {runs} runs'}; both axes are logarithmic"


def _document(title: str, charts: Sequence[_Chart]) -> str:
    """Charts one below the other. The same figures make the same bytes."""
    height = _HEIGHT * len(charts)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="ground" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1}" rx="6"/>',
    ]
    for number, chart in enumerate(charts):
        parts.append(f'<g transform="translate(0 {number * _HEIGHT})">')
        parts += _drawn_chart(chart)
        parts.append("</g>")
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _drawn_chart(chart: _Chart) -> Iterator[str]:
    across = _sizes([x for line in chart.lines for x, _ in line.points])
    up = _times([y for line in chart.lines for _, y in line.points])
    yield f'<text class="title" x="{_LEFT}" y="30">{escape(chart.title)}</text>'
    yield f'<text x="{_LEFT}" y="50">{chart.about}</text>'
    yield from _grid(across, up)
    heights = _apart([up.place(line.points[-1][1]) for line in chart.lines])
    for line, height in zip(chart.lines, heights, strict=True):
        yield from _curve(line, across, up, height)
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    yield f'<text x="{middle:.1f}" y="{_HEIGHT - 14}" text-anchor="middle">size of the thread</text>'


def _sizes(values: Sequence[float]) -> _Scale:
    """The axis of sizes, from the smallest to the largest thread, with a line at each where there is room."""
    low, high = min(values), max(*values, 1.1 * min(values))
    across = _Scale(low, high, _LEFT, _WIDTH - _RIGHT, ())
    ticks: list[float] = []
    for value in sorted(values):
        if not ticks or across.place(value) - across.place(ticks[-1]) >= _TICK_GAP:
            ticks.append(value)
    return across._replace(ticks=tuple(ticks))


def _times(values: Sequence[float]) -> _Scale:
    """The axis of times, over whole powers of ten."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    powers = range(low, max(high, low + 1) + 1)
    return _Scale(
        10.0 ** powers[0], 10.0 ** powers[-1], _HEIGHT - _BOTTOM, _TOP, tuple(10.0**power for power in powers)
    )


def _grid(across: _Scale, up: _Scale) -> Iterator[str]:
    for ms in up.ticks:
        y = up.place(ms)
        yield f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}"/>'
        yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_tick(ms)}</text>'
    for mb in across.ticks:
        x = across.place(mb)
        yield f'<line class="grid" x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_HEIGHT - _BOTTOM}"/>'
        yield f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 20}" text-anchor="middle">{_megabytes(mb)}</text>'


def _tick(ms: float) -> str:
    return f"{ms / 1000:,.0f} s" if ms >= 1000 else f"{ms:g} ms"


def _megabytes(mb: float) -> str:
    return f"{mb / 1000:.3g} GB" if mb >= 1000 else f"{mb:.0f} MB" if mb >= 10 else f"{mb:.2g} MB"


def _curve(line: _Line, across: _Scale, up: _Scale, height: float) -> Iterator[str]:
    places = [(across.place(x), up.place(y)) for x, y in line.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline class="line {line.style}" points="{path}"/>'
    for x, y in places:
        yield f'<circle class="dot {line.style}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'
    label = f"{line.title}, {_ms(line.points[-1][1])}"
    yield f'<text class="name {line.style}" x="{places[-1][0] + 10:.1f}" y="{height + 4:.1f}">{escape(label)}</text>'


def _ms(ms: float) -> str:
    return f"{ms / 1000:.1f} s" if ms >= 1000 else f"{ms:.0f} ms" if ms >= 10 else f"{ms:.1f} ms"


def _apart(heights: Iterable[float]) -> list[float]:
    """Places of labels that do not cover each other, each as near to its line's end as that allows."""
    wanted = list(heights)
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    for above, below in itertools.pairwise(order):
        wanted[below] = max(wanted[below], wanted[above] + _LABEL_GAP)
    excess = max(0.0, max(wanted) - (_HEIGHT - _BOTTOM))
    return [height - excess for height in wanted]
