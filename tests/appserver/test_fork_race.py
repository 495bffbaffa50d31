"""Trap 30: whoever starts a turn the moment a thread can be seen misses nothing of it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.appserver.in_process import TIMEOUT, TURN, Client, EchoEngine, about, of_items, say

from threadkeep.appserver._server import Server
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

Json = dict[str, Any]

IN_FLIGHT: Final = 8
"""Races that are run at the same time: they disturb each other."""


RACES: Final = {"memory": 700, "files": 300}
"""How many races are run on either kind of store, for each way in which a thread comes to be seen."""


@pytest.fixture(params=RACES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(kind: str, tmp_path: Path) -> Iterator[Server]:
    home = tmp_path / "home"
    home.mkdir()
    store = ThreadStore.in_memory() if kind == "memory" else ThreadStore.open(str(home), durability="os")
    made = Server(str(home), engine=EchoEngine(), store=store)
    yield made
    made.shutdown()


class Races:
    """A client that starts a turn in the same moment in which it reads that a thread is there.

    The turn is asked for by the thread that reads, before it looks at anything that comes after the answer.
    """

    def __init__(self, server: Server, first: str, params: Json, count: int) -> None:
        self._first = first
        self._params = params
        self._count = count
        self._begun = 0
        self._waiting: set[int] = set()
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._ended = 0
        self.children: list[str] = []
        self.refused: list[Json] = []
        self.pipelined: set[int] = set()
        self.client = Client(server, "racer", on_message=self._read)

    def run(self) -> None:
        with self._lock:
            for _ in range(min(IN_FLIGHT, self._count)):
                self._begin()
        assert self._done.wait(TIMEOUT), (
            f"{self._ended} of {self._count} turns ended; unanswered: {self.pipelined}; refused: {self.refused[:3]}"
        )

    def _begin(self) -> None:
        self._begun += 1
        self._waiting.add(self.client.send(self._first, self._params))

    def _read(self, client: Client, message: Json) -> None:
        if "error" in message:
            self.refused.append(message)
            self._done.set()
        with self._lock:
            if message.get("id") in self._waiting:
                self._waiting.discard(message["id"])
                thread = message["result"]["thread"]["id"]
                client.send("turn/start", {"threadId": thread, "input": say("go")})
                self.pipelined.add(client.send("thread/read", {"threadId": thread}))
                self.children.append(thread)
            self.pipelined.discard(message.get("id", 0))
            if message.get("method") == "turn/completed" and message["params"]["threadId"] in self.children[-64:]:
                self._ended += 1
                if self._begun < self._count:
                    self._begin()
            # A read is answered beside its turn, and may well come after the turn's end.
            if self._ended == self._count and not self.pipelined:
                self._done.set()


def parent_of(server: Server, mode: str) -> str:
    with Client(server, "parent") as client:
        thread: str = client.request("thread/start", {"historyMode": mode, "cwd": server.home})["thread"]["id"]
        client.request("turn/start", {"threadId": thread, "input": say("before")})
        client.wait(lambda message: message.get("method") == "turn/completed")
    return thread


def check(races: Races, count: int) -> None:
    """Every turn was heard from beginning to end, once and in order, after its thread was announced."""
    client = races.client
    client.request("thread/loaded/list", {})
    assert races.pipelined == set()
    assert races.refused == []
    assert len(set(races.children)) == count
    heard: dict[str, list[Json]] = {thread: [] for thread in races.children}
    for message in client.messages:
        thread = about(message)
        if "id" not in message and thread in heard:
            heard[thread].append(message)
    for thread, messages in heard.items():
        assert of_items(messages) == TURN, (thread, [message["method"] for message in messages])
        methods = [message["method"] for message in messages]
        assert methods.count("thread/started") == 1
        assert methods.index("thread/started") < methods.index("turn/started")
    client.close()


@pytest.mark.parametrize("mode", ["paginated", "legacy"])
def test_trap_30_a_turn_right_after_the_fork_is_heard_whole(server: Server, kind: str, mode: str) -> None:
    parent = parent_of(server, mode)
    races = Races(server, "thread/fork", {"threadId": parent, "excludeTurns": True}, RACES[kind])
    races.run()
    check(races, RACES[kind])


def test_trap_30_a_turn_right_after_a_fork_with_all_turns_is_heard_whole(server: Server, kind: str) -> None:
    races = Races(server, "thread/fork", {"threadId": parent_of(server, "paginated")}, RACES[kind])
    races.run()
    check(races, RACES[kind])


def test_trap_30_a_turn_right_after_the_start_is_heard_whole(server: Server, kind: str) -> None:
    races = Races(server, "thread/start", {"cwd": server.home}, RACES[kind])
    races.run()
    check(races, RACES[kind])
