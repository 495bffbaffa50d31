"""Several clients watch one thread: each hears everything once, and all hear it in the same order."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.appserver.in_process import TURN, Client, EchoEngine, of_items, say

from threadkeep.appserver._server import Server
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Json = dict[str, Any]

TURNS: Final = 30


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(str(tmp_path), engine=EchoEngine(), store=ThreadStore.in_memory())
    yield made
    made.shutdown()


def start(client: Client, server: Server) -> str:
    thread: str = client.request("thread/start", {"cwd": server.home})["thread"]["id"]
    return thread


def hear_ends(client: Client, thread: str, count: int) -> None:
    """Wait until so many turns of a thread were heard to their end."""
    client.wait(lambda _: of_items(client.heard(thread)).count("turn/completed") >= count)


def test_every_watcher_hears_every_turn_once_and_in_the_same_order(server: Server) -> None:
    clients = [Client(server, f"client {number}") for number in range(6)]
    thread = start(clients[0], server)
    clients[0].run_turn(thread)
    for client in clients[1:]:
        client.request("thread/resume", {"threadId": thread, "excludeTurns": True})
    first = len(clients[0].heard(thread))
    began = [len(client.heard(thread)) for client in clients]

    turns = [clients[number % len(clients)].run_turn(thread) for number in range(TURNS)]
    for client in clients:
        client.hear_end(turns[-1])

    wanted = clients[0].heard(thread)[first:]
    assert of_items(wanted) == TURN * TURNS
    for client, place in zip(clients, began, strict=True):
        assert [m for m in client.heard(thread)[place:] if m["method"].startswith(("turn/", "item/"))] == [
            m for m in wanted if m["method"].startswith(("turn/", "item/"))
        ]
        client.close()


def test_watchers_of_many_threads_at_once_hear_each_thread_in_order(server: Server) -> None:
    watcher = Client(server, "watcher")
    drivers = [Client(server, f"driver {number}") for number in range(8)]
    threads = [start(driver, server) for driver in drivers]
    for driver, thread in zip(drivers, threads, strict=True):
        driver.run_turn(thread)
        watcher.request("thread/resume", {"threadId": thread, "excludeTurns": True})

    last: dict[str, str] = {}

    def drive(driver: Client, thread: str) -> None:
        for _ in range(TURNS):
            last[thread] = driver.run_turn(thread)

    running = [threading.Thread(target=drive, args=pair) for pair in zip(drivers, threads, strict=True)]
    for each in running:
        each.start()
    for each in running:
        each.join(60)

    for driver, thread in zip(drivers, threads, strict=True):
        watcher.hear_end(last[thread])
        assert of_items(watcher.heard(thread)) == TURN * TURNS
        assert of_items(driver.heard(thread)) == TURN * (TURNS + 1)
        driver.close()
    watcher.close()


def test_a_second_resume_makes_nothing_come_twice(server: Server) -> None:
    with Client(server) as client:
        thread = start(client, server)
        client.run_turn(thread)
        for _ in range(3):
            client.request("thread/resume", {"threadId": thread, "excludeTurns": True})
        client.run_turn(thread)

        assert of_items(client.heard(thread)) == TURN * 2


def test_who_stops_watching_hears_no_more_and_the_others_go_on(server: Server) -> None:
    with Client(server, "stays") as stays, Client(server, "goes") as goes:
        thread = start(stays, server)
        stays.run_turn(thread)
        goes.request("thread/resume", {"threadId": thread, "excludeTurns": True})
        assert goes.request("thread/unsubscribe", {"threadId": thread})["status"] == "unsubscribed"
        stays.run_turn(thread)

        assert of_items(goes.heard(thread)) == ()
        assert of_items(stays.heard(thread)) == TURN * 2


def test_a_client_that_leaves_in_the_middle_of_a_turn_takes_nothing_from_the_others(server: Server) -> None:
    with Client(server, "stays") as stays:
        thread = start(stays, server)
        stays.run_turn(thread)
        for number in range(20):
            leaver = Client(server, f"leaver {number}")
            leaver.request("thread/resume", {"threadId": thread, "excludeTurns": True})
            leaver.send("turn/start", {"threadId": thread, "input": say("and off")})
            leaver.close()
            hear_ends(stays, thread, number + 2)

        assert of_items(stays.heard(thread)) == TURN * 21
