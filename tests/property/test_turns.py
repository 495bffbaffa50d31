"""For random histories: the turns and items shown are the oracle's, and paging them changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from tests.property import promises
from tests.property.answers import all_turns, item_pages, limits, small_bounds, turn_pages, views
from tests.property.lineages import Family, lineages

from threadkeep.records import LEGACY, PAGINATED

if TYPE_CHECKING:
    from tests.property.lineages import Rollout

pytestmark = pytest.mark.slow

everywhere = lineages(PAGINATED, LEGACY, "mixed", only_orderly=True)


def family_of(rollouts: list[Rollout]) -> Family:
    """The family, if its turns run one at a time."""
    family = Family(rollouts)
    assume(promises.one_at_a_time(family))
    return family


@pytest.mark.usefixtures("_without_calls")
@given(rollouts=everywhere, view=views)
def test_turns_read_from_the_end_are_those_of_the_oracle(rollouts: list[Rollout], view: Any) -> None:
    family = family_of(rollouts)
    assume(promises.apart(family))
    promises.turns_are_the_oracles(family, view)


@given(rollouts=everywhere, view=views, limit=limits)
def test_pages_of_turns_make_the_whole(rollouts: list[Rollout], view: Any, limit: int) -> None:
    promises.turn_pages_make_the_whole(family_of(rollouts), view, limit)


@given(rollouts=lineages(PAGINATED, LEGACY, "mixed"), view=views)
def test_turns_read_one_by_one_make_the_whole(rollouts: list[Rollout], view: Any) -> None:
    promises.turns_one_by_one_make_the_whole(Family(rollouts), view)


@given(rollouts=everywhere, view=views)
def test_a_turn_found_by_its_id_is_the_one_that_is_listed(rollouts: list[Rollout], view: Any) -> None:
    promises.turns_are_found(family_of(rollouts), view)


@given(rollouts=lineages(PAGINATED, only_orderly=True))
def test_items_are_those_of_the_oracle(rollouts: list[Rollout]) -> None:
    promises.items_are_the_oracles(family_of(rollouts))


@given(rollouts=everywhere, limit=limits)
def test_pages_of_items_make_the_whole(rollouts: list[Rollout], limit: int) -> None:
    promises.item_pages_make_the_whole(family_of(rollouts), limit)


@given(rollouts=everywhere, limit=limits)
def test_every_item_of_a_full_turn_is_listed(rollouts: list[Rollout], limit: int) -> None:
    promises.items_of_turns_are_listed(family_of(rollouts), limit)


@given(rollouts=lineages(PAGINATED, LEGACY, "mixed"), view=views, limit=limits)
def test_whatever_a_file_holds_its_pages_end(rollouts: list[Rollout], view: Any, limit: int) -> None:
    """Turns that no writer leaves like that, too: reading them raises nothing and shows nothing without an end."""
    family = Family(rollouts)
    most = 4 * sum(len(rollout.parts) + len(rollout.later) + 4 for rollout in rollouts)
    with small_bounds():
        assert len(all_turns(family, view)) <= most
        for descending in (True, False):
            assert len(turn_pages(family, limit, view, descending=descending)) <= most
            assert len(item_pages(family, limit, descending=descending)) <= most
