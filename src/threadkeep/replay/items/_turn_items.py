"""Turn items: what the app-server shows of the ``item`` of an ``item_completed`` record (``storage.md`` 5.1).

Each type of item is a class whose fields are the members that the rollout has, and whose ``shown`` gives what the
server shows (0.169.0 observed, item by item: ``tests/fixtures/items``). Here they come together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.replay.items._agents import CollabAgentToolCall, SubAgentActivity
from threadkeep.replay.items._commands import CommandExecution, FileChange
from threadkeep.replay.items._images import ImageGeneration, ImageGenerationExtension, ImageView
from threadkeep.replay.items._messages import (
    AgentMessage,
    ContextCompaction,
    FunctionCallOutput,
    HookPrompt,
    Plan,
    Reasoning,
    UserMessage,
)
from threadkeep.replay.items._reviews import EnteredReviewMode, ExitedReviewMode
from threadkeep.replay.items._schema import UndecodableError
from threadkeep.replay.items._tools import DynamicToolCall, McpToolCall, Sleep, WebSearch, WebSearchExtension

if TYPE_CHECKING:
    from threadkeep.replay.items._schema import Json

__all__ = ["thread_item"]


class Extension(msgspec.Struct, tag=True):
    """An item that an extension defines; its ``kind`` says which one, and a second look decodes it."""


_items: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder(
    UserMessage
    | FunctionCallOutput
    | HookPrompt
    | AgentMessage
    | Plan
    | Reasoning
    | CommandExecution
    | FileChange
    | McpToolCall
    | DynamicToolCall
    | CollabAgentToolCall
    | SubAgentActivity
    | WebSearch
    | ImageView
    | ImageGeneration
    | EnteredReviewMode
    | ExitedReviewMode
    | ContextCompaction
    | Extension
)
_extensions: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder(
    Sleep | WebSearchExtension | ImageGenerationExtension
)


def thread_item(
    item: msgspec.Raw | bytes, started_at_ms: int | None = None, completed_at_ms: int | None = None
) -> Json | None:
    """The item as the server shows it: a new dict, members in the server's order.

    Texts and all that people look at are Python values. JSON of any shape that only passes through stays the bytes that
    it is, as `msgspec.Raw`, which `msgspec.json.encode` writes out again (and which keeps the line in memory):
    ``arguments`` of an ``mcpToolCall`` or ``dynamicToolCall``, ``content``, ``structuredContent`` and ``_meta`` in the
    ``result`` of an ``mcpToolCall``, ``results`` of a ``webSearch``. `plain` makes Python values of them.

    Two texts are ours, not the server's: `NUL_COMMAND` and `EMPTY_REVIEW`.

    Args:
        item: The ``item`` of the record, as it stands there.
        started_at_ms: When it was started, as the record says it.
        completed_at_ms: When it was completed; 0 says that this is not known, and is shown as None.

    Returns:
        The item, or None where it does not fit its schema or is of an unknown type: then its record does not count.
    """
    try:
        decoded = _items.decode(item)
        if isinstance(decoded, Extension):
            decoded = _extensions.decode(item)
        shown: Json = decoded.shown()
    except (msgspec.MsgspecError, UndecodableError, UnicodeDecodeError, RecursionError):
        return None
    shown["startedAtMs"] = started_at_ms
    shown["completedAtMs"] = completed_at_ms or None
    return shown
