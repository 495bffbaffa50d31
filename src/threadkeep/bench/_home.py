"""Generated homes: one thread each, made once and found again by its recipe."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from typing import TYPE_CHECKING, Final

import msgspec

from threadkeep.backends.local._layout import PLACES, parse_name
from threadkeep.bench._generate import Generated, Recipe, generate
from threadkeep.ids import utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["CREATED_MS", "BenchHome", "made_home", "rollouts_in", "scratch_copy", "write_rollout"]

_NOTE: Final = "made-2.json"
"""Names the shape of what is generated, too: threads of another one are made anew."""

CREATED_MS: Final = 1_760_000_000_000
"""When generated threads begin, Unix milliseconds."""

_TOLD_EVERY: Final = 8_000_000


class BenchHome(msgspec.Struct):
    """A home with one generated thread.

    Attributes:
        path: Its folder.
        recipe: What the thread was made by.
        made: What was made.
        location: The thread's rollout, below the folder.
        size: Its bytes.
    """

    path: str
    recipe: Recipe
    made: Generated
    location: str
    size: int

    @property
    def thread_id(self) -> str:
        """The thread's id."""
        return self.made.thread_id

    @property
    def ancestors(self) -> tuple[str, ...]:
        """It inherits from none."""
        return ()

    @property
    def locations(self) -> tuple[str, ...]:
        """Its files, below the folder."""
        return (self.location,)

    @property
    def rollout(self) -> str:
        """The thread's file."""
        return os.path.join(self.path, self.location)


def write_rollout(
    home: str, recipe: Recipe, *, start_ms: int = CREATED_MS, progress: Callable[[int], None] | None = None
) -> tuple[Generated, str]:
    """Write a generated thread into a home; (what was made, where it lies below the home).

    Args:
        home: The home's folder, made where it is missing.
        recipe: What to make.
        start_ms: Creation time of the thread, Unix milliseconds.
        progress: Told from time to time how many bytes were written.
    """
    made = Generated()
    lines = generate(recipe, made, start_ms=start_ms)
    first = next(lines)
    # The local date would make the place depend on the machine; readers take any folder below sessions/.
    created = utc(start_ms)[:19]
    location = f"sessions/{created[:10].replace('-', '/')}/rollout-{created.replace(':', '-')}-{made.thread_id}.jsonl"
    path = os.path.join(home, location)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    aside = f"{path}.part"
    told = written = 0
    with open(aside, "wb", buffering=1 << 20) as file:
        written += file.write(first)
        for line in lines:
            written += file.write(line)
            if progress is not None and written - told >= _TOLD_EVERY:
                told = written
                progress(written)
    os.rename(aside, path)
    return made, location


def made_home(folder: str, recipe: Recipe, *, progress: Callable[[int], None] | None = None) -> BenchHome:
    """The home of a recipe below ``folder``: the one that was made before, or a new one."""
    placed = "" if recipe.checkpoints == "late" else f"-{recipe.checkpoints}"
    rolled = f"-rollback-{recipe.rollback_every}" if recipe.rollback_every else ""
    path = os.path.join(folder, f"{recipe.mode}-{recipe.size // 1000}kB-{recipe.age}{placed}{rolled}")
    note = os.path.join(path, _NOTE)
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        with open(note, "rb") as file:
            home = msgspec.json.decode(file.read(), type=BenchHome)
        home.path = path
        if home.recipe == recipe and os.path.getsize(home.rollout) == home.size:
            return home
    shutil.rmtree(path, ignore_errors=True)
    made, location = write_rollout(path, recipe, progress=progress)
    home = BenchHome(path, recipe, made, location, os.path.getsize(os.path.join(path, location)))
    with open(note, "wb") as file:
        file.write(msgspec.json.encode(home))
    return home


def rollouts_in(home: str) -> list[str]:
    """Where the rollouts of a home lie, below it."""
    return sorted(
        os.path.relpath(os.path.join(folder, name), home)
        for place in PLACES
        for folder, _, names in os.walk(os.path.join(home, place))
        for name in names
        if parse_name(name) is not None
    )


@contextlib.contextmanager
def scratch_copy(home: BenchHome) -> Iterator[str]:
    """A home beside it that has the same file by another name, for what writes; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="scratch-", dir=os.path.dirname(home.path)) as path:
        target = os.path.join(path, home.location)
        os.makedirs(os.path.dirname(target))
        try:
            os.link(home.rollout, target)
        except OSError:  # no links on this file system
            shutil.copyfile(home.rollout, target)
        yield path
