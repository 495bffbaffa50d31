"""What holds for every history, as checks of one family of rollouts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.oracle import context as oracle
from tests.property import expected
from tests.property.answers import (
    all_items,
    all_turns,
    context_values,
    item_pages,
    small_bounds,
    turn_of,
    turn_pages,
    turns_forwards,
)

from threadkeep.replay._in_force import read_latest
from threadkeep.replay._replay import read_context

if TYPE_CHECKING:
    from tests.property.lineages import Family

    from threadkeep.replay._turn import ItemsView

Json = dict[str, Any]

_STARTS = {"task_started", "turn_started"}
_ENDS = {"task_complete", "turn_complete", "turn_aborted"}


# --- which histories the promises are made for ------------------------------------------------------------------------


def named(record: Json) -> str | None:
    """The turn that an event names."""
    turn_id = record["payload"].get("turn_id") if record["type"] == "event_msg" else None
    return turn_id if isinstance(turn_id, str) else None


def apart(family: Family) -> bool:
    """Whether paginated rollouts name no turn of a legacy root: of those no single oracle knows."""
    of_root, *others = [[named(record) for record in segment if oracle.counts(record)] for segment in family.records()]
    return family.mode != "mixed" or set(of_root).isdisjoint({name for names in others for name in names} - {None})


def one_at_a_time(family: Family) -> bool:
    """Whether starts and ends of each turn stand together, no item comes before them, and no end in another turn.

    Every writer leaves its turns like that; damage may take lines away from them.
    """
    seen: list[str] = []
    running: str | None = None
    for record in (record for segment in family.records() for record in segment if oracle.counts(record)):
        turn_id, kind = named(record), record["payload"].get("type")
        if kind == "thread_rolled_back":
            running = None
        if turn_id is None:
            continue
        if kind == "item_completed" and turn_id not in seen:
            return False
        if kind in _STARTS | _ENDS:
            if turn_id in seen[:-1] or (kind in _ENDS and running not in (None, turn_id)):
                return False
            running = turn_id if kind in _STARTS else None
            if seen[-1:] != [turn_id]:
                seen.append(turn_id)
    return True


# --- the promises -----------------------------------------------------------------------------------------------------


def context_is_the_same_every_way(family: Family) -> None:
    """Bounded replay is full replay is the oracle."""
    found = []
    for totals in (family.library, None):
        with family.open() as lineage:
            context = read_context(lineage, totals)
            found.append(context_values(context))
        with family.open() as lineage:
            latest = read_latest(lineage, family.library)
            assert (latest.settings, latest.usage) == (context.settings, context.usage)
    bounded, full = found
    assert bounded == full
    assert full == expected.context(family)


def turns_are_the_oracles(family: Family, view: ItemsView) -> None:
    """Turns read from the end are those that are read from the beginning."""
    assert _neutral(all_turns(family, view)) == _neutral(expected.turns(family, view))


def _neutral(turns: list[Json]) -> list[Json]:
    """Without the ids that the real server counts from the beginning of the file."""
    for turn in turns:
        turn["id"] = re.sub(r"^rollout-\d+$", "rollout", turn["id"])
        for item in turn["items"]:
            item["id"] = re.sub(r"^item-\d+$", "item", item["id"])
    return turns


def turn_pages_make_the_whole(family: Family, view: ItemsView, limit: int) -> None:
    """Pages of turns, in either order, are the turns."""
    whole = all_turns(family, view)
    with small_bounds():
        assert turn_pages(family, limit, view, descending=True) == whole[::-1]
        assert turn_pages(family, limit, view, descending=False) == whole


def turns_one_by_one_make_the_whole(family: Family, view: ItemsView) -> None:
    """Turns that are read one by one, oldest first, are the turns."""
    whole = all_turns(family, view)
    assert turns_forwards(family, view) == whole
    with small_bounds():
        assert turns_forwards(family, view) == whole


def turns_are_found(family: Family, view: ItemsView) -> None:
    """A turn that is asked for by its id is the one that is listed."""
    with small_bounds():
        for listed in all_turns(family, view):
            assert turn_of(family, listed["id"], view) == listed


def items_are_the_oracles(family: Family) -> None:
    """Items of a paginated thread are those that are read from the beginning."""
    whole = [{"turnId": entry["turnId"], "item": entry["item"]} for entry in expected.items(family)]
    assert all_items(family) == whole


def item_pages_make_the_whole(family: Family, limit: int) -> None:
    """Pages of items, in either order, are the items."""
    whole = all_items(family)
    with small_bounds():
        assert item_pages(family, limit, descending=False) == whole
        assert item_pages(family, limit, descending=True) == whole[::-1]


def items_of_turns_are_listed(family: Family, limit: int) -> None:
    """Every item of every turn is in the list of all items, and the list of one turn's items is that turn's."""
    turns = all_turns(family, "full")
    shown = [{"turnId": turn["id"], "item": item} for turn in turns for item in turn["items"]]
    listed = all_items(family)
    assert [entry for entry in shown if entry not in listed] == []
    with small_bounds():
        for turn in turns:
            of_turn = item_pages(family, limit, descending=False, turn_id=turn["id"])
            assert sorted(map(repr, of_turn)) == sorted(repr(entry) for entry in shown if entry["turnId"] == turn["id"])
