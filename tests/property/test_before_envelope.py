"""For random histories that begin before the envelope: what is shown is the oracle's, and holds page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.property import promises
from tests.property.answers import all_turns, limits, views
from tests.property.histories import Damage, Part, orderly
from tests.property.lineages import Family, Rollout

from threadkeep.records import LEGACY, PAGINATED

if TYPE_CHECKING:
    from collections.abc import Sequence

OLD: Final = ("an old message", "an old answer", "old surroundings", "old reasoning", "an old state")


@st.composite
def old_histories(draw: st.DrawFn) -> list[Rollout]:
    """Old lines, then perhaps turns that a writer of today added, then perhaps a fork of it all."""
    old = draw(st.lists(st.sampled_from(OLD), max_size=12))
    added = draw(st.one_of(st.just([]), orderly(LEGACY, max_turns=2)))
    torn = draw(st.lists(st.builds(Damage, st.sampled_from(("garbage", "cut")), st.integers(0, 12)), max_size=1))
    rollouts = [Rollout(LEGACY, added, damage=[*(Damage(name) for name in reversed(old)), *torn])]
    if draw(st.booleans()):
        rollouts.append(Rollout(PAGINATED, draw(orderly(PAGINATED, first_turn=5, max_turns=2))))
    return rollouts


def family_of(rollouts: list[Rollout]) -> Family:
    """The family, if its turns run one at a time."""
    family = Family(rollouts)
    assume(promises.one_at_a_time(family) and promises.apart(family))
    return family


@pytest.mark.usefixtures("_without_calls")
@given(rollouts=old_histories(), view=views)
def test_turns_are_those_of_the_oracle(rollouts: list[Rollout], view: Any) -> None:
    promises.turns_are_the_oracles(family_of(rollouts), view)


@given(rollouts=old_histories(), view=views, limit=limits)
def test_pages_of_turns_make_the_whole(rollouts: list[Rollout], view: Any, limit: int) -> None:
    family = family_of(rollouts)
    promises.turn_pages_make_the_whole(family, view, limit)
    promises.turns_are_found(family, view)


@given(rollouts=old_histories(), limit=limits)
def test_pages_of_items_make_the_whole(rollouts: list[Rollout], limit: int) -> None:
    family = family_of(rollouts)
    promises.item_pages_make_the_whole(family, limit)
    promises.items_of_turns_are_listed(family, limit)


@pytest.mark.usefixtures("_placeholders")
@given(rollouts=old_histories())
def test_the_context_is_the_same_every_way(rollouts: list[Rollout]) -> None:
    promises.context_is_the_same_every_way(Family(rollouts))


@pytest.mark.parametrize("added", [[], [Part("start"), Part("said"), Part("complete")]])
def test_every_message_of_a_person_begins_a_turn(added: Sequence[Part]) -> None:
    old = ["old surroundings", "an old message", "an old answer", "old reasoning", "an old message"]
    family = Family([Rollout(LEGACY, added, damage=[Damage(name) for name in reversed(old)])])
    shown = [[item["type"] for item in turn["items"]] for turn in all_turns(family, "full")]
    assert shown[:2] == [["userMessage", "agentMessage", "reasoning"], ["userMessage"]]
    assert len(shown) == 2 + bool(added)
