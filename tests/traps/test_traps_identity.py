"""Identity, order, cursors: a thread is what its file says it is, wherever it lies and whatever is derived from it."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.traps.grounds import (
    HOMES,
    IDS,
    MODES,
    NOWHERE,
    Ground,
    Rollout,
    asked,
    check_as_the_definition,
    check_fast_is_full,
    everything,
    history,
    items_of,
    plain,
    refused,
    said,
    turns_of,
)

from threadkeep.errors import InvalidCursor, ThreadkeepError, UnreadableRollout
from threadkeep.ids import timestamp_ms
from threadkeep.records import LEGACY, PAGINATED
from threadkeep.store import ThreadFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Json = dict[str, Any]


# --- 15: rows that point elsewhere -----------------------------------------------------------------------------------


def test_trap_15_the_id_inside_the_file_decides(ground: Ground, mode: str) -> None:
    other = Rollout(mode=mode)
    other.turn("a secret of another thread")
    wanted = ground.put(other, thread=IDS.new(), rollout_id="")
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
        with refused(ground, UnreadableRollout, wanted, other.thread):
            ask(wanted)
    with refused(ground, ThreadkeepError, wanted, other.thread):
        store.revert(wanted, before=IDS.new())
    (shown,) = store.list().data
    assert (shown.id, shown.preview) == (wanted, "")
    assert shown.problem is not None
    assert other.thread in shown.problem


@pytest.fixture
def codex_home(tmp_path: Path) -> Iterator[Ground]:
    made = Ground("Codex's home", tmp_path / "home")
    yield made
    made.close()


@pytest.mark.parametrize("points", ["at another thread's file", "at another thread's reverted file", "at nothing"])
def test_trap_15_a_row_of_codex_that_points_elsewhere_is_not_followed(codex_home: Ground, points: str) -> None:
    home = codex_home
    mine, theirs = home.thread("mine"), home.thread("theirs")
    if points == "at another thread's file":
        path = home.path(theirs)
    elif points == "at another thread's reverted file":
        home.store.revert(theirs, before=turns_of(home.store, theirs)[-1]["id"])
        path = home.path(home.store.read(theirs).rollout_id)
    else:
        path = home.root / "sessions" / "gone.jsonl"
    home.index(mine, path)
    store = home.reopened()
    assert asked(store, mine) == ["mine"]
    assert store.read(mine).preview == "mine"


def test_trap_15_a_row_of_codex_that_leads_out_of_the_home_is_not_followed(codex_home: Ground, tmp_path: Path) -> None:
    thread = codex_home.thread("mine")
    inside = codex_home.path(thread)
    outside = tmp_path / "elsewhere" / inside.name
    outside.parent.mkdir()
    outside.write_bytes(inside.read_bytes().replace(b"mine", b"fake"))
    codex_home.index(thread, outside)
    assert asked(codex_home.reopened(), thread) == ["mine"]


def test_trap_15_a_row_of_the_catalog_that_points_elsewhere_is_not_followed(home: Ground) -> None:
    mine, theirs = home.thread("mine"), home.thread("theirs")
    home.store.list()
    rows = {thread: home.store.read(thread) for thread in (mine, theirs)}
    path = home.root / "threadkeep" / "catalog.sqlite"
    home.store.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE names SET thread_id = ?, rollout_id = ? WHERE rollout_id = ?", (mine, mine, theirs))
        db.execute("DELETE FROM names WHERE path LIKE ? AND thread_id = ?", (f"%{mine}.jsonl", mine))
        swapped = db.execute("SELECT data FROM rows WHERE rollout_id = ?", (theirs,)).fetchone()
        db.execute("UPDATE rows SET data = ? WHERE rollout_id = ?", (*swapped, mine))
    db.close()
    store = home.reopened()
    assert "theirs" not in json.dumps(plain_or_error(lambda: asked(store, mine)))
    assert "theirs" not in json.dumps(plain_or_error(lambda: said(store, mine)))
    assert asked(home.reopened(cold=True), mine) == ["mine"]
    assert home.store.read(mine).preview == rows[mine].preview


def plain_or_error(ask: Callable[[], Any]) -> Any:
    """An answer, or the words of a refusal."""
    try:
        return ask()
    except ThreadkeepError as error:
        return str(error)


# --- 16: cursors and ids ---------------------------------------------------------------------------------------------


def longer_thread(mode: str, turns: int = 12) -> Rollout:
    """Turns, compactions and a record that is no turn's, in either mode."""
    rollout = Rollout(mode=mode)
    for number in range(turns):
        rollout.turn(f"question {number}", tokens=number + 1)
        if number % 5 == 4:
            rollout.compact(window=number // 5 + 1)
        rollout.record("security_risk_score", {"scores": {}, "action": "none"})
    return rollout


@pytest.mark.parametrize("listing", ["turns", "items"])
@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("limit", [1, 4])
def test_trap_16_cursors_survive_appends_and_show_each_entry_once(
    ground: Ground, mode: str, listing: str, descending: bool, limit: int
) -> None:
    rollout = longer_thread(mode)
    thread = ground.put(rollout)
    ask = getattr(ground.store, listing)
    whole = plain(ask(thread, limit=100, descending=descending).data)
    shown: list[Json] = []
    cursor = None
    for number in range(len(whole)):
        page = ask(thread, limit=limit, descending=descending, cursor=cursor)
        shown += plain(page.data)
        cursor = page.next_cursor
        if cursor is None:
            break
        rollout.turn(f"appended {number}")
        ground.edit(thread, rollout.data)
        if number % 3 == 0:
            ask = getattr(ground.reopened(cold=number % 2 == 0), listing)
    if descending:
        assert shown == whole
    else:  # going up, what was appended meanwhile is met at the end
        assert shown[: len(whole)] == whole
        assert len(shown) >= len(whole)


@pytest.mark.parametrize("listing", ["turns", "items"])
def test_trap_16_a_backwards_cursor_gives_the_same_entries_the_other_way(
    ground: Ground, mode: str, listing: str
) -> None:
    thread = ground.put(longer_thread(mode))
    ask = getattr(ground.store, listing)
    first = ask(thread, limit=3)
    page = ask(thread, limit=3, cursor=first.next_cursor)
    order = listing == "turns"  # turns come newest first, items oldest first
    back = ask(thread, limit=100, cursor=page.backwards_cursor, descending=not order)
    whole = plain(ask(thread, limit=100).data)
    assert plain(back.data) == whole[3::-1]


def test_trap_16_ids_are_the_same_whichever_way_they_are_found(ground: Ground, mode: str) -> None:
    rollout = longer_thread(mode)
    if mode == LEGACY:  # turns that nothing starts have ids made of their place
        rollout.event(type="user_message", message="no start", images=[])
        rollout.event(type="agent_message", message="an answer")
        rollout.event(type="user_message", message="no start again", images=[])
    thread = ground.put(rollout)
    check_fast_is_full(ground.store, thread)
    before = turns_of(ground.store, thread)
    items = items_of(ground.store, thread)
    rollout.turn("appended")
    ground.edit(thread, rollout.data)
    for store in (ground.store, ground.reopened(cold=True)):
        assert turns_of(store, thread)[1:] == before
        assert items_of(store, thread)[: len(items)] == items


@pytest.mark.parametrize("mode", MODES)
def test_trap_16_what_the_format_does_not_persist_is_not_counted(ground: Ground, mode: str) -> None:
    noise = [
        ("event_msg", {"type": "agent_message_delta", "delta": "x"}),
        ("event_msg", {"type": "exec_command_begin", "call_id": "c"}),
        ("event_msg", {"type": "warning", "message": "x"}),
        ("response_item", {"type": "compaction_trigger"}),
        ("response_item", {"type": "other"}),
    ]
    if mode == PAGINATED:
        noise.append(("event_msg", {"type": "agent_message", "message": "of a legacy rollout"}))
    else:
        noise.append(("realtime_item", {"type": "transcript_segment", "id": "x", "realtime_session_id": "y"}))
    threads = []
    for noisy in (False, True):
        with ground.store.create(cwd=NOWHERE, mode=mode) as writer:
            for text in ("one", "two"):
                with writer.turn(text, model="m", cwd=NOWHERE) as turn:
                    for kind, payload in noise if noisy else []:
                        assert writer.append(kind, payload) is None
                    turn.say("an answer")
            threads.append(writer.thread_id)
    quiet, loud = ([line.get("ordinal") for line in ground.lines(thread)] for thread in threads)
    assert quiet == loud
    counts = [plain(ground.store.read(thread, counts=True).counts) for thread in threads]
    assert counts[0]["records"] == counts[1]["records"]
    assert [turn["status"] for turn in turns_of(ground.store, threads[1])] == ["completed", "completed"]


@pytest.mark.parametrize("listing", ["turns", "items"])
def test_trap_16_a_cursor_is_no_number_and_no_other_threads(ground: Ground, mode: str, listing: str) -> None:
    thread, other = ground.put(longer_thread(mode)), ground.put(longer_thread(mode))
    ask = getattr(ground.store, listing)
    cursor = ask(thread, limit=1).next_cursor
    for wrong in ("3", "", "null", "a b", cursor[:-4], cursor + "AAAA", "é", "x" * 100_000):
        with refused(ground, InvalidCursor):
            ask(thread, cursor=wrong)
    with refused(ground, InvalidCursor, thread):
        ask(other, cursor=cursor)
    with refused(ground, InvalidCursor):
        getattr(ground.store, "items" if listing == "turns" else "turns")(thread, cursor=cursor)


# --- 17: what is not understood --------------------------------------------------------------------------------------

UNKNOWN = {
    "type": ("brave_new_record", {"any": [1, 2.50, "é\\u00e9"]}),
    "event": ("event_msg", {"type": "brave_new_event", "turn_id": "t"}),
    "response item": ("response_item", {"type": "brave_new_item", "call_id": "c"}),
    "field of an event": ("event_msg", {"type": "thread_goal_updated", "brave": {"new": [1.0]}}),
    "field of an item": (
        "response_item",
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "kept"}], "brave": 1e3},
    ),
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_trap_17_an_unknown_record_keeps_its_bytes_its_ordinal_and_its_place(
    ground: Ground, mode: str, what: str
) -> None:
    rollout = Rollout(mode=mode)
    rollout.turn("one")
    kind, payload = UNKNOWN[what]
    offset = rollout.record(kind, payload)
    end = rollout.end
    thread = ground.put(rollout)
    check_fast_is_full(ground.store, thread)
    (turn,) = ground.add(thread, "two")
    child = ground.store.fork(thread).id
    ground.store.archive(thread)
    ground.store.unarchive(thread)
    assert ground.data(thread)[offset:end] == rollout.data[offset:end]
    assert asked(ground.store, thread) == asked(ground.store, child) == ["one", "two"]
    if mode == PAGINATED:
        ordinals = [line["ordinal"] for line in ground.lines(thread)]
        assert ordinals == list(range(len(ordinals)))
    if what == "field of an item":
        kept = [item for item in history(ground.store.resume(child).context) if "brave" in item]
        assert kept == [payload]
    ground.store.revert(thread, before=turn)
    assert ground.data(thread)[offset:end] == rollout.data[offset:end]
    ordinals = [line["ordinal"] for line in ground.lines(child)]
    inherited = len(ground.lines(thread)) if mode == PAGINATED else 0
    assert ordinals[0] == inherited


