"""A server in this process, clients on its outboxes, and an engine that answers without a model."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from threadkeep.appserver._outbox import Outbox
from threadkeep.appserver.engine import Compacted, ItemDone, ItemStarted, TextDelta, Usage
from threadkeep.records import TokenUsage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from threadkeep.appserver._server import Server
    from threadkeep.appserver.engine import Event, RunningTurn

Json = dict[str, Any]

TIMEOUT: Final = 60.0
"""Seconds that a wait lasts at most."""

TURN: Final = (
    "turn/started",
    "item/started",
    "item/completed",
    "item/started",
    "item/agentMessage/delta",
    "item/agentMessage/delta",
    "item/completed",
    "turn/completed",
)
"""What is heard of the items of a turn that :class:`EchoEngine` ran: the user's message, then the answer in two."""


class EchoEngine:
    """Answers every turn with two words, at once."""

    def __init__(self) -> None:
        self._numbers = itertools.count()

    async def run(self, turn: RunningTurn) -> AsyncIterator[Event]:
        item_id = f"msg_{next(self._numbers):024x}"
        message = {"type": "message", "id": item_id, "role": "assistant"}
        yield ItemStarted(raw({**message, "content": []}))
        yield TextDelta(item_id, "two ")
        yield TextDelta(item_id, "words")
        yield ItemDone(raw({**message, "content": [{"type": "output_text", "text": "two words"}]}))
        used = TokenUsage(
            input_tokens=10, cached_input_tokens=0, output_tokens=2, reasoning_output_tokens=0, total_tokens=12
        )
        yield Usage(used, f"resp_{item_id}")

    async def compact(self, turn: RunningTurn) -> AsyncIterator[Event]:
        yield Compacted("everything so far", [*turn.history[-1:]])

    async def close(self) -> None:
        pass


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


class Client:
    """A client of a server in this process: reads in a thread of its own and keeps everything, in order.

    ``on_message`` is called with each message by the thread that reads, before anybody who waits for it knows.
    """

    def __init__(
        self, server: Server, name: str = "test", *, on_message: Callable[[Client, Json], None] | None = None
    ) -> None:
        self.name = name
        self.messages: list[Json] = []
        self._on_message = on_message
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)
        self._server = server
        self._outbox = Outbox()
        self._left = False
        self.connection = server.connect(self._outbox)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.request(
            "initialize",
            {
                "clientInfo": {"name": name, "title": None, "version": "1"},
                "capabilities": {"experimentalApi": True},
            },
        )
        self.connection.receive(b'{"method":"initialized"}')

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._left = True
        self._server.disconnect(self.connection)
        self._reader.join(10)
        assert not self._reader.is_alive()

    def send(self, method: str, params: Json) -> int:
        """Ask without waiting; the request's id."""
        number = next(self._numbers)
        self.connection.receive(msgspec.json.encode({"id": number, "method": method, "params": params}))
        return number

    def response(self, number: int, *, timeout: float = TIMEOUT) -> Json:
        """The answer to a request, result or error."""
        return self.wait(lambda message: message.get("id") == number and "method" not in message, timeout=timeout)

    def request(self, method: str, params: Json) -> Any:
        answer = self.response(self.send(method, params))
        assert "error" not in answer, (method, params, answer["error"])
        return answer["result"]

    def wait(self, matches: Callable[[Json], bool], *, timeout: float = TIMEOUT) -> Json:
        """The first message for which ``matches`` holds, of what came and what comes."""
        deadline, place = time.monotonic() + timeout, 0
        with self._changed:
            while True:
                for message in itertools.islice(self.messages, place, None):
                    if matches(message):
                        return message
                place = len(self.messages)
                left = deadline - time.monotonic()
                assert left > 0, f"{self.name}: nothing that matches in {timeout} s; last: {self.messages[-3:]}"
                self._changed.wait(left)

    def heard(self, thread_id: str) -> list[Json]:
        """The notifications about a thread, in order."""
        with self._changed:
            return [message for message in self.messages if "id" not in message and about(message) == thread_id]

    def _read(self) -> None:
        pieces: list[bytes] = []
        while not self._left:
            taken = self._outbox.take(0.2)
            if taken is None:
                if self._outbox.closed is not None:
                    return
                continue
            piece, last = taken
            pieces.append(piece)
            if last:
                message = msgspec.json.decode(b"".join(pieces))
                pieces.clear()
                if self._on_message is not None:
                    self._on_message(self, message)
                with self._changed:
                    self.messages.append(message)
                    self._changed.notify_all()


def about(message: Json) -> str | None:
    """The thread that a message is about."""
    params = message.get("params") or {}
    return params.get("threadId") or (params.get("thread") or {}).get("id")


def of_items(messages: list[Json]) -> tuple[str, ...]:
    """The methods that tell of a turn and its items."""
    return tuple(message["method"] for message in messages if message["method"].startswith(("turn/", "item/")))


def say(text: str) -> list[Json]:
    """The input of a turn."""
    return [{"type": "text", "text": text}]
