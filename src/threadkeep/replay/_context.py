"""What a replay answers of the model: the context that its next call starts with, and what goes with it."""

from __future__ import annotations

from typing import Any

import msgspec

from threadkeep.records import EMPTY_RAW
from threadkeep.replay._turn import Position

__all__ = ["ContextItem", "ModelContext", "Window"]


class ContextItem(msgspec.Struct, omit_defaults=True, gc=False):
    """One response item of the context. In its JSON form what is empty or false is left out.

    Attributes:
        payload: The item as the bytes that it is.
        position: The record that it comes from: its own, or the checkpoint's.
        metadata: The harness metadata beside it; empty where there is none. Never sent to a model.
        checkpointed: Whether it comes from the checkpoint's replacement history.
    """

    payload: msgspec.Raw
    position: Position
    metadata: msgspec.Raw = EMPTY_RAW  # that very object where there is none: defaults are left out by identity
    checkpointed: bool = False


class Window(msgspec.Struct, frozen=True):
    """Where in the count of context windows a thread is; every compaction begins the next one.

    Attributes:
        number: 0 before the first compaction; None while it would take the whole history to count it.
        first_id: Id of the thread's first window.
        previous_id: Id of the window before.
        id: Id of the window.
    """

    number: int | None
    first_id: str | None = None
    previous_id: str | None = None
    id: str | None = None


class ModelContext(msgspec.Struct):
    """What the next model call starts with.

    Attributes:
        items: Response items, oldest first.
        checkpoint: The checkpoint that the items begin with; None where they begin with the thread.
        window: The context window.
        last_started_turn: Id of the newest turn started, as far as the replay reaches.
        previous_turn_settings: Model and so on of the last turn of a person; None where nothing says.
        reference_context: The ``turn_context`` that the next turn is compared with; None: it states everything anew.
        world_state: What the next ``world_state`` is a patch of; None: it is written in full.
        settings: The newest ``turn_context`` or ``thread_settings_applied``, whole records' payloads, newest first.
        usage: ``info`` of the newest ``token_count`` that has one; None where none was met.
    """

    items: list[ContextItem]
    checkpoint: Position | None
    window: Window
    last_started_turn: str | None
    previous_turn_settings: dict[str, Any] | None
    reference_context: msgspec.Raw | None
    world_state: Any | None
    settings: msgspec.Raw | None
    usage: msgspec.Raw | None
