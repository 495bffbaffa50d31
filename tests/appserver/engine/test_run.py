"""A turn on a Responses API: what is streamed, in which order, and what the next model call is sent."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.appserver.engine.scripted import Answer, Scripted, call, completed, created, message, says
from tests.appserver.engine.turns import FakeTurn, plain, raw, run, settings, user
from tests.codex.mock_responses import MockResponses

from threadkeep.appserver.engine import (
    Event,
    ItemDone,
    ItemStarted,
    SummaryDelta,
    SummaryPart,
    TextDelta,
    ThoughtDelta,
    ToolCall,
    ToolResult,
    Usage,
)
from threadkeep.appserver.engine._responses import ResponsesEngine
from threadkeep.records import TokenUsage

Json = dict[str, Any]

LOOKUP = {"type": "function", "name": "lookup", "description": "L", "inputSchema": {"type": "object"}}
SPACE = {"type": "namespace", "name": "ns", "description": "N", "tools": [{"name": "one", "description": "O"}]}


def kinds(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_reasoning_and_text_are_streamed_in_order_and_counted() -> None:
    with MockResponses() as mock:
        ran = run(FakeTurn(settings(mock.base_url), [user("hello [[reason]] [[usage:1234]]")]))
    assert ran.failure is None
    assert kinds(ran.events) == [
        *["ItemStarted", "SummaryPart", "SummaryDelta", "ItemDone"],
        *["ItemStarted", "TextDelta", "TextDelta", "ItemDone", "Usage"],
    ]
    started, done = ran.of(ItemStarted), ran.of(ItemDone)
    assert [plain(event.item)["id"] for event in started] == [item["id"] for item in ran.items]
    assert {event.item_id for event in ran.of(SummaryPart, SummaryDelta)} == {ran.items[0]["id"]}
    assert {event.item_id for event in ran.of(TextDelta)} == {ran.items[1]["id"]}
    assert "".join(event.delta for event in ran.of(TextDelta)) == ran.items[1]["content"][0]["text"]
    assert len(done) == 2
    assert ran.of(Usage)[0].last == TokenUsage(
        input_tokens=1214, cached_input_tokens=0, output_tokens=20, reasoning_output_tokens=5, total_tokens=1234
    )
    assert ran.of(Usage)[0].response_id is not None


def test_the_reasoning_itself_is_streamed_where_a_provider_shows_it() -> None:
    item: Json = {"type": "reasoning", "id": "rs_1", "summary": []}
    thought: Json = {"type": "response.reasoning_text.delta", "item_id": "rs_1", "content_index": 2, "delta": "hm"}
    stream: list[Json | bytes] = [
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        thought,
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        completed(),
    ]
    with Scripted(Answer(stream)) as model:
        ran = run(FakeTurn(settings(model.base_url)))
    assert ran.of(ThoughtDelta) == [ThoughtDelta("rs_1", 2, "hm")]


def test_an_item_is_yielded_as_the_bytes_that_the_provider_sent() -> None:
    item = b'{"type" : "message","id":"msg_1","role":"assistant","big":18446744073709551616,"f":1.50,"e":"\\u00e9",'
    item += b'"content":[{"type":"output_text","text":"x","new":[1e3]}]}'
    event = b'data: {"type":"response.output_item.done","item":' + item + b"}\r\n\r\n"
    with Scripted(Answer([event[:40], event[40:], b": a comment\n\n", completed()])) as model:
        ran = run(FakeTurn(settings(model.base_url)))
    assert [bytes(event.item) for event in ran.of(ItemDone)] == [item]


def test_an_item_without_an_id_gets_one_that_its_deltas_name() -> None:
    item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]}
    stream: list[Json | bytes] = [
        {"type": "response.output_item.added", "item": {**item, "content": []}},
        {"type": "response.output_text.delta", "delta": "x"},
        {"type": "response.output_item.done", "item": item},
        completed(),
    ]
    with Scripted(Answer(stream)) as model:
        ran = run(FakeTurn(settings(model.base_url)))
    (done,) = ran.items
    assert done == {"id": done["id"], **item}
    assert done["id"].startswith("msg_")
    assert ran.of(TextDelta)[0].item_id == done["id"] == plain(ran.of(ItemStarted)[0].item)["id"]


def test_events_that_are_damaged_or_unknown_are_passed_over() -> None:
    odd: list[Json | bytes] = [
        b"data: {not json\n\n",
        b"data: [DONE]\n\n",
        b'data: {"type":5}\n\n',
        {"type": "response.new"},
    ]
    odd.append(b'data: {"type":"response.output_item.done","item":5}\n\nevent: ping\n\n')
    with Scripted(Answer([created(), *odd, *message("fine"), completed()])) as model:
        ran = run(FakeTurn(settings(model.base_url)))
    assert ran.failure is None
    assert kinds(ran.events) == ["ItemStarted", "TextDelta", "ItemDone", "Usage"]


def test_a_response_without_usage_is_complete_all_the_same() -> None:
    end = {"type": "response.completed", "response": {"id": "resp_1"}}
    with Scripted(Answer([*message("fine"), end])) as model:
        ran = run(FakeTurn(settings(model.base_url)))
    assert (ran.failure, ran.of(Usage)) == (None, [])


# --- tools ----------------------------------------------------------------------------------------------------------


def tool_turn(model: Scripted, **more: Any) -> FakeTurn:
    return FakeTurn(settings(model.base_url, tools=[LOOKUP, SPACE]), **more)


def test_a_tool_is_called_and_its_output_goes_to_the_model() -> None:
    with Scripted(Answer([*call("lookup", '{"q":[1]}'), completed()]), says("done", 2)) as model:
        turn = tool_turn(model)
        ran = run(turn)
    assert [(one.tool, one.namespace, one.arguments, one.call_id) for one in turn.called] == [
        ("lookup", None, {"q": [1]}, "call_00000001")
    ]
    assert kinds(ran.events)[:3] == ["ItemDone", "Usage", "ItemDone"]
    called, output, _ = ran.items
    assert output == {
        "type": "function_call_output",
        "id": output["id"],
        "call_id": "call_00000001",
        "output": "output of lookup",
    }
    assert output["id"].startswith("fco_")
    assert model.asked[1].input[-2:] == [called, output]


def test_calls_of_one_response_run_at_the_same_time_and_answer_in_their_order() -> None:
    calls = [*call("lookup", "{}", 1), *call("one", "{}", 2, namespace="ns"), *call("lookup", "{}", 3)]
    with Scripted(Answer([*calls, completed()]), says("done", 9)) as model:
        turn = tool_turn(model)
        answer, together = turn.call_tool, asyncio.Barrier(3)

        async def call_tool(asked: ToolCall) -> ToolResult:
            await together.wait()
            return await answer(asked)

        turn.call_tool = call_tool  # type: ignore[method-assign, assignment]
        ran = run(turn)
    outputs = [item["call_id"] for item in ran.items if item["type"] == "function_call_output"]
    assert outputs == ["call_00000001", "call_00000002", "call_00000003"]
    kinds_sent = [item["type"] for item in model.asked[1].input]
    assert kinds_sent == ["message", *["function_call"] * 3, *["function_call_output"] * 3]
    assert sorted(str(one.namespace) for one in turn.called) == ["None", "None", "ns"]


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (call("nope", "{}"), "There is no tool nope here."),
        (call("one", "{}"), "There is no tool one here."),
        (call("lookup", "{}", namespace="ns"), "There is no tool ns.lookup here."),
        (call("lookup", "{bad"), "The arguments are not JSON"),
        (call("lookup", ""), "The arguments are not JSON"),
    ],
    ids=["unknown", "of a namespace", "in no namespace", "bad JSON", "empty"],
)
def test_a_call_that_cannot_be_made_is_answered_and_the_model_goes_on(item: list[Json], told: str) -> None:
    with Scripted(Answer([*item, completed()]), says("well then", 2)) as model:
        turn = tool_turn(model)
        ran = run(turn)
    assert turn.called == []
    assert ran.failure is None
    assert ran.items[1]["output"].startswith(told)
    assert model.asked[1].input[-1]["output"].startswith(told)
    assert ran.items[-1]["content"][0]["text"] == "well then"


def test_calls_of_other_kinds_are_answered_with_outputs_of_their_kind() -> None:
    custom = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c1", "name": "patch", "input": "x"}
    done = {"type": "response.output_item.done", "item": custom}
    with Scripted(Answer([done, completed()]), says("fine", 2)) as model:
        ran = run(tool_turn(model))
    assert ran.items[1]["type"] == "custom_tool_call_output"
    assert ran.items[1]["id"].startswith("ctco_")
    assert model.asked[1].input[-1] == ran.items[1]


def test_a_search_for_tools_finds_none() -> None:
    search = {"type": "tool_search_call", "id": "ts_1", "call_id": "c1", "execution": "client", "arguments": {"q": "x"}}
    done = {"type": "response.output_item.done", "item": search}
    with Scripted(Answer([done, completed()]), says("fine", 2)) as model:
        ran = run(tool_turn(model))
    assert ran.items[1] == {
        "type": "tool_search_output",
        "id": ran.items[1]["id"],
        "call_id": "c1",
        "status": "completed",
        "execution": "client",
        "tools": [],
    }
    assert model.asked[1].input[-1] == ran.items[1]


@pytest.mark.parametrize(
    "item",
    [
        {"type": "message", "id": "msg_1", "role": "assistant"},
        {"type": "local_shell_call", "id": "l_1", "call_id": "c", "status": "completed"},
        {"type": "new_kind", "id": "n_1"},
        {"type": "compaction_trigger"},
    ],
    ids=["no content", "no action", "new kind", "trigger"],
)
def test_an_item_that_no_thread_keeps_is_yielded_and_not_sent_again(item: Json) -> None:
    odd = {"type": "response.output_item.done", "item": item}
    with Scripted(Answer([odd, *call("lookup", "{}"), completed()]), says("fine", 2)) as model:
        ran = run(tool_turn(model))
    assert ran.failure is None
    assert ran.items[0].items() >= item.items()
    assert [sent["type"] for sent in model.asked[1].input] == ["message", "function_call", "function_call_output"]


@pytest.mark.parametrize(("tokens", "unit", "kept"), [(None, "chars", 12_000), (1_000, "tokens", 4_000)])
def test_a_long_output_is_kept_whole_and_shown_cut(tokens: int | None, unit: str, kept: int) -> None:
    long = "é" * 10_000 + "z" * 10_000
    with Scripted(Answer([*call("lookup", "{}"), completed()]), says("done", 2)) as model:
        given = settings(model.base_url, tools=[LOOKUP], output_tokens=tokens)
        ran = run(FakeTurn(given, tools=lambda _: long))
    assert ran.items[1]["output"] == long
    shown = model.asked[1].input[-1]["output"]
    assert f" {unit} truncated…" in shown
    assert kept <= len(shown.encode()) < kept + 50
    assert shown.startswith("é" * (kept // 4))
    assert shown.endswith("z" * (kept // 2))


def test_a_model_that_calls_tools_for_ever_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threadkeep.appserver.engine._turn.MAX_CALLS", 3)
    with Scripted(Answer([*call("lookup", "{}"), completed()])) as model:
        ran = run(tool_turn(model))
    assert ran.failure is not None
    assert len(model.asked) == 3


# --- steering and interrupting --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "kept"),
    [
        ([], []),
        ([created()], []),
        ([created(), *message("half")[:2]], []),
        ([created(), *message("whole")], ["whole"]),
    ],
    ids=["before its first word", "before its first item", "in a message", "after a message"],
)
def test_what_is_steered_cuts_the_call_at_once_and_goes_with_the_next(before: list[Json], kept: list[str]) -> None:
    with Scripted(Answer(before, hold=True), says("after it", 5)) as model:
        turn = FakeTurn(settings(model.base_url))
        streamed = sum(event["type"] != "response.created" for event in before)

        async def drive() -> list[Event]:
            engine = ResponsesEngine({})
            events: list[Event] = []
            reached = asyncio.Event()

            async def steer() -> None:
                await asyncio.to_thread(model.wait_asked, 1)
                if streamed:
                    await reached.wait()
                turn.steer("and this")

            steering = asyncio.create_task(steer())
            async for event in engine.run(turn):
                events.append(event)
                if len(events) == streamed:
                    reached.set()
            await steering
            await engine.close()
            return events

        events = asyncio.run(asyncio.wait_for(drive(), 60))
        assert model.gone.wait(60)
    texts = [item["content"][0]["text"] for item in model.asked[1].input]
    assert texts == ["hello", *kept, "and this"]
    assert len([event for event in events if isinstance(event, Usage)]) == 1


def test_what_is_steered_with_the_last_word_is_answered_too() -> None:
    with Scripted(says("one", 1), says("two", 2)) as model:
        turn = FakeTurn(settings(model.base_url))
        ran = run(turn, seen=lambda event: turn.steer("more") if event == ran_usage(event) else None)
    assert [item["content"][0]["text"] for item in ran.items[:2]] == ["one", "two"]
    assert [item["role"] for item in model.asked[1].input] == ["user", "assistant", "user"]


def ran_usage(event: Event) -> Event | None:
    """The first call's usage."""
    return event if isinstance(event, Usage) and event.response_id == "resp_1" else None


