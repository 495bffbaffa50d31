"""What is wrong with a rollout is found, named by kind and place, and nothing is said of a healthy one."""

from __future__ import annotations

import glob
import os
import tracemalloc
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import BytesSource, Json, dump

from threadkeep.bench._generate import Generated, Recipe, generate
from threadkeep.records import DAMAGE_KINDS, LEGACY, PAGINATED, Damage, DamageKind, _damage, _damage_turns, _scan
from threadkeep.records._damage import MOST_REPORTED, inspect

if TYPE_CHECKING:
    from collections.abc import Callable

THREAD: Final = "01990000-0000-7000-8000-000000000001"
OTHER: Final = "01990000-0000-7000-8000-000000000002"
ROLLOUTS: Final = os.path.join(os.path.dirname(__file__), "..", "fixtures", "rollouts")

# --- rollouts by hand ------------------------------------------------------------------------------------------------


def record(kind: str, payload: Any, ordinal: int | None = None, timestamp: str = "2026-11-22T10:00:00.000Z") -> bytes:
    envelope: Json = {"timestamp": timestamp}
    if ordinal is not None:
        envelope["ordinal"] = ordinal
    return dump(envelope | {"type": kind, "payload": payload})


def event(subtype: str, ordinal: int | None = None, **payload: Any) -> bytes:
    return record("event_msg", {"type": subtype} | payload, ordinal)


def meta(ordinal: int | None = 0, *, without: str = "", **more: Any) -> bytes:
    payload: Json = {
        "id": THREAD,
        "timestamp": "2026-11-22T10:00:00.000Z",
        "cwd": "/home/me",
        "originator": "codex",
        "cli_version": "0.169.0",
        "history_mode": LEGACY if ordinal is None else PAGINATED,
    } | more
    payload.pop(without, None)
    return record("session_meta", payload, ordinal)


def started(ordinal: int | None, turn: str = "t1") -> bytes:
    return event("task_started", ordinal, turn_id=turn)


def said(ordinal: int | None, text: str = "hello") -> bytes:
    message = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    return record("response_item", message, ordinal)


def done(ordinal: int | None, turn: str = "t1") -> bytes:
    return event("task_complete", ordinal, turn_id=turn)


def call(ordinal: int | None, call_id: str = "c1") -> bytes:
    item = {"type": "function_call", "name": "exec_command", "arguments": "{}", "call_id": call_id}
    return record("response_item", item, ordinal)


def healthy() -> list[bytes]:
    return [meta(), started(1), said(2), done(3)]


def old() -> list[bytes]:
    return [meta(None), started(None), said(None), done(None)]


def nested(levels: int) -> bytes:
    return said(2)[:-1] + b',"x":' + b"[" * levels + b"]" * levels + b"}"


class Case(msgspec.Struct):
    """A rollout and the one damage that it has."""

    lines: list[bytes]
    kind: DamageKind
    line: int
    at: int = 0
    length: int | None = None
    """Bytes of the line from ``at`` on; None: to its end."""
    tail: bytes = b"\n"
    being_written: bool = False
    also: dict[DamageKind, int] = {}
    """Other kinds that the same bytes are, too, and how many."""

    @property
    def data(self) -> bytes:
        return b"\n".join(self.lines) + self.tail if self.lines else b""

    def place(self) -> tuple[int, int, int]:
        if self.line == 0:
            return 0, len(self.data) if self.kind == "copied-prefix-short" else 0, 0
        offset = sum(len(line) + 1 for line in self.lines[: self.line - 1]) + self.at
        length = len(self.lines[self.line - 1]) - self.at if self.length is None else self.length
        return self.line, offset, length


def middle(line: bytes, kind: DamageKind, at: int = 0, length: int | None = None) -> Case:
    """A line of this kind in the middle of a healthy rollout, in the place of what the user said."""
    return Case([meta(), started(1), line, done(3)], kind, 3, at, length)


BASE: Final = {"thread_id": OTHER, "end_ordinal_exclusive": 10, "end_byte_offset": 500}
TORN: Final = done(3)[:-20]

