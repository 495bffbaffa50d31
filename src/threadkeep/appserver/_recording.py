"""What is kept of a running turn: its records, written durably, one step after the other.

Every method writes, and returns when what it wrote is safe; it is called from a worker thread, one call at a time.
What a client may be told is what these methods return.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.appserver._items import shown_by
from threadkeep.appserver.engine import OUTPUTS, as_loaded, output_item
from threadkeep.records import TokenUsage, TokenUsageInfo
from threadkeep.records import _build as build
from threadkeep.store import NewRecord
from threadkeep.store._turn_records import Checkpoint, TurnRecords

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from threadkeep.appserver._loaded import LoadedThread
    from threadkeep.appserver.engine import Compacted, ToolCall, Usage
    from threadkeep.replay import Window
    from threadkeep.store import Resumed
    from threadkeep.store._turn_records import Made
    from threadkeep.store._user_input import UserInput

__all__ = ["Recording"]

Json = dict[str, Any]

_CANCELLED: Final = "dynamic tool call was cancelled before receiving a response"

_encode: Final = msgspec.json.Encoder().encode
_decode_item: Final = msgspec.json.Decoder(dict[str, Any]).decode


class Recording:
    """The records of one running turn.

    Attributes:
        turn_id: The turn.
        history: The response items of the model context as it stands, oldest first, as the records have them.
        said: What the agent said last in this turn.
        open_calls: Calls of the model that have no output yet: their ids, with the type of the call.
        total: Tokens of the whole thread; None where nobody counted.
        last: Tokens of the last model call.
    """

    def __init__(self, thread: LoadedThread) -> None:
        config = thread.server.config
        settings = thread.settings
        self._thread = thread
        self._writer = thread.writer
        self._window_tokens = config.context_window(settings.model)
        self._records = TurnRecords(
            thread.writer,
            context=lambda turn_id: settings.turn_context(turn_id, config),
            applied=settings.applied(),
            window=self._window_tokens,
        )
        self._window: Window | None = None
        self._world_state: Any = None
        self._states_settings = True
        self._turn_total: TokenUsage | None = None
        self._usage_record: Json | None = None
        self._count_waits = False
        self.turn_id = self._records.id
        self.history: list[msgspec.Raw] = []
        self.said: str | None = None
        self.open_calls: dict[str, str] = {}
        self.total: TokenUsage | None = None
        self.last: TokenUsage | None = None

    @property
    def started_at(self) -> int:
        """When the turn began, in Unix seconds."""
        return self._records.started_at

    @property
    def usage(self) -> TokenUsageInfo | None:
        """The tokens of the thread; None where nobody counted."""
        if self.total is None or self.last is None:
            return None
        return TokenUsageInfo(self.total, self.last, self._window_tokens)

    # Its beginning

    def begin(self) -> None:
        """The turn begins."""
        self._write([self._records.start()])

    def read(self, output_tokens: int | None) -> None:
        """Read the model context that the turn starts with.

        Args:
            output_tokens: How many tokens of one output of a tool the model is shown (`TurnSettings.output_tokens`).

        Raises:
            ThreadkeepError: The thread's history cannot be read.
        """
        resumed: Resumed = self._thread.server.store.resume(self._thread.id)
        self.history = as_loaded(resumed.context.items, output_tokens)
        self._window = resumed.context.window
        self._world_state = resumed.context.world_state
        self._states_settings = resumed.context.settings is None
        if resumed.usage is not None:
            self.total = resumed.usage.total_token_usage
            self.last = resumed.usage.last_token_usage

    def hear_first(self, given: UserInput | None, developer: str | None, *, stated: bool) -> Made | None:
        """What the turn begins with: what it runs with, what a developer adds, and what the user said.

        Args:
            given: What the user said; None for nothing.
            developer: A developer's text for the model; it is said once, as long as the context holds it.
            stated: Whether the turn said already what it runs with (at a checkpoint).
        """
        records: list[NewRecord] = []
        if developer is not None and not self._holds(developer):
            records.append(NewRecord("response_item", self._keep(self._developer(developer))))
        if not stated:
            records.append(self._records.context())
            if self._states_settings:
                records += self._records.applied()
        made = self._records.said(given) if given is not None else None
        if made is not None:
            self.history.append(msgspec.Raw(_encode(made.payload)))
            records += made.records
        self._write(records)
        return made

    def _developer(self, text: str) -> Json:
        content = [build.input_text(text)]
        item_id = f"msg_{self._writer.new_id()}"
        return build.message("developer", content, kinds=["developer.text"], item_id=item_id, turn_id=self.turn_id)

    def _holds(self, text: str) -> bool:
        """Whether a developer's text is in the context."""
        said = _encode(text)
        return any(said in item and _has_developer_text(item, text) for item in map(bytes, self.history))

    # What happens in it

    def hear(self, given: UserInput) -> Made:
        """What the user said while the turn ran."""
        made = self._records.said(given)
        self._write(made.records)
        self.history.append(msgspec.Raw(_encode(made.payload)))
        return made

    def put_in(self, items: Sequence[msgspec.Raw]) -> None:
        """Response items of a client."""
        self._write([NewRecord("response_item", item) for item in items])

    def item(self, raw: msgspec.Raw, started_ms: int | None) -> Made:
        """A whole response item of the model, or the output of a call.

        Raises:
            ValueError: It is no JSON object.
        """
        payload = _decode_item(raw)
        kind = str(payload.setdefault("type", "message"))
        self._complete(kind, payload)
        shown, events = shown_by(payload)
        encoded = self._keep(payload)
        made = self._records.shown(shown, events, payload=encoded, started_ms=started_ms)
        self._write(made.records)
        if kind in OUTPUTS and payload.get("execution") != "server":
            self.open_calls[str(payload.get("call_id") or payload.get("id"))] = kind
        elif "call_id" in payload:
            self.open_calls.pop(str(payload["call_id"]), None)
        if shown is not None and shown["type"] == "AgentMessage":
            self.said = "".join(part["text"] for part in shown["content"])
        return made

    def _complete(self, kind: str, payload: Json) -> None:
        """Give a response item what every recorded one has: an id, and the turn that it is of."""
        prefixes = {"message": "msg", "reasoning": "rs", "function_call_output": "fco", "function_call": "fc"}
        if payload.get("id") is None and kind in prefixes:
            payload["id"] = f"{prefixes[kind]}_{self._writer.new_id()}"
        passthrough: Json = {"turn_id": self.turn_id}
        if kind == "message":
            passthrough["content_item_kinds"] = ["unknown"] * len(payload.get("content") or ())
        payload["internal_chat_message_metadata_passthrough"] = passthrough

    def tool_called(self, call: ToolCall, content: Sequence[Json], started_ms: int, *, success: bool) -> Made:
        """A client ran a tool, or did not: shown to people; what the model sees of it comes as an item."""
        return self._tool(call, content, started_ms, success=success, error=None)

    def tools_cancelled(self, calls: Sequence[tuple[ToolCall, int]]) -> list[Made]:
        """Calls of tools that nobody answered before the turn was interrupted."""
        return [self._tool(call, [], started_ms, success=False, error=_CANCELLED) for call, started_ms in calls]

    def _tool(
        self, call: ToolCall, content: Sequence[Json], started_ms: int, *, success: bool, error: str | None
    ) -> Made:
        item = build.tool_call_item(
            item_id=call.call_id,
            tool=call.tool,
            namespace=call.namespace,
            arguments=call.arguments,
            content_items=content,
            success=success,
            error=error,
            duration_ms=max(0, self._writer.now_ms() - started_ms),
        )
        made = self._records.shown(item, started_ms=started_ms)
        self._write(made.records)
        return made

    def outputs_of_open_calls(self) -> None:
        """Every call has an output, whatever became of it: the model is never sent one without."""
        for call_id, kind in list(self.open_calls.items()):
            self.item(msgspec.Raw(_encode(output_item(kind, call_id, _CANCELLED))), None)

    # Tokens

    def used(self, event: Usage) -> None:
        """A model call ended. The thread's count follows when the calls that it made have their outputs."""
        self.total = _sum(self.total, event.last)
        self._turn_total = _sum(self._turn_total, event.last)
        self.last = event.last
        self._count_waits = True
        if event.response_id is not None:
            record = build.token_usage_record(
                thread_id=self._thread.id,
                turn_id=self.turn_id,
                response_id=event.response_id,
                usage=_plain(event.last),
                turn_usage=_plain(self._turn_total),
                thread_usage=_plain(self.total),
            )
            self._usage_record = record
            self._write([NewRecord("token_usage_record", record)])

    @property
    def count_is_due(self) -> bool:
        """Whether a model call was counted whose calls all have their outputs."""
        return self._count_waits and not self.open_calls

    def count(self) -> None:
        """The tokens of the thread as they stand."""
        self._count_waits = False
        total = _plain(self.total) if self.total is not None else None
        last = _plain(self.last) if self.last is not None else None
        self._write([self._records.count(total=total, last=last)])

    # Compaction

    def compacted(self, event: Compacted, late: Sequence[msgspec.Raw] = ()) -> None:
        """The context begins anew: a checkpoint, with what stands for everything before.

        Args:
            event: What the engine made.
            late: Response items that were recorded while it was made: they stay behind what it stands for.
        """
        window = self._window
        made = self._writer.new_id()
        first = window.first_id if window is not None else None
        before = window.id if window is not None else None
        first = first or before or made
        number = (window.number or 0) + 1 if window is not None else 1
        checkpoint = Checkpoint(
            event.summary,
            [*event.replacement, *late],
            number,
            (first, before or first, made),
            event.response_id,
            self._usage_record,
            [{"type": "function", **tool} for tool in self._thread.dynamic_tools],
            self._world_state if any(_role(item) == "developer" for item in event.replacement) else None,
        )
        self._write(self._records.checkpoint(checkpoint))
        self.history = [*event.replacement, *late]
        self._window = _next_window(number, first, before or first, made)
        self._states_settings = False
        self.last = msgspec.structs.replace(_nothing(), total_tokens=event.tokens)
        self.total = self.total or _nothing()

    def compaction_shown(self, item_id: str, started_ms: int) -> Made:
        """People see that the context was compacted."""
        made = self._records.compaction_shown(started_ms, item_id)
        self._write(made.records)
        return made

    # Its end

    def completed(self, error: Json | None) -> Json:
        """The turn ended; with an error it failed. The end as it was recorded."""
        return self._ended([self._records.completed(last=self.said, error=error)])

    def aborted(self, *, replaced: bool) -> Json:
        """The turn was interrupted. The end as it was recorded."""
        return self._ended(self._records.aborted(replaced=replaced))

    def _ended(self, records: list[NewRecord]) -> Json:
        self._write(records)
        end: Json = records[-1].payload
        return end

    def _write(self, records: Sequence[NewRecord]) -> None:
        if records:
            self._writer.append_all(records)

    def _keep(self, payload: Mapping[str, Any]) -> msgspec.Raw:
        """A response item is part of the context from here on; its bytes."""
        encoded = msgspec.Raw(_encode(payload))
        self.history.append(encoded)
        return encoded


