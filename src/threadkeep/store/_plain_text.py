"""What an agent's Markdown says to a reader: the text without its marks, as far as people search in it.

Not a whole reader of Markdown: emphasis, code, links, images, escapes and entities, and the marks that begin a line.
Agent messages are searched and quoted so (0.169.0 observed); what a user wrote stays as it is.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["plain_text"]

_FENCE: Final = re.compile(r" {0,3}(?:```|~~~)")
_RULE: Final = re.compile(r" {0,3}(?:(?:\* *){3,}|(?:- *){3,}|(?:_ *){3,})")
_LINE_MARKS: Final = re.compile(r"^[ \t]*(?:(?:#{1,6}|>|[-*+]|[0-9]{1,9}[.)])[ \t]+)+")
_CODE: Final = re.compile(r"(`+)(?!`)(.{1,500}?)(?<!`)\1(?!`)")
_LINK: Final = re.compile(r"!?\[([^\[\]]{0,1000})\]\([^()\s]{0,2000}(?:\s\"[^\"]{0,200}\")?\)")
_AUTOLINK: Final = re.compile(r"<([a-z][a-z0-9+.-]{1,31}:[^<>\s]{1,2000})>", re.IGNORECASE)
_STARS: Final = re.compile(r"(\*{1,3})(?=[^\s*])(.{1,500}?)(?<=[^\s*])\1")
_LINES: Final = re.compile(r"(?<![\w])(_{1,3})(?=[^\s_])(.{1,500}?)(?<=[^\s_])\1(?![\w])")
_ESCAPE: Final = re.compile(r"\\([!-/:-@\[-`{-~])")
_MARKS: Final = frozenset("*_`[\\&<")
"""Without one of these a line has no marks inside."""


def plain_text(markdown: str) -> str:
    """The text of a message, in one line: white space of any kind is one space."""
    said: list[str] = []
    fenced = False
    for line in markdown.split("\n"):
        if _FENCE.match(line):
            fenced = not fenced
        elif fenced:
            said.append(line)
        elif not _RULE.fullmatch(line):
            said.append(_inline(_LINE_MARKS.sub("", line, count=1)))
    return " ".join(" ".join(said).split())


def _inline(line: str) -> str:
    if _MARKS.isdisjoint(line):
        return line
    pieces: list[str] = []
    place = 0
    for code in _CODE.finditer(line):
        pieces += (_unmarked(line[place : code.start()]), code[2].strip())
        place = code.end()
    return "".join([*pieces, _unmarked(line[place:])])


def _unmarked(text: str) -> str:
    text = _AUTOLINK.sub(r"\1", _LINK.sub(r"\1", text))
    text = _LINES.sub(r"\2", _STARS.sub(r"\2", text))
    text = _ESCAPE.sub(r"\1", text)
    if "&" in text:
        from html import unescape

        text = unescape(text)
    return text
