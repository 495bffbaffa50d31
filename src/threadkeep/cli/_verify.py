"""``threadkeep verify`` and ``threadkeep doctor``: what is wrong, and what can be mended."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import click

from threadkeep.cli._errors import OK, PROBLEM, describe, message
from threadkeep.cli._options import example, json_option, one_or_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from threadkeep.cli._progress import Progress
    from threadkeep.cli._session import Session
    from threadkeep.records import Damage
    from threadkeep.store import ThreadStore
    from threadkeep.store._models import Finding
    from threadkeep.store._verification import Verification

__all__ = ["doctor", "verify"]

_STYLES: Final = {"info": "dim", "warning": "warning", "error": "bad"}
_PAGE: Final = 1000


@click.command(epilog=example("threadkeep verify 0199a213", "threadkeep verify --all --json"))
@click.argument("thread", metavar="[ID]", required=False)
@click.option("--all", "everything", is_flag=True, help="Every thread, archived ones, too.")
@json_option
@click.pass_obj
def verify(session: Session, thread: str | None, everything: bool) -> int:
    """Compare what is answered fast with the whole history.

    Every byte that the thread inherits is read, and whatever is wrong with its rollouts is told. The exit code is 1
    where a comparison fails or something that was recorded is lost.
    """
    one_or_all(thread, everything=everything)
    with session.store() as store, session.working("verifying", unit="bytes") as progress:
        if thread is None:
            return _all(session, store, progress)
        found = store.verify(thread, progress=progress)
        if session.json:
            session.answer(_record(found))
        else:
            _show(session, found, in_full=True)
    return OK if found.ok else PROBLEM


def _all(session: Session, store: ThreadStore, progress: Progress) -> int:
    from threadkeep.errors import ThreadkeepError, ThreadNotFound

    code = OK
    threads = bad = 0
    for thread_id in _every_thread(store):
        progress.label = f"verifying {thread_id}"
        try:
            found = store.verify(thread_id, progress=progress)
        except ThreadNotFound:
            continue  # deleted since it was listed
        except ThreadkeepError as error:
            code = PROBLEM
            threads, bad = threads + 1, bad + 1
            if session.json:
                session.record({"threadId": thread_id, "ok": False, "error": describe(error)})
            else:
                session.line(f"{session.style('failed ', 'bad')} {thread_id}  {message(error)}")
            continue
        code = code if found.ok else PROBLEM
        threads, bad = threads + 1, bad + (not found.ok)
        if session.json:
            session.record(_record(found))
        else:
            _show(session, found, in_full=False)
    _sum_up(session, threads, bad)
    return code


def _sum_up(session: Session, threads: int, bad: int) -> None:
    from threadkeep.cli._text import amount

    if threads:
        session.note(f"{amount(threads, 'thread')}, {f'{bad:,} with problems' if bad else 'all ok'}")
    else:
        session.no_threads()


def _every_thread(store: ThreadStore) -> Iterator[str]:
    from threadkeep.store import ThreadFilter

    cursor: str | None = None
    while True:
        # By creation: what changes in the meantime changes no place in this order.
        page = store.list(sort="created_at", limit=_PAGE, cursor=cursor, chosen=ThreadFilter(archived=None))
        yield from (thread.id for thread in page.data)
        cursor = page.next_cursor
        if cursor is None:
            return


def _record(found: Verification) -> dict[str, Any]:
    from threadkeep.cli._json import plain

    members: dict[str, Any] = plain(found)
    return {"threadId": members.pop("threadId"), "ok": found.ok, **members}


def _show(session: Session, found: Verification, *, in_full: bool) -> None:
    from threadkeep.cli._text import amount, clean, size

    word = session.style("ok     ", "good") if found.ok else session.style("problem", "bad")
    cost = f"{size(found.cost.bytes_read)} read, {amount(found.cost.records_seen, 'record')} seen"
    session.line(f"{word} {found.thread_id}  {session.style(cost, 'dim')}")
    if found.problem is not None:
        session.line(f"  {session.style(clean(found.problem), 'bad')}")
    for check in found.checks:
        if check.ok and in_full:
            session.line(f"  {check.name:<12} equal, {check.compared:,} compared")
        elif not check.ok:
            differs = session.style(f"{check.name:<12} differs", "bad")
            session.line(f"  {differs}: {clean(check.difference or 'it is not said how')}")
    for damage in found.damage:
        if in_full or damage.severity != "info":
            session.line(f"  {_damage(session, damage)}")


def _damage(session: Session, damage: Damage) -> str:
    from threadkeep.cli._text import clean

    place = f"line {damage.line}, byte {damage.offset}" if damage.line else f"byte {damage.offset}"
    word = session.style(f"{damage.severity:<7}", _STYLES.get(damage.severity, ""))
    where = clean(damage.path or damage.rollout)
    return f"{word} {damage.kind}: {clean(damage.detail)} ({place} of {where})"


@click.command(epilog=example("threadkeep doctor", "threadkeep doctor --fix"))
@click.option("--fix", is_flag=True, help="Mend what can be mended without losing anything.")
@json_option
@click.pass_obj
def doctor(session: Session, fix: bool) -> int:
    """Look the whole home over for damage and leftovers.

    That is damaged rollouts, broken lineages, unused pins, stale locks and the like, with their places.

    The exit code is 1 where a warning or an error is not mended.
    """
    code = OK
    found = fixed = fixable = 0
    with session.store() as store, session.working("looking") as progress:
        for finding in store.doctor(fix=fix, progress=progress):
            found += 1
            fixed += finding.fixed
            fixable += finding.fixable and not finding.fixed
            if finding.severity != "info" and not finding.fixed:
                code = PROBLEM
            if session.json:
                session.record(finding)
            else:
                session.line(_finding(session, finding))
    if found or os.path.isdir(session.home):
        session.note(_summary(found, fixed, fixable))
    else:
        session.no_threads()
    return code


def _finding(session: Session, finding: Finding) -> str:
    from threadkeep.cli._text import clean

    word = session.style(f"{finding.severity:<7}", _STYLES.get(finding.severity, ""))
    where = ", ".join(clean(place) for place in (finding.thread, finding.path) if place)
    state = "; mended" if finding.fixed else "; --fix mends it" if finding.fixable else ""
    return (
        f"{word} {finding.kind}: {clean(finding.detail)}{f' ({where})' if where else ''}{session.style(state, 'good')}"
    )


def _summary(found: int, fixed: int, fixable: int) -> str:
    from threadkeep.cli._text import amount

    if not found:
        return "nothing found"
    told = [amount(found, "finding")]
    if fixed:
        told.append(f"{fixed:,} mended")
    if fixable:
        told.append(f"{fixable:,} that --fix can mend")
    return ", ".join(told)
