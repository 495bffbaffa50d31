"""The writer lease: Codex's own lock protocol, so that threadkeep and Codex exclude each other (``storage.md`` 7.4).

As traced on 0.169.0: a thread's lock file is opened and locked (``flock``, exclusive, no wait) while the coordination
lock is held *shared*, and removed only while it is held *exclusive*; so an acquirer never locks a name that is being
removed. Nothing in a lock file decides anything. What threadkeep writes there only helps to name an owner, and is
believed only where the system's own list of locks names the same process.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Final

import msgspec

from threadkeep.errors import LeaseLost, StorageFailure, ThreadBusy
from threadkeep.ids import is_id, utc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from threadkeep.backends.local._files import Files
    from threadkeep.ids import Clock

__all__ = ["FileLease", "LockFolder"]

LOCKS: Final = "thread-writer-locks"
_COORDINATION: Final = ".coordination.lock"
_WAIT_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.005
_ATTEMPTS: Final = 8
_LOCK_MODE: Final = 0o600


class _Owner(msgspec.Struct):
    pid: int
    since: str
    program: str


_decode_owner: Final = msgspec.json.Decoder(_Owner).decode


class FileLease:
    """A held lock file. It belongs to the process that took it and ends with that process."""

    def __init__(self, folder: LockFolder, files: Files, path: str, thread_id: str, fd: int) -> None:
        self._folder = folder
        self._files = files
        self._path = path
        self._thread_id = thread_id
        self._fd: int | None = fd
        self._pid = os.getpid()
        facts = files.fstat(fd)
        self._identity = (facts.st_dev, facts.st_ino)

    @property
    def thread_id(self) -> str:
        """The thread."""
        return self._thread_id

    def check(self) -> None:
        """Make sure that the lease is held by this process and that its name still leads to it.

        Raises:
            LeaseLost: It was released, belongs to a parent process, or its lock file was removed or replaced.
        """
        if self._fd is None:
            raise LeaseLost("the lease was released", thread=self._thread_id)
        if self._pid != os.getpid():
            raise LeaseLost("the lease belongs to the process that this one was forked from", thread=self._thread_id)
        try:
            facts = self._files.stat(self._path)
        except OSError:
            facts = None
        if facts is None or (facts.st_dev, facts.st_ino) != self._identity:
            raise LeaseLost(
                "the lock file was removed or replaced: another writer may hold the thread now",
                thread=self._thread_id,
                path=self._path,
            )

    def release(self) -> None:
        """Unlock and remove the lock file. In a forked child process only the descriptor is closed."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        if self._pid != os.getpid():
            self._files.close(fd)
            return
        self._folder.release(self._path, fd, self._identity)


