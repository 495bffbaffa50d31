"""The limits to stand beside: what a resume reads, found and its envelopes decoded; a record written and flushed."""

from __future__ import annotations

import contextlib
import mmap
import os
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from threadkeep.backends.local._files import Files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Pair", "bare_append", "bare_scan", "beside"]

_flush: Final[Callable[[int], None]] = os.fdatasync if hasattr(os, "fdatasync") else Files().fsync


class _Envelope(msgspec.Struct):
    type: str
    timestamp: str
    payload: msgspec.Raw
    ordinal: int | None = None


_decode: Final = msgspec.json.Decoder(_Envelope).decode


class Pair(NamedTuple):
    """The same done in two ways, one right after the other.

    Attributes:
        ms: Milliseconds of what is measured.
        bare_ms: Milliseconds of the limit.
    """

    ms: float
    bare_ms: float


def beside(run: Callable[[], object], bare: Callable[[], object], pairs: int) -> list[Pair]:
    """What something takes beside its limit; which of both comes first alternates.

    Args:
        run: What is measured.
        bare: The limit.
        pairs: How many pairs count, after one that does not.
    """
    measured = []
    for number in range(pairs + 1):
        if number % 2:
            ms = _ms(run)
            bare_ms = _ms(bare)
        else:
            bare_ms = _ms(bare)
            ms = _ms(run)
        measured.append(Pair(ms, bare_ms))
    return measured[1:]


@contextlib.contextmanager
def bare_append(path: str, data: bytes) -> Iterator[Callable[[], None]]:
    """A write and an fdatasync of some bytes to a new file.

    Args:
        path: A file that is made for it, on the file system that is appended to.
        data: The bytes.
    """
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)

    def append() -> None:
        os.write(fd, data)
        _flush(fd)

    try:
        yield append
    finally:
        os.close(fd)


def _ms(run: Callable[[], object]) -> float:
    started = time.perf_counter_ns()
    run()
    return (time.perf_counter_ns() - started) / 1e6


def bare_scan(path: str, low: int) -> int:
    """Read the lines of a file back to ``low`` and decode their envelopes, the payloads as raw slices; how many.

    The file is mapped, which a reader of files that others write must not do.
    """
    lines = 0
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        high = len(data) - 1
        while high > low:
            cut = data.rfind(b"\n", 0, high)
            _decode(data[cut + 1 : high])
            lines += 1
            high = cut
    return lines
