"""What Codex's own files say of a thread: read, never written.

``state_5.sqlite`` holds a row for each thread that Codex has indexed (``storage.md`` 6), ``session_index.jsonl`` the
names that were set. How the database is opened without changing a byte of Codex's files was tried on 0.169.0: with a
WAL and its index present, read-only with a read-only index; with neither, immutable, and checked again afterwards;
anything between is a passing state and is looked at again.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from threadkeep.backends.local._files import Files
    from threadkeep.backends.local._folders import Folders

__all__ = ["CODEX_SIGNS", "CodexIndex", "CodexRow", "NameIndex"]

STATE_FILE: Final = "state_5.sqlite"
INDEX_FILE: Final = "session_index.jsonl"

CODEX_SIGNS: Final = (STATE_FILE, "config.toml", "auth.json", "installation_id", "history.jsonl")
"""Files that show that Codex uses a home."""

_WANTED: Final = ("rollout_path", "archived", "name", "title", "first_user_message", "history_mode", "preview")
_TRIES: Final = 5
_PAUSE_SECONDS: Final = 0.02
_BATCH: Final = 500
_CONFIG_LIMIT: Final = 1 << 20
_INDEX_LIMIT: Final = 256 * 1024 * 1024

_INDEX_WAIT_SECONDS: Final = 5.0
_BUSY_SECONDS: Final = 0.5
"""How long a locked database is waited for, each time it is tried."""

_GIVEN_UP_SECONDS: Final = 5.0
"""How long a database that could not be read is left alone, unless it changes."""

_RACY_NS: Final = 100_000_000
"""A database that changed this shortly before it was read may change again within the same tick of its clock."""

T = TypeVar("T")

Signature = tuple[tuple[int, int, int] | None, ...]


class CodexRow(msgspec.Struct, frozen=True):
    """One row of Codex's ``threads`` table, as far as threadkeep reads it; columns that are not there are None."""

    id: str
    rollout_path: str | None = None
    archived: bool = False
    name: str | None = None
    title: str | None = None
    first_user_message: str | None = None
    history_mode: str | None = None
    preview: str | None = None


