"""Commands of legacy turns, as tools of every version since 0.20 stored them."""

from __future__ import annotations

import json
from typing import Final

import pytest
from tests.replay.items.call_records import HOME, Json, Sample, answer, call, command_item, formatted, items, process

COMMANDS: Final[dict[str, tuple[list[Sample], Json]]] = {
    "0.20 shell": ([call("shell", {"command": ["bash", "-lc", "make"], "timeout_ms": 5}), answer(formatted("built\n"))],
        {"command": "bash -lc make"}),
    "0.20 container.exec": ([call("container.exec", {"command": ["make", "a b"]}), answer(formatted("built\n", 2))],
        {"command": "make 'a b'", "commandActions": [{"type": "unknown", "command": "make 'a b'"}],
         "status": "failed", "exitCode": 2}),
    "0.60 local_shell_call": ([
        ("local_shell_call", {"call_id": "c", "id": "x", "status": "completed", "action": {
            "type": "exec", "command": ["make"], "working_directory": "sub", "timeout_ms": 5}}),
        answer(formatted("built\n"))], {"cwd": f"{HOME}/sub"}),
    "0.60 shell_command": ([
        call("shell_command", {"command": "make", "workdir": "/tmp"}),
        answer("Exit code: 0\nWall time: 0.2 seconds\nOutput:\nbuilt\n")], {"cwd": "/tmp"}),
    "0.60 shell_command, cut": ([
        call("shell_command", {"command": "make"}),
        answer("Exit code: 7\nWall time: 10 seconds\nTotal output lines: 900\nOutput:\nbuilt\n")],
        {"status": "failed", "exitCode": 7, "durationMs": 10_000}),
    "0.60 shell, cut": ([
        call("shell", {"command": ["make"]}), answer(formatted("Total output lines: 9\n\nbuilt\n"))],
        {"aggregatedOutput": "Total output lines: 9\n\nbuilt\n"}),
    "0.100 exec_command": ([call("exec_command", {"cmd": "make", "tty": True}), answer(process("built\n"))],
        {"source": "unifiedExecStartup", "durationMs": 145}),
    "0.39 exec_command": ([
        call("exec_command", {"cmd": "make"}),
        answer("Wall time: 1.250 seconds\nProcess exited with code -1\nWarning: cut\nOutput:\nbuilt\n")],
        {"source": "unifiedExecStartup", "status": "failed", "exitCode": -1, "durationMs": 1250}),
    "no output": ([call("exec_command", {"cmd": "make"}), answer(process(""))],
        {"source": "unifiedExecStartup", "durationMs": 145, "aggregatedOutput": None}),
    "an output that looks like a header": ([
        call("shell_command", {"command": "make"}),
        answer("Exit code: 0\nWall time: 0.2 seconds\nOutput:\nExit code: 3\nOutput:\n")],
        {"aggregatedOutput": "Exit code: 3\nOutput:\n"}),
    "an output without a header": ([call("shell_command", {"command": "make"}), answer("built\n")],
        {"exitCode": None, "durationMs": None}),
    "an output of parts": ([
        call("exec_command", {"cmd": "make"}), answer([{"type": "input_text", "text": process("built\n")}])],
        {"source": "unifiedExecStartup", "durationMs": 145}),
    "could not be run": ([call("shell", {"command": ["make"]}), answer("execution error: no such file")],
        {"status": "failed", "exitCode": None, "durationMs": None,
         "aggregatedOutput": "execution error: no such file"}),
    "interrupted": ([call("exec_command", {"cmd": "make"}), answer("Wall time: 1.4 seconds\naborted by user")],
        {"source": "unifiedExecStartup", "status": "failed", "exitCode": None, "aggregatedOutput": None,
         "durationMs": 1400}),
    "interrupted, old": ([call("shell", {"command": ["make"]}), answer("aborted")],
        {"status": "failed", "exitCode": None, "aggregatedOutput": None, "durationMs": None}),
    "never answered": ([call("shell", {"command": ["make"]})],
        {"status": "failed", "exitCode": None, "aggregatedOutput": None, "durationMs": None}),
    "no folder known": ([call("shell", {"command": ["make"], "workdir": "sub"}), answer(formatted("built\n"))],
        {"cwd": "sub"}),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_shown_with_what_is_stored_of_it(name: str) -> None:
    records, members = COMMANDS[name]
    cwd = None if name == "no folder known" else HOME
    assert json.dumps(items(*records, cwd=cwd)) == json.dumps([command_item(**members)])


NEVER_RAN: Final[dict[str, tuple[Sample, str]]] = {
    "unknown tool": (call("shell", {"command": ["make"]}), "unsupported call: shell"),
    "unknown custom tool": (("custom_tool_call", {"name": "apply_patch", "input": "x", "call_id": "c"}),
        "unsupported custom tool call: apply_patch"),
    "arguments that are no JSON": (call("exec_command", "{bad"), "failed to parse function arguments: key"),
    "arguments of another tool": (call("exec_command", {"command": "make"}), "failed to parse function arguments: cmd"),
    "declined": (call("exec_command", {"cmd": "make"}), "exec_command failed: CreateProcess { no }"),
    "declined, old": (call("shell", {"command": ["make"]}), "exec command rejected by user"),
    "dynamic": (call("look", {}), "unsupported call: look"),
    "MCP": (call("mcp__notes__find", {}), "unsupported call: mcp__notes__find"),
    "image": (call("view_image", {"path": "/i.png"}), "unable to locate image at `/i.png`"),
    "plan": (call("update_plan", {"plan": []}), "Plan updated"),
    "spawn": (call("spawn_agent", {"message": ""}), "nothing was said"),
    "second generation of agents": (call("spawn_agent", {"message": "a"}, namespace="collaboration"),
        '{"task_name":"/root/a"}'),
    "other namespace": (call("find", {}, namespace="notes"), "found"),
}  # fmt: skip


@pytest.mark.parametrize("name", NEVER_RAN)
def test_a_call_that_never_ran_shows_nothing(name: str) -> None:
    asked, text = NEVER_RAN[name]
    kind = "custom_tool_call_output" if asked[0] == "custom_tool_call" else "function_call_output"
    assert items(asked, answer(text, kind=kind), dynamic_tools={(None, "look")}) == []


def test_a_command_is_in_progress_only_while_its_turn_runs() -> None:
    asked = call("exec_command", {"cmd": "make"})
    assert items(asked, running=True)[0]["status"] == "inProgress"
    assert items(asked, answer("Wall time: 1.4 seconds\naborted by user"), running=True)[0]["status"] == "failed"
    went_on = answer(process("", end="Process running with session ID 7"))
    assert items(asked, went_on, running=True)[0]["status"] == "inProgress"
    assert items(asked, went_on)[0]["status"] == "failed"


def test_what_a_process_prints_later_belongs_to_its_command() -> None:
    turn = (
        call("exec_command", {"cmd": "make"}),
        answer(process("one\n", end="Process running with session ID 7")),
        call("write_stdin", {"session_id": 7, "chars": "y\n"}, "w1"),
        answer(process("two\n", end="Process running with session ID 7"), "w1"),
        call("shell", {"command": ["make"]}, "between"),
        answer(formatted("built\n"), "between"),
        call("write_stdin", {"session_id": 8, "chars": ""}, "w2"),
        answer("write_stdin failed: Unknown process id 8", "w2"),
        call("write_stdin", {"session_id": "7", "chars": ""}, "w3"),
        answer(process("three\n", end="Process exited with code 1"), "w3"),
        call("write_stdin", {"session_id": 7, "chars": ""}, "w4"),
        answer(process("of another process\n"), "w4"),
    )
    between, ended = items(*turn)
    assert between["id"] == "between"  # the command stands where its process ended
    members = {"source": "unifiedExecStartup", "processId": "7", "status": "failed", "exitCode": 1, "durationMs": None}
    assert ended == command_item(aggregatedOutput="one\ntwo\nthree\n", **members)
    first, still = items(*turn[:8])
    assert (first["id"], first["aggregatedOutput"], first["exitCode"]) == ("c", "one\ntwo\n", None)
    assert still["id"] == "between"


def test_an_interrupted_wait_ends_no_process() -> None:
    [item] = items(
        call("exec_command", {"cmd": "make"}),
        answer("Wall time: 0.2 seconds\nProcess running with session ID 7\nExit code: 0\nOutput:\none\n"),
        call("write_stdin", {"session_id": 7, "chars": ""}, "w"),
        answer("Wall time: 1.4 seconds\naborted by user", "w"),
        running=True,
    )
    assert (item["status"], item["processId"], item["aggregatedOutput"]) == ("inProgress", "7", "one\n")


def test_of_two_outputs_of_a_call_the_later_one_counts() -> None:
    twice = (call("shell", {"command": ["make"]}), answer(formatted("x")), answer(formatted("built\n")))
    assert items(*twice) == [command_item()]


def test_of_two_calls_of_one_id_the_later_one_counts() -> None:
    ran = (call("shell", {"command": ["make"]}), answer(formatted("built\n")))
    assert items(call("shell", {"command": ["x"]}), answer(formatted("x")), *ran) == [command_item()]
    assert items(*ran, call("new_tool", {}), answer("what it says")) == []


def test_a_command_of_the_user_is_shown() -> None:
    def told(text: str) -> Sample:
        return "message", {"role": "user", "id": "m", "content": [{"type": "input_text", "text": text}]}

    text = (
        "<user_shell_command>\n<command>\nmake\n</command>\n<result>\nExit code: 2\nDuration: 0.2049 seconds\n"
        "Output:\nbuilt\n\n</result>\n</user_shell_command>"
    )
    members = {"id": "m", "source": "userShell", "status": "failed", "exitCode": 2, "durationMs": 205}
    assert items(told(text)) == [command_item(aggregatedOutput="built\n", **members)]
    assert items(told(f"look at {text}")) == []
    assert items(told("<user_shell_command>\n<command>\nmake\n</result>\n</user_shell_command>")) == []
    role, payload = told(text)
    assert items((role, payload | {"role": "assistant"})) == []
    event = {
        "call_id": "e",
        "command": ["bash", "-lc", "make"],
        "cwd": HOME,
        "status": "failed",
        "source": "user_shell",
    }
    assert [item["id"] for item in items(("exec_command_end", event), told(text))] == ["e"]
