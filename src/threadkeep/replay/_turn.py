"""What a reader of turns gives: turns in the app-server's shape, each with its place in the lineage."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

__all__ = ["ItemEntry", "ItemsView", "LateRecord", "Position", "TurnEntry"]

ItemsView = Literal["notLoaded", "summary", "messages", "full"]
"""How much of a turn's items is shown: none, the first user message and the final answer, all that was said, or all."""


class Position(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A record's address.

    Attributes:
        rollout: Id of the rollout that holds the record.
        offset: Decoded byte offset of the record's first byte.
    """

    rollout: str
    offset: int


class TurnEntry(msgspec.Struct):
    """One turn of a thread.

    Attributes:
        position: Its first record.
        end: Where the turn ends: just after its terminal record; None where it has none (it runs, or was cut off).
        turn: The app-server's ``Turn``.
    """

    position: Position
    end: Position | None
    turn: dict[str, Any]

    @property
    def id(self) -> str:
        """The turn's id."""
        turn_id: str = self.turn["id"]
        return turn_id


class ItemEntry(msgspec.Struct):
    """One item of a thread.

    Attributes:
        position: The record that completed it first.
        turn_id: The turn that it belongs to.
        item: The app-server's ``ThreadItem``.
    """

    position: Position
    turn_id: str
    item: dict[str, Any]


class LateRecord(msgspec.Struct, frozen=True, array_like=True):
    """A record of a turn that stands after that turn, among the records of newer ones.

    A background command that ends during a later turn leaves one. A reader that starts in the middle is told of them.
    """

    turn_id: str
    position: Position
