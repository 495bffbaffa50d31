"""Every trap has its tests, by number, on every store to which it applies."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest

TRAPS: Final = range(1, 38)

ELSEWHERE: Final = {
    30: "appserver/test_fork_race.py",
}
"""Traps that no store can fall into, and the tests of what can: no store sends notifications, the app-server does."""

FILES_ALONE: Final = {
    4: "only files have hard links",
    12: "100 MB are measured in a process of their own, over a file",
    19: "only files have names with a time, and folders of a day",
    29: "only files are compressed",
}
"""Traps that concern the local store alone, and why."""

BOUND: Final = {
    22: "the store that cannot keep a history base is one that a test makes for it",
}
"""Traps that are tried on a store of their own."""

FIXTURES: Final = frozenset({"ground", "lineage"})
"""What runs a test in a home, in a home that Codex uses, and in memory."""


def by_number() -> dict[int, dict[str, set[str]]]:
    """The tests of each trap, each with the names of its arguments."""
    found: dict[int, dict[str, set[str]]] = {}
    for path in sorted(Path(__file__).parent.glob("test_traps_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and (match := re.fullmatch(r"test_trap_(\d\d)_\w+", node.name)):
                arguments = {argument.arg for argument in node.args.args}
                found.setdefault(int(match[1]), {})[node.name] = arguments
            elif isinstance(node, ast.FunctionDef):
                assert not node.name.startswith("test_"), f"{node.name} names no trap"
    return found


TESTS: Final = by_number()


@pytest.mark.parametrize("number", TRAPS)
def test_every_trap_that_concerns_the_store_has_a_test(number: int) -> None:
    assert (number in TESTS) != (number in ELSEWHERE)


@pytest.mark.parametrize("number", ELSEWHERE)
def test_a_trap_of_another_layer_has_its_test_there(number: int) -> None:
    tests = ast.parse((Path(__file__).parent.parent / ELSEWHERE[number]).read_text(encoding="utf-8")).body
    names = [node.name for node in tests if isinstance(node, ast.FunctionDef)]
    assert any(name.startswith(f"test_trap_{number:02}_") for name in names)


@pytest.mark.parametrize("number", [number for number in TRAPS if number not in {*ELSEWHERE, *FILES_ALONE, *BOUND}])
def test_every_trap_is_tried_on_every_store(number: int) -> None:
    assert any(arguments & FIXTURES for arguments in TESTS[number].values())


@pytest.mark.parametrize("number", [*FILES_ALONE, *BOUND])
def test_what_is_tried_on_one_store_alone_is_listed_as_such(number: int) -> None:
    assert not any(arguments & FIXTURES for arguments in TESTS[number].values())


def test_no_test_names_a_trap_that_is_none() -> None:
    assert set(TESTS) <= set(TRAPS)
