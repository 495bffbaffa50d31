"""What is wrong with the bytes of one line, looked for only when the line cannot be read, or looks suspicious."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from threadkeep.records._damage_report import printable
from threadkeep.records._record import EMPTY_RAW, is_utf8

if TYPE_CHECKING:
    from threadkeep.records._damage_kinds import DamageKind

__all__ = ["BOM", "MOST_NESTED", "exceeds", "unreadable"]

BOM: Final = b"\xef\xbb\xbf"

MOST_NESTED: Final = 127
"""Containers within each other in a record that Codex still reads, the record's own object included."""

_BEGINNING: Final = b'{"timestamp":"'
_HALF_A_CHARACTER: Final = re.compile(rb"(?:[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})\Z")
"""The beginning of a character of UTF-8 at the very end, without the rest."""

_OF_NUMBERS: Final = b"0123456789.eE+-"
_TRUNCATED: Final = "Input data was truncated"

_PIECE: Final = 1 << 20
_LONG: Final = 19
"""Digits of the shortest integer that may be beyond 64 bits."""

_ZEROS: Final = b"0" * _LONG
_DIGITS_ONLY: Final = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 for byte in range(256))
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_TOKEN: Final = re.compile(
    rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|([\[{])|([\]}])|(?<![0-9.eE+-])(-?[0-9]{19,}+)(?![0-9.eE])', re.DOTALL
)

_read_any: Final = msgspec.json.Decoder(msgspec.Raw).decode


class _Keys(msgspec.Struct):
    timestamp: msgspec.Raw = EMPTY_RAW
    ordinal: msgspec.Raw = EMPTY_RAW
    type: msgspec.Raw = EMPTY_RAW
    payload: msgspec.Raw = EMPTY_RAW


_read_keys: Final = msgspec.json.Decoder(_Keys).decode


def unreadable(line: bytes) -> tuple[DamageKind, str]:
    """Why ``line`` is no record: the kind, and the reason as a part of a sentence."""
    written = line.rstrip(b"\0")
    if _is_cut_short(written):
        filled = f"; {len(line) - len(written):,} NUL bytes fill it up" if len(written) < len(line) else ""
        return "cut-short", f"it ends too early{filled}"
    nul = line.find(b"\0")
    if nul >= 0:
        count = line.count(b"\0")
        if count == len(line):
            return "nul-bytes", f"it is {count:,} NUL bytes"
        return "nul-bytes", f"it holds {count:,} NUL bytes, the first at its byte {nul}"
    if not is_utf8(line):
        return "invalid-utf8", f"its byte {_first_invalid(line)} is not UTF-8"
    text = line.removeprefix(BOM)
    try:
        _read_any(text)
    except RecursionError:
        return "too-deep", f"it nests more than {MOST_NESTED} arrays and objects, too many to be read"
    except msgspec.MsgspecError as error:
        if _escapes_half_a_character(text):
            return "lone-surrogate", "a text in it escapes half a character (a lone surrogate)"
        return "not-json", f"it is no JSON: {_reason(error)}"
    return "no-envelope", f"it is JSON but no record: {_missing(text)}"


def _is_cut_short(line: bytes) -> bool:
    """Whether a line is the beginning of a record, as Codex and threadkeep write them, and nothing else."""
    if not line or line[: len(_BEGINNING)] != _BEGINNING[: len(line)]:
        return False
    half = _HALF_A_CHARACTER.search(line, max(0, len(line) - 3))
    whole = line if half is None else line[: half.start()]
    if not is_utf8(whole):
        return False
    try:
        _read_any(whole.rstrip(_OF_NUMBERS))  # half a number is none
    except msgspec.DecodeError as error:
        return str(error) == _TRUNCATED and not _escapes_half_a_character(whole)
    except RecursionError:
        pass
    return False


def exceeds(line: bytes) -> tuple[int, bool]:
    """How deep a well-formed ``line`` nests, and whether it holds an integer beyond 64 bits.

    The depth is exact where it is above `MOST_NESTED`. Most lines are cleared by what their bytes cannot be.
    """
    if line.count(b"{") + line.count(b"[") <= MOST_NESTED and not _holds_long_digits(line):
        return 0, False
    depth = deepest = 0
    big = False
    for token in _TOKEN.finditer(line):
        found = token.lastindex
        if found == 1:
            depth += 1
            deepest = max(deepest, depth)
        elif found == 2:
            depth -= 1
        elif found == 3:
            start, end = token.span(3)
            big = big or end - start > 20 or not -(1 << 63) <= int(line[start:end]) < 1 << 64
    return deepest, big


def _holds_long_digits(line: bytes) -> bool:
    """Whether digits follow each other so long that they may be such an integer; in pieces, to copy little."""
    if len(line) <= _PIECE:
        return _ZEROS in line.translate(_DIGITS_ONLY)
    return any(
        _ZEROS in line[start : start + _PIECE + _LONG].translate(_DIGITS_ONLY) for start in range(0, len(line), _PIECE)
    )


def _first_invalid(line: bytes) -> int:
    start = 0
    while start < len(line):
        end = min(start + _PIECE, len(line))
        for _ in range(3):  # not in the middle of a character
            if end < len(line) and line[end] & 0xC0 == 0x80:
                end -= 1
        try:
            line[start:end].decode()
        except UnicodeDecodeError as error:
            return start + error.start
        start = end
    return start


def _escapes_half_a_character(text: bytes) -> bool:
    """Whether the line is JSON once every surrogate, paired or not, is another character."""
    if _SURROGATE.search(text) is None:
        return False
    try:
        _read_any(_SURROGATE.sub(rb"\\u0041", text))
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True


def _reason(error: msgspec.MsgspecError) -> str:
    message = str(error).removeprefix("JSON is malformed: ")
    return "it ends too early" if message == _TRUNCATED else printable(message, 200)


def _missing(text: bytes) -> str:
    """What of an envelope is not there, or not as it must be."""
    try:
        keys = _read_keys(text)
    except (msgspec.MsgspecError, RecursionError):
        return "it is no object"
    for name, raw in (("timestamp", keys.timestamp), ("type", keys.type), ("payload", keys.payload)):
        if len(raw) == 0:
            return f"it has no {name}"
    if bytes(keys.timestamp)[:1] != b'"':
        return "its timestamp is no text"
    if bytes(keys.type)[:1] != b'"':
        return "its type is no text"
    if len(keys.ordinal) > 0:
        return "its ordinal is no unsigned integer of 64 bits"
    return "its envelope does not fit"
