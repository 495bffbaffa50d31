"""World states: the newest full one, with the patches that came after it (``storage.md`` 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from threadkeep.records import WorldState

if TYPE_CHECKING:
    from threadkeep.replay._span import SpanWorld

__all__ = ["Worlds", "merge_patch"]


class Worlds:
    """World states while they come in newest first.

    Attributes:
        closed: Whether nothing older matters: a full state or a compaction was met.
    """

    def __init__(self) -> None:
        self._states: list[SpanWorld] = []
        self.closed = False

    def take(self, world: SpanWorld) -> None:
        """Take the next older state, if it still matters."""
        if not self.closed:
            self._states.append(world)
            self.closed = world.full

    def close(self) -> None:
        """A compaction: it voids what is older."""
        self.closed = True

    def state(self) -> Any | None:
        """The state that the newest one leaves; None where it has to be written in full."""
        state: Any | None = None
        for world in reversed(self._states):
            view = world.record.view(WorldState)
            if view is None:
                continue
            if world.full:
                state = msgspec.json.decode(view.state)
            elif state is not None:
                state = merge_patch(state, msgspec.json.decode(view.state))
        return state


def merge_patch(state: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(state) if isinstance(state, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged
