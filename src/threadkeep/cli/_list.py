"""``threadkeep list``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from threadkeep.cli._options import example, json_option

if TYPE_CHECKING:
    from threadkeep.cli._session import Session
    from threadkeep.store import SortKey, Thread

__all__ = ["list_threads"]

_SORTS: Final[dict[str, SortKey]] = {"updated": "updated_at", "created": "created_at"}


@click.command("list", epilog=example("threadkeep list --search parser --limit 10"))
@click.option(
    "--sort", type=click.Choice(list(_SORTS)), default="updated", help="By last change (default) or creation."
)
@click.option("--archived", is_flag=True, help="Archived threads alone.")
@click.option("--all", "everything", is_flag=True, help="Archived threads, too.")
@click.option("--search", metavar="TEXT", help="Threads whose name or first message contains this; case is ignored.")
@click.option("--cwd", metavar="DIR", help="Threads that work in this folder.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), metavar="N", default=50, show_default=True, help="Most threads to list."
)
@click.option("--cursor", metavar="C", help="Go on after an earlier list.")
@json_option
@click.pass_obj
def list_threads(
    session: Session,
    sort: str,
    archived: bool,
    everything: bool,
    search: str | None,
    cwd: str | None,
    limit: int,
    cursor: str | None,
) -> None:
    """List threads, newest change first."""
    from threadkeep.store import ThreadFilter

    chosen = ThreadFilter(archived=None if everything else archived, text=search, cwd=cwd)
    with session.store() as store, session.working("listing", unit="thread") as progress:
        page = store.list(sort=_SORTS[sort], cursor=cursor, limit=limit, chosen=chosen, progress=progress)
        session.warn(store)
    if session.json:
        session.answer({"data": page.data, "nextCursor": page.next_cursor})
        return
    _show(session, page.data, sort)
    if not page.data and (archived or search is not None or cwd is not None or cursor is not None):
        session.note("no such threads")
    elif not page.data:
        session.no_threads()
    if page.next_cursor is not None:
        session.note(f"more: --cursor {page.next_cursor}")


def _show(session: Session, threads: list[Thread], sort: str) -> None:
    from threadkeep.cli._table import Column
    from threadkeep.cli._text import clean, date, fit, size

    wide = session.wide
    columns = [Column("ID", style="id"), Column(sort.upper()), Column("SIZE", right=True)]
    columns += [Column("FOLDER", style="dim")] if wide else []
    rows = []
    for thread, shown_id in zip(threads, session.ids([thread.id for thread in threads]), strict=True):
        flags = ("[archived] " if thread.archived else "") + ("[damaged] " if thread.problem else "")
        flags += "[agent] " if thread.parent_thread_id else ""
        folder = [fit(clean(thread.cwd or "-"), 40)] if wide else []
        title = clean(thread.name or thread.preview) or ("" if flags else "(no title)")
        when = date(thread.updated_ms if sort == "updated" else thread.created_ms)
        rows.append([shown_id, when, size(thread.size), *folder, flags + title])
    session.table([*columns, Column("TITLE")], rows)
