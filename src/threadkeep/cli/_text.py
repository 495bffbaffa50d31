"""Text that is fit to be shown: nothing that a terminal obeys, widths in columns, numbers and times for people."""

from __future__ import annotations

import re
import time
import unicodedata
from typing import Final

__all__ = ["amount", "body", "clean", "date", "fit", "size", "span", "width"]

_OBEYED: Final = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 and C1: escape sequences begin with one of them
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # direction marks and overrides, which can fake what is read
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f"  # invisible tags; halves of characters that cannot be encoded
)
_UNSAFE: Final = re.compile(f"[{_OBEYED}]")
_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")
_STEP: Final = 1000
_NO_COLUMN: Final = frozenset({"Mn", "Me", "Cf"})


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def clean(text: str) -> str:
    """``text`` on one line: runs of white space are one space, what a terminal obeys is escaped."""
    return _UNSAFE.sub(_escaped, " ".join(text.split()))


def body(text: str) -> str:
    """``text`` with its lines and tabs; what a terminal obeys is escaped."""
    return _UNSAFE.sub(_escaped, text.replace("\r\n", "\n"))


def width(text: str) -> int:
    """How many columns of a terminal ``text`` takes."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.category(character) in _NO_COLUMN:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fit(text: str, columns: int) -> str:
    """``text`` in at most that many columns; what is cut off is shown by an ellipsis."""
    if len(text) * 2 <= columns or width(text) <= columns:
        return text
    used = 0
    for index, character in enumerate(text):
        used += _columns(character)
        if used > columns - 1:
            return text[:index].rstrip() + "…" if columns > 0 else ""
    return text


def size(count: int) -> str:
    """A number of bytes in decimal units: ``583 B``, ``22.6 kB``, ``1.2 GB``."""
    value = float(count)
    for unit in _UNITS:
        if value < _STEP or unit == _UNITS[-1]:
            break
        value /= _STEP
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


def amount(count: int, one: str, many: str | None = None) -> str:
    """A number of things: ``1 thread``, ``1,234 threads``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def date(ms: float | None) -> str:
    """A Unix time in milliseconds as local date and time, to the minute; ``-`` for none, and for what is no time."""
    if not ms:
        return "-"
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(ms / 1000))
    except (OverflowError, ValueError, OSError):
        return "-"


def span(ms: float) -> str:
    """A duration in milliseconds: ``12 ms``, ``3.4 s``, ``2 min 5 s``, ``1 h 2 min``."""
    if ms < 1000:
        return f"{ms:.0f} ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(int(ms) // 1000, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    return f"{minutes // 60} h {minutes % 60} min"
