"""What a line is about is known from its first bytes, and the same where its members stand in another order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support import dump

from threadkeep.replay.items import ItemHead, item_head, item_type, thread_item
from threadkeep.replay.items._head import _HEAD

ROLLOUTS: Final = Path(__file__).parents[2] / "fixtures" / "rollouts" / "0.169.0"


def completed(item: Any, **members: Any) -> dict[str, Any]:
    return {
        "timestamp": "2026-11-22T10:00:00.000Z",
        "ordinal": 7,
        "type": "event_msg",
        "payload": {"type": "item_completed", "thread_id": "t", "turn_id": "turn", "item": item, **members},
    }


def backwards(value: Any) -> Any:
    """``value`` with the members of all its objects in the opposite order."""
    if isinstance(value, dict):
        return {name: backwards(value[name]) for name in reversed(value)}
    return [backwards(member) for member in value] if isinstance(value, list) else value


ANSWER = {
    "type": "AgentMessage",
    "id": "msg",
    "content": [{"type": "Text", "text": '"phase":"commentary"'}],
    "phase": "final_answer",
}


def test_every_item_that_codex_wrote_is_recognised_by_its_first_bytes() -> None:
    lines = [line for path in ROLLOUTS.rglob("*.jsonl") for line in path.read_bytes().splitlines()]
    items = 0
    for line in lines:
        payload = json.loads(line)["payload"]
        kind = payload["item"]["type"] if payload.get("type") == "item_completed" else None
        assert item_type(line) == kind
        assert (_HEAD.match(line) is not None) == (kind is not None)
        if kind is not None:
            item = payload["item"]
            assert item_head(line) == ItemHead(payload["turn_id"], kind, item["id"], item.get("phase"))
            items += 1
    assert items > 50


def test_the_order_of_members_does_not_matter() -> None:
    for record in (completed(ANSWER), backwards(completed(ANSWER))):
        assert item_type(dump(record)) == "AgentMessage"
        assert item_head(dump(record)) == ItemHead("turn", "AgentMessage", "msg", "final_answer")


def test_names_that_are_escaped_are_read() -> None:
    line = dump(completed({"type": "Plan", "id": 'quo"te', "text": ""}, turn_id='tu"rn'))
    assert item_type(line) == "Plan"
    assert item_head(line) == ItemHead('tu"rn', "Plan", 'quo"te')


@pytest.mark.parametrize("phase", [None, "commentary", "partial_answer", "final_answer"])
def test_the_phase_of_an_answer_is_told(phase: str | None) -> None:
    assert item_head(dump(completed({**ANSWER, "phase": phase}))) == ItemHead("turn", "AgentMessage", "msg", phase)


@pytest.mark.parametrize("phase", ["unheard_of", 5, {}, ["final_answer"]])
def test_an_answer_without_a_right_phase_does_not_count(phase: Any) -> None:
    item = {**ANSWER, "phase": phase}
    assert item_head(dump(completed(item))) is None
    assert thread_item(dump(item)) is None


def test_a_phase_is_a_matter_of_answers_alone() -> None:
    item = {"type": "Plan", "id": "p", "text": "t", "phase": 5}
    assert item_head(dump(completed(item))) == ItemHead("turn", "Plan", "p")
    assert thread_item(dump(item)) is not None


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        dump({"type": "event_msg", "payload": {"type": "item_started", "turn_id": "t", "item": ANSWER}}),
        dump({"type": "response_item", "payload": completed(ANSWER)["payload"]}),
        dump(completed(5)),
        dump(completed({"id": "i"})),
    ],
)
def test_a_line_that_completes_no_item_is_about_none(line: bytes) -> None:
    assert item_type(line) is None
    assert item_head(line) is None
