"""Words of a command as one line that a shell reads back as the same words.

The quoting is that of the server (0.169.0 observed, on every ASCII character and some 20,000 random words).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NUL_COMMAND", "shell_command", "shell_word"]

NUL_COMMAND: Final = "(a command that holds a NUL)"
"""Shown instead of a command that no shell can be given. The server has a fixed text of its own here."""

_BARE: Final = re.compile(r"[A-Za-z0-9+\-./:@\]_]*")
_SINGLE: Final = re.compile(r"\^?[^'\\^]*")
_PIECE: Final = re.compile(rf"(?=({_BARE.pattern}))(?=({_SINGLE.pattern}))([^`$!^]*)")
"""How far each of the three ways goes from one place."""
_IN_DOUBLE: Final = re.compile(r'(["\\])')


def shell_command(words: Sequence[str]) -> str:
    """``words`` quoted where a shell needs it, joined by one space; empty for no words.

    A NUL anywhere gives `NUL_COMMAND`, whose wording is ours and not the server's.
    """
    line = " ".join([shell_word(word) for word in words])
    return NUL_COMMAND if "\0" in line else line


def shell_word(word: str) -> str:
    r"""One word.

    It is cut into the longest pieces that one way of quoting holds: none, single quotes, double quotes, in this order
    where several hold as much. Single quotes hold no ``'``, no ``\``, and ``^`` only at the start of the piece; double
    quotes hold no backtick, ``$``, ``!`` or ``^``. A piece that starts with ``^`` only fits single quotes.
    """
    if _BARE.fullmatch(word):
        return word or "''"
    if _SINGLE.fullmatch(word):
        return f"'{word}'"
    pieces = []
    start = 0
    while start < len(word):
        match = _PIECE.match(word, start)
        assert match is not None, "every part of the pattern matches the empty text"
        bare, single, double = match.end(1), match.end(2), match.end(3)
        end = max(bare, single, double)
        piece = word[start:end]
        if end == bare:
            pieces.append(piece)
        elif end == single:
            pieces.append(f"'{piece}'")
        else:
            pieces.append('"' + _IN_DOUBLE.sub(r"\\\1", piece) + '"')
        start = end
    return "".join(pieces)
