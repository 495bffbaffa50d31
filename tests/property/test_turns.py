"""For random histories: the turns and items shown are the oracle's, and paging them changes nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.oracle import context as oracle
from tests.property import expected
from tests.property.lineages import Family, lineages
from tests.property.pages import all_items, all_turns, item_pages, small_bounds, turn, turn_pages

from threadkeep.replay import _legacy

if TYPE_CHECKING:
    from tests.property.lineages import Rollout

Json = dict[str, Any]

views = st.sampled_from(["full", "summary", "notLoaded"])
limits = st.sampled_from([1, 1, 2, 3, 5])


@pytest.fixture(scope="module")
def _without_calls() -> Any:
    """The real server, and with it the oracle, loses the tool calls of legacy threads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_legacy.LegacyBuilder, "_call", lambda *_: None)
        yield


def neutral(turns: list[Json]) -> list[Json]:
    """Without the ids that the real server counts from the beginning of the file."""
    for turn in turns:
        turn["id"] = re.sub(r"^rollout-\d+$", "rollout", turn["id"])
        for item in turn["items"]:
            item["id"] = re.sub(r"^item-\d+$", "item", item["id"])
    return turns


def named(record: Json) -> str | None:
    """The turn that an event names."""
    turn_id = record["payload"].get("turn_id") if record["type"] == "event_msg" else None
    return turn_id if isinstance(turn_id, str) else None


def apart(family: Family) -> bool:
    """Whether paginated rollouts name no turn of a legacy root: of those no single oracle knows."""
    of_root, *others = [[named(record) for record in segment if oracle.counts(record)] for segment in family.records()]
    return family.mode != "mixed" or set(of_root).isdisjoint({name for names in others for name in names} - {None})


_STARTS = {"task_started", "turn_started"}
_ENDS = {"task_complete", "turn_complete", "turn_aborted"}


def one_at_a_time(family: Family) -> bool:
    """Whether starts and ends of each turn stand together, none of its items before them, and no end in another turn."""
    seen: list[str] = []
    running: str | None = None
    for record in (record for segment in family.records() for record in segment if oracle.counts(record)):
        payload = record["payload"]
        turn_id, kind = payload.get("turn_id"), payload.get("type")
        if kind == "thread_rolled_back":
            running = None
        if not isinstance(turn_id, str) or record["type"] != "event_msg":
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


@pytest.mark.usefixtures("_without_calls")
@given(rollouts=lineages("paginated", "legacy", "mixed", only_orderly=True), view=views)
def test_turns_read_from_the_end_are_those_of_the_oracle(rollouts: list[Rollout], view: Any) -> None:
    family = Family(rollouts)
    assume(one_at_a_time(family) and apart(family))
    assert neutral(all_turns(family, view)) == neutral(expected.turns(family, view))


@given(rollouts=lineages("paginated", "legacy", "mixed", only_orderly=True), view=views, limit=limits)
def test_pages_of_turns_make_the_whole(rollouts: list[Rollout], view: Any, limit: int) -> None:
    family = Family(rollouts)
    assume(one_at_a_time(family))
    whole = all_turns(family, view)
    with small_bounds():
        assert turn_pages(family, limit, view, descending=True) == whole[::-1]
        assert turn_pages(family, limit, view, descending=False) == whole


@given(rollouts=lineages("paginated", "legacy", "mixed", only_orderly=True), view=views)
def test_a_turn_found_by_its_id_is_the_one_that_is_listed(rollouts: list[Rollout], view: Any) -> None:
    family = Family(rollouts)
    assume(one_at_a_time(family))
    with small_bounds():
        for listed in all_turns(family, view):
            assert turn(family, listed["id"], view) == listed


@given(rollouts=lineages("paginated", only_orderly=True))
def test_items_are_those_of_the_oracle(rollouts: list[Rollout]) -> None:
    family = Family(rollouts)
    assume(one_at_a_time(family))
    whole = [{"turnId": entry["turnId"], "item": entry["item"]} for entry in expected.items(family)]
    assert all_items(family) == whole


@given(rollouts=lineages("paginated", "legacy", "mixed", only_orderly=True), limit=limits)
def test_pages_of_items_make_the_whole(rollouts: list[Rollout], limit: int) -> None:
    family = Family(rollouts)
    assume(one_at_a_time(family))
    whole = all_items(family)
    with small_bounds():
        assert item_pages(family, limit, descending=False) == whole
        assert item_pages(family, limit, descending=True) == whole[::-1]


@given(rollouts=lineages("paginated", "legacy", "mixed", only_orderly=True), limit=limits)
def test_every_item_of_a_full_turn_is_listed(rollouts: list[Rollout], limit: int) -> None:
    family = Family(rollouts)
    assume(one_at_a_time(family))
    shown = [{"turnId": turn["id"], "item": item} for turn in all_turns(family, "full") for item in turn["items"]]
    listed = all_items(family)
    assert [entry for entry in shown if entry not in listed] == []
    with small_bounds():
        for turn in all_turns(family, "full"):
            of_turn = item_pages(family, limit, descending=False, turn_id=turn["id"])
            assert sorted(map(repr, of_turn)) == sorted(repr(entry) for entry in shown if entry["turnId"] == turn["id"])
