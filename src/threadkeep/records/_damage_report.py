"""Damages while they are found: each kind is reported one by one up to a bound, then summed up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from threadkeep.records._damage_kinds import DAMAGE_KINDS, DamageKind, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from threadkeep.records._scan import Source

__all__ = ["MOST_REPORTED", "Damage", "Place", "Report", "printable"]

MOST_REPORTED: Final = 20
"""Most damages of one kind that are reported one by one; further ones are counted and summed up at the end."""


class Damage(msgspec.Struct, frozen=True):
    """One thing that is wrong with a rollout, or many of one kind summed up.

    Attributes:
        kind: What is wrong.
        rollout: Id of the rollout.
        path: Its file; None where the backend has no files.
        line: Number of the line, from 1; 0 where no single line is meant.
        offset: Decoded byte offset of the damage's first byte.
        length: Its length in decoded bytes, without the newline that ends a line.
        detail: What it means here, for a reader and for the thread, in one sentence.
        severity: How bad it is; every kind has one.
        count: How many damages this stands for: more than one only where further ones of a kind are summed up.
    """

    kind: DamageKind
    rollout: str
    path: str | None
    line: int
    offset: int
    length: int
    detail: str
    severity: Severity
    count: int = 1


class Place(msgspec.Struct, frozen=True, gc=False):
    """A stretch of a line: where a damage is.

    Attributes:
        line: Number of the line, from 1; 0 where no single line is meant.
        offset: Decoded byte offset.
        length: Length in decoded bytes.
    """

    line: int
    offset: int
    length: int


class _Rest(msgspec.Struct):
    """The damages of one kind that are not reported one by one."""

    count: int
    low: int
    high: int


class Report:
    """Takes damages in and gives them out, at most `MOST_REPORTED` of one kind one by one."""

    def __init__(self, source: Source) -> None:
        self._rollout = source.rollout_id
        self._path = source.path
        self._counts: dict[DamageKind, int] = {}
        self._rest: dict[DamageKind, _Rest] = {}
        self.found: list[Damage] = []

    def add(self, kind: DamageKind, place: Place, detail: str) -> None:
        """Take a damage in."""
        count = self._counts.get(kind, 0) + 1
        self._counts[kind] = count
        if count <= MOST_REPORTED:
            self.found.append(
                Damage(
                    kind,
                    self._rollout,
                    self._path,
                    place.line,
                    place.offset,
                    place.length,
                    detail,
                    DAMAGE_KINDS[kind][0],
                )
            )
            return
        end = place.offset + place.length
        rest = self._rest.get(kind)
        if rest is None:
            self._rest[kind] = _Rest(1, place.offset, end)
        else:
            rest.count += 1
            rest.low = min(rest.low, place.offset)
            rest.high = max(rest.high, end)

    def take(self) -> list[Damage]:
        """What was found since the last call."""
        found, self.found = self.found, []
        return found

    def sums(self) -> Iterator[Damage]:
        """One damage for each kind of which not all were reported one by one."""
        for kind, rest in self._rest.items():
            yield Damage(
                kind,
                self._rollout,
                self._path,
                0,
                rest.low,
                rest.high - rest.low,
                f"and {rest.count:,} more of this kind, between byte {rest.low} and byte {rest.high}",
                DAMAGE_KINDS[kind][0],
                rest.count,
            )


def printable(text: str, most: int = 64) -> str:
    """A name or an id from a rollout, fit to be shown: short, and without anything that a terminal obeys."""
    if len(text) <= most and text.isascii() and text.isprintable():
        return text
    shown = text if len(text) <= most else f"{text[:most]}..."
    return ascii(shown)[1:-1]
