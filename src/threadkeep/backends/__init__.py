"""Backends: what storage must provide, as one protocol, and the engines that provide it.

Layer 5. A backend knows rollouts as sequences of bytes and nothing of conversations.
"""

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
