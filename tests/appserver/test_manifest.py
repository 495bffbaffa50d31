"""The manifest says what is done with every method and message, and the code does that."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from threadkeep.appserver import _manifest as manifest
from threadkeep.appserver._manifest import DIVERGENCES, METHOD_NAMES, METHODS, NOTIFICATIONS, SERVER_REQUESTS
from threadkeep.appserver._manifest_reference import reference
from threadkeep.appserver._param_tables import TABLES

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "threadkeep" / "appserver"

HANDLERS = {name: method.handler for name, method in METHODS.items() if method.handler is not None}
NAMED = "\n".join(
    path.read_text(encoding="utf-8")
    for path in sorted(SOURCES.rglob("*.py"))
    if not path.name.startswith(("_manifest", "_param"))
)
"""The code that could name a message in order to send it."""


def test_every_method_has_one_place() -> None:
    implemented = [
        names for lanes in manifest._IMPLEMENTED.values() for names in re.findall(r"[\w/]*/\w+|get\w+", lanes)
    ]
    refused = [name for names in manifest._REFUSED.values() for name in names.split()]
    placed = ["initialize", *implemented, *manifest._EMPTY, *refused]
    assert sorted(placed) == sorted(METHOD_NAMES)
    assert tuple(METHODS) == METHOD_NAMES


def test_every_message_has_one_place() -> None:
    never = [name for names in manifest._NEVER.values() for name in names.split()]
    assert len(NOTIFICATIONS) == len(manifest._SENT) + len(never) == 86
    assert len(SERVER_REQUESTS) == 11
    assert {message.status for message in (*NOTIFICATIONS.values(), *SERVER_REQUESTS.values())} == {"sent", "never"}


@pytest.mark.parametrize("name", HANDLERS)
def test_every_implemented_method_is_there(name: str) -> None:
    module, _, function = HANDLERS[name].partition(":")
    assert callable(getattr(importlib.import_module(f"threadkeep.appserver._methods.{module}"), function))


def test_handlers_are_named_after_their_methods() -> None:
    assert METHODS["thread/turns/list"].handler == "_lists:thread_turns_list"
    assert METHODS["thread/memoryMode/set"].handler == "_manage:thread_memory_mode_set"
    assert METHODS["thread/inject_items"].handler == "_turns:thread_inject_items"
    assert METHODS["getAuthStatus"].handler == "_account:get_auth_status"
    assert [name for name, method in METHODS.items() if method.status == "implemented" and not method.handler] == [
        "initialize"
    ]


def test_what_is_ordered_by_thread_names_its_thread() -> None:
    ordered = {name for name, method in METHODS.items() if method.lane != "none"}
    named = {
        name
        for name, table in TABLES.items()
        if any(field.name == "threadId" and field.required for field in getattr(table, "fields", ()))
    }
    assert ordered == named


def test_only_what_is_empty_has_an_answer() -> None:
    for name, method in METHODS.items():
        assert (method.answer is not None) == (method.status == "empty"), name
        assert bool(method.note) or method.status != "refused", name


@pytest.mark.parametrize("name", [*NOTIFICATIONS, *SERVER_REQUESTS])
def test_what_is_sent_is_in_the_code_and_nothing_else(name: str) -> None:
    named = f'"{name}"' in NAMED
    assert {**NOTIFICATIONS, **SERVER_REQUESTS}[name].status == ("sent" if named else "never")


def test_a_refusal_names_the_method() -> None:
    assert manifest.refusal("command/exec") == "`command/exec` is not supported by threadkeep"


def test_divergences_have_ids_of_their_own_and_say_everything() -> None:
    assert len({one.id for one in DIVERGENCES}) == len(DIVERGENCES)
    assert all(all(one) for one in DIVERGENCES)


def test_the_document_is_in_step() -> None:
    document = ROOT / "docs" / "app-server.md"
    made = "python -m threadkeep.appserver._manifest_reference > docs/app-server.md"
    assert document.read_text(encoding="utf-8") == reference(), made


def test_the_document_has_every_name() -> None:
    text = reference()
    for name in (*METHOD_NAMES, *NOTIFICATIONS, *SERVER_REQUESTS, *(one.id for one in DIVERGENCES)):
        assert f"| `{name}` |" in text, name


def test_the_manifest_loads_nothing() -> None:
    code = (
        "import sys, threadkeep.appserver._manifest; "
        "print(sorted({'msgspec', 'asyncio', 'sqlite3', 'click', 'dataclasses', 'inspect'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_parameters_are_checked_without_a_class_for_each_method() -> None:
    assert not any(isinstance(table, type | msgspec.Struct) for table in TABLES.values())
