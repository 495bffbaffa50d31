"""Which rollouts a home holds, by name: kept in the catalog and refreshed by what the folders' times say changed.

A folder's time changes when a name is added or removed, never when a file grows. So one ``stat`` a folder tells
whether its names are still the ones that were seen, and no file is opened or looked at.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from typing import TYPE_CHECKING, Final, TypeVar

from threadkeep.backends._catalog import transaction
from threadkeep.backends._protocol import RolloutRef, RolloutStat
from threadkeep.backends.local._layout import ARCHIVED, PLACES, RolloutName, candidate_days, parse_name
from threadkeep.errors import StorageFailure
from threadkeep.ids import timestamp_ms

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator

    from threadkeep.backends._catalog import Catalog
    from threadkeep.backends.local._files import Files

__all__ = ["Names"]

_RACY_NS: Final = 2_000_000_000
"""A folder that changed this shortly before it was read may have changed again within the same tick of its clock."""

_TRIES: Final = 16
"""How often a look is taken again because other processes looked, or archived something, at the same time."""

_NOT_THERE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_MAX_DEPTH: Final = 8
_PAGE: Final = 200

T = TypeVar("T")

_Scanned = tuple[int, int, "list[tuple[str, RolloutName]]"]
"""When a folder changed last, when it was read (both ns), and the rollouts in it by file name."""


class Names:
    """The rollouts of a home by thread, by id and by creation."""

    def __init__(self, files: Files, home: str, catalog: Catalog) -> None:
        self._files = files
        self._home = home
        self._catalog = catalog
        self._lock = threading.Lock()
        self._folders: dict[str, tuple[int, int]] | None = None
        self._emptied = 0
        self._looks = 0
        self._finished = 0
        self._troubles: dict[str, str] = {}

    def troubles(self) -> list[str]:
        """Which folders could not be read, for people."""
        return list(self._troubles.values())

    # Reading folders

    def refresh(self, *, everything: bool = False) -> None:
        """Look at every folder's time, and read again those that changed.

        Those who ask at the same time share a look: one that began after they asked tells them all that theirs would.

        Args:
            everything: Read all of them, whatever their times say.
        """
        asked = self._looks
        with self._lock:
            if self._finished > asked and not everything:
                return
            self._looks += 1
            for left in reversed(range(_TRIES)):
                if self._look(everything=everything, anyway=left == 0):
                    break
                self._folders = None  # somebody else may have told the catalog what this did not know
            self._finished = self._looks

    def _look(self, *, everything: bool, anyway: bool) -> bool:
        """Whether the catalog was told what was seen: not where another process looked, or archived, meanwhile."""
        known = self._known()
        seen: set[str] = set()
        changed: dict[str, _Scanned] = {}
        children: dict[str, list[str]] = {}
        for path in known:
            children.setdefault(os.path.dirname(path), []).append(path)
        archive: dict[str, int | None] = {ARCHIVED: None}
        walk = _Walk(self._files, self._home)
        for folder, depth, changed_ns in walk:
            seen.add(folder)
            if _is_archived(folder):
                archive[folder] = changed_ns
            before = known.get(folder)
            if before is not None and not everything and before[0] == changed_ns and before[0] + _RACY_NS < before[1]:
                walk.add(children.get(folder, ()), depth + 1)
                continue
            now = time.time_ns()
            try:
                names, below = _read_folder(self._files.scandir(os.path.join(self._home, folder)), folder)
            except FileNotFoundError:
                seen.discard(folder)
                continue
            except OSError as error:
                # What was seen in it before is better than nothing.
                self._troubles[folder] = f"the folder {folder} cannot be read ({error.strerror})"
                walk.add(children.get(folder, ()), depth + 1)
                continue
            self._troubles.pop(folder, None)
            walk.add(below, depth + 1)
            changed[folder] = changed_ns, now, [(entry.name, name) for entry, name in _plain_wins(names)]
        if not anyway and self._archived_meanwhile(changed, archive):
            return False
        self._troubles = {place: what for place, what in self._troubles.items() if place in walk.met}
        for folder in walk.blocked:
            self._troubles[folder] = f"the folder {folder} cannot be read"
        blocked = tuple(f"{folder}/" for folder in walk.blocked)
        gone = [folder for folder in known if folder not in seen and not f"{folder}/".startswith(blocked)]
        if changed or gone:
            held = {} if anyway else {folder: known.get(folder) for folder in (*gone, *changed)}
            if not self._store(changed, gone, held, afresh=everything):
                return False
            known.update((folder, (changed_ns, now)) for folder, (changed_ns, now, _) in changed.items())
            for folder in gone:
                del known[folder]
        return True

    def _archived_meanwhile(self, changed: dict[str, _Scanned], archive: dict[str, int | None]) -> bool:
        """Whether a rollout may have gone to the archive, which is read first, before its own folder was read.

        Args:
            changed: What was read, by folder.
            archive: When each folder of the archive had changed last (ns); None for one that was not there.
        """
        if all(_is_archived(folder) for folder in changed):
            return False
        for folder, changed_ns in archive.items():
            place, before = os.path.join(self._home, folder), changed.get(folder)
            try:
                if self._files.stat(place).st_ctime_ns == changed_ns and (
                    before is None or changed_ns + _RACY_NS < before[1]
                ):
                    continue
                names, _ = _read_folder(self._files.scandir(place), folder)
            except OSError:
                continue  # the look says what is the matter with it
            if before is None or {entry.name for entry, _ in _plain_wins(names)} != {name for name, _ in before[2]}:
                return True
        return False

    def _known(self) -> dict[str, tuple[int, int]]:
        """What the catalog has of the folders: when they changed last and when they were read (both ns)."""

        def work(db: sqlite3.Connection) -> dict[str, tuple[int, int]]:
            return {path: (c, s) for path, c, s in db.execute("SELECT path, changed_ns, scanned_ns FROM folders")}

        if self._folders is None or self._emptied != self._catalog.emptied:
            # A catalog that was made anew has none of the names that the folders' times vouch for.
            self._folders = self._catalog.run(work)
            self._emptied = self._catalog.emptied
        return self._folders

    def _store(
        self,
        changed: dict[str, _Scanned],
        gone: list[str],
        held: dict[str, tuple[int, int] | None],
        *,
        afresh: bool,
    ) -> bool:
        """Remember what was read, where the catalog holds what it held when it was decided what to read.

        Else a process that had to wait would take back what a later one saw, and that one goes by it.

        Args:
            changed: What was read, by folder.
            gone: Folders that are gone.
            held: What the catalog held of each: when it changed last and when it was read (both ns).
            afresh: Whatever was remembered of these folders before.
        """

        def work(db: sqlite3.Connection) -> bool:
            query = "SELECT changed_ns, scanned_ns FROM folders WHERE path = ?"
            with transaction(db):
                if any(db.execute(query, (folder,)).fetchone() != before for folder, before in held.items()):
                    return False
                for folder in (*gone, *(changed if afresh else ())):
                    db.execute("DELETE FROM names WHERE folder = ?", (folder,))
                    db.execute("DELETE FROM folders WHERE path = ?", (folder,))
                for folder, (changed_ns, scanned, names) in changed.items():
                    db.execute("INSERT OR REPLACE INTO folders VALUES (?, ?, ?)", (folder, changed_ns, scanned))
                    # A day's folder changes with every thread that begins: only what is new in it is written.
                    known = {path for (path,) in db.execute("SELECT path FROM names WHERE folder = ?", (folder,))}
                    found = {f"{folder}/{file}": name for file, name in names}
                    db.executemany("DELETE FROM names WHERE path = ?", [(path,) for path in known - found.keys()])
                    fresh = [_row(folder, path, found[path]) for path in found.keys() - known]
                    db.executemany("INSERT OR REPLACE INTO names VALUES (?, ?, ?, ?, ?, ?, ?)", fresh)
                return True

        return self._catalog.run(work)

    # Asking

    def of_thread(self, thread_id: str) -> list[RolloutRef]:
        """Every rollout of a thread, oldest id first; that there is none is believed of the folders alone.

        Raises:
            StorageFailure: There is none, as far as the folders can be read, and some cannot.
        """
        self.refresh()
        query = "thread_id = ? ORDER BY rollout_id, archived, path"
        found = self._select(query, thread_id)
        if not found and self._named_anywhere(thread_id):
            self.refresh(everything=True)
            found = self._select(query, thread_id)
        if not found and self._troubles:
            raise StorageFailure(
                f"thread {thread_id} was not found, but {self.troubles()[0]}", thread=thread_id, path=self._home
            )
        return found

    def find(self, rollout_id: str) -> RolloutRef | None:
        """The rollout of this id: where it was last seen, else in the folders of its day, else in the archive.

        Only when it is in none of these are all folders looked at.
        """
        for ref in self._select("rollout_id = ? ORDER BY archived, path", rollout_id):
            there = self._standing(ref)
            if there is not None:
                return there
        for folder in (*(f"{PLACES[0]}/{day}" for day in candidate_days(rollout_id)), ARCHIVED):
            with contextlib.suppress(OSError):
                names, _ = _read_folder(self._files.scandir(os.path.join(self._home, folder)), folder)
                for entry, name in _plain_wins(names):
                    if name.rollout_id == rollout_id:
                        return _ref(folder, entry.name, name)
        if not self._named_anywhere(rollout_id):
            return None
        self.refresh(everything=True)
        found = self._select("rollout_id = ? ORDER BY archived, path", rollout_id)
        return found[0] if found else None

    def _named_anywhere(self, id_: str) -> bool:
        """Whether a file of any folder has an id in its name: the last word, whatever was seen before."""
        walk = _Walk(self._files, self._home)
        for folder, depth, _ in walk:
            with contextlib.suppress(OSError):  # `refresh` has told of it
                names, below = _read_folder(self._files.scandir(os.path.join(self._home, folder)), folder)
                if any(id_ in (name.thread_id, name.rollout_id) for _, name in names):
                    return True
                walk.add(below, depth + 1)
        return False

    def _standing(self, ref: RolloutRef) -> RolloutRef | None:
        """A rollout that was seen before, if it is still there; its plain form, if it has one by now."""
        try:
            if ref.compressed:
                plain = ref.location.removesuffix(".zst")
                if self._files.exists(os.path.join(self._home, plain)):
                    return RolloutRef(ref.rollout_id, ref.thread_id, plain, ref.archived)
            return ref if self._files.exists(os.path.join(self._home, ref.location)) else None
        except OSError:
            return ref  # who opens it is told what is wrong

    def by_creation(
        self, *, descending: bool, after: tuple[int, str] | None
    ) -> Iterator[tuple[int, str, list[RolloutRef]]]:
        """Threads as (creation time, id, rollouts), in that order; a thread is as old as the oldest of its names."""
        self.refresh()
        order, compare = ("DESC", "<") if descending else ("ASC", ">")
        start = after if after is not None else (1 << 62, "") if descending else (-1 << 62, "")
        query = (
            "SELECT DISTINCT created_ms, thread_id FROM names AS one "  # noqa: S608
            f"WHERE (created_ms, thread_id) {compare} (?, ?) AND NOT EXISTS "
            "(SELECT 1 FROM names WHERE thread_id = one.thread_id AND created_ms < one.created_ms) "
            f"ORDER BY created_ms {order}, thread_id {order} LIMIT {_PAGE:d}"
        )
        while page := self._ask(lambda db: db.execute(query, start).fetchall()):  # noqa: B023 - run at once
            rollouts = self._of_threads([thread for _, thread in page])
            for created, thread in page:
                yield created, thread, rollouts.get(thread, [])
            start = page[-1]

    def _of_threads(self, threads: list[str]) -> dict[str, list[RolloutRef]]:
        marks = ",".join("?" * len(threads))
        found: dict[str, list[RolloutRef]] = {}
        for ref in self._select(f"thread_id IN ({marks}) ORDER BY rollout_id, archived, path", *threads):
            found.setdefault(ref.thread_id, []).append(ref)
        return found

    def with_prefix(self, prefix: str, limit: int) -> list[str]:
        """Ids of threads that start with ``prefix``."""
        self.refresh()
        query = "SELECT DISTINCT thread_id FROM names WHERE thread_id >= ? AND thread_id < ? ORDER BY thread_id LIMIT ?"
        return self._ask(lambda db: [row[0] for row in db.execute(query, (prefix, prefix + "\x7f", limit))])

    def stats(self, missed: list[str] | None = None) -> Iterator[tuple[RolloutRef, RolloutStat]]:
        """Every rollout with its size, time and identity: one ``stat`` a file.

        What changed meanwhile is read again: a rollout may have been moved from a folder that was still to be read to
        one that had been.
        """
        troubles: dict[str, str] = {}
        given: set[str] = set()
        read: dict[str, tuple[int | None, list[str]]] = {}
        for again in (False, True):
            walk = _Walk(self._files, self._home)
            for folder, depth, changed_ns in walk:
                if folder in read and read[folder][0] == changed_ns:
                    walk.add(read[folder][1], depth + 1)
                    continue
                settled = changed_ns + _RACY_NS < time.time_ns()
                try:
                    names, below = _read_folder(self._files.scandir(os.path.join(self._home, folder)), folder)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    troubles[folder] = f"the folder {folder} cannot be read ({error.strerror})"
                    continue
                read[folder] = changed_ns if settled else None, below
                walk.add(below, depth + 1)
                fresh = [
                    (entry, name) for entry, name in _plain_wins(names) if not (again and name.rollout_id in given)
                ]
                for ref, stat in self._stats_in(folder, fresh, troubles):
                    given.add(ref.rollout_id)
                    yield ref, stat
            troubles.update((folder, f"the folder {folder} cannot be read") for folder in walk.blocked)
        if missed is not None:
            missed += troubles.values()
        self._troubles = troubles  # at once: who asks at the same time is never told that there are none

    @staticmethod
    def _stats_in(
        folder: str, names: list[tuple[os.DirEntry[str], RolloutName]], troubles: dict[str, str]
    ) -> Iterator[tuple[RolloutRef, RolloutStat]]:
        for entry, name in names:
            try:
                facts = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            except OSError as error:
                location = f"{folder}/{entry.name}"
                troubles[location] = f"the file {location} cannot be looked at ({error.strerror})"
                continue
            identity = f"{facts.st_dev}:{facts.st_ino}"
            yield _ref(folder, entry.name, name), RolloutStat(facts.st_size, facts.st_mtime_ns, identity)

    def _ask(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """The answer of the catalog; one that turned out to be damaged is filled from the folders, and asked again."""
        answer = self._catalog.run(query)
        if self._folders is not None and self._emptied != self._catalog.emptied:
            self.refresh()
            answer = self._catalog.run(query)
        return answer

    def _select(self, where: str, *values: str) -> list[RolloutRef]:
        query = f"SELECT rollout_id, thread_id, path FROM names WHERE {where}"  # noqa: S608
        rows = self._ask(lambda db: db.execute(query, values).fetchall())
        return [ref for row in rows if (ref := _named(*row)) is not None]


class _Walk:
    """The folders of a home in which rollouts may lie, each once, with its depth and the time of its last change.

    Who iterates adds the folders below the one that was given last, as far as it wants to go down.

    Attributes:
        met: Folders that were given so far.
        blocked: Folders that are there, as far as anybody can tell, and cannot be looked at.
    """

    def __init__(self, files: Files, home: str) -> None:
        self._files = files
        self._home = home
        self.met: set[str] = set()
        self.blocked: list[str] = []
        self._pending = [(place, 0) for place in PLACES]
        self._identities: set[tuple[int, int]] = set()

    def add(self, folders: Iterable[str], depth: int) -> None:
        if depth <= _MAX_DEPTH:
            self._pending += [(folder, depth) for folder in folders]

    def __iter__(self) -> Iterator[tuple[str, int, int]]:
        while self._pending:
            folder, depth = self._pending.pop()
            try:
                facts = self._files.stat(os.path.join(self._home, folder))
            except OSError as error:
                if error.errno not in _NOT_THERE:
                    self.blocked.append(folder)
                continue
            identity = (facts.st_dev, facts.st_ino)
            if identity not in self._identities:
                self._identities.add(identity)
                self.met.add(folder)
                # Not the time that programs set: a copy that keeps times must not pass for what it was copied over.
                yield folder, depth, facts.st_ctime_ns


def _read_folder(
    entries: Iterable[os.DirEntry[str]], folder: str
) -> tuple[list[tuple[os.DirEntry[str], RolloutName]], list[str]]:
    """The rollouts in a folder, and the folders below it."""
    names: list[tuple[os.DirEntry[str], RolloutName]] = []
    below: list[str] = []
    for entry in entries:
        name = parse_name(entry.name)
        if name is not None:
            # A rollout is a plain file: a link may lead out of the home, a pipe would keep its reader waiting.
            if entry.is_file(follow_symlinks=False):
                names.append((entry, name))
        elif _is_text(entry.name) and _is_folder(entry):
            below.append(f"{folder}/{entry.name}")
    return names, below


def _plain_wins(names: list[tuple[os.DirEntry[str], RolloutName]]) -> list[tuple[os.DirEntry[str], RolloutName]]:
    """Without the compressed files that stand beside their plain form (``storage.md`` 1.2)."""
    plain = {entry.name for entry, name in names if not name.compressed}
    return [
        (entry, name) for entry, name in names if not (name.compressed and entry.name.removesuffix(".zst") in plain)
    ]


def _ref(folder: str, file: str, name: RolloutName) -> RolloutRef:
    return RolloutRef(
        name.rollout_id, name.thread_id, f"{folder}/{file}", archived=_is_archived(folder), compressed=name.compressed
    )


def _named(rollout_id: object, thread_id: object, path: object) -> RolloutRef | None:
    """The rollout of a row, as its path says; None for a row that does not follow from its path, or leads elsewhere."""
    folder, _, file = path.rpartition("/") if isinstance(path, str) else ("", "", "")
    name = parse_name(file)
    if name is None or (name.rollout_id, name.thread_id) != (rollout_id, thread_id):
        return None
    if ".." in folder.split("/") or not f"{folder}/".startswith(tuple(f"{place}/" for place in PLACES)):
        return None
    return _ref(folder, file, name)


def _row(folder: str, path: str, name: RolloutName) -> tuple[str, str, str, str, int, int, int]:
    """A row of the table of names: it follows from the path alone."""
    archived, compressed = int(_is_archived(folder)), int(name.compressed)
    return path, folder, name.thread_id, name.rollout_id, _created_ms(name), archived, compressed


def _is_archived(folder: str) -> bool:
    return folder == ARCHIVED or folder.startswith(f"{ARCHIVED}/")


def _is_text(name: str) -> bool:
    """Whether a folder's name is text: bytes that are none name no date, and nothing could remember them."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


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
