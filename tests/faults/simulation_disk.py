"""What of a simulated machine's files is on its disk, and what a power cut or a failed flush takes away.

The files are real ones. Beside them is kept which of their bytes and which of their names nobody has flushed yet; a
power cut takes some of these back. Of a file the unflushed end is kept, cut at any byte, or turned into zeros; of the
names in a folder the last changes since it was flushed may not have happened. Lock files and the catalog, on which
nobody relies, are left as they are.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING, NamedTuple

from tests.faults.simulation_inodes import Inodes

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

__all__ = ["SimulatedDisk"]


class _Unflushed(NamedTuple):
    """A file that was written to: a descriptor of its own, and how much of it is safe."""

    fd: int
    safe: int


class _Change(NamedTuple):
    """A change of a name that was not flushed: where, and how it is taken back."""

    folders: tuple[str, ...]
    undo: Callable[[], None]
    spare: str | None = None


class SimulatedDisk:
    """What is not on the disk yet.

    Args:
        graves: A folder beside the home: what was removed there lies until that is final.
        chance: What a power cut takes.

    Attributes:
        inodes: The numbers of its files.
    """

    def __init__(self, graves: str, chance: random.Random) -> None:
        self.inodes = Inodes()
        self._graves = graves
        self._chance = chance
        self._files: dict[tuple[int, int], _Unflushed] = {}
        self._changes: list[_Change] = []
        self._count = 0
        os.mkdir(graves)

    # What is done

    def written(self, fd: int, size: int) -> None:
        """A file of that size is about to be written to at its end."""
        facts = os.fstat(fd)
        key = (facts.st_dev, facts.st_ino)
        if key not in self._files:
            self._files[key] = _Unflushed(os.open(f"/proc/self/fd/{fd}", os.O_RDWR), size)

    def flushed(self, fd: int, path: str) -> None:
        """A file or a folder was flushed."""
        if os.path.isdir(path):
            for change in self._changes:
                if path in change.folders and change.spare is not None:
                    self.remove(change.spare)
            self._changes = [change for change in self._changes if path not in change.folders]
            return
        facts = os.fstat(fd)
        held = self._files.pop((facts.st_dev, facts.st_ino), None)
        if held is not None:
            os.close(held.fd)

    def flush_failed(self, fd: int) -> None:
        """A flush failed: what was not safe may be gone from now on."""
        facts = os.fstat(fd)
        held = self._files.pop((facts.st_dev, facts.st_ino), None)
        if held is not None:
            self._lose(held)

    def remove(self, path: str) -> None:
        """Remove a name for good."""
        facts = os.stat(path)
        os.unlink(path)
        if facts.st_nlink == 1:
            self.inodes.gone(facts)

    def created(self, path: str) -> None:
        self._changed((os.path.dirname(path),), lambda: os.unlink(path))

    def removed(self, path: str) -> None:
        """A name is about to be removed."""
        spare = self._kept(path)
        self._changed((os.path.dirname(path),), lambda: os.rename(spare, path), spare)

    def renamed(self, source: str, target: str) -> None:
        """A name is about to be changed."""
        spare = self._kept(target) if os.path.exists(target) else None

        def undo() -> None:
            os.rename(target, source)
            if spare is not None:
                os.rename(spare, target)

        self._changed((os.path.dirname(target), os.path.dirname(source)), undo, spare)

    def made(self, folder: str) -> None:
        self._changed((os.path.dirname(folder),), lambda: shutil.rmtree(folder))

    def unmade(self, folder: str) -> None:
        def undo() -> None:
            os.mkdir(folder)
            self.inodes.made(os.stat(folder))

        self._changed((os.path.dirname(folder),), undo)

    def _kept(self, path: str) -> str:
        self._count += 1
        spare = os.path.join(self._graves, str(self._count))
        os.link(path, spare)
        return spare

    def _changed(self, folders: tuple[str, ...], undo: Callable[[], None], spare: str | None = None) -> None:
        self._changes.append(_Change(folders, undo, spare))

    # What is lost

    def power_cut(self) -> None:
        """The machine stops; when it starts again, only what was flushed is sure to be there."""
        for held in self._files.values():
            self._lose(held)
        self._files.clear()
        # Of each folder's changes a number of the first ones happened.
        left: dict[str, int] = {}
        for change in self._changes:
            left[change.folders[0]] = left.get(change.folders[0], 0) + 1
        left = {
            folder: self._chance.choice((0, 0, count, self._chance.randint(0, count))) for folder, count in left.items()
        }
        undone = []
        for change in self._changes:
            left[change.folders[0]] -= 1
            if left[change.folders[0]] < 0:
                undone.append(change)
        for change in reversed(undone):
            with contextlib.suppress(OSError):  # a folder that it was in may be gone, too
                change.undo()
        self._changes.clear()
        for name in sorted(os.listdir(self._graves)):
            self.remove(os.path.join(self._graves, name))

    def _lose(self, held: _Unflushed) -> None:
        facts = os.fstat(held.fd)
        size = facts.st_size
        if size > held.safe:
            how = self._chance.choice(("all", "all", "cut", "zeros", "nothing"))
            if how == "all":
                os.ftruncate(held.fd, held.safe)
            elif how == "cut":
                os.ftruncate(held.fd, self._chance.randint(held.safe, size))
            elif how == "zeros":
                os.ftruncate(held.fd, held.safe)
                os.ftruncate(held.fd, size)
        os.utime(held.fd, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        os.close(held.fd)

    def close(self) -> None:
        """Let go of what is held open."""
        for held in self._files.values():
            os.close(held.fd)
        self._files.clear()
