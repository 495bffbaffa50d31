"""Forks, reverts and materialized copies: new rollouts that refer to old ones, or that need none."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import msgspec

from threadkeep import _version
from threadkeep.backends import RolloutRef
from threadkeep.errors import CorruptHistory, InvalidForkPoint, InvalidRequest, TurnNotFound, Unsupported
from threadkeep.ids import utc
from threadkeep.lineage import fork_point
from threadkeep.records import PAGINATED, Cost, SessionMeta, encode_record, present, record_of
from threadkeep.records import _build as build
from threadkeep.replay import find_turn, forked_facts, next_turn, read_place
from threadkeep.store._access import must_be_pointed_at
from threadkeep.store._models import ORIGINATOR
from threadkeep.store._threads import facts_at_end, keep_facts
from threadkeep.store._turn_records import interrupt_marker

if TYPE_CHECKING:
    from threadkeep.backends import Backend, Durability
    from threadkeep.lineage import ForkPoint, Lineage, Segment
    from threadkeep.store._access import Access, Located

__all__ = ["Begun", "Place", "fork", "place_of", "revert"]


class Begun(msgspec.Struct, frozen=True):
    """By whom a child is begun, where it is not as its source was.

    Attributes:
        originator: The client that begins it.
        source: Where it is begun; None: as its source.
        thread_source: Who begins it; None where nobody says.
    """

    originator: str = ORIGINATOR
    source: str | None = None
    thread_source: str | None = None


class Place(msgspec.Struct, frozen=True):
    """A fork point as the caller names it: at most one of the two; neither is the head.

    Attributes:
        through: Id of the last turn that the child has.
        before: Id of the first turn that the child does not have.
    """

    through: str | None = None
    before: str | None = None


def place_of(access: Access, lineage: Lineage, place: Place) -> tuple[str, int | None, bool]:
    """Where a fork starts: (rollout, offset, whether a turn that runs there is cut off).

    Raises:
        InvalidRequest: Both kinds of place were named.
        TurnNotFound: The thread shows no such turn.
    """
    if place.through is not None and place.before is not None:
        raise InvalidRequest("`before` cannot be combined with `through`", thread=lineage.thread_id)
    tip = lineage.tip
    wanted = place.through or place.before
    if wanted is None:
        return tip.rollout_id, None, True
    entry = find_turn(lineage, wanted, access)
    if entry is None:
        raise TurnNotFound(f"turn not found: {wanted}", thread=lineage.thread_id)
    if place.before is not None:
        return entry.position.rollout, entry.position.offset, False
    if entry.end is not None:
        segment = lineage.segment(entry.end.rollout)
        if segment is not None and entry.end.offset > segment.end:
            return entry.end.rollout, None, True  # its last line has no end yet: a fork at the head leaves it out, too
        return entry.end.rollout, entry.end.offset, False
    following = next_turn(lineage, entry)
    if following is not None:  # it was cut off, and something else began
        return following.rollout, following.offset, True
    return tip.rollout_id, None, True


def fork(
    access: Access,
    source: Located,
    place: Place,
    cost: Cost,
    *,
    ephemeral: bool,
    durability: Durability,
    begun: Begun,
) -> tuple[str, RolloutRef]:
    """Make a child that inherits by reference; nothing of the history is copied. Returns (thread id, rollout).

    Raises:
        Unsupported: The backend cannot keep a history base.
        InvalidForkPoint: No child can begin there.
    """
    backend = access.backend_of(source.thread_id)
    target = access.scratch if ephemeral else backend
    if not target.keeps_history_bases:
        raise Unsupported(f"{target.name} cannot keep a history base, so it cannot fork by reference")
    thread_id = target.ids.new()
    with contextlib.ExitStack() as held:
        held.enter_context(backend.guard(exclusive=False))
        source = access.locate(source.thread_id)  # it may have been deleted before nobody could do that any more
        lineage = held.enter_context(access.open(source, cost))
        rollout, offset, interrupts = place_of(access, lineage, place)
        point = fork_point(lineage, rollout, offset, interrupts=interrupts)
        whole = offset is None and _ends_with(lineage, point)
        facts = facts_at_end(access, source, lineage) if whole else None
        where = (facts.cwd or "/", facts.model_provider) if facts is not None else read_place(lineage)
        lines = _child_lines(target, _child_meta(target, lineage, point, thread_id, where, begun), point)
        if not ephemeral:
            _secure(access, backend, lineage, point, thread_id, durability)
        ref = target.create(thread_id, thread_id, lines, durability=durability, kept=False)
        cost.bytes_written += len(lines)
    meta = record_of(0, lines.partition(b"\n")[0]).view(SessionMeta)
    if facts is not None and meta is not None:
        keep_facts(access, target, ref, forked_facts(thread_id, meta, facts))
    return thread_id, ref


def _ends_with(lineage: Lineage, point: ForkPoint) -> bool:
    """Whether a fork at the head inherits all of its source: what is known of the source is true there."""
    tip = lineage.tip
    return point.end == tip.end if point.segment is tip else point.segment is not None and tip.end <= tip.start


def revert(access: Access, located: Located, before: str, cost: Cost, *, local: bool, durability: Durability) -> None:
    """Put the thread's end before a turn: a new rollout of the same thread that inherits what stands before it.

    Raises:
        CodexOwned: Codex has indexed the thread and cannot make the change itself, and it is not to be kept to
            threadkeep alone.
        InvalidRequest: The thread is archived.
        TurnNotFound: The thread shows no such turn.
        Unsupported: The backend cannot keep a history base.
    """
    backend = access.backend_of(located.thread_id)
    if not backend.keeps_history_bases:
        raise Unsupported(f"{backend.name} cannot keep a history base, so it cannot revert by reference")
    if located.is_codex_s(local=local):
        # Behind its back a revert would give the thread two ends; Codex reverts threads that it has loaded.
        thread = {"threadId": located.thread_id}
        backend.ask_codex(
            located.thread_id,
            [
                ("thread/resume", {**thread, "excludeTurns": True}),
                ("thread/revert", {**thread, "beforeTurnId": before}),
            ],
        )
        return
    lease = backend.lease(located.thread_id)
    try:
        located = access.locate(located.thread_id)  # it may have been reverted or archived before the lease was had
        if located.archived:
            raise InvalidRequest(
                f"thread {located.thread_id} is archived; unarchive it first", thread=located.thread_id
            )
        with backend.guard(exclusive=False), access.open(located, cost) as lineage:
            rollout, offset, _ = place_of(access, lineage, Place(before=before))
            point = fork_point(lineage, rollout, offset, interrupts=False)
            rollout_id = backend.ids.new()
            meta = _reverted_meta(backend, lineage, point)
            lines = _child_lines(backend, meta, point)
            _secure(access, backend, lineage, point, rollout_id, durability)
            backend.create(located.thread_id, rollout_id, lines, durability=durability, kept=located.kept_apart)
            cost.bytes_written += len(lines)
            if located.kept_apart or must_be_pointed_at(backend, located.thread_id, rollout_id):
                backend.change_marks(
                    located.thread_id, lambda marks: msgspec.structs.replace(marks, current=rollout_id)
                )
    finally:
        lease.release()


def _secure(
    access: Access, backend: Backend, lineage: Lineage, point: ForkPoint, child: str, durability: Durability
) -> None:
    """Before a child refers to bytes, they are flushed and pinned: the very ones that were read."""
    if point.base is None or point.segment is None:
        return
    assert point.base.threadkeep is not None
    base, path, digest = point.base.thread_id, point.segment.source.path or "", point.base.threadkeep.digest
    holder = access.scratch if access.scratch.find(base) is not None else backend
    ref = holder.find(base)
    if ref is None or not path.endswith(ref.location):
        # The base is gone or changed: another child's pin has what is inherited. There may be many of them.
        held = next((pin for pin in backend.pins_of(base) if path.endswith(pin.location)), None)
        if held is not None:
            backend.pin(child, RolloutRef(base, "", held.location, compressed=held.compressed), point.end, digest)
            return
    if ref is None:
        return
    if durability == "fsync":
        holder.flush(ref)
        _flush_ancestors(access, backend, lineage, point.segment)
    holder.pin(child, ref, point.end, digest)


def _flush_ancestors(access: Access, backend: Backend, lineage: Lineage, base: Segment) -> None:
    """Flush what a base inherits: of a fork that Codex made nobody has; of one of threadkeep's it was done then."""
    with contextlib.suppress(CorruptHistory):  # what is gone cannot be flushed
        for segment in lineage.newest_first():
            if segment.depth > base.depth:
                holder = access.scratch if access.scratch.find(segment.rollout_id) is not None else backend
                ref = holder.find(segment.rollout_id)
                if ref is not None:
                    holder.flush(ref)
            if segment.depth >= base.depth and (segment.base is None or segment.base.threadkeep is not None):
                return


