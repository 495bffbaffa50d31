"""A thread that is archived, or taken out again, at the moment in which somebody opens it is found where it is now."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import pytest
from tests.backends.local.homes import compressed
from tests.store.threads import add_turns, turn_ids

from threadkeep.backends.local import Files, LocalBackend
from threadkeep.errors import AmbiguousRollout, BrokenLineage, CorruptHistory, RolloutReplaced, ThreadNotFound
from threadkeep.store import Snapshot, ThreadFilter, ThreadStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from threadkeep.backends import Lease, RolloutRef


class Meanwhile(Files):
    """Something happens right before a rollout is opened, or looked at, for the first time."""

    def __init__(self) -> None:
        self.call = ""
        self.happens: Callable[[], object] | None = None

    def _now(self, call: str, path: str) -> None:
        if self.happens is not None and call == self.call and os.path.basename(path).startswith("rollout-"):
            happens, self.happens = self.happens, None
            happens()

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        self._now("open", path)
        return super().open(path, flags, mode)

    def stat(self, path: str) -> os.stat_result:
        self._now("stat", path)
        return super().stat(path)

    def scandir(self, path: str) -> Iterator[os.DirEntry[str]]:
        for entry in list(super().scandir(path)):
            self._now("scandir", entry.path)
            yield entry


@pytest.fixture
def files() -> Meanwhile:
    return Meanwhile()


@pytest.fixture
def store(tmp_path: Path, files: Meanwhile) -> ThreadStore:
    return ThreadStore(LocalBackend(str(tmp_path), files=files), durability="os")


@pytest.fixture
def thread(store: ThreadStore) -> str:
    with store.create(cwd="/project") as writer, writer.turn("said") as turn:
        turn.say("answered")
    return writer.thread_id


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize(("what", "call"), [("turns", "open"), ("turns", "stat"), ("fork", "open"), ("read", "stat")])
def test_it_is_found_where_it_was_moved_to(
    tmp_path: Path, store: ThreadStore, files: Meanwhile, thread: str, archived: bool, call: str, what: str
) -> None:
    other = ThreadStore.open(tmp_path, durability="os")
    if archived:
        other.archive(thread)
    files.call = call
    files.happens = lambda: other.unarchive(thread) if archived else other.archive(thread)
    if what == "turns":
        assert [turn["status"] for turn in store.turns(thread).data] == ["completed"]
    elif what == "read":
        assert store.read(thread).preview == "said"
    else:
        assert len(store.turns(store.fork(thread).id).data) == 1
    assert files.happens is None, "nothing happened meanwhile"


@pytest.mark.parametrize("archived", [False, True])
def test_what_is_seen_in_both_places_while_it_is_moved_is_one_rollout(
    tmp_path: Path, files: Meanwhile, thread: str, archived: bool
) -> None:
    other = ThreadStore.open(tmp_path, durability="os")
    if archived:
        other.archive(thread)
    files.call = "scandir"
    files.happens = lambda: other.unarchive(thread) if archived else other.archive(thread)
    with ThreadStore(LocalBackend(str(tmp_path), files=files), durability="os") as store:
        assert store.read(thread).preview == "said"
    assert files.happens is None, "nothing happened meanwhile"


def test_what_was_deleted_meanwhile_is_not_found(
    tmp_path: Path, store: ThreadStore, files: Meanwhile, thread: str
) -> None:
    files.call = "open"
    files.happens = lambda: ThreadStore.open(tmp_path, durability="os").delete(thread)
    with pytest.raises(ThreadNotFound):
        store.turns(thread)


@pytest.mark.parametrize("what", ["resume", "turns", "items"])
@pytest.mark.parametrize("cascade", [True, False])
def test_what_was_deleted_while_it_was_read_is_not_found_rather_than_damaged(
    tmp_path: Path, store: ThreadStore, thread: str, what: str, cascade: bool
) -> None:
    """With what it inherited, which the reader has not reached; or alone, while the reader was at what it inherited."""
    child = store.fork(thread).id
    add_turns(store, child, "said more")
    read: dict[str, Callable[[Snapshot], object]] = {
        "resume": lambda snapshot: snapshot.resume(),
        "turns": lambda snapshot: snapshot.turns(),
        "items": lambda snapshot: snapshot.items(),
    }

    def delete_and_read() -> None:
        with store.snapshot(child) as snapshot:
            if not cascade:
                snapshot.dynamic_tools()  # it looks into all of the lineage, and holds one file open at a time
            ThreadStore.open(tmp_path, durability="os").delete(thread if cascade else child, cascade=cascade)
            read[what](snapshot)

    with pytest.raises(ThreadNotFound, match=child):
        delete_and_read()


@pytest.mark.parametrize("what", ["resume", "turns", "items"])
def test_what_was_replaced_while_it_was_read_is_read_again(
    tmp_path: Path, store: ThreadStore, thread: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = store.fork(thread).id
    add_turns(store, child, "more SECRETWORD")
    answer = getattr(Snapshot, what)
    erased: list[object] = []

    def erased_meanwhile(snapshot: Snapshot, **asked: object) -> object:
        if not erased:
            snapshot.dynamic_tools()  # it looks into all of the lineage, and holds one file open at a time
            erased.append(ThreadStore.open(tmp_path, durability="os").erase(child, "SECRETWORD"))
        return answer(snapshot, **asked)

    monkeypatch.setattr(Snapshot, what, erased_meanwhile)
    assert "SECRETWORD" not in str(getattr(store, what)(child))
    assert erased

    erased.clear()
    with store.snapshot(child) as snapshot:
        snapshot.dynamic_tools()
        ThreadStore.open(tmp_path, durability="os").erase(child, "more *********")
        with pytest.raises(RolloutReplaced):
            answer(snapshot)


@pytest.mark.parametrize("there", [True, False])
def test_what_is_archived_while_all_folders_are_read_is_not_taken_for_what_it_was(
    tmp_path: Path, thread: str, there: bool
) -> None:
    """The archive has been read when the newest rollout goes there; the older one went before, or comes after."""
    with ThreadStore.open(tmp_path, durability="os") as other:
        other.revert(thread, before=turn_ids(other, thread)[0])
    archive = tmp_path / "archived_sessions"
    older, newest = sorted(tmp_path.rglob("rollout-*"), key=lambda path: len(path.name))
    if there:
        archive.mkdir()
        older = older.rename(archive / older.name)
    moved = False

    class Archived(Files):
        """Another program archives, as Codex does: it tells nobody."""

        def scandir(self, path: str) -> Iterator[os.DirEntry[str]]:
            nonlocal moved
            if path == str(newest.parent) and not moved:
                moved = True
                archive.mkdir(exist_ok=True)
                newest.rename(archive / newest.name)
            return super().scandir(path)

    with ThreadStore(LocalBackend(str(tmp_path), files=Archived()), durability="os") as store:
        assert store.turns(thread).data == []
    assert moved


@pytest.mark.parametrize("what", ["resume", "replay", "turns", "items"])
def test_who_reads_beside_an_erasure_waits_for_it(tmp_path: Path, store: ThreadStore, thread: str, what: str) -> None:
    """The heirs know already what their ancestor is going to be, and it is not that yet."""
    add_turns(store, thread, "more SECRETWORD")
    child = store.fork(thread).id
    between, go_on = threading.Event(), threading.Event()

    class Slow(LocalBackend):
        def replace(self, ref: RolloutRef, pieces: Iterable[bytes], lease: Lease) -> RolloutRef:
            between.set()
            assert go_on.wait(30)
            return super().replace(ref, pieces, lease)

    with ThreadPoolExecutor(2) as threads:
        erasing = threads.submit(ThreadStore(Slow(str(tmp_path)), durability="os").erase, thread, "SECRETWORD")
        try:
            assert between.wait(30)
            with store.snapshot(child) as snapshot, pytest.raises(BrokenLineage):
                getattr(snapshot, what)()
            reading = threads.submit(getattr(store, what), child)
            with pytest.raises(TimeoutError):
                reading.result(0.2)
        finally:
            go_on.set()
        assert "SECRETWORD" not in str(reading.result(30))
        assert erasing.result(30).records > 0


def test_damage_that_was_met_while_nothing_was_deleted_stays_damage(
    tmp_path: Path, store: ThreadStore, thread: str
) -> None:
    with store.snapshot(thread) as snapshot:
        os.truncate(tmp_path / store.read(thread).location, 10)
        with pytest.raises(CorruptHistory, match="cut"):
            snapshot.turns()
    with pytest.raises(CorruptHistory, match="damage"), store.snapshot(thread):
        raise CorruptHistory("damage")


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize("call", ["scandir", "open"])
def test_erasing_reaches_what_is_moved_while_it_looks_who_holds_the_text(
    tmp_path: Path, archived: bool, call: str
) -> None:
    class MovedOnceLocked(Meanwhile):
        def flock(self, fd: int, *, exclusive: bool) -> bool:
            self.call = call
            return super().flock(fd, exclusive=exclusive)

    files = MovedOnceLocked()
    store = ThreadStore(LocalBackend(str(tmp_path), files=files), durability="os")
    other = ThreadStore.open(tmp_path, durability="os")
    with other.create(cwd="/project") as writer, writer.turn("said"):
        pass
    child = other.fork(writer.thread_id).id
    add_turns(other, child, "a secret")
    if archived:
        other.archive(child)
    moved: list[object] = []
    files.happens = lambda: moved.append(other.unarchive(child) if archived else other.archive(child))
    assert store.erase(writer.thread_id, "a secret").records > 0
    assert moved, "nothing happened meanwhile"
    assert [path for path in tmp_path.rglob("rollout-*") if b"a secret" in path.read_bytes()] == []
    assert len(list(tmp_path.rglob(f"rollout-*{child}*"))) == 1


CHANGES: Final[dict[str, Callable[[ThreadStore, str], object]]] = {
    "archive": lambda store, thread: store.archive(thread),
    "delete": lambda store, thread: store.delete(thread),
    "erase": lambda store, thread: store.erase(thread, "said"),
    "append": lambda store, thread: add_turns(store, thread, "more"),
    "archive and unarchive": lambda store, thread: (store.archive(thread), store.unarchive(thread)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_both_names_that_a_power_cut_left_of_a_move_are_one_rollout(
    tmp_path: Path, store: ThreadStore, thread: str, change: str
) -> None:
    """As btrfs does; before anything but an append is changed, the rollout has one name again."""
    location = store.read(thread).location
    archive = tmp_path / "archived_sessions"
    archive.mkdir(exist_ok=True)
    os.link(tmp_path / location, archive / os.path.basename(location))
    with ThreadStore.open(tmp_path, durability="os") as fresh:
        assert fresh.read(thread).preview == "said"
        assert [each.id for each in fresh.list().data] == [thread]
        assert fresh.verify(thread).ok
        CHANGES[change](fresh, thread)
    with ThreadStore.open(tmp_path, durability="os") as fresh:
        names = list(tmp_path.rglob("rollout-*"))
        assert len(names) == {"delete": 0, "append": 2}.get(change, 1)
        assert change != "erase" or b"said" not in names[0].read_bytes()
        left = [] if change == "delete" else [thread]
        assert [each.id for each in fresh.list(chosen=ThreadFilter(archived=None)).data] == left


def test_a_compressed_rollout_under_two_names_goes_on_in_one_file(
    tmp_path: Path, store: ThreadStore, thread: str
) -> None:
    plain = tmp_path / store.read(thread).location
    packed = plain.with_name(plain.name + ".zst")
    packed.write_bytes(compressed(plain.read_bytes()))
    plain.unlink()
    archive = tmp_path / "archived_sessions"
    archive.mkdir(exist_ok=True)
    os.link(packed, archive / packed.name)
    with ThreadStore.open(tmp_path, durability="os") as fresh:
        add_turns(fresh, thread, "more")
    with ThreadStore.open(tmp_path, durability="os") as fresh:
        assert list(tmp_path.rglob("rollout-*")) == [plain]
        assert len(turn_ids(fresh, thread)) == 2


def test_one_name_that_cannot_be_looked_at_hides_no_other_thread(tmp_path: Path, thread: str) -> None:
    class Refusing(Files):
        def stat(self, path: str) -> os.stat_result:
            if "archived_sessions/" in path:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
            return super().stat(path)

    with ThreadStore.open(tmp_path, durability="os") as store:
        add_turns(store, thread, "more")
        location = store.read(thread).location
        with store.create(cwd="/project") as writer, writer.turn("another"):
            pass
    archive = tmp_path / "archived_sessions"
    archive.mkdir(exist_ok=True)
    os.link(tmp_path / location, archive / os.path.basename(location))
    with ThreadStore(LocalBackend(str(tmp_path), files=Refusing()), durability="os") as store:
        assert writer.thread_id in {found.id for found in store.list().data}


def test_two_files_of_one_name_are_refused(tmp_path: Path, store: ThreadStore, thread: str) -> None:
    location = store.read(thread).location
    archive = tmp_path / "archived_sessions"
    archive.mkdir(exist_ok=True)
    shutil.copy(tmp_path / location, archive)
    with ThreadStore.open(tmp_path, durability="os") as fresh, pytest.raises(AmbiguousRollout):
        fresh.turns(thread)
