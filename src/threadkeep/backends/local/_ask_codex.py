"""Changes that Codex must make itself: asked of the installed ``codex app-server``, one process a change.

The home's path is handed over in ``CODEX_HOME``; nothing else of the environment is changed. Requests go over standard
input and answers come over standard output, one JSON object a line; what the server tells besides is passed over.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep import _version
from threadkeep.errors import CodexOwned, StorageFailure, ThreadBusy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["PROGRAM", "ask_codex", "installed_codex"]

PROGRAM: Final = "THREADKEEP_CODEX"
"""Environment variable that names the Codex executable; without it the one on the search path is taken."""

_SECONDS: Final = 60.0
_MOST_BYTES: Final = 64 * 1024 * 1024
_BUSY: Final = "already has an active writer"


class _Error(msgspec.Struct):
    code: int = 0
    message: str = ""


class _Answer(msgspec.Struct):
    id: int | str | None = None
    method: str | None = None
    error: _Error | None = None


def installed_codex() -> str | None:
    """The Codex executable; None where none is installed."""
    named = os.environ.get(PROGRAM)
    return shutil.which(named) if named else shutil.which("codex")


def ask_codex(home: str, thread_id: str, requests: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Have Codex carry out requests, in order, each after the one before was answered.

    Args:
        home: The Codex home.
        thread_id: The thread concerned, for messages.
        requests: Method and parameters of each.

    Raises:
        CodexOwned: No Codex is installed, or it refused.
        ThreadBusy: Another process is writing to the thread.
        StorageFailure: Codex did not answer.
    """
    program = installed_codex()
    if program is None:
        raise CodexOwned(
            f"Codex has indexed thread {thread_id}, so Codex must make this change, and no `codex` is installed "
            f"({PROGRAM} may name one); with `local=True` (`--local`) threadkeep keeps the change to itself",
            thread=thread_id,
        )
    try:
        server = subprocess.Popen(
            [program, "app-server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "CODEX_HOME": home},
            cwd=home,
        )
    except OSError as error:
        raise StorageFailure(f"cannot start Codex: {error.strerror}", thread=thread_id, path=program) from error
    talk = _Talk(server, thread_id)
    try:
        client = {"clientInfo": {"name": "threadkeep", "title": "threadkeep", "version": _version.__version__}}
        talk.request("initialize", client)
        talk.send({"method": "initialized"})
        for method, parameters in requests:
            talk.request(method, parameters)
    finally:
        talk.close()


class _Talk:
    """The lines that go to one server and come back."""

    def __init__(self, server: subprocess.Popen[bytes], thread_id: str) -> None:
        self._server = server
        self._thread_id = thread_id
        self._count = 0
        self._held = b""
        self._deadline = time.monotonic() + _SECONDS
        self._selector = selectors.DefaultSelector()
        assert server.stdout is not None
        self._selector.register(server.stdout, selectors.EVENT_READ)

    def send(self, message: Mapping[str, Any]) -> None:
        assert self._server.stdin is not None
        try:
            self._server.stdin.write(msgspec.json.encode(message) + b"\n")
            self._server.stdin.flush()
        except OSError as error:
            raise self._silent("Codex ended before it answered") from error

    def request(self, method: str, parameters: Mapping[str, Any]) -> None:
        self._count += 1
        self.send({"id": self._count, "method": method, "params": parameters})
        while True:
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                answer = msgspec.json.decode(self._line(), type=_Answer)
                if answer.id == self._count and answer.method is None:
                    break
        if answer.error is not None:
            refusal = f"Codex refused {method}: {answer.error.message}"
            if _BUSY in answer.error.message:
                raise ThreadBusy(refusal, thread=self._thread_id)
            raise CodexOwned(refusal, thread=self._thread_id)

    def _line(self) -> bytes:
        assert self._server.stdout is not None
        while b"\n" not in self._held:
            if not self._selector.select(max(0.0, self._deadline - time.monotonic())):
                raise self._silent(f"Codex did not answer within {_SECONDS:.0f} s")
            more = os.read(self._server.stdout.fileno(), 1 << 16)
            if not more or len(self._held) > _MOST_BYTES:
                raise self._silent("Codex ended before it answered" if not more else "Codex's answer is too long")
            self._held += more
        line, _, self._held = self._held.partition(b"\n")
        return line

    def _silent(self, what: str) -> StorageFailure:
        return StorageFailure(f"{what}; whether the change was made is not known", thread=self._thread_id)

    def close(self) -> None:
        """End the server: it ends when its input does, and is killed when it does not."""
        self._selector.close()
        for stream in (self._server.stdin, self._server.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        try:
            self._server.wait(10)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
