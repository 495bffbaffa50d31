"""Turns and items are what the real app-server showed for the same rollouts, read backwards."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
from tests.oracle import turns_paginated as oracle
from tests.support import BytesSource, MemoryLibrary, dump

from threadkeep.lineage import Lineage
from threadkeep.records import Cost
from threadkeep.replay import _legacy
from threadkeep.replay._reader import TurnReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from threadkeep.replay._turn import ItemsView

Json = dict[str, Any]
FIXTURES: Final = Path(__file__).parent.parent / "fixtures"


def recorded(folder: str) -> list[tuple[str, Json]]:
    return [
        (f"{path.stem}: {case['name']}", case)
        for path in sorted((FIXTURES / folder).glob("*.json"))
        for case in json.loads(path.read_text())
    ]


def line_of(record: Any) -> bytes:
    return dump(record) if isinstance(record, dict) else record.encode() if isinstance(record, str) else b""


def turns_of(files: Sequence[tuple[str, bytes]], view: ItemsView) -> list[Json]:
    """The turns of a lineage whose rollouts are given oldest first, oldest turn first."""
    library = MemoryLibrary()
    sources = [library.add(rollout, data) for rollout, data in files]
    tip: BytesSource = sources[-1]
    with Lineage(library, tip, tip.rollout_id, Cost()) as lineage:
        turns = [entry.turn for entry in TurnReader(lineage, view, first_start=lambda _: None)]
    return [json.loads(msgspec.json.encode(turn)) for turn in reversed(turns)]


# --- paginated -------------------------------------------------------------------------------------------------------

PAGINATED_OTHERWISE: Final = {
    "item_rows: events": "exotic members that nobody writes",
    "item_rows: times of records": "a wrong write time does not hide an item",
    "ordinals: the same one twice": "ordinals that repeat hide nothing: what stands in the file is shown",
    "ordinals: the same one twice, of turns": "the same",
    "ordinals: a step back": "the same",
    "ordinals: none": "the same",
    "ordinals: that of a record that says nothing": "the same",
    "ordinals: that of an unknown response item": "the same",
    "ordinals: that of a record with a wrong time": "the same",
    "ordinals: a high one of a record with a wrong time": "the same",
    "ordinals: the first record has 5": "the same",
    "ordinals: a copied prefix with steps back": "the same",
    "ordinals: that of an unknown record": "the same",
    "ordinals: that of an unknown event": "the same",
    "ordinals: one that is as a float": "the same",
    "ordinals: one that is as a text": "the same",
    "ordinals: one that is negative": "the same",
    "ordinals: one that is null": "the same",
    "ordinals: one that is true": "the same",
    "ordinals: the first record has None": "the same",
    "lineages: ordinals of a child": "the same",
    "reviews: reviews 1": "the sentence for an empty review is our own",
    "shell_words: shell_words 1": "the sentence for a command that holds a NUL is our own",
    "turn_rows: aborted, for an unknown reason": "words that 0.169 does not know may be a newer version's",
    "turn_rows: a start with an unknown mode": "the same",
    "turn_rows: two turns at once": "one turn runs at a time",
    "turn_rows: a start with times beyond 64 bits": "exotic members that nobody writes",
    "turn_rows: a start with an attribution with a wrong path": "the same",
    "turn_rows: a start with an unknown member beyond 64 bits": "the same",
    "summaries: a final answer that becomes a plan, running": "an item keeps its type",
    "summaries: a final answer that becomes a plan, completed": "the same",
    "summaries: a final answer that becomes a plan, aborted before it starts": "the same",
    "summaries: a final answer that becomes a plan, started last": "the same",
    "summaries: a user message that becomes an answer, completed": "the same",
}
"""Where the answer differs from the real server's on purpose, by case."""


def segments_of(case: Json) -> list[Json]:
    return [
        {"records": [(0, record if isinstance(record, dict) else None) for record in segment["records"]]}
        for segment in case["segments"]
    ]


def files_of(case: Json) -> list[tuple[str, bytes]]:
    """The rollouts of a case, each cut where its child begins."""
    files: list[tuple[str, bytes]] = []
    for segment in case["segments"]:
        records = json.loads(json.dumps(segment["records"]))
        first = next(record for record in records if isinstance(record, dict))
        base = first["payload"].get("history_base")
        if base is not None and files:
            base["end_byte_offset"] = len(files[-1][1])
        files.append((first["payload"]["id"], b"".join(line_of(record) + b"\n" for record in records)))
    return files


def one_at_a_time(case: Json) -> bool:
    """Whether each turn's starts and ends stand together and its items not before them, as every writer leaves them."""
    seen: list[str] = []
    for segment in case["segments"]:
        for record in segment["records"]:
            payload = record.get("payload", {}) if isinstance(record, dict) else {}
            turn, kind = payload.get("turn_id"), payload.get("type")
            if not isinstance(turn, str):
                continue
            if kind == "item_completed" and turn not in seen:
                return False
            if kind in {"task_started", "task_complete", "turn_aborted", "turn_started", "turn_complete"} and (
                not seen or seen[-1] != turn
            ):
                if turn in seen:
                    return False
                seen.append(turn)
    return True


