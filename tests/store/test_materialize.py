"""Copies that need no other rollout: the same context, the same turns, and nothing that was there is touched."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sqlite3
import tracemalloc
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from tests.store.threads import LEGACY, add_turns, all_bytes, context_of, new_thread, turn_ids

from threadkeep.backends.local import LocalBackend
from threadkeep.backends.local._files import Files
from threadkeep.errors import BrokenLineage, InvalidRequest, StorageFailure, ThreadBusy
from threadkeep.ids import SystemClock
from threadkeep.records import Boundary
from threadkeep.replay import _legacy
from threadkeep.store import ThreadStore, _materialize

Json = dict[str, Any]
ROLLOUTS: Final = Path(__file__).parent.parent / "fixtures" / "rollouts"


WAIT: Final = _materialize._wait_for_a_later_name


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most tests need no name that tells a later second than that of a thread which was made a moment ago."""
    monkeypatch.setattr(_materialize, "_wait_for_a_later_name", lambda *_: True)


@pytest.fixture
def _in_real_time(_at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_materialize, "_wait_for_a_later_name", WAIT)


def lines_of(store: ThreadStore, location: str) -> list[bytes]:
    return all_bytes(store)[location].splitlines()


def turns_of(store: ThreadStore, thread: str) -> list[Json]:
    turns: list[Json] = json.loads(
        msgspec.json.encode(store.turns(thread, descending=False, limit=100, view="full").data)
    )
    return turns


def unchanged(store: ThreadStore, before: dict[str, bytes]) -> bool:
    now = all_bytes(store)
    return all(now.get(location) == data for location, data in before.items())


# --- what is written --------------------------------------------------------------------------------------------------


def test_a_fork_becomes_a_rollout_that_inherits_from_nothing(store: ThreadStore) -> None:
    parent = new_thread(store, "one", "two")
    child = store.fork(parent, through=turn_ids(store, parent)[0]).id
    add_turns(store, child, "three")
    grandchild = store.fork(child).id
    add_turns(store, grandchild, "four")
    before, context, turns = all_bytes(store), context_of(store, grandchild), turns_of(store, grandchild)
    made = store.materialize(grandchild)
    assert made.thread_id == made.source_id == grandchild
    assert unchanged(store, before)
    assert "history_base" not in json.loads(lines_of(store, made.location)[0])["payload"]
    assert len(all_bytes(store)[made.location]) == made.bytes_written
    assert context_of(store, grandchild) == context
    assert turns_of(store, grandchild) == turns
    assert store.verify(grandchild).ok


def test_records_stay_the_bytes_that_they_are(store: ThreadStore) -> None:
    parent = new_thread(store, "one", "two")
    child = store.fork(parent, through=turn_ids(store, parent)[0]).id
    add_turns(store, child, "three")
    held = all_bytes(store)
    older, newer = (data.splitlines() for data in sorted(held.values(), key=lambda data: b"forked_from_id" in data))
    inherited = older[
        1 : next(n for n, line in enumerate(older) if b'"ordinal":%d,' % json.loads(newer[0])["ordinal"] in line)
    ]
    made = store.materialize(child)
    assert lines_of(store, made.location)[1:] == [*inherited, *newer[1:]]


def test_a_thread_goes_on_after_it_was_copied(store: ThreadStore) -> None:
    child = store.fork(new_thread(store, "one", mode=LEGACY)).id
    store.materialize(child)
    add_turns(store, child, "two")
    ordinals = [json.loads(line)["ordinal"] for line in lines_of(store, store.read(child).location)]
    assert ordinals == sorted(set(ordinals))
    assert [turn["items"][0]["content"][0]["text"] for turn in turns_of(store, child)] == ["one", "two"]


def test_a_fork_of_a_legacy_thread_is_converted(store: ThreadStore) -> None:
    parent = new_thread(store, "one", "two", mode=LEGACY)
    child = store.fork(parent).id
    add_turns(store, child, "three")
    before, context, turns = all_bytes(store), context_of(store, child), turns_of(store, child)
    assert store.to_materialize() == [child]
    made = store.materialize(child)
    assert made.thread_id == child
    assert unchanged(store, before)
    assert context_of(store, child) == context
    assert untimed(turns_of(store, child)) == untimed(turns)
    assert store.to_materialize() == []
    assert store.base_instructions(child) == "Be brief."
    assert store.verify(child).ok


def untimed(turns: list[Json]) -> list[Json]:
    """Without the times of items: legacy events have none, their records' write times take their place."""
    return [
        {**turn, "items": [{**item, "startedAtMs": None, "completedAtMs": None} for item in turn["items"]]}
        for turn in turns
    ]


