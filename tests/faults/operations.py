"""Everything that a store does to a home, as one table: what fault tests do, and what must hold afterwards.

Ids and times are the same at every run, so that homes can be compared byte by byte.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.backends.local.homes import QuickFiles, compressed
from tests.faults.disk import Image

from threadkeep.backends.local import Files, LocalBackend
from threadkeep.store import ThreadFilter, ThreadStore

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LATER", "OPERATIONS", "Operation", "Prepared", "Run", "ground", "opened", "prepared"]

_BEGIN_MS: Final = 1_760_000_000_000
_HOUR_MS: Final = 3_600_000

LATER: Final = 48
"""How many hours after a home was begun operations are tried on it: on another day."""


class Clock:
    """A clock that goes on by a second each time that it is looked at."""

    def __init__(self, ms: int) -> None:
        self.ms = ms

    def now_ms(self) -> int:
        self.ms += 1_000
        return self.ms


class Ids:
    """Ids that count up, each of its own time: UUIDv7."""

    def __init__(self, ms: int) -> None:
        self.ms = ms

    def new(self) -> str:
        self.ms += 1
        return f"{self.ms >> 16:08x}-{self.ms & 0xFFFF:04x}-7000-8000-{self.ms & 0xFFFFFFFFFFFF:012x}"


def ground() -> TemporaryDirectory[str]:
    """A folder to work in: in memory where the system has such folders, since thousands of homes are made there."""
    memory = "/dev/shm"
    return TemporaryDirectory(prefix="threadkeep-faults-", dir=memory if os.access(memory, os.W_OK) else None)


def opened(home: str, files: Files | None = None, *, hours: int = LATER) -> ThreadStore:
    """The store of a home, at a time of its own.

    Args:
        home: The folder.
        files: The file system; by default one that works and flushes nothing.
        hours: How long after the home was made it is: each process has its own time, so that their ids differ.
    """
    ms = _BEGIN_MS + hours * _HOUR_MS
    return ThreadStore(LocalBackend(home, clock=Clock(ms), ids=Ids(ms), files=files or QuickFiles()))


class Run(NamedTuple):
    """One run of an operation.

    Attributes:
        store: The store.
        threads: Ids of the home's threads by the part that they play.
        acknowledge: Told each text that is kept from now on.
    """

    store: ThreadStore
    threads: dict[str, str]
    acknowledge: Callable[[str], None]

    def turn(self, thread: str, *texts: str) -> None:
        """Append a turn for each text."""
        with self.store.writer(self.threads[thread]) as writer:
            for text in texts:
                with writer.turn(text) as turn:
                    self.acknowledge(text)
                    turn.say(f"re {text}")
                    self.acknowledge(f"re {text}")

    def first_turn(self, thread: str) -> str:
        """Id of a thread's first turn."""
        return str(self.store.turns(self.threads[thread], descending=False, limit=1).data[0]["id"])

    def last_turn(self, thread: str) -> str:
        """Id of a thread's last turn."""
        return str(self.store.turns(self.threads[thread], limit=1).data[0]["id"])


class Operation(NamedTuple):
    """A row of the table.

    Attributes:
        do: The operation. What it acknowledges on the way it says; all of it when it returns.
        changes: The threads that it may change: until it returned each of them is as before, as afterwards, or, where
            it grows, in between. Every other is as before, whatever happens.
        prepare: What the home has besides (its folder, a run); files as other programs leave them, for example.
        repeats: Whether doing it again does it once more, so that only more is there afterwards.
        breaks: Whether a thread that inherits may be refused until it was done again: only erasing changes records,
            and nobody is served what is half erased.
        erased: What no file holds any more once it returned.
        gone: The threads that nobody sees any more once it returned.
    """

    do: Callable[[Run], object]
    changes: tuple[str, ...] = ()
    prepare: Callable[[Path, Run], None] | None = None
    repeats: bool = False
    breaks: bool = False
    erased: bytes = b""
    gone: tuple[str, ...] = ()


def _create(mode: str) -> Callable[[Run], object]:
    def do(run: Run) -> None:
        with (
            run.store.create(cwd="/new", mode=mode, model_provider="mock", base_instructions="Be brief.") as writer,
            writer.turn("begun") as turn,
        ):
            run.acknowledge("begun")
            turn.say("re begun")
            run.acknowledge("re begun")

    return do


def _file(home: Path, run: Run, thread: str) -> Path:
    return home / run.store.read(run.threads[thread]).location


def _torn(home: Path, run: Run) -> None:
    with _file(home, run, "plain").open("ab") as file:
        file.write(b'{"timestamp":"2025-10-09T08:53:')


