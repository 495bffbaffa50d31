"""Settings of the whole suite."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Generator

settings.register_profile("default", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("default"), max_examples=200, derandomize=True)
settings.register_profile("deep", parent=settings.get_profile("default"), max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped comparison with the real Codex is a failure: nobody would notice that it does not happen."""
    del call
    report = yield
    if report.skipped and item.get_closest_marker("codex") is not None and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"a test that needs the real Codex was skipped in CI: {report.longrepr}"
    return report
