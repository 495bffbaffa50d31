"""A model on loopback whose every answer is scripted: statuses, broken streams, pauses, and what it was asked.

:class:`tests.codex.mock_responses.MockResponses` answers as a model does. This one answers as a test says, one
:class:`Answer` a request, and keeps the bytes of every request.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

Json = dict[str, Any]

HOLD_SECONDS: Final = 100.0
"""Longest time that a held stream stays open."""


@dataclass(frozen=True)
class Asked:
    """One request."""

    path: str
    headers: dict[str, str]
    raw: bytes
    at: float

    @property
    def body(self) -> Json:
        """The decoded body."""
        body: Json = json.loads(self.raw)
        return body

    @property
    def input(self) -> list[Json]:
        """The items that the model was sent."""
        items: list[Json] = self.body["input"]
        return items


@dataclass(frozen=True)
class Answer:
    """One answer: a stream of events where ``events`` is given, else a body.

    ``hold`` keeps the stream open, silent, after its events; ``cut`` breaks the connection after them.
    """

    events: Sequence[Json | bytes] | None = None
    status: int = 200
    body: Json | str = ""
    headers: dict[str, str] = field(default_factory=dict)
    hold: bool = False
    cut: bool = False


class Scripted:
    """The server, as a context manager. Without a script left, the last answer is given again."""

    def __init__(self, *answers: Answer, port: int = 0) -> None:
        self.answers: list[Answer] = list(answers)
        self.asked: list[Asked] = []
        self.gone = threading.Event()
        """Set when a client left before its answer was whole, or while it was held."""
        self.changed = threading.Condition()
        self._released = threading.Event()
        owner = self

        class Handler(_Handler):
            model = owner

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(60)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def base_url(self) -> str:
        """What a provider's ``base_url`` has to be."""
        return f"http://127.0.0.1:{self.port}/v1"

    def release(self) -> None:
        """Let held streams end."""
        self._released.set()

    def wait_asked(self, count: int, timeout: float = 60.0) -> Asked:
        """The ``count``-th request; waits for it. Raises TimeoutError."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while len(self.asked) < count:
                if not self.changed.wait(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError(f"{len(self.asked)} requests in {timeout} s, not {count}")
            return self.asked[count - 1]

    def take(self, asked: Asked) -> Answer:
        """Keep a request and say how it is answered."""
        with self.changed:
            self.asked.append(asked)
            self.changed.notify_all()
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def hold(self, connection: socket.socket) -> None:
        """Wait until the client leaves, or the stream is released."""
        deadline = time.monotonic() + HOLD_SECONDS
        connection.settimeout(0.02)
        while time.monotonic() < deadline and not self._released.is_set():
            try:
                if not connection.recv(1, socket.MSG_PEEK):
                    self.gone.set()
                    return
            except TimeoutError:
                continue
            except OSError:
                self.gone.set()
                return


class _Handler(BaseHTTPRequestHandler):
    model: Scripted
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Print nothing."""

    def do_GET(self) -> None:
        self._whole(Answer(status=404, body={"error": {"message": "not found"}}))

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.model.take(Asked(self.path, headers, raw, time.monotonic()))
        try:
            if answer.events is None:
                self._whole(answer)
            else:
                self._stream(answer, answer.events)
        except (BrokenPipeError, ConnectionResetError):
            self.model.gone.set()

    def _whole(self, answer: Answer) -> None:
        data = (answer.body if isinstance(answer.body, str) else json.dumps(answer.body)).encode()
        self.send_response(answer.status)
        for name, value in {"content-type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, answer: Answer, events: Sequence[Json | bytes]) -> None:
        self.send_response(answer.status)
        for name, value in {"content-type": "text/event-stream", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("connection", "close")
        if answer.cut:
            self.send_header("content-length", "1000000")
        self.end_headers()
        self.close_connection = True
        for event in events:
            self.wfile.write(event if isinstance(event, bytes) else sse(event))
            self.wfile.flush()
        if answer.hold:
            self.model.hold(self.connection)


def sse(event: Json) -> bytes:
    """An event as it stands in a stream."""
    return f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


def message(text: str, number: int = 1) -> list[Json]:
    """The events of one message of the model."""
    item: Json = {"type": "message", "id": f"msg_{number:08}", "role": "assistant", "content": []}
    part = {"type": "output_text", "text": text, "annotations": []}
    return [
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.output_text.delta", "item_id": item["id"], "content_index": 0, "delta": text},
        {"type": "response.output_item.done", "output_index": 0, "item": {**item, "content": [part]}},
    ]


def call(name: str, arguments: str, number: int = 1, **more: Any) -> list[Json]:
    """The events of one function call."""
    item = {"type": "function_call", "id": f"fc_{number:08}", "call_id": f"call_{number:08}"}
    return [
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": {**item, "name": name, **more, "arguments": arguments},
        }
    ]


def completed(total: int = 100, response_id: str = "resp_1", **more: Any) -> Json:
    """The event that ends a response."""
    usage = {
        "input_tokens": total - 20,
        "input_tokens_details": {"cached_tokens": 7},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": total,
    }
    return {"type": "response.completed", "response": {"id": response_id, "usage": usage, **more}}


def failed(code: str, text: str = "scripted failure") -> Json:
    """The event of a response that failed."""
    return {"type": "response.failed", "response": {"id": "resp_1", "error": {"code": code, "message": text}}}


def says(text: str, number: int = 1, total: int = 100) -> Answer:
    """An answer with one message."""
    return Answer([created(), *message(text, number), completed(total, f"resp_{number}")])


def created() -> Json:
    """The event that begins a response."""
    return {"type": "response.created", "response": {"id": "resp_1"}}
