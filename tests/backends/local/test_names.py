"""Which rollouts a home holds: found without walking it, whatever other programs do to its folders."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from tests.backends.local.homes import IDS, LINE, CountingFiles, StillClock, opened, put, rollout_id

from threadkeep.backends.local import Files, _names
from threadkeep.errors import StorageFailure
from threadkeep.ids import Uuid7Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from threadkeep.backends.local import LocalBackend

DAYS = [1_760_000_000_000 + day * 86_400_000 for day in range(120)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def thread_at(ms: int) -> str:
    return Uuid7Source(StillClock(ms)).new()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that was left alone for a moment counts as settled; without this it takes two seconds."""
    monkeypatch.setattr(_names, "_RACY_NS", 1)


def wait_a_moment() -> None:
    time.sleep(0.02)


def threads(backend: LocalBackend) -> list[str]:
    return [thread for _, thread, _ in backend.by_creation(descending=False, after=None)]


def test_a_thread_is_found_without_walking(home: Path) -> None:
    """A cold look at one of 120 days touches the folders that its id allows, and no others."""
    paths = [put(home, thread=thread_at(ms)) for ms in DAYS]
    files = CountingFiles()
    backend = opened(home, files)
    for path in (paths[0], paths[60], paths[-1]):
        files.counts.clear()
        ref = backend.find(rollout_id(path))
        assert ref is not None
        assert ref.location == str(path.relative_to(home))
        assert files.counts["scandir"] <= 3
        assert files.counts.get("entry stat", 0) == 0
    backend.close()


def test_an_archived_thread_is_found_without_walking(home: Path) -> None:
    for ms in DAYS:
        put(home, thread=thread_at(ms))
    path = put(home, thread=thread_at(DAYS[50]), folder="archived_sessions")
    files = CountingFiles()
    backend = opened(home, files)
    ref = backend.find(rollout_id(path))
    assert ref is not None
    assert ref.archived
    assert files.counts["scandir"] <= 4
    backend.close()


def test_what_was_seen_is_found_without_looking_into_any_folder(home: Path) -> None:
    paths = [put(home, thread=str(uuid.uuid4()), folder=f"sessions/2025/01/{day:02d}") for day in range(1, 29)]
    backend = opened(home)
    assert len(list(threads(backend))) == 28
    backend.close()
    files = CountingFiles()
    later = opened(home, files)
    for path in paths:
        assert later.find(rollout_id(path)) is not None
    assert "scandir" not in files.counts
    later.close()


@pytest.mark.parametrize("version", [1, 4, 7])
def test_ids_of_every_version_are_found(home: Path, version: int) -> None:
    thread = {1: str(uuid.uuid1()), 4: str(uuid.uuid4()), 7: IDS.new()}[version]
    put(home, thread=thread, folder="sessions/2025/05/20")
    backend = opened(home)
    ref = backend.find(thread)
    assert ref is not None
    assert backend.rollouts_of(thread) == [ref]
    assert threads(backend) == [thread]
    backend.close()


@pytest.mark.parametrize("folder", ["sessions", "sessions/foo/bar", "sessions/2020/01/01/deep", "sessions/9999/99/99"])
def test_a_rollout_in_the_wrong_folder_is_found(home: Path, folder: str) -> None:
    path = put(home, folder=folder)
    backend = opened(home)
    for ref in (backend.find(rollout_id(path)), *backend.rollouts_of(rollout_id(path))):
        assert ref is not None
        assert ref.location == str(path.relative_to(home))
    backend.close()


def test_what_another_program_adds_moves_and_removes_is_seen(home: Path) -> None:
    """At once, however often it happens within the same tick of the clock."""
    backend = opened(home)
    there: dict[str, Path] = {}
    for number in range(30):
        path = put(home, thread=thread_at(DAYS[number % 7]))
        there[rollout_id(path)] = path
        if number % 3 == 1:
            moved = there[rollout_id(path)]
            (home / "archived_sessions").mkdir(exist_ok=True)
            there[rollout_id(path)] = moved.rename(home / "archived_sessions" / moved.name)
        if number % 4 == 3:
            gone = next(iter(there))
            there.pop(gone).unlink()
            assert backend.find(gone) is None
            assert backend.rollouts_of(gone) == []
        assert threads(backend) == sorted(there)
        for thread, place in there.items():
            (ref,) = backend.rollouts_of(thread)
            assert ref.location == str(place.relative_to(home))
            assert backend.find(thread) == ref
    backend.close()


