"""Searching in what was said: which threads hold a term, and where in a thread it stands.

What a user said and what the agent answered is searched, no commands and no thoughts, and only what the thread still
shows. Case is ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.errors import CorruptHistory, InvalidCursor, InvalidRequest, StorageFailure, ThreadNotFound
from threadkeep.records import Cost
from threadkeep.replay import MAX_LIMIT, TurnReader, turn_cursor, turn_page
from threadkeep.replay._cursor_text import cursor_text, read_cursor
from threadkeep.store._lists import list_threads
from threadkeep.store._matches import Term, snippet
from threadkeep.store._models import Thread
from threadkeep.store._plain_text import plain_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from threadkeep.lineage import Lineage
    from threadkeep.store._access import Access, Located
    from threadkeep.store._filter import ThreadFilter
    from threadkeep.store._lists import SortKey

__all__ = ["Found", "FoundPage", "Occurrence", "OccurrencePage", "occurrences", "search"]

DEFAULT_OCCURRENCES: Final = 50
MAX_OCCURRENCES: Final = 200
"""Most occurrences of a page."""


class Found(msgspec.Struct):
    """A thread that holds the term.

    Attributes:
        thread: The thread.
        snippet: What stands around the term where it was said first, in one line.
    """

    thread: Thread
    snippet: str


class FoundPage(msgspec.Struct):
    """One page of threads that hold a term; the cursors are those of `ThreadPage`, and hold for its lists, too."""

    data: list[Found]
    next_cursor: str | None
    backwards_cursor: str | None


class Occurrence(msgspec.Struct):
    """A place in a thread where the term stands.

    Attributes:
        turn_id: The turn.
        item_id: The message.
        snippet: What stands around it.
        start: Where the term begins in ``snippet``, in UTF-16 units.
        end: Where it ends there.
        turn_cursor: The cursor of a page of turns, in either order, that begins with this turn.
    """

    turn_id: str
    item_id: str
    snippet: str
    start: int
    end: int
    turn_cursor: str


class OccurrencePage(msgspec.Struct):
    """One page of occurrences, oldest first; the cursor is that of `Page`."""

    data: list[Occurrence]
    next_cursor: str | None
    cost: Cost


class _Cursor(msgspec.Struct, array_like=True):
    """Where a page of occurrences goes on: in a turn, after so many of its occurrences."""

    thread: str
    term: str
    turn: str
    skipped: int


_decode_cursor: Final = msgspec.json.Decoder(_Cursor).decode


def said(item: dict[str, Any]) -> str | None:
    """What a message of a turn says; None for items that are none."""
    if item["type"] == "userMessage":
        return "".join([part["text"] for part in item["content"] if part["type"] == "text"]).strip()
    return plain_text(item["text"]) if item["type"] == "agentMessage" else None


def search(
    access: Access,
    term: str,
    cost: Cost,
    *,
    sort: SortKey,
    descending: bool,
    chosen: ThreadFilter,
    cursor: str | None,
    limit: int,
    progress: Callable[[int], None] | None,
) -> FoundPage:
    """A page of the threads that hold a term (see `ThreadStore.search`)."""
    term = _in_one_line(term)
    if not term:
        raise InvalidRequest("a search needs a term that is not blank")
    shown: dict[str, str] = {}

    def holds(located: Located, thread: Thread) -> bool:
        try:
            with access.open(located, cost) as lineage:
                around = _first(access, lineage, term)
        except (CorruptHistory, StorageFailure, ThreadNotFound):
            return False  # what cannot be read holds nothing
        if around is not None:
            shown[thread.id] = around
        return around is not None

    page = list_threads(
        access,
        cost,
        sort=sort,
        descending=descending,
        chosen=chosen,
        cursor=cursor,
        limit=limit,
        progress=progress,
        kept=holds,
    )
    found = [Found(thread, shown[thread.id]) for thread in page.data]
    return FoundPage(found, page.next_cursor, page.backwards_cursor)


def _first(access: Access, lineage: Lineage, term: str) -> str | None:
    """What stands around the first place where a thread holds a term; None where its own rollouts hold it nowhere.

    What a fork inherits is its source's, which is found itself.
    """
    wanted = Term(term)
    rollouts = set(_own(lineage))
    around: str | None = None
    for entry in TurnReader(lineage, "messages", first_start=lambda segment: access.of(segment).first_start):
        if entry.position.rollout not in rollouts:
            break
        around = _around(entry.turn, wanted) or around
    return around


def _around(turn: dict[str, Any], wanted: Term) -> str | None:
    """What stands around the first place where a turn holds the term, in one line."""
    for item in turn["items"]:
        text = _in_one_line(said(item) or "")
        for start, end in wanted.spans(text):
            return _in_one_line(snippet(text, start, end)[0])
    return None


def _in_one_line(text: str) -> str:
    return " ".join(text.split())


def _own(lineage: Lineage) -> Iterator[str]:
    """The rollouts of the thread itself: the current rollout, and those that it was reverted from."""
    for segment in lineage.newest_first():
        meta = segment.head.meta
        if segment.depth and (meta is None or meta.id != lineage.thread_id):
            return
        yield segment.rollout_id


def occurrences(
    access: Access, lineage: Lineage, term: str, *, cursor: str | None, limit: int | None
) -> OccurrencePage:
    """A page of the places where a thread holds a term (see `Snapshot.occurrences`)."""
    if not term.strip():
        raise InvalidRequest("a search needs a term that is not blank", thread=lineage.thread_id)
    at = _decode(cursor, lineage.thread_id, term)
    size = max(1, min(MAX_OCCURRENCES, DEFAULT_OCCURRENCES if limit is None else limit))
    wanted = Term(term)
    page: list[Occurrence] = []
    turns, skipped = (at.turn, at.skipped) if at is not None else (None, 0)
    while True:
        entries = turn_page(lineage, access, cursor=turns, limit=MAX_LIMIT, descending=False, view="messages")
        for entry in entries.data:
            here = 0
            place = ""
            for item in entry.turn["items"]:
                text = said(item) or ""
                for start, end in wanted.spans(text):
                    here += 1
                    if here <= skipped:
                        continue
                    place = place or turn_cursor(lineage, access, entry.position)
                    if len(page) == size:
                        following = cursor_text(_Cursor(lineage.thread_id, term, place, here - 1))
                        return OccurrencePage(page, following, lineage.cost)
                    page.append(Occurrence(entry.id, item["id"], *snippet(text, start, end), place))
            skipped = 0
        turns = entries.next_cursor
        if turns is None:
            return OccurrencePage(page, None, lineage.cost)


def _decode(cursor: str | None, thread: str, term: str) -> _Cursor | None:
    if cursor is None:
        return None
    decoded = read_cursor(cursor, _decode_cursor, thread=thread)
    if (decoded.thread, decoded.term) != (thread, term):
        raise InvalidCursor(f"the cursor belongs to another search: {cursor}", thread=thread)
    return decoded
