"""What CI must not let pass."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

SKIPPED = """
import pytest

@pytest.mark.codex
def test_with_the_real_codex():
    pytest.skip("no binary")

@pytest.mark.codex
@pytest.mark.skipif(True, reason="no tmux")
def test_on_a_terminal():
    pass

@pytest.fixture
def sdk():
    pytest.skip("no SDK")

@pytest.mark.codex
def test_with_the_sdk(sdk):
    pass

def test_of_another_system():
    pytest.skip("another system")
"""


@pytest.mark.parametrize(("ci", "required", "failed"), [("true", "", 1), ("", "1", 1), ("", "", 0)])
def test_a_comparison_with_the_real_codex_that_was_skipped_fails_in_ci(
    tmp_path: Path, ci: str, required: str, failed: int
) -> None:
    (tmp_path / "test_skipped.py").write_text(SKIPPED)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(
        [*command, "-c", str(ROOT / "pyproject.toml")],
        env={**os.environ, "CI": ci, "THREADKEEP_REQUIRE_CODEX": required, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == failed, done.stdout + done.stderr
    assert ("1 failed, 1 skipped, 2 errors" if failed else "4 skipped") in done.stdout
