"""Calls of a client's tools: every client that watches the thread is asked, and the first answer counts.

0.169.0 observed: all watchers are asked, one that leaves is not waited for, and nobody is told that another answered.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.appserver.engine import ToolResult

if TYPE_CHECKING:
    from threadkeep.appserver._connection import Connection
    from threadkeep.appserver._loaded import LoadedThread
    from threadkeep.appserver._rpc import Incoming
    from threadkeep.appserver.engine import ToolCall

__all__ = ["TOOL_SECONDS", "Answer", "ask_clients"]

Json = dict[str, Any]

TOOL_SECONDS: Final = 3600.0
"""Seconds that a tool may take: it may have to ask a person."""

_FAILED: Final = "dynamic tool request failed"
_INVALID: Final = "dynamic tool response was invalid"


class _Text(msgspec.Struct, tag_field="type", tag="inputText"):
    text: str


class _Image(msgspec.Struct, tag_field="type", tag="inputImage", rename="camel"):
    image_url: str


class _Response(msgspec.Struct, rename="camel"):
    content_items: list[_Text | _Image]
    success: bool


_decode: Final = msgspec.json.Decoder(_Response).decode


class Answer(msgspec.Struct):
    """What became of a call.

    Attributes:
        content: Content items, as the protocol has them.
        success: Whether the tool succeeded.
    """

    content: list[Json]
    success: bool

    def result(self) -> ToolResult:
        """The answer as the model sees it: one text by itself, everything else as a list (0.169.0 observed)."""
        if len(self.content) == 1 and self.content[0]["type"] == "inputText":
            return ToolResult(self.content[0]["text"], self.success)
        return ToolResult([_part(item) for item in self.content], self.success)


def _part(item: Json) -> Json:
    if item["type"] == "inputText":
        return {"type": "input_text", "text": item["text"]}
    return {"type": "input_image", "image_url": item["imageUrl"], "detail": "original"}


async def ask_clients(thread: LoadedThread, turn_id: str, call: ToolCall, *, seconds: float = TOOL_SECONDS) -> Answer:
    """Have whoever watches the thread run a tool.

    Nobody there, everybody gone, an error, an answer that is none, no answer in time: all of these are failures of the
    tool, which the model is told of.
    """
    params = {
        "threadId": thread.id,
        "turnId": turn_id,
        "callId": call.call_id,
        "namespace": call.namespace,
        "tool": call.tool,
        "arguments": call.arguments,
    }
    asking = _Asking(thread.watchers)
    try:
        return await asyncio.wait_for(asking.ask(params), seconds)
    except TimeoutError:
        return _failure(_FAILED)
    finally:
        asking.forget()


class _Asking:
    """One question to several clients."""

    def __init__(self, clients: tuple[Connection, ...]) -> None:
        self._clients = clients
        self._loop = asyncio.get_running_loop()
        self._answered: asyncio.Future[Answer] = self._loop.create_future()
        self._left = len(clients)
        self._asked: list[tuple[Connection, int]] = []

    async def ask(self, params: Json) -> Answer:
        """Ask everybody; the first answer."""
        if not self._clients:
            return _failure(_FAILED)
        for client in self._clients:
            self._asked.append((client, client.ask("item/tool/call", params, self._take)))
        return await self._answered

    def forget(self) -> None:
        """Wait for nobody any longer."""
        for client, request_id in self._asked:
            client.forget(request_id)

    def _take(self, incoming: Incoming | None) -> None:
        """An answer, on any thread; None from a client that left."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._decide, _read(incoming))

    def _decide(self, answer: Answer | None) -> None:
        self._left -= 1
        if answer is None and self._left > 0:
            return
        if not self._answered.done():
            self._answered.set_result(answer or _failure(_FAILED))


def _read(incoming: Incoming | None) -> Answer | None:
    """What a client said; None where it said nothing."""
    if incoming is None:
        return None
    if incoming.result is None:
        return _failure(_FAILED)
    try:
        response = _decode(incoming.result)
    except msgspec.MsgspecError:
        return _failure(_INVALID)
    return Answer(msgspec.to_builtins(response.content_items), response.success)


def _failure(text: str) -> Answer:
    return Answer([{"type": "inputText", "text": text}], success=False)
