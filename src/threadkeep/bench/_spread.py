"""Some values in short: their median, and how far they lie apart."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Spread", "pair_by_pair", "spread"]


class Spread(msgspec.Struct):
    """Some values.

    Attributes:
        median: Their median.
        low: The least.
        high: The greatest.
    """

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """The median, the least and the greatest of some values."""
    return Spread(round(statistics.median(values), 3), round(min(values), 3), round(max(values), 3))


def pair_by_pair(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """How many times as long theirs took as ours, in each pair of runs: what slows both down for a while is no gain."""
    return spread([their / our for our, their in zip(ours, theirs, strict=True)])
