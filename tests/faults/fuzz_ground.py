"""What every fuzzing target stands on: a home beside a place that nobody may touch, and the promises to keep there.

`promises` watches everything that runs inside it: no file outside of the home is opened, no program is started, it ends
in time and in the memory that was stated. `answered` says what an operation may do with bytes from outside: answer, or
raise a `ThreadkeepError` that says where.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import signal
import stat
import sys
import tempfile
import time
import tracemalloc
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import unquote

import msgspec
from tests.backends.local.homes import QuickFiles
from tests.faults.fuzz_seeds import SECRET, THREADS, rollout_file

from threadkeep.backends.local import LocalBackend
from threadkeep.errors import CorruptHistory, StorageFailure, ThreadkeepError, UnreadableRollout
from threadkeep.store import ThreadFilter, ThreadStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["ELSEWHERE", "BrokenPromise", "Ground", "answered", "everything", "opened", "promises"]

T = TypeVar("T")

SECONDS: Final = 60.0
"""How long one input may take; a typical one takes 20 ms."""

_REPOSITORY: Final = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))

_PYTHON: Final = tuple(
    {os.path.realpath(path) for path in (sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path, _REPOSITORY) if path}
)
"""Where modules come from: imports are no reading of ours."""

_SYSTEM: Final = ("/dev/null", "/dev/urandom", "/proc/", "/etc/localtime", "/usr/share/zoneinfo/")

_MOST_PAGES: Final = 2_000

_FILE_EVENTS: Final = {
    "open": (0,),
    "os.listdir": (0,),
    "os.scandir": (0,),
    "os.remove": (0,),
    "os.rename": (0, 1),
    "os.link": (0, 1),
    "os.symlink": (1,),
    "os.mkdir": (0,),
    "os.rmdir": (0,),
    "os.truncate": (0,),
    "os.utime": (0,),
    "os.chmod": (0,),
    "sqlite3.connect": (0,),
}


class BrokenPromise(AssertionError):
    """Something happened that must not happen, whatever the bytes are."""


class _Endless(BaseException):
    """Ends an input that takes too long; nothing that catches `Exception` holds it up."""


class _Watch:
    """What was opened, and which programs were started, while somebody watches."""

    def __init__(self) -> None:
        self.paths: list[str] | None = None

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        paths = self.paths
        if paths is None:
            return
        if event in _FILE_EVENTS:
            for place in _FILE_EVENTS[event]:
                path = arguments[place]
                if isinstance(path, bytes | str | os.PathLike):
                    paths.append(_led_to(os.fsdecode(path), arguments[2] if event == "open" else 0))
        elif event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"):
            paths.append(f"<{event}> {arguments[0]!r}")


def _led_to(path: str, flags: int) -> str:
    """Where an opening leads; the place itself where a link in it is not followed."""
    if path.startswith(("file:", ":memory:")):
        return path
    if flags & os.O_NOFOLLOW:
        return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    return os.path.realpath(path)


_WATCH: Final = _Watch()


@functools.cache
def _hooked() -> None:
    sys.addaudithook(_WATCH)  # for the rest of the process: there is no way to take it out


class Ground:
    """A home, and beside it a place that holds a readable thread which nobody may see.

    Attributes:
        home: The home's folder.
        outside: The other place.
        secret: A rollout in it.
    """

    def __init__(self, root: str) -> None:
        self.root = os.path.realpath(root)
        self.home = os.path.join(self.root, "home")
        self.outside = os.path.join(self.root, "outside")
        os.mkdir(self.home)
        os.mkdir(self.outside)
        name, data = rollout_file(THREADS[-1], "paginated", text=SECRET)
        self.secret = os.path.join(self.outside, name)
        with open(self.secret, "wb") as file:
            file.write(data)

    @classmethod
    @contextlib.contextmanager
    def fresh(cls) -> Iterator[Ground]:
        """A ground of its own, gone afterwards."""
        root = tempfile.mkdtemp(prefix="fuzz-")
        try:
            yield cls(root)
        finally:
            shutil.rmtree(root, ignore_errors=True)

    def put(self, location: str, data: bytes) -> str:
        """A file of the home; its path."""
        path = os.path.join(self.home, location)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def put_thread(self, thread: str, mode: str = "paginated", text: str = "asked") -> bytes:
        """A small sound thread in the home; its bytes."""
        name, data = rollout_file(thread, mode, text=text)
        self.put(f"sessions/2026/11/22/{name}", data)
        return data

    def standing(self) -> dict[str, str]:
        """Every name below the home and what it holds, but for the catalog, which is derived and may change."""
        found = {}
        for folder, names, files in os.walk(self.home):
            for name in (*names, *files):
                path = os.path.join(folder, name)
                place = os.path.relpath(path, self.home)
                if place.startswith("threadkeep/catalog.sqlite"):
                    continue
                found[place] = _held(path)
        return found


def _held(path: str) -> str:
    facts = os.lstat(path)
    if stat.S_ISREG(facts.st_mode):
        with open(path, "rb") as file:
            return f"{facts.st_mode:o} {hashlib.file_digest(file, 'sha256').hexdigest()}"
    return f"{facts.st_mode:o} {os.readlink(path) if stat.S_ISLNK(facts.st_mode) else ''}"


ELSEWHERE: Final = "threadkeep-elsewhere"
"""Where a home's links lead that lead nowhere: what is written through them is the catalog's."""

_OWN_MEMORY: Final = frozenset(
    "threadkeep threadkeep/marks.jsonl threadkeep/inheritance.lock threadkeep/pins thread-writer-locks".split()
)
"""What reading may add: the pins and seals of children that Codex made, when they are seen first; locks."""


def _unchanged(before: dict[str, str], after: dict[str, str]) -> None:
    for place, held in before.items():
        if after.get(place) != held and place != "threadkeep/marks.jsonl":
            raise BrokenPromise(f"reading changed {place}: {held} became {after.get(place)}")
    for place in after.keys() - before.keys():
        if place not in _OWN_MEMORY and not place.startswith(("threadkeep/pins/", "thread-writer-locks/", ELSEWHERE)):
            raise BrokenPromise(f"reading made {place}")


@contextlib.contextmanager
def promises(
    ground: Ground,
    *,
    reading: bool = True,
    seconds: float = SECONDS,
    memory: int | None = None,
    also: tuple[str, ...] = (),
) -> Iterator[None]:
    """Watch what runs inside.

    Args:
        ground: Where it runs.
        reading: Nothing in the home may change.
        seconds: How long it may take.
        memory: Bytes that Python may hold at once beyond what it held before; None for whatever.
        also: Beginnings of paths that may be opened, too.

    Raises:
        BrokenPromise: A promise was broken.
    """
    _hooked()
    before = ground.standing() if reading else {}
    _WATCH.paths = []
    if memory is not None:
        tracemalloc.start()
    held = tracemalloc.get_traced_memory()[0] if memory is not None else 0
    try:
        with _within(seconds):
            yield
    except _Endless as error:
        raise BrokenPromise(f"it took more than {seconds} s") from error
    except (MemoryError, RecursionError) as error:
        raise BrokenPromise(f"{type(error).__name__}: {error}") from error
    finally:
        peak = tracemalloc.get_traced_memory()[1] - held if memory is not None else 0
        if memory is not None:
            tracemalloc.stop()
        paths, _WATCH.paths = _WATCH.paths, None
    if memory is not None and peak > memory:
        raise BrokenPromise(f"it held {peak:,} bytes, more than the stated {memory:,}")
    for path in dict.fromkeys(paths):
        _allowed(ground, path, also)
    if reading:
        _unchanged(before, ground.standing())


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    """End what takes longer. A timer that was set before goes on afterwards."""

    def late(*_: object) -> None:
        raise _Endless

    started = time.monotonic()
    handler = signal.signal(signal.SIGALRM, late)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL if handler is None else handler)  # None: libFuzzer's own
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(0.001, left - (time.monotonic() - started)), interval)


def _allowed(ground: Ground, path: str, also: tuple[str, ...]) -> None:
    if path.startswith("<"):
        raise BrokenPromise(f"a program was started: {path}")
    if path.startswith("file:"):
        path = os.path.realpath(unquote(path[5:].partition("?")[0]))
    if path.startswith(f"{ground.outside}/") and not any(place.startswith(ground.outside) for place in also):
        raise BrokenPromise(f"what nobody may see was opened: {path}")
    if path == ":memory:" or path.startswith((*_SYSTEM, *also)):
        return
    if path == ground.root:
        return  # the home's own name is flushed there
    temporary = os.path.realpath(tempfile.gettempdir())
    if os.path.dirname(path) == temporary or path == temporary:
        return  # unnamed files, and the folders for private copies
    if path.startswith(os.path.join(temporary, "threadkeep-")):
        return
    if not f"{path}/".startswith((f"{ground.home}/", *(f"{place}/" for place in _PYTHON))):
        raise BrokenPromise(f"a place outside of the home was opened: {path}")


class WatchedFiles(QuickFiles):
    """The file system without its flushes, but with an eye on what paths are made of."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        """Open what lies in the home by its path, too: nothing goes up and comes down again."""
        if (
            ".." in path.split("/")
            or "\0" in path
            or not (f"{path}/".startswith(f"{self._ground.home}/") or path == self._ground.root)
        ):
            raise BrokenPromise(f"a path out of the home was made: {path!r}")
        return super().open(path, flags, mode)


@contextlib.contextmanager
def opened(ground: Ground, *, watched: bool = True) -> Iterator[ThreadStore]:
    """A store on the home."""
    files = WatchedFiles(ground) if watched else QuickFiles()
    with ThreadStore(LocalBackend(ground.home, files=files), durability="os") as store:
        yield store


def answered(operation: Callable[[], T]) -> T | None:
    """What an operation answers; None where it refuses as it may.

    Raises:
        BrokenPromise: It raises something else than a `ThreadkeepError`, or one that does not say where.
    """
    try:
        return operation()
    except ThreadkeepError as error:
        _says_where(error)
        return None
    except BrokenPromise:
        raise
    except Exception as error:
        raise BrokenPromise(f"{type(error).__name__}: {error}") from error


def _says_where(error: ThreadkeepError) -> None:
    kind = type(error).__name__
    if not str(error).strip():
        raise BrokenPromise(f"{kind} says nothing") from error
    if isinstance(error, CorruptHistory | StorageFailure) and not (error.thread or error.rollout or error.path):
        raise BrokenPromise(f"{kind} names neither thread nor file: {error}") from error
    if isinstance(error, UnreadableRollout) and (error.path is None or error.offset is None):
        raise BrokenPromise(f"{kind} names no byte of a file: {error}") from error
    if SECRET in str(error):
        raise BrokenPromise(f"{kind} tells what nobody may see: {error}") from error


def everything(store: ThreadStore, threads: tuple[str, ...] = ()) -> dict[str, Any]:
    """Ask a store everything that reading can answer; the turns of each thread that could be read.

    Raises:
        BrokenPromise: An answer is none, fast is not full, paging does not end, or something outside was told.
    """
    found = list(threads)
    for sort in ("updated_at", "created_at"):
        page = answered(functools.partial(store.list, sort=sort, chosen=ThreadFilter(archived=None), limit=100))
        if page is not None:
            _tellable(page)
            found += [thread.id for thread in page.data]
    _tellable(answered(lambda: store.search("e")))
    _tellable(answered(store.tree))
    _tellable(answered(store.families))
    turns: dict[str, Any] = {}
    for thread in dict.fromkeys(found):
        turns[thread] = _one_thread(store, thread)
    _tellable(answered(lambda: list(store.doctor())))
    return turns


def _one_thread(store: ThreadStore, thread: str) -> list[Any] | None:
    for ask in (store.read, functools.partial(store.read, counts=True), store.resume, store.base_instructions):
        _tellable(answered(functools.partial(ask, thread)))
    newest = answered(lambda: _paged(functools.partial(store.turns, thread, limit=3, view="full"), descending=True))
    oldest = answered(lambda: _paged(functools.partial(store.turns, thread, limit=4, view="full"), descending=False))
    if newest is not None and oldest is not None and newest != oldest[::-1]:
        raise BrokenPromise("the turns in one order are not those in the other")
    _tellable(newest)
    _tellable(answered(lambda: _paged(functools.partial(store.items, thread, limit=50), descending=False)))
    verified = answered(lambda: store.verify(thread))
    if verified is not None and not _twice(newest):
        _tellable(verified)
        for check in verified.checks:
            if not check.ok and check.name != "inheritance":  # what that finds is damage, and it says so
                raise BrokenPromise(f"fast is not full: {check.name}: {check.difference}")
    return newest


def _twice(turns: list[Any] | None) -> bool:
    """Whether a turn's id stands twice: lines were doubled or moved, and which one is meant is anybody's guess."""
    ids = [turn["id"] for turn in turns or ()]
    return len(set(ids)) != len(ids)


def _paged(ask: Callable[..., Any], *, descending: bool) -> list[Any]:
    data: list[Any] = []
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        page = ask(cursor=cursor, descending=descending)
        data += page.data
        cursor = page.next_cursor
        if cursor is None:
            return data
    raise BrokenPromise(f"{_MOST_PAGES} pages, and no end")


def _tellable(answer: Any) -> None:
    """What is answered can be told as JSON, and nothing of it comes from outside."""
    try:
        told = msgspec.json.encode(answer)
    except Exception as error:
        raise BrokenPromise(f"the answer is no JSON: {type(error).__name__}: {error}") from error
    if SECRET.encode() in told:
        raise BrokenPromise("something outside of the home was told")
