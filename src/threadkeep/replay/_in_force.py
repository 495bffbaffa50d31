"""The settings and the usage that are in force at the end of a lineage, read without the context."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from threadkeep.records import PAGINATED, Sieve, lines_backward, sifted
from threadkeep.replay._at import record_at
from threadkeep.replay._latest import Latest
from threadkeep.replay._starts import STARTS
from threadkeep.replay._whole_meta import WholeMeta

if TYPE_CHECKING:
    from threadkeep.lineage import Lineage
    from threadkeep.replay._totals import TotalsSource

__all__ = ["complete", "read_latest"]

_LATEST_KINDS: Final = frozenset({"turn_context", "session_meta"})
_LATEST_EVENTS: Final = STARTS | {"token_count", "thread_settings_applied"}
_LATEST: Final = Sieve(lambda kind, subtype: kind in _LATEST_KINDS or subtype in _LATEST_EVENTS)

LOOKED_FOR: Final = 2 * 1024 * 1024
"""Bytes from the end within which the newest settings and usage are looked for; what is not there, the totals know."""


def read_latest(lineage: Lineage, totals: TotalsSource) -> Latest:
    """The settings and the usage that go with the context at the end of a lineage, without the context.

    They stand near the end, wherever the checkpoint is. Settings that were applied are looked for there alone: where
    the newest are those of a turn, they say what a turn does not.

    Raises:
        BrokenLineage: An ancestor that is reached is missing or changed.
    """
    latest = Latest()
    left = LOOKED_FOR
    for segment in lineage.newest_first():
        floor = max(segment.start, segment.end - left)
        lines = lines_backward(segment.source, segment.end, segment.start)
        near = itertools.takewhile(lambda line, floor=floor: line[0] >= floor, lines)  # type: ignore[misc]
        for record in sifted(near, _LATEST, lineage.cost):
            lineage.cost.records_seen += 1
            lineage.cost.records_decoded += 1
            if record.kind == "session_meta":
                if segment.mode == PAGINATED and record.view(WholeMeta) is not None:
                    break  # it hides what is older (storage.md 3.2, step 3)
                continue
            latest.take(record)
            if latest.complete and latest.applied is not None and latest.usage_turn is not None:
                return latest
        left -= segment.end - floor
        if left <= 0:
            break
    if not latest.complete:
        complete(latest, lineage, totals)
    return latest


def complete(latest: Latest, lineage: Lineage, totals: TotalsSource) -> None:
    """Fetch the newest usage and settings from before what bounds the replay."""
    for segment in lineage.newest_first():
        found = totals.of(segment)
        places = {found.last_token_count, found.last_settings, found.last_turn_context}
        for offset in sorted((place for place in places if place is not None), reverse=True):
            record = record_at(segment, offset)
            if record is not None:
                latest.take(record)
        if latest.complete:
            return
