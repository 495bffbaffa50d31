"""A server process over raw pipes: one request at a time, timed to the last byte of its answer.

What comes is read in large pieces and looked at no further than to its newlines: decoding an answer would be time of
the client's, not of the server's.
"""

from __future__ import annotations

import collections
import contextlib
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["UNREADABLE", "Answer", "Failed", "ServerProcess", "memory_of"]

CHUNK: Final = 1 << 20
"""Bytes asked of the pipe at once."""

_HEAD: Final = 4096
"""Bytes that are kept of a line: enough to know whose answer it is, and whether it is an error."""

_HEARD: Final = 64

_PATIENCE_SECONDS: Final = 300.0
"""After this long without its answer the server is ended."""

_IDLE_SECONDS: Final = 0.15
"""A process that used no tick of processor time for this long is idle."""

_IDLE_MOST_SECONDS: Final = 60.0


UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What decoding an answer raises that has not the form of one."""


class Failed(Exception):
    """The server ended, or answered nothing in time."""


class Answer(NamedTuple):
    """One answer, as far as it is kept.

    Attributes:
        ms: Milliseconds from before its request was written until its last byte was read.
        size: Its bytes, the newline included.
        error: What the server said where it refused; None for a result.
        line: Its first bytes, or all of it where that was asked for.
    """

    ms: float
    size: int
    error: str | None
    line: bytes = b""


class _Error(msgspec.Struct):
    message: str


class _ErrorLine(msgspec.Struct):
    error: _Error


class ServerProcess:
    """A server that was just started; a context manager that ends it.

    Attributes:
        heard: The first bytes of the newest lines that were no answers.

    Args:
        command: What to run.
        env: Its whole environment.
        cwd: Its working directory.
        errors: File that its standard error goes to.
        listening: Whether it serves a socket: such a server is ended by a signal, not by the end of its input.
    """

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], *, cwd: str, errors: str, listening: bool = False
    ) -> None:
        self._errors = errors
        self._listening = listening
        self._ids = 0
        self._rest = b""
        self.heard: collections.deque[bytes] = collections.deque(maxlen=_HEARD)
        with open(errors, "wb") as stderr:
            self.started_ns = time.perf_counter_ns()
            self._process = subprocess.Popen(
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=env,
                cwd=cwd,
                start_new_session=True,
            )
        assert self._process.stdin is not None, "it is a pipe"
        assert self._process.stdout is not None, "it is a pipe"
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def initialize(self) -> Answer:
        """Make the handshake; the milliseconds are those since before the process was started."""
        answer = self.request(
            "initialize",
            {
                "clientInfo": {"name": "threadkeep-bench", "title": None, "version": "1"},
                "capabilities": {"experimentalApi": True},
            },
            since_ns=self.started_ns,
        )
        self._write(b'{"method":"initialized"}\n')
        return answer

    def request(
        self, method: str, params: Mapping[str, Any], *, since_ns: int | None = None, whole: bool = False
    ) -> Answer:
        """Ask, and wait for the answer.

        Args:
            method: The method.
            params: Its parameters.
            since_ns: From when on the time counts, by ``perf_counter_ns``; None for from now on.
            whole: Whether all of the answer is kept.

        Raises:
            Failed: The process ended, or answered nothing in time.
        """
        self._ids += 1
        line = msgspec.json.encode({"id": self._ids, "method": method, "params": params}) + b"\n"
        guard = threading.Timer(_PATIENCE_SECONDS, self._process.kill)
        guard.start()
        try:
            started = time.perf_counter_ns() if since_ns is None else since_ns
            self._write(line)
            head, size = self._answer(b'{"id":%d,' % self._ids, sys.maxsize if whole else _HEAD)
            ended = time.perf_counter_ns()
        finally:
            guard.cancel()
        return Answer((ended - started) / 1e6, size, _error(head[:_HEAD]), head)

    def idle(self) -> None:
        """Wait until the process uses no processor time, for a minute at most; a moment where that cannot be seen."""
        deadline = time.monotonic() + _IDLE_MOST_SECONDS
        used = _processor_time(self.pid)
        while time.monotonic() < deadline:
            time.sleep(_IDLE_SECONDS)
            before, used = used, _processor_time(self.pid)
            if used == before:
                return

    def close(self) -> None:
        """Close its input, or tell it to end, and wait until it does; kill it where it does not."""
        if self._listening:
            self._process.terminate()
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]  # it is a pipe
        guard = threading.Timer(10.0, self._process.kill)
        guard.start()
        try:
            with contextlib.suppress(OSError):
                while os.read(self._out, CHUNK):  # what it still says must not keep it from ending
                    pass
            self._process.wait()
        finally:
            guard.cancel()
            self._process.stdout.close()  # type: ignore[union-attr]  # it is a pipe

    def _write(self, line: bytes) -> None:
        try:
            left = memoryview(line)
            while left:
                left = left[os.write(self._in, left) :]
        except OSError as error:
            raise Failed(self._ending()) from error

    def _answer(self, opening: bytes, most: int) -> tuple[bytes, int]:
        """(at most so many first bytes, the size) of the next line that is the answer to the newest request."""
        while True:
            head, size = self._line(most)
            # One request is open at a time: what has no method is its answer. An error may come before its id.
            if head.startswith(opening) and not head.startswith(opening + b'"method"'):
                return head, size
            if head.startswith((b'{"error":', b'{"result":')):
                return head, size
            self.heard.append(head[:_HEAD])

    def _line(self, most: int) -> tuple[bytes, int]:
        """(at most so many first bytes, the size) of the next line."""
        head, size, chunk = bytearray(), 0, self._rest
        while True:
            cut = chunk.find(b"\n")
            piece = len(chunk) if cut < 0 else cut + 1
            if len(head) < most:
                head += chunk[: min(piece, most)]
            size += piece
            if cut >= 0:
                self._rest = chunk[piece:]
                return bytes(head), size
            chunk = os.read(self._out, CHUNK)
            if not chunk:
                raise Failed(self._ending())

    def _ending(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        with open(self._errors, "rb") as file:
            said = file.read()[-_HEAD:].decode("utf-8", "replace").strip()
        return f"the server ended with {self._process.returncode}: {said.splitlines()[-1] if said else 'said nothing'}"


def _error(head: bytes) -> str | None:
    """What the answer says went wrong."""
    if b'"error":' not in head[:64] and not head.startswith(b'{"error"'):
        return None
    try:
        return msgspec.json.decode(head, type=_ErrorLine).error.message
    except UNREADABLE:
        return head[:200].decode("utf-8", "replace")


def _processor_time(pid: int) -> str | None:
    """How much processor time a process used so far, in ticks of the system; None where it does not say."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return " ".join(file.read().rsplit(")", 1)[1].split()[11:13])
    except OSError:
        return None


def memory_of(pid: int) -> tuple[int | None, int | None]:
    """(bytes that a process has resident, the most that it had); None where the system does not say."""
    now = most = None
    with contextlib.suppress(OSError, ValueError), open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                now = int(line.split()[1]) * 1024
            elif line.startswith("VmHWM:"):
                most = int(line.split()[1]) * 1024
    return now, most
