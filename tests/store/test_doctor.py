"""``doctor`` finds what is wrong with a home, and ``fix`` mends what can be mended without losing anything."""

from __future__ import annotations

import glob
import os
import shutil
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.backends.local.homes import RecordingFiles
from tests.store.threads import add_turns, all_bytes, context_of, new_thread, turn_ids
from tests.traps.grounds import compressed

from threadkeep.backends import Marks, RolloutRef
from threadkeep.backends.local import LocalBackend
from threadkeep.backends.local._second_names import is_second_name
from threadkeep.store import ThreadStore, _doctor
from threadkeep.store._anchoring import anchor_again

if TYPE_CHECKING:
    from collections.abc import Iterator

    from threadkeep.records import Boundary, Cost, Source
    from threadkeep.store._models import Finding

ROLLOUTS: Final = os.path.join(os.path.dirname(__file__), "..", "fixtures", "rollouts")


@pytest.fixture
def home(tmp_path: Path) -> str:
    return str(tmp_path / "home")


@pytest.fixture
def local(home: str) -> Iterator[ThreadStore]:
    with ThreadStore.open(home, durability="os") as store:
        yield store


def path_of(store: ThreadStore, thread: str) -> str:
    """Its file, found without making a row of it."""
    return os.path.join(store.backend.name, store.backend.rollouts_of(thread)[-1].location)


def looked(store: ThreadStore, *, fix: bool = False) -> list[Finding]:
    return list(store.doctor(fix=fix))


def one(store: ThreadStore, kind: str, *, fix: bool = False) -> Finding:
    """The only finding, which is of this kind."""
    found = looked(store, fix=fix)
    assert [finding.kind for finding in found] == [kind], found
    assert found[0].detail
    assert found[0].fixable or not found[0].fixed
    return found[0]


def mended(store: ThreadStore, kind: str) -> None:
    """Looking finds it and leaves it, mending mends it, and then there is nothing left to find."""
    assert not one(store, kind).fixed
    assert one(store, kind).fixable
    assert one(store, kind, fix=True).fixed
    assert looked(store) == []


def remove(store: ThreadStore, thread: str) -> None:
    """Another program removes a thread's file; no row of it is left either."""
    os.unlink(path_of(store, thread))
    store.backend.catalog.forget(thread)


def drop_pins(store: ThreadStore) -> None:
    shutil.rmtree(os.path.join(store.backend.name, "threadkeep", "pins"))


# --- what is right ---------------------------------------------------------------------------------------------------


def test_there_is_nothing_to_say_of_a_home_in_order(store: ThreadStore) -> None:
    told: list[str] = []
    parent = new_thread(store, "one", "two")
    child = store.fork(parent).id
    add_turns(store, child, "three")
    assert list(store.doctor(progress=told.append)) == []
    assert told == sorted([parent, child])


def test_mending_a_home_in_order_changes_nothing(store: ThreadStore) -> None:
    parent = new_thread(store, "one", "two")
    store.fork(parent)
    before = all_bytes(store)
    assert looked(store, fix=True) == []
    assert all_bytes(store) == before