def test_rolled_back_turns_of_a_legacy_part_are_not_copied(store: ThreadStore) -> None:
    parent = new_thread(store, "one", "two", "three", mode=LEGACY)
    with store.writer(parent) as writer:
        writer.append("event_msg", {"type": "thread_rolled_back", "num_turns": 2})
    add_turns(store, parent, "four")
    child = store.fork(parent).id
    add_turns(store, child, "five")
    context, turns = context_of(store, child), turns_of(store, child)
    made = store.materialize(child)
    assert context_of(store, child) == context
    assert untimed(turns_of(store, child)) == untimed(turns)
    assert b"thread_rolled_back" not in all_bytes(store)[made.location]
    assert b"Answer to: two" not in all_bytes(store)[made.location]


def test_a_rollback_into_a_checkpoint_leaves_the_same_context(store: ThreadStore) -> None:
    parent = new_thread(store, "one", "two", mode=LEGACY)
    said = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": t}]} for t in ("one", "two")]
    with store.writer(parent) as writer, writer.turn("compact") as turn:
        turn.compact("a summary", said, window_number=1)
    add_turns(store, parent, "three")
    with store.writer(parent) as writer:
        writer.append("event_msg", {"type": "thread_rolled_back", "num_turns": 3})
    child = store.fork(parent).id
    context = context_of(store, child)
    store.materialize(child)
    assert context_of(store, child) == context


def test_what_a_sub_agent_was_given_is_not_shown_as_its_own(store: ThreadStore) -> None:
    parent = new_thread(store, "given", "own")
    first, *rest = next(iter(all_bytes(store).values())).splitlines()
    own = next(n for n, line in enumerate(rest) if turn_ids(store, parent)[1].encode() in line)
    meta = json.loads(first)
    agent = store.backend.ids.new()
    meta["payload"] |= {"id": agent, "session_id": parent, "subagent_history_start_ordinal": own + 1}
    store.backend.create(agent, agent, b"\n".join([json.dumps(meta).encode(), *rest, b""]), durability="os", kept=False)
    child = store.fork(agent).id
    turns = turns_of(store, child)
    assert len(turns) == 1
    store.materialize(child)
    assert turns_of(store, child) == turns


def test_ordinals_that_repeat_are_numbered_anew(store: ThreadStore) -> None:
    parent = new_thread(store, "one")
    lines = next(iter(all_bytes(store).values())).splitlines()
    doubled = [*lines[:3], lines[2], *lines[3:], b'{"half', lines[-1].replace(b'"ordinal"', b'"odd"'), b""]
    other = store.backend.ids.new()
    data = b"\n".join(doubled).replace(parent.encode(), other.encode())
    store.backend.create(other, other, data, durability="os", kept=False)
    child = store.fork(other).id
    context = context_of(store, child)
    made = store.materialize(child)
    copied = lines_of(store, made.location)
    ordinals = [json.loads(line)["ordinal"] for line in copied if line != b'{"half']
    assert len(copied) == len(ordinals) + 1
    assert ordinals == sorted(set(ordinals))
    assert context_of(store, child) == context


# --- where it goes ----------------------------------------------------------------------------------------------------


def test_a_thread_that_needs_no_other_needs_no_copy(store: ThreadStore) -> None:
    for mode in (LEGACY, "paginated"):
        thread = new_thread(store, "one", mode=mode)
        with pytest.raises(InvalidRequest, match="reads it as it is"):
            store.materialize(thread)
    assert len(all_bytes(store)) == 2
    assert store.to_materialize() == []


def test_forks_that_codex_reads_by_itself_need_no_copy(store: ThreadStore) -> None:
    parent = new_thread(store, "one")
    child = store.fork(parent).id
    add_turns(store, child, "two")
    store.fork(child)
    store.revert(parent, before=turn_ids(store, parent)[0])
    assert store.to_materialize() == []


def test_all_that_came_from_a_legacy_thread_needs_a_copy(store: ThreadStore) -> None:
    parent = new_thread(store, "one", mode=LEGACY)
    child = store.fork(parent).id
    add_turns(store, child, "two")
    grandchild = store.fork(child).id
    assert store.to_materialize() == [child, grandchild]
    for thread in store.to_materialize():
        store.materialize(thread)
    assert store.to_materialize() == []


def test_a_child_of_a_file_that_is_gone_is_copied_from_its_pin(tmp_path: Path) -> None:
    with ThreadStore.open(tmp_path) as store:
        parent = new_thread(store, "one", "two")
        child = store.fork(parent).id
        add_turns(store, child, "three")
        context = context_of(store, child)
        (tmp_path / store.read(parent).location).unlink()
        assert store.to_materialize() == [child]
        store.materialize(child)
        shutil.rmtree(tmp_path / "threadkeep" / "pins")
        assert context_of(store, child) == context
        assert store.to_materialize() == []


