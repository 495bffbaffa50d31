"""A store of threads as anybody would explain it: each thread is a list of what was said, and nothing is shared."""

from __future__ import annotations

from typing import Any, NamedTuple

Json = dict[str, Any]

MARK = "<turn_aborted>"
"""Stands for what the model is told of an interruption."""


class Told(NamedTuple):
    """What a record changed in the model context: ``texts`` are added, or take the place of all that was."""

    texts: tuple[str, ...]
    anew: bool = False


class Turn(NamedTuple):
    """One turn.

    Attributes:
        id: Its id.
        said: What the user said.
        answers: What was answered.
        status: How it ended; ``interrupted`` as long as it did not.
        told: What the model is told of it.
        ended: Whether it ended.
    """

    id: str
    said: str
    answers: tuple[str, ...] = ()
    status: str = "interrupted"
    told: tuple[Told, ...] = ()
    ended: bool = False

    def with_told(self, told: Told) -> Turn:
        return self._replace(told=(*self.told, told))

    def answered(self, text: str) -> Turn:
        return self._replace(answers=(*self.answers, text)).with_told(Told((text,)))

    def interrupted(self) -> Turn:
        return self._replace(ended=True, status="interrupted").with_told(Told((MARK,)))


class Thread(NamedTuple):
    """One thread: its turns, oldest first."""

    turns: tuple[Turn, ...] = ()

    def with_turn(self, turn: Turn) -> Thread:
        """With this turn as its last one: the same turn as it was before, or a new one."""
        kept = self.turns[:-1] if self.turns and self.turns[-1].id == turn.id else self.turns
        return Thread((*kept, turn))

    def forked(self, through: int | None = None, before: int | None = None) -> Thread:
        """A child that begins there; a turn that did not end there ends there for the child, but not before it."""
        if before is not None:
            return Thread(self.turns[:before])
        turns = self.turns if through is None else self.turns[: through + 1]
        if turns and not turns[-1].ended:
            turns = (*turns[:-1], turns[-1].interrupted())
        return Thread(turns)

    @property
    def context(self) -> list[str]:
        """What the next model call starts with."""
        texts: list[str] = []
        for told in (told for turn in self.turns for told in turn.told):
            texts = [*([] if told.anew else texts), *told.texts]
        return texts

    @property
    def shown(self) -> list[Json]:
        """What a person sees, oldest first."""
        return [
            {"id": turn.id, "said": turn.said, "answers": list(turn.answers), "status": turn.status}
            for turn in self.turns
        ]
