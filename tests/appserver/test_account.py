"""A client learns whether a model can be called, and never with which key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.appserver.in_home import ask

from threadkeep.appserver._methods._account import account_read, get_auth_status

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "sk-secret"
OWN = '[model_providers.own]\nname = "Own"\nbase_url = "http://127.0.0.1:1"\n'


def test_without_a_key_openai_needs_one(tmp_path: Path) -> None:
    assert ask(account_read, tmp_path) == {
        "account": None,
        "userId": None,
        "requiresOpenaiAuth": True,
        "workspaceRouting": None,
    }
    assert ask(get_auth_status, tmp_path) == {"authMethod": None, "authToken": None, "requiresOpenaiAuth": True}


def test_a_provider_with_no_need_of_openai_needs_no_account(tmp_path: Path) -> None:
    answer = ask(account_read, tmp_path, f'model_provider = "own"\n{OWN}', environ={"OPENAI_API_KEY": SECRET})
    assert (answer["account"], answer["requiresOpenaiAuth"]) == (None, False)


def test_a_provider_with_a_key_of_its_own_has_no_account(tmp_path: Path) -> None:
    text = f'model_provider = "own"\n{OWN}requires_openai_auth = true\nenv_key = "OWN_KEY"\n'
    answer = ask(account_read, tmp_path, text, environ={"OWN_KEY": SECRET})
    assert (answer["account"], answer["requiresOpenaiAuth"]) == (None, True)


@pytest.mark.parametrize("source", ["file", "environment"])
def test_a_key_is_an_account(tmp_path: Path, source: str) -> None:
    if source == "file":
        (tmp_path / "auth.json").write_text(f'{{"OPENAI_API_KEY": "{SECRET}"}}')
    environ = {"OPENAI_API_KEY": SECRET} if source == "environment" else {}
    assert ask(account_read, tmp_path, environ=environ)["account"] == {"type": "apiKey"}


def test_the_key_is_not_given_away(tmp_path: Path) -> None:
    (tmp_path / "auth.json").write_text(f'{{"OPENAI_API_KEY": "{SECRET}"}}')
    answer = ask(get_auth_status, tmp_path, includeToken=True, refreshToken=False)
    assert answer == {"authMethod": "apikey", "authToken": None, "requiresOpenaiAuth": True}
    assert SECRET not in repr(ask(account_read, tmp_path))


def test_a_configuration_that_cannot_be_used_still_has_an_answer(tmp_path: Path) -> None:
    assert ask(account_read, tmp_path, 'model_provider = "zzz"\n')["requiresOpenaiAuth"] is True