def test_a_child_that_was_anchored_anew_is_copied(store: ThreadStore) -> None:
    parent = new_thread(store, "one")
    child = store.fork(parent).id
    add_turns(store, child, "two")
    base = json.loads(next(data for data in all_bytes(store).values() if b"history_base" in data).splitlines()[0])
    noted = msgspec.convert(base["payload"]["history_base"]["threadkeep"], Boundary)
    context = context_of(store, child)
    assert store.to_materialize() == []
    store.backend.set_anchor(child, noted)
    assert store.to_materialize() == [child]
    store.materialize(child)
    assert context_of(store, child) == context
    assert store.to_materialize() == []


def test_an_ephemeral_fork_is_not_copied(store: ThreadStore) -> None:
    child = store.fork(new_thread(store, "one", mode=LEGACY), ephemeral=True).id
    with pytest.raises(InvalidRequest, match="ephemeral"):
        store.materialize(child)


def test_a_thread_that_nobody_can_read_is_no_candidate(tmp_path: Path) -> None:
    with ThreadStore.open(tmp_path) as store:
        parent = new_thread(store, "one")
        child = store.fork(parent).id
        (tmp_path / store.read(parent).location).unlink()
        shutil.rmtree(tmp_path / "threadkeep" / "pins")
        before = all_bytes(store)
        assert store.to_materialize() == []
        with pytest.raises(BrokenLineage):
            store.materialize(child)
        assert all_bytes(store) == before


def index(home: Path, store: ThreadStore, thread: str) -> None:
    """A row of Codex's for the thread's current rollout."""
    with sqlite3.connect(home / "state_5.sqlite") as db:
        db.execute("CREATE TABLE IF NOT EXISTS threads (id TEXT PRIMARY KEY, rollout_path TEXT, archived INTEGER)")
        db.execute("INSERT INTO threads VALUES (?, ?, 0)", (thread, str(home / store.read(thread).location)))
    db.close()


def test_a_thread_that_codex_has_indexed_is_copied_to_a_thread_of_its_own(tmp_path: Path) -> None:
    with ThreadStore.open(tmp_path) as store:
        child = store.fork(new_thread(store, "one", mode=LEGACY)).id
        add_turns(store, child, "two")
        store.rename(child, "the name")
        index(tmp_path, store, child)
        context, turns = context_of(store, child), turns_of(store, child)
        made = store.materialize(child)
        assert made.source_id == child != made.thread_id == made.rollout_id
        copy = store.read(made.thread_id)
        assert (copy.name, copy.forked_from_id, copy.preview) == ("the name", child, "one")
        assert context_of(store, made.thread_id) == context
        assert untimed(turns_of(store, made.thread_id)) == untimed(turns)
        assert context_of(store, child) == context
        assert store.to_materialize() == [], "it was copied, and nothing was added since"
        add_turns(store, child, "three", model="mock-1")
        assert store.to_materialize() == [child]


def test_a_revert_that_codex_does_not_see_is_copied_to_a_thread_of_its_own(tmp_path: Path) -> None:
    with ThreadStore.open(tmp_path) as store:
        thread = new_thread(store, "one", "two")
        index(tmp_path, store, thread)
        store.revert(thread, before=turn_ids(store, thread)[1], local=True)
        assert store.to_materialize() == [thread]
        turns = turns_of(store, thread)
        made = store.materialize(thread)
        assert made.location.startswith("sessions/")
        assert turns_of(store, made.thread_id) == turns
        assert store.to_materialize() == []


NAME: Final = re.compile(r"rollout-(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d)-")


@pytest.mark.usefixtures("_in_real_time")
def test_the_name_of_the_copy_tells_a_later_second(tmp_path: Path) -> None:
    with ThreadStore.open(tmp_path) as store:
        child = store.fork(new_thread(store, "one", mode=LEGACY)).id
        before = NAME.findall(store.read(child).location)
        made = store.materialize(child)
        assert made.thread_id == child
        assert NAME.findall(made.location) > before


@pytest.mark.usefixtures("_in_real_time")
def test_a_clock_that_stepped_back_leads_to_a_thread_of_its_own(tmp_path: Path) -> None:
    with ThreadStore.open(tmp_path) as store:
        child = store.fork(new_thread(store, "one", mode=LEGACY)).id
    earlier = SteppedBack()
    with ThreadStore(LocalBackend(str(tmp_path), clock=earlier)) as store:
        made = store.materialize(child)
        assert made.thread_id != child
        assert store.to_materialize() == []


