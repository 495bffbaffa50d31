"""What the tests of the transports share: processes that serve, a server that echoes, clients without a library."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, Self

from threadkeep.appserver._auth import Guard
from threadkeep.appserver._listening import Address, listening
from threadkeep.appserver._websocket import Listener

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from threadkeep.appserver._outbox import Outbox, Stream

WAIT: Final = 60.0
"""Seconds that anything in these tests is waited for."""

HELLO: Final = {"clientInfo": {"name": "probe", "version": "1.2"}}
"""Valid parameters of ``initialize``."""


def line(**members: Any) -> bytes:
    """One message as a line."""
    return json.dumps(members).encode() + b"\n"


def initialize(request_id: int | str = 0, params: Any = HELLO) -> bytes:
    """The request that comes first, as a line."""
    return line(id=request_id, method="initialize", params=params)


def environment(home: Path) -> dict[str, str]:
    """The environment of a process that serves ``home``."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "CODEX_HOME": str(home)}


class Process:
    """``threadkeep app-server`` as a process, ended at the end of the block."""

    def __init__(self, home: Path, *arguments: str, command: Sequence[str] = ("-m", "threadkeep")) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *command, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(home),
            bufsize=0,
        )
        self.errors: list[str] = []
        self.announced: queue.Queue[str] = queue.Queue()
        self.written = b""
        self._answers: queue.Queue[bytes] = queue.Queue()
        self._threads = [threading.Thread(target=read, daemon=True) for read in (self._read, self._read_errors)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(WAIT)
        for thread in self._threads:
            thread.join(WAIT)
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.stdout.close()
        self.process.stderr.close()

    def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)

    def raw_answer(self) -> bytes:
        """The next line that answers something: no notification."""
        while True:
            answer = self._answers.get(timeout=WAIT)
            if b'"method":' not in answer[:12]:
                return answer

    def answer(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.raw_answer())
        return answer

    def leave(self) -> int:
        """Close its input, and wait until it ends."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.end()

    def end(self) -> int:
        code = self.process.wait(WAIT)
        for thread in self._threads:
            thread.join(WAIT)
        return code

    def listens_on(self) -> str:
        """The URL that it says it listens on."""
        while True:
            _, found, url = self.announced.get(timeout=WAIT).partition("listening on: ")
            if found:
                return url

    def _read(self) -> None:
        assert self.process.stdout is not None
        pending = b""
        while chunk := self.process.stdout.read(65536):
            self.written += chunk
            *lines, pending = (pending + chunk).split(b"\n")
            for one in lines:
                self._answers.put(one)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for raw in self.process.stderr:
            text = raw.decode().rstrip()
            self.errors.append(text)
            self.announced.put(text)


class Echo:
    """A server that sends back what it is sent.

    ``stream SIZE COUNT`` is answered by one message of so many pieces, made beside, ``big SIZE`` by one that is there
    as a whole; ``go`` lets the client go.
    """

    def __init__(self) -> None:
        self.clients: list[EchoClient] = []
        self.left: queue.Queue[EchoClient] = queue.Queue()
        self.handshakes: list[Mapping[str, Any] | None] = []
        self.ended = threading.Event()

    def connect(self, outbox: Outbox, *, handshake: Mapping[str, Any] | None = None) -> EchoClient:
        client = EchoClient(outbox)
        self.clients.append(client)
        self.handshakes.append(handshake)
        return client

    def disconnect(self, connection: EchoClient) -> None:
        connection.outbox.close("the client left")
        self.left.put(connection)

    def shutdown(self, seconds: float = 0.0) -> None:
        for client in self.clients:
            client.outbox.put(b'"the last word"')
            client.outbox.drained(WAIT)
            client.outbox.close("it is over")
        self.ended.set()


class EchoClient:
    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.on_close: Any = None
        self.received: list[bytes] = []
        outbox.on_close = self._let_go

    def receive(self, message: bytes) -> None:
        self.received.append(message)
        word, *numbers = message.split() or [b""]
        if word == b"stream":
            threading.Thread(target=pour, args=(self.outbox.stream(), *map(int, numbers)), daemon=True).start()
        elif word == b"big":
            self.outbox.put(b"b" * int(numbers[0]))
        elif word == b"go":
            self.outbox.close("it said go")
        else:
            self.outbox.put(message)

    def _let_go(self, reason: str) -> None:
        if self.on_close is not None:
            self.on_close(reason)


def pour(stream: Stream, size: int, count: int) -> None:
    with contextlib.suppress(Exception):  # the client is gone
        for number in range(count):
            stream.write(bytes([97 + number % 26]) * size)
        stream.end()


@contextlib.contextmanager
def serving(
    server: Echo, guard: Guard | None = None, *, address: Address | None = None, **bounds: Any
) -> Iterator[int]:
    """Serve over WebSocket in a thread; the port."""
    ready = threading.Event()
    with listening(address or Address("ws", "127.0.0.1", 0)) as made:
        listener = Listener(server, guard or Guard(), **bounds)
        thread = threading.Thread(target=listener.run, args=(made, ready.set))
        thread.start()
        try:
            assert ready.wait(WAIT)
            name = made.getsockname()
            yield name[1] if isinstance(name, tuple) else 0
        finally:
            listener.stop()
            thread.join(WAIT)
            assert not thread.is_alive(), "the listener ends when it is told to"


def ask(port: int, *headers: str, path: str = "/", upgrade: bool = True) -> tuple[int, str]:
    """Status and body of a request to connect."""
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", *headers]
    if upgrade:
        lines += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
        lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT) as made:
        made.sendall("\r\n".join([*lines, "", ""]).encode())
        got = b""
        while b"\r\n\r\n" not in got and (chunk := made.recv(65536)):
            got += chunk
        status = int(got.split()[1])
        if status != 101:
            while chunk := made.recv(65536):
                got += chunk
    return status, got.partition(b"\r\n\r\n")[2].decode()