def test_trap_17_an_unknown_last_record_does_not_give_its_ordinal_away(ground: Ground) -> None:
    rollout = Rollout()
    rollout.turn("one")
    rollout.record("brave_new_record", {})
    thread = ground.put(rollout)
    ground.add(thread, "two")
    ordinals = [line["ordinal"] for line in ground.lines(thread)]
    assert ordinals == list(range(len(ordinals)))


@pytest.mark.parametrize("keys", ["in another order", "with spaces", "with unknown ones"])
def test_trap_17_another_writers_envelope_is_read_and_kept(ground: Ground, mode: str, keys: str) -> None:
    rollout = Rollout(mode=mode)
    rollout.turn("one")
    plain_turn = Rollout(mode=mode)
    plain_turn.ordinal = rollout.ordinal
    plain_turn.pieces.clear()
    plain_turn.turn("two")
    for line in plain_turn.data.splitlines():
        record = json.loads(line)
        if keys == "in another order":
            record = dict(reversed(record.items()))
        elif keys == "with unknown ones":
            record = {"brave": [1], **record, "new": {}}
        separators = (", ", ": ") if keys == "with spaces" else (",", ":")
        rollout.raw(json.dumps(record, separators=separators).encode() + b"\n")
    thread = ground.put(rollout)
    assert asked(ground.store, thread) == ["one", "two"]
    check_as_the_definition(ground.store, thread, rollout.data)
    check_fast_is_full(ground.store, thread)
    assert ground.data(thread) == rollout.data


