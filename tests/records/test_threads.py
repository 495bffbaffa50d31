"""Records are read by many threads at once."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

PROGRAM: Final = """
import sys, threading
import msgspec
from threadkeep.records import record_of

sys.setswitchinterval(1e-6)
line = b'{"timestamp":"2025-10-09T08:53:20.000Z","type":"event_msg","payload":{"type":"x","a":{"b":[{"c":1}]}}}'
for round in range(150):
    inner = msgspec.defstruct("Inner", [("c", int), ("d", str | None, None), ("e", dict[str, int] | None, None)])
    outer = msgspec.defstruct("Outer", [("b", list[inner]), ("f", inner | None, None)])
    shape = msgspec.defstruct("Shape", [("a", outer), ("g", list[outer] | None, None)])
    gate, seen = threading.Barrier(8), []

    def look():
        gate.wait()
        seen.append(record_of(0, line).view(shape).a.b[0].c)

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 8, seen
"""


def test_threads_that_look_at_a_shape_for_the_first_time_do_not_disturb_each_other() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=100, check=False)

    assert (done.returncode, done.stderr) == (0, "")
