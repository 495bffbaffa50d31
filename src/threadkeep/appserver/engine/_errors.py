"""Model calls that fail: what kind of failure it is, whether it is tried again, and how it is told (0.169.0 observed).

What a provider says of itself is passed on word for word; sentences of the engine's own stand around it.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit, urlunsplit

import msgspec

from threadkeep.appserver.engine._protocol import EngineFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CallFailed", "answered_with", "disconnected", "failed_response", "incomplete_response", "not_connected"]

CONTEXT_EXCEEDED: Final = "contextWindowExceeded"
"""The kind of failure of a context that the model cannot take."""

MAX_DELAY: Final = 60.0
"""Seconds that a provider can ask us to wait at most."""
MAX_BODY: Final = 20_000
"""Characters of a provider's answer that are passed on at most."""

_CONTEXT: Final = "the context is larger than the model can take: compact the thread, or begin a new one"
_LIMITS: Final = frozenset({"usage_limit_reached", "usage_not_included", "insufficient_quota"})
_TRY_AGAIN: Final = re.compile(r"try again in ([0-9]+(?:\.[0-9]+)?) ?(ms|s\b|seconds?)", re.IGNORECASE)


class CallFailed(Exception):
    """A model call failed.

    Attributes:
        message: What went wrong.
        info: The error's kind in the protocol's words, for when nothing more is tried.
        again: Whether another call may do better.
        unsent: Whether the provider could not take the call at all: it is tried again without a word first.
        offline: Whether the provider was not reached: another call is made when it may be there again.
        status: The HTTP status, where there was one.
        delay: Seconds that the provider asks to wait; None where it does not say.
    """

    def __init__(
        self,
        message: str,
        info: Any = "other",
        *,
        again: bool = False,
        unsent: bool = False,
        offline: bool = False,
        status: int | None = None,
        delay: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.info = info
        self.again = again
        self.unsent = unsent
        self.offline = offline
        self.status = status
        self.delay = delay

    def failure(self, before: str = "") -> EngineFailure:
        """The end of a turn for this reason; ``before`` stands before the message."""
        return EngineFailure(f"{before}{self.message}", self.info)


class _Error(msgspec.Struct):
    """A provider's error object: members of other types count as none."""

    code: Any = None
    type: Any = None
    message: Any = None


class _Body(msgspec.Struct):
    error: _Error | None = None


def answered_with(status: int, headers: Mapping[str, str], body: str, url: str) -> CallFailed:
    """A call that was answered with a status of failure."""
    error = _error_of(body)
    code, told = _name(error), error.message[:MAX_BODY] if isinstance(error.message, str) else ""
    kinds = {error.code, error.type} if isinstance(error.code, str | None) else {error.type}
    named = f"{status} {_reason(status)}"
    if code == "context_length_exceeded":
        return CallFailed(_CONTEXT, CONTEXT_EXCEEDED, status=status)
    if status == HTTPStatus.BAD_REQUEST:
        return CallFailed(body[:MAX_BODY], status=status)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        if any(isinstance(kind, str) and kind in _LIMITS for kind in kinds):
            return CallFailed(told or f"the provider's usage limit is reached ({named})", "usageLimitExceeded")
        delay = _seconds(headers.get("retry-after"))
        return CallFailed(
            f"exceeded retry limit, last status: {named}",
            {"responseTooManyFailedAttempts": {"httpStatusCode": status}},
            again=delay is not None,
            status=status,
            delay=delay,
        )
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return CallFailed(
            f"the provider failed with {named}: {told or body[:MAX_BODY] or 'it does not say why'}",
            "internalServerError",
            again=True,
            unsent=True,
        )
    if status == HTTPStatus.SERVICE_UNAVAILABLE and code in {"server_is_overloaded", "slow_down"}:
        return CallFailed(told or f"the provider is overloaded ({named})", "serverOverloaded", unsent=True)
    return CallFailed(
        f"unexpected status {named}: {told or body[:MAX_BODY] or 'Unknown error'}, url: {_place(url)}",
        {"httpConnectionFailed": {"httpStatusCode": status}},
        again=True,
        unsent=status >= HTTPStatus.INTERNAL_SERVER_ERROR,
        status=status,
    )


def not_connected(reason: str, *, refused: bool = False) -> CallFailed:
    """A provider that gave no answer; ``refused`` where there was not even a connection."""
    return CallFailed(
        f"Connection failed: {reason}",
        {"httpConnectionFailed": {"httpStatusCode": None}},
        again=True,
        unsent=True,
        offline=refused,
    )


def disconnected(reason: str) -> CallFailed:
    """A stream that ended before its response was complete."""
    return CallFailed(f"stream disconnected before completion: {reason}", again=True)


def failed_response(error: Any) -> CallFailed:
    """A response that failed, by the error object of its ``response.failed``."""
    try:
        known = msgspec.convert(error, _Error) if isinstance(error, dict) else None
    except msgspec.ValidationError:
        known = None
    if known is None:
        return disconnected("response.failed event received")
    code = known.code if isinstance(known.code, str) else ""
    told = known.message[:MAX_BODY] if isinstance(known.message, str) else ""
    if code == "context_length_exceeded":
        return CallFailed(_CONTEXT, CONTEXT_EXCEEDED)
    if code in {"insufficient_quota", "usage_not_included"}:
        return CallFailed(told or "the provider's usage limit is reached", "usageLimitExceeded")
    if code == "invalid_prompt":
        return CallFailed(told or "the provider refuses the prompt")
    if code == "cyber_policy":
        return CallFailed(told or "the provider refuses the prompt by its policy", "cyberPolicy")
    if code == "server_is_overloaded":
        return CallFailed(told or "the provider is overloaded", "serverOverloaded")
    if code in {"rate_limit_exceeded", "slow_down"}:
        return CallFailed(f"rate limit exceeded: {told}", "rateLimitExceeded", again=True, delay=_asked_delay(told))
    return disconnected(told or "response.failed event received")


def incomplete_response(reason: str | None) -> CallFailed:
    """A response that the provider ended before it was complete; what a filter stopped may come through next time."""
    told = f"Incomplete response returned, reason: {reason or 'unknown'}"
    return disconnected(told) if reason == "content_filter" else CallFailed(told)


def _error_of(body: str) -> _Error:
    try:
        return msgspec.json.decode(body.encode(), type=_Body).error or _Error()
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _Error()


def _name(error: _Error) -> str:
    return next((name for name in (error.code, error.type) if isinstance(name, str) and name), "")


def _place(url: str) -> str:
    """An address without what may be secret of it: names, passwords and the query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _reason(status: int) -> str:
    """The words of a status, as registered."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        return "<unknown status code>"
    return "Payload Too Large" if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else phrase


def _seconds(text: str | None) -> float | None:
    """A ``retry-after`` in seconds; None where it is absent or a date, 0 where it is no number."""
    try:
        return min(max(0.0, float(text)), MAX_DELAY) if text is not None else None
    except ValueError:
        return None


def _asked_delay(told: str) -> float | None:
    """The delay that a message of a rate limit names."""
    found = _TRY_AGAIN.search(told)
    if found is None:
        return None
    return min(float(found[1]) / (1000 if found[2].lower() == "ms" else 1), MAX_DELAY)
