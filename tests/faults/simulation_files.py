"""The file system as the clients of a simulated machine meet it."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any, Final

from tests.faults.simulation_fault import Fault, Killed

from threadkeep.backends.local import Files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.simulation_inodes import Inodes
    from tests.faults.simulation_world import Client, World

__all__ = ["SimulatedFiles"]

_ROOM: Final = 1 << 40
"""Bytes free on the machine's disk, while it is not full."""


class SimulatedFiles(Files):
    """The file system as a client of the machine meets it.

    Args:
        world: The machine.
        client: The client; None for who only looks: nobody disturbs it.
    """

    def __init__(self, world: World, client: Client | None = None) -> None:
        self._world = world
        self._client = client
        self._inodes = world.disk.inodes
        self._paths: dict[int, str] = {}
        self._numbers: dict[int, int] = {}

    def drop(self) -> None:
        """The client is gone: the system closes what it had open, and with that its locks end."""
        for fd in list(self._paths):
            self._close(fd)

    def _before(self, call: str, path: str) -> Fault | None:
        if self._client is None:
            return None
        if self._client.dead:
            raise Killed
        try:
            fault = self._world.before(self._client, call, path)
        except Killed:
            self._client.dead = True
            raise
        if fault is not None and fault.kind not in ("short", "flush"):
            code = getattr(errno, fault.kind)
            raise OSError(code, os.strerror(code), path)
        return fault

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        self._before("open", path)
        fresh = bool(flags & os.O_CREAT) and not os.path.lexists(path)
        fd = super().open(path, flags, mode)
        self._paths[fd] = path
        if fresh and not path.endswith(".lock"):
            self._world.disk.created(path)
        if fresh:
            self._inodes.made(os.fstat(fd))
            self._changed(fd)
        self._numbers[fd] = self._inodes.opened(os.fstat(fd))
        return fd

    def _changed(self, fd: int) -> None:
        """The time of a file's last change is the machine's, too, and no two are the same."""
        ns = self._world.clock.ms * 1_000_000 + self._world.calls % 1_000_000
        os.utime(fd, ns=(ns, ns))

    def close(self, fd: int) -> None:
        if self._client is not None and self._client.dead:
            return  # nobody is there any more to close it
        self._close(fd)

    def _close(self, fd: int) -> None:
        del self._paths[fd]
        self._inodes.closed(self._numbers.pop(fd))
        super().close(fd)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        path = self._paths[fd]
        fault: Fault | None = None
        killed = False
        try:
            fault = self._before("write", path)
        except Killed:
            if self._client is None or fd not in self._paths or self._world.trouble is not None:
                raise
            killed = True
        if not path.endswith(".lock"):
            self._world.disk.written(fd, os.fstat(fd).st_size)
        if fault is not None or killed:
            data = bytes(data)[: self._world.chance.randint(0 if killed else 1, len(data))]
        taken = super().write(fd, data) if data else 0
        self._changed(fd)
        if killed:
            raise Killed
        return taken

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        self._before("pread", self._paths[fd])
        return super().pread(fd, size, offset)

    def truncate(self, fd: int, size: int) -> None:
        self._before("truncate", self._paths[fd])
        super().truncate(fd, size)
        self._changed(fd)

    def fsync(self, fd: int) -> None:
        path = self._paths[fd]
        try:
            fault = self._before("fsync", path)
        except OSError:
            self._world.disk.flush_failed(fd)
            raise
        if fault is not None:
            self._world.disk.flush_failed(fd)
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        self._world.disk.flushed(fd, path)

    def sync_file_system(self, fd: int) -> None:
        self._before("fsync", self._paths[fd])

    def stat(self, path: str) -> os.stat_result:
        self._before("stat", path)
        return self._inodes.shown(super().stat(path))

    def fstat(self, fd: int) -> os.stat_result:
        self._before("fstat", self._paths[fd])
        return self._inodes.shown(super().fstat(fd))

    def free(self, path: str) -> int:
        return _ROOM

    def link(self, source: str, target: str) -> None:
        self._before("link", target)
        super().link(source, target)
        self._world.disk.created(target)

    def rename(self, source: str, target: str) -> None:
        self._before("rename", target)
        self._world.disk.renamed(source, target)
        super().rename(source, target)

    def unlink(self, path: str) -> None:
        self._before("unlink", path)
        if path.endswith(".lock"):
            self._world.disk.remove(path)
            return
        os.stat(path)
        self._world.disk.removed(path)
        super().unlink(path)

    def mkdir(self, path: str, mode: int = 0o700) -> None:
        self._before("mkdir", path)
        super().mkdir(path, mode)
        self._inodes.made(os.stat(path))
        self._world.disk.made(path)

    def rmdir(self, path: str) -> None:
        self._before("rmdir", path)
        facts = os.stat(path)
        super().rmdir(path)
        self._inodes.gone(facts)
        self._world.disk.unmade(path)

    def scandir(self, path: str) -> Iterator[os.DirEntry[str]]:
        self._before("scandir", path)
        entries: Any = (_Entry(entry, self._inodes) for entry in super().scandir(path))
        yield from sorted(entries, key=lambda entry: str(entry.name))

    def flock(self, fd: int, *, exclusive: bool) -> bool:
        self._before("flock", self._paths[fd])
        return super().flock(fd, exclusive=exclusive)

    def drop_cache(self, fd: int) -> None:
        pass


class _Entry:
    """An entry of a folder with the machine's facts."""

    def __init__(self, entry: os.DirEntry[str], inodes: Inodes) -> None:
        self._entry = entry
        self._inodes = inodes
        self.name = entry.name
        self.path = entry.path
        self.is_dir = entry.is_dir
        self.is_file = entry.is_file

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        return self._inodes.shown(self._entry.stat(follow_symlinks=follow_symlinks))
