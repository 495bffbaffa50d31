"""Who inherits from whom, read from the first record of every rollout: never from the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from threadkeep.backends import RolloutRef
from threadkeep.errors import CorruptHistory, StorageFailure, ThreadNotFound
from threadkeep.records import PAGINATED, Cost, read_head
from threadkeep.store._access import newness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from threadkeep.backends import Backend
    from threadkeep.records import SessionMeta
    from threadkeep.store._access import Access

__all__ = ["Inheritance", "Link", "read_inheritance"]

_TOLD_EVERY = 256


class Link(msgspec.Struct):
    """What the first record of one rollout says of where it came from.

    Attributes:
        ref: The rollout.
        size: Its stored bytes.
        mtime_ns: When it changed last.
        start: Offset of its first record after the ``session_meta``.
        base: Id of the rollout that it inherits from; None for a root.
        end: Where the inheritance ends, in the base's bytes.
        forked_from: The thread that it was forked from.
        parent: The thread that spawned it.
        copied_until: The first ordinal of its own, where an agent's rollout says that what stands before is a copy.
        ephemeral: Whether it lives in memory alone.
    """

    ref: RolloutRef
    size: int
    mtime_ns: int
    start: int = 0
    base: str | None = None
    end: int = 0
    forked_from: str | None = None
    parent: str | None = None
    copied_until: int | None = None
    ephemeral: bool = False


class Inheritance:
    """The links of every rollout of a store.

    Attributes:
        links: By rollout; of one that lies in several places, one of them.
        threads: The rollouts of each thread, oldest first, in every place in which one lies.
        heirs: The rollouts that inherit from each.
        unseen: What could not be read, so that nobody knows from whom it inherits: why, by thread; that of folders
            by the empty string.
    """

    def __init__(self, links: Iterable[Link], unseen: Mapping[str, str] | None = None) -> None:
        self.unseen = unseen or {}
        self.links: dict[str, Link] = {}
        self.threads: dict[str, list[Link]] = {}
        self.heirs: dict[str, list[Link]] = {}
        self._inherited: dict[str, int] = {}
        for link in links:
            self.links[link.ref.rollout_id] = link
            self.threads.setdefault(link.ref.thread_id, []).append(link)
            if link.base is not None:
                self.heirs.setdefault(link.base, []).append(link)
        for links_of in self.threads.values():
            links_of.sort(key=lambda link: newness(link.ref))

    def must_hold(self, thread_id: str) -> None:
        """Make sure that a thread that was there before this was read still is.

        Raises:
            ThreadNotFound: It was removed meanwhile.
            StorageFailure: It may be where something could not be read.
        """
        if thread_id not in self.threads:
            for trouble in self.unseen.values():
                raise StorageFailure(f"nobody can say whether thread {thread_id} is there: {trouble}", thread=thread_id)
            raise ThreadNotFound(f"thread {thread_id} was removed meanwhile", thread=thread_id)

    def must_be_whole(self, thread_id: str) -> None:
        """Make sure that everybody who inherits from a thread is known: before anything of it is removed or changed.

        Raises:
            StorageFailure: Something else than the thread itself could not be read.
        """
        for other, trouble in self.unseen.items():
            if other != thread_id:
                raise StorageFailure(
                    f"nobody can say who inherits from thread {thread_id}: {trouble}", thread=thread_id
                )

    def needed(self, thread_id: str, gone: set[str]) -> dict[str, tuple[int, set[str]]]:
        """How much of each of a thread's rollouts others need, as rollout id -> (end, threads that inherit it).

        Args:
            thread_id: The thread.
            gone: Threads whose needs do not count.
        """
        needs: dict[str, tuple[int, set[str]]] = {}
        pending = [link.ref.rollout_id for link in self.threads.get(thread_id, [])]
        while pending:
            rollout = pending.pop()
            for heir in self.heirs.get(rollout, []):
                if heir.ref.thread_id == thread_id:
                    # One rollout of the thread needs another (it was reverted) as far as somebody needs it.
                    heirs = needs.get(heir.ref.rollout_id, (0, set()))[1]
                elif heir.ref.thread_id in gone:
                    continue
                else:
                    heirs = {heir.ref.thread_id}
                end, known = needs.get(rollout, (0, set()))
                if heirs and (heir.end > end or not heirs <= known):
                    needs[rollout] = (max(end, heir.end), known | heirs)
                    base = self.links[rollout].base
                    if base is not None and self.links.get(base) in self.threads[thread_id]:
                        pending.append(base)
        return needs

    def through(self, heirs: set[str]) -> list[str]:
        """These threads and all that inherit what they inherit."""
        found, pending = set(heirs), list(heirs)
        while pending:
            for link in self.threads[pending.pop()]:
                further = {heir.ref.thread_id for heir in self.heirs.get(link.ref.rollout_id, [])} - found
                found |= further
                pending.extend(further)
        return sorted(found)

    def came_from(self, thread_id: str) -> str | None:
        """The thread that a thread came from: its source or spawner where they are there, else who it inherits from."""
        link = self.threads[thread_id][0]
        for known in (link.parent, link.forked_from):
            if known is not None and known != thread_id and known in self.threads:
                return known
        return self.inherits_from(thread_id)

    def inherits_from(self, thread_id: str) -> str | None:
        """The thread of which a thread holds a part by reference; None where it stands alone."""
        return next(self.bases(thread_id), None)

    def bases(self, thread_id: str) -> Iterator[str]:
        """The threads of which a thread's rollouts hold a part by reference, the oldest rollout's first."""
        for link in self.threads[thread_id]:
            base = self.links.get(link.base) if link.base is not None else None
            if base is not None and base.ref.thread_id != thread_id:
                yield base.ref.thread_id

    def descendants(self, thread_id: str) -> list[str]:
        """Every thread that came from a thread, nearest first."""
        children: dict[str, list[str]] = {}
        for other in sorted(self.threads):
            source = self.came_from(other)
            if source is not None:
                children.setdefault(source, []).append(other)
        found = {thread_id: None}
        order = [thread_id]
        for thread in order:
            for child in children.get(thread, []):
                if child not in found:
                    found[child] = None
                    order.append(child)
        return order[1:]

    def inherited_bytes(self, rollout_id: str) -> int:
        """Decoded bytes of ancestors that belong to a rollout's history, as far as they are there."""
        chain: list[str] = []
        known = self._inherited
        link = self.links.get(rollout_id)
        while link is not None and link.base is not None and link.ref.rollout_id not in known:
            known[link.ref.rollout_id] = 0  # a rollout that inherits from itself is met again with this
            chain.append(link.ref.rollout_id)
            link = self.links.get(link.base)
        for rollout in reversed(chain):
            heir = self.links[rollout]
            assert heir.base is not None, "only rollouts with a base are in the chain"
            base = self.links.get(heir.base)
            own = max(0, heir.end - (base.start if base is not None else 0))
            known[rollout] = own + known.get(heir.base, 0)
        return known.get(rollout_id, 0)


