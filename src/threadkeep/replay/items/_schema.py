"""What the schemas of turn items share: numbers with ranges, words, ids, durations.

The rules are those of 0.169.0 (observed): a member that a schema does not name is ignored, a required member that is
missing, a member of a wrong JSON type or out of its range, or a word that an enum does not know makes the whole record
undecodable, and a float is never an integer. Optional members may be missing or null; a member with another default
than None may be missing, but not null.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, TypeAlias, get_args

import msgspec
from msgspec import Meta

from threadkeep.ids import is_id

__all__ = [
    "I32",
    "I64",
    "U16",
    "U32",
    "U64",
    "AgentPath",
    "Duration",
    "Effort",
    "Json",
    "ThreadId",
    "UndecodableError",
    "camel_words",
    "check_u64",
    "first_string",
    "milliseconds",
    "thread_id",
]

Json: TypeAlias = dict[str, Any]
"""One JSON object."""

I32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
I64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
U16 = Annotated[int, Meta(ge=0, le=2**16 - 1)]
U32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]
U64 = Annotated[int, Meta(ge=0)]
"""The upper bound is `check_u64`'s: msgspec takes no bound above 2^63-1."""

_HYPHENED: Final = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"

ThreadId = Annotated[str, Meta(pattern=rf"\A(?:[0-9a-fA-F]{{32}}|(?:urn:uuid:)?{_HYPHENED}|\{{{_HYPHENED}\}})\Z")]
"""A UUID in any of its forms; `thread_id` gives the one that is shown."""

AgentPath = Annotated[str, Meta(pattern=r"\A(?:/morpheus|/root(?:/(?!root(?:/|\Z))[a-z0-9_]+)*)\Z")]
"""Where an agent stands below the first one."""

Effort = Annotated[str, Meta(min_length=1)]
"""A reasoning effort: any word."""


class UndecodableError(ValueError):
    """The value does not fit its schema: the record that holds it does not count, and uses up no ordinal."""


def check_u64(*numbers: int) -> None:
    """Refuse numbers beyond 2^64-1. Raises `UndecodableError`."""
    if max(numbers) >= 2**64:
        raise UndecodableError(f"beyond 64 bits: {max(numbers)}")


class Duration(msgspec.Struct, forbid_unknown_fields=True):
    """A duration, with nothing else in it: an unknown member makes the record undecodable."""

    secs: U64
    nanos: U32


def milliseconds(duration: Duration | None) -> int | None:
    """The whole milliseconds of ``duration``; None also for more than a signed 64-bit integer holds.

    Raises:
        UndecodableError: The seconds, with those among the nanoseconds, go beyond 64 bits.
    """
    if duration is None:
        return None
    check_u64(duration.secs + duration.nanos // 10**9)
    whole = duration.secs * 1000 + duration.nanos // 10**6
    return whole if whole < 2**63 else None


def camel_words(literal: Any) -> dict[str, str]:
    """The words of a `typing.Literal`, each with its spelling in camel case: the rollout's words and the server's."""
    return {word: re.sub(r"_(.)", lambda match: match[1].upper(), word) for word in get_args(literal)}


def first_string(**members: Any) -> Json:
    """The first of the members that is a string, alone; the others may be anything.

    Raises:
        UndecodableError: None of them is a string.
    """
    for name, value in members.items():
        if isinstance(value, str):
            return {name: value}
    raise UndecodableError(f"none of {', '.join(members)} is a string")


def thread_id(text: str) -> str:
    """A `ThreadId` as the server writes it: lower case, with hyphens, nothing around it."""
    if is_id(text):
        return text
    digits = re.sub(r"urn:uuid:|[-{}]", "", text).lower()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
