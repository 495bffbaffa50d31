"""JSON of any shape that only passes through: kept as the bytes that it is, so that no number and no order changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.replay.items._schema import UndecodableError

if TYPE_CHECKING:
    from threadkeep.replay.items._schema import Json

__all__ = ["opaque", "opaque_array", "plain"]

_NINETEEN: Final = b"0" * 19
_DIGITS_TO_ZERO: Final = bytes.maketrans(b"123456789", b"0" * 9)
_values: Final = msgspec.json.Decoder(float_hook=float)


def opaque(raw: msgspec.Raw) -> msgspec.Raw:
    """JSON of any shape, as the bytes that it is.

    Raises:
        UndecodableError: It holds an integer beyond 64 bits, which no member of a record may, known or not.
    """
    # Nineteen digits in a row are rare enough to be looked at closely.
    if _NINETEEN in bytes(raw).translate(_DIGITS_TO_ZERO):
        _check_integers(_values.decode(raw))
    return raw


def opaque_array(raw: msgspec.Raw) -> msgspec.Raw:
    """A JSON array, as the bytes that it is. Raises `UndecodableError` for anything else, and as `opaque` does."""
    if memoryview(raw)[0] != ord("["):
        raise UndecodableError("not an array")
    return opaque(raw)


def _check_integers(value: Any) -> None:
    if isinstance(value, dict):
        _check_integers(list(value.values()))
    elif isinstance(value, list):
        for member in value:
            _check_integers(member)
    elif isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise UndecodableError(f"beyond 64 bits: {value}")


def plain(item: Json) -> Json:
    """``item`` as `thread_item` gives it, with Python values where it has `msgspec.Raw`.

    Numbers become Python's: integers as they are, floats of double precision (beyond that, infinite).
    """
    return {name: _plain(value) for name, value in item.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Raw):
        return _values.decode(value)
    return plain(value) if isinstance(value, dict) else value
