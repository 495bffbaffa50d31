"""A client that drives the real Codex binary over the lines of its standard input and output.

:class:`AppServer` speaks the JSON-RPC of ``codex app-server`` (0.60.1 to 0.169.0), :class:`Proto` the submissions and
events of ``codex proto`` (0.20.0), which was there before it. Both are context managers that end their process, wait
no longer than they were told, and raise what goes wrong::

    ClientError
    +-- RpcError       the server answered a request with an error
    +-- ServerClosed   the process ended while an answer was awaited
    +-- WaitTimeout    nothing that matches came in time (also a TimeoutError)

What came and went is kept, in order, in :attr:`LineProcess.messages`. A wait looks at everything from a mark on, so a
message that came early is not missed::

    with AppServer([binary, "app-server"], home=home, cwd=project) as server:
        server.initialize()
        thread = server.request("thread/start", {"cwd": str(project)})["thread"]["id"]
        mark = server.mark()
        server.request("turn/start", {"threadId": thread, "input": [{"type": "text", "text": "hello"}]})
        server.wait_notification("turn/completed", since=mark)
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, cast

from tests.codex.mock_responses import COMPACT_PROMPT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

JsonObject = dict[str, Any]
"""One JSON object."""

TIMEOUT: Final = 60.0
"""Seconds that a wait lasts at most when nothing else is said."""

_CONFIG: Final = """\
model = "{model}"
model_provider = "mock"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false
compact_prompt = "{compact_prompt}"
{top}
[model_providers.mock]
name = "{provider_name}"
base_url = "{base_url}"
wire_api = "responses"
requires_openai_auth = false
request_max_retries = 0
stream_max_retries = 0
supports_websockets = false
[analytics]
enabled = false
[feedback]
enabled = false
[otel]
exporter = "none"
[features]
plugins = false
apps = false
shell_snapshot = false
{features}
"""


class ClientError(Exception):
    """The root of what this client raises."""


class RpcError(ClientError):
    """The server answered a request with an error."""

    def __init__(self, method: str, error: JsonObject) -> None:
        """Keep the method that failed and the error object of the answer."""
        super().__init__(f"{method}: {error.get('code')} {error.get('message')}")
        self.method = method
        """The method of the request."""
        self.error = error
        """The whole error object."""
        self.code = int(error.get("code", 0))
        """The JSON-RPC error code."""
        self.message = str(error.get("message", ""))
        """The message, for people."""


class ServerClosed(ClientError):
    """The process ended while an answer was awaited."""


class WaitTimeout(ClientError, TimeoutError):
    """Nothing that matches came in time."""


def write_config(
    home: Path,
    base_url: str,
    *,
    model: str = "gpt-5.5",
    provider_name: str = "mock",
    top: str = "",
    features: str = "",
) -> None:
    """Write a ``config.toml`` that keeps Codex off the network, its model at ``base_url``.

    ``top`` are more lines of the top level, ``features`` more lines of ``[features]``, as TOML. No retries: a model
    call that fails ends its turn. Keys that a version does not know are ignored by it (0.20.0 to 0.169.0 observed).
    """
    home.mkdir(parents=True, exist_ok=True)
    text = _CONFIG.format(
        model=model,
        provider_name=provider_name,
        base_url=base_url,
        compact_prompt=COMPACT_PROMPT,
        top=top,
        features=features,
    )
    (home / "config.toml").write_text(text, encoding="utf-8")


def clean_environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a Codex process: nothing of the caller's but ``PATH``, everything personal inside ``home``.

    The time zone is UTC unless ``extra`` has another ``TZ``.
    """
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": str(home),
        "CODEX_HOME": str(home),
        "TZ": "UTC",
        "LANG": "C.UTF-8",
        "SHELL": "/bin/bash",
        "USER": "me",
        "RUST_LOG": "error",
        "NO_COLOR": "1",
        **(extra or {}),
    }


@dataclass(frozen=True)
class Message:
    """One line that came from the process or went to it."""

    outgoing: bool
    """Whether this client sent it."""
    seconds: float
    """When, in seconds since the process was started."""
    size: int
    """Its length in bytes, the newline included."""
    body: JsonObject
    """The decoded object; ``{"raw": text}`` for a line that is none."""


