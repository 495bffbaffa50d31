"""A thread that was just begun: where it will lie, when its file is made, and one that lives in memory alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from threadkeep.errors import ThreadNotFound
from threadkeep.store import ThreadStore, Writer

if TYPE_CHECKING:
    from pathlib import Path

MODES = ["legacy", "paginated"]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def store(home: Path) -> ThreadStore:
    return ThreadStore.open(home, durability="os")


def say(writer: Writer, text: str) -> None:
    with writer.turn(text) as turn:
        turn.say(f"echo {text}")


@pytest.mark.parametrize("mode", MODES)
def test_a_new_thread_has_no_file_before_it_is_made(store: ThreadStore, home: Path, mode: str) -> None:
    with store.create(cwd="/work", mode=mode) as writer:
        planned = home / writer.planned_location
        assert not planned.exists()
        with pytest.raises(ThreadNotFound):
            store.read(writer.thread_id)

        ref = writer.materialize()

        assert ref.location == writer.planned_location
        assert planned.read_bytes().count(b"\n") == 1
        assert store.read(writer.thread_id).mode == mode


@pytest.mark.parametrize("mode", MODES)
def test_a_first_record_makes_the_file_where_it_was_announced(store: ThreadStore, home: Path, mode: str) -> None:
    with store.create(cwd="/work", mode=mode) as writer:
        planned = home / writer.planned_location
        say(writer, "hello")
        assert planned.exists()
        assert store.read(writer.thread_id).location == writer.planned_location


@pytest.mark.parametrize("mode", MODES)
def test_a_thread_goes_on_as_if_its_file_had_been_made_with_its_first_record(
    store: ThreadStore, home: Path, mode: str
) -> None:
    lines = []
    for early in (False, True):
        with store.create(cwd="/work", mode=mode) as writer:
            if early:
                writer.materialize()
                writer.materialize()
            say(writer, "hello")
        records = [msgspec.json.decode(line) for line in (home / writer.planned_location).read_bytes().splitlines()]
        lines.append([(record.get("ordinal"), record["type"]) for record in records])
        assert [turn["status"] for turn in store.turns(writer.thread_id).data] == ["completed"]
    assert lines[0] == lines[1]


def test_a_thread_that_was_begun_before_has_its_place(store: ThreadStore) -> None:
    with store.create(cwd="/work") as writer:
        say(writer, "hello")
        first = writer.planned_location
    with store.writer(writer.thread_id) as again:
        assert again.planned_location == first
        assert again.materialize().location == first


def test_who_began_a_thread_is_kept(store: ThreadStore) -> None:
    with store.create(cwd="/work", source="vscode", thread_source="user", runtime_workspace_roots=["/work"]) as writer:
        writer.materialize()
    thread = store.read(writer.thread_id)
    assert (thread.source, thread.thread_source) == ("vscode", "user")


@pytest.mark.parametrize("mode", MODES)
def test_an_ephemeral_thread_leaves_nothing_on_the_disk(store: ThreadStore, home: Path, mode: str) -> None:
    with store.create(cwd="/work", mode=mode, ephemeral=True) as writer:
        say(writer, "between us")
        thread = store.read(writer.thread_id)
        assert thread.ephemeral
        assert thread.location == writer.planned_location
    with store.writer(writer.thread_id) as writer:
        say(writer, "and again")
    assert len(store.turns(writer.thread_id).data) == 2
    assert store.resume(writer.thread_id).mode == mode
    assert not list(home.rglob("*.jsonl"))
    assert [thread.id for thread in store.list().data] == []
