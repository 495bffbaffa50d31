"""Codex's lock protocol: one writer in all processes, named where the system tells, recovered when it died."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from tests.backends.local.homes import IDS, opened

from threadkeep.backends.local import Files, _lock
from threadkeep.errors import LeaseLost, StorageFailure, ThreadBusy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_HOLDER = """
import sys, time
from threadkeep.backends.local import LocalBackend
lease = LocalBackend(sys.argv[1]).lease(sys.argv[2])
print("held", flush=True)
sys.stdin.read()
lease.release()
print("released", flush=True)
"""

_FOREIGN = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o644)
fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
print("held", flush=True)
sys.stdin.read()
"""

_RACER = """
import os, sys, time
from threadkeep.backends.local import LocalBackend
from threadkeep.errors import ThreadBusy
backend = LocalBackend(sys.argv[1])
path = sys.argv[3]
won = 0
while won < int(sys.argv[4]):
    try:
        lease = backend.lease(sys.argv[2])
    except ThreadBusy:
        time.sleep(0.001)
        continue
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)  # fails where two hold it
    os.close(fd)
    lease.check()
    time.sleep(0.0005)
    os.unlink(path)
    lease.release()
    won += 1
print(won, flush=True)
"""


class Process:
    """A program that says when it holds what it wants, and ends when its input does."""

    def __init__(self, script: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"

    @property
    def pid(self) -> int:
        return self.process.pid

    def end(self) -> None:
        self.process.communicate(timeout=60)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=60)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def thread() -> str:
    return IDS.new()


def lock_of(home: Path, thread: str) -> Path:
    return home / "thread-writer-locks" / f"{thread}.lock"


@pytest.fixture
def holder(home: Path, thread: str) -> Iterator[Process]:
    process = Process(_HOLDER, home, thread)
    yield process
    if process.process.poll() is None:
        process.kill()


def test_another_process_is_refused_and_told_by_whom(home: Path, thread: str, holder: Process) -> None:
    with pytest.raises(ThreadBusy) as refusal:
        opened(home).lease(thread)
    assert refusal.value.pid == holder.pid
    assert refusal.value.program == "threadkeep"
    assert refusal.value.since is not None
    assert refusal.value.since.endswith("Z")
    assert str(holder.pid) in str(refusal.value)
    assert thread in str(refusal.value)
    holder.end()
    opened(home).lease(thread).release()


