"""What the records of a lineage say of their thread: what was said first, and the newest of what changes.

What a lineage says up to a boundary does not depend on who inherits it. It is handed back as it is found
(`SaidBefore`), so that a chain of forks is walked once, not once for each of its threads.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from threadkeep.records import (
    Record,
    ThreadSettingsApplied,
    TokenCount,
    TokenUsageInfo,
    TurnContext,
    lines_backward,
    lines_forward,
    record_of,
    records_of,
)
from threadkeep.replay._at import record_at
from threadkeep.replay._preview import said_first

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from threadkeep.lineage import Lineage, Segment
    from threadkeep.replay._totals import Totals, TotalsSource

__all__ = ["NEAR", "Said", "SaidBefore", "read_said", "telling"]

NEAR: Final = 8 * 1024 * 1024
"""How far from either end a fact is searched for before the totals are asked where it stands."""

_TELLING: Final = re.compile(rb'"(?:turn_context|thread_settings_applied|token_count|compacted)"')
_HEAD_BYTES: Final = 160
_NEWEST: Final = ("settings", "model", "usage")


class AppliedSettings(msgspec.Struct, frozen=True):
    """What the newest ``thread_settings_applied`` says."""

    cwd: str | None
    model_provider: str | None


class ModelSet(msgspec.Struct, frozen=True):
    """What the newest ``turn_context`` or ``thread_settings_applied`` says of the model; ``cwd`` is the former's."""

    model: str | None
    effort: str | None
    cwd: str | None = None


class Said(msgspec.Struct):
    """What the records of a lineage say up to a place. Unset: nobody looked for it that far back.

    Attributes:
        preview: What the user said first; empty for nothing.
        settings: The newest settings; None where none were stated.
        model: The newest model; None where none was set.
        usage: The newest token usage; None where nothing counts it.
    """

    preview: str
    settings: AppliedSettings | msgspec.UnsetType | None = msgspec.UNSET
    model: ModelSet | msgspec.UnsetType | None = msgspec.UNSET
    usage: TokenUsageInfo | msgspec.UnsetType | None = msgspec.UNSET


class SaidBefore(Protocol):
    """Where it is known what a lineage says up to a boundary: up to the end of a segment that a child inherits."""

    def said(self, segment: Segment) -> Said | None:
        """What is known; None for nothing."""
        ...

    def keep(self, found: Sequence[tuple[Segment, Said]]) -> None:
        """Keep what was found."""
        ...


def read_said(lineage: Lineage, totals: TotalsSource, known: SaidBefore | None, *, own_only: bool) -> Said:
    """What the records of a lineage say up to its end.

    Args:
        lineage: The lineage.
        totals: Where to find what stands far from both ends of a rollout.
        known: What is known of boundaries; None for nothing.
        own_only: Look at the current rollout alone.

    Raises:
        BrokenLineage: An ancestor that is reached is missing or changed.
    """
    walk = _Walk(lineage, totals, known, own_only=own_only)
    walk.find_newest()
    walk.find_first()
    if known is not None and not own_only:
        known.keep(list(walk.told()))
    return walk.at(0)


