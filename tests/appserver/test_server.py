"""Requests are answered, whatever they are; nobody suffers for another's."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from threadkeep.appserver import Outbox, Server
from threadkeep.appserver import _connection as connection_module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.appserver.in_process import Client

    from threadkeep.appserver._call import Call

    Connect = Callable[[], Client]

Json = dict[str, Any]


def taken(outbox: Outbox) -> Json:
    piece = outbox.take(60)
    assert piece is not None
    assert piece[1]
    message: Json = msgspec.json.decode(piece[0])
    return message


def test_nothing_is_answered_before_the_handshake(server: Server) -> None:
    outbox = Outbox()
    connection = server.connect(outbox)
    connection.receive(b'{"id":1,"method":"thread/list","params":{}}')
    assert taken(outbox) == {"id": 1, "error": {"code": -32600, "message": "Not initialized"}}
    server.broadcast("thread/closed", {"threadId": "x"})
    assert outbox.try_take() is None


def test_the_handshake_is_made_once(client: Client) -> None:
    answer = client.response(client.send("initialize", {"clientInfo": {"name": "x", "version": "1"}}))
    assert answer["error"] == {"code": -32600, "message": "Already initialized"}


def test_what_is_no_message_gets_no_answer_and_harms_nothing(client: Client) -> None:
    for line in (b"", b"nonsense", b"[]", b"5", b'{"id":77}', b'{"id":null,"method":"x"}', b"\xff\xfe", b"[" * 10**6):
        client.connection.receive(line)
    client.connection.receive(b'{"method":"some/notification","params":{}}')
    client.connection.receive(b'{"id":"nobody asked","result":{}}')
    before = len(client.messages)
    assert client.request("thread/loaded/list", {}) == {"data": [], "nextCursor": None}
    assert len([message for message in client.messages[before:] if "id" in message]) == 1


def test_an_error_that_nobody_expected_is_told_and_harms_nobody(
    client: Client, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: Call) -> Any:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setitem(server._handlers, "thread/list", broken)
    answer = client.response(client.send("thread/list", {}))
    assert answer["error"] == {"code": -32603, "message": "internal error: ZeroDivisionError: on purpose"}
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert client.request("thread/loaded/list", {})["data"] == []


def test_a_client_with_too_many_requests_is_told_so_and_the_others_are_served(
    connect: Connect, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "MOST_IN_FLIGHT", 10)
    one, two, held = connect(), connect(), threading.Event()

    def waiting(_: Call) -> Any:
        held.wait(120)
        return {}

    monkeypatch.setitem(server._handlers, "thread/list", waiting)
    asked = [one.send("thread/list", {}) for _ in range(12)]
    for number in asked[10:]:
        assert one.response(number)["error"] == {"code": -32001, "message": "Server overloaded; retry later."}
    assert two.request("thread/loaded/list", {})["data"] == []
    held.set()
    assert all("result" in one.response(number) for number in asked[:10])
    assert "result" in one.response(one.send("thread/loaded/list", {}))


def test_notifications_that_a_client_does_not_want_are_not_sent(server: Server, connect: Connect) -> None:
    other, outbox = connect(), Outbox()
    connection = server.connect(
        outbox,
        handshake={
            "clientInfo": {"name": "quiet", "version": "1"},
            "capabilities": {"optOutNotificationMethods": ["thread/started", "remoteControl/status/changed"]},
        },
    )
    other.request("thread/start", {"cwd": "/work"})
    other.wait(lambda message: message.get("method") == "thread/started")
    server.broadcast("thread/closed", {"threadId": "x"})
    assert taken(outbox)["method"] == "thread/closed"
    server.disconnect(connection)


def test_a_client_that_is_gone_is_told_nothing_and_its_questions_are_answered_with_nothing(server: Server) -> None:
    outbox = Outbox()
    connection = server.connect(outbox, handshake={"clientInfo": {"name": "x", "version": "1"}})
    answers: list[object] = []
    connection.ask("item/tool/call", {}, answers.append)
    server.disconnect(connection)
    assert answers == [None]
    connection.ask("item/tool/call", {}, answers.append)
    assert answers == [None, None]
    connection.notify("warning", {})
    connection.receive(b'{"id":1,"method":"thread/loaded/list","params":{}}')
    assert outbox.take(0) is None


def test_a_client_answers_a_question_once(server: Server) -> None:
    outbox = Outbox()
    connection = server.connect(outbox, handshake={"clientInfo": {"name": "x", "version": "1"}})
    answers: list[Any] = []
    number = connection.ask("item/tool/call", {"tool": "t"}, answers.append)
    asked = next(message for message in iter(lambda: taken(outbox), None) if "id" in message)
    assert asked == {"id": number, "method": "item/tool/call", "params": {"tool": "t"}}
    for _ in range(2):
        connection.receive(msgspec.json.encode({"id": number, "result": {"success": True}}))
    assert [bytes(answer.result) for answer in answers] == [b'{"success":true}']
    server.disconnect(connection)


def test_after_the_end_nothing_is_begun(home: Path) -> None:
    server, outbox = Server(str(home)), Outbox()
    connection = server.connect(outbox, handshake={"clientInfo": {"name": "x", "version": "1"}})
    server.shutdown(1)
    server.shutdown(1)
    connection.receive(b'{"id":1,"method":"thread/loaded/list","params":{}}')
    answers = [taken(outbox) for _ in range(2)]
    assert answers[-1]["error"]["code"] == -32001
    server.disconnect(connection)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("command/exec", "`command/exec` is not supported by threadkeep"),
        ("thread/realtime/start", "`thread/realtime/start` is not supported by threadkeep"),
    ],
)
def test_what_is_not_supported_is_refused(client: Client, method: str, message: str) -> None:
    answer = client.response(client.send(method, {"threadId": "x", "command": ["ls"]}))
    assert answer["error"] == {"code": -32601, "message": message}


def test_parameters_are_looked_at_before_the_handshake_is_asked_for(server: Server) -> None:
    outbox = Outbox()
    connection = server.connect(outbox)
    connection.receive(b'{"id":1,"method":"thread/read","params":{}}')
    assert taken(outbox)["error"]["message"] == "Invalid request: missing field `threadId`"
    connection.receive(b'{"id":2,"method":"thread/search","params":{"searchTerm":"x"}}')
    assert taken(outbox)["error"]["message"] == "Not initialized"