PAGINATED_CASES: Final = [
    pytest.param(case, id=name)
    for name, case in recorded("items")
    if name not in PAGINATED_OTHERWISE and (not name.startswith(("random", "lineages")) or one_at_a_time(case))
]


@pytest.mark.parametrize("case", PAGINATED_CASES)
def test_turns_of_a_paginated_lineage_are_those_of_its_records(case: Json) -> None:
    assert turns_of(files_of(case), "full") == json.loads(json.dumps(oracle.list_turns(segments_of(case))))


@pytest.mark.parametrize("case", PAGINATED_CASES)
def test_summaries_of_a_paginated_lineage_are_those_of_its_records(case: Json) -> None:
    assert turns_of(files_of(case), "summary") == json.loads(json.dumps(oracle.list_summaries(segments_of(case))))


@pytest.mark.parametrize("case", PAGINATED_CASES)
def test_turns_without_items_need_no_item(case: Json) -> None:
    expected = json.loads(json.dumps(oracle.list_not_loaded(segments_of(case))))
    assert turns_of(files_of(case), "notLoaded") == expected


def test_the_paginated_corpus_is_there() -> None:
    names = {name for name, _ in recorded("items")}
    assert names >= PAGINATED_OTHERWISE.keys()
    assert len(PAGINATED_CASES) > 270


# --- legacy ----------------------------------------------------------------------------------------------------------

LEGACY_OTHERWISE: Final = {
    "boundaries: an end of an unknown turn ends the open one": "an end that names another turn ends no other",
    "boundaries: two turns of one id": "the nearest turn of an id is meant, not the first",
    "boundaries: unknown collaboration mode": "words that 0.169 does not know may be a newer version's",
    "endings: a reason that nobody knows": "the same",
    "calls: a call with the id of a message": "ids made up here never meet ids of calls",
    "lifecycle_items: plans": "ids of turns without a start are made up otherwise",
    "lifecycle_items: reviews": "the sentence for an empty review is our own",
    "lifecycle_items: what reviews say": "the same",
}
"""Where the answer differs from the real server's on purpose, by case."""

LEGACY_CASES: Final = [pytest.param(case, id=name) for name, case in recorded("legacy") if name not in LEGACY_OTHERWISE]


@pytest.fixture
def _without_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real server loses the tool calls of legacy threads."""
    monkeypatch.setattr(_legacy.LegacyBuilder, "_call", lambda *_: None)


def neutral(turns: list[Json]) -> list[Json]:
    """Without the ids that the real server counts from the beginning of the file."""
    made = json.loads(json.dumps(turns))
    for turn in made:
        turn["id"] = re.sub(r"^rollout-\d+$", "rollout", turn["id"])
        for item in turn["items"]:
            item["id"] = re.sub(r"^item-\d+$", "item", item["id"])
            if item["type"] == "hookPrompt":
                item["id"] = item["id"].replace("<invented>", "item")
    result: list[Json] = made
    return result


def legacy_file(case: Json) -> tuple[str, bytes]:
    first = next(r for r in case["records"] if isinstance(r, dict) and r.get("type") == "session_meta")
    return first["payload"]["id"], b"".join(line_of(record) + b"\n" for record in case["records"])


@pytest.mark.usefixtures("_without_calls")
@pytest.mark.parametrize("case", LEGACY_CASES)
def test_turns_of_a_legacy_rollout_are_those_that_codex_shows(case: Json) -> None:
    assert neutral(turns_of([legacy_file(case)], "full")) == neutral(case["turns"])


@pytest.mark.usefixtures("_without_calls")
@pytest.mark.parametrize("case", LEGACY_CASES)
def test_summaries_of_a_legacy_rollout_are_those_that_codex_shows(case: Json) -> None:
    assert neutral(turns_of([legacy_file(case)], "summary")) == neutral(case["summary"])


@pytest.mark.parametrize("case", LEGACY_CASES)
def test_rebuilt_calls_change_nothing_else(case: Json) -> None:
    shown = turns_of([legacy_file(case)], "full")
    known = {(turn["id"], item["id"]) for turn in neutral(case["turns"]) for item in turn["items"]}
    kept = [
        {**turn, "items": [item for item in turn["items"] if (turn["id"], item["id"]) in known]}
        for turn in neutral(shown)
    ]
    assert kept == neutral(case["turns"])


def test_the_legacy_corpus_is_there() -> None:
    names = {name for name, _ in recorded("legacy")}
    assert names >= LEGACY_OTHERWISE.keys()
    assert len(LEGACY_CASES) > 130
