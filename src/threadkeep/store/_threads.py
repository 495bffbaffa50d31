"""Threads as lists and people see them: derived from records, kept in the catalog, checked against the rollout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from threadkeep.errors import CorruptHistory, StorageFailure
from threadkeep.ids import timestamp_ms
from threadkeep.records import PAGINATED, GitInfo
from threadkeep.replay import ThreadFacts
from threadkeep.store._models import Thread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from threadkeep.backends import Backend, RolloutRef, RolloutStat
    from threadkeep.lineage import Lineage
    from threadkeep.records import Cost
    from threadkeep.store._access import Access, Located

__all__ = ["facts_at_end", "keep_facts", "read_thread", "read_threads", "thread_of"]


class _Row(msgspec.Struct):
    """A catalog row: facts, and what kept them from being whole."""

    facts: ThreadFacts
    problem: str | None = None


_decode_row: Final = msgspec.msgpack.Decoder(_Row).decode


def read_thread(access: Access, located: Located, cost: Cost, *, counts: bool = False) -> Thread:
    """One thread, from its row where that is still true of the rollout, else from the rollout itself."""
    stat = access.backend_of(located.thread_id).stat(located.ref)
    if not counts:
        return read_threads(access, [(located, stat)], cost)[0]
    with access.open(located, cost) as lineage:
        return thread_of(access, located, stat, lineage, counts=True)


def thread_of(access: Access, located: Located, stat: RolloutStat, lineage: Lineage, *, counts: bool = False) -> Thread:
    """A thread at the end of a lineage that is open; ``stat`` was taken before it was opened."""
    rollout_id, stamp = located.ref.rollout_id, _stamp(stat, located.thread_id)
    catalog = access.backend.catalog
    whole = located.ref.compressed or stat.size == lineage.tip.source.size  # nobody appends to a compressed one
    row = _decoded(catalog.rows([rollout_id]).get(rollout_id), stamp) if whole else None
    if row is None:
        row = _said(access, lineage)
        if whole and row.problem is None:
            catalog.put_rows([(rollout_id, stamp, msgspec.msgpack.encode(row))])
    thread = _thread(access, located, stat, row)
    if counts:
        from threadkeep.replay import read_counts

        thread.counts = read_counts(lineage, access)
    return thread


def read_threads(access: Access, found: Sequence[tuple[Located, RolloutStat]], cost: Cost) -> list[Thread]:
    """Several threads at once: rows that are still true are taken together, the others are made anew."""
    kept = access.backend.catalog.rows([located.ref.rollout_id for located, _ in found])
    fresh: list[tuple[str, str, bytes]] = []
    threads: list[Thread] = []
    for located, stat in found:
        stamp = _stamp(stat, located.thread_id)
        row = _decoded(kept.get(located.ref.rollout_id), stamp)
        if row is None:
            row = _derive(access, located, cost)
            if row.problem is None:  # what is wrong may be mended without a change of this rollout
                fresh.append((located.ref.rollout_id, stamp, msgspec.msgpack.encode(row)))
        threads.append(_thread(access, located, stat, row))
    access.backend.catalog.put_rows(fresh)
    return threads


def facts_at_end(access: Access, located: Located, lineage: Lineage) -> ThreadFacts | None:
    """What a thread's records say at the end of its lineage, as far as a fork there inherits it.

    From its row where that is still true, else from the records; None where an ancestor cannot be read.
    """
    stat = access.backend_of(located.thread_id).stat(located.ref)
    rollout_id, stamp = located.ref.rollout_id, _stamp(stat, located.thread_id)
    catalog = access.backend.catalog
    whole = not located.ref.compressed and stat.size == lineage.tip.end
    row = _decoded(catalog.rows([rollout_id]).get(rollout_id), stamp) if whole else None
    if row is not None:
        return row.facts if row.problem is None else None
    if whole and (known := access.facts_at_hand(stamp)) is not None:
        return known
    from threadkeep.replay import read_facts
    from threadkeep.store._boundaries import KnownBoundaries

    try:
        facts = read_facts(lineage, access, KnownBoundaries(catalog), updates=False)
    except CorruptHistory:
        return None
    if whole and lineage.mode == PAGINATED:
        catalog.put_rows([(rollout_id, stamp, msgspec.msgpack.encode(_Row(facts)))])
    elif whole:
        access.keep_facts_at_hand(stamp, facts)  # what a legacy thread's later updates say is not in them: no row
    return facts


def keep_facts(access: Access, backend: Backend, ref: RolloutRef, facts: ThreadFacts) -> None:
    """Keep what is known of a rollout that was just made."""
    row = msgspec.msgpack.encode(_Row(facts))
    access.backend.catalog.put_rows([(ref.rollout_id, _stamp(backend.stat(ref), ref.thread_id), row)])


def _stamp(stat: RolloutStat, thread_id: str) -> str:
    return f"{stat.size}:{stat.mtime_ns}:{stat.identity}:{thread_id}"


def _decoded(kept: tuple[str, bytes] | None, stamp: str) -> _Row | None:
    if kept is None or kept[0] != stamp:
        return None
    try:
        return _decode_row(kept[1])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _derive(access: Access, located: Located, cost: Cost) -> _Row:
    """What the rollout says. A thread that cannot be read in full is shown with what can be read, never left out."""
    try:
        with access.open(located, cost) as lineage:
            return _said(access, lineage)
    except (CorruptHistory, StorageFailure) as error:
        return _Row(
            ThreadFacts(located.thread_id, located.ref.rollout_id, "", timestamp_ms(located.thread_id) or 0),
            str(error),
        )


def _said(access: Access, lineage: Lineage) -> _Row:
    from threadkeep.replay import read_facts
    from threadkeep.store._boundaries import KnownBoundaries

    try:
        return _Row(read_facts(lineage, access, KnownBoundaries(access.backend.catalog)))
    except CorruptHistory as error:
        return _Row(read_facts(lineage, access, own_only=True), str(error))


def _git(located: Located, facts: ThreadFacts) -> GitInfo | None:
    """The git facts that were recorded, with those that were given here in their place."""
    given = {key: value for key, value in located.marks.git.items() if key in GitInfo.__struct_fields__}
    if not given:
        return facts.git
    git = msgspec.structs.replace(facts.git or GitInfo(), **given)
    return git if git != GitInfo() else None


def _thread(access: Access, located: Located, stat: RolloutStat, row: _Row) -> Thread:
    facts = row.facts
    return Thread(
        located.thread_id,
        located.ref.rollout_id,
        facts.mode,
        located.name,
        facts.preview,
        located.archived,
        facts.created_ms,
        stat.mtime_ns // 1_000_000,
        model=facts.model,
        effort=facts.effort,
        model_provider=facts.model_provider,
        cwd=facts.cwd,
        git=_git(located, facts),
        source=facts.source,
        thread_source=facts.thread_source,
        originator=facts.originator,
        cli_version=facts.cli_version,
        session_id=facts.session_id,
        forked_from_id=facts.forked_from_id,
        parent_thread_id=facts.parent_thread_id,
        agent_nickname=facts.agent_nickname,
        agent_role=facts.agent_role,
        memory_mode=facts.memory_mode,
        usage=facts.usage,
        base=facts.base,
        size=stat.size,
        location=located.ref.location,
        compressed=located.ref.compressed,
        ephemeral=access.backend_of(located.thread_id) is access.scratch,
        problem=row.problem,
    )