CASES: Final = {
    "no bytes": Case([], "empty", 0),
    "garbage first": Case([b"\x7fgarbage", *healthy()[1:]], "first-line-damaged", 1),
    "first line torn off": Case([meta()[40:], *healthy()[1:]], "first-line-damaged", 1),
    "first meta fits no schema": Case([meta(without="id"), *healthy()[1:]], "first-line-damaged", 1),
    "begins with a turn": Case(healthy()[1:], "no-session-meta", 1),
    "blank lines alone": Case([b"", b" "], "no-session-meta", 0, also={"blank-line": 2}),
    "no cwd": Case([meta(without="cwd"), *healthy()[1:]], "incomplete-meta", 1),
    "a mode of the future": Case([meta(history_mode="holographic"), *healthy()[1:]], "unknown-mode", 1),
    "somebody else's": Case([meta(id=OTHER), *healthy()[1:]], "other-thread", 1),
    "base of a legacy rollout": Case([meta(None, history_base=BASE), *old()[1:]], "base-in-legacy", 1),
    "update of a legacy thread": Case([*old(), meta(None, memory_mode="disabled")], "repeated-meta", 5),
    "copied parent": Case([meta(None), meta(None, id=OTHER), *old()[1:]], "copied-meta", 2),
    "second meta": Case([*healthy(), meta(4), started(5, "t2"), done(6, "t2")], "hiding-meta", 5),
    "sub-agent cut short": Case([meta(subagent_history_start_ordinal=9), *healthy()[1:]], "copied-prefix-short", 0),
    "byte order mark": Case([b"\xef\xbb\xbf" + meta(), *healthy()[1:]], "byte-order-mark", 1, length=3),
    "carriage return": middle(said(2) + b"\r", "crlf", len(said(2)), 1),
    "blank line": Case([meta(), started(1), b"", said(2), done(3)], "blank-line", 3),
    "line of spaces": Case([meta(), started(1), b" \t ", said(2), done(3)], "blank-line", 3),
    "zeros in a line": middle(b"\0" * 40, "nul-bytes"),
    "zeros after the start of a line": middle(said(2)[:30] + b"\0" * 10, "cut-short"),
    "zeros within a line": middle(said(2)[:30] + b"\0" * 10 + said(2)[40:], "nul-bytes"),
    "zeros at the end": Case([*healthy(), b"\0" * 512], "nul-tail", 5, tail=b""),
    "zeros after a torn line": Case(
        [*healthy(), TORN + b"\0" * 99], "nul-tail", 5, len(TORN), tail=b"", also={"torn-tail": 1}
    ),
    "zeros after a whole record": Case(
        [*healthy(), said(4) + b"\0" * 99], "nul-tail", 5, len(said(4)), tail=b"", also={"torn-tail": 1}
    ),
    "torn last line": Case([*healthy(), TORN], "torn-tail", 5, tail=b""),
    "last line at work": Case([*healthy(), TORN], "being-written", 5, tail=b"", being_written=True),
    "whole last line at work": Case(healthy(), "being-written", 4, tail=b"", being_written=True),
    "no last newline": Case(healthy(), "missing-newline", 4, tail=b""),
    "half a line": middle(said(2)[:-9], "cut-short"),
    "the first byte of a line": middle(said(2)[:1], "cut-short"),
    "a line cut within a character": middle(said(2, "\N{SNOWMAN}").partition(b"\x98")[0], "cut-short"),
    "a line cut within a number": middle(b'{"timestamp":"2026-11-22T10:00:00.000Z","ordinal":-', "cut-short"),
    "a line without its beginning": middle(said(2)[9:], "not-json"),
    "text": middle(b"hello", "not-json"),
    "latin-1": middle(said(2, "caf?").replace(b"?", b"\xe9"), "invalid-utf8"),
    "a line that ends in what begins no character": middle(said(2)[:-1] + b"\xff}", "invalid-utf8"),
    "a line cut after what begins no character": middle(said(2, "?").partition(b"?")[0] + b"\xff", "invalid-utf8"),
    "half a character": middle(said(2, "?").replace(b"?", rb"\ud83d"), "lone-surrogate"),
    "nested beyond reading": middle(nested(20_000), "too-deep"),
    "nested beyond Codex": middle(nested(127), "deep-nesting"),
    "an integer of 80 bits": middle(said(2)[:-1] + b',"x":' + str(1 << 80).encode() + b"}", "big-integer"),
    "an object of somebody's": middle(b'{"hello":"world"}', "no-envelope"),
    "an envelope without payload": middle(b'{"timestamp":"2026-11-22T10:00:00.000Z","type":"x"}', "no-envelope"),
    "an item without envelope": middle(b'{"type":"message","role":"user","content":[]}', "no-envelope"),
    "of mid-2025": Case(
        [
            dump({"id": THREAD, "timestamp": "2025-07-01T10:00:00Z", "instructions": None}),
            b'{"record_type":"state"}',
            dump({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}),
        ],
        "before-envelope",
        1,
    ),
    "a type of the future": middle(record("hologram", {"x": 1}, 2), "unknown-type"),
    "an event of the future": middle(event("hologram", 2), "unknown-type"),
    "a message without role": middle(record("response_item", {"type": "message", "content": []}, 2), "misfit"),
    "a rollback of nothing": middle(event("thread_rolled_back", 2), "misfit"),
    "a payload that is a text": middle(record("turn_context", "x", 2), "misfit"),
    "no ordinal": middle(said(None), "ordinal-missing"),
    "no last ordinal": Case([*healthy()[:3], done(None)], "last-ordinal-missing", 4),
    "an ordinal twice": Case([*healthy()[:3], said(2), done(3)], "ordinal-duplicate", 4),
    "an ordinal back": Case([*healthy()[:3], said(1), done(3)], "ordinal-back", 4),
    "ordinals passed over": Case([*healthy()[:3], done(9)], "ordinal-gap", 4),
    "begins with 5": Case([meta(5), started(6), done(7)], "ordinal-start", 1),
    "begins below its base": Case([meta(5, history_base=BASE), started(6), done(7)], "ordinal-start", 1),
    "an ordinal of 64 bits": middle(said((1 << 64) - 1), "ordinal-too-big"),
    "an ordinal in a legacy rollout": Case([*old()[:2], said(2), done(None)], "ordinal-in-legacy", 3),
    "no time": middle(
        record("response_item", msgspec.json.decode(said(2))["payload"], 2, "yesterday"), "timestamp-unreadable"
    ),
    "an hour back": Case(
        [
            *healthy()[:3],
            record("event_msg", {"type": "task_complete", "turn_id": "t1"}, 3, "2026-11-22T09:00:00.000Z"),
        ],
        "timestamp-back",
        4,
    ),
    "no end": Case(healthy()[:3], "turn-without-end", 2),
    "the next one starts": Case([*healthy()[:3], started(3, "t2"), done(4, "t2")], "turn-without-end", 2),
    "no start": Case([meta(), said(1), done(2)], "turn-without-start", 3),
    "no output": Case([*healthy()[:2], call(2), done(3)], "call-without-output", 3),
    "an output of another kind": Case(
        [
            *healthy()[:2],
            call(2),
            record("response_item", {"type": "custom_tool_call_output", "call_id": "c1", "output": ""}, 3),
            done(4),
        ],
        "call-without-output",
        3,
    ),
}


