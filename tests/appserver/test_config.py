"""The home's configuration is read as Codex 0.169.0 reads it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from threadkeep.appserver._config import Config, ConfigProblem, SessionSettings, session_settings
from threadkeep.appserver._rpc import RpcError

if TYPE_CHECKING:
    from pathlib import Path

MOCK = '[model_providers.mock]\nname = "Mock"\nbase_url = "http://127.0.0.1:1/v1"\n'
ONE_OF_POLICIES = "`untrusted`, `on-failure`, `on-request`, `granular`, `never`"
NO_SEQUENCE = "invalid type: integer `5`, expected a sequence"
NO_CHAT = (
    '`wire_api = "chat"` is no longer supported.\nHow to fix: set `wire_api = "responses"` in your provider config.'
)
USE_ANOTHER_FILE = "use `--profile x` with `x.config.toml` instead"
READ_ONLY = {
    "type": "managed",
    "file_system": {
        "type": "restricted",
        "entries": [{"path": {"type": "special", "value": {"kind": "root"}}, "access": "read"}],
    },
    "network": "restricted",
}
"""The permission profile of a thread that may only read, as Codex 0.169.0 records it."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home without a configuration."""
    return tmp_path


def load(home: Path, text: str | None = None, *overrides: tuple[str, str], **environ: str) -> Config:
    if text is not None:
        (home / "config.toml").write_text(text, encoding="utf-8")
    return Config.load(str(home), overrides, cwd="/work", environ=environ)


def settings(
    config: Config, stated: dict[str, Any] | None = None, /, *, fork: bool = False, **params: Any
) -> SessionSettings:
    return session_settings(config, params, stated, fork=fork)


def refused(config: Config, stated: dict[str, Any] | None = None, /, **params: Any) -> str:
    with pytest.raises(RpcError) as caught:
        session_settings(config, params, stated)
    assert caught.value.code == -32600
    return caught.value.message


# ---- what is read


def test_a_home_without_a_configuration_has_the_defaults_of_codex(home: Path) -> None:
    config = load(home)
    assert (config.model, config.model_provider, config.problem) == ("gpt-6.1-sol", "openai", None)
    assert settings(config).response() == {
        "model": "gpt-6.1-sol",
        "modelProvider": "openai",
        "serviceTier": None,
        "disabledPluginIds": [],
        "cwd": "/work",
        "runtimeWorkspaceRoots": ["/work"],
        "instructionSources": [],
        "approvalPolicy": "on-request",
        "approvalsReviewer": "user",
        "sandbox": {"type": "readOnly", "networkAccess": False},
        "activePermissionProfile": {"id": ":read-only", "extends": None},
        "reasoningEffort": None,
        "multiAgentMode": "explicitRequestOnly",
    }


def test_the_command_line_counts_before_the_file_and_the_request_before_both(home: Path) -> None:
    config = load(home, 'model = "a"\nmodel_reasoning_effort = "low"\n', ("model", '"b"'), ("model_verbosity", "high"))
    assert (config.model, config.reasoning_effort, config.verbosity) == ("b", "low", "high")
    asked = config.with_request({"model": "c", "sandbox_workspace_write.network_access": True})
    assert (asked.model, asked.sandbox_workspace_write) == ("c", {"network_access": True})
    assert config.model == "b", "a request changes nothing for others"


@pytest.mark.parametrize(
    ("written", "value"),
    [("o3", "o3"), ('"o3"', "o3"), ("'o3'", "o3"), ("[1", "[1"), (" gpt ", "gpt"), ('"unclosed', "unclosed")],
)
def test_a_value_of_the_command_line_that_is_no_toml_is_a_text(home: Path, written: str, value: str) -> None:
    assert load(home, None, ("model", written)).model == value


def test_dotted_keys_of_the_command_line_make_a_provider(home: Path) -> None:
    config = load(
        home, MOCK, ("model_provider", "mock"), ("model_providers.mock.base_url", '"http://b"'),
        ("model_providers.mock.request_max_retries", "2"),
    )  # fmt: skip
    provider = config.provider()
    assert (provider.name, provider.base_url, provider.request_max_retries) == ("Mock", "http://b", 2)


