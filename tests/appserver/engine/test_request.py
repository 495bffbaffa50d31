"""What a provider is asked: the body, the headers, the key and the address of a model call."""

from __future__ import annotations

import asyncio
import sys
from typing import Any
from urllib.parse import parse_qs

import pytest
from tests.appserver.engine.scripted import Asked, Scripted, says
from tests.appserver.engine.turns import THREAD, FakeTurn, developer, provider, run, settings, user

from threadkeep.appserver.engine import TurnSettings

Json = dict[str, Any]


def asked(
    *, environ: dict[str, str] | None = None, stored_key: str | None = None, of: Json | None = None, **more: Any
) -> Asked:
    """The request of a turn with these settings."""
    with Scripted(says("fine")) as model:
        ran = run(
            FakeTurn(settings(model.base_url, of=of, **more)), environ=environ or {}, stored_key=lambda: stored_key
        )
        assert ran.failure is None
        return model.asked[0]


def test_a_request_has_the_members_that_codex_sends() -> None:
    request = asked(effort="high", summary="detailed", verbosity="low", service_tier="flex")
    body = request.body
    assert body.pop("input")[0]["content"] == [{"type": "input_text", "text": "hello"}]
    assert body == {
        "model": "gpt-5.5",
        "stream": True,
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "high", "summary": "detailed"},
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": THREAD,
        "text": {"verbosity": "low"},
        "service_tier": "flex",
    }
    assert request.path == "/v1/responses"


def test_what_nobody_set_is_not_sent() -> None:
    body = asked(summary="none").body
    assert body.keys().isdisjoint({"reasoning", "text", "service_tier", "instructions"})
    assert body["include"] == []


def test_the_instructions_come_first_the_same_in_every_call() -> None:
    first, again = (asked(instructions="Be brief.").input[0] for _ in range(2))
    assert first == again
    assert (first["role"], first["content"]) == ("developer", [{"type": "input_text", "text": "Be brief."}])


def test_instructions_that_stand_in_the_history_are_not_said_twice() -> None:
    with Scripted(says("fine")) as model:
        given = settings(model.base_url, instructions="Be brief.")
        run(FakeTurn(given, [developer("Be brief."), developer("Be brief. Always."), user("hello")]))
    assert [item["content"][0]["text"] for item in model.asked[0].input] == ["Be brief.", "Be brief. Always.", "hello"]


def test_a_schema_of_the_answer_is_asked_for_strictly() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "number"}}}
    assert asked(output_schema=schema).body["text"]["format"] == {
        "type": "json_schema",
        "strict": True,
        "schema": schema,
        "name": "codex_output_schema",
    }


def test_dynamic_tools_are_offered_as_functions_and_namespaces() -> None:
    text = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
    tools = [
        {"type": "function", "name": "lookup", "description": "Looks up", "inputSchema": text},
        {
            "type": "namespace",
            "name": "ns",
            "description": "A namespace",
            "tools": [
                {"type": "function", "name": "one", "description": "One", "inputSchema": {"type": "object"}},
                {"type": "function", "name": "two", "description": "Two", "inputSchema": {}, "deferLoading": True},
            ],
        },
        {"name": "plain", "description": "P", "inputSchema": {"type": "object", "properties": {}}},
        {"namespace": "nx", "name": "deep", "description": "D", "inputSchema": {"type": "object"}},
        {"namespace": "nx", "name": "deeper", "description": "E", "inputSchema": {"type": "object"}},
    ]

    def function(name: str, description: str, parameters: Json) -> Json:
        return {
            "type": "function",
            "name": name,
            "description": description,
            "strict": False,
            "parameters": parameters,
        }

    empty: Json = {"type": "object", "properties": {}}
    lookup, space, plain, nx = asked(tools=tools).body["tools"]
    assert lookup == function("lookup", "Looks up", text)
    assert space == {
        "type": "namespace",
        "name": "ns",
        "description": "A namespace",
        "tools": [function("one", "One", empty), function("two", "Two", empty)],
    }
    assert plain == function("plain", "P", empty)
    assert nx["tools"] == [function("deep", "D", empty), function("deeper", "E", empty)]


