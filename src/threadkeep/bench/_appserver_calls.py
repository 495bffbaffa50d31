"""What is asked of the servers: each call on one thread, in a process that was just started."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

__all__ = ["CALLS", "Call"]

_PAGE: Final = 20
"""Turns or items of the pages that are asked for."""


class Call(NamedTuple):
    """One call.

    Attributes:
        title: What it is, for people.
        method: The method.
        params: Its parameters, without the thread's id.
        full: Whether the answer holds the whole history, so that it grows with it.
    """

    title: str
    method: str
    params: dict[str, Any]
    full: bool = False


CALLS: Final = {
    "resume": Call("resume, all turns", "thread/resume", {}, full=True),
    "resume-exclude": Call("resume, no turns", "thread/resume", {"excludeTurns": True}),
    "resume-page": Call(
        f"resume, page of {_PAGE}",
        "thread/resume",
        {"excludeTurns": True, "initialTurnsPage": {"limit": _PAGE, "sortDirection": "desc", "itemsView": "summary"}},
    ),
    "fork": Call("fork, all turns", "thread/fork", {}, full=True),
    "fork-exclude": Call("fork, no turns", "thread/fork", {"excludeTurns": True}),
    "turns": Call(f"turns/list, {_PAGE}", "thread/turns/list", {"limit": _PAGE, "itemsView": "summary"}),
    "items": Call(f"items/list, {_PAGE}", "thread/items/list", {"limit": _PAGE, "sortDirection": "desc"}),
    "read": Call("read, metadata", "thread/read", {"includeTurns": False}),
    "read-turns": Call("read, all turns", "thread/read", {"includeTurns": True}, full=True),
}
