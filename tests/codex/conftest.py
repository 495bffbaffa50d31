"""The real Codex binary for the tests of this folder, and homes that it works in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.codex.binary import NEWEST_CODEX, find_codex
from tests.codex.mock_responses import MockResponses
from tests.codex.scenarios import Lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def codex_bin() -> Path:
    """The Codex binary (:func:`tests.codex.binary.find_codex`)."""
    return find_codex()


@pytest.fixture(scope="module")
def mock() -> Iterator[MockResponses]:
    """A model on loopback, for all tests of a module."""
    with MockResponses() as server:
        yield server


@pytest.fixture(scope="module")
def new_lab(codex_bin: Path, mock: MockResponses, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Lab]:
    """Makes a new Codex home with a project folder, where the binary runs against the mock."""
    return lambda: Lab(NEWEST_CODEX, codex_bin, tmp_path_factory.mktemp("codex"), mock)


@pytest.fixture(scope="module")
def lab(new_lab: Callable[[], Lab]) -> Lab:
    """One home for all tests of a module."""
    return new_lab()