class LineProcess:
    """A process that speaks one JSON object per line in both directions."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        home: Path,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        stderr: Path | None = None,
    ) -> None:
        """Start ``command`` in its own process group with :func:`clean_environment`.

        ``env`` adds to the environment; ``stderr`` is a file that its standard error is appended to (else dropped).
        """
        self._started = time.monotonic()
        self._messages: list[Message] = []
        self._changed = threading.Condition()
        self._ended = False
        errors = stderr.open("ab") if stderr is not None else None
        try:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors if errors is not None else subprocess.DEVNULL,
                cwd=cwd,
                env=clean_environment(home, env),
                start_new_session=True,
            )
        finally:
            if errors is not None:
                errors.close()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        """Nothing more to do: the process runs since the constructor."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process, by :meth:`close` or, after an error, by :meth:`kill`."""
        if error is None:
            self.close()
        else:
            self.kill()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, or None while it runs; negative for a signal."""
        return self._process.poll()

    @property
    def messages(self) -> list[Message]:
        """Everything that came and went so far, in order (a copy)."""
        with self._changed:
            return list(self._messages)

    def mark(self) -> int:
        """The place in :attr:`messages` where the next message will stand: the ``since`` of a later wait."""
        with self._changed:
            return len(self._messages)

    def send_line(self, line: bytes) -> None:
        """Write ``line`` as it is (end it with a newline). Raises :class:`ServerClosed` when nobody reads."""
        body = _decode(line)
        with self._changed:
            self._messages.append(Message(True, time.monotonic() - self._started, len(line), body))
        stream = self._process.stdin
        try:
            if stream is None:
                raise BrokenPipeError
            stream.write(line)
            stream.flush()
        except (OSError, ValueError) as error:
            raise ServerClosed(self._ending()) from error

    def send(self, body: JsonObject) -> None:
        """Write one object as a line."""
        self.send_line(json.dumps(body, ensure_ascii=False).encode() + b"\n")

    def wait(self, matches: Callable[[JsonObject], bool], *, since: int = 0, timeout: float = TIMEOUT) -> JsonObject:
        """The first incoming object at or after the mark ``since`` for which ``matches`` holds.

        Raises :class:`WaitTimeout` after ``timeout`` seconds, :class:`ServerClosed` when the process ended.
        """
        deadline = time.monotonic() + timeout
        place = since
        with self._changed:
            while True:
                while place < len(self._messages):
                    message = self._messages[place]
                    place += 1
                    if not message.outgoing and matches(message.body):
                        return message.body
                if self._ended:
                    raise ServerClosed(self._ending())
                left = deadline - time.monotonic()
                if left <= 0:
                    last = [str(message.body.get("method", "")) for message in self._messages[-5:]]
                    raise WaitTimeout(f"nothing that matches in {timeout} s; the last messages: {last}")
                self._changed.wait(left)

    def settle(self, quiet: float = 0.3, timeout: float = 5.0) -> None:
        """Wait until nothing has come for ``quiet`` seconds, for at most ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while time.monotonic() < deadline:
                if not self._changed.wait(quiet):
                    return

    def close(self, timeout: float = 20.0) -> int:
        """Close its input, wait until it ends (kill it after ``timeout`` seconds) and return the exit status."""
        if self._process.stdin is not None:
            # It may have ended by itself: what it did not read does not matter any more.
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return self.kill()
        return self._reap()

    def kill(self) -> int:
        """End it and its children by SIGKILL, as a crash does, and return the exit status."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(60)
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        return self._reap()

    def _reap(self) -> int:
        self._reader.join(5)
        if self._process.stdout is not None and not self._reader.is_alive():
            self._process.stdout.close()
        return self._process.returncode

    def _ending(self) -> str:
        return f"the process has closed its output, exit status {self._process.poll()}"

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            body = _decode(line)
            with self._changed:
                self._messages.append(Message(False, time.monotonic() - self._started, len(line), body))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class AppServer(LineProcess):
    """A ``codex app-server`` on stdio."""

    _next_id = 0

    def initialize(self, name: str = "threadkeep-tests", *, experimental: bool = True) -> JsonObject:
        """Make the handshake and return the answer; ``experimental`` asks for the experimental API."""
        answer = self.request(
            "initialize",
            {
                "clientInfo": {"name": name, "title": "threadkeep tests", "version": "0.0.1"},
                "capabilities": {"experimentalApi": experimental},
            },
        )
        self.notify("initialized")
        return answer

    def notify(self, method: str, params: JsonObject | None = None) -> None:
        """Send a notification."""
        self.send({"method": method} if params is None else {"method": method, "params": params})

    def start_request(self, method: str, params: JsonObject | None = None) -> int:
        """Send a request and return its id, for :meth:`response`."""
        self._next_id += 1
        body: JsonObject = {"id": self._next_id, "method": method}
        if params is not None:
            body["params"] = params
        self.send(body)
        return self._next_id

    def response(self, request_id: int, *, method: str = "?", since: int = 0, timeout: float = TIMEOUT) -> JsonObject:
        """The result of the request ``request_id``. Raises :class:`RpcError` when the answer is an error."""
        answer = self.wait(
            lambda body: body.get("id") == request_id and "method" not in body, since=since, timeout=timeout
        )
        if "error" in answer:
            raise RpcError(method, answer["error"])
        return cast("JsonObject", answer["result"])

    def request(self, method: str, params: JsonObject | None = None, *, timeout: float = TIMEOUT) -> JsonObject:
        """Send a request and return its result. Raises :class:`RpcError` when the answer is an error."""
        mark = self.mark()
        return self.response(self.start_request(method, params), method=method, since=mark, timeout=timeout)

    def wait_notification(
        self,
        method: str,
        where: Callable[[JsonObject], bool] = lambda params: True,
        *,
        since: int = 0,
        timeout: float = TIMEOUT,
    ) -> JsonObject:
        """The ``params`` of the first notification ``method`` at or after ``since`` for which ``where`` holds."""
        body = self.wait(
            lambda body: body.get("method") == method and "id" not in body and where(body.get("params") or {}),
            since=since,
            timeout=timeout,
        )
        return cast("JsonObject", body.get("params") or {})

    def wait_request(self, method: str, *, since: int = 0, timeout: float = TIMEOUT) -> JsonObject:
        """The first request ``method`` that the server sent at or after ``since``, whole, for :meth:`respond`."""
        return self.wait(lambda body: body.get("method") == method and "id" in body, since=since, timeout=timeout)

    def respond(self, request: JsonObject, result: JsonObject) -> None:
        """Answer a request of the server."""
        self.send({"id": request["id"], "result": result})

    def start_turn(self, thread_id: str, text: str, **params: object) -> str:
        """Start a turn with one text and return its id, without waiting for its end."""
        request = {"threadId": thread_id, "input": [{"type": "text", "text": text}], **params}
        return str(self.request("turn/start", request)["turn"]["id"])

    def run_turn(self, thread_id: str, text: str, *, timeout: float = TIMEOUT, **params: object) -> JsonObject:
        """Run a turn with one text to its end, whatever that is, and return the turn of ``turn/completed``."""
        mark = self.mark()
        turn_id = self.start_turn(thread_id, text, **params)
        done = self.wait_notification(
            "turn/completed", lambda params: params["turn"]["id"] == turn_id, since=mark, timeout=timeout
        )
        return cast("JsonObject", done["turn"])


class Proto(LineProcess):
    """A ``codex proto`` process (0.20.0): submissions in, events out."""

    _next_id = 0

    def submit(self, kind: str, **members: object) -> str:
        """Send a submission of the operation ``kind`` and return its id."""
        self._next_id += 1
        submission_id = str(self._next_id)
        self.send({"id": submission_id, "op": {"type": kind, **members}})
        return submission_id

    def user_input(self, text: str) -> str:
        """Submit one text and return the submission's id, without waiting."""
        return self.submit("user_input", items=[{"type": "text", "text": text}])

    def wait_event(self, *kinds: str, since: int = 0, timeout: float = TIMEOUT) -> JsonObject:
        """The ``msg`` of the first event at or after ``since`` whose type is one of ``kinds``."""
        body = self.wait(lambda body: (body.get("msg") or {}).get("type") in kinds, since=since, timeout=timeout)
        return cast("JsonObject", body["msg"])

    def run_turn(self, text: str, *, timeout: float = TIMEOUT) -> JsonObject:
        """Submit one text and wait for the end of its task: the event that ended it."""
        mark = self.mark()
        self.user_input(text)
        return self.wait_event("task_complete", "error", "turn_aborted", since=mark, timeout=timeout)


def _decode(line: bytes) -> JsonObject:
    """The object on ``line``, or one with its text as ``raw``."""
    try:
        body = json.loads(line)
    except ValueError:
        body = None
    return body if isinstance(body, dict) else {"raw": line.decode("utf-8", "replace")}
