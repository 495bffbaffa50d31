"""What clients are told of a running turn: the notifications, with every member that the real server gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from threadkeep.appserver._items import wire_begun, wire_done
from threadkeep.appserver._usage import token_usage
from threadkeep.appserver.engine import SummaryDelta, SummaryPart, TextDelta, ThoughtDelta

if TYPE_CHECKING:
    from threadkeep.appserver._loaded import LoadedThread
    from threadkeep.appserver.engine import Event
    from threadkeep.records import TokenUsageInfo
    from threadkeep.store._turn_records import Made

__all__ = ["NO_LIMITS", "Telling", "turn_json"]

Json = dict[str, Any]

NO_LIMITS: Final[Json] = {
    "limitId": "codex",
    "limitName": None,
    "normalModelSlug": None,
    "primary": None,
    "secondary": None,
    "credits": None,
    "individualLimit": None,
    "spendControlReached": None,
    "planType": None,
    "rateLimitReachedType": None,
}
"""What is told of an account's limits where the provider says nothing of them."""


def turn_json(turn_id: str, status: str = "inProgress", **members: Any) -> Json:
    """A ``Turn`` of which no items are shown."""
    turn: Json = {
        "id": turn_id,
        "rootTurnId": turn_id,
        "items": [],
        "itemsView": "notLoaded",
        "status": status,
        "error": None,
        "startedAt": None,
        "completedAt": None,
        "durationMs": None,
    }
    return {**turn, **members}


class Telling:
    """Tells whoever watches a thread what happens in one of its turns. May be used from any thread."""

    def __init__(self, thread: LoadedThread, turn_id: str) -> None:
        self._thread = thread
        self._place = {"threadId": thread.id, "turnId": turn_id}

    def turn(self, method: str, turn: Json) -> None:
        """The turn began, or ended."""
        self._thread.publish(method, {"threadId": self._thread.id, "turn": turn})

    def begun(self, item: Json, started_ms: int) -> None:
        """A turn item began."""
        shown = wire_begun(item, started_ms)
        self._thread.publish("item/started", {"item": shown, **self._place, "startedAtMs": started_ms})

    def done(self, made: Made) -> Json | None:
        """A turn item is complete; the item as it was told, None where nothing is shown."""
        shown = wire_done(made)
        if shown is not None:
            at = {"contentTokenCount": None, "completedAtMs": made.completed_ms}
            self._thread.publish("item/completed", {"item": shown, **self._place, **at})
        return shown

    def said(self, made: Made) -> None:
        """The user said something: it begins and is complete at once."""
        assert made.item is not None
        self.begun(made.item, made.started_ms)
        self.done(made)

    def delta(self, event: Event) -> None:
        """There is more of an item."""
        match event:
            case TextDelta():
                self._part("item/agentMessage/delta", event.item_id, delta=event.delta)
            case SummaryDelta():
                self._part(
                    "item/reasoning/summaryTextDelta", event.item_id, delta=event.delta, summaryIndex=event.index
                )
            case SummaryPart():
                self._part("item/reasoning/summaryPartAdded", event.item_id, summaryIndex=event.index)
            case ThoughtDelta():
                self._part("item/reasoning/textDelta", event.item_id, delta=event.delta, contentIndex=event.index)

    def _part(self, name: str, item_id: str, **members: Any) -> None:
        self._thread.publish(name, {**self._place, "itemId": item_id, **members})

    def counted(self, usage: TokenUsageInfo | None) -> None:
        """Tokens were counted; None where no number is known."""
        if usage is not None:
            self._thread.publish("thread/tokenUsage/updated", {**self._place, "tokenUsage": token_usage(usage)})
        self._thread.publish("account/rateLimits/updated", {"rateLimits": NO_LIMITS})

    def error(self, error: Json, *, will_retry: bool) -> None:
        """Something went wrong."""
        self._thread.publish("error", {"error": error, "willRetry": will_retry, **self._place})

    def unread(self) -> None:
        """The thread holds something that nobody has read."""
        thread = self._thread
        if not thread.ephemeral:
            state = thread.server.read_states.turn_ended(thread.id, self._place["turnId"])
            thread.publish("thread/readState/changed", {"threadId": thread.id, "readState": state})
