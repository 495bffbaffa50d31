"""One record: classified by its first bytes, decoded only when somebody asks.

Codex writes the keys of an envelope in a fixed order (``storage.md`` 2.1), so one regular expression over the first
bytes tells type and payload type. Lines in any other order, and lines from before the envelope existed, are decoded
to be classified; the result is the same, only slower. A line that is not UTF-8 or not JSON is no record.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, TypeAlias, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["EMPTY_RAW", "HEAD", "Record", "decode_strict", "is_utf8", "names_in", "record_of", "records_of"]

T = TypeVar("T")

EMPTY_RAW: Final = msgspec.Raw(b"")
"""Stands for an absent value where a `msgspec.Raw` is expected."""

HEAD: Final = re.compile(
    rb'\{"timestamp":"([+-Z]{20,35}+)",(?:"ordinal":(0|[1-9][0-9]{0,18}),)?"type":'
    rb'("(?:event_msg|response_item|realtime_item|retained_context)","payload":\{"type":"[A-Za-z_]{1,64}+"'
    rb'|"(?!event_msg"|response_item"|realtime_item"|retained_context")[a-z_]{1,64}+","payload":\{)'
)
"""Groups: write time, ordinal, and the bytes that name type and payload type, which are looked up as they stand. Where
the payload's type matters and does not stand first there is no match: such a record is decoded to be classified. The
characters of a write time are one range, which is matched quicker than a set of them."""

_TO_PAYLOAD: Final = len('"",') + len('"payload":')
"""Bytes from the beginning of a type in quotation marks to that of the payload, without the type's own."""

_BRACE: Final = 0x7B
_BOM: Final = b"\xef\xbb\xbf"
_UTF8_CHUNK: Final = 1 << 20

_SHORTEST: Final = 4096
"""Lines of white space alone are looked for up to this length; longer ones are damage."""

# Types whose payload names a type of its own that matters to replay.
_WITH_SUBTYPE: Final = frozenset({"event_msg", "response_item", "realtime_item", "retained_context"})

_KINDS: Final[dict[bytes, tuple[str, str]]] = {}
_MOST_NAMES: Final = 1024


class _Envelope(msgspec.Struct):
    type: str
    payload: msgspec.Raw
    timestamp: str
    ordinal: Annotated[int, msgspec.Meta(ge=0)] | None = None
    metadata: msgspec.Raw = EMPTY_RAW

    def __post_init__(self) -> None:
        if self.ordinal is not None and self.ordinal >= 1 << 64:
            raise ValueError("an ordinal has 64 bits")


class _Typed(msgspec.Struct, Generic[T]):
    payload: T


class _Kinded(msgspec.Struct):
    type: str = ""


_Head: TypeAlias = "tuple[str, int | None] | re.Match[bytes]"
"""Write time and ordinal, or the match that holds them until somebody asks."""

_NOHEAD: Final = ("", None)

_decode_envelope: Final = msgspec.json.Decoder(_Envelope).decode
_decode_kinded: Final = msgspec.json.Decoder(_Kinded).decode
_typed_decoders: Final[dict[type, msgspec.json.Decoder[Any]]] = {}
_bare_decoders: Final[dict[type, msgspec.json.Decoder[Any]]] = {}

_making: Final = threading.Lock()
"""Held while a decoder is made: two that are made of one type for the first time, in two threads at once, crash the
process (msgspec 0.22.0 observed)."""


