"""A model context written down as records, so that nothing that stands before them matters any more.

Where a conversion leaves records out, what remains does not always add up to the context that the model had: a
rollback may reach into a checkpoint, or take one back. Then the context itself is stated, in the way in which a
compaction states one, but as the same window: no compaction took place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.records import _build as build
from threadkeep.records import encode_record, present

if TYPE_CHECKING:
    from collections.abc import Iterator

    from threadkeep.replay._context import ModelContext

__all__ = ["restated"]

_NO_METADATA: Final = msgspec.Raw(b'{"client_authored":false}')


def restated(context: ModelContext, timestamp: str) -> Iterator[bytes]:
    """The lines, without ordinals, of a paginated rollout after which the context is this one.

    A checkpoint with the items and the window; then, as far as there are such, the state of the world, the settings
    that the next turn is compared with, and the token usage.
    """
    resume: dict[str, Any] = {"last_started_turn_id": context.last_started_turn}
    if context.previous_turn_settings is not None:
        resume["previous_turn_settings"] = context.previous_turn_settings
    window = context.window
    stated = any(present(item.metadata) for item in context.items)
    checkpoint = build.compacted(
        "",
        [item.payload for item in context.items],
        replacement_history_metadata=(
            [item.metadata if present(item.metadata) else _NO_METADATA for item in context.items] if stated else None
        ),
        window_number=window.number or 0,
        first_window_id=window.first_id,
        previous_window_id=window.previous_id,
        window_id=window.id,
        resume_metadata=resume,
    )
    yield encode_record("compacted", checkpoint, timestamp=timestamp)
    if context.world_state is not None:
        world = {"full": True, "state": context.world_state}
        yield encode_record("world_state", world, timestamp=timestamp)
    if context.reference_context is not None:
        yield encode_record("turn_context", context.reference_context, timestamp=timestamp)
    if context.usage is not None:
        usage = {"type": "token_count", "info": context.usage, "rate_limits": None}
        yield encode_record("event_msg", usage, timestamp=timestamp)
