"""The n-th call to the file system fails, n = 1, 2, 3 ...: nothing acknowledged is lost, and trying again works."""

from __future__ import annotations

import errno
import shutil
from typing import TYPE_CHECKING

import pytest
from tests.backends.local.homes import (
    LINE,
    FaultyFiles,
    QuickFiles,
    append,
    every_fault,
    leftovers,
    opened,
    put,
    read,
    rollout_id,
)

from threadkeep.backends import Marks
from threadkeep.backends.local import Files
from threadkeep.errors import LeaseLost, ThreadkeepError
from threadkeep.ids import SystemClock, Uuid7Source
from threadkeep.records import PAGINATED, Boundary, Cost

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from threadkeep.backends.local import LocalBackend

OLD = b'{"n":1}\n{"n":2}\n'
NEW = b'{"n":3,"text":"a record that is a little longer"}\n'
DIGEST = "0" * 32
OTHER = Uuid7Source(SystemClock()).new()

Operation = tuple[
    "Callable[[LocalBackend, str], object]",
    "Callable[[LocalBackend, str], None]",
    "Callable[[LocalBackend, str], bool]",
]
"""What is done; what must hold after a failure as after a success; whether it was done."""


def content(backend: LocalBackend, rollout: str) -> bytes:
    ref = backend.find(rollout)
    assert ref is not None, "the rollout is lost"
    return read(backend, ref)


def do_append(backend: LocalBackend, rollout: str) -> None:
    ref = backend.find(rollout)
    assert ref is not None
    append(backend, ref, NEW)


def appended(backend: LocalBackend, rollout: str) -> None:
    """What stood stands; of the record that failed there is all, a part or nothing, and it damages no other."""
    data = content(backend, rollout)
    assert data.startswith(OLD)
    for line in data[len(OLD) :].split(b"\n"):
        assert NEW.startswith(line)


def do_create(backend: LocalBackend, rollout: str) -> None:
    if backend.find(OTHER) is None:
        backend.create(OTHER, OTHER, NEW, durability="fsync", kept=False)


def created(backend: LocalBackend, rollout: str) -> None:
    ref = backend.find(OTHER)
    assert ref is None or read(backend, ref) == NEW
    assert content(backend, rollout) == OLD


def do_move(backend: LocalBackend, rollout: str) -> None:
    ref = backend.find(rollout)
    assert ref is not None
    lease = backend.lease(ref.thread_id)
    try:
        backend.move(ref, lease, archived=True)
    finally:
        lease.release()


def moved(backend: LocalBackend, rollout: str) -> None:
    assert content(backend, rollout) == OLD
    assert len(backend.rollouts_of(rollout)) == 1


def do_remove(backend: LocalBackend, rollout: str) -> None:
    for ref in backend.rollouts_of(rollout):
        lease = backend.lease(ref.thread_id)
        try:
            backend.remove(ref, lease)
        finally:
            lease.release()


def removed(backend: LocalBackend, rollout: str) -> None:
    for ref in backend.rollouts_of(rollout):
        assert read(backend, ref) == OLD


def do_replace(backend: LocalBackend, rollout: str) -> None:
    ref = backend.find(rollout)
    assert ref is not None
    lease = backend.lease(ref.thread_id)
    try:
        backend.replace(ref, [NEW[:7], NEW[7:]], lease)
    finally:
        lease.release()


def replaced(backend: LocalBackend, rollout: str) -> None:
    assert content(backend, rollout) in (OLD, NEW)


def do_mark(backend: LocalBackend, rollout: str) -> None:
    backend.change_marks(rollout, lambda _: Marks(hidden=True))


def marked(backend: LocalBackend, rollout: str) -> None:
    assert backend.marks(rollout) in (Marks(), Marks(hidden=True))
    assert backend.marks(OTHER) == Marks(name="kept")


def do_anchor(backend: LocalBackend, rollout: str) -> None:
    backend.set_anchor(rollout, Boundary(7, DIGEST, PAGINATED, None))


def anchored(backend: LocalBackend, rollout: str) -> None:
    assert backend.anchored(rollout) in (None, Boundary(7, DIGEST, PAGINATED, None))
    assert backend.marks(OTHER) == Marks(name="kept")


def do_name(backend: LocalBackend, rollout: str) -> None:
    backend.set_name(rollout, "new")


def named(backend: LocalBackend, rollout: str) -> None:
    facts = backend.facts([rollout, OTHER])
    assert facts[rollout].name in (None, "new")
    assert facts[OTHER].name == "kept"


def do_pin(backend: LocalBackend, rollout: str) -> None:
    ref = backend.find(rollout)
    assert ref is not None
    if not backend.pin(OTHER, ref, 8, DIGEST):
        raise ThreadkeepError("not pinned")


def pinned(backend: LocalBackend, rollout: str) -> None:
    for pin in backend.pins_of(rollout):
        assert (pin.child, pin.end) == (OTHER, 8)
    assert content(backend, rollout) == OLD


