"""Several processes keep one catalog of names: none takes back what a later one has seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.backends.local.homes import QuickFiles
from tests.store.threads import new_thread

from threadkeep.backends.local import LocalBackend
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Slow(QuickFiles):
    """Something happens right after a folder of rollouts was read, before anybody is told what it holds."""

    happens: Callable[[], object] | None = None

    def scandir(self, path: str) -> Iterator[os.DirEntry[str]]:
        entries = list(super().scandir(path))
        if self.happens is not None and any(entry.name.startswith("rollout-") for entry in entries):
            happens, self.happens = self.happens, None
            happens()
        return iter(entries)


def test_what_a_process_saw_that_had_to_wait_hides_no_thread_from_another(tmp_path: Path) -> None:
    files = Slow()
    with (
        ThreadStore(LocalBackend(str(tmp_path), files=files)) as slow,
        ThreadStore(LocalBackend(str(tmp_path), files=QuickFiles())) as quick,
    ):
        new_thread(quick, "one")
        made: list[str] = []

        def overtake() -> None:
            made.append(new_thread(quick, "two"))
            quick.list(sort="created_at")

        files.happens = overtake
        slow.list(sort="created_at")
        backend = quick.backend
        assert isinstance(backend, LocalBackend)
        rows = backend.catalog.run(lambda db: db.execute("SELECT thread_id FROM names").fetchall())
        assert (made[0],) in rows
        assert made[0] in {thread.id for thread in slow.list(sort="created_at", limit=1_000).data}


def test_who_is_always_overtaken_is_told_all_the_same(tmp_path: Path) -> None:
    class Overtaken(QuickFiles):
        looks = 0
        beside: ThreadStore | None = None

        def scandir(self, path: str) -> Iterator[os.DirEntry[str]]:
            entries = list(super().scandir(path))
            if self.beside is not None:
                self.looks += 1
                assert self.looks < 1_000
                new_thread(self.beside, "more")
                self.beside.list(sort="created_at")
            return iter(entries)

    files = Overtaken()
    with (
        ThreadStore(LocalBackend(str(tmp_path), files=files)) as slow,
        ThreadStore(LocalBackend(str(tmp_path), files=QuickFiles())) as quick,
    ):
        first = new_thread(quick, "one")
        files.beside = quick
        assert first in {thread.id for thread in slow.list(sort="created_at", limit=1_000).data}
