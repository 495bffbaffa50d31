"""A call to the system that fails says nothing of the threads: they are not gone, not broken and not without heirs."""

from __future__ import annotations

import errno
import os
import sqlite3
from typing import TYPE_CHECKING

import pytest
from tests.backends.local.homes import QuickFiles, RecordingFiles, StillClock
from tests.store.threads import add_turns, new_thread, turn_ids

from threadkeep.backends.local import LocalBackend
from threadkeep.errors import StorageFailure
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from threadkeep.backends import RolloutRef, RolloutStat

DAY_MS = 86_400_000


class Failing(QuickFiles):
    """Fails every call of one kind on what has a text in its path, while it is armed."""

    def __init__(self) -> None:
        self.call = ""
        self.part = ""

    def _check(self, call: str, path: str) -> None:
        if call == self.call and self.part in path:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        self._check("open", path)
        return super().open(path, flags, mode)

    def stat(self, path: str) -> os.stat_result:
        self._check("stat", path)
        return super().stat(path)

    def scandir(self, path: str) -> Iterator[os.DirEntry[str]]:
        self._check("scandir", path)
        yield from super().scandir(path)


def test_a_thread_that_could_not_be_read_once_is_shown_whole_the_next_time(tmp_path: Path) -> None:
    files = Failing()
    with ThreadStore(LocalBackend(str(tmp_path), files=files)) as store:
        thread = new_thread(store, "one")
        store.backend.catalog.clear()
        files.call, files.part = "open", thread + ".jsonl"
        assert [found.problem is None for found in store.list().data] == [False]
        files.call = ""
        assert [found.problem for found in store.list().data] == [None]
        assert [found.preview for found in store.list().data] == ["one"]


def test_a_thread_whose_file_cannot_be_looked_at_is_not_gone(tmp_path: Path) -> None:
    files = Failing()
    with ThreadStore(LocalBackend(str(tmp_path), files=files)) as store:
        thread = new_thread(store, "one")
        files.call, files.part = "stat", thread + ".jsonl"
        with pytest.raises(StorageFailure, match="Input/output error"):
            store.read(thread)


@pytest.mark.parametrize("call", ["stat", "scandir", "open"])
def test_nothing_is_deleted_or_erased_while_heirs_may_not_be_seen(tmp_path: Path, call: str) -> None:
    """A fork of another day, in a folder or a file that cannot be read at this moment, and without a pin."""
    files = Failing()
    clock = StillClock(1_750_000_000_000)
    with ThreadStore(LocalBackend(str(tmp_path), files=files, clock=clock)) as store:
        parent = new_thread(store, "one", "two")
        clock.ms += 3 * DAY_MS
        child = store.fork(parent).id
        place = tmp_path / store.read(child).location
        for pin in store.backend.pins():
            store.backend.unpin(pin)
        held = {path: path.read_bytes() for path in tmp_path.rglob("rollout-*")}
        files.call, files.part = call, str(place if call == "open" else place.parent)
        for change in (
            lambda: store.delete(parent),
            lambda: store.delete(parent, reclaim=True),
            lambda: store.erase(parent, "Answer"),
            lambda: store.plan_delete(parent),
        ):
            with pytest.raises(StorageFailure, match="nobody can say who inherits") as refusal:
                change()
            assert files.part.removeprefix(f"{tmp_path}/") in str(refusal.value), "the place is named"
        files.call = ""
        assert {path: path.read_bytes() for path in tmp_path.rglob("rollout-*")} == held
        assert turn_ids(store, child) == turn_ids(store, parent)


def test_who_looks_at_the_same_time_does_not_make_a_deletion_blind(tmp_path: Path) -> None:
    class Beside(LocalBackend):
        """Somebody else begins to look whenever a look is done."""

        def stats(self, missed: list[str] | None = None) -> Iterator[tuple[RolloutRef, RolloutStat]]:
            yield from super().stats(missed)
            next(super().stats(), None)

    files = Failing()
    clock = StillClock(1_750_000_000_000)
    with ThreadStore(Beside(str(tmp_path), files=files, clock=clock)) as store:
        parent = new_thread(store, "one")
        clock.ms += 3 * DAY_MS
        child = store.fork(parent).id
        files.call, files.part = "scandir", str((tmp_path / store.read(child).location).parent)
        with pytest.raises(StorageFailure, match="nobody can say who inherits"):
            store.delete(parent)


def test_doctor_lets_nothing_go_of_a_thread_that_it_cannot_see(tmp_path: Path) -> None:
    """The pin holds all that is left of what the thread inherited."""
    files = Failing()
    clock = StillClock(1_750_000_000_000)
    with ThreadStore(LocalBackend(str(tmp_path), files=files, clock=clock)) as store:
        parent = new_thread(store, "one", "two")
        clock.ms += 3 * DAY_MS
        child = store.fork(parent).id
        store.rename(child, "kept")
        shown = turn_ids(store, child)
        os.unlink(tmp_path / store.read(parent).location)
        files.call, files.part = "scandir", str((tmp_path / store.read(child).location).parent)
        store.backend.catalog.clear()
        list(store.doctor(fix=True))
        files.call = ""
        assert turn_ids(store, child) == shown


