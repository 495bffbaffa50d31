"""Peak memory of one operation, measured in a process of its own: run as ``python -m threadkeep.bench._memory``."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import Final

__all__ = ["MEANING", "peak_of"]

MEANING: Final = "growth of the peak resident set of a fresh process over its imports"
_SECONDS: Final = 600


def peak_of(home: str, thread: str, operation: str) -> int | None:
    """By how many bytes the resident set of a fresh process grows at most; None where it cannot be told."""
    command = [sys.executable, "-m", "threadkeep.bench._memory", home, thread, operation]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=_SECONDS)
        return int(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _peak() -> int:
    """The peak of the resident set so far, in bytes."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    # Elsewhere; on Linux this one also counts what the parent held when it started this process.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _forget_peak() -> None:
    """Let the peak begin anew at what is resident now, where the system can."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def _main(home: str, thread: str, name: str) -> None:
    from threadkeep.bench._operations import FULL_REPLAY, OPERATIONS
    from threadkeep.store import ThreadStore

    operation = OPERATIONS.get(name, FULL_REPLAY)
    with ThreadStore.open(home) as store:
        _forget_peak()
        before = _peak()
        operation.run(store, thread)
        sys.stdout.write(f"{max(0, _peak() - before)}\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
