"""Turns that threadkeep's server ran are gone on with by the real Codex, and the other way round.

Whoever goes on sends the model exactly the context that the other one's records say, and shows the same turns. What
Codex tells a model of its surroundings, threadkeep never told: Codex states it anew.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.codex.client import AppServer
from tests.codex.compare import history_sent, neutral, our_items, our_turns, their_items, their_turns, without_rebuilt
from tests.codex.mock_responses import message_text
from tests.codex.scenarios import LEGACY, PAGINATED

from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.codex.scenarios import Lab

pytestmark = pytest.mark.codex

Json = dict[str, Any]

INSTRUCTIONS: Final = "Say little, and say it in threadkeep's tests."
TOOLS: Final[list[Json]] = [
    {
        "name": "look_up",
        "description": "Looks something up.",
        "inputSchema": {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]},
    }
]
PIXEL: Final = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)


@pytest.fixture(params=[PAGINATED, LEGACY])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextmanager
def threadkeep(lab: Lab) -> Iterator[AppServer]:
    """A server of ours on the home."""
    command = [sys.executable, "-m", "threadkeep", "app-server"]
    env = {"PYTHONPATH": ":".join(sys.path)}
    with AppServer(command, home=lab.home, cwd=lab.project, env=env, stderr=lab.root / "ours.log") as server:
        server.initialize("ours")
        yield server


def start(server: AppServer, lab: Lab, mode: str) -> str:
    params = {"cwd": str(lab.project), "historyMode": mode, "dynamicTools": TOOLS, "baseInstructions": INSTRUCTIONS}
    return str(server.request("thread/start", params)["thread"]["id"])


def call_a_tool(server: AppServer, thread: str, text: str) -> None:
    mark = server.mark()
    server.start_turn(thread, f'{text} [[tool:look_up:{{"q":"größe"}}]]')
    asked = server.wait_request("item/tool/call", since=mark)
    server.respond(asked, {"contentItems": [{"type": "inputText", "text": "found: 5"}], "success": True})
    server.wait_notification("turn/completed", since=mark)


def converse(server: AppServer, lab: Lab, thread: str) -> None:
    """Turns of every kind: thought, a tool, an image, steered, interrupted, failed, what a client put in."""
    server.run_turn(thread, "[[reason]] one ☕")
    call_a_tool(server, thread, "two")
    mark = server.mark()
    parts = [{"type": "text", "text": "three"}, {"type": "image", "url": PIXEL}]
    server.request("turn/start", {"threadId": thread, "input": parts, "clientUserMessageId": "mine"})
    server.wait_notification("turn/completed", since=mark)
    mark = server.mark()
    turn = lab.hold(server, thread, f"four of {thread}")
    more = {"threadId": thread, "expectedTurnId": turn, "input": [{"type": "text", "text": "more of four"}]}
    server.request("turn/steer", more)
    server.wait_notification("turn/completed", since=mark)
    lab.interrupt(server, thread, lab.hold(server, thread, f"five of {thread}"))
    server.run_turn(thread, "[[fail:400]] six")
    put = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "put in"}]}
    server.request("thread/inject_items", {"threadId": thread, "items": [put]})
    server.run_turn(thread, "seven")


def ask_codex(lab: Lab, thread: str, text: str) -> list[Json]:
    """What the model is sent of a thread when Codex goes on with it, less what Codex adds in that turn."""
    with lab.server() as server:
        with ThreadStore.open(lab.home) as store:
            path = lab.home / store.read(thread).location
        size = path.stat().st_size
        server.request("thread/resume", {"threadId": thread, "excludeTurns": True})
        assert server.run_turn(thread, text)["status"] == "completed"
        sent = lab.mock.wait_for_prompt(text).input
        added = {json.loads(line)["payload"].get("id") for line in path.read_bytes()[size:].splitlines()}
    return [item for item in sent[1:] if item.get("id") not in added]


def shown_by_codex(lab: Lab, thread: str, mode: str) -> None:
    """Codex lists the turns and items of a thread as threadkeep does."""
    with ThreadStore.open(lab.home) as store, lab.server() as server:
        server.request("thread/resume", {"threadId": thread, "excludeTurns": True})
        ours, theirs = our_turns(store, thread), their_turns(server, thread)
        if mode == LEGACY:
            theirs = neutral(theirs)
            assert without_rebuilt(neutral(ours), theirs) == theirs
        else:
            assert ours == theirs
            assert our_items(store, thread) == their_items(server, thread)


def context_of(lab: Lab, thread: str) -> list[Json]:
    with ThreadStore.open(lab.home) as store:
        return history_sent(store.resume(thread))


def sent_by_us(lab: Lab, prompt: str) -> list[Json]:
    """What our server sent the model of a thread, less the input of that call and what the model is told first."""
    sent = lab.mock.wait_for_prompt(prompt).input
    assert message_text(sent[-1]) == prompt
    return [item for item in sent[:-1] if message_text(item) != INSTRUCTIONS]


def tools_offered(lab: Lab, prompt: str) -> set[str]:
    return {str(tool.get("name")) for tool in lab.mock.wait_for_prompt(prompt).body["tools"]}


def texts_of(items: list[Json]) -> list[str]:
    return [message_text(item) for item in items if item["type"] == "message"]


def test_codex_goes_on_with_turns_that_threadkeep_ran(lab: Lab, mode: str) -> None:
    with threadkeep(lab) as server:
        thread = start(server, lab, mode)
        converse(server, lab, thread)
    told = context_of(lab, thread)
    shown_by_codex(lab, thread, mode)
    prompt = f"codex after {thread}"
    assert ask_codex(lab, thread, prompt) == told
    assert "put in" in texts_of(told)
    assert "look_up" in tools_offered(lab, prompt)


def test_codex_goes_on_after_a_compaction_of_threadkeep_s(lab: Lab, mode: str) -> None:
    with threadkeep(lab) as server:
        thread = start(server, lab, mode)
        server.run_turn(thread, "before")
        call_a_tool(server, thread, "with a tool")
        lab.compact(server, thread)
        server.run_turn(thread, "after")
    told = context_of(lab, thread)
    assert "mock summary" in "".join(texts_of(told))
    shown_by_codex(lab, thread, mode)
    prompt = f"codex after compaction of {thread}"
    assert ask_codex(lab, thread, prompt) == told
    assert "look_up" in tools_offered(lab, prompt)


def test_threadkeep_goes_on_with_turns_of_codex_and_codex_with_those(lab: Lab, mode: str) -> None:
    with lab.server() as codex:
        thread = start(codex, lab, mode)
        converse(codex, lab, thread)
        lab.compact(codex, thread)
        call_a_tool(codex, thread, "eight")
    before = context_of(lab, thread)
    with threadkeep(lab) as server:
        server.request("thread/resume", {"threadId": thread, "excludeTurns": True})
        server.run_turn(thread, f"nine of {thread}")
        assert sent_by_us(lab, f"nine of {thread}") == before
        call_a_tool(server, thread, "ten")
    told = context_of(lab, thread)
    shown_by_codex(lab, thread, mode)
    assert ask_codex(lab, thread, f"codex after ten of {thread}") == told
    with threadkeep(lab) as server:
        server.request("thread/resume", {"threadId": thread, "excludeTurns": True})
        before = context_of(lab, thread)
        server.run_turn(thread, f"eleven of {thread}")
        assert sent_by_us(lab, f"eleven of {thread}") == before


def test_codex_repeats_nothing_that_it_said_before_threadkeep_compacted(lab: Lab, mode: str) -> None:
    with lab.server() as codex:
        thread = start(codex, lab, mode)
        codex.run_turn(thread, "first")
    with threadkeep(lab) as server:
        server.request("thread/resume", {"threadId": thread, "excludeTurns": True})
        lab.compact(server, thread)
    told = context_of(lab, thread)
    prompt = f"codex after our compaction of {thread}"
    assert ask_codex(lab, thread, prompt) == told
    sent = texts_of(lab.mock.wait_for_prompt(prompt).input)
    assert sum(text.startswith("<environment_context>") for text in sent) == 1


def test_what_was_told_while_a_turn_ran_is_what_lists_show_later(lab: Lab) -> None:
    with threadkeep(lab) as server:
        thread = start(server, lab, PAGINATED)
        mark = server.mark()
        converse(server, lab, thread)
        told = [
            message.body["params"]["item"]
            for message in server.messages[mark:]
            if message.body.get("method") == "item/completed"
        ]
        listed = server.request("thread/items/list", {"threadId": thread, "limit": 100})["data"]
        assert [entry["item"] for entry in listed] == told
