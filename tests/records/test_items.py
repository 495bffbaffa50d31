"""A response item is the same whether its line is cut into pieces or decoded whole."""

from __future__ import annotations

import tracemalloc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadkeep.records import _items as items
from threadkeep.records import item_of, record_of

MESSAGE = b'{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}'
CALL = b'{"type":"function_call","name":"run","arguments":"{}","call_id":"c"}'
HEADS = (b'{"timestamp":"2026-01-02T03:04:05.678Z",', b'{"timestamp":"2026-01-02T03:04:05.678Z","ordinal":7,')
ODD_HEADS = (
    b'{"timestamp":"2026-01-02T03:04:05.678Z","ordinal":007,',
    b'{"timestamp":"2026-01-02T03:04:05\t678Z",',
    b'{"timestamp":"2026-01-02T03:04:05\x00678Z",',
    b'{"timestamp":"2026-01-02T03:04:05\x7f678Z",',
)

ODD = [
    MESSAGE[:-1] + b',"metadata":{"delivered_assistant_message":"x"}}',
    MESSAGE[:-1] + b',"extra":{"x":{},"metadata":{}}}',
    MESSAGE + b',"metadata":{}',
    MESSAGE + b',"metadata":{"client_authored":true,"unknown":{"metadata":{"metadata":{}}}}',
    MESSAGE + b',"metadata":{"client_authored":3}',
    MESSAGE + b',"metadata":null',
    MESSAGE + b',"metadata": {}',
    MESSAGE + b' ,"metadata":{}',
    MESSAGE + b',"metadata":{},"metadata":{"client_authored":true}',
    MESSAGE + b',"metadata":{},"payload":' + CALL,
    MESSAGE + b',"payload":' + CALL,
    MESSAGE + b',"payload":' + CALL + b',"metadata":{}',
    MESSAGE + b',"type":"event_msg","metadata":{}',
    MESSAGE + b',"other":{}',
    MESSAGE + b',"other":{"x":1},"metadata":{}',
    MESSAGE + b',"ordinal":99999999999999999999',
    b'{"type":"message","role":"user","content":[{"type":"input_text","text":"},\\"metadata\\":{"}]}',
    b'{"type":"message","role":"user","content":[]}}',
    b'{"type":"unheard_of","x":{}}',
    b'{"type":"message","role":7,"content":[]}',
    b'{"type":"message","role":"user","content":[{"type":"input_text","text":"\xff"}]}',
    b'{"type":"message","role":"user","content":[{"type":"input_text","text":"\\ud800"}]}',
]


def line_of(payload: bytes, head: bytes = HEADS[0]) -> bytes:
    return head + b'"type":"response_item","payload":' + payload + b"}"


def both(line: bytes) -> None:
    quick = item_of(record_of(0, line))
    parts = record_of(0, line).parts()
    slow = items._item_of_parts(*parts) if parts is not None else None
    assert (quick is None) == (slow is None)
    if quick is not None and slow is not None:
        assert [bytes(quick[0]), bytes(quick[1]), *quick[2:]] == [bytes(slow[0]), bytes(slow[1]), *slow[2:]]


@pytest.mark.parametrize("payload", [MESSAGE, CALL, *ODD])
@pytest.mark.parametrize("head", [*HEADS, *ODD_HEADS])
def test_lines_of_every_form_hold_the_same_item_either_way(payload: bytes, head: bytes) -> None:
    both(line_of(payload, head))


def test_a_line_as_codex_writes_it_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    record = record_of(0, line_of(MESSAGE + b',"metadata":{"client_authored":true}'))
    monkeypatch.setattr(type(record), "parts", lambda _record: pytest.fail("it was decoded whole"))
    found = item_of(record)
    assert found is not None
    assert bytes(found[0]) == MESSAGE
    assert bytes(found[1]) == b'{"client_authored":true}'


def test_a_long_line_is_not_copied_into_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "_COPIED", 10)
    record = record_of(0, line_of(MESSAGE))
    found, parts = item_of(record), record.parts()
    assert found is not None
    assert parts is not None
    assert found[0] is parts[0], "a view of the line, not a copy"


PIECES = st.sampled_from(
    [
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b'"metadata"',
        b'"payload"',
        b'"x"',
        b"1",
        b"{}",
        b',"metadata":{}',
        MESSAGE,
        CALL,
    ]
)


@pytest.mark.parametrize("kind", [b"function_call_output", b"custom_tool_call_output"])
@pytest.mark.parametrize(
    ("output", "fits"),
    [
        (b'"said"', True),
        (b'[{"type":"input_text","text":"said"}]', True),
        (
            b'[{"type":"input_image","image_url":"u","detail":"high"},{"type":"encrypted_content","encrypted_content":"x"}]',
            True,
        ),
        (b"[]", True),
        (b'"\\ud800"', False),
        (b'[{"type":"input_text","text":7}]', False),
        (b'[{"type":"output_text","text":"said"}]', False),
        (b'["said"]', False),
        (b"{}", False),
        (b"null", False),
        (b"7", False),
    ],
)
def test_an_output_is_a_text_or_parts(kind: bytes, output: bytes, fits: bool) -> None:
    line = line_of(b'{"type":"%s","call_id":"c","output":%s}' % (kind, output))
    assert (item_of(record_of(0, line)) is not None) == fits


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (b"7", "Expected `str | array`, got `int` - at `$.output`"),
        (b'["x"]', "Expected `object`, got `str` - at `$.output[0]`"),
        (b'[{"type":"input_image"}]', "an image names its source - at `$.output[0]`"),
    ],
)
def test_what_is_wrong_with_an_output_is_said_with_its_place(output: bytes, said: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        items._decode_item(b'{"type":"function_call_output","call_id":"c","output":%s}' % output)
    assert str(refused.value) == said


@pytest.mark.parametrize("kind", [b"function_call_output", b"custom_tool_call_output"])
def test_a_large_output_stays_bytes(kind: bytes) -> None:
    record = record_of(0, line_of(b'{"type":"%s","call_id":"c","output":"%s"}' % (kind, b"line\\n" * 1_000_000)))
    tracemalloc.start()
    try:
        assert item_of(record) is not None
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@given(st.lists(PIECES, max_size=8), st.sampled_from([MESSAGE, CALL, b"{"]))
def test_any_line_holds_the_same_item_either_way(pieces: list[bytes], start: bytes) -> None:
    both(line_of(start + b"".join(pieces)))
