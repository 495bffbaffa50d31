"""A fork is small, and what is known of it without reading is what its records say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from threadkeep.bench._generate import Recipe
from threadkeep.bench._home import write_rollout
from threadkeep.bench._measure import forget_catalog
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 1_269
MOST_BYTES_MID_TURN = 1_536  # two more records: the interruption, for the model and for people


@pytest.mark.parametrize("mode", ["paginated", "legacy"])
def test_a_fork_of_a_fork_is_as_small(tmp_path: Path, mode: str) -> None:
    made, _ = write_rollout(str(tmp_path), Recipe(mode=mode, size=300_000, tail=100_000))
    with ThreadStore.open(tmp_path) as store:
        child = store.fork(made.thread_id)
        grandchild = store.fork(child.id)

    assert child.size <= MOST_BYTES
    assert grandchild.size <= MOST_BYTES


def test_a_fork_through_a_running_turn_is_small_though_it_ends_that_turn(tmp_path: Path) -> None:
    with (
        ThreadStore.open(tmp_path) as store,
        store.create(cwd="/home/me/project") as writer,
        writer.turn("go on") as turn,
    ):
        turn.say("on it")
        child = store.fork(writer.thread_id)

    assert child.size <= MOST_BYTES_MID_TURN


@pytest.mark.parametrize("warm", [True, False])
def test_a_fork_in_the_middle_of_a_turn_is_known_as_its_records_say(tmp_path: Path, warm: bool) -> None:
    with ThreadStore.open(tmp_path) as store, store.create(cwd="/home/me/project", model_provider="acme") as writer:
        with writer.turn("first", model="one") as turn:
            turn.say("done")
        with writer.turn("second", model="two") as turn:
            if warm:
                store.read(writer.thread_id)
            child = store.fork(writer.thread_id)
    forget_catalog(str(tmp_path))

    with ThreadStore.open(tmp_path) as store:
        assert store.read(child.id) == child
    assert (child.preview, child.model_provider, child.cwd) == ("first", "acme", "/home/me/project")


@pytest.mark.parametrize("mode", ["paginated", "legacy"])
@pytest.mark.parametrize("warm", [True, False])
def test_what_is_said_of_a_fork_is_what_its_records_say(tmp_path: Path, mode: str, warm: bool) -> None:
    made, _ = write_rollout(str(tmp_path), Recipe(mode=mode, size=300_000, tail=100_000))
    with ThreadStore.open(tmp_path) as store:
        if warm:
            store.read(made.thread_id)
        child = store.fork(made.thread_id)
        grandchild = store.fork(child.id)
    forget_catalog(str(tmp_path))

    with ThreadStore.open(tmp_path) as store:
        assert store.read(child.id) == child
        assert store.read(grandchild.id) == grandchild


@pytest.mark.parametrize("warm", [True, False])
def test_a_fork_of_a_fork_from_an_inherited_turn_says_what_was_true_there(tmp_path: Path, warm: bool) -> None:
    made, _ = write_rollout(str(tmp_path), Recipe(size=300_000, tail=100_000))
    with ThreadStore.open(tmp_path) as store:
        parent = store.fork(made.thread_id)
        if warm:
            store.read(parent.id)
        turns = store.turns(made.thread_id, descending=False, limit=3).data
        child = store.fork(parent.id, through=turns[1]["id"])
    forget_catalog(str(tmp_path))

    with ThreadStore.open(tmp_path) as store:
        assert store.read(child.id) == child
    assert child.usage != parent.usage


def test_a_fork_from_an_earlier_turn_says_what_was_true_there(tmp_path: Path) -> None:
    made, _ = write_rollout(str(tmp_path), Recipe(size=300_000, tail=100_000))
    with ThreadStore.open(tmp_path) as store:
        parent = store.read(made.thread_id)
        turns = store.turns(made.thread_id, descending=False, limit=3).data
        child = store.fork(made.thread_id, through=turns[1]["id"])
    forget_catalog(str(tmp_path))

    with ThreadStore.open(tmp_path) as store:
        assert store.read(child.id) == child
    assert child.usage != parent.usage