@pytest.mark.parametrize("how", ["cancelled", "closed"])
def test_an_interrupted_turn_lets_go_of_its_connection_at_once(how: str) -> None:
    with Scripted(Answer([created(), *message("partial")], hold=True)) as model:
        turn = FakeTurn(settings(model.base_url))

        async def drive() -> None:
            engine = ResponsesEngine({})
            events = engine.run(turn)
            reached = asyncio.Event()

            async def consume() -> None:
                async for event in events:
                    if isinstance(event, ItemDone):
                        reached.set()
                        if how == "closed":
                            break
                await events.aclose()

            task = asyncio.create_task(consume())
            await asyncio.wait_for(reached.wait(), 60)
            if how == "cancelled":
                task.cancel()
            await asyncio.wait({task}, timeout=60)
            assert task.done()
            assert await asyncio.to_thread(model.gone.wait, 60)
            await engine.close()

        asyncio.run(asyncio.wait_for(drive(), 60))


def test_a_complete_response_lets_go_of_its_connection_whatever_the_provider_does() -> None:
    with Scripted(Answer([created(), *message("whole"), completed()], hold=True)) as model:

        async def drive() -> None:
            engine = ResponsesEngine({})
            events = [event async for event in engine.run(FakeTurn(settings(model.base_url)))]
            assert isinstance(events[-1], Usage)
            assert await asyncio.to_thread(model.gone.wait, 60)
            await engine.close()

        asyncio.run(asyncio.wait_for(drive(), 60))


