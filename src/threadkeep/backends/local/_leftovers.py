"""What a home holds that nothing needs any more, and what in it leads nowhere, for ``doctor`` and ``erase``."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from threadkeep.backends._protocol import Leftover, RolloutRef
from threadkeep.backends.local._layout import KEPT, OWN_FOLDER, PLACES, parse_name
from threadkeep.backends.local._second_names import drop_second_names, is_second_name, name_that_stays
from threadkeep.backends.local._source import FileSource
from threadkeep.errors import Conflict, StorageFailure, ThreadkeepError
from threadkeep.records import Cost

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from threadkeep.backends.local._backend import LocalBackend
    from threadkeep.records import Source

__all__ = ["clear", "leftovers", "rollout_folders", "unfinished"]

_OLD_MS: Final = 3_600_000
_PIECE: Final = 1 << 20
_MAX_DEPTH: Final = 8


def leftovers(home: LocalBackend) -> Iterator[Leftover]:
    """Everything that was left behind in a home; nothing is changed."""
    for folder in _folders(home):
        yield from _temporary(home, folder)
        if _holds_rollouts(folder):
            yield from _twins(home, folder)
    yield from _second_names(home)
    yield from _locks(home)
    yield from _rows(home)
    yield from _astray(home)
    for trouble in home.troubles():  # known once everything was looked at
        yield Leftover("unreadable-place", "error", trouble)


def clear(home: LocalBackend, leftover: Leftover) -> bool:
    """Remove a leftover, if it still is one; whether it is gone.

    Raises:
        Conflict: Somebody is using it.
        StorageFailure: The system refused.
    """
    path = os.path.join(home.home, leftover.path or "")
    try:
        if leftover.kind == "temporary-file":
            if _age_ms(home, path) >= _OLD_MS:
                home.files.unlink(path)
        elif leftover.kind == "stale-lock" and leftover.thread is not None:
            home.lease(leftover.thread).release()  # taking and giving back removes the file, by the protocol
        elif leftover.kind == "both-forms" and leftover.thread is not None:
            with _leased(home, leftover.thread):
                if not _holds(home, leftover.path or ""):
                    return False
                home.files.unlink(path)
                home.files.sync_folder(os.path.dirname(path))
        elif leftover.kind == "second-name" and leftover.thread is not None:
            with _leased(home, leftover.thread):
                for ref, second in _under_two_names(home, home.rollouts_of(leftover.thread)):
                    if second.location == leftover.path:
                        drop_second_names(home, ref)
        elif leftover.kind == "stale-rows":
            for rollout_id in _rows_of_nothing(home):
                home.catalog.forget(rollout_id)
        else:
            return False
    except FileNotFoundError:
        return True
    except OSError as error:
        raise StorageFailure(f"it was not removed: {error.strerror}", path=path) from error
    return True


@contextlib.contextmanager
def _leased(home: LocalBackend, thread_id: str) -> Iterator[None]:
    lease = home.lease(thread_id)
    try:
        yield
    finally:
        lease.release()


def unfinished(home: LocalBackend) -> Iterator[tuple[str, Source]]:
    """Every temporary file of a rollout or a pin, however old, and what is in it.

    Raises:
        StorageFailure: One cannot be read.
    """
    for folder in _folders(home):
        for name in _temporary_names(home, folder):
            path = os.path.join(home.home, folder, name)
            try:
                source = FileSource(home.files, path, "", Cost())
            except FileNotFoundError:
                continue  # it has got its name, or is gone
            except OSError as error:
                raise StorageFailure(f"it cannot be read: {error.strerror}", path=path) from error
            yield f"{folder}/{name}", source


def _folders(home: LocalBackend) -> Iterator[str]:
    """The folders of rollouts and threadkeep's own, below the home."""
    pending = [(folder, 0) for folder in (*PLACES[:2], OWN_FOLDER)]
    seen: set[tuple[int, int]] = set()
    while pending:
        folder, depth = pending.pop()
        with contextlib.suppress(OSError):
            facts = home.files.stat(os.path.join(home.home, folder))
            if (facts.st_dev, facts.st_ino) in seen:
                continue
            seen.add((facts.st_dev, facts.st_ino))
            inside = [entry.name for entry in home.files.scandir(os.path.join(home.home, folder)) if entry.is_dir()]
            if depth < _MAX_DEPTH:
                pending += [(f"{folder}/{name}", depth + 1) for name in inside]
            yield folder


def _holds_rollouts(folder: str) -> bool:
    return folder.split(os.sep, 1)[0] != OWN_FOLDER or folder.startswith(KEPT)


def rollout_folders(home: LocalBackend) -> list[str]:
    """The folders that rollouts lie in, below the home, as far as they can be read."""
    return [folder for folder in _folders(home) if _holds_rollouts(folder)]


def _names(home: LocalBackend, folder: str) -> list[str]:
    with contextlib.suppress(OSError):
        return sorted(entry.name for entry in home.files.scandir(os.path.join(home.home, folder)))
    return []


def _age_ms(home: LocalBackend, path: str) -> int:
    return home.clock.now_ms() - home.files.stat(path).st_mtime_ns // 1_000_000


def _temporary_names(home: LocalBackend, folder: str) -> list[str]:
    return [name for name in _names(home, folder) if name.startswith(".threadkeep-") and name.endswith(".tmp")]


