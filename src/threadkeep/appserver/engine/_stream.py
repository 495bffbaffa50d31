"""The stream of a response: server-sent events, and what of them an engine's events are made of.

Items are taken as the bytes that the provider sent; only one without an id gets one, so that its deltas can name it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from threadkeep.appserver.engine._errors import CallFailed, disconnected, failed_response, incomplete_response
from threadkeep.appserver.engine._ids import new_id
from threadkeep.appserver.engine._protocol import (
    Event,
    ItemDone,
    ItemStarted,
    SummaryDelta,
    SummaryPart,
    TextDelta,
    ThoughtDelta,
)
from threadkeep.records import EMPTY_RAW, TokenUsage, present

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["Completed", "ResponseReader", "server_sent_data"]

Count = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
"""Tokens; sums of these numbers, too, are ones that every reader of a rollout takes."""

MAX_EVENT_BYTES: Final = 64 * 1024 * 1024
"""Bytes that one event of a stream has at most."""

_PREFIXES: Final = {"reasoning": "rs", "function_call": "fc", "custom_tool_call": "ctc", "compaction": "cmp"}
"""Prefixes of the ids of items that came without one; ``msg`` for all others."""


class Completed(msgspec.Struct, frozen=True):
    """The response is complete.

    Attributes:
        response_id: The provider's id of it, where it gave one.
        usage: What it used; None where the provider did not count.
    """

    response_id: str | None
    usage: TokenUsage | None


async def server_sent_data(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The data of each server-sent event of a stream; one that the stream's end cuts off is dropped.

    Raises:
        CallFailed: An event is above `MAX_EVENT_BYTES`.
    """
    rest = bytearray()
    data: list[bytes] = []
    size = 0
    async for chunk in chunks:
        rest += chunk
        if b"\n" not in chunk:
            if len(rest) > MAX_EVENT_BYTES:
                raise disconnected("an event of the stream is too large")
            continue
        *lines, end = bytes(rest).split(b"\n")
        rest = bytearray(end)
        for line in lines:
            stripped = line.removesuffix(b"\r")
            if not stripped:
                if data:
                    yield b"\n".join(data)
                data, size = [], 0
            elif stripped.startswith(b"data:"):
                data.append(stripped[5:].removeprefix(b" "))
                size += len(stripped)
                if size > MAX_EVENT_BYTES:
                    raise disconnected("an event of the stream is too large")


class _Event(msgspec.Struct):
    """An event of any kind; members of other kinds are not looked at."""

    type: str
    item: msgspec.Raw = EMPTY_RAW
    item_id: str | None = None
    delta: str | None = None
    summary_index: int = 0
    content_index: int = 0
    response: msgspec.Raw = EMPTY_RAW
    message: Any = None
    error: Any = None


class _Details(msgspec.Struct):
    cached_tokens: Count | None = 0
    cache_write_tokens: Count | None = 0
    reasoning_tokens: Count | None = 0


class _Usage(msgspec.Struct):
    input_tokens: Count = 0
    output_tokens: Count = 0
    total_tokens: Count = 0
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    id: str | None = None
    usage: _Usage | None = None
    error: Any = None
    incomplete_details: _Incomplete | None = None


class _Beginning(msgspec.Struct):
    type: str
    id: str | None = None


_decode_event: Final = msgspec.json.Decoder(_Event).decode
_decode_response: Final = msgspec.json.Decoder(_Response).decode
_decode_beginning: Final = msgspec.json.Decoder(_Beginning).decode


class ResponseReader:
    """Reads the events of one response, in order."""

    def __init__(self) -> None:
        self._open: str | None = None
        self._told: str | None = None

    def read(self, data: bytes) -> Event | Completed | None:
        """What an event means; None for one that means nothing here, or is damaged.

        Raises:
            CallFailed: The response failed, or ends before it is complete.
        """
        try:
            event = _decode_event(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        kind = event.type
        if kind in {"response.output_item.added", "response.output_item.done"}:
            return self._item(event.item, done=kind.endswith("done"))
        if event.delta is not None or kind == "response.reasoning_summary_part.added":
            return self._more(event)
        if kind in {"response.completed", "response.failed", "response.incomplete"}:
            return _end(kind, event.response)
        if kind == "error":
            self._told = _told(event)
        return None

    def ended(self) -> CallFailed:
        """The failure of a stream that ends here, without a complete response."""
        return disconnected(self._told or "stream closed before response.completed")

    def _item(self, item: msgspec.Raw, *, done: bool) -> Event | None:
        try:
            msgspec.json.decode(item)  # text that is none hides in the members that nobody looks at
            beginning = _decode_beginning(item)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if beginning.id is None or not beginning.id:
            known = self._open if done else None
            named = known or f"{_PREFIXES.get(beginning.type, 'msg')}_{new_id()}"
            item = _with_id(item, named)
        else:
            named = beginning.id
        self._open = None if done else named
        return ItemDone(item) if done else ItemStarted(item)

    def _more(self, event: _Event) -> Event | None:
        item_id = self._open or event.item_id or ""
        delta = event.delta or ""
        if event.type == "response.output_text.delta":
            return TextDelta(item_id, delta)
        if event.type == "response.reasoning_summary_part.added":
            return SummaryPart(item_id, event.summary_index)
        if event.type == "response.reasoning_summary_text.delta":
            return SummaryDelta(item_id, event.summary_index, delta)
        if event.type == "response.reasoning_text.delta":
            return ThoughtDelta(item_id, event.content_index, delta)
        return None


def _with_id(item: msgspec.Raw, named: str) -> msgspec.Raw:
    """An item that came without an id, with one behind its type; its other members as they are."""
    members = msgspec.json.decode(item, type=dict[str, msgspec.Raw])
    kind = members.pop("type")
    members.pop("id", None)
    return msgspec.Raw(msgspec.json.encode({"type": kind, "id": named, **members}))


def _end(kind: str, raw: msgspec.Raw) -> Completed | None:
    """The end of a response. One that completes nothing that can be read is passed over, as the real server does."""
    try:
        response = _decode_response(raw) if present(raw) else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise disconnected(f"the response cannot be read: {error}") from None
    if kind == "response.failed":
        raise failed_response(response.error if response is not None else None)
    if kind == "response.incomplete":
        details = response.incomplete_details if response is not None else None
        raise incomplete_response(details.reason if details is not None else None)
    return None if response is None else Completed(response.id, _usage(response.usage))


def _usage(usage: _Usage | None) -> TokenUsage | None:
    if usage is None:
        return None
    read = usage.input_tokens_details or _Details()
    written = usage.output_tokens_details or _Details()
    return TokenUsage(
        input_tokens=usage.input_tokens,
        cached_input_tokens=read.cached_tokens or 0,
        cache_write_input_tokens=read.cache_write_tokens or 0,
        output_tokens=usage.output_tokens,
        reasoning_output_tokens=written.reasoning_tokens or 0,
        total_tokens=usage.total_tokens,
    )


def _told(event: _Event) -> str | None:
    """What an ``error`` event says."""
    nested = event.error.get("message") if isinstance(event.error, dict) else None
    return next((text for text in (event.message, nested) if isinstance(text, str) and text), None)
