"""Every call that threadkeep makes to the file system, in one object that a test can replace.

What the calls promise is the operating system's; what threadkeep makes of them (order, flushes, atomic replacement)
stands in the modules that use them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DIR_MODE", "FILE_MODE", "Files"]

FILE_MODE: Final = 0o600
DIR_MODE: Final = 0o700

_FULLFSYNC: Final[int | None] = getattr(fcntl, "F_FULLFSYNC", None)


class Files:
    """The file system, as far as threadkeep uses it. Paths are ``str``; errors are the system's `OSError`."""

    def open(self, path: str, flags: int, mode: int = FILE_MODE) -> int:
        """Open a descriptor that no child program inherits."""
        return os.open(path, flags | os.O_CLOEXEC, mode)

    def close(self, fd: int) -> None:
        """Close a descriptor. What must be kept was flushed before: what the system says of the disk here is late."""
        try:
            os.close(fd)
        except OSError as error:
            if error.errno == errno.EBADF:
                raise

    def write(self, fd: int, data: bytes | memoryview) -> int:
        """One ``write(2)``; how many bytes it took."""
        return os.write(fd, data)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        """Read at most ``size`` bytes at ``offset``."""
        return os.pread(fd, size, offset)

    def truncate(self, fd: int, size: int) -> None:
        """Set the size of an open file."""
        os.ftruncate(fd, size)

    def fsync(self, fd: int) -> None:
        """Flush a file or a folder to the disk itself (``F_FULLFSYNC`` where the system has it)."""
        if _FULLFSYNC is not None and sys.platform == "darwin":
            fcntl.fcntl(fd, _FULLFSYNC)
        else:
            os.fsync(fd)

    def sync_file_system(self, fd: int) -> None:
        """Flush everything on the file system of an open folder, where the system can (Linux)."""
        import ctypes

        syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
        if syncfs is not None and syncfs(fd) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))

    def drop_cache(self, fd: int) -> None:
        """Ask the system to forget its cached pages of a file, so that the next read sees the disk."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def stat(self, path: str) -> os.stat_result:
        """Facts of the file that a path leads to."""
        return os.stat(path)

    def fstat(self, fd: int) -> os.stat_result:
        """Facts of an open file."""
        return os.fstat(fd)

    def free(self, path: str) -> int:
        """Bytes that may still be written to the file system that a path lies in."""
        facts = os.statvfs(path)
        return facts.f_bavail * facts.f_frsize

    def utime(self, path: str, ns: tuple[int, int]) -> None:
        """Set access and modification time, in nanoseconds."""
        os.utime(path, ns=ns)

    def link(self, source: str, target: str) -> None:
        """Give a file a second name; fails when the name is taken."""
        os.link(source, target)

    def rename(self, source: str, target: str) -> None:
        """Move a file, replacing what has the new name."""
        os.rename(source, target)

    def unlink(self, path: str) -> None:
        """Remove a name of a file."""
        os.unlink(path)

    def mkdir(self, path: str, mode: int = DIR_MODE) -> None:
        """Make one folder."""
        os.mkdir(path, mode)

    def rmdir(self, path: str) -> None:
        """Remove an empty folder."""
        os.rmdir(path)

    def scandir(self, path: str) -> Iterator[os.DirEntry[str]]:
        """The entries of a folder, in no particular order; the folder is closed at the end."""
        with os.scandir(path) as entries:
            yield from entries

    def flock(self, fd: int, *, exclusive: bool) -> bool:
        """Try to lock an open file without waiting; whether the lock was had."""
        try:
            fcntl.flock(fd, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    # What follows is made of the calls above.

    def exists(self, path: str) -> bool:
        """Whether a path leads to something."""
        try:
            self.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def open_plain(self, path: str, flags: int) -> int:
        """Open what must be a plain file: a symbolic link is not followed, a pipe or a device is not waited for."""
        try:
            fd = self.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise OSError(errno.ELOOP, "a symbolic link in the place of a file is not followed", path) from error
        try:
            if not stat.S_ISREG(self.fstat(fd).st_mode):
                raise OSError(errno.EINVAL, "it is no plain file", path)
        except BaseException:
            self.close(fd)
            raise
        return fd

    def write_all(self, fd: int, data: bytes) -> None:
        """Write all of ``data``: one call, and further ones only where the system took less than it was given."""
        view = memoryview(data)
        while view:
            taken = self.write(fd, view)
            view = view[taken:]

    def flush(self, fd: int) -> None:
        """Flush a file that stays where it is.

        After a failure the system takes the cached pages for clean: they are read, and a flush that is tried again
        succeeds, though the disk does not hold them. So they are forgotten: what is read next is what the disk holds.
        """
        try:
            self.fsync(fd)
        except OSError:
            with contextlib.suppress(OSError):
                self.drop_cache(fd)
            raise

    def sync_folder(self, path: str) -> None:
        """Flush a folder, so that the names in it survive a power cut."""
        fd = self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.fsync(fd)
        finally:
            self.close(fd)

    def make_folders(self, path: str) -> None:
        """Make a folder and what is missing above it. Whether the names survive a power cut is not settled here."""
        missing: list[str] = []
        while not self.exists(path):
            missing.append(path)
            path = os.path.dirname(path)
        for folder in reversed(missing):
            with contextlib.suppress(FileExistsError):  # another process was quicker
                self.mkdir(folder)

    def read_file(self, path: str, limit: int) -> bytes:
        """The whole of a small file.

        Raises:
            OSError: It cannot be read, is no file, or holds more than ``limit`` bytes.
        """
        fd = self.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe in its place is not waited for
        try:
            facts = self.fstat(fd)
            if not stat.S_ISREG(facts.st_mode):
                raise OSError(errno.EINVAL, "it is no plain file", path)
            size = facts.st_size
            if size > limit:
                raise OSError(27, f"the file holds {size} bytes, more than the bound of {limit}", path)
            parts: list[bytes] = []
            offset = 0
            while offset <= limit:
                data = self.pread(fd, 1 << 20, offset)
                if not data:
                    break
                parts.append(data)
                offset += len(data)
            return b"".join(parts)
        finally:
            self.close(fd)
