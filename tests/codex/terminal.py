"""Drives Codex's own terminal interface, for what no other interface of an old version can do (0.60.1: backtracking).

It types keys, answers the questions that a program asks of its terminal, and waits by time or until the output is
quiet: what the screen shows is not interpreted. Wait for what the model was asked where you can.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from typing import TYPE_CHECKING, Final, Self

from tests.codex.client import clean_environment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

ESCAPE: Final = "\x1b"
"""The escape key."""

_ANSWERS: Final = (
    (b"\x1b[6n", b"\x1b[1;1R"),
    (b"\x1b[c", b"\x1b[?1;2c"),
    (b"\x1b]10;?", b"\x1b]10;rgb:ffff/ffff/ffff\x1b\\"),
    (b"\x1b]11;?", b"\x1b]11;rgb:0000/0000/0000\x1b\\"),
)


class Terminal:
    """A program on a terminal of 40 lines and 120 columns, as a context manager that kills it at the end."""

    def __init__(self, command: Sequence[str | Path], *, home: Path, cwd: Path) -> None:
        """Start ``command`` with the environment of :func:`tests.codex.client.clean_environment`."""
        arguments = [str(part) for part in command]
        environment = {**clean_environment(home), "TERM": "xterm-256color"}
        self.output = b""
        """What it has written so far."""
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.chdir(cwd)
            os.execve(arguments[0], arguments, environment)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))

    def __enter__(self) -> Self:
        """Wait until it has drawn its first screen."""
        self.settle(2.0, 15.0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill it."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._fd)

    def settle(self, quiet: float = 0.7, timeout: float = 10.0) -> None:
        """Read its output until nothing came for ``quiet`` seconds, for at most ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if not select.select([self._fd], [], [], quiet)[0]:
                return
            try:
                data = os.read(self._fd, 1 << 16)
            except OSError:
                return  # It ended.
            self.output += data
            for question, answer in _ANSWERS:
                if question in data:
                    os.write(self._fd, answer)

    def press(self, keys: str) -> None:
        """Send ``keys`` at once, then settle."""
        os.write(self._fd, keys.encode())
        self.settle()

    def enter(self, text: str) -> None:
        """Type ``text``, settle (else it counts as pasted text), press Enter and settle."""
        self.press(text)
        self.press("\r")
