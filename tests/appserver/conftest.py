"""A home with threads, and a server on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.appserver.in_process import Client, EchoEngine

from threadkeep.appserver import Server
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def server(home: Path) -> Iterator[Server]:
    """A server on the home, with an engine that answers without a model."""
    running = Server(str(home), engine=EchoEngine())
    yield running
    running.shutdown(5)


@pytest.fixture
def connect(server: Server) -> Iterator[Callable[[], Client]]:
    """Makes clients of the server."""
    clients: list[Client] = []

    def make() -> Client:
        clients.append(Client(server, f"client-{len(clients)}"))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Callable[[], Client]) -> Client:
    return connect()


@pytest.fixture(params=["paginated", "legacy"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make_thread(home: Path) -> Callable[..., str]:
    """Makes a thread with some turns, by the library; its id."""

    def make(turns: int = 3, *, mode: str = "paginated", cwd: str = "/work", text: str = "question") -> str:
        with ThreadStore.open(home, durability="os") as store, store.create(cwd=cwd, mode=mode) as writer:
            for number in range(turns):
                with writer.turn(f"{text} {number}", model="m") as turn:
                    turn.say(f"answer {number}")
            return writer.thread_id

    return make
