"""What an engine is: it is given a turn, and yields what happens in it.

The server records what an event says, durably, before it tells any client of it, and before the engine goes on: an
engine is an asynchronous generator, and the next event is asked for when the one before is kept. To interrupt a turn
the server cancels it: the generator is closed wherever it stands, and must let go of its connection then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import msgspec

from threadkeep.appserver._config_providers import Provider
from threadkeep.records import TokenUsage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = [
    "Compacted",
    "Compacting",
    "Engine",
    "EngineFailure",
    "Event",
    "ItemDone",
    "ItemStarted",
    "Retrying",
    "RunningTurn",
    "SummaryDelta",
    "SummaryPart",
    "TextDelta",
    "ThoughtDelta",
    "ToolCall",
    "ToolResult",
    "TurnSettings",
    "Usage",
]


class TurnSettings(msgspec.Struct, frozen=True):
    """What a turn runs with.

    Attributes:
        model: The model.
        provider: Where it is called.
        instructions: What the model is told first; None for nothing.
        effort: Reasoning effort; None for the model's own.
        summary: How reasoning is summed up (``auto``, ``concise``, ``detailed``, ``none``); None for the model's own.
        verbosity: ``low``, ``medium``, ``high``, or None.
        service_tier: The provider's service tier, or None.
        output_schema: JSON schema of the final answer, or None.
        tools: The client's dynamic tools, as it gave them.
        context_window: Tokens that the model takes; None where it is not known.
        compact_limit: Tokens from which on the context is compacted; None for never.
        compact_prompt: What the model is asked for a summary with; None for the engine's own words.
        output_tokens: Tokens of one tool output that the model is shown (Codex: 12,000 for models that it knows); None
            for 12,000 bytes, as for those that it does not.
    """

    model: str
    provider: Provider
    instructions: str | None = None
    effort: str | None = None
    summary: str | None = None
    verbosity: str | None = None
    service_tier: str | None = None
    output_schema: Any = None
    tools: Sequence[dict[str, Any]] = ()
    context_window: int | None = None
    compact_limit: int | None = None
    compact_prompt: str | None = None
    output_tokens: int | None = None


class ToolCall(msgspec.Struct, frozen=True):
    """A call of one of the client's tools.

    Attributes:
        call_id: The model's id of the call.
        tool: Name of the tool.
        namespace: Its namespace, where it has one.
        arguments: JSON values.
    """

    call_id: str
    tool: str
    namespace: str | None
    arguments: Any


class ToolResult(msgspec.Struct, frozen=True):
    """What a tool answered.

    Attributes:
        output: As the model sees it: a string, or content items of a ``function_call_output``.
        success: Whether it succeeded.
    """

    output: Any
    success: bool


class RunningTurn(Protocol):
    """What the server offers an engine while a turn runs."""

    @property
    def thread_id(self) -> str:
        """The thread."""
        ...

    @property
    def turn_id(self) -> str:
        """The turn."""
        ...

    @property
    def settings(self) -> TurnSettings:
        """What it runs with."""
        ...

    @property
    def history(self) -> Sequence[msgspec.Raw]:
        """The response items that the first model call starts with, oldest first, the new input included.

        Items of a thread that was resumed are as `as_loaded` gives them.
        """
        ...

    @property
    def tokens_used(self) -> int:
        """Tokens of the context after the last model call, as the provider counted them; 0 where nobody did."""
        ...

    def steered(self) -> list[msgspec.Raw]:
        """Response items that came in since the last time, recorded already: the next model call has them."""
        ...

    async def wait_steered(self) -> None:
        """Return when there is something for `steered`, at once if there is already. Cancelled when a call ends."""
        ...

    async def call_tool(self, call: ToolCall) -> ToolResult:
        """Have a client run one of its tools. A client that does not answer, or refuses, is a result, too."""
        ...


class ItemStarted(msgspec.Struct, frozen=True):
    """The model begins an item. ``item`` is its beginning as the provider sent it, its ``id`` that of what follows."""

    item: msgspec.Raw


class TextDelta(msgspec.Struct, frozen=True):
    """More text of a message."""

    item_id: str
    delta: str


class SummaryPart(msgspec.Struct, frozen=True):
    """A part of a reasoning summary begins."""

    item_id: str
    index: int


class SummaryDelta(msgspec.Struct, frozen=True):
    """More text of a reasoning summary."""

    item_id: str
    index: int
    delta: str


class ThoughtDelta(msgspec.Struct, frozen=True):
    """More text of the reasoning itself, where the provider shows it."""

    item_id: str
    index: int
    delta: str


class ItemDone(msgspec.Struct, frozen=True):
    """A response item is whole: the model's, or the output of a call.

    Attributes:
        item: The item, as the bytes that the provider sent, or that the next model call has.
    """

    item: msgspec.Raw


class Usage(msgspec.Struct, frozen=True):
    """A model call ended, and this is what it used.

    Attributes:
        last: Tokens of this call.
        response_id: The provider's id of the response, where it gave one.
    """

    last: TokenUsage
    response_id: str | None = None


class Retrying(msgspec.Struct, frozen=True):
    """A model call failed and is tried again.

    Attributes:
        message: What went wrong, and the how-manieth attempt comes.
        info: The error's kind in the protocol's words (``codexErrorInfo``), a string or an object.
        details: More, for people.
    """

    message: str
    info: Any
    details: str | None = None


class Compacting(msgspec.Struct, frozen=True):
    """The engine begins to compact: `Compacted` follows, or the turn fails."""


class Compacted(msgspec.Struct, frozen=True):
    """The context was compacted: the server writes a checkpoint.

    Attributes:
        summary: The summary in words; empty where the provider keeps it to itself.
        replacement: The response items that stand for everything before, oldest first.
        response_id: The provider's id of the response that made it.
        tokens: How many tokens the next call starts with, as estimated: what is counted until it was made.
    """

    summary: str
    replacement: Sequence[msgspec.Raw]
    response_id: str | None = None
    tokens: int = 0


Event: TypeAlias = (
    ItemStarted
    | TextDelta
    | SummaryPart
    | SummaryDelta
    | ThoughtDelta
    | ItemDone
    | Usage
    | Retrying
    | Compacting
    | Compacted
)


class EngineFailure(Exception):
    """The turn cannot go on: it ends as failed.

    Attributes:
        message: What went wrong.
        info: The error's kind in the protocol's words (``codexErrorInfo``).
        details: More, for people.
    """

    def __init__(self, message: str, info: Any = "other", details: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.info = info
        self.details = details


class Engine(Protocol):
    """What runs turns. One engine serves all threads of a server, many turns at once, on one event loop."""

    def run(self, turn: RunningTurn) -> AsyncIterator[Event]:
        """Run a turn to its end: model calls, tool calls, and compaction where the context passes its limit.

        Raises:
            EngineFailure: The turn cannot go on.
        """
        ...

    def compact(self, turn: RunningTurn) -> AsyncIterator[Event]:
        """Compact the thread's context and do nothing else: the events begin with `Compacting`, end with `Compacted`.

        Raises:
            EngineFailure: It cannot be compacted.
        """
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...
