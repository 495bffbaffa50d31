"""Tools of a client: whoever watches the thread is asked, and whatever becomes of the call, the model is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.appserver.in_process import Client
from tests.appserver.scripted import USED, Stage, call, items_told, message, on_stage, output

from threadkeep.appserver import _running, _tool_calls
from threadkeep.appserver._tool_calls import ask_clients
from threadkeep.appserver.engine import ToolCall, ToolResult, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from threadkeep.appserver.engine import Event, RunningTurn

Json = dict[str, Any]

CALL = ToolCall("call_1", "look_up", None, {"q": "a"})
TEXT: Json = {"type": "inputText", "text": "found it"}
IMAGE: Json = {"type": "inputImage", "imageUrl": "data:image/png;base64,AAAA"}


class Caller:
    """An engine's script that calls a tool once and keeps what it got."""

    def __init__(self) -> None:
        self.results: list[ToolResult] = []

    async def __call__(self, turn: RunningTurn) -> AsyncIterator[Event]:
        yield call()
        yield Usage(USED, "resp_1")
        result = await turn.call_tool(CALL)
        self.results.append(result)
        yield output(result.output)
        for event in message("an answer"):
            yield event


@pytest.fixture
def stage(home: Path, mode: str) -> Iterator[Stage]:
    with on_stage(home, mode, dynamicTools=[{"name": "look_up", "description": "", "inputSchema": {}}]) as made:
        yield made


@pytest.fixture
def caller(stage: Stage) -> Caller:
    made = Caller()
    stage.engine.script = made
    return made


def asked(client: Client) -> Json:
    """The question that a client was asked."""
    return client.wait(lambda m: m.get("method") == "item/tool/call")


def answer(client: Client, body: Json) -> None:
    client.connection.receive(msgspec.json.encode({"id": asked(client)["id"], **body}))


def tool_items(stage: Stage) -> list[Json]:
    return [item for item in items_told(stage.client) if item["type"] == "dynamicToolCall"]


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        ([TEXT], "found it"),
        ([], []),
        (
            [TEXT, IMAGE],
            [
                {"type": "input_text", "text": "found it"},
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "original"},
            ],
        ),
    ],
)
@pytest.mark.parametrize("success", [True, False])
def test_a_tool_is_run_by_the_client(
    stage: Stage, caller: Caller, content: list[Json], seen: Any, success: bool
) -> None:
    turn = stage.start()
    question = asked(stage.client)
    assert question["params"] == {
        "threadId": stage.thread,
        "turnId": turn,
        "callId": "call_1",
        "namespace": None,
        "tool": "look_up",
        "arguments": {"q": "a"},
    }
    answer(stage.client, {"result": {"contentItems": content, "success": success}})
    stage.end_of(turn)
    assert caller.results == [ToolResult(seen, success)]
    (item,) = tool_items(stage)
    status = "completed" if success else "failed"
    assert (item["status"], item["contentItems"], item["success"]) == (status, content, success)
    assert item["durationMs"] is not None
    (started,) = (one for one in items_told(stage.client, "item/started") if one["type"] == "dynamicToolCall")
    assert (started["id"], started["status"], started["contentItems"]) == ("call_1", "inProgress", None)


def test_the_call_is_shown_by_lists_as_it_was_told(stage: Stage, caller: Caller) -> None:
    turn = stage.start()
    answer(stage.client, {"result": {"contentItems": [TEXT], "success": True}})
    stage.end_of(turn)
    listed = stage.client.request("thread/items/list", {"threadId": stage.thread})["data"]
    shown = next(each["item"] for each in listed if each["item"]["type"] == "dynamicToolCall")
    unknown = {"startedAtMs", "completedAtMs", "durationMs", "success"}
    if stage.server.threads.require(stage.thread).mode == "legacy":  # its records hold the call and its output alone
        (told,) = ({name: value for name, value in item.items() if name not in unknown} for item in tool_items(stage))
        assert {name: value for name, value in shown.items() if name not in unknown} == told
    else:
        assert [shown] == tool_items(stage)
    assert caller.results


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"code": -32000, "message": "no"}}, "dynamic tool request failed"),
        ({"result": {"nonsense": 1}}, "dynamic tool response was invalid"),
        ({"result": {"contentItems": [{"type": "inputSmell"}], "success": True}}, "dynamic tool response was invalid"),
        ({"result": [1]}, "dynamic tool response was invalid"),
    ],
)
def test_an_answer_that_is_none_is_a_failure_of_the_tool(stage: Stage, caller: Caller, body: Json, said: str) -> None:
    turn = stage.start()
    answer(stage.client, body)
    assert stage.end_of(turn)["status"] == "completed"
    assert caller.results == [ToolResult(said, success=False)]
    (item,) = tool_items(stage)
    assert (item["status"], item["contentItems"]) == ("failed", [{"type": "inputText", "text": said}])


def test_all_who_watch_are_asked_and_the_first_answer_counts(stage: Stage, caller: Caller) -> None:
    stage.engine.script = stage.engine.answer
    stage.run()
    stage.engine.script = caller
    other = Client(stage.server, "other")
    other.request("thread/resume", {"threadId": stage.thread, "excludeTurns": True})
    turn = stage.start()
    asked(stage.client)
    answer(other, {"result": {"contentItems": [TEXT], "success": True}})
    answer(stage.client, {"result": {"contentItems": [], "success": False}})
    stage.end_of(turn)
    assert caller.results == [ToolResult("found it", success=True)]
    other.close()


