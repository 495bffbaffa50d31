"""Lists of threads: sorted, filtered, by pages, reading rows of the page alone.

By last change, one pass over the folders with a ``stat`` a file gives the order, whatever appended to which thread. By
creation, ids give the order, and only names are looked at. Either way threads are read in that order until the page
is full.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from threadkeep.errors import AmbiguousRollout, InvalidCursor, InvalidRequest, ThreadNotFound
from threadkeep.replay._cursor_text import cursor_text, read_cursor
from threadkeep.store._access import Located, current_of, newness
from threadkeep.store._models import Thread, ThreadPage
from threadkeep.store._threads import read_thread, read_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from threadkeep.backends import RolloutRef, RolloutStat
    from threadkeep.records import Cost
    from threadkeep.store._access import Access
    from threadkeep.store._filter import ThreadFilter

__all__ = ["SortKey", "list_threads"]

SortKey = Literal["updated_at", "created_at", "recency_at"]
"""By last change, or by creation; ``recency_at`` is the last change, too: only its cursors are others."""

MAX_THREADS: Final = 1_000
"""Most threads of a page."""

_BATCH: Final = 64
_MOST_MS: Final = 1 << 62
"""The latest creation that a cursor may name: what SQLite compares has 64 bits."""


class _Cursor(msgspec.Struct, array_like=True):
    """A place in a list: beyond a thread, in either direction, or with it."""

    sort: SortKey
    inclusive: bool
    key: int
    thread: str


_decode_cursor: Final = msgspec.json.Decoder(_Cursor).decode


def list_threads(
    access: Access,
    cost: Cost,
    *,
    sort: SortKey,
    descending: bool,
    chosen: ThreadFilter,
    cursor: str | None,
    limit: int,
    progress: Callable[[int], None] | None = None,
    kept: Callable[[Located, Thread], bool] = lambda *_: True,
) -> ThreadPage:
    """One page of threads, as `ThreadStore.list` gives it; ``kept`` has the last word on each.

    Raises:
        InvalidCursor: The cursor is none, or one of a list that is sorted by something else.
    """
    after = _decode(cursor, sort, descending=descending)
    size = max(1, min(MAX_THREADS, limit))
    descends = _Descent(access, chosen.ancestor, cost)
    page: list[Thread] = []
    keys: list[tuple[int, str]] = []
    pending: list[tuple[int, Located, RolloutStat]] = []
    seen = 0

    def flush() -> None:
        for thread, (key, located, _) in zip(
            read_threads(access, [(located, stat) for _, located, stat in pending], cost), pending, strict=True
        ):
            if chosen.keeps(thread) and descends(thread) and kept(located, thread):
                page.append(thread)
                keys.append((key, thread.id))
        pending.clear()

    candidates = (
        _by_creation(access, after, descending=descending)
        if sort == "created_at"
        else _by_change(access, after, descending=descending)
    )
    for key, located, refs in _all_located(access, candidates):
        if located.thread_id in chosen.excluded:
            continue
        if chosen.archived is not None and located.archived != chosen.archived:
            continue
        stat = _stat(access, located, refs)
        if stat is None:
            continue
        pending.append((key, located, stat))
        seen += 1
        if len(pending) >= min(_BATCH, size + 1 - len(page)):
            flush()
            if progress is not None:
                progress(seen)
        if len(page) > size:
            break
    flush()
    more = len(page) > size
    del page[size:], keys[size:]
    return ThreadPage(
        page,
        cursor_text(_Cursor(sort, False, *keys[-1])) if more else None,
        cursor_text(_Cursor(sort, True, *keys[0])) if page else None,
    )


class _Descent:
    """Whether threads were spawned by one, at any remove; who spawned whom is asked once."""

    def __init__(self, access: Access, ancestor: str | None, cost: Cost) -> None:
        self._access = access
        self._ancestor = ancestor
        self._cost = cost
        self._parents: dict[str, str | None] = {}

    def __call__(self, thread: Thread) -> bool:
        if self._ancestor is None:
            return True
        seen = {thread.id}
        parent = thread.parent_thread_id
        while parent is not None and parent not in seen:
            if parent == self._ancestor:
                return True
            seen.add(parent)
            parent = self._parent(parent)
        return False

    def _parent(self, thread_id: str) -> str | None:
        if thread_id not in self._parents:
            try:
                located = self._access.locate(thread_id, hidden=True)
                self._parents[thread_id] = read_thread(self._access, located, self._cost).parent_thread_id
            except (ThreadNotFound, AmbiguousRollout, InvalidRequest):
                self._parents[thread_id] = None
        return self._parents[thread_id]


def _decode(cursor: str | None, sort: SortKey, *, descending: bool) -> tuple[int, str] | None:
    """The place after which a list goes on; a thread that belongs to it is not one of those."""
    if cursor is None:
        return None
    decoded = read_cursor(cursor, _decode_cursor)
    if decoded.sort != sort:
        raise InvalidCursor(f"the cursor belongs to a list by {decoded.sort}, not by {sort}: {cursor}")
    if sort == "created_at" and abs(decoded.key) > _MOST_MS:
        raise InvalidCursor(f"the cursor names no place in the list: {cursor}")
    thread = decoded.thread
    if decoded.inclusive and thread:  # the place just before it, seen in the list's direction
        thread = f"{thread}\x00" if descending else f"{thread[:-1]}{chr(max(0, ord(thread[-1]) - 1))}\x7f"
    return decoded.key, thread


Candidate = tuple[int, str, "list[tuple[RolloutRef, RolloutStat | None]]"]


def _by_creation(access: Access, after: tuple[int, str] | None, *, descending: bool) -> Iterator[Candidate]:
    for created, thread_id, refs in access.backend.by_creation(descending=descending, after=after):
        yield created, thread_id, [(ref, None) for ref in refs]


def _by_change(access: Access, after: tuple[int, str] | None, *, descending: bool) -> Iterator[Candidate]:
    """One pass over all rollouts; a thread with several is as new as its newest."""
    threads: dict[str, list[tuple[RolloutRef, RolloutStat | None]]] = {}
    newest: dict[str, int] = {}
    for ref, stat in access.backend.stats():
        threads.setdefault(ref.thread_id, []).append((ref, stat))
        newest[ref.thread_id] = max(newest.get(ref.thread_id, 0), stat.mtime_ns)
    for key, thread_id in sorted(((key, thread_id) for thread_id, key in newest.items()), reverse=descending):
        if after is None or ((key, thread_id) < after if descending else (key, thread_id) > after):
            yield key, thread_id, threads[thread_id]


def _all_located(
    access: Access, candidates: Iterator[Candidate]
) -> Iterator[tuple[int, Located, list[tuple[RolloutRef, RolloutStat | None]]]]:
    """The candidates that are threads to be shown; what others say of them is asked for many at once."""
    while batch := list(itertools.islice(candidates, _BATCH)):
        facts = access.backend.facts([thread_id for _, thread_id, _ in batch])
        for key, thread_id, refs in batch:
            marks = access.backend.marks(thread_id)
            if marks.hidden:
                continue
            known = [ref for ref, _ in refs]
            try:
                ref = current_of(thread_id, access.backend, known, facts[thread_id], marks)
            except AmbiguousRollout:
                ref = max(known, key=newness)
            except ThreadNotFound:
                continue
            yield key, Located(thread_id, ref, facts[thread_id], marks), refs


def _stat(access: Access, located: Located, refs: list[tuple[RolloutRef, RolloutStat | None]]) -> RolloutStat | None:
    known = next((stat for ref, stat in refs if ref == located.ref and stat is not None), None)
    if known is not None:
        return known
    try:
        return access.backend.stat(located.ref)
    except ThreadNotFound:
        return None
