"""What replay answers, as values: the context, and turns and items, whole and page by page."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import msgspec
from hypothesis import strategies as st

from threadkeep.records import _scan
from threadkeep.replay import _copied, _find, _totals, _walk, find_turn
from threadkeep.replay._pages import item_page, turn_page
from threadkeep.replay._reader import TurnReader
from threadkeep.replay._whole import whole_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.property.lineages import Family

    from threadkeep.lineage import Lineage
    from threadkeep.replay import ItemPage, ModelContext, TurnPage
    from threadkeep.replay._turn import ItemsView

Json = dict[str, Any]


views = st.sampled_from(["full", "summary", "notLoaded"])
limits = st.sampled_from([1, 1, 2, 3, 5])


def values(found: Any) -> Any:
    """What was answered, as JSON values."""
    return json.loads(msgspec.json.encode(found))


def context_values(found: ModelContext) -> Json:
    """A model context, the positions left out."""

    def loaded(raw: msgspec.Raw | None) -> Any:
        return json.loads(bytes(raw)) if raw is not None and len(raw) else None

    window = found.window
    return {
        "items": [loaded(item.payload) for item in found.items],
        "metadata": [loaded(item.metadata) for item in found.items],
        "window": [window.number, window.first_id, window.previous_id, window.id],
        "last started": found.last_started_turn,
        "previous settings": found.previous_turn_settings,
        "reference": loaded(found.reference_context),
        "world": found.world_state,
        "settings": loaded(found.settings),
        "usage": loaded(found.usage),
    }


@contextmanager
def small_bounds() -> Iterator[None]:
    """Bounds so small that a history of a few records is a long one."""
    with (
        patch.object(_scan, "BLOCK_BYTES", 150),
        patch.object(_copied, "_NEAR", 300),
        patch.object(_find, "_NEAR", 300),
        patch.object(_find, "_FAR", 600),
        patch.object(_walk, "_ASK_AFTER", 2),
        patch.object(_totals, "MOST_KEPT", 2),
    ):
        yield


def all_turns(family: Family, view: ItemsView) -> list[Json]:
    """Every turn, oldest first, read from the end in one go."""
    with family.open() as lineage:
        reader = TurnReader(lineage, view, first_start=lambda segment: family.library.of(segment).first_start)
        found = [entry.turn for entry in reader]
    return list(values(found[::-1]))


def turns_forwards(family: Family, view: ItemsView) -> list[Json]:
    """Every turn, oldest first, read one by one."""
    with family.open() as lineage:
        found = whole_turns(lineage, view, first_start=lambda segment: family.library.of(segment).first_start)
        return [values(entry.turn) for entry in found]


def turn_of(family: Family, turn_id: str, view: ItemsView) -> Json | None:
    """One turn by its id."""
    with family.open() as lineage:
        found = find_turn(lineage, turn_id, family.library, view)
    return None if found is None else values(found.turn)


def _pages(
    family: Family, page: Callable[[Lineage, str | None], TurnPage | ItemPage], between: Callable[[], None] | None
) -> Iterator[Any]:
    cursor: str | None = None
    for _ in range(10_000):
        with family.open() as lineage:
            found = page(lineage, cursor)
        yield from found.data
        cursor = found.next_cursor
        if cursor is None:
            return
        assert found.data, "a page that is not the last one shows something"
        if between is not None:
            between()
    raise AssertionError("the pages never end")


def turn_pages(
    family: Family, limit: int, view: ItemsView, *, descending: bool, between: Callable[[], None] | None = None
) -> list[Json]:
    """Every turn in the order asked for, page by page; ``between`` is called between two pages."""

    def page(lineage: Lineage, cursor: str | None) -> TurnPage:
        return turn_page(lineage, family.library, cursor=cursor, limit=limit, descending=descending, view=view)

    return [values(entry.turn) for entry in _pages(family, page, between)]


def item_pages(
    family: Family,
    limit: int,
    *,
    descending: bool,
    turn_id: str | None = None,
    between: Callable[[], None] | None = None,
) -> list[Json]:
    """Every item in the order asked for, each with its turn's id, page by page."""

    def page(lineage: Lineage, cursor: str | None) -> ItemPage:
        return item_page(lineage, family.library, cursor=cursor, limit=limit, descending=descending, turn_id=turn_id)

    return [{"turnId": entry.turn_id, "item": values(entry.item)} for entry in _pages(family, page, between)]


def all_items(family: Family) -> list[Json]:
    """Every item, oldest first, a hundred a page."""
    return item_pages(family, 100, descending=False)
