"""Boundary and lifetime: a child keeps what it inherits, no more and no less, whatever happens to its parent."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.traps.grounds import (
    IDS,
    NOWHERE,
    Ground,
    Rollout,
    asked,
    check_fast_is_full,
    everything,
    first_user,
    refused,
    said,
    turns_of,
)

from threadkeep.backends.local import Files, LocalBackend
from threadkeep.errors import (
    BrokenLineage,
    InvalidRequest,
    ThreadBusy,
    ThreadkeepError,
    ThreadNotFound,
    TurnNotFound,
)
from threadkeep.lineage import MAX_DEPTH
from threadkeep.records import LEGACY, PAGINATED, Cost
from threadkeep.records import _build as build
from threadkeep.store import ThreadFilter, ThreadStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType

    from threadkeep.store import Writer

Json = dict[str, Any]


# --- 1: exact ends ---------------------------------------------------------------------------------------------------


def further_turns(writer: Writer, turns: list[str]) -> None:
    for text in ("later 1", "later 2"):
        Ground.turn(writer, text)


def late_records_of_inherited_turns(writer: Writer, turns: list[str]) -> None:
    plan = {"type": "Plan", "id": "late", "text": "a late plan"}
    for turn in turns:
        writer.append(
            "event_msg",
            build.item_completed(plan, thread_id=writer.thread_id, turn_id=turn, started_at_ms=1, completed_at_ms=2),
        )
        writer.append("event_msg", build.turn_aborted(turn, started_at=1))


def a_rollback(writer: Writer, turns: list[str]) -> None:
    writer.append("event_msg", {"type": "thread_rolled_back", "num_turns": 2})


def a_compaction(writer: Writer, turns: list[str]) -> None:
    with writer.turn("compact", cwd=NOWHERE) as turn:
        turn.compact("all forgotten", [], window_number=1)


@pytest.mark.parametrize("later", [further_turns, late_records_of_inherited_turns, a_rollback, a_compaction])
@pytest.mark.parametrize("place", ["head", "through", "before"])
def test_trap_01_later_records_of_the_parent_never_enter_the_child(
    ground: Ground, mode: str, place: str, later: Callable[[Writer, list[str]], None]
) -> None:
    parent = ground.thread("one", "two", "three", mode=mode)
    turns = [turn["id"] for turn in reversed(turns_of(ground.store, parent))]
    at = {"head": {}, "through": {"through": turns[1]}, "before": {"before": turns[2]}}[place]
    child = ground.store.fork(parent, **at).id
    before = everything(ground.store, child)
    assert asked(ground.store, child) == ["one", "two", "three"][: 3 if place == "head" else 2]
    with ground.store.writer(parent) as writer:
        later(writer, turns)
    assert everything(ground.store, child) == before
    assert everything(ground.reopened(cold=True), child) == before
    check_fast_is_full(ground.store, child)


def test_trap_01_the_child_says_exactly_where_its_inherited_history_ends(ground: Ground, mode: str) -> None:
    parent = ground.thread("one", "two", mode=mode)
    data = ground.data(parent)
    child = ground.store.fork(parent).id
    ground.add(parent, "three")
    base = ground.lines(child)[0]["payload"]["history_base"]
    assert base["thread_id"] == parent
    assert base["threadkeep"]["end"] == len(data)
    assert base["threadkeep"]["digest"] == hashlib.sha256(data[-4096:]).hexdigest()[:32]
    if mode == PAGINATED:
        assert base["end_byte_offset"] == len(data)
        assert base["end_ordinal_exclusive"] == json.loads(data.splitlines()[-1])["ordinal"] + 1
    else:
        assert base["end_byte_offset"] == 2**62


def test_trap_01_a_record_being_written_at_the_fork_is_not_inherited(ground: Ground) -> None:
    parent = Rollout()
    parent.turn("one")
    ground.put(parent)
    ground.grow(parent.id, b'{"timestamp":"2026-')
    child = ground.store.fork(parent.thread).id
    before = everything(ground.store, child)
    ground.edit(parent.id, parent.data)
    parent.turn("two")
    ground.grow(parent.id, parent.data[len(ground.data(parent.id)) :])
    assert everything(ground.store, child) == before
    assert asked(ground.store, child) == ["one"]


# --- 2: what happens to the parent -----------------------------------------------------------------------------------


def child_of(ground: Ground, maker: str, mode: str) -> tuple[str, str]:
    """A parent and its child: one that threadkeep forked, or one that Codex forked and threadkeep has seen."""
    if maker == "threadkeep":
        parent = ground.thread("one", "two", mode=mode)
        child = ground.store.fork(parent).id
        ground.add(child, "of the child")
        ground.add(parent, "later")
        return parent, child
    by_hand = Rollout()
    by_hand.turn("one")
    by_hand.turn("two")
    forked = Rollout(base=by_hand, forked_from_id=by_hand.thread)
    forked.turn("of the child")
    by_hand.turn("later")
    ground.put(by_hand)
    ground.put(forked)
    return by_hand.thread, forked.thread


def other_history(ground: Ground, parent: str) -> bytes:
    """What a migration makes of a thread: the same turns in other bytes."""
    other = Rollout(parent)
    for text in ("one", "two", "later"):
        other.turn(text)
    return other.data


BY_HAND: dict[str, Callable[[Ground, str], None]] = {
    "deleted": lambda ground, parent: ground.vanish(parent),
    "migrated": lambda ground, parent: ground.replace(parent, other_history(ground, parent)),
    "archived": lambda ground, parent: ground.move(parent, "archived_sessions"),
    "moved": lambda ground, parent: ground.move(parent, "sessions/2020/01/31"),
    "compressed": lambda ground, parent: ground.pack(parent),
}
FILES_ONLY = {"archived", "moved", "compressed"}


@pytest.mark.parametrize("deed", BY_HAND)
@pytest.mark.parametrize("maker", ["threadkeep", "threadkeep legacy", "Codex"])
def test_trap_02_what_others_do_to_the_parent_does_not_change_the_child(ground: Ground, maker: str, deed: str) -> None:
    if deed in FILES_ONLY and ground.kind == "memory":
        pytest.skip("only files can be moved and compressed")
    parent, child = child_of(ground, maker.split(maxsplit=1)[0], LEGACY if maker.endswith(LEGACY) else PAGINATED)
    before = everything(ground.store, child)
    assert asked(ground.store, child) == ["one", "two", "of the child"]
    BY_HAND[deed](ground, parent)
    assert everything(ground.store, child) == before
    assert everything(ground.reopened(cold=True), child) == before
    ground.add(child, "and on")
    assert asked(ground.store, child) == ["one", "two", "of the child", "and on"]
    grandchild = ground.store.fork(child).id
    assert asked(ground.store, grandchild) == ["one", "two", "of the child", "and on"]


def revert_past_the_fork(store: ThreadStore, parent: str) -> Any:
    return store.revert(parent, before=turns_of(store, parent)[-1]["id"])


DEEDS: dict[str, Callable[[ThreadStore, str], Any]] = {
    "archived": lambda store, parent: store.archive(parent),
    "archived and back": lambda store, parent: (store.archive(parent), store.unarchive(parent)),
    "renamed": lambda store, parent: store.rename(parent, "another name"),
    "reverted": revert_past_the_fork,
    "deleted": lambda store, parent: store.delete(parent),
    "reclaimed": lambda store, parent: store.delete(parent, reclaim=True),
    "deleted, then reclaimed": lambda store, parent: (store.delete(parent), store.delete(parent, reclaim=True)),
    "reverted and deleted": lambda store, parent: (revert_past_the_fork(store, parent), store.delete(parent)),
    "reverted and reclaimed": lambda store, parent: (
        revert_past_the_fork(store, parent),
        store.delete(parent, reclaim=True),
    ),
}


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("maker", ["threadkeep", "threadkeep legacy", "Codex"])
def test_trap_02_what_the_store_does_to_the_parent_does_not_change_the_child(
    ground: Ground, maker: str, deed: str
) -> None:
    parent, child = child_of(ground, maker.split(maxsplit=1)[0], LEGACY if maker.endswith(LEGACY) else PAGINATED)
    before = everything(ground.store, child)
    DEEDS[deed](ground.store, parent)
    assert everything(ground.store, child) == before
    assert everything(ground.reopened(cold=True), child) == before
    check_fast_is_full(ground.store, child)


@pytest.mark.parametrize("heir", ["active", "archived", "archived by hand", "compressed", "reverted away", "hidden"])
def test_trap_02_reachability_counts_every_rollout_that_inherits(ground: Ground, heir: str) -> None:
    if heir in {"archived by hand", "compressed"} and ground.kind == "memory":
        pytest.skip("only files can be moved and compressed")
    store = ground.store
    parent = ground.thread("one", "two")
    child = store.fork(parent).id
    (own,) = ground.add(child, "of the child")
    kept = {child}
    if heir == "archived":
        store.archive(child)
    elif heir == "archived by hand":
        ground.move(child, "archived_sessions")
    elif heir == "compressed":
        ground.pack(child)
    elif heir == "reverted away":
        store.revert(child, before=own)
    elif heir == "hidden":
        kept = {child, store.fork(child).id}
        store.delete(child)
    for reclaim in (False, True):
        plan = store.plan_delete(parent, reclaim=reclaim)
        assert [planned.id for planned in plan.threads] == [parent]
        assert plan.threads[0].action == ("reclaim" if reclaim else "hide")
        assert set(plan.threads[0].kept_for) == kept
    store.delete(parent)
    assert asked(store, max(kept)) == (["one", "two"] if heir == "reverted away" else ["one", "two", "of the child"])


@pytest.mark.parametrize("deed", ["deleted", "migrated"])
@pytest.mark.parametrize("place", ["at an inherited turn", "of a fork without turns"])
def test_trap_02_a_fork_of_what_only_a_pin_holds_has_a_pin_of_its_own(
    ground: Ground, mode: str, deed: str, place: str
) -> None:
    parent, child = child_of(ground, "threadkeep", mode)
    if place == "of a fork without turns":
        child = ground.store.fork(parent, before=turns_of(ground.store, parent)[0]["id"]).id
    BY_HAND[deed](ground, parent)
    at = {"before": turns_of(ground.store, child)[0]["id"]} if place == "at an inherited turn" else {}
    grandchild = ground.store.fork(child, **at).id
    before = everything(ground.store, grandchild)
    for thread in ground.store.list().data:
        if thread.id not in {grandchild, parent}:
            ground.store.delete(thread.id)
    assert asked(ground.store, grandchild) == ["one", "two"]
    assert everything(ground.reopened(cold=True), grandchild) == before


# --- 3: deleting -----------------------------------------------------------------------------------------------------


def a_family(ground: Ground) -> tuple[str, str, str, str]:
    """A thread, its fork, its copy and its agent."""
    parent = Rollout()
    parent.turn("one")
    fork = Rollout(base=parent, forked_from_id=parent.thread)
    fork.turn("of the fork")
    copy = Rollout(mode=LEGACY, forked_from_id=parent.thread)
    copy.turn("one")
    spawn = {"subagent": {"thread_spawn": {"parent_thread_id": parent.thread, "depth": 1}}}
    agent = Rollout(parent_thread_id=parent.thread, source=spawn, thread_source="subagent")
    agent.turn("of the agent")
    for rollout in (parent, fork, copy, agent):
        ground.put(rollout)
    return parent.thread, fork.thread, copy.thread, agent.thread


@pytest.mark.parametrize("reclaim", [False, True])
def test_trap_03_a_delete_never_takes_descendants_that_were_not_named(ground: Ground, reclaim: bool) -> None:
    parent, *others = a_family(ground)
    before = [everything(ground.store, other) for other in others]
    done = ground.store.delete(parent, reclaim=reclaim)
    assert [planned.id for planned in done.threads] == [parent]
    assert [everything(ground.store, other) for other in others] == before
    shown = {thread.id for thread in ground.store.list().data}
    assert shown == set(others)
    for ask in (ground.store.read, ground.store.resume, ground.store.turns, ground.store.writer, ground.store.fork):
        with refused(ground, ThreadNotFound, parent):
            ask(parent)


def test_trap_03_a_cascade_takes_what_it_says_and_nothing_else(ground: Ground) -> None:
    parent, *others = a_family(ground)
    bystander = ground.thread("not of the family")
    plan = ground.store.plan_delete(parent, cascade=True)
    assert plan.threads[0].id == parent
    assert {planned.id for planned in plan.threads} == {parent, *others}
    assert {planned.action for planned in plan.threads} == {"remove"}
    ground.store.delete(parent, cascade=True)
    assert [thread.id for thread in ground.store.list().data] == [bystander]


@pytest.mark.parametrize("options", [{}, {"reclaim": True}, {"cascade": True}, {"cascade": True, "reclaim": True}])
@pytest.mark.parametrize("with_heir", [False, True])
def test_trap_03_the_plan_changes_nothing_and_is_what_is_done(
    ground: Ground, options: dict[str, bool], with_heir: bool
) -> None:
    parent = ground.thread("one", "two", "three")
    if with_heir:
        ground.store.fork(parent, through=turns_of(ground.store, parent)[-1]["id"])
    before = ground.bytes_of_all()
    plan = ground.store.plan_delete(parent, **options)
    assert ground.bytes_of_all() == before
    done = ground.store.delete(parent, **options)
    assert done == plan
    kept = with_heir and "cascade" not in options
    assert done.threads[0].action == (("reclaim" if "reclaim" in options else "hide") if kept else "remove")
    assert (done.threads[0].bytes_freed > 0) == (done.threads[0].action != "hide")


def test_trap_03_a_hidden_thread_goes_with_its_last_heir(ground: Ground) -> None:
    parent = ground.thread("one")
    child = ground.store.fork(parent).id
    assert ground.store.delete(parent).threads[0].action == "hide"
    assert [place for place in ground.bytes_of_all() if parent in place]
    plan = ground.store.plan_delete(child)
    assert [(planned.id, planned.action) for planned in plan.threads] == [(child, "remove"), (parent, "remove")]
    assert ground.store.delete(child) == plan
    left = [place for place in ground.bytes_of_all() if parent in place or child in place]
    assert [place for place in left if not place.startswith("mark ")] == []


@pytest.mark.parametrize("busy", ["named", "descendant"])
def test_trap_03_nothing_is_deleted_while_somebody_writes(ground: Ground, busy: str) -> None:
    parent = ground.thread("one")
    child = ground.store.fork(parent).id
    written = parent if busy == "named" else child
    with ground.store.writer(written), refused(ground, ThreadBusy, written, str(os.getpid())):
        ground.store.delete(parent, cascade=True)
    assert asked(ground.store, child) == ["one"]


# --- 4: hard links ---------------------------------------------------------------------------------------------------


def pins(home: Ground) -> list[Path]:
    return sorted((home.root / "threadkeep" / "pins").rglob("*.jsonl*"))


def test_trap_04_a_link_grows_with_the_parent_and_the_child_does_not(home: Ground) -> None:
    parent = home.thread("one", "two")
    size = len(home.data(parent))
    child = home.store.fork(parent).id
    before = everything(home.store, child)
    home.add(parent, "later")
    (pin,) = pins(home)
    assert pin.samefile(home.path(parent))
    assert pin.stat().st_size > size
    home.vanish(parent)
    assert everything(home.store, child) == before
    assert everything(home.reopened(cold=True), child) == before


def test_trap_04_an_edit_in_place_reaches_the_link_and_is_noticed(home: Ground) -> None:
    parent = home.thread("one", "two")
    child = home.store.fork(parent).id
    home.edit(parent, home.data(parent).replace(b"TWO", b"2!!"))
    home.vanish(parent)
    for ask in (home.store.resume, home.store.turns, home.store.items, home.store.replay):
        with refused(home, BrokenLineage, child, parent):
            ask(child)


def test_trap_04_a_replaced_parent_leaves_the_pin_with_what_was_inherited(home: Ground) -> None:
    parent = home.thread("one", "two")
    child = home.store.fork(parent).id
    before = everything(home.store, child)
    home.replace(parent, home.data(parent).replace(b"two", b"2!!").replace(b"TWO", b"2!!"))
    assert everything(home.store, child) == before
    assert asked(home.store, parent) == ["one", "2!!"]


def test_trap_04_a_child_that_codex_made_is_pinned_when_it_is_first_seen(home: Ground) -> None:
    _, child = child_of(home, "Codex", PAGINATED)
    assert pins(home) == []
    home.store.resume(child)
    (pin,) = pins(home)
    assert child in pin.name


# --- 5: small parents ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("maker", ["by hand", "with a record but no turn"])
def test_trap_05_a_parent_without_turns_can_be_forked(ground: Ground, mode: str, maker: str) -> None:
    parent = ground.put(Rollout(mode=mode)) if maker == "by hand" else ground.thread(mode=mode)
    child = ground.store.fork(parent)
    assert child.forked_from_id == parent
    assert turns_of(ground.store, child.id) == []
    assert said(ground.store, child.id) == []
    ground.add(child.id, "the first")
    assert asked(ground.store, child.id) == ["the first"]
    assert asked(ground.store, parent) == []
    assert ground.store.read(child.id).preview == "the first"
    check_fast_is_full(ground.store, child.id)


def test_trap_05_a_thread_with_no_record_yet_cannot_be_forked(ground: Ground) -> None:
    with ground.store.create(cwd=NOWHERE) as writer:
        with refused(ground, ThreadNotFound, writer.thread_id):
            ground.store.fork(writer.thread_id)
        Ground.turn(writer, "the first")
        assert asked(ground.store, ground.store.fork(writer.thread_id).id) == ["the first"]


def test_trap_05_an_empty_file_cannot_be_forked(ground: Ground) -> None:
    thread = ground.put(b"", thread=IDS.new())
    with refused(ground, ThreadkeepError, thread, "is empty"):
        ground.store.fork(thread)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_trap_05_a_fork_forked_at_once_inherits_from_the_owner_of_the_records(
    ground: Ground, mode: str, depth: int
) -> None:
    parent = ground.thread("one", "two", mode=mode)
    above = child = parent
    for _ in range(depth):
        above, child = child, ground.store.fork(child).id
    first = ground.lines(child)[0]["payload"]
    assert first["history_base"]["thread_id"] == parent
    assert first["forked_from_id"] == above
    ground.add(child, "three")
    assert asked(ground.store, child) == ["one", "two", "three"]
    check_fast_is_full(ground.store, child)


def test_trap_05_a_fork_before_the_first_turn_inherits_no_turn(ground: Ground, mode: str) -> None:
    parent = ground.thread("one", "two", mode=mode)
    child = ground.store.fork(parent, before=turns_of(ground.store, parent)[-1]["id"]).id
    assert asked(ground.store, child) == []
    ground.add(child, "of the child")
    assert asked(ground.store, child) == ["of the child"]
    assert said(ground.store, child) == ["of the child", "OF THE CHILD"]
    assert ground.store.read(child).preview == "of the child"


def test_trap_05_places_that_are_none_are_refused(ground: Ground, mode: str) -> None:
    parent = ground.thread("one", mode=mode)
    (turn,) = turns_of(ground.store, parent)
    unknown = IDS.new()
    with refused(ground, TurnNotFound, unknown, parent):
        ground.store.fork(parent, through=unknown)
    with refused(ground, TurnNotFound, unknown, parent):
        ground.store.fork(parent, before=unknown)
    with refused(ground, InvalidRequest, parent):
        ground.store.fork(parent, through=turn["id"], before=turn["id"])


# --- 6: running turns ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("through", [False, True])
def test_trap_06_a_fork_through_a_running_turn_gets_it_with_an_end_of_its_own(
    ground: Ground, mode: str, through: bool
) -> None:
    store = ground.store
    parent = ground.thread("one", mode=mode)
    with store.writer(parent) as writer, writer.turn("running", model="gpt-5", cwd=NOWHERE) as turn:
        turn.say("half an answer")
        before = ground.data(parent)
        child = store.fork(parent, through=turn.id).id if through else store.fork(parent).id
        assert ground.data(parent) == before
        turn.say("the other half")
    assert asked(store, child) == ["one", "running"]
    mine, theirs = turns_of(store, child)[0], turns_of(store, parent)[0]
    assert (mine["id"], mine["status"]) == (turn.id, "interrupted")
    assert (theirs["id"], theirs["status"]) == (turn.id, "completed")
    texts = said(store, child)
    assert "half an answer" in texts
    assert "the other half" not in texts
    assert texts[-1].startswith("<turn_aborted>")
    assert [line["payload"].get("type") for line in ground.lines(child)[1:]] == ["message", "turn_aborted"]
    assert "the other half" in said(store, parent)
    assert not [text for text in said(store, parent) if "turn_aborted" in text]
    check_fast_is_full(store, child)


def test_trap_06_a_fork_of_a_fork_through_an_inherited_running_turn(ground: Ground, mode: str) -> None:
    parent = Rollout(mode=mode)
    parent.turn("one")
    running = parent.start()
    parent.user("running", running)
    ground.put(parent)
    child = ground.store.fork(parent.thread).id
    grandchild = ground.store.fork(child).id
    for thread in (child, grandchild):
        assert asked(ground.store, thread) == ["one", "running"]
        assert turns_of(ground.store, thread)[0]["status"] == "interrupted"
        assert sum(text.startswith("<turn_aborted>") for text in said(ground.store, thread)) == 1


@pytest.mark.parametrize("place", ["through an ended turn", "before the running turn"])
def test_trap_06_a_fork_below_the_running_turn_needs_no_marker(ground: Ground, mode: str, place: str) -> None:
    store = ground.store
    parent = ground.thread("one", mode=mode)
    (ended,) = turns_of(store, parent)
    with store.writer(parent) as writer, writer.turn("running", model="gpt-5", cwd=NOWHERE) as turn:
        at = {"through": ended["id"]} if place == "through an ended turn" else {"before": turn.id}
        child = store.fork(parent, **at).id
    assert asked(store, child) == ["one"]
    assert len(ground.lines(child)) == 1


class WatchedFiles(Files):
    """Notes which file was flushed, and which got its name, in order."""

    def __init__(self) -> None:
        self.done: list[tuple[str, str]] = []

    def fsync(self, fd: int) -> None:
        self.done.append(("flushed", os.readlink(f"/proc/self/fd/{fd}")))
        super().fsync(fd)

    def link(self, source: str, target: str) -> None:
        self.done.append(("named", target))
        super().link(source, target)


def test_trap_06_the_parent_is_flushed_before_the_child_is_there(tmp_path: Path) -> None:
    files = WatchedFiles()
    home = Ground("own home", tmp_path / "home", files=files, durability="fsync")
    parent = Rollout()
    running = parent.start()
    parent.user("written by Codex, which flushes nothing", running)
    home.put(parent)
    path = str(home.path(parent.id))
    child = home.store.fork(parent.thread).id
    place = str(home.path(child))
    assert files.done.index(("flushed", path)) < files.done.index(("named", place))
    home.close()


# --- 7: broken lineages ----------------------------------------------------------------------------------------------


def check_refused_everywhere(ground: Ground, thread: str, *named: str) -> None:
    """Nothing partial is served as whole, by any reader; lists show the thread and say what is wrong with it."""
    store = ground.store
    for ask in (
        store.resume,
        store.replay,
        store.base_instructions,
        lambda thread: store.turns(thread, limit=100),
        lambda thread: store.turns(thread, limit=1, descending=False),
        lambda thread: store.items(thread, limit=100),
        lambda thread: store.items(thread, limit=100, descending=True),
        lambda thread: store.turn(thread, IDS.new()),
        lambda thread: store.read(thread, counts=True),
        lambda thread: turns_of(store, thread),
    ):
        with refused(ground, ThreadkeepError, *named):
            ask(thread)
    (shown,) = [listed for listed in store.list(chosen=ThreadFilter(archived=None)).data if listed.id == thread]
    assert shown.problem is not None
    for name in named:
        assert name in shown.problem


def six_records(thread: str, base: str, end: int) -> Rollout:
    boundary = {"thread_id": base, "end_ordinal_exclusive": 7, "end_byte_offset": end}
    rollout = Rollout(thread, history_base=boundary, base_instructions=...)
    for _ in range(6):
        rollout.record("world_state", {"full": True, "state": {}})
    return rollout


@pytest.mark.parametrize("length", [1, 2, 3])
def test_trap_07_a_cycle_is_refused_and_named(ground: Ground, length: int) -> None:
    ids = [IDS.new() for _ in range(length)]
    end = six_records(ids[0], ids[0], 1_000).end  # all are as long: each boundary is one
    for number, thread in enumerate(ids):
        ground.put(six_records(thread, ids[(number + 1) % length], end))
    check_refused_everywhere(ground, ids[0], "cycle", ids[0], ids[-1])


@pytest.mark.parametrize("depth", [1, 2])
def test_trap_07_a_missing_ancestor_is_refused_and_named(ground: Ground, depth: int) -> None:
    lineage = [Rollout()]
    lineage[0].turn("one")
    for _ in range(depth):
        lineage.append(Rollout(base=lineage[-1], base_instructions=...))
        lineage[-1].turn("further")
    for rollout in lineage[1:]:
        ground.put(rollout)
    check_refused_everywhere(ground, lineage[-1].thread, lineage[0].id, lineage[1].id)


@pytest.mark.parametrize("place", ["sessions/2020/01/31", "archived_sessions"])
def test_trap_07_an_ambiguous_ancestor_is_refused_and_named(home: Ground, place: str) -> None:
    parent = Rollout()
    parent.turn("one")
    child = Rollout(base=parent, base_instructions=...)
    child.turn("further")
    twin = Rollout(parent.thread)
    twin.turn("two")
    assert len(twin.data) == len(parent.data)
    home.put(parent)
    home.put(twin, folder=place)
    home.put(child)
    check_refused_everywhere(home, child.thread, *(str(path.relative_to(home.root)) for path in home.paths(parent.id)))


def test_trap_07_twins_that_hold_the_same_inherited_bytes_are_one_ancestor(home: Ground) -> None:
    parent = home.thread("one", "two")
    child = home.store.fork(parent).id
    before = everything(home.store, child)
    twin = home.root / "archived_sessions" / home.path(parent).name
    twin.parent.mkdir()
    twin.write_bytes(home.data(parent))
    assert everything(home.reopened(cold=True), child) == before


def test_trap_07_own_turns_need_no_broken_ancestor(ground: Ground) -> None:
    """What the tip alone says is served, and the next page says that there is more that cannot be."""
    parent = Rollout()
    parent.turn("one")
    child = Rollout(base=parent)
    for text in ("two", "three", "four", "five"):
        child.turn(text)
    ground.put(child)
    page = ground.store.turns(child.thread, limit=2, view="full")
    assert [first_user(turn) for turn in page.data] == ["five", "four"]
    assert page.next_cursor is not None
    with pytest.raises(BrokenLineage, match=parent.id):
        ground.store.turns(child.thread, limit=3, cursor=page.next_cursor)


# --- 8: depth --------------------------------------------------------------------------------------------------------


def a_chain(ground: Ground, length: int) -> list[str]:
    """Forks of forks, each with a turn of its own."""
    rollout = Rollout(base_instructions={"text": "the oldest says it"})
    rollout.turn("turn 0")
    ground.put(rollout)
    chain = [rollout.thread]
    for number in range(1, length):
        rollout = Rollout(base=rollout, base_instructions=...)
        rollout.turn(f"turn {number}")
        ground.put(rollout)
        chain.append(rollout.thread)
    return chain


@contextlib.contextmanager
def few_frames() -> Iterator[None]:
    """What is done inside has no frames for a recursion over a hundred forks."""
    frame: FrameType | None = sys._getframe()
    depth = 0
    while frame is not None:
        frame, depth = frame.f_back, depth + 1
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + 100)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def costs_at_the_end(ground: Ground, forks: int) -> dict[str, Cost]:
    """What operations on the newest of so many forks of forks cost, all but the second fork with nothing known."""
    newest = a_chain(ground, forks)[-1]
    read, instructions, fork, again = Cost(), Cost(), Cost(), Cost()
    with few_frames():
        resumed = ground.reopened(cold=True).resume(newest)
        last = ground.reopened(cold=True).turns(newest, limit=100)
        first = ground.reopened(cold=True).turns(newest, limit=3, descending=False)
        assert ground.reopened(cold=True).read(newest, cost=read).preview == "turn 0"
        with pytest.MonkeyPatch.context() as patched:  # it does not say what it costs
            patched.setattr("threadkeep.store._reading.Cost", lambda: instructions)
            assert ground.reopened(cold=True).base_instructions(newest) == "the oldest says it"
        assert ground.reopened(cold=True).fork(newest, cost=fork).forked_from_id == newest
        ground.store.fork(newest, cost=again)
    assert len(resumed.context.items) == 2 * forks
    assert [turn["items"][0]["content"][0]["text"] for turn in first.data] == ["turn 0", "turn 1", "turn 2"]
    assert len(last.data) == 100
    return {
        "resume": resumed.cost,
        "last page": last.cost,
        "first page": first.cost,
        "read": read,
        "base instructions": instructions,
        "fork": fork,
        "second fork": again,
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["own home", "memory"])
def test_trap_08_a_chain_of_a_thousand_forks_resumes(tmp_path: Path, kind: Any) -> None:
    """No rollout is opened twice, and a chain of four times the length costs four times."""
    few, many = (costs_at_the_end(Ground(kind, tmp_path / f"{forks}"), forks) for forks in (250, 1_000))
    for name, cost in many.items():
        less = few[name]
        assert 0 < cost.rollouts_opened <= 1_001, name
        assert cost.bytes_read < 5 * less.bytes_read, name
        assert cost.records_seen <= 5 * less.records_seen, name
        assert cost.records_decoded <= 5 * less.records_decoded, name
    assert many["last page"].rollouts_opened < 110
    assert many["second fork"].rollouts_opened == 1


def test_trap_08_a_long_chain_holds_few_descriptors(home: Ground) -> None:
    newest = a_chain(home, 150)[-1]
    held = len(os.listdir("/proc/self/fd"))
    most = held

    class Counting(Files):
        def open(self, path: str, flags: int, mode: int = 0o600) -> int:
            nonlocal most
            fd = super().open(path, flags, mode)
            most = max(most, len(os.listdir("/proc/self/fd")))
            return fd

    with ThreadStore(LocalBackend(str(home.root), files=Counting())) as store:
        assert said(store, newest) == [word for n in range(150) for word in (f"turn {n}", f"TURN {n}")]
    assert held < most < held + 20


def test_trap_08_a_lineage_beyond_the_bound_is_refused(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_DEPTH >= 1_000
    monkeypatch.setattr("threadkeep.lineage._lineage.MAX_DEPTH", 20)
    chain = a_chain(ground, 21)
    assert len(said(ground.store, chain[19])) == 40
    with refused(ground, BrokenLineage, chain[20], "20"):
        ground.store.resume(chain[20])


def test_trap_08_a_long_chain_is_shown_and_taken_away(tmp_path: Path) -> None:
    """The tree, the families and the deletion of forks of forks go over them without recursion."""
    ground = Ground("memory", tmp_path)
    chain = a_chain(ground, 120)
    with few_frames():
        (root,) = ground.store.tree(chain[0])
        (family,) = ground.store.families()
        assert ground.store.plan_delete(chain[60]).threads[0].action == "hide"
        ground.store.delete(chain[0], cascade=True)
    assert root.id == chain[0]
    assert (family.threads, family.rollouts) == (120, 120)
    assert ground.store.list().data == []
