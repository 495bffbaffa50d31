"""Answers as JSON: camel case throughout, and what came from a rollout as the bytes that it is."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

__all__ = ["camel", "encode", "plain", "readable"]

_OBEYED: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def camel(name: str) -> str:
    """A name in camel case: ``bytes_freed`` is ``bytesFreed``."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def plain(value: Any) -> Any:
    """An answer of the store as what msgspec encodes: the members of structs get names in camel case.

    What came from a rollout (dicts, raw slices) keeps the names that it has there, and is not looked into: it may nest
    deeply. An empty raw slice is null.
    """
    if isinstance(value, msgspec.Struct):
        return {camel(name): plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, list | tuple):
        return [plain(item) if isinstance(item, msgspec.Struct | msgspec.Raw) else item for item in value]
    if isinstance(value, msgspec.Raw):
        return value if bytes(value) else None
    return value


def encode(value: Any) -> bytes:
    """One line of JSON, without its newline, of an answer or of a dict of answers."""
    whole = {name: plain(part) for name, part in value.items()} if isinstance(value, dict) else plain(value)
    return msgspec.json.encode(whole)


def readable(encoded: bytes, *, indent: bool) -> str:
    """JSON for a terminal: what a terminal obeys is escaped, which changes no value."""
    text = (msgspec.json.format(encoded, indent=2) if indent else encoded).decode("utf-8", "replace")
    return _OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", text.replace("\r", " "))
