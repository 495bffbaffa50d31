"""What lineages say up to their boundaries: kept in the catalog, checked against the bytes before each boundary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from threadkeep.lineage import boundary_digest
from threadkeep.replay import Said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from threadkeep.backends import Catalog
    from threadkeep.lineage import Segment

__all__ = ["KnownBoundaries"]

_decode_said: Final = msgspec.msgpack.Decoder(Said).decode


class KnownBoundaries:
    """`threadkeep.replay.SaidBefore` on a catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def said(self, segment: Segment) -> Said | None:
        """What is known of a segment's end; None for nothing, and where the bytes before it are others by now."""
        kept = self._catalog.boundary(segment.rollout_id, segment.end)
        if kept is None or kept[0] != boundary_digest(segment.source, segment.end):
            return None
        try:
            return _decode_said(kept[1])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None

    def keep(self, found: Sequence[tuple[Segment, Said]]) -> None:
        """Keep what was found of segments' ends."""
        self._catalog.put_boundaries(
            (
                segment.rollout_id,
                segment.end,
                boundary_digest(segment.source, segment.end),
                msgspec.msgpack.encode(said),
            )
            for segment, said in found
        )
