"""Self-contained copies: a thread whose history lies in several rollouts, written as one that needs no other.

Codex reads the history bases that it wrote itself. It refuses those that threadkeep makes on legacy rollouts, and it
knows nothing of pins, anchors and rollouts that threadkeep keeps to itself. A copy holds the records of the whole
lineage as the bytes that they are; a legacy part is converted (`LegacyConverter`), since a rollout has one mode.

A thread that Codex has not indexed gets the copy as its newest rollout, which Codex then finds before the older one
(0.169.0 observed: read, resumed and listed in any order, with and without its index; a list that scans the folders
shows both, as it does with Codex's own reverts). One that it has indexed keeps the rollout that the index names,
whatever is put beside it; so the copy becomes a thread of its own, forked from it.
Nothing that is there already is changed or removed.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.errors import InvalidRequest, ThreadkeepError, UnreadableRollout
from threadkeep.ids import timestamp_ms, utc
from threadkeep.lineage import UNRESOLVABLE_OFFSET, Lineage, check_boundary
from threadkeep.records import (
    LEGACY,
    PAGINATED,
    Cost,
    encode_record,
    lines_forward,
    present,
    read_head,
    records_of,
    renumbered,
)
from threadkeep.replay import read_context, read_place
from threadkeep.replay._convert import LegacyConverter, RollbackPlan
from threadkeep.store._access import Located, current_of
from threadkeep.store._forks import stated_instructions
from threadkeep.store._models import Materialized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from threadkeep.backends import Backend, Durability, RolloutRef
    from threadkeep.lineage import Segment
    from threadkeep.records import Record
    from threadkeep.replay import ModelContext
    from threadkeep.store._access import Access

__all__ = ["materialize", "to_materialize"]

_PIECE: Final = 1 << 20
"""Bytes that are gathered before they are written."""

_NAMING_MS: Final = 50
"""Codex names a rollout at most this long after it made its id (37 ms observed)."""

_LONGEST_WAIT_MS: Final = 2_000

_BATCH: Final = 64
"""Threads that others in the home are asked about at once."""

_LARGEST_ORDINAL: Final = 2**63
"""Ordinals from here on are damage: counting would not get far beyond them."""

_OF_THE_CHILD: Final = frozenset({"history_base", "forked_from_ordinal_exclusive", "subagent_history_start_ordinal"})
"""What the first record says of the rollout's place in its lineage; a copy has none."""

_OF_AN_AGENT: Final = frozenset(
    {
        "attached_thread",
        "parent_thread_id",
        "thread_source",
        "agent_nickname",
        "agent_role",
        "agent_type",
        "agent_path",
    }
)
"""What makes a thread the sub-agent of another; a copy under a new id is a thread by itself."""


class _CopiedFrom(msgspec.Struct):
    """threadkeep's own key in a copy's first record: the rollout that was current then, and its end."""

    rollout: str
    end: int


class _Note(msgspec.Struct):
    copied_from: _CopiedFrom | None = None