def test_a_provider_has_the_defaults_of_codex(home: Path) -> None:
    provider = load(home, MOCK).provider("mock")
    assert (provider.request_max_retries, provider.stream_max_retries, provider.stream_idle_timeout_ms) == (
        4,
        5,
        300_000,
    )
    assert provider.wire_api == "responses"
    assert not provider.requires_openai_auth


def test_retries_are_bounded(home: Path) -> None:
    assert load(home, MOCK + "request_max_retries = 100000\n").provider("mock").request_max_retries == 100


def test_a_key_comes_from_its_variable_and_a_missing_one_is_named(home: Path) -> None:
    provider = load(home, MOCK + 'env_key = "MY_KEY"\nenv_key_instructions = "See the wiki."\n').provider("mock")
    assert provider.key({"MY_KEY": " s "}) == "s"
    with pytest.raises(ConfigProblem, match=r"^Missing environment variable: `MY_KEY`\. See the wiki\.$"):
        provider.key({"OPENAI_API_KEY": "x"}, "stored")


def test_a_provider_without_a_key_is_called_without_one(home: Path) -> None:
    assert load(home, MOCK).provider("mock").key({"OPENAI_API_KEY": "x"}, "stored") is None


def test_the_key_of_openai_is_the_homes_then_the_environments(home: Path) -> None:
    config = load(home)
    assert config.provider().key({}) is None
    assert config.provider().key({"OPENAI_API_KEY": "e"}, None) == "e"
    (home / "auth.json").write_text('{"OPENAI_API_KEY": "stored"}')
    assert config.provider().key({"OPENAI_API_KEY": "e"}, config.stored_key()) == "stored"


@pytest.mark.parametrize("text", ["", "garbage", "[]", '{"OPENAI_API_KEY": 3}', '{"OPENAI_API_KEY": " "}', "[" * 5000])
def test_an_unreadable_auth_file_holds_no_key(home: Path, text: str) -> None:
    (home / "auth.json").write_text(text)
    assert load(home).stored_key() is None


def test_a_key_that_is_kept_elsewhere_is_not_read_from_the_file(home: Path) -> None:
    (home / "auth.json").write_text('{"OPENAI_API_KEY": "stored"}')
    assert load(home, 'cli_auth_credentials_store = "keyring"\n').stored_key() is None


def test_headers_of_the_environment_are_sent_when_they_are_set(home: Path) -> None:
    table = 'http_headers = { A = "1" }\nenv_http_headers = { B = "HB", C = "HC", D = "HD" }\n'
    assert load(home, MOCK + table).provider("mock").headers({"HB": "2", "HC": " "}) == {"A": "1", "B": "2"}


def test_the_address_of_openai_is_the_configurations_then_the_environments(home: Path) -> None:
    assert load(home).provider().base_url == "https://api.openai.com/v1"
    assert load(home, None, OPENAI_BASE_URL="http://e/v1").provider().base_url == "http://e/v1"
    configured = load(home, 'openai_base_url = "http://c/v1"\n', OPENAI_BASE_URL="http://e/v1")
    assert configured.provider().base_url == "http://c/v1"


def test_a_file_that_changed_is_stale(home: Path) -> None:
    config = load(home)
    assert not config.stale()
    (home / "config.toml").write_text('model = "x"\n')
    assert config.stale()
    assert not load(home).stale()


