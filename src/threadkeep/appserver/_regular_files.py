"""Files that somebody else names: read with a bound, and never waited for."""

from __future__ import annotations

import os
import stat

__all__ = ["read_regular"]


def read_regular(path: str, most: int) -> bytes:
    """The bytes of a regular file. A pipe or a device is not waited for.

    Args:
        path: The file.
        most: How many bytes it has at most.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no regular file, or too large, or the path is none.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        known = os.fstat(descriptor)
        if not stat.S_ISREG(known.st_mode):
            raise ValueError(f"path `{path}` is not a file")
        if known.st_size > most:
            raise ValueError(f"larger than {most} bytes")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(known.st_size)
    finally:
        os.close(descriptor)
