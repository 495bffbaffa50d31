"""The ledger: what workers were about to do and what was acknowledged to them, outside of the home.

One file for all workers of a run, appended to with one ``write(2)`` a line and never flushed: a killed process loses
none of it. Lines of several processes stand in the order in which they were written, so a line that stands before
another was true before it. A worker writes what it intends before it begins, and what was acknowledged right after
the call returned; what it intended and did not see acknowledged may or may not have happened.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FileLedger", "Ledger", "LedgerReader", "Line", "MemoryLedger"]

Line = dict[str, Any]
"""One line. ``w``: the worker; ``n``: the operation's number with that worker; ``s``: ``intent``, ``ack``, ``refused``
(an error that promises that nothing was changed), ``failed`` (one that leaves it open), ``broken`` (one that must not
be), ``dead`` (the worker was killed; written by whoever saw it); ``error``; ``op`` and what belongs to it."""


class Ledger(Protocol):
    """Where lines go."""

    def put(self, line: Line) -> None:
        """Append a line; it is there when this returns."""
        ...


class FileLedger:
    """A ledger in a file.

    Args:
        path: The file; it is made where it is not there.
    """

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def put(self, line: Line) -> None:
        # The newline before it keeps a line that was cut by a kill from spoiling this one.
        os.write(self._fd, b"\n" + json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        os.close(self._fd)


class MemoryLedger:
    """A ledger in memory, for workers of one process."""

    def __init__(self) -> None:
        self._lines: list[Line] = []

    def put(self, line: Line) -> None:
        self._lines.append(line)

    def new(self) -> Iterator[Line]:
        """The lines since the last call."""
        lines, self._lines = self._lines, []
        yield from lines


class LedgerReader:
    """Reads a ledger as it grows.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._offset = 0

    def new(self) -> Iterator[Line]:
        """The lines since the last call; one that was cut by a kill is passed over."""
        with open(self._path, "rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data.rfind(b"\n") + 1
        self._offset += whole
        for raw in data[:whole].split(b"\n"):
            if not raw:
                continue
            try:
                yield json.loads(raw)
            except ValueError:
                continue
