"""Boundaries: a change of what a child inherits is noticed before a byte of it is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.lineage.rollouts import LEGACY, PAGINATED, Boundary, Made, event, id_of, library, lineage, record
from tests.support import BytesSource

from threadkeep.errors import BrokenLineage
from threadkeep.lineage import DIGEST_WINDOW, UNRESOLVABLE_OFFSET, boundary_digest, next_ordinal, snapshot_end

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import Json, MemoryLibrary


def parent_of(mode: str = PAGINATED) -> tuple[Made, int]:
    """A parent with two turns, and where the first one ends."""
    parent = Made(1, mode=mode)
    end = parent.turn("one")
    parent.turn("two")
    return parent, end


def child_of(base: Json) -> Made:
    child = Made(2, base=base)
    child.turn("own")
    return child


def older(made: MemoryLibrary, child: Made) -> tuple[str, int, int]:
    segment = lineage(made, child).oldest_first()[0]
    return segment.rollout_id, segment.start, segment.end


@pytest.mark.parametrize("own", [True, False], ids=["ours", "Codex's"])
def test_a_child_inherits_up_to_its_boundary(own: bool) -> None:
    parent, end = parent_of()
    child = child_of(parent.base(end, own=own))
    assert older(library(parent, child), child) == (parent.id, parent.data.index(b"\n") + 1, end)


@pytest.mark.parametrize("own", [True, False], ids=["ours", "Codex's"])
def test_what_the_parent_writes_later_never_enters(own: bool) -> None:
    parent, _ = parent_of()
    end = len(parent.data)
    child = child_of(parent.base(own=own))
    parent.turn("three")
    assert older(library(parent, child), child)[2] == end


def cut(data: bytes, end: int) -> bytes:
    return data[: end - 5]


def shifted(data: bytes, end: int) -> bytes:
    return data[: end - 40] + b" " + data[end - 40 :]


def without_a_line(data: bytes, end: int) -> bytes:
    """A line before the boundary is gone; lines after it fill the place."""
    start = data.rindex(b"\n", 0, end - 1) + 1
    return data[:start] + data[end:]


def migrated(data: bytes, end: int) -> bytes:
    del end
    return data.replace(b'"history_mode":"paginated"', b'"history_mode":"legacy"')


@pytest.mark.parametrize("change", [cut, shifted, without_a_line, migrated])
@pytest.mark.parametrize("own", [True, False], ids=["ours", "Codex's"])
def test_a_changed_ancestor_is_refused_and_named(own: bool, change: Callable[[bytes, int], bytes]) -> None:
    parent, end = parent_of()
    child = child_of(parent.base(end, own=own))
    made = library(parent, child)
    made.add(parent.id, change(parent.data, end))
    with pytest.raises(BrokenLineage) as refusal:
        lineage(made, child).oldest_first()
    assert parent.id in str(refusal.value)
    assert child.id in str(refusal.value)
    assert refusal.value.rollout == parent.id


def test_an_edit_that_keeps_every_length_is_seen_by_our_digest() -> None:
    parent, end = parent_of()
    child = child_of(parent.base(end, own=True))
    made = library(parent, child)
    made.add(parent.id, parent.data.replace(b'"text":"one"', b'"text":"ONE"'))
    with pytest.raises(BrokenLineage, match="not the ones that were inherited"):
        lineage(made, child).oldest_first()


def test_an_edit_far_from_the_boundary_is_left_to_verify() -> None:
    """Every resume would have to read all that it inherits."""
    parent = Made(1)
    parent.turn("one")
    end = parent.turn("two", size=DIGEST_WINDOW)
    child = child_of(parent.base(end, own=True))
    made = library(parent, child)
    made.add(parent.id, parent.data.replace(b'"text":"one"', b'"text":"ONE"'))
    assert older(made, child)[2] == end


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"end_byte_offset": 2**62}, "cut"),
        ({"end_byte_offset": 3}, "inside its first record"),
        ({"end_byte_offset": -1}, "inside its first record"),
        ({"end_byte_offset": 400}, "no record ends there"),
        ({"end_ordinal_exclusive": 99}, "no record with ordinal 98"),
        ({"end_ordinal_exclusive": 0}, "no record with ordinal -1"),
    ],
)
def test_a_base_that_fits_nowhere_is_refused(changed: Json, what: str) -> None:
    parent, end = parent_of()
    child = child_of(parent.base(end, **changed))
    with pytest.raises(BrokenLineage, match=what):
        lineage(library(parent, child), child).oldest_first()


def test_a_legacy_parent_is_inherited_by_our_own_key_alone() -> None:
    """Codex's own fields are made so that it can never resolve them."""
    parent, end = parent_of(LEGACY)
    said = parent.base(end, own=True, end_ordinal_exclusive=2**64 - 1, end_byte_offset=UNRESOLVABLE_OFFSET)
    child = child_of(said)
    assert older(library(parent, child), child)[2] == end
    bare = child_of({key: value for key, value in said.items() if key != "threadkeep"})
    with pytest.raises(BrokenLineage, match="legacy now, not paginated"):
        lineage(library(parent, bare), bare).oldest_first()