# ---- what cannot be used


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model = 3\n", "@:1:9: invalid type: integer `3`, expected a string"),
        (
            '\napproval_policy = "zzz"\n',
            "@:2:19: unknown variant `zzz`, expected one of " + ONE_OF_POLICIES,
        ),
        (
            'sandbox_mode = "zzz"\n',
            "@:1:16: unknown variant `zzz`, expected one of `read-only`, `workspace-write`, `danger-full-access`",
        ),
        ("approval_policy = { granular = { rules = true } }\n", "@:1:19: missing field `sandbox_approval`"),
        ('model_provider = "zzz"\n', "Model provider `zzz` not found"),
        (
            'profile = "x"\n',
            'legacy `profile = "x"` config is no longer supported; ' + USE_ANOTHER_FILE,
        ),
        (
            'model_instructions_file = "/nope"\n',
            "failed to read model instructions file /nope: No such file or directory (os error 2)",
        ),
        ('default_permissions = ":zzz"\n', "default_permissions refers to unknown built-in profile `:zzz`"),
        ('default_permissions = "zzz"\n', "default_permissions requires a `[permissions]` table"),
        (
            'default_permissions = "zzz"\n[permissions.dev.filesystem]\n',
            "default_permissions refers to undefined profile `zzz`",
        ),
        ('[model_providers.p]\nbase_url = "http://x"\n', "model_providers.p: provider name must not be empty"),
        ("[sandbox_workspace_write]\nwritable_roots = 5\n", "@:2:18: invalid type: integer `5`, expected a sequence"),
        (
            "sandbox_workspace_write.writable_roots = 5\n",
            f"@: {NO_SEQUENCE} in `sandbox_workspace_write.writable_roots`",
        ),
        (
            '[sandbox_workspace_write]\nnetwork_access = "yes"\n',
            '@:2:18: invalid type: string "yes", expected a boolean',
        ),
        (
            '[permissions.x]\nfilesystem = "a"\n',
            '@:2:14: invalid type: string "a", expected struct FilesystemPermissionsToml',
        ),
        ('[projects."/a.b"]\ntrust_level = 5\n', "@:2:15: wanted string or table"),
        (
            '[projects."/a.b"]\ntrust_level = "x"\n',
            "@:2:15: unknown variant `x`, expected `trusted` or `untrusted`",
        ),
        ('[model_providers]\np = "a"\n', '@:2:5: invalid type: string "a", expected struct ModelProviderInfo'),
        (MOCK + "request_max_retries = -5\n", "@:4:23: invalid value: integer `-5`, expected u64"),
        (MOCK + 'wire_api = "foo"\n', "@:4:12: unknown variant `foo`, expected `responses`"),
        (
            MOCK + 'wire_api = "chat"\n',
            f"@:4:12: {NO_CHAT}",
        ),
        ("model_reasoning_effort = ''\n", "@:1:26: reasoning_effort must not be empty"),
        ("project_doc_max_bytes = -5\n", "@:1:25: invalid value: integer `-5`, expected usize"),
        ('[model_providers.openai]\nname = "x"\n', "model_providers contains reserved built-in provider IDs: `openai`"),
    ],
)
def test_a_file_that_cannot_be_used_fails_what_needs_it_and_says_why(home: Path, text: str, message: str) -> None:
    config = load(home, text)
    assert refused(config) == "failed to load configuration: " + message.replace("@", str(home / "config.toml"))


@pytest.mark.parametrize("text", ["model = = 3", "[a", "x = " + "[" * 3000, "\x00"])
def test_a_file_that_is_no_toml_is_a_problem_and_not_a_crash(home: Path, text: str) -> None:
    config = load(home, text)
    assert config.problem is not None
    assert config.problem.startswith(str(home / "config.toml"))
    assert config.model == "gpt-6.1-sol", "what does not need it goes on with the defaults"


def test_a_file_that_is_no_regular_file_does_not_stop_the_server(home: Path) -> None:
    os.mkfifo(home / "config.toml")
    path = home / "config.toml"
    assert load(home).problem == f"Failed to read config file {path}: path `{path}` is not a file"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'model = "\xff"\n', "Failed to read config file @: invalid utf-8 sequence of 1 bytes from index 9"),
        (b'model = "\xe2\x82', "Failed to read config file @: incomplete utf-8 byte sequence from index 9"),
        (b"#" * (5 << 20), "Failed to read config file @: larger than 4194304 bytes"),
        (b"x = " + b"1" * 5000, "@: integer number overflowed"),
    ],
    ids=["no UTF-8", "UTF-8 that is cut off", "too large", "a number with too many digits"],
)
def test_a_file_that_cannot_be_read_says_why(home: Path, data: bytes, problem: str) -> None:
    (home / "config.toml").write_bytes(data)
    assert load(home).problem == problem.replace("@", str(home / "config.toml"))


