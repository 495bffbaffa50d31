"""Items of legacy events in the form in which a paginated rollout stores them.

What `legacy_item` shows of an event is here as the ``item`` of an ``item_completed`` record: the same classes decode
the event, and their members are written out under the names that the rollout has. Codex converts legacy rollouts to
the same items (``storage.md`` 5.4; 0.169.0 observed). It leaves images that were looked at and calls about other agents
out; so does this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.replay.items._call_events import DynamicToolCallResponse, ExecCommandEnd
from threadkeep.replay.items._legacy_events import (
    AgentMessageEvent,
    EnteredReview,
    ExitedReview,
    ImageGenerationEnd,
    McpToolCallEnd,
    PatchApplyEnd,
    SubAgentActivityEvent,
    WebSearchEnd,
)
from threadkeep.replay.items._legacy_hooks import hook_prompt_item
from threadkeep.replay.items._legacy_user import UserMessageEvent
from threadkeep.replay.items._messages import ContextCompaction, Reasoning
from threadkeep.replay.items._reviews import Custom, EnteredReviewMode
from threadkeep.replay.items._schema import Json, UndecodableError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["StoredItem", "stored_hook_prompt", "stored_item", "stored_reasoning"]

_FAILURES: Final = (msgspec.MsgspecError, UndecodableError, UnicodeDecodeError, RecursionError)


class StoredItem(msgspec.Struct):
    """What a legacy event becomes.

    Attributes:
        item: The ``item`` of an ``item_completed``.
        turn_id: Id of the turn that the event names; None where it names none.
    """

    item: Json
    turn_id: str | None = None


def stored_item(subtype: str, payload: msgspec.Raw, own_id: str) -> StoredItem | None:
    """What an event becomes; None for one that becomes no item, or does not fit its schema.

    Args:
        subtype: The event's type. Reasoning is `stored_reasoning`'s, since several events make one item.
        payload: The event.
        own_id: The id of an item whose event gives it none.
    """
    known = _EVENTS.get(subtype)
    if known is None:
        return None
    decode, made = known
    try:
        found = made(decode(payload), own_id)
        if found is None:
            return None
        item, turn_id = found
        item.shown()  # refuses what no reader of the converted rollout could show
    except _FAILURES:
        return None
    return StoredItem(_stored(item), turn_id)


def stored_hook_prompt(payload: msgspec.Raw, own_id: str) -> Json | None:
    """The item of a ``message`` that consists of hook prompts; None for every other message."""
    try:
        prompt = hook_prompt_item(payload, own_id)
    except _FAILURES:
        return None
    return None if prompt is None else _stored(prompt)


def stored_reasoning(own_id: str, summary: list[str], content: list[str]) -> Json:
    """The item of reasoning events that follow each other."""
    item: Json = _stored(Reasoning(own_id, summary, content))
    return item


def _stored(value: Any) -> Any:
    """A value's members under the rollout's names; those that are absent are left out. Raw JSON stays what it is."""
    if isinstance(value, msgspec.Struct):
        members: Json = {}
        config = value.__struct_config__
        if config.tag is not None:
            if config.tag_field == "kind":
                members["type"] = "Extension"
            members[config.tag_field or "type"] = config.tag
        for name, written in zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True):
            member = getattr(value, name)
            if member is not None and not (isinstance(member, msgspec.Raw) and len(member) == 0):
                members[written] = _stored(member)
        return members
    if isinstance(value, list):
        return [_stored(member) for member in value]
    if isinstance(value, dict):
        return {name: _stored(member) for name, member in value.items()}
    return value


_Made = tuple[Any, str | None] | None


class _EarlyReview(msgspec.Struct):
    """``entered_review_mode`` of versions before reviews had targets: no list of a legacy thread shows it."""

    prompt: str
    user_facing_hint: str | None = None

    @property
    def turn_id(self) -> None:
        """It names no turn."""

    def item(self, own_id: str) -> EnteredReviewMode:
        """The beginning of the review."""
        return EnteredReview(Custom(self.prompt), self.user_facing_hint).item(own_id)


def _entered_review(payload: msgspec.Raw) -> EnteredReview | _EarlyReview:
    try:
        return _decode_review(payload)
    except msgspec.MsgspecError:
        return _decode_early_review(payload)


_decode_review: Final = msgspec.json.Decoder(EnteredReview).decode
_decode_early_review: Final = msgspec.json.Decoder(_EarlyReview).decode


def _agent_message(event: AgentMessageEvent, own_id: str) -> _Made:
    return (event.item(own_id), None) if event.message else None


def _mcp_tool_call(event: McpToolCallEnd, _own_id: str) -> _Made:
    item = event.item()
    return None if item is None else (item, event.turn_id or None)


def _made_by_itself(event: WebSearchEnd | ImageGenerationEnd | SubAgentActivityEvent, _own_id: str) -> _Made:
    return event.item(), None


_EVENTS: Final[dict[str, tuple[Callable[[msgspec.Raw], Any], Callable[[Any, str], _Made]]]] = {
    "entered_review_mode": (_entered_review, lambda event, own_id: (event.item(own_id), event.turn_id)),
} | {
    subtype: (msgspec.json.Decoder(shape).decode, made)
    for subtype, shape, made in (
        ("user_message", UserMessageEvent, lambda event, own_id: (event.item(own_id), None)),
        ("agent_message", AgentMessageEvent, _agent_message),
        ("context_compacted", dict, lambda _, own_id: (ContextCompaction(own_id), None)),
        ("exited_review_mode", ExitedReview, lambda event, own_id: (event.item(own_id), event.turn_id)),
        ("patch_apply_end", PatchApplyEnd, lambda event, _: (event.item(), event.turn_id or None)),
        ("mcp_tool_call_end", McpToolCallEnd, _mcp_tool_call),
        ("web_search_end", WebSearchEnd, _made_by_itself),
        ("image_generation_end", ImageGenerationEnd, _made_by_itself),
        ("sub_agent_activity", SubAgentActivityEvent, _made_by_itself),
        ("exec_command_end", ExecCommandEnd, lambda event, _: (event.item(), event.turn_id or None)),
        ("dynamic_tool_call_response", DynamicToolCallResponse, lambda event, _: (event.item(), event.turn_id or None)),
    )
}
