"""Which records a rollout of each history mode holds (``storage.md`` 2.5)."""

from __future__ import annotations

from typing import Final

__all__ = ["HISTORY_MODES", "LEGACY", "PAGINATED", "is_persisted"]

LEGACY: Final = "legacy"
PAGINATED: Final = "paginated"
HISTORY_MODES: Final = frozenset({LEGACY, PAGINATED})

_ALWAYS: Final = frozenset(
    {
        "session_meta",
        "compacted",
        "turn_context",
        "world_state",
        "token_usage_record",
        "retained_context",
        "security_risk_score",
        "inter_agent_communication",
        "inter_agent_communication_metadata",
        "dynamic_tools_updated",
    }
)
_UNSTORED_ITEMS: Final = frozenset({"compaction_trigger", "other"})
_EVENTS_OF_BOTH: Final = frozenset(
    {
        "task_started",
        "task_complete",
        "turn_aborted",
        "token_count",
        "thread_settings_applied",
        "thread_goal_updated",
        "thread_rolled_back",
        "item_completed",
    }
)
_LEGACY_EVENTS: Final = frozenset(
    {
        "user_message",
        "agent_message",
        "agent_reasoning",
        "agent_reasoning_raw_content",
        "entered_review_mode",
        "exited_review_mode",
        "patch_apply_end",
        "context_compacted",
        "mcp_tool_call_end",
        "web_search_end",
        "image_generation_end",
        "sub_agent_activity",
    }
)
_LEGACY_ITEMS: Final = frozenset({"FunctionCallOutput", "Plan", "Extension", "SubAgentActivity"})


def is_persisted(kind: str, subtype: str, mode: str, *, item_type: str = "") -> bool:
    """Whether a rollout of ``mode`` holds records of this type.

    Args:
        kind: The record's type.
        subtype: The payload's own type.
        mode: ``legacy`` or ``paginated``.
        item_type: For ``item_completed``: the item's type.
    """
    if kind in _ALWAYS:
        return True
    if kind == "response_item":
        return subtype not in _UNSTORED_ITEMS
    if kind == "realtime_item":
        return mode == PAGINATED
    if kind != "event_msg":
        return False
    if subtype == "item_completed":
        return mode == PAGINATED or item_type in _LEGACY_ITEMS
    return subtype in _EVENTS_OF_BOTH or (mode == LEGACY and subtype in _LEGACY_EVENTS)
