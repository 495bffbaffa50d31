"""A fork through the newest turn of a rollout whose last line has no newline yet: what is whole is inherited."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.store.threads import LEGACY, PAGINATED, add_turns, context_of, new_thread, turn_ids

from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("mode", [LEGACY, PAGINATED])
def test_the_fork_ends_where_the_last_whole_line_ends(tmp_path: Path, mode: str) -> None:
    with ThreadStore.open(tmp_path, durability="os") as store:
        parent = new_thread(store, "one", "two", mode=mode)
        path = tmp_path / store.read(parent).location
        path.write_bytes(path.read_bytes().rstrip(b"\n"))
        turns = turn_ids(store, parent)
        child = store.fork(parent, through=turns[-1]).id
        assert turn_ids(store, child) == turns
        assert [turn["status"] for turn in store.turns(child, descending=False).data] == ["completed", "interrupted"]
        before = context_of(store, child)
        add_turns(store, parent, "three")
        assert turn_ids(store, child) == turns
        assert context_of(store, child) == before