def found(case: Case) -> list[Damage]:
    return list(inspect(BytesSource(case.data), thread_id=THREAD, being_written=case.being_written))


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_named_with_its_line_and_bytes(name: str) -> None:
    case = CASES[name]
    damages = found(case)
    line, offset, length = case.place()
    own = [damage for damage in damages if damage.kind == case.kind]
    assert [(damage.line, damage.offset, damage.length) for damage in own] == [(line, offset, length)]
    others = [damage.kind for damage in damages if damage.kind != case.kind]
    assert {kind: others.count(kind) for kind in others} == case.also
    assert own[0].severity == DAMAGE_KINDS[case.kind][0]
    assert own[0].detail
    assert own[0].count == 1


def test_every_kind_of_damage_that_is_documented_is_found() -> None:
    reported = {damage.kind for case in CASES.values() for damage in found(case)}
    assert set(DAMAGE_KINDS) - reported == {"oversized"}  # the next test's


def test_a_line_beyond_the_bound_is_stepped_over_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_scan, "MAX_RECORD_BYTES", 200_000)
    monkeypatch.setattr(_damage, "MAX_RECORD_BYTES", 200_000)
    for lines in ([*healthy()[:2], said(2, "x" * 500_000), done(3)], [*healthy(), said(4, "x" * 500_000)]):
        for tail in (b"\n", b""):
            case = Case(lines, "oversized", 3 if len(lines) == 4 else 5, tail=tail)
            oversized = [damage for damage in found(case) if damage.kind == "oversized"]
            assert [(damage.line, damage.offset, damage.length) for damage in oversized] == [case.place()]