class _Noted(msgspec.Struct):
    threadkeep: _Note | None = None


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
        InvalidRequest: The thread needs no other rollout as it is.
        BrokenLineage: An ancestor is missing or changed.
        ThreadBusy: Somebody is writing to it.
    """
    backend = access.backend_of(located.thread_id)
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
            apart = located.facts.indexed or not _wait_for_a_later_name(backend, located)
            made = _copy(access, backend, located, lineage, durability, progress, apart=apart)
            if made.thread_id == located.thread_id and backend.facts([located.thread_id])[located.thread_id].indexed:
                # Codex has met the older rollout while the copy was written, and will not look at a newer one.
                backend.remove(_ref_of(made), lease)
                made = _copy(access, backend, located, lineage, durability, progress, apart=True)
        cost.bytes_written += made.bytes_written
        if made.thread_id == located.thread_id and located.marks.current is not None:
            marks = backend.marks(located.thread_id)
            backend.set_marks(located.thread_id, msgspec.structs.replace(marks, current=made.rollout_id))
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
    lines = _lines(access, lineage, _first(backend, lineage, thread_id), thread_id, utc(backend.clock.now_ms()))
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


# The copy's bytes


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


def _first(backend: Backend, lineage: Lineage, thread_id: str) -> dict[str, Any]:
    """The first record's payload: the current rollout's, without what it inherits from."""
    tip = lineage.tip
    meta, record = tip.head.meta, tip.head.record
    payload = record.payload if record is not None else None
    if meta is None or payload is None:
        raise UnreadableRollout(
            "the thread's first record is damaged, so a copy cannot carry it on",
            thread=lineage.thread_id,
            rollout=tip.rollout_id,
            path=tip.source.path,
            offset=0,
        )
    members: dict[str, Any] = msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
    for member in _OF_THE_CHILD:
        members.pop(member, None)
    if thread_id != lineage.thread_id:
        for member in _OF_AN_AGENT:
            members.pop(member, None)
        members |= {"session_id": thread_id, "id": thread_id, "forked_from_id": lineage.thread_id}
        members["timestamp"] = utc(backend.clock.now_ms())
        if not isinstance(meta.source, str):
            members["source"] = "vscode"
    cwd, provider = read_place(lineage)
    members["history_mode"] = PAGINATED
    members["cwd"] = meta.cwd or cwd
    members["model_provider"] = meta.model_provider or provider
    if not present(meta.base_instructions):
        members["base_instructions"] = stated_instructions(lineage)
    root = lineage.oldest_first()[0]
    if root.mode == PAGINATED and root.head.meta is not None:
        copied = root.head.meta.subagent_history_start_ordinal
        if copied is not None:  # what a sub-agent was given of its parent's history is not shown as its own
            members["subagent_history_start_ordinal"] = copied
    members["threadkeep"] = _Note(_CopiedFrom(tip.rollout_id, tip.end))
    return members


def _lines(access: Access, lineage: Lineage, first: dict[str, Any], thread_id: str, now: str) -> Iterator[bytes]:
    yield encode_record("session_meta", first, timestamp=now, ordinal=0)
    numbers = _Numbers()
    for segment in lineage.oldest_first():
        records = records_of(lines_forward(segment.source, segment.start, segment.end))
        if segment.mode == LEGACY:
            for line in _converted(access, segment, thread_id):
                yield renumbered(line.removesuffix(b"\n"), numbers.following(None)) + b"\n"
        else:
            yield from (_numbered(record, numbers) for record in records if record.kind != "session_meta")
        segment.source.rest()


def _numbered(record: Record, numbers: _Numbers) -> bytes:
    """A record's line with an ordinal that fits; a damaged line is kept as it is."""
    if not record.intact:
        return record.line + b"\n"
    ordinal = numbers.following(record.ordinal)
    return (record.line if ordinal == record.ordinal else renumbered(record.line, ordinal)) + b"\n"


class _Numbers:
    """Ordinals that increase: those that records have as long as they do, else the next ones."""

    def __init__(self) -> None:
        self._last = 0

    def following(self, own: int | None) -> int:
        """The ordinal of the next record, which has this one so far."""
        fits = own is not None and 0 < own < _LARGEST_ORDINAL
        self._last = own if own is not None and fits else self._last + 1
        return self._last


def _converted(access: Access, segment: Segment, thread_id: str) -> Iterator[bytes]:
    """A legacy part of the history as lines of a paginated rollout, without ordinals."""

    def records() -> Iterator[Record]:
        return records_of(lines_forward(segment.source, segment.start, segment.end))

    rollbacks = access.of(segment).rollbacks
    rolled_back = rollbacks is None or bool(rollbacks)
    converter = LegacyConverter(thread_id, RollbackPlan(records()) if rolled_back else None)
    for record in records():
        yield from converter.feed(record)
    yield from converter.close(_context_of(access, segment) if rolled_back else None)


def _context_of(access: Access, segment: Segment) -> ModelContext:
    """The model context at the end of a segment that inherits from nothing."""
    meta = segment.head.meta
    own = meta.id if meta is not None else segment.rollout_id
    # Not closed: its only source is the segment's, and is closed with it.
    return read_context(Lineage(access, segment.source, own, segment.source.cost, end=segment.end), access)


# Which threads need a copy


def to_materialize(access: Access) -> list[str]:
    """Ids of the threads that Codex cannot read without threadkeep, and threadkeep can; oldest first.

    They inherit from a legacy rollout, from one of which only a pin is left or whose boundary was anchored anew, or
    their current rollout lies where only threadkeep looks. A thread of which a copy exists is left out, unless it
    has grown since. Reads the first record of every rollout that is a current one, or is inherited from.
    """
    reach = _Reach(access)
    wanted: list[tuple[str, str, int]] = []
    copied: set[tuple[str, int]] = set()
    for located in _all_located(access):
        try:
            with access.open(located, Cost()) as lineage:
                tip = lineage.tip
                note = tip.head.record.view(_Noted) if tip.head.record is not None else None
                if note is not None and note.threadkeep is not None and note.threadkeep.copied_from is not None:
                    copied.add((note.threadkeep.copied_from.rollout, note.threadkeep.copied_from.end))
                if not reach.codex_reads(located.ref):
                    lineage.oldest_first()
                    wanted.append((located.thread_id, tip.rollout_id, tip.end))
        except ThreadkeepError:
            continue  # nobody can read it: what `doctor` is for
    return [thread_id for thread_id, rollout, end in wanted if (rollout, end) not in copied]


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
