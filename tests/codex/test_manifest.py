"""What the manifest and the parameter tables say of the real server is what it says."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.appserver.test_params import CASES, THREAD
from tests.codex.client import AppServer, RpcError

from threadkeep.appserver._manifest import METHOD_NAMES, METHODS, NOTIFICATIONS, SERVER_REQUESTS
from threadkeep.appserver._param_tables import TABLES
from threadkeep.appserver._params import check
from threadkeep.appserver._rpc import MAX_DEPTH
from threadkeep.appserver._rpc import RpcError as OurError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.codex.scenarios import Lab

pytestmark = pytest.mark.codex

OLDER = {"getConversationSummary", "gitDiffToRemote", "getAuthStatus"}
"""Methods that 0.169.0 answers, but does not describe."""

LISTED: dict[str, dict[str, Any] | None] = {
    "thread/goal/get": {"threadId": THREAD},
    "thread/goal/clear": {"threadId": THREAD},
    "thread/queue/list": {"threadId": THREAD},
    "thread/attachment/list": {"threadId": THREAD},
    "thread/attachmentOwner/list": {"attachmentType": "a", "identityKey": "k"},
    "thread/memory/read": {"threadId": THREAD},
    "memory/status": {},
    "thread/backgroundTerminals/list": {"threadId": THREAD},
    "project/list": {},
    "threadSection/list": {},
    "plugin/list": {},
    "plugin/installed": {},
    "app/list": {},
    "app/installed": {},
    "mcpServerStatus/list": {},
    "windowsSandbox/readiness": None,
    "account/bedrock/checkGovCloudRequirements": {},
    "accountSession/list": {},
    "account/securitySetup/read": None,
    "externalAgentConfig/detect": {},
    "externalAgentConfig/import/readHistories": None,
}
"""What the real server is asked in order to see the shape of an empty answer."""

NEEDED: dict[str, Any] = {
    "threadId": THREAD,
    "turnId": "t",
    "itemIds": [],
    "searchTerm": "s",
    "name": "n",
    "beforeTurnId": "t",
    "mode": "enabled",
    "operation": {"type": "read"},
    "expectedRevision": "0",
    "input": [],
    "expectedTurnId": "t",
    "items": [],
}
"""Values for parameters that must be there."""

VALUES: tuple[Any, ...] = (None, True, False, 5, -1, 2**32, 1.5, "x", "", [], {}, ["x"], [5], {"x": 5})
"""One of every kind, for every parameter."""

EXAMPLES: dict[str, tuple[Any, ...]] = {
    "approvalPolicy": ("never", {"granular": {"mcp_elicitations": True, "rules": True, "sandbox_approval": False}}),
    "multiAgentMode": ("proactive", {"custom": "c"}),
    "historyMode": ("legacy",),
    "environments": ([{"environmentId": "local", "cwd": "/"}], [{"cwd": 5}]),
    "dynamicTools": ([{"name": "n", "description": "d", "inputSchema": {}}], [{"type": "namespace", "name": "n"}]),
    "runtimeWorkspaceRoots": (["/"],),
    "initialTurnsPage": ({"limit": 5, "itemsView": "full"}, {"sortDirection": "x"}),
    "deferOutput": ({"commandExecution": True}, {"mcpToolCall": True}, {"commandExecution": False}),
    "additionalContext": ({"a": {"value": "v", "kind": "untrusted"}},),
    "responsesapiClientMetadata": ({"a": "b"},),
    "responsesapiClientMetadataPatch": ({"a": "b"},),
    "collaborationMode": ({"mode": "plan", "settings": {"model": "m"}}, {"mode": "plan", "settings": {"model": 5}}),
    "cyberAccessProgram": ("standard",),
    "sandboxPolicy": ({"type": "readOnly"}, {"type": "workspaceWrite", "writableRoots": ["x"]}),
    "selectedCapabilityRoots": ([{"id": "x", "location": {"type": "environment", "environmentId": "e", "path": "/"}}],),
    "gitInfo": ({"sha": None}, {"sha": 5}),
    "toolOutput": ({"name": "n", "output": "o"}, {"name": "n", "output": [{"type": "input_text", "text": "x"}]}),
    "input": ([{"type": "text", "text": "x"}], [{"type": "text"}], [{"type": "image", "url": "u", "detail": "x"}]),
    "cursor": ({"type": "item", "itemId": "i"},),
    "sortKey": ("section_position", "updated_at"),
}
"""More values, for parameters that are made of others."""

UNASKED = {"plugin/share/list", "remoteControl/client/list"}
"""What it answers only with an account: their shapes are those of its description."""


@pytest.fixture(scope="module")
def described(codex_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The schemas that the binary makes: ``stable`` and, with what is experimental, ``all``."""
    folder = tmp_path_factory.mktemp("schemas")
    make = [str(codex_bin), "app-server", "generate-json-schema", "--out"]
    for command in ([*make, str(folder / "stable")], [*make, str(folder / "all"), "--experimental"]):
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    return folder


