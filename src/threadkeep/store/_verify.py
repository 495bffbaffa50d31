"""``verify``: what is answered fast, compared with what the whole history says, on the user's own thread.

Every comparison reads the thread as it stood when verifying began: its end is fixed once. What is held grows with the
number of turns and items by a few dozen bytes each, never with their size; the model context is the one answer that is
held whole. Pages are read to the end in both directions, 100 entries each; pages of other sizes are read from a bounded
number of places, so that all of it costs a fixed number of passes over the history.

What no reader of a file can see is not promised: an edit in the middle of an ancestor that leaves every record whole is
found where a pin still holds the old bytes (another program replaced the file), and where the thread was verified
before the edit: verifying seals what is inherited with a digest of all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from threadkeep.errors import CorruptHistory, StorageFailure, ThreadNotFound
from threadkeep.records import Cost, lines_backward, records_of
from threadkeep.records._damage import inspect
from threadkeep.replay._starts import ENDS, starts_turn
from threadkeep.store._verification import Check, Verification
from threadkeep.store._verify_inherited import Prefix, check_inheritance
from threadkeep.store._verify_pages import check_pages
from threadkeep.store._verify_replay import check_context, check_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from threadkeep.lineage import Lineage
    from threadkeep.records import Damage, Source
    from threadkeep.store._access import Access, Located

__all__ = ["being_written", "verify"]

_TELL_BYTES: Final = 1 << 20


def verify(access: Access, located: Located, *, progress: Callable[[int], None] | None = None) -> Verification:
    """Compare fast with full for one thread, and inspect every byte of its history (see `ThreadStore.verify`)."""
    cost = Cost()
    told = _Told(cost, progress)
    damage: list[Damage] = []
    checks: list[Check] = []
    problem: str | None = None
    try:
        damage.extend(_damage_of(access, located, cost, progress=told))
        with access.open(located, cost) as lineage:
            lineage.oldest_first()
            checks.extend(_checks(access, located, lineage, damage, told))
    except (CorruptHistory, StorageFailure, ThreadNotFound) as error:
        problem = str(error)
    told.end()
    return Verification(located.thread_id, checks, damage, problem, cost)


def _checks(access: Access, located: Located, lineage: Lineage, damage: list[Damage], told: _Told) -> Iterator[Check]:
    """The comparisons. Rows are looked at first: what they feed is compared when they have been set right."""
    metadata = check_metadata(access, located, lineage)
    told()
    yield from check_context(access, lineage)
    told()
    yield metadata
    yield from check_pages(access, lineage, told)
    yield check_inheritance(access, lineage, damage, told)


def _damage_of(
    access: Access, located: Located, cost: Cost, *, progress: Callable[[], None] | None = None
) -> Iterator[Damage]:
    """What is wrong with the rollouts of a thread's lineage, as far as their bytes belong to it, newest rollout first.

    Raises:
        CorruptHistory: The lineage is broken; what could be reached was inspected before.
    """
    tell = (lambda _done: progress()) if progress is not None else None
    backend = access.backend_of(located.thread_id)
    try:
        lineage = access.open(located, cost)
    except CorruptHistory:
        source = backend.open(located.ref, cost)
        try:
            yield from inspect(source, thread_id=located.thread_id, progress=tell)
        finally:
            source.close()
        raise
    with lineage:
        tip = lineage.tip
        yield from inspect(
            tip.source,
            thread_id=located.thread_id,
            being_written=being_written(access, lineage.thread_id, tip.source),
            progress=tell,
        )
        for segment in lineage.newest_first():
            if segment.depth:
                # A turn that runs at the boundary goes on in the child: as far as this thread goes it is at work.
                yield from inspect(Prefix(segment.source, segment.end), being_written=True, progress=tell)


def being_written(access: Access, thread_id: str, source: Source) -> bool:
    """Whether somebody holds the thread. Asked only where it makes a difference: the last line or turn is not ended."""
    if _at_rest(source):
        return False
    try:
        return access.backend_of(thread_id).held(thread_id)
    except StorageFailure:
        return False  # a home that cannot be written to has no writers


def _at_rest(source: Source) -> bool:
    if source.size == 0 or source.read(source.size - 1, 1) != b"\n":
        return source.size == 0
    for record in records_of(lines_backward(source, source.size)):
        if starts_turn(record):
            return False
        if record.subtype in ENDS:
            return True
    return True


class _Told:
    """Tells how many bytes were read, when another megabyte was."""

    def __init__(self, cost: Cost, progress: Callable[[int], None] | None) -> None:
        self._cost = cost
        self._progress = progress
        self._last = 0

    def __call__(self) -> None:
        if self._progress is not None and self._cost.bytes_read - self._last >= _TELL_BYTES:
            self._last = self._cost.bytes_read
            self._progress(self._last)

    def end(self) -> None:
        if self._progress is not None:
            self._progress(self._cost.bytes_read)
