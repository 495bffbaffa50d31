"""The thread store for AI agents.

threadkeep resumes any conversation from its newest checkpoint, forks it by reference, pages its turns from the end,
and never loses a record. It works in place on a Codex home, and in homes of its own::

    from threadkeep import ThreadStore

    with ThreadStore.open("~/.codex") as store:
        newest = store.list(limit=1).data[0]
        context = store.resume(newest.id).context
        fork = store.fork(newest.id)

Everything that can go wrong is a `ThreadkeepError` (see `threadkeep.errors`).
"""

from __future__ import annotations

from threadkeep._version import __version__

TYPE_CHECKING = False  # as `typing` has it, which the start of the app-server has no time for
if TYPE_CHECKING:
    from typing import Any, Final

    from threadkeep.backends import MemoryBackend
    from threadkeep.backends.local import LocalBackend
    from threadkeep.errors import ThreadkeepError
    from threadkeep.records import Cost, Damage
    from threadkeep.replay import ContextItem, ModelContext, Position, Window
    from threadkeep.store import (
        Check,
        DeletePlan,
        Erasure,
        Family,
        Finding,
        Found,
        FoundPage,
        Latest,
        Materialized,
        NewRecord,
        Occurrence,
        OccurrencePage,
        Page,
        PlannedThread,
        Resumed,
        Snapshot,
        Thread,
        ThreadFilter,
        ThreadPage,
        ThreadStore,
        TreeNode,
        TurnWriter,
        Verification,
        Writer,
    )

__all__ = [
    "Check",
    "ContextItem",
    "Cost",
    "Damage",
    "DeletePlan",
    "Erasure",
    "Family",
    "Finding",
    "Found",
    "FoundPage",
    "Latest",
    "LocalBackend",
    "Materialized",
    "MemoryBackend",
    "ModelContext",
    "NewRecord",
    "Occurrence",
    "OccurrencePage",
    "Page",
    "PlannedThread",
    "Position",
    "Resumed",
    "Snapshot",
    "Thread",
    "ThreadFilter",
    "ThreadPage",
    "ThreadStore",
    "ThreadkeepError",
    "TreeNode",
    "TurnWriter",
    "Verification",
    "Window",
    "Writer",
    "__version__",
]

_ELSEWHERE: Final = {
    "ContextItem": "replay",
    "Cost": "records",
    "Damage": "records",
    "LocalBackend": "backends.local",
    "MemoryBackend": "backends",
    "ModelContext": "replay",
    "Position": "replay",
    "ThreadkeepError": "errors",
    "Window": "replay",
}
"""Where a name is that is not in ``threadkeep.store``. Names are looked up when they are first asked for, so that
``import threadkeep`` costs next to nothing."""


def __getattr__(name: str) -> Any:
    if name.startswith("_") or name not in __all__:
        raise AttributeError(f"module 'threadkeep' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"threadkeep.{_ELSEWHERE.get(name, 'store')}"), name)


def __dir__() -> list[str]:
    return __all__