# --- 18: several first records ---------------------------------------------------------------------------------------


def test_trap_18_the_first_meta_is_canonical_and_a_copied_parents_is_not_this_threads(ground: Ground) -> None:
    parent = Rollout(mode=LEGACY, cwd="/the/parents", git={"branch": "parents"}, agent_nickname="parent")
    parent.turn("of the parent")
    child = Rollout(mode=LEGACY, forked_from_id=parent.thread, cwd="/the/childs", git={"branch": "childs"})
    for line in parent.data.splitlines(keepends=True):
        child.raw(line)
    child.turn("of the child")
    ground.put(parent)
    ground.put(child)
    read = ground.store.read(child.thread)
    assert (read.id, read.cwd, read.agent_nickname) == (child.thread, "/the/childs", None)
    assert read.git is not None
    assert read.git.branch == "childs"
    assert read.forked_from_id == parent.thread
    assert asked(ground.store, child.thread) == ["of the parent", "of the child"]
    check_fast_is_full(ground.store, child.thread)
    assert {thread.id for thread in ground.store.list().data} == {parent.thread, child.thread}


def test_trap_18_a_later_meta_of_the_thread_itself_is_an_update(ground: Ground) -> None:
    rollout = Rollout(mode=LEGACY, cwd="/before", git={"branch": "main", "commit_hash": "c0ffee"})
    rollout.turn("one")
    first = rollout.first
    rollout.record("session_meta", {**first, "memory_mode": "disabled", "git": {"branch": "other"}, "cwd": "/after"})
    rollout.turn("two")
    rollout.record("session_meta", {**first, "id": IDS.new(), "cwd": "/of/nobody", "git": {"branch": "nobodys"}})
    rollout.turn("three")
    thread = ground.put(rollout)
    for store in (ground.store, ground.reopened(cold=True)):
        read = store.read(thread)
        assert (read.memory_mode, read.cwd) == ("disabled", "/after")
        assert read.git is not None
        assert (read.git.branch, read.git.commit_hash) == ("other", "c0ffee")
    assert asked(ground.store, thread) == ["one", "two", "three"]
    check_as_the_definition(ground.store, thread, rollout.data)


