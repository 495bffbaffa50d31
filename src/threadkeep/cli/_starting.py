"""The arguments that ``threadkeep app-server`` is started with, as far as they can be read without click.

A client waits for the start of the process. The arguments that clients pass are few and plain; any other take the way
of every command.
"""

from __future__ import annotations

import os

from threadkeep.cli._home import find_home

TYPE_CHECKING = False  # as `typing` has it, which there is no time for
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

__all__ = ["COMMAND", "overrides", "plain", "rearranged"]

COMMAND: Final = "app-server"

_BEFORE: Final = {"--home": True, "-c": True, "--config": True, "--debug": False}
"""Options that may stand before the command, and whether a value follows them."""
_PLAIN: Final = (("--home", "-c", "--config"), ("--listen", "-c", "--config"))
"""Options with a value that `plain` knows before the command, and behind it."""


def plain(arguments: Sequence[str]) -> tuple[str, list[tuple[str, str]]] | None:
    """What is needed to serve stdio, where the arguments say no more than that.

    Args:
        arguments: Those of the process, without its name.

    Returns:
        The home and the overrides; None where the arguments need click: for another command, another transport, help,
        a mistake.
    """
    place = _command(arguments)
    if place is None:
        return None
    home: str | None = None
    given: list[str] = []
    for behind, part in enumerate((arguments[:place], arguments[place + 1 :])):
        words = iter(part)
        for word in words:
            if behind and word == "--stdio":
                continue
            name, inline, value = word.partition("=")
            if name not in _PLAIN[behind] or (inline and name == "-c"):
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
        name, inline, _ = word.partition("=")
        option = [word, next(words)] if _BEFORE[name] and not inline else [word]
        (behind if name in ("-c", "--config") else before).extend(option)
    return [*before, COMMAND, *behind, *arguments[place + 1 :]]


def overrides(given: Sequence[str]) -> list[tuple[str, str]] | None:
    """``KEY=VALUE`` texts as keys and values; None where one of them has no key or no value."""
    pairs = [tuple(part.strip() for part in text.split("=", 1)) for text in given]
    if any(len(pair) != 2 or not pair[0] for pair in pairs):
        return None
    return [(key, value) for key, value in pairs]


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
