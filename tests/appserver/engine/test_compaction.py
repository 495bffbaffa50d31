"""Compaction: when it comes, what the provider is asked, and what of the context stays."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.appserver.engine.scripted import Answer, Scripted, call, completed, created, failed, says
from tests.appserver.engine.turns import FakeTurn, Ran, assistant, developer, plain, raw, run, settings, user

from threadkeep.appserver.engine import Compacted, Compacting, Event, ItemDone, ItemStarted, Retrying, Usage
from threadkeep.appserver.engine._request import estimated_tokens
from threadkeep.records import response_item
from threadkeep.replay import kept_messages
from threadkeep.replay._spoken import is_boundary, is_contextual

if TYPE_CHECKING:
    import msgspec

Json = dict[str, Any]

TOOL = {"name": "lookup", "description": "L", "inputSchema": {"type": "object"}}
SEALED = {"type": "compaction", "id": "cmp_1", "encrypted_content": "sealed", "new": [1.0]}
ENVIRONMENT = user("<environment_context>\n  <cwd>/x</cwd>\n</environment_context>", "msg_env")


def seals(*items: Json) -> Answer:
    done = [{"type": "response.output_item.done", "output_index": 0, "item": item} for item in items or (SEALED,)]
    return Answer([created(), *done, completed(50, "resp_c")])


def history(*turns: str) -> list[msgspec.Raw]:
    """Context, then turns with an answer each."""
    said = [item for text in turns for item in (user(text, f"msg_{text[:8]}"), assistant(f"answer to {text[:8]}"))]
    return [developer("<permissions instructions>x"), ENVIRONMENT, *said]


def texts(items: list[Json]) -> list[str]:
    return [item["content"][0]["text"] if "content" in item else item["type"] for item in items]


def compacted(ran: Ran) -> tuple[Compacted, list[Json]]:
    (event,) = ran.of(Compacted)
    return event, [plain(item) for item in event.replacement]


def test_a_provider_sums_the_context_up_in_words() -> None:
    with Scripted(says("SUMMARY", 7, total=321)) as model:
        ran = run(
            FakeTurn(settings(model.base_url, tools=[TOOL], compact_prompt="Sum up."), history("one", "two")),
            compact=True,
        )
    assert ran.failure is None
    assert [type(event) for event in ran.events] == [Compacting, Usage, Compacted]
    event, kept = compacted(ran)
    assert texts(kept)[:-1] == [
        *["one", "<permissions instructions>x", texts([plain(ENVIRONMENT)])[0], "two"],
    ]
    assert "SUMMARY" in event.summary
    assert texts(kept)[-1] == event.summary
    assert event.response_id == "resp_7"
    assert 0 < event.tokens < 300
    body = model.asked[0].body
    assert texts(body["input"])[-1] == "Sum up."
    assert len(body["input"]) == 7
    assert (body["tools"], body["parallel_tool_calls"]) == ([], False)


def test_the_words_that_ask_are_the_engines_own_where_nobody_says() -> None:
    with Scripted(says("S")) as model:
        run(FakeTurn(settings(model.base_url), history("one")), compact=True)
    assert "summary" in texts(model.asked[0].input)[-1]


def test_a_summary_counts_as_nobodys_turn_and_is_not_kept_for_ever() -> None:
    with Scripted(says("first summary"), says("second summary")) as model:
        _, kept = compacted(run(FakeTurn(settings(model.base_url), history("one")), compact=True))
        items = [raw(item) for item in kept]
        item = response_item(items[-1])
        assert not isinstance(item, str)
        assert is_contextual(item)
        assert not is_boundary(item)
        _, again = compacted(run(FakeTurn(settings(model.base_url), [*items, assistant("more")]), compact=True))
    assert "first summary" not in json.dumps(again)
    assert [item["id"] for item in again if "id" in item][:2] == ["msg_env", "msg_one"]


def test_openai_seals_the_context_itself() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    looked = raw({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "look"}, image]})
    with Scripted(seals()) as model:
        given = settings(model.base_url, of={"name": "OpenAI"}, tools=[TOOL])
        ran = run(FakeTurn(given, [*history("one"), looked, assistant("seen")]), compact=True)
    event, kept = compacted(ran)
    assert [type(one) for one in ran.events] == [Compacting, Usage, Compacted]
    assert event.summary == ""
    assert kept[-1] == SEALED
    assert kept[-2]["content"][1] == image
    assert texts(kept)[0] == "one"
    body = model.asked[0].body
    assert body["input"][-1] == {"type": "compaction_trigger"}
    assert [tool["name"] for tool in body["tools"]] == ["lookup"]


@pytest.mark.parametrize("items", [[], [SEALED, SEALED]], ids=["none", "two"])
def test_openai_has_to_give_one_compaction(items: list[Json]) -> None:
    answer = seals(*items) if items else Answer([created(), completed(10)])
    with Scripted(answer) as model:
        ran = run(FakeTurn(settings(model.base_url, of={"name": "OpenAI"}), history("one")), compact=True)
    assert ran.failure is not None
    assert ran.failure.info == "other"
    assert ran.of(Compacted) == []


@pytest.mark.parametrize(("name", "tokens"), [("mock", 20_000), ("OpenAI", 64_000)])
def test_what_people_said_is_kept_as_far_as_it_fits(name: str, tokens: int) -> None:
    long = [f"{number}" + "x" * (tokens * 2) for number in range(4)]
    with Scripted(seals() if name == "OpenAI" else says("S")) as model:
        ran = run(FakeTurn(settings(model.base_url, of={"name": name}), history(*long)), compact=True)
    _, kept = compacted(ran)
    said = [item for item in kept if item.get("role") == "user" and "xxx" in json.dumps(item)]
    size = sum(len(part["text"]) for item in said for part in item["content"])
    assert [item["content"][0]["text"][0] for item in said] == ["2", "3"]
    assert tokens * 4 <= size < tokens * 4 + 100
    assert " tokens truncated…" in json.dumps(said[0], ensure_ascii=False)


def test_tools_and_instructions_that_a_history_states_stay_first() -> None:
    tools = raw({"type": "additional_tools", "id": "at_1", "role": "developer", "tools": [{"type": "function"}]})
    older = raw({"type": "additional_tools", "id": "at_0", "role": "developer", "tools": []})
    stated = [older, tools, developer("Be brief."), *history("one", "two")]
    with Scripted(says("S")) as model:
        given = settings(model.base_url, instructions="Be brief.")
        _, kept = compacted(run(FakeTurn(given, stated), compact=True))
    assert kept[0] == plain(tools)
    assert texts(kept)[1:4] == ["Be brief.", "one", "<permissions instructions>x"]
    assert "at_0" not in json.dumps(kept)


def test_messages_that_are_kept_stay_as_they_are() -> None:
    kept = kept_messages(history("one", "two"), 1_000)
    assert [plain(item) for item in kept] == [plain(user("one", "msg_one")), plain(user("two", "msg_two"))]


# --- by itself -------------------------------------------------------------------------------------------------------


def test_a_full_context_is_compacted_before_the_turn_and_its_input_stays() -> None:
    with Scripted(says("SUMMARY", 7), says("two", 8)) as model:
        given = settings(model.base_url, compact_limit=1_000, compact_prompt="Sum up.", tools=[TOOL])
        ran = run(FakeTurn(given, [*history("one"), user("now", "msg_now")], tokens_used=1_000))
    assert ran.failure is None
    assert [type(event) for event in ran.events[:3]] == [Compacting, Usage, Compacted]
    event, kept = compacted(ran)
    assert texts(model.asked[0].input)[-2:] == ["answer to one", "Sum up."]
    assert texts(kept)[-3:] == ["one", event.summary, "now"]
    assert texts(model.asked[1].input) == texts(kept)
    assert [item["content"][0]["text"] for item in ran.items] == ["two"]


def test_a_context_below_its_limit_is_left_alone() -> None:
    with Scripted(says("two")) as model:
        given = settings(model.base_url, compact_limit=1_000)
        ran = run(FakeTurn(given, [*history("one"), user("now")], tokens_used=999))
    assert ran.of(Compacting) == []


def test_a_thread_that_has_nothing_but_its_input_is_not_compacted() -> None:
    with Scripted(says("two")) as model:
        ran = run(FakeTurn(settings(model.base_url, compact_limit=10), tokens_used=1_000))
    assert ran.of(Compacting) == []
    assert ran.failure is None


def test_a_context_that_fills_up_within_a_turn_is_compacted_between_calls() -> None:
    with Scripted(Answer([*call("lookup", "{}"), completed(990)]), says("SUMMARY", 7), says("end", 8)) as model:
        given = settings(model.base_url, compact_limit=1_000, tools=[TOOL])
        ran = run(FakeTurn(given, [*history("one"), user("now", "msg_now")], tools=lambda _: "y" * 400))
    assert ran.failure is None
    assert [type(event) for event in ran.events if not isinstance(event, ItemStarted)][:6] == [
        *[ItemDone, Usage, ItemDone, Compacting, Usage, Compacted],
    ]
    assert model.asked[1].input[-2]["type"] == "function_call_output"
    event, kept = compacted(ran)
    assert texts(kept)[-2:] == ["now", event.summary]
    assert model.asked[2].input == [*model.asked[2].input[: -len(kept)], *_sent(kept)]


def _sent(items: list[Json]) -> list[Json]:
    return [{k: v for k, v in item.items() if k != "internal_chat_message_metadata_passthrough"} for item in items]


def test_an_image_does_not_fill_a_context_by_its_size() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * 400_000}
    assert estimated_tokens([raw({"type": "message", "role": "user", "content": [image]})]) < 2_000


def test_a_full_context_at_the_end_of_a_turn_waits_for_the_next() -> None:
    with Scripted(says("big", total=5_000)) as model:
        ran = run(FakeTurn(settings(model.base_url, compact_limit=1_000)))
    assert ran.of(Compacting) == []
    assert len(model.asked) == 1


# --- where it fails --------------------------------------------------------------------------------------------------


def test_a_context_that_is_too_large_even_to_be_summed_up_loses_its_oldest_items() -> None:
    exceeded = Answer([created(), failed("context_length_exceeded")])
    called = raw({"type": "function_call", "id": "fc_1", "name": "x", "arguments": "{}", "call_id": "c"})
    output = raw({"type": "function_call_output", "call_id": "c", "output": "o"})
    with Scripted(exceeded, exceeded, says("SUMMARY")) as model:
        ran = run(FakeTurn(settings(model.base_url), [developer("d"), called, output, *history("one")]), compact=True)
    assert ran.failure is None
    assert [len(asked.input) for asked in model.asked] == [8, 7, 5]
    assert "one" in texts(compacted(ran)[1])


def test_a_context_that_never_fits_fails_as_such() -> None:
    with Scripted(Answer([created(), failed("context_length_exceeded")])) as model:
        ran = run(FakeTurn(settings(model.base_url), history("one", "two")), compact=True)
    assert ran.failure is not None
    assert ran.failure.info == "contextWindowExceeded"
    assert [len(asked.input) for asked in model.asked] == [7, 6, 5, 4, 3, 2]


def test_a_compaction_that_breaks_is_tried_again_and_says_so() -> None:
    with Scripted(Answer([created()]), says("SUMMARY")) as model:
        ran = run(FakeTurn(settings(model.base_url, of={"stream_max_retries": 1}), history("one")), compact=True)
    assert [type(event) for event in ran.events] == [Compacting, Retrying, Usage, Compacted]


def test_a_turn_whose_compaction_fails_fails() -> None:
    with Scripted(Answer(status=400, body="no")) as model:
        given = settings(model.base_url, compact_limit=1_000)
        ran = run(FakeTurn(given, [*history("one"), user("now")], tokens_used=2_000))
    assert ran.failure is not None
    assert ran.failure.message == "no"
    assert len(model.asked) == 1


def test_an_interrupted_compaction_leaves_nothing() -> None:
    seen: list[Event] = []
    with Scripted(Answer([created()], hold=True)) as model:
        turn = FakeTurn(settings(model.base_url, of={"stream_idle_timeout_ms": 1_000}), history("one"))
        ran = run(turn, compact=True, seen=seen.append)
        assert model.gone.wait(60)
    assert [type(event) for event in seen] == [Compacting]
    assert ran.failure is not None
