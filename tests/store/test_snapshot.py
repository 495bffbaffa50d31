"""A thread as it stood at one moment: answers that agree, and all of its turns one by one."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.store.threads import LEGACY, PAGINATED, add_turns, new_thread, turn_ids

from threadkeep.errors import BrokenLineage, ThreadNotFound
from threadkeep.records import Cost
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from threadkeep.replay import ItemsView
    from threadkeep.store import Snapshot

MODES = pytest.mark.parametrize("mode", [LEGACY, PAGINATED])
VIEWS = pytest.mark.parametrize("view", ["notLoaded", "summary", "messages", "full"])

Json = dict[str, Any]


def by_pages(snap: Snapshot, view: ItemsView) -> list[Json]:
    """Every turn, oldest first, from small pages."""
    found: list[Json] = []
    cursor: str | None = None
    while True:
        page = snap.turns(cursor=cursor, limit=2, descending=False, view=view)
        found += page.data
        cursor = page.next_cursor
        if cursor is None:
            return found


def ids(turns: list[Json]) -> list[str]:
    return [turn["id"] for turn in turns]


@MODES
def test_what_it_says_of_the_thread_is_read_once(
    store: ThreadStore, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    thread = new_thread(store, "one", mode=mode)
    catalog, asked = store.backend.catalog, [0]
    rows = catalog.rows

    def counting(rollout_ids: Sequence[str]) -> dict[str, tuple[str, bytes]]:
        asked[0] += 1
        return rows(rollout_ids)

    with store.snapshot(thread) as snap:
        monkeypatch.setattr(catalog, "rows", counting)
        first, counted, again = snap.thread(), snap.thread(counts=True), snap.thread()
    assert first == again == msgspec.structs.replace(counted, counts=None)
    assert counted.counts is not None
    assert asked[0] == 2  # once more for the counts


@MODES
def test_what_is_appended_meanwhile_is_in_none_of_its_answers(store: ThreadStore, mode: str) -> None:
    thread = new_thread(store, "one", "two", mode=mode)
    with store.snapshot(thread) as snap, store.snapshot(thread) as before:
        first = (before.thread(), before.resume().context, before.turns().data, before.items().data)
        add_turns(store, thread, "three")
        assert snap.thread() == first[0]
        assert snap.resume().context == first[1]
        assert snap.turns().data == first[2]
        assert snap.items().data == first[3]
        assert len(list(snap.all_turns())) == 2
        assert snap.turn(turn_ids(store, thread)[2]) is None
        assert snap.mode == mode
    with store.snapshot(thread) as snap:
        assert len(list(snap.all_turns())) == 3


@MODES
@VIEWS
def test_all_turns_are_those_of_the_pages(store: ThreadStore, mode: str, view: ItemsView) -> None:
    thread = new_thread(store, "one", "two", "three", "four", "five", mode=mode)
    with store.snapshot(thread) as snap:
        whole = list(snap.all_turns(view=view))
        assert whole == by_pages(snap, view)
        assert len(whole) == 5
        assert [msgspec.json.decode(turn) for turn in snap.all_turns_encoded(view=view)] == whole


@MODES
def test_all_turns_of_a_fork_begin_with_what_it_inherits(store: ThreadStore, mode: str) -> None:
    root = new_thread(store, "one", "two", "three", mode=mode)
    child = store.fork(root, through=turn_ids(store, root)[1]).id
    add_turns(store, child, "four")
    grandchild = store.fork(child).id
    add_turns(store, grandchild, "five")
    with store.snapshot(grandchild) as snap:
        said = [turn["items"][0]["content"][0]["text"] for turn in snap.all_turns()]
        assert said == ["one", "two", "four", "five"]
        assert list(snap.all_turns()) == by_pages(snap, "full")


@MODES
def test_a_turn_that_a_fork_cut_off_is_whole_again(store: ThreadStore, mode: str) -> None:
    with store.create(cwd="/project", mode=mode) as writer:
        with writer.turn("done") as turn:
            turn.say("yes")
        with writer.turn("running") as turn:
            child = store.fork(writer.thread_id).id
            turn.say("late")
    with store.snapshot(child) as snap:
        whole = list(snap.all_turns())
        assert [turn["status"] for turn in whole] == ["completed", "interrupted"]
        assert whole == by_pages(snap, "full")


def test_messages_are_what_was_said_and_nothing_else(store: ThreadStore) -> None:
    thread = new_thread(store, "one")
    with store.snapshot(thread) as snap:
        (turn,) = snap.all_turns(view="messages")
        assert [item["type"] for item in turn["items"]] == ["userMessage", "agentMessage"]


def test_an_empty_thread_has_no_turns(store: ThreadStore) -> None:
    with store.create(cwd="/project") as writer:
        writer.materialize()
    with store.snapshot(writer.thread_id) as snap:
        assert list(snap.all_turns()) == []
        assert snap.turns().data == []
        assert snap.thread().preview == ""


def test_a_missing_ancestor_is_told_before_any_turn_is_given(tmp_path: Path) -> None:
    with ThreadStore.open(tmp_path, durability="os") as store:
        root = new_thread(store, "one")
        child = store.fork(root).id
        add_turns(store, child, "two")
        for file in [*tmp_path.rglob(f"*{root}*.jsonl"), *(tmp_path / "threadkeep" / "pins").rglob("*.jsonl")]:
            file.unlink()
        with store.snapshot(child) as snap, pytest.raises(BrokenLineage):
            next(iter(snap.all_turns()))


def test_a_snapshot_of_nothing_is_refused(store: ThreadStore) -> None:
    with pytest.raises(ThreadNotFound):
        store.snapshot(store.backend.ids.new())


def test_what_its_answers_cost_is_counted_together(store: ThreadStore) -> None:
    thread = new_thread(store, "one", "two")
    cost = Cost()
    with store.snapshot(thread, cost=cost) as snap:
        opened = cost.bytes_read
        snap.resume()
        resumed = cost.bytes_read
        assert snap.turns().cost is cost
        assert opened < resumed < cost.bytes_read


@MODES
def test_all_turns_are_never_in_memory_at_once(tmp_path: Path, mode: str) -> None:
    with ThreadStore.open(tmp_path, durability="os") as store:
        thread = new_thread(store, *(f"{number}: {'x' * 200_000}" for number in range(40)), mode=mode)
        with store.snapshot(thread) as snap:
            next(iter(snap.all_turns()))  # what is imported for it is no part of the measure
            tracemalloc.start()
            size = sum(len(turn) for turn in snap.all_turns_encoded())
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
    assert size > 16_000_000
    assert peak < 6_000_000


@MODES
def test_all_turns_cost_two_passes(tmp_path: Path, mode: str) -> None:
    with ThreadStore.open(tmp_path, durability="os") as store:
        thread = new_thread(store, *(f"{number}: {'x' * 5_000}" for number in range(200)), mode=mode)
        with store.snapshot(thread) as snap:
            size = snap.thread().size
            before = snap.cost.bytes_read
            assert len(list(snap.all_turns())) == 200
            assert snap.cost.bytes_read - before < 2.3 * size


@pytest.mark.parametrize("count", [2**63, 2**64, -(2**63) - 1, 10**30])
def test_a_count_of_tokens_that_no_counter_holds_does_not_count_and_hides_nothing(tmp_path: Path, count: int) -> None:
    names = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens", "total_tokens")
    with ThreadStore.open(tmp_path) as store:
        thread = new_thread(store, "one")
        for tokens in (7, count):
            usage = dict.fromkeys(names, 7) | {"total_tokens": tokens}
            line = {"type": "token_count", "info": {"total_token_usage": usage, "last_token_usage": usage}}
            record = {"timestamp": "2026-01-02T03:04:05.678Z", "type": "event_msg", "payload": line}
            (path,) = (tmp_path / "sessions").rglob("*.jsonl")
            with path.open("ab") as file:
                file.write(json.dumps(record).encode() + b"\n")
        assert store.read(thread).preview == "one"
        assert store.list().data[0].id == thread
        usage_known = store.resume(thread).context.usage
        assert usage_known is not None
        assert json.loads(bytes(usage_known))["total_token_usage"]["total_tokens"] == 7
        assert [check.difference for check in store.verify(thread).checks if not check.ok] == []
