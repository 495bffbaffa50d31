"""What tools were asked and what they answered passes through as the bytes that it is."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from threadkeep.replay.items import plain, thread_item

AWKWARD = rb'{ "z":1.50,"a":[12345678901234567890, -9223372036854775808, 1e400],"z2":"\u00e9\/","n":null }'


def mcp_call(arguments: bytes = b"{}", result: bytes = b"null") -> bytes:
    return (
        b'{"type":"McpToolCall","id":"c","server":"s","tool":"t","status":"completed","arguments":%s,"result":%s}'
        % (arguments, result)
    )


def shown(item: bytes) -> dict[str, Any]:
    found = thread_item(item, 1, 2)
    assert found is not None
    return found


def test_arguments_and_results_keep_their_bytes() -> None:
    result = b'{"content":[%s],"structuredContent":%s,"_meta":%s}' % (AWKWARD, AWKWARD, AWKWARD)
    answer = msgspec.json.encode(shown(mcp_call(AWKWARD, result)))
    assert answer.count(AWKWARD) == 4


def test_arguments_of_a_tool_of_the_client_and_results_of_a_search_keep_their_bytes() -> None:
    call = b'{"type":"DynamicToolCall","id":"c","tool":"t","status":"completed","arguments":%s}' % AWKWARD
    search = b'{"type":"WebSearch","id":"c","query":"q","action":{"type":"x"},"results":[%s]}' % AWKWARD
    for item in (call, search):
        assert AWKWARD in msgspec.json.encode(shown(item))


def test_everything_else_is_python_values() -> None:
    item = shown(mcp_call(b'{"a":1}', b'{"content":[]}'))
    raw = [name for name, value in item.items() if isinstance(value, msgspec.Raw)]
    assert raw == ["arguments"]
    assert [name for name, value in item["result"].items() if isinstance(value, msgspec.Raw)] == ["content"]


def test_python_values_of_all_of_it_are_there_for_the_asking() -> None:
    item = plain(shown(mcp_call(AWKWARD, b'{"content":[%s]}' % AWKWARD)))
    values = json.loads(AWKWARD)
    assert item["arguments"] == values
    assert item["result"] == {"content": [values], "structuredContent": None, "_meta": None}
    assert item["arguments"]["a"] == [12345678901234567890, -9223372036854775808, float("inf")]


@pytest.mark.parametrize("number", [b"18446744073709551616", b"-9223372036854775809", b"1" * 5000])
@pytest.mark.parametrize("place", [b"%s", b"[[%s]]", b'{"a":{"b":%s}}'])
def test_an_integer_that_no_record_can_hold_makes_the_item_not_count(number: bytes, place: bytes) -> None:
    value = place % number
    assert thread_item(mcp_call(value)) is None
    assert thread_item(mcp_call(b"1", b'{"content":[%s]}' % value)) is None
    assert thread_item(mcp_call(b"1", b'{"content":[],"structuredContent":%s}' % value)) is None
    assert thread_item(mcp_call(b'"%s"' % number)) is not None, "digits in a text are no integer"


def test_a_result_is_made_of_an_array() -> None:
    for content in (b"null", b"{}", b'"[]"', b"5"):
        assert thread_item(mcp_call(b"1", b'{"content":%s}' % content)) is None
    assert thread_item(b'{"type":"WebSearch","id":"c","query":"q","action":{"type":"x"},"results":{}}') is None
