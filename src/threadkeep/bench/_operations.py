"""What is measured: operations of the store that people wait for, each with what it cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from threadkeep.records import Cost

if TYPE_CHECKING:
    from collections.abc import Callable

    from threadkeep.store import ThreadStore

__all__ = ["FULL_REPLAY", "OPERATIONS", "PAGE_TURNS", "Operation"]

PAGE_TURNS: Final = 20
"""Turns of the page that is measured."""


class Operation(NamedTuple):
    """One operation.

    Attributes:
        title: What it is, for people.
        run: Does it on a thread; what it cost.
        writes: Whether it leaves something behind.
        derived: Whether it answers from the catalog, so that a cold one is worth a look.
    """

    title: str
    run: Callable[[ThreadStore, str], Cost]
    writes: bool = False
    derived: bool = False


def _fork(store: ThreadStore, thread: str) -> Cost:
    cost = Cost()
    store.fork(thread, cost=cost)
    return cost


def _read(store: ThreadStore, thread: str) -> Cost:
    cost = Cost()
    store.read(thread, cost=cost)
    return cost


def _list(store: ThreadStore, _thread: str) -> Cost:
    cost = Cost()
    store.list(cost=cost)
    return cost


OPERATIONS: Final = {
    "resume": Operation("resume", lambda store, thread: store.resume(thread).cost),
    "page": Operation(
        f"first page of {PAGE_TURNS} turns", lambda store, thread: store.turns(thread, limit=PAGE_TURNS).cost
    ),
    "fork": Operation("fork", _fork, writes=True),
    "read": Operation("metadata", _read, derived=True),
    "list": Operation("list", _list, derived=True),
}

FULL_REPLAY: Final = Operation("full replay", lambda store, thread: store.replay(thread).cost)
"""The same answer as a resume, from the whole history: what the others are compared with."""
