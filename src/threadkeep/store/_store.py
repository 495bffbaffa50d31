"""`ThreadStore`: everything that a user can do with threads, on any backend."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self

import msgspec

from threadkeep import _version
from threadkeep.backends import MemoryBackend
from threadkeep.errors import InvalidRequest
from threadkeep.ids import utc
from threadkeep.lineage import next_ordinal
from threadkeep.records import LEGACY, PAGINATED, Cost, TokenUsageInfo
from threadkeep.records import _build as build
from threadkeep.replay import ItemsView, find_turn, item_page, read_context, turn_page
from threadkeep.store._access import Access, Located
from threadkeep.store._forks import ORIGINATOR, Place, fork, revert, stated_instructions
from threadkeep.store._lists import SortKey, ThreadFilter, list_threads
from threadkeep.store._models import Page, Resumed, Thread, ThreadPage
from threadkeep.store._threads import read_thread
from threadkeep.store._writer import NewRecord, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from threadkeep.backends import Backend, Durability, Lease, RolloutRef

__all__ = ["ThreadStore"]


class ThreadStore:
    """Threads in one place: a Codex home, a home of threadkeep's own, or memory.

    A store may be used by several threads of a process at once, and by several processes on one home. Use it as a
    context manager, or close it.

    Args:
        backend: Where the threads are kept.
        durability: ``fsync``: what was acknowledged survives power loss. ``os``: it survives the process.
    """

    def __init__(self, backend: Backend, *, durability: Durability = "fsync") -> None:
        self.backend = backend
        self.durability: Durability = durability
        self._access = Access(backend, MemoryBackend(clock=backend.clock, ids=backend.ids))

    @classmethod
    def open(cls, home: str | os.PathLike[str], *, durability: Durability = "fsync") -> Self:
        """The store of a home folder, which need not exist yet."""
        from threadkeep.backends.local import LocalBackend

        return cls(LocalBackend(os.fspath(home)), durability=durability)

    @classmethod
    def in_memory(cls) -> Self:
        """A store that lives as long as the process."""
        return cls(MemoryBackend(), durability="os")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the backend."""
        self._access.scratch.close()
        self.backend.close()

    # Reading

    def thread_id(self, prefix: str) -> str:
        """The id of the one thread whose id begins with ``prefix``.

        Raises:
            ThreadNotFound: There is none.
            AmbiguousId: There are several.
        """
        return self._access.thread_id(prefix)

    def read(self, thread: str, *, counts: bool = False, cost: Cost | None = None) -> Thread:
        """A thread: what its records, its home and threadkeep say of it.

        Args:
            thread: Its id, or a unique prefix.
            counts: Also count its records, which costs a scan of what was not counted before.
            cost: Where to count what it costs.

        Raises:
            ThreadNotFound: There is none.
        """
        return read_thread(self._access, self._access.locate(thread), cost or Cost(), counts=counts)

    def resume(self, thread: str) -> Resumed:
        """What the thread's next turn starts with, found from its end (``storage.md`` 3).

        Raises:
            ThreadNotFound: There is none.
            BrokenLineage: An ancestor that is needed is missing or changed.
        """
        return self._resumed(thread, bounded=True)

    def replay(self, thread: str) -> Resumed:
        """The same as `resume`, computed from the whole history: the definition of correct, for `verify` and tests."""
        return self._resumed(thread, bounded=False)

    def _resumed(self, thread: str, *, bounded: bool) -> Resumed:
        located = self._access.locate(thread)
        cost = Cost()
        with self._access.open(located, cost) as lineage:
            context = read_context(lineage, self._access if bounded else None)
            settings = msgspec.json.decode(context.settings) if context.settings is not None else None
            usage = msgspec.json.decode(context.usage, type=TokenUsageInfo) if context.usage is not None else None
            return Resumed(located.thread_id, lineage.tip.rollout_id, lineage.mode, context, settings, usage, cost)

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
        cost = Cost()
        with self._access.open(self._access.locate(thread), cost) as lineage:
            page = turn_page(lineage, self._access, cursor=cursor, limit=limit, descending=descending, view=view)
        return Page([entry.turn for entry in page.data], page.next_cursor, page.backwards_cursor, cost)

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
        cost = Cost()
        with self._access.open(self._access.locate(thread), cost) as lineage:
            page = item_page(lineage, self._access, cursor=cursor, limit=limit, descending=descending, turn_id=turn)
        data = [
            {
                "turnId": entry.turn_id,
                "item": entry.item,
                "startedAtMs": entry.item["startedAtMs"],
                "completedAtMs": entry.item["completedAtMs"],
            }
            for entry in page.data
        ]
        return Page(data, page.next_cursor, page.backwards_cursor, cost)

    def turn(self, thread: str, turn: str, *, view: ItemsView = "full") -> dict[str, Any] | None:
        """One turn by its id; None where the thread shows none of that id."""
        with self._access.open(self._access.locate(thread), Cost()) as lineage:
            entry = find_turn(lineage, turn, self._access, view)
        return entry.turn if entry is not None else None

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
            sort: By last change or by creation.
            descending: Newest first.
            cursor: Where to go on: the cursor of the page before.
            limit: Threads of the page, 1 to 1,000.
            chosen: Which threads; by default those that are not archived.
            cost: Where to count what it costs.
            progress: Told from time to time how many threads were looked at.

        Raises:
            InvalidCursor: The cursor is none, or belongs to a list in another order.
        """
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

    # Writing

    def create(
        self,
        *,
        cwd: str,
        mode: str = PAGINATED,
        model_provider: str | None = None,
        base_instructions: str | None = None,
        source: str = "cli",
        originator: str = ORIGINATOR,
        git: Mapping[str, str] | None = None,
        dynamic_tools: Sequence[Mapping[str, Any]] | None = None,
    ) -> Writer:
        """Begin a new thread and hold its lease; its rollout is made with the first record that is appended.

        Args:
            cwd: The folder that the thread works in.
            mode: History mode: ``paginated``, or ``legacy`` for readers from before it.
            model_provider: Name of the model provider.
            base_instructions: The instructions that the model starts with.
            source: Where the thread is begun (``cli``, ``vscode``, ``exec``, ...).
            originator: Name of the client that begins it.
            git: ``commit_hash``, ``branch``, ``repository_url``, as far as they are known.
            dynamic_tools: Tools of the client.

        Raises:
            InvalidRequest: The mode is none.
        """
        if mode not in (LEGACY, PAGINATED):
            raise InvalidRequest(f"a thread is {LEGACY} or {PAGINATED}, not {mode!r}")
        backend = self.backend
        thread_id = backend.ids.new()
        meta = build.session_meta(
            thread_id=thread_id,
            timestamp=utc(backend.clock.now_ms()),
            cwd=cwd,
            originator=originator,
            cli_version=_version.__version__,
            source=source,
            model_provider=model_provider,
            base_instructions={"text": base_instructions} if base_instructions is not None else None,
            history_mode=mode,
            window_id=backend.ids.new(),
            dynamic_tools=dynamic_tools,
            git=git,
        )
        return Writer(
            backend,
            backend.lease(thread_id),
            mode=mode,
            durability=self.durability,
            open_rollout=self._open_rollout,
            first=NewRecord("session_meta", meta),
        )

    def writer(self, thread: str) -> Writer:
        """Take the right to append to a thread.

        Raises:
            ThreadNotFound: There is no such thread.
            ThreadBusy: Somebody holds it; the error names the owner where the system tells.
            InvalidRequest: The thread is archived.
        """
        located = self._writable(thread)
        backend = self._access.backend_of(located.thread_id)
        lease = backend.lease(located.thread_id)
        try:
            # Under the lease the current rollout is looked for again: it may have been reverted since.
            with self._access.open(self._writable(located.thread_id), Cost()) as lineage:
                mode = lineage.mode
            return Writer(backend, lease, mode=mode, durability=self.durability, open_rollout=self._open_rollout)
        except BaseException:
            lease.release()
            raise

    def _writable(self, thread: str) -> Located:
        located = self._access.locate(thread)
        if located.archived:
            raise InvalidRequest(
                f"thread {located.thread_id} is archived; unarchive it first", thread=located.thread_id
            )
        return located

    def _open_rollout(self, lease: Lease, cost: Cost) -> tuple[RolloutRef, int | None]:
        """The current rollout of a leased thread, and the ordinal of its next record."""
        located = self._access.locate(lease.thread_id)
        with self._access.open(located, cost) as lineage:
            tip = lineage.tip
            if tip.mode == LEGACY:
                return located.ref, None
            ordinal = next_ordinal(tip.source, tip.source.size, 0)
            base = tip.base
            if ordinal is None:
                ordinal = base.end_ordinal_exclusive + 1 if base is not None else 1
            return located.ref, ordinal

    def fork(
        self, thread: str, *, through: str | None = None, before: str | None = None, ephemeral: bool = False
    ) -> Thread:
        """Make a new thread that goes on from a place in this one; nothing is copied.

        Args:
            thread: The source: its id, or a unique prefix.
            through: Id of the last turn that the fork has; by default it has all, a running one up to now.
            before: Id of the first turn that the fork does not have.
            ephemeral: Keep the fork in memory; it is gone with the store.

        Raises:
            ThreadNotFound: There is no such thread.
            TurnNotFound: It shows no such turn.
            Unsupported: The backend cannot keep a history base.
        """
        cost = Cost()
        thread_id, _ = fork(
            self._access,
            self._access.locate(thread),
            Place(through, before),
            cost,
            ephemeral=ephemeral,
            durability=self.durability,
        )
        return self.read(thread_id, cost=cost)

    def revert(self, thread: str, *, before: str, local: bool = False) -> Thread:
        """Take the newest turns of a thread back: it goes on from before a turn. What is taken back stays in its file.

        Args:
            thread: Its id, or a unique prefix.
            before: Id of the first turn that is taken back.
            local: For a thread that Codex has indexed: keep the revert to threadkeep, moving nothing of Codex's.

        Raises:
            CodexOwned: Codex has indexed the thread, and the change is not local.
            ThreadBusy: Somebody is writing to it.
            TurnNotFound: It shows no such turn.
        """
        cost = Cost()
        located = self._access.locate(thread)
        revert(self._access, located, before, cost, local=local, durability=self.durability)
        return self.read(located.thread_id, cost=cost)

    def base_instructions(self, thread: str) -> str | None:
        """The instructions that the model starts with, as the nearest rollout of the lineage states them."""
        with self._access.open(self._access.locate(thread), Cost()) as lineage:
            raw = stated_instructions(lineage)
        value = msgspec.json.decode(raw) if raw is not None else None
        return value.get("text") if isinstance(value, dict) else None
