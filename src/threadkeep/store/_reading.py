"""What a store tells of its threads: reading, paging, listing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from threadkeep.errors import BrokenLineage, RolloutReplaced
from threadkeep.records import Cost

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from threadkeep.replay import ItemsView
    from threadkeep.store._access import Access
    from threadkeep.store._filter import ThreadFilter
    from threadkeep.store._lists import SortKey
    from threadkeep.store._models import Family, Page, Resumed, Thread, ThreadPage, TreeNode
    from threadkeep.store._search import FoundPage
    from threadkeep.store._snapshot import Snapshot
    from threadkeep.store._verification import Verification

__all__ = ["Reading"]

T = TypeVar("T")

_TRIES: Final = 3
"""How often a question is asked again because a rollout was replaced meanwhile."""


class Reading:
    """The part of `ThreadStore` that changes nothing."""

    _access: Access

    def thread_id(self, prefix: str) -> str:
        """The id of the one thread whose id begins with ``prefix``.

        Raises:
            ThreadNotFound: There is none.
            AmbiguousId: There are several.
        """
        return self._access.thread_id(prefix)

    def thread_at(self, path: str) -> str | None:
        """The thread whose rollout lies at a path below the home; None where none does."""
        return self._access.backend.thread_at(path)

    def read(self, thread: str, *, counts: bool = False, cost: Cost | None = None) -> Thread:
        """A thread: what its records, its home and threadkeep say of it.

        Args:
            thread: Its id, or a unique prefix.
            counts: Also count its records, which costs a scan of what was not counted before.
            cost: Where to count what it costs.

        Raises:
            ThreadNotFound: There is none.
        """
        from threadkeep.store._threads import read_thread

        return read_thread(self._access, self._access.locate(thread), cost or Cost(), counts=counts)

    def snapshot(self, thread: str, *, cost: Cost | None = None) -> Snapshot:
        """The thread as it stands now, for several answers that agree; close it after use.

        Args:
            thread: Its id, or a unique prefix.
            cost: Where to count what it costs.

        Raises:
            ThreadNotFound: There is none.
            UnreadableRollout: The rollout's beginning cannot be understood, or is another thread's.
        """
        from threadkeep.store._snapshot import Snapshot

        return Snapshot(self._access, self._access.locate(thread), cost)

    def _answer(self, thread: str, ask: Callable[[Snapshot], T]) -> T:
        """What a snapshot answers; a fresh one is asked where a rollout was replaced under it.

        Who erases tells every heir first what its ancestor is going to be: until it is, that lineage looks broken. So
        one that does is looked at again while nobody erases.
        """
        for _ in range(_TRIES):
            try:
                with self.snapshot(thread) as snap:
                    return ask(snap)
            except RolloutReplaced:
                continue
            except BrokenLineage:
                break
        with self._access.while_nobody_removes(), self.snapshot(thread) as snap:
            return ask(snap)

    def resume(self, thread: str) -> Resumed:
        """What the thread's next turn starts with, found from its end (``storage.md`` 3).

        Raises:
            ThreadNotFound: There is none.
            BrokenLineage: An ancestor that is needed is missing or changed.
        """
        return self._answer(thread, lambda snap: snap.resume())

    def replay(self, thread: str) -> Resumed:
        """The same as `resume`, computed from the whole history: the definition of correct, for `verify` and tests."""
        return self._answer(thread, lambda snap: snap.replay())

    def turns(
        self,
        thread: str,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        descending: bool = True,
        view: ItemsView = "summary",
    ) -> Page:
        """A page of the thread's turns, newest first unless told otherwise.

        Args:
            thread: Its id, or a unique prefix.
            cursor: Where to go on: a cursor of an earlier page.
            limit: Turns of the page, 1 to 100; 25 where it is not given.
            descending: Newest first.
            view: ``full``: with all items; ``summary``: with the first user message and the final answer;
                ``notLoaded``: without items.

        Raises:
            ThreadNotFound: There is no such thread.
            InvalidCursor: The cursor is none, belongs elsewhere, or its anchor changed.
            BrokenLineage: An ancestor that is reached is missing or changed.
        """
        return self._answer(
            thread, lambda snap: snap.turns(cursor=cursor, limit=limit, descending=descending, view=view)
        )

    def items(
        self,
        thread: str,
        *,
        turn: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        descending: bool = False,
    ) -> Page:
        """A page of the thread's items, oldest first unless told otherwise, each with its turn's id.

        Args:
            thread: Its id, or a unique prefix.
            turn: Items of this turn alone.
            cursor: Where to go on: a cursor of an earlier page.
            limit: Items of the page, 1 to 100; 25 where it is not given.
            descending: Newest first.

        Raises:
            ThreadNotFound: There is no such thread.
            InvalidCursor: The cursor is none, belongs elsewhere, or its anchor changed.
        """
        return self._answer(
            thread, lambda snap: snap.items(turn=turn, cursor=cursor, limit=limit, descending=descending)
        )

    def turn(self, thread: str, turn: str, *, view: ItemsView = "full") -> dict[str, Any] | None:
        """One turn by its id; None where the thread shows none of that id."""
        return self._answer(thread, lambda snap: snap.turn(turn, view=view))

    def list(
        self,
        *,
        sort: SortKey = "updated_at",
        descending: bool = True,
        cursor: str | None = None,
        limit: int = 50,
        chosen: ThreadFilter | None = None,
        cost: Cost | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> ThreadPage:
        """A page of threads.

        Args:
            sort: By last change (``updated_at``, ``recency_at``) or by creation (``created_at``).
            descending: Newest first.
            cursor: Where to go on: a cursor of a page of any list by the same key, whatever its direction and filter.
                ``next_cursor`` goes on after the page; ``backwards_cursor``, with the other direction, begins with
                the page's first thread.
            limit: Threads of the page, 1 to 1,000.
            chosen: Which threads; by default those that are not archived.
            cost: Where to count what it costs.
            progress: Told from time to time how many threads were looked at.

        Raises:
            InvalidCursor: The cursor is none, or belongs to a list that is sorted by something else.
        """
        from threadkeep.store._filter import ThreadFilter
        from threadkeep.store._lists import list_threads

        return list_threads(
            self._access,
            cost or Cost(),
            sort=sort,
            descending=descending,
            chosen=chosen or ThreadFilter(),
            cursor=cursor,
            limit=limit,
            progress=progress,
        )

    def search(
        self,
        term: str,
        *,
        sort: SortKey = "created_at",
        descending: bool = True,
        cursor: str | None = None,
        limit: int = 25,
        chosen: ThreadFilter | None = None,
        cost: Cost | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> FoundPage:
        """A page of the threads in which a term was said, each with what stands around its first place.

        What users said and what agents answered is searched, no commands and no thoughts; case is ignored, and white
        space of any kind is one space. A fork is found by what was said in it, not by what it inherits. The time
        follows the bytes of the threads that are looked at until the page is full.

        Args:
            term: What to look for.
            sort: As for `list`.
            descending: Newest first.
            cursor: Where to go on: a cursor of a page of any list by the same key.
            limit: Threads of the page, 1 to 1,000.
            chosen: Which threads to look at; by default those that are not archived.
            cost: Where to count what it costs.
            progress: Told from time to time how many threads were looked at.

        Raises:
            InvalidRequest: The term is blank.
            InvalidCursor: The cursor is none, or belongs to a list that is sorted by something else.
        """
        from threadkeep.store._filter import ThreadFilter
        from threadkeep.store._search import search

        return search(
            self._access,
            term,
            cost or Cost(),
            sort=sort,
            descending=descending,
            chosen=chosen or ThreadFilter(),
            cursor=cursor,
            limit=limit,
            progress=progress,
        )

    def base_instructions(self, thread: str) -> str | None:
        """The instructions that the model starts with, as the nearest rollout of the lineage states them."""
        from threadkeep.store._forks import stated_instructions

        with self._access.open(self._access.locate(thread), Cost()) as lineage:
            raw = stated_instructions(lineage)
        value = msgspec.json.decode(raw) if raw is not None else None
        return value.get("text") if isinstance(value, dict) else None

    def tree(self, thread: str | None = None, *, progress: Callable[[int], None] | None = None) -> Sequence[TreeNode]:
        """The fork tree: which thread came from which, with own and inherited bytes.

        Args:
            thread: Only the family of this thread; by default every family, newest change first.
            progress: Told from time to time how many threads were looked at.

        Raises:
            ThreadNotFound: There is no such thread.
        """
        from threadkeep.store._families import fork_tree

        wanted = self._access.locate(thread, hidden=True).thread_id if thread is not None else None
        return fork_tree(self._access, wanted, progress=progress)

    def families(self, *, progress: Callable[[int], None] | None = None) -> Sequence[Family]:
        """The bytes of each thread family: own, inherited, duplicated by copied forks. Largest first."""
        from threadkeep.store._families import families

        return families(self._access, progress=progress)

    def verify(self, thread: str, *, progress: Callable[[int], None] | None = None) -> Verification:
        """Compare what is answered fast with what the whole history says, and read every byte that is inherited.

        Args:
            thread: Its id, or a unique prefix.
            progress: Told from time to time how many bytes were read.

        Raises:
            ThreadNotFound: There is no such thread.
        """
        from threadkeep.store._verify import verify

        return verify(self._access, self._access.locate(thread), progress=progress)
