"""One comparison of ``verify``: counts what was compared and keeps the first difference, in words."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from threadkeep.store._verification import Check

__all__ = ["Comparison", "digest"]

_MOST_SHOWN: Final = 80


class Comparison:
    """Compares answers that must be equal, one pair after the other."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._compared = 0
        self._difference: str | None = None

    @property
    def differs(self) -> bool:
        """Whether a difference was found."""
        return self._difference is not None

    def equal(self, what: str, fast: Any, full: Any) -> None:
        """Compare what is answered fast with what the whole history says."""
        self._compared += 1
        if fast != full and self._difference is None:
            self._difference = f"{what}: fast says {_shown(fast)}, the whole history says {_shown(full)}"

    def holds(self, what: str, *, true: bool) -> None:
        """Note a difference, in words, unless something is true."""
        self._compared += 1
        if not true and self._difference is None:
            self._difference = what

    def check(self) -> Check:
        """The result."""
        return Check(self._name, self._difference is None, self._compared, self._difference)


def digest(value: Any) -> bytes:
    """16 bytes that stand for JSON values, so that no more of long histories has to be held."""
    import hashlib

    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).digest()[:16]


def _shown(value: Any) -> str:
    if isinstance(value, bytes | msgspec.Raw):
        text = bytes(value).decode("utf-8", "replace")
    else:
        text = "nothing" if value is None else str(value)
    return ascii(text[:_MOST_SHOWN])[1:-1] + ("..." if len(text) > _MOST_SHOWN else "")
