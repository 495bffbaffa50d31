"""What accumulates over a whole rollout: counted once, forwards, and extended by what was appended since.

Promise 1 names these as its exception: a reader that needs one of them takes it from a row that was kept, after
checking that the row is of this rollout, and reads only what came after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import msgspec

from threadkeep.records import (
    PAGINATED,
    Compacted,
    Record,
    RolledBack,
    SessionMeta,
    TokenCount,
    lines_forward,
    records_of,
)
from threadkeep.replay._before_envelope import as_told
from threadkeep.replay._copied import is_copied
from threadkeep.replay._latest import stated_settings
from threadkeep.replay._preview import said_first
from threadkeep.replay._starts import ENDS, starts_turn
from threadkeep.replay._stated import is_whole
from threadkeep.replay._turn import LateRecord, Position
from threadkeep.replay._whole_meta import WholeMeta

if TYPE_CHECKING:
    from threadkeep.lineage import Segment
    from threadkeep.records import Cost

__all__ = ["MOST_KEPT", "Totals", "TotalsSource", "count", "decode_totals"]

MOST_KEPT: Final = 4_096
"""Most places of one kind that are kept; a rollout with more is read whole when one of them is needed."""

_LATE: Final = ENDS | {"item_completed"}
_LATE_LEGACY: Final = _LATE | {"patch_apply_end", "mcp_tool_call_end", "entered_review_mode", "exited_review_mode"}
_SHOWN: Final = frozenset(
    {
        "item_completed",
        "user_message",
        "agent_message",
        "context_compacted",
        "patch_apply_end",
        "mcp_tool_call_end",
        "web_search_end",
        "image_generation_end",
        "sub_agent_activity",
        "entered_review_mode",
        "exited_review_mode",
    }
)


T = TypeVar("T")


class Totals(msgspec.Struct, array_like=True):
    """Counts and places of one rollout's own records up to ``end``.

    Attributes:
        end: Offset up to which the rollout was counted.
        digest: Digest of the bytes before ``end``, by which the row is checked.
        records: Records, the first one included.
        turns: Turns that were started explicitly.
        items: Records that show an item.
        response_items: Response items.
        compactions: Compactions that no later ``session_meta`` of a paginated rollout hides.
        windowed: Compactions that say their window's number.
        rollbacks: Where rollback markers stand; None when there are more than `MOST_KEPT`.
        late: Records that name a turn before the newest one, and belong to it; None likewise.
        metas: Where the rollout's own later ``session_meta`` records stand (legacy updates); None likewise.
        first_start: Where the first explicit turn start stands.
        first_user: Where the first record stands that says what the user said first.
        last_token_count: Where the newest ``token_count`` with usage stands.
        last_settings: Where the newest ``thread_settings_applied`` stands that counts.
        last_turn_context: Where the newest ``turn_context`` stands that counts.
        open_turn: The newest turn started: where counting goes on.
        turn_before: The one that was started before it.
    """

    end: int
    digest: str = ""
    records: int = 0
    turns: int = 0
    items: int = 0
    response_items: int = 0
    compactions: int = 0
    windowed: int = 0
    rollbacks: list[int] | None = msgspec.field(default_factory=list)
    late: list[LateRecord] | None = msgspec.field(default_factory=list)
    metas: list[int] | None = msgspec.field(default_factory=list)
    first_start: int | None = None
    first_user: int | None = None
    last_token_count: int | None = None
    last_settings: int | None = None
    last_turn_context: int | None = None
    open_turn: str | None = None
    turn_before: str | None = None


decode_totals: Final = msgspec.msgpack.Decoder(Totals).decode
"""Totals as the catalog keeps them."""


class TotalsSource(Protocol):
    """Where totals come from: a catalog, or a scan."""

    def of(self, segment: Segment) -> Totals:
        """The totals of a segment's rollout up to the segment's end."""
        ...


class _Turned(msgspec.Struct):
    turn_id: str | None = None


def count(segment: Segment, totals: Totals, end: int, cost: Cost) -> Totals:
    """``totals`` of a rollout, extended to ``end``; the argument is changed and given back."""
    source = segment.source
    start = totals.end
    paginated = segment.mode == PAGINATED
    own = segment.head.meta.id if segment.head.meta is not None else None
    for record in records_of(lines_forward(source, start, end)):
        cost.records_seen += 1
        totals.records += 1
        if totals.first_user is None and said_first(record):
            totals.first_user = record.offset
        kind = record.kind
        if kind == "response_item":
            totals.response_items += 1
            if record.bare and not paginated:
                totals.items += any(told.subtype in _SHOWN for told in as_told(record))
        elif kind == "turn_context":
            if stated_settings(record) is not None:
                totals.last_turn_context = record.offset
        elif kind == "compacted":
            _compacted(totals, record)
        elif kind == "session_meta":
            if record.offset >= segment.start:
                _session_meta(totals, record, own, paginated=paginated)
        elif kind == "event_msg":
            _event(totals, record, segment)
    totals.end = end
    return totals


def _session_meta(totals: Totals, record: Record, own: str | None, *, paginated: bool) -> None:
    """A later one: an update of a legacy thread; in a paginated rollout it hides from the context what is older."""
    if paginated and record.view(WholeMeta) is not None:
        totals.compactions = totals.windowed = 0
        totals.last_token_count = totals.last_settings = totals.last_turn_context = None
    meta = record.view(SessionMeta)
    if meta is not None and meta.id == own:
        totals.metas = _kept(totals.metas, record.offset)


def _compacted(totals: Totals, record: Record) -> None:
    view = record.view(Compacted)
    if view is None or not is_whole(view):
        return
    totals.compactions += 1
    if view.window_number is not None or isinstance(view.window_id, int):
        totals.windowed += 1


def _event(totals: Totals, record: Record, segment: Segment) -> None:
    subtype = record.subtype
    if starts_turn(record):
        turned = record.view(_Turned)
        if turned is None or turned.turn_id is None:
            return
        totals.turns += 1
        if is_copied(record, segment):
            return
        if turned.turn_id != totals.open_turn:
            totals.turn_before, totals.open_turn = totals.open_turn, turned.turn_id
        if totals.first_start is None:
            totals.first_start = record.offset
        return
    if subtype == "token_count":
        # The last usage is that of the newest record with one: records without carry rate limits alone.
        counted = record.view(TokenCount) if b'"info":null' not in record.line else None
        if counted is not None and counted.info is not None:
            totals.last_token_count = record.offset
        return
    if subtype == "thread_settings_applied":
        if stated_settings(record) is not None:
            totals.last_settings = record.offset
        return
    if subtype == "thread_rolled_back":
        if record.view(RolledBack) is not None:
            totals.rollbacks = _kept(totals.rollbacks, record.offset)
        return
    if subtype in _SHOWN:
        totals.items += 1
    if subtype in (_LATE if segment.mode == PAGINATED else _LATE_LEGACY):
        turned = record.view(_Turned)
        if turned is None or not turned.turn_id or turned.turn_id == totals.open_turn:
            return
        if segment.mode == PAGINATED and subtype in ENDS and totals.turn_before not in {None, turned.turn_id}:
            return  # it makes a turn of its own: its start is lost, or further back than a late end's
        if not is_copied(record, segment):
            late = LateRecord(turned.turn_id, Position(segment.rollout_id, record.offset))
            totals.late = _kept(totals.late, late)


def _kept(places: list[T] | None, place: T) -> list[T] | None:
    if places is None or len(places) >= MOST_KEPT:
        return None
    places.append(place)
    return places
