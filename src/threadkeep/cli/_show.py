"""``threadkeep show`` and ``threadkeep turns``: what was said and done in a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from threadkeep.cli._options import example, json_option, thread_argument

if TYPE_CHECKING:
    from collections.abc import Iterator

    from threadkeep.cli._session import Session
    from threadkeep.cli._table import Column
    from threadkeep.replay import ItemsView
    from threadkeep.store import Page, Thread, ThreadStore

__all__ = ["show", "turns"]

_PAGE: Final = 100
"""Most turns that the store gives at once."""

_TITLE: Final = 120
"""Columns of a title where there is no terminal."""


@click.command(epilog=example("threadkeep show 0199a213 --limit 3"))
@thread_argument
@click.option("--limit", type=click.IntRange(1), metavar="N", default=10, show_default=True, help="Most turns to show.")
@json_option
@click.pass_obj
def show(session: Session, thread: str, limit: int) -> None:
    """Show a conversation as a person would read it, newest last."""
    with session.store() as store, session.working("reading"):
        facts = store.read(thread)
        page = _gathered(store, facts.id, None, limit, descending=True, view="full")
    page["data"].reverse()
    if session.json:
        session.answer({"thread": facts, **page})
        return
    _head(session, facts)
    if page["nextCursor"] is not None:
        session.line()
        session.line(session.style(f"... older turns: --limit {limit * 2}, or `threadkeep turns` for all", "dim"))
    _conversation(session, page["data"])


@click.command(epilog=example("threadkeep turns 0199a213 --limit 5 --json"))
@thread_argument
@click.option("--all", "everything", is_flag=True, help="Every turn; with --json a turn on each line.")
@click.option("--full", is_flag=True, help="With all items; by default the first message and the final answer.")
@click.option("--asc", "ascending", is_flag=True, help="Oldest first.")
@click.option("--limit", type=click.IntRange(1), metavar="N", default=25, show_default=True, help="Most turns to list.")
@click.option("--cursor", metavar="C", help="Go on where an earlier page ended.")
@json_option
@click.pass_obj
def turns(
    session: Session, thread: str, everything: bool, full: bool, ascending: bool, limit: int, cursor: str | None
) -> None:
    """List the turns of a thread, newest first."""
    view: ItemsView = "full" if full else "summary"
    if everything:
        with session.store() as store, session.working("reading"):
            for page in _pages(store, thread, cursor, descending=not ascending, view=view):
                _list(session, page.data, full=full)
        return
    with session.store() as store, session.working("reading"):
        gathered = _gathered(store, thread, cursor, limit, descending=not ascending, view=view)
    if session.json:
        session.answer(gathered)
        return
    _list(session, gathered["data"], full=full)
    if gathered["nextCursor"] is not None:
        session.note(f"more: --cursor '{gathered['nextCursor']}'")


def _pages(store: ThreadStore, thread: str, cursor: str | None, *, descending: bool, view: ItemsView) -> Iterator[Page]:
    while True:
        page = store.turns(thread, cursor=cursor, limit=_PAGE, descending=descending, view=view)
        yield page
        cursor = page.next_cursor
        if cursor is None:
            return


def _gathered(
    store: ThreadStore, thread: str, cursor: str | None, limit: int, *, descending: bool, view: ItemsView
) -> dict[str, Any]:
    """A page of any size, in the app-server's shape."""
    data: list[dict[str, Any]] = []
    backwards: str | None = None
    while True:
        rest = min(_PAGE, limit - len(data))
        page = store.turns(thread, cursor=cursor, limit=rest, descending=descending, view=view)
        backwards = backwards if data else page.backwards_cursor
        data += page.data
        cursor = page.next_cursor
        if cursor is None or len(data) >= limit:
            return {"data": data, "nextCursor": cursor, "backwardsCursor": backwards}


def _list(session: Session, data: list[dict[str, Any]], *, full: bool) -> None:
    if session.json:
        for turn in data:
            session.record(turn)
    elif full:
        _conversation(session, data)
    else:
        _rows(session, data)


def _rows(session: Session, data: list[dict[str, Any]]) -> None:
    from threadkeep.cli._items import said_in
    from threadkeep.cli._text import clean, date, span

    rows = []
    for turn in data:
        started, took = turn.get("startedAt"), turn.get("durationMs")
        when = date(started * 1000 if started else None)
        lasted = span(took) if took is not None else "-"
        rows.append([clean(turn["id"]), when, lasted, clean(str(turn["status"])), said_in(turn)])
    session.table(_columns(), rows)


def _columns() -> list[Column]:
    from threadkeep.cli._table import Column

    # The widths do not hang on what a page holds: several pages make one table.
    return [
        Column("TURN", style="id", least=36),
        Column("STARTED", least=16),
        Column("TOOK", right=True, least=8),
        Column("STATUS", least=11),
        Column("SAID"),
    ]


def _head(session: Session, facts: Thread) -> None:
    from threadkeep.cli._text import clean, date, fit, size

    title = fit(clean(facts.name or facts.preview), session.terminal or _TITLE) or "(no title)"
    session.line(session.style(title, "bold"))
    told = [
        facts.id,
        f"changed {date(facts.updated_ms)}",
        size(facts.size),
        clean(facts.model or ""),
        clean(facts.cwd or ""),
        "archived" if facts.archived else "",
    ]
    session.line(session.style(", ".join(filter(None, told)), "dim"))
    if facts.problem is not None:
        session.line(session.style(clean(facts.problem), "bad"))


def _conversation(session: Session, data: list[dict[str, Any]]) -> None:
    from threadkeep.cli._items import turn_lines

    for turn in data:
        session.line()
        for line in turn_lines(turn, session.style):
            session.line(line)
