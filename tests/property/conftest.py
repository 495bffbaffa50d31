"""What the properties share."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from threadkeep.replay import _spoken

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
