"""Reviews: what was asked for, and what the reviewer found, as one text."""

from __future__ import annotations

from typing import Final

import msgspec

from threadkeep.replay.items._schema import I32, U32, Json

__all__ = ["EMPTY_REVIEW", "EnteredReviewMode", "ExitedReviewMode"]

EMPTY_REVIEW: Final = "(the review says nothing)"
"""Shown for a review without a word. The server has a fixed sentence of its own here."""

_WHITE_SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
)
"""Unicode's white space, which is what the server trims; `str.strip` would take U+001C to U+001F as well."""


class UncommittedChanges(msgspec.Struct, tag="uncommittedChanges"):
    """Review what is not committed."""


class BaseBranch(msgspec.Struct, tag="baseBranch"):
    """Review what differs from a branch."""

    branch: str


class Commit(msgspec.Struct, tag="commit"):
    """Review a commit."""

    sha: str
    title: str | None = None


class Custom(msgspec.Struct, tag="custom"):
    """Review as told."""

    instructions: str


class EnteredReviewMode(msgspec.Struct, tag=True):
    """A review began. The target must be one; the hint alone is shown."""

    id: str
    target: UncommittedChanges | BaseBranch | Commit | Custom
    user_facing_hint: str

    def shown(self) -> Json:
        """As the server shows it."""
        return {"type": "enteredReviewMode", "id": self.id, "review": self.user_facing_hint}


class LineRange(msgspec.Struct):
    """Lines of a file, the last one included."""

    start: U32
    end: U32


class CodeLocation(msgspec.Struct):
    """Lines of a file, and which file."""

    absolute_file_path: str
    line_range: LineRange


class Finding(msgspec.Struct):
    """What the reviewer found at one place."""

    title: str
    body: str
    confidence_score: float
    priority: I32
    code_location: CodeLocation

    def text(self) -> str:
        """The title and the place, then the lines of the body, indented by two."""
        place = self.code_location
        lines = place.line_range
        head = f"- {self.title} \u2014 {place.absolute_file_path}:{lines.start}-{lines.end}"
        return "\n".join([head, *[f"  {line}" for line in _lines(self.body)]])


class ReviewOutput(msgspec.Struct):
    """What the reviewer found."""

    findings: list[Finding]
    overall_correctness: str
    overall_explanation: str
    overall_confidence_score: float

    def text(self) -> str:
        """The explanation, then the findings under a heading, blank lines between them; empty for nothing at all."""
        blocks = [self.overall_explanation.strip(_WHITE_SPACE)]
        if self.findings:
            blocks.append("Review comment:" if len(self.findings) == 1 else "Full review comments:")
        blocks += [finding.text() for finding in self.findings]
        return "\n\n".join([block for block in blocks if block]).rstrip(_WHITE_SPACE)


class ExitedReviewMode(msgspec.Struct, tag=True):
    """A review came to its end."""

    id: str
    review_output: ReviewOutput | None = None

    def shown(self) -> Json:
        """As the server shows it, but for a review without a word: `EMPTY_REVIEW`, whose wording is ours."""
        review = "" if self.review_output is None else self.review_output.text()
        return {"type": "exitedReviewMode", "id": self.id, "review": review or EMPTY_REVIEW}


def _lines(text: str) -> list[str]:
    r"""The lines of ``text``, each without its ``\n`` or ``\r\n``; a ``\r`` elsewhere ends no line."""
    *ended, rest = text.split("\n")
    lines = [line.removesuffix("\r") for line in ended]
    return [*lines, rest] if rest else lines
