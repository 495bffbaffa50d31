"""``threadkeep delete`` and ``threadkeep erase``: the commands that ask before they act."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Final

import click

from threadkeep.cli._options import example, json_option, thread_argument

if TYPE_CHECKING:
    from collections.abc import Iterator

    from threadkeep.cli._session import Session
    from threadkeep.store._models import DeletePlan, Erasure

__all__ = ["delete", "erase"]

_MOST_HEIRS: Final = 3
"""Threads that inherit which are named one by one."""

_DONE: Final = {"remove": "removed", "hide": "hidden", "reclaim": "reclaimed"}


@click.command(epilog=example("threadkeep delete 0199a213 --dry-run", "threadkeep delete 0199a213 --cascade --yes"))
@thread_argument
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--cascade", is_flag=True, help="Delete everything that came from it, too.")
@click.option("--reclaim", is_flag=True, help="Keep only the bytes that others inherit, where others do.")
@click.option("--yes", is_flag=True, help="Do not ask. Needed where there is nobody to ask.")
@json_option
@click.pass_obj
def delete(session: Session, thread: str, dry_run: bool, cascade: bool, reclaim: bool, yes: bool) -> None:
    """Delete a thread; what others inherit from it stays theirs.

    A thread that others inherit from is hidden and frees nothing, unless --reclaim is given.
    """
    asks = not (dry_run or yes)
    if asks and (session.json or not session.asks):
        raise click.UsageError("nobody can be asked: say --yes or --dry-run")
    with session.store() as store:
        if asks:
            with session.working("looking"):
                plan = store.plan_delete(thread, cascade=cascade, reclaim=reclaim)
            for line in _lines(plan, done=False):
                session.note(line)
            click.confirm("Delete?", abort=True, err=True)
        with session.working("looking" if dry_run else "deleting"):
            act = store.plan_delete if dry_run else store.delete
            plan = act(thread, cascade=cascade, reclaim=reclaim)
    if session.json:
        totals = {"bytesFreed": plan.bytes_freed, "bytesKept": plan.bytes_kept}
        session.answer({"dryRun": dry_run, "threads": plan.threads, **totals})
        return
    for line in _lines(plan, done=not dry_run):
        session.line(line)


def _lines(plan: DeletePlan, *, done: bool) -> Iterator[str]:
    from threadkeep.cli._text import amount, clean, fit, size

    for thread in plan.threads:
        action = _DONE[thread.action] if done else thread.action
        yield f"{action:<10} {thread.id}  {fit(clean(thread.title), 60)}".rstrip()
        if thread.kept_for:
            named = ", ".join(thread.kept_for[:_MOST_HEIRS])
            more = f" and {len(thread.kept_for) - _MOST_HEIRS} more" if len(thread.kept_for) > _MOST_HEIRS else ""
            yield f"{'':<10} {size(thread.bytes_kept)} stay for {named}{more}"
    freed = "freed" if done else "would be freed"
    yield f"{amount(len(plan.threads), 'thread')}: {size(plan.bytes_freed)} {freed}, {size(plan.bytes_kept)} kept"


@click.command(epilog=example("threadkeep erase 0199a213", "pass show api-key | threadkeep erase 0199a213 --yes"))
@thread_argument
@click.option("--yes", is_flag=True, help="Do not ask. Needed where the text comes from a pipe.")
@json_option
@click.pass_obj
def erase(session: Session, thread: str, yes: bool) -> None:
    """Overwrite a text wherever a thread and its relatives hold it.

    The text, a leaked secret, is read from stdin, without the newline at its end, or asked for: as an argument it would
    stay in the history of the shell. This is the only command that changes records, and it cannot be undone.
    """
    if not yes and (session.json or not session.asks):
        raise click.UsageError("nobody can be asked: say --yes")
    with session.store() as store:
        thread_id = store.thread_id(thread)
        text = _secret()
        if not yes:
            click.confirm(f"Overwrite it in thread {thread_id} and its relatives?", abort=True, err=True)
        with session.working("erasing"):
            done = store.erase(thread_id, text)
    if session.json:
        session.answer(done)
        return
    for line in _erased(done):
        session.line(line)


def _secret() -> str:
    if sys.stdin.isatty():
        text: str = click.prompt("Text to overwrite (not shown)", hide_input=True, err=True)
        return text
    try:
        given = sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise click.UsageError("the text on stdin is not UTF-8") from error
    return re.sub(r"\r?\n\Z", "", given)


def _erased(done: Erasure) -> Iterator[str]:
    from threadkeep.cli._text import amount, clean

    if done.places == 0:
        yield "the text is in none of the records that can be reached"
    else:
        rollouts = amount(len(done.rollouts), "rollout")
        yield f"overwritten in {amount(done.places, 'place')} of {amount(done.records, 'record')}, in {rollouts}:"
    for rollout in done.rollouts:
        yield f"  {clean(rollout)}"
    for what in done.unreachable:
        yield f"out of reach: {clean(what)}"
