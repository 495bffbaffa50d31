"""Copies of files: sharing their blocks where the file system can, byte by byte where it cannot; never a hard link.

Servers append in place to what they resume: with a link, a copy's change would be the original's.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from typing import Final

__all__ = ["copy_file"]

_FICLONE: Final = 0x40049409
"""Linux's request to let a file share another one's blocks until one of them is written to (``ioctl_ficlone(2)``)."""


def copy_file(source: str, target: str) -> bool:
    """Copy a file with the time of its last change; whether the copy shares the original's blocks.

    The copy is on the disk when this returns: what a measured process waits for is its own writes alone.

    Args:
        source: What is copied; opened for reading only.
        target: Where to; replaced where it is there, with its folders made where they are missing.
    """
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(source, "rb") as original, open(target, "wb") as copy:
        shared = _share(original.fileno(), copy.fileno())
        if not shared:
            shutil.copyfileobj(original, copy, 1 << 20)
        copy.flush()
        os.fsync(copy.fileno())
        changed = os.fstat(original.fileno()).st_mtime_ns
    os.utime(target, ns=(changed, changed))
    return shared


def _share(original: int, copy: int) -> bool:
    if sys.platform != "linux":
        return False
    try:
        fcntl.ioctl(copy, _FICLONE, original)
    except OSError:  # another file system, or one that shares no blocks
        return False
    return True
