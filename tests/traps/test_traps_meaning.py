"""Meaning: what a fork, a figure, a place in a list, a damage, a cursor and an old file say."""

from __future__ import annotations

import base64
import json
import os
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.traps.grounds import (
    HOMES,
    IDS,
    NOWHERE,
    Ground,
    Rollout,
    asked,
    check_as_the_definition,
    check_fast_is_full,
    everything,
    first_user,
    plain,
    refused,
    said,
    turns_of,
)

from threadkeep.backends.local import Files
from threadkeep.bench._generate import CheckpointAge, Generated, Recipe, generate
from threadkeep.errors import (
    AmbiguousRollout,
    BrokenLineage,
    CodexOwned,
    InvalidCursor,
    ThreadkeepError,
    TurnNotFound,
    UnreadableRollout,
)
from threadkeep.records import LEGACY, PAGINATED
from threadkeep.records import _build as build
from threadkeep.store import ThreadFilter, ThreadStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Json = dict[str, Any]
FIXTURES: Final = Path(__file__).parent.parent / "fixtures" / "rollouts"
EVERY: Final = ThreadFilter(archived=None)


# --- 31: nothing from after the fork point ---------------------------------------------------------------------------

TEXTS = ["alpha", "bravo", "charlie", "delta", "echo"]


@pytest.mark.parametrize("kept", [0, 1, 4, 5])
@pytest.mark.parametrize("place", ["through", "before"])
def test_trap_31_a_fork_holds_nothing_from_after_its_fork_point(
    ground: Ground, mode: str, kept: int, place: str
) -> None:
    parent = ground.thread(*TEXTS, mode=mode)
    ids = [turn["id"] for turn in reversed(turns_of(ground.store, parent))]
    if (place == "through" and kept == 0) or (place == "before" and kept == 5):
        pytest.skip("no turn is named so")
    at = {"through": ids[kept - 1]} if place == "through" else {"before": ids[kept]}
    child = ground.store.fork(parent, **at).id
    told = json.dumps(everything(ground.store, child)).casefold()
    assert [text for text in TEXTS if text in told] == TEXTS[:kept]
    assert asked(ground.store, child) == TEXTS[:kept]
    check_fast_is_full(ground.store, child)
    if kept == 1 and place == "through":
        copy = ground.store.materialize(child)
        assert [text for text in TEXTS if text.encode() in ground.data(copy.rollout_id)] == TEXTS[:kept]


def test_trap_31_a_compaction_after_the_fork_point_is_not_the_childs_checkpoint(ground: Ground, mode: str) -> None:
    rollout = Rollout(mode=mode)
    turn = rollout.turn("alpha")
    rollout.turn("bravo")
    rollout.compact("of the parent alone")
    parent = ground.put(rollout)
    child = ground.store.fork(parent, through=turn).id
    assert said(ground.store, child) == said(ground.store, child, full=True) == ["alpha", "ALPHA"]


@pytest.mark.parametrize("reader", ["the thread", "a fork", "a fork of a fork", "a fork at an inherited turn"])
def test_trap_31_an_abandoned_branch_is_never_replayed(ground: Ground, mode: str, reader: str) -> None:
    store = ground.store
    thread = ground.thread("alpha", "bravo", "abandoned one", "abandoned two", mode=mode)
    store.revert(thread, before=turns_of(store, thread)[1]["id"])
    ground.add(thread, "charlie")
    expected = ["alpha", "bravo", "charlie"]
    if reader == "a fork":
        thread = store.fork(thread).id
    elif reader == "a fork of a fork":
        thread = store.fork(store.fork(thread).id).id
    elif reader == "a fork at an inherited turn":
        thread = store.fork(thread, through=turns_of(store, thread)[1]["id"]).id
        expected = expected[:2]
    for each in (store, ground.reopened(cold=True)):
        assert asked(each, thread) == expected
        assert "abandoned" not in json.dumps(everything(each, thread)).casefold()
        assert each.list(chosen=ThreadFilter(text="abandoned")).data == []
    check_fast_is_full(ground.store, thread)
    if reader == "a fork of a fork":
        copy = ground.store.materialize(thread)
        assert b"abandoned" not in ground.data(copy.rollout_id)


def test_trap_31_a_turn_of_an_abandoned_branch_is_no_fork_point(ground: Ground, mode: str) -> None:
    thread = ground.thread("alpha", "abandoned", mode=mode)
    abandoned = turns_of(ground.store, thread)[0]["id"]
    ground.store.revert(thread, before=abandoned)
    with refused(ground, TurnNotFound, abandoned, thread):
        ground.store.fork(thread, through=abandoned)
    with refused(ground, TurnNotFound, abandoned, thread):
        ground.store.revert(thread, before=abandoned)
    assert ground.store.turn(thread, abandoned) is None