class Record(msgspec.Struct, gc=False, eq=False):
    """One line of a rollout.

    Attributes:
        offset: Decoded byte offset of the line's first byte: with the rollout's id, the record's position.
        line: The line's bytes, without the newline.
        kind: The record's type, such as ``event_msg``; ``session_meta`` and ``response_item`` also for lines from
            before the envelope. Empty for a line that cannot be understood.
        subtype: The payload's own type (``task_started``, ``message``), where it names one; else empty.
        bare: Whether the line is from before the envelope, so that the line itself is the payload.
    """

    offset: int
    line: bytes
    kind: str
    subtype: str
    _head: _Head
    bare: bool = False
    _envelope: _Envelope | None = None

    def __repr__(self) -> str:
        name = f"{self.kind}/{self.subtype}" if self.subtype else self.kind or "not a record"
        return f"<Record {name} at {self.offset}, {len(self.line)} bytes>"

    @property
    def timestamp(self) -> str:
        """The write time as it stands in the record; empty where there is none."""
        head = self._head
        return head[0] if isinstance(head, tuple) else head[1].decode("ascii", "replace")

    @property
    def ordinal(self) -> int | None:
        """The record's ordinal; None in legacy rollouts."""
        head = self._head
        if isinstance(head, tuple):
            return head[1]
        digits = head[2]
        if digits is not None:
            return int(digits)
        if self.line.find(b'"ordinal"', head.end()) < 0:
            return None
        envelope = self._decoded()  # not Codex's order of keys: it may stand behind the payload
        return envelope.ordinal if envelope is not None else None

    @property
    def end(self) -> int:
        """The offset just after the line and its newline."""
        return self.offset + len(self.line) + 1

    def view(self, shape: type[T]) -> T | None:
        """The payload as a ``shape``; None when the line is damaged or the payload does not fit (it does not count).

        Raises nothing: a record that fails its schema is skipped by every reader (``storage.md`` 2.1, 7.3).
        """
        try:
            line = self.line
            if not (line.isascii() or is_utf8(line)):
                return None
            if self.bare:
                bare = _bare_decoders.get(shape) or _made(_bare_decoders, shape, shape)
                return bare.decode(_without_bom(line))  # type: ignore[no-any-return]
            typed = _typed_decoders.get(shape)
            if typed is None:
                typed = _made(_typed_decoders, shape, _Typed[shape])  # type: ignore[valid-type]
            return typed.decode(_without_bom(line)).payload  # type: ignore[no-any-return]
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return None

    @property
    def payload(self) -> msgspec.Raw | None:
        """The payload as the bytes that it is; None for a damaged line. The raw value keeps the line alive."""
        if self.bare:
            return msgspec.Raw(_without_bom(self.line)) if self.intact else None
        envelope = self._decoded()
        return envelope.payload if envelope is not None else None

    @property
    def metadata(self) -> msgspec.Raw:
        """The harness metadata beside a response item, as bytes; empty where there is none."""
        if self.bare:
            return EMPTY_RAW
        envelope = self._decoded()
        return envelope.metadata if envelope is not None else EMPTY_RAW

    def payload_start(self) -> int | None:
        """Where in the line the payload begins; None where only decoding it tells."""
        head = self._head
        return None if isinstance(head, tuple) else head.start(3) + len(self.kind) + _TO_PAYLOAD

    @property
    def intact(self) -> bool:
        """Whether the whole line is well-formed: UTF-8 and JSON with an envelope (or a known shape from before it)."""
        if self.bare:
            return decode_strict(_without_bom(self.line)) is not None
        return self._decoded() is not None

    def parts(self) -> tuple[msgspec.Raw, msgspec.Raw] | None:
        """(payload, harness metadata) as bytes, the second empty where there is none; None for a damaged line."""
        if self.bare:
            payload = self.payload
            return (payload, EMPTY_RAW) if payload is not None else None
        envelope = self._decoded()
        return (envelope.payload, envelope.metadata) if envelope is not None else None

    def _decoded(self) -> _Envelope | None:
        envelope = self._envelope
        if envelope is None and self.kind:
            line = self.line
            try:
                if line.isascii() or is_utf8(line):
                    envelope = self._envelope = _decode_envelope(line if line[0] == _BRACE else _without_bom(line))
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
                return None
        return envelope


