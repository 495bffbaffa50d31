"""Histories that once were read wrongly: each is read right in every way."""

from __future__ import annotations

from typing import Final

import pytest
from tests.property import promises
from tests.property.answers import all_items, all_turns
from tests.property.histories import Damage, Part
from tests.property.lineages import Family, Rollout

from threadkeep.records import LEGACY, PAGINATED


def turn(number: int, *inner: Part) -> list[Part]:
    """A whole turn."""
    names = ("start", "settings of the turn", "user", "said")
    return [*(Part(name, number, number) for name in names), *inner, Part("complete", number, number)]


def without_start(number: int) -> list[Part]:
    """A turn whose first line is lost."""
    return turn(number)[1:]


ANSWERS: Final = [Part("answered", number) for number in range(4)]
"""More than what is gathered before it is asked where the first turn starts."""

TAKEN_BACK: Final = [
    Rollout(LEGACY, [*turn(0), *turn(1), Part("roll back", 1, 1)]),
    Rollout(PAGINATED, [Part("planned", 0, 1), *turn(2)]),
]

FOUND: Final[dict[str, list[Rollout]]] = {
    "an item that comes in the turn after its own": [
        Rollout(PAGINATED, [*turn(0), *turn(1), *turn(2, Part("planned", 1, 1)), *turn(3)]),
    ],
    "an item that changes in the turn after its own": [
        Rollout(PAGINATED, [*turn(0, Part("planned", 1, 0), Part("answered", 0, 0)), *turn(1, Part("planned", 4, 0))]),
    ],
    "an item that changes in the turn after its own, in a legacy file": [
        Rollout(LEGACY, [*turn(0, Part("planned", 1, 0), Part("answered", 0, 0)), *turn(1, Part("planned", 4, 0))]),
    ],
    "ends of turns without a start that stand among each other": [
        Rollout(PAGINATED, [Part("abort", 2, 1), Part("complete", 1, -1), Part("abort", 2, 1), Part("complete", 4, 0)]),
    ],
    "a patch that comes in the turn after its own": [
        Rollout(LEGACY, [*turn(0), *turn(1, Part("patched", 1, 0)), *turn(2)]),
    ],
    "an item that comes in a turn that is taken back": [
        Rollout(LEGACY, [*turn(0), *turn(1, Part("planned", 0, 0)), *turn(2, Part("roll back", 2, 2))]),
    ],
    "an item of a turn that a legacy file never had": [
        Rollout(LEGACY, [Part("said"), Part("complete"), *turn(1, Part("planned", 0, 0))]),
    ],
    "an item that a fork completes again": [
        Rollout(PAGINATED, turn(0, Part("planned", 0, 0))),
        Rollout(PAGINATED, turn(1, Part("planned", 0, 0))),
    ],
    "an item that a fork completes of a turn that a legacy file takes back": TAKEN_BACK,
    "a message that a fork completes in the turn that a legacy file ends in": [
        Rollout(LEGACY, [*turn(0), Part("start", 1, 1), Part("said", 0, 1)]),
        Rollout(PAGINATED, [Part("said", 1, 1)]),
    ],
    "a message that a fork completes in a turn of which a legacy file has nothing but the start": [
        Rollout(LEGACY, [Part("start", 1, 1)]),
        Rollout(PAGINATED, [Part("said", 1, 1)]),
    ],
    "items that a fork adds to a turn of a legacy file": [
        Rollout(LEGACY, turn(0)),
        Rollout(PAGINATED, turn(1, Part("planned", 0, 0), Part("planned", 1, 0))),
    ],
    "a start that is none in a legacy turn": [
        Rollout(LEGACY, turn(0, Part("start of nothing"), Part("answered", 0))),
    ],
    "a start that is none between a compaction and a legacy turn that nothing starts": [
        Rollout(LEGACY, [Part("compacted"), Part("start of nothing"), Part("said", 1), *ANSWERS]),
    ],
    "a message that is none in a legacy turn that nothing starts": [
        Rollout(LEGACY, [Part("said"), Part("answered"), Part("message of nothing"), *ANSWERS]),
    ],
    "a compaction that is none between legacy turns": [
        Rollout(LEGACY, [*turn(0), Part("compaction of nothing"), *turn(1)]),
    ],
    "two starts that are lost, one after the other": [
        Rollout(PAGINATED, [*turn(0), *without_start(1), *without_start(2)]),
    ],
    "two starts that are lost in a fork": [
        Rollout(PAGINATED, turn(0)),
        Rollout(PAGINATED, [*without_start(1), *without_start(2)]),
    ],
    "a start that is lost in a fork of a legacy file": [
        Rollout(LEGACY, turn(0)),
        Rollout(PAGINATED, [Part("settings of the turn", 1, 1), Part("user", 1, 1), Part("complete", 1, 1)]),
    ],
    "settings and usage that a second first record hides": [
        Rollout(LEGACY, turn(0, Part("compacted", 1, 0))),
        Rollout(PAGINATED, turn(1, Part("usage", 2), Part("settings", 2)), damage=[Damage("meta again", 7)]),
    ],
    "settings that are wrong, behind a checkpoint": [
        Rollout(LEGACY, turn(0, Part("settings that are wrong", 1, 0), Part("compacted", 1, 0))),
        Rollout(PAGINATED, turn(1, Part("settings without rights", 1, 1), Part("compacted", 2, 1))),
    ],
    "compactions of which one does not count": [
        Rollout(
            PAGINATED,
            [
                *turn(0, Part("compacted, with metadata of others", 0, 0)),
                *turn(1, Part("compacted, as 0.125 did", 1, 1), Part("world", 1, 1)),
                *turn(2),
            ],
        ),
    ],
}


@pytest.fixture(params=list(FOUND.values()), ids=list(FOUND))
def family(request: pytest.FixtureRequest) -> Family:
    return Family(request.param)


@pytest.mark.usefixtures("_placeholders")
def test_the_context_is_the_same_every_way(family: Family) -> None:
    promises.context_is_the_same_every_way(family)


@pytest.mark.usefixtures("_without_calls")
def test_turns_are_those_of_the_oracle(family: Family) -> None:
    if promises.one_at_a_time(family) and promises.apart(family):
        promises.turns_are_the_oracles(family, "full")


def test_pages_of_turns_make_the_whole(family: Family) -> None:
    promises.turn_pages_make_the_whole(family, "full", 1)


def test_turns_one_by_one_make_the_whole(family: Family) -> None:
    promises.turns_one_by_one_make_the_whole(family, "full")


def test_turns_are_found(family: Family) -> None:
    promises.turns_are_found(family, "full")


def test_pages_of_items_make_the_whole(family: Family) -> None:
    promises.item_pages_make_the_whole(family, 1)
    promises.items_of_turns_are_listed(family, 1)


def test_an_item_that_comes_after_its_turn_was_taken_back_is_not_listed() -> None:
    family = Family(TAKEN_BACK)
    shown = [turn["id"] for turn in all_turns(family, "notLoaded")]
    assert len(shown) == 2
    assert {entry["turnId"] for entry in all_items(family)} <= set(shown)
