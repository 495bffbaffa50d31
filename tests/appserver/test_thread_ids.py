"""Ids that are none are refused in the words of 0.169.0."""

from __future__ import annotations

import pytest

from threadkeep.appserver._thread_ids import what_is_wrong

PREFIX = "expected an optional prefix of `urn:uuid:` followed by [0-9a-fA-F-]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid length: expected length 32 for simple format, found 0"),
        ("nope", f"invalid character: {PREFIX}, found `n` at 1"),
        ("abc", "invalid length: expected length 32 for simple format, found 3"),
        ("01a20539-62c4-7d30-b194", "invalid group count: expected 5, found 4"),
        ("01a20539-62c4-7d30-b194-c0a5e6cebff0-1", "invalid group count: expected 5, found 6"),
        ("1a20539-62c4-7d30-b194-c0a5e6cebff0", "invalid group length in group 0: expected 8, found 7"),
        ("01a20539-62c4-7d30-b194-c0a5e6cebff", "invalid group length in group 4: expected 12, found 11"),
        ("01a20539-62c4-7d30-b194-c0a5e6cebffé", f"invalid character: {PREFIX}, found `é` at 36"),
        ("urn:uuid:zz", f"invalid character: {PREFIX}, found `z` at 10"),
        ("{abc}", "invalid group count: expected 5, found 1"),
    ],
)
def test_what_is_wrong_with_an_id_is_said(text: str, message: str) -> None:
    assert what_is_wrong(text) == message
