"""The store: the one implementation of everything that a user can do with threads, on any backend. Layer 6."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from threadkeep._lazy import lazily

if TYPE_CHECKING:
    from threadkeep.store._filter import INTERACTIVE, ThreadFilter
    from threadkeep.store._lists import SortKey
    from threadkeep.store._models import (
        DeletePlan,
        Erasure,
        Family,
        Finding,
        Latest,
        Materialized,
        Page,
        PlannedThread,
        Resumed,
        Thread,
        ThreadPage,
        TreeNode,
    )
    from threadkeep.store._search import Found, FoundPage, Occurrence, OccurrencePage
    from threadkeep.store._snapshot import Snapshot
    from threadkeep.store._store import ThreadStore
    from threadkeep.store._turns import TurnWriter
    from threadkeep.store._verification import Check, Verification
    from threadkeep.store._writer import NewRecord, Writer

__all__ = [
    "INTERACTIVE",
    "Check",
    "DeletePlan",
    "Erasure",
    "Family",
    "Finding",
    "Found",
    "FoundPage",
    "Latest",
    "Materialized",
    "NewRecord",
    "Occurrence",
    "OccurrencePage",
    "Page",
    "PlannedThread",
    "Resumed",
    "Snapshot",
    "SortKey",
    "Thread",
    "ThreadFilter",
    "ThreadPage",
    "ThreadStore",
    "TreeNode",
    "TurnWriter",
    "Verification",
    "Writer",
]

_PLACES: Final = {
    "INTERACTIVE": "_filter",
    "ThreadFilter": "_filter",
    "SortKey": "_lists",
    "Check": "_verification",
    "DeletePlan": "_models",
    "Erasure": "_models",
    "Family": "_models",
    "Finding": "_models",
    "Latest": "_models",
    "Materialized": "_models",
    "Page": "_models",
    "PlannedThread": "_models",
    "Resumed": "_models",
    "Thread": "_models",
    "ThreadPage": "_models",
    "TreeNode": "_models",
    "Verification": "_verification",
    "Found": "_search",
    "FoundPage": "_search",
    "Occurrence": "_search",
    "OccurrencePage": "_search",
    "Snapshot": "_snapshot",
    "ThreadStore": "_store",
    "TurnWriter": "_turns",
    "NewRecord": "_writer",
    "Writer": "_writer",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _PLACES)
