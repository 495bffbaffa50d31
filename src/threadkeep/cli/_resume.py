"""``threadkeep context`` and ``threadkeep resume``: what the next model call starts with."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import click

from threadkeep.cli._options import example, json_option, thread_argument

if TYPE_CHECKING:
    from collections.abc import Iterator

    from threadkeep.cli._session import Session
    from threadkeep.store import Resumed, ThreadStore

__all__ = ["context", "resume"]

_TITLE: Final = 120
"""Columns of a title where there is no terminal, with its label."""


@click.command(epilog=example("threadkeep context 0199a213 --json | jq '.data[].type'"))
@thread_argument
@json_option
@click.pass_obj
def context(session: Session, thread: str) -> None:
    """Show the items that the next model call starts with.

    They are response items; with --json they are the bytes that were recorded.
    """
    with session.store() as store, session.working("reading"):
        items = store.resume(thread).context.items
    if session.json:
        session.answer({"data": [item.payload for item in items]})
        return
    from threadkeep.cli._table import Column

    rows = [[str(index), *_told(bytes(item.payload))] for index, item in enumerate(items)]
    session.table([Column("#", right=True, style="dim"), Column("TYPE"), Column("ROLE"), Column("TEXT")], rows)


@click.command(epilog=example("threadkeep resume --last"))
@click.argument("thread", metavar="[ID]", required=False)
@click.option("--last", is_flag=True, help="The thread that changed last.")
@json_option
@click.pass_obj
def resume(session: Session, thread: str | None, last: bool) -> None:
    """Show what the next turn starts with, and what that cost."""
    if (thread is None) != last:
        raise click.UsageError("name a thread, or the one that changed last with --last")
    with session.store() as store, session.working("resuming"):
        thread_id = thread or _newest(store)
        started = time.perf_counter()
        found = store.resume(thread_id)
        took = (time.perf_counter() - started) * 1000
        facts = None if session.json else store.read(found.thread_id)
    if facts is None:
        session.answer(_answer(found, took))
        return
    from threadkeep.cli._text import clean, fit, size

    title = fit(clean(facts.name or facts.preview), (session.terminal or _TITLE) - 12)
    own = f"{size(facts.size)}{', the rest is inherited' if facts.base else ''}"
    told = [("thread", found.thread_id), ("title", title), *_lines(found, took, own)]
    for name, value in told:
        if value:
            session.line(f"{session.style(f'{name:<11}', 'dim')} {clean(value)}")


def _newest(store: ThreadStore) -> str:
    from threadkeep.errors import ThreadNotFound

    newest = store.list(limit=1).data
    if not newest:
        raise ThreadNotFound(f"there is no thread in {store.backend.name}")
    return newest[0].id


def _answer(found: Resumed, took: float) -> dict[str, Any]:
    from threadkeep.cli._json import plain

    answer: dict[str, Any] = plain(found)
    context: dict[str, Any] = answer.pop("context")
    # The settings in force and the usage are said once, decoded.
    del context["settings"], context["usage"]
    return {**answer, **context, "elapsedMs": round(took, 3)}


def _lines(found: Resumed, took: float, stored: str) -> Iterator[tuple[str, str]]:
    from threadkeep.cli._text import amount, size, span

    settings = found.settings or {}
    model, effort = settings.get("model"), settings.get("effort") or settings.get("reasoning_effort")
    yield "rollout", found.rollout_id if found.rollout_id != found.thread_id else ""
    yield "mode", found.mode
    yield "model", f"{model}, effort {effort}" if model and effort else str(model or "")
    yield "folder", str(settings.get("cwd") or "")
    yield "approvals", str(settings.get("approval_policy") or "")
    if found.usage is not None:
        window = found.usage.model_context_window
        total, last = found.usage.total_token_usage.total_tokens, found.usage.last_token_usage.total_tokens
        yield "tokens", f"{total:,} in all, {last:,} in the last call{f' of a window of {window:,}' if window else ''}"
    items = found.context.items
    kinds = Counter(_told(bytes(item.payload))[0] for item in items)
    yield "items", f"{len(items)}{': ' if kinds else ''}" + ", ".join(f"{n} {kind}" for kind, n in kinds.most_common())
    checkpoint = found.context.checkpoint
    if checkpoint is not None:
        kept = sum(item.checkpointed for item in items)
        yield "checkpoint", f"{amount(kept, 'item')}, at byte {checkpoint.offset:,} of rollout {checkpoint.rollout}"
    cost = found.cost
    read = f"{span(took)}, read {size(cost.bytes_read)} (the rollout has {stored})"
    yield (
        "cost",
        f"{read}, decoded {amount(cost.records_decoded, 'record')} in {amount(cost.rollouts_opened, 'rollout')}",
    )
    for why in cost.full_scans:
        yield "read whole", why


def _told(payload: bytes) -> tuple[str, str, str]:
    """A response item as (type, role, text), for people."""
    import msgspec

    from threadkeep.cli._text import clean

    try:
        item = msgspec.json.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        item = None
    if not isinstance(item, dict):
        return "?", "", ""
    kind, role = clean(str(item.get("type", "?"))), clean(str(item.get("role") or ""))
    return kind, role, clean(" ".join(_texts(item)))


def _texts(item: dict[str, Any]) -> Iterator[str]:
    for member in ("name", "content", "summary", "arguments", "input", "output", "action"):
        value = item.get(member)
        if isinstance(value, str):
            yield value
        for part in value if isinstance(value, list) else [value] if isinstance(value, dict) else ():
            if isinstance(part, dict):
                yield str(part.get("text") or part.get("command") or f"[{part.get('type', member)}]")
