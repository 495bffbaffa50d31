"""Names and folders of a Codex home (``storage.md`` 1): how a rollout's name says what it is, and where it lies."""

from __future__ import annotations

import functools
import re
import time
from typing import Final

import msgspec

from threadkeep.ids import timestamp_ms

__all__ = [
    "ARCHIVED",
    "OWN_FOLDER",
    "PLACES",
    "SESSIONS",
    "RolloutName",
    "candidate_days",
    "day_folder",
    "parse_name",
    "rollout_name",
]

SESSIONS: Final = "sessions"
ARCHIVED: Final = "archived_sessions"
OWN_FOLDER: Final = "threadkeep"
KEPT: Final = "threadkeep/rollouts"
"""Rollouts that only threadkeep may see: local reverts of threads that Codex has indexed."""
PLACES: Final = (SESSIONS, ARCHIVED, KEPT)

_UUID: Final = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_NAME: Final = re.compile(
    rf"rollout-(\d{{4}}-\d\d-\d\dT\d\d-\d\d-\d\d)-({_UUID})(?:_({_UUID}))?\.jsonl(\.zst)?", re.ASCII
)


class RolloutName(msgspec.Struct, frozen=True, gc=False):
    """What a rollout's file name says.

    Attributes:
        stamp: Creation time as the name carries it (local time of the machine that made it, whole seconds).
        thread_id: The thread's id.
        rollout_id: The rollout's id; equal to the thread's unless the file was made by a revert.
        compressed: Whether the file is zstd-compressed.
    """

    stamp: str
    thread_id: str
    rollout_id: str
    compressed: bool


@functools.lru_cache(maxsize=8192)  # a day's folder is read again after each change
def parse_name(name: str) -> RolloutName | None:
    """The parts of a rollout's file name; None for a file that is no rollout (``storage.md`` 1.1)."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    stamp, thread, rollout, compressed = match.groups()
    thread = thread.lower()
    return RolloutName(stamp, thread, rollout.lower() if rollout else thread, compressed is not None)


def rollout_name(ms: int, thread_id: str, rollout_id: str) -> str:
    """The file name of a rollout that is created at ``ms``: local time, as Codex names its own."""
    t = time.localtime(ms // 1000)
    stamp = f"{t.tm_year:04d}-{t.tm_mon:02d}-{t.tm_mday:02d}T{t.tm_hour:02d}-{t.tm_min:02d}-{t.tm_sec:02d}"
    own = "" if rollout_id == thread_id else f"_{rollout_id}"
    return f"rollout-{stamp}-{thread_id}{own}.jsonl"


def day_folder(ms: int) -> str:
    """The folder below ``sessions`` of a rollout that is created at ``ms``: ``YYYY/MM/DD``, local date."""
    t = time.localtime(ms // 1000)
    return f"{t.tm_year:04d}/{t.tm_mon:02d}/{t.tm_mday:02d}"


def candidate_days(rollout_id: str) -> list[str]:
    """The day folders in which a rollout of this id may lie: the id's own UTC day, then one either side.

    Local time is at most 14 hours from UTC, and the id is made within moments of the file. Empty for an id that
    carries no time.
    """
    ms = timestamp_ms(rollout_id)
    if ms is None:
        return []
    days = []
    for shift in (0, -1, 1):
        t = time.gmtime(ms // 1000 + shift * 86_400)
        days.append(f"{t.tm_year:04d}/{t.tm_mon:02d}/{t.tm_mday:02d}")
    return days
