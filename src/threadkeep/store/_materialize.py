"""Self-contained copies: a thread whose history lies in several rollouts, written as one that needs no other.

Codex reads the history bases that it wrote itself. It refuses those that threadkeep makes on legacy rollouts, and it
knows nothing of pins, anchors and rollouts that threadkeep keeps to itself. A copy holds the records of the whole
lineage as the bytes that they are; a legacy part is converted (`LegacyConverter`), since a rollout has one mode.

A thread that Codex has not indexed gets the copy as its newest rollout, which Codex then finds before the older one
(0.169.0 observed: read, resumed and listed in any order, with and without its index; a list that scans the folders
shows both, as it does with Codex's own reverts). One that it has indexed keeps the rollout that the index names,
whatever is put beside it; so the copy becomes a thread of its own, forked from it. Nothing that is there already is
changed or removed.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from typing import TYPE_CHECKING, Final

import msgspec

from threadkeep.errors import InvalidRequest, ThreadkeepError
from threadkeep.ids import timestamp_ms, utc
from threadkeep.lineage import UNRESOLVABLE_OFFSET, Lineage, check_boundary
from threadkeep.records import PAGINATED, Cost, read_head
from threadkeep.store._access import Located, current_of
from threadkeep.store._models import Materialized
from threadkeep.store._self_contained import CopiedFrom, copied_from, copied_lines, first_members

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from threadkeep.backends import Backend, Durability, RolloutRef
    from threadkeep.store._access import Access

__all__ = ["materialize", "to_materialize"]

_PIECE: Final = 1 << 20
"""Bytes that are gathered before they are written."""

_NAMING_MS: Final = 50
"""Codex names a rollout at most this long after it made its id (37 ms observed)."""

_LONGEST_WAIT_MS: Final = 2_000

_BATCH: Final = 64
"""Threads that others in the home are asked about at once."""


def materialize(
    access: Access,
    located: Located,
    cost: Cost,
    *,
    durability: Durability,
    progress: Callable[[int], None] | None = None,
) -> Materialized:
    """Write a self-contained rollout of a thread (see `ThreadStore.materialize`).

    Raises:
        InvalidRequest: The thread needs no other rollout as it is, or lives in memory alone.
        BrokenLineage: An ancestor is missing or changed.
        ThreadBusy: Somebody is writing to it.
    """
    backend = access.backend_of(located.thread_id)
    if backend is access.scratch:
        raise InvalidRequest(
            f"thread {located.thread_id} is ephemeral: it lives in memory, where Codex does not look",
            thread=located.thread_id,
        )
    lease = backend.lease(located.thread_id)
    try:
        located = access.locate(located.thread_id)
        with backend.guard(exclusive=False), access.open(located, cost) as lineage:
            segments = lineage.oldest_first()
            if len(segments) == 1 and not _is_kept(located.ref):
                raise InvalidRequest(
                    f"thread {located.thread_id} inherits from no other rollout: Codex reads it as it is",
                    thread=located.thread_id,
                )
            apart = located.kept_apart or not _wait_for_a_later_name(backend, located)
            made = _copy(access, backend, located, lineage, durability, progress, apart=apart)
            if made.thread_id == located.thread_id and backend.facts([located.thread_id])[located.thread_id].indexed:
                # Codex has met the older rollout while the copy was written, and will not look at a newer one.
                backend.remove(_ref_of(made), lease)
                made = _copy(access, backend, located, lineage, durability, progress, apart=True)
        cost.bytes_written += made.bytes_written
        if made.thread_id == located.thread_id and located.marks.current is not None:
            backend.change_marks(
                located.thread_id, lambda marks: msgspec.structs.replace(marks, current=made.rollout_id)
            )
    finally:
        lease.release()
    return _put_away(backend, made) if located.archived else made


def _wait_for_a_later_name(backend: Backend, located: Located) -> bool:
    """Let the second pass in which the thread's newest rollout was named; False where that would take too long.

    Of a thread that it has not indexed Codex takes the rollout whose name tells the latest second; between two of one
    second it takes any (0.169.0 observed).
    """
    rollouts = backend.rollouts_of(located.thread_id)
    named = [timestamp_ms(ref.rollout_id) or 0 for ref in rollouts if "/rollout-" in ref.location]
    wanted = (max(named, default=0) + _NAMING_MS) // 1000 * 1000 + 1000
    missing = wanted - backend.clock.now_ms()
    if named and 0 < missing <= _LONGEST_WAIT_MS:
        time.sleep(missing / 1000)
    return not named or backend.clock.now_ms() >= wanted


def _copy(
    access: Access,
    backend: Backend,
    located: Located,
    lineage: Lineage,
    durability: Durability,
    progress: Callable[[int], None] | None,
    *,
    apart: bool,
) -> Materialized:
    """Write the copy: as the thread's newest rollout, or ``apart`` as a thread of its own with the same name."""
    rollout_id = backend.ids.new()
    thread_id = rollout_id if apart else located.thread_id
    written = _Count()
    lines = copied_lines(
        access, lineage, first_members(backend, lineage, thread_id), thread_id, utc(backend.clock.now_ms())
    )
    pieces = _pieces(lines, written, progress)
    ref = backend.create(thread_id, rollout_id, pieces, durability=durability, kept=False)
    if apart and located.name:
        backend.set_name(thread_id, located.name)
    return Materialized(thread_id, located.thread_id, rollout_id, ref.location, written.bytes)


