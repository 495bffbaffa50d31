"""An engine that does what a test says, step by step, and a server with it."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec
from tests.appserver.in_process import TIMEOUT, Client

from threadkeep.appserver import Server
from threadkeep.appserver.engine import Compacted, Compacting, ItemDone, ItemStarted, TextDelta, Usage
from threadkeep.records import TokenUsage
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path

    from threadkeep.appserver.engine import Event, RunningTurn

Json = dict[str, Any]

USED: Final = TokenUsage(
    input_tokens=10, cached_input_tokens=4, output_tokens=2, reasoning_output_tokens=1, total_tokens=12
)


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def message(text: str, item_id: str = "msg_1") -> list[Event]:
    """An assistant message, as a provider streams it."""
    begun = {"type": "message", "id": item_id, "role": "assistant", "content": []}
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return [ItemStarted(raw(begun)), TextDelta(item_id, text), ItemDone(raw({**begun, "content": content}))]


def call(call_id: str = "call_1", name: str = "look_up", arguments: str = '{"q":"a"}') -> ItemDone:
    return ItemDone(
        raw({"type": "function_call", "id": f"fc_{call_id}", "name": name, "arguments": arguments, "call_id": call_id})
    )


def output(result: Any, call_id: str = "call_1") -> ItemDone:
    return ItemDone(raw({"type": "function_call_output", "call_id": call_id, "output": result}))


class Gate:
    """Lets an engine wait until the test says go on, and the test until the engine has come there."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()

    async def wait(self) -> None:
        self.reached.set()
        deadline = time.monotonic() + TIMEOUT
        while not self._open.is_set():
            assert time.monotonic() < deadline, "nobody opened the gate"
            await asyncio.sleep(0.002)

    def wait_reached(self) -> None:
        assert self.reached.wait(TIMEOUT), "the engine did not come to the gate"

    def open(self) -> None:
        self._open.set()


class Scripted:
    """Runs what ``script`` says; ``histories`` are what the engine was given, one for each run."""

    def __init__(self) -> None:
        self.script: Callable[[RunningTurn], AsyncIterator[Event]] = self.answer
        self.compaction: Callable[[RunningTurn], AsyncIterator[Event]] = self.sum_up
        self.histories: list[list[Json]] = []
        self.closed = False

    async def answer(self, _: RunningTurn) -> AsyncIterator[Event]:
        for event in message("an answer", f"msg_{len(self.histories)}"):
            yield event
        yield Usage(USED, "resp_1")

    async def sum_up(self, turn: RunningTurn) -> AsyncIterator[Event]:
        yield Compacting()
        yield Usage(USED, "resp_c")
        summary = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "summary"}]}
        yield Compacted("summary", [raw(summary)], "resp_c", 7)

    def play(self, *steps: Event | Gate) -> None:
        """Have the next runs go through these steps."""

        async def script(_: RunningTurn) -> AsyncIterator[Event]:
            for step in steps:
                if isinstance(step, Gate):
                    await step.wait()
                else:
                    yield step

        self.script = script

    async def run(self, turn: RunningTurn) -> AsyncIterator[Event]:
        self.histories.append([msgspec.json.decode(item) for item in turn.history])
        async for event in self.script(turn):
            yield event

    async def compact(self, turn: RunningTurn) -> AsyncIterator[Event]:
        self.histories.append([msgspec.json.decode(item) for item in turn.history])
        async for event in self.compaction(turn):
            yield event

    async def close(self) -> None:
        self.closed = True


class Stage:
    """A server with a scripted engine, one client, and one thread."""

    def __init__(self, server: Server, engine: Scripted, client: Client, thread: str) -> None:
        self.server = server
        self.engine = engine
        self.client = client
        self.thread = thread

    def start(self, text: str = "hello", **params: Any) -> str:
        """Begin a turn; its id."""
        asked = {"threadId": self.thread, "input": [{"type": "text", "text": text}], **params}
        turn: str = self.client.request("turn/start", asked)["turn"]["id"]
        return turn

    def run(self, text: str = "hello", **params: Any) -> Json:
        """Run a turn to its end; the turn as it was told then."""
        return self.end_of(self.start(text, **params))

    def end_of(self, turn: str) -> Json:
        """Wait for the end of a turn; the turn as it was told then."""
        end = self.client.wait(lambda m: m.get("method") == "turn/completed" and m["params"]["turn"]["id"] == turn)
        ended: Json = end["params"]["turn"]
        return ended

    def compact(self) -> None:
        """Compact by hand, and wait for the end of it."""
        ends = self.heard().count("turn/completed")
        self.client.request("thread/compact/start", {"threadId": self.thread})
        self.wait_ends(ends + 1)

    def wait_ends(self, count: int) -> None:
        """Wait until so many turns were told to have ended."""
        self.client.wait(lambda _: self.heard().count("turn/completed") >= count)

    def error(self, method: str, **params: Any) -> Json:
        """What a request is refused with."""
        answer = self.client.response(self.client.send(method, {"threadId": self.thread, **params}))
        refusal: Json = answer["error"]
        return refusal

    def heard(self) -> list[str]:
        """The methods of what was told of the thread since it was begun, in order."""
        told = [str(m["method"]) for m in self.client.messages if "method" in m and "id" not in m]
        return [method for method in told if method not in {"remoteControl/status/changed", "thread/started"}]

    def records(self) -> list[Json]:
        """The records of the thread, as they stand in its rollout."""
        store = self.server.store
        path = f"{self.server.home}/{store.read(self.thread).location}"
        with open(path, "rb") as file:
            return [msgspec.json.decode(line) for line in file]

    def kinds(self) -> list[str]:
        """The types of the thread's records: the payload's own where it has one."""
        return [kind_of(record) for record in self.records()]


def kind_of(record: Json) -> str:
    """A record's type in one word: the payload's own where it has one, an item's name where it shows one."""
    payload = record["payload"]
    if payload.get("type") == "item_completed":
        return f"shown {payload['item']['type']}"
    if record["type"] == "response_item" and payload["type"] == "message":
        return f"{payload['role']} message"
    return str(payload.get("type") or record["type"])


@contextmanager
def on_stage(home: Path, mode: str = "paginated", **params: Any) -> Iterator[Stage]:
    """A server on a home, with a scripted engine and a thread that was just begun."""
    engine = Scripted()
    server = Server(str(home), engine=engine, store=ThreadStore.open(home, durability="os"))
    client = Client(server)
    try:
        asked = {"cwd": str(home), "historyMode": mode, **params}
        yield Stage(server, engine, client, client.request("thread/start", asked)["thread"]["id"])
    finally:
        server.shutdown(10)
        client.close()


def items_told(client: Client, method: str = "item/completed") -> list[Json]:
    """The items that were told of, in order."""
    return [m["params"]["item"] for m in client.messages if m.get("method") == method]


def texts(items: Sequence[Json]) -> list[str]:
    """The texts of messages to a model."""
    return ["".join(part.get("text", "") for part in item["content"]) for item in items if item["type"] == "message"]
