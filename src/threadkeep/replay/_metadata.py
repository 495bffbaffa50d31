"""What a thread is, for lists and for people: read from the beginning and the end of its lineage.

The rules are those that were observed on 0.169.0 when it derives its own rows from files (``storage.md`` 6.2), followed
along the lineage: a fork's preview is what its history begins with, its usage goes on from its parent's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from threadkeep.ids import timestamp_ms
from threadkeep.records import (
    LEGACY,
    PAGINATED,
    GitInfo,
    Record,
    SessionMeta,
    ThreadSettingsApplied,
    TokenUsageInfo,
    lines_forward,
    records_of,
)
from threadkeep.replay._at import record_at
from threadkeep.replay._facts import Counts, ThreadFacts
from threadkeep.replay._said import NEAR, AppliedSettings, ModelSet, Said, SaidBefore, read_said, telling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from threadkeep.lineage import Lineage, Segment
    from threadkeep.replay._totals import TotalsSource

__all__ = ["forked_facts", "read_counts", "read_facts", "read_place"]


def read_counts(lineage: Lineage, totals: TotalsSource) -> Counts:
    """The counts of a thread: from totals, which cost one forward scan of a rollout when they are not known yet."""
    counts = Counts()
    for segment in lineage.newest_first():
        of = totals.of(segment)
        counts.records += of.records
        counts.turns += of.turns
        counts.items += of.items
        counts.response_items += of.response_items
        counts.compactions += of.compactions
        if segment.depth == 0:
            counts.own_bytes += segment.end
        else:
            counts.inherited_bytes += segment.end - segment.start
    return counts


def read_facts(
    lineage: Lineage,
    totals: TotalsSource,
    known: SaidBefore | None = None,
    *,
    own_only: bool = False,
    updates: bool = True,
) -> ThreadFacts:
    """What the records of a thread say about it.

    Args:
        lineage: The thread's lineage.
        totals: Where to find what stands far from both ends.
        known: Where it is known what the lineage says up to its boundaries; without it all of it is walked.
        own_only: Look at the current rollout alone, for a thread whose ancestors cannot be read.
        updates: Take in what later ``session_meta`` records of a legacy rollout say, which may stand anywhere in it.

    Raises:
        BrokenLineage: An ancestor is missing or changed.
    """
    tip = lineage.tip
    facts = _begun(lineage.thread_id, tip.rollout_id, tip.mode, tip.head.meta)
    if tip.mode == LEGACY and updates:
        for record in _own_updates(tip, totals):
            update = record.view(SessionMeta)
            if update is not None:
                _take_meta(facts, update, first=False)
    _take_said(facts, read_said(lineage, totals, known, own_only=own_only))
    return facts


def _take_said(facts: ThreadFacts, said: Said) -> None:
    facts.preview = said.preview
    facts.usage = said.usage if isinstance(said.usage, TokenUsageInfo) else None
    if isinstance(said.settings, AppliedSettings):
        facts.cwd = said.settings.cwd or facts.cwd
        facts.model_provider = said.settings.model_provider or facts.model_provider
    if isinstance(said.model, ModelSet):
        facts.model, facts.effort = said.model.model, said.model.effort
        facts.cwd = facts.cwd or said.model.cwd


def forked_facts(thread_id: str, meta: SessionMeta, parent: ThreadFacts) -> ThreadFacts:
    """What the records of a fork say that has none of its own but those that end a running turn.

    Args:
        thread_id: The fork.
        meta: Its first record.
        parent: What the records of the thread say that it was forked from, up to where the fork begins.
    """
    facts = _begun(thread_id, thread_id, PAGINATED, meta)
    facts.model, facts.effort, facts.usage, facts.preview = parent.model, parent.effort, parent.usage, parent.preview
    return facts


def _begun(thread_id: str, rollout_id: str, mode: str, meta: SessionMeta | None) -> ThreadFacts:
    """What the first record says."""
    facts = ThreadFacts(thread_id, rollout_id, mode, _created_ms(thread_id, rollout_id, meta))
    if meta is None:
        return facts
    _take_meta(facts, meta, first=True)
    base = meta.history_base if mode == PAGINATED else None
    if base is not None:
        facts.base = base.thread_id
    return facts


def read_place(lineage: Lineage) -> tuple[str, str | None]:
    """(working folder, model provider) that a fork of the thread begins with: what was set last near its end."""
    tip = lineage.tip
    facts = ThreadFacts(lineage.thread_id, tip.rollout_id, tip.mode, 0)
    if tip.head.meta is not None:
        _take_meta(facts, tip.head.meta, first=True)
    for record in telling(tip, max(tip.start, tip.end - NEAR)):
        if record.subtype == "thread_settings_applied":
            applied = record.view(ThreadSettingsApplied)
            if applied is not None:
                facts.cwd = applied.thread_settings.cwd or facts.cwd
                facts.model_provider = applied.thread_settings.model_provider_id or facts.model_provider
                break
        if record.kind == "compacted":
            break  # Codex states the settings anew after each
    return facts.cwd or "/", facts.model_provider


def _created_ms(thread_id: str, rollout_id: str, meta: SessionMeta | None) -> int:
    """A thread is as old as its first record says; a reverted one, whose first record is newer, as its id."""
    ms = timestamp_ms(thread_id)
    if rollout_id == thread_id and meta is not None:
        stated = parse_utc(meta.timestamp)
        return stated if stated is not None else ms or 0
    return ms or 0


def parse_utc(text: str) -> int | None:
    """An RFC 3339 time as Unix milliseconds; None for what is none."""
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.replace(microsecond=0).timestamp()) * 1000 + moment.microsecond // 1000


def _take_meta(facts: ThreadFacts, meta: SessionMeta, *, first: bool) -> None:
    """The first ``session_meta``, or a later one of a legacy thread, which updates some of it (0.169.0 observed)."""
    facts.cwd = meta.cwd or facts.cwd
    facts.source = meta.source if meta.source is not None else facts.source
    facts.thread_source = meta.thread_source or facts.thread_source
    facts.cli_version = meta.cli_version or facts.cli_version
    facts.model_provider = meta.model_provider or facts.model_provider
    facts.agent_nickname = meta.agent_nickname or facts.agent_nickname
    facts.memory_mode = meta.memory_mode or facts.memory_mode
    if meta.git is not None:
        git = facts.git or GitInfo()
        facts.git = GitInfo(
            meta.git.commit_hash or git.commit_hash,
            meta.git.branch or git.branch,
            meta.git.repository_url or git.repository_url,
        )
    if first:
        facts.originator = meta.originator
        facts.session_id = meta.session_id or meta.id
        facts.forked_from_id = meta.forked_from_id
        facts.parent_thread_id = meta.parent_thread_id or _spawned_by(meta.source)
        facts.agent_role = meta.agent_role or meta.agent_type


def _spawned_by(source: Any) -> str | None:
    """The parent that the source of a spawned sub-agent names."""
    for key in ("subagent", "thread_spawn", "parent_thread_id"):
        source = source.get(key) if isinstance(source, dict) else None
    return source if isinstance(source, str) else None


def _own_updates(segment: Segment, totals: TotalsSource) -> Iterator[Record]:
    metas = totals.of(segment).metas
    if metas is not None:
        found = (record_at(segment, offset) for offset in metas)
        yield from (record for record in found if record is not None)
        return
    own = segment.head.meta.id if segment.head.meta is not None else ""
    for record in records_of(lines_forward(segment.source, segment.start, segment.end)):
        if record.kind == "session_meta" and own.encode() in record.line:
            meta = record.view(SessionMeta)
            if meta is not None and meta.id == own:
                yield record