def test_in_a_long_chain_of_forks_every_rollout_is_read_a_bounded_number_of_times(
    local: ThreadStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = new_thread(local, "one")
    for number in range(40):
        thread = local.fork(thread).id
        add_turns(local, thread, f"turn {number}")
    opened: list[RolloutRef] = []
    honest = local.backend.open

    def counted(ref: RolloutRef, cost: Cost) -> Source:
        opened.append(ref)
        return honest(ref, cost)

    monkeypatch.setattr(local.backend, "open", counted)
    assert looked(local) == []
    assert len(opened) <= 5 * 41


def test_a_circle_of_threads_is_named(local: ThreadStore, home: str) -> None:
    shutil.copytree(os.path.join(ROLLOUTS, "0.169.0", "fork-running-paginated"), home)
    child, parent = sorted((ref for ref, _ in local.backend.stats()), key=lambda ref: local.read(ref.thread_id).size)
    path = path_of(local, parent.thread_id)
    with open(path, "rb") as file:
        first, rest = file.read().split(b"\n", 1)
    base = f'"history_base":{{"thread_id":"{child.rollout_id}","end_ordinal_exclusive":1,"end_byte_offset":0}},'
    with open(path, "wb") as file:
        file.write(first.replace(b'"history_mode"', base.encode() + b'"history_mode"') + b"\n" + rest)
    broken = [finding for finding in looked(local, fix=True) if finding.kind == "broken-lineage"]
    assert {finding.thread for finding in broken} == {child.thread_id, parent.thread_id}
    assert not any(finding.fixed for finding in broken)


def test_a_database_of_codex_that_cannot_be_read_is_named(local: ThreadStore, home: str) -> None:
    new_thread(local, "one")
    with open(os.path.join(home, "state_5.sqlite"), "wb") as file:
        file.write(b"no database, but long enough to be one " * 100)
    finding = one(local, "unreadable-place", fix=True)
    assert "state_5.sqlite" in finding.detail


# --- leftovers -------------------------------------------------------------------------------------------------------


def test_a_temporary_file_is_removed_when_it_is_an_hour_old_and_not_before(local: ThreadStore) -> None:
    folder = os.path.dirname(path_of(local, new_thread(local, "one")))
    aside = os.path.join(folder, ".threadkeep-01990000-0000-7000-8000-000000000009.tmp")
    with open(aside, "wb") as file:
        file.write(b"half a rollout")
    assert looked(local, fix=True) == []
    an_hour_ago = time.time() - 3_700
    os.utime(aside, (an_hour_ago, an_hour_ago))
    mended(local, "temporary-file")
    assert not os.path.exists(aside)


def test_a_lock_that_nobody_holds_is_removed_and_one_that_somebody_holds_is_not(local: ThreadStore, home: str) -> None:
    killed, written = new_thread(local, "one"), new_thread(local, "two")
    lock = os.path.join(home, "thread-writer-locks", f"{killed}.lock")
    with open(lock, "wb"):
        pass
    with local.writer(written) as writer:
        mended(local, "stale-lock")
        assert not os.path.exists(lock)
        assert writer.append("event_msg", {"type": "thread_rolled_back", "num_turns": 1}) is not None
    with local.writer(killed):
        pass


def test_a_compressed_rollout_beside_its_plain_form_goes_when_the_plain_one_holds_all_of_it(local: ThreadStore) -> None:
    thread = new_thread(local, "one", "two")
    path = path_of(local, thread)
    with open(path, "rb") as file:
        data = file.read()
    with open(path + ".zst", "wb") as file:
        file.write(compressed(data))
    add_turns(local, thread, "three")
    with local.writer(thread):
        assert not one(local, "both-forms", fix=True).fixed  # somebody is writing: the next time
        assert os.path.exists(path + ".zst")
    mended(local, "both-forms")
    assert not os.path.exists(path + ".zst")
    assert len(turn_ids(local, thread)) == 3


def test_a_compressed_rollout_that_holds_other_records_stays(local: ThreadStore) -> None:
    path = path_of(local, new_thread(local, "one"))
    with open(path, "rb") as file:
        data = file.read()
    with open(path + ".zst", "wb") as file:
        file.write(compressed(data.replace(b"one", b"two")))
    finding = one(local, "both-forms", fix=True)
    assert (finding.severity, finding.fixable, finding.fixed) == ("warning", False, False)
    assert os.path.exists(path + ".zst")


def test_the_second_name_that_a_power_cut_left_of_a_move_goes(local: ThreadStore, home: str) -> None:
    thread = new_thread(local, "one")
    path = path_of(local, thread)
    archived = os.path.join(home, "archived_sessions", os.path.basename(path))
    os.makedirs(os.path.dirname(archived), exist_ok=True)
    os.link(path, archived)
    with local.writer(thread):
        assert not one(local, "second-name", fix=True).fixed  # somebody is writing: the next time
        assert os.path.exists(archived)
    mended(local, "second-name")
    assert os.path.exists(path)
    assert not os.path.exists(archived)
    assert len(turn_ids(local, thread)) == 1


@pytest.mark.parametrize("change", ["doctor", "erase"])
def test_of_two_names_the_one_that_codex_looks_for_stays(local: ThreadStore, home: str, change: str) -> None:
    thread = new_thread(local, "one SECRETWORD")
    path = path_of(local, thread)
    archived = os.path.join(home, "archived_sessions", os.path.basename(path))
    os.makedirs(os.path.dirname(archived), exist_ok=True)
    os.link(path, archived)
    with sqlite3.connect(os.path.join(home, "state_5.sqlite")) as db:
        db.execute("CREATE TABLE threads (id TEXT PRIMARY KEY, rollout_path TEXT, archived INTEGER, history_mode TEXT)")
        db.execute("INSERT INTO threads VALUES (?, ?, 1, 'paginated')", (thread, archived))
    db.close()
    with ThreadStore.open(home, durability="os") as store:
        location = store.read(thread).location
        assert os.path.join(home, location) == archived
        assert [store.backend.thread_at(each) for each in (path, archived)] == [thread, thread]
        if change == "doctor":
            mended(store, "second-name")
        else:
            assert store.erase(thread, "SECRETWORD").rollouts == [location]
        assert (os.path.exists(path), os.path.exists(archived)) == (False, True)
    with ThreadStore.open(home, durability="os") as store:
        assert store.read(thread).location == location
        assert looked(store) == []


def test_the_name_that_stays_is_on_the_disk_before_the_other_one_goes(home: str) -> None:
    files = RecordingFiles()
    with ThreadStore(LocalBackend(home, files=files), durability="fsync") as store:
        path = path_of(store, new_thread(store, "one"))
        archived = os.path.join(home, "archived_sessions", os.path.basename(path))
        os.makedirs(os.path.dirname(archived), exist_ok=True)
        os.link(path, archived)
        files.calls.clear()
        mended(store, "second-name")
        assert files.place("fsync", os.path.dirname(path)) < files.place("unlink", archived)


def test_one_name_in_a_folder_with_two_paths_is_no_second_name(local: ThreadStore, home: str) -> None:
    thread = new_thread(local, "one")
    path = path_of(local, thread)
    os.symlink(os.path.dirname(path), os.path.join(home, "archived_sessions"))
    assert "second-name" not in {finding.kind for finding in looked(local, fix=True)}
    assert isinstance(local.backend, LocalBackend)
    (archived,) = local.backend.rollouts_of(thread)
    named = RolloutRef(archived.rollout_id, thread, os.path.relpath(path, home))
    assert not is_second_name(local.backend, archived, named)
    local.archive(thread)
    assert os.path.exists(path)


def test_rows_of_rollouts_that_are_gone_are_dropped(local: ThreadStore) -> None:
    thread, other = new_thread(local, "one"), new_thread(local, "two")
    for known in (thread, other):
        assert local.read(known, counts=True).preview
    os.unlink(path_of(local, thread))
    mended(local, "stale-rows")
    assert set(local.backend.catalog.rows([thread, other])) == {other}


def test_a_thread_that_codex_looks_for_where_it_is_not_is_named_with_its_place(local: ThreadStore, home: str) -> None:
    thread = new_thread(local, "one")
    location = local.read(thread).location
    with sqlite3.connect(os.path.join(home, "state_5.sqlite")) as db:
        db.execute("CREATE TABLE threads (id TEXT PRIMARY KEY, rollout_path TEXT, archived INTEGER, history_mode TEXT)")
        path = os.path.join(home, "archived_sessions", os.path.basename(location))
        db.execute("INSERT INTO threads VALUES (?, ?, 0, 'paginated')", (thread, path))
        db.execute("INSERT INTO threads VALUES ('odd', ?, 0, 'paginated')", ("/nowhere\0/else",))
    db.close()
    finding = one(local, "codex-astray", fix=True)
    assert (finding.thread, finding.path, finding.severity, finding.fixed) == (thread, path, "warning", False)
    assert location in finding.detail


def test_what_is_remembered_of_a_deleted_thread_goes_after_its_removal_is_on_the_disk(home: str) -> None:
    """A power cut may bring back what a killed deletion removed, and then the mark alone says that it is deleted."""

    class Killed(RecordingFiles):
        victim = ""

        def unlink(self, path: str) -> None:
            super().unlink(path)
            if path == self.victim:
                raise KeyboardInterrupt

    files = Killed()
    with ThreadStore(LocalBackend(home, files=files), durability="fsync") as store:
        base = new_thread(store, "one")
        child = store.fork(base).id
        store.delete(base)  # it stays for the child
        files.victim = path_of(store, base)
        with pytest.raises(KeyboardInterrupt):
            store.delete(child)
    with ThreadStore(LocalBackend(home, files=files), durability="fsync") as store:
        files.calls.clear()
        assert one(store, "unused-marks", fix=True).fixed
        marks = [place for place, (_, path) in enumerate(files.calls) if os.path.basename(path).startswith("marks")]
        assert files.calls.index(("fsync", os.path.dirname(files.victim))) < marks[0]


# --- pins ------------------------------------------------------------------------------------------------------------


def test_a_pin_of_a_child_that_is_gone_is_let_go_and_that_of_a_living_one_is_kept(local: ThreadStore) -> None:
    parent = new_thread(local, "one", "two")
    gone, living = local.fork(parent).id, local.fork(parent).id
    remove(local, gone)
    finding = one(local, "unused-pin")
    assert gone in finding.detail
    mended(local, "unused-pin")
    assert [pin.child for pin in local.backend.pins()] == [living]


def test_a_child_without_a_pin_is_pinned_again_and_outlives_its_parent(local: ThreadStore) -> None:
    parent = new_thread(local, "one", "two")
    child = local.fork(parent).id
    context = context_of(local, child)
    drop_pins(local)
    assert one(local, "unpinned-base").thread == child
    mended(local, "unpinned-base")
    os.unlink(path_of(local, parent))
    assert context_of(local, child) == context


def test_children_that_codex_made_are_pinned_when_they_are_seen(home: str) -> None:
    shutil.copytree(os.path.join(ROLLOUTS, "0.169.0", "fork-compaction-paginated"), home)
    with ThreadStore.open(home, durability="os") as store:
        found = looked(store)
        assert {(finding.kind, finding.fixed) for finding in found} == {("unpinned-base", True)}
        assert len(found) == len(list(store.backend.pins())) == 2
        assert looked(store) == []


# --- broken lineages -------------------------------------------------------------------------------------------------


def rewritten(store: ThreadStore, thread: str, old: bytes, new: bytes) -> None:
    """Another program rewrites a rollout, and no pin holds what it was."""
    path = path_of(store, thread)
    with open(path, "rb") as file:
        data = file.read()
    assert old in data
    with open(path + ".new", "wb") as file:
        file.write(data.replace(old, new))
    os.replace(path + ".new", path)
    drop_pins(store)


def test_a_child_is_anchored_again_where_the_turn_that_it_follows_still_stands(local: ThreadStore) -> None:
    parent = new_thread(local, "one", "two", "three")
    turns = turn_ids(local, parent)
    child = local.fork(parent, through=turns[1]).id
    add_turns(local, child, "four")
    listed = turn_ids(local, child)
    rewritten(local, parent, b"one", b"number one")
    finding = one(local, "broken-lineage")
    assert (finding.severity, finding.thread, finding.fixable) == ("error", child, True)
    assert turns[1] in finding.detail
    found = looked(local, fix=True)
    assert [(finding.kind, finding.fixed) for finding in found] == [("broken-lineage", True), ("unpinned-base", True)]
    assert looked(local) == []
    assert turn_ids(local, child) == listed
    texts = b"".join(context_of(local, child))
    assert b"number one" in texts
    assert b"three" not in texts
    assert local.verify(child).ok


def test_a_child_that_was_whole_again_before_it_was_its_turn_is_left_alone(
    local: ThreadStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = new_thread(local, "one", "two", "three")
    child = local.fork(parent, through=turn_ids(local, parent)[1]).id
    held = context_of(local, child)
    whole = all_bytes(local)[local.read(parent).location]
    rewritten(local, parent, b"one", b"number one")

    def anchored_while_it_is_finished(*given: Any) -> Boundary | None:
        monkeypatch.undo()
        found = anchor_again(*given)
        Path(path_of(local, parent)).write_bytes(whole)  # what an erasure does last
        return found

    monkeypatch.setattr(_doctor, "anchor_again", anchored_while_it_is_finished)
    looked(local, fix=True)
    assert local.backend.anchored(child) is None
    assert context_of(local, child) == held


def test_a_child_whose_turn_is_gone_stays_broken_and_nothing_is_made_up(local: ThreadStore) -> None:
    parent = new_thread(local, "one", "two")
    turns = turn_ids(local, parent)
    child = local.fork(parent).id
    rewritten(local, parent, turns[1].encode(), b"01990000-0000-7000-8000-000000000009")
    finding = next(finding for finding in looked(local, fix=True) if finding.kind == "broken-lineage")
    assert (finding.thread, finding.fixable, finding.fixed) == (child, False, False)
    assert local.backend.anchored(child) is None


def test_a_child_that_began_in_the_middle_of_a_turn_is_not_anchored_at_its_end(local: ThreadStore) -> None:
    parent = new_thread(local, "one")
    with local.writer(parent) as writer:
        with writer.turn("two") as turn:
            turn.say("thinking")
            child = local.fork(parent).id
        add = writer.append("event_msg", {"type": "thread_rolled_back", "num_turns": 1})
        assert add is not None
    rewritten(local, parent, b"one", b"number one")
    finding = next(finding for finding in looked(local, fix=True) if finding.kind == "broken-lineage")
    assert (finding.thread, finding.fixable) == (child, False)


# --- threads ---------------------------------------------------------------------------------------------------------


def test_damage_is_one_finding_a_kind_with_the_first_place_and_the_number(local: ThreadStore) -> None:
    thread = new_thread(local, "one")
    path = path_of(local, thread)
    size = os.path.getsize(path)
    with open(path, "ab") as file:
        file.write(b"garbage\n" * 30 + b"\n")  # the blank line is no loss, and not told
    finding = one(local, "not-json", fix=True)
    assert (finding.severity, finding.thread, finding.fixable) == ("error", thread, False)
    assert f"byte {size}" in finding.detail
    assert "30 times" in finding.detail


def test_a_turn_that_runs_is_no_damage(local: ThreadStore) -> None:
    thread = new_thread(local, "one")
    with open(path_of(local, thread), "ab") as file:
        file.write(b'{"timestamp":"20')
    with local.writer(thread):
        assert looked(local) == []
    assert one(local, "torn-tail").severity == "warning"


def test_a_file_under_the_name_of_another_thread_is_named(local: ThreadStore) -> None:
    thread = new_thread(local, "one")
    path = path_of(local, thread)
    other = "01990000-0000-7000-8000-000000000009"
    os.rename(path, path.replace(thread, other))
    found = looked(local, fix=True)
    assert {finding.kind for finding in found} == {"unreadable", "other-thread"}
    assert {finding.thread for finding in found} == {other}
    assert all(thread in finding.detail for finding in found)


def test_a_rollout_in_two_places_is_ambiguous(local: ThreadStore, home: str) -> None:
    path = path_of(local, new_thread(local, "one"))
    os.makedirs(os.path.join(home, "archived_sessions"))
    shutil.copy(path, os.path.join(home, "archived_sessions"))
    finding = one(local, "ambiguous", fix=True)
    assert finding.severity == "error"
    assert "archived_sessions" in finding.detail


def test_a_thread_that_nothing_opens_is_unreadable(local: ThreadStore) -> None:
    path = path_of(local, new_thread(local, "one"))
    with open(path, "wb"):
        pass
    assert {finding.kind for finding in looked(local)} == {"unreadable", "empty"}


# --- what threadkeep remembers ---------------------------------------------------------------------------------------


def test_marks_of_a_thread_that_is_gone_are_forgotten(store: ThreadStore) -> None:
    thread = new_thread(store, "one")
    store.backend.change_marks(thread, lambda _: Marks(name="kept"))
    store.backend.change_marks("01990000-0000-7000-8000-000000000009", lambda _: Marks(name="gone"))
    mended(store, "unused-marks")
    assert store.backend.marks(thread).name == "kept"


def test_a_deleted_thread_goes_when_nobody_inherits_from_it_any_more(local: ThreadStore) -> None:
    parent = new_thread(local, "one", "two")
    path = path_of(local, parent)
    child = local.fork(parent).id
    local.delete(parent)
    assert looked(local, fix=True) == []  # the child needs it
    remove(local, child)
    kinds = [finding.kind for finding in looked(local)]
    assert kinds == ["unused-pin", "unneeded-thread"]
    assert os.path.exists(path)
    assert [finding.fixed for finding in looked(local, fix=True)] == [True, True]
    assert not os.path.exists(path)
    assert looked(local) == []


def test_mending_a_home_in_disorder_changes_no_rollout_that_is_read(local: ThreadStore, home: str) -> None:
    parent = new_thread(local, "one", "two")
    child = local.fork(parent).id
    gone = local.fork(child).id
    os.unlink(path_of(local, gone))
    with open(path_of(local, parent), "ab") as file:
        file.write(b"garbage\n")
    with open(os.path.join(home, "thread-writer-locks", f"{parent}.lock"), "wb"):
        pass
    before = all_bytes(local)
    found = looked(local, fix=True)
    assert {finding.kind for finding in found if finding.fixed} >= {"stale-lock", "unused-pin"}
    assert all_bytes(local) == before
    assert glob.glob(os.path.join(home, "**", "*.tmp"), recursive=True) == []


def test_deleted_threads_are_looked_at_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the doctor reads follows the number of rollouts, however many of them stayed for others that are gone."""
    few, many = (opened_by_doctor(tmp_path / str(deleted), monkeypatch, deleted) for deleted in (4, 12))
    assert many <= 3 * few


def opened_by_doctor(home: Path, monkeypatch: pytest.MonkeyPatch, deleted: int) -> int:
    """How many rollouts are opened where so many threads were deleted and stayed for others that are gone."""
    with ThreadStore.open(home, durability="os") as store:
        parents = [new_thread(store, "one") for _ in range(deleted)]
        children = [store.fork(parent).id for parent in parents]
        for parent in parents:
            store.delete(parent)
        for child in children:
            remove(store, child)
        read, opened = store.backend.open, [0]

        def counting(ref: RolloutRef, cost: Cost) -> Source:
            opened[0] += 1
            return read(ref, cost)

        monkeypatch.setattr(store.backend, "open", counting)
        assert [finding.kind for finding in looked(store)].count("unneeded-thread") == deleted
        return opened[0]


@pytest.mark.parametrize("locked", [True, False], ids=["locks are there", "nobody has ever locked"])
def test_looking_makes_nothing_and_removes_nothing(local: ThreadStore, home: str, locked: bool) -> None:
    """Not even where a turn was cut off, so that somebody may still be writing it."""
    thread = new_thread(local, "one")
    writer = local.writer(thread)
    writer.append("event_msg", {"type": "task_started", "turn_id": "cut-off"})
    assert "torn-turn" not in {finding.kind for finding in looked(local)}
    writer.close()
    locks = os.path.join(home, "thread-writer-locks")
    shutil.rmtree(locks)
    if locked:
        os.mkdir(locks)
        with open(os.path.join(locks, f"{thread}.lock"), "wb"):
            pass

    def names() -> list[str]:
        return sorted(path for path in glob.glob(f"{home}/**", recursive=True, include_hidden=True))

    before = names()
    found = {finding.kind for finding in looked(local)}
    assert ("stale-lock" in found) == locked
    assert not local.verify(thread).problem
    assert names() == before
