"""The history of a context, built forwards: from the checkpoint, through what was kept after it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from threadkeep.records import (
    EMPTY_RAW,
    AgentMessage,
    InputImage,
    InputText,
    InterAgentCommunication,
    Message,
    Record,
    ResponseItem,
    response_item,
)
from threadkeep.replay._context import ContextItem
from threadkeep.replay._spoken import (
    announces_model,
    is_boundary,
    is_contextual,
    is_contextual_developer,
    is_summary,
    summary_text,
)
from threadkeep.replay._turn import Position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from threadkeep.replay._span import SpanCompaction

__all__ = ["Entry", "Kept", "build_history", "communication_item", "drop_turns", "kept_messages"]

_SUMMARY_TOKENS: Final = 20_000
"""Tokens of user messages that a compaction without replacement history keeps; a token is taken as four bytes."""


Entry: TypeAlias = tuple[ContextItem, Message | AgentMessage | None]
"""An item of the context, and what it says where it is a message: nothing else is asked for by what follows."""


class Kept(msgspec.Struct, gc=False):
    """A record that changes the history, or is made into an item of it, when its turn comes."""

    kind: Literal["communication", "rollback", "compaction"]
    record: Record
    rollout: str
    count: int = 0
    message: str = ""


def build_history(
    checkpoint: SpanCompaction | None, newest_first: Sequence[Entry | Kept]
) -> tuple[list[ContextItem], bool]:
    """(the context's items, whether a compaction without replacement history made some of them)."""
    history: list[Entry] = _replacement(checkpoint) if checkpoint is not None else []
    saw_summary = False
    for kept in reversed(newest_first):
        if isinstance(kept, tuple):
            history.append(kept)
        elif kept.kind == "communication":
            history.append(_communicated(kept))
        elif kept.kind == "rollback":
            drop_turns(history, kept.count)
        else:
            history = _summarised(history, kept)
            saw_summary = True
    return [entry for entry, _ in history], saw_summary


def _as_message(item: ResponseItem) -> Message | AgentMessage | None:
    """The item where it is a message; None for any other, so that large outputs are let go of at once."""
    return item if isinstance(item, Message | AgentMessage) else None


def _replacement(checkpoint: SpanCompaction) -> list[Entry]:
    view = checkpoint.view
    position = Position(checkpoint.rollout, checkpoint.record.offset)
    payloads = view.replacement_history or []
    metadata: Sequence[msgspec.Raw] = view.replacement_history_metadata or [EMPTY_RAW] * len(payloads)
    history: list[Entry] = []
    for payload, harness in zip(payloads, metadata, strict=True):
        item = response_item(payload)
        if item is not None and not isinstance(item, str):  # items of unknown type are never sent to a model
            history.append((ContextItem(payload, position, harness, checkpointed=True), _as_message(item)))
    return history


def drop_turns(history: list[Entry], count: int) -> None:
    """A rollback: cut before the ``count``-th last boundary, or the first one, and what led up to the cut."""
    boundaries = [index for index, (_, item) in enumerate(history) if is_boundary(item)]
    if count == 0 or not boundaries:
        return
    first = boundaries[0]
    cut = boundaries[max(0, len(boundaries) - count)]
    while cut > first:
        before = history[cut - 1][1]
        if not is_contextual_developer(before) and not is_contextual(before):
            break
        cut -= 1
    began = history[first][1]
    turn_id = began.turn_id if began is not None else None
    del history[cut:]
    if cut == first and turn_id is not None:
        history[:] = [
            kept for entry, item in history if (kept := _without_model_switch(entry, item, turn_id)) is not None
        ]


def _without_model_switch(entry: ContextItem, item: Message | AgentMessage | None, turn_id: str) -> Entry | None:
    """A developer message of a turn that was taken back, without the parts that announce a change of model."""
    if not isinstance(item, Message) or item.role != "developer" or item.turn_id != turn_id:
        return entry, item
    announced = [isinstance(part, InputText) and announces_model(part.text) for part in item.content]
    if not any(announced):
        return entry, item
    if all(announced):
        return None
    payload = msgspec.json.decode(entry.payload)
    payload["content"] = [part for part, gone in zip(payload["content"], announced, strict=True) if not gone]
    return _made(payload, entry)


def _made(payload: dict[str, Any], entry: ContextItem) -> Entry:
    raw = msgspec.Raw(msgspec.json.encode(payload))
    item = response_item(raw)
    assert item is not None
    assert not isinstance(item, str)
    return msgspec.structs.replace(entry, payload=raw), _as_message(item)


def _summarised(history: list[Entry], kept: Kept) -> list[Entry]:
    """A compaction without replacement history: the newest user messages that fit, then the summary (3.3, step E)."""
    summary = {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": summary_text(kept.message)}],
    }
    place = ContextItem(msgspec.Raw(b""), Position(kept.rollout, kept.record.offset))
    return [*_newest_said(history, _SUMMARY_TOKENS), _made(summary, place)]


def kept_messages(items: Sequence[msgspec.Raw], tokens: int, *, media: bool = False) -> list[msgspec.Raw]:
    """What people said in a context that is compacted: the newest messages that fit, oldest first.

    Args:
        items: Response items, oldest first; what is none is passed over.
        tokens: How many tokens the messages may have together; a token is taken as four bytes.
        media: Whether a message that fits keeps its images and sounds, and one that does not stays one text.
    """
    nowhere = Position("", 0)
    history: list[Entry] = []
    for payload in items:
        item = response_item(payload)
        if isinstance(item, Message):
            history.append((ContextItem(payload, nowhere), item))
    return [entry.payload for entry, _ in _newest_said(history, tokens, media=media)]


def _newest_said(history: Sequence[Entry], tokens: int, *, media: bool = False) -> list[Entry]:
    """The newest messages of users that fit: no context, no earlier summary, the oldest of them cut."""
    chosen: list[Entry] = []
    remaining = tokens
    for entry, item in reversed(history):
        if not isinstance(item, Message) or item.role != "user" or is_contextual(item):
            continue
        text = _said(item)
        if is_summary(text):
            continue
        if remaining == 0:
            break
        needed = math.ceil(len(text.encode()) / 4)
        source = msgspec.json.decode(entry.payload)
        content = source["content"]
        if needed > remaining or not (media or all(isinstance(part, InputText) for part in item.content)):
            parts = _cut(text, remaining * 4)
            parts = ["".join(parts)] if media else parts
            content = [{"type": "input_text", "text": part} for part in parts if part or len(parts) == 1]
        message = {"type": "message", "role": "user", "content": content}
        for key in ("id", "internal_chat_message_metadata_passthrough"):
            if source.get(key) is not None:
                message[key] = source[key]
        chosen.append(_made(message, entry))
        if needed > remaining:
            break
        remaining -= needed
    chosen.reverse()
    return chosen


def _said(item: Message) -> str:
    """The texts of a user message, without the tags that Codex puts around an image."""
    said = []
    for index, part in enumerate(item.content):
        if not isinstance(part, InputText):
            continue
        text = part.text
        opens = text == "<image>" or (text.startswith("<image name=") and text.endswith(">"))
        follows = index + 1 < len(item.content) and isinstance(item.content[index + 1], InputImage)
        closes = text == "</image>" and index > 0 and isinstance(item.content[index - 1], InputImage)
        if not ((opens and follows) or closes):
            said.append(text)
    return "".join(said)


def _cut(text: str, budget: int) -> list[str]:
    """The beginning and the end of a text, half of the budget (bytes) each, and a marker between them."""
    data = text.encode()
    if len(data) <= budget:
        return [text]
    left, right = budget // 2, budget - budget // 2
    head = data[:left].decode(errors="ignore")
    start = len(data) - right
    while start < len(data) and data[start] & 0xC0 == 0x80:
        start += 1
    return [head, f"…{math.ceil((len(data) - budget) / 4)} tokens truncated…", data[start:].decode()]


def communication_item(record: Record) -> dict[str, Any] | None:
    """What the model is sent of an inter-agent communication."""
    view = record.view(InterAgentCommunication)
    if view is None:
        return None
    content: list[dict[str, Any]] = [{"type": "input_text", "text": view.content}]
    if view.encrypted_content is not None:
        kind = "NEW_TASK" if view.trigger_turn else "MESSAGE"
        header = f"Message Type: {kind}\nTask name: {view.recipient}\nSender: {view.author}\nPayload:\n"
        content = [
            {"type": "input_text", "text": header},
            {"type": "encrypted_content", "encrypted_content": view.encrypted_content},
        ]
    item: dict[str, Any] = {
        "type": "agent_message",
        "author": view.author,
        "recipient": view.recipient,
        "content": content,
    }
    if view.id is not None:
        item["id"] = view.id
    if view.internal_chat_message_metadata_passthrough is not None:
        item["internal_chat_message_metadata_passthrough"] = view.internal_chat_message_metadata_passthrough
    return item


def _communicated(kept: Kept) -> Entry:
    item = communication_item(kept.record)
    assert item is not None, "it was one when it was kept"
    place = ContextItem(msgspec.Raw(b""), Position(kept.rollout, kept.record.offset))
    return _made(item, place)
