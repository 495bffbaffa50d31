"""For random histories: a fork begins as its parent was there, and nothing that becomes of the parent changes it."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.property.homes import Home, share
from tests.property.lineages import Family, lineages
from tests.property.pages import values
from tests.property.test_turns import one_at_a_time

from threadkeep.backends import MemoryBackend
from threadkeep.backends.local._layout import day_folder, rollout_name
from threadkeep.errors import ThreadkeepError
from threadkeep.records import LEGACY, PAGINATED, Cost

if TYPE_CHECKING:
    from tests.property.lineages import Rollout

    from threadkeep.store import ThreadStore

Json = dict[str, Any]

READER_KEYS = ("items", "previous_turn_settings", "reference_context", "world_state", "last_started_turn", "usage")


def settled(home: Home, family: Family) -> str:
    """Put the rollouts of a family into a store; the id of its thread."""
    backend = home.store.backend
    for identity, source in family.library.rollouts.items():
        if isinstance(backend, MemoryBackend):
            backend.put(identity, identity, source.data)
        else:
            assert home.folder is not None
            folder = os.path.join(home.folder, "sessions", "2026", "11", "22")
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, f"rollout-2026-11-22T10-00-00-{identity}.jsonl"), "wb") as file:
                file.write(source.data)
    home.reopen()
    return family.tip


def told(store: ThreadStore, thread: str) -> Json:
    """What the next turn of a thread starts with, whichever way it is computed."""
    bounded, full = (values(found.context) for found in (store.resume(thread), store.replay(thread)))
    assert bounded == full
    return {key: bounded[key] for key in READER_KEYS}


def listed(store: ThreadStore, thread: str) -> list[Json]:
    """Every turn of a thread with its items, oldest first, by small pages."""
    turns: list[Json] = []
    cursor: str | None = None
    while True:
        page = store.turns(thread, cursor=cursor, limit=2, descending=True, view="full")
        turns += page.data
        cursor = page.next_cursor
        if cursor is None:
            return list(values(turns[::-1]))


def everything(store: ThreadStore, thread: str) -> Json:
    return {"context": told(store, thread), "turns": listed(store, thread)}


def append_to(store: ThreadStore, thread: str) -> None:
    with store.writer(thread) as writer, writer.turn("later") as turn:
        turn.say("later")
        turn.compact("S", [], window_number=9)


def compress(home: Home, thread: str) -> None:
    """As Codex compresses a rollout: one zstd frame in the place of the file."""
    import zstandard

    ref = home.store.backend.find(thread)
    if home.folder is None or ref is None or ref.compressed:
        return
    path = os.path.join(home.folder, ref.location)
    with open(path, "rb") as plain, open(f"{path}.zst", "wb") as packed:
        packed.write(zstandard.compress(plain.read()))
    os.unlink(path)
    home.reopen()


FATES = st.permutations(["append", "archive", "compress", "reopen"])


def befall(home: Home, thread: str, fate: str, archived: set[str]) -> None:
    if fate == "append" and thread not in archived:
        append_to(home.store, thread)
    elif fate == "archive":
        home.store.archive(thread)
        archived.add(thread)
    elif fate == "compress":
        compress(home, thread)
    elif fate == "reopen":
        home.reopen()
