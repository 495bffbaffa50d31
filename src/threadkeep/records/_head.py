"""The beginning of a rollout: its canonical ``session_meta`` and the history mode that it fixes for ever."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from threadkeep.errors import UnreadableRollout
from threadkeep.records._payloads import SessionMeta
from threadkeep.records._policy import HISTORY_MODES, LEGACY, PAGINATED
from threadkeep.records._record import Record, record_of
from threadkeep.records._scan import Source, lines_forward

__all__ = ["HEAD_LINES", "Head", "read_head"]

HEAD_LINES: Final = 16
"""How many lines from the start are searched for the ``session_meta`` when the first one is damaged."""


class Head(msgspec.Struct, frozen=True):
    """What the beginning of a rollout says.

    Attributes:
        meta: The canonical ``session_meta``; None where it is damaged or missing.
        record: The record that it stands in; None likewise.
        mode: History mode: stated by the meta, else inferred from whether the first readable record has an ordinal.
        start: Offset of the first byte after the ``session_meta`` line (0 where there is none).
        first_ordinal: The first ordinal in the file; None in legacy rollouts.
        damaged_lines: Lines before the canonical meta that could not be read.
    """

    meta: SessionMeta | None
    record: Record | None
    mode: str
    start: int
    first_ordinal: int | None
    damaged_lines: int


def read_head(source: Source, end: int, *, thread_id: str | None = None) -> Head:
    """Read the beginning of ``source[:end]``.

    The first readable record decides (``storage.md`` 2.2: the first ``session_meta`` is canonical). Where the first
    line is damaged, a ``session_meta`` in the next lines counts only if it names ``thread_id``: a legacy fork's second
    line is its parent's.

    Raises:
        UnreadableRollout: The rollout is empty, names an unknown history mode, or holds no readable record at its
            beginning.
    """
    damaged = 0
    first_ordinal: int | None = None
    inferred: str | None = None
    for number, (offset, line) in enumerate(lines_forward(source, 0, end)):
        if number >= HEAD_LINES:
            break
        if line is None:
            damaged += 1
            continue
        if not line or line.isspace():
            continue
        record = record_of(offset, line)
        if first_ordinal is None:
            first_ordinal = record.ordinal
        if record.kind == "session_meta":
            meta = record.view(SessionMeta)
            if meta is None:
                _refuse_unknown_mode(source, record)
                damaged += 1
                continue
            if damaged and thread_id is not None and meta.id != thread_id:
                continue
            if meta.history_mode not in HISTORY_MODES:
                _refuse_unknown_mode(source, record)
            return Head(meta, record, meta.history_mode, min(record.end, end), first_ordinal, damaged)
        if not record.kind:
            damaged += 1
        elif inferred is None:
            inferred = PAGINATED if record.ordinal is not None else LEGACY
    if inferred is None:
        what = "holds no readable record at its beginning" if damaged else "is empty"
        raise UnreadableRollout(
            f"the rollout {what}", thread=thread_id, rollout=source.rollout_id, path=source.path, offset=0
        )
    return Head(None, None, inferred, 0, first_ordinal, max(damaged, 1))


class _Mode(msgspec.Struct):
    history_mode: Any = LEGACY


def _refuse_unknown_mode(source: Source, record: Record) -> None:
    """An unknown mode fails closed: what a reader does not know it must not interpret (trap 24)."""
    stated = record.view(_Mode)
    known = stated is None or (isinstance(stated.history_mode, str) and stated.history_mode in HISTORY_MODES)
    if stated is not None and not known:
        raise UnreadableRollout(
            f"unknown history mode {stated.history_mode!r}: this rollout was written by a newer program",
            rollout=source.rollout_id,
            path=source.path,
            offset=record.offset,
        )
