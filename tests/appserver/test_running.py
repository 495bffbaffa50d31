"""What is told of a running turn: in the order of the real server, nothing before it is kept, whatever goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.appserver.in_process import TIMEOUT, Client
from tests.appserver.scripted import USED, Gate, Stage, call, items_told, kind_of, message, on_stage, output, raw, texts

from threadkeep.appserver.engine import (
    Compacting,
    EngineFailure,
    ItemDone,
    ItemStarted,
    Retrying,
    SummaryDelta,
    SummaryPart,
    ThoughtDelta,
    Usage,
)
from threadkeep.errors import StorageFailure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from threadkeep.appserver.engine import Event, RunningTurn

Json = dict[str, Any]

BEGUN = ["thread/status/changed", "turn/started", "item/started", "item/completed"]
COUNTED = ["thread/tokenUsage/updated", "account/rateLimits/updated"]
ENDED = ["thread/readState/changed", "thread/status/changed", "turn/completed"]
ANSWERED = ["item/started", "item/agentMessage/delta", "item/completed"]


@pytest.fixture
def stage(home: Path, mode: str) -> Iterator[Stage]:
    with on_stage(home, mode) as made:
        yield made


def thought(item_id: str = "rs_1") -> list[Event]:
    begun = {"type": "reasoning", "id": item_id, "summary": []}
    whole = {**begun, "summary": [{"type": "summary_text", "text": "hm"}], "content": None, "encrypted_content": "x"}
    return [
        ItemStarted(raw(begun)),
        SummaryPart(item_id, 0),
        SummaryDelta(item_id, 0, "hm"),
        ThoughtDelta(item_id, 0, "well"),
        ItemDone(raw(whole)),
    ]


def test_a_turn_is_told_in_the_order_of_the_real_server(stage: Stage) -> None:
    stage.engine.play(*thought(), *message("an answer"), Usage(USED, "resp_1"))
    turn = stage.run()
    thinking = ["item/started", *(f"item/reasoning/{part}" for part in _PARTS), "item/completed"]
    assert stage.heard()[: stage.heard().index("turn/completed") + 1] == [
        *BEGUN,
        *thinking,
        *ANSWERED,
        *COUNTED,
        *ENDED,
    ]
    assert (turn["status"], turn["itemsView"], turn["error"]) == ("completed", "summary", None)
    assert [item["text"] for item in turn["items"]] == ["an answer"]
    assert turn["startedAt"] is not None
    assert turn["completedAt"] >= turn["startedAt"]


_PARTS = ("summaryPartAdded", "summaryTextDelta", "textDelta")


def test_the_answer_to_turn_start_comes_before_anything_of_the_turn(stage: Stage) -> None:
    turn = stage.start()
    stage.end_of(turn)
    of_turn = [m for m in stage.client.messages if turn in str(m)]
    assert of_turn[0]["result"]["turn"] == {
        "id": turn,
        "rootTurnId": turn,
        "items": [],
        "itemsView": "notLoaded",
        "status": "inProgress",
        "error": None,
        "startedAt": None,
        "completedAt": None,
        "durationMs": None,
    }


def test_what_is_told_is_what_lists_show_later(stage: Stage) -> None:
    stage.engine.play(*thought(), *message("an answer"), Usage(USED, "resp_1"))
    stage.run()
    listed = stage.client.request("thread/items/list", {"threadId": stage.thread, "limit": 100})["data"]
    told = items_told(stage.client)
    if stage.server.threads.require(stage.thread).mode == "legacy":  # its records hold neither ids nor times
        known = [{k: v for k, v in item.items() if k != "id" and "At" not in k} for item in told]
        shown = [{k: v for k, v in each["item"].items() if k != "id" and "At" not in k} for each in listed]
        assert shown == known
    else:
        assert [each["item"] for each in listed] == told
    assert len(told) == 3


def test_nothing_is_told_before_it_is_kept(stage: Stage) -> None:
    """Whenever an item or an end is told, its record stands in the rollout already."""
    missing: list[str] = []

    def on_message(_: object, told: Json) -> None:
        if told.get("method") in {"item/completed", "turn/completed", "thread/tokenUsage/updated"}:
            kept = [kind_of(record) for record in stage.records()]
            wanted = {
                "turn/completed": kept.count("task_complete"),
                "thread/tokenUsage/updated": kept.count("token_count"),
                "item/completed": sum("message" in kind or kind.startswith("shown") for kind in kept),
            }[told["method"]]
            count[told["method"]] = count.get(told["method"], 0) + 1
            if wanted < count[told["method"]]:
                missing.append(told["method"])

    count: dict[str, int] = {}
    stage.run("first")
    count = {"turn/completed": 1, "thread/tokenUsage/updated": 1, "item/completed": 2}
    watcher = Client(stage.server, "watcher", on_message=on_message)
    watcher.request("thread/resume", {"threadId": stage.thread, "excludeTurns": True})
    count = {"turn/completed": 1, "thread/tokenUsage/updated": 1, "item/completed": 2}
    turn = stage.run("second")["id"]
    watcher.hear_end(turn)
    watcher.close()
    assert count["item/completed"] == 4
    assert missing == []


def test_an_item_whose_beginning_nobody_told_is_begun_and_completed(stage: Stage) -> None:
    stage.engine.play(message("an answer")[-1])
    stage.run()
    assert stage.heard().count("item/started") == stage.heard().count("item/completed") == 2


def test_usage_adds_up_over_turns(stage: Stage) -> None:
    stage.run()
    stage.run("again")
    usages = [m["params"]["tokenUsage"] for m in stage.client.messages if m.get("method") == COUNTED[0]]
    assert [usage["total"]["totalTokens"] for usage in usages] == [12, 24]
    assert usages[1]["last"]["totalTokens"] == 12
    assert usages[1]["total"]["cachedInputTokens"] == 8


def test_the_count_follows_the_outputs_of_the_calls(stage: Stage) -> None:
    stage.engine.play(call(), Usage(USED, "resp_1"), output("five"), *message("done"), Usage(USED, "resp_2"))
    stage.run()
    kinds = [kind for kind in stage.kinds() if kind in {"function_call_output", "token_count", "token_usage_record"}]
    counted = ["token_usage_record", "token_count"]
    assert kinds == [counted[0], "function_call_output", counted[1], *counted]


def test_the_model_is_given_what_was_said_before(stage: Stage) -> None:
    stage.run("first")
    stage.run("second")
    assert texts(stage.engine.histories[1]) == ["first", "an answer", "second"]


# --- retries, failures ---------------------------------------------------------------------------------------------


def test_a_retry_is_told_and_the_turn_goes_on(stage: Stage) -> None:
    info = {"responseStreamDisconnected": {"httpStatusCode": 502}}
    stage.engine.play(Retrying("again 1/5", info, "broken"), *message("an answer"))
    assert stage.run()["status"] == "completed"
    (error,) = (m["params"] for m in stage.client.messages if m.get("method") == "error")
    assert error["willRetry"] is True
    assert error["error"] == {
        "message": "again 1/5",
        "codexErrorInfo": info,
        "additionalDetails": "broken",
        "misalignment": None,
    }


@pytest.mark.parametrize("kept", range(5))
def test_a_failure_of_the_engine_ends_the_turn_wherever_it_comes(stage: Stage, kept: int) -> None:
    steps = [*message("an answer"), call()][:kept]

    async def script(_: RunningTurn) -> AsyncIterator[Event]:
        for step in steps:
            yield step
        raise EngineFailure("no more", "usageLimitExceeded", "details")

    stage.engine.script = script
    turn = stage.run()
    assert turn["status"] == "failed"
    assert turn["error"]["message"] == "no more"
    assert turn["error"]["codexErrorInfo"] == "usageLimitExceeded"
    assert stage.heard()[-4:] == ["thread/status/changed", "error", "thread/readState/changed", "turn/completed"]
    assert stage.server.threads.require(stage.thread).status == {"type": "systemError"}
    (listed,) = stage.client.request("thread/turns/list", {"threadId": stage.thread})["data"]
    assert (listed["status"], listed["error"]) == ("failed", turn["error"])
    stage.engine.script = stage.engine.answer
    assert stage.run("again")["status"] == "completed"
    assert _calls_have_outputs(stage.engine.histories[-1])


def _calls_have_outputs(history: list[Json]) -> bool:
    calls = {item["call_id"] for item in history if item["type"] == "function_call"}
    return calls == {item["call_id"] for item in history if item["type"] == "function_call_output"}


def test_a_provider_that_is_gone_from_the_configuration_fails_the_turn(stage: Stage, home: Path) -> None:
    table = '[model_providers.mine]\nname = "mine"\nbase_url = "http://127.0.0.1:1/v1"\n'
    (home / "config.toml").write_text(table)
    asked = {"cwd": str(home), "modelProvider": "mine"}
    stage.thread = stage.client.request("thread/start", asked)["thread"]["id"]
    (home / "config.toml").write_text("# nothing is left of it\n")
    turn = stage.run()
    assert turn["status"] == "failed"
    assert "mine" in turn["error"]["message"]
    assert "internal error" not in turn["error"]["message"]


def test_a_mistake_of_the_engine_ends_the_turn_alone(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    async def script(_: RunningTurn) -> AsyncIterator[Event]:
        yield message("an answer")[0]
        raise LookupError("a bug")

    stage.engine.script = script
    assert stage.run()["error"]["message"] == "internal error: LookupError: a bug"
    assert "LookupError" in capsys.readouterr().err
    stage.engine.script = stage.engine.answer
    assert stage.run("again")["status"] == "completed"


@pytest.mark.parametrize("failing", range(5))
def test_a_record_that_cannot_be_kept_is_not_told(stage: Stage, monkeypatch: pytest.MonkeyPatch, failing: int) -> None:
    """The disk is full from some append on: what was told before is kept, the turn fails, nothing else is told."""
    writer = stage.server.threads.require(stage.thread).writer
    append, numbers = writer.append_all, itertools.count()

    def refuse(records: Any) -> Any:
        if next(numbers) >= failing:
            raise StorageFailure("no space left")
        return append(records)

    monkeypatch.setattr(writer, "append_all", refuse)
    turn = stage.run()
    assert (turn["status"], turn["error"]["message"]) == ("failed", "no space left")
    assert stage.server.threads.require(stage.thread).status == {"type": "systemError"}
    told = len(items_told(stage.client))
    if failing == 0:
        assert told == 0
        return
    shown = stage.client.request("thread/read", {"threadId": stage.thread, "includeTurns": True})
    assert sum(len(each["items"]) for each in shown["thread"]["turns"]) == told
    monkeypatch.undo()
    assert stage.run("again")["status"] == "completed"


# --- interrupts ----------------------------------------------------------------------------------------------------


def interrupt(stage: Stage, turn: str) -> None:
    assert stage.client.request("turn/interrupt", {"threadId": stage.thread, "turnId": turn}) == {}


@pytest.mark.parametrize("place", range(6))
def test_a_turn_is_interrupted_wherever_it_stands(stage: Stage, place: int) -> None:
    gate = Gate()
    steps: list[Event | Gate] = [*message("an answer"), call(), Usage(USED, "resp_1")]
    stage.engine.play(*steps[:place], gate, *steps[place:])
    turn = stage.start()
    gate.wait_reached()
    interrupt(stage, turn)
    ended = stage.end_of(turn)
    assert (ended["status"], ended["items"], ended["error"]) == ("interrupted", [], None)
    kinds = stage.kinds()
    assert kinds[-2:] == ["user message", "turn_aborted"]
    assert "<turn_aborted>" in stage.records()[-2]["payload"]["content"][0]["text"]
    assert stage.server.threads.require(stage.thread).status == {"type": "idle"}
    stage.engine.script = stage.engine.answer
    assert stage.run("again")["status"] == "completed"
    assert _calls_have_outputs(stage.engine.histories[-1])


def test_an_interrupt_is_answered_when_the_end_is_kept_and_before_it_is_told(stage: Stage) -> None:
    gate = Gate()
    stage.engine.play(gate)
    turn = stage.start()
    gate.wait_reached()
    number = stage.client.send("turn/interrupt", {"threadId": stage.thread, "turnId": turn})
    stage.end_of(turn)
    tail = [m.get("method", m.get("id")) for m in stage.client.messages][-4:]
    assert tail == ["account/rateLimits/updated", number, "thread/status/changed", "turn/completed"]


def test_an_interrupt_without_a_turn_s_id_is_answered_at_once(stage: Stage) -> None:
    gate = Gate()
    stage.engine.play(gate)
    turn = stage.start()
    gate.wait_reached()
    interrupt(stage, "")
    assert stage.end_of(turn)["status"] == "interrupted"


def test_an_engine_that_does_not_let_go_is_left_to_itself(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threadkeep.appserver._engine_steps._LETTING_GO", 0.1)
    gate, opened = Gate(), list[bool]()

    async def script(_: RunningTurn) -> AsyncIterator[Event]:
        while not opened:
            with contextlib.suppress(asyncio.CancelledError):
                await gate.wait()
                opened.append(True)
        yield message("never")[0]

    stage.engine.script = script
    turn = stage.start()
    gate.wait_reached()
    interrupt(stage, turn)
    assert stage.end_of(turn)["status"] == "interrupted"
    gate.open()


def test_a_turn_whose_engine_fails_to_clean_up_was_interrupted_none_the_less(stage: Stage) -> None:
    gate = Gate()

    async def script(_: RunningTurn) -> AsyncIterator[Event]:
        try:
            await gate.wait()
            yield message("never")[0]
        finally:
            raise ValueError("nothing was open")

    stage.engine.script = script
    turn = stage.start()
    gate.wait_reached()
    interrupt(stage, turn)
    assert stage.end_of(turn)["status"] == "interrupted"


def test_many_interrupts_at_once_are_all_answered(stage: Stage) -> None:
    gate = Gate()
    stage.engine.play(gate)
    turn = stage.start()
    gate.wait_reached()
    asked = [stage.client.send("turn/interrupt", {"threadId": stage.thread, "turnId": turn}) for _ in range(20)]
    stage.end_of(turn)
    answers = [stage.client.response(number) for number in asked]
    assert all(
        answer.get("result") == {} or answer["error"]["message"] == "no active turn to interrupt" for answer in answers
    )


def test_the_end_of_the_server_interrupts_what_runs(home: Path) -> None:
    gate = Gate()
    with on_stage(home) as stage:
        stage.engine.play(*message("an answer"), gate)
        stage.start()
        gate.wait_reached()
    assert stage.kinds()[-1] == "turn_aborted"
    assert stage.engine.closed


# --- what is said meanwhile ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", range(6))
def test_a_second_turn_start_steers_wherever_the_turn_stands(stage: Stage, place: int) -> None:
    gate = Gate()
    steps: list[Event | Gate] = [*message("an answer"), call(), output("five")]
    stage.engine.play(*steps[:place], gate, *steps[place:])
    turn = stage.start("first")
    gate.wait_reached()
    assert stage.start("second") == turn
    stage.engine.script = stage.engine.answer
    gate.open()
    assert stage.end_of(turn)["status"] == "completed"
    said = [item["content"][0]["text"] for item in items_told(stage.client) if item["type"] == "userMessage"]
    assert said == ["first", "second"]
    assert texts(stage.engine.histories[-1])[-1] == "second"
    assert stage.kinds().count("task_started") == stage.kinds().count("task_complete") == 1


def test_steering_cuts_a_call_that_waits_for_it(stage: Stage) -> None:
    """An engine that listens is told at once, and has what was said, recorded, from `steered`."""
    got: list[Json] = []
    waiting = Gate()

    async def script(turn: RunningTurn) -> AsyncIterator[Event]:
        waiting.reached.set()
        await turn.wait_steered()
        got.extend(msgspec.json.decode(item) for item in turn.steered())
        assert turn.steered() == []
        for event in message("an answer"):
            yield event

    stage.engine.script = script
    turn = stage.start("first")
    waiting.wait_reached()
    asked = {"threadId": stage.thread, "expectedTurnId": turn, "input": [{"type": "text", "text": "second"}]}
    assert stage.client.request("turn/steer", asked) == {"turnId": turn}
    stage.end_of(turn)
    assert texts(got) == ["second"]
    assert len(stage.engine.histories) == 1
    assert [record["payload"] for record in stage.records() if record["payload"].get("id") == got[0]["id"]] == got


def test_input_at_the_very_end_is_heard_by_this_turn_or_begins_the_next(stage: Stage) -> None:
    """Nothing that is said is lost, however close to the end of a turn it comes."""
    said = 0
    for _ in range(40):
        turns = {stage.start(f"text {said + number}") for number in range(3)}
        said += 3
        for turn in turns:
            assert stage.end_of(turn)["status"] == "completed"
    heard = [item["content"][0]["text"] for item in items_told(stage.client) if item["type"] == "userMessage"]
    assert heard == [f"text {number}" for number in range(said)]
    given = [text for text in texts(stage.engine.histories[-1]) if text.startswith("text")]
    assert given == heard


def test_one_turn_runs_at_a_time(stage: Stage) -> None:
    gate = Gate()
    stage.engine.play(gate, *message("an answer"))
    turn = stage.start()
    gate.wait_reached()
    clients = [Client(stage.server, f"client {number}") for number in range(4)]
    asked = {"threadId": stage.thread, "input": [{"type": "text", "text": "me too"}]}
    numbers = [client.send("turn/start", asked) for client in clients]
    answers = [client.response(number) for client, number in zip(clients, numbers, strict=True)]
    assert {answer["result"]["turn"]["id"] for answer in answers} == {turn}
    stage.engine.script = stage.engine.answer
    gate.open()
    stage.end_of(turn)
    for client in clients:
        client.close()


# --- compaction ----------------------------------------------------------------------------------------------------


def test_a_compaction_is_a_turn_of_its_own(stage: Stage) -> None:
    stage.run()
    place = len(stage.heard())
    assert stage.client.request("thread/compact/start", {"threadId": stage.thread}) == {}
    stage.wait_ends(2)
    assert stage.heard()[place:] == [
        "thread/status/changed",
        "turn/started",
        "item/started",
        *COUNTED * 3,
        "item/completed",
        "thread/status/changed",
        "turn/completed",
    ]
    stage.run("after")
    assert texts(stage.engine.histories[-1]) == ["summary", "after"]


def test_a_compaction_takes_the_place_of_a_turn(stage: Stage) -> None:
    gate = Gate()
    stage.engine.play(gate)
    turn = stage.start()
    gate.wait_reached()
    assert stage.client.request("thread/compact/start", {"threadId": stage.thread}) == {}
    assert stage.end_of(turn)["status"] == "interrupted"
    stage.wait_ends(2)
    aborted = next(record["payload"] for record in stage.records() if record["payload"].get("type") == "turn_aborted")
    assert aborted["reason"] == "replaced"


def test_a_full_context_is_compacted_before_the_turn_hears_anything(home: Path) -> None:
    (home / "config.toml").write_text("model_auto_compact_token_limit = 12\n")
    with on_stage(home) as stage:
        stage.run("first")
        stage.run("second")
        assert texts(stage.engine.histories[-2]) == ["first", "an answer"]
        assert texts(stage.engine.histories[-1]) == ["summary", "second"]
        kinds = stage.kinds()
        second = kinds[kinds.index("task_started", kinds.index("task_complete")) :]
        assert second.index("compacted") < second.index("user message")
        assert second.count("turn_context") == 1


def test_a_compaction_that_fails_leaves_the_context_as_it_was(stage: Stage) -> None:
    async def fail(turn: RunningTurn) -> AsyncIterator[Event]:
        if turn.history:
            raise EngineFailure("too large", "contextWindowExceeded")
        yield Compacting()

    stage.run("first")
    stage.engine.compaction = fail
    stage.compact()
    stage.run("second")
    assert texts(stage.engine.histories[-1]) == ["first", "an answer", "second"]


# --- ephemeral threads ---------------------------------------------------------------------------------------------


def test_an_ephemeral_thread_runs_turns_and_leaves_nothing(home: Path) -> None:
    with on_stage(home, ephemeral=True) as stage:
        stage.run("first")
        stage.run("second")
        assert texts(stage.engine.histories[-1]) == ["first", "an answer", "second"]
        assert "thread/readState/changed" not in stage.heard()
    assert list(home.rglob("*.jsonl")) == []


def test_a_client_that_leaves_leaves_its_turn_running(stage: Stage) -> None:
    stage.run("first")
    other = Client(stage.server, "other")
    other.request("thread/resume", {"threadId": stage.thread, "excludeTurns": True})
    gate = Gate()
    stage.engine.play(gate, *message("an answer"))
    turn = stage.start("second")
    gate.wait_reached()
    stage.client.close()
    gate.open()
    other.hear_end(turn)
    other.close()
    run = stage.server.threads.require(stage.thread).run
    assert run is None or run.ended.wait(TIMEOUT)
