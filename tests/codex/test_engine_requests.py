"""The built-in engine asks a provider what the real Codex asks it, and tells its failures as the real one does.

The same thread and the same next message: once the binary sends them to the mock, once the engine does. What stands
before that message has to be equal, member by member.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.appserver.engine.scripted import Scripted, says
from tests.appserver.engine.test_failures import FAILURES
from tests.appserver.engine.turns import FakeTurn, run, settings, user
from tests.codex.client import AppServer, write_config
from tests.codex.scenarios import LEGACY, PAGINATED

from threadkeep.appserver.engine import Compacted, EngineFailure, Retrying, as_loaded
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.codex.client import JsonObject
    from tests.codex.scenarios import Lab

pytestmark = pytest.mark.codex

Json = dict[str, Any]
OUTPUT_TOKENS: Final = 12_000
PIXEL: Final = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJ"
    "RU5ErkJggg=="
)
TOOLS: Final[list[Json]] = [
    {"type": "function", "name": "lookup", "description": "Looks up", "inputSchema": {"type": "object"}},
    {
        "type": "namespace",
        "name": "ns",
        "description": "A space",
        "tools": [{"type": "function", "name": "one", "description": "One", "inputSchema": {"type": "object"}}],
    },
]
LONG: Final = "é" * 20_000 + "z" * 40_000


@dataclass
class Told:
    """What a turn said of its failure."""

    retries: list[tuple[str, Any, str]]
    info: Any
    message: str


# --- the history that is sent ----------------------------------------------------------------------------------------


def ours(
    lab: Lab, thread: str, provider_name: str, tools: list[Json], *, instructions: str | None = None
) -> list[Json]:
    """What the engine sends of a thread before the next message."""
    with ThreadStore.open(lab.home) as store:
        context = store.resume(thread).context
    history = [*as_loaded(context.items, OUTPUT_TOKENS), user("the next message", "msg_next")]
    given = settings(
        lab.mock.base_url,
        of={"name": provider_name},
        tools=tools,
        output_tokens=OUTPUT_TOKENS,
        instructions=instructions,
    )
    ran = run(FakeTurn(given, history))
    assert ran.failure is None
    sent = next(call for call in reversed(lab.mock.model_calls) if "the next message" in call.prompt)
    return sent.input[:-1]


def theirs(lab: Lab, server: AppServer, thread: str, text: str, *, first: int = 1) -> tuple[list[Json], list[Json]]:
    """(what Codex sends of a thread before the next message, the tools that it offers)."""
    path = next((lab.home / "sessions").rglob(f"*{thread}.jsonl"))
    before = path.stat().st_size
    server.run_turn(thread, text)
    sent = lab.mock.wait_for_prompt(text)
    written = map(json.loads, path.read_bytes()[before:].splitlines())
    added = {record["payload"].get("id") for record in written if record["type"] == "response_item"}
    return [item for item in sent.input[first:] if item.get("id") not in added], sent.body.get("tools") or []


def plain_turns(lab: Lab, server: AppServer, thread: str) -> None:
    server.run_turn(thread, 'größe 你好 ☕ \u2028 \\ " [[reason]]')
    server.run_turn(thread, "run it [[call:echo hi]]")
    server.run_turn(thread, "patch it [[custom:apply_patch:nonsense]]")
    server.run_turn(thread, "lost [[tool:nope:{}]]")


def tool_turns(lab: Lab, server: AppServer, thread: str) -> None:
    for name, text in (("lookup", "short"), ("one", LONG)):
        mark = server.mark()
        server.start_turn(thread, f"use [[tool:{name}:{json.dumps({'n': 12345678901234567890})}]]")
        request = server.wait_request("item/tool/call", since=mark)
        server.respond(request, {"contentItems": [{"type": "inputText", "text": text}], "success": True})
        server.wait_notification("turn/completed", since=mark)


def interrupted(lab: Lab, server: AppServer, thread: str) -> None:
    turn = lab.hold(server, thread, "held for a while")
    lab.interrupt(server, thread, turn)


def looked_at(lab: Lab, server: AppServer, thread: str) -> None:
    mark = server.mark()
    given = [{"type": "text", "text": "look"}, {"type": "image", "url": PIXEL}]
    server.request("turn/start", {"threadId": thread, "input": given})
    server.wait_notification("turn/completed", since=mark)


def compacted(lab: Lab, server: AppServer, thread: str) -> None:
    server.run_turn(thread, "before")
    lab.compact(server, thread)
    server.run_turn(thread, "after")


HISTORIES: Final = (plain_turns, tool_turns, interrupted, looked_at, compacted)


@pytest.fixture(scope="module", params=["mock", "OpenAI"])
def named(request: pytest.FixtureRequest, new_lab: Callable[[], Lab]) -> Iterator[tuple[str, Lab, AppServer]]:
    lab = new_lab()
    lab.configure(provider_name=request.param)
    with lab.server() as server:
        yield request.param, lab, server


@pytest.mark.parametrize("mode", [PAGINATED, LEGACY])
@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.__name__)
def test_the_history_goes_out_as_codex_sends_it(
    named: tuple[str, Lab, AppServer], history: Callable[[Lab, AppServer, str], None], mode: str
) -> None:
    name, lab, server = named
    thread = lab.start(server, mode, dynamicTools=TOOLS)
    history(lab, server, thread)
    mine = ours(lab, thread, name, TOOLS)
    expected, tools = theirs(lab, server, thread, f"go on, {name} {mode} {history.__name__}")
    assert mine == expected
    offered = next(call for call in reversed(lab.mock.model_calls) if "the next message" in call.prompt).body["tools"]
    assert [tool for tool in tools if tool.get("name") in {"lookup", "ns"}] == offered


NOTED: Final[Json] = {
    "turn_id": "t1",
    "create_time": 1795344737.5093453,
    "content_item_metadata": [{"provenance": {"type": "user"}}],
    "new": {"big": 18446744073709551615},
}
"""What is noted of where an item comes from."""

_TWO: Final[list[Json]] = [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]
EVERY_KIND: Final[list[Json]] = [
    *(
        {
            "type": "message",
            "id": f"msg_k{number}",
            "role": "user",
            "content": _TWO,
            "internal_chat_message_metadata_passthrough": {"content_item_kinds": kinds},
        }
        for number, kinds in enumerate((["x"], ["x", "y", "z"], [], ["x", 1], None, "x"))
    ),
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "no id, nothing noted"}]},
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "größe", "annotations": [], "logprobs": None}],
        "phase": "final_answer",
        "status": "completed",
        "encrypted_content": "sealed",
        "internal_chat_message_metadata_passthrough": NOTED,
    },
    {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "s"}],
        "content": [{"type": "reasoning_text", "text": "r"}],
        "internal_chat_message_metadata_passthrough": {**NOTED, "content_item_kinds": ["x"]},
    },
    {"type": "reasoning", "id": "rs_2", "summary": [], "content": [{"type": "text", "text": "r"}]},
    {
        "type": "function_call",
        "id": "fc_1",
        "name": "x",
        "namespace": "n",
        "arguments": '{"n":1e400}',
        "call_id": "c1",
        "encrypted_content": "sealed",
        "internal_chat_message_metadata_passthrough": NOTED,
    },
    {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_image", "image_url": PIXEL}]},
    {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c2", "name": "p", "input": "\u2028", "status": "completed"},
    {
        "type": "local_shell_call",
        "id": "lsh_1",
        "call_id": "c3",
        "status": "completed",
        "action": {"type": "exec", "command": ["ls"], "timeout_ms": 1},
    },
    {"type": "function_call_output", "call_id": "lost", "output": "of no call"},
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
    {"type": "web_search_call", "id": "ws_2", "action": {"type": "new_kind", "x": 1}, "encrypted_content": "sealed"},
    {
        "type": "tool_search_call",
        "id": "ts_1",
        "call_id": "c4",
        "execution": "client",
        "arguments": {"big": 18446744073709551615, "float": 0.1},
    },
    {"type": "compaction", "id": "cmp_1", "encrypted_content": "sealed"},
    {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AAAA"},
]


@pytest.mark.parametrize("name", ["mock", "OpenAI"])
def test_every_kind_of_item_goes_out_as_codex_sends_it(new_lab: Callable[[], Lab], name: str) -> None:
    lab = new_lab()
    lab.configure(provider_name=name)
    with (
        ThreadStore.open(lab.home) as store,
        store.create(cwd=str(lab.project), mode=PAGINATED, model_provider="mock") as writer,
        writer.turn("one", model="gpt-5.5", cwd=str(lab.project)) as turn,
    ):
        thread = writer.thread_id
        for item in EVERY_KIND:
            turn.add(item)
        turn.say("done")
    mine = ours(lab, thread, name, [])
    with lab.server() as server:
        server.request("thread/resume", {"threadId": thread, "excludeTurns": True})
        expected, _ = theirs(lab, server, thread, f"go on, {name} with every kind")
    assert mine == expected


NEWER: Final = "gpt-6.1-sol"
"""A model that Codex states tools and instructions to as items of the history."""


@pytest.mark.parametrize("compacts", [False, True], ids=["as it is", "compacted"])
def test_tools_and_instructions_that_stand_in_a_history_stay_in_their_place(
    new_lab: Callable[[], Lab], *, compacts: bool
) -> None:
    lab = new_lab()
    lab.configure(model=NEWER)
    with lab.server() as server:
        thread = lab.start(server, PAGINATED)
        server.run_turn(thread, "one")
        server.run_turn(thread, "two")
    with ThreadStore.open(lab.home) as store:
        instructions = store.base_instructions(thread)
    if compacts:
        _compact(lab, thread, "mock", model=NEWER)
    mine = ours(lab, thread, "mock", [], instructions=instructions)
    with lab.server() as server:
        server.request("thread/resume", {"threadId": thread, "excludeTurns": True})
        expected, _ = theirs(lab, server, thread, f"go on, newer {compacts}", first=0)
    assert mine == expected
    assert [item["type"] for item in mine[:2]] == ["additional_tools", "message"]
    assert mine[1]["content"][0]["text"] == instructions


# --- failures --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scripted(new_lab: Callable[[], Lab]) -> Iterator[tuple[Scripted, Lab, AppServer]]:
    lab = new_lab()
    with Scripted(says("fine")) as model:
        _aim(lab, model)
        with lab.server() as server:
            yield model, lab, server


def _aim(lab: Lab, model: Scripted) -> None:
    """Point a home at a scripted model, with one retry of each kind."""
    write_config(lab.home, model.base_url)
    config: Path = lab.home / "config.toml"
    text = config.read_text().replace("request_max_retries = 0", "request_max_retries = 1")
    config.write_text(text.replace("stream_max_retries = 0", "stream_max_retries = 1"))


def they_say(model: Scripted, lab: Lab, server: AppServer) -> Told:
    thread = lab.start(server, PAGINATED)
    mark = server.mark()
    turn = server.run_turn(thread, "fail")
    errors: list[JsonObject] = [
        message.body["params"]
        for message in server.messages[mark:]
        if not message.outgoing and message.body.get("method") == "error"
    ]
    retries = [error["error"] for error in errors if error["willRetry"]]
    told = [(error["message"], error["codexErrorInfo"], error["additionalDetails"]) for error in retries]
    return Told(told, turn["error"]["codexErrorInfo"], turn["error"]["message"])


def we_say(model: Scripted) -> Told:
    ran = run(FakeTurn(settings(model.base_url, of={"request_max_retries": 1, "stream_max_retries": 1})))
    assert isinstance(ran.failure, EngineFailure)
    told = [(event.message, event.info, event.details) for event in ran.of(Retrying)]
    return Told(told, ran.failure.info, ran.failure.message)


OWN_WORDS: Final = frozenset(
    {
        "400, context",
        "429, usage",
        "429, quota",
        "500",
        "503, overload",
        "cut",
        "error event",
        "failed: context",
        "failed: quota",
        "failed: usage",
        "failed: overload",
    }
)
"""Failures that Codex tells in sentences of its own, or in fewer words than there are."""


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_told_as_codex_tells_it(name: str, scripted: tuple[Scripted, Lab, AppServer]) -> None:
    model, lab, server = scripted
    model.answers = [FAILURES[name][0]]
    asked = len(model.asked)
    expected = they_say(model, lab, server)
    between = len(model.asked)
    mine = we_say(model)
    assert mine.info == expected.info
    assert [told[:2] for told in mine.retries] == [told[:2] for told in expected.retries]
    assert len(model.asked) - between == between - asked
    if name not in OWN_WORDS:
        assert mine == expected


# --- compaction ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [PAGINATED, LEGACY])
@pytest.mark.parametrize("name", ["mock", "OpenAI"])
def test_codex_goes_on_from_what_the_engine_compacted(new_lab: Callable[[], Lab], name: str, mode: str) -> None:
    lab = new_lab()
    lab.configure(provider_name=name)
    with lab.server() as server:
        thread = lab.start(server, mode)
        plain_turns(lab, server, thread)
        looked_at(lab, server, thread)
        server.run_turn(thread, "long " + "x" * 100_000)
    event, after = _compact(lab, thread, name)
    mine = ours(lab, thread, name, [])
    assert after == [bytes(item) for item in event.replacement]
    with lab.server() as server:
        server.request("thread/resume", {"threadId": thread, "excludeTurns": True})
        expected, _ = theirs(lab, server, thread, f"go on, {name} {mode}, compacted")
    assert mine == expected


def _compact(lab: Lab, thread: str, name: str, model: str = "gpt-5.5") -> tuple[Compacted, list[bytes]]:
    """Compact a thread by the engine and record it; (what came of it, what the thread goes on from)."""
    with ThreadStore.open(lab.home) as store:
        history = as_loaded(store.resume(thread).context.items, OUTPUT_TOKENS)
        given = settings(lab.mock.base_url, of={"name": name}, compact_prompt="Write the summary.")
        ran = run(FakeTurn(given, history), compact=True)
        assert ran.failure is None
        (event,) = ran.of(Compacted)
        with store.writer(thread) as writer, writer.turn("[compact]", model=model, cwd=str(lab.project)) as turn:
            turn.compact(event.summary, [json.loads(bytes(item)) for item in event.replacement], window_number=1)
        after = store.resume(thread).context.items
        return event, [bytes(item.payload) for item in after if item.checkpointed]
