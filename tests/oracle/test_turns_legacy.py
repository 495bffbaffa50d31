"""The naive transcription of legacy turns equals what the real binary answered (``tests/codex/record_legacy.py``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from tests.oracle.turns_legacy import legacy_turns, not_loaded_view, summary_view

JsonObject = dict[str, Any]

FIXTURES: Final = Path(__file__).parent.parent / "fixtures" / "legacy"

CASES: Final = [
    pytest.param(case, id=f"{path.stem}: {case['name']}")
    for path in sorted(FIXTURES.glob("*.json"))
    for case in json.loads(path.read_text(encoding="utf-8"))
]


def decoded(line: JsonObject | str) -> JsonObject | None:
    """The line as a reader of the file decodes it."""
    if isinstance(line, dict):
        return line
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def records_of(case: JsonObject) -> list[tuple[int, JsonObject | None]]:
    """(byte offset, decoded line) of the case's file."""
    records, offset = [], 0
    for line in case["records"]:
        text = line if isinstance(line, str) else json.dumps(line, ensure_ascii=False, separators=(",", ":"))
        records.append((offset, decoded(line)))
        offset += len(text.encode()) + 1
    return records


@pytest.mark.parametrize("case", CASES)
def test_turns_of_a_legacy_rollout_are_those_that_codex_shows(case: JsonObject) -> None:
    assert legacy_turns(records_of(case)) == case["turns"]


@pytest.mark.parametrize("case", CASES)
def test_summaries_of_a_legacy_rollout_are_those_that_codex_shows(case: JsonObject) -> None:
    turns = legacy_turns(records_of(case))
    summary: list[JsonObject] = case["summary"]
    assert summary_view(turns) == summary
    assert not_loaded_view(turns) == not_loaded_view(summary)


def test_there_are_cases_enough() -> None:
    assert len(CASES) >= 140
