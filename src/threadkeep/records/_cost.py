"""What an operation cost, counted where it happens; "cost follows the answer" is tested on these numbers."""

from __future__ import annotations

import msgspec

__all__ = ["Cost"]


class Cost(msgspec.Struct, kw_only=True):
    """Counters of one operation; every reader and writer below the store adds to the one it was given.

    Attributes:
        bytes_read: Decoded bytes fetched from rollouts (whole blocks, so at most one block more than was needed).
        bytes_written: Bytes written to rollouts.
        records_seen: Records whose first bytes were looked at.
        records_decoded: Records whose payload was decoded.
        rollouts_opened: Rollouts opened.
        full_scans: Why a whole rollout had to be read, one entry for each time: the stated exceptions to promise 1.
    """

    bytes_read: int = 0
    bytes_written: int = 0
    records_seen: int = 0
    records_decoded: int = 0
    rollouts_opened: int = 0
    full_scans: list[str] = []
