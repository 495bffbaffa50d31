"""``threadkeep app-server``: where the process starts.

Over stdio ``initialize`` is answered before the server is loaded: a client waits for the start of Python and this
module, not for what the answer does not need. Only then the server is loaded and goes on with everything else that was
read. Arguments that say anything but "serve stdio" take the way of every command, through click.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Final

__all__ = ["COMMAND", "main", "overrides", "rearranged", "serve_stdio"]

COMMAND: Final = "app-server"

_FIRST_READ: Final = 64 * 1024
"""Bytes within which the first message must end to be answered early."""

_BEFORE: Final = {"--home": True, "-c": True, "--config": True, "--debug": False}
"""Options that may stand before the command, and whether a value follows them."""


def main(arguments: Sequence[str]) -> int | None:
    """Serve stdio, where the arguments of the process say no more than that.

    Args:
        arguments: Those of the process, without its name.

    Returns:
        The exit code; None where the arguments need click: for another command, another transport, help, a mistake.
    """
    plain = _plain(arguments)
    if plain is None:
        return None
    home, overrides = plain
    return serve_stdio(home, overrides)


def rearranged(arguments: Sequence[str]) -> list[str]:
    """The arguments with each ``--config`` behind the command, where it is one of the command's options.

    Clients put them before it: ``[--config KEY=VALUE]... app-server --listen stdio://``. Arguments of another command
    stay as they are.
    """
    place = _command(arguments)
    if place is None:
        return list(arguments)
    before: list[str] = []
    behind: list[str] = []
    words = iter(arguments[:place])
    for word in words:
        name, _, inline = word.partition("=")
        option = [word, next(words)] if _BEFORE[name] and not inline else [word]
        (behind if name in ("-c", "--config") else before).extend(option)
    return [*before, COMMAND, *behind, *arguments[place + 1 :]]


def overrides(given: Sequence[str]) -> list[tuple[str, str]] | None:
    """``KEY=VALUE`` texts as keys and values; None where one of them has no key or no value."""
    pairs = [tuple(part.strip() for part in text.split("=", 1)) for text in given]
    if any(len(pair) != 2 or not pair[0] for pair in pairs):
        return None
    return [(key, value) for key, value in pairs]


def serve_stdio(home: str, overrides: Sequence[tuple[str, str]]) -> int:
    """Serve the client at standard input and output until it leaves, and return the exit code."""
    try:
        source, sink = _own_streams()
    except OSError as error:
        sys.stderr.write(f"threadkeep app-server: standard input and output are needed: {error.strerror}\n")
        return 1
    received, handshake = _answer_first(source, sink, home)
    from threadkeep.appserver import _stdio
    from threadkeep.appserver._server import Server

    return _stdio.serve(Server(home, overrides=overrides), source, sink, received=received, handshake=handshake)


def _plain(arguments: Sequence[str]) -> tuple[str, list[tuple[str, str]]] | None:
    """Home and overrides, where nothing but these and stdio is asked for."""
    if _command(arguments) is None:
        return None
    from threadkeep.cli._home import find_home

    home: str | None = None
    given: list[str] = []
    words = iter(rearranged(arguments))
    for word in words:
        name, inline, value = word.partition("=")
        if word in (COMMAND, "--stdio"):
            continue
        if name not in ("--home", "-c", "--config", "--listen"):
            return None
        value = value if inline else next(words, "")
        if name == "--home":
            home = value
        elif name != "--listen":
            given.append(value)
        elif value != "stdio://":
            return None
    pairs = overrides(given)
    if pairs is None or home == "":
        return None
    found = find_home(home, os.environ)
    return None if os.path.lexists(found) and not os.path.isdir(found) else (found, pairs)


def _command(arguments: Sequence[str]) -> int | None:
    """The place of the command among the arguments; None where they are another command's."""
    place = 0
    while place < len(arguments):
        word = arguments[place]
        name, inline, _ = word.partition("=")
        if word == COMMAND:
            return place
        if name not in _BEFORE:
            return None
        place += 2 if _BEFORE[name] and not inline else 1
    return None


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
    try:
        os.write(sink, answer + b"\n")
    except BrokenPipeError:
        return b"", None  # whoever asked is gone
    return rest, params
