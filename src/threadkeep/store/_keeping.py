"""What a store does with threads as wholes: name, archive, delete, erase, materialize, mend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from threadkeep.records import Cost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from threadkeep.backends import Durability
    from threadkeep.store._access import Access
    from threadkeep.store._models import DeletePlan, Erasure, Finding, Materialized, Thread
    from threadkeep.store._writer import Writer

__all__ = ["Keeping"]


class Keeping:
    """The part of `ThreadStore` that keeps the threads of a home in order."""

    durability: Durability
    _access: Access

    def rename(self, thread: str, name: str, *, local: bool = False, writer: Writer | None = None) -> Thread:
        """Give a thread a name; an empty one takes its name away.

        A thread that Codex has indexed is renamed by the installed Codex.

        Args:
            thread: Its id, or a unique prefix.
            name: The name, one line.
            local: For a thread that Codex has indexed: keep the name to threadkeep.
            writer: The thread's writer, where the caller holds it.

        Raises:
            ThreadNotFound: There is no such thread.
            CodexOwned: Codex has indexed the thread, none is installed, and the change is not local.
            ThreadBusy: Somebody is writing to it.
        """
        from threadkeep.store._manage import rename

        held = writer.lease if writer is not None else None
        return rename(self._access, self._access.locate(thread), name, local=local, held=held)

    def set_git(self, thread: str, facts: Mapping[str, str | None]) -> Thread:
        """Set git facts of a thread, in place of those that its records state; kept to threadkeep.

        Args:
            thread: Its id, or a unique prefix.
            facts: ``commit_hash``, ``branch``, ``repository_url``, as far as they change; None clears one.

        Raises:
            ThreadNotFound: There is no such thread.
        """
        from threadkeep.store._manage import set_git

        return set_git(self._access, self._access.locate(thread), facts)

    def archive(self, thread: str, *, local: bool = False) -> Thread:
        """Put a thread away: lists leave it out, nothing is appended to it; what inherits from it is not touched.

        A thread that Codex has indexed is archived by the installed Codex. Archiving an archived thread is no error.

        Args:
            thread: Its id, or a unique prefix.
            local: For a thread that Codex has indexed: keep it to threadkeep, moving nothing.

        Raises:
            ThreadNotFound: There is no such thread.
            CodexOwned: Codex has indexed the thread, none is installed, and the change is not local.
            ThreadBusy: Somebody is writing to it.
        """
        from threadkeep.store._manage import set_archived

        return set_archived(self._access, self._access.locate(thread), archived=True, local=local)

    def unarchive(self, thread: str, *, local: bool = False) -> Thread:
        """Take a thread out of the archive; the counterpart of `archive`, with its errors."""
        from threadkeep.store._manage import set_archived

        return set_archived(self._access, self._access.locate(thread), archived=False, local=local)

    def plan_delete(self, thread: str, *, cascade: bool = False, reclaim: bool = False) -> DeletePlan:
        """What `delete` would do, changing nothing.

        Args:
            thread: Its id, or a unique prefix; a deleted one that stays for others is found by its whole id.
            cascade: Delete everything that came from it, too.
            reclaim: Keep only the bytes that others inherit, where others do.

        Raises:
            ThreadNotFound: There is no such thread.
        """
        from threadkeep.store._deletion import plan_delete

        return plan_delete(self._access, thread, cascade=cascade, reclaim=reclaim)

    def delete(self, thread: str, *, cascade: bool = False, reclaim: bool = False) -> DeletePlan:
        """Delete a thread; what others inherit from it stays theirs. Returns what was done.

        A thread that others inherit from is hidden and frees nothing, unless ``reclaim`` is given: then the bytes that
        others need are written to a new file that takes the place of the old one.

        Args:
            thread: Its id, or a unique prefix.
            cascade: Delete everything that came from it, too; without it descendants are never touched.
            reclaim: Keep only the bytes that others inherit, where others do.

        Raises:
            ThreadNotFound: There is no such thread.
            ThreadBusy: Somebody is writing to one of the threads; nothing was deleted.
        """
        from threadkeep.store._deletion import delete

        return delete(self._access, thread, cascade=cascade, reclaim=reclaim)

    def forget(self, thread: str) -> None:
        """Let an ephemeral thread go, and the memory that it takes.

        Args:
            thread: Its id.

        Raises:
            ThreadNotFound: There is no such thread.
            InvalidRequest: It is kept, not ephemeral.
            StillInherited: Another ephemeral thread inherits from it; nothing was done.
            ThreadBusy: Somebody is writing to it.
        """
        from threadkeep.store._ephemeral import forget

        forget(self._access, self._access.locate(thread))

    def erase(self, thread: str, text: str) -> Erasure:
        """Overwrite a text (a leaked secret) wherever a thread and its relatives hold it.

        The only operation that changes a record. Every occurrence in the thread's rollouts, in those that it inherits
        from and that inherit from it, and in what pins hold is overwritten by as many bytes, so that no place moves;
        what is derived, and what a stopped program had begun to write, is dropped. A copy that `materialize` made is a
        thread of its own.

        Args:
            thread: Its id, or a unique prefix.
            text: What is erased; at least four characters.

        Raises:
            ThreadNotFound: There is no such thread.
            InvalidRequest: The text is too short to be meant, or overwriting it would break a record.
            ThreadBusy: Somebody is writing to one of the threads; nothing was changed.
        """
        from threadkeep.store._erase import erase

        return erase(self._access, self._access.locate(thread, hidden=True), text)

    def materialize(self, thread: str, *, progress: Callable[[int], None] | None = None) -> Materialized:
        """Write a self-contained rollout of a thread that Codex can read without threadkeep.

        Args:
            thread: Its id, or a unique prefix.
            progress: Told from time to time how many bytes were written.

        Raises:
            ThreadNotFound: There is no such thread.
            BrokenLineage: An ancestor is missing or changed.
            ThreadBusy: Somebody is writing to it.
        """
        from threadkeep.store._materialize import materialize

        located = self._access.locate(thread)
        return materialize(self._access, located, Cost(), durability=self.durability, progress=progress)

    def to_materialize(self) -> list[str]:
        """Ids of the threads that Codex cannot read without threadkeep's help."""
        from threadkeep.store._materialize import to_materialize

        return to_materialize(self._access)

    def doctor(self, *, fix: bool = False, progress: Callable[[str], None] | None = None) -> Iterator[Finding]:
        """Look the whole home over: damage, broken lineages, unused pins, leftovers, stale locks and rows.

        Args:
            fix: Mend what can be mended without losing anything.
            progress: Told which thread is looked at.
        """
        from threadkeep.store._doctor import doctor

        return doctor(self._access, fix=fix, progress=progress)
