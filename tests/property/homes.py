"""Stores whose clock and ids are the same at every run, and what the properties ask of them."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

from hypothesis import settings
from tests.property.histories import START_MS
from tests.property.model import MARK

from threadkeep.backends import MemoryBackend
from threadkeep.backends.local import LocalBackend
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from threadkeep.store import Writer

Json = dict[str, Any]


def share(percent: int, **more: Any) -> settings:
    """Settings for a part of the examples that the profile asks for: some examples cost more than others."""
    return settings(max_examples=max(1, settings().max_examples * percent // 100), **more)


class Ticking:
    """A clock that goes on by a second each time that it is looked at."""

    def __init__(self) -> None:
        self._ticks = itertools.count(START_MS, 1_000)

    def now_ms(self) -> int:
        return next(self._ticks)


class Counted:
    """Ids that count up: a UUIDv7 each, of the time at which it is made."""

    def __init__(self, clock: Ticking) -> None:
        self._clock = clock
        self._count = itertools.count(1)

    def new(self) -> str:
        ms = self._clock.now_ms()
        return f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7000-8000-{next(self._count):012x}"


class Home:
    """Where a store is, so that it can be opened again."""

    def __init__(self, folder: str | None) -> None:
        self.clock = Ticking()
        self.ids = Counted(self.clock)
        self.folder = folder
        self._memory = MemoryBackend(clock=self.clock, ids=self.ids)
        self.store = self.open()

    def open(self) -> ThreadStore:
        """The store, opened (again)."""
        backend = self._memory if self.folder is None else LocalBackend(self.folder, clock=self.clock, ids=self.ids)
        return ThreadStore(backend, durability="os")

    def reopen(self) -> None:
        """Close the store and open it again; what it held in memory is forgotten."""
        if self.folder is not None:
            self.store.close()
        self.store = self.open()


def shown(store: ThreadStore, thread: str, *, limit: int, descending: bool) -> list[Json]:
    """What a person sees of a thread, oldest first, read page by page."""
    turns: list[Json] = []
    cursor: str | None = None
    while True:
        page = store.turns(thread, cursor=cursor, limit=limit, descending=descending, view="full")
        turns += page.data
        cursor = page.next_cursor
        if cursor is None:
            break
    return [_shown(turn) for turn in (turns[::-1] if descending else turns)]


def _shown(turn: Json) -> Json:
    said = [item["content"][0]["text"] for item in turn["items"] if item["type"] == "userMessage"]
    return {
        "id": turn["id"],
        "said": said[0] if said else None,
        "answers": [item["text"] for item in turn["items"] if item["type"] == "agentMessage"],
        "status": turn["status"],
    }


def context(store: ThreadStore, thread: str) -> list[str]:
    """The texts that the next model call of a thread starts with; both ways to compute them must agree."""
    bounded, full = store.resume(thread).context, store.replay(thread).context
    found = [json.loads(bytes(item.payload)) for item in bounded.items]
    assert found == [json.loads(bytes(item.payload)) for item in full.items]
    assert bounded.window == full.window
    assert bounded.world_state == full.world_state
    assert bounded.previous_turn_settings == full.previous_turn_settings
    assert bounded.last_started_turn == full.last_started_turn
    texts = [item["content"][0]["text"] for item in found]
    return [MARK if text.startswith(MARK) else text for text in texts]


def note(writer: Writer) -> None:
    """Append a record that says nothing to a person or a model."""
    writer.append("event_msg", {"type": "token_count", "info": None, "rate_limits": None})
