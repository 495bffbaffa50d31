"""Clients see the configuration, where its values come from, and none of its secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.appserver.in_home import ask

from threadkeep.appserver._methods._config_read import config_read, config_requirements_read
from threadkeep.appserver._rpc import RpcError

if TYPE_CHECKING:
    from pathlib import Path

SECRETS = """
[model_providers.own]
name = "Own"
experimental_bearer_token = "s3cret-a"
env_key = "OWN_KEY"
http_headers = { Authorization = "s3cret-b" }
[mcp_servers.x]
command = "c"
env = { TOKEN = "s3cret-c" }
"""


def test_values_are_shown_with_what_holds_where_nothing_is_said(tmp_path: Path) -> None:
    config = ask(config_read, tmp_path, 'model = "m"\n[sandbox_workspace_write]\nnetwork_access = true\n')["config"]
    assert (config["model"], config["model_provider"], config["file_opener"]) == ("m", None, "vscode")
    assert config["sandbox_workspace_write"] == {
        "writable_roots": [],
        "network_access": True,
        "exclude_tmpdir_env_var": False,
        "exclude_slash_tmp": False,
    }
    assert "zzz" not in ask(config_read, tmp_path, "zzz = 1\n")["config"]


def test_every_value_says_where_it_comes_from(tmp_path: Path) -> None:
    text = 'model = "m"\n[tui]\ntheme = "x"\n'
    origins = ask(config_read, tmp_path, text, ("model", '"n"'), ("notify", '["a", "b"]'))["origins"]
    assert sorted(origins) == ["model", "notify.0", "notify.1", "tui.theme"]
    assert origins["model"]["name"] == {"type": "sessionFlags"}
    assert origins["tui.theme"]["name"] == {"type": "user", "file": str(tmp_path / "config.toml"), "profile": None}


def test_layers_are_shown_when_they_are_asked_for(tmp_path: Path) -> None:
    assert "layers" not in ask(config_read, tmp_path)
    layers = ask(config_read, tmp_path, 'model = "m"\n', ("model", '"n"'), includeLayers=True)["layers"]
    assert [(layer["name"]["type"], layer["config"]) for layer in layers] == [
        ("sessionFlags", {"model": "n"}),
        ("user", {"model": "m"}),
        ("system", {}),
    ]
    # The digest of no values, as Codex 0.169.0 has it.
    assert layers[2]["version"] == "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_secrets_are_hidden_in_values_and_in_layers(tmp_path: Path) -> None:
    answer = ask(config_read, tmp_path, SECRETS, includeLayers=True)
    assert "s3cret" not in repr(answer)
    provider = answer["config"]["model_providers"]["own"]
    assert (provider["env_key"], provider["http_headers"]) == ("OWN_KEY", {"Authorization": "[hidden]"})
    assert provider["experimental_bearer_token"] == "[hidden]"


def test_dates_of_a_configuration_do_not_break_the_answer(tmp_path: Path) -> None:
    assert ask(config_read, tmp_path, "[notice]\nseen = 2026-01-02\n")["config"]["notice"] == {"seen": "2026-01-02"}


def test_a_configuration_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RpcError, match=r"^invalid configuration: .*invalid type: integer `3`") as caught:
        ask(config_read, tmp_path, "model = 3\n")
    assert caught.value.code == -32603


def test_nobody_demands_anything(tmp_path: Path) -> None:
    assert ask(config_requirements_read, tmp_path) == {"supportsIndependentSpeedModes": True, "requirements": None}