@pytest.mark.usefixtures("patient")
def test_unchanged_folders_are_not_read_again(home: Path) -> None:
    for ms in DAYS[:20]:
        put(home, thread=thread_at(ms))
    wait_a_moment()
    opened_once = opened(home)
    assert len(threads(opened_once)) == 20
    opened_once.close()
    files = CountingFiles()
    backend = opened(home, files)
    assert len(threads(backend)) == 20
    assert "scandir" not in files.counts
    fresh = put(home, thread=thread_at(DAYS[5]))
    wait_a_moment()
    assert rollout_id(fresh) in threads(backend)
    assert files.counts["scandir"] == 1
    backend.close()


def test_appending_does_not_hide_and_a_list_by_change_sees_it(home: Path) -> None:
    """Appending does not touch the folder's time (trap 33)."""
    path = put(home)
    backend = opened(home)
    ((_, before),) = backend.stats()
    folder = path.parent.stat().st_mtime_ns
    with path.open("ab") as file:
        file.write(LINE)
    assert path.parent.stat().st_mtime_ns == folder
    ((_, after),) = backend.stats()
    assert after.size == before.size + len(LINE)
    assert after.mtime_ns >= before.mtime_ns
    backend.close()


@pytest.mark.usefixtures("patient")
def test_a_copy_that_keeps_times_does_not_pass_for_what_it_was_copied_over(home: Path) -> None:
    """A restored folder may carry the very time at which it was seen; what it holds counts."""
    path = put(home)
    other = put(home)
    facts = path.parent.stat()
    backend = opened(home)
    assert threads(backend) == sorted((rollout_id(path), rollout_id(other)))
    wait_a_moment()
    assert len(threads(backend)) == 2
    other.unlink()
    third = put(home)
    os.utime(path.parent, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert threads(backend) == sorted((rollout_id(path), rollout_id(third)))
    backend.close()


def damage(home: Path, statement: str) -> None:
    db = sqlite3.connect(home / "threadkeep" / "catalog.sqlite")
    db.execute(statement)
    db.commit()
    db.close()


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM names",
        "UPDATE names SET path = 'sessions/nowhere.jsonl'",
        "UPDATE names SET rollout_id = 'x', thread_id = 'y'",
    ],
)
def test_a_wrong_row_hides_no_thread(home: Path, statement: str) -> None:
    """That a thread is not there is believed of the folders alone (trap 20)."""
    path = put(home)
    thread = rollout_id(path)
    wait_a_moment()
    first = opened(home)
    assert threads(first) == [thread]
    first.close()
    damage(home, statement)
    backend = opened(home)
    ref = backend.find(thread)
    assert ref is not None
    assert ref.location == str(path.relative_to(home))
    if "path" not in statement:
        assert backend.rollouts_of(thread) == [ref]
        assert threads(backend) == [thread]
    backend.close()