def _temporary(home: LocalBackend, folder: str) -> Iterator[Leftover]:
    for name in _temporary_names(home, folder):
        with contextlib.suppress(OSError):
            if _age_ms(home, os.path.join(home.home, folder, name)) >= _OLD_MS:
                yield Leftover(
                    "temporary-file",
                    "info",
                    "a file that a stopped program was writing, for more than an hour; it is part of nothing",
                    path=f"{folder}/{name}",
                    removable=True,
                )


# A rollout in both its forms


def _twins(home: LocalBackend, folder: str) -> Iterator[Leftover]:
    names = set(_names(home, folder))
    for name in sorted(names):
        parsed = parse_name(name)
        if parsed is None or not parsed.compressed or name.removesuffix(".zst") not in names:
            continue
        holds = _holds(home, f"{folder}/{name}")
        yield Leftover(
            "both-forms",
            "info" if holds else "warning",
            "the rollout stands beside its compressed form, and only the plain one is read; "
            + (
                "it begins with all that the compressed one holds"
                if holds
                else "the compressed one holds other records"
            ),
            path=f"{folder}/{name}",
            thread=parsed.thread_id,
            removable=holds,
        )


def _holds(home: LocalBackend, location: str) -> bool:
    """Whether the plain form of a compressed rollout begins with everything that the compressed one holds."""
    name = parse_name(os.path.basename(location))
    assert name is not None, "only rollouts are compared"
    forms = [
        RolloutRef(name.rollout_id, name.thread_id, place, compressed=place == location)
        for place in (location, location.removesuffix(".zst"))
    ]
    with contextlib.ExitStack() as opened:
        try:
            packed, plain = (opened.enter_context(contextlib.closing(home.open(form, Cost()))) for form in forms)
            return packed.size <= plain.size and all(
                packed.read(at, min(_PIECE, packed.size - at)) == plain.read(at, min(_PIECE, packed.size - at))
                for at in range(0, packed.size, _PIECE)
            )
        except ThreadkeepError:
            return False  # what cannot be read is not the same


# A rollout under two names


def _second_names(home: LocalBackend) -> Iterator[Leftover]:
    for ref, second in _under_two_names(home, [ref for ref, _ in home.stats()]):
        yield Leftover(
            "second-name",
            "info",
            f"the rollout has two names, as a power cut in the middle of a move may leave it; {ref.location} stays",
            path=second.location,
            thread=ref.thread_id,
            removable=True,
        )


def _under_two_names(home: LocalBackend, refs: list[RolloutRef]) -> Iterator[tuple[RolloutRef, RolloutRef]]:
    """The name that stays and the other one: what is read is the one outside the archive."""
    first: dict[str, RolloutRef] = {}
    for second in sorted(refs, key=lambda ref: (ref.archived, ref.location)):
        ref = first.setdefault(second.rollout_id, second)
        with contextlib.suppress(OSError):
            if is_second_name(home, second, ref):
                stays = name_that_stays(home, ref)
                yield (stays, ref if stays == second else second)


def _locks(home: LocalBackend) -> Iterator[Leftover]:
    with contextlib.suppress(StorageFailure, Conflict, OSError):
        for thread_id, path in home.unheld_locks():
            yield Leftover(
                "stale-lock",
                "info",
                "a writer lock that nobody holds: its program was killed",
                path=os.path.relpath(path, home.home),
                thread=thread_id,
                removable=True,
            )


# Rows


def _rows_of_nothing(home: LocalBackend) -> list[str]:
    """Rollouts that the catalog knows and the home does not hold, not even in a pin."""

    def work(db: sqlite3.Connection) -> list[str]:
        query = (
            "SELECT rollout_id FROM rows UNION SELECT rollout_id FROM totals UNION SELECT rollout_id FROM boundaries"
        )
        return [row[0] for row in db.execute(query)]

    known = home.catalog.run(work)
    there = {ref.rollout_id for ref, _ in home.stats()} | {pin.base for pin in home.pins()}
    return [rollout_id for rollout_id in known if rollout_id not in there]


def _rows(home: LocalBackend) -> Iterator[Leftover]:
    gone = _rows_of_nothing(home)
    if gone:
        yield Leftover(
            "stale-rows",
            "info",
            f"the catalog has rows of {len(gone):,} {'rollout' if len(gone) == 1 else 'rollouts'} that the home does "
            "not hold any more",
            path=f"{OWN_FOLDER}/catalog.sqlite",
            removable=True,
        )


def _astray(home: LocalBackend) -> Iterator[Leftover]:
    """Threads whose rollout Codex looks for where there is none."""
    for thread_id, path in sorted(home.codex_paths().items()):
        try:
            if home.files.exists(path) or home.files.exists(f"{path}.zst"):
                continue
            there = home.rollouts_of(thread_id)
        except (OSError, StorageFailure):
            continue  # nobody can say; the place that cannot be read is told of
        where = f"it lies at {there[-1].location}" if there else "the home does not hold it"
        yield Leftover(
            "codex-astray",
            "warning" if there else "info",
            f"Codex's index says that the rollout of the thread is {path}, where there is none: {where}",
            path=path,
            thread=thread_id,
        )
