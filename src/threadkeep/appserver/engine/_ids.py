"""Ids of what the engine itself adds to a history."""

from __future__ import annotations

from threadkeep.ids import SystemClock, Uuid7Source

__all__ = ["new_id"]

_source = Uuid7Source(SystemClock())


def new_id() -> str:
    """A new UUIDv7."""
    return _source.new()
