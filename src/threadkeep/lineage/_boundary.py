"""Boundaries: where inherited history ends, and what proves that it is still the history that was inherited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from threadkeep.errors import BrokenLineage
from threadkeep.records import (
    PAGINATED,
    Boundary,
    HistoryBase,
    Source,
    committed_end,
    lines_backward,
    record_of,
    records_of,
)

if TYPE_CHECKING:
    from threadkeep.records import Head, Record

__all__ = [
    "DIGEST_WINDOW",
    "UNRESOLVABLE_OFFSET",
    "boundary_digest",
    "check_boundary",
    "digest_of",
    "next_ordinal",
    "snapshot_end",
]

DIGEST_WINDOW: Final = 4096
"""Bytes before a boundary that its digest covers: a few records, one small read."""

UNRESOLVABLE_OFFSET: Final = 2**62
"""Stands in Codex's own offset field where Codex must never resolve a base (``architecture.md``, legacy parent)."""

_TAIL_RECORDS: Final = 64
"""How many records before a boundary are searched for the ordinal that must precede it."""

_UNCOUNTED: Final = frozenset({"", "state"})


def snapshot_end(source: Source) -> int:
    """The end that an operation fixes once: after the last newline, or after an unterminated record that is whole.

    A last line without its newline is kept by Codex when it parses (``storage.md`` 7.3); one that does not parse is
    being written, or torn, and is not part of the history.
    """
    end = committed_end(source)
    tail = source.size - end
    if 0 < tail <= (1 << 26) and record_of(end, source.read(end, tail)).intact:
        return source.size
    return end


def boundary_digest(source: Source, end: int) -> str:
    """First 32 hex digits of the SHA-256 of the last `DIGEST_WINDOW` bytes before ``end``."""
    start = max(0, end - DIGEST_WINDOW)
    return digest_of(source.read(start, end - start))


def digest_of(tail: bytes) -> str:
    """The digest of a boundary, from the last `DIGEST_WINDOW` bytes before it (fewer where there are no more)."""
    import hashlib

    return hashlib.sha256(tail).hexdigest()[:32]


def next_ordinal(source: Source, end: int, start: int) -> int | None:
    """The ordinal that follows the newest record of ``source[start:end]`` that has one; None where none has."""
    for record in records_of(lines_backward(source, end, start)):
        if record.ordinal is not None:
            return record.ordinal + 1
    return None


def effective_boundary(base: HistoryBase, anchored: Boundary | None) -> tuple[int, Boundary | None]:
    """The byte offset at which a base ends, and threadkeep's own facts about it where there are some."""
    own = anchored if anchored is not None else base.threadkeep
    return (own.end if own is not None else base.end_byte_offset), own


def check_boundary(base: HistoryBase, anchored: Boundary | None, source: Source, head: Head, child: str) -> int:
    """Verify that ``source`` still is what ``child`` inherits from; return the offset where the inheritance ends.

    Checked: the mode, the length, that the boundary falls between two records, and the digest; for a boundary that
    Codex made (which carries no digest) the ordinal before it instead. Trap 25: a change near the boundary is noticed
    before any byte is served.

    Raises:
        BrokenLineage: The ancestor was cut, edited or migrated.
    """
    end, own = effective_boundary(base, anchored)

    def broken(what: str) -> BrokenLineage:
        return BrokenLineage(
            f"rollout {child} inherits from rollout {source.rollout_id} up to byte {end}, but {what}; "
            "`threadkeep doctor` says whether the boundary can be anchored again",
            rollout=source.rollout_id,
            path=source.path,
            offset=end,
        )

    mode = own.mode if own is not None else PAGINATED
    if head.mode != mode:
        raise broken(f"that rollout is {head.mode} now, not {mode}")
    if end > source.size:
        raise broken(f"that rollout holds only {source.size} bytes: it was cut")
    if end < head.start:
        raise broken("that lies inside its first record")
    if end and source.read(end - 1, 1) != b"\n":
        raise broken("no record ends there: it was edited")
    if own is not None:
        if boundary_digest(source, end) != own.digest:
            raise broken("the records before that place are not the ones that were inherited")
        return end
    for seen, record in enumerate(records_of(lines_backward(source, end, 0))):
        if _counts(record) and record.ordinal is not None and record.ordinal + 1 == base.end_ordinal_exclusive:
            break
        if seen >= _TAIL_RECORDS:
            raise broken(f"no record with ordinal {base.end_ordinal_exclusive - 1} stands before that place")
    else:
        raise broken(f"no record with ordinal {base.end_ordinal_exclusive - 1} stands before that place")
    return end


def _counts(record: Record) -> bool:
    return record.kind not in _UNCOUNTED
