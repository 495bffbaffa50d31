"""Lineages: the chain of segments from the current rollout back to its root, and the boundaries between them.

Layer 3. Knows records. Ancestors come from a `Library`, which a store makes out of its backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from threadkeep._lazy import lazily

if TYPE_CHECKING:
    from threadkeep.lineage._boundary import (
        DIGEST_WINDOW,
        UNRESOLVABLE_OFFSET,
        boundary_digest,
        check_boundary,
        digest_of,
        next_ordinal,
        snapshot_end,
    )
    from threadkeep.lineage._forkpoint import UNRESOLVABLE_ORDINAL, ForkPoint, fork_point, newest_turn
    from threadkeep.lineage._lineage import MAX_DEPTH, Library, Lineage, Segment

__all__ = [
    "DIGEST_WINDOW",
    "MAX_DEPTH",
    "UNRESOLVABLE_OFFSET",
    "UNRESOLVABLE_ORDINAL",
    "ForkPoint",
    "Library",
    "Lineage",
    "Segment",
    "boundary_digest",
    "check_boundary",
    "digest_of",
    "fork_point",
    "newest_turn",
    "next_ordinal",
    "snapshot_end",
]

_PLACES: Final = {
    "DIGEST_WINDOW": "_boundary",
    "UNRESOLVABLE_OFFSET": "_boundary",
    "boundary_digest": "_boundary",
    "check_boundary": "_boundary",
    "digest_of": "_boundary",
    "next_ordinal": "_boundary",
    "snapshot_end": "_boundary",
    "ForkPoint": "_forkpoint",
    "UNRESOLVABLE_ORDINAL": "_forkpoint",
    "fork_point": "_forkpoint",
    "newest_turn": "_forkpoint",
    "Library": "_lineage",
    "Lineage": "_lineage",
    "MAX_DEPTH": "_lineage",
    "Segment": "_lineage",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _PLACES)
