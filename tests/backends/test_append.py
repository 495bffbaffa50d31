"""Appending to a rollout file: one write a record, torn tails closed, shared flushes, dead after a failed flush."""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING

import pytest

from threadkeep.backends.local import Files, LocalBackend
from threadkeep.backends.local._append import FileAppender
from threadkeep.errors import DurabilityUnknown, LeaseLost, StorageFailure
from threadkeep.records import Cost
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from pathlib import Path


class HeldLease:
    thread_id = "t"

    def __init__(self) -> None:
        self.lost = False

    def check(self) -> None:
        if self.lost:
            raise LeaseLost("the lease was lost", thread="t")

    def release(self) -> None:
        pass


class RecordingFiles(Files):
    """Counts calls, and fails those that a test names."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.flushes = 0
        self.fail_write_after: int | None = None
        self.fail_fsync = False
        self.gate: threading.Event | None = None

    def write(self, fd: int, data: bytes | memoryview) -> int:
        if self.fail_write_after is not None:
            left = self.fail_write_after
            if left <= 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            self.fail_write_after = left - min(left, len(data))
            data = bytes(data[:left])
        self.writes.append(bytes(data))
        return super().write(fd, data)

    def fsync(self, fd: int) -> None:
        self.flushes += 1
        if self.gate is not None:
            self.gate.wait(60)
        if self.fail_fsync:
            raise OSError(errno.EIO, "Input/output error")
        super().fsync(fd)


def opened(path: Path, files: Files, lease: HeldLease | None = None, *, durable: bool = True) -> FileAppender:
    return FileAppender(files, str(path), "r", lease or HeldLease(), Cost(), durable=durable)


def test_a_writer_looks_at_its_lease_once_a_record_and_misses_no_loss_of_it(tmp_path: Path) -> None:
    class CountingFiles(Files):
        looks = 0

        def stat(self, path: str) -> os.stat_result:
            self.looks += path.endswith(".lock")
            return super().stat(path)

    files = CountingFiles()
    with ThreadStore(LocalBackend(str(tmp_path), files=files)) as store:
        writer = store.create(cwd=str(tmp_path))
        writer.append("turn_context", {"model": "m"})
        before = files.looks
        for _ in range(3):
            writer.append("turn_context", {"model": "m"})
        assert files.looks - before == 3
        os.unlink(tmp_path / "thread-writer-locks" / f"{writer.thread_id}.lock")
        with pytest.raises(LeaseLost):
            writer.append("turn_context", {"model": "m"})
        writer.close()


def test_one_record_is_one_write_and_its_offset_is_returned(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"head\n")
    files = RecordingFiles()
    appender = opened(path, files)
    assert (appender.end, appender.append(b"one\n"), appender.append(b"two\n"), appender.end) == (5, 5, 9, 13)
    assert files.writes == [b"one\n", b"two\n"]
    assert path.read_bytes() == b"head\none\ntwo\n"


def test_a_torn_tail_is_closed_with_a_newline_before_the_first_record(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'head\n{"torn')
    appender = opened(path, Files())
    assert appender.end == 12
    assert appender.append(b"one\n") == 12
    assert path.read_bytes() == b'head\n{"torn\none\n'


def test_opening_alone_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'head\n{"torn')
    opened(path, Files()).close()
    assert path.read_bytes() == b'head\n{"torn'


def test_a_full_disk_leaves_a_fragment_that_the_next_append_closes(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"head\n")
    files = RecordingFiles()
    appender = opened(path, files)
    files.fail_write_after = 3
    with pytest.raises(StorageFailure, match="No space left"):
        appender.append(b"lost record\n")
    files.fail_write_after = None
    assert appender.append(b"kept\n") == 9
    appender.flush()
    assert path.read_bytes() == b"head\nlos\nkept\n"


def test_a_write_refused_from_its_first_byte_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"head\n")
    files = RecordingFiles()
    appender = opened(path, files)
    files.fail_write_after = 0
    with pytest.raises(StorageFailure):
        appender.append(b"lost\n")
    files.fail_write_after = None
    assert appender.append(b"kept\n") == 5
    assert path.read_bytes() == b"head\nkept\n"


def test_a_lost_lease_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"head\n")
    lease = HeldLease()
    appender = opened(path, Files(), lease)
    lease.lost = True
    with pytest.raises(LeaseLost):
        appender.append(b"one\n")
    assert path.read_bytes() == b"head\n"


def test_a_foreign_write_is_noticed_before_the_next_record(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"head\n")
    appender = opened(path, Files())
    with path.open("ab") as other:
        other.write(b"foreign\n")
    with pytest.raises(LeaseLost, match="another program wrote"):
        appender.append(b"one\n")
    assert path.read_bytes() == b"head\nforeign\n"


@pytest.mark.parametrize("durable", [True, False])
def test_nothing_is_acknowledged_in_a_file_that_was_replaced(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"head\n")
    appender = opened(path, Files(), durable=durable)
    appender.append(b"one\n")
    os.rename(path, tmp_path / "moved")
    path.write_bytes(b"head\n")
    with pytest.raises(LeaseLost, match="replaced"):
        appender.flush()


def test_durability_of_the_system_flushes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"head\n")
    files = RecordingFiles()
    appender = opened(path, files, durable=False)
    appender.append(b"one\n")
    appender.flush()
    assert files.flushes == 0


def test_callers_that_wait_together_share_a_flush(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"head\n")
    files = RecordingFiles()
    files.gate = threading.Event()
    appender = opened(path, files)

    def one(number: int) -> None:
        appender.append(b"record %d\n" % number)
        appender.flush()

    first = threading.Thread(target=one, args=(0,))
    first.start()
    while files.flushes == 0:
        pass
    others = [threading.Thread(target=one, args=(number,)) for number in range(1, 9)]
    for thread in others:
        thread.start()
    while len(files.writes) < 9:
        pass
    files.gate.set()
    for thread in (first, *others):
        thread.join(60)
    assert files.flushes == 2
    assert sorted(path.read_bytes().split(b"\n")[1:-1]) == sorted(b"record %d" % number for number in range(9))


def test_after_a_failed_flush_the_writer_is_dead_and_says_what_stands(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"head\n")
    files = RecordingFiles()
    appender = opened(path, files)
    appender.append(b"one\n")
    appender.flush()
    files.fail_fsync = True
    appender.append(b"two\n")
    with pytest.raises(DurabilityUnknown) as failure:
        appender.flush()
    assert (failure.value.durable_end, failure.value.standing_end) == (9, 13)
    files.fail_fsync = False
    for call in (appender.flush, lambda: appender.append(b"three\n")):
        with pytest.raises(DurabilityUnknown):
            call()
    assert path.read_bytes() == b"head\none\ntwo\n"


def test_closing_waits_for_a_flush_of_another_thread(tmp_path: Path) -> None:
    """A descriptor that is closed under a flush may be another file's by the time the system looks at it."""
    inside, go_on = threading.Event(), threading.Event()
    calls: list[str] = []

    class SlowFiles(Files):
        def fsync(self, fd: int) -> None:
            inside.set()
            assert go_on.wait(60)
            calls.append("fsync")

        def close(self, fd: int) -> None:
            calls.append("close")
            super().close(fd)

    path = tmp_path / "r.jsonl"
    path.write_bytes(b"")
    appender = opened(path, SlowFiles())
    appender.append(b"{}\n")
    flusher, closer = threading.Thread(target=appender.flush), threading.Thread(target=appender.close)
    flusher.start()
    assert inside.wait(60)
    closer.start()
    closer.join(0.1)
    go_on.set()
    for thread in (flusher, closer):
        thread.join(60)
    assert calls == ["fsync", "close"]
