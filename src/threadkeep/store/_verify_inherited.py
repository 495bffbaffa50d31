"""What a thread inherits: every byte of it still there, still whole, and the same in every place that holds it."""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING, Final

from threadkeep.backends import Seal
from threadkeep.errors import Conflict, StorageFailure
from threadkeep.lineage import next_ordinal
from threadkeep.records import PAGINATED, Cost
from threadkeep.store._comparison import Comparison

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from threadkeep.lineage import Lineage, Segment
    from threadkeep.records import Damage, Source
    from threadkeep.store._access import Access
    from threadkeep.store._verification import Check

__all__ = ["Prefix", "check_inheritance"]

_PIECE: Final = 1 << 20


class Prefix:
    """The first bytes of a source, as a source: what belongs to the threads that inherit them."""

    def __init__(self, source: Source, size: int) -> None:
        self._source = source
        self.size = size

    @property
    def rollout_id(self) -> str:
        """Id of the rollout."""
        return self._source.rollout_id

    @property
    def path(self) -> str | None:
        """Where the bytes lie."""
        return self._source.path

    @property
    def cost(self) -> Cost:
        """Where the bytes fetched are counted."""
        return self._source.cost

    def read(self, offset: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``offset``."""
        return self._source.read(offset, size)

    def rest(self) -> None:
        """Let go of descriptors."""
        self._source.rest()

    def close(self) -> None:
        """Nothing: the source belongs to its lineage."""


def check_inheritance(access: Access, lineage: Lineage, damage: Sequence[Damage], told: Callable[[], None]) -> Check:
    """The check ``inheritance``.

    That a boundary falls between two records and that the bytes before it are the ones that were inherited was checked
    when the lineage was resolved. Here: the first record, every record in between, the ordinal at the boundary, what
    pins hold, and that all bytes are what they were when they were verified first.
    """
    inheritance = Comparison("inheritance")
    segments = list(lineage.newest_first())
    for child, base in itertools.pairwise(segments):
        _compare_base(access, child, base, inheritance)
        _compare_pins(access, child, base, inheritance, told)
    inherited = {segment.rollout_id for segment in segments[1:]}
    for found in damage:
        if found.rollout in inherited:
            inheritance.holds(
                f"rollout {found.rollout}, line {found.line}, byte {found.offset}: {found.detail}",
                true=found.severity != "error",
            )
    for child, base in itertools.pairwise(segments):  # last, since it names no place
        _compare_seal(access, child, base, inheritance, told)
    return inheritance.check()


def _compare_base(access: Access, child: Segment, base: Segment, inheritance: Comparison) -> None:
    stated = child.base
    assert stated is not None, "a segment with an older one has a base"
    ref = access.backend_of(base.rollout_id).find(base.rollout_id)
    meta = base.head.meta
    if ref is not None and meta is not None:
        inheritance.equal(f"thread of rollout {base.rollout_id}", ref.thread_id, meta.id)
    if base.mode == PAGINATED and stated.threadkeep is not None and access.anchored(child.rollout_id) is None:
        inheritance.equal(
            f"ordinal after byte {base.end} of rollout {base.rollout_id}",
            stated.end_ordinal_exclusive,
            next_ordinal(base.source, base.end, 0) or 1,
        )


def _compare_pins(
    access: Access, child: Segment, base: Segment, inheritance: Comparison, told: Callable[[], None]
) -> None:
    backend = access.backend
    ref = backend.find(base.rollout_id)
    identity = backend.stat(ref).identity if ref is not None else None
    for pin in backend.pins_of(base.rollout_id):
        held = backend.pinned_size(pin)
        if pin.child != child.rollout_id or held is None or held[0] == identity:
            continue  # a second name of the same bytes
        source = backend.open_pin(pin, base.source.cost)
        try:
            place = _first_difference(base.source, source, base.end, told)
        finally:
            source.close()
        inheritance.holds(
            f"rollout {base.rollout_id} is not what was pinned for rollout {child.rollout_id}: byte {place} differs",
            true=place is None,
        )


def _compare_seal(
    access: Access, child: Segment, base: Segment, inheritance: Comparison, told: Callable[[], None]
) -> None:
    """The bytes that are inherited are those that were read when they were verified first: then they are sealed."""
    seal = _seal_of(base.source, base.end, told)
    known = access.backend.sealed(child.rollout_id)
    if known is None or (known.base, known.end) != (seal.base, seal.end):
        # A home that cannot be written to, or in which somebody deletes for long, is verified all the same.
        with contextlib.suppress(StorageFailure, Conflict):
            _set_seal(access, child.rollout_id, seal, told)
        return
    inheritance.holds(
        f"the {base.end} bytes of rollout {base.rollout_id} that rollout {child.rollout_id} inherits are not what they "
        "were when they were verified first",
        true=known == seal,
    )


def _set_seal(access: Access, child: str, seal: Seal, told: Callable[[], None]) -> None:
    """Remember it where these are the bytes still: an erasure may have changed them since they were opened."""
    with access.backend.guard(exclusive=False):
        for source in access.sources(seal.base, Cost()):
            try:
                if source.size >= seal.end:  # the first that holds them is the one that is read
                    if _seal_of(source, seal.end, told) == seal:
                        access.backend.set_seal(child, seal)
                    return
            finally:
                source.close()


def _seal_of(source: Source, end: int, told: Callable[[], None]) -> Seal:
    import hashlib

    digest = hashlib.sha256()
    for start in range(0, end, _PIECE):
        digest.update(source.read(start, min(_PIECE, end - start)))
        told()
    return Seal(source.rollout_id, end, digest.hexdigest())


def _first_difference(one: Source, other: Source, end: int, told: Callable[[], None]) -> int | None:
    """The first byte before ``end`` in which two sources differ; None where they do not."""
    if other.size < end:
        return other.size
    for start in range(0, end, _PIECE):
        size = min(_PIECE, end - start)
        left, right = one.read(start, size), other.read(start, size)
        told()
        if left != right:
            return start + next(index for index in range(size) if left[index] != right[index])
    return None
