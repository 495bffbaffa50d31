"""For random histories: what was paged before records were appended stays paged, nothing lost and nothing twice."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.property.answers import all_items, all_turns, item_pages, limits, small_bounds, turn_pages, views
from tests.property.histories import Part, orderly
from tests.property.lineages import Family, Rollout, lineages
from tests.property.promises import one_at_a_time

from threadkeep.records import LEGACY, PAGINATED

pytestmark = pytest.mark.slow

Json = dict[str, Any]

OLD = -1
"""In what is appended: the newest turn that was there before."""


@st.composite
def appends(draw: st.DrawFn, rollouts: list[Rollout]) -> list[list[Part]]:
    """What is appended, bit by bit: whole turns, each perhaps with an item of a turn that was there before."""
    first = max([0, *(part.turn + 1 for rollout in rollouts for part in rollout.parts)])
    mode = rollouts[-1].mode
    bits = []
    for turn in range(first, first + draw(st.integers(1, 3))):
        parts = [part for part in draw(orderly(mode, first_turn=turn, max_turns=1)) if "roll back" not in part.name]
        late = [Part("planned", draw(st.integers(0, 5)), draw(st.integers(0, turn)))] if draw(st.booleans()) else []
        bits.append([Part("start", 0, turn), *parts[1:-1], *late, Part("complete", 0, turn)])
    return bits


def appender(family: Family, bits: list[list[Part]]) -> Any:
    left = list(bits)

    def append() -> None:
        if left:
            family.append(left.pop(0))

    return append


@st.composite
def grown(draw: st.DrawFn) -> tuple[list[Rollout], list[list[Part]]]:
    rollouts = draw(lineages(PAGINATED, LEGACY, "mixed", only_orderly=True))
    return rollouts, draw(appends(rollouts))


def ids(turns: list[Json]) -> list[str]:
    return [turn["id"] for turn in turns]


@given(drawn=grown(), view=views, limit=limits)
def test_turns_are_paged_on_while_others_are_appended(drawn: Any, view: Any, limit: int) -> None:
    rollouts, bits = drawn
    family = Family(rollouts)
    assume(one_at_a_time(family))
    before = ids(all_turns(family, view))
    with small_bounds():
        newest_first = ids(turn_pages(family, limit, view, descending=True, between=appender(family, bits)))
    assert newest_first == before[::-1]

    family = Family(rollouts)
    with small_bounds():
        paged = turn_pages(family, limit, view, descending=False, between=appender(family, bits))
    after = ids(all_turns(family, view))
    assert ids(paged) == after[: len(paged)]
    assert len(paged) >= len(before)


@given(drawn=grown(), view=views, limit=limits)
def test_what_was_appended_shows_in_the_next_page(drawn: Any, view: Any, limit: int) -> None:
    """A turn that was not shown yet is shown with the items that came late."""
    rollouts, bits = drawn
    family = Family(rollouts)
    assume(one_at_a_time(family))
    versions = [all_turns(family, view)]
    append = appender(family, bits)

    def noted() -> None:
        append()
        versions.append(all_turns(family, view))

    with small_bounds():
        paged = turn_pages(family, limit, view, descending=True, between=noted)
    for place, turn in enumerate(paged):
        version = versions[min(place // limit, len(versions) - 1)]
        assert turn in version


@given(drawn=grown(), limit=limits)
def test_items_are_paged_on_while_others_are_appended(drawn: Any, limit: int) -> None:
    rollouts, bits = drawn
    family = Family(rollouts)
    assume(one_at_a_time(family))

    def named(entries: list[Json]) -> list[tuple[str, str]]:
        return [(entry["turnId"], entry["item"]["id"]) for entry in entries]

    before = named(all_items(family))
    with small_bounds():
        newest_first = named(item_pages(family, limit, descending=True, between=appender(family, bits)))
    assert newest_first == before[::-1]

    family = Family(rollouts)
    with small_bounds():
        paged = named(item_pages(family, limit, descending=False, between=appender(family, bits)))
    assert paged == named(all_items(family))[: len(paged)]
    assert len(paged) >= len(before)


@pytest.mark.parametrize("descending", [True, False])
def test_what_a_child_completes_of_a_turn_that_was_rolled_back_before_it_shows_on_no_page(descending: bool) -> None:
    def turn(number: int, *more: Part) -> list[Part]:
        names = ("start", "settings of the turn", "user", "said")
        return [*(Part(name, number, number) for name in names), *more, Part("complete", number, number)]

    root = Rollout("legacy", [*turn(0), *turn(1, Part("roll back all", 0, 1))], [], [], pinned=False)
    child = Rollout("paginated", turn(2, Part("planned", 0, 0)), [], [], pinned=False)
    family = Family([root, child])
    assert [entry["item"]["id"] for entry in item_pages(family, 1, descending=descending)] == ["u0"]
