"""``threadkeep tree`` and ``threadkeep du``: who came from whom, and what it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import click

from threadkeep.cli._options import example, json_option

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from threadkeep.cli._session import Session
    from threadkeep.store._models import Family, TreeNode

__all__ = ["du", "tree"]


class _Placed(NamedTuple):
    """A thread of the tree, with what leads to it: for each generation whether more of it comes below."""

    node: TreeNode
    parent: str | None
    more: tuple[bool, ...]


@click.command(epilog=example("threadkeep tree", "threadkeep tree 0199a213"))
@click.argument("thread", metavar="[ID]", required=False)
@json_option
@click.pass_obj
def tree(session: Session, thread: str | None) -> None:
    """Show which thread came from which.

    Of all threads, or of the family of one, with the bytes that each owns and inherits.
    """
    with session.store() as store, session.working("looking", unit="thread") as progress:
        placed = list(_walk(store.tree(thread, progress=progress)))
        session.warn(store)
    if session.json:
        session.answer({"data": [_record(one) for one in placed]})
        return
    from threadkeep.cli._table import Column

    columns = [Column("ID", style="id"), Column("OWN", right=True), Column("INHERITED", right=True), Column("THREAD")]
    ids = session.ids([one.node.id for one in placed])
    session.table(columns, [_row(session, one, shown) for one, shown in zip(placed, ids, strict=True)])
    if not placed:
        session.no_threads()


def _walk(roots: Sequence[TreeNode]) -> Iterator[_Placed]:
    """The threads as they are shown, parents before children. A tree may be thousands of forks deep: no recursion."""
    waiting = [_Placed(root, None, ()) for root in reversed(roots)]
    while waiting:
        placed = waiting.pop()
        yield placed
        children = placed.node.children
        waiting += [
            _Placed(child, placed.node.id, (*placed.more, index < len(children) - 1))
            for index, child in reversed(list(enumerate(children)))
        ]


def _record(placed: _Placed) -> dict[str, object]:
    from threadkeep.cli._json import plain

    shallow = {name: value for name, value in plain(_childless(placed.node)).items() if name != "children"}
    return {**shallow, "parentId": placed.parent, "depth": len(placed.more)}


def _childless(node: TreeNode) -> TreeNode:
    import msgspec

    return msgspec.structs.replace(node, children=[])


def _row(session: Session, placed: _Placed, shown_id: str) -> list[str]:
    from threadkeep.cli._text import clean, size

    node = placed.node
    flags = f"[{node.relation}] " if node.relation in ("copy", "agent") else ""
    flags += ("[deleted] " if node.deleted else "") + ("[archived] " if node.archived else "")
    inherited = size(node.inherited_bytes) if node.inherited_bytes else "-"
    title = clean(node.title) or ("" if flags else "(no title)")
    return [shown_id, size(node.own_bytes), inherited, _branch(placed.more, session.draws) + flags + title]


def _branch(more: tuple[bool, ...], draws: bool) -> str:
    if not more:
        return ""
    bar, tee, corner = ("│  ", "├─ ", "└─ ") if draws else ("|  ", "|- ", "`- ")
    return "".join(bar if below else "   " for below in more[:-1]) + (tee if more[-1] else corner)


@click.command(epilog=example("threadkeep du"))
@json_option
@click.pass_obj
def du(session: Session) -> None:
    """Show the bytes of each family of threads.

    A family is a thread and all that came from it. Own bytes are stored; inherited ones are not: they are what forks by
    copy would have cost. Duplicated bytes are stored twice, by forks that did copy; pinned ones are held by pins alone.
    """
    with session.store() as store, session.working("looking", unit="thread") as progress:
        families = store.families(progress=progress)
        session.warn(store)
    totals = _totals(families)
    if session.json:
        session.answer({"data": families, "total": totals})
        return
    if not families:
        session.no_threads()
        return
    from threadkeep.cli._table import Column
    from threadkeep.cli._text import amount, clean, size

    figures = ["OWN", "INHERITED", "DUPLICATED", "PINNED"]
    columns = [Column("FAMILY OF", style="id"), Column("THREADS", right=True)]
    columns += [Column(title, right=True) for title in figures]
    rows = []
    for family, root in zip(families, session.ids([family.root for family in families]), strict=True):
        numbers = [family.own_bytes, family.inherited_bytes, family.duplicated_bytes, family.pinned_bytes]
        rows.append([root, f"{family.threads:,}", *map(size, numbers), clean(family.title)])
    sums = [totals[f"{name}Bytes"] for name in ("own", "inherited", "duplicated", "pinned")]
    rows.append([amount(len(families), "family", "families"), f"{totals['threads']:,}", *map(size, sums), "in all"])
    session.table([*columns, Column("TITLE")], rows, titled=True)


def _totals(families: Sequence[Family]) -> dict[str, int]:
    return {
        "threads": sum(family.threads for family in families),
        "rollouts": sum(family.rollouts for family in families),
        "ownBytes": sum(family.own_bytes for family in families),
        "inheritedBytes": sum(family.inherited_bytes for family in families),
        "duplicatedBytes": sum(family.duplicated_bytes for family in families),
        "pinnedBytes": sum(family.pinned_bytes for family in families),
    }