@pytest.mark.parametrize("forked", ["before the marker", "after it"])
def test_trap_31_a_rollback_counts_for_those_who_inherit_it(ground: Ground, mode: str, forked: str) -> None:
    rollout = Rollout(mode=mode)
    rollout.turn("alpha")
    rollout.turn("bravo")
    parent = ground.put(rollout)
    child = ground.store.fork(parent).id
    rollout.roll_back(1)
    ground.edit(parent, rollout.data)
    if forked == "after it":
        child = ground.store.fork(parent).id
    expected = ["alpha", "ALPHA"] + (["bravo", "BRAVO"] if forked == "before the marker" else [])
    assert said(ground.store, child) == said(ground.store, child, full=True) == expected
    check_fast_is_full(ground.store, child)


# --- 32: usage -------------------------------------------------------------------------------------------------------


def total(store: ThreadStore, thread: str) -> int | None:
    usages = [store.read(thread).usage, store.resume(thread).usage, store.replay(thread).usage]
    totals = [usage.total_token_usage.total_tokens if usage is not None else None for usage in usages]
    assert len(set(totals)) == 1
    return totals[0]


def test_trap_32_usage_goes_on_along_a_lineage_and_is_counted_once(ground: Ground, mode: str) -> None:
    store = ground.store
    parent = ground.thread("alpha", mode=mode)
    ground.add(parent, "bravo", tokens=100)
    bravo = turns_of(store, parent)[0]["id"]
    ground.add(parent, "charlie", tokens=250)
    child = store.fork(parent).id
    earlier = store.fork(parent, through=bravo).id
    none = store.fork(parent, before=bravo).id
    assert [total(store, thread) for thread in (parent, child, earlier, none)] == [250, 250, 100, None]
    ground.add(child, "delta", tokens=300)
    grandchild = store.fork(child).id
    assert [total(store, thread) for thread in (parent, child, grandchild, earlier)] == [250, 300, 300, 100]
    ground.add(parent, "echo", tokens=900)
    assert [total(store, thread) for thread in (parent, child, grandchild, earlier)] == [900, 300, 300, 100]
    store.revert(child, before=turns_of(store, child)[0]["id"])
    assert total(store, child) == 250


def test_trap_32_bytes_of_a_family_are_counted_once(ground: Ground, mode: str) -> None:
    parent = ground.thread(*TEXTS, mode=mode)
    children = [ground.store.fork(parent).id for _ in range(3)]
    children.append(ground.store.fork(children[0]).id)
    (family,) = ground.store.families()
    stored = sum(len(ground.data(thread)) for thread in (parent, *children))
    assert (family.threads, family.rollouts, family.own_bytes) == (5, 5, stored)
    assert family.pinned_bytes == 0  # the pins are second names of what is there
    assert family.duplicated_bytes == 0
    (root,) = ground.store.tree(parent)
    first = len(ground.data(parent).splitlines(keepends=True)[0])
    assert {node.inherited_bytes for node in root.children} == {len(ground.data(parent)) - first}
    assert family.inherited_bytes == 4 * (len(ground.data(parent)) - first)


def test_trap_32_counts_hold_what_is_inherited_once(ground: Ground, mode: str) -> None:
    thread = ground.thread("alpha", mode=mode)
    for text in TEXTS[1:]:
        thread = ground.store.fork(thread).id
        ground.add(thread, text)
    counts = ground.store.read(thread, counts=True).counts
    assert counts is not None
    assert counts.turns == 5
    assert counts.response_items == 10


# --- 33: archives and lists ------------------------------------------------------------------------------------------


class CountingFiles(Files):
    def __init__(self) -> None:
        self.folders: list[str] = []
        self.opened: list[str] = []

    def scandir(self, path: str) -> Iterator[os.DirEntry[str]]:
        self.folders.append(path)
        return super().scandir(path)

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        self.opened.append(path)
        return super().open(path, flags, mode)