def test_an_interrupted_tool_is_cancelled() -> None:
    with Scripted(Answer([*call("lookup", "{}"), completed()])) as model:
        turn = tool_turn(model, pause=600)

        async def drive() -> None:
            engine = ResponsesEngine({})
            calling = turn.calling = asyncio.Event()

            async def consume() -> None:
                async for _ in engine.run(turn):
                    pass

            task = asyncio.create_task(consume())
            await asyncio.wait_for(calling.wait(), 60)
            task.cancel()
            await asyncio.wait({task}, timeout=60)
            assert task.cancelled()
            await engine.close()

        asyncio.run(asyncio.wait_for(drive(), 60))


def test_many_turns_run_at_the_same_time() -> None:
    with MockResponses() as mock:

        async def one(engine: ResponsesEngine, number: int) -> str:
            events = engine.run(
                FakeTurn(
                    settings(mock.base_url, of={"request_max_retries": 4}, tools=[LOOKUP]),
                    [user(f"[[say:answer {number}]]")],
                )
            )
            done = [event async for event in events if isinstance(event, ItemDone)]
            return str(plain(done[-1].item)["content"][0]["text"])

        async def drive() -> list[str]:
            engine = ResponsesEngine({})
            said = await asyncio.gather(*(one(engine, number) for number in range(20)))
            await engine.close()
            return said

        said = asyncio.run(asyncio.wait_for(drive(), 60))
    assert said == [f"answer {number}" for number in range(20)]


