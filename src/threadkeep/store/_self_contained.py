"""The bytes of a self-contained copy: the records of a whole lineage in one rollout that inherits from nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.errors import UnreadableRollout
from threadkeep.ids import utc
from threadkeep.lineage import Lineage
from threadkeep.records import LEGACY, PAGINATED, encode_record, lines_forward, present, records_of, renumbered
from threadkeep.replay import read_context, read_place
from threadkeep.replay._convert import LegacyConverter, RollbackPlan
from threadkeep.store._forks import stated_instructions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from threadkeep.backends import Backend
    from threadkeep.lineage import Segment
    from threadkeep.records import Record
    from threadkeep.replay import ModelContext
    from threadkeep.store._access import Access

__all__ = ["CopiedFrom", "copied_from", "copied_lines", "first_members"]

_LARGEST_ORDINAL: Final = 2**63
"""Ordinals from here on are damage: counting would not get far beyond them."""

_OF_THE_CHILD: Final = frozenset({"history_base", "forked_from_ordinal_exclusive", "subagent_history_start_ordinal"})
"""What the first record says of the rollout's place in its lineage; a copy has none."""

_OF_AN_AGENT: Final = frozenset(
    {
        "attached_thread",
        "parent_thread_id",
        "thread_source",
        "agent_nickname",
        "agent_role",
        "agent_type",
        "agent_path",
    }
)
"""What makes a thread the sub-agent of another; a copy under a new id is a thread by itself."""


class CopiedFrom(msgspec.Struct, frozen=True):
    """threadkeep's own key in a copy's first record: the rollout that was current then, and its end."""

    rollout: str
    end: int


class _Note(msgspec.Struct):
    copied_from: CopiedFrom | None = None


class _Noted(msgspec.Struct):
    threadkeep: _Note | None = None


def copied_from(record: Record | None) -> CopiedFrom | None:
    """What a rollout's first record says of the rollout that it is a copy of; None for one that is none."""
    noted = record.view(_Noted) if record is not None else None
    note = noted.threadkeep if noted is not None else None
    return note.copied_from if note is not None else None


def first_members(backend: Backend, lineage: Lineage, thread_id: str) -> dict[str, Any]:
    """The first record's payload: the current rollout's, without what it inherits from.

    Raises:
        UnreadableRollout: The current rollout's first record is damaged.
    """
    tip = lineage.tip
    meta, record = tip.head.meta, tip.head.record
    payload = record.payload if record is not None else None
    if meta is None or payload is None:
        raise UnreadableRollout(
            "the thread's first record is damaged, so a copy cannot carry it on",
            thread=lineage.thread_id,
            rollout=tip.rollout_id,
            path=tip.source.path,
            offset=0,
        )
    members: dict[str, Any] = msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
    for member in _OF_THE_CHILD:
        members.pop(member, None)
    if thread_id != lineage.thread_id:
        for member in _OF_AN_AGENT:
            members.pop(member, None)
        members |= {"session_id": thread_id, "id": thread_id, "forked_from_id": lineage.thread_id}
        members["timestamp"] = utc(backend.clock.now_ms())
        if not isinstance(meta.source, str):
            members["source"] = "vscode"
    members["history_mode"] = PAGINATED
    if not meta.cwd or not meta.model_provider:  # Codex needs both
        cwd, provider = read_place(lineage)
        members["cwd"] = meta.cwd or cwd
        members["model_provider"] = meta.model_provider or provider
    if not present(meta.base_instructions):
        members["base_instructions"] = stated_instructions(lineage)
    root = lineage.oldest_first()[0]
    if root.mode == PAGINATED and root.head.meta is not None:
        copied = root.head.meta.subagent_history_start_ordinal
        if copied is not None:  # what a sub-agent was given of its parent's history is not shown as its own
            members["subagent_history_start_ordinal"] = copied
    members["threadkeep"] = _Note(CopiedFrom(tip.rollout_id, tip.end))
    return members


def copied_lines(access: Access, lineage: Lineage, first: dict[str, Any], thread_id: str, now: str) -> Iterator[bytes]:
    """The copy's lines: its first record, then the lineage's records, oldest first, under ordinals that increase."""
    yield encode_record("session_meta", first, timestamp=now, ordinal=0)
    numbers = _Numbers()
    for segment in lineage.oldest_first():
        records = records_of(lines_forward(segment.source, segment.start, segment.end))
        if segment.mode == LEGACY:
            for line in _converted(access, segment, thread_id):
                yield renumbered(line.removesuffix(b"\n"), numbers.following(None)) + b"\n"
        else:
            yield from (_numbered(record, numbers) for record in records if record.kind != "session_meta")
        segment.source.rest()


def _numbered(record: Record, numbers: _Numbers) -> bytes:
    """A record's line with an ordinal that fits; a damaged line is kept as it is."""
    if not record.intact:
        return record.line + b"\n"
    ordinal = numbers.following(record.ordinal)
    return (record.line if ordinal == record.ordinal else renumbered(record.line, ordinal)) + b"\n"


class _Numbers:
    """Ordinals that increase: those that records have as long as they do, else the next ones."""

    def __init__(self) -> None:
        self._last = 0

    def following(self, own: int | None) -> int:
        """The ordinal of the next record, which has this one so far."""
        fits = own is not None and self._last < own < _LARGEST_ORDINAL
        self._last = own if own is not None and fits else self._last + 1
        return self._last


def _converted(access: Access, segment: Segment, thread_id: str) -> Iterator[bytes]:
    """A legacy part of the history as lines of a paginated rollout, without ordinals."""

    def records() -> Iterator[Record]:
        return records_of(lines_forward(segment.source, segment.start, segment.end))

    rollbacks = access.of(segment).rollbacks
    rolled_back = rollbacks is None or bool(rollbacks)
    converter = LegacyConverter(thread_id, RollbackPlan(records()) if rolled_back else None)
    for record in records():
        yield from converter.feed(record)
    yield from converter.close(_context_of(access, segment) if rolled_back else None)


def _context_of(access: Access, segment: Segment) -> ModelContext:
    """The model context at the end of a segment that inherits from nothing."""
    meta = segment.head.meta
    own = meta.id if meta is not None else segment.rollout_id
    # Not closed: its only source is the segment's, and is closed with it.
    return read_context(Lineage(access, segment.source, own, segment.source.cost, end=segment.end), access)
