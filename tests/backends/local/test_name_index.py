"""Names in ``session_index.jsonl``: the last line of a thread wins, whatever stands between."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest
from tests.backends.local.homes import IDS, QuickFiles, opened

from threadkeep.backends.local import Files, _codex
from threadkeep.errors import StorageFailure

if TYPE_CHECKING:
    from pathlib import Path

ONE, TWO = "01a202e2-a5ee-76a2-aa05-46ea5fdb223b", "01a202e2-a4aa-7752-a4df-e20a720e5005"


def line(thread: str, name: str) -> bytes:
    return json.dumps({"id": thread, "thread_name": name, "updated_at": "2026-11-22T10:00:00Z"}).encode() + b"\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def name_of(home: Path, thread: str) -> str | None:
    return opened(home).facts([thread])[thread].name


def test_the_last_line_of_a_thread_wins(home: Path) -> None:
    (home / "session_index.jsonl").write_bytes(line(ONE, "first") + line(TWO, "other") + line(ONE, "last"))
    assert name_of(home, ONE) == "last"
    assert name_of(home, TWO) == "other"


def test_an_empty_name_is_none(home: Path) -> None:
    (home / "session_index.jsonl").write_bytes(line(ONE, "first") + line(ONE, ""))
    assert name_of(home, ONE) is None


@pytest.mark.parametrize(
    "garbage",
    [
        b"\n",
        b"not json\n",
        b'{"id":7}\n',
        b"[]\n",
        b"null\n",
        b"\xff\xfe\n",
        b"\0" * 100 + b"\n",
        b'{"id":"%s","thread_name":"x"}\n' % ONE.encode(),  # Codex ignores a line without its time
        b'{"id":"%s","thread_name":null,"updated_at":"x"}\n' % ONE.encode(),
        b'{"id":"%s","thread_name":"\xff","updated_at":"x"}\n' % ONE.encode(),
        b"[" * 10_000 + b"\n",
        b'{"id":"a","more":' + b"[" * 10_000 + b"\n",
        b'{"id":"%s","thread_name":"torn' % ONE.encode(),
    ],
)
def test_lines_that_cannot_be_read_are_skipped(home: Path, garbage: bytes) -> None:
    (home / "session_index.jsonl").write_bytes(line(ONE, "kept") + garbage)
    assert name_of(home, ONE) == "kept"
    (home / "session_index.jsonl").write_bytes(garbage.rstrip(b"\n") + b"\n" + line(ONE, "kept"))
    assert name_of(home, ONE) == "kept"


def test_a_name_is_appended_as_codex_does(home: Path) -> None:
    before = line(TWO, "other")
    (home / "session_index.jsonl").write_bytes(before)
    opened(home).set_name(ONE, 'ü "quoted" 漢')
    data = (home / "session_index.jsonl").read_bytes()
    assert data.startswith(before)
    entry = json.loads(data[len(before) :])
    assert list(entry) == ["id", "thread_name", "updated_at"]
    assert (entry["id"], entry["thread_name"]) == (ONE, 'ü "quoted" 漢')
    assert data.endswith(b"\n")


def test_a_torn_line_is_closed_before_a_name_is_appended(home: Path) -> None:
    (home / "session_index.jsonl").write_bytes(line(TWO, "other") + b'{"id":"torn')
    opened(home).set_name(ONE, "name")
    assert name_of(home, ONE) == "name"
    assert name_of(home, TWO) == "other"


def test_a_change_by_another_program_is_seen_at_once(home: Path) -> None:
    backend = opened(home)
    assert backend.facts([ONE])[ONE].name is None
    for number in range(20):
        with (home / "session_index.jsonl").open("ab") as index:
            index.write(line(ONE, f"name {number}"))
        assert backend.facts([ONE])[ONE].name == f"name {number}"
    (home / "new").write_bytes(line(TWO, "rewritten"))
    os.rename(home / "new", home / "session_index.jsonl")
    assert backend.facts([ONE])[ONE].name is None
    (home / "session_index.jsonl").unlink()
    assert backend.facts([TWO])[TWO].name is None


def test_names_of_many_writers_are_all_kept(home: Path) -> None:
    threads = [IDS.new() for _ in range(8)]

    def write(thread: str) -> None:
        backend = opened(home, QuickFiles())
        for number in range(20):
            backend.set_name(thread, f"{number}")

    writers = [threading.Thread(target=write, args=(thread,)) for thread in threads]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [name_of(home, thread) for thread in threads] == ["19"] * 8
    assert len((home / "session_index.jsonl").read_bytes().splitlines()) == 160


def test_the_index_that_codex_is_writing_is_waited_for(home: Path) -> None:
    """0.169.0 guards it with a lock of its own."""
    with (home / "session_index.jsonl.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        writer = threading.Thread(target=opened(home).set_name, args=(ONE, "waited"))
        writer.start()
        time.sleep(0.1)
        assert not (home / "session_index.jsonl").exists()
    writer.join(60)
    assert name_of(home, ONE) == "waited"


def test_an_index_that_is_never_free_is_an_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_codex, "_INDEX_WAIT_SECONDS", 0.1)
    with (home / "session_index.jsonl.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StorageFailure, match="locked"):
            opened(home).set_name(ONE, "never")
    assert name_of(home, ONE) is None


def test_an_index_that_cannot_be_read_is_told_of(home: Path) -> None:
    class Broken(Files):
        def pread(self, fd: int, size: int, offset: int) -> bytes:
            raise OSError(5, "Input/output error")

    (home / "session_index.jsonl").write_bytes(line(ONE, "name"))
    backend = opened(home, Broken())
    assert backend.facts([ONE])[ONE].name is None
    (told,) = backend.troubles()
    assert "session_index.jsonl cannot be read (Input/output error)" in told
