"""Random histories: what was written, record by record, and what happened to the file afterwards.

A history is a flat list of `Part`, so that a failing example can be read, and be kept as a test of its own.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hypothesis import strategies as st
from tests.property.alphabet import (
    CHECKPOINTS,
    CONTEXT,
    LEGACY_ITEMS,
    LIFECYCLE,
    PAGINATED_ITEMS,
    ROLLBACKS,
    STRANGE,
)
from tests.support import dump

from threadkeep.ids import utc
from threadkeep.records import LEGACY, PAGINATED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.property.alphabet import Make

START_MS: Final = 1_795_298_400_000
"""2026-11-22T10:00:00Z."""

TURN_MS: Final = 100_000
"""Time from one turn to the next."""

RECORDS: Final[dict[str, dict[str, Make]]] = {
    PAGINATED: {**CONTEXT, **STRANGE, **CHECKPOINTS, **LIFECYCLE, **ROLLBACKS, **PAGINATED_ITEMS},
    LEGACY: {**CONTEXT, **STRANGE, **CHECKPOINTS, **LIFECYCLE, **ROLLBACKS, **LEGACY_ITEMS},
}
"""By history mode: every record that there is."""

ITEMS: Final = {PAGINATED: PAGINATED_ITEMS, LEGACY: LEGACY_ITEMS}


class Part(NamedTuple):
    """One record: its name in the alphabet, a small number, and which turn it names (below 0: one without a UUID)."""

    name: str
    number: int = 0
    turn: int = 0


def turn_id(index: int) -> str:
    """The id of a turn: a UUIDv7 of the time at which it starts, or a plain word."""
    if index < 0:
        return f"t{-index}"
    ms = START_MS + index * TURN_MS
    return f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7000-8000-{index:012x}"


def written(part: Part, mode: str) -> dict[str, Any]:
    """The record of a part, without write time and ordinal."""
    return RECORDS[mode][part.name](turn_id(part.turn), part.number)


def lines_of(parts: Sequence[Part], mode: str, first_ordinal: int | None) -> list[bytes]:
    """The lines of the parts; in a paginated rollout their ordinals go on from ``first_ordinal``."""
    lines = []
    newest = 0
    for place, part in enumerate(parts):
        newest = max(newest, part.turn)
        stamp: dict[str, Any] = {"timestamp": utc(START_MS + newest * TURN_MS + 10 * (place + 1))}
        if first_ordinal is not None:
            stamp["ordinal"] = first_ordinal + place
        lines.append(dump({**stamp, **written(part, mode)}) + b"\n")
    return lines


# --- what was written ------------------------------------------------------------------------------------------------

numbers: Final = st.integers(0, 5)


def _names(*tables: dict[str, Make]) -> st.SearchStrategy[str]:
    return st.sampled_from([name for table in tables for name in table])


_OPENINGS: Final = st.sampled_from(
    [
        ("start", "settings of the turn", "user", "said"),
        ("start", "user", "said"),
        ("start",),
        ("start, as it was named", "world", "settings of the turn", "said", "user"),
        ("settings of the turn", "start", "user", "said"),
        ("user", "said"),
        (),
    ]
)
_ENDINGS: Final = st.sampled_from(
    [
        ("complete",),
        ("answered", "assistant", "usage", "complete"),
        ("complete, as it was named",),
        ("fail",),
        ("abort",),
        ("abort whatever runs",),
        ("answered",),
        (),
    ]
)


def _bodies(mode: str) -> st.SearchStrategy[list[tuple[str, int, int]]]:
    usual = st.tuples(_names(CONTEXT, ITEMS[mode]), numbers, st.just(0))
    rare = st.tuples(_names(CHECKPOINTS, ROLLBACKS, STRANGE), numbers, st.just(0))
    late = st.tuples(st.sampled_from(["planned", "user", "settings of the turn"]), numbers, st.integers(1, 3))
    return st.lists(st.one_of(usual, usual, usual, rare, rare, late), max_size=6)


@st.composite
def orderly(draw: st.DrawFn, mode: str, *, first_turn: int = 0, max_turns: int = 5) -> list[Part]:
    """Turn after turn, as a writer leaves them: one runs at a time, some without start or end, items may be late."""
    turns = draw(st.lists(st.tuples(_OPENINGS, _bodies(mode), _ENDINGS), max_size=max_turns))
    parts = []
    for turn, (opening, body, ending) in enumerate(turns, first_turn):
        parts += [Part(name, turn % 4, turn) for name in opening]
        parts += [Part(name, number, max(0, turn - back)) for name, number, back in body]
        parts += [Part(name, turn % 5, turn) for name in ending]
    return parts


@st.composite
def disorderly(draw: st.DrawFn, mode: str, *, max_size: int = 14) -> list[Part]:
    """Any records in any order, of few turns."""
    weighty = st.one_of(_names(LIFECYCLE), _names(CHECKPOINTS, ROLLBACKS), _names(ITEMS[mode]), _names(RECORDS[mode]))
    part = st.builds(Part, weighty, numbers, st.sampled_from([0, 1, 2, -1]))
    return draw(st.lists(part, max_size=max_size))


def histories(mode: str) -> st.SearchStrategy[list[Part]]:
    """Either kind."""
    return st.one_of(orderly(mode), orderly(mode), disorderly(mode))


# --- what happened to it ---------------------------------------------------------------------------------------------


class Damage(NamedTuple):
    """Something that happened to a file: what, and near which of its lines (counted round and round)."""

    kind: str
    place: int = 0


_GARBAGE: Final = {
    "garbage": b"no record\n",
    "a list": b"[1]\n",
    "a number": b"5\n",
    "NULs": b"\x00\x00\x00\n",
    "no text": b'\xff\xfe"\n',
    "an empty line": b"\n",
    "blanks": b" \t \n",
    "a carriage return": b"\r\n",
    "an old message": b'{"type":"message","role":"user","content":[{"type":"input_text","text":"old"}]}\n',
    "an old answer": b'{"type":"message","role":"assistant","content":[{"type":"output_text","text":"answered"}]}\n',
    "old surroundings": b'{"type":"message","role":"user","content":[{"type":"input_text","text":"'
    b'<user_instructions>x</user_instructions>"}]}\n',
    "old reasoning": b'{"type":"reasoning","summary":[{"type":"summary_text","text":"a"},'
    b'{"type":"summary_text","text":"b"}],"encrypted_content":"E"}\n',
    "an old state": b'{"record_type":"state"}\n',
    "an old beginning": b'{"id":"01a20000-0000-4000-8000-000000000001","timestamp":"2025-07-01T10:00:00.000Z"}\n',
}
"""What may stand between two lines."""

_TEXTS: Final = ("half a record", "a wrong byte", "cut", "crlf", "spaced", "turned", *_GARBAGE)
_ORDINALS: Final = ("no ordinal", "the same ordinal", "an earlier ordinal", "a gap")
_TAILS: Final = ("torn", "unterminated", "a NUL tail", "a garbage tail")


def damages(mode: str, *, ordinals: bool = True, tails: bool = True) -> st.SearchStrategy[list[Damage]]:
    """What happens to one file: mostly nothing."""
    kinds = [*_TEXTS, "gone", "meta again", "meta of another"]
    kinds += _ORDINALS if ordinals and mode == PAGINATED else ()
    between = st.builds(Damage, st.sampled_from(kinds), st.integers(0, 30))
    after = st.builds(Damage, st.sampled_from(_TAILS), st.just(0)) if tails else st.nothing()
    some = st.lists(between, min_size=1, max_size=3)
    ended = st.tuples(some, after).map(lambda both: [*both[0], both[1]])
    return st.one_of(st.just([]), st.just([]), some, *([ended, after.map(lambda tail: [tail])] if tails else []))


def damaged(lines: Sequence[bytes], happened: Sequence[Damage], metas: dict[str, bytes]) -> list[bytes]:
    """The lines of a file after what happened to it; the first line stays as it is.

    Args:
        lines: The lines, each with its newline; the first is the ``session_meta``.
        happened: What happened, in this order.
        metas: By kind of damage: the line of a further ``session_meta``.
    """
    made = list(lines)
    for kind, place in happened:
        at = 1 + place % len(made)  # just before this line; after the last one
        on = min(at, len(made) - 1)
        if kind in _GARBAGE:
            made.insert(at, _GARBAGE[kind])
        elif kind in metas:
            made.insert(at, metas[kind])
        elif kind in _TAILS:
            made = _with_tail(made, kind)
        elif on and made[on].endswith(b"}\n"):
            made[on : on + 1] = _changed(made[on], made[on - 1], kind)
    return made


def _with_tail(lines: list[bytes], kind: str) -> list[bytes]:
    last = lines[-1]
    if kind == "torn" and len(lines) > 1:
        return [*lines[:-1], last[: len(last) * 2 // 3]]
    if kind == "unterminated" and len(lines) > 1:
        return [*lines[:-1], last.removesuffix(b"\n")]
    return [*lines, {"a NUL tail": b"\x00" * 9}.get(kind, b'{"timestamp":"2026-11')]


def _changed(line: bytes, before: bytes, kind: str) -> list[bytes]:
    """What becomes of one line."""
    half = len(line) // 2
    if kind == "half a record":
        return [line[:half] + b"\n", line]
    if kind == "a wrong byte":
        return [line[:half] + b"\xff" + line[half:]]
    if kind == "cut":
        return [line[:half] + b"\n"]
    if kind == "crlf":
        return [line[:-1] + b"\r\n"]
    if kind == "gone":
        return []
    try:
        record = json.loads(line)
    except ValueError:
        return [line]
    if kind == "spaced":
        return [json.dumps(record).encode() + b"\n"]
    if kind == "turned":
        return [dump(dict(reversed(record.items()))) + b"\n"]
    digits = re.match(rb'{"timestamp":"[^"]*","ordinal":(\d+)', before)
    ordinal = int(digits[1]) if digits else 3
    record["ordinal"] = {"the same ordinal": ordinal, "an earlier ordinal": max(0, ordinal - 2)}.get(kind, ordinal + 9)
    if kind == "no ordinal":
        del record["ordinal"]
    return [dump(record) + b"\n"]
