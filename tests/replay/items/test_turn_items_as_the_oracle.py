"""Whatever an item holds, it is shown like the oracle shows it, or does not count where the oracle drops it."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.oracle import thread_items, turns_paginated
from tests.replay.items.turn_item_strategies import MEMBERS, items, spoilt_items
from tests.support import dump

from threadkeep.replay.items import EMPTY_REVIEW, NUL_COMMAND, plain, thread_item

Json = dict[str, Any]


def expected(item: Json, started: int | None, completed: int | None) -> Json | None:
    """What the oracle shows, with our words for the two texts that are the server's."""
    shown = thread_items.thread_item(item, started, completed)
    try:
        # The oracle asks this of a whole record. Of an item's members it is asked where they are shown.
        turns_paginated.check_integers([shown, started, completed])
    except thread_items.UndecodableError:
        return None
    if shown is not None and shown.get("command") == thread_items.NUL_COMMAND:
        shown["command"] = NUL_COMMAND
    if shown is not None and shown.get("review") == thread_items.NO_REVIEW:
        shown["review"] = EMPTY_REVIEW
    return shown


def is_shadowed(item: Json) -> bool:
    """Whether two of the changes are of one file: the oracle does not look at the first of them."""
    changes = item.get("changes")
    return isinstance(changes, dict) and len({PurePosixPath(path.lstrip("./")) for path in changes}) < len(changes)


def check(item: Json, started: int | None = None, completed: int | None = None) -> None:
    shown = thread_item(msgspec.Raw(dump(item)), started, completed)
    in_values = None if shown is None else plain(shown)
    # The JSON text has the order of the members and the types of the numbers too.
    assert json.dumps(in_values) == json.dumps(expected(item, started, completed))
    assert shown is None or json.loads(msgspec.json.encode(shown)) == in_values


@pytest.mark.parametrize("kind", MEMBERS)
@given(data=st.data())
def test_an_item_is_shown_as_the_oracle_shows_it(kind: str, data: st.DataObject) -> None:
    times = st.none() | st.integers(-1, 2**40)
    check(data.draw(items(kind)), data.draw(times), data.draw(times))


@pytest.mark.parametrize("kind", MEMBERS)
@given(data=st.data())
def test_an_item_that_is_not_right_counts_as_little_as_for_the_oracle(kind: str, data: st.DataObject) -> None:
    item = data.draw(spoilt_items(kind))
    assume(not is_shadowed(item))
    check(item)


@given(st.one_of(st.none(), st.integers(), st.text(max_size=5), st.lists(st.integers(), max_size=2), st.just({})))
def test_what_is_no_item_does_not_count(value: object) -> None:
    assert thread_item(dump(value)) is None


@pytest.mark.parametrize("kind", ["userMessage", "Message", "", "Extension\0"])
def test_an_item_of_an_unknown_type_does_not_count(kind: str) -> None:
    assert thread_item(dump({"type": kind, "id": "i", "content": [], "text": "t"})) is None
