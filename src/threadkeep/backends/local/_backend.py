"""A Codex home as a backend, or a home of threadkeep's own in the same layout."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from threadkeep.backends._catalog import Catalog
from threadkeep.backends._protocol import Durability, Facts, Lease, Leftover, Marks, Pin, RolloutRef, RolloutStat, Seal
from threadkeep.backends.local._append import FileAppender
from threadkeep.backends.local._aside import Aside
from threadkeep.backends.local._codex import CODEX_SIGNS, CodexIndex, CodexRow, NameIndex
from threadkeep.backends.local._files import Files
from threadkeep.backends.local._folders import Folders
from threadkeep.backends.local._layout import (
    ARCHIVED,
    KEPT,
    OWN_FOLDER,
    PLACES,
    SESSIONS,
    day_folder,
    parse_name,
    rollout_name,
)
from threadkeep.backends.local._leftovers import clear, leftovers, rollout_folders, unfinished
from threadkeep.backends.local._lock import FileLease, LockFolder
from threadkeep.backends.local._marks import MarksFile
from threadkeep.backends.local._names import Names
from threadkeep.backends.local._pins import PinFolder
from threadkeep.backends.local._second_names import drop_second_names, name_that_stays
from threadkeep.backends.local._source import FileSource, TailCache, ZstdSource, decode_stream, with_room
from threadkeep.errors import Conflict, StorageFailure, ThreadNotFound
from threadkeep.ids import Clock, IdSource, SystemClock, Uuid7Source, is_id, timestamp_ms, utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from threadkeep.records import Boundary, Cost, Source

__all__ = ["LocalBackend"]

_GUARD_SECONDS: Final = 60.0
_DAY_MS: Final = 86_400_000


class LocalBackend:
    """A home: rollouts in dated folders, Codex's lock protocol, threadkeep's own files under ``threadkeep/``.

    Args:
        home: The home's folder. It need not exist: it is made by the first write.
        clock: Where the time comes from.
        ids: Where new ids come from.
        files: The file system, replaceable by tests.
    """

    keeps_history_bases = True

    def __init__(
        self, home: str, *, clock: Clock | None = None, ids: IdSource | None = None, files: Files | None = None
    ) -> None:
        self.home = os.path.abspath(os.path.expanduser(home))
        self.name = self.home
        self.clock = clock or SystemClock()
        self.ids = ids or Uuid7Source(self.clock)
        self.files = files or Files()
        self._own = os.path.join(self.home, OWN_FOLDER)
        self._folders = Folders(self.files, self.home)
        self._aside = Aside(self.files, self.ids)
        self._pins = PinFolder(self.files, self._folders, self._aside, self.home)
        self._tails = TailCache()
        self._locks = LockFolder(self.files, self.home, self.clock)
        self._marks = MarksFile(self.files, self._folders, self._own)
        self._codex = CodexIndex(self.files, self.home)
        self._index = NameIndex(self.files, self._folders, self.home)
        self._lock = threading.RLock()
        self._catalog: Catalog | None = None
        self._names_index: Names | None = None

    @property
    def shared_with_codex(self) -> bool:
        """Whether Codex uses this home, going by the files that only it makes.

        Raises:
            StorageFailure: The home cannot be looked into.
        """
        try:
            return any(self.files.exists(os.path.join(self.home, sign)) for sign in CODEX_SIGNS)
        except OSError as error:
            raise StorageFailure(f"cannot look into the home: {error.strerror}", path=self.home) from error

    @property
    def catalog(self) -> Catalog:
        """The catalog, opened when it is first needed; in memory where the home cannot be written to."""
        with self._lock:
            if self._catalog is None:
                path: str | None = os.path.join(self._own, "catalog.sqlite")
                try:
                    if not self.files.exists(self.home):
                        path = None  # a home that is not there yet is not made by looking at it
                    else:
                        self._folders.make(self._own, durable=False)
                except OSError:
                    path = None
                self._catalog = Catalog(path)
            return self._catalog

    @property
    def _names(self) -> Names:
        with self._lock:
            if self._names_index is None:
                self._names_index = Names(self.files, self.home, self.catalog)
            return self._names_index

    def troubles(self) -> list[str]:
        """What of the home could not be read, for people."""
        found = [self._codex.trouble, self._index.trouble, *self._unread()]
        return [trouble for trouble in found if trouble is not None]

    def _unread(self) -> list[str]:
        """Which of the home's folders and rollouts could not be looked at."""
        return self._names_index.troubles() if self._names_index is not None else []

    # Finding

    def find(self, rollout_id: str) -> RolloutRef | None:
        """The rollout of this id, without looking at every rollout."""
        return self._names.find(rollout_id) if is_id(rollout_id) else None

    def thread_at(self, path: str) -> str | None:
        """The thread whose rollout lies at a path; None for a path that leads out of the home, or to no rollout."""
        name = parse_name(os.path.basename(path))
        ref = self.find(name.rollout_id) if name is not None else None
        if ref is None:
            return None
        try:
            there = os.path.realpath(path)
        except ValueError:  # a null byte: nothing lies there
            return None
        names = (each for each in self.rollouts_of(ref.thread_id) if each.rollout_id == ref.rollout_id)
        found = any(there == os.path.realpath(self.path_of(each)) for each in itertools.chain((ref,), names))
        return ref.thread_id if found else None

    def rollouts_of(self, thread_id: str) -> list[RolloutRef]:
        """Every rollout of a thread, wherever it lies, oldest id first."""
        return self._names.of_thread(thread_id)

    def stats(self, missed: list[str] | None = None) -> Iterator[tuple[RolloutRef, RolloutStat]]:
        """Every rollout with its size, time and identity."""
        return self._names.stats(missed)

    def by_creation(
        self, *, descending: bool, after: tuple[int, str] | None
    ) -> Iterator[tuple[int, str, list[RolloutRef]]]:
        """Threads as (creation time in ms, thread id, rollouts), in that order, beyond ``after``."""
        return self._names.by_creation(descending=descending, after=after)

    def with_prefix(self, prefix: str, limit: int) -> list[str]:
        """Ids of threads that start with ``prefix``."""
        return self._names.with_prefix(prefix, limit)

    def stat(self, ref: RolloutRef) -> RolloutStat:
        """Size, time and identity of a rollout's file.

        Raises:
            ThreadNotFound: The file is gone.
            StorageFailure: It cannot be looked at.
        """
        try:
            facts = self.files.stat(self.path_of(ref))
        except (FileNotFoundError, NotADirectoryError) as error:
            there = self._moved(ref)
            if there is not None:
                return self.stat(there)
            raise self._gone(ref, error) from error
        except OSError as error:
            raise StorageFailure(
                f"cannot look at the rollout: {error.strerror}",
                thread=ref.thread_id,
                rollout=ref.rollout_id,
                path=self.path_of(ref),
            ) from error
        return RolloutStat(facts.st_size, facts.st_mtime_ns, f"{facts.st_dev}:{facts.st_ino}")

    def facts(self, thread_ids: Sequence[str]) -> dict[str, Facts]:
        """What Codex's index and the name index say of threads."""
        rows = self._codex.rows(thread_ids)
        try:
            return {thread_id: self._facts(thread_id, rows.get(thread_id)) for thread_id in thread_ids}
        except OSError as error:
            raise StorageFailure(f"cannot look into the home: {error.strerror}", path=self.home) from error

    def _facts(self, thread_id: str, row: CodexRow | None) -> Facts:
        index_name = self._index.names().get(thread_id) or None
        if row is None:
            return Facts(name=index_name, trouble=self._codex.trouble)
        if row.history_mode == "paginated":
            name = row.name or index_name
        else:
            # For a legacy thread the title is its name once it differs from the first message (storage.md 1.3).
            titled = row.title if row.title and row.title != (row.first_user_message or "") else None
            name = titled or index_name
        return Facts(
            indexed=True,
            name=name,
            archived=row.archived,
            current=self._inside(thread_id, row.rollout_path),
            preview=row.preview or row.first_user_message,
        )

    def _inside(self, thread_id: str, path: str | None) -> RolloutRef | None:
        """Codex's own path as a rollout of this home; a path that leads out of it is not followed."""
        if path is None or "\0" in path or not os.path.isabs(path):
            return None
        for home in dict.fromkeys((self.home, os.path.realpath(self.home))):
            relative = os.path.relpath(os.path.normpath(path), home)
            if relative.split(os.sep, 1)[0] not in PLACES[:2]:
                continue
            for candidate in (relative, f"{relative}.zst"):
                name = parse_name(os.path.basename(candidate))
                if (
                    name is not None
                    and name.thread_id == thread_id
                    and self.files.exists(os.path.join(self.home, candidate))
                ):
                    archived = candidate.startswith(f"{ARCHIVED}/")
                    return RolloutRef(name.rollout_id, thread_id, candidate, archived, name.compressed)
        return None

    # Reading

    def path_of(self, ref: RolloutRef) -> str:
        """The file of a rollout."""
        return os.path.join(self.home, ref.location)

    def open(self, ref: RolloutRef, cost: Cost) -> Source:
        """The rollout's decoded bytes.

        Raises:
            ThreadNotFound: The file is gone.
        """
        try:
            return self._source(self.path_of(ref), ref.rollout_id, ref.compressed, cost)
        except ThreadNotFound:
            there = self._moved(ref)
            if there is None:
                raise
            return self.open(there, cost)

    def _moved(self, ref: RolloutRef) -> RolloutRef | None:
        """Where a rollout lies by now that was found elsewhere: it was archived, or taken out, a moment ago."""
        there = self.find(ref.rollout_id)
        return there if there is not None and there.location != ref.location else None

    def open_pin(self, pin: Pin, cost: Cost) -> Source:
        """The bytes that a pin holds."""
        return self._source(os.path.join(self.home, pin.location), pin.base, pin.compressed, cost)

    def _place_of(self, rollout_id: str) -> str | None:
        ref = self.find(rollout_id)
        return self.path_of(ref) if ref is not None else None

    def _source(self, path: str, rollout_id: str, compressed: bool, cost: Cost) -> Source:
        try:
            if compressed:
                return ZstdSource(self.files, path, rollout_id, cost, self._tails)
            return FileSource(self.files, path, rollout_id, cost, find=lambda: self._place_of(rollout_id))
        except FileNotFoundError as error:
            if unread := self._unread():
                raise StorageFailure(
                    f"the rollout is not where it was, and {unread[0]}", rollout=rollout_id, path=path
                ) from error
            raise ThreadNotFound("the rollout's file is gone", rollout=rollout_id, path=path) from error
        except OSError as error:
            raise StorageFailure(f"cannot open the rollout: {error.strerror}", rollout=rollout_id, path=path) from error

    # Writing

    def lease(self, thread_id: str) -> FileLease:
        """Take the right to append to a thread (Codex's lock protocol)."""
        return self._locks.acquire(thread_id)

    def held(self, thread_id: str) -> bool:
        """Whether somebody holds the right to append to a thread; looking changes nothing."""
        return self._locks.held(thread_id)

    def planned_location(self, thread_id: str, rollout_id: str) -> str:
        """Where `create` will put a rollout, below the home: name and folder say when its id was made, as Codex's do.

        So the day in the id tells where the rollout lies.
        """
        return self._location(thread_id, rollout_id, SESSIONS)

    def _location(self, thread_id: str, rollout_id: str, place: str) -> str:
        created = self._creation(rollout_id)
        return f"{place}/{day_folder(created)}/{rollout_name(created, thread_id, rollout_id)}"

    def create(
        self, thread_id: str, rollout_id: str, lines: bytes | Iterable[bytes], *, durability: Durability, kept: bool
    ) -> RolloutRef:
        """Create a rollout with its first records, all or nothing: written aside, flushed, then given its name."""
        location = self._location(thread_id, rollout_id, KEPT if kept else SESSIONS)
        durable = durability == "fsync"
        path = os.path.join(self.home, location)
        pieces = [lines] if isinstance(lines, bytes) else lines
        try:
            self._folders.make(os.path.dirname(path), durable=durable)
            self._aside.create(path, pieces, durable=durable)
        except OSError as error:
            raise StorageFailure(
                f"the rollout was not created: {error.strerror}", thread=thread_id, rollout=rollout_id, path=location
            ) from error
        return RolloutRef(rollout_id, thread_id, location)

    def _creation(self, rollout_id: str) -> int:
        """When a rollout's id was made, as far as it says so and can be right."""
        now = self.clock.now_ms()
        made = timestamp_ms(rollout_id)
        return made if made is not None and made <= now + _DAY_MS else now

    def appender(self, ref: RolloutRef, lease: Lease, cost: Cost, *, durability: Durability) -> FileAppender:
        """Open a rollout to append to it; a compressed one is unpacked first (``storage.md`` 1.2)."""
        lease.check()
        if ref.compressed:
            ref = self.unpack(ref)
        path = self.path_of(ref)
        durable = durability == "fsync"
        appender = FileAppender(self.files, path, ref.rollout_id, lease, cost, durable=durable)
        if durable:
            # Codex flushes neither what it writes nor the folders that it makes: the name must be safe, too.
            try:
                self._folders.make(os.path.dirname(path), durable=True)
                self.files.sync_folder(os.path.dirname(path))
            except OSError as error:
                appender.close()
                raise StorageFailure(
                    f"cannot flush the rollout's folder: {error.strerror}", rollout=ref.rollout_id, path=path
                ) from error
        return appender

    def unpack(self, ref: RolloutRef) -> RolloutRef:
        """Put the plain file in the place of a compressed one, with the same time."""
        path = self.path_of(ref)
        plain = path.removesuffix(".zst")
        try:
            drop_second_names(self, ref)
            fd = self.files.open_plain(path, os.O_RDONLY)
            try:
                facts = self.files.fstat(fd)
                if not self.files.exists(plain):
                    times = (facts.st_atime_ns, facts.st_mtime_ns)
                    pieces = with_room(self.files, decode_stream(self.files, fd, path), os.path.dirname(path))
                    self._aside.create(plain, pieces, durable=True, times=times)
            finally:
                self.files.close(fd)
            self.files.unlink(path)
            self.files.sync_folder(os.path.dirname(path))
        except OSError as error:
            raise StorageFailure(
                f"cannot unpack the compressed rollout: {error.strerror}", rollout=ref.rollout_id, path=path
            ) from error
        return RolloutRef(ref.rollout_id, ref.thread_id, ref.location.removesuffix(".zst"), ref.archived)

    def flush(self, ref: RolloutRef) -> None:
        """Flush a rollout and its folder, whoever wrote it: Codex never does."""
        path = self.path_of(ref)
        try:
            fd = self.files.open_plain(path, os.O_RDONLY)
            try:
                self.files.flush(fd)
            finally:
                self.files.close(fd)
            self.files.sync_folder(os.path.dirname(path))
        except OSError as error:
            raise StorageFailure(
                f"cannot flush the rollout: {error.strerror}", rollout=ref.rollout_id, path=path
            ) from error

    def move(self, ref: RolloutRef, lease: Lease, *, archived: bool) -> RolloutRef:
        """Move a rollout to the archive (flat), or back to the folder of the date in its name."""
        lease.check()
        file = os.path.basename(ref.location)
        name = parse_name(file)
        assert name is not None, "a rollout that was found has a name that parses"
        folder = ARCHIVED if archived else f"{SESSIONS}/{name.stamp[:10].replace('-', '/')}"
        location = f"{folder}/{file}"
        source, target = self.path_of(ref), os.path.join(self.home, location)
        try:
            drop_second_names(self, ref)
            self._folders.make(os.path.dirname(target), durable=True)
            if not self.files.exists(target):
                self.files.rename(source, target)
            elif self.files.exists(source):
                raise Conflict("a rollout of that name is there already", rollout=ref.rollout_id, path=target)
            # One that was moved before, by a call that failed afterwards, only needs its names on the disk.
            self.files.sync_folder(os.path.dirname(target))
            self.files.sync_folder(os.path.dirname(source))
        except OSError as error:
            raise StorageFailure(
                f"moving the rollout failed: {error.strerror}", rollout=ref.rollout_id, path=source
            ) from error
        return RolloutRef(ref.rollout_id, ref.thread_id, location, archived, ref.compressed)

    def remove(self, ref: RolloutRef, lease: Lease) -> None:
        """Remove a rollout's file, in both its forms."""
        lease.check()
        path = self.path_of(ref)
        try:
            drop_second_names(self, ref)
            # The plain form last: it hides a compressed one beside it, which must not be seen again.
            plain = path.removesuffix(".zst")
            for form in (f"{plain}.zst", plain):
                with contextlib.suppress(FileNotFoundError):
                    self.files.unlink(form)
            self.files.sync_folder(os.path.dirname(path))
        except OSError as error:
            raise StorageFailure(
                f"removing the rollout failed: {error.strerror}", rollout=ref.rollout_id, path=path
            ) from error
        finally:
            self.catalog.forget(ref.rollout_id)

    def replace(self, ref: RolloutRef, pieces: Iterable[bytes], lease: Lease) -> RolloutRef:
        """Put new bytes in the place of a rollout by rename; the result is a plain file."""
        lease.check()
        path = self.path_of(ref)
        try:
            ref = name_that_stays(self, ref)
            plain = RolloutRef(ref.rollout_id, ref.thread_id, ref.location.removesuffix(".zst"), ref.archived)
            path = self.path_of(plain)
            drop_second_names(self, ref)
            self._aside.replace(path, pieces)
            if ref.compressed:
                self.files.unlink(self.path_of(ref))
                self.files.sync_folder(os.path.dirname(path))
        except OSError as error:
            raise StorageFailure(
                f"replacing the rollout failed: {error.strerror}; it holds either the old bytes or the new ones",
                rollout=ref.rollout_id,
                path=path,
            ) from error
        finally:
            self.catalog.forget(ref.rollout_id)
        return plain

    @contextlib.contextmanager
    def guard(self, *, exclusive: bool) -> Iterator[None]:
        """Hold who inherits from whom: shared while a fork is made, exclusive while something is removed."""
        path = os.path.join(self._own, "inheritance.lock")
        try:
            self._folders.make(self._own, durable=False)
            fd = self.files.open(path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise StorageFailure(f"cannot lock the home's inheritance: {error.strerror}", path=path) from error
        try:
            deadline = time.monotonic() + _GUARD_SECONDS
            while not self._locked(fd, path, exclusive=exclusive):
                if time.monotonic() > deadline:
                    raise Conflict(
                        f"another process has been forking or removing threads for {_GUARD_SECONDS:.0f} s", path=path
                    )
                time.sleep(0.005)
            yield
        finally:
            self.files.close(fd)

    def _locked(self, fd: int, path: str, *, exclusive: bool) -> bool:
        try:
            return self.files.flock(fd, exclusive=exclusive)
        except OSError as error:
            raise StorageFailure(f"cannot lock the home's inheritance: {error.strerror}", path=path) from error

    # What threadkeep remembers

    def marks(self, thread_id: str) -> Marks:
        """What threadkeep remembers of a thread."""
        return self._marks.get(thread_id)

    def marked(self) -> dict[str, Marks]:
        """Every thread that threadkeep remembers something of."""
        return self._marks.all()

    def change_marks(self, thread_id: str, change: Callable[[Marks], Marks]) -> None:
        """Remember something else of a thread, durably."""
        self._marks.change(utc(self.clock.now_ms()), thread_id, change)

    def set_name(self, thread_id: str, name: str) -> None:
        """Set a thread's name where Codex looks for it; for threads that Codex has not indexed."""
        try:
            self._index.append(thread_id, name, utc(self.clock.now_ms()))
        except OSError as error:
            raise StorageFailure(
                f"the name was not set: {error.strerror}", thread=thread_id, path=self._index.path
            ) from error

    def ask_codex(self, thread_id: str, requests: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Have the installed Codex change a thread that it has indexed."""
        from threadkeep.backends.local._ask_codex import ask_codex

        ask_codex(self.home, thread_id, requests)

    def anchored(self, child: str) -> Boundary | None:
        """The boundary that took the place of the one in a child's first record."""
        return self._marks.anchor(child)

    def set_anchor(self, child: str, boundary: Boundary) -> None:
        """Remember it, durably."""
        self._marks.put_anchor(utc(self.clock.now_ms()), child, boundary)

    def sealed(self, child: str) -> Seal | None:
        """What a child's inherited bytes were when they were read first."""
        return self._marks.seal(child)

    def set_seal(self, child: str, seal: Seal | None) -> None:
        """Remember it, or forget it, durably."""
        self._marks.put_seal(utc(self.clock.now_ms()), child, seal)

    def pin(self, child: str, ref: RolloutRef, end: int, digest: str) -> bool:
        """Give the base's file a second name for a child; False where the file system has no links across."""
        return self._pins.add(child, ref, end, digest)

    def pins(self) -> Iterator[Pin]:
        """Every pin."""
        return self._pins.all()

    def pins_of(self, base: str) -> list[Pin]:
        """The pins that hold bytes of a rollout."""
        return self._pins.of(base)

    def pinned_size(self, pin: Pin) -> tuple[str, int] | None:
        """Identity and size of a pin's file."""
        return self._pins.size(pin)

    def rewrite_pin(self, pin: Pin, pieces: Iterable[bytes], digest: str) -> Pin:
        """Write new bytes aside, give them the pin's place, and let go of the old ones."""
        return self._pins.rewrite(pin, pieces, digest)

    def unpin(self, pin: Pin) -> None:
        """Remove a pin, and the base's folder with the last one."""
        self._pins.remove(pin)

    # Mending

    def leftovers(self) -> Iterator[Leftover]:
        """What was left behind in the home, and what in it leads nowhere."""
        return leftovers(self)

    def clear(self, leftover: Leftover) -> bool:
        """Remove a leftover, if it still is one; whether it is gone."""
        return clear(self, leftover)

    def unfinished(self) -> Iterator[tuple[str, Source]]:
        """Temporary files of rollouts and pins, however old, and what is in each so far."""
        return unfinished(self)

    def settle(self) -> None:
        """Flush the folders of all rollouts: what is not found there stays away, whatever a power cut takes back.

        Then the whole file system, where that can be asked for: btrfs may bring back a name that a file had before it
        was renamed, though its folder was flushed since, until what it keeps for a flush is part of the file system.
        """
        systems: dict[int, str] = {}  # a folder may be a link to another file system than the home's
        path = self.home
        try:
            for path in (self.home, *(os.path.join(self.home, folder) for folder in rollout_folders(self))):
                with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                    if path != self.home:
                        self.files.sync_folder(path)
                    systems.setdefault(self.files.stat(path).st_dev, path)
            for path in systems.values():
                fd = self.files.open(path, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    self.files.sync_file_system(fd)
                finally:
                    self.files.close(fd)
        except OSError as error:
            raise StorageFailure(f"cannot flush the folder: {error.strerror}", path=path) from error

    def drop_unfinished(self, location: str) -> None:
        """Remove a temporary file, for good."""
        path = os.path.join(self.home, location)
        try:
            with contextlib.suppress(FileNotFoundError):
                self.files.unlink(path)
                self.files.sync_folder(os.path.dirname(path))
        except OSError as error:
            raise StorageFailure(f"it was not removed: {error.strerror}", path=path) from error

    def unheld_locks(self) -> list[tuple[str, str]]:
        """(thread id, path) of every writer lock that a killed program left behind."""
        return self._locks.unheld()

    def codex_paths(self) -> dict[str, str]:
        """Where Codex's index says that each thread's rollout is."""
        return self._codex.paths()

    def close(self) -> None:
        """Close the catalog."""
        with self._lock:
            if self._catalog is not None:
                self._catalog.close()
                self._catalog = None
                self._names_index = None

    def _gone(self, ref: RolloutRef, error: OSError) -> ThreadNotFound:
        return ThreadNotFound(
            f"the rollout's file is gone: {error.strerror}",
            thread=ref.thread_id,
            rollout=ref.rollout_id,
            path=self.path_of(ref),
        )