def test_the_history_goes_out_as_it_is_and_grows_with_the_turn() -> None:
    history = [
        raw(
            {"type": "message", "id": "msg_1", "role": "user", "content": [{"type": "input_text", "text": "größe ☕"}]}
        ),
        raw(
            {
                "type": "function_call",
                "id": "fc_1",
                "name": "x",
                "arguments": '{"n":12345678901234567890}',
                "call_id": "c",
            }
        ),
        raw(
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}}
        ),
        raw(
            {
                "type": "tool_search_call",
                "call_id": None,
                "status": "completed",
                "execution": "server",
                "arguments": {"n": 18446744073709551615, "f": 0.1},
            }
        ),
    ]
    with Scripted(says("fine")) as model:
        run(FakeTurn(settings(model.base_url), history))
    sent = json.loads(model.asked[0].raw, parse_float=str, parse_int=str)["input"]
    assert sent[0]["content"][0]["text"] == "größe ☕"
    assert sent[1]["arguments"] == '{"n":12345678901234567890}'
    assert sent[2]["output"] == "aborted"
    assert sent[4]["arguments"] == {"n": "18446744073709551615", "f": "0.1"}


def test_events_of_a_huge_stream_are_read_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threadkeep.appserver.engine._stream.MAX_EVENT_BYTES", 1000)
    with Scripted(Answer([b"data: " + b"x" * 5000, completed()])) as model:
        ran = run(FakeTurn(settings(model.base_url)))
    assert ran.failure is not None
    assert "too large" in ran.failure.message
