"""SQLite files from outside: threadkeep's catalog, which decides nothing, and Codex's state, which is only believed."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from typing import TYPE_CHECKING, Any, Final

import msgspec
from tests.faults.fuzz_ground import BrokenPromise, Ground, everything, opened, promises
from tests.faults.fuzz_seeds import SECRET, THREADS, rollout_file

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["catalogs", "codex_states", "run_catalog", "run_codex_state"]

_KNOWN: Final = THREADS[1:4]

_NEVER: Final = ("attach", "vacuum", "load_extension", "writefile", "recursive")
"""Words of SQL that would have the test itself leave the home, or never end."""


def _home(ground: Ground) -> None:
    for thread, mode in zip(_KNOWN, ("paginated", "legacy", "paginated"), strict=True):
        ground.put_thread(thread, mode, text=f"thread {thread[-1]}")
        name, data = rollout_file(thread, mode, text=SECRET)
        with open(os.path.join(ground.outside, name), "wb") as file:
            file.write(data)


def _served(ground: Ground) -> dict[str, Any]:
    with promises(ground), opened(ground) as store:
        return everything(store, _KNOWN)


_EXPECTED: dict[str, Any] = {}


def _expected() -> dict[str, Any]:
    """The turns of the threads where nothing else is in the home."""
    if not _EXPECTED:
        with Ground.fresh() as ground:
            _home(ground)
            with opened(ground) as store:
                _EXPECTED.update(everything(store, _KNOWN))
    return _EXPECTED


def run_catalog(data: bytes) -> None:
    """A catalog of any bytes, or the real one after some SQL: history is what the rollouts say, and nothing else."""
    expected = _expected()
    with Ground.fresh() as ground:
        _home(ground)
        path = os.path.join(ground.home, "threadkeep", "catalog.sqlite")
        if data[:2] in (b'["', b'[["'[:2]):
            with opened(ground) as store:
                everything(store, _KNOWN)
            _altered(path, data)
        else:
            ground.put("threadkeep/catalog.sqlite", data)
        served = _served(ground)
    for thread in _KNOWN:
        if served[thread] != expected[thread]:
            raise BrokenPromise(f"a catalog changed what thread {thread} says: {_short(served[thread])}")
    if served.keys() != expected.keys():
        raise BrokenPromise(f"a catalog changed which threads there are: {sorted(served)}")


def _short(turns: Any) -> str:
    return msgspec.json.encode(turns).decode()[:200]


def _altered(path: str, data: bytes) -> None:
    """Do what an input says to a database; what SQLite refuses is left out."""
    try:
        statements = json.loads(data)
    except (ValueError, RecursionError):
        return
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in statements if isinstance(statements, list) else ():
            _do(db, statement)
        with contextlib.suppress(sqlite3.Error):
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _do(db: sqlite3.Connection, statement: Any) -> None:
    text, values = statement if isinstance(statement, list) and len(statement) == 2 else (statement, [])
    if not isinstance(text, str) or not isinstance(values, list) or any(word in text.lower() for word in _NEVER):
        return
    with contextlib.suppress(sqlite3.Error, sqlite3.Warning, ValueError, OverflowError, UnicodeError):
        db.execute(text, [value if isinstance(value, int | float | str | None) else repr(value) for value in values])


def _said(*statements: Any) -> bytes:
    return json.dumps(list(statements)).encode()


_SETTLED: Final = "UPDATE folders SET scanned_ns = scanned_ns + 1000000000000"
"""Makes the names in a catalog count as seen long after their folders changed last: nothing reads the folders again."""


def catalogs() -> Sequence[bytes]:
    """Catalogs that were damaged, and ones that lie."""
    with Ground.fresh() as ground:
        _home(ground)
        with opened(ground) as store:
            everything(store, _KNOWN)
        with open(os.path.join(ground.home, "threadkeep", "catalog.sqlite"), "rb") as file:
            whole = file.read()
    up = f"../outside/rollout-2026-11-22T16-54-20-{THREADS[-1]}.jsonl"
    into = "INSERT OR REPLACE INTO names VALUES (?, ?, ?, ?, ?, ?, ?)"
    return [
        whole,
        whole[: len(whole) // 2],
        whole[:4096] + bytes(len(whole) - 4096),
        b"SQLite format 3\x00" + bytes(100),
        b"",
        b"no database",
        _said(_SETTLED, ["UPDATE names SET path = ?", [up]]),
        _said(_SETTLED, [into, [up, "sessions/2026/11/22", THREADS[1], THREADS[1], 1, 0, 0]]),
        _said(_SETTLED, [into, [f"sessions/../{up}", "sessions/2026/11/22", THREADS[-1], THREADS[-1], 1, 0, 0]]),
        _said(_SETTLED, ["UPDATE names SET thread_id = ?", [THREADS[3]]]),
        _said(_SETTLED, ["UPDATE names SET rollout_id = ?, thread_id = ?", [THREADS[1], THREADS[1]]]),
        _said(_SETTLED, ["UPDATE names SET created_ms = ?", ["never"]]),
        _said(_SETTLED, ["UPDATE names SET created_ms = ?, compressed = ?", [2**62, 1]]),
        _said(_SETTLED, ["DELETE FROM names", []]),
        _said(_SETTLED, "UPDATE folders SET changed_ns = 'x', scanned_ns = zeroblob(9)"),
        _said(_SETTLED, "INSERT INTO folders VALUES ('../outside', 1, 1)"),
        _said(_SETTLED, ["UPDATE rows SET data = ?", ["[]"]], ["UPDATE rows SET data = ?", [None]]),
        _said(
            _SETTLED,
            "UPDATE rows SET data = x'00'",
            "UPDATE totals SET data = x'7b7d'",
            "UPDATE boundaries SET data = 'x'",
        ),
        _said(_SETTLED, "UPDATE rows SET stamp = 5, data = 7"),
        _said(_SETTLED, "UPDATE totals SET until = 1"),
        _said(_SETTLED, ["UPDATE totals SET until = 'x', data = ?", ["{}"]]),
        _said(_SETTLED, "DROP TABLE names"),
        _said(_SETTLED, "DROP TABLE names", "CREATE TABLE names (a)"),
        _said(_SETTLED, "DROP TABLE rows", "CREATE VIEW rows AS SELECT 1 AS rollout_id, 2 AS stamp, 3 AS data"),
        _said(_SETTLED, "CREATE TRIGGER t AFTER INSERT ON rows BEGIN DELETE FROM names; END"),
        _said(_SETTLED, "PRAGMA user_version = 99"),
        _said(_SETTLED, "PRAGMA user_version = 0"),
        _said(_SETTLED, "PRAGMA encoding = 'UTF-16'", "UPDATE names SET folder = x'ff'"),
        _said(_SETTLED, "UPDATE names SET path = x'ff', folder = 3.5"),
    ]


_STATE: Final = (
    "CREATE TABLE threads (id TEXT PRIMARY KEY, rollout_path TEXT, archived INTEGER, name TEXT, title TEXT, "
    "first_user_message TEXT, history_mode TEXT, preview TEXT)"
)


def run_codex_state(data: bytes) -> None:
    """Codex's state of any bytes, or after some SQL: it may say where a thread is, and never what it says."""
    expected = _expected()
    with Ground.fresh() as ground:
        _home(ground)
        if data[:2] in (b'["', b"[["):
            _altered(os.path.join(ground.home, "state_5.sqlite"), data.replace(b"HOME", ground.home.encode()))
        else:
            ground.put("state_5.sqlite", data)
        served = _served(ground)
    for thread in _KNOWN:
        if served[thread] is not None and served[thread] != expected[thread]:
            raise BrokenPromise(f"Codex's state changed what thread {thread} says: {_short(served[thread])}")


