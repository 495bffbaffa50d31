"""Which rollouts a home holds, by name: kept in the catalog and refreshed by what the folders' times say changed.

A folder's time changes when a name is added or removed, never when a file grows. So one ``stat`` a folder tells
whether its names are still the ones that were seen, and no file is opened or looked at.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from typing import TYPE_CHECKING, Final

from threadkeep.backends._catalog import transaction
from threadkeep.backends._protocol import RolloutRef, RolloutStat
from threadkeep.backends.local._layout import ARCHIVED, PLACES, RolloutName, candidate_days, parse_name
from threadkeep.ids import timestamp_ms

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from threadkeep.backends._catalog import Catalog
    from threadkeep.backends.local._files import Files

__all__ = ["Names"]

_RACY_NS: Final = 2_000_000_000
"""A folder that changed this shortly before it was read may have changed again within the same tick of its clock."""

_MAX_DEPTH: Final = 8
_PAGE: Final = 200


class Names:
    """The rollouts of a home by thread, by id and by creation."""

    def __init__(self, files: Files, home: str, catalog: Catalog) -> None:
        self._files = files
        self._home = home
        self._catalog = catalog
        self._lock = threading.Lock()
        self._folders: dict[str, tuple[int, int]] | None = None

    # Reading folders

    def refresh(self) -> None:
        """Look at every folder's time, and read again those that changed."""
        with self._lock:
            if self._folders is None:
                self._folders = self._catalog.run(
                    lambda db: {
                        path: (m, s) for path, m, s in db.execute("SELECT path, mtime_ns, scanned_ns FROM folders")
                    }
                )
            known = self._folders
            seen: set[str] = set()
            changed: dict[str, tuple[int, int, list[tuple[str, RolloutName]]]] = {}
            identities: set[tuple[int, int]] = set()
            children: dict[str, list[str]] = {}
            for path in known:
                children.setdefault(os.path.dirname(path), []).append(path)
            pending = [(place, 0) for place in PLACES]
            while pending:
                folder, depth = pending.pop()
                try:
                    facts = self._files.stat(os.path.join(self._home, folder))
                except (FileNotFoundError, NotADirectoryError):
                    continue
                if (facts.st_dev, facts.st_ino) in identities:
                    continue  # a symbolic link that leads round in a circle
                identities.add((facts.st_dev, facts.st_ino))
                seen.add(folder)
                before = known.get(folder)
                if before is not None and before[0] == facts.st_mtime_ns and before[0] + _RACY_NS < before[1]:
                    pending += [(child, depth + 1) for child in children.get(folder, ())]
                    continue
                now = time.time_ns()
                names: list[tuple[str, RolloutName]] = []
                for entry in self._files.scandir(os.path.join(self._home, folder)):
                    name = parse_name(entry.name)
                    if name is not None:
                        names.append((entry.name, name))
                    elif depth < _MAX_DEPTH and _is_folder(entry):
                        pending.append((f"{folder}/{entry.name}", depth + 1))
                changed[folder] = (facts.st_mtime_ns, now, names)
            gone = [folder for folder in known if folder not in seen]
            if changed or gone:
                self._store(changed, gone)
                for folder, (mtime, scanned, _) in changed.items():
                    known[folder] = (mtime, scanned)
                for folder in gone:
                    del known[folder]

    def _store(self, changed: dict[str, tuple[int, int, list[tuple[str, RolloutName]]]], gone: list[str]) -> None:
        def work(db: sqlite3.Connection) -> None:
            with transaction(db):
                for folder in (*changed, *gone):
                    db.execute("DELETE FROM names WHERE folder = ?", (folder,))
                db.executemany("DELETE FROM folders WHERE path = ?", [(folder,) for folder in gone])
                for folder, (mtime, scanned, names) in changed.items():
                    archived = int(folder == ARCHIVED or folder.startswith(f"{ARCHIVED}/"))
                    db.execute("INSERT OR REPLACE INTO folders VALUES (?, ?, ?)", (folder, mtime, scanned))
                    db.executemany(
                        "INSERT OR REPLACE INTO names VALUES (?, ?, ?, ?, ?, ?, ?)",
                        [
                            (
                                f"{folder}/{file}",
                                folder,
                                name.thread_id,
                                name.rollout_id,
                                _created_ms(name),
                                archived,
                                int(name.compressed),
                            )
                            for file, name in _plain_wins(names)
                        ],
                    )

        self._catalog.run(work)

    # Asking

    def of_thread(self, thread_id: str) -> list[RolloutRef]:
        """Every rollout of a thread, oldest id first."""
        self.refresh()
        return self._select("thread_id = ? ORDER BY rollout_id, archived, path", thread_id)

    def find(self, rollout_id: str) -> RolloutRef | None:
        """The rollout of this id: where it was last seen, else in the folders of its day, else in the archive.

        Only when it is in none of these are all folders looked at.
        """
        for ref in self._select("rollout_id = ? ORDER BY archived, path", rollout_id):
            if self._files.exists(os.path.join(self._home, ref.location)):
                return ref
        folders = [f"{PLACES[0]}/{day}" for day in candidate_days(rollout_id)]
        for folder in (*folders, ARCHIVED):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                names = [
                    (entry.name, name)
                    for entry in self._files.scandir(os.path.join(self._home, folder))
                    if rollout_id in entry.name and (name := parse_name(entry.name)) and name.rollout_id == rollout_id
                ]
                for file, name in _plain_wins(names):
                    return RolloutRef(
                        rollout_id,
                        name.thread_id,
                        f"{folder}/{file}",
                        archived=folder == ARCHIVED,
                        compressed=name.compressed,
                    )
        self.refresh()
        found = self._select("rollout_id = ? ORDER BY archived, path", rollout_id)
        return found[0] if found else None

    def by_creation(
        self, *, descending: bool, after: tuple[int, str] | None
    ) -> Iterator[tuple[int, str, list[RolloutRef]]]:
        """Threads as (creation time, id, rollouts), in that order."""
        self.refresh()
        order, compare = ("DESC", "<") if descending else ("ASC", ">")
        start = after if after is not None else (1 << 62, "") if descending else (-1, "")
        query = (
            "SELECT created_ms, thread_id, rollout_id, path, archived, compressed FROM names "  # noqa: S608
            f"WHERE (created_ms, thread_id) {compare} (?, ?) "
            f"ORDER BY created_ms {order}, thread_id {order}, rollout_id, archived, path LIMIT {_PAGE:d}"
        )
        while True:
            page = self._catalog.run(lambda db: db.execute(query, start).fetchall())  # noqa: B023 - run at once
            whole = page if len(page) < _PAGE else [row for row in page if row[1] != page[-1][1]]
            for (created, thread), rows in itertools.groupby(whole, key=lambda row: (row[0], row[1])):
                start = (created, thread)
                yield (
                    created,
                    thread,
                    [
                        RolloutRef(rollout, thread, path, bool(archived), bool(compressed))
                        for _, _, rollout, path, archived, compressed in rows
                    ],
                )
            if len(page) < _PAGE:
                return

    def with_prefix(self, prefix: str, limit: int) -> list[str]:
        """Ids of threads that start with ``prefix``."""
        self.refresh()
        query = "SELECT DISTINCT thread_id FROM names WHERE thread_id >= ? AND thread_id < ? ORDER BY thread_id LIMIT ?"
        return self._catalog.run(lambda db: [row[0] for row in db.execute(query, (prefix, prefix + "\x7f", limit))])

    def stats(self) -> Iterator[tuple[RolloutRef, RolloutStat]]:
        """Every rollout with its size, time and identity: one pass over the folders, one ``stat`` a file."""
        pending = [(place, 0) for place in PLACES]
        identities: set[tuple[int, int]] = set()
        while pending:
            folder, depth = pending.pop()
            path = os.path.join(self._home, folder)
            try:
                facts = self._files.stat(path)
            except (FileNotFoundError, NotADirectoryError):
                continue
            if (facts.st_dev, facts.st_ino) in identities:
                continue
            identities.add((facts.st_dev, facts.st_ino))
            archived = folder == ARCHIVED or folder.startswith(f"{ARCHIVED}/")
            found: list[tuple[str, RolloutName]] = []
            entries: dict[str, os.DirEntry[str]] = {}
            for entry in self._files.scandir(path):
                name = parse_name(entry.name)
                if name is not None:
                    found.append((entry.name, name))
                    entries[entry.name] = entry
                elif depth < _MAX_DEPTH and _is_folder(entry):
                    pending.append((f"{folder}/{entry.name}", depth + 1))
            for file, name in _plain_wins(found):
                with contextlib.suppress(FileNotFoundError):
                    facts = entries[file].stat()
                    yield (
                        RolloutRef(name.rollout_id, name.thread_id, f"{folder}/{file}", archived, name.compressed),
                        RolloutStat(facts.st_size, facts.st_mtime_ns, f"{facts.st_dev}:{facts.st_ino}"),
                    )

    def _select(self, where: str, value: str) -> list[RolloutRef]:
        query = f"SELECT rollout_id, thread_id, path, archived, compressed FROM names WHERE {where}"  # noqa: S608
        return self._catalog.run(
            lambda db: [
                RolloutRef(rollout, thread, path, bool(archived), bool(compressed))
                for rollout, thread, path, archived, compressed in db.execute(query, (value,))
            ]
        )


def _plain_wins(names: list[tuple[str, RolloutName]]) -> list[tuple[str, RolloutName]]:
    """Without the compressed files that stand beside their plain form (``storage.md`` 1.2)."""
    plain = {file for file, name in names if not name.compressed}
    return [(file, name) for file, name in names if not (name.compressed and file.removesuffix(".zst") in plain)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _created_ms(name: RolloutName) -> int:
    """Creation time of a rollout's thread: its id's, else what the name says, read as local time."""
    ms = timestamp_ms(name.thread_id)
    if ms is not None:
        return ms
    try:
        return int(time.mktime(time.strptime(name.stamp, "%Y-%m-%dT%H-%M-%S"))) * 1000
    except (ValueError, OverflowError):
        return 0
