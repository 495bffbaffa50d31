"""Lineages: the chain of segments from the current rollout back to its root, and the boundaries between them.

Layer 3. Knows records. Ancestors come from a `Library`, which a store makes out of its backend.
"""

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
