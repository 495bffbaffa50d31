"""What a thread was set to and has used is read from near its end, and is what a resume has."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from tests.codex.recorder import copy_home

import threadkeep.replay._in_force as in_force
from threadkeep.records import _build as build
from threadkeep.store import ThreadFilter, ThreadStore

FIXTURES: Final = Path(__file__).parents[1] / "fixtures" / "rollouts"
APPLIED: Final = {
    "model": "old",
    "model_provider_id": "p",
    "approval_policy": "never",
    "approvals_reviewer": "user",
    "permission_profile": {"type": "disabled"},
    "cwd": "/w",
    "service_tier": "flex",
    "collaboration_mode": {
        "mode": "default",
        "settings": {"model": "old", "reasoning_effort": None, "developer_instructions": None},
    },
}
HOMES: Final = sorted(str(path.parent.relative_to(FIXTURES)) for path in FIXTURES.glob("*/*/expected.json"))


@pytest.fixture
def near(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How near to the end is looked: what lies further back is known from the totals."""
    monkeypatch.setattr(in_force, "LOOKED_FOR", request.param)
    return int(request.param)


@pytest.mark.parametrize("near", [0, 600, 4 * 1024 * 1024], indirect=True)
@pytest.mark.parametrize("home", HOMES)
def test_the_newest_settings_and_usage_are_those_of_the_context(home: str, near: int, tmp_path: Path) -> None:
    copy_home(FIXTURES / home, tmp_path / "home")
    with ThreadStore.open(tmp_path / "home") as store:
        for thread in store.list(chosen=ThreadFilter(archived=None)).data:
            if thread.problem is not None:
                continue
            resumed = store.resume(thread.id)
            with store.snapshot(thread.id) as snapshot:
                latest = snapshot.latest()
            assert latest.usage == resumed.usage
            assert {**(latest.settings or {}), **(resumed.settings or {})} == (latest.settings or {})
            assert (latest.settings is None) == (resumed.settings is None)


def test_what_a_turn_does_not_say_was_applied_before(tmp_path: Path) -> None:
    with ThreadStore.open(tmp_path, durability="os") as store, store.create(cwd="/w") as writer:
        writer.append("event_msg", build.thread_settings_applied(writer.thread_id, APPLIED))
        with writer.turn("question", model="new") as turn:
            turn.say("answer")
        with store.snapshot(writer.thread_id) as snapshot:
            latest = snapshot.latest()
    assert latest.settings is not None
    assert (latest.settings["model"], latest.settings["service_tier"]) == ("new", "flex")


def test_the_turn_that_the_usage_was_counted_in_is_told(tmp_path: Path) -> None:
    counted = {"cached_input_tokens": 0, "output_tokens": 0, "reasoning_output_tokens": 0}
    with ThreadStore.open(tmp_path, durability="os") as store, store.create(cwd="/w") as writer:
        with writer.turn("counted", model="m") as first:
            first.count(
                total={"input_tokens": 1, "total_tokens": 1, **counted},
                last={"input_tokens": 1, "total_tokens": 1, **counted},
            )
        with writer.turn("not counted", model="m"):
            pass
        with store.snapshot(writer.thread_id) as snapshot:
            assert snapshot.latest().usage_turn == first.id


def test_what_is_looked_at_does_not_follow_the_distance_to_the_checkpoint(tmp_path: Path) -> None:
    read = []
    for turns in (20, 400):
        with ThreadStore.open(tmp_path / str(turns), durability="os") as store, store.create(cwd="/w") as writer:
            for number in range(turns):
                if number % 10 == 0:
                    writer.append("event_msg", build.thread_settings_applied(writer.thread_id, APPLIED))
                with writer.turn(f"question {number}", model="m") as turn:
                    turn.say("answer " * 300)
                    turn.count(
                        total={
                            "input_tokens": number,
                            "cached_input_tokens": 0,
                            "output_tokens": 0,
                            "reasoning_output_tokens": 0,
                            "total_tokens": number,
                        },
                        last={
                            "input_tokens": 1,
                            "cached_input_tokens": 0,
                            "output_tokens": 0,
                            "reasoning_output_tokens": 0,
                            "total_tokens": 1,
                        },
                    )
            with store.snapshot(writer.thread_id) as snapshot:
                before = snapshot.cost.bytes_read
                snapshot.latest()
                read.append(snapshot.cost.bytes_read - before)
    assert read[0] == read[1]
