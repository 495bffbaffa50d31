"""What a ``session_meta`` in the middle of a history must state to count."""

from __future__ import annotations

import msgspec

__all__ = ["WholeMeta"]


class WholeMeta(msgspec.Struct):
    """What a ``session_meta`` must state to count (0.169.0 observed)."""

    id: str
    timestamp: str
    cwd: str
    originator: str
    cli_version: str
