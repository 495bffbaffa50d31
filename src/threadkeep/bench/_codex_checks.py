"""Whether two servers answered the same: whole answers compared, but for what cannot be the same.

That is: times; ids of threads that were just made, and their paths; the form of cursors; ids of legacy items, which a
server makes up; of a fork, which program made it, and the history mode of one that inherits from a legacy thread
(threadkeep's is a reference, Codex's a copy). Of a fork also its preview, which Codex takes from the fork's own file
where it made its index anew, and its usage of tokens, which Codex does not tell when a fork is resumed (0.169.0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from threadkeep.bench._appserver_process import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from threadkeep.bench._codex_scenarios import Scenario

__all__ = ["Asked", "Seen", "differences", "mistakes", "thread_of"]

_MOST: Final = 3
"""Differences that are told of one pair of answers."""

_SHOWN: Final = 120
_TIMES: Final = frozenset({"createdAt", "updatedAt", "recencyAt", "emittedAtMs"})
_OF_FORKS: Final = frozenset({"cliVersion"})
_NEW: Final = "<new>"


class Asked(NamedTuple):
    """What was asked.

    Attributes:
        scenario: The scenario.
        thread_id: The thread that is the newest one, and the one that is named.
        legacy: Whether it is a legacy thread.
        inherits: Whether it is a fork.
        cwd: Where a new thread works.
    """

    scenario: Scenario
    thread_id: str
    legacy: bool
    inherits: bool
    cwd: str


class Seen(NamedTuple):
    """What a server answered.

    Attributes:
        found: The thread that it looked up.
        answer: The answer of the request that acts.
        page: The answer about the newest turns of the thread that it gave; None where that was not asked.
        usage: What it said then of the tokens that the thread used; None where it said nothing.
        refused: What it said where it refused to act.
    """

    found: str | None
    answer: bytes
    page: bytes | None
    usage: bytes | None
    refused: str | None


class _Thread(msgspec.Struct, rename="camel"):
    id: str
    cwd: str
    forked_from_id: str | None = None


class _Result(msgspec.Struct):
    thread: _Thread


class _Answer(msgspec.Struct):
    result: _Result


def thread_of(answer: bytes) -> str:
    """The id of the thread that an answer is about.

    Raises:
        Exception: One of `UNREADABLE`.
    """
    return msgspec.json.decode(answer, type=_Answer).result.thread.id


def mistakes(asked: Asked, seen: Seen) -> list[str]:
    """What is wrong with the answer of one server, whatever the other one says."""
    if seen.refused is not None:
        return [f"refused: {seen.refused}"]
    try:
        thread = msgspec.json.decode(seen.answer, type=_Answer).result.thread
    except UNREADABLE as error:
        return [_unreadable("threadkeep", error)]
    scenario, wrong = asked.scenario, []
    if scenario.lookup is not None and seen.found != asked.thread_id:
        wrong.append(f"looked up {seen.found} for {asked.thread_id}")
    if scenario.makes == (thread.id == asked.thread_id):
        wrong.append(f"answered with {thread.id} for {asked.thread_id}")
    if scenario.method == "thread/fork" and thread.forked_from_id != asked.thread_id:
        wrong.append(f"the fork of {asked.thread_id} is one of {thread.forked_from_id}")
    if scenario.lookup is None and thread.cwd != asked.cwd:
        wrong.append(f"the new thread works in {thread.cwd}, not in {asked.cwd}")
    return wrong


def differences(asked: Asked, ours: Seen, theirs: Seen) -> list[str]:
    """In what the answers of two servers differ, and which cannot be read; nothing where one of them refused."""
    if ours.refused is not None or theirs.refused is not None:
        return []
    sides, found = [], []
    for server, seen in (("threadkeep", ours), ("Codex", theirs)):
        try:
            sides.append(_comparables(asked, seen))
        except UNREADABLE as error:
            found.append(_unreadable(server, error))
    for what in () if found else sides[0]:
        one, other = (side[what] for side in sides)
        if (one is None) != (other is None):
            found.append(f"{what}: {'only Codex' if one is None else 'only threadkeep'} gave it")
        else:
            found += _apart(one, other, what)
    return found[:_MOST]


def _unreadable(server: str, error: Exception) -> str:
    return f"{server} gave an answer that cannot be read: {error}"


def _comparables(asked: Asked, seen: Seen) -> dict[str, Any]:
    """What one server said, without what cannot be the same."""
    about = thread_of(seen.answer)
    messages = {"the answer": seen.answer, "the page of turns": seen.page}
    if not asked.inherits:
        messages["the usage"] = seen.usage
    said = {what: None if line is None else _comparable(asked, line, about) for what, line in messages.items()}
    return {"the thread that was looked up": seen.found, **said}


def _comparable(asked: Asked, line: bytes, about: str) -> Any:
    """A message about a thread without what cannot be the same."""
    left_out = set(_TIMES)
    made = about if asked.scenario.makes else None
    if asked.scenario.makes:
        left_out.add("path")
    if asked.scenario.method == "thread/fork":
        left_out |= _OF_FORKS
        if asked.legacy:
            left_out.add("historyMode")
    if asked.inherits:
        left_out.add("preview")
    message = msgspec.json.decode(line, type=dict[str, Any])
    message.pop("id", None)
    return _without(message, left_out, made)


def _without(value: Any, left_out: set[str], made: str | None) -> Any:
    if isinstance(value, dict):
        return {
            key: (member is not None) if key.endswith("Cursor") else _without(member, left_out, made)
            for key, member in value.items()
            if key not in left_out and not _is_made_up(key, member)
        }
    if isinstance(value, list):
        return [_without(member, left_out, made) for member in value]
    return _NEW if made is not None and value == made else value


def _is_made_up(key: str, member: Any) -> bool:
    return key == "id" and isinstance(member, str) and member.startswith("item-")


def _apart(ours: Any, theirs: Any, where: str) -> Iterator[str]:
    """Where two messages differ, and in what."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            yield from _apart(ours.get(key, ...), theirs.get(key, ...), f"{where}, {key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from _apart(one, other, f"{where}, {number}")
    elif ours != theirs:
        yield f"{where}: threadkeep {_shown(ours)}, Codex {_shown(theirs)}"


def _shown(value: Any) -> str:
    if value is ...:
        return "nothing"
    if isinstance(value, list):
        return f"{len(value)} of them"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
