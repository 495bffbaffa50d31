"""What may go wrong between requests: refused halves, clients that take nothing, ends, and threads found two ways."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.appserver.in_process import Client
from tests.appserver.test_bounds import joined
from tests.appserver.transport import WAIT, Echo, EchoClient, serving

from threadkeep.appserver import Outbox, Server, _loaded
from threadkeep.appserver._connection import Connection
from threadkeep.appserver._git import git_facts
from threadkeep.appserver._outbox import HIGH_WATER
from threadkeep.errors import StorageFailure
from threadkeep.store import ThreadStore, Writer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from threadkeep.appserver._call import Call

    Connect = Callable[[], Client]
    MakeThread = Callable[..., str]

Json = dict[str, Any]

SHAKEN: Json = {"clientInfo": {"name": "x", "version": "1"}, "capabilities": {"experimentalApi": True}}


def ask(number: int, method: str, params: Json) -> bytes:
    return msgspec.json.encode({"id": number, "method": method, "params": params})


def held(home: Path) -> list[str]:
    """The locks that somebody holds or left."""
    folder = home / "thread-writer-locks"
    return sorted(path.name for path in folder.glob("0*.lock")) if folder.exists() else []


# Answers


def test_an_answer_that_cannot_be_encoded_is_an_error_and_no_silence(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(server._handlers, "thread/list", lambda _: {"path": "\udcff"})
    answer = client.response(client.send("thread/list", {}))
    assert answer["error"]["code"] == -32603
    assert client.connection.settled(WAIT)
    told, deadline = "", time.monotonic() + WAIT
    while "UnicodeEncodeError" not in told:
        assert time.monotonic() < deadline
        time.sleep(0.01)
        told += capsys.readouterr().err


def test_nothing_is_told_before_the_handshake_is_answered(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = Outbox()
    connection = server.connect(outbox)
    shake = connection.shake_hands

    def shaken(params: Any) -> None:
        shake(params)
        server.broadcast("thread/closed", {"threadId": "x"})  # another client's, at this very moment

    monkeypatch.setattr(connection, "shake_hands", shaken)
    connection.receive(ask(1, "initialize", SHAKEN))
    first = outbox.take(WAIT)
    assert first is not None
    assert b'"id":1' in first[0]
    server.disconnect(connection)


def test_a_client_that_takes_nothing_of_many_whole_histories_keeps_no_other_from_its_own(
    server: Server, client: Client, make_thread: MakeThread
) -> None:
    large, small = make_thread(60, text="x" * 60_000), make_thread(2)
    outbox = Outbox()
    connection = server.connect(outbox, handshake=SHAKEN)
    for number in range(100):
        connection.receive(ask(number, "thread/read", {"threadId": large, "includeTurns": True}))
    deadline = time.monotonic() + WAIT
    while outbox.waiting < HIGH_WATER:
        assert time.monotonic() < deadline, "nothing is sent to it"
        time.sleep(0.01)
    answer = client.response(client.send("thread/read", {"threadId": small, "includeTurns": True}))
    assert len(answer["result"]["thread"]["turns"]) == 2
    assert outbox.waiting < 8 * 1024 * 1024
    assert outbox.closed is None
    server.disconnect(connection)
    assert connection.settled(WAIT)


def test_whole_histories_that_were_asked_for_at_once_come_whole_and_in_order(
    client: Client, make_thread: MakeThread
) -> None:
    threads = [make_thread(turns, text="y" * 20_000) for turns in (50, 1, 20, 2)]
    asked = [client.send("thread/read", {"threadId": thread, "includeTurns": True}) for thread in threads * 5]
    answers = [client.response(number) for number in asked]
    assert [len(answer["result"]["thread"]["turns"]) for answer in answers] == [50, 1, 20, 2] * 5


def test_what_a_client_wanted_to_read_is_not_read_when_it_has_left(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    going, began = threading.Event(), threading.Event()

    def slow(_: Call) -> Any:
        began.set()
        going.wait(2 * WAIT)
        return {}

    monkeypatch.setitem(server._handlers, "thread/list", slow)
    monkeypatch.setitem(server._handlers, "thread/loaded/list", lambda _: reads.append("read"))
    left = server.connect(Outbox(), handshake=SHAKEN)
    for number in range(40):
        left.receive(ask(number, "thread/list", {}))
    left.receive(ask(40, "thread/loaded/list", {}))
    assert began.wait(WAIT)
    server.disconnect(left)
    going.set()
    assert left.settled(WAIT)
    assert reads == []


# Threads that are loaded


def test_a_load_that_fails_gives_the_right_to_write_back(
    client: Client, home: Path, make_thread: MakeThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = make_thread()

    def full(*_: Any) -> None:
        raise StorageFailure("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(Writer, "append", full)
        answer = client.response(client.send("thread/resume", {"threadId": thread, "model": "other"}))
        assert answer["error"]["message"] == "the disk is full"
    assert held(home) == []
    assert client.request("thread/loaded/list", {})["data"] == []
    with ThreadStore.open(home) as other:
        other.writer(thread).close()


def test_a_resume_that_cannot_be_answered_loads_nothing(
    client: Client, home: Path, make_thread: MakeThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = make_thread()
    with monkeypatch.context() as patched:
        from threadkeep.appserver._methods import _resume

        def broken(*_: Any) -> None:
            raise StorageFailure("cannot read")

        patched.setattr(_resume, "first_page", broken)
        assert "error" in client.response(client.send("thread/resume", {"threadId": thread, "excludeTurns": True}))
    assert client.request("thread/loaded/list", {})["data"] == []
    assert held(home) == []
    assert client.request("thread/resume", {"threadId": thread, "excludeTurns": True})["thread"]["id"] == thread


def test_a_given_history_that_cannot_be_kept_leaves_no_lock(client: Client, home: Path) -> None:
    for history in ([5], [{"type": "message", "role": "user", "content": []}, "x"]):
        answer = client.response(client.send("thread/resume", {"threadId": "", "history": history}))
        assert "error" in answer
    assert held(home) == []
    assert client.request("thread/loaded/list", {})["data"] == []
    assert not list(home.rglob("rollout-*"))


def test_a_fork_that_fails_leaves_no_thread(
    client: Client, home: Path, make_thread: MakeThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = make_thread()

    def refused(*_: Any, **__: Any) -> None:
        raise StorageFailure("no more of them")

    with monkeypatch.context() as patched:
        from threadkeep.appserver._methods import _fork

        patched.setattr(_fork, "load", refused)
        assert "error" in client.response(client.send("thread/fork", {"threadId": thread}))
    assert [found["id"] for found in client.request("thread/list", {})["data"]] == [thread]
    assert held(home) == []


def test_a_thread_with_any_name_can_be_forked(client: Client, home: Path, make_thread: MakeThread) -> None:
    thread = make_thread()
    name = "family \U0001f468‍\U0001f469‍\U0001f467"  # joined by characters that nobody sees
    with (home / "session_index.jsonl").open("ab") as index:
        line = {"id": thread, "thread_name": name, "updated_at": "2026-01-01T00:00:00Z"}
        index.write(msgspec.json.encode(line) + b"\n")
    assert client.request("thread/read", {"threadId": thread})["thread"]["name"] == name
    assert client.request("thread/fork", {"threadId": thread})["thread"]["name"] == name
    client.request("thread/name/set", {"threadId": thread, "name": name + "!"})


def test_what_is_appended_before_the_lease_is_had_is_in_the_answer(
    server: Server, client: Client, make_thread: MakeThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = make_thread(2)
    take = server.store.writer

    def late(thread_id: str) -> Any:
        with take(thread_id) as other, other.turn("a moment before", model="m") as turn:
            turn.say("done")
        return take(thread_id)

    monkeypatch.setattr(server.store, "writer", late)
    answer = client.request("thread/resume", {"threadId": thread})
    assert len(answer["thread"]["turns"]) == 3


def test_a_thread_resumed_by_path_and_by_id_at_once_is_loaded_once(
    connect: Connect, server: Server, make_thread: MakeThread, home: Path
) -> None:
    for _ in range(15):
        thread = make_thread()
        path = str(home / server.store.read(thread).location)
        one, two = connect(), connect()
        asked = [
            (one, one.send("thread/resume", {"threadId": "", "path": path, "excludeTurns": True})),
            (two, two.send("thread/resume", {"threadId": thread, "excludeTurns": True})),
        ]
        for client, number in asked:
            answer = client.response(number)
            assert "error" not in answer, answer
            assert answer["result"]["thread"]["id"] == thread
        loaded = server.threads.require(thread)
        assert set(loaded.watchers) == {one.connection, two.connection}


def test_a_resume_by_path_waits_for_the_changes_before_it(
    server: Server, client: Client, make_thread: MakeThread, home: Path
) -> None:
    thread = make_thread()
    path = str(home / server.store.read(thread).location)
    going = threading.Event()

    def change() -> None:
        going.wait(2 * WAIT)

    server.in_lane(thread, change)
    number = client.send("thread/resume", {"threadId": "", "path": path, "excludeTurns": True})
    time.sleep(0.2)
    assert not any(message.get("id") == number for message in client.messages)
    going.set()
    assert client.response(number)["result"]["thread"]["id"] == thread


def test_threads_are_let_go_although_the_configuration_was_wrong_for_a_while(
    client: Client, server: Server, home: Path, make_thread: MakeThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_loaded, "_LOOKED_AT_EVERY", 0.02)
    monkeypatch.setattr(_loaded, "UNLOAD_SECONDS", 0)
    thread = make_thread()
    client.request("thread/resume", {"threadId": thread, "excludeTurns": True})
    (home / "config.toml").write_text("this is [no configuration", encoding="utf-8")
    client.request("thread/unsubscribe", {"threadId": thread})
    time.sleep(0.3)
    (home / "config.toml").write_text("", encoding="utf-8")
    client.wait(lambda message: message.get("method") == "thread/closed")
    assert server.threads.get(thread) is None


@pytest.mark.parametrize("method", ["thread/archive", "thread/delete", "thread/revert"])
def test_a_turn_that_does_not_end_keeps_its_right_to_write(
    client: Client, server: Server, make_thread: MakeThread, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(_loaded, "ENDING_SECONDS", 0.05)
    thread = make_thread()
    shown = client.request("thread/resume", {"threadId": thread})["thread"]

    class Stuck:
        turn_id = "stuck"
        ended = threading.Event()

        def interrupt(self) -> None:
            pass

    loaded = server.threads.require(thread)
    monkeypatch.setattr(loaded, "run", Stuck())
    first = shown["turns"][0]["id"]
    answer = client.response(client.send(method, {"threadId": thread, "beforeTurnId": first}))
    assert answer["error"]["code"] == -32603
    loaded.run = None
    assert server.threads.get(thread) is loaded
    client.run_turn(thread)


def test_interrupts_of_turns_that_end_slowly_do_not_hold_up_others(server: Server, client: Client) -> None:
    held_up = threading.Event()
    server._handlers["turn/interrupt"] = lambda call: held_up.wait(2 * WAIT) if call.params["turnId"] == "slow" else {}
    for _ in range(12):
        client.send("turn/interrupt", {"threadId": "x", "turnId": "slow"})
    try:
        client.response(client.send("turn/interrupt", {"threadId": "x", "turnId": "quick"}))
    finally:
        held_up.set()


# The end


def test_clients_that_take_nothing_do_not_add_up_to_a_long_end(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(str(home))
    connections = [server.connect(Outbox(), handshake=SHAKEN) for _ in range(8)]
    finish, waited = Connection.finish, list[float]()

    def counted(connection: Connection, seconds: float) -> None:
        waited.append(seconds)
        finish(connection, seconds)

    monkeypatch.setattr(Connection, "finish", counted)
    server.shutdown(5)
    assert len(waited) == 8
    assert sum(waited) <= 2
    for connection in connections:
        server.disconnect(connection)


# Folders and homes as they come


def test_a_large_configuration_of_git_is_read_in_no_time(tmp_path: Path) -> None:
    git = tmp_path / ".git"
    git.mkdir()
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    sections = '[remote "other"]\n\turl = no\n[remote "origin"]\n\tfetch = x\n\turl = '
    # Whoever goes back over what was read does not come to the end of so much.
    (git / "config").write_text("\n" * 500_000 + sections + " " * 500_000 + "it \n")
    assert git_facts(str(tmp_path)) == {"branch": "main", "repository_url": "it"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_cannot_be_written_to_can_be_read(home: Path, make_thread: MakeThread) -> None:
    thread = make_thread()
    os.chmod(home, 0o500)
    try:
        server = Server(str(home))
        with Client(server) as client:
            read = client.request("thread/read", {"threadId": thread, "includeTurns": True})
            assert len(read["thread"]["turns"]) == 3
            assert "error" in client.response(client.send("thread/start", {"cwd": "/work"}))
        server.shutdown(2)
    finally:
        os.chmod(home, 0o700)


def test_a_home_that_does_not_exist_has_no_threads(tmp_path: Path) -> None:
    server = Server(str(tmp_path / "none"))
    with Client(server) as client:
        assert client.request("thread/list", {})["data"] == []
        assert "error" in client.response(client.send("thread/resume", {"threadId": "0" * 32}))
    server.shutdown(2)
    assert not (tmp_path / "none" / "sessions").exists()


def test_a_history_is_told_to_its_end_though_the_thread_is_archived_meanwhile(
    client: Client, server: Server, make_thread: MakeThread
) -> None:
    first = make_thread(40, text="z" * 40_000)
    second = client.request("thread/fork", {"threadId": first})["thread"]["id"]
    client.run_turn(second)
    last = client.request("thread/fork", {"threadId": second})["thread"]["id"]
    client.run_turn(last)
    outbox = Outbox()
    connection = server.connect(outbox, handshake=SHAKEN)
    connection.receive(ask(1, "thread/read", {"threadId": last, "includeTurns": True}))
    pieces: list[bytes] = []
    while not (pieces and pieces[-1].startswith(b'{"thread')):
        taken = outbox.take(WAIT)
        assert taken is not None
        pieces.append(taken[0])
    for thread in (second, last):
        client.request("thread/archive", {"threadId": thread})
    whole = False
    while not whole:
        taken = outbox.take(WAIT)
        assert taken is not None, outbox.closed
        whole = taken[1] and taken[0].endswith(b"}")
        if b'"thread/' not in taken[0][:60]:
            pieces.append(taken[0])
        whole = whole and taken[0] == b"}"
    assert pieces[-1] == b"}"
    server.disconnect(connection)


def test_a_long_message_is_decoded_while_others_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    receive, begun, going = EchoClient.receive, threading.Event(), threading.Event()

    def slow(client: EchoClient, message: bytes) -> None:
        if len(message) > 1_000_000:
            begun.set()
            going.wait(2 * WAIT)
        receive(client, message)

    monkeypatch.setattr(EchoClient, "receive", slow)
    with serving(Echo()) as port, joined(port) as good, joined(port) as long:
        long.send("x" * 2_000_000)
        long.send("after it")
        assert begun.wait(WAIT)
        good.send("short")
        assert good.recv(timeout=WAIT) == "short"
        going.set()
        assert long.recv(timeout=WAIT) == "x" * 2_000_000
        assert long.recv(timeout=WAIT) == "after it"


def test_a_flood_of_slow_requests_keeps_no_other_client_waiting(
    connect: Connect, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = threading.Event()

    def slow(_: Call) -> Any:
        going.wait(2 * WAIT)
        return {}

    monkeypatch.setitem(server._handlers, "thread/search", slow)
    monkeypatch.setitem(server._handlers, "thread/turns/list", slow)
    flooding, other = connect(), connect()
    asked = [flooding.send("thread/search", {"searchTerm": "x"}) for _ in range(200)]
    asked += [flooding.send("thread/turns/list", {"threadId": "0" * 32}) for _ in range(200)]
    try:
        answer = other.response(other.send("thread/loaded/list", {}))
    finally:
        going.set()
    assert answer["result"]["data"] == []
    assert all("result" in flooding.response(number) for number in asked)
