"""Plays sequences of requests against an app-server, and tells what came back in words that do not depend on the run.

A *sequence* is a function of a :class:`Play` (see :mod:`tests.codex.sequences`). It asks for clients, sends requests
with values of earlier answers, waits for notifications and for quiet. A :class:`Stage` is one server process with a
home and a model of its own; the sequences of a group are played on it one after the other.

What each client sent and got is kept as a transcript (:mod:`tests.codex.transcripts`).
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from tests.codex.client import LineProcess, Message, ServerClosed, WaitTimeout, write_config
from tests.codex.mock_responses import MockResponses
from tests.codex.transcripts import Entry, Names, entry_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

    from websockets.sync.client import ClientConnection

JsonObject = dict[str, Any]
"""One JSON object."""

TIMEOUT: Final = 60.0
"""Seconds that a wait lasts at most."""

QUIET: Final = 0.15
"""Seconds without a message after which a server counts as quiet."""


class SequenceBroken(Exception):
    """A sequence could not go on: something that it needs did not come."""


class Pipe(Protocol):
    """How a client reaches a server: the part of :class:`tests.codex.client.LineProcess` that is needed here."""

    @property
    def messages(self) -> list[Message]:
        """Everything that came and went so far, in order (a copy)."""

    def mark(self) -> int:
        """The place where the next message will stand."""

    def send_line(self, line: bytes) -> None:
        """Send one message."""

    def wait(self, matches: Callable[[JsonObject], bool], *, since: int = 0, timeout: float = TIMEOUT) -> JsonObject:
        """The first incoming message from ``since`` on for which ``matches`` holds."""


class WebSocketPipe:
    """A connection over WebSocket, one message a frame."""

    def __init__(self, url: str) -> None:
        """Connect. Raises :class:`ServerClosed` when nobody listens within :data:`TIMEOUT`."""
        from websockets.sync.client import connect

        self._messages: list[Message] = []
        self._changed = threading.Condition()
        self._ended = False
        self._open = contextlib.ExitStack()
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                # Pings and compression are the transport's own matter, which its own tests look at.
                connection = connect(url, compression=None, ping_interval=None, max_size=None)
                self._socket: ClientConnection = self._open.enter_context(connection)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise ServerClosed(f"nobody listens at {url}") from error
                time.sleep(0.02)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def messages(self) -> list[Message]:
        """Everything that came and went so far, in order (a copy)."""
        with self._changed:
            return list(self._messages)

    def mark(self) -> int:
        """The place where the next message will stand."""
        with self._changed:
            return len(self._messages)

    def send_line(self, line: bytes) -> None:
        """Send one message."""
        text = line.decode().rstrip("\n")
        with self._changed:
            self._messages.append(Message(True, 0.0, len(line), _decode(text)))
        self._socket.send(text)

    def wait(self, matches: Callable[[JsonObject], bool], *, since: int = 0, timeout: float = TIMEOUT) -> JsonObject:
        """The first incoming message from ``since`` on for which ``matches`` holds."""
        deadline = time.monotonic() + timeout
        place = since
        with self._changed:
            while True:
                for message in self._messages[place:]:
                    if not message.outgoing and matches(message.body):
                        return message.body
                place = len(self._messages)
                if self._ended:
                    raise ServerClosed("the server closed the connection")
                if not self._changed.wait(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                    raise WaitTimeout(f"nothing that matches in {timeout} s")

    def close(self) -> None:
        """Close the connection."""
        self._open.close()
        self._reader.join(5)

    def _read(self) -> None:
        from websockets.exceptions import ConnectionClosed

        with contextlib.suppress(ConnectionClosed):
            for frame in self._socket:
                text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
                with self._changed:
                    self._messages.append(Message(False, 0.0, len(text), _decode(text)))
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


@dataclass
class Client:
    """One connection of a sequence. Every method that sends something starts a new span for :meth:`wait`."""

    name: str
    """What the transcript of this client is called."""
    pipe: Pipe
    """Its connection."""
    play: Play
    """The play that it belongs to."""
    _next_id: int = 0
    _mark: int = 0

    def initialize(self, *, experimental: bool = True, opt_out: Sequence[str] = ()) -> JsonObject:
        """Make the handshake and return the answer."""
        capabilities: JsonObject = {"experimentalApi": experimental}
        if opt_out:
            capabilities["optOutNotificationMethods"] = list(opt_out)
        info = {"name": "tests", "title": None, "version": "0.0.1"}
        answer = self.call("initialize", clientInfo=info, capabilities=capabilities)
        self.send({"method": "initialized"})
        return answer

    def send(self, body: JsonObject) -> None:
        """Send one message as it is."""
        self._mark = self.pipe.mark()
        self.pipe.send_line(json.dumps(body, ensure_ascii=False).encode() + b"\n")

    def send_text(self, text: str) -> None:
        """Send one message that need not be JSON."""
        self._mark = self.pipe.mark()
        self.pipe.send_line(text.encode() + b"\n")

    def begin(self, method: str, **params: Any) -> int:
        """Send a request and return its id, for :meth:`answer`."""
        self._next_id += 1
        self.send({"id": self._next_id, "method": method, "params": params})
        return self._next_id

    def answer(self, request_id: int) -> JsonObject:
        """The result of a request, or ``{"error": ...}``."""
        body = self._wait(lambda body: body.get("id") == request_id and "method" not in body, f"answer {request_id}", 0)
        return {"error": body["error"]} if "error" in body else body["result"]

    def call(self, method: str, **params: Any) -> JsonObject:
        """Send a request and return its result, or ``{"error": ...}``."""
        return self.answer(self.begin(method, **params))

    def wait(self, method: str, where: Callable[[JsonObject], bool] = lambda params: True) -> JsonObject:
        """The parameters of a notification that came since this client last sent something."""
        found = self._wait(
            lambda body: body.get("method") == method and "id" not in body and where(body.get("params") or {}), method
        )
        params: JsonObject = found.get("params") or {}
        return params

    def asked(self, method: str) -> JsonObject:
        """A request of the server, whole, that came since this client last sent something."""
        return self._wait(lambda body: body.get("method") == method and "id" in body, method)

    def respond(self, request: JsonObject, result: JsonObject) -> None:
        """Answer a request of the server."""
        self.send({"id": request["id"], "result": result})

    def start(self, **params: Any) -> str:
        """Start a thread in the play's history mode and project folder, wait for ``thread/started``, return the id."""
        params = {"cwd": str(self.play.stage.project), "historyMode": self.play.mode, **params}
        return str(self._needed(self.follow("thread/start", "thread/started", **params), "thread")["id"])

    def turn(self, thread: str, text: str, **params: Any) -> str:
        """Run a turn to its end, whatever that is, and return its id."""
        turn = self.begin_turn(thread, text, **params)
        self.wait("turn/completed", lambda params: params["turn"]["id"] == turn)
        return turn

    def begin_turn(self, thread: str, text: str, **params: Any) -> str:
        """Start a turn and return its id."""
        content = [{"type": "text", "text": text}]
        return str(self._needed(self.call("turn/start", threadId=thread, input=content, **params), "turn")["id"])

    def hold(self, thread: str, text: str) -> str:
        """Start a turn that answers in part and then stands, and return its id."""
        turn = self.begin_turn(thread, f"[[partial]] {text}")
        self.wait("item/completed", lambda params: params["item"]["type"] == "agentMessage")
        return turn

    def follow(self, method: str, *notifications: str, **params: Any) -> JsonObject:
        """Send a request, wait for its answer and, unless that is an error, for each of ``notifications`` in turn."""
        answer = self.call(method, **params)
        if "error" not in answer:
            for name in notifications:
                self.wait(name)
        return answer

    def resume(self, thread: str, **params: Any) -> JsonObject:
        """Resume a thread, wait for the last notification of that, and return the answer."""
        return self.follow("thread/resume", "thread/goal/cleared", threadId=thread, **params)

    def fork(self, thread: str, **params: Any) -> str:
        """Fork a thread, without turns unless ``params`` say otherwise, and return the child's id."""
        params = {"threadId": thread, "excludeTurns": True, **params}
        return str(self._needed(self.follow("thread/fork", "thread/started", **params), "thread")["id"])

    def compact(self, thread: str) -> None:
        """Compact by hand, and wait for the end of it."""
        self.follow("thread/compact/start", "turn/completed", threadId=thread)

    def interrupt(self, thread: str, turn: str) -> None:
        """Interrupt a turn and wait for its end."""
        self.call("turn/interrupt", threadId=thread, turnId=turn)
        self.wait("turn/completed")

    def transcript(self) -> list[Entry]:
        """What this client sent and got, normalised by the names of its play."""
        methods: dict[Any, str] = {}
        found = []
        for message in self.pipe.messages:
            entry = entry_of(message, methods, self.play.names)
            if entry is not None:
                found.append(entry)
        return found

    def _wait(self, matches: Callable[[JsonObject], bool], what: str, since: int | None = None) -> JsonObject:
        try:
            return self.pipe.wait(matches, since=self._mark if since is None else since, timeout=TIMEOUT)
        except (ServerClosed, WaitTimeout) as error:
            raise SequenceBroken(f"{self.name}: {what} did not come: {error}") from error

    def _needed(self, answer: JsonObject, member: str) -> JsonObject:
        if member not in answer:
            raise SequenceBroken(f"{self.name}: no {member} in {json.dumps(answer)[:300]}")
        value: JsonObject = answer[member]
        return value


