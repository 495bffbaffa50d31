"""Clients can list what there is to choose from, in the real server's shapes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.appserver.in_home import ask

from threadkeep.appserver._methods import _catalogs
from threadkeep.appserver._rpc import RpcError

if TYPE_CHECKING:
    from pathlib import Path


def models(home: Path, text: str | None = None, **params: Any) -> list[str]:
    return [model["id"] for model in ask(_catalogs.model_list, home, text, **params)["data"]]


def test_the_models_of_codex_are_listed_in_its_order(tmp_path: Path) -> None:
    shown = models(tmp_path)
    assert (shown[0], shown[-1], len(shown)) == ("gpt-6.1-sol", "gpt-5.5", 9)
    assert set(models(tmp_path, includeHidden=True)) - set(shown) == {
        "gpt-daybreak-blue-latest",
        "gpt-daybreak-red-latest",
        "codex-auto-review",
    }


def test_a_configured_model_that_nobody_knows_is_listed_too(tmp_path: Path) -> None:
    assert models(tmp_path, 'model = "my-own"\n')[-1] == "my-own"
    shown = ask(_catalogs.model_list, tmp_path, 'model = "my-own"\n')["data"][-1]
    assert (shown["displayName"], shown["hidden"], shown["isDefault"]) == ("my-own", False, False)


def test_one_model_is_the_default(tmp_path: Path) -> None:
    data = ask(_catalogs.model_list, tmp_path, 'model = "my-own"\n')["data"]
    assert [model["id"] for model in data if model["isDefault"]] == ["gpt-6.1-sol"]


def test_a_catalog_of_the_configuration_takes_the_place_of_the_built_in_one(tmp_path: Path) -> None:
    entries = [
        {"slug": "a", "display_name": "A", "supported_reasoning_levels": [{"effort": "low"}], "context_window": 1000},
        {"slug": "b", "visibility": "hide"},
        {"no": "slug"},
        5,
    ]
    (tmp_path / "models.json").write_text(json.dumps({"models": entries}))
    text = 'model_catalog_json = "models.json"\nmodel = "a"\n'
    (model,) = ask(_catalogs.model_list, tmp_path, text)["data"]
    assert (model["id"], model["displayName"], model["isDefault"]) == ("a", "A", True)
    assert [effort["reasoningEffort"] for effort in model["supportedReasoningEfforts"]] == ["low"]
    assert models(tmp_path, includeHidden=True) == ["a", "b"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"models": 5}', "[" * 3000])
def test_a_catalog_that_is_none_does_not_take_the_models_away(tmp_path: Path, text: str) -> None:
    (tmp_path / "models.json").write_text(text)
    assert "gpt-6.1-sol" in models(tmp_path, 'model_catalog_json = "models.json"\n')


def test_pages_follow_each_other(tmp_path: Path) -> None:
    first = ask(_catalogs.model_list, tmp_path, limit=4)
    rest = ask(_catalogs.model_list, tmp_path, cursor=first["nextCursor"])
    assert first["nextCursor"] == "4"
    assert rest["nextCursor"] is None
    assert [model["id"] for model in first["data"] + rest["data"]] == models(tmp_path)
    assert len(models(tmp_path, limit=0)) == 1
    assert models(tmp_path, cursor="9") == []


@pytest.mark.parametrize(
    ("handler", "cursor", "message"),
    [
        (_catalogs.model_list, "zz", "invalid cursor: zz"),
        (_catalogs.model_list, "-1", "invalid cursor: -1"),
        (_catalogs.model_list, "\u0663", "invalid cursor: \u0663"),
        (_catalogs.model_list, "99", "cursor 99 exceeds total models 9"),
        (_catalogs.permission_profile_list, "7", "cursor 7 exceeds total permission profiles 3"),
        (_catalogs.experimental_feature_list, "1", "cursor 1 exceeds total feature flags 0"),
    ],
)
def test_a_cursor_that_is_none_is_refused(tmp_path: Path, handler: Any, cursor: str, message: str) -> None:
    with pytest.raises(RpcError) as caught:
        ask(handler, tmp_path, cursor=cursor)
    assert (caught.value.code, caught.value.message) == (-32600, message)


def test_permission_profiles_of_the_configuration_are_listed_after_those_built_in(tmp_path: Path) -> None:
    text = '[permissions.dev]\ndescription = "mine"\n[permissions.dev.filesystem]\n":minimal" = "read"\n'
    answer = ask(_catalogs.permission_profile_list, tmp_path, text)
    assert [profile["id"] for profile in answer["data"]] == [":read-only", ":workspace", ":danger-full-access", "dev"]
    assert answer["data"][-1] == {"id": "dev", "description": "mine", "allowed": True}


def test_every_folder_has_no_skills(tmp_path: Path) -> None:
    assert ask(_catalogs.skills_list, tmp_path)["data"] == [{"cwd": "/work", "skills": [], "errors": []}]
    answer = ask(_catalogs.skills_list, tmp_path, cwds=["/a", "/b"])
    assert [entry["cwd"] for entry in answer["data"]] == ["/a", "/b"]


def test_the_modes_of_collaboration_are_those_of_codex(tmp_path: Path) -> None:
    assert [mode["mode"] for mode in ask(_catalogs.collaboration_mode_list, tmp_path)["data"]] == ["plan", "default"]


def test_the_engine_promises_no_images_and_no_searches(tmp_path: Path) -> None:
    assert ask(_catalogs.model_provider_capabilities_read, tmp_path) == {"imageGeneration": False, "webSearch": False}
