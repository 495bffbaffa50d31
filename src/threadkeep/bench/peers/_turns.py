"""The turns that every library is given: a question, a tool call, its output and an answer, the same bytes for all."""

from __future__ import annotations

import random
from typing import Final, NamedTuple

__all__ = ["ANSWER", "MESSAGES", "OUTPUT", "QUESTION", "TOOL", "Turn", "made_turn"]

QUESTION: Final = 300
OUTPUT: Final = 4_000
ANSWER: Final = 1_500
"""Characters of each text."""

MESSAGES: Final = 4
"""Messages of a turn."""

TOOL: Final = "read_file"

_WORDS: Final = (
    "a thread is kept as a sequence of turns and every turn has a question then a call of a tool with an output that "
    "is longer than all else and an answer which the next call of a model starts with together with what came before it"
).split()


class Turn(NamedTuple):
    """One exchange.

    Attributes:
        number: Its place, from 0.
        question: What the user said.
        call_id: The tool call's id.
        path: The call's one argument.
        output: What the tool returned.
        answer: What the assistant said.
    """

    number: int
    question: str
    call_id: str
    path: str
    output: str
    answer: str

    @property
    def texts(self) -> tuple[str, str, str, str]:
        """The text of each message; the call's is its path."""
        return self.question, self.path, self.output, self.answer


def made_turn(number: int) -> Turn:
    """The turn of that number."""
    return Turn(
        number,
        _text(f"Question {number}: ", QUESTION, number),
        f"call_{number:08}",
        f"src/module_{number:08}.py",
        _text("", OUTPUT, number),
        _text(f"Answer {number}: ", ANSWER, number),
    )


def _text(opening: str, size: int, number: int) -> str:
    chance = random.Random(number * 10_000 + size)  # noqa: S311 - made-up text
    return (opening + " ".join(chance.choices(_WORDS, k=size // 3)))[:size]
