"""Records as bytes: the one place where an envelope is written.

Key order, separators and number formats are Codex's (``storage.md`` 2.1), so that a record of ours and one of Codex's
with the same content are the same bytes. Payloads that come as bytes pass through untouched.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from threadkeep.errors import InvalidRecord
from threadkeep.records._scan import MAX_RECORD_BYTES

__all__ = ["encode_json", "encode_record", "renumbered"]

_encoder: Final = msgspec.json.Encoder()
_BEGINNING: Final = re.compile(rb'(\{"timestamp":"[^"\\]{20,35}",)(?:"ordinal":[0-9]{1,20},)?(?="type":)')
_decode_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def encode_json(value: Any) -> bytes:
    """``value`` as compact JSON, keys in the order given, non-ASCII characters unescaped.

    Raises:
        InvalidRecord: The value has no JSON form.
    """
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, RecursionError, OverflowError, msgspec.MsgspecError) as error:
        raise InvalidRecord(f"value has no JSON form: {error}") from error


def encode_record(
    kind: str, payload: Any, *, timestamp: str, ordinal: int | None = None, metadata: Any = None
) -> bytes:
    r"""One record with its newline.

    Args:
        kind: The record's type, such as ``event_msg``.
        payload: JSON values, or the payload's own bytes as `msgspec.Raw` (passed through).
        timestamp: UTC write time as `threadkeep.ids.utc` gives it.
        ordinal: For a paginated rollout; None for a legacy one.
        metadata: Harness metadata of a response item, in the same two forms; None to leave it out.

    Raises:
        InvalidRecord: The payload has no JSON form, holds a raw line break, or the record is above
            `MAX_RECORD_BYTES`.
    """
    parts = [b'{"timestamp":"', timestamp.encode("ascii"), b'"']
    if ordinal is not None:
        parts += [b',"ordinal":', b"%d" % ordinal]
    parts += [b',"type":', encode_json(kind), b',"payload":', encode_json(payload)]
    if metadata is not None:
        parts += [b',"metadata":', encode_json(metadata)]
    parts.append(b"}\n")
    line = b"".join(parts)
    if len(line) > MAX_RECORD_BYTES:
        raise InvalidRecord(f"a record of {len(line)} bytes is above the bound of {MAX_RECORD_BYTES} bytes")
    if line.find(b"\n") != len(line) - 1:
        raise InvalidRecord("a payload given as bytes holds a line break, which would split the record")
    return line


def renumbered(line: bytes, ordinal: int) -> bytes:
    """A whole record (without its newline) with another ordinal, or with its first; all other bytes stay.

    Raises:
        InvalidRecord: It is no record.
    """
    beginning = _BEGINNING.match(line)
    if beginning is not None:
        return b"".join((beginning[1], b'"ordinal":%d,' % ordinal, memoryview(line)[beginning.end() :]))
    try:
        members = _decode_members(line.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidRecord(f"a line that is no record cannot be numbered: {error}") from error
    stamp = members.pop("timestamp", msgspec.Raw(b'""'))
    members.pop("ordinal", None)
    return _encoder.encode({"timestamp": stamp, "ordinal": ordinal, **members})
