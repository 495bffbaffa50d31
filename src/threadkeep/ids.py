"""Ids of threads, rollouts and turns, and the two sources of chance that everything else takes them from.

Ids are lower-case hyphenated UUIDs. New ones are UUIDv7 (RFC 9562), whose first 48 bits are the Unix time in
milliseconds; any UUID is accepted, since files from before mid-2025 carry UUIDv4 (``storage.md`` 2.1).
"""

from __future__ import annotations

import os
import threading
import time
from typing import Final, Protocol

__all__ = ["Clock", "IdSource", "SystemClock", "Uuid7Source", "canonical", "is_id", "timestamp_ms", "utc"]

_HEX: Final = frozenset("0123456789abcdef")
_DASHES: Final = (8, 13, 18, 23)


class Clock(Protocol):
    """Where the time comes from. Tests inject one; every operation reads it through the backend."""

    def now_ms(self) -> int:
        """The Unix time in milliseconds (UTC)."""
        ...


class IdSource(Protocol):
    """Where new ids come from."""

    def new(self) -> str:
        """A new id, greater than every id that this source gave before."""
        ...


class SystemClock:
    """The clock of the operating system."""

    def now_ms(self) -> int:
        """The Unix time in milliseconds (UTC)."""
        return time.time_ns() // 1_000_000


class Uuid7Source:
    """UUIDv7 ids, increasing within this source also within one millisecond and when the clock steps back."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last = (0, 0)

    def new(self) -> str:
        """A new UUIDv7; the 12 bits after the version count within one millisecond."""
        with self._lock:
            last_ms, last_count = self._last
            now = self._clock.now_ms()
            # A random start leaves room for 2,048 ids at least before the millisecond has to be borrowed.
            ms, count = (now, int.from_bytes(os.urandom(2)) & 0x7FF) if now > last_ms else (last_ms, last_count + 1)
            if count > 0xFFF:
                ms, count = ms + 1, 0
            self._last = (ms, count)
        tail = int.from_bytes(os.urandom(8)) & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        digits = f"{ms & 0xFFFF_FFFF_FFFF:012x}7{count:03x}{tail:016x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def is_id(text: str) -> bool:
    """Whether ``text`` is a UUID in the one form that ids have here (36 characters, lower case, hyphens)."""
    if len(text) != 36 or any(text[i] != "-" for i in _DASHES):
        return False
    digits = text.replace("-", "")
    return len(digits) == 32 and _HEX.issuperset(digits)


def canonical(text: str) -> str | None:
    """``text`` as an id, whatever the case of its digits; None when it is no UUID."""
    lowered = text.strip().lower()
    return lowered if is_id(lowered) else None


def timestamp_ms(id_: str) -> int | None:
    """The Unix time in milliseconds that a UUIDv7 carries; None for every other id."""
    if len(id_) != 36 or id_[14] != "7":
        return None
    try:
        return int(id_[:8] + id_[9:13], 16)
    except ValueError:
        return None


def utc(ms: int) -> str:
    """A time as records carry it: ``YYYY-MM-DDTHH:MM:SS.mmmZ`` (``storage.md`` 2.1)."""
    seconds, millis = divmod(ms, 1000)
    t = time.gmtime(seconds)
    return f"{t.tm_year:04d}-{t.tm_mon:02d}-{t.tm_mday:02d}T{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d}.{millis:03d}Z"
