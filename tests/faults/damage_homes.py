"""Homes to damage: written by a real binary, from the recordings in the fixtures or right now."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.codex.client import write_config
from tests.codex.mock_responses import MockResponses
from tests.codex.scenarios import Lab
from tests.codex.scrub import rollout_files, thread_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.damage_kinds import Kind

__all__ = ["DamagedHome", "recorded", "written"]

_FIXTURES: Final = Path(__file__).parent.parent / "fixtures" / "rollouts" / "0.169.0"

_STATE: Final = (
    "CREATE TABLE threads (id TEXT PRIMARY KEY, rollout_path TEXT, archived INTEGER, name TEXT, title TEXT, "
    "first_user_message TEXT, history_mode TEXT, preview TEXT)"
)


class DamagedHome:
    """A home with the thread that is damaged, one other, and a copy that everything is put back from.

    Codex keeps absolute paths, so the home stays where it is and what it holds is put back each time.

    Attributes:
        path: The home.
        thread: The thread that is damaged.
        mode: Its history mode.
    """

    def __init__(self, path: Path, thread: str, mode: str, lab: Lab | None = None) -> None:
        self.path = path
        self.thread = thread
        self.mode = mode
        self.lab = lab
        self._kept = path.parent / "kept"
        shutil.copytree(path, self._kept, symlinks=True)
        (self.rollout,) = [file for file in rollout_files(path) if thread_id(file) == thread]
        self.intact = self.rollout.read_bytes()

    def damage(self, kind: Kind, *, database: bool) -> bytes | None:
        """Put everything back, then damage the thread; the damaged bytes, None for a file that is gone."""
        shutil.rmtree(self.path)
        shutil.copytree(self._kept, self.path, symlinks=True)
        if not database:
            for file in self.path.glob("*.sqlite*"):
                file.unlink()
        data = kind.change(self.intact)
        if data is None:
            self.rollout.unlink()
        else:
            self.rollout.write_bytes(data)
        return data


@contextlib.contextmanager
def recorded(mode: str) -> Iterator[DamagedHome]:
    """A home that a real binary wrote once, with an index of ours in the place of Codex's."""
    with tempfile.TemporaryDirectory(prefix="damage-") as folder:
        home = Path(folder).resolve() / ".codex"
        shutil.copytree(_FIXTURES / f"compaction-{mode}", home)
        (home / "expected.json").unlink(missing_ok=True)
        (file,) = rollout_files(home)
        shutil.copytree(_FIXTURES / "crash-paginated" / "sessions", home / "sessions", dirs_exist_ok=True)
        write_config(home, "http://127.0.0.1:9/v1")
        _index(home, mode)
        yield DamagedHome(home, thread_id(file), mode)


def _index(home: Path, mode: str) -> None:
    with contextlib.closing(sqlite3.connect(home / "state_5.sqlite")) as db, db:
        db.execute(_STATE)
        for file in rollout_files(home):
            db.execute(
                "INSERT INTO threads VALUES (?, ?, 0, NULL, '', 'one', ?, 'one')",
                (thread_id(file), os.fspath(file), mode if "compaction" in mode else "paginated"),
            )


@contextlib.contextmanager
def written(mode: str, codex: Path) -> Iterator[DamagedHome]:
    """A home that a binary writes now: four turns with calls, a compaction, two turns; and another thread."""
    with tempfile.TemporaryDirectory(prefix="damage-") as folder, MockResponses() as mock:
        lab = Lab("0.169.0", codex, Path(folder).resolve(), mock)
        with lab.server() as server:
            thread = lab.start(server, mode)
            for number in range(4):
                lab.turn(server, thread, f"{lab.call(f'echo {number}')} turn {number}")
            lab.compact(server, thread)
            for number in range(4, 6):
                lab.turn(server, thread, f"turn {number}")
            lab.turn(server, lab.start(server, mode), "another thread")
            server.settle()
        yield DamagedHome(lab.home, thread, mode, lab)
