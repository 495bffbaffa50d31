"""Items of legacy rollouts: what the app-server shows of one event, and which turn it goes to.

The rules are those of 0.169.0 (observed; the recorded answers are in ``tests/fixtures/legacy``). Here one record is
looked at by itself. What depends on others is the caller's: which turn is open, gathering reasoning into one item,
replacing an item, the times that records give for an item id, closing turns.

An event that does not fit its schema shows nothing, as if it were not there. Not transcribed, since nobody writes it:
objects given as arrays of their members, enum words given as objects, integers beyond 64 bits in members that are not
read, more than 127 levels of nesting, members of a ``message`` that a hook prompt does not need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.replay.items._legacy_events import (
    AgentMessageEvent,
    AgentReasoning,
    EnteredReview,
    ExitedReview,
    ImageGenerationEnd,
    ItemCompletedEvent,
    McpToolCallEnd,
    PatchApplyEnd,
    SubAgentActivityEvent,
    WebSearchEnd,
)
from threadkeep.replay.items._legacy_hooks import hook_prompt_item
from threadkeep.replay.items._legacy_user import UserMessageEvent
from threadkeep.replay.items._schema import Json, UndecodableError
from threadkeep.replay.items._turn_items import thread_item

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LegacyItem", "hook_prompt", "legacy_item", "reasoning_text"]

_KEPT_ITEMS: Final = frozenset({"plan", "functionCallOutput", "subAgentActivity", "sleep"})
_FAILURES: Final = (msgspec.MsgspecError, UndecodableError, UnicodeDecodeError, RecursionError)


class LegacyItem(msgspec.Struct):
    """What one record shows.

    Attributes:
        item: The ``ThreadItem`` without ``startedAtMs`` and ``completedAtMs``, members in the server's order; JSON of
            any shape in it is `msgspec.Raw`, as `thread_item` says.
        upsert: Whether it replaces the first item of its id in the turn, whatever its type; else it is appended.
        turn_id: Id of the turn that it names; None for the open turn, or a new one where none is open.
        opens: Whether an unknown ``turn_id`` opens a turn of that id; else the item of an unknown turn is lost.
        started_at_ms: When an item of that id began, where the record says it (Unix time, milliseconds).
        completed_at_ms: When it was complete, where the record says it. In a turn, the first record that says a time
            for an id decides; the times are shown with any item of that id.
        shows: Whether the item is shown. One that is not only gives times.
    """

    item: Json
    upsert: bool = False
    turn_id: str | None = None
    opens: bool = False
    started_at_ms: int | None = None
    completed_at_ms: int | None = None
    shows: bool = True


def legacy_item(subtype: str, payload: msgspec.Raw, own_id: str) -> LegacyItem | None:
    """What an event shows; None where it shows nothing or does not fit its schema.

    Args:
        subtype: The event's type. ``agent_reasoning`` and ``agent_reasoning_raw_content`` are `reasoning_text`'s.
        payload: The event.
        own_id: The id of an item whose event gives it none.
    """
    known = _EVENTS.get(subtype)
    if known is None:
        return None
    decode, shown = known
    try:
        return shown(decode(payload), own_id)
    except _FAILURES:
        return None


def reasoning_text(payload: msgspec.Raw) -> str | None:
    """The text of a reasoning event: for the summary or the content of an item. None where there is none."""
    try:
        return _decode_reasoning(payload).text or None
    except _FAILURES:
        return None


def hook_prompt(payload: msgspec.Raw, own_id: str) -> LegacyItem | None:
    """The hook prompts that a ``message`` response item consists of; None for every other message.

    Two messages of one id are two items. ``own_id`` is for a message without an id, for which the server makes up
    another one at every read.
    """
    try:
        prompt = hook_prompt_item(payload, own_id)
    except _FAILURES:
        return None
    return None if prompt is None else LegacyItem(prompt.shown())


# --- one function for each event --------------------------------------------------------------------------------------


def _user_message(event: UserMessageEvent, own_id: str) -> LegacyItem:
    return LegacyItem(event.item(own_id).shown())


def _agent_message(event: AgentMessageEvent, own_id: str) -> LegacyItem | None:
    return LegacyItem(event.shown(own_id)) if event.message else None


def _context_compacted(_event: object, own_id: str) -> LegacyItem:
    return LegacyItem({"type": "contextCompaction", "id": own_id})


def _review(event: EnteredReview | ExitedReview, own_id: str) -> LegacyItem:
    return LegacyItem(event.shown(own_id), upsert=True, turn_id=event.turn_id, opens=True)


def _patch(event: PatchApplyEnd, _own_id: str) -> LegacyItem:
    return LegacyItem(event.shown(), upsert=True, turn_id=event.turn_id or None)


def _mcp_tool_call(event: McpToolCallEnd, _own_id: str) -> LegacyItem | None:
    item = event.shown()
    return None if item is None else LegacyItem(item, upsert=True, turn_id=event.turn_id or None)


def _upserted(event: WebSearchEnd | ImageGenerationEnd, _own_id: str) -> LegacyItem:
    return LegacyItem(event.shown(), upsert=True)


def _sub_agent_activity(event: SubAgentActivityEvent, _own_id: str) -> LegacyItem | None:
    if event.kind == "completed":
        return None  # Legacy rollouts keep this as an item_completed instead.
    return LegacyItem(event.shown(), upsert=True, completed_at_ms=event.occurred_at_ms or None)


def _item_completed(event: ItemCompletedEvent, _own_id: str) -> LegacyItem | None:
    """Of the items that were completed, a legacy rollout keeps few (``storage.md`` 2.5)."""
    item = thread_item(event.item, event.started_at_ms, event.completed_at_ms)
    if item is None or item["type"] not in _KEPT_ITEMS:
        return None
    if item["type"] == "subAgentActivity" and item["kind"] != "completed":
        return None
    started_at_ms, completed_at_ms = item.pop("startedAtMs"), item.pop("completedAtMs")
    shows = item["type"] != "plan" or item["text"] != ""
    return LegacyItem(item, True, event.turn_id, False, started_at_ms, completed_at_ms, shows)


_decode_reasoning: Final = msgspec.json.Decoder(AgentReasoning).decode

_EVENTS: Final[dict[str, tuple[Callable[[msgspec.Raw], Any], Callable[[Any, str], LegacyItem | None]]]] = {
    subtype: (msgspec.json.Decoder(shape).decode, shown)
    for subtype, shape, shown in (
        ("user_message", UserMessageEvent, _user_message),
        ("agent_message", AgentMessageEvent, _agent_message),
        ("context_compacted", dict, _context_compacted),
        ("entered_review_mode", EnteredReview, _review),
        ("exited_review_mode", ExitedReview, _review),
        ("patch_apply_end", PatchApplyEnd, _patch),
        ("mcp_tool_call_end", McpToolCallEnd, _mcp_tool_call),
        ("web_search_end", WebSearchEnd, _upserted),
        ("image_generation_end", ImageGenerationEnd, _upserted),
        ("sub_agent_activity", SubAgentActivityEvent, _sub_agent_activity),
        ("item_completed", ItemCompletedEvent, _item_completed),
    )
}
