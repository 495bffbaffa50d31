"""Clients of one home are killed at random moments: what was acknowledged stays, and nobody has to clean up after them.

The long form is ``python -m tests.faults.kill`` (`tests.faults.kill`).
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.codex.binary import REPOSITORY, find_codex
from tests.faults.kill_check import Checker
from tests.faults.kill_entries import Broken
from tests.faults.kill_model import Model
from tests.faults.kill_processes import Process

from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from pathlib import Path


def killed(seed: int, kills: int, *more: str) -> dict[str, Any]:
    """The figures of a run in a process of its own: pytest has threads, and must not be forked."""
    command = [sys.executable, "-m", "tests.faults.kill", "--seed", str(seed), "--kills", str(kills), "--json", *more]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


@pytest.mark.slow
def test_what_was_acknowledged_to_a_killed_process_is_kept() -> None:
    figures = killed(7, 60)
    assert figures["kills"] >= 60
    assert figures["records"] > 100
    assert figures["erased"] > 0
    assert figures["threads_verified"] > 20


@pytest.mark.codex
@pytest.mark.slow
def test_a_home_that_codex_is_killed_in_keeps_what_both_acknowledged() -> None:
    figures = killed(7, 6, "--codex", str(find_codex()))
    assert figures["kills"] >= 6
    assert figures["codex_kills"] >= 1
    assert figures["records"] > 20


# What would make the trial blind


def known(store: ThreadStore) -> Model:
    """What is known of a home with one thread, whose one turn was acknowledged."""
    (thread,) = (one.id for one in store.list().data)
    model = Model()
    model.take({"w": "w", "n": 1, "s": "intent", "op": "begin", "thread": thread})
    for number, text in enumerate(("a", "/a"), 2):
        about = {"op": "add", "thread": thread, "text": text, "turn": "a"}
        model.take({"w": "w", "n": number, "s": "intent", **about})
        model.take({"w": "w", "n": number, "s": "ack"})
    return model


def checked(home: Path, *, power: bool) -> None:
    """Look at such a home."""
    with ThreadStore.open(home) as store:
        checker = Checker(known(store), power=power)
        checker.at_rest(store)
        assert (checker.threads, checker.verified) == (1, 1)


def test_nothing_but_a_power_cut_leaves_holes(tmp_path: Path) -> None:
    with ThreadStore.open(tmp_path) as store, store.create(cwd="/project") as writer:
        with writer.turn("a"):
            pass
        file = tmp_path / store.read(writer.thread_id).location
    checked(tmp_path, power=False)

    with file.open("ab") as rollout:
        rollout.write(bytes(300) + b'"payload":{}}\n')
    checked(tmp_path, power=True)
    with pytest.raises(Broken, match="nul-bytes"):
        checked(tmp_path, power=False)


def test_what_was_erased_is_in_no_file(tmp_path: Path) -> None:
    secret = "<secret-a>"
    with ThreadStore.open(tmp_path) as store, store.create(cwd="/project") as writer, writer.turn(f"a {secret}"):
        pass
    with ThreadStore.open(tmp_path) as store:
        model = known(store)
        checker = Checker(model)
        model.erased.add(secret)
        with pytest.raises(Broken, match=f"holds {secret}"):
            checker.at_rest(store)
        model.erased.clear()
        model.take({"w": "w", "n": 9, "s": "intent", "op": "erase", "thread": writer.thread_id, "secret": secret})
        model.take({"w": "w", "n": 0, "s": "dead"})
        checker.at_rest(store)  # what was cut off is done again
    assert (model.erased, model.erasing) == ({secret}, {})


def test_what_a_checkpoint_hides_may_be_told_by_a_fork_before_it() -> None:
    """A killed process left the record for the model alone; the thread was looked at after the next checkpoint."""
    model, number = Model(), iter(range(1, 99))

    def take(**about: Any) -> int:
        n = next(number)
        model.take({"w": "w", "n": n, "s": "intent", "thread": "thread", **about})
        return n

    def said(text: str, turn: str, *, acknowledged: bool = True) -> None:
        n = take(op="add", text=text, turn=turn)
        if acknowledged:
            model.take({"w": "w", "n": n, "s": "ack"})

    take(op="begin")
    said("a", "a")
    said("cut", "cut", acknowledged=False)
    said("b", "b")
    said("c", "c")
    said("kept:d", "c")
    thread = model.threads["thread"]
    thread.settle(thread.fits(["a", "b", "c"], ["kept:d"]), sure=True)
    model.take({"w": "w", "n": take(op="fork", before="c"), "s": "ack", "child": "child"})
    for told in (["a", "cut", "b"], ["a", "b"]):
        assert model.threads["child"].fits(["a", "b"], told)
    assert not model.threads["child"].fits(["a", "b"], ["a", "cut"])


def test_a_process_that_died_of_something_else_is_told() -> None:
    process = Process("w1", 0)
    process.status = signal.SIGKILL.value
    process.check_death()
    process.status = signal.SIGSEGV.value
    with pytest.raises(Broken, match="w1 died of signal 11"):
        process.check_death()
