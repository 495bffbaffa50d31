"""Finding a term in texts, whatever the case, and showing what stands around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Term", "snippet"]

_BEFORE: Final = 49
_AFTER: Final = 96
"""Characters that are shown before and after a match (0.169.0 observed)."""

_MORE: Final = "..."


class Term:
    """What is searched for. Case is ignored in the way of Unicode: ``STRASSE`` is found in ``straße``."""

    def __init__(self, text: str) -> None:
        self._folded = text.casefold()

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where it stands in a text: (first character, the one after the last); matches do not overlap."""
        folded = text.casefold()
        size = len(self._folded)
        found = folded.find(self._folded)
        if found < 0 or size == 0:
            return
        if len(folded) == len(text):  # folding makes no character less, so each stands where it stood
            while found >= 0:
                yield found, found + size
                found = folded.find(self._folded, found + size)
            return
        yield from self._spans_apart(text, folded, found)

    def _spans_apart(self, text: str, folded: str, found: int) -> Iterator[tuple[int, int]]:
        """The same, where some characters became several."""
        origins = [place for place, character in enumerate(text) for _ in character.casefold()]
        while found >= 0:
            start, last = origins[found], origins[found + len(self._folded) - 1]
            yield start, last + 1
            following = found + len(self._folded)
            while following < len(origins) and origins[following] == last:
                following += 1
            found = folded.find(self._folded, following)


def snippet(text: str, start: int, end: int) -> tuple[str, int, int]:
    """What stands around a match: (the text shown, where the match stands in it: from, to, in UTF-16 units)."""
    low, high = max(0, start - _BEFORE), min(len(text), end + _AFTER)
    before = f"{_MORE} {text[low:start]}" if low else text[:start]
    after = f"{text[end:high]} {_MORE}" if high < len(text) else text[end:]
    at = _units(before)
    return f"{before}{text[start:end]}{after}", at, at + _units(text[start:end])


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
