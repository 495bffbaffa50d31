"""The tool calls of legacy turns: what feeds them, what bounds them, and rollouts that real binaries wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.replay.items.call_records import (
    AGENT,
    THREAD,
    Json,
    Sample,
    answer,
    builder,
    call,
    command_item,
    items,
    process,
)
from tests.replay.items.test_call_commands import COMMANDS
from tests.replay.items.test_call_patches import CUSTOM, HEADED, PATCHES
from tests.replay.items.test_call_tools import AGENT_CALLS, MCP_CALLS, SEA, SEARCHES

from threadkeep.records import Record, record_of
from threadkeep.replay.items import plain, thread_item
from threadkeep.replay.items._call_output import HEADER_CHARS, read_output
from threadkeep.replay.items._legacy import legacy_item

ROLLOUTS: Final = Path(__file__).parent.parent.parent / "fixtures" / "rollouts"


# --- events of extended histories -------------------------------------------------------------------------------------


def test_an_event_knows_more_of_a_command_than_its_output() -> None:
    event = {
        "call_id": "c", "process_id": "91162", "turn_id": "t", "command": ["/bin/bash", "-lc", "cat a b.txt"],
        "cwd": "/home/me/my project", "parsed_cmd": [{"type": "read", "cmd": "cat a", "name": "a", "path": "sub/a"}],
        "source": "unified_exec_startup", "stdout": "", "stderr": "", "aggregated_output": "built\n", "exit_code": 0,
        "duration": {"secs": 0, "nanos": 303276587}, "formatted_output": "", "status": "completed",
    }  # fmt: skip
    turn = (call("exec_command", {"cmd": "cat a b.txt"}), answer(process("cut")), ("exec_command_end", event))
    expected = command_item(
        command="/bin/bash -lc 'cat a b.txt'", cwd="/home/me/my project", processId="91162", durationMs=303,
        source="unifiedExecStartup",
        commandActions=[{"type": "read", "command": "cat a", "name": "a", "path": "/home/me/my project/sub/a"}],
    )  # fmt: skip
    assert items(*turn) == [expected]
    windows = event | {"cwd": "C:\\me\\my project", "parsed_cmd": []}
    assert items(("exec_command_end", windows))[0]["cwd"] == "C:\\me\\my project"
    assert items(("exec_command_end", event | {"cwd": "file:///home/me"}))[0]["cwd"] == "/home/me"


def test_events_of_other_calls_give_their_items() -> None:
    sender = {"call_id": "c", "sender_thread_id": THREAD}
    one = {"receiver_thread_id": AGENT, "status": "running", **sender}
    looked = {"call_id": "v", "path": "/home/me/pix.png"}
    told = {"arguments": SEA, "content_items": [{"type": "inputText", "text": "a"}], "success": False, "tool": "look"}

    def shown(subtype: str, event: Json) -> Json:
        [item] = items((subtype, event))
        return item

    assert shown("view_image_tool_call", looked)["path"] == "/home/me/pix.png"
    dynamic = shown("dynamic_tool_call_response", {"call_id": "d", "duration": {"secs": 1, "nanos": 0}, **told})
    assert (dynamic["status"], dynamic["success"], dynamic["durationMs"]) == ("failed", False, 1000)
    spawned = {
        "new_thread_id": AGENT,
        "prompt": "go",
        "model": "m",
        "reasoning_effort": "low",
        "status": "pending_init",
    }
    agent = shown("collab_agent_spawn_end", {**sender, **spawned})
    assert (agent["tool"], agent["model"], agent["receiverThreadIds"]) == ("spawnAgent", "m", [AGENT])
    nobody = shown("collab_agent_spawn_end", {**sender, **spawned, "new_thread_id": None})
    assert (nobody["status"], nobody["agentsStates"]) == ("failed", {})
    assert shown("collab_agent_interaction_end", one | {"prompt": "more"})["prompt"] == "more"
    assert shown("collab_close_end", one)["tool"] == "closeAgent"
    assert shown("collab_resume_end", one | {"status": {"errored": "bad"}})["status"] == "failed"
    assert shown("collab_waiting_end", sender | {"statuses": {AGENT: "shutdown"}})["receiverThreadIds"] == [AGENT]


def test_items_that_the_turn_shows_anyway_win() -> None:
    turn = (CUSTOM, answer(HEADED.format(0), kind="custom_tool_call_output"))
    assert len(items(*turn)) == 1
    assert items(*turn, shown=("c",)) == []


# --- bounds and damage ------------------------------------------------------------------------------------------------


def test_a_header_is_looked_for_at_the_start_alone() -> None:
    late = "Exit code: 3\n" + "x" * HEADER_CHARS + "\nOutput:\nrest"
    assert (read_output(late).text, read_output(late).headed) == (late, False)
    many = "Exit code: 3\n" * (HEADER_CHARS // 13 + 1) + "Output:\nrest"
    assert read_output(many).text == many


def test_a_long_output_is_told_as_it_is() -> None:
    long = "é line\n" * 500_000
    assert items(call("exec_command", {"cmd": "make"}), answer(process(long)))[0]["aggregatedOutput"] == long


RECORDS: Final[list[Sample]] = [
    *[record for records, _ in COMMANDS.values() for record in records],
    *[sample for asked, output, _ in MCP_CALLS.values() for sample in (asked, answer(output))],
    *[asked for asked, _, _ in PATCHES.values()],
    *[call(name, arguments) for name, (arguments, *_) in AGENT_CALLS.items()],
    *[answer(json.dumps(output)) for _, output, *_ in AGENT_CALLS.values()],
    *[("web_search_call", {"action": action}) for action, _ in SEARCHES],
    ("web_search_end", {"call_id": "c", "query": "q", "action": {"type": "search"}}),
    ("exec_command_end", {"call_id": "c", "command": ["a"], "cwd": "x", "status": "failed"}),
    ("image_generation_call", {"status": "s", "result": "r"}),
]
ANYTHING: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, msgspec.Raw]:
    """A record of a turn: whole, with another value in a place, or cut."""
    subtype, payload = draw(st.sampled_from(RECORDS))
    payload = payload | {"call_id": draw(st.sampled_from("cde"))} if draw(st.booleans()) else payload
    if draw(st.booleans()):
        payload = payload | {draw(st.sampled_from(sorted(payload))): draw(ANYTHING)}
    data = json.dumps(payload).encode()
    return subtype, msgspec.Raw(data if draw(st.integers(0, 9)) else data[: draw(st.integers(0, len(data)))])


@given(st.lists(damaged(), max_size=12), st.booleans())
def test_any_records_give_items_of_different_ids_at_offsets_of_records(
    records: list[tuple[str, msgspec.Raw]], running: bool
) -> None:
    turn = builder(cwd=None, hosted_images=True)
    for place, (subtype, payload) in enumerate(records):
        turn.response_item(7 * place, subtype, payload)
        turn.event(7 * place, subtype, payload)
    found = turn.finish(shown_ids={"d"}, running=running)
    offsets = [offset for offset, _ in found]
    ids = [item["id"] for _, item in found]
    assert offsets == sorted(offsets)
    assert set(offsets) <= {7 * place for place in range(len(records))}
    assert len(set(ids)) == len(ids)
    assert "d" not in ids
    for _, item in found:
        assert b"\n" not in msgspec.json.encode(item)
        assert item["startedAtMs"] is item["completedAtMs"] is None


# --- rollouts that real binaries wrote --------------------------------------------------------------------------------


def records_of(path: Path) -> list[Record]:
    records, offset = [], 0
    for line in path.read_bytes().splitlines(keepends=True):
        records.append(record_of(offset, line.removesuffix(b"\n")))
        offset += len(line)
    return records


def rebuilt(records: list[Record]) -> tuple[dict[str, Json], dict[str, Json]]:
    """The items of a whole file: those of its events, and those of its calls."""
    turn, events = builder(), {}
    for record in records:
        if record.payload is None:
            continue
        if record.kind == "response_item":
            turn.response_item(record.offset, record.subtype, record.payload)
        elif record.kind == "event_msg" and record.subtype != "item_completed":
            turn.event(record.offset, record.subtype, record.payload)
            event = legacy_item(record.subtype, record.payload, f"own-{record.offset}")
            if event is not None:
                events[event.item["id"]] = plain(event.item)
    return events, {item["id"]: plain(item) for _, item in turn.finish(shown_ids=events, running=False)}


PATHS: Final = sorted(ROLLOUTS.rglob("rollout-*.jsonl"))
WITH_CALLS: Final = [path for path in PATHS if b'"type":"function_call"' in path.read_bytes()]


def stored_calls(records: list[Record]) -> dict[str, tuple[str, str, str]]:
    """Name, what was asked, and output of every call of a file, by its id."""
    calls: dict[str, list[str]] = {}
    for record in records:
        if record.kind == "response_item" and record.payload is not None:
            item = json.loads(bytes(record.payload))
            if item["type"] in ("function_call", "custom_tool_call"):
                calls[item["call_id"]] = [item["name"], item.get("arguments") or item["input"], ""]
            elif item["type"].endswith("_output"):
                calls[item["call_id"]][2] = item["output"]
    return {call_id: (name, asked, output) for call_id, (name, asked, output) in calls.items()}


@pytest.mark.parametrize("path", WITH_CALLS, ids=lambda path: str(path.relative_to(ROLLOUTS))[:40])
def test_every_call_of_a_real_rollout_is_shown_with_the_output_that_is_stored(path: Path) -> None:
    records = records_of(path)
    events, calls = rebuilt(records)
    if '"namespace":"collaboration"' in path.read_text(encoding="utf-8"):
        assert not calls  # what these agents do is in records of its own
        return
    stored = stored_calls(records)
    assert stored
    for call_id, (name, asked, output) in stored.items():
        if output == "SCRUBBED" and call_id not in events:
            assert call_id not in calls  # nothing says whether the patch was applied
            continue
        item = {**events, **calls}[call_id]
        if name == "spawn_agent":
            assert item["receiverThreadIds"] == [json.loads(output)["agent_id"]]
            assert item["prompt"] == json.loads(asked)["message"]
        elif "*** Begin Patch" in asked:
            assert item["type"] == "fileChange"
            assert [(change["path"].split("/")[-1], change["diff"]) for change in item["changes"]] == [
                ("note.txt", "first line\ngröße\n")
            ]
        else:
            assert item["type"] == "commandExecution"
            text = json.loads(output)["output"] if output.startswith('{"output":') else output
            assert item["aggregatedOutput"] == (text or None)
            assert item["status"] == "completed"


def test_the_rollouts_have_calls_of_every_version() -> None:
    versions = {path.relative_to(ROLLOUTS).parts[0] for path in WITH_CALLS}
    assert versions == {"0.20.0", "0.60.1", "0.100.0", "0.125.0", "0.140.0", "0.149.0", "0.169.0"}


def completed(records: list[Record]) -> list[Json]:
    """What a paginated rollout shows of its calls."""
    found = []
    for record in records:
        if record.subtype == "item_completed" and record.payload is not None:
            item = thread_item(msgspec.json.decode(record.payload, type=dict[str, msgspec.Raw])["item"])
            assert item is not None
            if item["type"] in ("commandExecution", "fileChange"):
                found.append(plain(item))
    return found


def comparable(item: Json) -> Json:
    """The item without what its response items do not hold.

    That is the shell, the process and the times; the exit code was taken out of the fixtures with the other headers.
    """
    lost = ("command", "processId", "exitCode", "durationMs")
    return {name: value for name, value in item.items() if name not in lost}


PAGINATED: Final = [path for path in WITH_CALLS if b"CommandExecution" in path.read_bytes()]


@pytest.mark.parametrize("path", PAGINATED, ids=lambda path: str(path.relative_to(ROLLOUTS))[:40])
def test_calls_are_shown_as_a_paginated_rollout_shows_them(path: Path) -> None:
    records = records_of(path)
    _, calls = rebuilt(records)
    expected = completed(records)
    assert expected
    for item in expected:
        if item["type"] == "commandExecution":
            assert json.dumps(comparable(calls[item["id"]])) == json.dumps(comparable(item))
    assert set(calls) <= {item["id"] for item in expected}


def test_a_legacy_thread_shows_the_calls_of_its_paginated_twin() -> None:
    [legacy] = ROLLOUTS.glob("0.169.0/turns-legacy/sessions/**/*.jsonl")
    [paginated] = ROLLOUTS.glob("0.169.0/turns-paginated/sessions/**/*.jsonl")
    events, calls = rebuilt(records_of(legacy))
    shown = {
        item_id: {**item, "startedAtMs": None, "completedAtMs": None} for item_id, item in {**events, **calls}.items()
    }
    expected = completed(records_of(paginated))
    assert [item["type"] for item in expected] == ["commandExecution", "fileChange"]
    for item in expected:
        twin = shown[item["id"]]
        assert json.dumps(comparable(twin)) == json.dumps(comparable(item))
        if item["type"] == "commandExecution":
            assert item["command"] == f"/bin/bash -lc '{twin['command']}'"
