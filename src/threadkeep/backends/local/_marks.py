"""What threadkeep itself remembers: marks of threads, anchors and seals of children, in one append-only file.

One JSON line a change, the last line of a key wins, flushed before it counts. Unlike the catalog this cannot be
derived again, so it is never rewritten but by appending.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, Final

import msgspec

from threadkeep.backends._protocol import Marks, Seal
from threadkeep.errors import StorageFailure
from threadkeep.records import Boundary

if TYPE_CHECKING:
    from collections.abc import Callable

    from threadkeep.backends.local._files import Files
    from threadkeep.backends.local._folders import Folders

__all__ = ["MarksFile"]

_WAIT_SECONDS: Final = 5.0
_LIMIT: Final = 256 * 1024 * 1024


class _Line(msgspec.Struct, omit_defaults=True):
    at: str
    thread: str | None = None
    marks: Marks | None = None
    child: str | None = None
    anchor: Boundary | None = None
    seal: Seal | msgspec.UnsetType | None = msgspec.UNSET


class MarksFile:
    """``threadkeep/marks.jsonl``."""

    def __init__(self, files: Files, folders: Folders, folder: str) -> None:
        self._files = files
        self._folders = folders
        self._folder = folder
        self.path = os.path.join(folder, "marks.jsonl")
        self._lock = threading.Lock()
        self._named = False
        self._signature: tuple[int, int, int] | None = None
        self._marks: dict[str, Marks] = {}
        self._anchors: dict[str, Boundary] = {}
        self._seals: dict[str, Seal | None] = {}

    def _load(self) -> None:
        """Read the file again if it changed.

        Raises:
            StorageFailure: It cannot be read. Nobody can say then what is hidden or reverted, so nobody guesses.
        """
        try:
            facts = self._files.stat(self.path)
            signature = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
            if signature != self._signature:
                self._read()
                self._signature = signature
        except FileNotFoundError:
            self._signature, self._marks, self._anchors, self._seals = None, {}, {}, {}
        except OSError as error:
            raise StorageFailure(f"cannot read threadkeep's marks: {error.strerror}", path=self.path) from error

    def _read(self) -> None:
        marks: dict[str, Marks] = {}
        anchors: dict[str, Boundary] = {}
        seals: dict[str, Seal | None] = {}
        decode = msgspec.json.Decoder(_Line).decode
        for raw in self._files.read_file(self.path, _LIMIT).split(b"\n"):
            with contextlib.suppress(msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
                line = decode(raw)
                if line.thread is not None and line.marks is not None:
                    marks[line.thread] = line.marks
                if line.child is not None and line.anchor is not None:
                    anchors[line.child] = line.anchor
                if line.child is not None and line.seal is not msgspec.UNSET:
                    seals[line.child] = line.seal
        self._marks, self._anchors, self._seals = marks, anchors, seals

    def all(self) -> dict[str, Marks]:
        """Every thread that has marks."""
        with self._lock:
            self._load()
            return dict(self._marks)

    def get(self, thread_id: str) -> Marks:
        """The marks of one thread; empty ones where it has none."""
        with self._lock:
            self._load()
            return self._marks.get(thread_id) or Marks()

    def anchor(self, child: str) -> Boundary | None:
        """The boundary that replaced the one in a child's first record."""
        with self._lock:
            self._load()
            return self._anchors.get(child)

    def seal(self, child: str) -> Seal | None:
        """What a child's inherited bytes were when they were read first."""
        with self._lock:
            self._load()
            return self._seals.get(child)

    def put_seal(self, at: str, child: str, seal: Seal | None) -> None:
        """Remember the seal of a child, or that it has none."""
        self._append(lambda: _Line(at, child=child, seal=seal))

    def change(self, at: str, thread_id: str, change: Callable[[Marks], Marks]) -> None:
        """Change the marks of a thread, while nobody else changes any."""
        with self._lock:
            self._load()
            if thread_id not in self._marks and change(Marks()) == Marks():
                return  # nothing was remembered, and nothing is to be

        def changed() -> _Line | None:
            self._load()
            marks = self._marks.get(thread_id) or Marks()
            wanted = change(marks)
            return _Line(at, thread=thread_id, marks=wanted) if wanted != marks else None

        self._append(changed)

    def put_anchor(self, at: str, child: str, anchor: Boundary) -> None:
        """Remember the anchor of a child."""
        self._append(lambda: _Line(at, child=child, anchor=anchor))

    def _append(self, made: Callable[[], _Line | None]) -> None:
        """Append the line that is made while the file is held; None: it says so already, which must be on the disk."""
        with self._lock:
            try:
                self._folders.make(self._folder, durable=True)
                fd = self._files.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
                try:
                    self._wait_for(fd)
                    line = made()
                    if line is not None:
                        data = msgspec.json.encode(line) + b"\n"
                        size = self._files.fstat(fd).st_size
                        torn = size > 0 and self._files.pread(fd, 1, size - 1) != b"\n"
                        self._files.write_all(fd, b"\n" + data if torn else data)
                    self._files.flush(fd)
                finally:
                    self._files.close(fd)
                if not self._named:  # whoever made the file, its name must be on the disk before the line counts
                    self._files.sync_folder(self._folder)
                    self._named = True
            except OSError as error:
                raise StorageFailure(f"cannot remember the change: {error.strerror}", path=self.path) from error
            self._signature = None

    def _wait_for(self, fd: int) -> None:
        deadline = time.monotonic() + _WAIT_SECONDS
        while not self._files.flock(fd, exclusive=True):
            if time.monotonic() > deadline:
                raise OSError(11, "another process holds threadkeep's marks", self.path)
            time.sleep(0.005)