# --- headers, keys, addresses -----------------------------------------------------------------------------------------


def test_headers_say_who_calls_for_which_thread() -> None:
    headers = asked().headers
    assert headers["session-id"] == headers["thread-id"] == headers["x-client-request-id"] == THREAD
    assert headers["originator"] == "threadkeep"
    assert headers["user-agent"].startswith("threadkeep/")
    assert headers["accept"] == "text/event-stream"
    assert headers["content-type"] == "application/json"


def test_a_provider_has_headers_and_a_query_of_its_own() -> None:
    request = asked(
        of={
            "http_headers": {"X-A": "b", "originator": "me"},
            "env_http_headers": {"X-E": "SET", "X-N": "NOT_SET", "X-B": "BLANK"},
            "query_params": {"api-version": "1 2", "z": "ü"},
        },
        environ={"SET": "e", "BLANK": " "},
    )
    assert request.headers["x-a"] == "b"
    assert request.headers["x-e"] == "e"
    assert request.headers["originator"] == "me"
    assert request.headers.keys().isdisjoint({"x-n", "x-b"})
    assert parse_qs(request.path.partition("?")[2]) == {"api-version": ["1 2"], "z": ["ü"]}


KEYS: dict[str, tuple[Json, dict[str, str], str | None, str | None]] = {
    "none": ({}, {"OPENAI_API_KEY": "sk-env"}, "sk-stored", None),
    "of the environment": ({"env_key": "KEY"}, {"KEY": "sk-1"}, None, "Bearer sk-1"),
    "in the configuration": ({"experimental_bearer_token": "tok"}, {}, None, "Bearer tok"),
    "of the home": ({"requires_openai_auth": True}, {"OPENAI_API_KEY": "sk-env"}, "sk-stored", "Bearer sk-stored"),
    "of OpenAI's variable": ({"requires_openai_auth": True}, {"OPENAI_API_KEY": "sk-env"}, None, "Bearer sk-env"),
    "nowhere": ({"requires_openai_auth": True}, {}, None, None),
    "an empty token": ({"experimental_bearer_token": ""}, {}, None, None),
    "a header of its own": ({"http_headers": {"Authorization": "Basic x"}}, {}, None, "Basic x"),
    "a header that is not set": ({"env_http_headers": {"Authorization": "NOT_SET"}}, {}, None, None),
}


@pytest.mark.parametrize("name", KEYS)
def test_the_key_comes_from_where_the_configuration_says(name: str) -> None:
    of, environ, stored, sent = KEYS[name]
    assert asked(of=of, environ=environ, stored_key=stored).headers.get("authorization") == sent


def test_the_environment_adds_nothing_that_codex_would_not_send(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "from-outside")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    headers = asked().headers
    assert not [value for value in headers.values() if "from-outside" in value]


def test_one_client_serves_a_provider_until_its_key_changes() -> None:
    from threadkeep.appserver.engine._client import Clients

    environ = {"KEY": "one"}
    clients = Clients(environ)
    there = provider("http://127.0.0.1:1/v1", env_key="KEY")
    first = asyncio.run(clients.of(there)).client
    assert asyncio.run(clients.of(there)).client is first
    environ["KEY"] = "two"
    assert asyncio.run(clients.of(there)).client is not first


def test_without_the_package_a_turn_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    ran = run(FakeTurn(settings("http://127.0.0.1:1/v1")))
    assert ran.failure is not None
    assert "pip install" in ran.failure.message


def test_a_provider_without_an_address_is_refused() -> None:
    turn = FakeTurn(
        TurnSettings(model="m", provider=provider("").__class__(id="amazon-bedrock", name="Amazon Bedrock"))
    )
    ran = run(turn)
    assert ran.failure is not None
    assert "amazon-bedrock" in ran.failure.message
