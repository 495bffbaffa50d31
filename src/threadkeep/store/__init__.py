"""The store: the one implementation of everything that a user can do with threads, on any backend. Layer 6."""

from threadkeep.store._lists import SortKey, ThreadFilter
from threadkeep.store._models import (
    Check,
    DeletePlan,
    Erasure,
    Family,
    Finding,
    Materialized,
    Page,
    PlannedThread,
    Resumed,
    Thread,
    ThreadPage,
    TreeNode,
    Verification,
)
from threadkeep.store._snapshot import Snapshot
from threadkeep.store._store import ThreadStore
from threadkeep.store._turns import TurnWriter
from threadkeep.store._writer import NewRecord, Writer

__all__ = [
    "Check",
    "DeletePlan",
    "Erasure",
    "Family",
    "Finding",
    "Materialized",
    "NewRecord",
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