def test_files_that_the_configuration_names_may_be_damaged(home: Path) -> None:
    (home / "damaged").write_bytes(b'{"OPENAI_API_KEY": "\xff", "models": ["\xff"]}')
    path = home / "damaged"
    told = f"failed to read model instructions file {path}: invalid utf-8 sequence of 1 bytes from index 20"
    assert load(home, 'model_instructions_file = "damaged"\n').problem == told
    told = "failed to parse model_catalog_json path `damaged` as JSON"
    assert load(home, 'model_catalog_json = "damaged"\n').problem == told
    path.rename(home / "auth.json")
    assert load(home, "").stored_key() is None


def test_a_wrong_value_of_the_command_line_is_refused_at_once(home: Path) -> None:
    with pytest.raises(ConfigProblem, match=r"unknown variant `zzz`.*\nin `approval_policy`\n"):
        load(home, None, ("approval_policy", "zzz"))


def test_a_wrong_value_of_a_request_is_refused_with_its_key(home: Path) -> None:
    expected = "failed to load configuration: invalid type: integer `5`, expected a string\nin `model`\n"
    assert refused(load(home), config={"model": 5}) == expected
    expected = f"failed to load configuration: {NO_SEQUENCE}\nin `sandbox_workspace_write.writable_roots`\n"
    assert refused(load(home), config={"sandbox_workspace_write.writable_roots": 5}) == expected


def test_an_unknown_provider_of_a_request_is_refused(home: Path) -> None:
    assert refused(load(home), modelProvider="zzz") == "failed to load configuration: Model provider `zzz` not found"


def test_rights_are_not_named_twice(home: Path) -> None:
    assert refused(load(home), permissions=":workspace", sandbox="read-only") == (
        "`permissions` cannot be combined with `sandbox`"
    )


# ---- what a thread is started with


def rights(found: SessionSettings) -> tuple[str, str | None]:
    return found.sandbox["type"], found.active_permission_profile


@pytest.mark.parametrize(
    ("text", "params", "expected"),
    [
        ("", {}, ("readOnly", ":read-only")),
        ('[projects."/work"]\ntrust_level = "trusted"\n', {}, ("workspaceWrite", ":workspace")),
        ('[projects."/work"]\ntrust_level = "untrusted"\n', {}, ("workspaceWrite", ":workspace")),
        ('[projects."/work"]\ntrust_level = "trusted"\n', {"cwd": "/other"}, ("readOnly", ":read-only")),
        ('sandbox_mode = "danger-full-access"\n', {}, ("dangerFullAccess", None)),
        ('sandbox_mode = "read-only"\ndefault_permissions = ":workspace"\n', {}, ("workspaceWrite", ":workspace")),
        ('default_permissions = ":workspace"\n', {"sandbox": "read-only"}, ("readOnly", None)),
        ("", {"permissions": ":danger-full-access"}, ("dangerFullAccess", ":danger-full-access")),
        ("", {"config": {"sandbox_mode": "workspace-write"}}, ("workspaceWrite", None)),
        ('default_permissions = "dev"\n[permissions.dev.filesystem]\n":minimal" = "read"\n', {}, ("readOnly", "dev")),
        ('default_permissions = "dev"\n[permissions.dev.filesystem]\n"/a" = "write"\n', {}, ("workspaceWrite", "dev")),
    ],
)  # fmt: skip
def test_rights_are_those_of_the_request_then_the_configuration_then_the_trust(
    home: Path, text: str, params: dict[str, Any], expected: tuple[str, str | None]
) -> None:
    assert rights(settings(load(home, text), **params)) == expected


def test_an_untrusted_project_asks_about_everything(home: Path) -> None:
    config = load(home, '[projects."/work"]\ntrust_level = "untrusted"\n')
    assert settings(config).approval_policy == "untrusted"
    assert settings(config, approvalPolicy="never").approval_policy == "never"