@dataclass
class Play:
    """One run of a sequence."""

    stage: Stage
    """The server that it is played on."""
    mode: str
    """The history mode of its threads."""
    names: Names
    """The names that ids got in this run."""
    clients: list[Client] = field(default_factory=list)

    def client(self, name: str, *, experimental: bool = True, opt_out: Sequence[str] = ()) -> Client:
        """A new connection that has made its handshake."""
        client = self.stranger(name)
        client.initialize(experimental=experimental, opt_out=opt_out)
        return client

    def stranger(self, name: str, *, second: bool = False) -> Client:
        """A new connection that has said nothing yet; with ``second``, to another process on the same home."""
        client = Client(name, self.stage.connect_second() if second else self.stage.connect(), self)
        self.clients.append(client)
        return client

    def quiet(self, seconds: float = QUIET) -> None:
        """Wait until no client has got anything for ``seconds`` (at most :data:`TIMEOUT`)."""
        deadline = time.monotonic() + TIMEOUT
        seen = -1
        while time.monotonic() < deadline:
            now = sum(client.pipe.mark() for client in self.clients)
            if now == seen:
                return
            seen = now
            time.sleep(seconds)

    def restart(self) -> None:
        """End the server's process and start another one on the same home; earlier clients are gone."""
        self.quiet()
        self.stage.restart()

    def transcripts(self) -> dict[str, list[Entry]]:
        """What each client saw, in the order in which the clients came."""
        return {client.name: client.transcript() for client in self.clients}


