"""What single records state of the context: the settings of a turn, whether a checkpoint is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from threadkeep.records import (
    Compacted,
    HarnessMetadata,
    Message,
    OutputText,
    ResponseItem,
    TurnContext,
    harness_metadata,
    response_item,
)
from threadkeep.replay._starts import ENDS, STARTS

if TYPE_CHECKING:
    from threadkeep.records import PreviousSettings

__all__ = [
    "context_needs",
    "is_delivery",
    "is_whole",
    "turn_settings",
]


_EVENTS: Final = STARTS | ENDS | {"thread_rolled_back", "user_message", "token_count", "thread_settings_applied"}
_KINDS: Final = frozenset(
    "compacted turn_context world_state response_item inter_agent_communication session_meta".split()
)


def context_needs(kind: str, subtype: str) -> bool:
    """Whether records of a type and payload type can matter to a context."""
    return subtype in _EVENTS if kind == "event_msg" else kind in _KINDS


def is_whole(view: Compacted) -> bool:
    """Metadata stands beside a replacement history, entry for entry, and every entry fits (``storage.md`` 2.3)."""
    history, metadata = view.replacement_history, view.replacement_history_metadata
    if metadata is not None:
        if history is None or len(history) != len(metadata):
            return False
        try:
            if not all(harness_metadata(entry) for entry in metadata):
                return False
        except ValueError:
            return False
    return history is None or all(response_item(item) is not None for item in history)


def turn_settings(view: TurnContext | PreviousSettings) -> dict[str, Any]:
    """The settings of a turn as ``previous_turn_settings`` states them."""
    settings: dict[str, Any] = {
        "model": view.model,
        "comp_hash": view.comp_hash,
        "realtime_active": view.realtime_active,
    }
    if view.cyber_access_program is not None:
        settings["cyber_access_program"] = view.cyber_access_program
    return settings


_DELIVERY: Final = "codex:code-mode-delivery:v1:"


def is_delivery(item: ResponseItem, metadata: HarnessMetadata) -> bool:
    """An assistant message that repeats what was delivered already: side state (``storage.md`` 2.4)."""
    mark = metadata.delivered_assistant_message
    return (
        mark is not None
        and isinstance(item, Message)
        and item.role == "assistant"
        and len(item.content) == 1
        and isinstance(item.content[0], OutputText)
        and item.turn_id is not None
        and metadata.user_input_order is not None
        and (mark == f"{_DELIVERY}complete" or mark.startswith(f"{_DELIVERY}incomplete:"))
    )
