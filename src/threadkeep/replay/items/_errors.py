"""Why a turn failed: the ``error`` of a ``task_complete`` or ``turn_aborted`` (0.169.0 observed)."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from threadkeep.records import EMPTY_RAW, present
from threadkeep.replay.items._schema import U16, Json, UndecodableError, camel_words

__all__ = ["turn_error"]

_WORDS: Final = {
    **camel_words(
        Literal[
            "context_window_exceeded",
            "session_budget_exceeded",
            "usage_limit_exceeded",
            "rate_limit_exceeded",
            "flex_unavailable",
            "server_overloaded",
            "model_not_found",
            "policy_capacity_unavailable",
            "cyber_policy",
            "misalignment_policy_violation",
            "too_many_denials",
            "internal_server_error",
            "unauthorized",
            "bad_request",
            "thread_rollback_failed",
            "sandbox_error",
            "other",
            "inference_hook_denied",
        ]
    ),
    "bio_policy": "other",
    "invalid_prompt": "other",
}
"""The causes that are words; a word that is not here is ``other`` too."""


class HttpFailure(msgspec.Struct):
    """The model provider could not be reached, or broke off."""

    http_status_code: U16 | None = None

    def shown(self) -> Json:
        """As the server shows it."""
        return {"httpStatusCode": self.http_status_code}


class NotSteerable(msgspec.Struct):
    """What runs cannot be spoken to."""

    turn_kind: Literal["review", "compact"]

    def shown(self) -> Json:
        """As the server shows it."""
        return {"turnKind": self.turn_kind}


_http: Final = msgspec.json.Decoder(HttpFailure)

_OBJECTS: Final[dict[str, tuple[str, msgspec.json.Decoder[Any]]]] = {
    "http_connection_failed": ("httpConnectionFailed", _http),
    "response_stream_connection_failed": ("responseStreamConnectionFailed", _http),
    "response_stream_disconnected": ("responseStreamDisconnected", _http),
    "response_too_many_failed_attempts": ("responseTooManyFailedAttempts", _http),
    "active_turn_not_steerable": ("activeTurnNotSteerable", msgspec.json.Decoder(NotSteerable)),
}
"""The causes that are objects with one member."""


class TurnError(msgspec.Struct):
    """The error as the rollout has it; what else it holds is not shown."""

    message: str
    codex_error_info: msgspec.Raw = EMPTY_RAW


_decode_error: Final = msgspec.json.Decoder(TurnError).decode
_decode_info: Final[msgspec.json.Decoder[str | dict[str, msgspec.Raw]]] = msgspec.json.Decoder(
    str | dict[str, msgspec.Raw]
)


def turn_error(raw: msgspec.Raw) -> Json | None:
    """The ``error`` of a turn's end as the server shows it, from the member's own bytes; None where there is none.

    The result has ``message`` and ``codexErrorInfo`` (None, a word, or an object with one member), and the server's two
    constant members, which are always None.

    Raises:
        UndecodableError: The error does not fit its schema, so the record that ends the turn does not count.
    """
    if not present(raw):
        return None
    try:
        error = _decode_error(raw)
        info = _cause(error.codex_error_info)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        raise UndecodableError(f"not the error of a turn: {problem}") from problem
    return {"message": error.message, "codexErrorInfo": info, "additionalDetails": None, "misalignment": None}


def _cause(raw: msgspec.Raw) -> str | Json | None:
    """A word, or an object whose one member names it; an unknown name is ``other``, whatever it stands for."""
    if not present(raw):
        return None
    info = _decode_info.decode(raw)
    if isinstance(info, str):
        if info in _OBJECTS:
            raise UndecodableError(f"{info} is no word")
        return _WORDS.get(info, "other")
    if len(info) != 1:
        raise UndecodableError("a cause has one name")
    [(name, value)] = info.items()
    if name in _OBJECTS:
        shown_name, decoder = _OBJECTS[name]
        return {shown_name: decoder.decode(value).shown()}
    if name in _WORDS and present(value):
        raise UndecodableError(f"{name} holds nothing")
    return _WORDS.get(name, "other")
