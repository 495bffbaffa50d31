"""Pages of turns and items against one pass over the whole lineage, and the cursors that lead from page to page."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from threadkeep.errors import InvalidCursor
from threadkeep.lineage import MAX_DEPTH
from threadkeep.replay import MAX_LIMIT, TurnReader, find_turn, item_page, turn_page
from threadkeep.replay._pages import stray_items
from threadkeep.store._comparison import Comparison, digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from threadkeep.lineage import Lineage
    from threadkeep.replay import ItemEntry, TurnEntry
    from threadkeep.store._access import Access
    from threadkeep.store._verification import Check

__all__ = ["check_pages"]

_SMALL: Final = (1, 7)
"""Sizes of pages that are tried besides the largest."""

_PLACES: Final = 4
"""From how many places of a list, spread evenly, pages of small sizes and of the other order are read."""

_WHOLE: Final = 8
"""Lists up to so many entries are read to the end in small pages, too."""

_KEY: Final = struct.Struct(">IQ")


class _Page(NamedTuple):
    entries: list[bytes]
    following: str | None
    backwards: str | None


class _List(NamedTuple):
    """A list of a thread, and what one pass over everything says that it holds.

    Attributes:
        name: What its entries are called.
        whole: Digests of its entries, newest first.
        read: Reads a page: cursor, size, whether newest first.
    """

    name: str
    whole: Sequence[bytes]
    read: Callable[[str | None, int, bool], _Page]

    def wanted(self, start: int, size: int, *, descending: bool) -> list[bytes]:
        """The entries from the ``start``-th on in one order."""
        if descending:
            return list(self.whole[start : start + size])
        end = len(self.whole) - start
        return list(self.whole[max(0, end - size) : max(0, end)][::-1])


def check_pages(access: Access, lineage: Lineage, told: Callable[[], None]) -> Iterator[Check]:
    """The checks ``turns``, ``items`` and ``cursors``."""
    whole_turns, whole_items = _one_pass(access, lineage, told)
    cursors = Comparison("cursors")

    def turns_page(cursor: str | None, size: int, descending: bool) -> _Page:
        page = turn_page(lineage, access, cursor=cursor, limit=size, descending=descending, view="full")
        told()
        return _Page([_of_turn(entry) for entry in page.data], page.next_cursor, page.backwards_cursor)

    def items_page(cursor: str | None, size: int, descending: bool) -> _Page:
        page = item_page(lineage, access, cursor=cursor, limit=size, descending=descending, turn_id=None)
        told()
        return _Page([_of_item(entry) for entry in page.data], page.next_cursor, page.backwards_cursor)

    turns, items = Comparison("turns"), Comparison("items")
    _sweep(_List("turn", whole_turns, turns_page), turns, cursors)
    _find_some(access, lineage, whole_turns, turns)
    _sweep(_List("item", whole_items, items_page), items, cursors)
    yield turns.check()
    yield items.check()
    yield cursors.check()


def _of_turn(entry: TurnEntry) -> bytes:
    return digest((entry.position, entry.end, entry.turn))


def _of_item(entry: ItemEntry) -> bytes:
    return digest((entry.position, entry.turn_id, entry.item))


def _one_pass(access: Access, lineage: Lineage, told: Callable[[], None]) -> tuple[list[bytes], list[bytes]]:
    """Digests of all turns and of all items, newest first, from one reader that goes from the end to the root."""
    reader = TurnReader(lineage, "full", first_start=lambda segment: access.of(segment).first_start, rows=True)
    ids: set[str] = set()
    turns: list[bytes] = []
    items: list[bytes] = []

    def take_items() -> None:
        rows, reader.rows = reader.rows, []
        for row in rows:
            age, offset = lineage.order(row.position.rollout, row.position.offset)
            items.append(_KEY.pack(MAX_DEPTH + 1 + age, offset) + _of_item(row))

    for entry in reader:
        ids.add(entry.id)
        turns.append(_of_turn(entry))
        take_items()
        told()
    reader.rows += stray_items(lineage, access, ids, reader.pending())
    take_items()
    items.sort(key=lambda item: item[: _KEY.size])  # those at one record stay in the order in which they are shown
    return turns, [item[_KEY.size :] for item in reversed(items)]


def _sweep(listed: _List, entries: Comparison, cursors: Comparison) -> None:
    """Read a list to its end in both orders, and from some places in pages of other sizes."""
    for descending in (True, False):
        _to_the_end(listed, MAX_LIMIT, entries, cursors, descending=descending)
        if len(listed.whole) <= _WHOLE:
            for size in _SMALL:
                _to_the_end(listed, size, entries, cursors, descending=descending)


def _to_the_end(listed: _List, size: int, entries: Comparison, cursors: Comparison, *, descending: bool) -> None:
    order = _order(descending=descending)
    every = max(1, len(listed.whole) // (size * _PLACES))
    cursor: str | None = None
    start = 0
    for number in range(len(listed.whole) // size + 1):
        page = _read(listed, cursor, size, cursors, descending=descending)
        if page is None:
            return
        wanted = listed.wanted(start, size, descending=descending)
        for index, (one, other) in enumerate(zip(page.entries, wanted, strict=False), start + 1):
            entries.holds(
                f"{listed.name} {index}, {order}, {size} a page, is not what the whole history says", true=one == other
            )
        entries.equal(
            f"entries of {listed.name} page {number + 1}, {order}, {size} a page", len(page.entries), len(wanted)
        )
        start += len(page.entries)
        cursors.holds(
            f"the {listed.name} list, {order}, {size} a page, ends after {start} of {len(listed.whole)} entries",
            true=(page.following is None) == (start >= len(listed.whole)),
        )
        if entries.differs or cursors.differs:
            return
        if size == MAX_LIMIT and number % every == 0:
            _around(listed, cursor, page, start - len(page.entries), cursors, descending=descending)
        cursor = page.following
        if cursor is None:
            return


def _around(
    listed: _List, cursor: str | None, page: _Page, start: int, cursors: Comparison, *, descending: bool
) -> None:
    """From one place: small pages in the same order, and the page in the other order that begins here."""
    order = _order(descending=descending)
    for size in _SMALL:
        at, following = start, cursor
        for _ in range(2):
            small = _read(listed, following, size, cursors, descending=descending)
            if small is None:
                return
            cursors.holds(
                f"the {listed.name} page of {size} that begins after entry {at}, {order}, holds other entries",
                true=small.entries == listed.wanted(at, size, descending=descending),
            )
            at, following = at + size, small.following
            if following is None:
                break
    if page.backwards is not None:
        back = _read(listed, page.backwards, _SMALL[-1], cursors, descending=not descending)
        if back is not None:
            other = listed.wanted(len(listed.whole) - start - 1, _SMALL[-1], descending=not descending)
            cursors.holds(
                f"the page that leads back from {listed.name} {start + 1}, {order}, holds other entries",
                true=back.entries == other,
            )


def _order(*, descending: bool) -> str:
    return "newest first" if descending else "oldest first"


def _read(listed: _List, cursor: str | None, size: int, cursors: Comparison, *, descending: bool) -> _Page | None:
    try:
        return listed.read(cursor, size, descending)
    except InvalidCursor as error:
        cursors.holds(f"a cursor that was just given out is refused: {error}", true=False)
        return None


def _find_some(access: Access, lineage: Lineage, whole: Sequence[bytes], turns: Comparison) -> None:
    """Some turns are found by their ids alone, with the same items that a list of the turn's items gives."""
    reader = TurnReader(lineage, "notLoaded", first_start=lambda segment: access.of(segment).first_start)
    every = max(1, len(whole) // _PLACES)
    for index, entry in enumerate(reader):
        if index % every:
            continue
        found = find_turn(lineage, entry.id, access, "full")
        turns.holds(f"turn {entry.id} is not found by its id", true=found is not None and _of_turn(found) in whole)
        if found is not None:
            listed = item_page(lineage, access, cursor=None, limit=MAX_LIMIT, descending=False, turn_id=entry.id)
            turns.equal(
                f"items of turn {entry.id}",
                sorted(row.item["id"] for row in listed.data),
                sorted(item["id"] for item in found.turn["items"][: len(listed.data)]),
            )
