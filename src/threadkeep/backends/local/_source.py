"""Rollouts of a home as sources of bytes: plain files by ``pread``, compressed ones by one bounded decode."""

from __future__ import annotations

import errno
import os
import threading
from collections import OrderedDict
from typing import IO, TYPE_CHECKING, Final, Protocol

from threadkeep.errors import CorruptHistory, RolloutReplaced, StorageFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from threadkeep.backends.local._files import Files
    from threadkeep.records import Cost

__all__ = ["CACHED_TAILS", "TAIL_BYTES", "FileSource", "TailCache", "ZstdSource", "decode_stream", "with_room"]

TAIL_BYTES: Final = 16 * 1024 * 1024
"""How much of the end of a compressed rollout is kept decoded after its one decode."""

CACHED_TAILS: Final = 4
"""Of how many compressed rollouts a store keeps the tail at a time."""

MOST_DECODED: Final = 64 << 30
"""Decoded bytes that a compressed rollout may come to: a file of some megabytes can hold more than any disk."""

_CHUNK: Final = 1 << 20


class FileSource:
    """A plain rollout file. Its size is fixed when it is opened; bytes come from descriptors, never from a map.

    Args:
        files: The file system.
        path: The file.
        rollout_id: Id of the rollout.
        cost: Where the bytes fetched are counted.
        find: Says where the file lies when it is at its path no longer; None where nobody knows.
    """

    def __init__(
        self, files: Files, path: str, rollout_id: str, cost: Cost, *, find: Callable[[], str | None] = lambda: None
    ) -> None:
        self._files = files
        self._path = path
        self._find = find
        self._rollout_id = rollout_id
        self._cost = cost
        self._closed = False
        self._fd: int | None = files.open_plain(path, os.O_RDONLY)
        try:
            facts = files.fstat(self._fd)
        except BaseException:
            self.rest()
            raise
        self._identity = (facts.st_dev, facts.st_ino)
        self._size = facts.st_size
        cost.rollouts_opened += 1

    @property
    def rollout_id(self) -> str:
        """Id of the rollout."""
        return self._rollout_id

    @property
    def path(self) -> str:
        """The file."""
        return self._path

    @property
    def size(self) -> int:
        """Bytes in the file when it was opened."""
        return self._size

    @property
    def cost(self) -> Cost:
        """Where the bytes fetched are counted."""
        return self._cost

    def read(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset``.

        Raises:
            CorruptHistory: The file was cut or replaced since it was opened, or the bytes lie beyond its end then.
            StorageFailure: The system could not read it.
        """
        if offset < 0 or offset + size > self._size:
            raise CorruptHistory(
                f"the rollout held only {self._size} bytes when it was opened",
                rollout=self._rollout_id,
                path=self._path,
                offset=offset,
            )
        fd = self._fd if self._fd is not None else self._reopened()
        try:
            data = self._files.pread(fd, size, offset)
            while len(data) < size:
                more = self._files.pread(fd, size - len(data), offset + len(data))
                if not more:
                    raise CorruptHistory(
                        f"the rollout was cut while it was being read: {self._size} bytes when opened",
                        rollout=self._rollout_id,
                        path=self._path,
                        offset=offset + len(data),
                    )
                data += more
        except OSError as error:
            raise StorageFailure(
                f"cannot read the rollout: {error.strerror}", rollout=self._rollout_id, path=self._path, offset=offset
            ) from error
        self._cost.bytes_read += size
        return data

    def _reopened(self) -> int:
        if self._closed:
            raise ValueError(f"the source of rollout {self._rollout_id} is closed")
        try:
            fd = self._opened()
        except FileNotFoundError as error:
            raise CorruptHistory(
                f"the rollout is gone: {error.strerror}", rollout=self._rollout_id, path=self._path
            ) from error
        except OSError as error:
            raise StorageFailure(
                f"cannot open the rollout again: {error.strerror}", rollout=self._rollout_id, path=self._path
            ) from error
        try:
            facts = self._files.fstat(fd)
        except OSError as error:
            self._files.close(fd)
            raise StorageFailure(
                f"cannot look at the rollout again: {error.strerror}", rollout=self._rollout_id, path=self._path
            ) from error
        if (facts.st_dev, facts.st_ino) != self._identity or facts.st_size < self._size:
            self._files.close(fd)
            raise RolloutReplaced(
                "the rollout was replaced while it was being read", rollout=self._rollout_id, path=self._path
            )
        self._fd = fd
        return fd

    def _opened(self) -> int:
        try:
            return self._files.open_plain(self._path, os.O_RDONLY)
        except FileNotFoundError:
            there = self._find()  # it was put into the archive, or taken out of it
            if there is None:
                raise
            return self._files.open_plain(there, os.O_RDONLY)

    def rest(self) -> None:
        """Close the descriptor until the next read."""
        if self._fd is not None:
            self._files.close(self._fd)
            self._fd = None

    def close(self) -> None:
        """Close the descriptor for good."""
        self.rest()
        self._closed = True


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


def _decompressor() -> _Decompressor:
    import sys

    if sys.version_info >= (3, 14):
        from compression.zstd import ZstdDecompressor
    else:
        from backports.zstd import ZstdDecompressor
    decompressor: _Decompressor = ZstdDecompressor()
    return decompressor


def zstd_error() -> type[Exception]:
    """The exception that a damaged frame raises."""
    import sys

    if sys.version_info >= (3, 14):
        from compression.zstd import ZstdError
    else:
        from backports.zstd import ZstdError
    error: type[Exception] = ZstdError
    return error


def decode_stream(files: Files, fd: int, path: str) -> Iterator[bytes]:
    """The decoded bytes of a zstd file in pieces of at most a megabyte, in bounded memory.

    Raises:
        CorruptHistory: The file is no zstd, damaged, or ends in the middle of a frame.
        OSError: The system refused, or the bytes come to more than `MOST_DECODED`.
    """
    decoder = _decompressor()
    offset = decoded = 0
    try:
        pending = b""
        while True:
            if decoder.eof:
                pending = decoder.unused_data + pending
                decoder = _decompressor()
                if not pending:
                    pending = files.pread(fd, _CHUNK, offset)
                    offset += len(pending)
                    if not pending:
                        return
            if decoder.needs_input and not pending:
                pending = files.pread(fd, _CHUNK, offset)
                offset += len(pending)
                if not pending:
                    raise CorruptHistory("the compressed rollout ends in the middle of a frame", path=path)
            piece = decoder.decompress(pending, _CHUNK)
            pending = b""
            decoded += len(piece)
            if decoded > MOST_DECODED:
                raise OSError(errno.EFBIG, f"it comes to more than {MOST_DECODED:,} decoded bytes, the bound", path)
            if piece:
                yield piece
    except zstd_error() as error:
        raise CorruptHistory(f"the compressed rollout is damaged: {error}", path=path) from error


def with_room(files: Files, pieces: Iterable[bytes], folder: str) -> Iterator[bytes]:
    """The pieces, as long as they leave a tenth of what is free now where they are written.

    Raises:
        OSError: There is no room for more.
    """
    room = files.free(folder) * 9 // 10
    for piece in pieces:
        room -= len(piece)
        if room < 0:
            raise OSError(errno.ENOSPC, f"decoded, it would take more than nine tenths of what is free in {folder}")
        yield piece


class TailCache:
    """The decoded tails of the compressed rollouts that a store read last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tails: OrderedDict[tuple[int, int, int, int], tuple[int, bytes]] = OrderedDict()

    def get(self, key: tuple[int, int, int, int]) -> tuple[int, bytes] | None:
        """(decoded size, tail) of a file with these dev, inode, size and mtime; None when it must be decoded."""
        with self._lock:
            found = self._tails.get(key)
            if found is not None:
                self._tails.move_to_end(key)
            return found

    def put(self, key: tuple[int, int, int, int], size: int, tail: bytes) -> None:
        """Keep a tail, and forget the one that was used longest ago."""
        with self._lock:
            self._tails[key] = (size, tail)
            while len(self._tails) > CACHED_TAILS:
                self._tails.popitem(last=False)


class ZstdSource:
    """A compressed rollout (one frame, no checksum): positions are offsets into the decoded bytes.

    The first opening decodes the whole file in bounded memory and keeps its tail; what lies before the tail is decoded
    once more, into an unnamed temporary file, when somebody reads it.
    """

    def __init__(self, files: Files, path: str, rollout_id: str, cost: Cost, tails: TailCache) -> None:
        self._files = files
        self._path = path
        self._rollout_id = rollout_id
        self._cost = cost
        self._fd: int | None = files.open_plain(path, os.O_RDONLY)
        self._spool: IO[bytes] | None = None
        cost.rollouts_opened += 1
        try:
            facts = files.fstat(self._fd)
            key = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)
            known = tails.get(key)
            if known is None:
                cost.full_scans.append(f"rollout {rollout_id} is compressed: decoded once")
                known = self._decode_tail()
                tails.put(key, *known)
        except BaseException:
            self.close()
            raise
        self._size, self._tail = known

    def _decode_tail(self) -> tuple[int, bytes]:
        size = 0
        tail = bytearray()
        for piece in self._pieces():
            size += len(piece)
            tail += piece
            if len(tail) > 2 * TAIL_BYTES:
                del tail[: len(tail) - TAIL_BYTES]
        self._cost.bytes_read += size
        return size, bytes(tail[-TAIL_BYTES:])

    def _pieces(self) -> Iterator[bytes]:
        assert self._fd is not None
        return decode_stream(self._files, self._fd, self._path)

    @property
    def rollout_id(self) -> str:
        """Id of the rollout."""
        return self._rollout_id

    @property
    def path(self) -> str:
        """The compressed file."""
        return self._path

    @property
    def size(self) -> int:
        """Decoded bytes."""
        return self._size

    @property
    def cost(self) -> Cost:
        """Where the bytes fetched are counted."""
        return self._cost

    def read(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` decoded bytes from ``offset``.

        Raises:
            CorruptHistory: The frame is damaged, or the bytes lie beyond its end.
            StorageFailure: The system could not read it, or has no room to decode it to.
        """
        if offset < 0 or offset + size > self._size:
            raise CorruptHistory(
                f"the rollout holds only {self._size} decoded bytes",
                rollout=self._rollout_id,
                path=self._path,
                offset=offset,
            )
        self._cost.bytes_read += size
        low = offset - (self._size - len(self._tail))
        if low >= 0:
            return self._tail[low : low + size]
        try:
            if self._spool is None:
                self._spool = self._decoded()
            self._spool.seek(offset)
            data = self._spool.read(size)
        except OSError as error:
            raise StorageFailure(
                f"cannot decode the compressed rollout: {error.strerror}",
                rollout=self._rollout_id,
                path=self._path,
                offset=offset,
            ) from error
        if len(data) != size:
            raise CorruptHistory(
                "the compressed rollout changed while it was being read",
                rollout=self._rollout_id,
                path=self._path,
                offset=offset,
            )
        return data

    def _decoded(self) -> IO[bytes]:
        self._cost.full_scans.append(f"rollout {self._rollout_id} is compressed: decoded for what lies before its tail")
        import tempfile

        spool = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the source
        try:
            for piece in with_room(self._files, self._pieces(), tempfile.gettempdir()):
                spool.write(piece)
            spool.flush()
        except BaseException:
            spool.close()
            raise
        return spool

    def rest(self) -> None:
        """A compressed source is cheap to hold and dear to open again: it stays."""

    def close(self) -> None:
        """Close the file and drop what was decoded to disk."""
        if self._fd is not None:
            self._files.close(self._fd)
            self._fd = None
        if self._spool is not None:
            self._spool.close()
            self._spool = None