def _put_away(backend: Backend, made: Materialized) -> Materialized:
    """The copy of an archived thread is archived, too."""
    lease = backend.lease(made.thread_id)
    try:
        moved = backend.move(_ref_of(made), lease, archived=True)
    finally:
        lease.release()
    return msgspec.structs.replace(made, location=moved.location)


def _ref_of(made: Materialized) -> RolloutRef:
    from threadkeep.backends import RolloutRef

    return RolloutRef(made.rollout_id, made.thread_id, made.location)


def _is_kept(ref: RolloutRef) -> bool:
    """Whether only threadkeep looks at the place where a rollout lies."""
    return ref.location.startswith("threadkeep/")


class _Count:
    bytes = 0


def _pieces(lines: Iterator[bytes], written: _Count, progress: Callable[[int], None] | None) -> Iterator[bytes]:
    """Lines in pieces of some size; after each, how much was written so far is told."""
    held: list[bytes] = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line)
        if size >= _PIECE:
            yield b"".join(held)
            written.bytes += size
            held, size = [], 0
            if progress is not None:
                progress(written.bytes)
    yield b"".join(held)
    written.bytes += size
    if progress is not None:
        progress(written.bytes)


# Which threads need a copy


def to_materialize(access: Access) -> list[str]:
    """Ids of the threads that Codex cannot read without threadkeep, and threadkeep can; oldest first.

    They inherit from a legacy rollout, from one of which only a pin is left or whose boundary was anchored anew, or
    their current rollout lies where only threadkeep looks. A thread of which a copy exists is left out, unless it
    has grown since. Reads the first record of every rollout that is a current one, or is inherited from.
    """
    reach = _Reach(access)
    wanted: list[tuple[str, CopiedFrom]] = []
    copied: set[CopiedFrom | None] = set()
    for located in _all_located(access):
        try:
            with access.open(located, Cost()) as lineage:
                tip = lineage.tip
                copied.add(copied_from(tip.head.record))
                if not reach.codex_reads(located.ref):
                    lineage.oldest_first()
                    wanted.append((located.thread_id, CopiedFrom(tip.rollout_id, tip.end)))
        except ThreadkeepError:
            continue  # nobody can read it: what `doctor` is for
    return [thread_id for thread_id, state in wanted if state not in copied]


def _all_located(access: Access) -> Iterator[Located]:
    """Every thread that is there and has one current rollout, oldest first."""
    backend = access.backend
    threads = backend.by_creation(descending=False, after=None)
    while batch := list(itertools.islice(threads, _BATCH)):
        facts = backend.facts([thread_id for _, thread_id, _ in batch])
        for _, thread_id, refs in batch:
            marks = backend.marks(thread_id)
            if not marks.hidden:
                with contextlib.suppress(ThreadkeepError):
                    ref = current_of(thread_id, backend, refs, facts[thread_id], marks)
                    yield Located(thread_id, ref, facts[thread_id], marks)


class _Reach:
    """How far Codex comes by itself: from a rollout to all that it inherits from."""

    def __init__(self, access: Access) -> None:
        self._backend = access.backend
        self._known: dict[str, bool] = {}

    def codex_reads(self, ref: RolloutRef) -> bool:
        """Whether Codex finds the rollout, and everything that it inherits from, and takes it for the same."""
        met: list[str] = []
        following: RolloutRef | None = ref
        answer = True
        while following is not None:
            known = self._known.get(following.rollout_id)
            if known is not None or following.rollout_id in met:
                answer = bool(known)
                break
            met.append(following.rollout_id)
            if _is_kept(following):
                answer = False
                break
            answer, following = self._step(following)
        for rollout_id in met:
            self._known[rollout_id] = answer
        return answer

    def _step(self, ref: RolloutRef) -> tuple[bool, RolloutRef | None]:
        """(whether Codex reads on, what the rollout inherits from)."""
        source = self._backend.open(ref, Cost())
        try:
            head = read_head(source, source.size, thread_id=ref.thread_id)
        finally:
            source.close()
        base = head.meta.history_base if head.meta is not None and head.mode == PAGINATED else None
        if base is None:
            return True, None
        below = self._backend.find(base.thread_id)
        if (
            base.end_byte_offset >= UNRESOLVABLE_OFFSET
            or self._backend.anchored(ref.rollout_id) is not None
            or below is None
        ):
            return False, None
        source = self._backend.open(below, Cost())
        try:
            check_boundary(base, None, source, read_head(source, source.size), ref.rollout_id)
        except ThreadkeepError:
            return False, None
        finally:
            source.close()
        return True, below
