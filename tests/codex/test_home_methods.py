"""What threadkeep makes of a home's configuration is what the real server makes of it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.appserver.in_home import ask
from tests.codex.client import AppServer, JsonObject, RpcError

from threadkeep.appserver import _rpc
from threadkeep.appserver._config import Config, session_settings
from threadkeep.appserver._methods import _account, _catalogs, _config_read
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.codex.scenarios import Lab

pytestmark = pytest.mark.codex

QUIET: Final = """check_for_update_on_startup = false
[analytics]
enabled = false
[feedback]
enabled = false
[otel]
exporter = "none"
[features]
plugins = false
apps = false
shell_snapshot = false
[model_providers.mock]
name = "Mock"
base_url = "@URL"
request_max_retries = 0
stream_max_retries = 0
[model_providers.other]
name = "Other"
base_url = "@URL"
"""
"""The rest of every configuration here; it follows the lines of the top level."""

TRUSTED: Final = '[projects."@PROJECT"]\ntrust_level = "trusted"\n'
UNTRUSTED: Final = '[projects."@PROJECT"]\ntrust_level = "untrusted"\n'
WRITABLE: Final = (
    '[sandbox_workspace_write]\nnetwork_access = true\nwritable_roots = ["/x"]\nexclude_slash_tmp = true\n'
)
OWN_PROFILES: Final = (
    '[permissions.dev.filesystem]\n":minimal" = "read"\n"/a" = "write"\n[permissions.dev.network]\nenabled = true\n'
)
GRANULAR: Final = "{ granular = { sandbox_approval = true, rules = false, mcp_elicitations = true } }"

CONFIGURATIONS: Final = {
    "nothing": ("", ""),
    "trusted": ("", TRUSTED),
    "untrusted": ("", UNTRUSTED),
    "trusted and writable": ("", TRUSTED + WRITABLE),
    "workspace": ('sandbox_mode = "workspace-write"\n', WRITABLE),
    "everything": (
        """model = "gpt-5.5"
model_provider = "mock"
model_reasoning_effort = "high"
sandbox_mode = "read-only"
approvals_reviewer = "auto_review"
service_tier = "fast"
personality = "friendly"
""",
        "",
    ),
    "granular": (f"approval_policy = {GRANULAR}\nsandbox_mode = 'danger-full-access'\n", ""),
    "own profile": ('default_permissions = "dev"\napproval_policy = "on-failure"\n', OWN_PROFILES),
    "profile before mode": ('default_permissions = ":workspace"\nsandbox_mode = "read-only"\n', ""),
    "unknown tier": ('service_tier = "bogus"\n', ""),
    "unknown provider": ('model_provider = "zzz"\n', ""),
    "wrong type": ("model = 3\n", ""),
    "wrong variant": ('approval_policy = "zzz"\n', ""),
    "old profile": ('profile = "x"\n', ""),
    "no instructions": ('model_instructions_file = "/nope"\n', ""),
    "unknown profile": ('default_permissions = "zzz"\n', OWN_PROFILES),
    "unknown built-in profile": ('default_permissions = ":zzz"\n', ""),
}
"""Lines of the top level, and tables."""

REQUESTS: Final[dict[str, JsonObject]] = {
    "nothing": {},
    "model": {"model": "gpt-6-sol", "serviceTier": "fast"},
    "unknown model": {"model": "zzz", "serviceTier": "flex"},
    "standard tier": {"serviceTier": None},
    "sandbox": {"sandbox": "workspace-write", "approvalPolicy": "untrusted", "approvalsReviewer": "auto_review"},
    "permissions": {"permissions": ":danger-full-access"},
    "unknown permissions": {"permissions": "zzz"},
    "both": {"permissions": ":workspace", "sandbox": "read-only"},
    "provider": {"modelProvider": "zzz"},
    "configuration": {"config": {"model": "m", "model_reasoning_effort": "low", "sandbox_mode": "danger-full-access"}},
    "dotted": {"config": {"sandbox_workspace_write.network_access": True, "sandbox_mode": "workspace-write"}},
    "wrong configuration": {"config": {"model": 5}},
    "folders": {"sandbox": "workspace-write", "runtimeWorkspaceRoots": ["@PROJECT", "/y"]},
    "relative folder": {"cwd": "sub/x"},
    "granular": {"approvalPolicy": {"granular": {"sandbox_approval": True, "rules": False, "mcp_elicitations": True}}},
}
"""Parameters of ``thread/start``."""


def written(lab: Lab, top: str, tables: str) -> Path:
    """Write a configuration into the lab's home."""
    text = (top + QUIET + tables).replace("@URL", lab.mock.base_url).replace("@PROJECT", str(lab.project))
    (lab.home / "config.toml").write_text(text, encoding="utf-8")
    return lab.home