def test_one_who_leaves_is_not_waited_for_as_long_as_another_watches(stage: Stage, caller: Caller) -> None:
    stage.engine.script = stage.engine.answer
    stage.run()
    stage.engine.script = caller
    other = Client(stage.server, "other")
    other.request("thread/resume", {"threadId": stage.thread, "excludeTurns": True})
    turn = stage.start()
    asked(other)
    asked(stage.client)
    stage.client.close()
    answer(other, {"result": {"contentItems": [TEXT], "success": True}})
    other.hear_end(turn)
    assert caller.results == [ToolResult("found it", success=True)]
    other.close()


def test_when_everybody_left_the_tool_has_failed(stage: Stage, caller: Caller) -> None:
    stage.start()
    run = stage.server.threads.require(stage.thread).run
    asked(stage.client)
    stage.client.close()
    assert run is not None
    assert run.ended.wait(60)
    assert caller.results == [ToolResult("dynamic tool request failed", success=False)]
    assert stage.kinds()[-1] == "task_complete"


def test_a_tool_that_takes_too_long_has_failed(stage: Stage, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    async def impatient(*given: Any) -> _tool_calls.Answer:
        return await _tool_calls.ask_clients(*given, seconds=0.05)

    monkeypatch.setattr(_running, "ask_clients", impatient)
    assert stage.run()["status"] == "completed"
    assert caller.results == [ToolResult("dynamic tool request failed", success=False)]


def test_an_interrupt_does_not_wait_for_a_tool(stage: Stage, caller: Caller) -> None:
    turn = stage.start()
    asked(stage.client)
    stage.client.request("turn/interrupt", {"threadId": stage.thread, "turnId": turn})
    assert stage.end_of(turn)["status"] == "interrupted"
    (item,) = tool_items(stage)
    assert (item["status"], item["contentItems"], item["success"]) == ("failed", [], False)
    answer(stage.client, {"result": {"contentItems": [TEXT], "success": True}})  # too late: nobody minds
    kinds = stage.kinds()
    assert kinds[-4:] == ["function_call_output", "token_count", "user message", "turn_aborted"]
    assert caller.results == []


def test_what_is_said_while_a_tool_runs_comes_after_its_output(stage: Stage, caller: Caller) -> None:
    turn = stage.start("first")
    asked(stage.client)
    assert stage.start("second") == turn
    stage.engine.script = stage.engine.answer
    answer(stage.client, {"result": {"contentItems": [TEXT], "success": True}})
    stage.end_of(turn)
    kinds = [kind for kind in stage.kinds() if kind in {"function_call", "function_call_output", "user message"}]
    assert kinds == ["user message", "function_call", "function_call_output", "user message"]
    assert caller.results


def test_tools_that_run_at_the_same_time_are_all_answered(stage: Stage) -> None:
    results: list[ToolResult] = []
    calls = [ToolCall(f"call_{number}", "look_up", "space", {"n": number}) for number in range(5)]

    async def script(turn: RunningTurn) -> AsyncIterator[Event]:
        for each in calls:
            yield call(each.call_id)
        results.extend(await asyncio.gather(*map(turn.call_tool, calls)))
        for each in calls:
            yield output("5", each.call_id)

    stage.engine.script = script
    turn = stage.start()

    def questions() -> list[Json]:
        return [m for m in stage.client.messages if m.get("method") == "item/tool/call"]

    stage.client.wait(lambda _: len(questions()) == len(calls))
    for question in reversed(questions()):
        content = [{"type": "inputText", "text": str(question["params"]["arguments"]["n"])}]
        body = {"id": question["id"], "result": {"contentItems": content, "success": True}}
        stage.client.connection.receive(msgspec.json.encode(body))
    stage.end_of(turn)
    assert [result.output for result in results] == [str(number) for number in range(5)]
    assert {item["id"] for item in tool_items(stage)} == {each.call_id for each in calls}


def test_two_calls_of_one_id_are_both_answered(stage: Stage) -> None:
    async def twice(turn: RunningTurn) -> AsyncIterator[Event]:
        yield call()
        again = msgspec.structs.replace(CALL, arguments={"q": "b"})
        first, second = await asyncio.gather(turn.call_tool(CALL), turn.call_tool(again))
        yield output(f"{first.output} {second.output}")

    stage.engine.script = twice
    turn = stage.start()
    asked(stage.client)
    stage.client.wait(lambda _: len(questions(stage.client)) == 2)
    for question in questions(stage.client):
        content = [{"type": "inputText", "text": question["params"]["arguments"]["q"]}]
        body = {"id": question["id"], "result": {"contentItems": content, "success": True}}
        stage.client.connection.receive(msgspec.json.encode(body))
    assert stage.end_of(turn)["status"] == "completed"
    assert [item["contentItems"][0]["text"] for item in tool_items(stage)] == ["a", "b"]


def questions(client: Client) -> list[Json]:
    return [m for m in client.messages if m.get("method") == "item/tool/call"]


def test_an_answer_that_comes_after_the_end_of_the_server_disturbs_nobody() -> None:
    waiting: list[Any] = []

    class Late:
        def ask(self, _method: str, _params: Json, answered: Any) -> int:
            waiting.append(answered)
            return 1

        def forget(self, _request: int) -> None:
            pass

    class Watched:
        id = "thread"
        watchers = (Late(),)

    async def give_up() -> None:
        await ask_clients(Watched(), "turn", CALL, seconds=0.01)  # type: ignore[arg-type]

    asyncio.run(give_up())
    for answered in waiting:
        answered(None)
    assert waiting
