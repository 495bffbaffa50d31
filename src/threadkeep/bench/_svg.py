"""The picture of it: what a resume takes against how much history there is, both axes logarithmic."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Final, NamedTuple
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from threadkeep.bench._bench import Report

__all__ = ["drawn"]

_WIDTH: Final = 720
_HEIGHT: Final = 400
_LEFT: Final = 64
_RIGHT: Final = 168
_TOP: Final = 48
_BOTTOM: Final = 56
_MB: Final = 1_000_000
_LABEL_GAP: Final = 16


class _Line(NamedTuple):
    """A line of the picture: which operation, its name, its style."""

    operation: str
    title: str
    style: str


_LINES: Final = (
    _Line("replay", "full replay", "replay"),
    _Line("fork", "fork", "fork"),
    _Line("resume", "resume", "resume"),
    _Line("page", "page of 20 turns", "page"),
)

_STYLE: Final = """
  text { font: 13px system-ui, sans-serif; fill: #57606a }
  .title { font-size: 15px; font-weight: 600; fill: #24292f }
  .grid { stroke: #d0d7de; stroke-width: 1 }
  .line { fill: none; stroke-width: 2.5; stroke-linejoin: round }
  .replay { stroke: #cf222e } .fork { stroke: #8250df } .resume { stroke: #1a7f37 }
  .page { stroke: #0969da }
  .dot.replay { fill: #cf222e } .dot.fork { fill: #8250df } .dot.resume { fill: #1a7f37 }
  .dot.page { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    text { fill: #9198a1 } .title { fill: #f0f6fc } .grid { stroke: #30363d }
  }
"""


class _Scale(NamedTuple):
    """A logarithmic axis: the powers of ten that it spans, and the places of its ends."""

    low: int
    high: int
    start: float
    end: float

    def place(self, value: float) -> float:
        """Where a value stands."""
        part = (math.log10(value) - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)

    @property
    def powers(self) -> range:
        """The powers of ten that get a line."""
        return range(self.low, self.high + 1)


def drawn(report: Report, mode: str) -> str:
    """An SVG of what operations take in one history mode. The same figures make the same bytes.

    Args:
        report: What was measured.
        mode: The history mode that is drawn.

    Raises:
        ValueError: Nothing was measured in this mode.
    """
    lines = [(line, points) for line in _LINES if (points := _points(report, mode, line.operation))]
    if not lines:
        raise ValueError(f"nothing was measured of {mode} threads")
    across = _scale([x for _, points in lines for x, _ in points], _LEFT, _WIDTH - _RIGHT)
    up = _scale([y for _, points in lines for _, y in points], _HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<style>{_STYLE}</style>",
        f'<text class="title" x="{_LEFT}" y="24">Milliseconds against history ({escape(mode)} threads)</text>',
        *_grid(across, up),
    ]
    heights = _apart([up.place(points[-1][1]) for _, points in lines])
    for (line, points), height in zip(lines, heights, strict=True):
        parts += _curve(line, points, across, up, height)
    parts.append(f'<text x="{_LEFT}" y="{_HEIGHT - 10}">MB of history</text>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _points(report: Report, mode: str, operation: str) -> list[tuple[float, float]]:
    """(MB, ms) of an operation, smallest thread first."""
    rows = (row for row in report.rows if row.mode == mode and row.measured.operation == operation)
    return sorted((row.size / _MB, max(row.measured.ms, 0.01)) for row in rows if not row.measured.cold)


def _scale(values: Sequence[float], start: float, end: float) -> _Scale:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return _Scale(low, max(high, low + 1), start, end)


def _grid(across: _Scale, up: _Scale) -> Iterator[str]:
    for power in up.powers:
        y = up.place(10.0**power)
        yield f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}"/>'
        yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_number(power)} ms</text>'
    for power in across.powers:
        x = across.place(10.0**power)
        yield f'<line class="grid" x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{_HEIGHT - _BOTTOM}"/>'
        yield f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 20}" text-anchor="middle">{_number(power)}</text>'


def _number(power: int) -> str:
    return f"{10**power:,}" if power >= 0 else f"{10.0**power:.{-power}f}"


def _curve(
    line: _Line, points: Sequence[tuple[float, float]], across: _Scale, up: _Scale, height: float
) -> Iterator[str]:
    places = [(across.place(x), up.place(y)) for x, y in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline class="line {line.style}" points="{path}"/>'
    for x, y in places:
        yield f'<circle class="dot {line.style}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'
    label = f"{line.title}, {_ms(points[-1][1])}"
    yield f'<text x="{places[-1][0] + 10:.1f}" y="{height + 4:.1f}">{escape(label)}</text>'


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
