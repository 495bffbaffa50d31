"""What was read of a thread is shared by clients and servers, and survives them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from threadkeep.appserver import _read_states
from threadkeep.appserver._read_states import ReadStates
from threadkeep.appserver._rpc import RpcError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_thread_that_nothing_happened_to_is_read(tmp_path: Path) -> None:
    assert ReadStates(str(tmp_path)).get("a") == {"firstUnread": None, "revision": "initial:a"}
    assert not list(tmp_path.iterdir())


def test_the_first_turn_that_was_not_read_stays_until_somebody_reads(tmp_path: Path) -> None:
    states = ReadStates(str(tmp_path))
    states.turn_ended("a", "t1")
    state = states.turn_ended("a", "t2")
    assert state["firstUnread"] == {"type": "turn", "turnId": "t1"}
    assert states.update("a", state["revision"], None)["firstUnread"] is None
    assert states.turn_ended("a", "t3")["firstUnread"] == {"type": "turn", "turnId": "t3"}


def test_a_client_that_saw_an_older_state_changes_nothing(tmp_path: Path) -> None:
    states = ReadStates(str(tmp_path))
    state = states.turn_ended("a", "t1")
    with pytest.raises(RpcError, match="read state changed") as caught:
        states.update("a", "initial:a", None)
    assert caught.value.data == {"reason": "readStateConflict", "readState": state}
    assert states.get("a") == state


def test_another_server_of_the_home_sees_it(tmp_path: Path) -> None:
    one, two = ReadStates(str(tmp_path)), ReadStates(str(tmp_path))
    assert two.get("a")["firstUnread"] is None
    state = one.turn_ended("a", "t1")
    assert two.get("a") == state
    two.forget("a")
    assert one.get("a")["revision"] == "initial:a"
    assert ReadStates(str(tmp_path)).get("a")["revision"] == "initial:a"


def test_lines_that_cannot_be_read_are_passed_over(tmp_path: Path) -> None:
    state = ReadStates(str(tmp_path)).turn_ended("a", "t1")
    path = tmp_path / "read-states.jsonl"
    path.write_bytes(b'nonsense\n\xff\n{"thread":"b","state":{}}\n' + path.read_bytes() + b'{"thread":"c","sta')
    states = ReadStates(str(tmp_path))
    assert states.get("a") == state
    assert states.get("b")["revision"] == "initial:b"


def test_the_file_does_not_grow_with_every_change(tmp_path: Path) -> None:
    states = ReadStates(str(tmp_path))
    for number in range(1000):
        states.turn_ended("a", f"t{number}")
    assert len((tmp_path / "read-states.jsonl").read_bytes().splitlines()) < 100
    assert ReadStates(str(tmp_path)).get("a") == states.get("a")


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    ReadStates(str(tmp_path / "threadkeep")).turn_ended("a", "t")
    assert os.stat(tmp_path / "threadkeep").st_mode & 0o077 == 0
    assert os.stat(tmp_path / "threadkeep" / "read-states.jsonl").st_mode & 0o077 == 0


def test_the_number_of_threads_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_read_states, "MOST_KEPT", 10)
    states = ReadStates(str(tmp_path))
    for number in range(30):
        states.turn_ended(f"thread-{number}", "t")
    assert len(states._states) == 10
    assert states.get("thread-29")["firstUnread"] is not None
    assert states.get("thread-0")["firstUnread"] is None
