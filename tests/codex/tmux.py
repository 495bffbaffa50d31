"""A terminal whose screen can be read: a program inside ``tmux``, driven by keys and waited for by what it shows.

Nothing here waits for a fixed time: a wait looks at the screen until it shows what is wanted, for at most `TIMEOUT`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING, Final, Self

from tests.codex.client import clean_environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

TIMEOUT: Final = 60.0
"""Seconds that a wait for the screen lasts at most."""

_LOOK_AGAIN: Final = 0.05
"""Seconds between two looks at the screen."""

_SWALLOWED: Final = 3.0
"""Seconds after which a key counts as swallowed."""

_PRESSES: Final = 4
"""How often a key is pressed at most."""


class ScreenTimeout(AssertionError):
    """The screen did not show in time what was waited for; its text is the last screen."""


class Screen:
    """A program on a screen of 120 columns and 45 lines, as a context manager that kills it at the end."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        home: Path,
        cwd: Path,
        log: Path,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare ``command``; ``log`` is a file that every screen that was waited for is appended to."""
        self._command = [str(part) for part in command]
        self._environment = {**clean_environment(home, env), "TERM": "xterm-256color"}
        self._cwd = cwd
        self._log = log
        # A folder of its own, with a name that is short enough for a socket.
        self._folder = tempfile.mkdtemp(prefix="tmux-")

    @staticmethod
    def is_possible() -> bool:
        """Whether ``tmux`` is installed."""
        return shutil.which("tmux") is not None

    def __enter__(self) -> Self:
        """Start it."""
        self._tmux(
            "-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "45", "-c", str(self._cwd), *self._command
        )
        self._tmux("set-option", "-g", "remain-on-exit", "on")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep the last screen and kill it."""
        try:
            self.keep("end")
        finally:
            self._tmux("kill-server", check=False)
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def text(self) -> str:
        """What the screen shows, without colours and without spaces at the ends of lines."""
        return self._tmux("capture-pane", "-p", check=False)

    def wait(self, pattern: str, *, timeout: float = TIMEOUT, gone: bool = False) -> str:
        """Wait until the screen shows something that ``pattern`` finds (or, ``gone``, nothing of it); the screen."""
        wanted = re.compile(pattern, re.MULTILINE)
        deadline = time.monotonic() + timeout
        while True:
            text = self.text
            if (wanted.search(text) is None) == gone:
                self.keep(pattern, text)
                return text
            if time.monotonic() > deadline:
                self.keep(f"NOT {pattern}", text)
                raise ScreenTimeout(f"{pattern!r} did not {'go' if gone else 'come'} in {timeout} s:\n{text}")
            time.sleep(_LOOK_AGAIN)

    def wait_end(self, timeout: float = TIMEOUT) -> str:
        """Wait until the program has ended; the last screen."""
        deadline = time.monotonic() + timeout
        while self._tmux("display-message", "-p", "#{pane_dead}", check=False).strip() != "1":
            if time.monotonic() > deadline:
                raise ScreenTimeout(f"it did not end in {timeout} s:\n{self.text}")
            time.sleep(_LOOK_AGAIN)
        self.keep("ended")
        return self.text

    def type(self, text: str) -> None:
        """Type ``text`` as it is."""
        self._tmux("send-keys", "-l", text)

    def press(self, *keys: str) -> None:
        """Press keys by their names: ``Enter``, ``Escape``, ``Down``, ``C-c``."""
        self._tmux("send-keys", *keys)

    def press_until(self, key: str, pattern: str) -> str:
        """Press a key until the screen shows ``pattern``: one that comes while something else closes is swallowed."""
        for _ in range(_PRESSES - 1):
            self.press(key)
            try:
                return self.wait(pattern, timeout=_SWALLOWED)
            except ScreenTimeout:
                continue
        self.press(key)
        return self.wait(pattern)

    def keep(self, name: str, text: str | None = None) -> None:
        """Append a screen to the log, under a name."""
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"---- {name}\n{(text if text is not None else self.text).rstrip()}\n")

    def _tmux(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            ["tmux", "-S", f"{self._folder}/s", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if check and done.returncode:
            raise RuntimeError(f"tmux {arguments[0]}: {done.stderr.strip()}")
        return done.stdout
