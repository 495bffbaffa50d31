"""The homes on which threadkeep stands beside Codex: each makes its threads once, below a folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple, get_args

from threadkeep.bench._bench import MB, MODES, SIZES, TAIL_BYTES, aged_size
from threadkeep.bench._codex_own import copied_lineage
from threadkeep.bench._generate import CheckpointAge, Recipe
from threadkeep.bench._home import made_home
from threadkeep.bench._home_many import made_many
from threadkeep.records import LEGACY, PAGINATED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from threadkeep.bench._appserver_homes import Template
    from threadkeep.bench._generate import CheckpointPlace

__all__ = ["DEFAULT_HOMES", "HOMES", "OWN", "Choice", "Plan", "bytes_needed", "own_plan", "plans"]

HOMES: Final = {
    "late": "the last checkpoint one megabyte before the end",
    "early": "one checkpoint, after the first turn",
    "none": "no checkpoint",
    "ages": "checkpoints of the shapes that older versions wrote",
    "rollbacks": "every fifth turn rolled back",
    "threads": "many threads",
    "forks": "a chain of forks",
}
"""Generated homes by name, and what is special about them."""

DEFAULT_HOMES: Final = ("late", "rollbacks", "forks")

OWN: Final = "own"
"""What the copy of a person's own thread is called."""

_ROLLBACK_EVERY: Final = 5


class Choice(NamedTuple):
    """Which homes are generated.

    Attributes:
        homes: Names, of :data:`HOMES`.
        sizes: Bytes of history.
        modes: History modes.
        threads: Threads of the home of many.
        forks: Forks of the chain.
        seed: Source of all chance.
    """

    homes: Sequence[str] = DEFAULT_HOMES
    sizes: Sequence[int] = SIZES[:3]
    modes: Sequence[str] = MODES
    threads: int = 2_000
    forks: int = 200
    seed: int = 1


class Plan(NamedTuple):
    """A home that is to be made.

    Attributes:
        name: Its name.
        title: What it is, for people.
        mode: History mode of its thread; empty where that is not known before it is made.
        make: Makes it below a folder, or finds it there; told whom to tell how far it is.
    """

    name: str
    title: str
    mode: str
    make: Callable[[str, Callable[[str], None]], Template]


def plans(choice: Choice) -> Iterator[Plan]:
    """The homes that are generated, in the order of their names."""
    for name in HOMES:
        if name in choice.homes:
            for mode in choice.modes:
                yield from _OF_NAMES[name](name, mode, choice)


def own_plan(home: str, thread: str) -> Plan:
    """The copy of a thread of a person's own home.

    Args:
        home: The home.
        thread: The thread's id, or the beginning of it.
    """
    return Plan(
        OWN,
        "your own",
        "",
        # What lies at that place is replaced: the name is one that nobody gives to anything else.
        lambda folder, tell: copied_lineage(home, thread, os.path.join(folder, f"{OWN}-{thread}"), progress=tell),
    )


def bytes_needed(choice: Choice) -> int:
    """How much disk the generated homes and their copies take, about."""
    each = [size for name in choice.homes if name in ("late", "early", "none") for size in choice.sizes]
    aged = 5 * aged_size(choice.sizes) if {"ages", "rollbacks"} & set(choice.homes) else 0
    many = 100_000 * choice.threads * ("threads" in choice.homes) + 30_000 * choice.forks * ("forks" in choice.homes)
    # Beside each home at a time: its copy, Codex's index of it and the copy of that, and a fork that Codex copies.
    return len(choice.modes) * (sum(each) + aged + many) + 5 * max([*choice.sizes, many])


def _single(name: str, title: str, recipe: Recipe) -> Plan:
    return Plan(name, title, recipe.mode, lambda folder, _tell: made_home(folder, recipe))


def _sized(name: str, mode: str, choice: Choice) -> Iterator[Plan]:
    places: dict[str, CheckpointPlace] = {"late": "late", "early": "early", "none": "none"}
    for size in choice.sizes:
        recipe = Recipe(mode=mode, size=size, tail=TAIL_BYTES, checkpoints=places[name], seed=choice.seed)
        yield _single(name, f"checkpoint {name}" if name != "none" else HOMES[name], recipe)


def _aged(name: str, mode: str, choice: Choice) -> Iterator[Plan]:
    for age in get_args(CheckpointAge)[1:]:
        recipe = Recipe(mode=mode, size=aged_size(choice.sizes), tail=TAIL_BYTES, age=age, seed=choice.seed)
        yield _single(name, f"checkpoints with {age.replace('-', ' ')}", recipe)


def _rolled_back(name: str, mode: str, choice: Choice) -> Iterator[Plan]:
    if mode == LEGACY:  # a paginated thread is reverted instead: another rollout
        size, every = aged_size(choice.sizes), _ROLLBACK_EVERY
        recipe = Recipe(mode=mode, size=size, tail=TAIL_BYTES, rollback_every=every, seed=choice.seed)
        yield _single(name, HOMES[name], recipe)


def _threads(name: str, mode: str, choice: Choice) -> Iterator[Plan]:
    recipe = Recipe(mode=mode, size=MB, tail=TAIL_BYTES, seed=choice.seed)
    yield Plan(
        name,
        f"{choice.threads:,} threads",
        mode,
        lambda folder, tell: made_many(folder, "threads", recipe, choice.threads, progress=tell),
    )


def _forks(name: str, mode: str, choice: Choice) -> Iterator[Plan]:
    if mode == PAGINATED:  # forks of legacy threads are copies, to Codex
        recipe = Recipe(mode=mode, size=MB, tail=TAIL_BYTES, seed=choice.seed)
        yield Plan(
            name,
            f"a chain of {choice.forks:,} forks",
            mode,
            lambda folder, tell: made_many(folder, "forks", recipe, choice.forks, progress=tell),
        )


_OF_NAMES: Final[dict[str, Callable[[str, str, Choice], Iterator[Plan]]]] = {
    "late": _sized,
    "early": _sized,
    "none": _sized,
    "ages": _aged,
    "rollbacks": _rolled_back,
    "threads": _threads,
    "forks": _forks,
}
