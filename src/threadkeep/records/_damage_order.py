"""Whether the ordinals and the timestamps of a rollout's records go up as they should."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Final

from threadkeep.records._damage_report import Place, Report, printable

if TYPE_CHECKING:
    from threadkeep.records._record import Record

__all__ = ["MOST_BACK_SECONDS", "Ordinals", "Times"]

MOST_BACK_SECONDS: Final = 60
"""How far a timestamp may step back unreported: records of one moment come from several threads of a program."""

_ORDINAL_BOUND: Final = (1 << 63) - 1
"""Ordinals from here on are beyond what Codex's tables hold (0.169.0 observed)."""


class Ordinals:
    """Follows the ordinals of a paginated rollout, as Codex counts them (``storage.md`` 5.1, 7.2).

    A record that cannot be read, or that Codex does not count, may or may not have used an ordinal up, since a writer
    that opens the rollout anew goes on after the last record that it can read. What such records explain is no damage.

    Attributes:
        newest: The highest ordinal of a record that counts; -1 before there is one.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._start: int | None = None
        self._begun = False
        self._expected = 0
        self._reach = 0
        self._unread = 0
        self._previous = -1
        self._without: Place | None = None
        self.newest = -1

    def start(self, ordinal: int) -> None:
        """Say which ordinal the first record must have: known from the ``session_meta``."""
        self._start = ordinal

    def unread(self) -> None:
        """A line could not be read: it may have had an ordinal."""
        self._unread += 1

    def feed(self, record: Record, place: Place, *, counts: bool) -> None:
        """Take the next record.

        Args:
            record: The record.
            place: Where it stands.
            counts: Whether Codex counts it; the ordinal of another one may be used again by the next record.
        """
        ordinal = record.ordinal
        if not counts:
            if ordinal is not None:
                self._reach = max(self._reach, ordinal + 1)
            return
        if self._without is not None:
            self._missing(self._without)
            self._without = None
        if ordinal is None:
            self._without = place
            self._unread += 1
        elif ordinal >= _ORDINAL_BOUND:
            self._report.add(
                "ordinal-too-big",
                place,
                f"ordinal {ordinal} is beyond 2^63 - 2, so Codex lists no turn of this rollout; threadkeep does",
            )
            self._unread += 1
        elif not self._begun:
            self._first(ordinal, place)
        else:
            self._next(ordinal, place)

    def finish(self) -> None:
        """The rollout ends here."""
        if self._without is not None:
            self._report.add(
                "last-ordinal-missing",
                self._without,
                "the last record has no ordinal, so Codex refuses to resume the thread; threadkeep counts on from the "
                "records before it",
            )

    def _missing(self, place: Place) -> None:
        self._report.add(
            "ordinal-missing",
            place,
            "the record has no ordinal, so Codex leaves it out of its turn lists; the model context has it",
        )

    def _first(self, ordinal: int, place: Place) -> None:
        self._begun = True
        start = self._start
        if start is not None and ordinal != start and not start <= ordinal <= max(self._reach, start + self._unread):
            self._report.add(
                "ordinal-start",
                place,
                f"the first ordinal is {ordinal}, not {start}"
                + (", so Codex lists no turn whose ordinals stay below that" if ordinal < start else ""),
            )
        self._count(ordinal)

    def _next(self, ordinal: int, place: Place) -> None:
        if ordinal == self._previous:
            self._report.add(
                "ordinal-duplicate",
                place,
                f"ordinal {ordinal} is that of the record before it too, so Codex leaves this one out of its turn "
                "lists; the model context has both",
            )
        elif ordinal < self._expected:
            self._report.add(
                "ordinal-back",
                place,
                f"ordinal {ordinal} comes after ordinal {self.newest}, so Codex leaves the record out of its turn "
                "lists; the model context has it",
            )
            self._previous = ordinal
        else:
            known = max(self._expected, self._reach)
            if ordinal > known + self._unread:
                gone = f"ordinal {known} is" if ordinal == known + 1 else f"ordinals {known} to {ordinal - 1} are"
                self._report.add(
                    "ordinal-gap",
                    place,
                    f"{gone} nowhere before this record: {ordinal - known:,} "
                    f"{'record' if ordinal == known + 1 else 'records'} may be missing, and every reader goes on",
                )
            self._count(ordinal)

    def _count(self, ordinal: int) -> None:
        self.newest = self._previous = ordinal
        self._expected = self._reach = ordinal + 1
        self._unread = 0


_CANONICAL: Final = re.compile(r"(\d{4}-\d\d-\d\d)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z", re.ASCII)
_RFC_3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]((?:[01]\d|2[0-3]):[0-5]\d):([0-5]\d|60)(\.\d+)?(?:[Zz]|([+-](?:[01]\d|2[0-3]):[0-5]\d))",
    re.ASCII,
)


class Times:
    """Follows the timestamps of the records: write times, which should go up."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._newest = ""
        self._canonical = False
        self._date = ""

    def feed(self, timestamp: str, place: Place) -> None:
        """Take the next record's timestamp."""
        canonical = self._is_canonical(timestamp)
        # Canonical timestamps have one length and one zone: they compare as texts do.
        if not (canonical and (not self._newest or (self._canonical and timestamp >= self._newest))):
            now = _parsed(timestamp)
            if now is None:
                self._report.add(
                    "timestamp-unreadable",
                    place,
                    f"the timestamp '{printable(timestamp)}' is no RFC 3339 time: the record counts, its time is not "
                    "known",
                )
                return
            before = _parsed(self._newest)
            back = (before - now).total_seconds() if before is not None else 0.0
            if back > MOST_BACK_SECONDS:
                self._report.add(
                    "timestamp-back",
                    place,
                    f"the record says {printable(timestamp)}, {int(back):,} seconds before the record that precedes "
                    "it: order follows the file",
                )
        self._newest, self._canonical = timestamp, canonical

    def _is_canonical(self, timestamp: str) -> bool:
        match = _CANONICAL.fullmatch(timestamp)
        if match is None:
            return False
        date = match[1]
        if date != self._date:
            if _parsed(timestamp) is None:
                return False
            self._date = date
        return True


def _parsed(timestamp: str) -> datetime | None:
    match = _RFC_3339.fullmatch(timestamp)
    if match is None:
        return None
    date, minute, second, fraction, zone = match.groups()
    second = "59" if second == "60" else second  # a leap second
    try:
        return datetime.fromisoformat(f"{date}T{minute}:{second}{(fraction or '.0')[:7]:0<7}{zone or '+00:00'}")
    except ValueError:
        return None