class Stage:
    """A server process with a home, a project folder and a model of its own, as a context manager."""

    def __init__(
        self,
        command: Sequence[str | Path],
        root: Path,
        *,
        listen: str = "ws",
        top: str = "",
        change: tuple[str, str] = ("", ""),
    ) -> None:
        """Everything is below ``root``.

        ``listen`` is ``ws`` or ``stdio``, ``top`` more lines of the configuration; ``change`` replaces text in it.
        """
        self.command = list(command)
        self.root = root
        self.home = root / ".codex"
        self.project = root / "project"
        self.listen = listen
        self.top = top
        self.change = change
        self.model = Model(toolless_summaries=False)
        self._process: LineProcess | None = None
        self._url = ""
        self._second: LineProcess | None = None
        self._second_url = ""

    def __enter__(self) -> Self:
        """Start the model and the server."""
        self.project.mkdir(parents=True)
        self.model.__enter__()
        write_config(self.home, self.model.base_url, top=self.top)
        file = self.home / "config.toml"
        file.write_text(
            file.read_text(encoding="utf-8").replace(*self.change) if all(self.change) else file.read_text()
        )
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End both."""
        self._stop()
        self.model.__exit__(kind, error, trace)

    def connect(self) -> Pipe:
        """A new connection; of a server on stdio, the only one."""
        assert self._process is not None
        return WebSocketPipe(self._url) if self.listen == "ws" else self._process

    def connect_second(self) -> Pipe:
        """A new connection to a second process on the same home, which is started when it is first asked for."""
        if self._second is None:
            self._second, self._second_url = self._spawn()
        return WebSocketPipe(self._second_url)

    def restart(self) -> None:
        """End the process, and the second one if there is one, and start another one."""
        self._stop()
        self._start()

    def play(self, sequence: Callable[[Play], None], mode: str, *, tokens: bool = True) -> dict[str, list[Entry]]:
        """Play one sequence and return what each client saw. A broken sequence ends with an entry that says so.

        ``tokens`` False leaves the counts of tokens out: they depend on the instructions where the server made them.
        """
        play = Play(self, mode, Names(self.root, tokens=tokens))
        broken = None
        try:
            sequence(play)
            play.quiet()
        except (SequenceBroken, KeyError, IndexError, TypeError) as error:
            broken = Entry("broken", type(error).__name__, str(error))
        found = play.transcripts()
        if broken is not None:
            found["(the sequence)"] = [broken]
        for client in play.clients:
            if isinstance(client.pipe, WebSocketPipe):
                client.pipe.close()
        if broken is not None:
            self.restart()
        return found

    def _start(self) -> None:
        self._process, self._url = self._spawn()

    def _spawn(self) -> tuple[LineProcess, str]:
        """A new process, and the address that it listens at."""
        address = "stdio://"
        if self.listen == "ws":
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                address = f"ws://127.0.0.1:{free.getsockname()[1]}"
        command = [*self.command, "--listen", address]
        return LineProcess(command, home=self.home, cwd=self.project, stderr=self.root / "stderr.log"), address

    def _stop(self) -> None:
        # Over WebSocket nothing but a signal ends a server; on stdio the end of its input does.
        if self._process is not None:
            if self.listen == "ws":
                self._process.kill()
            else:
                self._process.close()
        if self._second is not None:
            self._second.kill()
            self._second = None


class Model(MockResponses):
    """The mock model, which can hold streams again after a release."""

    def hold_again(self) -> None:
        """Hold the streams to come."""
        self._released.clear()


def _decode(text: str) -> JsonObject:
    """The object in ``text``, or one with the text as ``raw``."""
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    return body if isinstance(body, dict) else {"raw": text}
