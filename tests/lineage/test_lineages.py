"""Lineages: resolved only as far back as somebody reads; what is missing, cyclic or too deep is named."""

from __future__ import annotations

import inspect
import json
import sys
from typing import TYPE_CHECKING

import pytest
from tests.lineage.rollouts import LEGACY, Made, id_of, library, lineage
from tests.support import BytesSource, MemoryLibrary

from threadkeep.backends import MemoryBackend
from threadkeep.errors import BrokenLineage, CorruptHistory, UnreadableRollout
from threadkeep.lineage import MAX_DEPTH, Lineage, _lineage
from threadkeep.records import Cost
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Iterator


def chain(length: int, *, own: bool = True) -> list[Made]:
    """Rollouts that each inherit all of the one before, oldest first."""
    made = [Made(1)]
    made[0].turn("turn 1")
    for number in range(2, length + 1):
        made.append(Made(number, base=made[-1].base(own=own)))
        made[-1].turn(f"turn {number}")
    return made


class Counting(MemoryLibrary):
    """Says which rollouts were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def sources(self, rollout_id: str, cost: Cost) -> Iterator[BytesSource]:
        self.asked.append(rollout_id)
        yield from super().sources(rollout_id, cost)


def test_ancestors_that_nobody_reads_are_not_opened() -> None:
    made = chain(5)
    known = Counting()
    for rollout in made:
        known.add(rollout.id, rollout.data)
    with lineage(known, made[-1]) as found:
        segments = found.newest_first()
        assert next(segments).rollout_id == made[-1].id
        assert known.asked == []
        assert next(segments).rollout_id == made[-2].id
        assert known.asked == [made[-2].id]
        assert found.segment(made[2].id) is not None
        assert known.asked == [made[-2].id, made[2].id]
        assert [segment.rollout_id for segment in found.oldest_first()] == [rollout.id for rollout in made]
        assert len(known.asked) == 4, "each is resolved once"


def test_segments_join_without_a_gap_and_without_the_first_records() -> None:
    made = chain(4)
    segments = lineage(library(*made), made[-1]).oldest_first()
    assert [segment.depth for segment in segments] == [3, 2, 1, 0]
    for segment, rollout in zip(segments, made, strict=True):
        assert (segment.start, segment.end) == (rollout.data.index(b"\n") + 1, len(rollout.data))


def test_places_are_ordered_along_the_lineage() -> None:
    made = chain(3)
    found = lineage(library(*made), made[-1])
    found.oldest_first()
    order = [found.order(rollout.id, offset) for rollout in made for offset in (0, 7)]
    assert order == sorted(order)
    assert found.order(id_of(99), 10**9) < order[0], "what was not resolved yet is older than everything"


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_missing_ancestor_is_named_with_its_child(missing: int) -> None:
    made = chain(4)
    known = library(*(rollout for rollout in made if rollout != made[missing]))
    with lineage(known, made[-1]) as found:
        with pytest.raises(BrokenLineage, match="nowhere in this store") as refusal:
            found.oldest_first()
        assert made[missing].id in str(refusal.value)
        assert made[missing + 1].id in str(refusal.value)
        assert (refusal.value.thread, refusal.value.rollout) == (made[-1].id, made[missing].id)
        assert [segment.rollout_id for segment in found.resolved] == [
            rollout.id for rollout in reversed(made[missing + 1 :])
        ]
        with pytest.raises(BrokenLineage, match="nowhere in this store"):
            found.oldest_first()


@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_cycle_is_named(length: int) -> None:
    base = {"thread_id": id_of(length), "end_ordinal_exclusive": 1, "end_byte_offset": 0}
    shape = Made(1, base=base)
    end = len(shape.data)
    made = [
        Made(number, base={**base, "thread_id": id_of((number - 2) % length + 1), "end_byte_offset": end})
        for number in range(1, length + 1)
    ]
    for rollout in made:
        rollout.data = rollout.data.replace(b'"end_byte_offset":%d' % end, b'"end_byte_offset":%d' % len(rollout.data))
        rollout.data = rollout.data.replace(b'"end_ordinal_exclusive":1', b'"end_ordinal_exclusive":2')
    with pytest.raises(BrokenLineage, match="cycle") as refusal:
        lineage(library(*made), made[-1]).oldest_first()
    assert refusal.value.rollout == made[-1].id


def test_of_several_places_the_first_that_verifies_is_read() -> None:
    """The rollout itself was cut; a pin still holds what was inherited."""
    made = chain(2)
    whole, cut = BytesSource(made[0].data, made[0].id), BytesSource(made[0].data[:-9], made[0].id)

    class Places(MemoryLibrary):
        def sources(self, rollout_id: str, cost: Cost) -> Iterator[BytesSource]:
            yield from (cut, whole)

    known = Places()
    known.add(made[1].id, made[1].data)
    assert lineage(known, made[1]).oldest_first()[0].source is whole


def test_where_no_place_verifies_the_first_one_is_spoken_of() -> None:
    """What is wrong with the rollout itself is what the user must hear."""
    made = chain(2)

    class Places(MemoryLibrary):
        def sources(self, rollout_id: str, cost: Cost) -> Iterator[BytesSource]:
            yield BytesSource(made[0].data[:-9], rollout_id)
            yield BytesSource(b"garbage\n", rollout_id)

    known = Places()
    known.add(made[1].id, made[1].data)
    with pytest.raises(BrokenLineage, match="it was cut"):
        lineage(known, made[1]).oldest_first()


@pytest.mark.parametrize("data", [b"", b"garbage\n", b"\0" * 600])
def test_an_ancestor_that_cannot_be_read_is_named(data: bytes) -> None:
    made = chain(2)
    known = library(*made)
    known.add(made[0].id, data)
    with pytest.raises(BrokenLineage) as refusal:
        lineage(known, made[1]).oldest_first()
    assert refusal.value.rollout == made[0].id


def test_a_damaged_first_line_of_a_child_does_not_make_it_a_root() -> None:
    """Partial history is never served as whole: its ordinals tell that something came before."""
    made = chain(2)
    known = library(*made)
    first, rest = made[1].data.split(b"\n", 1)
    known.add(made[1].id, b"#" * len(first) + b"\n" + rest)
    with lineage(known, made[1]) as found:
        assert found.tip.inherits
        with pytest.raises(BrokenLineage, match=r"first line of rollout .* is damaged"):
            found.oldest_first()


def test_a_damaged_first_line_of_a_root_loses_nothing_else() -> None:
    root = Made(1)
    root.turn("one")
    first, rest = root.data.split(b"\n", 1)
    known = library(root)
    known.add(root.id, b"#" * len(first) + b"\n" + rest)
    (segment,) = lineage(known, root).oldest_first()
    assert (segment.start, segment.end, segment.inherits) == (0, len(root.data), False)


def test_a_legacy_rollout_is_a_root_whatever_it_says() -> None:
    """As for Codex, which reads no base in one."""
    parent = Made(1)
    parent.turn("one")
    child = Made(2, mode=LEGACY, base=parent.base())
    assert len(lineage(library(parent, child), child).oldest_first()) == 1


def test_another_threads_rollout_is_not_served() -> None:
    made = chain(1)
    with pytest.raises(UnreadableRollout, match=f"belongs to thread {made[0].id}"):
        lineage(library(*made), made[0], thread=id_of(9))


def test_an_end_that_was_fixed_is_kept() -> None:
    """Whatever is appended while an operation runs."""
    made = chain(1)
    end = made[0].turn("two")
    known = library(*made)
    known.add(made[0].id, made[0].data + b'{"torn')
    found = Lineage(known, known.rollouts[made[0].id], made[0].id, Cost(), end=end)
    assert found.tip.end == end
    assert lineage(known, made[0]).tip.end == end


def test_deeper_than_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lineage, "MAX_DEPTH", 5)
    made = chain(6)
    known = library(*made)
    assert len(lineage(known, made[4]).oldest_first()) == 5
    with pytest.raises(BrokenLineage, match="deeper than 5"):
        lineage(known, made[5]).oldest_first()


def test_the_bound_leaves_room() -> None:
    assert MAX_DEPTH >= 10_000


class Shallow:
    """Room for so many calls on the stack, and no more."""

    def __init__(self, calls: int) -> None:
        self.calls = calls

    def __enter__(self) -> None:
        self.before = sys.getrecursionlimit()
        sys.setrecursionlimit(len(inspect.stack()) + self.calls)

    def __exit__(self, *_: object) -> None:
        sys.setrecursionlimit(self.before)


def test_a_chain_of_a_thousand_is_walked_without_recursion_and_at_rest() -> None:
    made = chain(1_000)
    known = library(*made)
    resting: set[str] = set()
    for source in known.rollouts.values():
        source.rest = lambda source=source: resting.add(source.rollout_id)  # type: ignore[misc, method-assign]
    with Shallow(40), lineage(known, made[-1]) as found:
        assert len(found.oldest_first()) == 1_000
    assert len(resting) >= 998, "of a thousand rollouts only a few are held open"


def test_a_thousand_forks_resume_without_recursion() -> None:
    """Each with a turn of its own (trap 8)."""
    made = chain(1_000)
    backend = MemoryBackend()
    for rollout in made:
        backend.put(rollout.id, rollout.id, rollout.data)
    thread = made[-1].id
    with ThreadStore(backend) as store:
        with Shallow(150):
            fast, full = store.resume(thread), store.replay(thread)
        texts = [json.loads(bytes(item.payload))["content"][0]["text"] for item in fast.context.items]
        assert texts == [f"turn {number}" for number in range(1, 1_001)]
        assert [item.position for item in fast.context.items] == [item.position for item in full.context.items]
        with Shallow(150):
            page = store.turns(thread, limit=5)
        assert [turn["id"] for turn in page.data] == [f"turn {number}" for number in range(1_000, 995, -1)]
        assert page.cost.rollouts_opened < 10
        with Shallow(150):
            assert store.fork(thread).forked_from_id == thread


def test_every_source_is_closed() -> None:
    made = chain(3)
    known = library(*made)
    closed: list[str] = []
    for source in known.rollouts.values():
        source.close = lambda source=source: closed.append(source.rollout_id)  # type: ignore[misc, method-assign]
    with lineage(known, made[-1]) as found:
        found.oldest_first()
    assert closed == [made[2].id, made[1].id, made[0].id]


def test_an_ancestor_that_was_refused_is_closed() -> None:
    made = chain(2)
    known = library(*made)
    closed: list[str] = []
    cut = known.add(made[0].id, made[0].data[:-9])
    cut.close = lambda: closed.append("cut")  # type: ignore[method-assign]
    with pytest.raises(CorruptHistory), lineage(known, made[1]) as found:
        found.oldest_first()
    assert closed == ["cut"]
