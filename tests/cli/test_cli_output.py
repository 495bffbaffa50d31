"""Text that is fit to be shown, tables, and JSON."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadkeep.cli._items import turn_lines
from threadkeep.cli._json import camel, encode, plain, readable
from threadkeep.cli._table import Column, table
from threadkeep.cli._text import amount, body, clean, date, fit, size, span, width


def unstyled(text: str, _: str) -> str:
    return text


@given(st.text())
def test_no_text_holds_anything_that_a_terminal_obeys(text: str) -> None:
    for shown in (clean(text), body(text)):
        for character in shown:
            kept = "\n\t" if shown == body(text) else ""
            assert character in kept or unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp")
        shown.encode("utf-8")
    assert "\n" not in clean(text)


@pytest.mark.parametrize("character", "\u202a\u202e\u2066\u2069\u200e\u200f\u061c\U000e0041")
def test_nothing_turns_the_direction_or_hides(character: str) -> None:
    assert character not in clean(f"a{character}b")
    assert character not in body(f"a{character}b")


def test_ordinary_text_is_left_as_it_is() -> None:
    text = "größe 你好 ☕ e\u0301 👩\u200d💻 back\\slash\n\ttabbed"
    assert body(text) == text
    assert clean(text) == text.replace("\n\t", " ")


@given(st.text(), st.integers(0, 40))
def test_a_text_is_cut_to_its_columns(text: str, columns: int) -> None:
    cut = fit(clean(text), columns)
    assert width(cut) <= columns
    assert cut == clean(text) or cut.endswith("…") or columns == 0


def test_widths_are_those_of_a_terminal() -> None:
    assert [width(text) for text in ("abc", "你好", "e\u0301", "ä")] == [3, 4, 1, 1]


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (22_646, "22.6 kB"), (10**9, "1.0 GB"), (10**19, "10000.0 PB")],
)
def test_sizes(count: int, shown: str) -> None:
    assert size(count) == shown


def test_times() -> None:
    assert [span(ms) for ms in (0, 12.4, 3_400, 125_000, 3_720_000)] == [
        "0 ms",
        "12 ms",
        "3.4 s",
        "2 min 5 s",
        "1 h 2 min",
    ]
    assert date(None) == date(0) == date(10**30) == date(float("nan")) == "-"
    assert len(date(1_795_366_448_821)) == len("2026-11-22 16:54")


def test_amounts() -> None:
    assert amount(1, "thread") == "1 thread"
    assert amount(1_234, "family", "families") == "1,234 families"


COLUMNS = [Column("ID"), Column("SIZE", right=True), Column("TITLE")]
ROWS = [["a", "5 B", "你好 a long title"], ["bbb", "22.6 kB", ""]]


def test_a_table_is_aligned_by_columns() -> None:
    assert table(COLUMNS, ROWS, terminal=None, style=unstyled) == ["a        5 B  你好 a long title", "bbb  22.6 kB"]


def test_on_a_terminal_it_has_titles_and_is_cut() -> None:
    lines = table(COLUMNS, ROWS, terminal=28, style=unstyled)
    assert lines == ["ID      SIZE  TITLE", "a        5 B  你好 a long t…", "bbb  22.6 kB"]
    assert max(map(width, lines)) <= 28


def test_an_empty_table_has_no_lines_when_piped() -> None:
    assert table(COLUMNS, [], terminal=None, style=unstyled) == []


class Inner(msgspec.Struct):
    some_member: int


class Outer(msgspec.Struct):
    inner_value: Inner
    many_values: list[Inner]
    raw_value: msgspec.Raw
    no_value: msgspec.Raw
    recorded_dict: dict[str, int]


def test_members_are_in_camel_case_and_recorded_names_stay() -> None:
    value = Outer(Inner(1), [Inner(2)], msgspec.Raw(b'{"a" : 1.0}'), msgspec.Raw(b""), {"as_recorded": 3})
    assert encode(value) == (
        b'{"innerValue":{"someMember":1},"manyValues":[{"someMember":2}],"rawValue":{"a" : 1.0},"noValue":null,'
        b'"recordedDict":{"as_recorded":3}}'
    )
    assert json.loads(encode({"data": [value, value]}))["data"][1]["innerValue"] == {"someMember": 1}
    assert plain([{"as_recorded": 1}]) == [{"as_recorded": 1}]
    assert camel("end_byte_offset") == "endByteOffset"


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)), st.booleans())
def test_json_on_a_terminal_says_the_same_without_steering_it(value: object, indent: bool) -> None:
    text = readable(msgspec.json.encode(value), indent=indent)
    assert json.loads(text) == value
    assert all(unicodedata.category(character) != "Cc" or character == "\n" for character in text)
    assert not set(text) & set("\u202a\u202e\u2066\u200f\u061c")


def test_a_return_between_recorded_members_does_not_move_the_cursor() -> None:
    assert readable(b'{"a":\r1}', indent=False) == '{"a": 1}'


ITEMS: dict[str, tuple[dict[str, Any], str]] = {
    "plan": ({"text": "do it"}, "plan\n  do it"),
    "enteredReviewMode": ({"review": "look"}, "review\n  look"),
    "exitedReviewMode": ({"review": "fine"}, "review ended\n  fine"),
    "contextCompaction": ({}, "compacted  what came before is summed up for the model"),
    "commandExecution": ({"command": "ls", "status": "declined"}, "ran  ls (declined)"),
    "fileChange": (
        {"changes": [{"path": "/a", "kind": {"type": "add"}, "diff": "x\n"}], "status": "failed"},
        "edited  /a (add) (failed)\n  x",
    ),
    "mcpToolCall": (
        {
            "server": "s",
            "tool": "t",
            "arguments": msgspec.Raw(b'{"a":1}'),
            "status": "completed",
            "result": {"content": msgspec.Raw(b'[{"type":"text","text":"found"}]')},
            "durationMs": 5,
        },
        'called  s.t {"a":1} (5 ms)\n  found',
    ),
    "dynamicToolCall": (
        {"namespace": None, "tool": "t", "arguments": "raw", "contentItems": [{"text": "got"}], "status": "completed"},
        "called  t raw\n  got",
    ),
    "functionCallOutput": ({"output": "out"}, "answered\n  out"),
    "webSearch": ({"query": "weather"}, "searched  weather"),
    "collabAgentToolCall": (
        {"tool": "spawnAgent", "receiverThreadIds": ["T"], "prompt": "go", "status": "completed"},
        "agent  spawnAgent T\n  go",
    ),
    "subAgentActivity": (
        {"kind": "started", "agentPath": "/root/a", "agentThreadId": "T"},
        "agent  started /root/a (T)",
    ),
    "imageView": ({"path": "/a.png"}, "looked at  /a.png"),
    "imageGeneration": ({"savedPath": "/b.png", "revisedPrompt": "a cat"}, "made an image  /b.png\n  a cat"),
    "sleep": ({"durationMs": 2_000}, "waited  2.0 s"),
    "hookPrompt": ({"fragments": [{"text": "hooked"}]}, "hook\n  hooked"),
    "somethingNewer": ({"text": "unknown"}, "somethingNewer"),
    "userMessage": (
        {
            "content": [
                {"type": "text", "text": "see"},
                {"type": "localImage", "path": "/c.png"},
                {"type": "image", "url": "data:x"},
            ]
        },
        "user\n  see\n  [localImage: /c.png]\n  [image: inline]",
    ),
}


@pytest.mark.parametrize("kind", ITEMS)
def test_each_kind_of_item_is_shown(kind: str) -> None:
    members, shown = ITEMS[kind]
    turn = {"id": "t", "status": "completed", "items": [{"type": kind, **members}]}
    assert "\n".join(list(turn_lines(turn, unstyled))[2:]) == shown


@pytest.mark.parametrize("kind", ITEMS)
def test_an_item_with_nothing_in_it_is_shown_too(kind: str) -> None:
    assert list(turn_lines({"id": "t", "status": "completed", "items": [{"type": kind}]}, unstyled))
