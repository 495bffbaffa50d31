"""What fuzzing starts from: small sound threads, and the rollouts that real Codex binaries wrote."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import Final

from threadkeep.records import Cost
from threadkeep.store import ThreadStore

__all__ = ["SECRET", "THREADS", "fixture_rollouts", "made_rollout", "rollout_file", "tokens_of_records"]

SECRET: Final = "what-nobody-may-see"
"""Stands in a thread outside of every home."""

THREADS: Final = tuple(f"01a2042e-1bb3-79f3-ae69-42cd2d78{number:04x}" for number in range(8))
"""Ids of the threads of a home; the last one is outside of it."""

_FIXTURES: Final = Path(__file__).parent.parent / "fixtures" / "rollouts"

_CHOSEN: Final = (
    "0.169.0/turns-paginated",
    "0.169.0/turns-legacy",
    "0.169.0/compaction-paginated",
    "0.169.0/compaction-legacy",
    "0.169.0/crash-paginated",
    "0.169.0/agents-paginated",
    "0.149.0",
    "0.140.0",
    "0.125.0/rollback-compaction",
    "0.100.0/fork-rollback",
    "0.60.1",
    "0.20.0",
)

_MOST_BYTES: Final = 48_000

_LONG_TEXT: Final = re.compile(rb'"(?:[^"\\]|\\.){400,}"')


@functools.cache
def made_rollout(mode: str, *, text: str = "asked", turns: int = 2) -> bytes:
    """The rollout of a small thread, under the id of the first of `THREADS`."""
    with ThreadStore.in_memory() as store:
        with store.create(cwd="/work", mode=mode) as writer:
            for number in range(turns):
                with writer.turn(f"{text} {number}", model="m") as turn:
                    turn.say(f"{text} and answered {number}")
            thread = writer.thread_id
        ref = store.backend.find(thread)
        assert ref is not None
        source = store.backend.open(ref, Cost())
        data = source.read(0, source.size)
        source.close()
    return data.replace(thread.encode(), THREADS[0].encode())


def rollout_file(thread: str, mode: str, *, text: str = "asked") -> tuple[str, bytes]:
    """(file name, bytes) of a small thread of this id."""
    data = made_rollout(mode, text=text).replace(THREADS[0].encode(), thread.encode())
    return f"rollout-2026-11-22T16-54-20-{thread}.jsonl", data


@functools.cache
def fixture_rollouts() -> tuple[bytes, ...]:
    """Rollouts that real binaries wrote, each under the id of the first of `THREADS`, without their longest texts."""
    found = []
    for chosen in _CHOSEN:
        for path in sorted((_FIXTURES / chosen).rglob("rollout-*.jsonl"))[:3]:
            thread = path.name.removesuffix(".jsonl")[len("rollout-2026-11-22T16-54-20-") :][:36]
            data = path.read_bytes().replace(thread.encode(), THREADS[0].encode())
            data = _LONG_TEXT.sub(b'"long"', data)
            if len(data) <= _MOST_BYTES:
                found.append(data)
    assert len(found) >= 10, f"only {len(found)} rollouts below {os.fspath(_FIXTURES)}"
    return tuple(found)


@functools.cache
def tokens_of_records() -> tuple[bytes, ...]:
    """The words of the format: keys and values of records, to be put in odd places."""
    words: set[bytes] = set()
    for data in (*fixture_rollouts(), made_rollout("paginated"), made_rollout("legacy")):
        words.update(re.findall(rb'"[A-Za-z_]{2,40}"', data))
    return tuple(sorted(words))
