"""Engines that do not wait long before they try again."""

from __future__ import annotations

import pytest

from threadkeep.appserver.engine import _call


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_call, "FIRST_DELAY", 0.005)
    monkeypatch.setattr(_call, "FIRST_WAIT", 0.02)
