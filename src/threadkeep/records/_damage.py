"""Everything that is wrong with one rollout, as data: what ``verify`` and ``doctor`` say, and what a caller can act on.

One pass forwards, in memory bounded by the largest record. What a pass over one rollout cannot see is not here: whether
its history base still stands belongs to the lineage, whether an item can be shown to the replay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from threadkeep.records._damage_beginning import Beginning
from threadkeep.records._damage_kinds import DAMAGE_KINDS, DamageKind, Severity
from threadkeep.records._damage_lines import BOM, MOST_NESTED, exceeds, unreadable
from threadkeep.records._damage_order import Ordinals, Times
from threadkeep.records._damage_payloads import Verdict, judge, misfit
from threadkeep.records._damage_report import MOST_REPORTED, Damage, Place, Report, printable
from threadkeep.records._damage_turns import Turns
from threadkeep.records._policy import PAGINATED
from threadkeep.records._record import Record, record_of
from threadkeep.records._scan import MAX_RECORD_BYTES, Source, lines_forward

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from threadkeep.records._payloads import SessionMeta

__all__ = ["DAMAGE_KINDS", "MOST_REPORTED", "Damage", "DamageKind", "Severity", "inspect"]

_PROGRESS_BYTES: Final = 1 << 20

_LARGEST_START: Final = (1 << 63) - 1
"""A base from this ordinal on is one that Codex must never resolve: it says nothing of the rollout's own ordinals."""

_OPENING: Final = b"{"


def inspect(
    source: Source,
    *,
    thread_id: str | None = None,
    being_written: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Damage]:
    """Everything that is wrong with a rollout, about in the order of the file.

    What only later records tell (a turn without an end, a call without an output) comes once it is known. Of each kind
    `MOST_REPORTED` are given one by one; what is beyond them is summed up in one damage of that kind at the end.

    Args:
        source: The rollout.
        thread_id: Id of the thread that the rollout must belong to; None: whatever it says.
        being_written: Whether a writer holds the thread: an unterminated last line is then at work, not torn, and the
            open turn runs.
        progress: Called with the number of bytes done, about every megabyte and at the end.

    Raises:
        CorruptHistory: The rollout was cut while it was read.
    """
    report = Report(source)
    inspection = _Inspection(report, source, thread_id, being_written=being_written)
    told = 0
    for offset, line in lines_forward(source, 0, source.size):
        inspection.line(offset, line)
        if report.found:
            yield from report.take()
        if progress is not None and offset - told >= _PROGRESS_BYTES:
            progress(offset)
            told = offset
    inspection.finish()
    yield from report.take()
    yield from report.sums()
    if progress is not None:
        progress(source.size)


