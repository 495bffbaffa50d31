"""What is acknowledged is on the disk: which call comes before which, and what a failed flush means."""

from __future__ import annotations

import fcntl
import os
import sys
from typing import TYPE_CHECKING

import pytest
from tests.backends.local.homes import IDS, LINE, RecordingFiles, append, opened, put, rollout_id

from threadkeep.backends import Marks
from threadkeep.backends.local import Files, _files
from threadkeep.errors import DurabilityUnknown, StorageFailure
from threadkeep.records import Cost

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = "0" * 32


def above(path: str, home: Path) -> list[str]:
    """The folders between a file and the home's parent."""
    folders = []
    while path != str(home):
        path = os.path.dirname(path)
        folders.append(path)
    return folders


def test_a_rollout_is_flushed_before_it_is_named_and_its_name_before_it_is_acknowledged(tmp_path: Path) -> None:
    home = tmp_path / "home"
    files = RecordingFiles()
    backend = opened(home, files)
    thread = IDS.new()
    ref = backend.create(thread, thread, LINE, durability="fsync", kept=False)
    path = backend.path_of(ref)
    (aside,) = [name for call, name in files.calls if call == "create"]
    assert os.path.dirname(aside) == os.path.dirname(path)
    written, flushed = files.place("write", aside), files.place("fsync", aside)
    named, settled = files.place("link", path), files.place("fsync", os.path.dirname(path))
    assert written < flushed < named < settled
    assert files.place("unlink", aside) < settled


def test_the_folders_above_a_new_rollout_are_flushed_too(tmp_path: Path) -> None:
    home = tmp_path / "home"
    files = RecordingFiles()
    thread = IDS.new()
    backend = opened(home, files)
    ref = backend.create(thread, thread, LINE, durability="fsync", kept=False)
    for folder in above(backend.path_of(ref), home):
        assert files.place("fsync", os.path.dirname(folder)) > files.place("mkdir", folder)


def test_a_folder_that_another_process_has_just_made_is_not_trusted(tmp_path: Path) -> None:
    """That it is there does not say that its name is on the disk."""
    home = tmp_path / "home"
    thread = IDS.new()
    first = opened(home)
    path = first.path_of(first.create(thread, thread, LINE, durability="os", kept=False))
    files = RecordingFiles()
    other = IDS.new()
    second = opened(home, files)
    second.create(other, other, LINE, durability="fsync", kept=False)
    assert ("mkdir", os.path.dirname(path)) not in files.calls
    for folder in above(path, home):
        assert files.place("fsync", os.path.dirname(folder)) >= 0
    files.calls.clear()
    third = IDS.new()
    second.create(third, third, LINE, durability="fsync", kept=False)
    flushed = [name for call, name in files.calls if call == "fsync"]
    assert len(flushed) == 2, "once in the life of a process is enough"


def test_durability_of_the_system_flushes_nothing_when_creating(tmp_path: Path) -> None:
    files = RecordingFiles()
    thread = IDS.new()
    opened(tmp_path / "home", files).create(thread, thread, LINE, durability="os", kept=False)
    assert [call for call, _ in files.calls if call == "fsync"] == []


def test_an_append_is_flushed_with_the_name_of_a_file_that_codex_made(tmp_path: Path) -> None:
    """Codex flushes neither what it writes nor the folders that it makes."""
    home = tmp_path / "home"
    path = put(home)
    files = RecordingFiles()
    backend = opened(home, files)
    ref = backend.find(rollout_id(path))
    assert ref is not None
    append(backend, ref, b'{"n":1}\n')
    assert files.place("fsync", path) > files.place("write", path)
    for folder in above(str(path), home):
        assert files.place("fsync", folder) >= 0


def test_a_fork_can_flush_a_base_that_codex_wrote(tmp_path: Path) -> None:
    path = put(tmp_path / "home")
    files = RecordingFiles()
    backend = opened(tmp_path / "home", files)
    ref = backend.find(rollout_id(path))
    assert ref is not None
    backend.flush(ref)
    assert files.place("fsync", path) < files.place("fsync", path.parent)


