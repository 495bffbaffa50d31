"""Finding the place again at which a child's inheritance ends, in an ancestor that something else changed."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from threadkeep.errors import ThreadkeepError
from threadkeep.lineage import Lineage, boundary_digest
from threadkeep.records import Boundary, Cost, TurnAborted, lines_forward, read_head, records_of
from threadkeep.replay import find_turn

if TYPE_CHECKING:
    from threadkeep.lineage import Segment
    from threadkeep.records import Source
    from threadkeep.store._access import Access

__all__ = ["anchor_again"]

_MARKERS: Final = 8
"""How many of a child's first records are looked at for the end of a turn that its fork cut off."""


def anchor_again(access: Access, child: Segment) -> Boundary | None:
    """The boundary of a child in its changed ancestor, where the turn that it follows still stands; else None.

    A boundary in the middle of a turn is not placed again: nothing says where in the turn it was. Nor is one that no
    turn precedes, nor one that does not say which turn it follows.
    """
    base = child.base
    if base is None:
        return None
    known = access.anchored(child.rollout_id) or base.threadkeep
    turn = known.after_turn if known is not None else None
    if turn is None or _cuts_off(child, turn):
        return None
    for source in access.sources(base.thread_id, Cost()):
        try:
            boundary = _after(access, source, turn)
        except ThreadkeepError:
            boundary = None
        finally:
            source.close()
        if boundary is not None:
            return boundary
    return None


def _cuts_off(child: Segment, turn: str) -> bool:
    """Whether the child begins with the end of a turn that its fork cut off."""
    records = records_of(lines_forward(child.source, child.start, child.end))
    for record in itertools.islice(records, _MARKERS):
        aborted = record.view(TurnAborted) if record.subtype == "turn_aborted" else None
        if aborted is not None and aborted.turn_id == turn:
            return True
    return False


def _after(access: Access, source: Source, turn: str) -> Boundary | None:
    """The place just after a turn's last record in a rollout."""
    head = read_head(source, source.size)
    if head.meta is None:
        return None
    lineage = Lineage(access, source, head.meta.id, source.cost)
    entry = find_turn(lineage, turn, access)
    end = entry.end if entry is not None else None
    if end is None or end.rollout != source.rollout_id:
        return None
    return Boundary(end.offset, boundary_digest(source, end.offset), head.mode, turn)
