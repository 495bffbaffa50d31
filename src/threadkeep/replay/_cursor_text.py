"""Cursors as callers keep them: opaque strings without spaces or quotes."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, TypeVar

import msgspec

from threadkeep.errors import InvalidCursor

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["cursor_text", "read_cursor"]

T = TypeVar("T")


def cursor_text(cursor: msgspec.Struct) -> str:
    """The cursor as callers keep it."""
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode("ascii").rstrip("=")


def read_cursor(text: str, decode: Callable[[bytes], T], *, thread: str | None = None) -> T:
    """A caller's cursor; what it is used for is checked by whoever asks.

    Args:
        text: The cursor.
        decode: Decodes its JSON, by `msgspec`.
        thread: The thread that it is used for, for the error.

    Raises:
        InvalidCursor: It is no cursor of that kind.
    """
    try:
        return decode(base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
    except (UnicodeEncodeError, UnicodeDecodeError, binascii.Error, msgspec.MsgspecError, RecursionError) as error:
        raise InvalidCursor(f"invalid cursor: {text}", thread=thread) from error
