"""Every reader: all of them follow the lineage, at a cost that follows the answer, and none serves changed bytes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.traps.grounds import (
    IDS,
    Ground,
    Rollout,
    asked,
    check_fast_is_full,
    everything,
    plain,
    refused,
    said,
    turns_of,
)

from threadkeep.backends import MemoryBackend
from threadkeep.bench._generate import Generated, Recipe, generate
from threadkeep.errors import BrokenLineage, LeaseLost, ThreadkeepError, UnreadableRollout, Unsupported
from threadkeep.records import LEGACY, PAGINATED
from threadkeep.store import ThreadFilter, ThreadStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Json = dict[str, Any]


# --- 21: every reader follows the lineage ----------------------------------------------------------------------------


@pytest.fixture
def lineage(ground: Ground, mode: str) -> tuple[str, str, str]:
    """A thread, its child, and a grandchild that said nothing itself."""
    parent = ground.thread("the needle of the parent", mode=mode)
    ground.add(parent, "two", tokens=20)
    child = ground.store.fork(parent).id
    ground.add(child, "three")
    return parent, child, ground.store.fork(child).id


def test_trap_21_previews_names_and_facts(ground: Ground, lineage: tuple[str, str, str]) -> None:
    for store in (ground.store, ground.reopened(cold=True)):
        for thread in lineage:
            read = store.read(thread)
            assert read.preview == "the needle of the parent"
            assert read.model == "gpt-5"
            assert read.problem is None
            (listed,) = [shown for shown in store.list().data if shown.id == thread]
            assert plain(listed) == plain(read)


def test_trap_21_search(ground: Ground, lineage: tuple[str, str, str]) -> None:
    found = ground.store.list(chosen=ThreadFilter(text="NEEDLE of")).data
    assert {thread.id for thread in found} == set(lineage)


def test_trap_21_usage(ground: Ground, lineage: tuple[str, str, str]) -> None:
    for thread in lineage:
        for usage in (ground.store.read(thread).usage, ground.store.resume(thread).usage):
            assert usage is not None
            assert usage.total_token_usage.total_tokens == 20


def test_trap_21_turns_items_context_and_counts(ground: Ground, lineage: tuple[str, str, str]) -> None:
    _, child, grandchild = lineage
    texts = ["the needle of the parent", "two", "three"]
    for thread in (child, grandchild):
        assert asked(ground.store, thread) == texts
        assert said(ground.store, thread) == [word for text in texts for word in (text, text.upper())]
        counts = ground.store.read(thread, counts=True).counts
        assert counts is not None
        assert counts.turns == 3
        check_fast_is_full(ground.store, thread)


def test_trap_21_instructions(ground: Ground, mode: str) -> None:
    parent = ground.thread("one", mode=mode, base_instructions="be brief")
    child = ground.store.fork(parent).id
    assert ground.store.base_instructions(ground.store.fork(child).id) == "be brief"


def test_trap_21_export(ground: Ground, lineage: tuple[str, str, str]) -> None:
    """A self-contained copy holds what the whole lineage says, and goes on without it."""
    *_, grandchild = lineage
    before = everything(ground.store, grandchild)
    made = ground.store.materialize(grandchild)
    for rollout in lineage[:2]:
        ground.vanish(rollout)
    for pin in list(ground.store.backend.pins()):
        ground.store.backend.unpin(pin)
    assert "history_base" not in ground.lines(made.rollout_id)[0]["payload"]
    after = everything(ground.reopened(cold=True), made.thread_id)
    assert after["context"] == before["context"]
    assert [turn["id"] for turn in after["turns"]] == [turn["id"] for turn in before["turns"]]
    assert asked(ground.store, made.thread_id) == ["the needle of the parent", "two", "three"]
    assert after["preview"] == before["preview"]
    check_fast_is_full(ground.store, made.thread_id)


def test_trap_21_verify(ground: Ground, lineage: tuple[str, str, str]) -> None:
    parent, _, grandchild = lineage
    verified = ground.store.verify(grandchild)
    assert verified.ok, verified
    assert verified.cost.bytes_read >= len(ground.data(parent))
    first = ground.data(parent).splitlines(keepends=True)
    assert len(b"".join(first[2:])) > 4096  # what is damaged lies far from the boundary
    ground.edit(parent, first[0] + b"!" * (len(first[1]) - 1) + b"\n" + b"".join(first[2:]))
    verified = ground.reopened().verify(grandchild)
    assert not verified.ok
    assert {(damage.rollout, damage.line) for damage in verified.damage if damage.severity == "error"} == {(parent, 2)}


def test_trap_21_doctor(ground: Ground, lineage: tuple[str, str, str]) -> None:
    parent, child, grandchild = lineage
    assert not [finding for finding in ground.store.doctor() if finding.severity == "error"]
    ground.vanish(parent)
    for pin in list(ground.store.backend.pins()):
        ground.store.backend.unpin(pin)
    found = {finding.thread for finding in ground.reopened().doctor() if finding.severity == "error"}
    assert found >= {child, grandchild}


def test_trap_21_erase(ground: Ground, lineage: tuple[str, str, str]) -> None:
    """What a child inherits is erased where it stands, and for everybody who inherits it."""
    ground.store.erase(lineage[2], "needle")
    for thread in lineage:
        assert "needle" not in json.dumps(everything(ground.store, thread))
        assert len(asked(ground.store, thread)) == (2 if thread == lineage[0] else 3)


# --- 22: backends without history bases ------------------------------------------------------------------------------


class WithoutBases(MemoryBackend):
    keeps_history_bases = False
    name = "a store without bases"


def test_trap_22_a_backend_without_history_bases_refuses_forks_by_reference(tmp_path: Path, mode: str) -> None:
    ground = Ground("memory", tmp_path)
    ground.memory = WithoutBases()
    store = ground.store = ThreadStore(ground.memory)
    thread = ground.thread("one", "two", mode=mode)
    turns = [turn["id"] for turn in turns_of(store, thread)]
    with refused(ground, Unsupported, "a store without bases"):
        store.fork(thread)
    with refused(ground, Unsupported, "a store without bases"):
        store.fork(thread, through=turns[1])
    with refused(ground, Unsupported, "a store without bases"):
        store.fork(thread, before=turns[0])
    with refused(ground, Unsupported, "a store without bases"):
        store.revert(thread, before=turns[0])
    assert [listed.id for listed in store.list().data] == [thread]
    assert asked(store, thread) == ["one", "two"]
    with store.writer(thread) as writer:  # nothing was left behind, not even a lease
        ground.turn(writer, "three")
    ephemeral = store.fork(thread, ephemeral=True)
    assert asked(store, ephemeral.id) == ["one", "two", "three"]


# --- 23: the cost of paging ------------------------------------------------------------------------------------------

SMALL, LARGE = 1_500_000, 6_000_000


def long_thread(ground: Ground, mode: str, size: int, along: str) -> str:
    made = Generated()
    pieces = list(generate(Recipe(mode=mode, size=size, seed=size), made))
    if along == "a lineage":
        parent = b"".join(pieces[: len(pieces) // 2])
        parent += b"".join(pieces[len(pieces) // 2 :])
        ground.put(parent, thread=made.thread_id)
        thread = ground.store.fork(made.thread_id).id
        ground.add(thread, "of the child")
        return thread
    if along == "rolled back" and mode == LEGACY:
        for _ in range(3):
            pieces.append(b'{"timestamp":"2025-10-09T09:00:00.000Z","type":"event_msg",')
            pieces.append(b'"payload":{"type":"thread_rolled_back","num_turns":2}}\n')
    return ground.put(b"".join(pieces), thread=made.thread_id)


def cost_of_paging(store: ThreadStore, thread: str, listing: str, *, descending: bool) -> tuple[int, int]:
    """(bytes read, entries) of all pages."""
    read, entries, cursor = 0, 0, None
    while True:
        limit = 20 if listing == "turns" else 100
        page = getattr(store, listing)(thread, cursor=cursor, limit=limit, descending=descending)
        read += page.cost.bytes_read
        entries += len(page.data)
        cursor = page.next_cursor
        if cursor is None:
            return read, entries


@pytest.mark.parametrize("along", ["one rollout", "a lineage", "rolled back"])
@pytest.mark.parametrize("listing", ["turns", "items"])
@pytest.mark.parametrize("descending", [True, False])
def test_trap_23_paging_costs_what_the_whole_costs(
    tmp_path: Path, mode: str, along: str, listing: str, descending: bool
) -> None:
    ground = Ground("memory", tmp_path)
    small, large = (long_thread(ground, mode, size, along) for size in (SMALL, LARGE))
    few, some = cost_of_paging(ground.store, small, listing, descending=descending)
    much, many = cost_of_paging(ground.store, large, listing, descending=descending)
    assert many > 3 * some
    assert much < 1.5 * (LARGE / SMALL) * few
    assert much < 12 * LARGE


def test_trap_23_the_first_page_of_a_long_thread_costs_as_much_as_that_of_a_short_one(
    ground: Ground, mode: str
) -> None:
    costs = []
    for size in (SMALL, LARGE):
        thread = long_thread(ground, mode, size, "one rollout")
        costs.append(ground.store.turns(thread, limit=5).cost.bytes_read)
    assert costs[1] < costs[0] + 300_000


# --- 24: history modes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stated", ["future", "", "Legacy", None, 5, True, ["legacy"], {}])
def test_trap_24_an_unknown_mode_fails_closed(ground: Ground, stated: Any) -> None:
    rollout = Rollout(history_mode=stated)
    rollout.turn("one")
    thread = ground.put(rollout)
    store = ground.store
    for ask in (
        store.resume,
        store.replay,
        store.turns,
        store.items,
        store.writer,
        store.fork,
        store.base_instructions,
    ):
        with refused(ground, UnreadableRollout, thread, "history mode"):
            ask(thread)
    with refused(ground, ThreadkeepError, thread):
        store.revert(thread, before=IDS.new())
    (listed,) = store.list().data
    assert listed.id == thread
    assert listed.problem is not None
    assert "history mode" in listed.problem
    assert not store.verify(thread).ok


def test_trap_24_a_rollout_without_a_mode_is_legacy(ground: Ground) -> None:
    rollout = Rollout(mode=LEGACY, history_mode=...)
    rollout.turn("one")
    thread = ground.put(rollout)
    assert ground.store.read(thread).mode == LEGACY
    assert asked(ground.store, thread) == ["one"]


def test_trap_24_a_later_meta_does_not_change_the_mode(ground: Ground, mode: str) -> None:
    rollout = Rollout(mode=mode)
    rollout.turn("one")
    other = LEGACY if mode == PAGINATED else PAGINATED
    rollout.record("session_meta", {**rollout.first, "history_mode": other})
    rollout.turn("two")
    thread = ground.put(rollout)
    assert ground.store.read(thread).mode == mode
    assert ground.store.resume(thread).mode == mode
    assert asked(ground.store, thread) == ["one", "two"]
    ground.add(thread, "three")
    assert asked(ground.reopened(cold=True), thread) == ["one", "two", "three"]
    assert ("ordinal" in ground.lines(thread)[-1]) == (mode == PAGINATED)
    assert said(ground.store, thread) == said(ground.store, thread, full=True)


def test_trap_24_a_base_of_another_mode_than_it_had_is_refused(ground: Ground) -> None:
    parent = Rollout()
    parent.turn("one")
    child = Rollout(base=parent, base_instructions=...)
    child.turn("two")
    ground.put(parent.data.replace(b'"paginated"', b'"legacy"'), thread=parent.thread)
    ground.put(child)
    with refused(ground, BrokenLineage, child.id, parent.id, LEGACY):
        ground.store.turns(child.thread)


def test_trap_24_a_writer_does_not_go_on_in_a_rollout_that_was_migrated(ground: Ground) -> None:
    legacy = Rollout(mode=LEGACY)
    legacy.turn("one")
    thread = ground.put(legacy)
    migrated = Rollout(thread)
    migrated.turn("one")
    with ground.store.writer(thread) as writer:
        ground.turn(writer, "two")
        ground.replace(thread, migrated.data)
        with pytest.raises(LeaseLost):
            ground.turn(writer, "three")
    assert ground.data(thread) == migrated.data
    ground.add(thread, "four")
    assert asked(ground.store, thread) == ["one", "four"]
    assert [line["ordinal"] for line in ground.lines(thread)] == list(range(len(ground.lines(thread))))


# --- 25: ancestors that changed --------------------------------------------------------------------------------------


def edited(data: bytes, place: int) -> bytes:
    """Other bytes of the same length, the record still whole: a letter of a text."""
    letter = max(data.rfind(b"TWO", 0, place), data.rfind(b"two", 0, place))
    return data[:letter] + b"Z" + data[letter + 1 :]


def cut(data: bytes) -> bytes:
    return data[: data.rfind(b"\n", 0, len(data) // 2) + 1]


def one_record_less(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join(lines[:-2] + lines[-1:])


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "edited": lambda data: edited(data, len(data)),
    "cut": cut,
    "cut in a record": lambda data: data[:-20],
    "emptied": lambda data: b"",
    "a record less": one_record_less,
    "longer before the boundary": lambda data: data[:-200] + b"x" + data[-200:],
    "rotated": lambda data: data.splitlines(keepends=True)[0],
    "CRLF": lambda data: data.replace(b"\n", b"\r\n"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("how", ["in place", "replaced, without a pin"])
def test_trap_25_a_change_near_the_boundary_is_noticed_before_a_byte_is_served(
    ground: Ground, mode: str, change: str, how: str
) -> None:
    parent = ground.thread("one", "two", mode=mode)
    child = ground.store.fork(parent).id
    ground.add(child, "three")
    changed = CHANGES[change](ground.data(parent))
    if how == "in place":
        ground.edit(parent, changed)
    else:
        for pin in list(ground.store.backend.pins()):
            ground.store.backend.unpin(pin)
        ground.replace(parent, changed)
    store = ground.store if how == "in place" else ground.reopened(cold=True)
    for ask in (store.resume, store.replay, store.turns, store.items):
        with refused(ground, BrokenLineage, child, parent):
            ask(child)
    assert store.read(child).problem is not None
    assert not store.verify(child).ok


@pytest.mark.parametrize("change", ["cut", "cut in a record", "emptied", "a record less", "rotated", "CRLF"])
def test_trap_25_a_child_that_codex_made_notices_too(ground: Ground, change: str) -> None:
    parent = Rollout()
    parent.turn("one")
    parent.turn("two")
    child = Rollout(base=parent, base_instructions=...)
    child.turn("three")
    ground.put(CHANGES[change](parent.data), thread=parent.thread)
    ground.put(child)
    with refused(ground, BrokenLineage, child.id, parent.id):
        ground.store.resume(child.thread)
    with refused(ground, BrokenLineage, child.id, parent.id):
        ground.store.turns(child.thread)


@pytest.mark.parametrize("how", ["in place", "replaced"])
def test_trap_25_once_seen_a_child_that_codex_made_notices_an_edit(ground: Ground, how: str) -> None:
    parent = Rollout()
    parent.turn("one")
    parent.turn("two")
    child = Rollout(base=parent, base_instructions=...)
    child.turn("three")
    ground.put(parent)
    ground.put(child)
    before = everything(ground.store, child.thread)
    changed = CHANGES["edited"](parent.data)
    if how == "in place":
        ground.edit(parent.id, changed)
        with refused(ground, BrokenLineage, child.id, parent.id):
            ground.store.resume(child.thread)
    else:  # the pin still holds what was inherited
        ground.replace(parent.id, changed)
        assert everything(ground.store, child.thread) == before


def far_from_its_end(ground: Ground, mode: str) -> tuple[str, str, int]:
    """A parent, its child, and how many bytes are far from the boundary."""
    parent = ground.thread("one", "two", *(f"filler {'x' * 400} {number}" for number in range(12)), mode=mode)
    far = len(ground.data(parent)) - 20_000
    assert far > 5_000
    return parent, ground.store.fork(parent).id, far


def test_trap_25_an_edit_far_from_the_boundary_is_found_by_verify_where_the_file_was_replaced(
    ground: Ground, mode: str
) -> None:
    parent, child, far = far_from_its_end(ground, mode)
    assert ground.store.verify(child).ok
    data = ground.data(parent)
    ground.replace(parent, edited(data[:far], far) + data[far:])
    verified = ground.reopened().verify(child)
    assert not verified.ok
    assert [check.name for check in verified.checks if not check.ok] == ["inheritance"]


def test_trap_25_an_edit_far_from_the_boundary_is_found_by_verify_where_the_file_was_overwritten_since(
    ground: Ground, mode: str
) -> None:
    parent, child, far = far_from_its_end(ground, mode)
    assert ground.store.verify(child).ok
    data = ground.data(parent)
    ground.edit(parent, edited(data[:far], far) + data[far:])
    verified = ground.reopened().verify(child)
    assert [check.name for check in verified.checks if not check.ok] == ["inheritance"]
