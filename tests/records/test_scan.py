"""Lines come out the same, with the same positions, forwards and backwards, whatever the blocks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import BytesSource

from threadkeep.records import _scan, committed_end, lines_backward, lines_forward

chunks = st.lists(
    st.sampled_from([b"\n", b"a", b"bc", b"\n\n", b"x" * 40, b"\r\n", b"\0" * 9, b"0123456789" * 30]), max_size=40
).map(b"".join)


def naive(data: bytes, start: int, end: int) -> list[tuple[int, bytes]]:
    lines: list[tuple[int, bytes]] = []
    offset = start
    for piece in data[start:end].split(b"\n"):
        lines.append((offset, piece))
        offset += len(piece) + 1
    if lines and lines[-1][1] == b"":
        lines.pop()
    return lines


@pytest.fixture(params=[1, 2, 7, 64, 1000])
def small_blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    size: int = request.param
    monkeypatch.setattr(_scan, "BLOCK_BYTES", size)
    monkeypatch.setattr(_scan, "_LARGEST_BLOCK", size * 4)
    return size


@given(data=chunks, block=st.integers(1, 70))
def test_both_directions_equal_a_plain_split(data: bytes, block: int) -> None:
    before = _scan.BLOCK_BYTES, _scan._LARGEST_BLOCK
    _scan.BLOCK_BYTES, _scan._LARGEST_BLOCK = block, block * 4  # type: ignore[misc]
    try:
        source = BytesSource(data)
        expected = naive(data, 0, len(data))
        assert list(lines_forward(source, 0, len(data))) == expected
        assert list(lines_backward(source, len(data))) == expected[::-1]
    finally:
        _scan.BLOCK_BYTES, _scan._LARGEST_BLOCK = before  # type: ignore[misc]


@given(data=chunks, draw=st.data())
def test_a_stretch_between_two_lines_reads_like_a_file_of_its_own(data: bytes, draw: st.DataObject) -> None:
    starts = [offset for offset, _ in naive(data, 0, len(data))] + [len(data)]
    low = draw.draw(st.sampled_from(starts))
    high = draw.draw(st.sampled_from([start for start in starts if start >= low]))
    source = BytesSource(data)
    expected = naive(data, low, high)
    assert list(lines_forward(source, low, high)) == expected
    assert list(lines_backward(source, high, low)) == expected[::-1]


@given(data=chunks)
def test_the_end_is_fixed_after_the_last_newline(data: bytes) -> None:
    assert committed_end(BytesSource(data)) == data.rfind(b"\n") + 1


def test_a_line_above_the_bound_is_stepped_over_in_both_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_scan, "MAX_RECORD_BYTES", 50)
    monkeypatch.setattr(_scan, "BLOCK_BYTES", 16)
    data = b"first\n" + b"y" * 200 + b"\nlast\n"
    source = BytesSource(data)
    assert list(lines_forward(source, 0, len(data))) == [(0, b"first"), (6, None), (207, b"last")]
    assert list(lines_backward(source, len(data))) == [(207, b"last"), (6, None), (0, b"first")]


def test_a_reverse_scan_reads_one_block_more_than_it_needs(small_blocks: int) -> None:
    data = b"".join(b"%06d\n" % number for number in range(5_000))
    source = BytesSource(data)
    lines = lines_backward(source, len(data))
    for _ in range(10):
        next(lines)
    assert source.cost.bytes_read <= 70 + 4 * small_blocks


def test_who_wants_one_record_does_not_read_a_block_of_them() -> None:
    data = b"".join(b"%06d\n" % number for number in range(200_000))
    for wanted in (
        lambda source: next(lines_backward(source, len(data))),
        lambda source: next(lines_forward(source, 0, len(data))),
        committed_end,
    ):
        source = BytesSource(data)
        wanted(source)
        assert source.cost.bytes_read <= _scan.BLOCK_BYTES // 8


@pytest.mark.slow
def test_a_record_of_100_megabytes_is_one_line() -> None:
    big = b"z" * 100_000_000
    data = b"before\n" + big + b"\nafter\n"
    source = BytesSource(data)
    backwards = list(lines_backward(source, len(data)))
    assert [(offset, len(line or b"")) for offset, line in backwards] == [(100_000_008, 5), (7, 100_000_000), (0, 6)]
