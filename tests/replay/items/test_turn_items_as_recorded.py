"""Items are shown as Codex 0.169.0 showed them when they were put before it, and do not count where it dropped them."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from tests.oracle import thread_items
from tests.support import dump

from threadkeep.replay.items import (
    EMPTY_REVIEW,
    NUL_COMMAND,
    UndecodableError,
    plain,
    thread_item,
    turn_error,
    without_output,
)

Json = dict[str, Any]

FIXTURES: Final = Path(__file__).parents[2] / "fixtures" / "items"
SUBJECTS: Final = sorted(path.stem for path in FIXTURES.glob("*.json"))
OF_ITEMS_ALONE: Final = [
    "agent_messages",
    "agents",
    "command_actions",
    "commands",
    "dynamic_calls",
    "file_changes",
    "images_and_sleep",
    "mcp_calls",
    "reviews",
    "searches",
    "shell_words",
    "small_items",
    "user_messages",
    "working_folders",
]
"""The subjects in which nothing but its content decides whether an item counts."""


@cache
def cases_of(subject: str) -> list[Json]:
    cases: list[Json] = json.loads((FIXTURES / f"{subject}.json").read_text(encoding="utf-8"))
    return cases


def payloads(case: Json, kind: str) -> list[Json]:
    """The payloads of the events of one type, in all segments."""
    records = [line for segment in case["segments"] for line in segment["records"] + segment.get("later", [])]
    events = [line.get("payload") for line in records if isinstance(line, dict) and line.get("type") == "event_msg"]
    return [event for event in events if isinstance(event, dict) and event.get("type") == kind]


def completed_once(case: Json) -> list[Json]:
    """The payloads of the items that are completed once in the case: one record, at most one entry."""
    done = [event for event in payloads(case, "item_completed") if isinstance(event.get("item"), dict)]
    times = Counter(name_of(event) for event in done)
    return [event for event in done if times[name_of(event)] == 1]


def name_of(event: Json) -> str:
    return json.dumps([event.get("turn_id"), event["item"].get("id")])


def in_our_words(item: Json) -> Json:
    """A recorded item with our words for the two texts that are the server's."""
    ours = {thread_items.NUL_COMMAND: NUL_COMMAND, thread_items.NO_REVIEW: EMPTY_REVIEW}
    changed = {name: ours[item[name]] for name in ("command", "review") if item.get(name) in ours}
    return {**item, **changed}


def in_order(item: Json) -> str:
    """``item`` as text, the order of its members with it; the server has no order of agents' states."""
    states = item.get("agentsStates")
    return json.dumps(item if states is None else {**item, "agentsStates": sorted(states.items())})


@pytest.mark.parametrize("subject", SUBJECTS)
def test_an_item_is_shown_as_codex_showed_it(subject: str) -> None:
    compared = 0
    for case in cases_of(subject):
        entries = {json.dumps([entry["turnId"], entry["item"]["id"]]): entry["item"] for entry in case["items"]}
        for event in completed_once(case):
            if name_of(event) not in entries:
                continue
            shown = thread_item(
                msgspec.Raw(dump(event["item"])), event.get("started_at_ms"), event.get("completed_at_ms")
            )
            assert shown is not None, event
            assert in_order(plain(shown)) == in_order(in_our_words(entries[name_of(event)]))
            compared += 1
    assert compared > 0


@pytest.mark.parametrize("subject", OF_ITEMS_ALONE)
def test_an_item_that_codex_dropped_does_not_count(subject: str) -> None:
    for case in cases_of(subject):
        shown = {json.dumps([entry["turnId"], entry["item"]["id"]]) for entry in case["items"]}
        for event in completed_once(case):
            if name_of(event) not in shown:
                assert thread_item(dump(event["item"])) is None, event


def test_most_items_of_the_recordings_are_compared() -> None:
    recorded = [entry for subject in SUBJECTS for case in cases_of(subject) for entry in case["items"]]
    once = [event for subject in SUBJECTS for case in cases_of(subject) for event in completed_once(case)]
    assert len(once) > 0.5 * len(recorded) > 500


def test_an_error_of_a_turn_is_shown_as_codex_showed_it() -> None:
    compared = dropped = 0
    for case in cases_of("turn_rows"):
        turns = {turn["id"]: turn for turn in case["turns"]}
        ends = [event for kind in ("task_complete", "turn_aborted") for event in payloads(case, kind)]
        times = Counter(event.get("turn_id") for event in ends if isinstance(event.get("turn_id"), str))
        for event in ends:
            turn = turns.get(event.get("turn_id"))
            if turn is None or times[event["turn_id"]] > 1 or "error" not in event:
                continue
            if turn["error"] is None and event["error"] is not None:
                with pytest.raises(UndecodableError):
                    turn_error(msgspec.Raw(dump(event["error"])))
                dropped += 1
                continue
            assert turn_error(msgspec.Raw(dump(event["error"]))) == turn["error"], event
            compared += 1
    assert compared > 10
    assert dropped > 3


def test_outputs_are_deferred_as_codex_deferred_them() -> None:
    compared = 0
    for case in cases_of("pages"):
        if "deferred" not in case:
            continue
        entries = {json.dumps([entry["turnId"], entry["item"]["id"]]): entry for entry in case["deferred"]}
        for event in completed_once(case):
            entry = entries.get(name_of(event))
            if entry is None:
                continue
            item = thread_item(dump(event["item"]), event.get("started_at_ms"), event.get("completed_at_ms"))
            assert item is not None
            short = without_output(item)
            assert (short is not None) == entry.get("outputDeferred", False), event
            assert in_order(plain(short or item)) == in_order(in_our_words(entry["item"]))
            compared += 1
    assert compared > 10
