"""Details of items that a person would notice: files named twice, durations, ids, texts that are ours."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from tests.oracle.thread_items import TRUE_TEXTS
from tests.support import dump

from threadkeep.replay.items import EMPTY_REVIEW, NUL_COMMAND, thread_item


def change(**changes: Any) -> list[dict[str, Any]] | None:
    shown = thread_item(dump({"type": "FileChange", "id": "f", "changes": changes}))
    return None if shown is None else shown["changes"]


def added(text: str) -> dict[str, str]:
    return {"type": "add", "content": text}


def test_a_file_that_is_named_in_two_ways_changed_once() -> None:
    shown = change(**{"/a/b": added("1"), "/z": added("2"), "/a//b/": added("3"), "/a/./b": added("4")})
    assert shown == [
        {"path": "/a/b", "kind": {"type": "add"}, "diff": "4"},
        {"path": "/z", "kind": {"type": "add"}, "diff": "2"},
    ]


def test_files_that_only_look_alike_both_changed() -> None:
    names = ["/a", "a", "./a", "../a", "/a/../a", ""]
    shown = change(**{name: added(name) for name in names})
    assert shown is not None
    assert [one["path"] for one in shown] == sorted(names)


def test_a_wrong_change_counts_although_another_one_hides_it() -> None:
    assert change(**{"/a/b": {"type": "else"}, "/a//b": added("1")}) is None


def duration(secs: Any, nanos: Any, **more: Any) -> Any:
    item = {"type": "DynamicToolCall", "id": "d", "tool": "t", "arguments": {}, "status": "completed"}
    shown = thread_item(dump({**item, "duration": {"secs": secs, "nanos": nanos, **more}}))
    return "dropped" if shown is None else shown["durationMs"]


@pytest.mark.parametrize(
    ("secs", "nanos", "shown"),
    [
        (1, 999_999, 1000),
        (0, 4_294_967_295, 4294),
        (2**63 // 1000, 0, 9223372036854775000),
        (2**63 // 1000 + 1, 0, None),
        (2**64 - 1, 999_999_999, None),
        (2**64 - 1, 10**9, "dropped"),
        (2**64, 0, "dropped"),
        (-1, 0, "dropped"),
        (0, 2**32, "dropped"),
        (1.0, 0, "dropped"),
    ],
)
def test_a_duration_is_shown_in_whole_milliseconds(secs: Any, nanos: Any, shown: Any) -> None:
    assert duration(secs, nanos) == shown


def test_a_duration_has_no_other_members() -> None:
    assert duration(1, 0, millis=5) == "dropped"


@pytest.mark.parametrize(
    "spelling",
    [
        "01a20000-0000-7000-8000-0000000000ab",
        "01A20000-0000-7000-8000-0000000000AB",
        "01a20000000070008000" + "0000000000ab",
        "urn:uuid:01a20000-0000-7000-8000-0000000000ab",
        "{01A20000-0000-7000-8000-0000000000ab}",
    ],
)
def test_ids_of_threads_are_shown_in_one_form(spelling: str) -> None:
    item = {"type": "SubAgentActivity", "id": "s", "kind": "started", "agent_path": "/root/a"}
    shown = thread_item(dump({**item, "agent_thread_id": spelling}))
    assert shown is not None
    assert shown["agentThreadId"] == "01a20000-0000-7000-8000-0000000000ab"


def test_the_two_texts_that_are_not_ours_are_worded_anew() -> None:
    digests = {digest for _, digest in TRUE_TEXTS.values()}
    for text in (NUL_COMMAND, EMPTY_REVIEW):
        assert hashlib.sha256(text.encode()).hexdigest() not in digests


def test_an_unknown_time_of_completion_is_none() -> None:
    plan = dump({"type": "Plan", "id": "p", "text": "t"})
    assert list((thread_item(plan, 5, 0) or {}).items())[-2:] == [("startedAtMs", 5), ("completedAtMs", None)]
    assert list((thread_item(plan, None, -1) or {}).items())[-2:] == [("startedAtMs", None), ("completedAtMs", -1)]


COMMAND = {
    "type": "CommandExecution",
    "id": "c",
    "command": [],
    "cwd": "file:///w",
    "parsed_cmd": [],
    "source": "agent",
    "status": "completed",
}
TOOL = {"type": "DynamicToolCall", "id": "d", "tool": "t", "arguments": {}, "status": "completed"}
UUID = "01a20000-0000-7000-8000-0000000000ab"
AGENTS = {
    "type": "CollabAgentToolCall",
    "id": "a",
    "tool": "wait",
    "status": "completed",
    "sender_thread_id": UUID,
}
MCP = {"type": "McpToolCall", "id": "m", "server": "s", "tool": "t", "arguments": {}, "status": "completed"}
CHANGE = {"type": "FileChange", "id": "f", "changes": {}}
REVIEW = {"type": "EnteredReviewMode", "id": "r", "user_facing_hint": "h"}


@pytest.mark.parametrize(
    ("item", "right", "wrong"),
    [
        (COMMAND, {"interaction_input": "y"}, {"interaction_input": 5}),
        (TOOL, {"error": "e"}, {"error": {}}),
        (AGENTS, {"receiver_agents": [{"thread_id": UUID}]}, {"receiver_agents": [{"thread_id": "x"}]}),
        (
            AGENTS,
            {"receiver_agents": [{"thread_id": UUID, "agent_role": None}]},
            {"receiver_agents": [{"thread_id": UUID, "agent_role": 5}]},
        ),
        (
            AGENTS,
            {"receiver_agents": [{"thread_id": UUID, "agent_nickname": "n"}]},
            {"receiver_agents": [{"thread_id": UUID, "agent_nickname": []}]},
        ),
        (MCP, {"result": {"content": [], "isError": True}}, {"result": {"content": [], "isError": "yes"}}),
        (CHANGE, {"stdout": "o", "stderr": None}, {"stdout": 5}),
        (CHANGE, {"stderr": "o"}, {"stderr": 5}),
        (CHANGE, {"auto_approved": False}, {"auto_approved": 0}),
        (REVIEW, {"target": {"type": "commit", "sha": "s"}}, {"target": {"type": "commit"}}),
    ],
)
def test_a_member_that_is_not_shown_must_be_right_all_the_same(item: Any, right: Any, wrong: Any) -> None:
    assert thread_item(dump({**item, **right})) is not None
    assert thread_item(dump({**item, **wrong})) is None


@pytest.mark.parametrize("place", ["start", "end", "durationMs"])
def test_a_number_beyond_64_bits_is_none(place: str) -> None:
    def item(number: int) -> bytes:
        if place == "durationMs":
            return dump({"type": "Extension", "kind": "clock.sleep", "id": "s", "durationMs": number})
        element = {"byte_range": {"start": 0, "end": 0, place: number}}
        part = {"type": "text", "text": "t", "text_elements": [element]}
        return dump({"type": "UserMessage", "id": "u", "content": [part]})

    assert thread_item(item(2**64 - 1)) is not None
    assert thread_item(item(2**64)) is None
    assert thread_item(item(-1)) is None
