"""Clients of one home are killed at random moments: what was acknowledged stays, and nobody has to clean up after them.

The long form is ``python -m tests.faults.kill`` (`tests.faults.kill`).
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from tests.codex.binary import REPOSITORY, find_codex


def killed(seed: int, kills: int, *more: str) -> dict[str, Any]:
    """The figures of a run in a process of its own: pytest has threads, and must not be forked."""
    command = [sys.executable, "-m", "tests.faults.kill", "--seed", str(seed), "--kills", str(kills), "--json", *more]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


@pytest.mark.slow
def test_what_was_acknowledged_to_a_killed_process_is_kept() -> None:
    figures = killed(7, 60)
    assert figures["kills"] >= 60
    assert figures["records"] > 100
    assert figures["threads_verified"] > 20


@pytest.mark.codex
@pytest.mark.slow
def test_a_home_that_codex_is_killed_in_keeps_what_both_acknowledged() -> None:
    figures = killed(7, 6, "--codex", str(find_codex()))
    assert figures["kills"] >= 6
    assert figures["codex_kills"] >= 1
    assert figures["records"] > 20
