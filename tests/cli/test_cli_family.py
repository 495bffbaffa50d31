"""``threadkeep tree`` and ``threadkeep du``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from threadkeep.cli._family import _walk
from threadkeep.store._models import TreeNode

if TYPE_CHECKING:
    from tests.cli.conftest import Home

NODE_KEYS = set("id title relation archived deleted ownBytes inheritedBytes updatedMs parentId depth".split())
FAMILY_KEYS = set("root title threads rollouts ownBytes inheritedBytes duplicatedBytes pinnedBytes".split())
TOTAL_KEYS = FAMILY_KEYS - {"root", "title"}


@pytest.fixture
def family(home: Home) -> tuple[str, str, str, str]:
    """A thread, two forks of it, and a fork of the first."""
    root = home.thread("one", "two", name="the root")
    first, second = (home("fork", root).out.strip() for _ in range(2))
    return root, first, home("fork", first).out.strip(), second


def test_parents_stand_above_their_children_on_branches(home: Home, family: tuple[str, ...]) -> None:
    lines = home("tree").out.splitlines()
    assert tuple(line.split()[0] for line in lines) == family
    assert lines[0].endswith("-  the root")
    assert [re.split(r" {2,}", line, maxsplit=3)[3] for line in lines[1:]] == ["├─ one", "│  └─ one", "└─ one"]


def test_of_one_thread_its_family_alone(home: Home, family: tuple[str, ...]) -> None:
    other = home.thread("something else")
    shown = home("tree", family[1]).out
    assert other not in shown
    assert family[0] in shown
    assert other in home("tree").out


def test_tree_json_says_parent_and_depth(home: Home, family: tuple[str, ...]) -> None:
    data = home("tree", "--json").json["data"]
    assert [(node["id"], node["parentId"], node["depth"]) for node in data] == [
        (family[0], None, 0),
        (family[1], family[0], 1),
        (family[2], family[1], 2),
        (family[3], family[0], 1),
    ]
    assert all(set(node) == NODE_KEYS for node in data)
    assert data[0]["inheritedBytes"] == 0
    assert data[1]["inheritedBytes"] > data[1]["ownBytes"]


def test_a_tree_may_be_thousands_of_forks_deep() -> None:
    node = TreeNode("0", "", "fork", False, False, 0, 0, 0, [])
    for number in range(5_000):
        node = TreeNode(str(number), "", "fork", False, False, 0, 0, 0, [node])
    assert sum(1 for _ in _walk([node])) == 5_001


def test_du_adds_up(home: Home, family: tuple[str, ...]) -> None:
    home.thread("something else")
    answer = home("du", "--json").json
    assert set(answer) == {"data", "total"}
    assert set(answer["total"]) == TOTAL_KEYS
    assert all(set(one) == FAMILY_KEYS for one in answer["data"])
    assert {one["root"]: one["threads"] for one in answer["data"]}[family[0]] == 4
    assert answer["total"]["ownBytes"] == sum(rollout.stat().st_size for rollout in home.rollouts())


def test_of_an_empty_home_is_said_that_it_is_empty(home: Home) -> None:
    home.path.mkdir()
    for command in (("tree",), ("du",), ("verify", "--all")):
        told = home(*command)
        assert (told.code, told.out, told.err) == (0, "", f"no threads in {home.path}\n")


def test_du_for_people_ends_with_the_sum(home: Home, family: tuple[str, ...]) -> None:
    home.thread("something else")
    lines = home("du").out.splitlines()
    assert len(lines) == 4
    assert lines[0].split() == ["FAMILY", "OF", "THREADS", "OWN", "INHERITED", "DUPLICATED", "PINNED", "TITLE"]
    assert lines[-1].startswith("2 families")
    assert lines[-1].endswith("in all")
    assert lines[-1].split()[2] == "5"
