"""The grounds that a trap is tried on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.traps.grounds import HOMES, KINDS, MODES, Ground

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from threadkeep.store import ThreadStore


@pytest.fixture(params=KINDS)
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    """A store in a home of its own, in a home that Codex uses, and in memory."""
    made = Ground(request.param, tmp_path / "home")
    yield made
    made.close()


@pytest.fixture(params=HOMES)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    """A store in a home: what can only happen to files."""
    made = Ground(request.param, tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def memory(tmp_path: Path) -> Ground:
    """A store in memory: for what backends have no part in, tried in every combination."""
    return Ground("memory", tmp_path / "none")


@pytest.fixture
def store(ground: Ground) -> ThreadStore:
    """The store of the ground."""
    return ground.store


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """Either history mode."""
    return str(request.param)
