"""Damage moves records and loses some: every way of asking for turns and items tells the same of what is left."""

from __future__ import annotations

from typing import Any, Final
from unittest.mock import patch

import pytest
from tests.property.answers import small_bounds
from tests.support import MemoryLibrary, dump

from threadkeep.lineage import Lineage
from threadkeep.records import Cost
from threadkeep.replay._find import find_turn
from threadkeep.replay._pages import item_page, turn_page
from threadkeep.replay._paginated import placed
from threadkeep.replay._whole import whole_turns
from threadkeep.store._verify_pages import check_pages

AGENT: Final = "01a20000-0000-7000-8000-000000000001"
OWN: Final = 3
"""The first ordinal of the agent's own."""


def line(ordinal: int, kind: str, **payload: Any) -> bytes:
    timestamp = "2026-11-22T16:54:20.000Z"
    return dump({"timestamp": timestamp, "ordinal": ordinal, "type": kind, "payload": payload}) + b"\n"


def event(ordinal: int, name: str, turn: str, **more: Any) -> bytes:
    return line(ordinal, "event_msg", type=name, turn_id=turn, **more)


def said(ordinal: int, turn: str, name: str = "x") -> bytes:
    item = {"type": "AgentMessage", "id": name, "content": [{"type": "Text", "text": f"said {ordinal}"}]}
    return event(ordinal, "item_completed", turn, thread_id=AGENT, item=item)


FIRST: Final = line(
    0, "session_meta", id=AGENT, timestamp="", cwd="/", history_mode="paginated", subagent_history_start_ordinal=OWN
)

OWN_LINES: Final = (
    event(3, "task_started", "a"),
    said(4, "a"),
    event(5, "task_complete", "a"),
    event(6, "task_started", "b"),
    said(7, "b"),
    event(8, "task_complete", "b"),
)


def told(copied: tuple[bytes, ...], place: int, size: int) -> None:
    """Whatever asks for turns and items is told those of the agent."""
    library = MemoryLibrary()
    source = library.add(AGENT, b"".join((FIRST, *OWN_LINES[:place], *copied, *OWN_LINES[place:])))
    with Lineage(library, source, AGENT, Cost()) as lineage:
        turns = [entry.turn for entry in whole_turns(lineage, "full", first_start=lambda _: None)]
        assert [turn["id"] for turn in turns] == ["a", "b"]
        for turn in turns:
            found = find_turn(lineage, turn["id"], library, "full")
            assert found is not None
            assert found.turn == turn
        for name in ("a", "b"):
            rows = item_page(lineage, library, cursor=None, limit=9, descending=False, turn_id=name).data
            assert [row.turn_id for row in rows] == [name]
        assert find_turn(lineage, "parents", library) is None
        for descending in (False, True):
            pages: list[Any] = []
            cursor = None
            while not pages or cursor is not None:
                page = turn_page(lineage, library, cursor=cursor, limit=size, descending=descending, view="full")
                pages += [entry.turn for entry in page.data]
                cursor = page.next_cursor
            assert pages == (turns[::-1] if descending else turns)


@pytest.mark.parametrize("place", range(len(OWN_LINES) + 1))
@pytest.mark.parametrize("size", [1, 9])
@pytest.mark.parametrize("turn", ["parents", "a", "b"])
def test_each_turn_of_an_agent_is_found_wherever_its_copied_beginning_is(turn: str, place: int, size: int) -> None:
    started, ended = event(1, "task_started", turn), event(2, "task_complete", turn)
    for copied in ((started, ended), (started,), (ended,)):
        told(copied, place, size)


@pytest.mark.parametrize("size", [1, 9])
def test_each_turn_of_an_agent_is_found_after_a_long_copied_beginning(size: int) -> None:
    with small_bounds():
        told((event(1, "task_started", "a"), event(2, "task_complete", "a")) * 20, 0, size)


def test_a_long_copied_beginning_is_not_read() -> None:
    copied = [line(number, "event_msg", type="agent_message", message="m" * 10_000) for number in range(1, 1_000)]
    copied[500] = event(500, "task_started", "parents")
    own = [event(1_000, "task_started", "a"), said(1_001, "a"), event(1_002, "task_complete", "a")]
    first = FIRST.replace(b'_ordinal":%d' % OWN, b'_ordinal":1000')
    library = MemoryLibrary()
    source = library.add(AGENT, b"".join((first, *copied, copied[500].replace(b"500", b"999"), *own)))
    with Lineage(library, source, AGENT, Cost()) as lineage:
        for descending in (False, True):
            page = turn_page(lineage, library, cursor=None, limit=9, descending=descending, view="full")
            assert [entry.id for entry in page.data] == ["a"]
        assert find_turn(lineage, "a", library) is not None
    assert source.cost.bytes_read < source.size