def test_a_folder_of_a_trusted_repository_is_trusted(home: Path) -> None:
    (home / "project" / ".git").mkdir(parents=True)
    config = load(home, f'[projects."{home}/project"]\ntrust_level = "trusted"\n')
    assert rights(settings(config, cwd=f"{home}/project/sub")) == ("workspaceWrite", ":workspace")


def test_the_workspace_has_the_folders_of_the_configuration(home: Path) -> None:
    table = '[sandbox_workspace_write]\nnetwork_access = true\nwritable_roots = ["/x"]\nexclude_slash_tmp = true\n'
    found = settings(load(home, 'sandbox_mode = "workspace-write"\n' + table))
    assert found.runtime_workspace_roots == ("/work", "/x")
    assert found.sandbox == {
        "type": "workspaceWrite",
        "writableRoots": ["/x"],
        "networkAccess": True,
        "excludeTmpdirEnvVar": False,
        "excludeSlashTmp": True,
    }
    assert found.permission_profile["network"] == "enabled"


def test_folders_that_a_request_names_are_the_workspace(home: Path) -> None:
    config = load(home, 'sandbox_mode = "workspace-write"\n[sandbox_workspace_write]\nwritable_roots = ["/x"]\n')
    found = settings(config, runtimeWorkspaceRoots=["/work", "/y"])
    assert found.runtime_workspace_roots == ("/work", "/y")
    assert found.sandbox["writableRoots"] == ["/y", "/x"]


def test_a_granular_policy_has_every_member(home: Path) -> None:
    text = "approval_policy = { granular = { sandbox_approval = true, rules = false, mcp_elicitations = true } }\n"
    assert settings(load(home, text)).approval_policy == {
        "granular": {
            "sandbox_approval": True,
            "rules": False,
            "skill_approval": False,
            "request_permissions": False,
            "mcp_elicitations": True,
        }
    }


@pytest.mark.parametrize(
    ("text", "params", "tier", "unsupported"),
    [
        ("", {}, None, None),
        ('service_tier = "fast"\nmodel = "gpt-5.5"\n', {}, "priority", None),
        ('service_tier = "fast"\nmodel = "zzz"\n', {}, None, "priority"),
        ('service_tier = "flex"\nmodel = "zzz"\n', {}, "flex", None),
        ('service_tier = "bogus"\n', {}, None, "bogus"),
        ('service_tier = "fast"\n', {"serviceTier": None}, "default", None),
        ("", {"serviceTier": "priority"}, "priority", None),
    ],
)
def test_a_tier_that_a_model_does_not_have_is_left_out(
    home: Path, text: str, params: dict[str, Any], tier: str | None, unsupported: str | None
) -> None:
    found = settings(load(home, text), **params)
    assert (found.service_tier, found.unsupported_tier) == (tier, unsupported)


def test_a_relative_folder_is_one_below_the_servers(home: Path) -> None:
    assert settings(load(home), cwd="sub/../x").cwd == "/work/x"


# ---- what a thread is resumed or forked with

CONFIG = (
    MOCK
    + """
[model_providers.other]
name = "Other"
"""
)
TOP = """model = "gpt-6-sol"
model_provider = "mock"
model_reasoning_effort = "low"
approval_policy = "on-request"
sandbox_mode = "danger-full-access"
service_tier = "flex"
approvals_reviewer = "auto_review"
"""
STATED: dict[str, Any] = {
    "model": "gpt-5.5",
    "model_provider_id": "mock",
    "service_tier": "priority",
    "approval_policy": "never",
    "approvals_reviewer": "user",
    "permission_profile": READ_ONLY,
    "cwd": "/then",
    "runtime_workspace_roots": ["/then"],
    "reasoning_effort": "high",
}
"""What a thread was set to before the configuration became `TOP`."""


