"""What threadkeep writes into a home that Codex uses as well says what Codex needs to go on with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.store.threads import LEGACY, PAGINATED

from threadkeep.errors import InvalidRequest
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[ThreadStore]:
    """A home in which Codex was at work."""
    (tmp_path / "config.toml").write_text("")
    with ThreadStore.open(tmp_path, durability="os") as store:
        yield store


@pytest.mark.parametrize("mode", [LEGACY, PAGINATED])
def test_a_new_thread_names_a_provider_that_codex_knows(shared: ThreadStore, mode: str) -> None:
    with shared.create(cwd="/project", mode=mode) as writer, writer.turn("one", model="gpt"):
        pass
    assert shared.read(writer.thread_id).model_provider == "openai"


def test_a_provider_that_is_given_is_kept(shared: ThreadStore) -> None:
    with shared.create(cwd="/project", model_provider="mine") as writer, writer.turn("one", model="gpt"):
        pass
    assert shared.read(writer.thread_id).model_provider == "mine"


def test_a_home_of_its_own_makes_up_no_provider(store: ThreadStore) -> None:
    with store.create(cwd="/project") as writer, writer.turn("one"):
        pass
    assert store.read(writer.thread_id).model_provider is None


def test_a_first_turn_without_a_model_is_refused_and_writes_nothing(shared: ThreadStore) -> None:
    with shared.create(cwd="/project") as writer:
        with pytest.raises(InvalidRequest, match="model"):
            writer.turn("one")
        assert writer.rollout is None
        with writer.turn("one", model="gpt"):
            pass
        with writer.turn("two"):
            pass
    settings = shared.resume(writer.thread_id).settings
    assert settings is not None
    assert settings["model"] == "gpt"