# --- healthy rollouts ------------------------------------------------------------------------------------------------

# What real homes hold besides plain records, none of it a defect: turns that the scenario killed, what a fork or a
# sub-agent copied, what old versions wrote and today's does not know.
REMARKS: Final[dict[str, set[DamageKind]]] = {
    "0.100.0/fork-rollback": {"copied-meta"},
    "0.125.0/archived": {"unknown-type"},
    "0.125.0/extras": {"repeated-meta"},
    "0.125.0/repository": {"unknown-type"},
    "0.125.0/subagent": {"copied-meta", "turn-without-end"},
    "0.169.0/agents-paginated": {"copied-meta", "call-without-output"},
    "0.169.0/crash-paginated": {"turn-without-end"},
    "0.169.0/fork-running-legacy": {"copied-meta"},
    "0.60.1/repository": {"unknown-type"},
    "0.60.1/terminal-backtrack": {"copied-meta"},
}


def homes() -> list[str]:
    found = glob.glob(os.path.join(ROLLOUTS, "*", "*", "expected.json"))
    return sorted(os.path.relpath(os.path.dirname(path), ROLLOUTS) for path in found)


@pytest.mark.parametrize("home", homes())
def test_what_real_codex_wrote_is_not_called_damaged(home: str) -> None:
    remarks: set[DamageKind] = set()
    paths = glob.glob(os.path.join(ROLLOUTS, home, "**", "rollout-*.jsonl"), recursive=True)
    assert paths
    for path in paths:
        with open(path, "rb") as file:
            source = BytesSource(file.read())
        damages = list(inspect(source, thread_id=os.path.basename(path)[28:64]))
        assert {damage.severity for damage in damages} <= {"info"}, damages
        remarks |= {damage.kind for damage in damages}
    before = {"before-envelope"} if home.startswith("0.20.0/") else set()
    assert remarks == REMARKS.get(home, before)


@pytest.mark.parametrize("mode", [PAGINATED, LEGACY])
def test_nothing_is_said_of_a_healthy_rollout(mode: str) -> None:
    made = Generated()
    data = b"".join(generate(Recipe(mode=mode, size=3_000_000, tail=400_000), made))
    assert made.compactions
    assert list(inspect(BytesSource(data), thread_id=made.thread_id)) == []


def test_a_fork_is_healthy_whose_ordinals_go_on_after_its_base() -> None:
    lines = [meta(10, history_base=BASE), done(11), started(12, "t2"), done(13, "t2")]
    assert found(Case(lines, "empty", 1)) == []


def test_a_base_that_codex_must_not_resolve_says_nothing_of_the_ordinals() -> None:
    base = BASE | {"end_ordinal_exclusive": (1 << 64) - 1}
    assert found(Case([meta(0, history_base=base), started(1), done(2)], "empty", 1)) == []


