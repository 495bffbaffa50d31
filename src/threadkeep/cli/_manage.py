"""``threadkeep rename``, ``archive``, ``unarchive``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from threadkeep.cli._options import example, json_option, local_option, thread_argument

if TYPE_CHECKING:
    from threadkeep.cli._session import Session
    from threadkeep.store import Thread

__all__ = ["archive", "rename", "unarchive"]


@click.command(epilog=example("threadkeep rename 0199a213 'the parser'"))
@thread_argument
@click.argument("name")
@local_option
@json_option
@click.pass_obj
def rename(session: Session, thread: str, name: str, local: bool) -> None:
    """Give a thread a name; an empty one takes its name away."""
    from threadkeep.cli._text import clean

    with session.store() as store, session.working("renaming"):
        renamed = store.rename(thread, name, local=local)
    _answer(session, renamed, f"is called {clean(renamed.name)}" if renamed.name else "has no name")


@click.command(epilog=example("threadkeep archive 0199a213"))
@thread_argument
@local_option
@json_option
@click.pass_obj
def archive(session: Session, thread: str, local: bool) -> None:
    """Put a thread away: lists leave it out.

    Nothing is appended to it until it is taken out again. Forks of it are not touched.
    """
    with session.store() as store, session.working("archiving"):
        _answer(session, store.archive(thread, local=local), "is archived")


@click.command(epilog=example("threadkeep unarchive 0199a213"))
@thread_argument
@local_option
@json_option
@click.pass_obj
def unarchive(session: Session, thread: str, local: bool) -> None:
    """Take a thread out of the archive."""
    with session.store() as store, session.working("unarchiving"):
        _answer(session, store.unarchive(thread, local=local), "is not archived")


def _answer(session: Session, thread: Thread, what: str) -> None:
    if session.json:
        session.answer(thread)
    else:
        session.line(f"{thread.id} {what}")
