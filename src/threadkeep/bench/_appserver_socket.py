"""A light WebSocket client on a blocking socket: text messages, no extensions, large answers without keeping them."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import struct
import time
from typing import Final, Self

__all__ = ["Closed", "SocketClient", "free_port"]

_BLOCK: Final = 1 << 18
_HEADER_MOST: Final = 1 << 14
_CONNECT_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 0.02

_CONTINUED: Final = 0x0
_TEXT: Final = 0x1
_CLOSE: Final = 0x8
_PING: Final = 0x9
_PONG: Final = 0xA


class Closed(Exception):
    """The server ended the connection, or answers no handshake."""


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class SocketClient:
    """A connection to a server that listens on the loopback; a context manager that ends it.

    Args:
        port: Where it listens, or will in a moment.
        timeout: Seconds that anything may take.

    Raises:
        Closed: Nobody listens, or it is no WebSocket.
    """

    def __init__(self, port: int, *, timeout: float = 300.0) -> None:
        self._socket = _connected(port)
        self._socket.settimeout(timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._held = bytearray()
        self._block = memoryview(bytearray(_BLOCK))
        self._upgrade(port)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, message: bytes) -> None:
        """Send a text."""
        self._send(_TEXT, message)

    def receive(self) -> bytes:
        """The next text.

        Raises:
            Closed: The server ended the connection.
        """
        whole = bytearray()
        last = False
        while not last:
            last, length = self._begin()
            while length:
                piece = self._some(length)
                whole += piece
                length -= len(piece)
        return bytes(whole)

    def receive_head(self, most: int = 4096) -> tuple[bytes, int]:
        """(the first bytes, the size) of the next text; the rest is read and dropped.

        Raises:
            Closed: The server ended the connection.
        """
        head, size = bytearray(), 0
        last = False
        while not last:
            last, length = self._begin()
            size += length
            while length:
                piece = self._some(length)
                if len(head) < most:
                    head += piece[:most]
                length -= len(piece)
        return bytes(head[:most]), size

    def close(self) -> None:
        """End the connection."""
        with contextlib.suppress(OSError):
            self._send(_CLOSE, b"\x03\xe8")
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # a thread that reads wakes up
        self._socket.close()

    def _send(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        if size < 126:
            head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
        elif size < 1 << 16:
            head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
        self._socket.sendall(head + b"\0\0\0\0" + payload)  # a mask of zeros leaves the payload as it is

    def _begin(self) -> tuple[bool, int]:
        """(whether it ends its message, its bytes) of the next frame that has text."""
        while True:
            first, second = self._exactly(2)
            length = second & 0x7F
            if length == 126:
                (length,) = struct.unpack("!H", self._exactly(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", self._exactly(8))
            opcode = first & 0x0F
            if opcode in (_TEXT, _CONTINUED):
                return bool(first & 0x80), length
            payload = self._exactly(length)
            if opcode == _PING:
                self._send(_PONG, payload)
            elif opcode == _CLOSE:
                raise Closed(f"the server closed the connection: {payload[2:].decode('utf-8', 'replace')}")

    def _exactly(self, size: int) -> bytes:
        while len(self._held) < size:
            self._fill()
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken

    def _some(self, most: int) -> memoryview:
        """At least one byte and at most so many: of what is held, else of what comes. Valid until the next call."""
        if self._held:
            taken = bytes(self._held[:most])
            del self._held[:most]
            return memoryview(taken)
        got = self._socket.recv_into(self._block[: min(most, _BLOCK)])
        if not got:
            raise Closed("the server closed the connection")
        return self._block[:got]

    def _fill(self) -> None:
        got = self._socket.recv_into(self._block)
        if not got:
            raise Closed("the server closed the connection")
        self._held += self._block[:got]

    def _upgrade(self, port: int) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        while (end := self._held.find(b"\r\n\r\n")) < 0:
            if len(self._held) > _HEADER_MOST:
                raise Closed("what listens there speaks no WebSocket")
            self._fill()
        status = bytes(self._held[:end]).split(b"\r\n", 1)[0]
        if b" 101 " not in status + b" ":
            raise Closed(f"no WebSocket: {status.decode('utf-8', 'replace')}")
        del self._held[: end + 4]


def _connected(port: int) -> socket.socket:
    deadline = time.monotonic() + _CONNECT_SECONDS
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_SECONDS)
        except OSError as error:
            if time.monotonic() > deadline:
                raise Closed(f"nobody listens on port {port}: {error}") from error
            time.sleep(_RETRY_SECONDS)
