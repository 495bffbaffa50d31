"""The model context by the plain definition is what the real Codex binary made of the same rollout.

One test per recorded case of ``tests/fixtures/context``; ``tests/codex/record_context.py`` made them and says what they
hold.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.codex.record_context import THREAD, encode, expand, session_meta
from tests.oracle import context as oracle

FIXTURES = Path(__file__).parent.parent / "fixtures" / "context"
CASES: list[dict[str, Any]] = [
    case for path in sorted(FIXTURES.glob("*.json")) for case in json.loads(path.read_text())
]


def decoded(lines: list[Any], mode: str) -> list[oracle.Record]:
    """The records that the lines of a rollout hold, as they would be written."""
    bytes_of = [encode(line, number if mode == "paginated" else None) for number, line in enumerate(lines)]
    return [record for record in map(oracle.decode_line, bytes_of) if record is not None]


def first_of(case: dict[str, Any]) -> oracle.Payload:
    """The payload of the first record of the case's current rollout."""
    payload: oracle.Payload = session_meta(THREAD, case["mode"], case.get("session_meta", {}))["payload"]
    return payload


def segments_of(case: dict[str, Any]) -> list[list[oracle.Record]]:
    return [decoded(expand(part["records"]), case["mode"]) for part in [*case.get("ancestors", []), case]]


def records_of(case: dict[str, Any]) -> list[oracle.Record]:
    segments = segments_of(case)
    return oracle.lineage(segments) if case["mode"] == "paginated" else segments[0]


def context_of(case: dict[str, Any]) -> oracle.Context:
    return oracle.reconstruct(records_of(case), case["mode"], first_of(case))


def unreadable(case: dict[str, Any]) -> bool:
    """A legacy rollout with one byte of invalid UTF-8, or a thread whose provider is gone, has no context at all."""
    return "error" in case["observed"]


def name_of(case: dict[str, Any]) -> str:
    return f"{case['mode']}: {case['name']}"


readable = pytest.mark.parametrize("case", [case for case in CASES if not unreadable(case)], ids=name_of)


def test_the_corpus_is_there() -> None:
    assert len(CASES) >= 80
    assert len({name_of(case) for case in CASES}) == len(CASES)


@readable
def test_model_is_sent_the_history(case: dict[str, Any]) -> None:
    context = context_of(case)
    assert oracle.model_input(context) == expand(case["input"])


@readable
def test_next_turn_is_compared_with_the_reference_and_the_world_state(case: dict[str, Any]) -> None:
    context = context_of(case)
    observed = case["observed"]
    assert observed["settings_written"] == (context.reference_context is None)
    if context.reference_context is None or context.world_state is None:
        assert observed["world_state"] == "full"
    else:
        assert observed["world_state"] == "patch"
        assert observed["forgotten"] == sorted(context.world_state)


@readable
def test_next_compaction_goes_on_from_the_window(case: dict[str, Any]) -> None:
    window = context_of(case).window
    observed = case["observed"]
    assert observed["window_number"] == min(window.number + 1, 2**64 - 1)
    assert observed["previous_window_id"] == window.id
    assert observed["first_window_id"] == (window.first_id or window.id)


@readable
def test_next_compaction_keeps_the_previous_settings(case: dict[str, Any]) -> None:
    assert case["observed"]["previous_turn_settings"] == context_of(case).previous_turn_settings


@readable
def test_tokens_are_counted_on(case: dict[str, Any]) -> None:
    context = context_of(case)
    info = context.token_info
    totals = info and [info[key]["total_tokens"] for key in ("total_token_usage", "last_token_usage")]
    assert case["observed"]["token_info"] == totals
    assert case["observed"]["usage_note"] in ([None] if case["mode"] == "legacy" else [None, totals])
    assert case["observed"]["thread_tokens"] == context.thread_tokens


@readable
def test_thread_resumes_with_its_settings(case: dict[str, Any]) -> None:
    expected = {
        "model": "model-a",
        "reasoning_effort": None,
        "approval_policy": "never",
        "collaboration_mode": "default",
    }
    expected |= oracle.resumed_settings(records_of(case), segments_of(case)[-1], case["mode"], first_of(case))
    resumed = case["observed"]["resumed"]
    assert {key: resumed[key] for key in expected} == expected


@pytest.mark.parametrize("case", [case for case in CASES if unreadable(case)], ids=name_of)
def test_unreadable_threads_have_a_known_reason(case: dict[str, Any]) -> None:
    no_text = any(isinstance(line, dict) and "hex" in line for line in case["records"])
    assert (no_text and case["mode"] == "legacy") or case["session_meta"]["model_provider"] == "gone"
