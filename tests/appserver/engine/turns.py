"""A turn as a server would run it, and all that an engine yields of it."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from threadkeep.appserver._config_providers import Provider
from threadkeep.appserver.engine import EngineFailure, Event, ItemDone, ToolCall, ToolResult, TurnSettings
from threadkeep.appserver.engine._responses import ResponsesEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Json = dict[str, Any]

THREAD = "019a0000-0000-7000-8000-000000000001"
TURN = "019a0000-0000-7000-8000-000000000002"


def raw(value: object) -> msgspec.Raw:
    """JSON values as the bytes of a record."""
    return msgspec.Raw(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def plain(item: msgspec.Raw) -> Json:
    """An item as JSON values."""
    decoded: Json = json.loads(bytes(item))
    return decoded


def user(text: str, id_: str = "msg_u") -> msgspec.Raw:
    """What a person said."""
    content = [{"type": "input_text", "text": text}]
    return raw({"type": "message", "id": id_, "role": "user", "content": content})


def assistant(text: str, id_: str = "msg_a") -> msgspec.Raw:
    """What the model said."""
    content = [{"type": "output_text", "text": text}]
    return raw({"type": "message", "id": id_, "role": "assistant", "content": content})


def developer(text: str) -> msgspec.Raw:
    """What the model was told of its work."""
    return raw({"type": "message", "role": "developer", "content": [{"type": "input_text", "text": text}]})


def provider(base_url: str, **more: Any) -> Provider:
    """A provider that is tried once."""
    given = {"id": "mock", "name": "mock", "request_max_retries": 0, "stream_max_retries": 0, **more}
    return Provider(base_url=base_url, **given)


def settings(base_url: str, *, of: Mapping[str, Any] | None = None, **more: Any) -> TurnSettings:
    """Settings of a turn; ``of`` are members of its provider."""
    return TurnSettings(model="gpt-5.5", provider=provider(base_url, **(of or {})), **more)


@dataclass
class FakeTurn:
    """A `RunningTurn`: tools answer what ``tools`` says, and what is steered comes when :meth:`steer` is called."""

    settings: TurnSettings
    history: Sequence[msgspec.Raw] = field(default_factory=lambda: [user("hello")])
    tokens_used: int = 0
    tools: Callable[[ToolCall], str] = lambda call: f"output of {call.tool}"
    thread_id: str = THREAD
    turn_id: str = TURN
    called: list[ToolCall] = field(default_factory=list)
    pause: float = 0.0
    calling: asyncio.Event | None = None
    _steered: list[msgspec.Raw] = field(default_factory=list)
    _something: asyncio.Event = field(default_factory=asyncio.Event)

    def steer(self, text: str) -> None:
        """Say more."""
        self._steered.append(user(text, "msg_s"))
        self._something.set()

    def steered(self) -> list[msgspec.Raw]:
        """What was said since the last time."""
        said, self._steered = self._steered, []
        self._something.clear()
        return said

    async def wait_steered(self) -> None:
        """Return when something was said."""
        await self._something.wait()

    async def call_tool(self, call: ToolCall) -> ToolResult:
        """Answer a call."""
        self.called.append(call)
        if self.calling is not None:
            self.calling.set()
        await asyncio.sleep(self.pause)
        return ToolResult(self.tools(call), success=True)


@dataclass
class Ran:
    """What came of a turn."""

    events: list[Event]
    failure: EngineFailure | None = None

    def of(self, *kinds: type) -> list[Any]:
        """The events of some kinds."""
        return [event for event in self.events if isinstance(event, kinds)]

    @property
    def items(self) -> list[Json]:
        """The items that were done."""
        return [plain(event.item) for event in self.of(ItemDone)]


def run(
    turn: FakeTurn,
    *,
    compact: bool = False,
    environ: Mapping[str, str] | None = None,
    stored_key: Callable[[], str | None] | None = None,
    seen: Callable[[Event], None] | None = None,
) -> Ran:
    """Run a turn to its end; ``seen`` is told of every event as it comes."""

    async def all_of() -> Ran:
        engine = ResponsesEngine({} if environ is None else environ, stored_key)
        ran = Ran([])
        try:
            async with aclosing(engine.compact(turn) if compact else engine.run(turn)) as events:
                async for event in events:
                    ran.events.append(event)
                    if seen is not None:
                        seen(event)
        except EngineFailure as failure:
            ran.failure = failure
        finally:
            await engine.close()
        return ran

    return asyncio.run(asyncio.wait_for(all_of(), 60))