def test_a_legacy_parent_that_codex_migrated_is_refused() -> None:
    parent, end = parent_of(LEGACY)
    child = child_of(parent.base(end, own=True))
    made = library(parent, child)
    made.add(parent.id, Made(1).data + parent.data)
    with pytest.raises(BrokenLineage, match="paginated now, not legacy"):
        lineage(made, child).oldest_first()


def test_an_anchor_takes_the_place_of_the_boundary() -> None:
    """What `doctor` made after it found the same turn at another place."""
    parent, end = parent_of()
    child = child_of(parent.base(end, own=True))
    made = library(parent, child)
    moved = made.add(parent.id, parent.data.replace(b'"cwd":"/work"', b'"cwd":"/moved/elsewhere"'))
    with pytest.raises(BrokenLineage):
        lineage(made, child).oldest_first()
    elsewhere = end + len("/moved/elsewhere") - len("/work")
    made.anchors[child.id] = Boundary(elsewhere, boundary_digest(moved, elsewhere), PAGINATED, "one")
    assert older(made, child)[2] == elsewhere
    made.anchors[child.id] = Boundary(elsewhere, "0" * 32, PAGINATED, "one")
    with pytest.raises(BrokenLineage):
        lineage(made, child).oldest_first()


def test_a_child_of_codex_is_pinned_when_it_is_first_seen_and_ours_is_not() -> None:
    parent, end = parent_of()
    for own in (False, True):
        child = child_of(parent.base(end, own=own))
        made = library(parent, child)
        lineage(made, child).oldest_first()
        assert made.seen == ([] if own else [(child.id, parent.id, end)])


def test_an_ordinal_that_was_used_twice_still_bounds() -> None:
    """Codex gives the ordinals of lines that it cannot read to the next ones (0.169.0)."""
    parent = Made(1)
    parent.turn("one")
    parent.add("of the future", {})
    parent.ordinal -= 1
    end = parent.turn("two")
    child = child_of({**parent.base(end), "end_ordinal_exclusive": parent.ordinal})
    assert older(library(parent, child), child)[2] == end


@pytest.mark.parametrize("length", [1, 100, DIGEST_WINDOW, DIGEST_WINDOW + 1, 3 * DIGEST_WINDOW])
def test_the_digest_covers_what_stands_just_before_the_boundary(length: int) -> None:
    data = bytes(number % 251 for number in range(length))
    digest = boundary_digest(BytesSource(data + b"later"), length)
    assert boundary_digest(BytesSource(data + b"other"), length) == digest
    first = max(0, length - DIGEST_WINDOW)
    for place in (first, length - 1):
        changed = bytearray(data)
        changed[place] ^= 1
        assert boundary_digest(BytesSource(bytes(changed)), length) != digest
    if first:
        changed = bytearray(data)
        changed[first - 1] ^= 1
        assert boundary_digest(BytesSource(bytes(changed)), length) == digest


def test_the_digest_of_a_boundary_at_the_very_beginning_reads_nothing() -> None:
    source = BytesSource(b"anything")
    assert boundary_digest(source, 0) == boundary_digest(BytesSource(b""), 0)
    assert source.cost.bytes_read == 0


WHOLE = event("task_complete", 5, turn_id="one")


@pytest.mark.parametrize(
    ("tail", "kept"),
    [
        (b"", 0),
        (WHOLE[:-1], len(WHOLE) - 1),  # whole but for its newline: Codex keeps it, and so do we
        (WHOLE[:-2], 0),
        (WHOLE[:20], 0),
        (b"\0" * 512, 0),
        (b"{}", 0),
    ],
)
def test_an_operation_ends_at_the_last_newline_or_after_a_whole_record(tail: bytes, kept: int) -> None:
    assert snapshot_end(BytesSource(WHOLE + tail)) == len(WHOLE) + kept
    assert snapshot_end(BytesSource(tail)) == kept


def test_the_next_ordinal_follows_the_newest_record_that_has_one() -> None:
    data = record("session_meta", {}, 3) + record("event_msg", {}, 4) + record("event_msg", {}) + b"garbage\n"
    assert next_ordinal(BytesSource(data), len(data), 0) == 5
    assert next_ordinal(BytesSource(data), data.index(b"\n") + 1, 0) == 4
    assert next_ordinal(BytesSource(b"garbage\n"), 8, 0) is None
    assert next_ordinal(BytesSource(data), 0, 0) is None


def test_ids_of_tests_are_ids() -> None:
    from threadkeep.ids import is_id

    assert is_id(id_of(7))