def _nul_tail(home: Path, run: Run) -> None:
    with _file(home, run, "plain").open("ab") as file:
        file.write(bytes(700))


def _unended(home: Path, run: Run) -> None:
    """The last record is whole, and its newline is missing."""
    path = _file(home, run, "plain")
    path.write_bytes(path.read_bytes()[:-1])


def _compressed(home: Path, run: Run) -> None:
    path = _file(home, run, "plain")
    Path(f"{path}.zst").write_bytes(compressed(path.read_bytes()))
    path.unlink()


def _archived(home: Path, run: Run) -> None:
    run.store.archive(run.threads["fork"])


def _hidden(home: Path, run: Run) -> None:
    run.store.delete(run.threads["plain"])


def _reverted(home: Path, run: Run) -> None:
    run.store.revert(run.threads["plain"], before=run.last_turn("plain"))


def _secret(home: Path, run: Run) -> None:
    run.turn("plain", "hunter2-secret")
    run.threads["heir"] = run.store.fork(run.threads["plain"]).id


def _neglected(home: Path, run: Run) -> None:
    """What killed and other programs leave: a pin, a lock, a temporary file, a twin, marks that nobody needs."""
    path = _file(home, run, "fork of fork")
    run.store.set_git(run.threads["fork of fork"], {"branch": "gone"})
    path.unlink()
    (home / "thread-writer-locks" / f"{run.threads['plain']}.lock").touch()
    left = path.with_name(".threadkeep-left.tmp")
    left.write_bytes(b"half")
    os.utime(left, (1, 1))
    twin = _file(home, run, "legacy")
    Path(f"{twin}.zst").write_bytes(compressed(twin.read_bytes()))


def _lost_catalog(home: Path, run: Run) -> None:
    run.store.close()
    (home / "threadkeep/catalog.sqlite").write_bytes(b"no database" * 100)


def _erase(run: Run) -> None:
    run.store.erase(run.threads["plain"], "hunter2-secret")


def _look(run: Run) -> None:
    for archived in (False, True):
        run.store.list(chosen=ThreadFilter(archived=archived))
    run.store.read(run.threads["fork of fork"], counts=True)


OPERATIONS: Final[dict[str, Operation]] = {
    "create a paginated thread": Operation(_create("paginated"), repeats=True),
    "create a legacy thread": Operation(_create("legacy"), repeats=True),
    "append to a paginated thread": Operation(lambda run: run.turn("plain", "more"), ("plain",), repeats=True),
    "append to a legacy thread": Operation(lambda run: run.turn("legacy", "more"), ("legacy",), repeats=True),
    "append to a fork": Operation(lambda run: run.turn("fork of fork", "more"), ("fork of fork",), repeats=True),
    "append to a running turn's thread": Operation(lambda run: run.turn("running", "more"), ("running",), repeats=True),
    "append after a torn tail": Operation(lambda run: run.turn("plain", "more"), ("plain",), _torn, repeats=True),
    "append after NULs": Operation(lambda run: run.turn("plain", "more"), ("plain",), _nul_tail, repeats=True),
    "append after a missing newline": Operation(
        lambda run: run.turn("plain", "more"), ("plain",), _unended, repeats=True
    ),
    "append to a reverted thread": Operation(
        lambda run: run.turn("plain", "more"), ("plain",), _reverted, repeats=True
    ),
    "unpack and append": Operation(lambda run: run.turn("plain", "more"), ("plain",), _compressed, repeats=True),
    "fork a paginated thread": Operation(lambda run: run.store.fork(run.threads["plain"]), repeats=True),
    "fork a legacy thread": Operation(lambda run: run.store.fork(run.threads["legacy"]), repeats=True),
    "fork a fork": Operation(lambda run: run.store.fork(run.threads["fork of fork"]), repeats=True),
    "fork a fork in what it inherits": Operation(
        lambda run: run.store.fork(run.threads["fork of fork"], through=run.first_turn("fork of fork")), repeats=True
    ),
    "fork through a running turn": Operation(lambda run: run.store.fork(run.threads["running"]), repeats=True),
    "fork a compressed thread": Operation(
        lambda run: run.store.fork(run.threads["plain"]), prepare=_compressed, repeats=True
    ),
    "revert": Operation(
        lambda run: run.store.revert(run.threads["plain"], before=run.last_turn("plain")), ("plain",), repeats=True
    ),
    "revert a legacy thread": Operation(
        lambda run: run.store.revert(run.threads["legacy"], before=run.last_turn("legacy")), ("legacy",), repeats=True
    ),
    "rename": Operation(lambda run: run.store.rename(run.threads["plain"], "second name"), ("plain",)),
    "set git facts": Operation(lambda run: run.store.set_git(run.threads["plain"], {"branch": "b"}), ("plain",)),
    "archive": Operation(lambda run: run.store.archive(run.threads["plain"]), ("plain",)),
    "archive a reverted thread": Operation(
        lambda run: run.store.archive(run.threads["plain"]), ("plain",), prepare=_reverted
    ),
    "unarchive": Operation(lambda run: run.store.unarchive(run.threads["fork"]), ("fork",), _archived),
    "delete a leaf": Operation(
        lambda run: run.store.delete(run.threads["fork of fork"]), ("fork of fork",), gone=("fork of fork",)
    ),
    "delete what others inherit": Operation(
        lambda run: run.store.delete(run.threads["plain"]), ("plain",), gone=("plain",)
    ),
    "delete a reverted thread": Operation(
        lambda run: run.store.delete(run.threads["plain"]), ("plain",), _reverted, gone=("plain",)
    ),
    "delete with what came of it": Operation(
        lambda run: run.store.delete(run.threads["fork"], cascade=True),
        ("fork", "fork of fork"),
        gone=("fork", "fork of fork"),
    ),
    "delete and reclaim": Operation(
        lambda run: run.store.delete(run.threads["plain"], reclaim=True), ("plain",), gone=("plain",)
    ),
    "reclaim what was deleted": Operation(
        lambda run: run.store.delete(run.threads["plain"], reclaim=True), ("plain",), _hidden
    ),
    "reclaim what is compressed": Operation(
        lambda run: run.store.delete(run.threads["plain"], reclaim=True), ("plain",), _compressed, gone=("plain",)
    ),
    "erase": Operation(_erase, ("plain", "heir"), _secret, breaks=True, erased=b"hunter2-secret"),
    "materialize": Operation(lambda run: run.store.materialize(run.threads["fork"]), ("fork",), repeats=True),
    "materialize what inherits from a legacy thread": Operation(
        lambda run: run.store.materialize(run.threads["legacy fork"]), ("legacy fork",), repeats=True
    ),
    "verify and seal": Operation(lambda run: run.store.verify(run.threads["fork of fork"])),
    "mend": Operation(lambda run: list(run.store.doctor(fix=True)), prepare=_neglected),
    "make the catalog anew": Operation(_look, prepare=_lost_catalog),
}


