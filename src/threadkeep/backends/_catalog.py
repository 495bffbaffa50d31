"""The catalog: SQLite rows derived from rollouts. Disposable: it makes lists and totals fast and decides nothing.

Three tables of opaque rows, each checked by its reader against the rollout that it was derived from, and two of a
backend's own. A catalog that cannot be opened, is damaged, or was written by another version is thrown away and made
anew; where that does not help (the home cannot be written to, the disk is full, somebody holds it) it lives in memory.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import weakref
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

__all__ = ["CATALOG_VERSION", "Catalog"]

CATALOG_VERSION: Final = 5
"""Changes whenever a row's meaning changes: older catalogs are then made anew."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS rows (rollout_id TEXT PRIMARY KEY, stamp TEXT NOT NULL, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS totals (rollout_id TEXT, until INTEGER, data BLOB NOT NULL,
  PRIMARY KEY (rollout_id, until)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS boundaries (rollout_id TEXT, until INTEGER, stamp TEXT NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY (rollout_id, until)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS folders (path TEXT PRIMARY KEY, changed_ns INTEGER NOT NULL, scanned_ns INTEGER NOT NULL)
  WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS names (path TEXT PRIMARY KEY, folder TEXT NOT NULL, thread_id TEXT NOT NULL,
  rollout_id TEXT NOT NULL, created_ms INTEGER NOT NULL, archived INTEGER NOT NULL, compressed INTEGER NOT NULL)
  WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS names_by_thread ON names (thread_id);
CREATE INDEX IF NOT EXISTS names_by_rollout ON names (rollout_id);
CREATE INDEX IF NOT EXISTS names_by_folder ON names (folder);
CREATE INDEX IF NOT EXISTS names_by_creation ON names (created_ms, thread_id);
"""

_TABLES: Final = ("rows", "totals", "boundaries", "folders", "names")
_OF_A_ROLLOUT: Final = ("rows", "totals", "boundaries")

_BATCH: Final = 500

_BUSY_SECONDS: Final = 5.0

_UNDECODABLE: Final = "Could not decode to UTF-8"
"""What Python's own ``sqlite3`` says of a damaged text: damage, though it comes as an `sqlite3.OperationalError`."""

_PREFIXES: Final = 16
"""Of how many prefixes of one rollout totals are kept: its end, and where children branched off last."""

T = TypeVar("T")


class Catalog:
    """Rows by rollout id.

    Args:
        path: The SQLite file; None for one in memory.

    Attributes:
        emptied: How often rows may have been lost: whoever remembers what is in the catalog reads it again then.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._lock = threading.RLock()
        self.emptied = 0
        self._connection = self._opened()

    @property
    def in_memory(self) -> bool:
        """Whether the rows are gone when the store is closed."""
        return self._path is None

    def _opened(self) -> sqlite3.Connection:
        self.emptied += 1
        if self._path is not None:
            for attempt in range(2):
                try:
                    return self._connect(self._path)
                except (sqlite3.DatabaseError, UnicodeDecodeError):  # the latter: damage quoted in SQLite's message
                    if attempt == 0:
                        self._discard(self._path)
                except OSError:
                    break
        self._path = None
        return self._connect(":memory:")

    def _connect(self, path: str) -> sqlite3.Connection:
        if path != ":memory:":
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            # A power cut may cost the newest rows, which are derived again; it must not damage older ones in silence.
            connection.execute("PRAGMA synchronous=NORMAL")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, CATALOG_VERSION):
                raise sqlite3.DatabaseError(f"catalog version {version}")
            connection.executescript(_SCHEMA)
            connection.execute(f"PRAGMA user_version={CATALOG_VERSION:d}")
        except BaseException:
            connection.close()
            raise
        weakref.finalize(self, connection.close)  # a store that nobody closed leaves no open database behind
        return connection

    @staticmethod
    def _discard(path: str) -> None:
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                os.unlink(path + suffix)

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do ``work`` on the connection, alone; where it fails, do it again on a catalog that was made anew."""
        with self._lock:
            try:
                return work(self._connection)
            except (sqlite3.Error, UnicodeDecodeError) as error:
                self._connection.close()
                self._renew(error)
                self._connection = self._opened()
            try:
                return work(self._connection)
            except (sqlite3.Error, UnicodeDecodeError):
                # Rows are a convenience: whatever is wrong with the file, go on without it.
                self._connection.close()
                self._path = None
                self._connection = self._opened()
            return work(self._connection)

    def _renew(self, error: sqlite3.Error | UnicodeDecodeError) -> None:
        """Decide what the connection is opened to next."""
        if isinstance(error, sqlite3.OperationalError) and _UNDECODABLE not in str(error):
            if "locked" in str(error) or "busy" in str(error):
                self._path = None  # somebody's long transaction
        elif self._path is not None:
            self._discard(self._path)

    def rows(self, rollout_ids: Sequence[str]) -> dict[str, tuple[str, bytes]]:
        """(stamp, data) of the rollouts that have a row."""

        def work(db: sqlite3.Connection) -> dict[str, tuple[str, bytes]]:
            found: dict[str, tuple[str, bytes]] = {}
            for start in range(0, len(rollout_ids), _BATCH):
                batch = rollout_ids[start : start + _BATCH]
                marks = ",".join("?" * len(batch))
                query = f"SELECT rollout_id, stamp, data FROM rows WHERE rollout_id IN ({marks})"  # noqa: S608
                rows = db.execute(query, batch)
                found.update({key: (stamp, data) for key, stamp, data in rows if isinstance(data, bytes)})
            return found

        return self.run(work)

    def put_rows(self, rows: Iterable[tuple[str, str, bytes]]) -> None:
        """Keep (rollout id, stamp, data) rows."""
        kept = list(rows)

        def work(db: sqlite3.Connection) -> None:
            with transaction(db):
                db.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", kept)

        if kept:
            self.run(work)

    def totals(self, rollout_id: str, until: int) -> tuple[int, bytes] | None:
        """The totals of the longest prefix of a rollout that does not reach beyond ``until``: (its end, data)."""

        def work(db: sqlite3.Connection) -> tuple[int, bytes] | None:
            row: tuple[int, bytes] | None = db.execute(
                "SELECT until, data FROM totals WHERE rollout_id = ? AND until <= ? ORDER BY until DESC LIMIT 1",
                (rollout_id, until),
            ).fetchone()
            return row if row is not None and isinstance(row[1], bytes) else None

        return self.run(work)

    def put_totals(self, rollout_id: str, until: int, data: bytes) -> None:
        """Keep the totals of ``rollout[:until]``; of one rollout the longest prefixes are kept."""

        def work(db: sqlite3.Connection) -> None:
            with transaction(db):
                db.execute("INSERT OR REPLACE INTO totals VALUES (?, ?, ?)", (rollout_id, until, data))
                db.execute(
                    "DELETE FROM totals WHERE rollout_id = ?1 AND until NOT IN "
                    "(SELECT until FROM totals WHERE rollout_id = ?1 ORDER BY until DESC LIMIT ?2)",
                    (rollout_id, _PREFIXES),
                )

        self.run(work)

    def boundary(self, rollout_id: str, until: int) -> tuple[str, bytes] | None:
        """(stamp, data) of the boundary at ``until`` in a rollout."""

        def work(db: sqlite3.Connection) -> tuple[str, bytes] | None:
            row: tuple[str, bytes] | None = db.execute(
                "SELECT stamp, data FROM boundaries WHERE rollout_id = ? AND until = ?", (rollout_id, until)
            ).fetchone()
            return row if row is not None and isinstance(row[1], bytes) else None

        return self.run(work)

    def put_boundaries(self, rows: Iterable[tuple[str, int, str, bytes]]) -> None:
        """Keep (rollout id, where the boundary is, stamp, data) rows."""
        kept = list(rows)

        def work(db: sqlite3.Connection) -> None:
            with transaction(db):
                db.executemany("INSERT OR REPLACE INTO boundaries VALUES (?, ?, ?, ?)", kept)

        if kept:
            self.run(work)

    def forget(self, rollout_id: str) -> None:
        """Drop what is known of a rollout."""

        def work(db: sqlite3.Connection) -> None:
            with transaction(db):
                for table in _OF_A_ROLLOUT:
                    db.execute(f"DELETE FROM {table} WHERE rollout_id = ?", (rollout_id,))  # noqa: S608

        self.run(work)

    def clear(self) -> None:
        """Drop everything."""
        self.emptied += 1

        def work(db: sqlite3.Connection) -> None:
            with transaction(db):
                for table in _TABLES:
                    db.execute(f"DELETE FROM {table}")  # noqa: S608

        self.run(work)

    def compact(self) -> bool:
        """Let nothing of what was dropped stay behind in the file; False where another user of it forbids that."""
        path = self._path

        def work(db: sqlite3.Connection) -> None:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

        self.run(work)
        return self._path == path

    def sizes(self) -> Mapping[str, int]:
        """How many rows each table has."""

        def work(db: sqlite3.Connection) -> Mapping[str, int]:
            return {
                table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
                for table in _TABLES
            }

        return self.run(work)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()


@contextlib.contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
