"""A record that is not understood is kept as the bytes that it is; one that is written reads back as what it was."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.property.homes import Home
from tests.support import BytesSource, dump

from threadkeep.records import (
    PAGINATED,
    Cost,
    encode_record,
    lines_backward,
    lines_forward,
    record_of,
    records_of,
)

Json = dict[str, Any]

names = st.sampled_from(["tomorrow", "type", "é", "a b", "", '"', "id", "payload", "0"])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(names | texts, anything, max_size=4)
kinds = st.sampled_from(["tomorrow", "event_msg", "response_item", "world_state", "a-b", "é", "x" * 80])
stamps = st.just("2026-11-22T10:00:00.000Z")
ordinals = st.none() | st.integers(0, 2**64 - 1)


@given(kind=kinds, payload=objects, timestamp=stamps, ordinal=ordinals, metadata=st.none() | objects)
def test_what_is_encoded_is_decoded(
    kind: str, payload: Json, timestamp: str, ordinal: int | None, metadata: Any
) -> None:
    line = encode_record(kind, payload, timestamp=timestamp, ordinal=ordinal, metadata=metadata)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    record = record_of(7, line[:-1])
    assert (record.kind, record.timestamp, record.ordinal) == (kind, timestamp, ordinal)
    parts = record.parts()
    assert parts is not None
    assert msgspec.json.decode(parts[0]) == payload
    assert (msgspec.json.decode(parts[1]) if len(parts[1]) else None) == metadata


@given(kind=kinds, payload=objects, timestamp=stamps, ordinal=ordinals)
def test_a_payload_that_only_passes_through_keeps_its_bytes(
    kind: str, payload: Json, timestamp: str, ordinal: int | None
) -> None:
    spaced = json.dumps(payload, ensure_ascii=True, separators=(", ", " : ")).encode()
    line = encode_record(kind, msgspec.Raw(spaced), timestamp=timestamp, ordinal=ordinal)
    record = record_of(0, line[:-1])
    assert record.payload is not None
    assert bytes(record.payload) == spaced
    again = encode_record(record.kind, record.payload, timestamp=record.timestamp, ordinal=record.ordinal)
    assert again == line


@given(kind=kinds, payload=objects, order=st.permutations(["timestamp", "ordinal", "type", "payload", "tomorrow"]))
def test_the_order_of_keys_changes_nothing(kind: str, payload: Json, order: list[str]) -> None:
    whole = {"timestamp": "2026-11-22T10:00:00.000Z", "ordinal": 3, "type": kind, "payload": payload, "tomorrow": [1]}
    usual, other = record_of(0, dump(whole)), record_of(0, dump({key: whole[key] for key in order}))
    assert (usual.kind, usual.subtype, usual.ordinal) == (other.kind, other.subtype, other.ordinal)
    assert usual.parts() == other.parts()


lines = st.lists(
    st.one_of(
        st.binary(max_size=20).map(lambda data: data.replace(b"\n", b"")),
        st.builds(lambda payload: dump({"timestamp": "2026", "type": "tomorrow", "payload": payload}), objects),
        st.sampled_from([b"", b" ", b"\r", b"\x00" * 5, b"{", b"[]"]),
    ),
    max_size=8,
)


@given(lines=lines, torn=st.booleans())
def test_lines_are_the_same_forwards_and_backwards(lines: list[bytes], torn: bool) -> None:
    data = b"\n".join(lines) + (b"" if torn else b"\n")
    source = BytesSource(data)
    forwards = list(lines_forward(source, 0, len(data)))
    assert forwards == list(lines_backward(source, len(data)))[::-1]
    assert all(data[at : at + len(line)] == line for at, line in forwards if line is not None)
    assert all(data[record.offset : record.offset + len(record.line)] == record.line for record in records_of(forwards))


@pytest.mark.parametrize("mode", [PAGINATED, "legacy"])
@given(between=lines)
def test_a_store_never_changes_a_line(mode: str, between: list[bytes]) -> None:
    home = Home(None)
    backend = home.store.backend
    with home.store.create(cwd="/project", mode=mode) as writer, writer.turn("a") as turn:
        turn.say("b")
    thread = writer.thread_id
    ref = backend.find(thread)
    assert ref is not None
    backend.grow(ref, b"".join(line + b"\n" for line in between))  # type: ignore[attr-defined]
    before = bytes(backend.data_of(ref))  # type: ignore[attr-defined]
    with home.store.writer(thread) as writer, writer.turn("c") as turn:
        turn.say("d")
    home.store.fork(thread)
    home.store.turns(thread, view="full")
    source = backend.open(ref, Cost())
    assert source.read(0, len(before)) == before