def test_a_line_that_could_not_be_read_explains_the_ordinal_that_is_missing() -> None:
    assert [damage.kind for damage in found(middle(b"torn", "not-json"))] == ["not-json"]
    both = [*healthy()[:2], b"torn", done(4)]
    assert [damage.kind for damage in found(Case(both, "empty", 1))] == ["not-json", "ordinal-gap"]


def test_the_turn_that_a_writer_is_at_is_running_and_not_cut_off() -> None:
    case = Case([*healthy(), started(4, "t2"), call(5)], "empty", 1, being_written=True)
    assert found(case) == []


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_of_many_damages_of_a_kind_the_first_ones_are_told_and_the_rest_is_summed_up() -> None:
    lines = [*healthy()[:3], *[b"torn"] * 1_000, done(3)]
    damages = found(Case(lines, "empty", 1))
    assert [damage.line for damage in damages[:-1]] == [4 + index for index in range(MOST_REPORTED)]
    rest = damages[-1]
    first = sum(len(line) + 1 for line in lines[: 3 + MOST_REPORTED])
    assert (rest.kind, rest.count, rest.line) == ("not-json", 1_000 - MOST_REPORTED, 0)
    assert (rest.offset, rest.length) == (first, 5 * rest.count - 1)


def test_a_record_of_100_megabytes_is_inspected_in_a_few_times_its_size() -> None:
    size = 100_000_000
    lines = [*healthy()[:3], said(3).replace(b"hello", b"x" * size), done(4)]
    source = BytesSource(b"\n".join(lines) + b"\n")
    tracemalloc.start()
    try:
        assert list(inspect(source)) == []
        assert tracemalloc.get_traced_memory()[1] < 4 * size
    finally:
        tracemalloc.stop()


def test_with_more_turns_than_are_remembered_nothing_false_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_damage_turns, "MOST_TURNS", 4)
    monkeypatch.setattr(_damage_turns, "MOST_CALLS", 4)
    lines = [meta()]
    for turn in range(10):
        lines += [started(len(lines), f"t{turn}"), done(len(lines) + 1, f"t{turn}")]
    lines.append(done(len(lines), "t0"))
    assert found(Case(lines, "empty", 1)) == []
    calls = [*healthy()[:2], *[call(2 + index, f"c{index}") for index in range(9)], done(11)]
    assert [damage.line for damage in found(Case(calls, "empty", 1))] == list(range(3, 12))


def test_progress_is_told_about_every_megabyte_and_at_the_end() -> None:
    made = Generated()
    source = BytesSource(b"".join(generate(Recipe(size=3_000_000), made)))
    told: list[int] = []
    list(inspect(source, progress=told.append))
    assert told == sorted(told)
    assert 3 <= len(told) <= 4
    assert told[-1] == source.size


# --- anything at all -------------------------------------------------------------------------------------------------

EDITS: Final = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.integers(0, 40),
        st.one_of(
            st.binary(max_size=12),
            st.sampled_from(
                [b"\n", b"\r\n", b"\0" * 9, b"\xef\xbb\xbf", b'"', b"{", b"]", b"99999999999999999999", b"\\ud800"]
            ),
            st.sampled_from([case.lines[-1] for case in CASES.values() if case.lines]),
        ),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=400)
@given(EDITS, st.sampled_from([healthy, old]), st.booleans())
def test_whatever_the_bytes_are_an_inspection_ends_and_names_places_in_the_rollout(
    edits: list[tuple[float, int, bytes]], lines: Callable[[], list[bytes]], being_written: bool
) -> None:
    data = b"\n".join([*lines(), *lines()[1:]]) + b"\n"
    for share, cut, put in edits:
        at = int(share * len(data))
        data = data[:at] + put + data[at + cut :]
    for damage in inspect(BytesSource(data), thread_id=THREAD, being_written=being_written):
        assert 0 <= damage.offset <= damage.offset + damage.length <= len(data)
        assert damage.line <= data.count(b"\n") + 1
        assert damage.detail.isascii()
        assert damage.detail.isprintable()
