"""Two hundred clients on one server, all of them busy: nothing is lost, and nothing comes out of order."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.appserver.in_process import TIMEOUT, TURN, Client, EchoEngine, Remote, about, of_items

from threadkeep.appserver._auth import Guard
from threadkeep.appserver._listening import listening, parse
from threadkeep.appserver._server import Server
from threadkeep.appserver._websocket import Listener
from threadkeep.bench import _appserver_crowd
from threadkeep.bench._appserver_homes import ServerHome, clean_environment
from threadkeep.bench._appserver_process import ServerProcess
from threadkeep.bench._appserver_socket import free_port
from threadkeep.bench._generate import Recipe
from threadkeep.bench._home import made_home
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.appserver.in_process import Talker

pytestmark = pytest.mark.timeout(900)

CLIENTS: Final = 200

IN_ONE_PROCESS: Final = 60
"""Clients that are threads of the server's process: all of them together have one processor."""

NOT_WANTED: Final = ("thread/status/changed", "thread/readState/changed")
"""What is said to every client of every thread. Only one of ten clients wants to hear it."""

MOST_GROWTH: Final = 200_000_000
"""Bytes by which the memory of a server with 200 busy clients grows at most: a megabyte for each."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(str(tmp_path), engine=EchoEngine(), store=ThreadStore.in_memory())
    yield made
    made.shutdown()


@pytest.fixture
def port(server: Server) -> Iterator[int]:
    """Where the server is reached over WebSocket."""
    listener = Listener(server, Guard())
    ready = threading.Event()
    with listening(parse("ws://127.0.0.1:0", server.home)) as made:
        loop = threading.Thread(target=listener.run, args=(made, ready.set), daemon=True)
        loop.start()
        assert ready.wait(TIMEOUT)
        yield made.getsockname()[1]
        listener.stop()
        loop.join(TIMEOUT)
        assert not loop.is_alive()


def together(clients: Sequence[Any], work: Callable[[Any], None]) -> None:
    """All clients do it at the same time; the first failure is the test's."""
    failures: list[BaseException] = []

    def one(client: Any) -> None:
        try:
            work(client)
        except BaseException as error:  # noqa: BLE001  # it is raised below
            failures.append(error)

    threads = [threading.Thread(target=one, args=(client,), daemon=True) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(800)
        assert not thread.is_alive(), "a client waits for something that does not come"
    if failures:
        raise failures[0]


def live(client: Talker) -> None:
    """What each client does: two threads with turns, each named and read; it checks all that it hears."""
    thread = client.request("thread/start", {"cwd": "/"})["thread"]["id"]
    turns = [client.run_turn(thread, f"one, {client.name}"), client.run_turn(thread, f"two, {client.name}")]
    child = client.request("thread/fork", {"threadId": thread, "excludeTurns": True})["thread"]["id"]
    of_child = [*turns, client.run_turn(child, f"three, {client.name}")]
    client.request("thread/name/set", {"threadId": thread, "name": f"thread of {client.name}"})

    assert turns_of(client, thread) == turns
    assert turns_of(client, child) == of_child
    read = client.request("thread/read", {"threadId": thread, "includeTurns": True})["thread"]
    assert read["name"] == f"thread of {client.name}"
    said = [item["content"][0]["text"] for turn in read["turns"] for item in turn["items"][:1]]
    assert said == [f"one, {client.name}", f"two, {client.name}"]
    for each, ran in ((thread, 2), (child, 1)):
        heard = client.heard(each)
        assert of_items(heard) == TURN * ran
        assert [m["method"] for m in heard].count("thread/started") == 1
    client.wait(lambda m: m.get("method") == "thread/name/updated" and about(m) == thread)


def turns_of(client: Talker, thread: str) -> list[str]:
    page = client.request("thread/turns/list", {"threadId": thread, "limit": 10, "sortDirection": "asc"})
    return [turn["id"] for turn in page["data"]]


def unwanted(number: int) -> Sequence[str]:
    return NOT_WANTED if number % 10 else ()


def check_answers(clients: Sequence[Talker]) -> None:
    """Every request was answered once, and no client heard of what is not for it."""
    for number, client in enumerate(clients):
        answered = [message["id"] for message in client.messages if "method" not in message]
        assert answered == list(range(1, len(answered) + 1))
        own = {m["result"]["thread"]["id"] for m in client.messages if "thread" in m.get("result", ())}
        assert not {message.get("method") for message in client.messages} & set(unwanted(number))
        told = [message for message in client.messages if "id" not in message]
        assert {about(message) for message in told if of_items([message])} == own


def test_many_clients_in_one_process(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(Client(server, f"client {number}", opt_out=unwanted(number)))
            for number in range(IN_ONE_PROCESS)
        ]
        together(clients, live)

    check_answers(clients)


def test_two_hundred_clients_over_websocket(port: int) -> None:
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(Remote(port, f"client {number}", opt_out=unwanted(number))) for number in range(CLIENTS)
        ]
        together(clients, live)

    check_answers(clients)


@pytest.mark.slow
def test_two_hundred_clients_on_a_server_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_appserver_crowd, "ROUNDS", 1)
    thread = made_home(str(tmp_path / "threads"), Recipe(size=1_000_000))
    home, port = ServerHome(str(tmp_path / "server"), thread), free_port()
    command = (sys.executable, "-m", "threadkeep", "app-server", "--listen", f"ws://127.0.0.1:{port}")
    with ServerProcess(
        command, clean_environment(home.path), cwd=home.cwd, errors=home.errors, listening=True
    ) as process:
        measured = _appserver_crowd.crowd("threadkeep", port, process.pid, thread.thread_id, home.cwd, CLIENTS)

    assert measured.wrong == []
    assert measured.notifications == CLIENTS * 4
    if measured.idle_bytes is not None and measured.peak_bytes is not None:  # a system that says them
        assert measured.peak_bytes - measured.idle_bytes < MOST_GROWTH