class Prepared(NamedTuple):
    """A home on which an operation is tried.

    Attributes:
        image: What it holds.
        threads: Ids of its threads by the part that they play.
    """

    image: Image
    threads: dict[str, str]


def _ignored(_: str) -> None:
    pass


def _common(run: Run) -> None:
    """A few threads of both modes, and forks of them, of which one was forked again."""
    for name, mode in (("plain", "paginated"), ("legacy", "legacy"), ("running", "paginated")):
        with run.store.create(cwd="/work", mode=mode, model_provider="mock", base_instructions="Be brief.") as writer:
            run.threads[name] = writer.thread_id
            texts = ("one", "two") if name != "running" else ("one",)
            for text in texts:
                with writer.turn(f"{name} {text}") as turn:
                    turn.say(f"re {name} {text}")
            if name == "running":
                writer.turn("cut off").__enter__()
    run.store.rename(run.threads["plain"], "first name")
    run.threads["fork"] = run.store.fork(run.threads["plain"], through=run.first_turn("plain")).id
    run.turn("fork", "branch")
    run.threads["fork of fork"] = run.store.fork(run.threads["fork"]).id
    run.turn("fork of fork", "twig")
    run.threads["legacy fork"] = run.store.fork(run.threads["legacy"], before=run.last_turn("legacy")).id


@cache
def prepared(name: str = "") -> Prepared:
    """The home for an operation; the common one by default."""
    with ground() as folder:
        home = Path(folder) / "home"
        if not name or OPERATIONS[name].prepare is None:
            if name:
                return prepared()
            threads: dict[str, str] = {}
            with opened(str(home), hours=0) as store:
                _common(Run(store, threads, _ignored))
            return Prepared(Image.of(str(home)), threads)
        common = prepared()
        common.image.put(str(home))
        threads = dict(common.threads)
        with opened(str(home), hours=0) as store:
            store.backend.clock.ms += 24 * _HOUR_MS  # type: ignore[attr-defined]
            store.backend.ids.ms += 24 * _HOUR_MS  # type: ignore[attr-defined]
            prepare = OPERATIONS[name].prepare
            assert prepare is not None
            prepare(home, Run(store, threads, _ignored))
        return Prepared(Image.of(str(home)), threads)
