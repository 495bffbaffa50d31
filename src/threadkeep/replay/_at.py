"""Single records of a segment: found by their place, and the turn that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from threadkeep.records import lines_forward, record_of

if TYPE_CHECKING:
    from threadkeep.lineage import Segment
    from threadkeep.records import Record

__all__ = ["named_turn", "record_at"]


def record_at(segment: Segment, offset: int) -> Record | None:
    """The record that starts at an offset of a segment; None where none does."""
    if not segment.start <= offset < segment.end or (offset and segment.source.read(offset - 1, 1) != b"\n"):
        return None
    for at, line in lines_forward(segment.source, offset, segment.end):
        return record_of(at, line) if line else None
    return None


class _Named(msgspec.Struct):
    turn_id: str | None = None


def named_turn(record: Record) -> str | None:
    """The turn that a record names."""
    named: Any = record.view(_Named)
    return named.turn_id if named is not None else None
