"""Which records of a legacy rollout matter to its turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from threadkeep.replay._starts import ENDS, STARTS

if TYPE_CHECKING:
    from threadkeep.records import Record
    from threadkeep.replay._turn import ItemsView

__all__ = ["EXTENDED", "is_kept", "may_matter", "opens_nothing"]

_ITEM_EVENTS: Final = frozenset(
    {
        "user_message",
        "agent_message",
        "agent_reasoning",
        "agent_reasoning_raw_content",
        "context_compacted",
        "entered_review_mode",
        "exited_review_mode",
        "patch_apply_end",
        "mcp_tool_call_end",
        "web_search_end",
        "image_generation_end",
        "sub_agent_activity",
        "item_completed",
    }
)
_BOUNDARIES: Final = STARTS | ENDS | {"thread_rolled_back"}
EXTENDED: Final = frozenset(
    {
        "exec_command_end",
        "view_image_tool_call",
        "dynamic_tool_call_response",
        "collab_agent_spawn_end",
        "collab_agent_interaction_end",
        "collab_waiting_end",
        "collab_close_end",
        "collab_resume_end",
    }
)
"""Events that files of an old extended mode hold: the real server ignores them, the calls are rebuilt from them."""


def may_matter(kind: str, subtype: str, view: ItemsView) -> bool:
    """Whether records of a type and payload type can matter to the turns in this view."""
    if kind == "event_msg":
        return subtype in _BOUNDARIES or subtype in _ITEM_EVENTS or (view == "full" and subtype in EXTENDED)
    if kind == "response_item":
        return view == "full" or subtype == "message"
    return kind in {"compacted", "turn_context"}


def is_kept(record: Record, view: ItemsView) -> bool:
    """Whether a record can matter to the turns in this view."""
    if not may_matter(record.kind, record.subtype, view):
        return False
    return record.kind != "response_item" or view == "full" or b"hook_run_id" in record.line


def opens_nothing(record: Record) -> bool:
    """Whether a record neither opens, joins nor ends a turn: settings, and what the model saw."""
    return record.kind == "turn_context" or (record.kind == "response_item" and b"hook_run_id" not in record.line)
