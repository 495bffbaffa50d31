"""What the properties share."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from threadkeep.replay import _legacy, _spoken

if TYPE_CHECKING:
    from collections.abc import Iterator


def _placeholder(text: str) -> _spoken._Sentence:
    return _spoken._Sentence(len(text), hashlib.sha256(text.encode()).hexdigest())


@pytest.fixture(scope="module")
def _placeholders() -> Iterator[None]:
    """The sentence before a summary is a placeholder here, as in the recorded cases."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_spoken, "SUMMARY_PREFIX", _placeholder("SUMMARY-PREFIX"))
        yield


@pytest.fixture(scope="module")
def _without_calls() -> Iterator[None]:
    """The real server, and with it the oracle, loses the tool calls of legacy threads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_legacy.LegacyBuilder, "_call", lambda *_: None)
        yield
