"""``threadkeep app-server``: where the process starts.

Over stdio ``initialize`` is answered before the server is loaded: a client waits for the start of Python and this
module, not for what the answer does not need. Only then the server is loaded and goes on with everything else that was
read.
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Final

__all__ = ["serve_stdio"]

_FIRST_READ: Final = 64 * 1024
"""Bytes within which the first message must end to be answered early."""

_ATOMIC: Final = 512
"""Bytes that a pipe takes as a whole or not at all, everywhere (POSIX)."""


def serve_stdio(home: str, overrides: Sequence[tuple[str, str]]) -> int:
    """Serve the client at standard input and output until it leaves, and return the exit code."""
    try:
        source, sink = _own_streams()
    except OSError as error:
        sys.stderr.write(f"threadkeep app-server: standard input and output are needed: {error.strerror}\n")
        return 1
    gc.disable()  # nothing of the start is garbage; the server takes it up again when everything is loaded
    received, handshake = _answer_first(source, sink, home)
    from threadkeep.appserver import _stdio

    _load_msgspec()
    from threadkeep.appserver._server import Server

    server = Server(home, overrides=overrides)
    wrong = server.wrong_overrides()
    if wrong is not None:
        _stdio.say(wrong)
        return 1
    return _stdio.serve(server, source, sink, received=received, handshake=handshake)


def _load_msgspec() -> None:
    """Load msgspec without `typing_extensions`, which it loads where it is there and which takes longer than itself.

    It asks it for nothing that `typing` has not had since Python 3.11, and who needs it later loads it as ever.
    """
    with_it = "typing_extensions" in sys.modules
    if not with_it:
        sys.modules["typing_extensions"] = None  # type: ignore[assignment]  # importing it fails
    try:
        import msgspec  # noqa: F401
    finally:
        if not with_it:
            del sys.modules["typing_extensions"]


def _own_streams() -> tuple[int, int]:
    """Standard input and output as descriptors that nobody else knows.

    What anything prints goes to standard error from now on, and what reads standard input finds its end: between
    client and server there is nothing but the protocol.
    """
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    try:
        os.dup2(2, 1)
    except OSError:  # there is no standard error
        os.dup2(nothing, 1)
    os.close(nothing)
    return source, sink


def _answer_first(source: int, sink: int, home: str) -> tuple[bytes, dict[str, Any] | None]:
    """Read the first message, and answer it if it is an ``initialize`` without any doubt.

    Returns:
        What was read and not answered, and the parameters of what was.
    """
    received = b""
    while b"\n" not in received and len(received) < _FIRST_READ:
        try:
            chunk = os.read(source, _FIRST_READ)
        except BlockingIOError:
            import select

            select.select([source], [], [])
            continue
        if not chunk:
            break
        received += chunk
    line, newline, rest = received.partition(b"\n")
    if not newline:
        return received, None
    from threadkeep.appserver import _handshake

    early = _handshake.answered_early(line, home)
    if early is None:
        return received, None
    params, answer = early
    if len(answer) >= _ATOMIC:
        return received, None
    try:
        os.write(sink, answer + b"\n")
    except OSError:  # nobody reads, or not now: the server knows what to do
        return received, None
    return rest, params