class CodexIndex:
    """Codex's thread rows. Rows once read are kept until the database changes.

    Attributes:
        trouble: Why the database could not be read, for people; None where it could, or where there is none.
    """

    def __init__(self, files: Files, home: str) -> None:
        self._files = files
        self._path = os.path.join(_sqlite_home(files, home), STATE_FILE)
        self._lock = threading.Lock()
        self._signature: Signature | None = None
        self._rows: dict[str, CodexRow | None] = {}
        self._given_up: tuple[Signature, float] | None = None
        self.trouble: str | None = None

    def rows(self, thread_ids: Sequence[str]) -> dict[str, CodexRow]:
        """The rows of these threads, without those that have none.

        A database that cannot be read counts as absent, and `trouble` says why.
        """
        with self._lock:
            signature = self._signed()
            if signature[0] is None:
                self.trouble, self._rows = None, {}
                return {}
            if signature != self._signature:
                self._rows = {}
            missing = [thread_id for thread_id in dict.fromkeys(thread_ids) if thread_id not in self._rows]
            if missing:
                if self._given_up is not None and self._given_up[0] == signature:
                    if time.monotonic() < self._given_up[1]:
                        return {}
                    self._given_up = None
                read_at = time.time_ns()
                found = self._query(lambda db: _select(db, missing))
                if found is None:
                    self._given_up = (signature, time.monotonic() + _GIVEN_UP_SECONDS)
                    return {}
                self._rows.update((thread_id, found.get(thread_id)) for thread_id in missing)
                self._signature = signature if _settled(signature, read_at) else None
            return {key: row for key in thread_ids if (row := self._rows.get(key)) is not None}

    def paths(self) -> dict[str, str]:
        """The path of every thread's current rollout, as Codex keeps it; empty where there is no database to read."""
        if self._signed()[0] is None:
            return {}

        def work(db: sqlite3.Connection) -> dict[str, str]:
            rows = db.execute("SELECT id, rollout_path FROM threads")
            texts = ((thread, path) for thread, path in rows if isinstance(thread, str) and isinstance(path, str))
            return {thread: path for thread, path in texts if "\0" not in path}  # such a path leads nowhere

        return self._query(work) or {}

    def _signed(self) -> Signature:
        return tuple(self._facts(self._path + suffix) for suffix in ("", "-wal"))

    def _facts(self, path: str) -> tuple[int, int, int] | None:
        try:
            facts = self._files.stat(path)
        except OSError:
            return None
        if not stat.S_ISREG(facts.st_mode):  # SQLite would wait for a pipe, and no alarm would wake it
            return None
        return facts.st_ino, facts.st_size, facts.st_mtime_ns

    def _query(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        self.trouble = None
        problem = "it kept changing while it was read"
        for _ in range(_TRIES):
            wal, shm = (self._facts(self._path + suffix) is not None for suffix in ("-wal", "-shm"))
            if wal != shm:
                time.sleep(_PAUSE_SECONDS)
                continue
            before = self._signed()
            try:
                result = self._run(work, "mode=ro&readonly_shm=1" if wal else "mode=ro&immutable=1")
            except sqlite3.Error as error:
                problem = str(error)
                time.sleep(_PAUSE_SECONDS)
                continue
            if wal or before == self._signed():
                return result
        try:
            return self._query_copy(work)
        except (sqlite3.Error, OSError) as error:
            self.trouble = (
                f"{self._path} cannot be read ({problem}; {error}): names and states set through Codex may be missing"
            )
            return None

    def _run(self, work: Callable[[sqlite3.Connection], T], mode: str, path: str | None = None) -> T:
        from urllib.parse import quote

        uri = f"file:{quote(path or self._path)}?{mode}"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)) as db:
            db.text_factory = _lenient
            try:
                return work(db)
            except UnicodeDecodeError as error:  # damage that SQLite quotes in its own message
                raise sqlite3.DatabaseError("it is damaged") from error

    def _query_copy(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """As the last resort, ask a private copy of the database and its WAL."""
        import shutil
        import tempfile

        with tempfile.TemporaryDirectory(prefix="threadkeep-") as folder:
            copy = os.path.join(folder, STATE_FILE)
            for _ in range(_TRIES):
                before = self._signed()
                shutil.copyfile(self._path, copy)
                with contextlib.suppress(FileNotFoundError):
                    shutil.copyfile(self._path + "-wal", copy + "-wal")
                if before == self._signed():
                    return self._run(work, "mode=rw", copy)
            raise sqlite3.OperationalError("it changed while it was copied")


def _lenient(data: bytes) -> str:
    """One damaged text must not hide every other row."""
    return data.decode("utf-8", "replace")


def _settled(signature: Signature, read_at: int) -> bool:
    return all(facts is None or facts[2] + _RACY_NS < read_at for facts in signature)


def _columns(db: sqlite3.Connection) -> set[str]:
    return {row[1] for row in db.execute("PRAGMA table_info(threads)")}


def _select(db: sqlite3.Connection, thread_ids: Sequence[str]) -> dict[str, CodexRow]:
    columns = [column for column in _WANTED if column in _columns(db)]
    found: dict[str, CodexRow] = {}
    for start in range(0, len(thread_ids), _BATCH):
        batch = thread_ids[start : start + _BATCH]
        query = f"SELECT {', '.join(('id', *columns))} FROM threads WHERE id IN ({','.join('?' * len(batch))})"  # noqa: S608
        for row in db.execute(query, batch):
            values: dict[str, Any] = dict(zip(("id", *columns), row, strict=True))
            values["archived"] = bool(values.get("archived"))
            found[row[0]] = CodexRow(
                **{key: value if key == "archived" else _text(value) for key, value in values.items()}
            )
    return found


def _text(value: Any) -> Any:
    return value if isinstance(value, str) else None


def _sqlite_home(files: Files, home: str) -> str:
    """Where Codex keeps its databases: ``CODEX_SQLITE_HOME``, else ``sqlite_home`` of the home's configuration."""
    override = os.environ.get("CODEX_SQLITE_HOME")
    if override and os.path.realpath(home) == os.path.realpath(_codex_home()):
        return override
    with contextlib.suppress(OSError, UnicodeDecodeError, ValueError, RecursionError):
        text = files.read_file(os.path.join(home, "config.toml"), _CONFIG_LIMIT).decode()
        if "sqlite_home" in text:
            import tomllib

            stated = tomllib.loads(text).get("sqlite_home")
            if isinstance(stated, str) and stated:
                return os.path.join(home, os.path.expanduser(stated))
    return home


def _codex_home() -> str:
    """The home that the environment's variables are meant for."""
    return os.environ.get("CODEX_HOME") or os.path.expanduser("~/.codex")


class _Line(msgspec.Struct):
    id: str
    thread_name: str
    updated_at: str


class NameIndex:
    """``session_index.jsonl``: the names that were set, the last line of a thread wins (``storage.md`` 1.3)."""

    def __init__(self, files: Files, folders: Folders, home: str) -> None:
        self._files = files
        self._folders = folders
        self._home = home
        self.path = os.path.join(home, INDEX_FILE)
        self._lock = threading.Lock()
        self._named = False
        self._signature: tuple[int, int, int] | None = None
        self._names: dict[str, str] = {}
        self.trouble: str | None = None

    def names(self) -> dict[str, str]:
        """Thread ids and their names; a cleared name is empty.

        Lines that cannot be read are skipped; of a file that cannot be read `trouble` says why.
        """
        with self._lock:
            try:
                facts = self._files.stat(self.path)
                signature = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
                if signature != self._signature:
                    self._names = self._read()
                    self._signature = signature
                self.trouble = None
            except FileNotFoundError:
                self._signature, self._names, self.trouble = None, {}, None
            except OSError as error:
                self._signature, self._names = None, {}
                self.trouble = f"{self.path} cannot be read ({error.strerror}): names may be missing"
            return self._names

    def _read(self) -> dict[str, str]:
        names: dict[str, str] = {}
        decode = msgspec.json.Decoder(_Line).decode
        for line in self._files.read_file(self.path, _INDEX_LIMIT).split(b"\n"):
            with contextlib.suppress(msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
                entry = decode(line)
                names[entry.id] = entry.thread_name
        return names

    def append(self, thread_id: str, name: str, updated_at: str) -> None:
        """Set a name the way Codex does: one line, under the index's own lock, flushed."""
        line = msgspec.json.encode({"id": thread_id, "thread_name": name, "updated_at": updated_at}) + b"\n"
        self._folders.make(self._home, durable=True)
        lock = self._files.open(self.path + ".lock", os.O_RDWR | os.O_CREAT)
        try:
            deadline = time.monotonic() + _INDEX_WAIT_SECONDS
            while not self._files.flock(lock, exclusive=True):
                if time.monotonic() > deadline:
                    raise OSError(11, "the name index is locked by another process", self.path)
                time.sleep(_PAUSE_SECONDS)
            fd = self._files.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
            try:
                size = self._files.fstat(fd).st_size
                torn = size > 0 and self._files.pread(fd, 1, size - 1) != b"\n"
                self._files.write_all(fd, b"\n" + line if torn else line)
                self._files.flush(fd)
            finally:
                self._files.close(fd)
            if not self._named:
                self._files.sync_folder(self._home)
                self._named = True
        finally:
            self._files.close(lock)
