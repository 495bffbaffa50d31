"""Driving the context machine over a lineage: backwards until nothing older can matter, or over everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from threadkeep.records import Sieve, lines_backward, sifted
from threadkeep.replay._in_force import complete
from threadkeep.replay._machine import ContextMachine
from threadkeep.replay._stated import context_needs

if TYPE_CHECKING:
    from threadkeep.lineage import Lineage
    from threadkeep.replay._context import ModelContext
    from threadkeep.replay._totals import TotalsSource

__all__ = ["read_context"]

_SIEVE: Final = Sieve(context_needs)


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
    for segment in lineage.newest_first():
        machine.enter(segment)
        records = sifted(lines_backward(segment.source, segment.end, segment.start), _SIEVE, lineage.cost)
        machine.feed(records, segment)
        if machine.waiting and totals is not None:
            machine.resolve(numbered=any(totals.of(each).windowed for each in lineage.newest_first()))
            if not machine.done:
                machine.feed(records, segment)
        if machine.done and totals is not None:
            root = False
            break
    lineage.cost.records_seen += machine.seen
    lineage.cost.records_decoded += machine.decoded
    if root or totals is None:
        return machine.finish(root=True)
    if not machine.latest.complete:
        complete(machine.latest, lineage, totals)
    compactions = None
    if machine.windows.needs_count:
        compactions = sum(totals.of(segment).compactions for segment in lineage.newest_first())
    return machine.finish(root=False, compactions=compactions)