def test_a_symlinked_sessions_folder_is_the_users_right(home: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "disk"
    path = put(tmp_path / "other")
    shutil.move(tmp_path / "other" / "sessions", elsewhere)
    home.mkdir()
    (home / "sessions").symlink_to(elsewhere)
    backend = opened(home)
    ref = backend.find(rollout_id(path))
    assert ref is not None
    assert backend.rollouts_of(ref.thread_id) == [ref]
    thread = IDS.new()
    made = backend.create(thread, thread, LINE, durability="fsync", kept=False)
    assert (elsewhere / made.location.removeprefix("sessions/")).read_bytes() == LINE
    backend.close()


def test_links_that_lead_round_in_a_circle_end(home: Path) -> None:
    path = put(home)
    (path.parent / "again").symlink_to(home / "sessions")
    (path.parent / "nowhere").symlink_to(home / "not there")
    (path.parent / "self").symlink_to(path.parent / "self")
    backend = opened(home)
    assert threads(backend) == [rollout_id(path)]
    assert [ref.location for ref, _ in backend.stats()] == [str(path.relative_to(home))]
    assert backend.troubles() == []
    backend.close()


def test_folders_of_any_depth_end(home: Path) -> None:
    deep = put(home, folder="sessions/" + "/".join("d" * 30))
    backend = opened(home)
    assert threads(backend) == []
    assert backend.find(rollout_id(deep)) is None
    backend.close()


def test_names_that_are_no_text_are_passed_over(home: Path) -> None:
    path = put(home)
    os.mkdir(os.fsencode(home / "sessions") + b"/\xff\xfe")
    (home / "sessions" / "not a rollout").touch()
    backend = opened(home)
    assert threads(backend) == [rollout_id(path)]
    assert len(list(backend.stats())) == 1
    backend.close()


class Unreadable(Files):
    """One folder cannot be read, or not even be looked at."""

    folder = ""
    call = "scandir"

    def scandir(self, path: str) -> Iterator[os.DirEntry[str]]:
        if path == self.folder and self.call == "scandir":
            raise PermissionError(13, "Permission denied")
        yield from super().scandir(path)

    def stat(self, path: str) -> os.stat_result:
        if path == self.folder and self.call == "stat":
            raise PermissionError(13, "Permission denied")
        return super().stat(path)


@pytest.mark.parametrize("call", ["scandir", "stat"])
def test_a_folder_that_cannot_be_read_is_told_of_and_hides_nothing_else(home: Path, call: str) -> None:
    paths = [put(home, thread=thread_at(ms)) for ms in (DAYS[0], DAYS[40], DAYS[80])]
    first = opened(home)
    assert len(threads(first)) == 3
    first.close()
    files = Unreadable()
    backend = opened(home, files)
    files.call, files.folder = call, str(paths[1].parent)
    assert threads(backend) == [rollout_id(path) for path in paths], "what was seen before stays"
    (told,) = backend.troubles()
    assert str(paths[1].parent.relative_to(home)) in told
    assert {ref.thread_id for ref, _ in backend.stats()} == {rollout_id(paths[0]), rollout_id(paths[2])}
    with pytest.raises(StorageFailure, match="was not found, but the folder"):
        backend.rollouts_of(IDS.new())
    files.folder = ""
    assert backend.rollouts_of(IDS.new()) == []
    assert backend.troubles() == []
    backend.close()


def test_a_thread_of_hundreds_of_rollouts_is_one_thread(home: Path) -> None:
    """Reverted again and again."""
    thread = IDS.new()
    rollouts = [thread, *(IDS.new() for _ in range(450))]
    for rollout in rollouts:
        put(home, thread=thread, rollout=rollout)
    other = rollout_id(put(home))
    backend = opened(home)
    for descending in (False, True):
        found = list(backend.by_creation(descending=descending, after=None))
        assert [thread for _, thread, _ in found] == sorted((thread, other), reverse=descending)
        by_thread = {thread: refs for _, thread, refs in found}
        assert [ref.rollout_id for ref in by_thread[thread]] == rollouts
    backend.close()


def test_a_thread_without_a_time_in_its_id_is_as_old_as_its_oldest_name(home: Path) -> None:
    """Its reverted rollouts carry later times, and do not make it two threads."""
    old, young = str(uuid.uuid4()), thread_at(DAYS[60])
    put(home, thread=old, rollout=old, folder="sessions/2025/06/15")
    put(home, thread=old, rollout=thread_at(DAYS[100]))
    put(home, thread=young)
    backend = opened(home)
    assert threads(backend) == [old, young]
    pages: list[str] = []
    after: Any = None
    while found := next(backend.by_creation(descending=True, after=after), None):
        pages.append(found[1])
        after = found[:2]
    assert pages == [young, old]
    backend.close()


def test_more_threads_than_a_page_of_the_catalog_come_in_order(home: Path) -> None:
    made = sorted(rollout_id(put(home)) for _ in range(430))
    backend = opened(home)
    assert threads(backend) == made
    found = [thread for _, thread, _ in backend.by_creation(descending=True, after=None)]
    assert found == made[::-1]
    backend.close()


def test_a_home_that_is_not_there_is_empty_and_stays_away(home: Path) -> None:
    backend = opened(home)
    assert list(backend.stats()) == []
    assert threads(backend) == []
    assert backend.rollouts_of(IDS.new()) == []
    assert backend.find(IDS.new()) is None
    assert backend.facts([]) == {}
    backend.close()
    assert not home.exists()


def test_a_catalog_that_is_lost_while_a_home_is_open_hides_no_thread(home: Path, patient: None) -> None:
    ids = [put(home, thread=thread_at(day)) for day in DAYS[:3]]
    wait_a_moment()
    backend = opened(home)
    before = threads(backend)
    assert len(before) == len(ids)
    backend.catalog.run(lambda db: db.execute("UPDATE names SET thread_id = CAST(x'ff' AS TEXT)"))
    assert threads(backend) == before
    backend.catalog.clear()
    assert backend.with_prefix(before[0][:13], 10) == [before[0]]
    backend.close()