def test_a_refusal_comes_at_once(home: Path, thread: str, holder: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    with pytest.raises(ThreadBusy):
        opened(home).lease(thread)
    assert waited == []
    assert holder.process.poll() is None


def test_the_lease_of_a_process_that_died_is_recovered(home: Path, thread: str, holder: Process) -> None:
    holder.kill()
    assert lock_of(home, thread).exists()
    lease = opened(home).lease(thread)
    lease.check()
    lease.release()


def test_a_program_that_writes_nothing_into_its_lock_is_named_by_the_system(home: Path, thread: str) -> None:
    """As Codex does."""
    lock_of(home, thread).parent.mkdir()
    codex = Process(_FOREIGN, lock_of(home, thread))
    with pytest.raises(ThreadBusy) as refusal:
        opened(home).lease(thread)
    assert refusal.value.pid == codex.pid
    assert refusal.value.program
    assert refusal.value.since
    codex.end()


@pytest.mark.parametrize("content", [b"", b"garbage", b"\xff", b"[" * 10_000, None])
def test_what_stands_in_a_lock_file_accuses_nobody(home: Path, thread: str, content: bytes | None) -> None:
    """A note may be a dead process's; only whom the system names is named."""
    lock_of(home, thread).parent.mkdir()
    dead = json.dumps({"pid": 1, "since": "2020-01-01T00:00:00.000Z", "program": "innocent"}).encode()
    lock_of(home, thread).write_bytes(dead if content is None else content)
    codex = Process(_FOREIGN, lock_of(home, thread))
    with pytest.raises(ThreadBusy) as refusal:
        opened(home).lease(thread)
    assert refusal.value.pid == codex.pid
    assert refusal.value.program != "innocent"
    assert refusal.value.since != "2020-01-01T00:00:00.000Z"
    codex.end()
    lease = opened(home).lease(thread)
    lease.check()
    lease.release()


def test_a_system_that_does_not_list_locks_names_nobody(
    home: Path, thread: str, holder: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_lock, "_holder", lambda _: None)
    with pytest.raises(ThreadBusy, match="another process") as refusal:
        opened(home).lease(thread)
    assert (refusal.value.pid, refusal.value.since, refusal.value.program) == (None, None, None)
    assert holder.process.poll() is None


def test_codex_is_refused_while_the_lease_is_held(home: Path, thread: str) -> None:
    """It opens the file and asks for the same lock."""
    lease = opened(home).lease(thread)
    fd = os.open(lock_of(home, thread), os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(fd)
    lease.check()
    lease.release()


def test_the_lock_file_goes_with_the_lease(home: Path, thread: str) -> None:
    opened(home).lease(thread).release()
    assert [path.name for path in lock_of(home, thread).parent.iterdir()] == [".coordination.lock"]


def test_the_order_is_codexs(home: Path, thread: str) -> None:
    """A lock is taken while the coordination lock is held shared, and removed while it is held exclusive."""

    class Watching(Files):
        def __init__(self) -> None:
            self.names: dict[int, str] = {}
            self.calls: list[str] = []

        def open(self, path: str, flags: int, mode: int = 0o600) -> int:
            fd = super().open(path, flags, mode)
            self.names[fd] = os.path.basename(path).replace(thread, "id")
            return fd

        def close(self, fd: int) -> None:
            if fd in self.names:
                self.calls.append(f"close {self.names.pop(fd)}")
            super().close(fd)

        def flock(self, fd: int, *, exclusive: bool) -> bool:
            self.calls.append(f"{'exclusive' if exclusive else 'shared'} {self.names[fd]}")
            return super().flock(fd, exclusive=exclusive)

        def unlink(self, path: str) -> None:
            self.calls.append(f"unlink {os.path.basename(path).replace(thread, 'id')}")
            super().unlink(path)

    files = Watching()
    lease = opened(home, files).lease(thread)
    assert files.calls == ["shared .coordination.lock", "exclusive id.lock", "close .coordination.lock"]
    files.calls.clear()
    lease.release()
    assert files.calls == [
        "exclusive .coordination.lock",
        "unlink id.lock",
        "close id.lock",
        "close .coordination.lock",
    ]


@pytest.mark.parametrize("how", ["removed", "replaced", "taken over"])
def test_a_lease_whose_lock_file_was_replaced_is_lost(home: Path, thread: str, how: str) -> None:
    lease = opened(home).lease(thread)
    lock_of(home, thread).unlink()
    if how == "replaced":
        lock_of(home, thread).touch()
    other = opened(home).lease(thread) if how == "taken over" else None
    with pytest.raises(LeaseLost, match="removed or replaced"):
        lease.check()
    lease.release()
    if other is not None:
        other.check()
        with pytest.raises(ThreadBusy):
            opened(home).lease(thread)
        other.release()


def test_a_forked_child_does_not_hold_its_parents_lease(home: Path, thread: str) -> None:
    """And cannot give it away."""
    lease = opened(home).lease(thread)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            lease.check()
        except LeaseLost:
            lease.release()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    lease.check()
    with pytest.raises(ThreadBusy):
        opened(home).lease(thread)
    lease.release()
    opened(home).lease(thread).release()


def test_of_many_processes_that_race_one_holds_it_at_a_time(home: Path, thread: str) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _RACER, home, thread, home / "held", "20"], stdout=subprocess.PIPE, text=True
        )
        for _ in range(5)
    ]
    assert [racer.communicate(timeout=100)[0] for racer in racers] == ["20\n"] * 5
    assert [racer.returncode for racer in racers] == [0] * 5