def shown(found: SessionSettings) -> tuple[Any, ...]:
    return (
        found.model, found.effort, found.service_tier, found.cwd, found.approval_policy, found.approvals_reviewer,
        found.sandbox["type"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, ("gpt-5.5", "high", "priority", "/then", "never", "user", "readOnly")),
        ({"cwd": "/now"}, ("gpt-5.5", "high", "priority", "/now", "never", "user", "readOnly")),
        ({"model": "gpt-6.1-sol"}, ("gpt-6.1-sol", "low", "priority", "/then", "never", "user", "readOnly")),
        ({"modelProvider": "mock"}, ("gpt-6-sol", "low", "priority", "/then", "never", "user", "readOnly")),
        ({"config": {"model": "m"}}, ("m", "low", None, "/then", "never", "user", "readOnly")),
        ({"config": {"model_reasoning_effort": "medium"}},
         ("gpt-6-sol", "medium", "priority", "/then", "never", "user", "readOnly")),
        ({"config": {"service_tier": "default"}}, ("gpt-5.5", "high", "default", "/then", "never", "user", "readOnly")),
        ({"config": {"sandbox_mode": "workspace-write", "approval_policy": "on-request"}},
         ("gpt-5.5", "high", "priority", "/then", "on-request", "user", "workspaceWrite")),
        ({"approvalPolicy": "on-request", "sandbox": "danger-full-access", "approvalsReviewer": "auto_review"},
         ("gpt-5.5", "high", "priority", "/then", "on-request", "auto_review", "dangerFullAccess")),
        ({"serviceTier": None}, ("gpt-5.5", "high", "default", "/then", "never", "user", "readOnly")),
    ],
)  # fmt: skip
def test_a_thread_is_resumed_with_what_it_was_set_to_but_for_what_is_asked(
    home: Path, params: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    assert shown(settings(load(home, TOP + CONFIG), STATED, **params)) == expected


def test_a_fork_takes_rights_and_approvals_of_its_parent_and_the_model_of_the_configuration(home: Path) -> None:
    config = load(home, TOP + CONFIG)
    expected = ("gpt-6-sol", "low", "flex", "/then", "never", "user", "readOnly")
    assert shown(settings(config, STATED, fork=True)) == expected
    asked = settings(config, STATED, fork=True, config={"approval_policy": "on-request"})
    assert shown(asked) == expected
    assert settings(config, STATED, fork=True, approvalPolicy="on-request").approval_policy == "on-request"


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"permission_profile": {"type": "disabled"}}, ("dangerFullAccess", None)),
        ({"active_permission_profile": {"id": ":workspace"}}, ("workspaceWrite", ":workspace")),
        ({}, ("readOnly", None)),
        ({"active_permission_profile": {"id": "gone"}}, ("workspaceWrite", None)),
        ({"permission_profile": {"type": "external", "network": "enabled"}}, ("workspaceWrite", None)),
        ({"permission_profile": {**READ_ONLY, "network": "enabled"}}, ("workspaceWrite", None)),
    ],
)
def test_recorded_rights_are_taken_over_by_name_or_where_they_are_plain(
    home: Path, stated: dict[str, Any], expected: tuple[str, str | None]
) -> None:
    config = load(home, TOP.replace("danger-full-access", "workspace-write") + CONFIG)
    assert rights(settings(config, {**STATED, **stated})) == expected


def test_a_thread_that_says_nothing_is_resumed_with_the_configuration(home: Path) -> None:
    config = load(home, TOP + CONFIG)
    expected = ("gpt-6-sol", None, "flex", "/work", "on-request", "auto_review", "dangerFullAccess")
    assert shown(settings(config, {})) == expected


def test_a_thread_stays_with_its_provider(home: Path) -> None:
    config = load(home, TOP + CONFIG)
    message = (
        "failed to load configuration: Cannot change this thread's model provider from `mock` to `other` on resume."
    )
    assert refused(config, STATED, modelProvider="other") == message
    assert "model provider “gone”, which is no longer configured" in refused(
        config, {**STATED, "model_provider_id": "gone"}
    )


# ---- what changes, and what is recorded


