"""Appending to a rollout file: one record, one buffer, one write; shared flushes; nothing acknowledged is lost."""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING

from threadkeep.errors import DurabilityUnknown, LeaseLost, StorageFailure

if TYPE_CHECKING:
    from threadkeep.backends._protocol import Lease
    from threadkeep.backends.local._files import Files
    from threadkeep.records import Cost

__all__ = ["FileAppender"]


class FileAppender:
    """The open end of one rollout file, for the holder of its thread's lease.

    `append` gives a record to the operating system; `flush` returns when it is on the disk. Several threads of one
    process may call both: appends are written one after the other, and flushes that wait together share one.

    Raises (from the constructor):
        LeaseLost: The path leads to another file than the one that was opened.
        StorageFailure: The file cannot be opened.
    """

    def __init__(self, files: Files, path: str, rollout_id: str, lease: Lease, cost: Cost, *, durable: bool) -> None:
        self._files = files
        self._path = path
        self._rollout_id = rollout_id
        self._lease = lease
        self._cost = cost
        self._durable = durable
        self._state = threading.Condition()
        self._flushing = False
        self._dead: DurabilityUnknown | None = None
        self._unflushed: deque[bytes] = deque()
        self._fd: int | None = None
        try:
            self._fd = files.open_plain(path, os.O_RDWR | os.O_APPEND)
            facts = files.fstat(self._fd)
            self._identity = (facts.st_dev, facts.st_ino)
            self._end = self._flushed = facts.st_size
            self._torn = facts.st_size > 0 and files.pread(self._fd, 1, facts.st_size - 1) != b"\n"
            self._check_path()
        except OSError as error:
            self.close()
            raise self._failed("cannot open the rollout to append", error) from error
        except BaseException:
            self.close()
            raise

    @property
    def end(self) -> int:
        """Offset at which the next record will start: after the newline that closes a torn tail, where there is one."""
        return self._end + 1 if self._torn else self._end

    def append(self, line: bytes) -> int:
        """Write one record (its newline included) with one write; return the offset of its first byte.

        Raises:
            LeaseLost: The lease or the file is not this writer's any more, or somebody else wrote into it.
            DurabilityUnknown: An earlier flush failed: the writer is dead.
            StorageFailure: The system refused; a fragment may stand, which the next append closes with a newline.
        """
        with self._state:
            fd = self._usable()
            self._lease.check()
            try:
                if self._files.fstat(fd).st_size != self._end:
                    raise LeaseLost(
                        "another program wrote into the rollout while this writer held it",
                        thread=self._lease.thread_id,
                        rollout=self._rollout_id,
                        path=self._path,
                        offset=self._end,
                    )
                if self._torn:
                    self._write(fd, b"\n")
                    self._torn = False
                offset = self._end
                self._write(fd, line)
            except OSError as error:
                raise self._failed("the record was not stored", error) from error
            return offset

    def _write(self, fd: int, data: bytes) -> None:
        """Write ``data`` wholly, or leave it to be known as a torn tail."""
        view = memoryview(data)
        while view:
            try:
                taken = self._files.write(fd, view)
            except OSError:
                if len(view) < len(data):
                    self._torn = True  # a part of a record stands, without its newline
                raise
            self._unflushed.append(data if taken == len(data) else bytes(view[:taken]))
            self._end += taken
            self._cost.bytes_written += taken
            view = view[taken:]

    def flush(self) -> None:
        """Return when everything appended before this call is on the disk; callers that wait together share a flush.

        Raises:
            DurabilityUnknown: The flush failed. The writer is dead; the error says up to where records are known to
                stand, after the file was read again from the disk.
            LeaseLost: The path does not lead to the file that was written (any more): it was moved or replaced.
        """
        with self._state:
            self._usable()
            wanted = self._end
            while self._flushing and self._dead is None and self._flushed < wanted:
                self._state.wait()
            fd = self._usable()
            if self._flushed >= wanted:
                return
            if not self._durable:
                self._check_path()
                self._settle(self._end)
                return
            self._flushing = True
            target = self._end
        try:
            self._flush_to(fd, target)
        finally:
            with self._state:
                self._flushing = False
                self._state.notify_all()

    def _flush_to(self, fd: int, target: int) -> None:
        try:
            self._files.fsync(fd)
        except OSError as failure:
            with self._state:
                self._dead = self._examine(failure)
                raise self._dead from failure
        with self._state:
            self._check_path()
            self._settle(target)

    def _settle(self, target: int) -> None:
        """Forget the buffers below ``target``: they need not be compared any more."""
        while self._flushed < target:
            self._flushed += len(self._unflushed.popleft())

    def _examine(self, failure: OSError) -> DurabilityUnknown:
        """After a failed flush the cached pages lie: drop them, open the file again and see what stands (trap 27)."""
        standing: int | None = None
        try:
            fd = self._files.open(self._path, os.O_RDONLY)
            try:
                self._files.drop_cache(fd)
                written = b"".join(self._unflushed)
                start = self._end - len(written)
                found = self._files.pread(fd, len(written), start) if written else b""
                same = _common_length(written, found)
                standing = start + written.rfind(b"\n", 0, same) + 1
            finally:
                self._files.close(fd)
        except OSError:
            standing = None
        return DurabilityUnknown(
            f"the flush failed ({failure.strerror}); records up to byte {self._flushed} are safe, "
            + (f"the disk holds them up to byte {standing}" if standing is not None else "what follows is unknown")
            + "; this writer takes no more records",
            thread=self._lease.thread_id,
            rollout=self._rollout_id,
            path=self._path,
            durable_end=self._flushed,
            standing_end=standing,
        )

    def _check_path(self) -> None:
        """The path must still lead to the file that is open, or what is acknowledged lies where nobody looks."""
        try:
            facts = self._files.stat(self._path)
        except OSError as error:
            raise LeaseLost(
                f"the rollout was moved or removed: {error.strerror}",
                thread=self._lease.thread_id,
                rollout=self._rollout_id,
                path=self._path,
            ) from error
        if (facts.st_dev, facts.st_ino) != self._identity:
            raise LeaseLost(
                "the rollout's file was replaced by another",
                thread=self._lease.thread_id,
                rollout=self._rollout_id,
                path=self._path,
            )

    def _usable(self) -> int:
        if self._dead is not None:
            raise self._dead
        if self._fd is None:
            raise LeaseLost("the writer is closed", thread=self._lease.thread_id, rollout=self._rollout_id)
        return self._fd

    def _failed(self, what: str, error: OSError) -> StorageFailure:
        return StorageFailure(
            f"{what}: {error.strerror}", thread=self._lease.thread_id, rollout=self._rollout_id, path=self._path
        )

    def close(self) -> None:
        """Close the file. Nothing is flushed: what was acknowledged was flushed before.

        A flush that another thread waits for ends first: its descriptor may be another file's once it is closed.
        """
        with self._state:
            while self._flushing:
                self._state.wait()
            if self._fd is not None:
                self._files.close(self._fd)
                self._fd = None


def _common_length(one: bytes, other: bytes) -> int:
    """How many leading bytes two strings share, found by halving."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