def test_trap_18_an_agents_copy_of_its_parents_meta_says_nothing_of_the_agent(ground: Ground) -> None:
    parent = Rollout(cwd="/the/parents")
    parent.turn("of the parent")
    copied = parent.data.splitlines()
    agent = Rollout(parent_thread_id=parent.thread, subagent_history_start_ordinal=len(copied) + 1, cwd="/the/agents")
    for line in copied:
        record = json.loads(line)
        agent.raw(json.dumps({**record, "ordinal": agent.ordinal}, separators=(",", ":")).encode() + b"\n")
    agent.turn("of the agent")
    ground.put(agent)
    read = ground.store.read(agent.thread)
    assert (read.id, read.cwd, read.parent_thread_id) == (agent.thread, "/the/agents", parent.thread)
    assert asked(ground.store, agent.thread) == ["of the agent"]
    assert said(ground.store, agent.thread) == said(ground.store, agent.thread, full=True)


# --- 19: dates -------------------------------------------------------------------------------------------------------

MOMENTS = {
    "UTC midnight, far east": ("<+14>-14", 1_767_225_600_000),
    "UTC midnight, far west": ("<-12>12", 1_767_225_599_000),
    "new year, east": ("<+13>-13", 1_767_182_399_000),
    "the hour that is not": ("EST5EDT,M3.2.0,M11.1.0", 1_772_953_200_000),
    "the hour that comes twice, first": ("EST5EDT,M3.2.0,M11.1.0", 1_793_509_200_000),
    "the hour that comes twice, again": ("EST5EDT,M3.2.0,M11.1.0", 1_793_512_800_000),
    "a leap day": ("UTC0", 1_835_395_199_000),
}


class StandingClock:
    def __init__(self, ms: int) -> None:
        self.ms = ms

    def now_ms(self) -> int:
        return self.ms


