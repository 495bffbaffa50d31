"""What a thread holds, as far as it is known: a list of entries, each sure or not, and what was found beside them."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["END", "KEPT", "Broken", "Entries", "Entry", "before", "fitting", "said", "telling", "through"]

END: Final = "/"
"""Begins the entry that stands for a turn's end; the rest is what the user said in it."""

KEPT: Final = "kept:"
"""Begins the entry that stands for a checkpoint: the one text that the model context goes on with."""


class Broken(AssertionError):
    """A promise was broken: what was found cannot be, whatever happened to what was not acknowledged."""


class Entry(NamedTuple):
    """One thing that a thread holds.

    A text is several records, one for people and one for the model: of one that was not acknowledged both may be
    there, or either, or none.

    Attributes:
        text: What was said; no two of a thread are the same.
        turn: What the user said in its turn, by which the turn is known.
        shows: Whether a person sees it; None where nobody knows.
        tells: Whether the model is told of it; None where nobody knows.
    """

    text: str
    turn: str
    shows: bool | None = None
    tells: bool | None = None

    @property
    def for_people(self) -> bool:
        """Whether a person ever sees such: a checkpoint is for the model alone."""
        return not self.text.startswith(KEPT)

    @property
    def for_models(self) -> bool:
        """Whether a model is ever told of such: the end of a turn is for people alone."""
        return not self.text.startswith(END)

    @property
    def may_be_there(self) -> bool:
        """Whether it is there, or may be: what a checkpoint hides from the model, a fork before it tells again."""
        return bool(self.shows or self.tells or (self.for_models and self.tells is None))


Entries = tuple[Entry, ...]


def through(entries: Entries, turn: str) -> Entries | None:
    """Up to the end of a turn; None where it is not there."""
    places = [place for place, entry in enumerate(entries) if entry.turn == turn]
    return entries[: places[-1] + 1] if places else None


def before(entries: Entries, turn: str) -> Entries | None:
    """Up to the beginning of a turn; None where it is not there."""
    places = [place for place, entry in enumerate(entries) if entry.turn == turn]
    return entries[: places[0]] if places else None


def fitting(entries: Entries, found: list[str]) -> Entries | None:
    """The entries, with what is known of them when these texts are shown; None where these cannot be."""
    place = 0
    known = []
    for entry in entries:
        if not entry.for_people or entry.shows is False:
            known.append(entry)
        elif place < len(found) and found[place] == entry.text:
            known.append(entry._replace(shows=True))
            place += 1
        elif entry.shows:
            return None
        else:
            known.append(entry._replace(shows=False))
    return tuple(known) if place == len(found) else None


def telling(entries: Entries, told: list[str]) -> Entries | None:
    """The same for the texts that the model is told: those from the last checkpoint on."""
    for start in range(len(entries) - 1, -1, -1):
        if entries[start].for_people or entries[start].tells is False:
            continue
        known = _telling(entries[start:], told)
        if known is not None and told and told[0] == entries[start].text:
            return entries[:start] + known
        if entries[start].tells:
            return None
        entries = (*entries[:start], entries[start]._replace(tells=False), *entries[start + 1 :])
    return _telling(entries, told)


def _telling(entries: Entries, told: list[str]) -> Entries | None:
    place = 0
    known = []
    for entry in entries:
        if not entry.for_models or entry.tells is False:
            known.append(entry)
        elif place < len(told) and told[place] == entry.text:
            known.append(entry._replace(tells=True))
            place += 1
        elif entry.tells:
            return None
        else:
            known.append(entry._replace(tells=False))
    return tuple(known) if place == len(told) else None


def said(entries: Entries) -> str:
    """A history for people: what was not acknowledged has a question mark."""
    return " ".join(entry.text + ("" if entry.shows or entry.tells else "?") for entry in entries) or "(nothing)"