def test_a_move_is_flushed_in_both_folders(tmp_path: Path) -> None:
    path = put(tmp_path / "home")
    files = RecordingFiles()
    backend = opened(tmp_path / "home", files)
    ref = backend.find(rollout_id(path))
    assert ref is not None
    lease = backend.lease(ref.thread_id)
    moved = backend.path_of(backend.move(ref, lease, archived=True))
    lease.release()
    assert files.place("rename", moved) < files.place("fsync", os.path.dirname(moved))
    assert files.place("rename", moved) < files.place("fsync", path.parent)


@pytest.mark.parametrize("pack", [False, True])
def test_a_replacement_is_flushed_before_it_takes_the_place(tmp_path: Path, pack: bool) -> None:
    path = put(tmp_path / "home", pack=pack)
    files = RecordingFiles()
    backend = opened(tmp_path / "home", files)
    ref = backend.find(rollout_id(path))
    assert ref is not None
    lease = backend.lease(ref.thread_id)
    plain = backend.path_of(backend.replace(ref, [b"new\n"], lease))
    lease.release()
    (aside,) = [name for call, name in files.calls if call == "create" and name.endswith(".tmp")]
    assert files.place("write", aside) < files.place("fsync", aside) < files.place("rename", plain)
    assert files.place("rename", plain) < files.place("fsync", path.parent)
    if pack:
        assert files.place("rename", plain) < files.place("unlink", path) < files.place("fsync", path.parent)


def test_the_form_that_hides_the_other_is_removed_last(tmp_path: Path) -> None:
    """An interruption must not bring an older compressed rollout back to light."""
    thread = IDS.new()
    plain, packed = put(tmp_path / "home", thread=thread), put(tmp_path / "home", thread=thread, pack=True)
    files = RecordingFiles()
    backend = opened(tmp_path / "home", files)
    (ref,) = backend.rollouts_of(thread)
    lease = backend.lease(thread)
    backend.remove(ref, lease)
    lease.release()
    assert files.place("unlink", packed) < files.place("unlink", plain) < files.place("fsync", plain.parent)
    assert not plain.exists()
    assert not packed.exists()


def test_unpacking_keeps_the_time_and_drops_the_compressed_form_last(tmp_path: Path) -> None:
    path = put(tmp_path / "home", LINE * 1_000, pack=True)
    os.utime(path, ns=(1_000_000_000, 2_000_000_000))
    files = RecordingFiles()
    backend = opened(tmp_path / "home", files)
    ref = backend.find(rollout_id(path))
    assert ref is not None
    plain = backend.unpack(ref)
    assert (plain.compressed, plain.location) == (False, ref.location.removesuffix(".zst"))
    unpacked = path.with_suffix("")
    assert unpacked.read_bytes() == LINE * 1_000
    assert unpacked.stat().st_mtime_ns == 2_000_000_000
    assert not path.exists()
    assert files.place("link", unpacked) < files.place("unlink", path) < files.place("fsync", path.parent)
    (aside,) = [name for call, name in files.calls if call == "create" and name.endswith(".tmp")]
    assert files.place("fsync", aside) < files.place("link", unpacked)


def test_marks_names_and_pins_are_flushed_with_their_folders(tmp_path: Path) -> None:
    path = put(tmp_path / "home")
    files = RecordingFiles()
    backend = opened(tmp_path / "home", files)
    ref = backend.find(rollout_id(path))
    assert ref is not None
    backend.change_marks(ref.thread_id, lambda _: Marks(hidden=True))
    marks = str(tmp_path / "home/threadkeep/marks.jsonl")
    assert files.place("write", marks) < files.place("fsync", marks) < files.place("fsync", os.path.dirname(marks))
    backend.set_name(ref.thread_id, "a name")
    index = str(tmp_path / "home/session_index.jsonl")
    assert files.place("write", index) < files.place("fsync", index) < files.place("fsync", tmp_path / "home")
    assert backend.pin(IDS.new(), ref, 8, DIGEST)
    (pin,) = backend.pins()
    held = str(tmp_path / "home" / pin.location)
    assert files.place("link", held) < files.place("fsync", os.path.dirname(held))
    backend.unpin(pin)
    assert files.place("unlink", held) < files.place("fsync", os.path.dirname(held))


def test_the_mac_flushes_the_disk_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There ``fsync`` stops at the drive's cache, and ``F_FULLFSYNC`` does not."""
    asked: list[object] = []
    monkeypatch.setattr(_files, "_FULLFSYNC", 51)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(fcntl, "fcntl", lambda fd, command: asked.append((fd, command)))
    monkeypatch.setattr(os, "fsync", lambda fd: asked.append("fsync"))
    Files().fsync(7)
    assert asked == [(7, 51)]


