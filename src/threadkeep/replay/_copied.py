"""The copied beginning of a sub-agent's rollout: records of its parent, which make no turns of the agent.

An ordinal tells a copied record wherever damage has put it (``storage.md`` 4.6, 0.169.0 observed). Ordinals grow along
a rollout, so a place that all of the agent's own records follow is found by halving: a long copy is never read through.
The price: where damage moved own records before a long copy, they are not found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from threadkeep.records import PAGINATED, lines_forward, records_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from threadkeep.lineage import Segment
    from threadkeep.records import Record

__all__ = ["is_copied", "own_from", "until_copied"]

_NEAR: Final = 256 * 1024
"""Halving stops at a stretch of this many bytes."""


def is_copied(record: Record, segment: Segment) -> bool:
    """Whether a record of a segment is a copy of the parent's."""
    own = _first_own(segment)
    return own is not None and record.ordinal is not None and record.ordinal < own


def own_from(segment: Segment) -> int:
    """Where reading may begin, at a record: nothing of the segment's own comes before, where the copy comes first."""
    low, high = segment.start, segment.end
    own = _first_own(segment)
    while own is not None and high - low > _NEAR:
        middle = (low + high) // 2
        lines = lines_forward(segment.source, middle, high)
        next(lines, None)  # most likely the rest of a record that begins before
        record = next((record for record in records_of(lines) if record.ordinal is not None), None)
        if record is None or not is_copied(record, segment):
            high = middle
        else:
            low = record.offset
    return low


def until_copied(
    segment: Segment, low: int, high: int, backward: Callable[[int, int], Iterator[Record]]
) -> Iterator[Record]:
    """The records that ``backward`` gives between two places, without reading on through what is copied."""
    if _first_own(segment) is None:
        yield from backward(low, high)
        return
    for record in backward(low, high):
        if is_copied(record, segment):
            yield from backward(max(low, own_from(segment)), record.offset)
            return
        yield record


def _first_own(segment: Segment) -> int | None:
    meta = segment.head.meta
    return meta.subagent_history_start_ordinal if meta is not None and segment.mode == PAGINATED else None