def ours(lab: Lab, params: JsonObject, stated: JsonObject | None = None, *, fork: bool = False) -> JsonObject:
    """What threadkeep answers of the settings, or the message with which it refuses."""
    config = Config.load(str(lab.home), cwd=str(lab.project), environ={})
    try:
        return session_settings(config, params, stated, fork=fork).response()
    except _rpc.RpcError as refused:
        return {"code": refused.code, "message": refused.message}


def theirs(server: AppServer, method: str, params: JsonObject) -> JsonObject:
    """What the real server answers of the settings, or the message with which it refuses."""
    try:
        answer = server.request(method, params)
    except RpcError as refused:
        return {"code": refused.code, "message": refused.message}
    return {name: value for name, value in answer.items() if name in ours_of_start()}


def ours_of_start() -> frozenset[str]:
    """The members that are compared."""
    return frozenset(
        "model modelProvider serviceTier disabledPluginIds cwd runtimeWorkspaceRoots instructionSources approvalPolicy "
        "approvalsReviewer sandbox activePermissionProfile reasoningEffort multiAgentMode".split()
    )


@contextlib.contextmanager
def real(lab: Lab) -> Iterator[AppServer]:
    """The real server of the lab's home."""
    with lab.server() as server:
        yield server


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_thread_is_started_with_the_settings_of_the_real_server(lab: Lab, name: str) -> None:
    written(lab, *CONFIGURATIONS[name])
    broken = "code" in ours(lab, {})
    with real(lab) as server:
        for asked, request in REQUESTS.items():
            if broken and asked not in ("nothing", "standard tier"):
                continue  # Which of two faults is told first is nothing to rely on.
            params = {"cwd": str(lab.project), **request}
            if "runtimeWorkspaceRoots" in params:
                params["runtimeWorkspaceRoots"] = [str(lab.project), "/y"]
            expected = theirs(server, "thread/start", params)
            assert ours(lab, params) == expected, asked


BEFORE: Final = """model = "gpt-5.5"
model_provider = "mock"
model_reasoning_effort = "high"
approval_policy = "never"
service_tier = "fast"
approvals_reviewer = "user"
"""
AFTER: Final = """model = "gpt-6-sol"
model_provider = "mock"
model_reasoning_effort = "low"
approval_policy = "on-request"
service_tier = "flex"
approvals_reviewer = "auto_review"
"""
RIGHTS: Final = {
    "read-only": 'sandbox_mode = "read-only"\n',
    "workspace": 'sandbox_mode = "workspace-write"\n',
    "full access": 'sandbox_mode = "danger-full-access"\n',
    "named": 'default_permissions = ":workspace"\n',
    "own": 'default_permissions = "dev"\n',
}
AGAIN: Final[dict[str, JsonObject]] = {
    "nothing": {},
    "model": {"model": "gpt-6.1-sol"},
    "same provider": {"modelProvider": "mock"},
    "other provider": {"modelProvider": "other"},
    "effort": {"config": {"model_reasoning_effort": "medium"}},
    "model of the configuration": {"config": {"model": "gpt-6-astra"}},
    "tier": {"config": {"service_tier": "default"}},
    "rights of the configuration": {"config": {"sandbox_mode": "workspace-write", "approval_policy": "on-request"}},
    "folder": {"cwd": "/"},
    "rights": {"sandbox": "workspace-write", "approvalPolicy": "on-request"},
    "reviewer": {"approvalsReviewer": "auto_review"},
}
"""Parameters of ``thread/resume`` and ``thread/fork``."""


@pytest.mark.parametrize("mode", ["paginated", "legacy"])
@pytest.mark.parametrize("rights", RIGHTS)
def test_a_thread_goes_on_with_the_settings_of_the_real_server(
    new_lab: Callable[[], Lab], rights: str, mode: str
) -> None:
    lab = new_lab()
    written(lab, BEFORE + RIGHTS[rights], OWN_PROFILES)
    with real(lab) as server:
        params = {"cwd": str(lab.project), "historyMode": mode}
        thread = server.request("thread/start", params)["thread"]["id"]
        server.run_turn(thread, "hello")
    with ThreadStore.open(str(lab.home)) as store:
        stated = store.resume(thread).settings
        provider = store.read(thread).model_provider
    assert stated is not None
    applied = _last_applied(lab)
    written(lab, AFTER + RIGHTS["read-only" if rights == "full access" else "full access"], OWN_PROFILES)
    for asked, request in AGAIN.items():
        said = {"model_provider": provider, **applied, **stated}
        for method in ("thread/resume", "thread/fork"):
            with real(lab) as server, _put_back(lab):
                # A server of its own for each, and no index: what one changes, the next would be resumed with.
                expected = theirs(server, method, {"threadId": thread, "excludeTurns": True, **request})
            found = ours(lab, request, said, fork=method == "thread/fork")
            assert found == expected, (method, asked)


