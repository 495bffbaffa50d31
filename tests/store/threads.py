"""Threads for tests of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from threadkeep.records import LEGACY, PAGINATED, Cost

if TYPE_CHECKING:
    from threadkeep.store import ThreadStore

__all__ = ["LEGACY", "PAGINATED", "add_turns", "all_bytes", "context_of", "new_thread", "turn_ids"]


def new_thread(store: ThreadStore, *said: str, mode: str = PAGINATED) -> str:
    """A thread with a turn for each text; the answer repeats the question."""
    with store.create(cwd="/project", mode=mode, model_provider="mock", base_instructions="Be brief.") as writer:
        for text in said:
            with writer.turn(text) as turn:
                turn.say(f"Answer to: {text}")
        return writer.thread_id


def add_turns(store: ThreadStore, thread: str, *said: str, model: str | None = None) -> None:
    """Go on in a thread."""
    with store.writer(thread) as writer:
        for text in said:
            with writer.turn(text, model=model) as turn:
                turn.say(f"Answer to: {text}")


def context_of(store: ThreadStore, thread: str) -> list[bytes]:
    """The model context as bytes; bounded and full replay must agree on it."""
    bounded = [bytes(item.payload) for item in store.resume(thread).context.items]
    assert bounded == [bytes(item.payload) for item in store.replay(thread).context.items]
    return bounded


def turn_ids(store: ThreadStore, thread: str) -> list[str]:
    """Ids of all turns, oldest first."""
    return [turn["id"] for turn in store.turns(thread, descending=False, limit=100).data]


def all_bytes(store: ThreadStore) -> dict[str, bytes]:
    """What every rollout of a store holds, by the place where it lies."""
    held = {}
    for ref, _ in store.backend.stats():
        source = store.backend.open(ref, Cost())
        held[ref.location] = source.read(0, source.size)
        source.close()
    return held
