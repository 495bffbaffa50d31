"""The output of what succeeded can be asked for later; what failed, runs or is meant for an app keeps it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.support import dump

from threadkeep.replay.items import thread_item, without_output

COMMAND = {
    "type": "CommandExecution",
    "id": "c",
    "command": ["ls"],
    "cwd": "file:///w",
    "parsed_cmd": [],
    "source": "agent",
    "status": "completed",
    "aggregated_output": "a\n",
    "exit_code": 0,
}
TEXT = {"type": "text", "text": "t"}
CALL = {
    "type": "McpToolCall",
    "id": "c",
    "server": "s",
    "tool": "t",
    "arguments": {},
    "status": "completed",
    "result": {"content": [TEXT, {"type": "text", "text": ""}]},
}


def short(item: dict[str, Any], completed: int | None = 2) -> dict[str, Any] | None:
    shown = thread_item(dump(item), 1, completed)
    assert shown is not None
    before = msgspec.json.encode(shown)
    result = without_output(shown)
    assert msgspec.json.encode(shown) == before, "the item itself stays as it is"
    return result


def test_the_output_of_a_command_is_left_out() -> None:
    found = short(COMMAND)
    assert found is not None
    whole = thread_item(dump(COMMAND), 1, 2)
    assert found == {**(whole or {}), "aggregatedOutput": None}
    assert list(found) == list(whole or {})


def test_the_result_of_a_call_is_left_out() -> None:
    found = short(CALL)
    assert found is not None
    assert found["result"] == {"content": [], "structuredContent": None, "_meta": None}


@pytest.mark.parametrize(
    "changed",
    [
        {"exit_code": 1},
        {"exit_code": None},
        {"status": "failed"},
        {"status": "in_progress"},
        {"aggregated_output": ""},
    ],
)
def test_a_command_that_did_not_succeed_or_said_nothing_stays(changed: dict[str, Any]) -> None:
    assert short({**COMMAND, **changed}) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"status": "failed"},
        {"error": {"message": "m"}},
        {"mcpAppResourceUri": "ui://x"},
        {"mcpAppUi": {"resourceUri": "ui://x", "preferredModelDisplayMode": "inline"}},
        {"result": None},
        {"result": {"content": []}},
        {"result": {"content": [{"type": "text", "text": ""}]}},
        {"result": {"content": [TEXT, {"type": "image", "data": "x"}]}},
        {"result": {"content": [TEXT, {**TEXT, "annotations": None}]}},
        {"result": {"content": [TEXT, "t"]}},
        {"result": {"content": [TEXT], "structuredContent": {}}},
        {"result": {"content": [TEXT], "_meta": {}}},
    ],
)
def test_a_call_that_brought_more_than_text_or_is_for_an_app_stays(changed: dict[str, Any]) -> None:
    assert short({**CALL, **changed}) is None


def test_what_is_not_complete_stays() -> None:
    for item in (COMMAND, CALL):
        assert short(item, None) is None
        assert short(item, 0) is None


def test_other_items_have_no_output_to_defer() -> None:
    assert short({"type": "Plan", "id": "p", "text": "t"}) is None
    tool = {"type": "DynamicToolCall", "id": "d", "tool": "t", "arguments": {}, "status": "completed"}
    assert short({**tool, "content_items": [{"type": "inputText", "text": "t"}]}) is None
