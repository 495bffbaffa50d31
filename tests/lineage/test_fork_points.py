"""Fork points: the base names the rollout that owns the boundary, so that chains grow only through own records."""

from __future__ import annotations

import pytest
from tests.lineage.rollouts import LEGACY, PAGINATED, Made, id_of, library, lineage

from threadkeep.lineage import (
    UNRESOLVABLE_OFFSET,
    UNRESOLVABLE_ORDINAL,
    ForkPoint,
    boundary_digest,
    fork_point,
    newest_turn,
)


def point(*made: Made, rollout: Made | None = None, offset: int | None = None, interrupts: bool = True) -> ForkPoint:
    """The fork point in the last of these rollouts, at its head unless told otherwise."""
    with lineage(library(*made), made[-1]) as found:
        return fork_point(found, (rollout or made[-1]).id, offset, interrupts=interrupts)


def test_at_the_head_everything_is_inherited() -> None:
    parent = Made(1)
    end = parent.turn("one")
    found = point(parent)
    assert found.base is not None
    assert found.segment is not None
    assert (found.base.thread_id, found.base.end_byte_offset, found.end) == (parent.id, end, end)
    assert found.base.end_ordinal_exclusive == found.first_ordinal == parent.ordinal == 4
    assert found.running is None
    own = found.base.threadkeep
    assert own is not None
    digest = boundary_digest(found.segment.source, end)
    assert (own.end, own.mode, own.digest, own.after_turn) == (end, PAGINATED, digest, "one")


def test_in_the_middle_the_rest_is_left_out() -> None:
    parent = Made(1)
    end = parent.turn("one")
    parent.turn("two")
    found = point(parent, offset=end, interrupts=False)
    assert found.base is not None
    assert (found.base.end_byte_offset, found.first_ordinal) == (end, 4)
    assert found.base.threadkeep is not None
    assert found.base.threadkeep.after_turn == "one"


def test_a_torn_tail_is_not_inherited() -> None:
    parent = Made(1)
    end = parent.turn("one")
    parent.data += b'{"torn'
    found = point(parent)
    assert found.end == end


def test_a_child_starts_with_the_ordinal_after_its_base() -> None:
    parent = Made(1)
    parent.turn("one")
    found = point(parent)
    assert found.base is not None
    child = Made(2, base=parent.base())
    child.turn("own")
    of_child = point(parent, child)
    assert of_child.base is not None
    assert of_child.first_ordinal == found.first_ordinal + 4, "its first record has one, too"


def test_a_fork_of_a_fork_without_records_of_its_own_names_the_owner() -> None:
    """So that forking again and again makes no chain."""
    parent = Made(1)
    end = parent.turn("one")
    made = [parent]
    for number in range(2, 6):
        made.append(Made(number, base=parent.base(own=True)))
        found = point(parent, made[-1])
        assert found.base is not None
        assert (found.base.thread_id, found.end) == (parent.id, end)


def test_a_place_in_inherited_history_names_the_owner() -> None:
    parent = Made(1)
    end = parent.turn("one")
    parent.turn("two")
    child = Made(2, base=parent.base())
    child.turn("own")
    found = point(parent, child, rollout=parent, offset=end, interrupts=False)
    assert found.base is not None
    assert (found.base.thread_id, found.base.end_byte_offset) == (parent.id, end)


def test_before_the_first_own_record_is_the_end_of_the_inherited_ones() -> None:
    parent = Made(1)
    end = parent.turn("one")
    child = Made(2, base=parent.base(own=True))
    start = len(child.data)
    child.turn("own")
    found = point(parent, child, offset=start, interrupts=False)
    assert found.base is not None
    assert (found.base.thread_id, found.base.end_byte_offset) == (parent.id, end)


@pytest.mark.parametrize("mode", [LEGACY, PAGINATED])
def test_before_the_first_turn_nothing_is_inherited(mode: str) -> None:
    parent = Made(1, mode=mode)
    start = len(parent.data)
    assert point(parent) == ForkPoint(None, 0, 0, None, None)
    parent.turn("one")
    assert point(parent, offset=start, interrupts=False) == ForkPoint(None, 0, 0, None, None)


