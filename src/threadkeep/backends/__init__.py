"""Backends: what storage must provide, as one protocol, and the engines that provide it.

Layer 5. A backend knows rollouts as sequences of bytes and nothing of conversations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from threadkeep._lazy import lazily

if TYPE_CHECKING:
    from threadkeep.backends._catalog import Catalog
    from threadkeep.backends._memory import MemoryBackend
    from threadkeep.backends._protocol import (
        Appender,
        Backend,
        Durability,
        Facts,
        Lease,
        Leftover,
        Marks,
        Pin,
        RolloutRef,
        RolloutStat,
        Seal,
    )

__all__ = [
    "Appender",
    "Backend",
    "Catalog",
    "Durability",
    "Facts",
    "Lease",
    "Leftover",
    "Marks",
    "MemoryBackend",
    "Pin",
    "RolloutRef",
    "RolloutStat",
    "Seal",
]

_PLACES: Final = {
    "Catalog": "_catalog",
    "MemoryBackend": "_memory",
    "Appender": "_protocol",
    "Backend": "_protocol",
    "Durability": "_protocol",
    "Facts": "_protocol",
    "Lease": "_protocol",
    "Leftover": "_protocol",
    "Marks": "_protocol",
    "Pin": "_protocol",
    "RolloutRef": "_protocol",
    "RolloutStat": "_protocol",
    "Seal": "_protocol",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _PLACES)
