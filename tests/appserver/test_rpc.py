"""Messages are taken apart and put together as the protocol has them, whatever comes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadkeep.appserver import _rpc
from threadkeep.appserver._rpc import decode

NESTED = 125
"""Arrays that a parameter may be nested in: with the message and its parameters that is the bound."""


def test_a_request_has_an_id_and_a_method() -> None:
    message = decode(b'{"id":7,"method":"thread/list","params":{"limit":1}}\n')
    assert message is not None
    assert message.is_request
    assert (message.id, message.method, _rpc.plain(message.params)) == (7, "thread/list", {"limit": 1})


def test_a_notification_has_a_method_alone() -> None:
    message = decode(b'{"method":"initialized"}')
    assert message is not None
    assert message.is_notification
    assert not message.is_request
    assert message.params is None


@pytest.mark.parametrize(
    ("line", "result", "error"),
    [
        (b'{"id":"a","result":{"x":1}}', b'{"x":1}', None),
        (b'{"id":"a","result":null}', b"null", None),
        (b'{"id":"a","result":1,"error":{}}', b"1", None),
        (b'{"error":{"code":1,"message":"m"},"id":"a"}', None, b'{"code":1,"message":"m"}'),
    ],
)
def test_a_response_has_an_id_and_an_answer(line: bytes, result: bytes | None, error: bytes | None) -> None:
    message = decode(line)
    assert message is not None
    assert message.is_response
    assert message.id == "a"
    assert (None if message.result is None else bytes(message.result)) == result
    assert (None if message.error is None else bytes(message.error)) == error


@pytest.mark.parametrize("raw", [b"0", b"-5", b"9223372036854775807", b"-9223372036854775808", b'"s"', b'""'])
def test_ids_are_texts_and_integers_of_64_bits(raw: bytes) -> None:
    message = decode(b'{"id":%b,"method":"m","params":{}}' % raw)
    assert message is not None
    assert message.id == msgspec.json.decode(raw)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"nonsense",
        b"[]",
        b'[{"id":7,"method":"m","params":{}}]',
        b"5",
        b'{"id":77}',
        b'{"id":3,"params":{}}',
        b'{"id":1,"method":5}',
        b'{"id":1,"method":null}',
        b'{"id":null,"method":"m"}',
        b'{"id":null,"result":{}}',
        b'{"id":1.5,"method":"m"}',
        b'{"id":1e2,"method":"m"}',
        b'{"id":true,"method":"m"}',
        b'{"id":[],"method":"m"}',
        b'{"id":9223372036854775808,"method":"m"}',
        b'{"result":{}}',
        b'{"id":1,"method":"m"} trailing',
        b'\xef\xbb\xbf{"id":1,"method":"m"}',
        b'{"id":1,"method":"m","params":{"x":"\xff"}}',
        b'{"id":1,"method":"m","params":{"x":"\\ud800"}}',
        b'{"id":1,"method":"m","params":{"x":NaN}}',
        b'{"id":1,"method":"m","params":{"x":%b}}' % (b"[" * (NESTED + 1) + b"]" * (NESTED + 1)),
        b'{"id":1,"method":"m","params":%b}' % (b'{"a":[' * 100_000 + b"]}" * 100_000),
        b'{"id":1,"method":"m","params":' + b"[" * 1_000_000,
    ],
    ids=lambda line: line[:48].decode("latin-1"),
)
def test_what_is_no_message_is_none(line: bytes) -> None:
    assert decode(line) is None


@pytest.mark.parametrize("nest", [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_up_to_the_bound_is_taken(nest: tuple[bytes, bytes]) -> None:
    deep = nest[0] * NESTED + b"1" + nest[1] * NESTED
    message = decode(b'{"id":1,"method":"m","params":{"x":%b}}' % deep)
    assert message is not None
    assert msgspec.json.encode(_rpc.plain(message.params)["x"]) == deep
    assert decode(b'{"id":1,"method":"m","params":{"x":%b}}' % (nest[0] + deep + nest[1])) is None


def test_brackets_in_texts_and_side_by_side_are_no_nesting() -> None:
    for wide in (b'"' + b'[{\\"[' * 1000 + b'"', b"[" + b"[{}]," * 1000 + b"1]"):
        assert decode(b'{"id":1,"method":"m","params":{"x":%b}}' % wide) is not None


JSON = st.recursive(
    st.none() | st.integers() | st.text(alphabet='[]{}"\\\\a\u00e9', max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='[{"\\\\', max_size=3), inner, max_size=3)
    ),
)


def depth_of(value: Any) -> int:
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)


@given(value=JSON, most=st.integers(1, 4), chunk=st.integers(1, 40))
def test_nesting_is_counted_whatever_the_texts_hold(value: Any, most: int, chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_rpc, "MAX_DEPTH", most)
        patched.setattr(_rpc, "_CHUNK", chunk)
        assert _rpc._is_too_deep(msgspec.json.encode(value)) == (depth_of(value) > most)


def test_members_that_nobody_knows_are_passed_over() -> None:
    message = decode(b'{"jsonrpc":"2.0","id":1,"method":"m","params":null,"trace":{"a":[1]},"result":{}}')
    assert message is not None
    assert message.is_request
    assert message.params is None
    assert message.result is None


def test_messages_are_one_line_in_the_order_of_the_protocol() -> None:
    raw = msgspec.Raw(b'{"a":  "as it is"}')
    assert _rpc.result(7, {"x": [raw]}) == b'{"id":7,"result":{"x":[{"a":  "as it is"}]}}'
    assert _rpc.result_head('a"b') + b"[1]" + _rpc.RESULT_TAIL == _rpc.result('a"b', [1])
    assert _rpc.error("s", _rpc.invalid("no")) == b'{"id":"s","error":{"code":-32600,"message":"no"}}'
    assert _rpc.notification("m", raw, 5) == b'{"method":"m","params":{"a":  "as it is"},"emittedAtMs":5}'
    assert _rpc.request("r1", "m", {}) == b'{"id":"r1","method":"m","params":{}}'


def test_errors_have_the_codes_of_the_protocol() -> None:
    makers = (_rpc.invalid, _rpc.unsupported, _rpc.invalid_params, _rpc.internal)
    assert [make("m").code for make in makers] == [-32600, -32601, -32602, -32603]
    assert _rpc.OVERLOADED == -32001


def test_a_number_beyond_all_numbers_is_read() -> None:
    assert _rpc.plain(msgspec.Raw(b"[1e999,1.0]")) == [float("inf"), 1.0]
    assert _rpc.plain(None) is None


@given(st.binary() | st.text().map(str.encode))
def test_no_bytes_make_it_raise(line: bytes) -> None:
    decode(line)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "id": st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            "method": st.none() | st.integers() | st.text(),
            "params": st.none() | st.lists(st.text()) | st.dictionaries(st.text(), st.integers()),
            "result": st.none() | st.text(),
            "error": st.none() | st.text(),
        },
    )
)
def test_a_message_is_a_request_a_notification_or_a_response(body: dict[str, Any]) -> None:
    message = decode(msgspec.json.encode(body))
    if message is None:
        return
    assert message.is_request + message.is_notification + message.is_response == 1
    assert message.id == body.get("id")
    assert message.method == body.get("method")