def names(described: Path, kind: str, file: str) -> list[str]:
    schema = msgspec.json.decode((described / kind / file).read_bytes())
    return [one["properties"]["method"]["enum"][0] for one in schema["oneOf"]]


@pytest.fixture(scope="module")
def server(lab: Lab) -> Iterator[AppServer]:
    with lab.server() as server:
        yield server


@pytest.fixture(scope="module")
def plain_server(codex_bin: Path, lab: Lab) -> Iterator[AppServer]:
    """One whose client did not ask for the experimental API."""
    with AppServer([codex_bin, "app-server"], home=lab.home, cwd=lab.project) as server:
        server.initialize(experimental=False)
        yield server


def told(server: AppServer, method: str, params: Any) -> str | None:
    """What the real server finds wrong with the parameters; None when it went on to what they ask for."""
    mark = server.mark()
    server._next_id += 1
    body = {"id": server._next_id, "method": method}
    server.send(body if params is None else {**body, "params": params})
    try:
        server.response(server._next_id, method=method, since=mark)
    except RpcError as error:
        checked = error.message.startswith("Invalid request: ") or error.message.endswith(
            "requires experimentalApi capability"
        )
        return error.message if checked else None
    return None


def said(method: str, params: Any, *, experimental: bool) -> str | None:
    """What threadkeep finds wrong with the parameters."""
    try:
        check(method, msgspec.Raw(msgspec.json.encode(params)), experimental=experimental)
    except OurError as error:
        return error.message
    return None


def test_methods_are_the_real_ones(described: Path) -> None:
    assert set(METHODS) == set(names(described, "all", "ClientRequest.json")) | OLDER


def test_experimental_methods_are_the_real_ones(described: Path) -> None:
    real = set(names(described, "all", "ClientRequest.json")) - set(names(described, "stable", "ClientRequest.json"))
    assert {name for name, method in METHODS.items() if method.experimental} == real


def test_notifications_are_the_real_ones(described: Path) -> None:
    assert set(NOTIFICATIONS) == set(names(described, "all", "ServerNotification.json"))


def test_requests_to_the_client_are_the_real_ones(described: Path) -> None:
    assert list(SERVER_REQUESTS) == names(described, "all", "ServerRequest.json")


def test_an_unknown_method_is_told_in_the_same_words(server: AppServer) -> None:
    with pytest.raises(RpcError) as theirs:
        server.request("thread/nope", {})
    with pytest.raises(OurError) as ours:
        check("thread/nope", None, experimental=True)
    assert ours.value.message == theirs.value.message
    assert ours.value.code == theirs.value.code
    assert theirs.value.message.count("`") == 2 * (len(METHOD_NAMES) + 1)


def test_wrong_parameters_are_told_in_the_same_words(server: AppServer, plain_server: AppServer) -> None:
    differing = []
    for case in CASES:
        asked = server if case.get("experimental", True) else plain_server
        real = told(asked, case["method"], case.get("params"))
        if real != case.get("error"):
            differing.append((case, real))
    assert differing == []


@pytest.mark.parametrize("experimental", [True, False], ids=["experimental", "stable"])
def test_every_parameter_is_taken_or_told_alike(server: AppServer, plain_server: AppServer, experimental: bool) -> None:
    differing = []
    asked = server if experimental else plain_server
    for method, table in TABLES.items():
        fields = getattr(table, "fields", ())
        needed = {field.name: NEEDED[field.name] for field in fields if field.required}
        for name in (field.name for field in fields):
            for value in (*VALUES, *EXAMPLES.get(name, ())):
                params = {**needed, name: value}
                real, ours = told(asked, method, params), said(method, params, experimental=experimental)
                if real != ours and (name, value) != ("dynamicTools", [5]):  # divergence serde-corners
                    differing.append((method, params, real, ours))
    assert differing == []


def test_empty_answers_have_the_real_shapes(server: AppServer, lab: Lab) -> None:
    thread = lab.start(server, "paginated")
    assert LISTED.keys() | UNASKED == {name for name, method in METHODS.items() if method.status == "empty"}
    for name, params in LISTED.items():
        asked = {**params, "threadId": thread} if params and "threadId" in params else params
        real, ours = server.request(name, asked), METHODS[name].answer
        assert ours is not None
        assert list(ours) == list(real), name


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1])
def test_messages_are_read_to_the_same_depth(server: AppServer, depth: int) -> None:
    nested = "[" * (depth - 2) + "]" * (depth - 2)
    mark = server.mark()
    server.send_line(b'{"id":"deep","method":"thread/loaded/list","params":{"x":%b}}\n' % nested.encode())
    server.request("thread/loaded/list", {})
    if depth == MAX_DEPTH:
        server.wait(lambda body: body.get("id") == "deep", since=mark)
    else:
        server.settle()
    answers = [m.body for m in server.messages[mark:] if not m.outgoing and m.body.get("id") == "deep"]
    assert len(answers) == (depth == MAX_DEPTH)
