"""Lineages: the chain of segments from the current rollout back to its root, opened only as far as somebody reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, Self

from threadkeep.errors import BrokenLineage, UnreadableRollout
from threadkeep.lineage._boundary import check_boundary, snapshot_end
from threadkeep.records import PAGINATED, Boundary, Cost, Head, HistoryBase, Source, read_head

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["MAX_DEPTH", "Library", "Lineage", "Segment"]

MAX_DEPTH: Final = 10_000
"""Most segments that a lineage may have. Forks of forks are allowed up to here."""


class Library(Protocol):
    """Where ancestors are found: what a lineage needs of a backend."""

    def sources(self, rollout_id: str, cost: Cost) -> Iterator[Source]:
        """Every place that may hold this rollout, best first: the rollout itself, then what pins keep of it."""
        ...

    def anchored(self, child: str) -> Boundary | None:
        """The boundary that took the place of the one in ``child``'s first record, where ``doctor`` made one."""
        ...

    def first_seen(self, child: str, base: HistoryBase, source: Source, end: int) -> None:
        """A boundary without a digest was verified: the place to pin the base of a child that Codex made.

        Raises:
            BrokenLineage: It was pinned before, and these are not the bytes that it inherited then.
        """
        ...


class Segment:
    """A stretch of one rollout that belongs to a lineage.

    Attributes:
        source: The rollout's bytes.
        head: What its beginning says.
        start: Offset of the first record after the rollout's ``session_meta``.
        end: Offset where the segment ends: the child's boundary, or the end that the operation fixed.
        depth: 0 for the current rollout, 1 for what it inherits from, and so on.
    """

    __slots__ = ("depth", "end", "head", "source", "start")

    def __init__(self, source: Source, head: Head, end: int, depth: int) -> None:
        self.source = source
        self.head = head
        self.start = min(head.start, end)
        self.end = end
        self.depth = depth

    def __repr__(self) -> str:
        return f"<Segment {self.rollout_id}[{self.start}:{self.end}] depth {self.depth}>"

    @property
    def rollout_id(self) -> str:
        """Id of the rollout that owns the segment."""
        return self.source.rollout_id

    @property
    def mode(self) -> str:
        """History mode of the rollout."""
        return self.head.mode

    @property
    def base(self) -> HistoryBase | None:
        """What the rollout inherits from; None for a root. A legacy rollout is one whatever it says, as for Codex."""
        meta = self.head.meta
        return meta.history_base if meta is not None and self.mode == PAGINATED else None

    @property
    def inherits(self) -> bool:
        """Whether something older belongs before this segment, known or lost with a damaged first line."""
        if self.head.meta is not None:
            return self.base is not None
        return self.mode == PAGINATED and (self.head.first_ordinal or 0) > 1


class Lineage:
    """The segments of one thread, newest first, resolved one by one as a reader goes back.

    Ancestors that nobody reads are not opened: what a child needs of them is checked when it is needed.
    """

    def __init__(self, library: Library, tip: Source, thread_id: str, cost: Cost, *, end: int | None = None) -> None:
        self._library = library
        self._cost = cost
        self.thread_id = thread_id
        fixed = snapshot_end(tip) if end is None else end
        head = read_head(tip, fixed, thread_id=thread_id)
        if head.meta is not None and head.meta.id != thread_id:
            raise UnreadableRollout(
                f"the rollout belongs to thread {head.meta.id}, not {thread_id}",
                thread=thread_id,
                rollout=tip.rollout_id,
                path=tip.path,
                offset=0,
            )
        self._segments = [Segment(tip, head, fixed, 0)]
        self._seen = {tip.rollout_id}
        self._complete = not self._segments[0].inherits

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def tip(self) -> Segment:
        """The current rollout's segment."""
        return self._segments[0]

    @property
    def resolved(self) -> Sequence[Segment]:
        """The segments resolved so far, newest first."""
        return self._segments

    def order(self, rollout_id: str, offset: int) -> tuple[int, int]:
        """A key that sorts places from old to new; of a rollout that was not resolved yet: older than all others."""
        for segment in self._segments:
            if segment.rollout_id == rollout_id:
                return -segment.depth, offset
        return -(MAX_DEPTH + 1), offset

    @property
    def cost(self) -> Cost:
        """What reading this lineage cost so far."""
        return self._cost

    @property
    def mode(self) -> str:
        """History mode of the thread: that of its current rollout."""
        return self.tip.mode

    def close(self) -> None:
        """Close every source that was opened."""
        for segment in self._segments:
            segment.source.close()

    def newest_first(self) -> Iterator[Segment]:
        """The segments from the current rollout back to the root.

        Raises:
            BrokenLineage: The next older segment is missing, changed, cut, cyclic or too deep.
        """
        index = 0
        while True:
            yield self._segments[index]
            if index:
                self._segments[index - 1].source.rest()
            index += 1
            if index == len(self._segments):
                if self._complete:
                    return
                self._segments.append(self._older(self._segments[-1]))
                self._complete = not self._segments[-1].inherits

    def segment(self, rollout_id: str) -> Segment | None:
        """The lineage's segment of a rollout, resolving no further back than to it; None where it has none.

        Raises:
            BrokenLineage: As `newest_first`.
        """
        return next((segment for segment in self.newest_first() if segment.rollout_id == rollout_id), None)

    def oldest_first(self) -> list[Segment]:
        """The whole lineage, root first.

        Raises:
            BrokenLineage: As `newest_first`.
        """
        return list(self.newest_first())[::-1]

    def _older(self, child: Segment) -> Segment:
        base = child.base
        if base is None:
            raise BrokenLineage(
                f"the first line of rollout {child.rollout_id} is damaged, and with it what it inherits from",
                thread=self.thread_id,
                rollout=child.rollout_id,
                path=child.source.path,
                offset=0,
            )
        if child.depth + 1 >= MAX_DEPTH:
            raise BrokenLineage(
                f"the lineage is deeper than {MAX_DEPTH} rollouts", thread=self.thread_id, rollout=child.rollout_id
            )
        if base.thread_id in self._seen:
            raise BrokenLineage(
                f"rollout {child.rollout_id} inherits from rollout {base.thread_id}, which inherits from it: a cycle",
                thread=self.thread_id,
                rollout=base.thread_id,
            )
        anchored = self._library.anchored(child.rollout_id)
        trouble: Exception | None = None
        for source in self._library.sources(base.thread_id, self._cost):
            try:
                head = read_head(source, source.size)
                end = check_boundary(base, anchored, source, head, child.rollout_id)
                if base.threadkeep is None and anchored is None:
                    self._library.first_seen(child.rollout_id, base, source, end)
            except (BrokenLineage, UnreadableRollout) as error:
                # The first candidate is the rollout itself: what is wrong with it is what the user must hear.
                trouble = trouble or error
                source.close()
                continue
            self._seen.add(base.thread_id)
            return Segment(source, head, end, child.depth + 1)
        if trouble is not None:
            raise BrokenLineage(str(trouble), thread=self.thread_id, rollout=base.thread_id) from trouble
        raise BrokenLineage(
            f"rollout {child.rollout_id} inherits from rollout {base.thread_id}, which is nowhere in this store",
            thread=self.thread_id,
            rollout=base.thread_id,
        )