def _has_developer_text(item: bytes, text: str) -> bool:
    payload = _decode_item(item)
    content = payload.get("content")
    return (
        payload.get("role") == "developer"
        and isinstance(content, list)
        and any(isinstance(part, dict) and part.get("text") == text for part in content)
    )


def _role(item: msgspec.Raw) -> Any:
    return _decode_item(item).get("role")


def _next_window(number: int, first: str, previous: str, current: str) -> Window:
    from threadkeep.replay import Window

    return Window(number, first, previous, current)


def _plain(usage: TokenUsage | None) -> dict[str, int]:
    """A usage as records have it."""
    plain: dict[str, int] = msgspec.to_builtins(usage or _nothing())
    names = ("input_tokens", "cached_input_tokens", "cache_write_input_tokens", "output_tokens")
    return {name: plain[name] for name in (*names, "reasoning_output_tokens", "total_tokens")}


def _nothing() -> TokenUsage:
    return TokenUsage(input_tokens=0, cached_input_tokens=0, output_tokens=0, reasoning_output_tokens=0, total_tokens=0)


def _sum(one: TokenUsage | None, other: TokenUsage) -> TokenUsage:
    if one is None:
        return other
    return TokenUsage(
        input_tokens=one.input_tokens + other.input_tokens,
        cached_input_tokens=one.cached_input_tokens + other.cached_input_tokens,
        cache_write_input_tokens=one.cache_write_input_tokens + other.cache_write_input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        reasoning_output_tokens=one.reasoning_output_tokens + other.reasoning_output_tokens,
        total_tokens=one.total_tokens + other.total_tokens,
    )