def test_a_turn_changes_the_settings_from_there_on(home: Path) -> None:
    config = load(home, TOP + CONFIG)
    before = settings(config, STATED)
    after = before.changed(
        {
            "model": "gpt-6.1-sol",
            "effort": "low",
            "cwd": "/now",
            "approvalPolicy": "on-request",
            "sandboxPolicy": {"type": "workspaceWrite", "networkAccess": True},
            "personality": None,
        },
        config,
    )
    assert shown(after) == ("gpt-6.1-sol", "low", "priority", "/now", "on-request", "user", "workspaceWrite")
    assert after.runtime_workspace_roots == ("/now",)
    assert after.sandbox["networkAccess"] is True
    assert after.changed({}, config) == after


def test_a_thread_whose_permission_profile_is_gone_is_told_so(home: Path) -> None:
    made = settings(load(home, 'default_permissions = "dev"\n[permissions.dev.filesystem]\n"/a" = "write"\n'))
    with pytest.raises(RpcError, match="default_permissions requires a"):
        made.changed({"cwd": "/b"}, load(home, ""))


def test_a_mode_of_collaboration_says_model_and_effort_and_is_kept(home: Path) -> None:
    config = load(home, TOP + CONFIG)
    told = {"model": "gpt-6.1-sol", "reasoning_effort": "medium", "developer_instructions": "Plan first."}
    mode = {"mode": "plan", "settings": told}
    found = settings(config, STATED).changed({"collaborationMode": mode, "model": "other", "effort": "low"}, config)
    assert found.collaboration_mode() == mode
    assert (found.model, found.effort) == ("gpt-6.1-sol", "medium")
    assert settings(config, found.applied()).collaboration_mode() == mode
    assert settings(config, found.applied(), fork=True).collaboration == "default"


def test_settings_are_recorded_as_codex_records_them(home: Path) -> None:
    config = load(home, TOP + CONFIG)
    found = settings(config, {**STATED, "active_permission_profile": {"id": ":workspace"}})
    entries = found.permission_profile["file_system"]["entries"]
    assert [(entry["path"].get("path") or entry["path"]["value"]["kind"], entry["access"]) for entry in entries] == [
        ("root", "read"),
        ("/then", "write"),
        ("slash_tmp", "write"),
        ("tmpdir", "write"),
        ("/then/.git", "read"),
        ("/then/.agents", "read"),
        ("/then/.codex", "read"),
        ("/then/.aws", "read"),
    ]
    context = found.turn_context("t", config)
    assert context["sandbox_policy"] == {
        "type": "workspace-write",
        "network_access": False,
        "exclude_tmpdir_env_var": False,
        "exclude_slash_tmp": False,
    }
    assert context["file_system_sandbox_policy"] == {"kind": "restricted", "entries": entries}
    assert (context["comp_hash"], context["multi_agent_version"], context["effort"]) == ("2911", "v1", "high")
    assert found.applied()["active_permission_profile"] == {"id": ":workspace"}


def test_recorded_settings_resume_to_the_same_settings(home: Path) -> None:
    config = load(home, TOP + CONFIG)
    found = settings(config, {**STATED, "personality": "friendly", "reasoning_summary": "concise"})
    assert (found.personality, found.summary) == ("friendly", "concise")
    assert settings(config, found.applied()) == found


def test_windows_and_limits_are_the_models_unless_the_configuration_says_otherwise(home: Path) -> None:
    config = load(home)
    assert (config.context_window("gpt-5.5"), config.compact_limit("gpt-5.5")) == (258_400, 244_800)
    assert config.context_window("gpt-6.1-terra") == 475_000
    small = load(home, "model_context_window = 50000\nmodel_auto_compact_token_limit = 40000\n")
    assert (small.context_window("gpt-5.5"), small.compact_limit("gpt-5.5")) == (47_500, 40_000)


def test_instructions_come_from_the_file_that_is_named(home: Path) -> None:
    (home / "i.md").write_text("Be brief.")
    assert load(home, 'model_instructions_file = "i.md"\ninstructions = "other"\n').base_instructions == "Be brief."
    assert load(home, 'instructions = "other"\n').base_instructions == "other"
    assert settings(load(home), baseInstructions="mine").base_instructions == "mine"


def test_a_configuration_is_read_where_the_folder_that_one_works_in_was_removed(
    home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path_factory.mktemp("gone")
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert Config.load(str(home), (), environ={}).cwd == str(home)
