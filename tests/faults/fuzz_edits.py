"""Edits of an input: what a disk, another program or somebody who means harm makes of valid bytes.

Blind bytes find little, so an edit knows two things of what it edits: that it is made of lines, and that a line may be
JSON. An edit is four numbers, so that whoever has numbers (hypothesis, libFuzzer, a seeded generator) can edit, and a
shrunk edit is a small one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["HOSTILE", "Edit", "edited"]

Edit = tuple[int, int, int, int]
"""(which kind, where, how far, with what)."""

MOST_BYTES: Final = 1 << 20
"""An input does not grow beyond this."""

HOSTILE: Final[tuple[Any, ...]] = (
    None,
    True,
    0,
    1,
    -1,
    2**31,
    2**62,
    2**63 - 1,
    2**64 - 1,
    2**64,
    10**30,
    1.5,
    -0.0,
    1e308,
    "",
    " ",
    "..",
    "../../x",
    "../outside",
    "/etc/passwd",
    "\x00",
    "\u2028",
    "\ud800",
    "é" * 40,
    "x" * 300,
    "legacy",
    "paginated",
    "2026-11-22T10:00:00.000Z",
    "9999-99-99T99:99:99Z",
    [],
    {},
    [[]],
    [None],
    {"type": "message"},
    {"thread_id": "../../x", "end_ordinal_exclusive": 1, "end_byte_offset": 1},
)
"""Values that a reader may not expect."""

_RAW: Final = (
    b"\x00",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\r\n",
    b"\n\n",
    b"{",
    b"}",
    b'"',
    b"\\",
    b"\\ud800",
    b"[" * 200,
    b'{"a":' * 2000,
    b"NaN",
    b"1e999",
    b"9" * 400,
    b"\x1e",
    b"\x85",
    b"../",
)


def edited(data: bytes, edits: Sequence[Edit], tokens: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    """An input after some edits.

    Args:
        data: The input.
        edits: What to do, in order.
        tokens: Words of its format.
        others: Other inputs, to take pieces of.
    """
    for kind, where, size, what in edits:
        data = _KINDS[kind % len(_KINDS)](data, where, size, what, tokens, others)[:MOST_BYTES]
    return data


def _place(data: bytes, where: int) -> int:
    return where % (len(data) + 1)


def _flip(data: bytes, where: int, size: int, what: int, tokens: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    del size, tokens, others
    if not data:
        return data
    at = where % len(data)
    return data[:at] + bytes([data[at] ^ (1 << (what % 8))]) + data[at + 1 :]


def _cut(data: bytes, where: int, size: int, what: int, tokens: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    del what, tokens, others
    at = _place(data, where)
    return data[:at] + data[at + 1 + size % 64 :]


def _end(data: bytes, where: int, size: int, what: int, tokens: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    del size, what, tokens, others
    return data[: _place(data, where)]


def _insert(data: bytes, where: int, size: int, what: int, tokens: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    del others
    at = _place(data, where)
    words = (*_RAW, *tokens)
    return data[:at] + words[what % len(words)] * (1 + size % 3) + data[at:]


def _zeros(data: bytes, where: int, size: int, what: int, tokens: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    del what, tokens, others
    at = _place(data, where)
    long = 1 + size % 600
    return data[:at] + b"\x00" * len(data[at : at + long]) + data[at + long :]


def _lines(data: bytes, where: int, size: int, what: int, tokens: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    """Lines taken out, doubled, moved, turned round, or taken from somewhere else."""
    del tokens
    lines = data.split(b"\n")
    at = where % len(lines)
    some = lines[at : at + 1 + size % 6]
    rest = lines[:at] + lines[at + len(some) :]
    to = size % (len(rest) + 1)
    kind = what % 6
    if kind == 0:
        return b"\n".join(rest)
    if kind == 1:
        return b"\n".join(lines[:at] + some + lines[at:])
    if kind == 2:
        return b"\n".join(rest[:to] + some + rest[to:])
    if kind == 3:
        return b"\n".join(lines[:at] + some[::-1] + lines[at + len(some) :])
    if kind == 4 or not others:
        return b"\n".join([*lines[:at], *(line[: 1 + where % 200] for line in some), *lines[at + len(some) :]])
    other = others[what % len(others)].split(b"\n")
    theirs = other[size % len(other) :][: 1 + where % 5]
    return b"\n".join(lines[:at] + theirs + lines[at:])


def _json(data: bytes, where: int, size: int, what: int, tokens: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    """One value of one line that is JSON replaced, taken out, wrapped, or given another name."""
    del others
    lines = data.split(b"\n")
    at = where % len(lines)
    try:
        value = json.loads(lines[at])
    except (ValueError, RecursionError):
        return data
    places: list[tuple[Any, Any]] = []
    _walk(value, places)
    if not places:
        return data
    inside, key = places[size % len(places)]
    kind = what % 8
    pick = what // 8
    if kind == 0 and isinstance(inside, dict):
        del inside[key]
    elif kind == 1 and isinstance(inside, dict) and tokens:
        inside[tokens[pick % len(tokens)].strip(b'"').decode("utf-8", "replace")] = inside.pop(key)
    elif kind == 2:
        inside[key] = [inside[key]]
    elif kind == 3:
        other, its = places[pick % len(places)]
        inside[key] = json.loads(json.dumps(other.get(its) if isinstance(other, dict) else None))
    elif kind == 4 and isinstance(inside, dict):
        # The same key twice: readers may not agree on which one counts.
        lines[at] = lines[at].replace(b"{", b'{"%s":%d,' % (str(key).encode("utf-8", "replace")[:60], pick), 1)
        return b"\n".join(lines)
    elif kind == 5 and tokens:
        inside[key] = tokens[pick % len(tokens)].strip(b'"').decode("utf-8", "replace")
    else:
        inside[key] = HOSTILE[pick % len(HOSTILE)]
    lines[at] = json.dumps(value, separators=(",", ":")).encode()
    return b"\n".join(lines)


def _walk(value: Any, places: list[tuple[Any, Any]]) -> None:
    pending = [value]
    while pending and len(places) < 5_000:
        inside = pending.pop()
        pairs = inside.items() if isinstance(inside, dict) else enumerate(inside) if isinstance(inside, list) else ()
        for key, inner in pairs:
            places.append((inside, key))
            if isinstance(inner, dict | list):
                pending.append(inner)


_KINDS: Final = (_json, _lines, _json, _insert, _json, _end, _flip, _json, _cut, _lines, _zeros)
