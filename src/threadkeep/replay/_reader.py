"""Turns of a lineage, newest first, whatever the history modes of its rollouts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from threadkeep.replay._paginated import build_turn
from threadkeep.replay._turn import ItemEntry, ItemsView, LateRecord, Position, TurnEntry
from threadkeep.replay._walk import Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from threadkeep.lineage import Lineage, Segment
    from threadkeep.replay._paginated import Group
    from threadkeep.replay._walk import Stretch

__all__ = ["TurnReader"]


class TurnReader(Walk[TurnEntry]):
    """Reads turns backwards from the end of a lineage, or from a place inside it; the other arguments are `Walk`'s.

    Args:
        lineage: The thread's lineage.
        view: How much of each turn's items to show.
        below: Give only turns that begin before this place: for a reader that has to begin further up.
        rows: Also keep each turn's items with their places, in `rows`.

    Attributes:
        rows: The items of the turns given so far, when they were asked for.
    """

    def __init__(
        self,
        lineage: Lineage,
        view: ItemsView,
        *,
        start: Position | None = None,
        below: Position | None = None,
        stop: Position | None = None,
        late: Sequence[LateRecord] = (),
        first_start: Callable[[Segment], int | None],
        rows: bool = False,
    ) -> None:
        super().__init__(lineage, view, start=start, stop=stop, late=late, first_start=first_start)
        self._below = below
        self._keep_rows = rows
        self.rows: list[ItemEntry] = []

    def __iter__(self) -> Iterator[TurnEntry]:
        """The turns, newest first.

        Raises:
            BrokenLineage: An ancestor that is reached is missing or changed.
        """
        below = self._below
        if below is None:
            yield from super().__iter__()
            return
        order = self._lineage.order
        bound = order(below.rollout, below.offset)
        for entry in super().__iter__():
            if order(entry.position.rollout, entry.position.offset) < bound:
                yield entry

    def _made(self, group: Group) -> TurnEntry:
        entry, rows = build_turn(group, self._view, rows_too=self._keep_rows)
        self.rows += rows
        return entry

    def _of_stretch(self, stretch: Stretch) -> Iterator[TurnEntry]:
        for turn in reversed(stretch.turns):
            if self._keep_rows:
                self.rows += stretch.builder.rows(turn)
            self._legacy_given.add(turn.id)
            yield stretch.builder.entry(turn)
