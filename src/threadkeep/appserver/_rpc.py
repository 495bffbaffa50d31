"""Messages of the app-server protocol as bytes: the one place where they are taken apart and put together.

The protocol is JSON-RPC without its ``jsonrpc`` member. What is no message gets no answer, and the connection stays
open (0.169.0 observed): a line that is no JSON object, an id that is neither a text nor a 64-bit integer, a request
whose method is no text, arrays of messages, values nested deeper than `MAX_DEPTH`. Unlike there, a line that is not
UTF-8 is one of these too; 0.169.0 ends the whole process.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any, Final

import msgspec

__all__ = [
    "INTERNAL_ERROR",
    "INVALID_PARAMS",
    "INVALID_REQUEST",
    "MAX_DEPTH",
    "METHOD_NOT_FOUND",
    "OVERLOADED",
    "RESULT_TAIL",
    "Incoming",
    "RequestId",
    "RpcError",
    "decode",
    "error",
    "internal",
    "invalid",
    "invalid_params",
    "notification",
    "plain",
    "request",
    "result",
    "result_head",
    "unsupported",
]

INVALID_REQUEST: Final = -32600
"""The code of nearly everything that a client can do wrong."""
METHOD_NOT_FOUND: Final = -32601
"""The code of what is not supported."""
INVALID_PARAMS: Final = -32602
"""The code of a few values that are well formed and mean nothing (0.169.0 observed: item anchors, excluded ids)."""
INTERNAL_ERROR: Final = -32603
"""The code of a failure of the server or of the store below it."""
OVERLOADED: Final = -32001
"""The code of a request that was not begun because too many wait."""

MAX_DEPTH: Final = 127
"""How deep arrays and objects of a message may be nested, its own object counted (0.169.0 observed)."""

RESULT_TAIL: Final = b"}"
"""What follows the result of a streamed answer, after `result_head`."""

RequestId = int | str
"""What a request is answered by: a text or a 64-bit integer."""


class RpcError(Exception):
    """A request failed: the answer is this code and message."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        """Keep them for `error`."""
        super().__init__(message)
        self.code = code
        """A JSON-RPC error code."""
        self.message = message
        """The message, for people; some clients read known ones."""
        self.data = data
        """JSON values that say more, or None."""


def invalid(message: str) -> RpcError:
    """The error of a request that cannot be carried out as it is (`INVALID_REQUEST`)."""
    return RpcError(INVALID_REQUEST, message)


def unsupported(message: str) -> RpcError:
    """The error of something that is not supported (`METHOD_NOT_FOUND`)."""
    return RpcError(METHOD_NOT_FOUND, message)


def invalid_params(message: str) -> RpcError:
    """The error of the few values that have a code of their own (`INVALID_PARAMS`)."""
    return RpcError(INVALID_PARAMS, message)


def internal(message: str) -> RpcError:
    """The error of a failure that is not the client's (`INTERNAL_ERROR`)."""
    return RpcError(INTERNAL_ERROR, message)


class Incoming(msgspec.Struct, frozen=True):
    """One message from a client."""

    id: RequestId | None
    """The id of a request or of a response, None for a notification."""
    method: str | None
    """The method of a request or notification, None for a response."""
    params: msgspec.Raw | None
    """The parameters as they came, None when absent or null."""
    result: msgspec.Raw | None
    """The result of a response, null included."""
    error: msgspec.Raw | None
    """The error of a response."""

    @property
    def is_request(self) -> bool:
        """Whether it wants an answer."""
        return self.method is not None and self.id is not None

    @property
    def is_notification(self) -> bool:
        """Whether it is a method without an id."""
        return self.method is not None and self.id is None

    @property
    def is_response(self) -> bool:
        """Whether it answers a request of the server."""
        return self.method is None


class _Envelope(msgspec.Struct):
    """The members of a message that matter; all others are passed over."""

    id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    method: str | msgspec.UnsetType = msgspec.UNSET
    params: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_INTEGER: Final = re.compile(rb"-?[0-9]{1,19}")
