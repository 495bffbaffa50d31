"""Replay: what records mean. Pure functions over records, no I/O of their own.

Layer 4. Knows records and lineages. The model context, turns and items, and thread metadata are computed here, each by
one state machine that is driven backwards until nothing older can matter, or over everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from threadkeep._lazy import lazily

if TYPE_CHECKING:
    from threadkeep.replay._at import record_at
    from threadkeep.replay._context import ContextItem, ModelContext, Window
    from threadkeep.replay._facts import Counts, ThreadFacts
    from threadkeep.replay._find import find_turn, next_turn
    from threadkeep.replay._history import kept_messages
    from threadkeep.replay._metadata import forked_facts, read_counts, read_facts, read_place
    from threadkeep.replay._pages import DEFAULT_LIMIT, MAX_LIMIT, ItemPage, TurnPage, item_page, turn_cursor, turn_page
    from threadkeep.replay._reader import TurnReader
    from threadkeep.replay._replay import read_context
    from threadkeep.replay._said import Said, SaidBefore
    from threadkeep.replay._totals import Totals, TotalsSource, count
    from threadkeep.replay._turn import ItemEntry, ItemsView, Position, TurnEntry
    from threadkeep.replay._whole import whole_turns

__all__ = [
    "DEFAULT_LIMIT",
    "MAX_LIMIT",
    "ContextItem",
    "Counts",
    "ItemEntry",
    "ItemPage",
    "ItemsView",
    "ModelContext",
    "Position",
    "Said",
    "SaidBefore",
    "ThreadFacts",
    "Totals",
    "TotalsSource",
    "TurnEntry",
    "TurnPage",
    "TurnReader",
    "Window",
    "count",
    "find_turn",
    "forked_facts",
    "item_page",
    "kept_messages",
    "next_turn",
    "read_context",
    "read_counts",
    "read_facts",
    "read_place",
    "record_at",
    "turn_cursor",
    "turn_page",
    "whole_turns",
]

_PLACES: Final = {
    "record_at": "_at",
    "ContextItem": "_context",
    "ModelContext": "_context",
    "Window": "_context",
    "find_turn": "_find",
    "next_turn": "_find",
    "kept_messages": "_history",
    "Counts": "_facts",
    "ThreadFacts": "_facts",
    "forked_facts": "_metadata",
    "read_counts": "_metadata",
    "read_facts": "_metadata",
    "read_place": "_metadata",
    "DEFAULT_LIMIT": "_pages",
    "ItemPage": "_pages",
    "MAX_LIMIT": "_pages",
    "TurnPage": "_pages",
    "item_page": "_pages",
    "turn_cursor": "_pages",
    "turn_page": "_pages",
    "TurnReader": "_reader",
    "read_context": "_replay",
    "Said": "_said",
    "SaidBefore": "_said",
    "Totals": "_totals",
    "TotalsSource": "_totals",
    "count": "_totals",
    "ItemEntry": "_turn",
    "ItemsView": "_turn",
    "Position": "_turn",
    "TurnEntry": "_turn",
    "whole_turns": "_whole",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _PLACES)
