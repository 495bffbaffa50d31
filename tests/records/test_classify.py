"""A record is what it says, in whichever order it says it."""

from __future__ import annotations

import pytest

from threadkeep.records import Cost, TaskStarted, record_of
from threadkeep.records._sieve import Sieve, sifted

HEAD = b'{"timestamp":"2026-11-22T10:00:00.000Z","ordinal":3,"type":"event_msg","payload":'
USUAL = HEAD + b'{"type":"task_started","turn_id":"t"}}'
TURNED = HEAD + b'{"turn_id":"t","type":"task_started"}}'
SPACED = HEAD + b'{ "type": "task_started", "turn_id": "t"}}'
NUMBERED = HEAD + b'{"type":"task_started_2","turn_id":"t"}}'


@pytest.mark.parametrize("line", [USUAL, TURNED, SPACED])
def test_a_payload_s_type_counts_wherever_it_stands(line: bytes) -> None:
    record = record_of(0, line)
    assert (record.kind, record.subtype, record.ordinal) == ("event_msg", "task_started", 3)
    started = record.view(TaskStarted)
    assert started is not None
    assert started.turn_id == "t"


def test_a_type_that_begins_like_another_is_its_own() -> None:
    assert record_of(0, NUMBERED).subtype == "task_started_2"


@pytest.mark.parametrize("line", [USUAL, TURNED, SPACED])
def test_a_scan_that_wants_starts_of_turns_meets_them_in_any_order(line: bytes) -> None:
    sieve = Sieve(lambda kind, subtype: (kind, subtype) == ("event_msg", "task_started"))
    assert [record.subtype for record in sifted([(0, line)], sieve, Cost())] == ["task_started"]