@pytest.mark.parametrize("kind", HOMES)
@pytest.mark.parametrize("operation", ["archive", "unarchive", "rename"])
def test_trap_33_archiving_does_not_scan_the_home(
    tmp_path: Path, kind: Any, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("threadkeep.backends.local._names._RACY_NS", 0)
    scanned = []
    for days in (5, 60):
        files = CountingFiles()
        home = Ground(kind, tmp_path / str(days), files=files)
        others = []
        for day in range(days):
            other = Rollout()
            other.turn("of another day")
            others.append(home.put(other, folder=f"sessions/2025/{day % 12 + 1:02d}/{day // 12 + 1:02d}"))
        thread = home.thread("mine")
        if operation == "unarchive":
            home.store.archive(thread)
        home.store.list(chosen=EVERY)
        home.store.read(thread)
        files.folders.clear()
        files.opened.clear()
        changed = home.store.rename(thread, "x") if operation == "rename" else getattr(home.store, operation)(thread)
        assert changed.archived == (operation == "archive")
        scanned.append(len(files.folders))
        assert [path for path in files.opened if any(other in path for other in others)] == []
        home.close()
    assert scanned[0] == scanned[1]
    assert scanned[1] <= 10


def test_trap_33_a_list_after_an_append_shows_the_thread_in_its_new_place(ground: Ground) -> None:
    threads = []
    for number in range(6):
        rollout = Rollout()
        rollout.turn(f"thread {number}")
        threads.append(ground.put(rollout))
        age(ground, rollout.id, 1_700_000_000 + number * 60)
    store = ground.store
    assert [thread.id for thread in store.list().data] == threads[::-1]
    folder = None if ground.memory is not None else ground.path(threads[1]).parent
    before = folder.stat().st_mtime_ns if folder is not None else None
    rollout = Rollout(threads[1])
    rollout.turn("appended by Codex")
    ground.grow(threads[1], rollout.data.split(b"\n", 1)[1])
    assert (folder.stat().st_mtime_ns if folder is not None else None) == before
    expected = [threads[1], *(thread for thread in threads[::-1] if thread != threads[1])]
    for each in (store, ground.reopened(), ground.reopened(cold=True)):
        assert [thread.id for thread in each.list().data] == expected
        page = each.list(limit=2)
        assert [thread.id for thread in page.data] == expected[:2]
        rest = each.list(limit=10, cursor=page.next_cursor)
        assert [thread.id for thread in rest.data] == expected[2:]
        assert [thread.id for thread in each.list(sort="created_at").data] == threads[::-1]
    assert first_user(turns_of(ground.store, threads[1])[0]) == "appended by Codex"


def age(ground: Ground, rollout: str, seconds: int) -> None:
    """The rollout was changed at that time."""
    if ground.memory is not None:
        ground.memory._rollouts[rollout].mtime_ns = seconds * 1_000_000_000
    else:
        os.utime(ground.path(rollout), (seconds, seconds))


def test_trap_33_an_archived_thread_is_listed_as_such_at_once(ground: Ground) -> None:
    thread, other = ground.thread("alpha"), ground.thread("bravo")
    ground.store.list()
    ground.store.archive(thread)
    for store in (ground.store, ground.reopened(), ground.reopened(cold=True)):
        assert [listed.id for listed in store.list().data] == [other]
        assert [listed.id for listed in store.list(chosen=ThreadFilter(archived=True)).data] == [thread]
        assert store.read(thread).archived
        assert asked(store, thread) == ["alpha"]


# --- 34: damage ------------------------------------------------------------------------------------------------------


def with_line(data: bytes, number: int, change: Callable[[bytes], bytes]) -> bytes:
    """The data with one line (from 1) changed."""
    lines = data.splitlines(keepends=True)
    lines[number - 1] = change(lines[number - 1])
    return b"".join(lines)


def spoilt_text(line: bytes) -> bytes:
    place = line.rfind(b"alpha")
    return line[:place] + b"\xff" + line[place + 1 :]


DAMAGES: dict[str, tuple[int, Callable[[bytes], bytes], str]] = {
    # the line that is damaged, what is done to the data, the kind that is reported
    "invalid UTF-8": (4, lambda data: with_line(data, 4, spoilt_text), "invalid-utf8"),
    "a BOM": (1, lambda data: b"\xef\xbb\xbf" + data, "byte-order-mark"),
    "CRLF in one line": (3, lambda data: with_line(data, 3, lambda line: line[:-1] + b"\r\n"), "crlf"),
    "CRLF everywhere": (1, lambda data: data.replace(b"\n", b"\r\n"), "crlf"),
    "a blank line": (3, lambda data: with_line(data, 3, lambda line: b"\n" + line), "blank-line"),
    "blank lines first": (1, lambda data: b"\n \n\n" + data, "blank-line"),
    "garbage in the middle": (3, lambda data: with_line(data, 3, lambda line: b"garbage\n" + line), "not-json"),
    "NULs in the middle": (3, lambda data: with_line(data, 3, lambda line: bytes(64) + b"\n" + line), "nul-bytes"),
    "a damaged first line": (1, lambda data: with_line(data, 1, lambda line: line[9:]), "first-line-damaged"),
    "a first line of NULs": (
        1,
        lambda data: with_line(data, 1, lambda line: bytes(len(line) - 1) + b"\n"),
        "first-line-damaged",
    ),
    "no first line": (1, lambda data: data.split(b"\n", 1)[1], "no-session-meta"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_trap_34_what_can_be_read_is_read_and_the_rest_is_named(ground: Ground, mode: str, damage: str) -> None:
    rollout = Rollout(mode=mode)
    for text in ("alpha", "bravo", "charlie"):
        rollout.turn(text)
    number, change, kind = DAMAGES[damage]
    data = change(rollout.data)
    thread = ground.put(data, thread=rollout.thread)
    store = ground.store
    lost = damage == "invalid UTF-8"
    assert said(store, thread)[2 if not lost else 1 :] == ["bravo", "BRAVO", "charlie", "CHARLIE"]
    assert said(store, thread) == said(store, thread, full=True)
    assert asked(store, thread)[-2:] == ["bravo", "charlie"]
    assert "alpha" in json.dumps(turns_of(store, thread)).casefold()
    check_fast_is_full(store, thread)
    (listed,) = store.list().data
    assert (listed.id, listed.preview) == (thread, "alpha")
    verified = store.verify(thread)
    assert verified.problem is None
    found = [each for each in verified.damage if each.kind == kind]
    assert found, verified.damage
    starts = [0]
    for line in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    assert found[0].line == number
    assert starts[number - 1] <= found[0].offset < starts[number]
    assert found[0].rollout == thread
    if ground.memory is None:
        assert found[0].path == str(ground.path(thread))
    assert ground.data(thread) == data  # nothing is mended by reading
    if damage != "no first line":
        ground.add(thread, "and on")
        assert asked(ground.reopened(cold=True), thread)[-1] == "and on"
        assert ground.data(thread).startswith(data)


@pytest.mark.parametrize("damage", ["a damaged first line", "a first line of NULs", "no first line"])
def test_trap_34_a_child_whose_first_line_is_damaged_says_what_it_lost(ground: Ground, damage: str) -> None:
    parent = Rollout()
    parent.turn("alpha")
    child = Rollout(base=parent)
    child.turn("bravo")
    ground.put(parent)
    ground.put(DAMAGES[damage][1](child.data), thread=child.thread)
    for ask in (ground.store.resume, ground.store.turns, ground.store.items):
        with refused(ground, ThreadkeepError, child.thread, "byte 0"):
            ask(child.thread)
    assert not ground.store.verify(child.thread).ok


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\x00" * 4096, b"garbage\n", b"\xff\xfe", b"{}\n[]\n"])
def test_trap_34_a_file_that_holds_nothing_is_refused_and_listed(ground: Ground, data: bytes) -> None:
    thread = ground.put(data, thread=IDS.new())
    store = ground.store
    for ask in (store.resume, store.turns, store.items, store.writer, store.fork):
        with refused(ground, UnreadableRollout, thread):
            ask(thread)
    (listed,) = store.list().data
    assert listed.id == thread
    assert listed.problem is not None
    assert not store.verify(thread).ok
    assert {finding.thread for finding in store.doctor() if finding.severity == "error"} == {thread}


def test_trap_34_doctor_names_file_line_and_byte(home: Ground, mode: str) -> None:
    rollout = Rollout(mode=mode)
    rollout.turn("alpha")
    rollout.turn("bravo")
    data = DAMAGES["invalid UTF-8"][1](rollout.data)
    thread = home.put(data, thread=rollout.thread)
    (found,) = [finding for finding in home.store.doctor() if finding.severity == "error"]
    assert found.thread == thread
    assert found.path is not None
    assert str(home.path(thread)).endswith(found.path)
    bad = data.index(b"\xff")
    start = data.rindex(b"\n", 0, bad) + 1
    assert f"line 4, byte {start}" in found.detail
    assert f"byte {bad - start}" in found.detail


# --- 35: cursors after changes ---------------------------------------------------------------------------------------


def cursor_of(store: ThreadStore, thread: str, listing: str) -> str:
    cursor = getattr(store, listing)(thread, limit=2, descending=True).next_cursor
    assert isinstance(cursor, str)
    return cursor


@pytest.mark.parametrize("listing", ["turns", "items"])
def test_trap_35_a_cursor_names_its_rollout_its_mode_and_its_anchor(ground: Ground, mode: str, listing: str) -> None:
    thread = ground.thread(*TEXTS, mode=mode)
    cursor = cursor_of(ground.store, thread, listing)
    told = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    assert thread in told
    assert mode in told
    (rollout, offset) = next(part for part in told if isinstance(part, list) and part[:1] == [thread])
    assert rollout == thread
    assert ground.data(thread)[:offset].endswith(b"\n")
    assert any(isinstance(part, str) and len(part) == 16 for part in told)


def migrated(ground: Ground, thread: str) -> bytes:
    other = Rollout(thread)
    for text in TEXTS:
        other.turn(text)
    return other.data


def anchor_of(cursor: str) -> int:
    told = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    return int(next(part for part in told if isinstance(part, list))[1])


def in_another_mode(data: bytes) -> bytes:
    """The same history with another mode in its first record, of the same length."""
    if b'"history_mode":"legacy"' in data:
        shorter = data.replace(b'"originator":"threadkeep"', b'"originator":"threadk"', 1)
        changed = shorter.replace(b'"history_mode":"legacy"', b'"history_mode":"paginated"', 1)
    else:
        changed = data.replace(b'"history_mode":"paginated"', b'"history_mode":   "legacy"', 1)
    assert len(changed) == len(data)
    return changed


@pytest.mark.parametrize("listing", ["turns", "items"])
@pytest.mark.parametrize(
    "change", ["migrated", "its mode alone", "its anchor edited", "cut before its anchor", "a line put in before"]
)
@pytest.mark.parametrize("descending", [True, False])
def test_trap_35_after_a_change_a_cursor_is_refused(
    ground: Ground, mode: str, listing: str, change: str, descending: bool
) -> None:
    thread = ground.thread(*TEXTS, mode=mode)
    cursor = cursor_of(ground.store, thread, listing)
    data, anchor = ground.data(thread), anchor_of(cursor)
    if change == "migrated":
        ground.replace(thread, migrated(ground, thread))
    elif change == "its mode alone":  # every record where it was, byte by byte
        ground.edit(thread, in_another_mode(data))
        assert ground.data(thread)[anchor:] == data[anchor:]
    elif change == "its anchor edited":
        ground.edit(thread, data[: anchor + 15] + b"1999" + data[anchor + 19 :])
    elif change == "cut before its anchor":
        ground.edit(thread, data[:anchor])
    else:
        first = data.index(b"\n") + 1
        ground.edit(thread, data[:first] + b"{}\n" + data[first:])
    for store in (ground.store, ground.reopened(cold=True)):
        with refused(ground, InvalidCursor, thread):
            getattr(store, listing)(thread, cursor=cursor, descending=descending)


@pytest.mark.parametrize("listing", ["turns", "items"])
def test_trap_35_after_a_revert_a_cursor_holds_where_its_anchor_stands_and_is_refused_where_it_went(
    ground: Ground, mode: str, listing: str
) -> None:
    thread = ground.thread(*TEXTS, mode=mode)
    ids = [turn["id"] for turn in reversed(turns_of(ground.store, thread))]
    cursor = cursor_of(ground.store, thread, listing)
    whole = plain(getattr(ground.store, listing)(thread, cursor=cursor, descending=True, limit=100).data)
    if listing == "turns":  # the anchor is the fourth turn; the fifth goes
        ground.store.revert(thread, before=ids[4])
        again = getattr(ground.store, listing)(thread, cursor=cursor, descending=True, limit=100)
        assert plain(again.data) == whole
    ground.store.revert(thread, before=ids[1])
    with refused(ground, InvalidCursor, thread):
        getattr(ground.store, listing)(thread, cursor=cursor, descending=True)


def test_trap_35_a_cursor_into_what_is_inherited_is_refused_when_that_changed(ground: Ground, mode: str) -> None:
    parent = ground.thread(*TEXTS, mode=mode)
    child = ground.store.fork(parent).id
    ground.add(child, "foxtrot")
    page = ground.store.turns(child, limit=3)
    assert page.next_cursor is not None
    for pin in list(ground.store.backend.pins()):
        ground.store.backend.unpin(pin)
    ground.replace(parent, migrated(ground, parent))
    with refused(ground, BrokenLineage, parent):
        ground.store.turns(child, limit=3, cursor=page.next_cursor)


# --- 36: reverted threads --------------------------------------------------------------------------------------------


def reverted(ground: Ground, mode: str = PAGINATED) -> str:
    """A thread that was reverted twice and went on each time."""
    thread = ground.thread("alpha", "gone one", "gone two", mode=mode)
    ground.store.revert(thread, before=turns_of(ground.store, thread)[1]["id"])
    ground.add(thread, "bravo", "gone three")
    ground.store.revert(thread, before=turns_of(ground.store, thread)[0]["id"])
    ground.add(thread, "charlie")
    return thread


def rollouts_of(ground: Ground, thread: str) -> list[str]:
    return sorted({ref.rollout_id for ref, _ in ground.store.backend.stats() if ref.thread_id == thread})


@pytest.mark.parametrize(
    "state", ["as it is", "archived", "archived and back", "old ones compressed", "all compressed"]
)
def test_trap_36_the_current_rollout_of_a_reverted_thread_is_found(ground: Ground, mode: str, state: str) -> None:
    if "compressed" in state and ground.memory is not None:
        pytest.skip("only files can be compressed")
    thread = reverted(ground, mode)
    ids = rollouts_of(ground, thread)
    assert len(ids) == 3
    if state.startswith("archived"):
        ground.store.archive(thread)
        if ground.memory is None:
            assert [ground.path(id_).parent.name for id_ in ids] == ["archived_sessions"] * 3
    if state == "archived and back":
        ground.store.unarchive(thread)
    if "compressed" in state:
        for id_ in ids if state.startswith("all") else ids[:-1]:
            ground.pack(id_)
    for store in (ground.store, ground.reopened(), ground.reopened(cold=True)):
        assert store.read(thread).rollout_id == ids[-1]
        assert asked(store, thread) == ["alpha", "bravo", "charlie"]
        assert [(listed.id, listed.rollout_id) for listed in store.list(chosen=EVERY).data] == [(thread, ids[-1])]
        assert [listed.id for listed in store.list(chosen=EVERY, sort="created_at").data] == [thread]
        assert store.thread_id(thread[:-2]) == thread
    if state != "archived":
        ground.add(thread, "delta")
        assert asked(ground.store, thread) == ["alpha", "bravo", "charlie", "delta"]


class MovingClock:
    def __init__(self, ms: int) -> None:
        self.ms = ms

    def now_ms(self) -> int:
        self.ms += 1
        return self.ms


@pytest.mark.parametrize("kind", HOMES)
def test_trap_36_a_clock_that_was_set_back_does_not_bring_a_reverted_file_back(tmp_path: Path, kind: Any) -> None:
    clock = MovingClock(1_790_000_000_000)
    home = Ground(kind, tmp_path / "home", clock=clock)
    thread = home.thread("alpha", "gone one")
    home.store.revert(thread, before=turns_of(home.store, thread)[0]["id"])
    home.add(thread, "bravo", "gone two")
    for hours in (5, 1):  # now another process, by another clock: first set back, then somewhat less
        clock.ms = 1_790_000_000_000 - hours * 3_600_000
        store = home.reopened()
        store.revert(thread, before=turns_of(store, thread)[0]["id"])
        assert asked(store, thread) == ["alpha", "bravo"]
        home.add(thread, "gone three")
        assert asked(home.reopened(cold=True), thread) == ["alpha", "bravo", "gone three"]
    home.close()


def test_trap_36_the_time_in_a_name_decides_nothing(home: Ground) -> None:
    thread = reverted(home)
    newest = rollouts_of(home, thread)[-1]
    path = home.path(newest)
    path.rename(path.with_name(path.name.replace(path.name[8:27], "2001-01-01T00-00-00")))
    assert asked(home.reopened(cold=True), thread) == ["alpha", "bravo", "charlie"]


def test_trap_36_codexs_index_says_which_rollout_is_current(tmp_path: Path) -> None:
    home = Ground("Codex's home", tmp_path / "home")
    thread = reverted(home)
    first, middle, newest = rollouts_of(home, thread)
    home.index(thread, home.path(newest))
    assert asked(home.reopened(), thread) == ["alpha", "bravo", "charlie"]
    home.index(thread, home.root / "sessions" / "gone.jsonl")
    assert asked(home.reopened(), thread) == ["alpha", "bravo", "charlie"]
    home.index(thread, home.path(middle))
    store = home.reopened()
    places = [str(home.path(each).relative_to(home.root)) for each in (middle, newest)]
    for ask in (store.resume, store.turns, store.read, store.writer, store.fork):
        with refused(home, AmbiguousRollout, thread, *places):
            ask(thread)
    assert [listed.id for listed in store.list().data] == [thread]  # it is still shown
    home.path(newest).unlink()
    assert asked(home.reopened(), thread)[0] == "alpha"
    assert home.store.read(thread).rollout_id == middle
    assert first != middle
    home.close()


def test_trap_36_two_files_of_the_same_rollout_are_refused_and_named(home: Ground) -> None:
    thread = reverted(home)
    newest = rollouts_of(home, thread)[-1]
    path = home.path(newest)
    twin = home.root / "sessions" / "2020" / "01" / "31" / path.name
    twin.parent.mkdir(parents=True)
    shutil.copyfile(path, twin)
    store = home.reopened(cold=True)
    with refused(home, AmbiguousRollout, thread, *(str(each.relative_to(home.root)) for each in (path, twin))):
        store.resume(thread)


def test_trap_36_a_thread_that_codex_has_indexed_is_reverted_by_codex_or_kept_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THREADKEEP_CODEX", str(tmp_path / "none"))
    home = Ground("Codex's home", tmp_path / "home")
    thread = home.thread("alpha", "gone")
    home.index(thread, home.path(thread))
    store = home.reopened()
    gone = turns_of(store, thread)[0]["id"]
    with refused(home, CodexOwned, thread):
        store.revert(thread, before=gone)
    with refused(home, CodexOwned, thread):
        store.rename(thread, "x")
    with refused(home, CodexOwned, thread):
        store.archive(thread)
    theirs = {place: data for place, data in home.bytes_of_all().items() if not place.startswith("threadkeep/")}
    store.revert(thread, before=gone, local=True)
    assert asked(store, thread) == ["alpha"]
    home.add(thread, "bravo")
    store.revert(thread, before=turns_of(store, thread)[0]["id"], local=True)
    home.add(thread, "charlie")
    after = {place: data for place, data in home.bytes_of_all().items() if not place.startswith("threadkeep/")}
    assert after == theirs
    for each in (home.store, home.reopened(cold=True)):
        assert asked(each, thread) == ["alpha", "charlie"]
        assert len(each.list().data) == 1
    # Codex forgets the thread: what was kept apart is still the current rollout, also after another revert.
    (home.root / "state_5.sqlite").unlink()
    store = home.reopened(cold=True)
    assert asked(store, thread) == ["alpha", "charlie"]
    store.revert(thread, before=turns_of(store, thread)[0]["id"])
    home.add(thread, "delta")
    assert asked(home.reopened(cold=True), thread) == ["alpha", "delta"]
    home.close()


# --- 37: old files ---------------------------------------------------------------------------------------------------

AGES: Final[tuple[CheckpointAge, ...]] = (
    "current",
    "no-resume-metadata",
    "no-window-number",
    "no-replacement-history",
)


@pytest.mark.parametrize("checkpoints", AGES)
@pytest.mark.parametrize("newer", ["the same", "current"])
def test_trap_37_checkpoints_of_every_age(tmp_path: Path, mode: str, checkpoints: CheckpointAge, newer: str) -> None:
    ground = Ground("memory", tmp_path)
    made = Generated()
    data = b"".join(generate(Recipe(mode=mode, size=700_000, tail=200_000, age=checkpoints), made))
    rollout = Rollout(made.thread_id, mode=mode)
    rollout.pieces, rollout.ordinal = [data], made.records
    if newer == "current":  # a newer Codex went on
        rollout.turn("by a newer Codex")
        rollout.compact(window=7)
        rollout.turn("and on", tokens=9)
    thread = ground.put(rollout)
    assert made.compactions == 1
    check_as_the_definition(ground.store, thread, rollout.data)
    check_fast_is_full(ground.store, thread)
    child = ground.store.fork(thread).id
    assert said(ground.store, child) == said(ground.store, thread) == said(ground.store, child, full=True)


def test_trap_37_a_number_in_the_place_of_a_window_id(ground: Ground, mode: str) -> None:
    rollout = Rollout(mode=mode)
    rollout.turn("alpha")
    turn = rollout.start()
    payload = build.compacted("summary", [], window_number=None)
    rollout.record("compacted", {**payload, "window_id": 3})
    rollout.finish(turn)
    thread = ground.put(rollout)
    check_as_the_definition(ground.store, thread, rollout.data)
    assert ground.store.resume(thread).context.window.number == 3


@pytest.mark.parametrize("name", sorted(path.name for path in (FIXTURES / "0.20.0").iterdir() if path.is_dir()))
def test_trap_37_files_from_before_the_envelope_as_codex_0_20_0_wrote_them(tmp_path: Path, name: str) -> None:
    home = tmp_path / "home"
    shutil.copytree(FIXTURES / "0.20.0" / name, home)
    files = [path for path in home.rglob("rollout-*.jsonl") if path.stat().st_size]
    assert files
    with ThreadStore.open(home) as store:
        listed = {thread.id: thread for thread in store.list(chosen=EVERY).data}
        for path in files:
            lines = [json.loads(line) for line in path.read_bytes().splitlines()]
            thread = lines[0]["id"]
            assert uuid.UUID(thread).version == 4
            assert listed[thread].problem is None
            assert listed[thread].mode == LEGACY
            messages = [line for line in lines[1:] if line.get("type") == "message"]
            sent = [json.loads(bytes(item.payload)) for item in store.resume(thread).context.items]
            assert [item for item in sent if item["type"] == "message"] == messages
            texts = [line["content"][0]["text"] for line in messages if line["role"] == "user"]
            assert asked(store, thread) == texts
            assert listed[thread].preview == texts[0]
            assert said(store, thread) == said(store, thread, full=True)
            check_fast_is_full(store, thread)
            before = path.read_bytes()
            child = store.fork(thread).id
            assert said(store, child) == said(store, thread)
            assert turns_of(store, child) == turns_of(store, thread)
            with store.writer(thread) as writer, writer.turn("and on", model="m", cwd=NOWHERE) as turn:
                turn.say("an answer")
            assert path.read_bytes().startswith(before)
            assert said(store, thread)[-2:] == ["and on", "an answer"]
            assert asked(store, thread) == [*texts, "and on"]
            assert asked(store, child) == texts
            assert said(store, child) == said(store, child, full=True)


def before_the_envelope(thread: str) -> bytes:
    lines: list[Json] = [
        {"id": thread, "timestamp": "2025-08-01T10:00:00.000Z", "instructions": None},
        {"record_type": "state"},
        {"type": "message", "id": None, "role": "user", "content": [{"type": "input_text", "text": "alpha"}]},
        {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": None},
        {"type": "message", "id": None, "role": "assistant", "content": [{"type": "output_text", "text": "ALPHA"}]},
        {"record_type": "state"},
    ]
    return b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)


def old_turns(thread: str, texts: list[str]) -> bytes:
    """A history as Codex wrote it before the envelope: with surroundings, reasoning and a call in each turn."""

    def message(role: str, kind: str, text: str) -> Json:
        return {"type": "message", "id": None, "role": role, "content": [{"type": kind, "text": text}]}

    around = ("environment_context", "user_instructions")
    lines: list[Json] = [
        {"id": thread, "timestamp": "2025-08-01T10:00:00.000Z", "instructions": None},
        *(message("user", "input_text", f"<{tag}>\n\nx\n\n</{tag}>") for tag in around),
    ]
    for number, text in enumerate(texts):
        call = {"call_id": f"call_{number}", "name": "shell", "arguments": '{"command":["bash","-lc","pwd"]}'}
        output = json.dumps({"output": "/work\n", "metadata": {"exit_code": 0, "duration_seconds": 0.0}})
        lines += [
            message("user", "input_text", text),
            {"record_type": "state"},
            {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": f"on {text}"}]},
            {"type": "function_call", "id": "fc", **call},
            {"type": "function_call_output", "call_id": call["call_id"], "output": output},
            message("assistant", "output_text", text.upper()),
        ]
    return b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)


def test_trap_37_turns_from_before_the_envelope_are_shown(ground: Ground) -> None:
    thread = str(uuid.uuid4())
    ground.put(old_turns(thread, TEXTS), thread=thread)
    store = ground.store
    assert store.read(thread).preview == TEXTS[0]
    assert asked(store, thread) == TEXTS
    for turn, text in zip(turns_of(store, thread, descending=False), TEXTS, strict=True):
        assert turn["id"].startswith("rollout-")
        asks, thinks, runs, answers = turn["items"]
        assert [asks["type"], answers["type"], answers["text"]] == ["userMessage", "agentMessage", text.upper()]
        assert [thinks["type"], thinks["summary"]] == ["reasoning", [f"on {text}"]]
        assert [runs["type"], runs["aggregatedOutput"], runs["exitCode"]] == ["commandExecution", "/work\n", 0]
    check_fast_is_full(store, thread)
    counts = store.read(thread, counts=True).counts
    assert counts is not None
    assert (counts.items, counts.records) == (2 * len(TEXTS), 3 + 6 * len(TEXTS))
    assert [check.name for check in store.verify(thread).checks if not check.ok] == []


@pytest.mark.parametrize("kept", range(1, len(TEXTS)))
def test_trap_37_forks_and_reverts_between_turns_from_before_the_envelope(ground: Ground, kept: int) -> None:
    thread = str(uuid.uuid4())
    ground.put(old_turns(thread, TEXTS), thread=thread)
    ids = [turn["id"] for turn in turns_of(ground.store, thread, descending=False)]
    through = ground.store.fork(thread, through=ids[kept - 1]).id
    before = ground.store.fork(thread, before=ids[kept]).id
    assert asked(ground.store, through) == asked(ground.store, before) == TEXTS[:kept]
    assert said(ground.store, through) == said(ground.store, before) == said(ground.store, through, full=True)
    ground.add(through, "foxtrot")
    assert asked(ground.store, through) == [*TEXTS[:kept], "foxtrot"]
    check_fast_is_full(ground.store, through)
    ground.store.revert(thread, before=ids[kept])
    assert asked(ground.reopened(cold=True), thread) == TEXTS[:kept]
    assert asked(ground.store, through) == [*TEXTS[:kept], "foxtrot"]


def test_trap_37_records_from_before_the_envelope_in_every_store(ground: Ground) -> None:
    thread = str(uuid.uuid4())
    ground.put(before_the_envelope(thread), thread=thread)
    assert said(ground.store, thread) == said(ground.store, thread, full=True) == ["alpha", "ALPHA"]
    assert ground.store.read(thread).mode == LEGACY
    assert asked(ground.store, thread) == ["alpha"]
    child = ground.store.fork(thread).id
    ground.add(thread, "bravo")
    assert said(ground.store, thread) == ["alpha", "ALPHA", "bravo", "BRAVO"]
    assert said(ground.store, child) == ["alpha", "ALPHA"]
    check_fast_is_full(ground.store, thread)


ANY_ID = [
    "6d7a1b1c-9d8e-4f00-8a11-0123456789ab",
    "2ed6657d-e927-11ee-9b1c-0242ac120002",
    "1ec9414c-232a-6b00-b3c8-9e6bdeced846",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "320c3d4d-cc00-875b-8ec9-32d5f69181c0",
]


@pytest.mark.parametrize("thread", ANY_ID)
def test_trap_37_any_uuid_is_an_id(ground: Ground, thread: str) -> None:
    rollout = Rollout(thread, mode=LEGACY if thread[:1] in "02" else PAGINATED)
    rollout.turn("alpha", turn="turn-1")
    rollout.turn("bravo", turn=str(uuid.uuid4()))
    ground.put(rollout)
    store = ground.store
    assert store.thread_id(thread.upper()) == thread
    assert store.thread_id(thread[:9]) == thread
    check_fast_is_full(store, thread)
    child = store.fork(thread, through="turn-1").id
    assert asked(store, child) == ["alpha"]
    ground.add(thread, "charlie")
    assert asked(store, thread) == ["alpha", "bravo", "charlie"]
    store.revert(thread, before=turns_of(store, thread)[0]["id"])
    assert asked(ground.reopened(cold=True), thread) == ["alpha", "bravo"]
    ground.store.archive(thread)
    assert [listed.id for listed in ground.store.list().data] == [child]
    ground.store.unarchive(thread)
    ground.store.delete(thread)
    assert asked(ground.store, child) == ["alpha"]
