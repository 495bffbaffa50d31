"""Kinds of damage to a rollout, each as a disk, an editor, a crash or another program does it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["KINDS", "Kind", "turn_lines"]

_STARTED: Final = re.compile(rb'"type":"task_started".*?"turn_id":"([^"]+)"')

_ID: Final = re.compile(rb'("type":"session_meta","payload":\{.*?"id":")([0-9a-f-]{36})(")')

OTHER_ID: Final = b"01a2042e-ffff-7fff-bfff-ffffffffffff"


class Kind(NamedTuple):
    """One kind of damage.

    Attributes:
        name: What it is.
        change: The damaged bytes of a rollout; None for a file that is gone.
        touched: The lines, of those that the rollout had, that it changes; all others are intact.
        lost: Whether something that was recorded can no longer be read, so that people must be told.
        appendable: Whether a turn can be appended afterwards.
        heard: Whether whoever loads the thread is told of what is lost, without asking. A record that was torn while it
            was written was never acknowledged: of that only ``doctor`` tells.
    """

    name: str
    change: Callable[[bytes], bytes | None]
    touched: Callable[[Sequence[bytes]], range]
    lost: bool
    appendable: bool = True
    heard: bool = True


def turn_lines(lines: Sequence[bytes]) -> dict[str, range]:
    """Which lines belong to which turn: from its start to the next one's."""
    starts = [(number, found[1].decode()) for number, line in enumerate(lines) if (found := _STARTED.search(line))]
    ends = [number for number, _ in starts[1:]] + [len(lines)]
    return {turn: range(start, end) for (start, turn), end in zip(starts, ends, strict=True)}


def _nothing(_: Sequence[bytes]) -> range:
    return range(0)


def _first(_: Sequence[bytes]) -> range:
    return range(1)


def _all(lines: Sequence[bytes]) -> range:
    return range(len(lines))


def _but_first(lines: Sequence[bytes]) -> range:
    return range(1, len(lines))


def _spoken(lines: Sequence[bytes], turn: int) -> range:
    """The line with the answer of a turn: one that a person would miss."""
    place = list(turn_lines(lines).values())[turn]
    for number in reversed(place):
        if b'"type":"item_completed"' in lines[number] or b'"type":"agent_message"' in lines[number]:
            return range(number, number + 1)
    raise AssertionError("no answer in the turn")


def _middle(lines: Sequence[bytes]) -> range:
    return _spoken(lines, 1)


def _late(lines: Sequence[bytes]) -> range:
    return _spoken(lines, -1)


def _last(lines: Sequence[bytes]) -> range:
    return range(len(lines) - 1, len(lines))


def _last_half_turn(lines: Sequence[bytes]) -> range:
    place = list(turn_lines(lines).values())[-1]
    return range(place.start + len(place) // 2, place.stop)


def _whole(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    """Changes the lines of a rollout; each ends with a newline before and after."""

    def changed(data: bytes) -> bytes:
        return b"".join(line + b"\n" for line in change(data.splitlines()))

    return changed


def _at(where: Callable[[Sequence[bytes]], range], line: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def change(lines: list[bytes]) -> list[bytes]:
        place = where(lines)
        return [line(known) if number in place else known for number, known in enumerate(lines)]

    return _whole(change)


def _cut_short(line: bytes) -> bytes:
    return line[: len(line) // 2]


def _unknown(line: bytes) -> bytes:
    return re.sub(rb'"type":"[a-z_]+"', b'"type":"from_tomorrow"', line, count=1)


def _no_text(line: bytes) -> bytes:
    return line.replace(b'"text":"', b'"text":"\xff\xfe', 1) if b'"text":"' in line else line[:-2] + b"\xff" + line[-2:]


def _torn(data: bytes) -> bytes:
    return data[: -len(data.splitlines()[-1]) // 2 - 1]


def _doubled(lines: list[bytes]) -> list[bytes]:
    return lines + lines[list(turn_lines(lines).values())[-1].start :]


KINDS: Final[dict[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind("intact", lambda data: data, _nothing, lost=False),
        Kind("empty-0-bytes", lambda _: b"", _all, lost=True, appendable=False),
        Kind("only-session-meta", _whole(lambda lines: lines[:1]), _but_first, lost=False),
        Kind("bad-first-line", _at(_first, _cut_short), _first, lost=True),
        Kind("first-line-missing", _whole(lambda lines: lines[1:]), _first, lost=True),
        Kind("bad-middle-line", _at(_middle, _cut_short), _middle, lost=True),
        Kind("bad-late-line", _at(_late, _cut_short), _late, lost=True),
        Kind("unknown-type-middle", _at(_middle, _unknown), _middle, lost=False),
        Kind("torn-last-line", _torn, _last, lost=True, heard=False),
        Kind("no-final-newline", lambda data: data[:-1], _nothing, lost=False),
        Kind("bom", lambda data: b"\xef\xbb\xbf" + data, _nothing, lost=False),
        Kind("crlf", lambda data: data.replace(b"\n", b"\r\n"), _nothing, lost=False),
        Kind("blank-lines", lambda data: data.replace(b"\n", b"\n\n"), _nothing, lost=False),
        Kind("invalid-utf8-middle", _at(_middle, _no_text), _middle, lost=True),
        Kind("nul-tail", lambda data: data + bytes(4096), _nothing, lost=False),
        Kind("trailing-garbage-line", lambda data: data + b"}}garbage{{\n", _nothing, lost=True),
        Kind(
            "meta-id-differs-from-filename",
            lambda data: _ID.sub(rb"\g<1>" + OTHER_ID + rb"\g<3>", data, count=1),
            _all,
            lost=True,
            appendable=False,
        ),
        Kind("duplicated-last-turn", _whole(_doubled), _nothing, lost=False),
        Kind(
            "truncated-last-turn",
            _whole(lambda lines: lines[: _last_half_turn(lines).start]),
            _last_half_turn,
            lost=False,
        ),
        Kind("file-missing", lambda _: None, _all, lost=True, appendable=False),
    )
}
"""The kinds that were tried on the real server first, by name (0.169.0)."""
