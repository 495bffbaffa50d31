"""Pins: second names of a base's file, so that what a child inherits stays whatever others do to the base."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest
from tests.backends.local.homes import IDS, LINE, RecordingFiles, compressed, opened, put, rollout_id

from threadkeep.backends.local import Files
from threadkeep.errors import StorageFailure, ThreadNotFound
from threadkeep.records import Cost

if TYPE_CHECKING:
    from pathlib import Path

    from threadkeep.backends import Pin, RolloutRef
    from threadkeep.backends.local import LocalBackend

DIGEST = "0123456789abcdef0123456789abcdef"


def pinned(home: Path, path: Path, files: Files | None = None) -> tuple[LocalBackend, RolloutRef, Pin]:
    backend = opened(home, files)
    ref = backend.find(rollout_id(path))
    assert ref is not None
    assert backend.pin(IDS.new(), ref, 8, DIGEST)
    (pin,) = backend.pins_of(ref.rollout_id)
    return backend, ref, pin


def held(backend: LocalBackend, pin: Pin) -> bytes:
    source = backend.open_pin(pin, Cost())
    data = source.read(0, source.size)
    source.close()
    return data


def test_a_pin_takes_no_room(tmp_path: Path) -> None:
    home = tmp_path / "home"
    path = put(home)
    backend, _, pin = pinned(home, path)
    assert os.path.samefile(home / pin.location, path)
    assert pin.location.startswith(f"threadkeep/pins/{rollout_id(path)}/{pin.child}.8.{DIGEST}")
    backend.close()


@pytest.mark.parametrize("what", ["deleted", "moved", "migrated", "compressed"])
def test_what_another_program_does_to_the_base_does_not_reach_the_pin(tmp_path: Path, what: str) -> None:
    """Codex replaces a file by rename when it migrates, unpacks or compresses it."""
    home = tmp_path / "home"
    path = put(home)
    backend, _, pin = pinned(home, path)
    if what == "deleted":
        path.unlink()
    elif what == "moved":
        (home / "archived_sessions").mkdir()
        path.rename(home / "archived_sessions" / path.name)
    elif what == "migrated":
        (home / "staged").write_bytes(b"migrated\n")
        (home / "staged").rename(path)
    else:
        path.with_name(path.name + ".zst").write_bytes(compressed(LINE))
        path.unlink()
    assert held(backend, pin) == LINE
    backend.close()


def test_a_compressed_base_is_pinned_as_it_is(tmp_path: Path) -> None:
    home = tmp_path / "home"
    path = put(home, LINE * 100, pack=True)
    backend, _, pin = pinned(home, path)
    path.unlink()
    assert pin.compressed
    assert held(backend, pin) == LINE * 100
    backend.close()


@pytest.mark.parametrize("error", [errno.EPERM, errno.EOPNOTSUPP, errno.EXDEV, errno.EMLINK, errno.ENOSPC])
def test_a_file_system_without_links_pins_nothing_and_leaves_nothing(tmp_path: Path, error: int) -> None:
    class NoLinks(Files):
        def link(self, source: str, target: str) -> None:
            raise OSError(error, os.strerror(error))

    home = tmp_path / "home"
    path = put(home)
    backend = opened(home, NoLinks())
    ref = backend.find(rollout_id(path))
    assert ref is not None
    assert not backend.pin(IDS.new(), ref, 8, DIGEST)
    assert list(backend.pins()) == []
    assert list((home / "threadkeep" / "pins").iterdir()) == []
    backend.close()


@pytest.mark.parametrize("error", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_links_still_keeps_rollouts(tmp_path: Path, error: int) -> None:
    class NoLinks(Files):
        def link(self, source: str, target: str) -> None:
            raise OSError(error, os.strerror(error))

    backend = opened(tmp_path / "home", NoLinks())
    thread = IDS.new()
    ref = backend.create(thread, thread, LINE, durability="fsync", kept=False)
    assert (tmp_path / "home" / ref.location).read_bytes() == LINE
    with pytest.raises(StorageFailure):
        backend.create(thread, thread, b"other\n", durability="fsync", kept=False)
    assert (tmp_path / "home" / ref.location).read_bytes() == LINE
    assert len(list((tmp_path / "home" / ref.location).parent.iterdir())) == 1
    backend.close()


def test_a_base_that_is_gone_cannot_be_pinned(tmp_path: Path) -> None:
    home = tmp_path / "home"
    path = put(home)
    backend = opened(home)
    ref = backend.find(rollout_id(path))
    assert ref is not None
    path.unlink()
    assert not backend.pin(IDS.new(), ref, 8, DIGEST)
    assert backend.pins_of(ref.rollout_id) == []
    backend.close()


def test_other_files_among_the_pins_are_no_pins(tmp_path: Path) -> None:
    home = tmp_path / "home"
    path = put(home)
    backend, ref, pin = pinned(home, path)
    folder = home / os.path.dirname(pin.location)
    for name in (
        "notes.txt",
        ".threadkeep-x.tmp",
        "a.b.c.jsonl",
        f"{pin.child}.-1.{DIGEST}.jsonl",
        f"{pin.child}.jsonl",
    ):
        (folder / name).write_bytes(b"")
    (folder.parent / "no id").mkdir()
    (folder.parent / IDS.new()).write_bytes(b"a file in the place of a folder")
    assert list(backend.pins()) == [pin]
    assert backend.pins_of(ref.rollout_id) == [pin]
    backend.close()


def test_the_folder_of_a_base_goes_with_its_last_pin(tmp_path: Path) -> None:
    home = tmp_path / "home"
    path = put(home)
    backend, ref, pin = pinned(home, path)
    backend.pin(IDS.new(), ref, 8, DIGEST)
    folder = home / os.path.dirname(pin.location)
    backend.unpin(pin)
    assert folder.exists()
    backend.unpin(backend.pins_of(ref.rollout_id)[0])
    assert not folder.exists()
    assert path.read_bytes() == LINE
    with pytest.raises(ThreadNotFound):
        backend.open_pin(pin, Cost())
    backend.close()


def test_the_folder_of_a_base_is_flushed_though_it_passes_for_one_that_was_there_before(tmp_path: Path) -> None:
    """A system gives the number of a folder that is gone to the next one that is made."""

    class OneNumber(RecordingFiles):
        def stat(self, path: str) -> os.stat_result:
            facts = super().stat(path)
            return os.stat_result((facts[0], 1, *facts[2:])) if os.path.isdir(path) else facts

    home = tmp_path / "home"
    path = put(home)
    files = OneNumber()
    backend, ref, pin = pinned(home, path, files)
    backend.unpin(pin)
    files.calls.clear()
    assert backend.pin(IDS.new(), ref, 8, DIGEST)
    assert files.place("fsync", home / "threadkeep" / "pins") > files.place(
        "mkdir", home / os.path.dirname(pin.location)
    )
    backend.close()


def test_what_is_appended_to_the_base_does_not_enter_the_inherited_bytes(tmp_path: Path) -> None:
    """A link is no snapshot: the end that the pin names is what counts (trap 4)."""
    home = tmp_path / "home"
    path = put(home)
    backend, _, pin = pinned(home, path)
    with path.open("ab") as file:
        file.write(b"later\n")
    assert held(backend, pin)[: pin.end] == LINE
    assert backend.pinned_size(pin) == (backend.stat(backend.rollouts_of(rollout_id(path))[0]).identity, 14)
    backend.close()
