"""Clients over WebSocket, on a TCP port or a Unix socket: a JSON message in each text message.

One event loop serves all of them and does little but move bytes: messages are worked on and encoded, and long ones
decoded, by other threads. What these call comes to the loop by ``call_soon_threadsafe``.

Messages are not compressed: on one machine, where nearly all clients are, deflating costs more time than the bytes it
saves, some hundred kilobytes for each connection, and would be done in the loop that everybody waits for. The real TUI
does not ask for it (0.169.0 observed).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from websockets.asyncio.server import serve as websocket_server
from websockets.exceptions import ConnectionClosed

from threadkeep.appserver._outbox import Outbox
from threadkeep.appserver._stdio import FLUSH, GRACE, say

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Callable

    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

    from threadkeep.appserver._auth import Guard
    from threadkeep.appserver._stdio import Serving

__all__ = ["MOST_CLIENTS", "MOST_MESSAGE", "PATIENCE", "Listener"]

MOST_MESSAGE: Final = 64 * 1024 * 1024
"""Bytes of a message from a client, as many as Codex takes; one that sends more is let go with code 1009."""

MOST_CLIENTS: Final = 512
"""Clients at once; another one is answered 503."""

PATIENCE: Final = 120.0
"""Seconds after which a client is let go that takes nothing of a message, or does not answer a ping."""

_PING: Final = 30.0
_OPENING: Final = 10.0

_CLOSING: Final = 5.0
"""Seconds that a client has for the closing handshake."""

_FRAME: Final = 256 * 1024
"""Bytes of a message that are handed on before other clients have their turn."""

_SHORT: Final = 16 * 1024
"""Bytes up to which a message is sent together with others."""

_LONG: Final = 64 * 1024
"""Bytes above which a message is decoded beside the loop: 60 MB take seconds, in which nobody else would be served."""

_TURN: Final = 32
"""Short messages that are sent to one client together, before others have their turn."""

_LONGEST_REASON: Final = 120
"""Bytes of a reason: a control frame has room for 123."""

_ENDS: Final = "the server ends"
_GOING_AWAY: Final = 1001
_POLICY: Final = 1008


class Listener:
    """Serves clients on one listening socket.

    Args:
        server: The server, which ends with this.
        guard: Who may connect.
        most_clients: How many may be connected at once.
        most_message: Bytes of a message from a client.
        patience: Seconds for which a client may take nothing.
    """

    def __init__(
        self,
        server: Serving,
        guard: Guard,
        *,
        most_clients: int = MOST_CLIENTS,
        most_message: int = MOST_MESSAGE,
        patience: float = PATIENCE,
    ) -> None:
        self._server = server
        self._guard = guard
        self._most_clients = most_clients
        self._most_message = most_message
        self._patience = patience
        self._clients: set[_Client] = set()
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, listening: socket.socket, announce: Callable[[], None]) -> None:
        """Serve until a signal or `stop`.

        Args:
            listening: The socket, which listens.
            announce: Called when clients are served.
        """
        asyncio.run(self._run(listening, announce))

    def stop(self) -> None:
        """End; from any thread."""
        loop = self._loop
        if loop is not None:
            _soon(loop, self._stop.set)

    async def _run(self, listening: socket.socket, announce: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        with contextlib.suppress(ValueError, RuntimeError):  # only a process' main thread hears signals
            for number in (signal.SIGTERM, signal.SIGINT):
                self._loop.add_signal_handler(number, self._stop.set)
        logger = logging.getLogger("threadkeep.appserver")
        logger.setLevel(logging.CRITICAL + 1)  # what clients do wrong is their own to know
        served = await websocket_server(
            self._serve,
            sock=listening,
            process_request=self._admit,
            max_size=self._most_message,
            compression=None,
            server_header=None,
            open_timeout=_OPENING,
            close_timeout=_CLOSING,
            ping_interval=_PING,
            ping_timeout=self._patience,
            logger=logger,
        )
        announce()
        await self._stop.wait()
        with contextlib.suppress(ValueError, RuntimeError):  # a second signal ends the process as it is
            for number in (signal.SIGTERM, signal.SIGINT):
                self._loop.remove_signal_handler(number)
        served.close(close_connections=False)
        for client in self._clients:
            client.expect_end()
        await asyncio.to_thread(self._server.shutdown, GRACE)
        await asyncio.gather(*(client.leave() for client in list(self._clients)))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH):
                await served.wait_closed()

    def _admit(self, socket: ServerConnection, request: Request) -> Response | None:
        headers = request.headers
        refusal = self._guard.refusal(request.path, headers.get_all("Origin"), headers.get_all("Authorization"))
        if refusal is None and len(self._clients) >= self._most_clients:
            refusal = HTTPStatus.SERVICE_UNAVAILABLE, "too many clients are connected"
        return None if refusal is None else socket.respond(*refusal)

    async def _serve(self, socket: ServerConnection) -> None:
        client = _Client(socket, self._server, self._patience)
        self._clients.add(client)
        try:
            await client.serve()
        finally:
            self._clients.discard(client)


class _Client:
    """One client."""

    def __init__(self, socket: ServerConnection, server: Serving, patience: float) -> None:
        self._socket = socket
        self._server = server
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()
        self._outbox = Outbox(patience=patience)
        self._outbox.on_ready = lambda: _soon(self._loop, self._ready.set)
        self._writer: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._within = False
        self._ending = False

    async def serve(self) -> None:
        """Pass messages on in both directions until the client leaves, or is let go."""
        connection = self._server.connect(self._outbox)
        connection.on_close = lambda reason: _soon(self._loop, self._let_go, reason)
        if self._outbox.closed is not None:
            self._let_go(self._outbox.closed)
        self._writer = asyncio.create_task(self._write())
        try:
            while True:
                message = await self._socket.recv(decode=False)
                if len(message) > _LONG:
                    await asyncio.to_thread(connection.receive, message)
                else:
                    connection.receive(message)
        except ConnectionClosed:
            pass
        finally:
            connection.on_close = None
            self._writer.cancel()
            await asyncio.to_thread(self._server.disconnect, connection)
            if self._closing is not None:
                await self._closing

    def expect_end(self) -> None:
        """The server ends: from now on that is why messages are taken no more."""
        self._ending = True

    async def leave(self) -> None:
        """Send what waits, and close: the server ends."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._finish())
        await self._closing

    async def _finish(self) -> None:
        await asyncio.to_thread(self._outbox.drained, FLUSH)
        self._outbox.close(_ENDS)
        if self._writer is not None:
            await asyncio.wait({self._writer}, timeout=FLUSH)
        await self._close(_GOING_AWAY, _ENDS)

    def _let_go(self, reason: str) -> None:
        if self._closing is None and not self._ending and self._socket.close_code is None:
            say(f"a client is let go: {reason}")
            self._closing = asyncio.create_task(self._close(_POLICY, reason))

    async def _close(self, code: int, reason: str) -> None:
        short = reason.encode()[:_LONGEST_REASON].decode(errors="ignore")
        with contextlib.suppress(ConnectionClosed):
            try:
                # The library waits for a client that does not read before it counts the seconds of its own limit.
                async with asyncio.timeout(min(_CLOSING, self._patience)):
                    if self._within:  # the library's own closing would not say why
                        async with self._socket.send_context():
                            self._socket.protocol.fail(code, short)
                    else:
                        await self._socket.close(code, short)
            except TimeoutError:
                self._socket.transport.abort()

    # To the client

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while self._outbox.closed is None:
                short, taken = self._short_messages()
                if short:
                    await self._send_together(short)
                if taken is not None:
                    await self._send(taken[0], last=taken[1])
                elif short:
                    await asyncio.sleep(0)
                else:
                    await self._ready.wait()
                    self._ready.clear()

    def _short_messages(self) -> tuple[list[bytes], tuple[bytes, bool] | None]:
        """Whole short messages that wait, a turn's worth of them, and what comes behind them if it is another kind."""
        short: list[bytes] = []
        while len(short) < _TURN:
            taken = self._outbox.try_take()
            if taken is None or not taken[1] or len(taken[0]) > _SHORT:
                return short, taken
            short.append(taken[0])
        return short, None

    async def _send_together(self, messages: list[bytes]) -> None:
        """Send whole messages with one wait for the client: one by one, most of the time would go into waiting."""
        try:
            async with asyncio.timeout(self._patience), self._socket.send_context():
                for message in messages:
                    self._socket.protocol.send_text(message)
        except TimeoutError:
            self._outbox.close(f"a client took nothing for {self._patience:g} seconds")

    async def _send(self, piece: bytes, *, last: bool) -> None:
        self._within = len(piece) > _FRAME or not last
        try:
            async with asyncio.timeout(self._patience) as patience:
                if self._within:
                    await self._socket.send(self._fragments(piece, patience, last=last), text=True)
                else:
                    await self._socket.send(piece, text=True)
        except TimeoutError:
            self._outbox.close(f"a client took nothing for {self._patience:g} seconds")
        except ConnectionAbortedError:
            pass  # half a message was sent, and there is no more of it: the client was told why
        self._within = False

    async def _fragments(self, piece: bytes, patience: asyncio.Timeout, *, last: bool) -> AsyncIterator[memoryview]:
        """A message that is long, or is made while it is sent, in frames; the client has its time for each of them."""
        while True:
            whole = memoryview(piece)
            for start in range(0, len(whole), _FRAME):
                patience.reschedule(self._loop.time() + self._patience)
                yield whole[start : start + _FRAME]
                await asyncio.sleep(0)
            if last:
                return
            patience.reschedule(None)
            piece, last = await self._next()

    async def _next(self) -> tuple[bytes, bool]:
        while (taken := self._outbox.try_take()) is None:
            if self._outbox.closed is not None:
                # Said here and now: where the library finds the rest of a message missing, it says no more than that.
                await self._close(_GOING_AWAY if self._ending else _POLICY, self._outbox.closed)
                raise ConnectionAbortedError
            await self._ready.wait()
            self._ready.clear()
        return taken


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *args: Any) -> None:
    """Have the loop call something; nothing where it is over."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *args)
