"""A model that runs on loopback, for tests that drive the real Codex binary.

It speaks as much of the Responses API as every Codex from 0.20.0 to 0.169.0 needs: a stream of server-sent events
for ``POST /v1/responses``, a JSON answer for ``POST /v1/responses/compact`` and an empty ``GET /v1/models``. What it
answers is decided by *directives* in the last user message, so that a test says in the prompt what the model shall do;
what it was asked is kept as data in :attr:`MockResponses.requests`.

========================  =============================================================================================
directive                 effect
========================  =============================================================================================
``[[reason]]``            a reasoning item comes first
``[[call:COMMAND]]``      a shell call with COMMAND comes first, in the form of the tool that the binary offers
``[[tool:NAME:JSON]]``    a function call of tool NAME (in its namespace, if any) with these arguments comes first
``[[custom:NAME:TEXT]]``  a free-form call of tool NAME with TEXT as input comes first
``[[fail:STATUS]]``       HTTP STATUS and a JSON error
``[[hold]]``              the stream stays open, with no item, until :meth:`MockResponses.release` or the client leaves
``[[partial]]``           one finished message, then as ``[[hold]]``
``[[size:N]]``            the final message has N characters
``[[usage:N]]``           the response reports N total tokens
``[[say:TEXT]]``          the final message is TEXT
========================  =============================================================================================

A directive that asks for a call is answered once: when the newest input is the output of a call, the final message
comes. A request for a summary (the prompt is :data:`COMPACT_PROMPT`, or there are no tools) is answered with
``mock summary N``. Ids are counted, not random, so that two runs of a test see the same ones.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

JsonObject = dict[str, Any]
"""One JSON object."""

COMPACT_PROMPT: Final = "Write the summary."
"""The ``compact_prompt`` that :func:`tests.codex.client.write_config` sets, by which a summary request is known."""

ENCRYPTED_REASONING: Final = "mock-encrypted-reasoning"
"""What stands for the encrypted content of a reasoning item."""

ENCRYPTED_COMPACTION: Final = "bW9jay1jb21wYWN0aW9u"
"""What stands for the encrypted content of a compaction item."""

_DIRECTIVE: Final = re.compile(r"\[\[(\w+)(?::(.*?))?\]\]", re.DOTALL)
_CALL_OUTPUTS: Final = frozenset({"function_call_output", "custom_tool_call_output", "local_shell_call_output"})


@dataclass(frozen=True)
class RecordedRequest:
    """One request that the mock received."""

    method: str
    """``GET`` or ``POST``."""
    path: str
    """The path with its query."""
    body: JsonObject
    """The decoded JSON body; empty for a GET and for a body that is no JSON object."""
    headers: dict[str, str]
    """The headers, names in lower case."""

    @property
    def input(self) -> list[JsonObject]:
        """The ``input`` items of a model call, oldest first."""
        items = self.body.get("input")
        return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []

    @property
    def is_model_call(self) -> bool:
        """Whether this asked the model for a response (a compaction call is none)."""
        return self.method == "POST" and self.path.partition("?")[0].endswith("/responses")

    @property
    def prompt(self) -> str:
        """The text of the last user message: what the directives are read from."""
        return last_user_text(self.input)


def message_text(item: JsonObject) -> str:
    """All text of a message item, its parts joined by a newline."""
    content = item.get("content")
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))


def last_user_text(items: list[JsonObject]) -> str:
    """The text of the newest user message of ``items``, or an empty string."""
    for item in reversed(items):
        if item.get("type", "message") == "message" and item.get("role") == "user":
            return message_text(item)
    return ""


def directives(text: str) -> dict[str, str]:
    """The directives in ``text``: name to argument (empty without one)."""
    return {match[1]: match[2] or "" for match in _DIRECTIVE.finditer(text)}


def _answers_a_call(items: list[JsonObject]) -> bool:
    """Whether the output of a call stands after the last user message."""
    for item in reversed(items):
        if item.get("type") in _CALL_OUTPUTS:
            return True
        if item.get("type", "message") == "message" and item.get("role") == "user":
            return False
    return False


@dataclass
class _Counters:
    """The numbers that ids and summaries are made of."""

    next_id: int = 0
    next_summary: int = 0


@dataclass
class MockResponses:
    """The server, as a context manager: it listens from ``__enter__`` to ``__exit__``.

    ``port`` 0 takes a free one. ``id_prefix`` is a hex digit string that starts the counted part of every id; give two
    mocks that serve one thread different ones. ``hold_seconds`` bounds every held stream. ``toolless_summaries`` says
    whether a request without tools is one for a summary: so it is with Codex, not with a client that brings no tools.
    """

    port: int = 0
    id_prefix: str = ""
    hold_seconds: float = 60.0
    toolless_summaries: bool = True
    _counters: _Counters = field(default_factory=_Counters)
    _requests: list[RecordedRequest] = field(default_factory=list)
    _said: list[str] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _released: threading.Event = field(default_factory=threading.Event)
    _server: ThreadingHTTPServer | None = None
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Start to listen; :attr:`port` is the true port from here on."""
        mock: MockResponses = self

        class Handler(_Handler):
            owner = mock

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening, and let every held stream go."""
        self._released.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        if self._thread is not None:
            self._thread.join(5)

    @property
    def base_url(self) -> str:
        """What a provider's ``base_url`` has to be."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def requests(self) -> list[RecordedRequest]:
        """Every request so far, oldest first (a copy)."""
        with self._changed:
            return list(self._requests)

    @property
    def model_calls(self) -> list[RecordedRequest]:
        """The requests that asked the model for a response, oldest first."""
        return [request for request in self.requests if request.is_model_call]

    @property
    def said(self) -> list[str]:
        """Every text that the mock wrote so far: messages, reasoning, arguments and inputs of calls."""
        with self._changed:
            return list(self._said)

    def wait_for_prompt(self, text: str, timeout: float = 30.0) -> RecordedRequest:
        """The first model call whose prompt contains ``text``; waits until there is one.

        Raises :class:`TimeoutError` after ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                for request in self._requests:
                    if request.is_model_call and text in request.prompt:
                        return request
                left = deadline - time.monotonic()
                if left <= 0:
                    prompts = [request.prompt[:80] for request in self._requests if request.is_model_call]
                    message = f"no model call with {text!r} in {timeout} s; prompts so far: {prompts}"
                    raise TimeoutError(message)
                self._changed.wait(left)

    def release(self) -> None:
        """Let every held stream end with its answer, those to come too."""
        self._released.set()

    def record(self, request: RecordedRequest) -> None:
        """Keep ``request`` and wake whoever waits for one."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    def say(self, text: str) -> str:
        """Keep ``text`` in :attr:`said` and return it."""
        with self._changed:
            self._said.append(text)
        return text

    def new_id(self, kind: str) -> str:
        """The next id, for instance ``msg_00000000000000000000000a``."""
        with self._changed:
            self._counters.next_id += 1
            return f"{kind}_{self.id_prefix}{self._counters.next_id:0{24 - len(self.id_prefix)}x}"

    def new_summary(self) -> str:
        """The text of the next summary."""
        with self._changed:
            self._counters.next_summary += 1
            return f"mock summary {self._counters.next_summary}"

    def held(self) -> Iterator[None]:
        """Yield about ten times a second for as long as a stream shall be held."""
        deadline = time.monotonic() + self.hold_seconds
        while time.monotonic() < deadline and not self._released.wait(0.1):
            yield


