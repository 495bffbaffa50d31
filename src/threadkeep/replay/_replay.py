"""Driving the context machine over a lineage: backwards until nothing older can matter, or over everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from threadkeep.records import PAGINATED, Record, lines_backward, records_of
from threadkeep.replay._context import ContextMachine, ModelContext
from threadkeep.replay._reader import record_at

if TYPE_CHECKING:
    from threadkeep.lineage import Lineage, Segment
    from threadkeep.replay._totals import TotalsSource

__all__ = ["read_context"]


def read_context(lineage: Lineage, totals: TotalsSource | None) -> ModelContext:
    """The model context at the end of a lineage.

    Args:
        lineage: The thread's lineage.
        totals: Where to find what the bounded replay did not meet; None feeds the machine everything instead.

    Raises:
        BrokenLineage: An ancestor that is reached is missing or changed.
    """
    machine = ContextMachine(bounded=totals is not None)
    root = True
    asked = False
    cost = lineage.cost
    for segment in lineage.newest_first():
        machine.enter(segment)
        seen = 0
        done = False
        paginated = segment.mode == PAGINATED
        feed = machine.feed
        for record in records_of(lines_backward(segment.source, segment.end, segment.start)):
            seen += 1
            if paginated and record.kind == "session_meta" and record.view(_WholeMeta) is not None:
                break  # it hides what stands before it in its segment (storage.md 3.2, step 3)
            done = feed(record, segment)
            if not done and not asked and totals is not None and machine.settled:
                # All but the window: only an older compaction with a number can still say it.
                asked = True
                done = not any(totals.of(older).windowed for older in lineage.newest_first())
            if done and totals is not None:
                break
        cost.records_seen += seen
        if done and totals is not None:
            root = False
            break
    cost.records_decoded += machine.decoded
    if root or totals is None:
        return machine.finish(root=True)
    if machine.needs_usage or machine.needs_settings:
        _complete(machine, lineage, totals)
    compactions = None
    if machine.needs_count:
        compactions = sum(totals.of(segment).compactions for segment in lineage.newest_first())
    return machine.finish(root=False, compactions=compactions)


class _WholeMeta(msgspec.Struct):
    """What a ``session_meta`` must state to count (0.169.0 observed)."""

    id: str
    timestamp: str
    cwd: str
    originator: str
    cli_version: str


def _complete(machine: ContextMachine, lineage: Lineage, totals: TotalsSource) -> None:
    """Fetch the newest usage and settings from before what bounds the replay."""
    for segment in lineage.newest_first():
        found = totals.of(segment)
        machine.supply(
            usage=_at(segment, found.last_token_count),
            settings=_newest(_at(segment, found.last_settings), _at(segment, found.last_turn_context)),
        )
        if not (machine.needs_usage or machine.needs_settings):
            return


def _at(segment: Segment, offset: int | None) -> Record | None:
    return record_at(segment, offset) if offset is not None else None


def _newest(one: Record | None, other: Record | None) -> Record | None:
    if one is None or other is None:
        return one or other
    return one if one.offset > other.offset else other