_CHUNK: Final = 65536
"""Bytes that are looked through for brackets at a time: other threads have their turn between."""
_BRACKETS: Final = bytes.maketrans(b"{[}]", b"\2\2\0\0")
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_decode_envelope: Final = msgspec.json.Decoder(_Envelope).decode
_decode_value: Final = msgspec.json.Decoder(float_hook=float).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.Encoder().encode


def decode(line: bytes) -> Incoming | None:
    """The message of a line or frame, or None for what is none and gets no answer. Never raises."""
    try:
        if not line.isascii():
            line.decode()  # texts that the decoder passes over are not checked by it
        envelope = _decode_envelope(line)
        request_id = None if envelope.id is msgspec.UNSET else _request_id(bytes(envelope.id))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if _is_too_deep(line):
        return None
    if envelope.method is not msgspec.UNSET:
        if envelope.id is not msgspec.UNSET and request_id is None:
            return None
        params = _given(envelope.params)
        params = None if params is None or bytes(params) == b"null" else params
        return Incoming(id=request_id, method=envelope.method, params=params, result=None, error=None)
    answer, failure = _given(envelope.result), _given(envelope.error)
    if request_id is None or (answer is None and failure is None):
        return None
    return Incoming(id=request_id, method=None, params=None, result=answer, error=failure if answer is None else None)


def plain(raw: msgspec.Raw | None) -> Any:
    """What came as JSON values, None where nothing came. ``raw`` is a member of an `Incoming`.

    Raises:
        RpcError: It holds a number that is too long.
    """
    if raw is None:
        return None
    try:
        return _decode_value(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise invalid("Invalid request: number out of range") from None


def result(request_id: RequestId, value: Any) -> bytes:
    """The answer of a request that succeeded. ``value``: JSON values, `msgspec.Raw` anywhere in it."""
    return _encode({"id": request_id, "result": value})


def result_head(request_id: RequestId) -> bytes:
    """The beginning of a streamed answer: then come the bytes of the result, then `RESULT_TAIL`."""
    return b'{"id":%b,"result":' % _encode(request_id)


def error(request_id: RequestId, failure: RpcError) -> bytes:
    """The answer of a request that failed."""
    said: dict[str, Any] = {"code": failure.code}
    if failure.data is not None:
        said["data"] = failure.data
    return _encode({"id": request_id, "error": {**said, "message": failure.message}})


def notification(method: str, params: Any, at_ms: int) -> bytes:
    """A message that wants no answer, with the time at which it was made (milliseconds since 1970)."""
    return _encode({"method": method, "params": params, "emittedAtMs": at_ms})


def request(request_id: RequestId, method: str, params: Any) -> bytes:
    """A question to the client."""
    return _encode({"id": request_id, "method": method, "params": params})


def _given(member: msgspec.Raw | msgspec.UnsetType) -> msgspec.Raw | None:
    return None if member is msgspec.UNSET else member


def _request_id(raw: bytes) -> RequestId | None:
    """The id that ``raw`` is, None when it is none."""
    if raw.startswith(b'"'):
        return _decode_text(raw)
    if _INTEGER.fullmatch(raw) is None:
        return None
    number = int(raw)
    return number if -(2**63) <= number < 2**63 else None


def _is_too_deep(line: bytes) -> bool:
    """Whether arrays and objects are nested deeper than `MAX_DEPTH`. ``line`` is well-formed JSON."""
    if line.count(b"[") + line.count(b"{") <= MAX_DEPTH:
        return False
    if b"\\" in line:
        line = line.replace(b"\\\\", b"").replace(b'\\"', b"")
    depth, in_text = 0, 0
    for start in range(0, len(line), _CHUNK):
        pieces = line[start : start + _CHUNK].split(b'"')
        steps = b"".join(pieces[in_text::2]).translate(_BRACKETS, _NOT_BRACKETS)  # 2 leads in, 0 leads out
        depths = list(accumulate(map((-1).__add__, steps), initial=depth))
        if max(depths) > MAX_DEPTH:
            return True
        depth = depths[-1]
        in_text = (in_text + len(pieces) - 1) % 2
    return False
