"""What Codex's database says is read, in whatever state its files are, and nothing of Codex's is changed by that."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.backends.local.homes import IDS, opened, put, rollout_id, tree

from threadkeep.backends import Facts
from threadkeep.backends.local import Files, _codex
from threadkeep.backends.local._codex import CodexIndex

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

OLD_COLUMNS = (
    "id TEXT PRIMARY KEY, rollout_path TEXT NOT NULL, created_at INTEGER, updated_at INTEGER, source TEXT, "
    "model_provider TEXT, cwd TEXT, title TEXT NOT NULL DEFAULT '', archived INTEGER NOT NULL DEFAULT 0, "
    "first_user_message TEXT NOT NULL DEFAULT ''"
)
"""As 0.125.0 has them: no name, no preview, no history mode."""

NEW_COLUMNS = f"{OLD_COLUMNS}, preview TEXT NOT NULL DEFAULT '', history_mode TEXT NOT NULL DEFAULT 'legacy', name TEXT"
"""As 0.149.0 and 0.169.0 have them."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


_WRITER = """
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)  # whoever stands in its way is found out
for line in sys.stdin:
    statement, values = json.loads(line)
    db.execute(statement, values).fetchall()
    print("done", flush=True)
"""


class Codex:
    """A process that holds the database open and writes to it, as Codex does."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, home / "state_5.sqlite"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def execute(self, statement: str, values: Sequence[object] = ()) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([statement, list(values)]) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def close(self) -> None:
        """End as Codex ends."""
        self.process.communicate(timeout=60)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=60)


def database(home: Path, columns: str = NEW_COLUMNS) -> Codex:
    codex = Codex(home)
    codex.execute("PRAGMA journal_mode=WAL")
    codex.execute(f"CREATE TABLE threads ({columns})")
    return codex


def row(db: Codex, thread: str, path: object, **values: Any) -> None:
    values = {"id": thread, "rollout_path": str(path), **values}
    marks = ", ".join("?" * len(values))
    db.execute(f"INSERT OR REPLACE INTO threads ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))


def facts(home: Path, thread: str) -> Facts:
    backend = opened(home)
    found = backend.facts([thread])[thread]
    assert backend.troubles() == []
    backend.close()
    return found


def codex_files(home: Path) -> dict[str, str]:
    return {name: digest for name, digest in tree(home).items() if not name.startswith("threadkeep/")}


@pytest.fixture
def indexed(home: Path) -> Iterator[tuple[Path, str, Codex]]:
    """A home, a paginated thread in it, and the Codex that has it open."""
    path = put(home)
    db = database(home)
    row(db, rollout_id(path), path, name="a name", history_mode="paginated", preview="hello")
    yield home, rollout_id(path), db
    db.close()


def test_a_row_says_name_archive_preview_and_current_rollout(indexed: tuple[Path, str, Codex]) -> None:
    home, thread, db = indexed
    found = facts(home, thread)
    assert (found.indexed, found.name, found.archived, found.preview) == (True, "a name", False, "hello")
    assert found.current is not None
    assert (found.current.rollout_id, found.current.thread_id) == (thread, thread)
    db.execute("UPDATE threads SET archived = 1")
    assert facts(home, thread).archived is True
    assert facts(home, IDS.new()) == Facts()


def test_rows_are_read_again_when_they_change(indexed: tuple[Path, str, Codex]) -> None:
    """One backend, a hundred changes: each is seen at once."""
    home, thread, db = indexed
    backend = opened(home)
    for number in range(100):
        db.execute("UPDATE threads SET name = ?", (f"name {number}",))
        assert backend.facts([thread])[thread].name == f"name {number}"
    backend.close()


def test_rows_are_kept_while_nothing_changes(indexed: tuple[Path, str, Codex], monkeypatch: pytest.MonkeyPatch) -> None:
    home, thread, _ = indexed
    old = time.time() - 10
    for suffix in ("", "-wal"):
        os.utime(home / f"state_5.sqlite{suffix}", (old, old))
    backend = opened(home)
    backend.facts([thread, IDS.new()])
    monkeypatch.setattr(_codex, "_select", lambda *_: pytest.fail("read again"))
    backend.facts([thread])
    backend.close()


def test_rows_that_were_kept_are_dropped_when_something_changes(indexed: tuple[Path, str, Codex]) -> None:
    home, thread, codex = indexed
    old = time.time() - 10
    for suffix in ("", "-wal"):
        os.utime(home / f"state_5.sqlite{suffix}", (old, old))
    backend = opened(home)
    assert backend.facts([thread])[thread].name == "a name"
    codex.execute("UPDATE threads SET name = 'another'")
    assert backend.facts([thread])[thread].name == "another"
    codex.execute("DELETE FROM threads")
    assert not backend.facts([thread])[thread].indexed
    backend.close()


@pytest.mark.parametrize("state", ["running", "killed", "ended", "wal alone", "shm alone"])
def test_no_state_of_the_files_is_changed_by_reading(home: Path, state: str) -> None:
    path = put(home)
    thread = rollout_id(path)
    codex = database(home)
    row(codex, thread, path, name="a name", history_mode="paginated")
    if state == "shm alone":
        codex.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if state == "ended":
        codex.close()
    elif state != "running":
        codex.kill()
    if state == "wal alone":
        (home / "state_5.sqlite-shm").unlink()
    if state == "shm alone":
        (home / "state_5.sqlite-wal").unlink()
    before = codex_files(home)
    assert ("state_5.sqlite-wal" in before) == (state in ("running", "killed", "wal alone"))
    assert ("state_5.sqlite-shm" in before) == (state in ("running", "killed", "shm alone"))
    assert facts(home, thread).name == "a name"
    assert codex_files(home) == before
    if state == "running":
        codex.close()


def test_reading_does_not_stand_in_the_way_of_a_writer(indexed: tuple[Path, str, Codex]) -> None:
    """Codex writes all the time; every answer is one that was true, and Codex never waits."""
    home, thread, db = indexed
    stop = threading.Event()
    answers: list[str | None] = []
    backend = opened(home)

    def read() -> None:
        while not stop.is_set():
            answers.append(backend.facts([thread])[thread].name)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(150):
        db.execute("UPDATE threads SET name = ?", (f"name {number}",))
        if number % 50 == 0:
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")
    stop.set()
    reader.join(60)
    assert backend.facts([thread])[thread].name == "name 149"
    seen = [int(answer.split()[1]) for answer in answers if answer is not None and answer != "a name"]
    assert None not in answers
    assert seen == sorted(seen)
    backend.close()


def test_columns_that_an_older_codex_does_not_have_are_not_missed(home: Path) -> None:
    """0.125.0 keeps a name in ``title``."""
    path = put(home)
    thread = rollout_id(path)
    db = database(home, OLD_COLUMNS)
    row(db, thread, path, title="first words", first_user_message="first words")
    assert facts(home, thread).name is None
    db.execute("UPDATE threads SET title = 'renamed'")
    found = facts(home, thread)
    assert (found.indexed, found.name, found.preview) == (True, "renamed", "first words")
    assert found.current is not None
    db.close()


def test_a_legacy_thread_has_the_name_of_its_title_else_of_the_name_index(home: Path) -> None:
    """Its title is no name while it is what the user said first."""
    path = put(home)
    thread = rollout_id(path)
    db = database(home)
    row(db, thread, path, title="hello", first_user_message="hello", name="ignored")
    assert facts(home, thread).name is None
    (home / "session_index.jsonl").write_text(f'{{"id":"{thread}","thread_name":"indexed","updated_at":"x"}}\n')
    assert facts(home, thread).name == "indexed"
    db.execute("UPDATE threads SET title = 'titled'")
    assert facts(home, thread).name == "titled"
    db.close()


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "{home}/../elsewhere/{name}",
        "{home}/sessions/../../elsewhere/{name}",
        "{home}/config.toml",
        "{home}/threadkeep/rollouts/{name}",
        "sessions/{name}",
        "",
        "{home}/sessions/a\0b/{name}",
        "{home}/sessions/missing/{name}",
    ],
)
def test_a_path_that_leads_out_of_the_home_or_nowhere_is_not_followed(home: Path, path: str) -> None:
    there = put(home)
    thread = rollout_id(there)
    outside = home.parent / "elsewhere" / there.name
    outside.parent.mkdir()
    outside.write_bytes(b"secret\n")
    db = database(home)
    row(db, thread, path.format(home=home, name=there.name))
    found = facts(home, thread)
    assert (found.indexed, found.current) == (True, None)
    db.close()


def test_a_path_to_another_threads_file_is_not_followed(home: Path) -> None:
    path, other = put(home), put(home)
    db = database(home)
    row(db, rollout_id(path), other)
    assert facts(home, rollout_id(path)).current is None
    db.close()


def test_a_path_may_go_through_links_to_the_home(home: Path) -> None:
    """Codex keeps absolute paths; the home may have been reached by another name."""
    path = put(home)
    linked = home.parent / "linked"
    linked.symlink_to(home)
    db = database(home)
    row(db, rollout_id(path), path)
    for way in (home, linked):
        current = facts(way, rollout_id(path)).current
        assert current is not None
        assert current.location == str(path.relative_to(home))
    db.close()


def test_a_path_to_a_rollout_that_was_compressed_leads_to_it(home: Path) -> None:
    """Codex keeps the plain name."""
    path = put(home, pack=True)
    db = database(home)
    row(db, rollout_id(path), path.with_suffix(""))
    current = facts(home, rollout_id(path)).current
    assert current is not None
    assert current.compressed
    db.close()


def trouble(home: Path, thread: str) -> str:
    backend = opened(home)
    facts = backend.facts([thread])[thread]
    (told,) = backend.troubles()
    assert facts == Facts(trouble=told)
    backend.close()
    return told


@pytest.mark.parametrize("content", [b"this is no database", b"", b"SQLite format 3\0" + b"\xff" * 5_000])
def test_a_database_that_cannot_be_read_is_told_of_and_changes_nothing(home: Path, content: bytes) -> None:
    thread = rollout_id(put(home))
    (home / "state_5.sqlite").write_bytes(content)
    before = codex_files(home)
    assert "state_5.sqlite cannot be read" in trouble(home, thread)
    assert codex_files(home) == before


def test_a_database_without_threads_is_told_of(home: Path) -> None:
    thread = rollout_id(put(home))
    db = sqlite3.connect(home / "state_5.sqlite")
    db.execute("CREATE TABLE other (id)")
    db.close()
    assert "no such table" in trouble(home, thread)


def test_a_locked_database_is_copied_and_read(indexed: tuple[Path, str, Codex]) -> None:
    home, thread, db = indexed
    db.execute("PRAGMA locking_mode=EXCLUSIVE")
    db.execute("BEGIN EXCLUSIVE")
    db.execute("UPDATE threads SET archived = 0")
    before = codex_files(home)
    backend = opened(home)
    found = backend.facts([thread])[thread]
    assert found.name == "a name"
    assert backend.troubles() == []
    assert codex_files(home) == before
    db.execute("COMMIT")
    backend.close()


def test_a_database_that_cannot_be_read_is_not_tried_for_every_batch(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "state_5.sqlite").write_bytes(b"this is no database")
    tried = 0
    real = CodexIndex._query_copy

    def counted(self: CodexIndex, work: Any) -> Any:
        nonlocal tried
        tried += 1
        return real(self, work)

    monkeypatch.setattr(CodexIndex, "_query_copy", counted)
    backend = opened(home)
    for _ in range(20):
        backend.facts([IDS.new()])
    assert tried == 1
    assert backend.troubles()
    (home / "state_5.sqlite").unlink()
    database(home).close()
    backend.facts([IDS.new()])
    assert backend.troubles() == []
    backend.close()


def test_one_damaged_text_does_not_hide_the_other_rows(indexed: tuple[Path, str, Codex]) -> None:
    home, thread, db = indexed
    other = IDS.new()
    row(db, other, "/nowhere", history_mode="paginated")
    db.execute("UPDATE threads SET name = CAST(x'ff41' AS TEXT) WHERE id = ?", (other,))
    backend = opened(home)
    found = backend.facts([thread, other])
    assert found[thread].name == "a name"
    assert found[other].name == "\ufffdA"
    backend.close()


def test_values_of_the_wrong_kind_are_passed_over(home: Path) -> None:
    path = put(home)
    db = database(home, "id TEXT, rollout_path, name, title, archived, history_mode")
    db.execute("INSERT INTO threads VALUES (?, 7, x'00', 3.5, NULL, 1)", [rollout_id(path)])
    found = facts(home, rollout_id(path))
    assert (found.indexed, found.name, found.archived, found.current) == (True, None, False, None)
    db.close()


def test_many_threads_are_asked_for_at_once(home: Path) -> None:
    db = database(home)
    threads = [IDS.new() for _ in range(1_200)]
    db.execute("BEGIN")
    for thread in threads:
        row(db, thread, "/nowhere", name=thread, history_mode="paginated")
    db.execute("COMMIT")
    backend = opened(home)
    assert {found.name for found in backend.facts(threads).values()} == set(threads)
    backend.close()
    db.close()


def test_several_threads_of_a_process_ask_at_once(indexed: tuple[Path, str, Codex]) -> None:
    """None of them is told that Codex does not know a thread that it knows."""
    home, thread, db = indexed
    backend = opened(home)
    wrong: list[Facts] = []

    def ask() -> None:
        for _ in range(100):
            found = backend.facts([thread, IDS.new()])[thread]
            if not found.indexed:
                wrong.append(found)

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    for number in range(50):
        db.execute("UPDATE threads SET name = ?", (f"name {number}",))
    for asker in askers:
        asker.join(60)
    assert wrong == []
    backend.close()


@pytest.mark.parametrize("how", ["config", "relative", "environment", "other home", "broken"])
def test_the_databases_may_lie_elsewhere(home: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    elsewhere = home / "databases"
    elsewhere.mkdir()
    database(elsewhere).close()
    path = put(home)
    db = Codex(elsewhere)
    row(db, rollout_id(path), path, name="elsewhere", history_mode="paginated")
    db.close()
    monkeypatch.delenv("CODEX_SQLITE_HOME", raising=False)
    monkeypatch.delenv("CODEX_HOME", raising=False)
    if how == "config":
        (home / "config.toml").write_text(f'sqlite_home = "{elsewhere}"\n')
    elif how == "relative":
        (home / "config.toml").write_text('sqlite_home = "databases"\n')
    elif how == "broken":
        (home / "config.toml").write_text("sqlite_home = = =\n")
    else:
        monkeypatch.setenv("CODEX_SQLITE_HOME", str(elsewhere))
        monkeypatch.setenv("CODEX_HOME", str(home / "." if how == "environment" else home.parent))
    expected = None if how in ("other home", "broken") else "elsewhere"
    assert facts(home, rollout_id(path)).name == expected


def test_a_home_shows_whether_codex_uses_it(home: Path) -> None:
    assert not opened(home.parent / "not there").shared_with_codex
    for sign in ("state_5.sqlite", "config.toml", "auth.json", "installation_id", "history.jsonl"):
        used = home / sign
        used.mkdir()
        assert not opened(used).shared_with_codex
        (used / sign).touch()
        assert opened(used).shared_with_codex


def test_reading_lists_and_files_changes_nothing_of_codex(indexed: tuple[Path, str, Codex]) -> None:
    """Everything that a reader asks, on a home that Codex is using."""
    home, thread, _ = indexed
    (home / "session_index.jsonl").write_text("{}\n")
    (home / "config.toml").write_text("model = 'm'\n")
    before = codex_files(home)
    backend = opened(home, Files())
    backend.find(thread)
    backend.rollouts_of(thread)
    list(backend.stats())
    list(backend.by_creation(descending=True, after=None))
    backend.with_prefix(thread[:8], 5)
    backend.facts([thread])
    backend.marks(thread)
    backend.marked()
    list(backend.pins())
    assert backend.shared_with_codex
    backend.close()
    assert codex_files(home) == before
