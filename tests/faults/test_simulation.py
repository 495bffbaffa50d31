"""A simulated machine with faults, kills, power cuts and jumping clocks: every history is one that was acknowledged.

The long form is ``python -m tests.faults.simulation`` (`tests.faults.simulation`).
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.codex.binary import REPOSITORY
from tests.faults.kill_entries import Broken
from tests.faults.kill_model import Model
from tests.faults.simulation_files import SimulatedFiles
from tests.faults.simulation_world import World

if TYPE_CHECKING:
    from pathlib import Path


def simulated(seed: int, steps: int, folder: Path = REPOSITORY, **surroundings: str) -> dict[str, Any]:
    """The figures of a run in a process of its own."""
    command = [sys.executable, "-m", "tests.faults.simulation", "--seed", str(seed), "--steps", str(steps), "--json"]
    around = {**os.environ, **surroundings}
    done = subprocess.run(command, cwd=folder, env=around, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_history_is_one_that_was_not_acknowledged(seed: int) -> None:
    figures = simulated(seed, 160)
    assert figures["records"] > 50
    assert sum(figures[fault] for fault in ("kill", "torn", "power", "EIO", "ENOSPC", "short", "flush")) > 0


@pytest.mark.slow
def test_a_seed_repeats_a_run_to_the_call_wherever_it_runs(tmp_path: Path) -> None:
    """On another disk, in another zone, from another folder."""
    memory = "/dev/shm"
    here = simulated(9, 128, PYTHONHASHSEED="1", TZ="Asia/Tokyo", TMPDIR=str(tmp_path))
    elsewhere = simulated(
        9,
        128,
        tmp_path,
        PYTHONHASHSEED="2",
        PYTHONPATH=os.pathsep.join((str(tmp_path), str(REPOSITORY), str(REPOSITORY / "src"))),
        PYTHONDONTWRITEBYTECODE="1",
        TZ="America/Lima",
        TMPDIR=memory if os.access(memory, os.W_OK) else os.path.dirname(tmp_path),
    )
    assert here["digest"] == elsewhere["digest"] != simulated(10, 16)["digest"]


def test_the_numbers_of_files_are_the_machine_s_and_given_again(tmp_path: Path) -> None:
    """Whether the disk below gives them again depends on what else it holds."""
    files = SimulatedFiles(World(str(tmp_path), random.Random(0)))
    numbers = []
    for name in ("one", "two", "two", "three"):
        files.mkdir(str(tmp_path / name))
        numbers.append(files.stat(str(tmp_path / name)).st_ino)
        if name == "two":
            files.rmdir(str(tmp_path / name))
    assert numbers == [1, 2, 2, 2]


# The model: what would make it blind


def taken(*lines: dict[str, Any]) -> Model:
    """A model after these lines, all of one worker."""
    model = Model()
    for line in lines:
        model.take({"w": "w", **line})
    return model


BEGUN = (
    {"n": 1, "s": "intent", "op": "begin", "thread": "t"},
    {"n": 2, "s": "intent", "op": "add", "thread": "t", "text": "a", "turn": "a"},
    {"n": 2, "s": "ack"},
    {"n": 3, "s": "intent", "op": "add", "thread": "t", "text": "b", "turn": "a"},
)
READ = {"n": 9, "s": "intent", "op": "read", "thread": "t"}


@pytest.mark.parametrize("texts", [["a"], ["a", "b"]])
def test_what_was_not_acknowledged_may_be_there_or_not(texts: list[str]) -> None:
    taken(*BEGUN, READ, {"n": 9, "s": "ack", "texts": texts})


@pytest.mark.parametrize("texts", [[], ["b"], ["b", "a"], ["a", "a"], ["a", "b", "b"], ["a", "b", "c"]])
def test_nothing_else_may_be_there(texts: list[str]) -> None:
    with pytest.raises(Broken, match="which it never was"):
        taken(*BEGUN, READ, {"n": 9, "s": "ack", "texts": texts})


def test_what_was_acknowledged_must_be_there() -> None:
    with pytest.raises(Broken, match="which it never was"):
        taken(*BEGUN, {"n": 3, "s": "ack"}, READ, {"n": 9, "s": "ack", "texts": ["a"]})


@pytest.mark.parametrize("error", ["ThreadNotFound", "TurnNotFound", "Archived", "LeaseLost"])
def test_a_refusal_needs_a_reason(error: str) -> None:
    with pytest.raises(Broken, match="no reason"):
        taken(*BEGUN, READ, {"n": 9, "s": "refused", "error": error})


@pytest.mark.parametrize("state", ["ack", "failed"])
def test_a_revert_that_failed_happened_or_did_not(state: str) -> None:
    second = (
        {"n": 3, "s": "ack"},
        {"n": 4, "s": "intent", "op": "add", "thread": "t", "text": "c", "turn": "c"},
        {"n": 4, "s": "ack"},
        {"n": 5, "s": "intent", "op": "revert", "thread": "t", "before": "c"},
        {"n": 5, "s": state},
    )
    possible = [["a", "b"]] if state == "ack" else [["a", "b"], ["a", "b", "c"]]
    for found in possible:
        taken(*BEGUN, *second, READ, {"n": 9, "s": "ack", "texts": found})
    for found in [["a", "b"], ["a", "b", "c"], ["a"]]:
        if found not in possible:
            with pytest.raises(Broken):
                taken(*BEGUN, *second, READ, {"n": 9, "s": "ack", "texts": found})


ERASED = {"n": 9, "s": "intent", "op": "erase", "thread": "t", "secret": "<secret-a>"}
REFUSED = {"n": 5, "s": "failed", "error": "BrokenLineage"}


def test_who_inherits_is_refused_only_while_something_is_half_erased() -> None:
    reading = {**READ, "n": 5}
    taken(*BEGUN, ERASED, reading, REFUSED)
    taken(*BEGUN, ERASED, {"n": 9, "s": "failed"}, reading, REFUSED)
    taken(*BEGUN, ERASED, reading, {"n": 9, "s": "ack"}, REFUSED)
    for lines in (
        [reading],
        [ERASED, {"n": 9, "s": "ack"}, reading],
        [ERASED, {"n": 9, "s": "refused", "error": "ThreadBusy"}, reading],
    ):
        with pytest.raises(Broken, match="nobody erases"):
            taken(*BEGUN, *lines, REFUSED)


def test_a_deletion_with_what_came_of_it_may_take_every_fork_until_it_says_what_it_took() -> None:
    lines = (
        *BEGUN,
        {"n": 3, "s": "ack"},
        {"n": 4, "s": "intent", "op": "fork", "thread": "t"},
        {"n": 4, "s": "ack", "child": "first"},
        {"n": 5, "s": "intent", "op": "fork", "thread": "first"},
        {"n": 6, "s": "intent", "op": "delete", "thread": "t", "cascade": True},
        {"n": 5, "s": "ack", "child": "second"},
    )
    open_still = taken(*lines)
    for thread in ("t", "first", "second"):
        assert set(open_still.threads[thread].there.possible) == {True, False}
    done = taken(*lines, {"n": 6, "s": "ack", "threads": ["t", "first"]})
    assert [done.threads[thread].there.possible for thread in ("t", "first", "second")] == [[False], [False], [True]]
    alone = taken(*lines[:-2], {"n": 6, "s": "intent", "op": "delete", "thread": "t", "cascade": False}, lines[-1])
    assert [alone.threads[thread].there.possible for thread in ("first", "second")] == [[True], [True]]


def test_of_two_names_the_one_that_was_given_last_counts() -> None:
    """Where two were given at the same time, either may."""
    model = taken(
        *BEGUN,
        {"n": 4, "s": "intent", "op": "rename", "thread": "t", "name": "one"},
        {"n": 4, "s": "ack"},
        {"n": 5, "s": "intent", "op": "rename", "thread": "t", "name": "two"},
        {"n": 6, "s": "intent", "op": "rename", "thread": "t", "name": "three"},
        {"n": 5, "s": "ack"},
        {"n": 6, "s": "ack"},
    )
    assert sorted(model.threads["t"].name.possible) == ["three", "two"]