def _last_applied(lab: Lab) -> JsonObject:
    """The settings that the newest ``thread_settings_applied`` record states."""
    import json

    found: JsonObject = {}
    for path in sorted(lab.home.rglob("rollout-*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            payload = json.loads(line)["payload"]
            if payload.get("type") == "thread_settings_applied":
                found = payload["thread_settings"]
    return found


@contextlib.contextmanager
def _put_back(lab: Lab) -> Iterator[None]:
    """Leave the home's rollouts as they were, and no index of them."""
    kept = {path: path.read_bytes() for path in lab.home.rglob("rollout-*.jsonl")}
    yield
    for path in lab.home.rglob("rollout-*.jsonl"):
        if path in kept:
            path.write_bytes(kept[path])
        else:
            path.unlink()
    for path in lab.home.glob("*.sqlite*"):
        path.unlink(missing_ok=True)


def _without(value: Any, *names: str) -> Any:
    """A value without some members of its tables, at every depth."""
    if isinstance(value, dict):
        return {name: _without(inner, *names) for name, inner in value.items() if name not in names}
    return [_without(inner, *names) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", ["nothing", "everything", "workspace", "own profile"])
def test_lists_and_account_are_those_of_the_real_server(lab: Lab, name: str) -> None:
    home = written(lab, *CONFIGURATIONS[name])
    with real(lab) as server:
        # Words are threadkeep's own; nobody is told to move to another model.
        words = ("description", "availabilityNux", "upgradeInfo")
        asked: list[JsonObject] = [{}, {"includeHidden": True}, {"limit": 3, "cursor": "2"}, {"limit": 0}]
        for params in asked:
            found = _without(ask(_catalogs.model_list, home, **params), *words)
            assert found == _without(server.request("model/list", params), *words)
        pages: list[JsonObject] = [{}, {"limit": 2}, {"cursor": "3"}]
        for params in pages:
            found = ask(_catalogs.permission_profile_list, home, **params)
            assert found == server.request("permissionProfile/list", params)
        assert ask(_catalogs.collaboration_mode_list, home) == server.request("collaborationMode/list", {})
        assert ask(_account.account_read, home) == server.request("account/read", {})
        assert ask(_account.get_auth_status, home) == server.request("getAuthStatus", {})
        assert ask(_config_read.config_requirements_read, home) == server.request("configRequirements/read")
        with pytest.raises(RpcError) as caught:
            server.request("model/list", {"cursor": "99"})
    with pytest.raises(_rpc.RpcError, match=caught.value.message):
        ask(_catalogs.model_list, home, cursor="99")


def test_the_homes_own_key_is_an_account_for_both(new_lab: Callable[[], Lab]) -> None:
    lab = new_lab()
    home = written(lab, "", "")
    (home / "auth.json").write_text('{"OPENAI_API_KEY": "sk-not-a-key"}', encoding="utf-8")
    with real(lab) as server:
        assert ask(_account.account_read, home) == server.request("account/read", {})
        assert ask(_account.get_auth_status, home) == server.request("getAuthStatus", {})


@pytest.mark.parametrize("name", ["nothing", "everything", "workspace", "trusted and writable", "own profile"])
def test_the_configuration_is_shown_as_the_real_server_shows_it(lab: Lab, name: str) -> None:
    """Members of features and of permission profiles that nothing says are left out; Codex fills them in."""
    home = written(lab, *CONFIGURATIONS[name])
    with real(lab) as server:
        expected = server.request("config/read", {"includeLayers": True})
    found = ask(_config_read.config_read, home, includeLayers=True)
    assert found["origins"] == expected["origins"]
    assert found["layers"] == expected["layers"]
    features = found["config"].pop("features")
    assert features.items() <= expected["config"].pop("features").items()
    assert (found["config"].pop("permissions") is None) == (expected["config"].pop("permissions") is None)
    assert {
        name: value for name, value in expected["config"].items() if value != found["config"].get(name, "absent")
    } == {}
    assert set(found["config"]) == set(expected["config"])
