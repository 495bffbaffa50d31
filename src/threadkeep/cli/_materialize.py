"""``threadkeep materialize``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from threadkeep.cli._errors import OK, describe, exit_code, message
from threadkeep.cli._options import example, json_option, one_or_all

if TYPE_CHECKING:
    from threadkeep.cli._progress import Progress
    from threadkeep.cli._session import Session
    from threadkeep.store import ThreadStore
    from threadkeep.store._models import Materialized

__all__ = ["materialize"]


@click.command(epilog=example("threadkeep materialize 0199a213", "threadkeep materialize --all"))
@click.argument("thread", metavar="[ID]", required=False)
@click.option(
    "--all", "everything", is_flag=True, help="Every thread that Codex cannot read without threadkeep's help."
)
@json_option
@click.pass_obj
def materialize(session: Session, thread: str | None, everything: bool) -> int:
    """Write a copy of a thread that Codex can read on its own.

    With --all, a thread that cannot be written is told and passed over; the exit code is that of the first such one.
    """
    one_or_all(thread, everything=everything)
    with session.store() as store, session.working("materializing", unit="bytes") as progress:
        if thread is None:
            return _all(session, store, progress)
        written = store.materialize(thread, progress=progress)
        if session.json:
            session.answer(written)
        else:
            session.line(_told(written))
    return OK


def _all(session: Session, store: ThreadStore, progress: Progress) -> int:
    from threadkeep.errors import ThreadkeepError

    code = OK
    threads = store.to_materialize()
    for thread_id in threads:
        progress.label = f"materializing {thread_id}"
        try:
            written = store.materialize(thread_id, progress=progress)
        except ThreadkeepError as error:
            code = code or exit_code(error)
            if session.json:
                session.record({"sourceId": thread_id, "error": describe(error)})
            else:
                session.note(f"threadkeep: {message(error)}")
            continue
        if session.json:
            session.record(written)
        else:
            session.line(_told(written))
    if not threads and not os.path.isdir(session.home):
        session.no_threads()
    elif not threads:
        session.note("Codex can read every thread as it is")
    return code


def _told(written: Materialized) -> str:
    from threadkeep.cli._text import clean, size

    copy = "" if written.thread_id == written.source_id else f" (of {written.source_id})"
    return f"{written.thread_id}{copy}  {size(written.bytes_written)}  {clean(written.location)}"
