"""What a store does to its threads: begin, append, fork, revert."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep import _version
from threadkeep.errors import InvalidRequest
from threadkeep.ids import utc
from threadkeep.records import LEGACY, PAGINATED, Cost
from threadkeep.store._models import ORIGINATOR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from threadkeep.backends import Backend, Durability, Lease, RolloutRef
    from threadkeep.store._access import Access, Located
    from threadkeep.store._models import Thread
    from threadkeep.store._writer import Writer

__all__ = ["Writing"]

CODEX_PROVIDER: Final = "openai"
"""Codex's own provider: the one that it takes where its configuration names none."""

_TAKEN_OVER: Final = ("model", "effort", "approval_policy")
_RIGHTS: Final = ("permission_profile", "sandbox_policy")
"""The two forms in which a turn's rights are stated: both are taken over, or neither."""


class Writing:
    """The part of `ThreadStore` that adds records and rollouts."""

    backend: Backend
    durability: Durability
    _access: Access

    def create(
        self,
        *,
        cwd: str,
        mode: str = PAGINATED,
        model_provider: str | None = None,
        base_instructions: str | None = None,
        source: str = "cli",
        thread_source: str | None = None,
        originator: str = ORIGINATOR,
        git: Mapping[str, str] | None = None,
        dynamic_tools: Sequence[Mapping[str, Any]] | None = None,
        runtime_workspace_roots: Sequence[str] | None = None,
        ephemeral: bool = False,
    ) -> Writer:
        """Begin a new thread and hold its lease; its rollout is made with the first record that is appended.

        Args:
            cwd: The folder that the thread works in.
            mode: History mode: ``paginated``, or ``legacy`` for readers from before it.
            model_provider: Name of the model provider; in a home shared with Codex ``openai`` where it is not given,
                since Codex resumes no thread without one.
            base_instructions: The instructions that the model starts with.
            source: Where the thread is begun (``cli``, ``vscode``, ``exec``, ...).
            thread_source: Who begins it (``user``, ``subagent``, ...), where that is known.
            originator: Name of the client that begins it.
            git: ``commit_hash``, ``branch``, ``repository_url``, as far as they are known.
            dynamic_tools: Tools of the client.
            runtime_workspace_roots: The folders that the thread may write to.
            ephemeral: Keep the thread in memory; it is gone with the store.

        Raises:
            InvalidRequest: The mode is none.
        """
        from threadkeep.records import _build as build
        from threadkeep.store._writer import NewRecord, Writer

        if mode not in (LEGACY, PAGINATED):
            raise InvalidRequest(f"a thread is {LEGACY} or {PAGINATED}, not {mode!r}")
        backend = self._access.scratch if ephemeral else self.backend
        if model_provider is None and backend.shared_with_codex:
            model_provider = CODEX_PROVIDER
        thread_id = backend.ids.new()
        meta = build.session_meta(
            thread_id=thread_id,
            timestamp=utc(backend.clock.now_ms()),
            cwd=cwd,
            originator=originator,
            cli_version=_version.__version__,
            source=source,
            thread_source=thread_source,
            runtime_workspace_roots=runtime_workspace_roots,
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
            location=backend.planned_location(thread_id, thread_id),
            open_rollout=self._open_rollout,
            settings=lambda: {"cwd": cwd, "model_provider": model_provider},
            first=NewRecord("session_meta", meta),
        )

    def writer(self, thread: str) -> Writer:
        """Take the right to append to a thread.

        Raises:
            ThreadNotFound: There is no such thread.
            ThreadBusy: Somebody holds it; the error names the owner where the system tells.
            InvalidRequest: The thread is archived.
        """
        from threadkeep.store._writer import Writer

        located = self._writable(thread)
        backend = self._access.backend_of(located.thread_id)
        lease = backend.lease(located.thread_id)
        try:
            # Under the lease the current rollout is looked for again: it may have been reverted since.
            located = self._writable(located.thread_id)
            with self._access.open(located, Cost()) as lineage:
                mode = lineage.mode
            return Writer(
                backend,
                lease,
                mode=mode,
                durability=self.durability,
                location=located.ref.location,
                open_rollout=self._open_rollout,
                settings=lambda: self._settings(located.thread_id),
            )
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

    def _settings(self, thread_id: str) -> dict[str, Any]:
        """What a thread was set to last, as its next turn takes it over."""
        from threadkeep.replay import read_context, read_place

        with self._access.open(self._access.locate(thread_id), Cost()) as lineage:
            cwd, provider = read_place(lineage)
            context = read_context(lineage, self._access)
        stated = msgspec.json.decode(context.settings) if context.settings is not None else {}
        rights = any(stated.get(form) is not None for form in _RIGHTS)
        return {
            **(dict.fromkeys(_RIGHTS) if rights else {}),
            **{name: stated[name] for name in (*_TAKEN_OVER, *_RIGHTS) if stated.get(name) is not None},
            "cwd": stated.get("cwd") or cwd,
            "model_provider": provider,
        }

    def _open_rollout(self, lease: Lease, cost: Cost) -> tuple[RolloutRef, int | None]:
        """The current rollout of a leased thread, and the ordinal of its next record."""
        from threadkeep.lineage import next_ordinal

        located = self._access.locate(lease.thread_id)
        with self._access.open(located, cost) as lineage:
            tip = lineage.tip
            if tip.mode == LEGACY:
                return located.ref, None
            ordinal = next_ordinal(tip.source, tip.source.size, 0)
            base = tip.base
            if ordinal is None:
                ordinal = base.end_ordinal_exclusive + 1 if base is not None else 1
            meta = tip.head.meta
            copied = meta.subagent_history_start_ordinal if meta is not None else None
            # Where a copied beginning was cut short, what is numbered on from there would count as copied, too.
            return located.ref, max(ordinal, copied or 0)

    def fork(
        self,
        thread: str,
        *,
        through: str | None = None,
        before: str | None = None,
        ephemeral: bool = False,
        originator: str = ORIGINATOR,
        source: str | None = None,
        thread_source: str | None = None,
        cost: Cost | None = None,
    ) -> Thread:
        """Make a new thread that goes on from a place in this one; nothing is copied.

        Args:
            thread: The source: its id, or a unique prefix.
            through: Id of the last turn that the fork has; by default it has all, a running one up to now.
            before: Id of the first turn that the fork does not have.
            ephemeral: Keep the fork in memory; it is gone with the store.
            originator: Name of the client that makes it.
            source: Where it is begun (``cli``, ``vscode``, ...); by default where the source was.
            thread_source: Who begins it (``user``, ``subagent``, ...), where that is known.
            cost: Where to count what it costs.

        Raises:
            ThreadNotFound: There is no such thread.
            TurnNotFound: It shows no such turn.
            Unsupported: The backend cannot keep a history base.
        """
        from threadkeep.store._forks import Begun, Place, fork
        from threadkeep.store._threads import read_thread

        cost = cost or Cost()
        thread_id, _ = fork(
            self._access,
            self._access.locate(thread),
            Place(through, before),
            cost,
            ephemeral=ephemeral,
            durability=self.durability,
            begun=Begun(originator, source, thread_source),
        )
        return read_thread(self._access, self._access.locate(thread_id), cost)

    def revert(self, thread: str, *, before: str, local: bool = False) -> Thread:
        """Take the newest turns of a thread back: it goes on from before a turn. What is taken back stays in its file.

        Args:
            thread: Its id, or a unique prefix.
            before: Id of the first turn that is taken back.
            local: For a thread that Codex has indexed: keep the revert to threadkeep, moving nothing of Codex's.

        Raises:
            CodexOwned: Codex has indexed the thread, and the change is not local.
            InvalidRequest: The thread is archived.
            ThreadBusy: Somebody is writing to it.
            TurnNotFound: It shows no such turn.
        """
        from threadkeep.store._forks import revert
        from threadkeep.store._threads import read_thread

        cost = Cost()
        located = self._access.locate(thread)
        revert(self._access, located, before, cost, local=local, durability=self.durability)
        return read_thread(self._access, self._access.locate(located.thread_id), cost)
