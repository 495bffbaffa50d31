"""Says which Codex the suite was run with, so that a newer release is noticed and not assumed to behave the same."""

from __future__ import annotations

import subprocess

import pytest
from tests.codex.binary import NEWEST_CODEX, REPOSITORY, find_codex
from tests.codex.make_fixtures import READER


@pytest.mark.codex
def test_the_binary_under_test_is_the_newest_that_the_suite_knows() -> None:
    """Another version: run the whole suite with it, look at what differs, then change ``NEWEST_CODEX``."""
    done = subprocess.run(
        [find_codex(), "--version"], capture_output=True, check=True, timeout=60, stdin=subprocess.DEVNULL
    )
    assert done.stdout.decode().split() == ["codex-cli", NEWEST_CODEX]


def test_the_installer_installs_that_version() -> None:
    script = (REPOSITORY / "scripts" / "install-codex").read_text()
    assert f"\nversion={NEWEST_CODEX}\n" in script


def test_the_fixtures_were_read_by_that_version() -> None:
    assert READER == NEWEST_CODEX
    assert list((REPOSITORY / "tests" / "fixtures" / "rollouts" / NEWEST_CODEX).glob("*/expected.json"))
