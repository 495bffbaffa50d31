"""The power of a real disk is cut while clients write: what was acknowledged is there when it comes back.

The long form, on all file systems, is ``python -m tests.faults.power_cut`` (`tests.faults.power_cut`).
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from tests.codex.binary import REPOSITORY
from tests.faults.power_cut_disk import why_not


def cut(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.faults.power_cut", "--seed", "7", "--json", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=110, check=False)


@pytest.mark.slow
def test_what_was_acknowledged_before_a_power_cut_is_kept() -> None:
    reason = why_not("ext4")
    if reason is not None:
        pytest.skip(f"no power can be cut here: {reason}")
    done = cut("--fs", "ext4", "--cuts", "3")
    assert done.returncode == 0, done.stderr
    (figures,) = json.loads(done.stdout)["file_systems"]
    assert figures["cuts"] == 3
    assert figures["records"] > 20
    assert figures["unflushed_lost"] > 0, "what nobody flushed was never lost: nothing was proved"


def test_where_no_power_can_be_cut_nothing_is_proved() -> None:
    done = cut("--fs", "a-file-system-of-tomorrow")
    assert done.returncode == 2
    assert "nothing was proved" in done.stderr