def read_inheritance(access: Access, *, progress: Callable[[int], None] | None = None) -> Inheritance:
    """Read the first record of every rollout, those in memory included.

    A rollout that cannot be opened, or whose first record is damaged, inherits what a pin keeps for it; where there is
    none nobody can say.

    Args:
        access: The store's.
        progress: Told from time to time how many rollouts were read.
    """
    links: list[Link] = []
    unseen: dict[str, str] = {}
    for backend in dict.fromkeys((access.scratch, access.backend)):
        pinned = {pin.child: pin for pin in backend.pins()}
        missed: list[str] = []
        for link, trouble in _links(access, backend, missed):
            pin = pinned.get(link.ref.rollout_id)
            if link.base is None and pin is not None:
                link.base, link.end = pin.base, pin.end
            elif trouble is not None:
                unseen[link.ref.thread_id] = trouble
            link.ephemeral = backend is access.scratch
            links.append(link)
            if progress is not None and len(links) % _TOLD_EVERY == 0:
                progress(len(links))
        if missed:
            unseen[""] = missed[0]
    return Inheritance(links, unseen)


def _links(access: Access, backend: Backend, missed: list[str]) -> Iterator[tuple[Link, str | None]]:
    """Each rollout's link, and why it could not be read; what could not even be looked at is added to ``missed``."""
    seen: set[tuple[str, str]] = set()
    for ref, stat in sorted(backend.stats(missed), key=lambda found: found[0].archived):
        if (ref.rollout_id, stat.identity) in seen:
            continue  # a second name of the same file: a power cut in the middle of a move may have left it
        seen.add((ref.rollout_id, stat.identity))
        link = Link(ref, stat.size, stat.mtime_ns)
        try:
            source = backend.open(ref, Cost())
        except ThreadNotFound:
            continue
        except CorruptHistory:
            yield link, None
            continue
        except StorageFailure as error:
            yield link, str(error)
            continue
        try:
            head = read_head(source, source.size, thread_id=ref.thread_id)
        except CorruptHistory:
            yield link, None
            continue
        except StorageFailure as error:
            yield link, str(error)
            continue
        finally:
            source.close()
        link.start = head.start
        if head.meta is not None:
            _tell(access, link, head.meta)
        yield link, None


def _tell(access: Access, link: Link, meta: SessionMeta) -> None:
    link.forked_from = meta.forked_from_id
    link.parent = meta.parent_thread_id
    link.copied_until = meta.subagent_history_start_ordinal
    base = meta.history_base if meta.history_mode == PAGINATED else None
    if base is not None:
        anchored = access.anchored(link.ref.rollout_id)
        own = anchored if anchored is not None else base.threadkeep
        link.base = base.thread_id
        link.end = own.end if own is not None else base.end_byte_offset
