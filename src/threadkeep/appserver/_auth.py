"""Who may connect over a socket: by the page that asks, and by a token.

A browser sends an ``Origin`` with what a page asks for, other clients do not: one that is not allowed is refused, so
that no web page speaks to a server on the reader's own machine. A bearer token is needed to listen on an address that
other machines reach. Answers and texts are 0.169.0's (observed); it has no allowed origins.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["PROBES", "Guard", "digest_of_file", "digest_of_hex", "is_loopback"]

PROBES: Final = ("/readyz", "/healthz")
"""Paths that say whether the server runs, to everybody but web pages."""

_MOST_TOKEN: Final = 64 * 1024
"""Bytes of a file with a token."""


class Guard:
    """Decides about each request to connect.

    Args:
        token: SHA-256 of the bearer token that is asked for; None where none is.
        origins: Origins that are allowed, as browsers send them: ``https://example.org``.
    """

    def __init__(self, *, token: bytes | None = None, origins: Iterable[str] = ()) -> None:
        self._token = token
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)

    def refusal(
        self, path: str, origins: Sequence[str], authorizations: Sequence[str]
    ) -> tuple[HTTPStatus, str] | None:
        """What a request is answered instead of being connected; None where it may connect.

        Args:
            path: What is asked for.
            origins: The values of its ``Origin`` headers.
            authorizations: The values of its ``Authorization`` headers, each byte a character.
        """
        if any(origin.lower() not in self._origins for origin in origins):
            return HTTPStatus.FORBIDDEN, ""
        if path.partition("?")[0] in PROBES:
            return HTTPStatus.OK, ""
        if self._token is None:
            return None
        scheme, _, token = authorizations[0].partition(" ") if len(authorizations) == 1 else ("", "", "")
        if scheme.lower() != "bearer":
            return HTTPStatus.UNAUTHORIZED, "missing websocket bearer token"
        given = hashlib.sha256(token.strip(" \t").encode("iso-8859-1", "replace")).digest()
        if not hmac.compare_digest(given, self._token):
            return HTTPStatus.UNAUTHORIZED, "invalid websocket bearer token"
        return None


def digest_of_file(path: str) -> bytes:
    """SHA-256 of the token that a file holds, space around it aside.

    Raises:
        OSError: The file cannot be read.
        ValueError: It holds no token.
    """
    with open(os.path.expanduser(path), "rb") as file:
        token = file.read(_MOST_TOKEN + 1).strip()
    if not token:
        raise ValueError(f"{path} holds no token")
    if len(token) > _MOST_TOKEN:
        raise ValueError(f"{path} is too long for a token")
    return hashlib.sha256(token).digest()


def digest_of_hex(text: str) -> bytes:
    """A SHA-256 digest that was given in hexadecimal.

    Raises:
        ValueError: It is none.
    """
    digest = bytes.fromhex(text)
    if len(digest) != hashlib.sha256().digest_size:
        raise ValueError("a SHA-256 digest has 64 hexadecimal digits")
    return digest


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    return ipaddress.ip_address(host).is_loopback
