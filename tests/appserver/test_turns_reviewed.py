"""What turns keep when things happen at the wrong moment: nothing said is lost, and no turn stays for ever."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.appserver.engine.scripted import Answer, Scripted
from tests.appserver.engine.turns import FakeTurn, run, settings
from tests.appserver.in_process import TIMEOUT
from tests.appserver.scripted import Gate, Stage, call, items_told, message, on_stage, raw, texts

from threadkeep.appserver import _input
from threadkeep.appserver._engine_steps import EngineSteps
from threadkeep.appserver._running import Run
from threadkeep.appserver.engine import Compacting, EngineFailure, ItemDone, ItemStarted, ToolCall, ToolResult
from threadkeep.appserver.engine._responses import ResponsesEngine
from threadkeep.errors import DurabilityUnknown, StorageFailure
from threadkeep.records import response_item
from threadkeep.store._user_input import UserInput

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from threadkeep.appserver.engine import Event, RunningTurn

Json = dict[str, Any]


@pytest.fixture
def stage(home: Path, mode: str) -> Iterator[Stage]:
    with on_stage(home, mode) as made:
        yield made


def steer(stage: Stage, turn: str, text: str) -> None:
    asked = {"threadId": stage.thread, "expectedTurnId": turn, "input": [{"type": "text", "text": text}]}
    assert stage.client.request("turn/steer", asked) == {"turnId": turn}


def put(text: str) -> Json:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


# --- what is said --------------------------------------------------------------------------------------------------


def test_what_was_said_while_a_turn_failed_is_kept(stage: Stage) -> None:
    """It was taken when the client was answered: the model has it in the next turn."""
    gate = Gate()

    async def script(_: RunningTurn) -> AsyncIterator[Event]:
        yield call()
        await gate.wait()
        raise EngineFailure("no more", "other")

    stage.engine.script = script
    turn = stage.start("first")
    gate.wait_reached()
    steer(stage, turn, "second")
    gate.open()
    assert stage.end_of(turn)["status"] == "failed"
    said = [item["content"][0]["text"] for item in items_told(stage.client) if item["type"] == "userMessage"]
    assert said == ["first", "second"]
    stage.engine.script = stage.engine.answer
    stage.run("third")
    assert texts(stage.engine.histories[-1]) == ["first", "second", "third"]


@pytest.mark.parametrize("how", ["fails", "is interrupted"])
def test_what_a_turn_begins_with_is_kept_where_the_compaction_before_it_does_not_succeed(home: Path, how: str) -> None:
    (home / "config.toml").write_text("model_auto_compact_token_limit = 12\n")
    gate = Gate()

    async def compaction(_: RunningTurn) -> AsyncIterator[Event]:
        yield Compacting()
        await gate.wait()
        raise EngineFailure("no summary")

    with on_stage(home) as stage:
        stage.run("first")
        stage.engine.compaction = compaction
        turn = stage.start("second")
        gate.wait_reached()
        if how == "fails":
            gate.open()
        else:
            stage.client.request("turn/interrupt", {"threadId": stage.thread, "turnId": turn})
        assert stage.end_of(turn)["status"] == ("failed" if how == "fails" else "interrupted")
        said = [item["content"][0]["text"] for item in items_told(stage.client) if item["type"] == "userMessage"]
        assert said == ["first", "second"]
        stage.engine.compaction = stage.engine.sum_up
        stage.run("third")
        assert "second" in texts(stage.engine.histories[-2])


def test_what_cannot_be_kept_does_not_count_as_heard(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn whose user could not be heard in the middle of a model call fails; it does not just end."""
    from threadkeep.appserver.engine._call import ModelCall

    silent = Gate()

    class Quiet(ModelCall):
        def __init__(self, wait_steered: Any) -> None:
            self._wait_steered = wait_steered

        async def events(self, body: bytes) -> Any:
            steered = asyncio.ensure_future(self._steering())
            silent.reached.set()
            yield await self._unless(steered, asyncio.Event().wait(), None)

    async def script(turn: RunningTurn) -> AsyncIterator[Event]:
        async for event in Quiet(turn.wait_steered).events(b""):
            yield event

    stage.engine.script = script
    turn = stage.start("first")
    silent.wait_reached()
    writer = stage.server.threads.require(stage.thread).writer
    append, refused = writer.append_all, list[Any]()

    def refuse(records: Any) -> Any:
        if not refused and "second" in str(records):
            refused.append(records)
            raise StorageFailure("no space left")
        return append(records)

    monkeypatch.setattr(writer, "append_all", refuse)
    steer(stage, turn, "second")
    ended = stage.end_of(turn)
    assert (ended["status"], ended["error"]["message"]) == ("failed", "no space left")


