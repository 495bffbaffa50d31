"""Which Codex the tests run with, and where it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

NEWEST_CODEX: Final = "0.169.0"
"""The newest Codex release that the suite was run with: the one that ``scripts/install-codex`` installs."""

REPOSITORY: Final = Path(__file__).parent.parent.parent

INSTALLED: Final = REPOSITORY.joinpath(
    ".codex", "node_modules", "@openai", "codex-linux-x64", "vendor", "x86_64-unknown-linux-musl", "bin", "codex"
)
"""Where ``scripts/install-codex`` puts the binary."""


def find_codex() -> Path:
    """The Codex binary: the one that ``CODEX_BIN`` names, else the installed one.

    Without one the test is skipped; in CI, and with ``THREADKEEP_REQUIRE_CODEX=1``, it fails.
    """
    named = os.environ.get("CODEX_BIN")
    path = Path(named) if named else INSTALLED
    if path.is_file() and os.access(path, os.X_OK):
        return path.resolve()
    missing = f"no Codex binary at {path}: run scripts/install-codex, or let CODEX_BIN name one of {NEWEST_CODEX}"
    if os.environ.get("THREADKEEP_REQUIRE_CODEX") == "1" or os.environ.get("CI") == "true":
        pytest.fail(missing, pytrace=False)
    pytest.skip(missing)