class LockFolder:
    """The folder of lock files of one home."""

    def __init__(self, files: Files, home: str, clock: Clock) -> None:
        self._files = files
        self._folder = os.path.join(home, LOCKS)
        self._clock = clock

    def acquire(self, thread_id: str) -> FileLease:
        """Take the lease of a thread.

        Raises:
            ThreadBusy: Somebody holds it. The error names the owner where the system tells.
            StorageFailure: The lock files cannot be used.
        """
        path = os.path.join(self._folder, f"{thread_id}.lock")
        try:
            self._files.make_folders(self._folder)
            for _ in range(_ATTEMPTS):
                lease = self._attempt(path, thread_id)
                if lease is not None:
                    return lease
        except OSError as error:
            raise StorageFailure(
                f"cannot take the writer lock: {error.strerror}", thread=thread_id, path=path
            ) from error
        raise StorageFailure("the lock file keeps being replaced", thread=thread_id, path=path)

    def _attempt(self, path: str, thread_id: str) -> FileLease | None:
        coordination = self._coordination(exclusive=False)
        try:
            fd = self._files.open(path, os.O_RDWR | os.O_CREAT, _LOCK_MODE)
            try:
                if not self._files.flock(fd, exclusive=True):
                    raise self._busy(thread_id, fd)
                facts = self._files.fstat(fd)
                try:
                    named = self._files.stat(path)
                except FileNotFoundError:
                    named = None
                if named is None or (facts.st_dev, facts.st_ino) != (named.st_dev, named.st_ino):
                    self._files.close(fd)
                    return None
                lease = FileLease(self, self._files, path, thread_id, fd)
                owner = _Owner(os.getpid(), utc(self._clock.now_ms()), "threadkeep")
                with contextlib.suppress(OSError):  # a note for people: a full disk is no reason to refuse the lease
                    self._files.truncate(fd, 0)
                    self._files.write(fd, msgspec.json.encode(owner))
            except BaseException:
                with contextlib.suppress(OSError):
                    self._files.close(fd)
                raise
            return lease
        finally:
            self._files.close(coordination)

    def release(self, path: str, fd: int, identity: tuple[int, int]) -> None:
        """Close and remove a lock file that is held; a name that leads elsewhere by now is left alone."""
        try:
            coordination = self._coordination(exclusive=True)
        except (StorageFailure, OSError):
            self._files.close(fd)  # an unlocked file is left behind, as Codex leaves one; the next cleaner removes it
            return
        try:
            with contextlib.suppress(OSError):
                facts = self._files.stat(path)
                if (facts.st_dev, facts.st_ino) == identity:
                    self._files.unlink(path)
        finally:
            self._files.close(fd)
            self._files.close(coordination)

    def held(self, thread_id: str) -> bool:
        """Whether somebody holds the lease of a thread; nothing is made or removed to find out.

        Raises:
            StorageFailure: The lock files cannot be looked at.
        """
        path = os.path.join(self._folder, f"{thread_id}.lock")
        try:
            with self._looking():
                return self._is_held(path)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StorageFailure(
                f"cannot look at the writer lock: {error.strerror}", thread=thread_id, path=path
            ) from error

    def unheld(self) -> list[tuple[str, str]]:
        """(thread id, path) of every lock file that nobody holds; nothing is made or removed.

        Raises:
            StorageFailure: The coordination lock cannot be had.
        """
        if not self._files.exists(self._folder):
            return []
        found: list[tuple[str, str]] = []
        with self._looking():
            for entry in self._files.scandir(self._folder):
                thread_id = entry.name.removesuffix(".lock")
                if thread_id == entry.name or not is_id(thread_id):
                    continue
                with contextlib.suppress(OSError):
                    if not self._is_held(entry.path):
                        found.append((thread_id, entry.path))
        return found

    def _is_held(self, path: str) -> bool:
        fd = self._files.open(path, os.O_RDWR)
        try:
            return not self._files.flock(fd, exclusive=True)
        finally:
            self._files.close(fd)

    @contextlib.contextmanager
    def _looking(self) -> Iterator[None]:
        """Hold the coordination lock exclusively: nobody who takes a lock now meets the looking.

        Where it is not there nobody has ever taken a lock, by the protocol.
        """
        coordination = None
        with contextlib.suppress(FileNotFoundError):
            coordination = self._coordination(exclusive=True, make=False)
        try:
            yield
        finally:
            if coordination is not None:
                self._files.close(coordination)

    def _coordination(self, *, exclusive: bool, make: bool = True) -> int:
        path = os.path.join(self._folder, _COORDINATION)
        fd = self._files.open(path, os.O_RDWR | (os.O_CREAT if make else 0), _LOCK_MODE)
        deadline = time.monotonic() + _WAIT_SECONDS
        try:
            while not self._files.flock(fd, exclusive=exclusive):
                if time.monotonic() > deadline:
                    raise StorageFailure(
                        f"the coordination lock is held by another process for more than {_WAIT_SECONDS:.0f} s",
                        path=path,
                    )
                time.sleep(_POLL_SECONDS)
        except BaseException:
            self._files.close(fd)
            raise
        return fd

    def _busy(self, thread_id: str, fd: int) -> ThreadBusy:
        pid = _holder(self._files.fstat(fd))
        since = program = None
        with contextlib.suppress(msgspec.MsgspecError, RecursionError, UnicodeDecodeError, OSError):
            owner = _decode_owner(self._files.pread(fd, 4096, 0))
            if owner.pid == pid:
                since, program = owner.since, owner.program
        if pid is not None:
            program = program or _program(pid)
            since = since or _started(pid)
        who = f"process {pid}" if pid is not None else "another process"
        if program:
            who += f" ({program})"
        if since:
            who += f", since {since}"
        return ThreadBusy(
            f"thread {thread_id} already has an active writer: {who}",
            thread=thread_id,
            pid=pid,
            since=since,
            program=program,
        )


def _holder(facts: os.stat_result) -> int | None:
    """The process that holds an flock on a file, as Linux lists it; None where the system does not tell."""
    try:
        with open("/proc/locks", encoding="ascii") as locks:
            for line in locks:
                fields = line.split()
                if len(fields) < 6 or fields[1] != "FLOCK":
                    continue
                major, minor, inode = fields[5].split(":")
                if int(inode) == facts.st_ino and os.makedev(int(major, 16), int(minor, 16)) == facts.st_dev:
                    return int(fields[4])
    except (OSError, ValueError):
        return None
    return None


def _program(pid: int) -> str | None:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as comm:
            return comm.read().strip() or None
    except OSError:
        return None


def _started(pid: int) -> str | None:
    """When a process started: the lease is not older than that."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            ticks = int(stat.read().rpartition(")")[2].split()[19])
        with open("/proc/stat", encoding="ascii") as stat:
            boot = next(int(line.split()[1]) for line in stat if line.startswith("btime "))
        return utc(boot * 1000 + ticks * 1000 // os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError, StopIteration):
        return None
