"""The limit to stand beside: the lines after a checkpoint found, each one's envelope decoded, and nothing else."""

from __future__ import annotations

import mmap
from typing import Final

import msgspec

__all__ = ["bare_scan"]


class _Envelope(msgspec.Struct):
    type: str
    timestamp: str
    payload: msgspec.Raw
    ordinal: int | None = None


_decode: Final = msgspec.json.Decoder(_Envelope).decode


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
