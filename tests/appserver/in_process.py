"""Clients of a server, in its process or over WebSocket, and an engine that answers without a model."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from threadkeep.appserver._outbox import Outbox
from threadkeep.appserver.engine import Compacted, ItemDone, ItemStarted, TextDelta, Usage
from threadkeep.bench._appserver_socket import Closed, SocketClient
from threadkeep.records import TokenUsage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from threadkeep.appserver._server import Server
    from threadkeep.appserver.engine import Event, RunningTurn

Json = dict[str, Any]

TIMEOUT: Final = 100.0
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


class Talker:
    """A client that reads in a thread of its own and keeps everything, in order.

    ``on_message`` is called with each message by the thread that reads, before anybody who waits for it knows.
    """

    def __init__(self, name: str, on_message: Callable[[Any, Json], None] | None = None) -> None:
        self.name = name
        self.messages: list[Json] = []
        self._on_message = on_message
        self._lock = threading.RLock()
        self._awaited: Callable[[Json], bool] | None = None
        self._found: list[Json] = []
        self._matching = threading.Event()
        self._numbers = itertools.count(1)
        self._left = False
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _transmit(self, message: bytes) -> None:
        raise NotImplementedError

    def _incoming(self) -> Iterator[bytes]:
        """The messages that come, until there will be no more."""
        raise NotImplementedError

    def _leave(self) -> None:
        raise NotImplementedError

    def initialize(self, opt_out: Sequence[str] = ()) -> None:
        self._reader.start()
        self.request(
            "initialize",
            {
                "clientInfo": {"name": self.name, "title": None, "version": "1"},
                "capabilities": {"experimentalApi": True, "optOutNotificationMethods": list(opt_out)},
            },
        )
        self._transmit(b'{"method":"initialized"}')

    def close(self) -> None:
        self._left = True
        self._leave()
        self._reader.join(TIMEOUT)
        assert not self._reader.is_alive()

    def send(self, method: str, params: Json) -> int:
        """Ask without waiting; the request's id."""
        number = next(self._numbers)
        self._transmit(msgspec.json.encode({"id": number, "method": method, "params": params}))
        return number

    def response(self, number: int, *, timeout: float = TIMEOUT) -> Json:
        """The answer to a request, result or error."""
        return self.wait(lambda message: message.get("id") == number and "method" not in message, timeout=timeout)

    def request(self, method: str, params: Json) -> Any:
        answer = self.response(self.send(method, params))
        assert "error" not in answer, (method, params, answer["error"])
        return answer["result"]

    def run_turn(self, thread_id: str, text: str = "go") -> str:
        """Run a turn to its end; its id."""
        turn: str = self.request("turn/start", {"threadId": thread_id, "input": say(text)})["turn"]["id"]
        self.hear_end(turn)
        return turn

    def hear_end(self, turn: str) -> None:
        """Wait until a turn's end was heard."""
        self.wait(lambda m: m.get("method") == "turn/completed" and m["params"]["turn"]["id"] == turn)

    def wait(self, matches: Callable[[Json], bool], *, timeout: float = TIMEOUT) -> Json:
        """The first message for which ``matches`` holds, of what came and what comes. One thread waits at a time."""
        with self._lock:
            for message in self.messages:
                if matches(message):
                    return message
            self._found.clear()
            self._matching.clear()
            self._awaited = matches
        assert self._matching.wait(timeout), f"{self.name}: nothing in {timeout} s; last: {self.messages[-3:]}"
        return self._found[0]

    def heard(self, thread_id: str) -> list[Json]:
        """The notifications about a thread, in order."""
        with self._lock:
            return [message for message in self.messages if "id" not in message and about(message) == thread_id]

    def _read(self) -> None:
        for line in self._incoming():
            message = msgspec.json.decode(line)
            if self._on_message is not None:
                self._on_message(self, message)
            with self._lock:
                self.messages.append(message)
                if self._awaited is not None and self._awaited(message):
                    self._found.append(message)
                    self._awaited = None
                    self._matching.set()


class Client(Talker):
    """A client of a server in this process, without a transport."""

    def __init__(
        self,
        server: Server,
        name: str = "test",
        *,
        on_message: Callable[[Client, Json], None] | None = None,
        opt_out: Sequence[str] = (),
    ) -> None:
        super().__init__(name, on_message)
        self._server = server
        self._outbox = Outbox()
        self.connection = server.connect(self._outbox)
        self.initialize(opt_out)

    def _transmit(self, message: bytes) -> None:
        self.connection.receive(message)

    def _leave(self) -> None:
        self._server.disconnect(self.connection)

    def _incoming(self) -> Iterator[bytes]:
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
                yield b"".join(pieces)
                pieces.clear()


class Remote(Talker):
    """A client over WebSocket."""

    def __init__(self, port: int, name: str = "test", *, opt_out: Sequence[str] = ()) -> None:
        super().__init__(name)
        self._socket = SocketClient(port, timeout=TIMEOUT)
        self.initialize(opt_out)

    def _transmit(self, message: bytes) -> None:
        self._socket.send(message)

    def _leave(self) -> None:
        self._socket.close()

    def _incoming(self) -> Iterator[bytes]:
        while not self._left:
            try:
                yield self._socket.receive()
            except (OSError, Closed):
                return


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