def test_elsewhere_fsync_does(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(_files, "_FULLFSYNC", None)
    monkeypatch.setattr(os, "fsync", asked.append)
    Files().fsync(7)
    assert asked == [7]


@pytest.mark.parametrize("lost", [0, 7, 12])
def test_a_failed_flush_says_what_the_disk_holds(tmp_path: Path, lost: int) -> None:
    """The system forgets the pages that it could not write, so the file may end earlier than what was written."""
    path = put(tmp_path / "home", LINE)

    class Lossy(Files):
        armed = False

        def fsync(self, fd: int) -> None:
            if self.armed:
                os.ftruncate(fd, os.fstat(fd).st_size - lost)
                raise OSError(5, "Input/output error")
            super().fsync(fd)

    files = Lossy()
    backend = opened(tmp_path / "home", files)
    ref = backend.find(rollout_id(path))
    assert ref is not None
    lease = backend.lease(ref.thread_id)
    appender = backend.appender(ref, lease, Cost(), durability="fsync")
    appender.append(b"first\n")
    appender.append(b"second\n")
    files.armed = True
    with pytest.raises(DurabilityUnknown) as failure:
        appender.flush()
    assert failure.value.durable_end == 8
    assert failure.value.standing_end == {0: 21, 7: 14, 12: 8}[lost]
    assert (failure.value.thread, failure.value.path) == (ref.thread_id, str(path))
    appender.close()
    lease.release()


def test_a_flush_that_failed_and_a_file_that_cannot_be_read_again(tmp_path: Path) -> None:
    path = put(tmp_path / "home", LINE)

    class Broken(Files):
        armed = False

        def fsync(self, fd: int) -> None:
            if self.armed:
                raise OSError(5, "Input/output error")
            super().fsync(fd)

        def pread(self, fd: int, size: int, offset: int) -> bytes:
            if self.armed:
                raise OSError(5, "Input/output error")
            return super().pread(fd, size, offset)

    files = Broken()
    backend = opened(tmp_path / "home", files)
    ref = backend.find(rollout_id(path))
    assert ref is not None
    lease = backend.lease(ref.thread_id)
    appender = backend.appender(ref, lease, Cost(), durability="fsync")
    appender.append(b"first\n")
    files.armed = True
    with pytest.raises(DurabilityUnknown, match="what follows is unknown") as failure:
        appender.flush()
    assert failure.value.standing_end is None
    files.armed = False
    appender.close()
    lease.release()


def test_a_rollout_whose_name_could_not_be_flushed_is_not_there(tmp_path: Path) -> None:
    """It was refused, so it must not be found later."""
    home = tmp_path / "home"
    opened(home).create(IDS.new(), IDS.new(), LINE, durability="fsync", kept=False)
    day: list[str] = []

    class Failing(Files):
        def link(self, source: str, target: str) -> None:
            super().link(source, target)
            day.append(os.path.dirname(target))

        def sync_folder(self, path: str) -> None:
            if path in day:
                raise OSError(5, "Input/output error")
            super().sync_folder(path)

    backend = opened(home, Failing())
    thread = IDS.new()
    with pytest.raises(StorageFailure):
        backend.create(thread, thread, LINE, durability="fsync", kept=False)
    assert opened(home).find(thread) is None


def test_a_move_whose_flush_failed_can_be_tried_again(tmp_path: Path) -> None:
    path = put(tmp_path / "home")

    class Failing(Files):
        armed = True

        def sync_folder(self, folder: str) -> None:
            if self.armed and folder.endswith("archived_sessions") and os.listdir(folder):
                self.armed = False
                raise OSError(5, "Input/output error")
            super().sync_folder(folder)

    backend = opened(tmp_path / "home", Failing())
    ref = backend.find(rollout_id(path))
    assert ref is not None
    lease = backend.lease(ref.thread_id)
    with pytest.raises(StorageFailure):
        backend.move(ref, lease, archived=True)
    moved = backend.move(ref, lease, archived=True)
    lease.release()
    assert moved.archived
    assert backend.rollouts_of(ref.thread_id) == [moved]
