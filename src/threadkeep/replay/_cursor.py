"""Cursors of turn and item lists: where a page ended, by record and not by count.

A cursor names its thread, its list, the record that it is anchored at (rollout, offset, digest of the line) and that
rollout's history mode, so that one of another thread or list, or one whose anchor was migrated or edited, is refused
instead of pointing elsewhere (trap 35). It also carries what the reader knew when it stopped: the end that it had seen
and the records above the anchor that belong to turns below it, so that the next page need not read what lies between.
Appending records never moves an anchor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from threadkeep.errors import InvalidCursor
from threadkeep.replay._at import record_at
from threadkeep.replay._cursor_text import cursor_text, read_cursor
from threadkeep.replay._turn import LateRecord, Position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from threadkeep.lineage import Segment

__all__ = ["Cursor", "Scope", "anchor_digest", "decode_cursor", "encode_cursor"]

Scope = Literal["turns", "items"]

CURSOR_VERSION: Final = 1
MOST_CARRIED: Final = 64
"""Most late records that a cursor carries; a reader that had more starts again from the end."""

MAX_CURSOR_BYTES: Final = 16 * 1024


class Cursor(msgspec.Struct, array_like=True):
    """A decoded cursor.

    Attributes:
        version: Format of the cursor.
        thread: Id of the thread.
        scope: Which list.
        anchor: The record that it is anchored at.
        sub: Which of the items that stand at that record; 0 for turns.
        mode: History mode of the anchor's rollout.
        digest: Digest of the anchor's line.
        inclusive: Whether the anchor itself belongs to the page that is asked for.
        turn: For items: the only turn that is listed; None for all.
        seen: The end that the reader had fixed: rollout and offset; None where it did not read down from the end.
        late: Late records that it knew, above the anchor; None where there were too many.
    """

    version: int
    thread: str
    scope: Scope
    anchor: Position
    sub: int
    mode: str
    digest: str
    inclusive: bool
    turn: str | None = None
    seen: Position | None = None
    late: list[LateRecord] | None = msgspec.field(default_factory=list)


_decode_cursor: Final = msgspec.json.Decoder(Cursor).decode


def anchor_digest(segment: Segment, position: Position) -> str:
    """First 16 hex digits of the SHA-256 of the line at a position; empty where no record starts there."""
    import hashlib

    record = record_at(segment, position.offset)
    return hashlib.sha256(record.line).hexdigest()[:16] if record is not None else ""


def encode_cursor(
    segments: Sequence[Segment],
    *,
    thread: str,
    scope: Scope,
    anchor: Position,
    inclusive: bool,
    sub: int = 0,
    turn: str | None = None,
    seen: Position | None = None,
    late: list[LateRecord] | None = None,
) -> str:
    """The cursor as callers keep it: an opaque string without spaces or quotes."""
    segment = next(segment for segment in segments if segment.rollout_id == anchor.rollout)
    carried = late if late is not None and len(late) <= MOST_CARRIED else None
    cursor = Cursor(
        CURSOR_VERSION,
        thread,
        scope,
        anchor,
        sub,
        segment.mode,
        anchor_digest(segment, anchor),
        inclusive,
        turn,
        seen,
        carried,
    )
    return cursor_text(cursor)


def decode_cursor(text: str, *, thread: str, scope: Scope, turn: str | None = None) -> Cursor:
    """A caller's cursor, checked against what it is used for; its anchor is checked when the lineage is read.

    Raises:
        InvalidCursor: It is no cursor, or one of another thread, list or format.
    """
    if len(text) > MAX_CURSOR_BYTES:
        raise InvalidCursor(f"a cursor of {len(text)} characters is longer than any that was given out", thread=thread)
    cursor = read_cursor(text, _decode_cursor, thread=thread)
    if cursor.version != CURSOR_VERSION:
        raise InvalidCursor(f"the cursor was made by another version of threadkeep: {text}", thread=thread)
    if cursor.thread != thread:
        raise InvalidCursor(f"the cursor belongs to thread {cursor.thread}", thread=thread)
    if cursor.scope != scope or cursor.turn != turn:
        raise InvalidCursor(f"the cursor belongs to another list ({cursor.scope})", thread=thread)
    return cursor


def check_anchor(cursor: Cursor, segments: Sequence[Segment]) -> int:
    """Which of the segments the cursor is anchored in.

    Raises:
        InvalidCursor: None of them, or the record there is not the one that it was: the history was reverted,
            migrated or edited since.
    """
    for index, segment in enumerate(segments):
        if segment.rollout_id != cursor.anchor.rollout:
            continue
        if segment.mode != cursor.mode:
            raise InvalidCursor(
                "the rollout changed its history mode since the cursor was given out",
                thread=cursor.thread,
                rollout=segment.rollout_id,
            )
        if cursor.digest == "" or anchor_digest(segment, cursor.anchor) != cursor.digest:
            break
        return index
    raise InvalidCursor(
        "the record that the cursor is anchored at is not part of the thread's history any more",
        thread=cursor.thread,
        rollout=cursor.anchor.rollout,
        offset=cursor.anchor.offset,
    )