LEFT: Final = {
    "an item before its turn's only end": (
        (said(1, "a", "x"), event(2, "task_started", "b"), event(3, "task_complete", "a"), said(4, "a", "y")),
        ["x", "y"],
    ),
    "two turns without a start": (
        (event(1, "task_complete", "a"), event(2, "task_complete", "b"), said(3, "a")),
        ["x"],
    ),
    "an end before its start": ((event(1, "task_complete", "a"), event(2, "task_started", "a"), said(3, "a")), ["x"]),
    "items of a turn without a start, paged one by one": (
        (said(1, "c"), event(2, "task_complete", "c"), said(3, "a", "y"), event(4, "task_started", "b"), said(5, "c")),
        ["x", "y"],
    ),
    "a turn that starts twice, around an item of a lost one": (
        (
            *(event(1, "task_started", "b"), said(2, "b"), said(3, "a", "y")),
            *(event(4, "task_started", "b"), said(5, "b"), said(6, "a", "y")),
        ),
        ["x", "y"],
    ),
    "an item twice, before a turn whose start is lost": (
        (
            *(said(1, "b"), said(2, "b"), event(3, "task_started", "a"), said(4, "b", "y")),
            *(event(5, "task_complete", "b"), event(6, "task_started", "b"), said(7, "b", "y")),
        ),
        ["x", "y"],
    ),
    "an item of a lost turn, three times": (
        (said(1, "c"), said(2, "c"), event(3, "task_started", "a"), said(4, "b", "y"), said(5, "c")),
        ["x", "y"],
    ),
}


@pytest.mark.parametrize(("lines", "items"), LEFT.values(), ids=LEFT)
def test_pages_of_a_damaged_thread_hold_what_its_whole_history_holds(
    lines: tuple[bytes, ...], items: list[str]
) -> None:
    library = MemoryLibrary()
    source = library.add(AGENT, FIRST.replace(b'_ordinal":%d' % OWN, b'_ordinal":0') + b"".join(lines))
    with Lineage(library, source, AGENT, Cost()) as lineage:
        page = item_page(lineage, library, cursor=None, limit=9, descending=False, turn_id=None)
        assert [row.item["id"] for row in page.data] == items
        checks = list(check_pages(library, lineage, lambda: None))  # type: ignore[arg-type]  # only asked for totals
    assert [check.difference for check in checks if not check.ok] == []


def turns_told(lines: tuple[bytes, ...]) -> list[tuple[str, str]]:
    """Ids and states of a thread's turns, oldest first: the same in both orders, and in pages of every size."""
    library = MemoryLibrary()
    source = library.add(AGENT, FIRST.replace(b'_ordinal":%d' % OWN, b'_ordinal":0') + b"".join(lines))
    with Lineage(library, source, AGENT, Cost()) as lineage:
        checks = list(check_pages(library, lineage, lambda: None))  # type: ignore[arg-type]  # only asked for totals
        assert [check.difference for check in checks if not check.ok] == []
        page = turn_page(lineage, library, cursor=None, limit=99, descending=False, view="full")
        return [(entry.id, entry.turn["status"]) for entry in page.data]


A: Final = (event(1, "task_started", "a"), event(2, "task_complete", "a"))
STARTS_B: Final = (event(3, "task_started", "b"), said(4, "b"))
C: Final = (event(5, "task_started", "c"), said(6, "c"))
"""A turn that was cut off: nothing ends it."""
ENDS_B: Final = (said(7, "b", "y"), event(8, "task_complete", "b"))
D: Final = (event(9, "task_started", "d"), event(10, "task_complete", "d"))


@pytest.mark.parametrize("after", [(), D])
def test_a_turn_that_ends_late_is_shown_once_where_it_began(after: tuple[bytes, ...]) -> None:
    told = turns_told((*A, *STARTS_B, *C, *ENDS_B, *after))
    assert told[:3] == [("a", "completed"), ("b", "completed"), ("c", "interrupted")]
    assert [turn for turn, _ in told[3:]] == ["d"] * bool(after)


