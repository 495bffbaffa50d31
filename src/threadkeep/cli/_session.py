"""One run of the command line: which home, and how it answers."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from threadkeep.cli._errors import OutputClosed, stop_writing
from threadkeep.cli._home import find_home

if TYPE_CHECKING:
    from collections.abc import Sequence

    from threadkeep.cli._progress import Progress, Unit
    from threadkeep.cli._table import Column
    from threadkeep.store import ThreadStore

__all__ = ["Session"]

_WIDE: Final = 110
"""Width of a terminal from which on there is room for whole ids and folders."""

_SHORT_ID: Final = 18
"""Characters of an id on a narrow terminal: the time of a UUIDv7 and twelve bits of chance."""

_STYLES: Final[dict[str, dict[str, Any]]] = {
    "bold": {"bold": True},
    "dim": {"dim": True},
    "id": {"fg": "cyan"},
    "good": {"fg": "green"},
    "warning": {"fg": "yellow"},
    "bad": {"fg": "red", "bold": True},
}


class Session:
    """What every command is given.

    Attributes:
        given_home: What ``--home`` said.
        json: Whether the command answers in JSON.
        debug: Whether tracebacks are shown.
        opened: Whether the store was opened.
    """

    def __init__(self) -> None:
        self.given_home: str | None = None
        self.json = False
        self.debug = os.environ.get("THREADKEEP_DEBUG", "") not in ("", "0")
        self.opened = False
        self._progress: Progress | None = None

    # The store

    @property
    def home(self) -> str:
        """The folder of the home."""
        return find_home(self.given_home, os.environ)

    def store(self) -> ThreadStore:
        """The store of the home; close it after use."""
        from threadkeep.store import ThreadStore

        home = self.home
        if os.path.lexists(home) and not os.path.isdir(home):
            raise click.UsageError(f"{home} is no folder")
        self.opened = True
        return ThreadStore.open(home)

    def working(self, label: str, *, unit: Unit = "") -> Progress:
        """Progress of what takes a while, to be entered; nothing is shown where stderr is no terminal."""
        from threadkeep.cli._progress import Progress

        columns = shutil.get_terminal_size().columns
        self._progress = Progress(label, unit=unit, columns=columns, shown=_is_terminal(sys.stderr))
        return self._progress

    # The terminal

    @property
    def terminal(self) -> int | None:
        """Width of the terminal that stdout is; None where it is none."""
        return shutil.get_terminal_size().columns if _is_terminal(sys.stdout) else None

    @property
    def asks(self) -> bool:
        """Whether there is a person to ask: stdin and stderr are a terminal."""
        return _is_terminal(sys.stdin) and _is_terminal(sys.stderr)

    def style(self, text: str, name: str) -> str:
        """``text`` in one of the styles, on a terminal with colours (``NO_COLOR`` unset or empty)."""
        colours = self.terminal is not None and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return click.style(text, **_STYLES[name]) if colours and name and text else text

    @property
    def draws(self) -> bool:
        """Whether lines can be drawn: stdout takes the characters for it."""
        try:
            "├└│─".encode(sys.stdout.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    # Answers

    def line(self, text: str = "") -> None:
        """A line of text on stdout. What of it came from a rollout must have been made fit to be shown."""
        self._write(f"{text}\n".encode(sys.stdout.encoding or "utf-8", "backslashreplace"))

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[str]], *, titled: bool = False) -> None:
        """A table on stdout; ``titled`` keeps its titles where there is no terminal."""
        from threadkeep.cli._table import table

        for line in table(columns, rows, terminal=self.terminal, style=self.style, titled=titled):
            self.line(line)

    def answer(self, value: Any) -> None:
        """The whole answer as JSON on stdout: on one line, or over several on a terminal."""
        self._json(value, indent=True)

    def record(self, value: Any) -> None:
        """One of several answers as a line of JSON on stdout."""
        self._json(value, indent=False)

    def note(self, text: str) -> None:
        """A line for people on stderr, beside the answer; nothing where the answer is JSON."""
        if not self.json:
            click.echo(text, err=True)

    def warn(self, store: ThreadStore) -> None:
        """Say, also beside JSON, what of the home could not be read: without it the answer may not be whole."""
        from threadkeep.cli._text import clean

        for trouble in store.backend.troubles():
            click.echo(f"threadkeep: {clean(trouble)}", err=True)

    def no_threads(self) -> None:
        """Say that the home holds nothing that could be shown, or is not there."""
        there = os.path.isdir(self.home)
        self.note(f"no threads in {self.home}" if there else f"{self.home} does not exist")

    @property
    def wide(self) -> bool:
        """Whether there is room for whole ids and folders: on a wide terminal, and where there is none."""
        return self.terminal is None or self.terminal >= _WIDE

    def ids(self, ids: Sequence[str]) -> list[str]:
        """Ids as they are shown in a table: on a narrow terminal their beginnings, where these tell them apart."""
        short = [one[:_SHORT_ID] for one in ids]
        return list(ids) if self.wide or len(set(short)) < len(set(ids)) else short

    def _json(self, value: Any, *, indent: bool) -> None:
        from threadkeep.cli._json import encode, readable

        encoded = encode(value)
        if self.terminal is not None:
            encoded = readable(encoded, indent=indent).encode("utf-8")
        self._write(encoded + b"\n")

    def _write(self, data: bytes) -> None:
        with self._progress.hidden() if self._progress is not None else contextlib.nullcontext():
            try:
                sys.stdout.flush()
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
            except OSError as error:
                stop_writing()
                if isinstance(error, BrokenPipeError):
                    raise OutputClosed from error
                raise OSError(error.errno, f"the answer cannot be written: {error.strerror}") from error


def _is_terminal(stream: Any) -> bool:
    try:
        return stream is not None and bool(stream.isatty())
    except ValueError:  # it was closed
        return False
