"""A store of each kind, and small threads in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from threadkeep.backends import MemoryBackend
from threadkeep.backends.local import LocalBackend
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ThreadStore]:
    """An empty store, in a home of its own or in memory."""
    backend = LocalBackend(str(tmp_path / "home")) if request.param == "local" else MemoryBackend()
    with ThreadStore(backend, durability="os") as opened:
        yield opened