def _child_lines(backend: Backend, meta: dict[str, Any], point: ForkPoint) -> bytes:
    now = utc(backend.clock.now_ms())
    ordinal = point.first_ordinal
    lines = [encode_record("session_meta", meta, timestamp=now, ordinal=ordinal)]
    if point.running is not None:
        turn_id, started_at = point.running
        marker = interrupt_marker(backend.ids.new(), turn_id)
        aborted = build.turn_aborted(turn_id, started_at=started_at)
        lines.append(encode_record("response_item", marker, timestamp=now, ordinal=ordinal + 1))
        lines.append(encode_record("event_msg", aborted, timestamp=now, ordinal=ordinal + 2))
    return b"".join(lines)


def _child_meta(
    backend: Backend, lineage: Lineage, point: ForkPoint, thread_id: str, place: tuple[str, str | None], begun: Begun
) -> dict[str, Any]:
    cwd, provider = place
    source = begun.source
    if source is None and lineage.tip.head.meta is not None:
        source = lineage.tip.head.meta.source
    # Codex takes its default instructions where a child states none. Other readers inherit them; and a child of a
    # legacy rollout is one that Codex refuses to read.
    states = backend.shared_with_codex and (point.segment is None or point.segment.mode == PAGINATED)
    return build.session_meta(
        thread_id=thread_id,
        timestamp=utc(backend.clock.now_ms()),
        cwd=cwd,
        originator=begun.originator,
        cli_version=_version.__version__,
        source=source if isinstance(source, str) else "vscode",
        thread_source=begun.thread_source,
        model_provider=provider,
        base_instructions=stated_instructions(lineage) if states else None,
        state_instructions=states,
        history_mode=PAGINATED,
        forked_from_id=lineage.thread_id,
        forked_from_ordinal_exclusive=point.base.end_ordinal_exclusive if point.base is not None else None,
        history_base=point.base,
        window_id=backend.ids.new(),
    )


def _reverted_meta(backend: Backend, lineage: Lineage, point: ForkPoint) -> dict[str, Any]:
    """The thread's own first record with another base: what it says of the thread stays what it was."""
    record = lineage.tip.head.record
    payload: dict[str, Any] = {}
    if record is not None and record.payload is not None:
        payload = msgspec.json.decode(record.payload)
    if not payload:
        raise InvalidForkPoint(
            "the thread's first record is damaged, so a revert cannot carry it on",
            thread=lineage.thread_id,
            rollout=lineage.tip.rollout_id,
        )
    payload["timestamp"] = utc(backend.clock.now_ms())
    payload["history_mode"] = PAGINATED
    payload.pop("history_base", None)
    if point.base is not None:
        payload["history_base"] = point.base
    if payload.get("base_instructions") is None and backend.shared_with_codex:
        payload["base_instructions"] = stated_instructions(lineage)
    return payload


def stated_instructions(lineage: Lineage) -> msgspec.Raw | None:
    """The base instructions that the nearest rollout of a lineage states, as bytes."""
    for segment in lineage.newest_first():
        meta = segment.head.meta
        if meta is not None and present(meta.base_instructions):
            return meta.base_instructions
    return None