class _Handler(BaseHTTPRequestHandler):
    """One connection of :class:`MockResponses`."""

    owner: MockResponses
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Print nothing."""

    def do_GET(self) -> None:
        """Answer the list of models; everything else is not found."""
        self._record({})
        if self.path.partition("?")[0].endswith("/models"):
            self._send_json(200, {"object": "list", "data": [], "models": []})
        else:
            self._send_json(404, {"error": {"message": "not found"}})

    def do_POST(self) -> None:
        """Answer a model call or a compaction call."""
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            body = json.loads(raw)
        except ValueError:
            body = {}
        request = self._record(body if isinstance(body, dict) else {})
        path = self.path.partition("?")[0]
        if path.endswith("/responses/compact"):
            self._send_json(200, {"output": self._compacted(request)})
        elif path.endswith("/responses"):
            # A client that was killed or that interrupted its turn closes the connection in the middle.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._respond(request)
        else:
            self._send_json(404, {"error": {"message": "not found"}})

    def _record(self, body: JsonObject) -> RecordedRequest:
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = RecordedRequest(self.command, self.path, body, headers)
        self.owner.record(request)
        return request

    def _send_json(self, status: int, answer: JsonObject) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _compacted(self, request: RecordedRequest) -> list[JsonObject]:
        """The answer of the compaction endpoint: the user messages, then one compaction item."""
        kept = [item for item in request.input if item.get("type") == "message" and item.get("role") == "user"]
        return [*kept, {"type": "compaction", "encrypted_content": ENCRYPTED_COMPACTION}]

    def _event(self, kind: str, **members: object) -> None:
        data = json.dumps({"type": kind, **members}, ensure_ascii=False)
        self.wfile.write(f"event: {kind}\ndata: {data}\n\n".encode())
        self.wfile.flush()

    def _respond(self, request: RecordedRequest) -> None:
        """Stream the response that the prompt's directives ask for."""
        wanted = directives(request.prompt)
        if "fail" in wanted:
            self._send_json(int(wanted["fail"]), {"error": {"message": "mock failure", "type": "mock"}})
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        response_id = self.owner.new_id("resp")
        self._event("response.created", response={"id": response_id})
        if "partial" in wanted:
            self._message(0, "mock partial answer")
        if "partial" in wanted or "hold" in wanted:
            for _ in self.owner.held():
                self.wfile.write(b": held\n\n")
                self.wfile.flush()
        self._items(request, wanted)
        total = int(wanted["usage"]) if wanted.get("usage") else len(json.dumps(request.body)) // 4 + 20
        usage = {
            "input_tokens": total - 20,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 20,
            "output_tokens_details": {"reasoning_tokens": 5},
            "total_tokens": total,
        }
        response = {"id": response_id, "object": "response", "status": "completed", "output": [], "usage": usage}
        self._event("response.completed", response=response)

    def _items(self, request: RecordedRequest, wanted: dict[str, str]) -> None:
        """Stream the output items of one response."""
        index = 0
        newest = request.input[-1] if request.input else {}
        if newest.get("type") == "compaction_trigger":
            item = {"type": "compaction", "encrypted_content": ENCRYPTED_COMPACTION}
            self._event("response.output_item.done", output_index=index, item=item)
            return
        toolless = self.owner.toolless_summaries and not request.body.get("tools")
        summary = request.prompt == COMPACT_PROMPT or toolless
        after_call = _answers_a_call(request.input)
        if "reason" in wanted and not after_call:
            self._reasoning(index)
            index += 1
        call = None if after_call or summary else self._call(request, wanted)
        if call is not None:
            self._event("response.output_item.done", output_index=index, item=call)
            return
        self._message(index, self.owner.new_summary() if summary else _final_text(request.prompt, wanted))

    def _call(self, request: RecordedRequest, wanted: dict[str, str]) -> JsonObject | None:
        """The call item that the prompt asks for, if it asks for one."""
        base = {"call_id": self.owner.new_id("call")}
        if "custom" in wanted:
            name, _, text = wanted["custom"].partition(":")
            text = self.owner.say(text)
            return {"type": "custom_tool_call", "id": self.owner.new_id("ctc"), **base, "name": name, "input": text}
        if "tool" in wanted:
            name, _, arguments = wanted["tool"].partition(":")
            base |= _namespace(request.body, name)
        elif "call" in wanted:
            name, arguments = _shell_call(request.body, wanted["call"])
        else:
            return None
        item = {"type": "function_call", "id": self.owner.new_id("fc"), **base, "name": name}
        return {**item, "arguments": self.owner.say(arguments)}

    def _reasoning(self, index: int) -> None:
        text = self.owner.say("**Thinking** about it")
        item = {
            "type": "reasoning",
            "id": self.owner.new_id("rs"),
            "summary": [{"type": "summary_text", "text": text}],
            "encrypted_content": ENCRYPTED_REASONING,
        }
        where = {"item_id": item["id"], "output_index": index, "summary_index": 0}
        self._event("response.output_item.added", output_index=index, item={**item, "summary": []})
        self._event("response.reasoning_summary_part.added", **where, part={"type": "summary_text", "text": ""})
        self._event("response.reasoning_summary_text.delta", **where, delta=text)
        self._event("response.output_item.done", output_index=index, item=item)

    def _message(self, index: int, text: str) -> None:
        self.owner.say(text)
        item = {"type": "message", "id": self.owner.new_id("msg"), "role": "assistant"}
        self._event("response.output_item.added", output_index=index, item={**item, "content": []})
        where = {"item_id": item["id"], "output_index": index, "content_index": 0}
        half = len(text) // 2
        for part in (text[:half], text[half:]):
            self._event("response.output_text.delta", **where, delta=part)
        content = [{"type": "output_text", "text": text, "annotations": []}]
        self._event("response.output_item.done", output_index=index, item={**item, "content": content})


