"""``threadkeep fork`` and ``threadkeep revert``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from threadkeep.cli._options import example, json_option, local_option, thread_argument

if TYPE_CHECKING:
    from threadkeep.cli._session import Session

__all__ = ["fork", "revert"]


@click.command(
    epilog=example("threadkeep fork 0199a213", "threadkeep fork 0199a213 --before 0199a2f0-3c11-7d02-8e5b-52a4f3a1c9d7")
)
@thread_argument
@click.option("--through", metavar="TURN", help="The last turn that the new thread has: its whole id.")
@click.option("--before", metavar="TURN", help="The first turn that the new thread does not have: its whole id.")
@json_option
@click.pass_obj
def fork(session: Session, thread: str, through: str | None, before: str | None) -> None:
    """Make a new thread that goes on from a place in this one.

    Nothing is copied. By default it has all turns, a running one up to now. Prints the new thread's id.
    """
    if through is not None and before is not None:
        raise click.UsageError("--through or --before, not both")
    from threadkeep.cli._text import size

    with session.store() as store, session.working("forking"):
        child = store.fork(thread, through=through, before=before)
    if session.json:
        session.answer(child)
        return
    session.line(child.id)
    if session.terminal is not None:
        session.note(f"forked from {child.forked_from_id}; {size(child.size)} written")


@click.command(epilog=example("threadkeep revert 0199a213 --before 0199a2f0-3c11-7d02-8e5b-52a4f3a1c9d7"))
@thread_argument
@click.option("--before", metavar="TURN", required=True, help="The first turn that is taken back: its whole id.")
@local_option
@json_option
@click.pass_obj
def revert(session: Session, thread: str, before: str, local: bool) -> None:
    """Take the newest turns of a thread back.

    The thread goes on from before a turn. What is taken back stays in its file.
    """
    with session.store() as store, session.working("reverting"):
        reverted = store.revert(thread, before=before, local=local)
    if session.json:
        session.answer(reverted)
        return
    from threadkeep.cli._text import clean

    session.line(f"{reverted.id} goes on from before turn {clean(before)}")
