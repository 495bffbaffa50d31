"""Generated threads: the same recipe makes the same bytes, and they are what the recipe says."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import pytest

from threadkeep.bench._generate import CheckpointAge, Generated, Recipe, generate
from threadkeep.bench._home import made_home, scratch_copy
from threadkeep.records import LEGACY, PAGINATED, record_of

if TYPE_CHECKING:
    from pathlib import Path

MODES = (PAGINATED, LEGACY)


def digest(recipe: Recipe) -> str:
    return hashlib.sha256(b"".join(generate(recipe, Generated()))).hexdigest()


@pytest.mark.parametrize("mode", MODES)
def test_the_same_recipe_makes_the_same_bytes(mode: str) -> None:
    recipe = Recipe(mode=mode, size=200_000, tail=50_000)

    assert digest(recipe) == digest(recipe)
    assert digest(recipe) != digest(msgspec.structs.replace(recipe, seed=2))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("age", get_args(CheckpointAge))
def test_every_line_is_a_whole_record(mode: str, age: CheckpointAge) -> None:
    made = Generated()
    lines = list(generate(Recipe(mode=mode, size=200_000, tail=50_000, age=age), made))

    records = [record_of(0, line[:-1]) for line in lines]
    assert all(line.endswith(b"\n") for line in lines)
    assert all(record.kind and record.intact for record in records)
    assert made.records == len(lines)
    assert made.compactions == sum(record.kind == "compacted" for record in records)
    expected = list(range(len(lines))) if mode == PAGINATED else [None] * len(lines)
    assert [record.ordinal for record in records] == expected


@pytest.mark.parametrize("size", [1_000_000, 3_000_000])
def test_the_last_checkpoint_stands_where_the_recipe_says(size: int) -> None:
    lines = list(generate(Recipe(size=size, tail=500_000), Generated()))
    total = sum(map(len, lines))
    after = 0
    for line in reversed(lines):
        if record_of(0, line[:-1]).kind == "compacted":
            break
        after += len(line)

    assert size <= total < size + 200_000
    assert 400_000 < after < 700_000


@pytest.mark.parametrize("mode", MODES)
def test_checkpoints_stand_where_the_recipe_says(mode: str) -> None:
    def turns_before_checkpoints(**placed: Any) -> list[int]:
        turns, found = 0, []
        for line in generate(Recipe(mode=mode, size=6_000_000, tail=1_000_000, **placed), Generated()):
            record = record_of(0, line[:-1])
            turns += record.subtype == "task_complete"
            if record.kind == "compacted":
                found.append(turns)
        return found

    assert turns_before_checkpoints(checkpoints="none") == []
    assert turns_before_checkpoints(checkpoints="early") == [1]
    assert len(turns_before_checkpoints(checkpoints="late")) == 2


def test_turns_are_rolled_back_as_often_as_the_recipe_says() -> None:
    made = Generated()
    lines = list(generate(Recipe(mode=LEGACY, size=600_000, tail=100_000, rollback_every=3), made))

    kinds = [record_of(0, line[:-1]).subtype for line in lines]
    assert made.rollbacks == kinds.count("thread_rolled_back") == (made.turns - made.compactions) // 3 > 1


def test_a_paginated_thread_has_no_rollbacks() -> None:
    with pytest.raises(ValueError, match="only legacy"):
        list(generate(Recipe(mode=PAGINATED, rollback_every=3), Generated()))


def test_a_home_is_made_once_and_found_again(tmp_path: Path) -> None:
    recipe = Recipe(size=100_000, tail=20_000)
    first = made_home(str(tmp_path), recipe)
    with open(first.rollout, "rb") as file:
        before = (file.read(), first)

    second = made_home(str(tmp_path), recipe)
    with open(second.rollout, "rb") as file:
        assert (file.read(), second) == before


def test_a_home_whose_file_changed_is_made_anew(tmp_path: Path) -> None:
    recipe = Recipe(size=100_000, tail=20_000)
    home = made_home(str(tmp_path), recipe)
    with open(home.rollout, "ab") as file:
        file.write(b"more\n")

    assert made_home(str(tmp_path), recipe).size == home.size
    with open(home.rollout, "rb") as file:
        assert not file.read().endswith(b"more\n")


def test_what_is_written_beside_a_home_leaves_it_alone(tmp_path: Path) -> None:
    home = made_home(str(tmp_path), Recipe(size=100_000, tail=20_000))
    with scratch_copy(home) as path:
        assert (tmp_path / path / home.location).stat().st_size == home.size

    assert [entry.name for entry in tmp_path.iterdir()] == [home.path.rsplit("/", 1)[1]]