def is_utf8(data: bytes) -> bool:
    """Whether ``data`` is valid UTF-8; long lines are checked in pieces, so that no second copy of them is made."""
    if data.isascii():
        return True
    try:
        if len(data) <= _UTF8_CHUNK:
            data.decode()
        else:
            import codecs

            decoder = codecs.getincrementaldecoder("utf-8")()
            view = memoryview(data)
            for start in range(0, len(data), _UTF8_CHUNK):
                decoder.decode(view[start : start + _UTF8_CHUNK])
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def decode_strict(line: bytes) -> Any:
    """``line`` as JSON values; None when it is not UTF-8, not JSON, or nested too deeply to be read."""
    try:
        return msgspec.json.decode(line) if is_utf8(line) else None
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None


def _made(decoders: dict[type, msgspec.json.Decoder[Any]], shape: type, whole: type) -> msgspec.json.Decoder[Any]:
    """A decoder for ``whole``, kept for ``shape``."""
    with _making:
        decoder = decoders.get(shape)
        if decoder is None:
            decoder = decoders[shape] = msgspec.json.Decoder(whole)
        return decoder


def _without_bom(line: bytes) -> bytes:
    return line[3:] if line.startswith(_BOM) else line


def names_in(key: bytes) -> tuple[str, str]:
    """(type, payload type) as text; remembered, up to a bound, since names come from outside."""
    quoted = key.decode("ascii").split('"')  # "type","payload":{ and perhaps "type":"payload type"
    name, subtype = quoted[1], quoted[7] if len(quoted) > 7 else ""
    names = (name, subtype if name in _WITH_SUBTYPE else "")
    if len(_KINDS) < _MOST_NAMES:
        _KINDS[key] = names
    return names


def record_of(offset: int, line: bytes) -> Record:
    """The record that ``line`` is; one with an empty ``kind`` when the line cannot be understood.

    A head that looks right says nothing about the rest of the line: what matters is decoded before it counts.
    """
    head = HEAD.match(line)
    if head is None:
        return _classify_slowly(offset, line)
    key = head[3]
    kind, subtype = _KINDS.get(key) or names_in(key)
    return Record(offset, line, kind, subtype, head)


def _classify_slowly(offset: int, line: bytes) -> Record:
    damaged = Record(offset, line, "", "", _NOHEAD)
    if not is_utf8(line):
        return damaged
    text = _without_bom(line)
    try:
        envelope = _decode_envelope(text)
    except (msgspec.MsgspecError, RecursionError):
        return _classify_bare(offset, line, text)
    subtype = ""
    if envelope.type in _WITH_SUBTYPE:
        try:
            subtype = _decode_kinded(envelope.payload).type
        except (msgspec.MsgspecError, RecursionError):
            subtype = ""
    record = Record(offset, line, envelope.type, subtype, (envelope.timestamp, envelope.ordinal))
    record._envelope = envelope  # noqa: SLF001 - decoded once is enough
    return record


def _classify_bare(offset: int, line: bytes, text: bytes) -> Record:
    """Lines from before the envelope (Codex of mid-2025, ``storage.md`` 2.1 "before the envelope")."""
    value = decode_strict(text)
    if not isinstance(value, dict) or "payload" in value:
        return Record(offset, line, "", "", _NOHEAD)
    if isinstance(value.get("record_type"), str):
        return Record(offset, line, "state", value["record_type"], _NOHEAD, bare=True)
    kind = value.get("type")
    if isinstance(kind, str):
        return Record(offset, line, "response_item", kind, _NOHEAD, bare=True)
    if isinstance(value.get("id"), str) and isinstance(value.get("timestamp"), str):
        return Record(offset, line, "session_meta", "", (value["timestamp"], None), bare=True)
    return Record(offset, line, "", "", _NOHEAD)


def records_of(lines: Iterable[tuple[int, bytes | None]]) -> Iterator[Record]:
    """The records among ``lines``; blank lines and lines above the size bound are left out."""
    match, known = HEAD.match, _KINDS.get
    for offset, line in lines:
        if not line:
            continue
        head = match(line)
        if head is not None:
            key = head[3]
            kind, subtype = known(key) or names_in(key)
            yield Record(offset, line, kind, subtype, head)
        elif len(line) >= _SHORTEST or not line.isspace():
            yield _classify_slowly(offset, line)