@pytest.fixture
def local_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def change(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield change
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kind", HOMES)
def test_trap_19_a_thread_made_at_a_change_of_date_or_clock_is_found(
    tmp_path: Path, kind: Any, moment: str, local_time: Callable[[str], None]
) -> None:
    zone, ms = MOMENTS[moment]
    local_time(zone)
    home = Ground(kind, tmp_path / "home", clock=StandingClock(ms))
    parent = home.thread("one")
    child = home.store.fork(parent).id
    stamp = time.strftime("%Y-%m-%dT%H-%M-%S", time.localtime(ms // 1000))
    for thread in (parent, child):
        path = home.path(thread)
        assert path.name == f"rollout-{stamp}-{thread}.jsonl"
        assert str(path.parent.relative_to(home.root)) == f"sessions/{stamp[:10].replace('-', '/')}"
    assert timestamp_ms(parent) == ms
    assert json.loads(home.data(parent).splitlines()[0])["timestamp"] == utc_of(ms)
    for other in (zone, "UTC0", "<-11>11", "<+14>-14"):  # whoever looks, wherever he is
        local_time(other)
        for store in (home.store, home.reopened(cold=True)):
            assert store.backend.find(parent) is not None
            assert asked(store, child) == ["one"]
            assert [thread.id for thread in store.list(sort="created_at", descending=False).data] == [parent, child]
            assert store.read(parent[:-4]).created_ms == ms
    home.close()


def utc_of(ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000)) + ".000Z"


@pytest.mark.parametrize("folder", ["sessions/2020/01/31", "sessions/2099/12/31", "sessions/odd/place", "sessions"])
def test_trap_19_a_file_in_the_folder_of_another_day_is_found(home: Ground, folder: str) -> None:
    parent = Rollout()
    parent.turn("one")
    child = Rollout(base=parent)
    child.turn("two")
    home.put(parent, folder=folder)
    home.put(child)
    assert asked(home.store, child.thread) == ["one", "two"]
    assert asked(home.reopened(cold=True), parent.thread) == ["one"]
    assert home.store.backend.find(parent.id) is not None
    assert len(home.store.list().data) == 2


def test_trap_19_an_id_without_a_time_takes_it_from_the_name(home: Ground, local_time: Callable[[str], None]) -> None:
    local_time("EST5EDT,M3.2.0,M11.1.0")
    thread = "6d7a1b1c-9d8e-4f00-8a11-0123456789ab"
    rollout = Rollout(thread, start_ms=1_772_953_200_000)
    rollout.turn("one")
    home.put(rollout, stamp="2026-03-08T03-00-00")
    (listed,) = home.store.list(sort="created_at").data
    assert listed.id == thread
    assert home.store.read(thread[:8]).preview == "one"
    child = home.store.fork(thread).id
    assert asked(home.reopened(cold=True), child) == ["one"]


# --- 20: derived rows ------------------------------------------------------------------------------------------------


def spoil_missing(home: Ground) -> None:
    for path in (home.root / "threadkeep").glob("catalog.sqlite*"):
        path.unlink()


def spoil_garbage(home: Ground) -> None:
    spoil_missing(home)
    (home.root / "threadkeep" / "catalog.sqlite").write_bytes(b"no database at all" * 1_000)


def spoil_cut(home: Ground) -> None:
    path = home.root / "threadkeep" / "catalog.sqlite"
    data = path.read_bytes()
    spoil_missing(home)
    path.write_bytes(data[: len(data) // 2])


def spoil_pages(home: Ground) -> None:
    path = home.root / "threadkeep" / "catalog.sqlite"
    data = bytearray(path.read_bytes())
    for start in range(4096, len(data), 4096):
        data[start : start + 64] = os.urandom(64)
    path.write_bytes(data)


def spoil_rows(home: Ground) -> None:
    sql(home, "UPDATE rows SET data = x'c1c1c1'", "UPDATE totals SET data = x'93ff'")


def spoil_stamps(home: Ground) -> None:
    sql(home, "UPDATE rows SET stamp = 'stale'", "UPDATE totals SET until = until - 1")


def spoil_names(home: Ground) -> None:
    sql(home, "DELETE FROM names", "UPDATE names SET path = 'sessions/gone.jsonl'")


def spoil_version(home: Ground) -> None:
    sql(home, "PRAGMA user_version = 4711")


def spoil_tables(home: Ground) -> None:
    sql(home, "DROP TABLE rows", "DROP TABLE totals")


def sql(home: Ground, *statements: str) -> None:
    with sqlite3.connect(home.root / "threadkeep" / "catalog.sqlite") as db:
        for statement in statements:
            db.execute(statement)
    db.close()


SPOILS = [
    spoil_missing,
    spoil_garbage,
    spoil_cut,
    spoil_pages,
    spoil_rows,
    spoil_stamps,
    spoil_names,
    spoil_version,
    spoil_tables,
]


@pytest.mark.parametrize("spoil", SPOILS)
@pytest.mark.parametrize("when", ["closed", "open"])
def test_trap_20_a_catalog_that_is_missing_stale_or_corrupt_heals(
    home: Ground, spoil: Callable[[Ground], None], when: str
) -> None:
    if when == "open" and spoil in {spoil_cut, spoil_pages}:
        pytest.skip("nobody writes into the pages of a database that is open")
    parent = home.thread("one", "two")
    child = home.store.fork(parent).id
    home.add(child, "three", tokens=5)
    archived = home.thread("archived")
    home.store.archive(archived)
    expected = {thread: everything(home.store, thread) for thread in (parent, child, archived)}
    listed = plain(home.store.list(chosen=ThreadFilter(archived=None)))
    if when == "closed":
        home.store.close()
    spoil(home)
    store = home.reopened() if when == "closed" else home.store
    assert plain(store.list(chosen=ThreadFilter(archived=None))) == listed
    assert {thread: everything(store, thread) for thread in expected} == expected
    again = home.add(child, "four")
    assert [turn["id"] for turn in turns_of(home.reopened(), child)][:1] == again
    assert len(home.store.list(chosen=ThreadFilter(archived=None)).data) == 3


def test_trap_20_totals_of_other_bytes_are_not_believed(ground: Ground, mode: str) -> None:
    """A row of a rollout that was replaced by another of the same size says nothing of this one."""
    first = Rollout(mode=mode)
    for text in ("one", "two"):
        first.turn(text)
    second = Rollout(first.thread, mode=mode)
    for text in ("uno", "due"):
        second.turn(text)
    thread = ground.put(first)
    everything(ground.store, thread)
    ground.replace(thread, second.data)
    assert asked(ground.store, thread) == ["uno", "due"]
    assert ground.store.read(thread, counts=True).preview == "uno"
    check_fast_is_full(ground.store, thread)
    ground.reopened()
    assert ground.store.read(thread).preview == "uno"


def test_trap_20_a_catalog_that_cannot_be_written_hides_nothing(home: Ground) -> None:
    thread = home.thread("one")
    home.store.close()
    for path in (home.root / "threadkeep").glob("catalog.sqlite*"):
        path.unlink()
    (home.root / "threadkeep" / "catalog.sqlite").mkdir(parents=True)
    store = home.reopened()
    assert asked(store, thread) == ["one"]
    assert [listed.id for listed in store.list().data] == [thread]


@pytest.mark.parametrize("state", ["garbage", "empty", "without a table", "missing", "a folder"])
def test_trap_20_an_index_of_codex_that_cannot_be_read_hides_nothing(codex_home: Ground, state: str) -> None:
    home = codex_home
    thread = home.thread("one")
    path = home.root / "state_5.sqlite"
    path.unlink()
    if state == "garbage":
        path.write_bytes(b"no database at all" * 1_000)
    elif state == "empty":
        path.touch()
    elif state == "without a table":
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE other (id TEXT)")
        db.close()
    elif state == "a folder":
        path.mkdir()
    before = home.bytes_of_all()
    store = home.reopened()
    assert asked(store, thread) == ["one"]
    assert [listed.id for listed in store.list().data] == [thread]
    assert home.bytes_of_all() == before


def test_trap_20_a_name_index_with_odd_lines_hides_nothing(home: Ground) -> None:
    thread = home.thread("one")
    lines = [b'{"id":"' + thread.encode() + b'","thread_name":"named","updated_at":"x"}', b"\xff\xfe", b"{", b"[]", b""]
    (home.root / "session_index.jsonl").write_bytes(b"\n".join(lines) + b'\n{"id":"' + thread.encode())
    assert home.reopened().read(thread).name == "named"
    assert asked(home.store, thread) == ["one"]


def test_trap_20_text_that_a_list_searches_is_what_the_rollout_says(ground: Ground) -> None:
    thread = ground.thread("needle")
    assert [listed.id for listed in ground.store.list(chosen=ThreadFilter(text="needle")).data] == [thread]
    ground.replace(thread, ground.data(thread).replace(b"needle", b"thread"))
    assert ground.store.list(chosen=ThreadFilter(text="needle")).data == []
    assert [listed.id for listed in ground.store.list(chosen=ThreadFilter(text="thread")).data] == [thread]


def test_trap_20_counts_go_on_from_what_was_counted(ground: Ground, mode: str) -> None:
    thread = ground.thread("one", mode=mode)
    before = ground.store.read(thread, counts=True).counts
    ground.add(thread, "two")
    after = ground.store.read(thread, counts=True).counts
    cold = ground.reopened(cold=True).read(thread, counts=True).counts
    assert before is not None
    assert after is not None
    assert after == cold
    assert after.turns == before.turns + 1
