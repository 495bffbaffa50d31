"""``threadkeep fork`` and ``threadkeep revert``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cli.conftest import THREAD_KEYS

if TYPE_CHECKING:
    from tests.cli.conftest import Home


def test_fork_prints_the_new_id_and_nothing_else(home: Home) -> None:
    thread = home.thread("one", "two")
    forked = home("fork", thread)
    child = forked.out.removesuffix("\n")
    assert (forked.code, forked.err) == (0, "")
    assert home.turn_ids(child) == home.turn_ids(thread)


def test_fork_through_and_before_a_turn(home: Home) -> None:
    thread = home.thread("one", "two", "three")
    one, two, _ = home.turn_ids(thread)
    assert home.turn_ids(home("fork", thread, "--through", two).out.strip()) == [one, two]
    assert home.turn_ids(home("fork", thread, "--before", two).out.strip()) == [one]


def test_fork_answers_with_the_new_thread_in_json(home: Home) -> None:
    thread = home.thread("one")
    child = home("fork", thread, "--json").json
    assert set(child) == THREAD_KEYS
    assert child["forkedFromId"] == thread


def test_fork_takes_one_place_and_a_turn_that_is_there(home: Home) -> None:
    thread = home.thread("one")
    turn = home.turn_ids(thread)[0]
    assert home("fork", thread, "--through", turn, "--before", turn).code == 2
    missing = home("fork", thread, "--through", "no-such-turn", "--json")
    assert missing.code == 3
    assert missing.error["type"] == "TurnNotFound"


def test_a_beginning_of_a_turns_id_is_not_taken_for_it(home: Home) -> None:
    thread = home.thread("one")
    assert home("fork", thread, "--through", home.turn_ids(thread)[0][:30]).code == 3


def test_revert_goes_on_from_before_a_turn(home: Home) -> None:
    thread = home.thread("one", "two")
    one, two = home.turn_ids(thread)
    reverted = home("revert", thread, "--before", two)
    assert (reverted.code, reverted.out) == (0, f"{thread} goes on from before turn {two}\n")
    assert home.turn_ids(thread) == [one]


def test_revert_answers_with_the_thread_in_json(home: Home) -> None:
    thread = home.thread("one", "two")
    answer = home("revert", thread, "--before", home.turn_ids(thread)[1], "--json").json
    assert set(answer) == THREAD_KEYS
    assert answer["id"] == thread
    assert answer["rolloutId"] != thread


def test_revert_wants_a_turn(home: Home) -> None:
    assert home("revert", home.thread("one")).code == 2