class _Walk:
    """One way back through a lineage. What is found is remembered with the depth of the segment that it stands in.

    Attributes:
        newest: What was found of the newest, as (depth, value).
        preview: What was said first, as (depth, text).
        bottom: Down to which depth it is known what was said first.
    """

    def __init__(self, lineage: Lineage, totals: TotalsSource, known: SaidBefore | None, *, own_only: bool) -> None:
        self._lineage = lineage
        self._totals = totals
        self._source = known
        self._known: dict[int, Said | None] = {}
        self._own_only = own_only
        self.newest: dict[str, tuple[int, Any]] = {}
        self.preview = (0, "")
        self.bottom = 0

    def _before(self, segment: Segment) -> Said | None:
        if self._source is None or segment.depth == 0:
            return None
        if segment.depth not in self._known:
            self._known[segment.depth] = self._source.said(segment)
        return self._known[segment.depth]

    def at(self, depth: int) -> Said:
        """What the lineage says up to the end of the segment at a depth."""
        found_at, preview = self.preview
        newest = {name: value for name, (found, value) in self.newest.items() if found >= depth}
        return Said(preview if found_at >= depth else "", **newest)

    def told(self) -> Iterator[tuple[Segment, Said]]:
        """What is known now of the boundaries that were passed, and was not before."""
        for segment in self._lineage.resolved[1 : self.bottom + 1]:
            now, before = self.at(segment.depth), self._known.get(segment.depth)
            if before is not None:
                for name in _NEWEST:
                    if getattr(now, name) is msgspec.UNSET:
                        setattr(now, name, getattr(before, name))
            if now != before:
                yield segment, now

    # The newest

    def find_newest(self) -> None:
        left = NEAR
        for segment in self._lineage.newest_first():
            before = self._before(segment)
            if before is not None:
                self._take_all(before, segment.depth)
            if self._complete():
                return
            low = max(segment.start, segment.end - left)
            for record in telling(segment, low):
                self._lineage.cost.records_seen += 1
                self._take(record, segment.depth)
                if self._complete():
                    return
            left -= segment.end - low
            if low > segment.start:
                # Not near the end: the totals know where they stand, if anywhere.
                for record in _pointed(segment, self._totals.of(segment)):
                    self._take(record, segment.depth)
                left = 0
            if self._own_only:
                break
        for name in _NEWEST:  # there is nothing older
            self.newest.setdefault(name, (len(self._lineage.resolved), None))

    def _complete(self) -> bool:
        return len(self.newest) == len(_NEWEST)

    def _take_all(self, said: Said, depth: int) -> None:
        for name in _NEWEST:
            value = getattr(said, name)
            if value is not msgspec.UNSET:
                self.newest.setdefault(name, (depth, value))

    def _take(self, record: Record, depth: int) -> None:
        if record.kind == "turn_context":
            context = record.view(TurnContext) if "model" not in self.newest else None
            if context is not None and context.counts:
                self.newest["model"] = depth, ModelSet(context.model, context.effort, context.cwd)
        elif record.subtype == "thread_settings_applied":
            applied = record.view(ThreadSettingsApplied) if "settings" not in self.newest else None
            if applied is not None:
                stated = applied.thread_settings
                self.newest["settings"] = depth, AppliedSettings(stated.cwd, stated.model_provider_id)
                effort = stated.effort or stated.reasoning_effort
                self.newest.setdefault("model", (depth, ModelSet(stated.model, effort)))
        elif record.subtype == "token_count" and "usage" not in self.newest:
            count = record.view(TokenCount)
            if count is not None and count.info is not None:
                self.newest["usage"] = depth, count.info

    # The first

    def find_first(self) -> None:
        """In the oldest segment in which anything was said."""
        unknown: list[Segment] = []
        for segment in self._lineage.newest_first():
            before = self._before(segment)
            self.bottom = segment.depth
            if before is not None:
                self.preview = segment.depth, before.preview
                break
            unknown.append(segment)
            if self._own_only:
                break
        while unknown and not self.preview[1]:
            segment = unknown.pop()
            self.preview = segment.depth, self._first_in(segment)

    def _first_in(self, segment: Segment) -> str:
        near = min(segment.end, segment.start + NEAR)
        for record in records_of(lines_forward(segment.source, segment.start, near)):
            self._lineage.cost.records_seen += 1
            text = said_first(record)
            if text:
                return text
        if near < segment.end:
            offset = self._totals.of(segment).first_user
            first = record_at(segment, offset) if offset is not None else None
            if first is not None:
                return said_first(first)
        return ""


def telling(segment: Segment, low: int) -> Iterator[Record]:
    """The records after ``low`` that may say how the thread is set or what it used, newest first."""
    search = _TELLING.search
    for offset, line in lines_backward(segment.source, segment.end, _line_start(segment, low)):
        if line and search(line, 0, _HEAD_BYTES):
            yield record_of(offset, line)


def _line_start(segment: Segment, offset: int) -> int:
    """The beginning of the first record at or after ``offset``: scans start between two records."""
    if offset <= segment.start:
        return segment.start
    lines = lines_forward(segment.source, offset, segment.end)
    next(lines, None)
    return next((at for at, _ in lines), segment.end)


def _pointed(segment: Segment, totals: Totals) -> Iterator[Record]:
    offsets = {totals.last_turn_context, totals.last_settings, totals.last_token_count} - {None}
    for offset in sorted((offset for offset in offsets if offset is not None), reverse=True):
        record = record_at(segment, offset)
        if record is not None:
            yield record
