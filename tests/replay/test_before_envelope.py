"""What stands for the events that files from before the envelope do not have."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from tests.support import BytesSource, MemoryLibrary, dump

from threadkeep.lineage import Lineage
from threadkeep.records import Cost, record_of
from threadkeep.replay import TurnReader, find_turn, next_turn
from threadkeep.replay._before_envelope import as_told
from threadkeep.replay._preview import said_first

Json = dict[str, Any]
THREAD: Final = "2763fc9f-2355-41f4-8a10-a38bacd1a0e7"
HEAD: Final = dump({"id": THREAD, "timestamp": "2025-07-01T10:00:00.000Z", "instructions": None}) + b"\n"


def message(role: str, *texts: str) -> Json:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text} for text in texts]}


def event(kind: str, **members: Any) -> Json:
    return {"timestamp": "2026-01-01T10:00:00.000Z", "type": "event_msg", "payload": {"type": kind, **members}}


def told(item: Json) -> list[Json]:
    """The events that an item without an envelope stands for; empty where it stands for itself."""
    record = record_of(7, dump(item))
    found = as_told(record)
    assert all(event is record or (event.kind == "event_msg" and event.offset == 7) for event in found)
    return [json.loads(bytes(event.payload or b"")) for event in found if event is not record]


def lineage_of(*lines: Json) -> Lineage:
    library = MemoryLibrary()
    source: BytesSource = library.add(THREAD, HEAD + b"".join(dump(line) + b"\n" for line in lines))
    return Lineage(library, source, THREAD, Cost())


def never(_: object) -> None:
    """No turn of these files was started."""


def test_a_message_of_a_person_is_told_with_its_images() -> None:
    item = message("user", "look", " here")
    item["content"].append({"type": "input_image", "image_url": "data:image/png;base64,AA=="})
    assert told(item) == [{"type": "user_message", "message": "look here", "images": ["data:image/png;base64,AA=="]}]
    assert said_first(record_of(0, dump(item))) == "look here"


def test_an_image_alone_is_a_preview_too() -> None:
    item = {**message("user"), "content": [{"type": "input_image", "image_url": "data:image/png;base64,AA=="}]}
    assert said_first(record_of(0, dump(item))) == "[Image]"


@pytest.mark.parametrize("tag", ["environment_context", "user_instructions"])
def test_what_the_harness_said_in_a_persons_name_is_not_told(tag: str) -> None:
    item = message("user", f"<{tag}>\n\nwhatever\n\n</{tag}>")
    assert told(item) == []
    assert said_first(record_of(0, dump(item))) == ""


@pytest.mark.parametrize("role", ["developer", "system"])
def test_messages_of_nobody_are_not_told(role: str) -> None:
    assert told(message(role, "whatever")) == []


def test_an_answer_is_told_and_begins_no_preview() -> None:
    assert told(message("assistant", "one, ", "two")) == [{"type": "agent_message", "message": "one, two"}]
    assert said_first(record_of(0, dump(message("assistant", "one")))) == ""


def test_reasoning_is_told_text_by_text() -> None:
    parts = [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]
    item = {"type": "reasoning", "summary": parts, "content": [{"type": "reasoning_text", "text": "c"}]}
    assert told(item) == [
        {"type": "agent_reasoning", "text": "a"},
        {"type": "agent_reasoning", "text": "b"},
        {"type": "agent_reasoning_raw_content", "text": "c"},
    ]


def test_sealed_reasoning_tells_nothing() -> None:
    assert as_told(record_of(0, dump({"type": "reasoning", "summary": [], "encrypted_content": "x"}))) == []


@pytest.mark.parametrize(
    "line",
    [
        {"type": "message", "role": "user"},
        {"type": "message", "role": "user", "content": [{"type": "input_text"}]},
        {"type": "function_call", "name": "shell", "arguments": "{}", "call_id": "c"},
        {"type": "item_of_the_future"},
        {"record_type": "state"},
        {"timestamp": "2026-01-01T10:00:00.000Z", "type": "response_item", "payload": message("user", "said")},
        {"timestamp": "2026-01-01T10:00:00.000Z", "type": "event_msg", "payload": {"type": "user_message"}},
    ],
)
def test_every_other_record_is_told_as_it_is(line: Json) -> None:
    assert told(line) == []


def test_with_an_envelope_events_tell_what_was_said() -> None:
    """A message that stands beside its event is shown once."""
    said = {"timestamp": "2026-01-01T10:00:00.000Z", "type": "response_item", "payload": message("user", "two")}
    with lineage_of(message("user", "one"), said, event("user_message", message="two")) as lineage:
        turns = [entry.turn for entry in TurnReader(lineage, "full", first_start=never)]
    assert [[item["content"][0]["text"] for item in turn["items"]] for turn in turns] == [["two"], ["one"]]


def test_a_turn_that_nothing_started_ends_where_the_next_begins() -> None:
    lines = [
        message("user", "one"),
        message("assistant", "ONE"),
        message("user", "two"),
        event("task_started", turn_id="t"),
        event("user_message", message="three"),
        event("task_complete", turn_id="t"),
        event("user_message", message="four"),
    ]
    with lineage_of(*lines) as lineage:
        entries = list(TurnReader(lineage, "notLoaded", first_start=never))[::-1]
        one, two, started, last = entries
        assert started.end is not None
        following = [next_turn(lineage, entry) for entry in (one, two, last)]
        assert following == [two.position, started.position, None]


def test_a_turn_is_found_by_the_place_of_its_message() -> None:
    class Totals:
        def of(self, segment: object) -> Any:
            raise AssertionError("nothing has to be counted")

    with lineage_of(message("user", "one"), message("assistant", "ONE"), message("user", "two")) as lineage:
        found = find_turn(lineage, f"rollout-{len(HEAD)}", Totals(), "summary")
        assert found is not None
        assert found.turn["items"][0]["id"] == f"item-{len(HEAD)}"
        assert [item["type"] for item in found.turn["items"]] == ["userMessage", "agentMessage"]
