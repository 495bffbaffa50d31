"""Settings of the whole suite."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Generator

settings.register_profile("default", deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("default"), max_examples=200, derandomize=True)
settings.register_profile("deep", parent=settings.get_profile("default"), max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


SLOW_SECONDS: Final = 600
"""How long a test may take that is slow, or that waits for the real Codex: a busy machine takes ten times as long."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give slow tests their time."""
    for item in items:
        named = item.get_closest_marker("timeout")
        if named is None and (item.get_closest_marker("slow") or item.get_closest_marker("codex")):
            item.add_marker(pytest.mark.timeout(SLOW_SECONDS))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped comparison with the real Codex is a failure, whatever it lacks: nobody would notice."""
    del call
    report = yield
    required = os.environ.get("CI") == "true" or os.environ.get("THREADKEEP_REQUIRE_CODEX") == "1"
    if report.skipped and item.get_closest_marker("codex") is not None and required:
        report.outcome = "failed"
        report.longrepr = f"a test that needs the real Codex was skipped: {report.longrepr}"
    return report
