"""The model context and the metadata: bounded replay against everything, rows against the rollout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from threadkeep.records import (
    LEGACY,
    GitInfo,
    SessionMeta,
    ThreadSettingsApplied,
    TokenCount,
    TokenUsageInfo,
    TurnContext,
    lines_forward,
    records_of,
)
from threadkeep.replay import Totals, count, read_context, read_facts
from threadkeep.replay._preview import said_first
from threadkeep.store._comparison import Comparison
from threadkeep.store._threads import read_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    import msgspec

    from threadkeep.lineage import Lineage, Segment
    from threadkeep.replay import ModelContext, ThreadFacts
    from threadkeep.store._access import Access, Located
    from threadkeep.store._verification import Check

__all__ = ["check_context", "check_metadata"]

_FLAGS: Final = ("checkpoint", "window", "previous_turn_settings", "world_state")
_UPDATED: Final = (
    "cwd",
    "source",
    "thread_source",
    "cli_version",
    "model_provider",
    "agent_nickname",
    "memory_mode",
)


def check_context(access: Access, lineage: Lineage) -> Iterator[Check]:
    """The checks ``context``, ``settings`` and ``usage``."""
    fast, full = read_context(lineage, access), read_context(lineage, None)
    context = Comparison("context")
    _compare_items(context, fast, full)
    for name in _FLAGS:
        context.equal(name.replace("_", " "), getattr(fast, name), getattr(full, name))
    context.equal("reference context", _bytes(fast.reference_context), _bytes(full.reference_context))
    yield context.check()
    settings = Comparison("settings")
    settings.equal("settings in force", _bytes(fast.settings), _bytes(full.settings))
    yield settings.check()
    usage = Comparison("usage")
    usage.equal("newest token usage", _bytes(fast.usage), _bytes(full.usage))
    yield usage.check()


def _compare_items(context: Comparison, fast: ModelContext, full: ModelContext) -> None:
    for index, (one, other) in enumerate(zip(fast.items, full.items, strict=False), 1):
        if context.differs:
            return
        context.equal(f"place of item {index}", one.position, other.position)
        context.equal(f"item {index}", bytes(one.payload), bytes(other.payload))
        context.equal(f"metadata of item {index}", bytes(one.metadata), bytes(other.metadata))
        context.equal(f"whether item {index} is the checkpoint's", one.checkpointed, other.checkpointed)
    context.equal("number of items", len(fast.items), len(full.items))


def _bytes(raw: msgspec.Raw | None) -> bytes | None:
    return bytes(raw) if raw is not None else None


def check_metadata(access: Access, located: Located, lineage: Lineage) -> Check:
    """The check ``metadata``: totals and catalog row against the rollout, facts against a whole forward scan.

    A row that is wrong is dropped, so that it is made anew from the rollout when it is needed next.
    """
    metadata = Comparison("metadata")
    for segment in lineage.newest_first():
        _compare_totals(access, segment, metadata)
    fast = read_facts(lineage, access)
    for name, value in _whole_facts(lineage).items():
        metadata.equal(name.replace("_", " "), getattr(fast, name), value)
    _compare_row(access, located, fast, lineage, metadata)
    return metadata.check()


def _compare_totals(access: Access, segment: Segment, metadata: Comparison) -> None:
    known = access.of(segment)
    counted = count(segment, Totals(0), segment.end, segment.source.cost)
    counted.digest = known.digest
    if known == counted:
        metadata.holds("totals", true=True)
        return
    name = next(name for name in Totals.__struct_fields__ if getattr(known, name) != getattr(counted, name))
    metadata.equal(
        f"{name.replace('_', ' ')} in the kept totals of rollout {segment.rollout_id} (they are counted anew)",
        getattr(known, name),
        getattr(counted, name),
    )
    _forget(access, segment.rollout_id)


def _compare_row(access: Access, located: Located, facts: ThreadFacts, lineage: Lineage, metadata: Comparison) -> None:
    """The catalog's row, unless the rollout grew since verifying began: the row may then know more than is compared."""
    stat = access.backend_of(located.thread_id).stat(located.ref)
    thread = read_thread(access, located, lineage.cost)
    if thread.size != stat.size or (not located.ref.compressed and stat.size != lineage.tip.source.size):
        return
    given = {"git"} if located.marks.git else set()  # what is shown is not what was recorded, and is not meant to be
    for name in facts.__struct_fields__:
        if hasattr(thread, name) and name not in given:
            metadata.equal(
                f"{name.replace('_', ' ')} in the kept row of rollout {facts.rollout_id} (it is made anew)",
                getattr(thread, name),
                getattr(facts, name),
            )
            if getattr(thread, name) != getattr(facts, name):
                for segment in lineage.newest_first():  # a row is made of what is known of boundaries, too
                    _forget(access, segment.rollout_id)


def _forget(access: Access, rollout_id: str) -> None:
    """Drop what is derived from a rollout; it is derived anew when it is needed."""
    access.forget_totals()
    access.backend.catalog.forget(rollout_id)


def _whole_facts(lineage: Lineage) -> dict[str, Any]:
    """What a forward scan of every record says of the thread: the plain rules, with nothing skipped."""
    preview = ""
    usage: TokenUsageInfo | None = None
    applied: ThreadSettingsApplied | None = None
    stated: TurnContext | ThreadSettingsApplied | None = None
    tip = lineage.tip
    metas = [tip.head.meta] if tip.head.meta is not None else []
    for segment in lineage.oldest_first():
        for record in records_of(lines_forward(segment.source, segment.start, segment.end)):
            preview = preview or said_first(record)
            if record.kind == "turn_context":
                context = record.view(TurnContext)
                stated = context if context is not None and context.counts else stated
            elif record.subtype == "thread_settings_applied":
                applied = record.view(ThreadSettingsApplied) or applied
                stated = record.view(ThreadSettingsApplied) or stated
            elif record.subtype == "token_count":
                counted = record.view(TokenCount)
                usage = counted.info if counted is not None and counted.info is not None else usage
            elif record.kind == "session_meta" and segment is tip and tip.mode == LEGACY and metas:
                update = record.view(SessionMeta)
                metas += [update] if update is not None and update.id == metas[0].id else []
    facts = _stated(metas)
    facts |= {"preview": preview, "usage": usage, "model": None, "effort": None}
    if applied is not None:
        facts["cwd"] = applied.thread_settings.cwd or facts["cwd"]
        facts["model_provider"] = applied.thread_settings.model_provider_id or facts["model_provider"]
    if isinstance(stated, TurnContext):
        facts |= {"model": stated.model, "effort": stated.effort, "cwd": facts["cwd"] or stated.cwd}
    elif stated is not None:
        settings = stated.thread_settings
        facts |= {"model": settings.model, "effort": settings.effort or settings.reasoning_effort}
    return facts


def _stated(metas: list[SessionMeta]) -> dict[str, Any]:
    """What the rollout's own ``session_meta`` records say, the last word of each counting (``ThreadFacts``)."""
    facts: dict[str, Any] = {}
    for name in _UPDATED:
        said = [value for meta in metas if (value := getattr(meta, name)) is not None and value != ""]
        facts[name] = said[-1] if said else None
    gits = [meta.git for meta in metas if meta.git is not None]
    parts = {
        name: next((value for git in reversed(gits) if (value := getattr(git, name))), None)
        for name in GitInfo.__struct_fields__
    }
    facts["git"] = GitInfo(**parts) if gits else None
    return facts
