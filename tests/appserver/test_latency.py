"""A large answer to one client keeps no other client waiting, and is never held as a whole."""

from __future__ import annotations

import contextlib
import socket
import sys
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec
import pytest
from tests.appserver.in_process import TIMEOUT, Client, EchoEngine

from threadkeep.appserver._listening import listening, parse
from threadkeep.appserver._outbox import HIGH_WATER, Outbox
from threadkeep.appserver._server import Server
from threadkeep.bench._appserver_beside import beside
from threadkeep.bench._appserver_homes import ServerHome, clean_environment
from threadkeep.bench._appserver_process import ServerProcess
from threadkeep.bench._appserver_socket import free_port
from threadkeep.bench._generate import Recipe
from threadkeep.bench._home import BenchHome, made_home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MB: Final = 1_000_000

BESIDE_PIECE: Final = 4
"""Small requests that are answered before the next piece of the large answer is taken."""


@pytest.fixture(scope="module")
def thread(tmp_path_factory: pytest.TempPathFactory) -> BenchHome:
    """A thread whose turns make an answer of about 12 MB."""
    return made_home(str(tmp_path_factory.mktemp("threads")), Recipe(size=30 * MB))


@pytest.fixture(scope="module")
def longer(tmp_path_factory: pytest.TempPathFactory) -> BenchHome:
    """A thread whose turns make an answer of more than 30 MB."""
    return made_home(str(tmp_path_factory.mktemp("threads")), Recipe(size=80 * MB))


@pytest.fixture
def server(thread: BenchHome, tmp_path: Path) -> Iterator[Server]:
    home = ServerHome(str(tmp_path), thread)
    made = Server(home.path, engine=EchoEngine())
    yield made
    made.shutdown()


class Slow:
    """A client that takes one piece of what is sent to it at a time, when it is told to."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.outbox = Outbox()
        self._connection = server.connect(self.outbox)
        self._connection.receive(
            msgspec.json.encode(
                {
                    "id": 0,
                    "method": "initialize",
                    "params": {
                        "clientInfo": {"name": "slow", "title": None, "version": "1"},
                        "capabilities": {"experimentalApi": True},
                    },
                }
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.disconnect(self._connection)

    def send(self, method: str, params: dict[str, Any]) -> None:
        self._connection.receive(msgspec.json.encode({"id": 1, "method": method, "params": params}))

    def take(self) -> tuple[bytes, bool]:
        taken = self.outbox.take(TIMEOUT)
        assert taken is not None
        return taken

    def beginning(self) -> bytes:
        """The first piece of the answer; what was sent before it is skipped."""
        while not (piece := self.take()[0]).startswith(b'{"id":1,'):
            pass
        return piece


def ask(client: Client) -> None:
    client.request("thread/loaded/list", {})
    client.request("thread/list", {"limit": 5})


@pytest.mark.parametrize("method", ["thread/resume", "thread/read"])
def test_others_are_answered_between_any_two_pieces_of_a_large_answer(
    server: Server, thread: BenchHome, method: str
) -> None:
    with Client(server) as other, Slow(server) as slow:
        slow.send(method, {"threadId": thread.thread_id, **({"includeTurns": True} if "read" in method else {})})
        size, pieces, last = len(slow.beginning()), 1, False
        while not last:
            for _ in range(BESIDE_PIECE if pieces < 20 else 0):
                ask(other)
            assert slow.outbox.waiting <= 2 * HIGH_WATER
            piece, last = slow.take()
            size += len(piece)
            pieces += 1

    assert size > 10 * MB
    assert pieces >= 10
    assert size / pieces < HIGH_WATER


def test_the_same_thread_can_be_read_while_its_turns_are_still_being_sent(server: Server, thread: BenchHome) -> None:
    with Client(server) as other, Slow(server) as slow:
        slow.send("thread/resume", {"threadId": thread.thread_id})
        slow.beginning()

        read = other.request("thread/read", {"threadId": thread.thread_id, "includeTurns": False})
        assert read["thread"]["id"] == thread.thread_id
        page = other.request("thread/turns/list", {"threadId": thread.thread_id, "limit": 5})
        assert len(page["data"]) == 5


def test_a_client_that_stops_reading_holds_no_more_than_a_little(server: Server, thread: BenchHome) -> None:
    with contextlib.ExitStack() as clients:
        slow = [clients.enter_context(Slow(server)) for _ in range(5)]
        for each in slow:
            each.send("thread/read", {"threadId": thread.thread_id, "includeTurns": True})
        for each in slow:
            each.beginning()
        other = clients.enter_context(Client(server))
        for _ in range(50):
            ask(other)

        assert HIGH_WATER <= sum(each.outbox.waiting for each in slow) <= 5 * 2 * HIGH_WATER


def test_a_short_answer_does_not_wait_for_an_acknowledgement_of_what_was_sent_before() -> None:
    with listening(parse("ws://127.0.0.1:0", "/")) as made, socket.create_connection(made.getsockname()):
        accepted, _ = made.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_a_server_of_its_own_answers_others_while_it_sends_thirty_megabytes(longer: BenchHome, tmp_path: Path) -> None:
    home, port = ServerHome(str(tmp_path), longer), free_port()
    command = (sys.executable, "-m", "threadkeep", "app-server", "--listen", f"ws://127.0.0.1:{port}")
    with ServerProcess(
        command, clean_environment(home.path), cwd=home.cwd, errors=home.errors, listening=True
    ) as process:
        measured = beside("threadkeep", port, process.pid, longer.thread_id, home.cwd)

    assert measured.answered > 30 * MB
    assert measured.requests >= 6
    assert measured.ms_p50 < measured.large_ms / 4
    if measured.grown_bytes is not None:  # a system that says it
        assert measured.grown_bytes < 2 * measured.answered