@pytest.mark.parametrize("after", [(), D])
def test_a_turn_whose_start_is_lost_is_shown_where_it_ended(after: tuple[bytes, ...]) -> None:
    told = turns_told((*A, *C, *ENDS_B, *after))
    assert told[:3] == [("a", "completed"), ("c", "interrupted"), ("b", "completed")]
    assert [turn for turn, _ in told[3:]] == ["d"] * bool(after)


def test_an_end_two_turns_late_ends_no_turn_that_was_shown() -> None:
    library = MemoryLibrary()
    lines = (*STARTS_B, *C, *D, event(11, "task_complete", "b"), event(12, "task_started", "e"))
    source = library.add(AGENT, FIRST.replace(b'_ordinal":%d' % OWN, b'_ordinal":0') + b"".join(lines))
    with Lineage(library, source, AGENT, Cost()) as lineage:
        for descending in (False, True):
            shown: list[tuple[str, str]] = []
            cursor = None
            while not shown or cursor is not None:
                page = turn_page(lineage, library, cursor=cursor, limit=1, descending=descending, view="full")
                shown += [(entry.id, entry.turn["status"]) for entry in page.data]
                cursor = page.next_cursor
            assert shown[:: -1 if descending else 1] == [
                ("b", "interrupted"),
                ("c", "interrupted"),
                ("d", "completed"),
                ("b", "completed"),
                ("e", "interrupted"),
            ]


def test_items_of_a_turn_whose_start_is_lost_go_to_no_turn_of_the_next_page() -> None:
    library = MemoryLibrary()
    lines = (*STARTS_B, *C, *D, said(11, "b", "y"), event(12, "task_complete", "b"))
    source = library.add(AGENT, FIRST.replace(b'_ordinal":%d' % OWN, b'_ordinal":0') + b"".join(lines))
    with Lineage(library, source, AGENT, Cost()) as lineage:
        shown: list[tuple[str, list[str]]] = []
        cursor = None
        while not shown or cursor is not None:
            page = turn_page(lineage, library, cursor=cursor, limit=1, descending=True, view="full")
            shown += [(entry.id, [item["id"] for item in entry.turn["items"]]) for entry in page.data]
            cursor = page.next_cursor
    assert shown == [("b", ["y"]), ("d", []), ("c", ["x"]), ("b", ["x"])]


def test_newest_first_no_page_of_a_thread_that_lost_every_start_reads_it_all() -> None:
    library = MemoryLibrary()
    ends = [event(number, "task_complete", f"t{number}", last_agent_message="m" * 10_000) for number in range(1, 999)]
    source = library.add(AGENT, FIRST.replace(b'_ordinal":%d' % OWN, b'_ordinal":0') + b"".join(ends))
    with Lineage(library, source, AGENT, Cost()) as lineage:
        shown: list[str] = []
        cursor = None
        while not shown or cursor is not None:
            read = source.cost.bytes_read
            page = turn_page(lineage, library, cursor=cursor, limit=100, descending=True, view="full")
            assert source.cost.bytes_read - read < source.size // 4
            shown += [entry.id for entry in page.data]
            cursor = page.next_cursor
    assert shown == [f"t{number}" for number in range(998, 0, -1)]


@pytest.mark.parametrize("descending", [True, False])
def test_a_page_of_items_looks_once_at_each_that_no_turn_shows_and_at_none_beyond_itself(*, descending: bool) -> None:
    lines = [said(number, "lost", f"lost {number}") for number in range(100, 200)]
    for number in (*range(1, 100, 3), *range(200, 300, 3)):
        turn = (event(number, "task_started", f"{number}"), said(number + 1, f"{number}"))
        place = len(lines) - 100 if number < 100 else len(lines)
        lines[place:place] = [*turn, event(number + 2, "task_complete", f"{number}")]
    library = MemoryLibrary()
    source = library.add(AGENT, FIRST.replace(b'_ordinal":%d' % OWN, b'_ordinal":0') + b"".join(lines))
    shown: list[str] = []
    beyond = 0
    cursor = None
    with Lineage(library, source, AGENT, Cost()) as lineage:
        while not shown or cursor is not None:
            with patch("threadkeep.replay._pages.placed", wraps=placed) as looked_at:
                page = item_page(lineage, library, cursor=cursor, limit=10, descending=descending, turn_id=None)
            assert looked_at.call_count <= 101  # one tells that there are such, and then all are found
            beyond += 0 if "lost" in {row.turn_id for row in page.data} else looked_at.call_count
            shown += [row.turn_id for row in page.data]
            cursor = page.next_cursor
    assert len(shown) == 167
    assert beyond <= (0 if descending else 101)  # oldest first, a page reads a few turns on
