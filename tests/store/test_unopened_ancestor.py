"""An ancestor that is there and cannot be opened: the reason is told, and nobody is sent to look for a lost file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.store.threads import new_thread

from threadkeep.errors import CorruptHistory
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from pathlib import Path


def test_a_damaged_compressed_ancestor_is_called_damaged(tmp_path: Path) -> None:
    with ThreadStore.open(tmp_path, durability="os") as store:
        parent = new_thread(store, "one")
        child = store.fork(parent).id
        path = tmp_path / store.read(parent).location
        for pin in list(store.backend.pins()):
            store.backend.unpin(pin)
        path.with_name(path.name + ".zst").write_bytes(b"no frame")
        path.unlink()
        with pytest.raises(CorruptHistory, match="damaged") as caught:
            store.resume(child)
        assert str(caught.value.path) == str(path) + ".zst"
