"""A client that sends too much, takes too little or comes too often is let go, with a reason, and harms no other."""

from __future__ import annotations

import contextlib
import os
import socket
import time

import pytest
from tests.appserver.test_stdio import Pipes
from tests.appserver.transport import WAIT, Echo, serving
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from threadkeep.appserver._outbox import MOST_WAITING


def joined(port: int) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{port}", compression=None, max_size=None, open_timeout=WAIT, close_timeout=WAIT)


def closed_with(client: ClientConnection) -> tuple[int, str]:
    """Code and reason of the closing, whatever comes before."""
    try:
        while True:
            client.recv(timeout=WAIT)
    except ConnectionClosed as ended:
        return (ended.rcvd.code, ended.rcvd.reason) if ended.rcvd is not None else (1006, "")


def test_a_line_that_is_too_long_ends_the_server_with_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    pipes = Pipes(Echo(), most_line=1000)
    os.write(pipes.write_end, b"x" * 1000 + b"\n" + b"y" * 1001)
    assert pipes.everything() == b"early\n" + b"x" * 1000 + b'\n"the last word"\n'
    assert pipes.code == 1
    assert capsys.readouterr().err == "threadkeep app-server: a message has more than 1000 bytes\n"
    os.close(pipes.write_end)


def test_a_client_on_stdio_that_takes_nothing_of_what_it_asks_for_is_let_go(capsys: pytest.CaptureFixture[str]) -> None:
    pipes = Pipes(Echo())
    message = b"z" * (1 << 20) + b"\n"
    with contextlib.suppress(BrokenPipeError):
        for _ in range(MOST_WAITING // len(message) + 5):
            _write_all(pipes.write_end, message)
    pipes.thread.join(WAIT)
    assert pipes.code == 1
    assert f"more than {MOST_WAITING} bytes wait" in capsys.readouterr().err
    os.close(pipes.write_end)
    os.close(pipes.read_end)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def test_a_message_that_is_too_long_closes_its_connection_alone() -> None:
    with serving(Echo(), most_message=1000) as port, joined(port) as good, joined(port) as bad:
        bad.send("x" * 1000)
        assert bad.recv(timeout=WAIT) == "x" * 1000
        bad.send("x" * 1001)
        code, _ = closed_with(bad)
        assert code == 1009
        good.send("still here")
        assert good.recv(timeout=WAIT) == "still here"


def test_one_more_client_than_there_may_be_is_refused_until_one_leaves() -> None:
    server = Echo()
    with serving(server, most_clients=2) as port, joined(port) as first:
        with joined(port):
            with pytest.raises(InvalidStatus) as refused, joined(port):
                pass
            assert refused.value.response.status_code == 503
        server.left.get(timeout=WAIT)
        with joined(port) as third:
            third.send("there is room")
            assert third.recv(timeout=WAIT) == "there is room"
        first.send("and here")
        assert first.recv(timeout=WAIT) == "and here"


def stuck(port: int, text: bytes) -> socket.socket:
    """A client that asks for far more than fits into the buffers between, and reads nothing by itself."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.connect(("127.0.0.1", port))
    made.sendall(
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    made.sendall(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)
    return made


@pytest.mark.parametrize("asked", [b"stream 1000000 200", b"big 50000000"], ids=["streamed", "whole"])
def test_a_client_that_takes_nothing_is_let_go_and_no_other_waits_for_it(
    asked: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Echo()
    with serving(server, patience=2 * WAIT) as port, joined(port) as good, stuck(port, asked) as slow:
        got = b""
        while b"aaaa" not in got and b"bbbb" not in got:  # the beginning of what it asked for
            got += slow.recv(4096)
        for _ in range(50):
            good.send("ping")
            assert good.recv(timeout=WAIT) == "ping"
        assert server.left.empty()
    server = Echo()
    with serving(server, patience=0.5) as port, joined(port) as good, stuck(port, asked):
        assert server.left.get(timeout=WAIT) is server.clients[1]
        good.send("ping")
        assert good.recv(timeout=WAIT) == "ping"
    assert "took nothing for 0" in capsys.readouterr().err


@pytest.mark.parametrize("asked", [b"stream 1000000 30", b"big 30000000"], ids=["streamed", "whole"])
def test_a_client_that_is_slow_but_goes_on_reading_is_kept(asked: bytes) -> None:
    with serving(Echo(), patience=2) as port, stuck(port, asked) as slow:
        started, got = time.monotonic(), 0
        while got < 30_000_000:
            piece = slow.recv(1 << 16)
            assert piece, "it was let go"
            got += len(piece)
            time.sleep(max(0.0, started + got / 10_000_000 - time.monotonic()))  # three seconds for all of it
        assert time.monotonic() - started > 2.5


def test_a_flood_of_messages_keeps_no_other_client_waiting() -> None:
    server = Echo()
    with serving(server) as port, joined(port) as flooding, joined(port) as good:
        for _ in range(2000):
            flooding.send("a drop")
        good.send("one word")
        assert good.recv(timeout=WAIT) == "one word"
        assert all(flooding.recv(timeout=WAIT) == "a drop" for _ in range(2000))


def test_a_client_that_the_server_lets_go_is_told_why(capsys: pytest.CaptureFixture[str]) -> None:
    server = Echo()
    with serving(server) as port, joined(port) as good, joined(port) as bad:
        bad.send("go")
        assert closed_with(bad) == (1008, "it said go")
        good.send("still here")
        assert good.recv(timeout=WAIT) == "still here"
        assert server.left.get(timeout=WAIT) is server.clients[1]
    assert "a client is let go: it said go" in capsys.readouterr().err


def test_a_client_that_is_let_go_in_the_middle_of_a_message_is_told_why() -> None:
    server = Echo()
    with serving(server) as port, joined(port) as bad:
        bad.send("hello")
        assert bad.recv(timeout=WAIT) == "hello"
        server.clients[0].outbox.stream().write(b"the beginning")
        pieces = bad.recv_streaming()
        assert next(pieces) == "the beginning"
        server.clients[0].outbox.close("enough")
        with pytest.raises(ConnectionClosed) as ended:
            next(pieces)
        assert ended.value.rcvd is not None
        assert (ended.value.rcvd.code, ended.value.rcvd.reason) == (1008, "enough")


@pytest.mark.parametrize("sent", [b'{"id":1,"method":"initialize"}\n', b"\x00\xff" * 100, b"GET / HTTP/1.1\r\n" * 500])
def test_whoever_does_not_speak_websocket_is_closed_and_harms_nobody(sent: bytes) -> None:
    with serving(Echo()) as port, joined(port) as good:
        with socket.create_connection(("127.0.0.1", port), timeout=WAIT) as made:
            made.sendall(sent + b"\r\n\r\n")
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while chunk := made.recv(65536):
                    answer += chunk
        assert not answer.startswith(b"HTTP/1.1 101")
        good.send("still here")
        assert good.recv(timeout=WAIT) == "still here"


def test_a_broken_frame_closes_its_connection_alone() -> None:
    with serving(Echo()) as port, joined(port) as good, joined(port) as bad:
        bad.socket.sendall(b"\xff\xff\xff\xff")
        with pytest.raises(ConnectionClosedError):
            bad.recv(timeout=WAIT)
        good.send("still here")
        assert good.recv(timeout=WAIT) == "still here"
