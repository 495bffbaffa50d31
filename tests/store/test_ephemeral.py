"""Ephemeral threads leave nothing behind, in the home and in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from threadkeep.errors import InvalidRequest, StillInherited, ThreadBusy, ThreadNotFound
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from pathlib import Path


def test_a_forgotten_thread_is_gone_with_its_memory(tmp_path: Path) -> None:
    with ThreadStore.open(tmp_path) as store:
        with store.create(cwd="/w", ephemeral=True) as writer, writer.turn("hello", model="m") as turn:
            turn.say("hi")
            with pytest.raises(ThreadBusy):
                store.forget(writer.thread_id)
        assert store.read(writer.thread_id).ephemeral
        store.forget(writer.thread_id)
        with pytest.raises(ThreadNotFound):
            store.read(writer.thread_id)
        assert list(store._access.scratch.stats()) == []
        assert not list(tmp_path.rglob("rollout-*"))


def test_what_others_inherit_is_not_forgotten(tmp_path: Path) -> None:
    with ThreadStore.open(tmp_path) as store:
        with store.create(cwd="/w", ephemeral=True) as writer, writer.turn("hello", model="m") as turn:
            turn.say("hi")
        child = store.fork(writer.thread_id, ephemeral=True)
        with pytest.raises(StillInherited) as caught:
            store.forget(writer.thread_id)
        assert caught.value.heirs == (child.id,)
        assert len(store.turns(child.id).data) == 1
        store.forget(child.id)
        store.forget(writer.thread_id)


def test_a_kept_thread_is_not_forgotten(tmp_path: Path) -> None:
    with ThreadStore.open(tmp_path) as store:
        with store.create(cwd="/w") as writer, writer.turn("hello", model="m"):
            pass
        with pytest.raises(InvalidRequest, match="delete it instead"):
            store.forget(writer.thread_id)
        assert len(store.turns(writer.thread_id).data) == 1
