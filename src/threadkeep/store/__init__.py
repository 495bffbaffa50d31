"""The store: the one implementation of everything that a user can do with threads, on any backend. Layer 6."""

from threadkeep.store._lists import SortKey, ThreadFilter
from threadkeep.store._models import Page, Resumed, Thread, ThreadPage
from threadkeep.store._store import ThreadStore
from threadkeep.store._turns import TurnWriter
from threadkeep.store._writer import NewRecord, Writer

__all__ = [
    "NewRecord",
    "Page",
    "Resumed",
    "SortKey",
    "Thread",
    "ThreadFilter",
    "ThreadPage",
    "ThreadStore",
    "TurnWriter",
    "Writer",
]
