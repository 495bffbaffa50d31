"""A long trial that is told to end does so in good order: nothing of it runs, is mounted, or lies about afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest
from tests.codex.binary import REPOSITORY
from tests.faults.power_cut_disk import why_not

TRIALS: Final = {
    "kill": ("--kills", "1000000"),
    "simulation": ("--steps", "1000000"),
    "power_cut": ("--fs", "ext4", "--cuts", "1000000"),
}
_SECONDS: Final = 60.0


def works(folder: str) -> bool:
    """Whether it works on the home that it is about, which is not the one that it warms up with."""
    # Python's glob() of a tree gives up where a folder goes away under it, as the one to warm up with does.
    return any(
        name.startswith("rollout-") for place, _, names in os.walk(folder) if "/warm" not in place for name in names
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", TRIALS)
def test_a_trial_that_is_told_to_end_leaves_nothing(name: str, number: signal.Signals) -> None:
    if name == "power_cut" and (reason := why_not("ext4")) is not None:
        pytest.skip(f"no power can be cut here: {reason}")
    command = [sys.executable, "-m", f"tests.faults.{name}", "--seed", "7", *TRIALS[name]]
    trial = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert trial.stderr is not None
        folder = trial.stderr.readline().strip().rpartition(" in ")[2]
        end = time.monotonic() + _SECONDS
        while not works(folder) and time.monotonic() < end:
            time.sleep(0.05)
        trial.send_signal(number)
        _, said = trial.communicate(timeout=_SECONDS)
        assert trial.returncode == 128 + number, said
        assert said == ""
        assert not Path(folder).exists()
        assert folder not in Path("/proc/mounts").read_text()
        assert not any(folder in device.read_text() for device in Path("/sys/block").glob("loop*/loop/backing_file"))
        with pytest.raises(ProcessLookupError):
            os.killpg(trial.pid, 0)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(trial.pid, signal.SIGKILL)
        trial.communicate()
