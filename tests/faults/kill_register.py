"""A value that several clients set at the same time: what it may hold afterwards."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["Register"]

_NEVER: Final = 1 << 60


class Register:
    """A value that several set, each at some moment between two lines of the ledger."""

    def __init__(self, value: Any) -> None:
        self._sets: dict[str, tuple[int, int, bool, Any]] = {"": (-1, -1, True, value)}

    def intend(self, op: str, at: int, value: Any) -> None:
        self._sets[op] = (at, _NEVER, False, value)

    def acknowledge(self, op: str, at: int) -> None:
        start, _, _, value = self._sets[op]
        self._sets[op] = (start, at, True, value)
        sure = [start for start, _, acknowledged, _ in self._sets.values() if acknowledged]
        self._sets = {op: one for op, one in self._sets.items() if not one[1] < max(sure)}

    def refuse(self, op: str) -> None:
        del self._sets[op]

    def dead(self, op: str, at: int) -> None:
        if op in self._sets:
            start, _, acknowledged, value = self._sets[op]
            self._sets[op] = (start, at, acknowledged, value)

    @property
    def possible(self) -> list[Any]:
        """What it may hold now."""
        return [value for _, _, _, value in self._sets.values()]

    def copy(self, other: Register) -> None:
        """It may hold whatever another one holds, too."""
        for value in other.possible:
            self._sets[f"copied {value}"] = (-1, -1, True, value)

    def settle(self, value: Any) -> None:
        """It was looked at, with nobody at work: it holds this."""
        self._sets = {"": (-1, -1, True, value)}