def test_what_cannot_be_kept_as_a_model_call_ends_is_heard_after_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client was told that it was taken; nobody waits any more for the append that fails."""
    listening, writing, over = Gate(), Gate(), threading.Event()

    async def script(turn: RunningTurn) -> AsyncIterator[Event]:
        hearing = asyncio.ensure_future(turn.wait_steered())
        await asyncio.sleep(0)
        listening.reached.set()
        await writing.wait()
        hearing.cancel()
        await asyncio.wait({hearing})
        over.set()
        stage.engine.script = stage.engine.answer
        for event in message("an answer"):
            yield event

    stage.engine.script = script
    turn = stage.start("first")
    listening.wait_reached()
    writer = stage.server.threads.require(stage.thread).writer
    append, refused = writer.append_all, list[Any]()

    def refuse(records: Any) -> Any:
        if not refused and "second" in str(records):
            refused.append(records)
            writing.open()
            assert over.wait(TIMEOUT)
            raise StorageFailure("no space left")
        return append(records)

    monkeypatch.setattr(writer, "append_all", refuse)
    steer(stage, turn, "second")
    assert stage.end_of(turn)["status"] == "completed"
    assert texts(stage.engine.histories[-1]) == ["first", "an answer", "second"]


@pytest.mark.parametrize("where", ["before", "after"])
def test_items_that_are_put_in_just_as_a_compaction_begins_or_ends_are_not_lost(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """The record of the item stands before the checkpoint, and the server hears of it after it began or ended."""
    stage.run("first")
    gate = Gate()
    thread = stage.server.threads.require(stage.thread)

    async def compaction(turn: RunningTurn) -> AsyncIterator[Event]:
        events = [event async for event in stage.engine.sum_up(turn)]
        if where == "before":
            await gate.wait()
        yield events[0]
        if where == "after":
            await gate.wait()
        for event in events[1:]:
            yield event

    append = thread.writer.append_all

    def slow(records: Any) -> Any:
        done = append(records)
        if any(b"put in" in bytes(record.payload) for record in records if isinstance(record.payload, msgspec.Raw)):
            gate.open()
            time.sleep(0.3)
        return done

    monkeypatch.setattr(thread.writer, "append_all", slow)
    stage.engine.compaction = compaction
    stage.client.request("thread/compact/start", {"threadId": stage.thread})
    gate.wait_reached()
    stage.client.request("thread/inject_items", {"threadId": stage.thread, "items": [put("put in")]})
    stage.wait_ends(2)
    stage.run("second")
    assert texts(stage.engine.histories[-1]) == ["summary", "put in", "second"]


# --- calls ---------------------------------------------------------------------------------------------------------


def test_an_interrupted_search_for_tools_has_an_output_that_can_be_read(stage: Stage) -> None:
    search: Json = {"type": "tool_search_call", "id": "tsc_1", "call_id": "s1", "execution": "client", "arguments": {}}
    gate = Gate()
    stage.engine.play(ItemDone(raw(search)), gate)
    turn = stage.start()
    gate.wait_reached()
    stage.client.request("turn/interrupt", {"threadId": stage.thread, "turnId": turn})
    stage.end_of(turn)
    items = [r["payload"] for r in stage.records() if r["type"] == "response_item"]
    assert "tool_search_output" in [item["type"] for item in items]
    assert [item for item in items if response_item(raw(item)) is None] == []


def test_a_search_that_the_provider_runs_itself_awaits_nothing(stage: Stage) -> None:
    search: Json = {"type": "tool_search_call", "id": "tsc_1", "call_id": None, "execution": "server", "arguments": {}}
    stage.engine.play(ItemDone(raw(search)), *message("an answer"))
    stage.run()
    assert "tool_search_output" not in stage.kinds()


@pytest.mark.parametrize("content", ["text", [None], ["text"], 5])
def test_an_item_of_the_provider_that_is_none_is_passed_over(stage: Stage, content: Any) -> None:
    broken = {"type": "message", "id": "msg_b", "role": "assistant", "content": content}
    stage.engine.play(ItemDone(raw(broken)), *message("an answer"))
    assert stage.run()["status"] == "completed"
    stage.engine.script = stage.engine.answer
    stage.run("second")
    assert texts(stage.engine.histories[-1]) == ["hello", "an answer", "second"]


def test_an_item_of_the_provider_of_a_kind_that_nobody_knows_is_not_kept(stage: Stage) -> None:
    stage.engine.play(ItemDone(raw({"type": "weird", "id": "w_1"})), *message("an answer"))
    assert stage.run()["status"] == "completed"
    assert "weird" not in stage.kinds()


@pytest.mark.parametrize("phase", [[], {}, 5, "other"])
def test_an_item_that_begins_with_nonsense_does_not_end_the_turn(stage: Stage, phase: Any) -> None:
    begun = {"type": "message", "id": "msg_1", "role": "assistant", "phase": phase}
    stage.engine.play(ItemStarted(raw(begun)), *message("an answer"))
    assert stage.run()["status"] == "completed"


# --- the end -------------------------------------------------------------------------------------------------------


def test_a_thread_whose_flush_failed_at_the_end_of_a_turn_goes_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.run("first")
    thread = stage.server.threads.require(stage.thread)
    writer = thread.writer
    append, dead = writer.append_all, list[bool]()

    def refuse(records: Any) -> Any:
        if dead or "task_complete" in str(records):
            dead.append(True)
            raise DurabilityUnknown("the flush failed")
        return append(records)

    monkeypatch.setattr(writer, "append_all", refuse)
    states = stage.server.read_states
    ended = states.turn_ended

    def slow(thread_id: str, turn_id: str) -> Json:
        time.sleep(0.3)
        return ended(thread_id, turn_id)

    monkeypatch.setattr(states, "turn_ended", slow)
    assert stage.run("second")["status"] == "failed"
    assert stage.run("third")["status"] == "completed"
    assert thread.writer is not writer


def test_an_engine_that_hangs_as_it_is_closed_is_left_to_itself(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threadkeep.appserver._engine_steps._LETTING_GO", 0.1)
    gate, opened = Gate(), Gate()

    async def script(turn: RunningTurn) -> AsyncIterator[Event]:
        try:
            try:
                await gate.wait()
            except asyncio.CancelledError:
                yield message("never")[0]
        finally:
            while not opened._open.is_set():
                try:
                    await opened.wait()
                except asyncio.CancelledError:
                    continue

    stage.engine.run = script  # type: ignore[method-assign]
    running = stage.start()
    gate.wait_reached()
    run = stage.server.threads.require(stage.thread).run
    assert run is not None
    stage.client.send("turn/interrupt", {"threadId": stage.thread, "turnId": running})
    ended = run.ended.wait(TIMEOUT)
    opened.open()
    assert ended
    assert run.ended.wait(TIMEOUT)


def test_an_end_that_cannot_be_told_is_said_on_standard_error(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise ValueError("nobody expects this")

    monkeypatch.setattr("threadkeep.appserver._telling.Telling.unread", fail)
    stage.start()
    run = stage.server.threads.require(stage.thread).run
    assert run is None or run.ended.wait(TIMEOUT)
    assert "nobody expects this" in capsys.readouterr().err


def test_a_turn_that_is_begun_as_the_server_ends_leaves_nothing_behind(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(_: object) -> None:
        raise RuntimeError("Event loop is closed")

    begun = Run(stage.server.threads.require(stage.thread), UserInput.of_text("too late"))
    with monkeypatch.context() as patched, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        patched.setattr(stage.server.loop, "start", closed)
        begun.launch()
        gc.collect()
    assert begun.ended.is_set()
    assert [str(warning.message) for warning in warned] == []


def test_an_engine_that_lets_go_is_not_disturbed_by_another_interrupt() -> None:
    let_go: list[str] = []

    async def engine() -> AsyncIterator[Event]:
        try:
            await asyncio.sleep(TIMEOUT)
            yield message("never")[0]
        finally:
            await asyncio.sleep(0.02)  # it closes its connection
            let_go.append("the connection")

    async def interrupted_twice() -> None:
        steps, loop = EngineSteps(), asyncio.get_running_loop()
        for delay in (0.01, 0.02):
            loop.call_later(delay, steps.stop)
        with contextlib.suppress(asyncio.CancelledError):
            await steps.next(engine())

    asyncio.run(interrupted_twice())
    assert let_go == ["the connection"]


# --- the built-in engine -------------------------------------------------------------------------------------------

SECRET = "5ec2e7"


@pytest.mark.parametrize(
    "of",
    [
        {"experimental_bearer_token": f"{SECRET}\n"},
        {"http_headers": {"x-key": f"{SECRET}\n"}},
        {"env_http_headers": {"x-key": "KEY"}},
        {"env_key": "NOT_ASCII"},
        {"query_params": {"api-key": SECRET}},
    ],
)
def test_no_failure_tells_a_secret(of: Json) -> None:
    with Scripted(Answer(status=404, body="nothing here")) as model:
        turn = FakeTurn(settings(model.base_url.replace("//", f"//user:{SECRET}@"), of=of))
        failed = run(turn, environ={"KEY": f" {SECRET}", "NOT_ASCII": f"{SECRET}\u2026"}).failure
    assert failed is not None
    assert failed.message
    assert SECRET not in f"{failed.message} {failed.details} {failed.info}"


def test_what_a_provider_says_of_a_failure_is_passed_on_in_part() -> None:
    body = {"error": {"message": "x" * 1_000_000, "code": "other"}}
    with Scripted(Answer(status=404, body=body)) as model:
        failed = run(FakeTurn(settings(model.base_url))).failure
    assert failed is not None
    assert len(failed.message) < 50_000


def test_when_one_of_several_tools_cannot_be_called_the_others_are_not_waited_for() -> None:
    """They would be recorded after the end of their turn."""
    answered: list[str] = []

    class Turn(FakeTurn):
        async def call_tool(self, call: ToolCall) -> ToolResult:
            if call.call_id == "c0":
                raise LookupError("cannot be kept")
            await asyncio.sleep(0.2)
            answered.append(call.call_id)
            return ToolResult("", success=True)

    async def go(base_url: str) -> None:
        turn = Turn(settings(base_url, tools=[{"name": "look", "inputSchema": {}}]))
        with pytest.raises(LookupError):
            async for _ in ResponsesEngine({}).run(turn):
                pass
        await asyncio.sleep(0.4)

    calls = [
        {"type": "function_call", "id": f"fc_{n}", "call_id": f"c{n}", "name": "look", "arguments": "{}"}
        for n in (0, 1)
    ]
    done = [{"type": "response.output_item.done", "item": each} for each in calls]
    with Scripted(Answer([*done, {"type": "response.completed", "response": {"id": "r"}}])) as model:
        asyncio.run(go(model.base_url))
    assert answered == []


def test_the_images_of_this_machine_have_a_bound_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_input, "MOST_IMAGES_BYTES", 100)
    image = tmp_path / "a.png"
    image.write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 40)
    given = _input.user_input([{"type": "localImage", "path": str(image)}] * 3)
    assert [part["type"] for part in given.content].count("input_image") == 2


def test_a_folder_in_the_place_of_an_image_is_let_go_of(tmp_path: Path) -> None:
    held = len(os.listdir("/dev/fd"))
    given = _input.user_input([{"type": "localImage", "path": str(tmp_path)}] * 20)
    assert "is not a file" in given.content[1]["text"]
    assert len(os.listdir("/dev/fd")) == held