def _namespace(body: JsonObject, name: str) -> JsonObject:
    """The ``namespace`` member of a call of tool ``name``, or nothing when the tool stands by itself."""
    for group in body.get("tools") or []:
        if group.get("type") == "namespace" and any(tool.get("name") == name for tool in group.get("tools") or []):
            return {"namespace": group["name"]}
    return {}


def _shell_call(body: JsonObject, command: str) -> tuple[str, str]:
    """Name and arguments of a call that runs ``command`` with whichever shell tool the binary offers."""
    tools = {tool.get("name") for tool in body.get("tools") or [] if isinstance(tool, dict)}
    if "exec_command" in tools:
        return "exec_command", json.dumps({"cmd": command})
    if "shell_command" in tools:
        return "shell_command", json.dumps({"command": command})
    return "shell", json.dumps({"command": ["bash", "-lc", command]})


def _final_text(prompt: str, wanted: dict[str, str]) -> str:
    """The text of the final message; a prompt that is long (so not a test's own) is not repeated."""
    if "say" in wanted:
        return wanted["say"]
    if wanted.get("size"):
        size = int(wanted["size"])
        return ("lorem ipsum " * (size // 12 + 1))[:size]
    said = _DIRECTIVE.sub("", prompt).strip()
    return f"mock answer to: {said}" if len(said) <= 80 else "mock answer"
