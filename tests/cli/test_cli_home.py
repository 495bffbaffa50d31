"""Which home a command works on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from threadkeep.cli._home import find_home

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Home


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's home folder, empty."""
    path = tmp_path / "person"
    path.mkdir()
    monkeypatch.setenv("HOME", str(path))
    return path


def test_the_option_comes_before_everything(user: Path) -> None:
    (user / ".codex").mkdir()
    assert find_home("/given", {"THREADKEEP_HOME": "/mine", "CODEX_HOME": "/theirs"}) == "/given"


def test_then_threadkeeps_variable_then_codex_s(user: Path) -> None:
    (user / ".codex").mkdir()
    assert find_home(None, {"THREADKEEP_HOME": "/mine", "CODEX_HOME": "/theirs"}) == "/mine"
    assert find_home(None, {"CODEX_HOME": "/theirs"}) == "/theirs"


def test_then_the_codex_home_where_it_exists(user: Path) -> None:
    assert find_home(None, {}) != str(user / ".codex")
    (user / ".codex").mkdir()
    assert find_home(None, {}) == str(user / ".codex")


def test_else_a_home_of_its_own(user: Path) -> None:
    assert find_home(None, {}) == str(user / ".local/share/threadkeep")
    assert find_home(None, {"XDG_DATA_HOME": "/data"}) == "/data/threadkeep"


def test_an_empty_variable_is_none_and_a_relative_data_folder_is_ignored(user: Path) -> None:
    environ = {"THREADKEEP_HOME": "", "CODEX_HOME": "", "XDG_DATA_HOME": "data"}
    assert find_home(None, environ) == str(user / ".local/share/threadkeep")


def test_a_tilde_is_the_users_folder(user: Path) -> None:
    assert find_home("~/threads", {}) == str(user / "threads")


def test_commands_use_it(home: Home) -> None:
    thread = home.thread("hello")
    listed = home("--home", str(home.path / "elsewhere"), "list", "--json")
    assert listed.json["data"] == []
    assert [one["id"] for one in home("list", "--json").json["data"]] == [thread]


def test_no_folder_is_not_the_current_folder(home: Home) -> None:
    refused = home("--home", "", "list")
    assert refused.code == 2
    assert "no folder is named" in refused.err


def test_looking_at_a_home_that_does_not_exist_does_not_make_it(home: Home) -> None:
    listed = home("list")
    assert (listed.code, listed.out) == (0, "")
    assert "does not exist" in listed.err
    assert not home.path.exists()
