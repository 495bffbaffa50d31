"""A disk that can lose power: what a home's files were, what was done to them, and what may be left of that.

The model is the weakest that POSIX allows:

- What was written to a file is safe once that file was flushed. Before that it may be there wholly, not at all, up to
  any end of a sector, with sectors in any order, or as zeros where only the size was kept. A sector that holds older,
  flushed bytes is written as a whole: these stay.
- A name (created, linked, renamed, removed) is safe once its folder was flushed, and not by flushing the file. Before
  that each change of a name may have happened or not, whatever came of the others. A rename within a folder is one
  change. One between folders adds the new name, which flushing either folder keeps, and then takes the old one away,
  which only flushing the old folder does: in between the file may have both (btrfs).
- A folder that is not there takes with it what is in it.

What nobody flushes and nobody relies on is no part of that: lock files, times, and the catalog, which is derived. Of
these a state has what was there before, or what was there in the end, by turns.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import random
import shutil
from typing import TYPE_CHECKING, Final, NamedTuple

from threadkeep.backends.local import Files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["SECTOR", "Event", "Image", "Recorder", "crash_states", "passing", "replayed"]

SECTOR: Final = 512
"""Bytes that a disk writes as one."""


def passing(path: str) -> bool:
    """Whether a file is one that nobody relies on: a lock, or the catalog."""
    return path.endswith(".lock") or os.path.basename(path).startswith("catalog.sqlite")


class Image:
    """A home as it lies on a disk: folders, names, and what the files behind them hold; paths are below the home.

    Attributes:
        folders: Every folder.
        names: The file behind each name; two names may lead to one file.
        data: What each file holds.
    """

    def __init__(self, folders: Iterable[str], names: dict[str, int], data: dict[int, bytes]) -> None:
        self.folders = set(folders)
        self.names = names
        self.data = data

    @classmethod
    def of(cls, home: str) -> Image:
        """What a folder holds."""
        image = cls((), {}, {})
        pending = [""]
        while pending:
            folder = pending.pop()
            with os.scandir(os.path.join(home, folder)) as entries:
                for entry in entries:
                    path = os.path.join(folder, entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        image.folders.add(path)
                        pending.append(path)
                        continue
                    node = entry.inode()
                    image.names[path] = node
                    if node not in image.data:
                        with open(entry.path, "rb") as file:
                            image.data[node] = file.read()
        return image

    def put(self, home: str) -> None:
        """Make a folder hold this and nothing else."""
        shutil.rmtree(home, ignore_errors=True)
        os.mkdir(home)
        for folder in sorted(self.folders):
            os.mkdir(os.path.join(home, folder))
        placed: dict[int, str] = {}
        for path, node in self.names.items():
            target = os.path.join(home, path)
            if node in placed:
                os.link(placed[node], target)
                continue
            placed[node] = target
            fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            os.write(fd, self.data[node])
            os.close(fd)

    def copy(self) -> Image:
        """Another image that holds the same."""
        return Image(self.folders, dict(self.names), dict(self.data))

    def digest(self) -> str:
        """The same for two images of the same files, names and contents; what is passing does not count."""
        found = hashlib.sha256()
        first: dict[int, str] = {}
        for path, node in sorted(self.names.items()):
            if not passing(path):
                found.update(f"{path}\0{first.setdefault(node, path)}\0".encode())
                found.update(hashlib.sha256(self.data[node]).digest())
        return found.hexdigest()


class Event(NamedTuple):
    """One thing that was done to a disk, or that somebody was told.

    Attributes:
        kind: ``write``, ``truncate``, ``fsync``, ``create``, ``link``, ``rename``, ``unlink``, ``mkdir``, ``rmdir``,
            ``leave`` (the old name of a rename goes), ``sync`` (of a folder), ``lost`` (a flush that failed), ``ack``
            or ``done``.
        path: The name; of a file that was written, the one that it was opened by; of ``ack`` what was said.
        node: The file.
        source: Of a rename, the old name.
        offset: Of a write, where; of a truncation, the size.
        data: Of a write, what; of ``leave`` the new name.
    """

    kind: str
    path: str
    node: int = -1
    source: str = ""
    offset: int = 0
    data: bytes = b""


class Recorder(Files):
    """Does everything for real but the flushes, and writes it down.

    Args:
        home: The home's folder; what lies outside of it is not written down.
        image: What it held when recording began.
        refuse: Which flush of a file fails, from 1 on; none where it is 0. What was to be flushed is lost then, and the
            system goes on to show it until its cache is dropped: a flush that is tried again succeeds, and lies.

    Attributes:
        events: What was done.
    """

    def __init__(self, home: str, image: Image, *, refuse: int = 0) -> None:
        self.home = home
        self.refuse = refuse
        self.events: list[Event] = []
        self._names = dict(image.names)
        self._fresh = itertools.count(max(image.data, default=0) + 1)
        self._open: dict[int, tuple[str, int, int]] = {}
        self._unflushed: dict[int, list[tuple[int, int]]] = {}
        self._lost: dict[int, list[tuple[int, int]]] = {}

    def acknowledge(self, what: str) -> None:
        """Somebody was told that something is kept."""
        self.events.append(Event("ack", what))

    def finish(self) -> None:
        """Somebody was told that all of it is done."""
        self.events.append(Event("done", ""))

    def _below(self, path: str) -> str | None:
        relative = os.path.relpath(path, self.home)
        return None if relative.startswith("..") else "" if relative == "." else relative

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        name = self._below(path)
        fresh = flags & os.O_CREAT and name is not None and name not in self._names
        fd = super().open(path, flags, mode)
        if name is not None:
            if fresh:
                self._names[name] = next(self._fresh)
                self.events.append(Event("create", name, self._names[name]))
            self._open[fd] = name, self._names.get(name, -1), flags
        return fd

    def close(self, fd: int) -> None:
        self._open.pop(fd, None)
        super().close(fd)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        name, node, flags = self._open[fd]
        offset = os.fstat(fd).st_size if flags & os.O_APPEND else os.lseek(fd, 0, os.SEEK_CUR)
        taken = super().write(fd, data)
        self.events.append(Event("write", name, node, offset=offset, data=bytes(data[:taken])))
        self._unflushed.setdefault(node, []).append((offset, taken))
        return taken

    def truncate(self, fd: int, size: int) -> None:
        super().truncate(fd, size)
        name, node, _ = self._open[fd]
        self.events.append(Event("truncate", name, node, offset=size))

    def fsync(self, fd: int) -> None:
        if fd in self._open:
            name, node, _ = self._open[fd]
            unflushed = self._unflushed.pop(node, [])
            if node >= 0 and self.refuse:
                self.refuse -= 1
                if not self.refuse:
                    self._lost.setdefault(node, []).extend(unflushed)
                    self.events.append(Event("lost", name, node))
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
            self.events.append(Event("sync" if node < 0 else "fsync", name, node))

    def sync_file_system(self, fd: int) -> None:
        pass  # it is not relied on

    def drop_cache(self, fd: int) -> None:
        name, node, _ = self._open[fd]
        lost = self._lost.pop(node, [])
        if lost:
            writable = os.open(os.path.join(self.home, name), os.O_WRONLY)
            for offset, size in lost:
                os.pwrite(writable, bytes(size), offset)
            os.close(writable)

    def link(self, source: str, target: str) -> None:
        super().link(source, target)
        old, new = self._below(source), self._below(target)
        assert old is not None
        assert new is not None
        self._names[new] = self._names[old]
        self.events.append(Event("link", new, self._names[new]))

    def rename(self, source: str, target: str) -> None:
        super().rename(source, target)
        old, new = self._below(source), self._below(target)
        assert old is not None
        assert new is not None
        self._names[new] = self._names.pop(old)
        self.events.append(Event("rename", new, self._names[new], source=old))

    def unlink(self, path: str) -> None:
        super().unlink(path)
        name = self._below(path)
        assert name is not None
        self.events.append(Event("unlink", name, self._names.pop(name)))

    def mkdir(self, path: str, mode: int = 0o700) -> None:
        super().mkdir(path, mode)
        name = self._below(path)
        if name:
            self.events.append(Event("mkdir", name))

    def rmdir(self, path: str) -> None:
        super().rmdir(path)
        name = self._below(path)
        assert name is not None
        self.events.append(Event("rmdir", name))


# What may be left


_NAMING: Final = frozenset({"create", "link", "rename", "unlink", "mkdir", "rmdir"})


class _Disk:
    """What is safe, and what is pending, after a number of events."""

    def __init__(self, image: Image) -> None:
        self.safe = image.copy()
        self.naming: list[Event] = []
        self.writing: dict[int, list[Event]] = {}

    def take(self, event: Event) -> None:
        if event.kind == "rename" and len(_folders(event)) == 2:
            self.naming += [
                event._replace(kind="link"),
                Event("leave", event.source, event.node, data=event.path.encode()),
            ]
        elif event.kind in _NAMING:
            self.naming.append(event)
            if event.kind == "create":
                self.safe.data[event.node] = b""
        elif event.kind in ("write", "truncate"):
            self.writing.setdefault(event.node, []).append(event)
        elif event.kind == "lost":
            pending = self.writing.get(event.node, [])
            self.writing[event.node] = [write._replace(data=bytes(len(write.data))) for write in pending]
        elif event.kind == "fsync":
            self.safe.data[event.node] = _content(self.safe.data[event.node], self.writing.pop(event.node, []))
        elif event.kind == "sync":
            kept = [naming for naming in self.naming if event.path not in _folders(naming)]
            for naming in self.naming:
                if naming not in kept:
                    _name(self.safe, naming)
            self.naming = kept


def _folders(event: Event) -> set[str]:
    """The folders in which an event changes names."""
    return {os.path.dirname(event.path)} | ({os.path.dirname(event.source)} if event.source else set())


def _name(image: Image, event: Event) -> None:
    if event.kind == "mkdir":
        image.folders.add(event.path)
    elif event.kind == "rmdir":
        image.folders.discard(event.path)
    elif event.kind == "unlink":
        image.names.pop(event.path, None)
    elif event.kind == "leave":
        if image.names.get(event.data.decode()) == event.node:  # else it would have no name at all
            image.names.pop(event.path, None)
    else:
        if event.kind == "rename":
            image.names.pop(event.source, None)
        image.names[event.path] = event.node


def _content(held: bytes, events: Iterable[Event]) -> bytes:
    data = bytearray(held)
    for event in events:
        if event.kind == "truncate":
            del data[event.offset :]
            data += bytes(event.offset - len(data))
        else:
            data += bytes(max(0, event.offset - len(data)))
            data[event.offset : event.offset + len(event.data)] = event.data
    return bytes(data)


def _contents(held: bytes, events: list[Event]) -> list[bytes]:
    """What a file may hold that was not flushed; all of it first, nothing of it second."""
    whole = _content(held, events)
    found = dict.fromkeys([whole, held])
    for number in range(1, len(events)):
        found[_content(held, events[:number])] = None
    if len(whole) <= len(held):
        return list(found)  # something was cut: nothing here overwrites what it does not cut
    grown = range(len(held) // SECTOR * SECTOR, len(whole), SECTOR)
    found[held + bytes(len(whole) - len(held))] = None
    for start in grown:
        end = min(start + SECTOR, len(whole))
        begin = max(start, len(held))
        found[whole[:end]] = None  # torn at the end of a sector
        found[whole[:begin] + bytes(end - begin) + whole[end:]] = None  # this sector is missing
        found[held + bytes(begin - len(held)) + whole[begin:end] + bytes(len(whole) - end)] = (
            None  # this alone is there
        )
    return list(found)


class _Choice(NamedTuple):
    naming: tuple[bool, ...]
    writing: tuple[int, ...]


def _choices(names: int, contents: list[int], bound: int, chance: random.Random) -> Iterator[_Choice]:
    """Which changes of names and which contents there are: every combination, or the corners and a sample.

    Corners: everything, nothing, all but one, one alone, each content with every name and with no other content.
    """
    total = 2**names
    for number in contents:
        total *= number
    if total <= bound:
        for naming in itertools.product((True, False), repeat=names):
            for writing in itertools.product(*(range(number) for number in contents)):
                yield _Choice(naming, writing)
        return
    seen: set[_Choice] = set()

    def corners() -> Iterator[_Choice]:
        every, none = (True,) * names, (False,) * names
        whole, old = (0,) * len(contents), (min(1, max(contents, default=1) - 1),) * len(contents)
        for naming in (every, none):
            for writing in (whole, old):
                yield _Choice(naming, writing)
        for at, number in enumerate(contents):
            for content in range(number):
                for others in (whole, old):
                    yield _Choice(every, (*others[:at], content, *others[at + 1 :]))
        for at in range(names):
            yield _Choice((*every[:at], False, *every[at + 1 :]), whole)
            yield _Choice((*none[:at], True, *none[at + 1 :]), whole)

    def sample() -> Iterator[_Choice]:
        for _ in range(bound):
            yield _Choice(
                tuple(chance.random() < 0.5 for _ in range(names)),
                tuple(chance.randrange(number) for number in contents),
            )

    for choice in itertools.islice(itertools.chain(corners(), sample()), 2 * bound):
        if choice not in seen:
            seen.add(choice)
            yield choice
        if len(seen) >= bound:
            return


def crash_states(
    before: Image, events: list[Event], after: Image, *, bound: int, seed: int = 0
) -> Iterator[tuple[list[Event], Image]]:
    """What a power cut may leave: (what had happened, the home), for every moment that adds something.

    These moments are those right before a flush, and the end: what is possible at any other is possible at the next of
    these, when not less was acknowledged.

    Args:
        before: The home when recording began.
        events: What was done.
        after: The home in the end: where what is passing is taken from.
        bound: States of one moment. Where there are more, the corners and a sample of so many are given.
        seed: What the sample follows from.
    """
    chance = random.Random(seed)
    disk = _Disk(before)
    lasting = [event for event in events if not passing(event.path)]
    turn = itertools.count()
    for number, event in enumerate([*lasting, Event("sync", "")]):
        if event.kind in ("fsync", "sync"):
            for image in _states(disk, bound, chance):
                yield lasting[:number], _with_passing(image, before if next(turn) % 2 else after)
        disk.take(event)


def _states(disk: _Disk, bound: int, chance: random.Random) -> Iterator[Image]:
    nodes = sorted(disk.writing)
    contents = [_contents(disk.safe.data[node], disk.writing[node]) for node in nodes]
    for choice in _choices(len(disk.naming), [len(each) for each in contents], bound, chance):
        image = disk.safe.copy()
        for node, each, which in zip(nodes, contents, choice.writing, strict=True):
            image.data[node] = each[min(which, len(each) - 1)]
        for event, happened in zip(disk.naming, choice.naming, strict=True):
            if happened:
                _name(image, event)
        yield _reachable(image)


def _reachable(image: Image) -> Image:
    """Without what lies in folders that are not there."""

    def there(path: str) -> bool:
        above = os.path.dirname(path)
        while above:
            if above not in image.folders:
                return False
            above = os.path.dirname(above)
        return True

    image.folders = {folder for folder in image.folders if there(folder)}
    image.names = {path: node for path, node in image.names.items() if there(path)}
    return image


def _with_passing(image: Image, other: Image) -> Image:
    """With the locks and the catalog of another image."""
    names = {path: node for path, node in image.names.items() if not passing(path)}
    data = dict(image.data)
    fresh = itertools.count(max((*data, *other.data), default=0) + 1)
    for path, node in other.names.items():
        folder = os.path.dirname(path)
        if passing(path) and (not folder or folder in image.folders):
            names[path] = next(fresh)
            data[names[path]] = other.data[node]
    return Image(image.folders, names, data)


def replayed(before: Image, events: Iterable[Event]) -> Image:
    """What a home holds when nothing is lost: for checking the model itself."""
    image = before.copy()
    for event in events:
        if event.kind in _NAMING:
            _name(image, event)
            if event.kind == "create":
                image.data[event.node] = b""
        elif event.kind in ("write", "truncate"):
            image.data[event.node] = _content(image.data[event.node], [event])
    return image