class _Inspection:
    """One pass over the lines of a rollout."""

    def __init__(self, report: Report, source: Source, thread_id: str | None, *, being_written: bool) -> None:
        self._report = report
        self._source = source
        self._being_written = being_written
        self._number = 0
        self._oversized: tuple[int, int] | None = None
        self._told_bare = False
        self._beginning = Beginning(report, thread_id)
        self._ordinals = Ordinals(report)
        self._times = Times(report)
        self._turns = Turns(report)

    def line(self, offset: int, line: bytes | None) -> None:
        """Take the next line; None stands for one that is longer than a record may be."""
        self._number += 1
        if self._oversized is not None:
            self._step_over(offset - 1)
        if line is None:
            self._oversized = (self._number, offset)
            return
        place = Place(self._number, offset, len(line))
        terminated = offset + len(line) < self._source.size
        if line[:1] != _OPENING and (not line or line.isspace()):
            self._report.add("blank-line", place, "the line holds no record: every reader passes over it")
            return
        record = record_of(offset, line)
        verdict, view = judge(record)
        if verdict == "damaged":
            self._damaged(line, place, terminated=terminated)
            return
        if not terminated:
            self._unterminated(place)
        elif line[-1] == 0x0D:
            self._report.add(
                "crlf",
                Place(place.line, offset + len(line) - 1, 1),
                "the line ends in CR LF: the record counts, but another program than Codex wrote or rewrote it",
            )
        self._record(record, verdict, view, place)

    def finish(self) -> None:
        """Take the end of the rollout."""
        source = self._source
        if source.size == 0:
            self._report.add(
                "empty", Place(0, 0, 0), "the rollout has no bytes: no thread can be opened from it, nothing is left"
            )
            return
        if self._oversized is not None:
            ends_in_newline = source.read(source.size - 1, 1) == b"\n"
            self._step_over(source.size - 1 if ends_in_newline else source.size)
        self._beginning.finish()
        meta = self._beginning.meta
        if self._beginning.mode == PAGINATED:
            self._ordinals.finish()
            if meta is not None and not self._being_written:
                self._copied_prefix(meta)
        self._turns.finish(being_written=self._being_written)

    # Lines that are no records

    def _damaged(self, line: bytes, place: Place, *, terminated: bool) -> None:
        if not terminated:
            self._tail(line, place)
            return
        kind, reason = unreadable(line)
        if not self._beginning.damaged(place, kind, reason):
            self._report.add(kind, place, f"{reason}; every reader passes over the line, its bytes stay in the file")
        self._ordinals.unread()

    def _tail(self, line: bytes, place: Place) -> None:
        """The last line, without a newline and no record."""
        if self._being_written:
            self._report.add(
                "being-written",
                place,
                f"the last line has {place.length:,} bytes and no newline yet: the thread's writer is at work on it",
            )
            return
        kept = len(line.rstrip(b"\0"))
        if kept < len(line):
            self._report.add(
                "nul-tail",
                Place(place.line, place.offset + kept, len(line) - kept),
                f"the rollout ends in {len(line) - kept:,} NUL bytes: what was written there and not flushed is lost, "
                "and the next append begins a new line",
            )
        if kept == 0:
            return
        place = Place(place.line, place.offset, kept)
        whole = record_of(place.offset, line[:kept]).intact
        reason = "NUL bytes follow it in the line" if whole else unreadable(line[:kept])[1]
        if not self._beginning.damaged(place, "torn-tail", reason):
            self._report.add(
                "torn-tail",
                place,
                f"the last line has {kept:,} bytes, no newline, and is no whole record ({reason}): it is not part of "
                "the history, and the next append begins a new line",
            )

    def _unterminated(self, place: Place) -> None:
        if self._being_written:
            self._report.add(
                "being-written", place, "the last record has no newline yet: the thread's writer is at work on it"
            )
        else:
            self._report.add(
                "missing-newline",
                place,
                "the last record is whole but for its newline: it counts, and the next append puts the newline in",
            )

    def _step_over(self, end: int) -> None:
        assert self._oversized is not None
        number, offset = self._oversized
        self._oversized = None
        place = Place(number, offset, end - offset)
        reason = f"it has {place.length:,} bytes, more than the {MAX_RECORD_BYTES:,} that a record may have"
        if not self._beginning.damaged(place, "oversized", reason):
            self._report.add("oversized", place, f"the line is stepped over: {reason}")
        self._ordinals.unread()

    # Records

    def _record(self, record: Record, verdict: Verdict, view: object, place: Place) -> None:
        beginning = self._beginning
        counts = self._bytes(record, place) and verdict == "counts"
        canonical = beginning.feed(record, verdict, view, place)
        if canonical and beginning.meta is not None:
            self._begin(beginning.meta)
        if record.bare:
            self._bare(record, place)
            counts = counts and beginning.bare
        elif verdict == "unknown":
            name = printable(f"{record.kind}/{record.subtype}" if record.subtype else record.kind)
            self._report.add(
                "unknown-type", place, f"the record is of the type {name}, which the history does not use: it is kept"
            )
        elif verdict == "misfit" and record.kind != "session_meta":
            name = printable(f"{record.kind}/{record.subtype}" if record.subtype else record.kind)
            self._report.add(
                "misfit", place, f"the {name} record does not count: {misfit(record)}; its bytes stay in the file"
            )
        if not record.bare:
            self._in_order(record, place, counts=counts)
        if view is not None:
            self._turns.feed(view, place)

    def _bytes(self, record: Record, place: Place) -> bool:
        """What a record holds that Codex does not read; whether it reads the record."""
        line = record.line
        marked = line.startswith(BOM)
        if marked:
            self._report.add(
                "byte-order-mark",
                Place(place.line, place.offset, len(BOM)),
                "a byte order mark stands before the record: threadkeep reads past it, Codex does not count the record"
                + (" and so cannot open the thread" if place.line == 1 else ""),
            )
        depth, big = exceeds(line)
        if depth > MOST_NESTED:
            self._report.add(
                "deep-nesting",
                place,
                f"the record nests {depth} arrays and objects: threadkeep reads it, Codex reads at most {MOST_NESTED} "
                "and does not count it",
            )
        if big:
            self._report.add(
                "big-integer",
                place,
                "the record holds an integer beyond 64 bits: threadkeep keeps it, Codex does not count the record",
            )
        return not (marked or big or depth > MOST_NESTED)

    def _begin(self, meta: SessionMeta) -> None:
        base = meta.history_base
        if base is None:
            self._ordinals.start(0)
            return
        self._turns.inherits()
        if base.end_ordinal_exclusive < _LARGEST_START:
            self._ordinals.start(base.end_ordinal_exclusive)

    def _bare(self, record: Record, place: Place) -> None:
        if not self._beginning.bare:
            self._report.add(
                "no-envelope",
                place,
                f"it is JSON but no record: a {printable(record.kind)} without an envelope, as only rollouts hold that "
                "begin with one; Codex passes over it, its bytes stay in the file",
            )
            self._ordinals.unread()
        elif not self._told_bare:
            self._told_bare = True
            self._report.add(
                "before-envelope",
                place,
                "the rollout begins with a line without an envelope, as Codex wrote them until mid-2025: threadkeep "
                "reads such lines, today's Codex does not",
            )

    def _in_order(self, record: Record, place: Place, *, counts: bool) -> None:
        self._times.feed(record.timestamp, place)
        if self._beginning.mode == PAGINATED:
            self._ordinals.feed(record, place, counts=counts)
        elif record.ordinal is not None:
            self._report.add(
                "ordinal-in-legacy",
                place,
                f"the record of a legacy rollout has the ordinal {record.ordinal}: no reader looks at it",
            )

    def _copied_prefix(self, meta: SessionMeta) -> None:
        own = meta.subagent_history_start_ordinal
        newest = self._ordinals.newest
        if own is not None and newest + 1 < own:
            self._report.add(
                "copied-prefix-short",
                Place(0, self._source.size, 0),
                f"the records copied from the parent end with ordinal {newest}, not {own - 1}: Codex cannot resume the "
                "thread",
            )
