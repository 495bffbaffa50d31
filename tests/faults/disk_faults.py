"""A file system that fails at its n-th call, in each of the ways in which one does."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any, Final

from threadkeep.backends.local import Files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["CHANGING", "Faults", "kinds_of"]

CHANGING: Final = frozenset("write truncate fsync utime link rename unlink mkdir rmdir".split())
"""Calls that change something or make a change last."""

_ALLOCATING: Final = frozenset("create write link rename mkdir fsync truncate".split())
"""Calls that a full disk refuses."""


def kinds_of(call: str) -> tuple[str, ...]:
    """The ways in which a call fails.

    ``EIO`` and ``ENOSPC``: with that error. ``short``: a write takes a part of what it is given. ``torn``: it takes a
    part, and the next one finds the disk full. ``lost``: a flush fails, and what was written since the last one is
    gone at once: the system drops such pages (ATC 2020, "Can applications recover from fsync failures?").
    """
    if call == "write":
        return "torn", "EIO", "ENOSPC", "short"
    if call == "fsync":
        return "lost", "EIO", "ENOSPC"
    return ("EIO", "ENOSPC") if call in _ALLOCATING else ("EIO",)


class Faults(Files):
    """Fails the n-th call. Flushes nothing: that a disk is slow proves nothing here.

    Args:
        at: Which call fails, from 1 on.
        choose: How it fails, by the call's name: one of `kinds_of`.
        for_good: Every later call fails as well, or, on a full disk, every later one that needs room.

    Attributes:
        failed: The call that failed, and how; None while none did.
    """

    def __init__(self, at: int, choose: Callable[[str], str], *, for_good: bool = False) -> None:
        self.left = at
        self.choose = choose
        self.for_good = for_good
        self.failed: tuple[str, str] | None = None
        self._full_soon = False
        self._unflushed: dict[int, bytes] = {}

    def mend(self) -> None:
        """From now on nothing fails."""
        self.left, self.for_good, self._full_soon = -1, False, False

    def _call(self, name: str) -> str | None:
        """Count a call; how it fails, where it fails otherwise than with an error."""
        self.left -= 1
        if self._full_soon and name == "write":
            self._full_soon = False
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.left == 0:
            kind = self.choose(name)
            self.failed = name, kind
        elif self.left < 0 and self.for_good and self.failed is not None:
            kind = self.failed[1]
            if kind in ("short", "torn", "ENOSPC"):
                if name not in _ALLOCATING:
                    return None
                kind = "ENOSPC"
            elif kind == "lost" and name != "fsync":
                kind = "EIO"
        else:
            return None
        if kind in ("EIO", "ENOSPC"):
            code = getattr(errno, kind)
            raise OSError(code, os.strerror(code))
        return kind

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        self._call("create" if flags & os.O_CREAT and not os.path.exists(path) else "open")
        return super().open(path, flags, mode)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        kind = self._call("write")
        node = os.fstat(fd).st_ino
        if node not in self._unflushed:
            self._unflushed[node] = _read(fd)
        if kind is None:
            return super().write(fd, data)
        self._full_soon = kind == "torn"
        return super().write(fd, bytes(data)[: max(1, len(data) // 2)])

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        self._call("pread")
        return super().pread(fd, size, offset)

    def truncate(self, fd: int, size: int) -> None:
        self._call("truncate")
        super().truncate(fd, size)

    def fsync(self, fd: int) -> None:
        kind = self._call("fsync")
        held = self._unflushed.pop(os.fstat(fd).st_ino, None)
        if kind == "lost":
            if held is not None:
                _write(fd, held)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def sync_file_system(self, fd: int) -> None:
        self._call("fsync")

    def stat(self, path: str) -> os.stat_result:
        self._call("stat")
        return super().stat(path)

    def fstat(self, fd: int) -> os.stat_result:
        self._call("fstat")
        return super().fstat(fd)

    def utime(self, path: str, ns: tuple[int, int]) -> None:
        self._call("utime")
        super().utime(path, ns)

    def link(self, source: str, target: str) -> None:
        self._call("link")
        super().link(source, target)

    def rename(self, source: str, target: str) -> None:
        self._call("rename")
        super().rename(source, target)

    def unlink(self, path: str) -> None:
        self._call("unlink")
        super().unlink(path)

    def mkdir(self, path: str, mode: int = 0o700) -> None:
        self._call("mkdir")
        super().mkdir(path, mode)

    def rmdir(self, path: str) -> None:
        self._call("rmdir")
        super().rmdir(path)

    def scandir(self, path: str) -> Iterator[os.DirEntry[str]]:
        self._call("scandir")
        entries: Any = (_Entry(entry, self) for entry in super().scandir(path))
        yield from entries

    def flock(self, fd: int, *, exclusive: bool) -> bool:
        self._call("flock")
        return super().flock(fd, exclusive=exclusive)


class _Entry:
    """An entry of a folder whose facts may not be had."""

    def __init__(self, entry: os.DirEntry[str], files: Faults) -> None:
        self._entry = entry
        self._files = files
        self.name = entry.name
        self.path = entry.path
        self.is_dir = entry.is_dir
        self.is_file = entry.is_file

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        self._files._call("stat")
        return self._entry.stat(follow_symlinks=follow_symlinks)


def _path(fd: int) -> str:
    return f"/dev/fd/{fd}"


def _read(fd: int) -> bytes:
    with open(_path(fd), "rb") as file:
        return file.read()


def _write(fd: int, data: bytes) -> None:
    """Set what an open file holds, whatever it was opened for."""
    with open(_path(fd), "r+b") as file:
        file.truncate(len(data))
        file.write(data)
