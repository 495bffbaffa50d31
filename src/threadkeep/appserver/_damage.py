"""Damage is told, not passed over: whoever loads a thread hears of lines near its end that nobody can read."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from threadkeep.errors import ThreadkeepError

if TYPE_CHECKING:
    from threadkeep.appserver._loaded import LoadedThread

__all__ = ["tell_of_damage"]

LOOKED_AT: Final = 4 * 1024 * 1024
"""Bytes from a rollout's end that are looked at when it is loaded; `threadkeep verify` reads all of it."""

_MOST_NAMED: Final = 3


def tell_of_damage(thread: LoadedThread) -> None:
    """Look at the end of a thread that was loaded, beside everything else, and warn its watchers."""
    thread.server.bulk.submit(partial(_tell, thread))


def _tell(thread: LoadedThread) -> None:
    try:
        with thread.server.store.snapshot(thread.id) as snapshot:
            found = snapshot.unreadable(LOOKED_AT)
    except ThreadkeepError:
        return  # whoever reads the thread is told
    if not found:
        return
    places = ", ".join(f"{path} at byte {offset}" for path, offset in found[:_MOST_NAMED])
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    lines = "a line that is no record" if len(found) == 1 else f"{len(found)} lines that are no records"
    thread.publish(
        "warning",
        {
            "threadId": thread.id,
            "message": f"thread {thread.id} has {lines}: {places}{more}. Everything else is served; "
            f"`threadkeep verify {thread.id}` tells what is lost",
        },
    )
