"""What tests of the local backend share: homes by hand, a file system that fails and one that writes down."""

from __future__ import annotations

import errno
import hashlib
import os
import sys
from typing import TYPE_CHECKING, Any, Final

from threadkeep.backends.local import Files, LocalBackend
from threadkeep.backends.local._layout import day_folder, rollout_name
from threadkeep.ids import SystemClock, Uuid7Source, timestamp_ms
from threadkeep.records import Cost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from threadkeep.backends import RolloutRef
    from threadkeep.ids import Clock

IDS: Final = Uuid7Source(SystemClock())
LINE: Final = b'{"n":0}\n'


class StillClock:
    """A clock that stands where a test puts it."""

    def __init__(self, ms: int) -> None:
        self.ms = ms

    def now_ms(self) -> int:
        return self.ms


def opened(home: Path, files: Files | None = None, clock: Clock | None = None) -> LocalBackend:
    return LocalBackend(str(home), files=files, clock=clock)


def compressed(data: bytes) -> bytes:
    """One zstd frame without a checksum, as Codex writes it."""
    if sys.version_info >= (3, 14):
        from compression.zstd import compress
    else:
        from backports.zstd import compress
    packed: bytes = compress(data)
    return packed


def put(
    home: Path,
    data: bytes = LINE,
    *,
    thread: str | None = None,
    rollout: str | None = None,
    folder: str | None = None,
    pack: bool = False,
) -> Path:
    """A rollout's file, put there as another program does.

    Args:
        home: The home.
        data: What it holds.
        thread: Its thread; a new one where it is not given.
        rollout: Its own id; the thread's where it is not given.
        folder: Where it lies, below the home; by default where it belongs.
        pack: Whether it is compressed.
    """
    thread = thread or IDS.new()
    rollout = rollout or thread
    ms = timestamp_ms(rollout) or 1_750_000_000_000
    place = home / (folder or f"sessions/{day_folder(ms)}")
    place.mkdir(parents=True, exist_ok=True)
    path = place / (rollout_name(ms, thread, rollout) + (".zst" if pack else ""))
    path.write_bytes(compressed(data) if pack else data)
    return path


def rollout_id(path: Path) -> str:
    return path.name.removesuffix(".zst").removesuffix(".jsonl")[-36:]


def read(backend: LocalBackend, ref: RolloutRef) -> bytes:
    source = backend.open(ref, Cost())
    try:
        return source.read(0, source.size)
    finally:
        source.close()


def append(backend: LocalBackend, ref: RolloutRef, data: bytes) -> None:
    """One record, acknowledged."""
    lease = backend.lease(ref.thread_id)
    try:
        appender = backend.appender(ref, lease, Cost(), durability="fsync")
        try:
            appender.append(data)
            appender.flush()
        finally:
            appender.close()
    finally:
        lease.release()


def tree(folder: Path) -> dict[str, str]:
    """Every file below a folder and the digest of what it holds; folders with a slash."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir() and not path.is_symlink():
            found[name + "/"] = ""
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def leftovers(home: Path) -> list[str]:
    """Temporary files that something left behind."""
    return [str(path) for path in home.rglob("*.tmp")]


_FAILING: Final = frozenset(
    "open write pread truncate fsync stat fstat utime link rename unlink mkdir rmdir flock".split()
)


class QuickFiles(Files):
    """Flushes nothing: for tests of something else."""

    def fsync(self, fd: int) -> None:
        pass

    def sync_file_system(self, fd: int) -> None:
        pass


class FaultyFiles(Files):
    """Fails the n-th call.

    Args:
        at: Which call fails, from 1 on.
        error: What it fails with; ``short`` makes the next write take only a part of what it is given.
        for_good: Every later call fails as well.
        only: Calls that count; by default all.
    """

    def __init__(self, at: int, error: int | str, *, for_good: bool = False, only: frozenset[str] = _FAILING) -> None:
        self.left = at
        self.error = error
        self.for_good = for_good
        self.only = only
        self.failed: str | None = None
        self.cut = False

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in _FAILING:
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            if name in self.only:
                self.left -= 1
                if self.left == 0 or (self.left < 0 and self.for_good):
                    self.failed = self.failed or name
                    if self.error != "short":
                        assert isinstance(self.error, int)
                        raise OSError(self.error, os.strerror(self.error))
                    self.cut = True
                if name == "fsync":
                    return None  # that a disk is slow proves nothing here
                if name == "write" and self.cut:
                    self.cut = False
                    return found(arguments[0], bytes(arguments[1])[: max(1, len(arguments[1]) // 2)])
            return found(*arguments, **named)

        return call


class RecordingFiles(Files):
    """Writes down the calls that change something, and those that make changes durable, with names instead of fds."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.names: dict[int, str] = {}

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        if flags & os.O_CREAT and not os.path.exists(path):
            self.calls.append(("create", path))
        fd = super().open(path, flags, mode)
        self.names[fd] = path
        return fd

    def write(self, fd: int, data: bytes | memoryview) -> int:
        self.calls.append(("write", self.names[fd]))
        return super().write(fd, data)

    def fsync(self, fd: int) -> None:
        self.calls.append(("fsync", self.names[fd]))

    def sync_file_system(self, fd: int) -> None:
        self.calls.append(("syncfs", self.names[fd]))

    def link(self, source: str, target: str) -> None:
        self.calls.append(("link", target))
        super().link(source, target)

    def rename(self, source: str, target: str) -> None:
        self.calls.append(("rename", target))
        super().rename(source, target)

    def unlink(self, path: str) -> None:
        self.calls.append(("unlink", path))
        super().unlink(path)

    def mkdir(self, path: str, mode: int = 0o700) -> None:
        self.calls.append(("mkdir", path))
        super().mkdir(path, mode)

    def place(self, call: str, path: str | os.PathLike[str]) -> int:
        """Which call it was; the last one where it was made several times."""
        wanted = (call, os.fspath(path))
        assert wanted in self.calls, f"{wanted} is not among {self.calls}"
        return len(self.calls) - 1 - self.calls[::-1].index(wanted)


class CountingFiles(Files):
    """Counts calls, those on entries of folders included."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        self.count("open")
        return super().open(path, flags, mode)

    def stat(self, path: str) -> os.stat_result:
        self.count("stat")
        return super().stat(path)

    def scandir(self, path: str) -> Iterator[os.DirEntry[str]]:
        self.count("scandir")
        entries: Any = (_Entry(entry, self) for entry in super().scandir(path))
        yield from entries


class _Entry:
    """An entry of a folder that counts what is asked of it beyond its name and kind."""

    def __init__(self, entry: os.DirEntry[str], files: CountingFiles) -> None:
        self._entry = entry
        self._files = files
        self.name = entry.name
        self.is_dir = entry.is_dir
        self.is_file = entry.is_file

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        self._files.count("entry stat")
        return self._entry.stat(follow_symlinks=follow_symlinks)


def every_fault(run: Callable[[FaultyFiles], bool], error: int | str, *, for_good: bool = False) -> int:
    """Fail the first call, then the second, and so on, until nothing is left to fail; returns how many failed.

    Args:
        run: One run on fresh ground with these files; whether the operation succeeded.
        error: What the call fails with.
        for_good: Every later call fails as well.
    """
    only = frozenset({"write"}) if error in ("short", errno.ENOSPC) else _FAILING
    for at in range(1, 500):
        files = FaultyFiles(at, error, for_good=for_good, only=only)
        succeeded = run(files)
        if files.failed is None:
            assert succeeded
            return at - 1
    raise AssertionError("the operation goes on for ever")