def test_a_legacy_base_is_made_so_that_codex_never_resolves_it() -> None:
    """Its lines would start in the middle of a record once Codex has migrated the parent (0.169.0 observed)."""
    parent = Made(1, mode=LEGACY)
    end = parent.turn("one")
    found = point(parent)
    assert found.base is not None
    assert (found.base.end_ordinal_exclusive, found.base.end_byte_offset) == (2**64 - 1, 2**62)
    assert (UNRESOLVABLE_ORDINAL, UNRESOLVABLE_OFFSET) == (2**64 - 1, 2**62)
    assert found.first_ordinal == 0
    own = found.base.threadkeep
    assert own is not None
    assert (own.end, own.mode) == (end, LEGACY)


def test_a_running_turn_is_told_of() -> None:
    parent = Made(1)
    parent.turn("one")
    end = parent.turn("two", ended=False, started_at=1_795_344_737)
    found = point(parent)
    assert (found.running, found.end) == (("two", 1_795_344_737), end)
    assert point(parent, interrupts=False).running is None


def test_a_turn_that_runs_at_the_end_of_the_inherited_history_is_told_of() -> None:
    """The child has no record of its own yet, not even that turn's end."""
    parent = Made(1)
    parent.turn("one", ended=False)
    child = Made(2, base=parent.base())
    assert point(parent, child).running == ("one", 7)
    grandchild = Made(3, base=parent.base())
    assert point(parent, grandchild).running == ("one", 7)


def test_a_turn_that_a_child_saw_the_end_of_runs_no_more() -> None:
    parent = Made(1)
    parent.turn("one", ended=False)
    child = Made(2, base=parent.base())
    child.add("event_msg", {"type": "turn_aborted", "turn_id": "one", "reason": "interrupted"})
    found = point(parent, child)
    assert found.running is None
    assert found.base is not None
    assert found.base.thread_id == child.id


@pytest.mark.parametrize(
    ("events", "running"),
    [
        ([], None),
        ([("task_started", "a")], ("a", None)),
        ([("turn_started", "a")], ("a", None)),
        ([("task_started", "a"), ("task_complete", "a")], None),
        ([("task_started", "a"), ("turn_complete", "a")], None),
        ([("task_started", "a"), ("turn_aborted", None)], None),
        ([("task_started", "a"), ("task_complete", "a"), ("task_started", "b")], ("b", None)),
        ([("task_started", "a"), ("task_started", "b")], ("b", None)),
        ([("task_started", None)], None),
        ([("task_started", "a"), ("token_count", None)], ("a", None)),
    ],
)
def test_the_newest_turn_runs_until_something_ends_it(
    events: list[tuple[str, str | None]], running: tuple[str, None] | None
) -> None:
    made = Made(1)
    for subtype, turn_id in events:
        made.add("event_msg", {"type": subtype, **({"turn_id": turn_id} if turn_id else {})})
    with lineage(library(made), made) as found:
        assert newest_turn(found.tip, found.tip.end) == running


def test_the_turn_before_a_boundary_is_the_newest_that_is_named() -> None:
    parent = Made(1)
    parent.turn("one")
    parent.add("event_msg", {"type": "task_started"})
    parent.add("event_msg", {"type": "token_count"})
    found = point(parent)
    assert found.base is not None
    assert found.base.threadkeep is not None
    assert found.base.threadkeep.after_turn == "one"
    empty = Made(2)
    empty.add("response_item", {"type": "message", "role": "user", "content": []})
    of_empty = point(empty)
    assert of_empty.base is not None
    assert of_empty.base.threadkeep is not None
    assert of_empty.base.threadkeep.after_turn is None


def test_a_place_of_another_thread_is_a_mistake_of_the_caller() -> None:
    parent = Made(1)
    with lineage(library(parent), parent) as found, pytest.raises(AssertionError):
        fork_point(found, id_of(9), None, interrupts=True)
