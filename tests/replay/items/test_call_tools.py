"""Calls of tools other than the shell in legacy turns, as every version since 0.20 stored them."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
import pytest
from tests.replay.items.call_records import AGENT, HOME, THREAD, Json, Sample, answer, builder, call, items, raw

from threadkeep.replay.items import plain
from threadkeep.replay.items._call_tools import dynamic_tools, has_hosted_images


def mcp_item(**members: Any) -> Json:
    text = [{"type": "text", "text": "found"}]
    return {
        "type": "mcpToolCall", "id": "c", "server": "notes", "tool": "find", "status": "completed",
        "arguments": {"word": "sea"}, "appContext": None, "mcpAppUi": None, "pluginId": None, "readOnlyHint": None,
        "result": {"content": text, "structuredContent": None, "_meta": None}, "error": None, "durationMs": None,
        "startedAtMs": None, "completedAtMs": None, **members,
    }  # fmt: skip


SEA: Final = {"word": "sea"}
TEXT: Final = '[{"type":"text","text":"found"}]'
WALL: Final = "Wall time: 0.0045 seconds\nOutput:"
FAILED: Final[Json] = {"status": "failed", "result": None, "error": {"message": "tool call error: gone"}}
STRUCTURED: Final[Json] = {
    "result": {"content": [{"type": "text", "text": '{"k":1}'}], "structuredContent": {"k": 1}, "_meta": None}
}
MCP_CALLS: Final[dict[str, tuple[Sample, Any, Json]]] = {
    "0.20": (call("notes__find", SEA), TEXT, {}),
    "0.60": (call("mcp__notes__find", SEA), TEXT, {}),
    "0.60, a tool with lines in its name": (call("mcp__notes__find__all", SEA), TEXT, {"tool": "find__all"}),
    "0.60, structured": (call("mcp__notes__find", SEA), '{"k":1}', STRUCTURED),
    "0.60, failed": (call("mcp__notes__find", SEA), "tool call error: gone", FAILED),
    "0.100, failed": (call("mcp__notes__find", SEA), 'err: "gone"', FAILED | {"error": {"message": 'err: "gone"'}}),
    "0.125": (call("find", SEA, namespace="mcp__notes__"), f"{WALL}\n{TEXT}", {"durationMs": 4}),
    "0.125, structured": (call("find", SEA, namespace="mcp__notes__"), f'{WALL}\n{{"k":1}}',
        STRUCTURED | {"durationMs": 4}),
    "0.125, failed": (call("find", SEA, namespace="mcp__notes__"),
        f'{WALL}\n[{{"type":"text","text":"tool call error: gone"}}]', FAILED | {"durationMs": 4}),
    "0.149": (call("find", SEA, namespace="mcp__notes"), f"{WALL}\n{TEXT}", {"durationMs": 4}),
    "0.169": (call("find", SEA, namespace="mcp__notes"),
        [{"type": "input_text", "text": WALL}, {"type": "input_text", "text": "found"}], {"durationMs": 4}),
    "0.169, failed": (call("find", SEA, namespace="mcp__notes"),
        [{"type": "input_text", "text": WALL}, {"type": "input_text", "text": "tool call error: gone"}],
        FAILED | {"durationMs": 4}),
    "0.169, images": (call("find", SEA, namespace="mcp__notes"),
        [{"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
         {"type": "input_image", "image_url": "https://example.org/1.png"}],
        {"result": {"content": [{"type": "image", "data": "AAAA", "mimeType": "image/png"},
                                {"type": "input_image", "image_url": "https://example.org/1.png"}],
                    "structuredContent": None, "_meta": None}}),
    "text alone": (call("mcp__notes__find", SEA), "found", {}),
    "an object over lines": (call("mcp__notes__find", SEA), '{"k":\n1}',
        {"result": {"content": [{"type": "text", "text": '{"k":\n1}'}], "structuredContent": {"k": 1}, "_meta": None}}),
    "arguments that are no JSON": (call("mcp__notes__find", "{sea"), TEXT, {"arguments": "{sea"}),
    "no arguments": (call("mcp__notes__find", ""), TEXT, {"arguments": None}),
    "resources of all": (call("list_mcp_resources", {}), '{"resources":[]}',
        {"server": "codex", "tool": "list_mcp_resources", "arguments": {}, "result": {
            "content": [{"type": "text", "text": '{"resources":[]}'}], "structuredContent": None, "_meta": None}}),
    "a resource": (call("read_mcp_resource", {"server": "notes", "uri": "x"}), "resources/read failed: gone",
        FAILED | {"tool": "read_mcp_resource", "arguments": {"server": "notes", "uri": "x"},
                  "error": {"message": "resources/read failed: gone"}}),
}  # fmt: skip


@pytest.mark.parametrize("name", MCP_CALLS)
def test_a_call_of_an_mcp_tool_is_shown(name: str) -> None:
    asked, output, members = MCP_CALLS[name]
    turn = builder()
    turn.response_item(0, asked[0], raw(asked[1]))
    turn.response_item(9, "function_call_output", raw(answer(output)[1]))
    [(offset, item)] = turn.finish(shown_ids=(), running=False)
    assert offset == 9
    assert b"\n" not in msgspec.json.encode(item)  # it goes out on one line
    assert json.dumps(plain(item)) == json.dumps(mcp_item(**members))


def test_a_call_of_a_tool_of_the_client_is_shown() -> None:
    tools = dynamic_tools(
        raw([{"name": "look", "description": "", "inputSchema": {}}, {"name": "n", "tools": [{"name": "look"}]}])
    )
    assert tools == {(None, "look"), ("n", "look")}
    parts = [
        {"type": "input_text", "text": "a"},
        {"type": "input_image", "image_url": "u"},
        {"type": "input_audio", "audio_url": "v"},
        {"type": "encrypted_content", "encrypted_content": "e"},
    ]
    item = {
        "type": "dynamicToolCall", "id": "c", "namespace": "n", "tool": "look", "arguments": SEA, "status": "completed",
        "contentItems": [{"type": "inputText", "text": "a"}, {"type": "inputImage", "imageUrl": "u"},
                         {"type": "inputAudio", "audioUrl": "v"}],
        "success": None, "durationMs": None, "startedAtMs": None, "completedAtMs": None,
    }  # fmt: skip
    shown = items(call("look", SEA, namespace="n"), answer(parts), dynamic_tools=tools)
    assert json.dumps(shown) == json.dumps([item])
    [plain_text] = items(call("look", SEA), answer("a"), dynamic_tools=tools)
    assert (plain_text["namespace"], plain_text["contentItems"]) == (None, [{"type": "inputText", "text": "a"}])
    assert items(call("look", SEA), answer("a")) == []
    assert dynamic_tools(raw(None)) == dynamic_tools(raw({"name": "look"})) == frozenset()


@pytest.mark.parametrize(
    "output", ["attached local image path", [{"type": "input_image", "image_url": "data:image/png;base64,AA"}]]
)
def test_an_image_that_was_looked_at_is_shown(output: Any) -> None:
    [item] = items(call("view_image", {"path": "a/../pix.png"}), answer(output))
    assert item == {
        "type": "imageView",
        "id": "c",
        "path": f"{HOME}/pix.png",
        "startedAtMs": None,
        "completedAtMs": None,
    }


SEARCHES: Final[list[tuple[Json | None, str]]] = [
    ({"type": "search", "query": "a", "queries": ["b", "c"]}, "a"),
    ({"type": "search", "queries": ["only"]}, "only"),
    ({"type": "search", "query": "", "queries": ["x", "y"]}, "x ..."),
    ({"type": "search", "queries": ["", "z"]}, ""),
    ({"type": "search", "queries": []}, ""),
    ({"type": "search"}, ""),
    ({"type": "open_page", "url": "https://x"}, "https://x"),
    ({"type": "open_page"}, ""),
    ({"type": "find_in_page", "url": "u", "pattern": "p"}, "'p' in u"),
    ({"type": "find_in_page", "url": "u"}, "u"),
    ({"type": "find_in_page", "pattern": "p"}, "'p'"),
    ({"type": "find_in_page"}, ""),
    ({"type": "new"}, ""),
    (None, ""),
]


@pytest.mark.parametrize(("action", "query"), SEARCHES)
def test_a_search_is_worded_as_codex_words_it(action: Json | None, query: str) -> None:
    [item] = items(("web_search_call", {"id": "w", "status": "completed", "action": action}))
    kinds = {"search": "search", "open_page": "openPage", "find_in_page": "findInPage"}
    assert (item["id"], item["query"], item["results"]) == ("w", query, None)
    assert item["action"]["type"] == kinds.get((action or {}).get("type", ""), "other")


def test_a_search_without_an_id_is_the_one_that_an_event_shows() -> None:
    def event(call_id: str, query: str) -> Sample:
        return "web_search_end", {"call_id": call_id, "query": query, "action": {"type": "search", "query": query}}

    def search(query: str) -> Sample:
        return "web_search_call", {"status": "completed", "action": {"type": "search", "query": query}}

    shown = items(event("1", "sea"), search("sea"), search("sea"), search("sun"), event("2", "sun"))
    assert [(item["id"], item["query"]) for item in shown] == [("call-200", "sea"), ("call-300", "sun")]


def test_an_image_of_the_model_provider_is_shown_in_old_files() -> None:
    made = ("image_generation_call", {"id": "i", "status": "completed", "result": "AA", "revised_prompt": "r"})
    [item] = items(made, hosted_images=has_hosted_images("0.125.0"))
    assert (item["type"], item["id"], item["result"], item["revisedPrompt"]) == ("imageGeneration", "i", "AA", "r")
    assert items(made, hosted_images=has_hosted_images("0.149.0")) == []
    assert [has_hosted_images(version) for version in ("0.148.9-alpha", "1.0.0", "0.x", "", None)] == [
        True, False, False, False, False,
    ]  # fmt: skip


AGENT_CALLS: Final[dict[str, tuple[Json, Json, str, str | None, str | None]]] = {
    "spawn_agent": ({"message": "go"}, {"agent_id": AGENT, "nickname": "n"}, "spawnAgent", "go", "pendingInit"),
    "wait": (
        {"ids": [AGENT]},
        {"status": {AGENT: {"completed": "done"}}, "timed_out": False},
        "wait",
        None,
        "completed",
    ),
    "wait_agent": ({"targets": [AGENT]}, {"status": {AGENT: "not_found"}}, "wait", None, "notFound"),
    "send_input": ({"id": AGENT, "message": "more"}, {"submission_id": "s"}, "sendInput", "more", None),
    "close_agent": ({"target": AGENT}, {"previous_status": "running"}, "closeAgent", None, "running"),
    "resume_agent": ({"id": AGENT}, {"status": {"errored": "bad"}}, "resumeAgent", None, "errored"),
}


@pytest.mark.parametrize("name", AGENT_CALLS)
def test_a_call_about_agents_is_shown(name: str) -> None:
    arguments, output, tool, prompt, state = AGENT_CALLS[name]
    [item] = items(call(name, arguments, namespace="multi_agent_v1"), answer(json.dumps(output)))
    message = {"completed": "done", "errored": "bad"}.get(state or "")
    assert item == {
        "type": "collabAgentToolCall", "id": "c", "tool": tool, "senderThreadId": THREAD,
        "status": "failed" if state in ("notFound", "errored") else "completed",
        "receiverThreadIds": [AGENT], "prompt": prompt, "model": None, "reasoningEffort": None,
        "agentsStates": {AGENT: {"status": state, "message": message}} if state else {},
        "startedAtMs": None, "completedAtMs": None,
    }  # fmt: skip
    assert items(call(name, arguments), answer("no such agent")) == []
    # The second generation of these tools: records of their own say what agents do.
    assert items(call(name, arguments, namespace="collaboration"), answer(json.dumps(output))) == []
