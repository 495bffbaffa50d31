"""Lists of threads: sorted, filtered, by pages, reading rows of the page alone.

By last change, one pass over the folders with a ``stat`` a file gives the order, whatever appended to which thread. By
creation, ids give the order, and only names are looked at. Either way threads are read in that order until the page
is full.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import os
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from threadkeep.errors import AmbiguousRollout, InvalidCursor, ThreadNotFound
from threadkeep.store._access import Located, current_of, newness
from threadkeep.store._models import Thread, ThreadPage
from threadkeep.store._threads import read_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from threadkeep.backends import RolloutRef, RolloutStat
    from threadkeep.records import Cost
    from threadkeep.store._access import Access

__all__ = ["SortKey", "ThreadFilter", "list_threads"]

SortKey = Literal["updated_at", "created_at"]

MAX_THREADS: Final = 1_000
"""Most threads of a page."""

_BATCH: Final = 64


class ThreadFilter(msgspec.Struct, frozen=True):
    """Which threads a list shows; each member that is given must hold.

    Attributes:
        archived: Archived ones (True), the others (False), or both (None).
        cwd: Those that work in this folder.
        model_provider: Those of this provider.
        sources: Those that were begun so (``cli``, ``vscode``, ``exec``, ``subagent``, ...).
        text: Those whose name or preview contains this, case ignored.
        forked_from: Those that were forked from this thread.
    """

    archived: bool | None = False
    cwd: str | None = None
    model_provider: str | None = None
    sources: frozenset[str] | None = None
    text: str | None = None
    forked_from: str | None = None

    def keeps(self, thread: Thread) -> bool:
        """Whether a thread is shown, its archive state aside."""
        if self.cwd is not None and not _same_folder(thread.cwd, self.cwd):
            return False
        if self.model_provider is not None and thread.model_provider != self.model_provider:
            return False
        if self.sources is not None and source_kind(thread.source) not in self.sources:
            return False
        if self.forked_from is not None and thread.forked_from_id != self.forked_from:
            return False
        wanted = self.text.casefold() if self.text is not None else ""
        return wanted in (thread.name or "").casefold() or wanted in thread.preview.casefold()


def source_kind(source: Any) -> str:
    """A thread's source as one word: the string that it is, else the name of the object's only member."""
    if isinstance(source, str):
        return source
    if isinstance(source, dict) and source:
        return str(next(iter(source)))
    return "unknown"


def _same_folder(one: str | None, other: str) -> bool:
    return one is not None and (one == other or os.path.realpath(one) == os.path.realpath(other))


class _Cursor(msgspec.Struct, array_like=True):
    sort: SortKey
    descending: bool
    key: int
    thread: str


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
) -> ThreadPage:
    """One page of threads.

    Raises:
        InvalidCursor: The cursor is none, or one of a list in another order.
    """
    after = _decode(cursor, sort, descending=descending)
    size = max(1, min(MAX_THREADS, limit))
    page: list[Thread] = []
    keys: list[tuple[int, str]] = []
    pending: list[tuple[int, Located, RolloutStat]] = []
    seen = 0

    def flush() -> None:
        for thread, (key, _, _) in zip(
            read_threads(access, [(located, stat) for _, located, stat in pending], cost), pending, strict=True
        ):
            if chosen.keeps(thread):
                page.append(thread)
                keys.append((key, thread.id))
        pending.clear()

    candidates = (
        _by_creation(access, after, descending=descending)
        if sort == "created_at"
        else _by_change(access, after, descending=descending)
    )
    for key, located, refs in _all_located(access, candidates):
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
    following = None
    if more:
        key, thread_id = keys[-1]
        encoded = msgspec.json.encode(_Cursor(sort, descending, key, thread_id))
        following = base64.urlsafe_b64encode(encoded).decode("ascii").rstrip("=")
    return ThreadPage(page, following)


def _decode(cursor: str | None, sort: SortKey, *, descending: bool) -> tuple[int, str] | None:
    if cursor is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        decoded = msgspec.json.decode(raw, type=_Cursor)
    except (UnicodeEncodeError, UnicodeDecodeError, binascii.Error, msgspec.MsgspecError) as error:
        raise InvalidCursor(f"invalid cursor: {cursor}") from error
    if decoded.sort != sort or decoded.descending != descending:
        raise InvalidCursor("the cursor belongs to a list in another order")
    return decoded.key, decoded.thread


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
