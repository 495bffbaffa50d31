"""What requests do, done once to a thread that nobody knows: decoders are built before somebody waits for them."""

from __future__ import annotations

from typing import Final

from threadkeep.records import LEGACY, PAGINATED
from threadkeep.records import _build as build
from threadkeep.store import ThreadStore

__all__ = ["rehearse"]

_COUNTED: Final = {
    "input_tokens": 1,
    "cached_input_tokens": 0,
    "output_tokens": 1,
    "reasoning_output_tokens": 0,
    "total_tokens": 2,
}
_SETTINGS: Final = {
    "model": "m",
    "model_provider_id": "p",
    "approval_policy": "never",
    "approvals_reviewer": "user",
    "permission_profile": {"type": "disabled"},
    "cwd": "/",
    "collaboration_mode": {
        "mode": "default",
        "settings": {"model": "m", "reasoning_effort": None, "developer_instructions": None},
    },
}


def rehearse() -> None:
    """Make a thread of each history mode in memory, and do to it what clients ask for first."""
    for mode in (PAGINATED, LEGACY):
        with ThreadStore.in_memory() as store:
            with store.create(cwd="/", mode=mode) as writer:
                writer.append("event_msg", build.thread_settings_applied(writer.thread_id, _SETTINGS))
                with writer.turn("question", model="m") as turn:
                    turn.say("answer")
                    turn.count(total=_COUNTED, last=_COUNTED)
            child = store.fork(writer.thread_id)
            with store.snapshot(child.id) as snapshot:
                snapshot.latest()
                snapshot.turns(limit=1)
                snapshot.items(limit=1, descending=True)
                snapshot.thread()
                list(snapshot.all_turns_encoded())
            store.list(limit=1)