class SteppedBack(SystemClock):
    """A clock that goes an hour behind."""

    def now_ms(self) -> int:
        return super().now_ms() - 3_600_000


def test_an_index_that_comes_too_soon_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadStore.open(tmp_path) as store:
        child = store.fork(new_thread(store, "one", mode=LEGACY)).id
        create, before = store.backend.create, all_bytes(store)

        def indexed_meanwhile(*args: Any, **members: Any) -> Any:
            if not (tmp_path / "state_5.sqlite").exists():
                index(tmp_path, store, child)
            return create(*args, **members)

        monkeypatch.setattr(store.backend, "create", indexed_meanwhile)
        made = store.materialize(child)
        assert made.thread_id != child
        assert all_bytes(store).keys() - before.keys() == {made.location}


def test_the_copy_of_an_archived_thread_is_archived(store: ThreadStore) -> None:
    child = store.fork(new_thread(store, "one", mode=LEGACY)).id
    store.archive(child)
    made = store.materialize(child)
    assert store.read(child).archived
    assert made.location in all_bytes(store)
    assert store.to_materialize() == []


# --- safely -----------------------------------------------------------------------------------------------------------


def test_a_thread_that_is_being_written_is_not_copied(store: ThreadStore) -> None:
    child = store.fork(new_thread(store, "one", mode=LEGACY)).id
    before = all_bytes(store)
    with store.writer(child), pytest.raises(ThreadBusy):
        store.materialize(child)
    assert all_bytes(store) == before
    store.materialize(child)


class FullDisk(Files):
    """A file system that has no room for what is flushed."""

    full = False

    def fsync(self, fd: int) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().fsync(fd)


def test_a_copy_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    disk = FullDisk()
    with ThreadStore(LocalBackend(str(tmp_path), files=disk)) as store:
        child = store.fork(new_thread(store, "one", mode=LEGACY)).id
        before = sorted((tmp_path / "sessions").rglob("*"))
        disk.full = True
        with pytest.raises(StorageFailure):
            store.materialize(child)
        disk.full = False
        assert sorted((tmp_path / "sessions").rglob("*")) == before
        store.materialize(child)


def test_a_large_thread_is_copied_in_little_memory(tmp_path: Path) -> None:
    with ThreadStore.open(tmp_path, durability="os") as store:
        parent = new_thread(store, "one", mode=LEGACY)
        with store.writer(parent) as writer:
            for _ in range(30):
                with writer.turn("more") as turn:
                    turn.say("x" * 333_000)
        child = store.fork(parent).id
        told: list[int] = []
        tracemalloc.start()
        try:
            made = store.materialize(child, progress=told.append)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert made.bytes_written > 30_000_000
        assert peak < 8_000_000
        assert told[-1] == made.bytes_written
        assert len(told) > 20


# --- what real binaries wrote -----------------------------------------------------------------------------------------

HOMES: Final = sorted(path.parent for path in ROLLOUTS.glob("*/*/expected.json"))


# A legacy list drops the newest turns that it shows, also where the newest one is a compaction; the model, and what
# Codex's own migration leaves (tests/replay/test_convert.py), drop those in which a person spoke.


@pytest.mark.parametrize("fixture", HOMES, ids=lambda path: f"{path.parent.name} {path.name}")
def test_every_thread_of_a_real_home_can_be_copied(
    fixture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    shutil.copytree(fixture, home)
    # Tool calls of legacy rollouts are put together for display; neither Codex nor a conversion knows them.
    monkeypatch.setattr(_legacy.LegacyBuilder, "_call", lambda *_: None)
    with ThreadStore.open(home, durability="os") as store:
        for thread in [row.id for row in store.list(limit=100).data]:
            child = store.fork(thread).id
            context, turns = context_of(store, child), turns_of(store, child)
            if not turns and not context:
                continue
            store.materialize(child)
            assert context_of(store, child) == context
            if "rollback-compaction" not in fixture.name:
                assert [shape(turn) for turn in turns_of(store, child)] == [shape(turn) for turn in turns]


def shape(turn: Json) -> Json:
    """A turn without what a legacy history does not say and its conversion takes from the times of records.

    Nor with beginnings of reviews: those of early versions are shown only once they are converted.
    """
    made = re.fullmatch(r"rollout-\d+", turn["id"]) is not None
    return {
        **turn,
        "completedAt": None if made else turn["completedAt"],
        "startedAt": None,
        "items": [item for item in untimed([turn])[0]["items"] if item["type"] != "enteredReviewMode"],
    }


def test_the_real_homes_are_there() -> None:
    assert len(HOMES) > 20
