"""The model context is what the real Codex sent for the same rollout, whichever way it is computed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.codex.record_context import THREAD, encode, expand, session_meta
from tests.oracle import context as oracle
from tests.support import BytesSource, MemoryLibrary, dump

from threadkeep.lineage import Lineage
from threadkeep.records import Cost
from threadkeep.replay import _spoken
from threadkeep.replay._replay import read_context

if TYPE_CHECKING:
    from threadkeep.replay._context import ModelContext

FIXTURES = Path(__file__).parent.parent / "fixtures" / "context"
CASES: list[dict[str, Any]] = [
    case for path in sorted(FIXTURES.glob("*.json")) for case in json.loads(path.read_text())
]


LENIENT = {
    "boundary: envelope: with a key twice": "a decoder that keeps the last of two keys cannot see the first",
    "numbers": "integers beyond 64 bits stay bytes and are passed on",
    "depth": "values nested deeper than 127 levels stay bytes and are passed on",
    "response item: message": "a phase that 0.169 does not know may be a newer version's",
    "response item: content": "a detail that 0.169 does not know may be a newer version's",
    "task started: collaboration_mode_kind 'x'": "a mode that 0.169 does not know may be a newer version's",
    "turn context: summary 'x'": "words that 0.169 does not know may be a newer version's",
    "turn context: sandbox_policy {'type': 'x'}": "the same",
    "turn context: permission_profile {'type': 'x'}": "the same",
    "turn context: multi_agent_version 'x'": "the same",
    "turn context: collaboration_mode {'mode': 'x', 'settings': {'model': 'm'}}": "the same",
    "turn context: approvals_reviewer 'x'": "the same",
    "turn context: approval_policy 'x'": "the same",
}
"""Where a record counts here and not for 0.169.0, on purpose: what can be read is read."""


def placeholder(text: str) -> Any:
    return _spoken._Sentence(len(text), hashlib.sha256(text.encode()).hexdigest())


@pytest.fixture(autouse=True)
def _placeholders(monkeypatch: pytest.MonkeyPatch) -> None:
    """The corpus holds placeholders where Codex's own sentences stood."""
    monkeypatch.setattr(_spoken, "SUMMARY_PREFIX", placeholder("SUMMARY-PREFIX"))
    monkeypatch.setattr(_spoken, "_BEGINNINGS", (placeholder("WARNING-1"), placeholder("WARNING-2")))
    monkeypatch.setattr(_spoken, "_FLAG", (placeholder("WARNING-3-BEGIN"), placeholder("WARNING-3-END")))
    monkeypatch.setattr(_spoken, "_WARNING_START", "WARNING-")


def library_of(case: dict[str, Any]) -> tuple[MemoryLibrary, BytesSource]:
    """The rollouts of a case, as they were written."""
    library = MemoryLibrary()
    parts = [*case.get("ancestors", []), case]
    base: dict[str, Any] | None = None
    source: BytesSource | None = None
    for number, part in enumerate(parts):
        thread = THREAD if number == len(parts) - 1 else f"{number:08x}-0000-7000-8000-000000000000"
        overrides = dict(part.get("session_meta", {}))
        meta = session_meta(thread, case["mode"], overrides)
        start = 0
        if base is not None:
            meta["payload"]["history_base"] = base
            start = base["end_ordinal_exclusive"]
        lines = [meta, *expand(part["records"])]
        paginated = case["mode"] == "paginated"
        data = b"".join(encode(line, start + index if paginated else None) + b"\n" for index, line in enumerate(lines))
        source = library.add(thread, data)
        base = {"thread_id": thread, "end_ordinal_exclusive": start + len(lines), "end_byte_offset": len(data)}
    assert source is not None
    return library, source


def context_of(case: dict[str, Any], *, bounded: bool) -> ModelContext:
    library, tip = library_of(case)
    with Lineage(library, tip, THREAD, Cost()) as lineage:
        return read_context(lineage, library if bounded else None)


def name_of(case: dict[str, Any]) -> str:
    return f"{case['mode']}: {case['name']}"


readable = pytest.mark.parametrize(
    "case", [case for case in CASES if "error" not in case["observed"] and case["name"] not in LENIENT], ids=name_of
)
both_ways = pytest.mark.parametrize("bounded", [True, False], ids=["bounded", "full"])


def without_unknown(items: list[Any]) -> list[Any]:
    """Codex sends items of unknown type that a checkpoint holds as empty shells, which no provider takes; we do not."""
    return [item for item in items if item != {"type": "other"}]


def with_header(item: Any) -> Any:
    """The corpus holds a placeholder where the header of an encrypted communication stood."""
    content = item.get("content") or [{}]
    if item["type"] != "agent_message" or not content[0].get("text", "").startswith("INTER-AGENT-HEADER "):
        return item
    _, kind, task, sender = content[0]["text"].split()
    header = f"Message Type: {kind}\nTask name: {task}\nSender: {sender}\nPayload:\n"
    return {**item, "content": [{**content[0], "text": header}, *content[1:]]}


@both_ways
@readable
def test_the_model_is_sent_the_history(case: dict[str, Any], bounded: bool) -> None:
    context = context_of(case, bounded=bounded)
    history = [json.loads(bytes(item.payload)) for item in context.items]
    metadata = [json.loads(bytes(item.metadata)) if len(item.metadata) else None for item in context.items]
    uncut = sum(item.checkpointed for item in context.items)
    sent = oracle.normalise(history, metadata, uncut=uncut)
    assert without_unknown(sent) == without_unknown([with_header(item) for item in expand(case["input"])])


@both_ways
@readable
def test_the_next_turn_starts_from_the_same_settings(case: dict[str, Any], bounded: bool) -> None:
    context = context_of(case, bounded=bounded)
    observed = case["observed"]
    assert observed["settings_written"] == (context.reference_context is None)
    if context.reference_context is None or context.world_state is None:
        assert observed["world_state"] == "full"
    else:
        assert observed["world_state"] == "patch"
        assert observed["forgotten"] == sorted(context.world_state)
    assert observed["previous_turn_settings"] == context.previous_turn_settings


@both_ways
@readable
def test_the_next_compaction_goes_on_from_the_window(case: dict[str, Any], bounded: bool) -> None:
    window = context_of(case, bounded=bounded).window
    observed = case["observed"]
    assert window.number is not None
    assert observed["window_number"] == min(window.number + 1, 2**64 - 1)
    assert observed["previous_window_id"] == window.id
    assert observed["first_window_id"] == (window.first_id or window.id)


@readable
def test_bounded_and_full_replay_agree_on_everything(case: dict[str, Any]) -> None:
    bounded, full = (context_of(case, bounded=way) for way in (True, False))
    assert msgspec.json.encode(bounded) == msgspec.json.encode(full)


def test_the_corpus_is_there() -> None:
    assert len(CASES) >= 1_000
    assert {case["name"] for case in CASES} >= LENIENT.keys()
    assert dump({"a": "é"}) == '{"a":"é"}'.encode()
