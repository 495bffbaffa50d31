"""Progress on a terminal: a line on stderr for whatever takes longer than a second."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import TYPE_CHECKING, Final, Literal, Self

from threadkeep.cli._text import amount, clean, fit, size, span

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Progress"]

Unit = Literal["bytes", "thread", ""]

_FIRST_SECONDS: Final = 1.0
_EVERY_SECONDS: Final = 0.2
_ERASE: Final = "\r\x1b[K"


class Progress:
    """Shows what is being done, for how long, and how far it got. Call it to say how far.

    Args:
        label: What is being done.
        unit: What the numbers count that it is called with.
        columns: Width of the terminal.
        shown: Whether there is a terminal to show it on.
    """

    def __init__(self, label: str, *, unit: Unit = "", columns: int = 80, shown: bool = False) -> None:
        self.label = label
        self._unit = unit
        self._columns = columns
        self._so_far: int | str = 0
        self._lock = threading.Lock()
        self._drawn = False
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._draw_until_done, daemon=True) if shown else None

    def __call__(self, so_far: int | str) -> None:
        """Say how far it got: a number, or a word for what is being looked at."""
        self._so_far = so_far

    def __enter__(self) -> Self:
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()
        with self.hidden():
            pass

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        """Take the line away while something else is written."""
        with self._lock:
            if self._drawn:
                _write(_ERASE)
                self._drawn = False
            yield

    def _draw_until_done(self) -> None:
        started = time.monotonic()
        wait = _FIRST_SECONDS
        while not self._done.wait(wait):
            wait = _EVERY_SECONDS
            with self._lock:
                _write(_ERASE + fit(self._line(time.monotonic() - started), self._columns - 1))
                self._drawn = True

    def _line(self, seconds: float) -> str:
        so_far = self._so_far
        if isinstance(so_far, str):
            known = clean(so_far)
        elif self._unit == "bytes":
            known = size(so_far)
        else:
            known = amount(so_far, self._unit) if self._unit else ""
        return ", ".join(filter(None, (f"{clean(self.label)} ...", known, span(int(seconds) * 1000))))


def _write(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # the terminal went away: there is nobody to tell
        sys.stderr.write(text)
        sys.stderr.flush()
