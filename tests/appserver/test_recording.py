"""What is kept of a turn: the records that the real server writes, in its order, in both history modes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.appserver.scripted import USED, Gate, Stage, call, message, on_stage, output, raw, texts

from threadkeep.appserver.engine import Compacted, Compacting, ItemDone, Usage
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from threadkeep.appserver.engine import Event, RunningTurn

Json = dict[str, Any]


@pytest.fixture
def stage(home: Path) -> Iterator[Stage]:
    with on_stage(home) as made:
        yield made


@pytest.fixture
def old_stage(home: Path) -> Iterator[Stage]:
    with on_stage(home, "legacy") as made:
        yield made


THOUGHT = ItemDone(
    raw({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "content": None})
)


def payloads(stage: Stage, kind: str) -> list[Json]:
    """The payloads of the records of a type, the payload's own or the record's."""
    return [r["payload"] for r in stage.records() if kind in (r["type"], r["payload"].get("type"))]


def test_a_paginated_turn(stage: Stage) -> None:
    stage.engine.play(THOUGHT, *message("an answer"), Usage(USED, "resp_1"))
    stage.run()
    assert stage.kinds() == [
        "session_meta",
        "task_started",
        "turn_context",
        "thread_settings_applied",
        "user message",
        "shown UserMessage",
        "shown Reasoning",
        "reasoning",
        "shown AgentMessage",
        "assistant message",
        "token_usage_record",
        "token_count",
        "task_complete",
    ]
    assert [record["ordinal"] for record in stage.records()] == list(range(13))


def test_a_legacy_turn(old_stage: Stage) -> None:
    old_stage.engine.play(THOUGHT, *message("an answer"), call(), output("5"), Usage(USED, "resp_1"))
    old_stage.run()
    assert old_stage.kinds() == [
        "session_meta",
        "task_started",
        "turn_context",
        "thread_settings_applied",
        "user message",
        "user_message",
        "agent_reasoning",
        "reasoning",
        "agent_message",
        "assistant message",
        "function_call",
        "function_call_output",
        "token_usage_record",
        "token_count",
        "task_complete",
    ]


def test_the_next_turn_states_its_settings_and_no_more(stage: Stage) -> None:
    stage.run("first")
    place = len(stage.kinds())
    stage.run("second")
    assert stage.kinds()[place : place + 3] == ["task_started", "turn_context", "user message"]


def test_every_item_names_its_turn_and_has_an_id(stage: Stage) -> None:
    stage.engine.play(call(), output("5"), *message("an answer"))
    turn = stage.run()["id"]
    for item in payloads(stage, "response_item"):
        assert item["internal_chat_message_metadata_passthrough"]["turn_id"] == turn
    (answered,) = payloads(stage, "function_call_output")
    assert answered["id"].startswith("fco_")


def test_what_a_provider_sends_is_kept_with_everything_that_it_says(stage: Stage) -> None:
    whole = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed", "new": {"n": [1, None]}}
    stage.engine.play(ItemDone(raw(whole)))
    stage.run()
    (kept,) = payloads(stage, "reasoning")
    assert {name: kept[name] for name in whole} == whole


def test_an_answer_s_phase_is_shown(stage: Stage, old_stage_of: Callable[[], Stage]) -> None:
    content = [{"type": "output_text", "text": "done", "annotations": []}]
    answer = {"type": "message", "id": "msg_1", "role": "assistant", "phase": "final_answer", "content": content}
    for each in (stage, old_stage_of()):
        each.engine.play(ItemDone(raw(answer)))
        turn = each.run()
        assert turn["items"][0]["phase"] == "final_answer"
        (listed,) = each.client.request("thread/turns/list", {"threadId": each.thread})["data"]
        assert listed["items"][-1]["phase"] == "final_answer"


@pytest.fixture
def old_stage_of(tmp_path: Path) -> Iterator[Callable[[], Stage]]:
    folder = tmp_path / "old"
    folder.mkdir()
    with on_stage(folder, "legacy") as made:
        yield lambda: made


def test_usage_goes_on_from_what_was_counted_last(stage: Stage) -> None:
    stage.run("first")
    stage.run("second")
    first, second = payloads(stage, "token_usage_record")
    assert first["thread_token_usage"]["total_tokens"] == 12
    assert second["thread_token_usage"]["total_tokens"] == 24
    assert second["turn_token_usage"]["total_tokens"] == 12
    assert second["response_id"] == "resp_1"


def test_a_checkpoint_is_followed_by_all_that_a_reader_needs(stage: Stage) -> None:
    stage.run("first")
    place = len(stage.kinds())
    stage.compact()
    assert stage.kinds()[place:] == [
        "task_started",
        "token_count",
        "token_usage_record",
        "token_count",
        "compacted",
        "turn_context",
        "thread_settings_applied",
        "token_count",
        "shown ContextCompaction",
        "task_complete",
    ]
    (compacted,) = payloads(stage, "compacted")
    turn = payloads(stage, "task_complete")[-1]["turn_id"]
    assert compacted["resume_metadata"]["last_started_turn_id"] == turn
    assert compacted["compaction_response_id"] == "resp_c"
    assert compacted["latest_token_usage_record"] == payloads(stage, "token_usage_record")[-1]
    counts = [count["info"] for count in payloads(stage, "token_count")]
    assert counts[-1]["last_token_usage"]["total_tokens"] == 7
    assert counts[-1]["total_token_usage"]["total_tokens"] == 24


def test_windows_follow_each_other(stage: Stage) -> None:
    stage.run("first")
    for _ in range(3):
        stage.compact()
    first, second, third = payloads(stage, "compacted")
    assert [each["window_number"] for each in (first, second, third)] == [1, 2, 3]
    assert {each["first_window_id"] for each in (first, second, third)} == {
        stage.records()[0]["payload"]["context_window"]["window_id"]
    }
    assert second["previous_window_id"] == first["window_id"]
    assert third["previous_window_id"] == second["window_id"]


def test_the_context_goes_on_from_the_checkpoint(stage: Stage) -> None:
    stage.run("first")
    stage.compact()
    stage.run("second")
    context = stage.server.store.resume(stage.thread).context
    assert context.window.number == 1
    assert texts([msgspec.json.decode(item.payload) for item in context.items]) == ["summary", "second", "an answer"]


def test_a_compaction_inside_a_turn(stage: Stage) -> None:
    async def script(turn: RunningTurn) -> AsyncIterator[Event]:
        yield call()
        yield output("5")
        yield Usage(USED, "resp_1")
        yield Compacting()
        yield Compacted("so far", [turn.history[0], raw({"type": "message", "role": "user", "content": []})], None, 3)
        assert len(turn.history) == 2
        assert turn.tokens_used == 3
        for event in message("an answer"):
            yield event

    stage.engine.script = script
    stage.run()
    kinds = stage.kinds()
    assert kinds.index("function_call_output") < kinds.index("compacted") < kinds.index("assistant message")
    (turn,) = stage.client.request("thread/turns/list", {"threadId": stage.thread, "itemsView": "full"})["data"]
    assert [item["type"] for item in turn["items"]] == ["userMessage", "contextCompaction", "agentMessage"]


def test_what_codex_told_of_its_surroundings_is_stated_after_a_checkpoint_that_keeps_it(home: Path) -> None:
    """Else Codex would tell it a second time."""
    world = {"environments": {"local": {"cwd": "/work"}}}
    told = {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "of Codex"}]}
    with ThreadStore.open(home, durability="os") as store, store.create(cwd="/work") as writer:
        with writer.turn("first", model="m") as turn:
            turn.say("an answer")
            turn.add(told)
            writer.append("world_state", {"full": True, "state": world})
        thread = writer.thread_id
    for kept, stated in ((told, [world]), ({**told, "role": "user"}, [])):
        with on_stage(home) as stage:
            stage.thread = thread
            stage.client.request("thread/resume", {"threadId": thread, "excludeTurns": True})

            async def compact(_: RunningTurn, kept: Json = kept) -> AsyncIterator[Event]:
                yield Compacted("so far", [raw(kept)], None, 3)

            place = len(stage.records())
            stage.engine.compaction = compact
            stage.compact()
            new = [r["payload"] for r in stage.records()[place:] if r["type"] == "world_state"]
            assert [each["state"] for each in new] == stated


def test_a_developer_s_text_is_said_once_as_long_as_the_context_holds_it(home: Path) -> None:
    with on_stage(home, developerInstructions="Be brief.") as stage:
        stage.run("first")
        stage.run("second")
        assert texts(stage.engine.histories[-1]) == ["Be brief.", "first", "an answer", "second"]
        stage.compact()
        stage.run("third")
        assert texts(stage.engine.histories[-1]) == ["summary", "Be brief.", "third"]


def test_an_interrupted_tool_call_has_an_output(stage: Stage) -> None:
    gate = Gate()
    stage.engine.play(call(), Usage(USED, "resp_1"), gate)
    turn = stage.start()
    gate.wait_reached()
    stage.client.request("turn/interrupt", {"threadId": stage.thread, "turnId": turn})
    stage.end_of(turn)
    assert stage.kinds()[-5:] == [
        "token_usage_record",
        "function_call_output",
        "token_count",
        "user message",
        "turn_aborted",
    ]