@pytest.mark.parametrize("call", ["stat", "scandir"])
def test_doctor_looks_at_the_rest_of_a_home_that_it_cannot_read_whole(tmp_path: Path, call: str) -> None:
    files = Failing()
    with ThreadStore(LocalBackend(str(tmp_path), files=files)) as store:
        there = tmp_path / store.read(new_thread(store, "one")).location
        database = sqlite3.connect(tmp_path / "state_5.sqlite")
        with database:
            database.execute("CREATE TABLE threads (id TEXT, rollout_path TEXT, archived INTEGER)")
            database.execute("INSERT INTO threads VALUES (?, ?, 0)", (store.backend.ids.new(), f"{there}.other"))
        database.close()
        files.call, files.part = call, str(there.parent)
        store.backend.catalog.clear()
        assert "unreadable-place" in {finding.kind for finding in store.doctor()}


def test_a_file_that_cannot_be_read_can_be_deleted_itself(tmp_path: Path) -> None:
    files = Failing()
    with ThreadStore(LocalBackend(str(tmp_path), files=files)) as store:
        thread = new_thread(store, "one")
        files.call, files.part = "open", f"{thread}.jsonl"
        store.delete(thread)
        files.call = ""
        assert store.list().data == []


def test_a_deletion_that_was_cut_off_can_be_named_again(tmp_path: Path) -> None:
    """What came of a thread goes before the thread itself."""
    removed: list[str] = []

    class Cut(QuickFiles):
        def unlink(self, path: str) -> None:
            if os.path.basename(path).startswith("rollout-") and not path.endswith(".zst"):
                if removed:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                removed.append(path)
            super().unlink(path)

    with ThreadStore(LocalBackend(str(tmp_path), files=Cut())) as store:
        parent = new_thread(store, "one")
        child = store.fork(parent).id
        add_turns(store, child, "two")
        grandchild = store.fork(child).id
        with pytest.raises(StorageFailure):
            store.delete(parent, cascade=True)
        assert grandchild in removed[0]
    with ThreadStore.open(tmp_path, durability="os") as store:
        assert {planned.id for planned in store.delete(parent, cascade=True).threads} == {parent, child}
        assert store.list().data == []


def test_a_fork_of_a_fork_that_codex_made_flushes_all_that_it_inherits(tmp_path: Path) -> None:
    """Codex flushes nothing; what says that a base was flushed is threadkeep's own key in it."""
    files = RecordingFiles()
    with ThreadStore(LocalBackend(str(tmp_path), files=files)) as store:
        parent = new_thread(store, "one")
        child = store.fork(parent).id
        place, root = (tmp_path / store.read(thread).location for thread in (child, parent))
        data = place.read_bytes()
        begin = data.index(b',"threadkeep":{')
        place.write_bytes(data[:begin] + data[data.index(b"}", begin) + 1 :])
        add_turns(store, child, "two")
        files.calls.clear()
        grandchild = tmp_path / store.read(store.fork(child).id).location
        assert files.place("fsync", root) < files.place("link", grandchild)
        assert files.place("fsync", place) < files.place("link", grandchild)
        add_turns(store, grandchild.name[-42:-6], "three")
        files.calls.clear()
        store.fork(grandchild.name[-42:-6])
        assert ("fsync", str(root)) not in files.calls


def test_what_an_heir_needs_whose_removal_was_not_flushed_goes_after_it_for_good(tmp_path: Path) -> None:
    """Until then a power cut brings it back, and the pin that it still has holds what its base had alone."""

    class Flushless(RecordingFiles):
        armed = False

        def fsync(self, fd: int) -> None:
            if self.armed and self.names[fd].endswith("archived_sessions"):
                raise OSError(5, "Input/output error")
            super().fsync(fd)

    files = Flushless()
    with ThreadStore(LocalBackend(str(tmp_path), files=files)) as store:
        parent = new_thread(store, "one")
        child = store.fork(parent).id
        grandchild = store.fork(child).id
        store.archive(grandchild)
        files.armed = True
        with pytest.raises(StorageFailure):
            store.delete(grandchild)
        location = tmp_path / store.read(child).location
        with pytest.raises(StorageFailure):
            store.delete(child)
        assert location.exists()
        files.armed = False
        files.calls.clear()
        store.delete(child)
        assert files.place("fsync", tmp_path / "archived_sessions") < files.place("unlink", location)


@pytest.mark.parametrize("call", ["stat", "scandir"])
def test_who_may_see_a_thread_as_it_was_before_it_was_reverted_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, call: str
) -> None:
    """The newest rollout lies in the folder of another day, which cannot be read and was not seen before."""
    files = Failing()
    clock = StillClock(1_750_000_000_000)
    with ThreadStore(LocalBackend(str(tmp_path), files=files, clock=clock)) as store:
        thread = new_thread(store, "one", "two")
        clock.ms += 3 * DAY_MS
        store.revert(thread, before=turn_ids(store, thread)[1])
        folder = os.path.dirname(store.read(thread).location)
        assert len(turn_ids(store, thread)) == 1
        assert caplog.messages == []
    for path in (tmp_path / "threadkeep").glob("catalog.sqlite*"):
        path.unlink()
    files.call, files.part = call, f"{tmp_path}/{folder}"
    with ThreadStore(LocalBackend(str(tmp_path), files=files)) as store:
        for _ in range(2):
            assert len(turn_ids(store, thread)) == 2
        (told,) = caplog.messages
        assert folder in told
        assert "reverted" in told
