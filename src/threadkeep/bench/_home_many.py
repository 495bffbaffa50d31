"""Generated homes of many threads: thousands beside each other, and chains of forks. Made once, found again."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from threadkeep.backends.local import LocalBackend
from threadkeep.bench._generate import SeededIds, SteppingClock
from threadkeep.bench._home import CREATED_MS, rollouts_in, write_rollout
from threadkeep.records import LEGACY
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from threadkeep.bench._generate import Recipe

__all__ = ["ManyHome", "Shape", "made_many"]

Shape = Literal["threads", "forks"]
"""Threads that have nothing to do with each other; a thread, its fork, the fork of that, and so on."""

_NOTE: Final = "made-many-1.json"
_APART_MS: Final = 60_000
_TOLD_EVERY: Final = 50

_SHORT: Final = 25_000
"""Bytes that a first record with its instructions and one turn exceed."""

_USAGE: Final = {
    "input_tokens": 1_000,
    "cached_input_tokens": 0,
    "output_tokens": 10,
    "reasoning_output_tokens": 0,
    "total_tokens": 1_010,
}

_SIGN: Final = "installation_id"
"""What says, while a chain is made, that Codex uses the home: forks are written in full then, as Codex writes them."""


class ManyHome(msgspec.Struct):
    """A home of many generated threads.

    Attributes:
        path: Its folder.
        shape: What they are to each other.
        count: How many there are beside the measured one, or before it in its chain.
        recipe: What the measured thread was made by, or the root of its chain.
        thread_id: The measured thread: the one that was changed last.
        ancestors: The threads that it inherits from, oldest first.
        locations: The rollouts, below the folder.
        size: Bytes of all of them.
    """

    path: str
    shape: Shape
    count: int
    recipe: Any
    thread_id: str
    ancestors: list[str]
    locations: list[str]
    size: int


def made_many(folder: str, shape: Shape, recipe: Recipe, count: int, *, progress: Callable[[str], None]) -> ManyHome:
    """The home of these threads below ``folder``: the one that was made before, or a new one.

    Args:
        folder: Where generated homes are kept.
        shape: What the threads are to each other.
        recipe: What the measured thread is made by, or the root of its chain.
        count: How many threads stand beside it; how many forks the chain has.
        progress: Told from time to time how far it is.

    Raises:
        ValueError: A chain of legacy threads: Codex has no such thing, its forks of them are copies.
    """
    if shape == "forks" and recipe.mode == LEGACY:
        raise ValueError("legacy threads have no chains of forks")
    path = os.path.join(folder, f"{recipe.mode}-{count}-{shape}")
    note = os.path.join(path, _NOTE)
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        with open(note, "rb") as file:
            home = msgspec.json.decode(file.read(), type=ManyHome)
        home.path = path
        asked = (shape, count, msgspec.to_builtins(recipe))
        if (home.shape, home.count, home.recipe) == asked and home.size == _size(path, home.locations):
            return home
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    make = _threads if shape == "threads" else _forks
    *ancestors, thread = make(path, recipe, count, progress)
    locations = rollouts_in(path)
    size = _size(path, locations)
    home = ManyHome(path, shape, count, msgspec.to_builtins(recipe), thread, ancestors, locations, size)
    with open(note, "wb") as file:
        file.write(msgspec.json.encode(home))
    return home


def _size(path: str, locations: list[str]) -> int:
    return sum(os.path.getsize(os.path.join(path, location)) for location in locations)


def _threads(home: str, recipe: Recipe, count: int, progress: Callable[[str], None]) -> list[str]:
    """Threads of one turn each, and the measured one after them; its id alone."""
    short = msgspec.structs.replace(recipe, size=_SHORT, checkpoints="none")
    for number in range(count):
        made = msgspec.structs.replace(short, seed=recipe.seed + number + 1)
        _write_at(home, made, CREATED_MS + number * _APART_MS)
        if number % _TOLD_EVERY == 0:
            progress(f"{number} of {count} threads made")
    return [_write_at(home, recipe, CREATED_MS + count * _APART_MS)]


def _write_at(home: str, recipe: Recipe, ms: int) -> str:
    made, location = write_rollout(home, recipe, start_ms=ms)
    os.utime(os.path.join(home, location), ns=(ms * 1_000_000, ms * 1_000_000))
    return made.thread_id


def _forks(home: str, recipe: Recipe, count: int, progress: Callable[[str], None]) -> list[str]:
    """A thread and its chain of forks, each with a turn of its own; their ids."""
    chain = [_write_at(home, recipe, CREATED_MS)]
    clock = SteppingClock(CREATED_MS)
    ids = SeededIds(random.Random(recipe.seed + 1), clock)  # noqa: S311 - made-up ids
    sign = os.path.join(home, _SIGN)
    with open(sign, "wb"):
        pass
    with ThreadStore(LocalBackend(home, clock=clock, ids=ids), durability="os") as store:
        for number in range(1, count + 1):
            clock.ms = CREATED_MS + number * _APART_MS
            fork = store.fork(chain[-1])
            chain.append(fork.id)
            with store.writer(fork.id) as writer, writer.turn(f"What of fork {number}?", cwd=recipe.cwd) as turn:
                turn.say(f"It is fork {number}.")
                turn.count(total=_USAGE, last=_USAGE)
            os.utime(os.path.join(home, fork.location), ns=(clock.ms * 1_000_000, clock.ms * 1_000_000))
            if number % _TOLD_EVERY == 0:
                progress(f"{number} of {count} forks made")
    os.unlink(sign)
    return chain