OPERATIONS: dict[str, Operation] = {
    "append": (
        do_append,
        appended,
        lambda backend, rollout: NEW in content(backend, rollout).splitlines(keepends=True),
    ),
    "create": (do_create, created, lambda backend, _: backend.find(OTHER) is not None),
    "move": (do_move, moved, lambda backend, rollout: [ref.archived for ref in backend.rollouts_of(rollout)] == [True]),
    "remove": (do_remove, removed, lambda backend, rollout: backend.rollouts_of(rollout) == []),
    "replace": (do_replace, replaced, lambda backend, rollout: content(backend, rollout) == NEW),
    "marks": (do_mark, marked, lambda backend, rollout: backend.marks(rollout).hidden),
    "anchor": (do_anchor, anchored, lambda backend, rollout: backend.anchored(rollout) is not None),
    "name": (do_name, named, lambda backend, rollout: backend.facts([rollout])[rollout].name == "new"),
    "pin": (do_pin, pinned, lambda backend, rollout: len(backend.pins_of(rollout)) == 1),
}


class Grounds:
    """Copies of one prepared home."""

    def __init__(self, folder: Path, *, pack: bool) -> None:
        self.folder = folder
        self.model = folder / "model"
        self.rollout = rollout_id(put(self.model, OLD, pack=pack))
        backend = opened(self.model)
        backend.change_marks(OTHER, lambda _: Marks(name="kept"))
        backend.set_name(OTHER, "kept")
        backend.close()
        self.number = 0

    def fresh(self) -> Path:
        home = self.folder / "home"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(self.model, home)
        return home


def check_every_fault(folder: Path, what: str, error: int | str, *, for_good: bool, pack: bool) -> None:
    do, holds, done = OPERATIONS[what]
    grounds = Grounds(folder, pack=pack)

    def run(files: FaultyFiles) -> bool:
        home = grounds.fresh()
        backend = opened(home, files)
        try:
            do(backend, grounds.rollout)
            succeeded = True
        except ThreadkeepError:
            succeeded = False
        except AssertionError:  # the rollout could not be looked for, so nothing was done
            assert files.failed is not None
            succeeded = False
        finally:
            backend.close()
        later = opened(home, QuickFiles())
        holds(later, grounds.rollout)
        if succeeded:
            assert done(later, grounds.rollout), f"acknowledged although {files.failed} failed"
        if not for_good:
            assert leftovers(home) == []
        if not done(later, grounds.rollout):
            do(later, grounds.rollout)
        holds(later, grounds.rollout)
        assert done(later, grounds.rollout)
        later.close()
        return succeeded

    assert every_fault(run, error, for_good=for_good) >= 1


@pytest.mark.parametrize("what", OPERATIONS)
@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
def test_a_call_fails(tmp_path: Path, what: str, for_good: bool) -> None:
    check_every_fault(tmp_path, what, errno.EIO, for_good=for_good, pack=False)


@pytest.mark.parametrize("what", [what for what in OPERATIONS if what not in ("move", "remove", "pin")])
def test_the_disk_is_full(tmp_path: Path, what: str) -> None:
    check_every_fault(tmp_path, what, errno.ENOSPC, for_good=True, pack=False)


@pytest.mark.parametrize("what", [what for what in OPERATIONS if what not in ("move", "remove", "pin")])
def test_the_system_takes_only_a_part(tmp_path: Path, what: str) -> None:
    check_every_fault(tmp_path, what, "short", for_good=False, pack=False)


@pytest.mark.parametrize("what", ["append", "move", "remove", "replace", "pin"])
@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
def test_a_call_fails_on_a_compressed_rollout(tmp_path: Path, what: str, for_good: bool) -> None:
    check_every_fault(tmp_path, what, errno.EIO, for_good=for_good, pack=True)


def test_a_torn_tail_does_not_swallow_the_record_that_is_tried_again(tmp_path: Path) -> None:
    """The newline that closes the tail could not be written; then it can."""
    path = put(tmp_path / "home", LINE + b'{"torn')
    files = FaultyFiles(1, errno.ENOSPC, only=frozenset({"write"}))
    backend = opened(tmp_path / "home", files)
    ref = backend.find(rollout_id(path))
    assert ref is not None
    files.left = 2  # the first write is the note in the lock file
    lease = backend.lease(ref.thread_id)
    appender = backend.appender(ref, lease, Cost(), durability="fsync")
    with pytest.raises(ThreadkeepError, match="No space left"):
        appender.append(NEW)
    appender.append(NEW)
    appender.flush()
    appender.close()
    lease.release()
    backend.close()
    assert path.read_bytes() == LINE + b'{"torn\n' + NEW


def test_a_flush_that_is_interrupted_leaves_nobody_waiting(tmp_path: Path) -> None:
    path = put(tmp_path / "home", LINE)

    class Interrupted(Files):
        armed = False

        def fsync(self, fd: int) -> None:
            if self.armed:
                self.armed = False
                raise KeyboardInterrupt
            super().fsync(fd)

    files = Interrupted()
    backend = opened(tmp_path / "home", files)
    ref = backend.find(rollout_id(path))
    assert ref is not None
    lease = backend.lease(ref.thread_id)
    appender = backend.appender(ref, lease, Cost(), durability="fsync")
    appender.append(NEW)
    files.armed = True
    with pytest.raises(KeyboardInterrupt):
        appender.flush()
    appender.flush()
    appender.close()
    lease.release()
    with pytest.raises(LeaseLost):
        appender.append(NEW)
    backend.close()
