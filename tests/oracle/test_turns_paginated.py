"""The oracle of turns and items answers what Codex 0.169.0 answered, for every recorded case."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from tests.oracle import thread_items, turns_paginated

FIXTURES: Final = Path(__file__).parent.parent / "fixtures" / "items"
SUBJECTS: Final = sorted(path.stem for path in FIXTURES.glob("*.json"))
CASES: Final = [
    pytest.param(subject, place, id=f"{subject}: {case['name']}")
    for subject in SUBJECTS
    for place, case in enumerate(json.loads((FIXTURES / f"{subject}.json").read_text(encoding="utf-8")))
]


@cache
def cases_of(subject: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((FIXTURES / f"{subject}.json").read_text(encoding="utf-8"))
    return cases


def segments_of(case: dict[str, Any], *, cut: bool) -> list[dict[str, Any]]:
    """The lineage of a case; not ``cut``: with what a parent wrote after the child began."""
    return [
        {
            "records": [
                (0, line if isinstance(line, dict) else None)
                for line in segment["records"] + ([] if cut else segment.get("later", []))
            ]
        }
        for segment in case["segments"]
    ]


def exact(value: Any) -> str:
    """``value`` with the order of its members and the types of its numbers; agents' states have no order."""
    if isinstance(value, list):
        return "[" + ",".join(map(exact, value)) + "]"
    if isinstance(value, dict):
        names = sorted(value["agentsStates"]) if "agentsStates" in value else []
        members = {
            **value,
            **({"agentsStates": [(name, value["agentsStates"][name]) for name in names]} if names else {}),
        }
        return "{" + ",".join(f"{json.dumps(name)}:{exact(member)}" for name, member in members.items()) + "}"
    if isinstance(value, tuple):
        return exact(list(value))
    return json.dumps(value)


def test_there_are_recordings() -> None:
    assert len(CASES) > 300


@pytest.mark.parametrize(("subject", "place"), CASES)
def test_lists_are_those_of_codex(subject: str, place: int) -> None:
    case = cases_of(subject)[place]
    segments = segments_of(case, cut=False)
    assert exact(turns_paginated.list_turns(segments)) == exact(case["turns"])
    assert exact(turns_paginated.list_summaries(segments)) == exact(case["summaries"])
    assert exact(turns_paginated.list_items(segments)) == exact(case["items"])


@pytest.mark.parametrize(("subject", "place"), [case for case in CASES if str(case.values[0]) == "lineages"])
def test_what_a_parent_wrote_later_changes_no_item_of_a_child(subject: str, place: int) -> None:
    case = cases_of(subject)[place]
    cut, whole = segments_of(case, cut=True), segments_of(case, cut=False)
    assert turns_paginated.list_items(cut) == turns_paginated.list_items(whole)
    assert [turn["id"] for turn in turns_paginated.list_turns(cut)] == [
        turn["id"] for turn in turns_paginated.list_turns(whole)
    ]


@pytest.mark.parametrize("case", [case for case in cases_of("pages") if "pages" in case], ids=lambda case: case["name"])
def test_pages_are_those_of_codex(case: dict[str, Any]) -> None:
    segments = segments_of(case, cut=False)
    thread = turns_paginated.first_payload(segments[-1])["id"]
    rows = [(row["ordinal"], row["id"], "") for row in turns_paginated.newest_rows(segments)]
    items = [(entry["ordinal"], entry["item"]["id"], entry["turn"]) for entry in turns_paginated.entries(segments)]
    for recorded in case["pages"]:
        params = recorded["params"]
        of_items = recorded["method"] == "thread/items/list"
        wanted = [
            entry
            for entry in (items if of_items else rows)
            if params.get("turnId") is None or entry[2] == params["turnId"]
        ]
        places, following, backwards = turns_paginated.page(
            [ordinal for ordinal, _, _ in wanted],
            thread,
            "itemsByCreatedAtOrdinal" if of_items else "turns",
            limit=params["limit"],
            descending=params["sortDirection"] == "desc",
            cursor=params.get("cursor"),
        )
        answer = ([wanted[place][1] for place in places], following, backwards)
        assert answer == (recorded["ids"], recorded["nextCursor"], recorded["backwardsCursor"]), recorded


@pytest.mark.parametrize(
    "case", [case for case in cases_of("pages") if "deferred" in case], ids=lambda case: case["name"]
)
def test_deferred_outputs_are_those_of_codex(case: dict[str, Any]) -> None:
    entries = turns_paginated.list_items(segments_of(case, cut=False))
    answer = [turns_paginated.deferred(entry, commands=True, mcp_calls=True) for entry in entries]
    assert exact(answer) == exact(case["deferred"])


def test_a_single_item_is_shown_without_its_record() -> None:
    item = {"type": "Plan", "id": "p", "text": "t"}
    shown = {"type": "plan", "id": "p", "text": "t", "startedAtMs": 1, "completedAtMs": None}
    assert thread_items.thread_item(item, 1, 0) == shown
    assert thread_items.thread_item({**item, "text": 5}) is None


def test_the_true_texts_are_not_here() -> None:
    for placeholder, (length, digest) in thread_items.TRUE_TEXTS.items():
        assert len(placeholder) != length
        assert hashlib.sha256(placeholder.encode()).hexdigest() != digest
