"""What the long trials have in common: they say how far they are, and end in good order when they are told to."""

from __future__ import annotations

import signal
import sys
import time
from typing import Final

__all__ = ["Stopped", "Trial"]

_TOLD_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 0.05


class Stopped(BaseException):
    """The trial was told to end.

    Attributes:
        status: What the process says in the end.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = 128 + number


class Trial:
    """A trial that runs; from then on SIGINT and SIGTERM end it where it looks, and never in the middle of a step."""

    def __init__(self) -> None:
        self._told_at = time.monotonic()
        self._signal: int | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)

    def _stop(self, number: int, _: object) -> None:
        self._signal = number

    def go_on(self) -> None:
        """Go on, unless it was told to end.

        Raises:
            Stopped: It was.
        """
        if self._signal is not None:
            raise Stopped(self._signal)

    def pause(self, seconds: float) -> None:
        """Wait, unless it was told to end.

        Raises:
            Stopped: It was.
        """
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.go_on()
            time.sleep(min(left, _LOOK_SECONDS))
        self.go_on()

    def tell(self, text: str) -> None:
        """Say how far it is, every few seconds, where a person looks on."""
        if sys.stderr.isatty() and time.monotonic() >= self._told_at + _TOLD_SECONDS:
            self._told_at = time.monotonic()
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
