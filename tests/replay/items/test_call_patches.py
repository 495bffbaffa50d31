"""Patches of legacy turns: the files that changed, as far as the patch says it."""

from __future__ import annotations

from typing import Final

import pytest
from tests.replay.items.call_records import HOME, Sample, answer, call, formatted, items, process

PATCH: Final = """*** Begin Patch
*** Update File: src/b.txt
*** Move to: src/../c.txt
@@ def f():
-old
+new
 kept
*** End of File
*** Add File: a.txt
+one
+two
*** Delete File: /etc/x/../d.txt
*** End Patch
"""
CHANGES: Final = [
    {"path": "/etc/d.txt", "kind": {"type": "delete"}, "diff": ""},
    {"path": f"{HOME}/a.txt", "kind": {"type": "add"}, "diff": "one\ntwo\n"},
    {"path": f"{HOME}/src/b.txt", "kind": {"type": "update", "move_path": f"{HOME}/c.txt"},
     "diff": f"@@ def f():\n-old\n+new\n kept\n\n\nMoved to: {HOME}/c.txt"},
]  # fmt: skip
HERE: Final = f"apply_patch <<'EOF'\n{PATCH}EOF\n"
CUSTOM: Final[Sample] = ("custom_tool_call", {"name": "apply_patch", "input": PATCH, "call_id": "c"})
HEADED: Final = "Exit code: {}\nWall time: 0 seconds\nOutput:\ndone\n"

PATCHES: Final[dict[str, tuple[Sample, str | None, str | None]]] = {
    "custom, 0.60": (CUSTOM, formatted("done"), "completed"),
    "custom, 0.60, failed": (CUSTOM, formatted("done", 1), "failed"),
    "custom, 0.169": (CUSTOM, HEADED.format(0), "completed"),
    "custom, 0.169, failed": (CUSTOM, HEADED.format(1), "failed"),
    "custom, not applied": (CUSTOM, "apply_patch verification failed: no such file", None),
    "custom, rejected": (CUSTOM, "patch rejected by user", None),
    "custom, interrupted": (CUSTOM, "aborted by user after 1.0s", None),
    "custom, no output": (CUSTOM, None, None),
    "no patch": (("custom_tool_call", {"name": "apply_patch", "input": "x", "call_id": "c"}), HEADED.format(0), None),
    "function, 0.60": (call("apply_patch", {"input": PATCH}), formatted("done"), "completed"),
    "argv, 0.20": (call("shell", {"command": ["apply_patch", PATCH]}), formatted("done"), "completed"),
    "argv, 0.20, not applied": (call("shell", {"command": ["apply_patch", PATCH]}), "error: no such file", None),
    "here-document, 0.20": (call("shell", {"command": ["/bin/bash", "-lc", HERE]}), formatted("done"), "completed"),
    "here-document, 0.60": (call("shell_command", {"command": HERE}), formatted("done"), "completed"),
    "here-document, 0.169": (
        call("exec_command", {"cmd": HERE}), f"Wall time: 0.0000 seconds\nOutput:\n{HEADED.format(0)}", "completed"),
    "here-document in a folder": (
        call("exec_command", {"cmd": f"cd '{HOME}' && {HERE}", "workdir": "/tmp"}), formatted("done"), "completed"),
}  # fmt: skip


@pytest.mark.parametrize("name", PATCHES)
def test_a_patch_is_shown_where_it_was_applied_or_failed_to_be(name: str) -> None:
    asked, output, status = PATCHES[name]
    answered = [] if output is None else [answer(output, kind=f"{asked[0]}_output")]
    expected = {"type": "fileChange", "id": "c", "changes": CHANGES, "status": status}
    times = {"startedAtMs": None, "completedAtMs": None}
    assert items(asked, *answered) == ([] if status is None else [expected | times])


@pytest.mark.parametrize(
    "script", [f"{HERE}make\n", f"make && {HERE}", "apply_patch < p.txt", f"apply_patch <<EOF\n{PATCH}"]
)
def test_a_script_that_does_more_than_apply_a_patch_is_a_command(script: str) -> None:
    [item] = items(call("shell_command", {"command": script}), answer(formatted("done")))
    assert (item["type"], item["command"]) == ("commandExecution", script)


@pytest.mark.parametrize(
    "output", [process("done"), "Wall time: 1.25 seconds\nProcess exited with code 0\nOutput:\ndone"]
)
def test_a_patch_that_ran_as_a_process_is_a_command(output: str) -> None:
    [item] = items(call("exec_command", {"cmd": HERE}), answer(output))
    assert (item["type"], item["aggregatedOutput"]) == ("commandExecution", "done")