def test_a_cleaner_that_runs_at_the_same_time_takes_nothing_away(home: Path, thread: str) -> None:
    """Codex's first act is to remove every lock file that nobody holds, under the exclusive coordination lock."""
    stop = threading.Event()
    folder = home / "thread-writer-locks"
    folder.mkdir()

    def clean() -> None:
        while not stop.is_set():
            fd = os.open(folder / ".coordination.lock", os.O_RDWR | os.O_CREAT)
            fcntl.flock(fd, fcntl.LOCK_EX)
            for name in os.listdir(folder):
                if not name.startswith("."):
                    lock = os.open(folder / name, os.O_RDWR)
                    try:
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        os.unlink(folder / name)
                    except BlockingIOError:
                        pass
                    os.close(lock)
            os.close(fd)
            time.sleep(0.002)

    cleaner = threading.Thread(target=clean)
    cleaner.start()
    backend = opened(home)
    for _ in range(100):
        lease = backend.lease(thread)
        lease.check()
        time.sleep(0.001)
        lease.check()
        lease.release()
    stop.set()
    cleaner.join(60)


class Careless(Files):
    """Somebody who ignores the coordination lock removes a lock file just before it is locked, so many times."""

    def __init__(self, lock: Path, times: int) -> None:
        self.lock = lock
        self.times = times

    def flock(self, fd: int, *, exclusive: bool) -> bool:
        if exclusive and self.times and self.lock.exists():
            self.times -= 1
            self.lock.unlink()
        return super().flock(fd, exclusive=exclusive)


def test_a_lock_on_a_file_that_was_removed_meanwhile_is_no_lease(home: Path, thread: str) -> None:
    """It would exclude nobody: the next writer makes a new file."""
    lease = opened(home, Careless(lock_of(home, thread), 2)).lease(thread)
    lease.check()
    with pytest.raises(ThreadBusy):
        opened(home).lease(thread)
    lease.release()


def test_a_lock_that_is_removed_again_and_again_is_given_up(home: Path, thread: str) -> None:
    with pytest.raises(StorageFailure, match="keeps being replaced"):
        opened(home, Careless(lock_of(home, thread), 1_000)).lease(thread)


def test_a_coordination_lock_that_is_never_free_is_an_error(
    home: Path, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a lease is given back even so: its file stays behind, unlocked, as Codex leaves one."""
    monkeypatch.setattr(_lock, "_WAIT_SECONDS", 0.1)
    backend = opened(home)
    lease = backend.lease(thread)
    fd = os.open(home / "thread-writer-locks" / ".coordination.lock", os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    with pytest.raises(StorageFailure, match="coordination lock"):
        backend.lease(IDS.new())
    lease.release()
    assert lock_of(home, thread).exists()
    os.close(fd)
    backend.lease(thread).release()


def test_a_full_disk_does_not_refuse_a_lease(home: Path, thread: str) -> None:
    """Deleting is how a user makes room, and needs one."""

    class Full(Files):
        def write(self, fd: int, data: bytes | memoryview) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    lease = opened(home, Full()).lease(thread)
    lease.check()
    lease.release()


def test_locks_are_readable_by_their_owner_alone(home: Path, thread: str) -> None:
    lease = opened(home).lease(thread)
    folder = home / "thread-writer-locks"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    lease.release()


def test_nothing_is_left_open(home: Path) -> None:
    backend = opened(home)
    before = os.listdir("/proc/self/fd")
    for _ in range(20):
        thread = IDS.new()
        lease = backend.lease(thread)
        with pytest.raises(ThreadBusy):
            backend.lease(thread)
        lease.release()
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_who_asks_whether_a_lease_is_held_makes_nothing(home: Path, thread: str) -> None:
    backend = opened(home)
    assert not backend.held(thread)
    assert os.listdir(home) == []
    lease = backend.lease(thread)
    assert backend.held(thread)
    assert opened(home).held(thread)
    assert not backend.held(IDS.new())
    lease.check()
    lease.release()
    assert not backend.held(thread)
    assert os.listdir(home / "thread-writer-locks") == [".coordination.lock"]
