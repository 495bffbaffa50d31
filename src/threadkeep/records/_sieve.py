"""Scans that want a few kinds of records: the others are passed over by their first bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from threadkeep.records._record import HEAD, Record, names_in, record_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from threadkeep.records._cost import Cost

__all__ = ["Sieve", "sifted"]

_MOST_NAMES: Final = 1024
_SHORTEST: Final = 4096


class Sieve:
    """Which records a scan wants; asked once for each pair of type and payload type that is met.

    Args:
        wants: Whether records of a type and payload type (empty where it names none that matters) are wanted.
    """

    def __init__(self, wants: Callable[[str, str], bool]) -> None:
        self._wants = wants
        self.known: dict[bytes, tuple[str, str] | None] = {}

    def learn(self, key: bytes) -> tuple[str, str] | None:
        """Decide on a pair, as the bytes of a record's head name it; remembered up to a bound."""
        names = names_in(key)
        verdict = names if self._wants(*names) else None
        if len(self.known) < _MOST_NAMES:
            self.known[key] = verdict
        return verdict


def sifted(lines: Iterable[tuple[int, bytes | None]], sieve: Sieve, cost: Cost) -> Iterator[Record]:
    """The records among ``lines`` that are wanted, and all whose first bytes do not say what they are.

    Those that are passed over count as seen; those that are given are counted by who takes them.
    """
    match, known = HEAD.match, sieve.known
    for offset, line in lines:
        if not line:
            continue
        head = match(line)
        if head is None:
            if len(line) >= _SHORTEST or not line.isspace():
                yield record_of(offset, line)
            continue
        try:
            names = known[head[3]]
        except KeyError:
            names = sieve.learn(head[3])
        if names is None:
            cost.records_seen += 1
        else:
            yield Record(offset, line, names[0], names[1], head)