def codex_states() -> Sequence[bytes]:
    """States that are sound, of another version, and that lie."""
    row = "INSERT INTO threads VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    here = f"HOME/sessions/2026/11/22/rollout-2026-11-22T16-54-20-{THREADS[1]}.jsonl"
    up = f"HOME/../outside/rollout-2026-11-22T16-54-20-{THREADS[-1]}.jsonl"

    def one(path: Any, archived: Any = 0, name: Any = "n", mode: Any = "paginated") -> list[Any]:
        return [row, [THREADS[1], path, archived, name, "t", "f", mode, "p"]]

    with Ground.fresh() as ground:
        path = os.path.join(ground.root, "state.sqlite")
        _altered(path, _said(_STATE, one(here)))
        with open(path, "rb") as file:
            whole = file.read()
    return [
        whole,
        whole[:5000],
        whole[:4096] + b"\xff" * (len(whole) - 4096),
        b"",
        b"no database",
        _said(_STATE, one(here)),
        _said(_STATE, one(here, 1, "a\x00b", "legacy")),
        _said(_STATE, one(up)),
        _said(_STATE, one(up.replace(THREADS[-1], THREADS[1]))),
        _said(_STATE, one(f"HOME/sessions/../../outside/{os.path.basename(up)}")),
        _said(_STATE, one(here.replace(THREADS[1], THREADS[2]))),
        _said(_STATE, one(5, "x", 7.5, None)),
        _said(_STATE, one("\x00"), "UPDATE threads SET name = x'ff', title = x'c3'"),
        _said(_STATE, one("relative/path"), [row, [THREADS[2], here, 0, None, None, None, None, None]]),
        _said("CREATE TABLE threads (id, nothing)", "INSERT INTO threads VALUES (1, 2)"),
        _said("CREATE TABLE threads (id INTEGER, rollout_path BLOB)", "INSERT INTO threads VALUES (x'00', x'ff')"),
        _said("CREATE VIEW threads AS SELECT 1 AS id, 2 AS rollout_path"),
        _said("CREATE TABLE other (a)"),
        _said(_STATE, "PRAGMA journal_mode = WAL", one(here)),
    ]
