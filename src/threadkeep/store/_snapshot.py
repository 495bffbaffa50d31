"""A thread as it stood at one moment: every answer ends at the same record, however long the answering takes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Self

import msgspec

from threadkeep.errors import Conflict, CorruptHistory, StorageFailure
from threadkeep.records import Cost
from threadkeep.store._models import Latest, Page, Resumed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from threadkeep.replay import ItemsView
    from threadkeep.store._access import Access, Located
    from threadkeep.store._models import Thread
    from threadkeep.store._search import OccurrencePage

__all__ = ["Snapshot"]


class Snapshot:
    """One thread, its end fixed when the snapshot was taken; use it as a context manager, from one thread at a time.

    What is appended meanwhile, by whomever, is in none of its answers. It holds no lease and stands in nobody's way:
    what of a thread that is deleted meanwhile cannot be read any more is no damage, and leaving the context raises
    `ThreadNotFound`. Where a rollout was replaced meanwhile, as by `ThreadStore.erase`, its answers are refused with
    `RolloutReplaced`.

    Attributes:
        thread_id: The thread.
        cost: What all its answers cost so far; `Page.cost` and `Resumed.cost` are the same object.
    """

    def __init__(self, access: Access, located: Located, cost: Cost | None = None) -> None:
        self.thread_id = located.thread_id
        self.cost = cost or Cost()
        self._access = access
        self._located = located
        self._stat = access.backend_of(located.thread_id).stat(located.ref)  # size and time as they stand now, too
        self._thread: Thread | None = None
        self._lineage = access.open(located, self.cost)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        self.close()
        if isinstance(error, CorruptHistory):
            with contextlib.suppress(Conflict, StorageFailure):
                self._access.locate(self.thread_id)  # raises where it was deleted meanwhile

    def close(self) -> None:
        """Let go of the rollouts; closing twice is no error."""
        self._lineage.close()

    @property
    def mode(self) -> str:
        """History mode of the current rollout (``legacy`` or ``paginated``)."""
        return self._lineage.mode

    def thread(self, *, counts: bool = False) -> Thread:
        """The thread as lists show it (`ThreadStore.read`); ``counts``: with the numbers of its records."""
        from threadkeep.store._threads import thread_of

        if self._thread is None or (counts and self._thread.counts is None):
            self._thread = thread_of(self._access, self._located, self._stat, self._lineage, counts=counts)
        return self._thread if counts else msgspec.structs.replace(self._thread, counts=None)

    def resume(self) -> Resumed:
        """What the thread's next turn starts with (`ThreadStore.resume`).

        Raises:
            BrokenLineage: An ancestor that is needed is missing or changed.
        """
        return self._resumed(bounded=True)

    def replay(self) -> Resumed:
        """The same as `resume`, computed from the whole history."""
        return self._resumed(bounded=False)

    def _resumed(self, *, bounded: bool) -> Resumed:
        from threadkeep.replay import read_context
        from threadkeep.replay._latest import decode_usage

        lineage = self._lineage
        context = read_context(lineage, self._access if bounded else None)
        settings = msgspec.json.decode(context.settings) if context.settings is not None else None
        usage = decode_usage(context.usage) if context.usage is not None else None
        return Resumed(self.thread_id, lineage.tip.rollout_id, lineage.mode, context, settings, usage, self.cost)

    def latest(self) -> Latest:
        """The settings and the usage that go with the context, without the context: read from near the end.

        Raises:
            BrokenLineage: An ancestor that is needed is missing or changed.
        """
        from threadkeep.replay._in_force import read_latest
        from threadkeep.replay._latest import decode_usage

        found = read_latest(self._lineage, self._access)
        settings = None
        if found.settings is not None:
            applied = msgspec.json.decode(found.applied) if found.applied is not None else {}
            settings = {**applied, **msgspec.json.decode(found.settings)}
        return Latest(settings, decode_usage(found.usage) if found.usage is not None else None, found.usage_turn)

    def turns(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        descending: bool = True,
        view: ItemsView = "summary",
    ) -> Page:
        """A page of turns (`ThreadStore.turns`). Its cursors hold for the thread, not only for the snapshot.

        Raises:
            InvalidCursor: The cursor is none, belongs elsewhere, or its anchor changed.
            BrokenLineage: An ancestor that is reached is missing or changed.
        """
        from threadkeep.replay import turn_page

        page = turn_page(self._lineage, self._access, cursor=cursor, limit=limit, descending=descending, view=view)
        return Page([entry.turn for entry in page.data], page.next_cursor, page.backwards_cursor, self.cost)

    def items(
        self,
        *,
        turn: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        descending: bool = False,
    ) -> Page:
        """A page of items (`ThreadStore.items`). Its cursors hold for the thread, not only for the snapshot.

        Raises:
            InvalidCursor: The cursor is none, belongs elsewhere, or its anchor changed.
            BrokenLineage: An ancestor that is reached is missing or changed.
        """
        from threadkeep.replay import item_page

        page = item_page(self._lineage, self._access, cursor=cursor, limit=limit, descending=descending, turn_id=turn)
        data = [
            {
                "turnId": entry.turn_id,
                "item": entry.item,
                "startedAtMs": entry.item["startedAtMs"],
                "completedAtMs": entry.item["completedAtMs"],
            }
            for entry in page.data
        ]
        return Page(data, page.next_cursor, page.backwards_cursor, self.cost)

    def turn(self, turn: str, *, view: ItemsView = "full") -> dict[str, Any] | None:
        """One turn by its id; None where the thread shows none of that id."""
        from threadkeep.replay import find_turn

        entry = find_turn(self._lineage, turn, self._access, view)
        return entry.turn if entry is not None else None

    def item_cursor(self, turn: str, item: str) -> str | None:
        """The cursor of what lies beyond an item of a turn (`items` with that ``turn``); None where there is none."""
        from threadkeep.replay._pages import item_anchor

        return item_anchor(self._lineage, self._access, turn, item)

    def dynamic_tools(self) -> list[dict[str, Any]]:
        """The client's tools, as the nearest rollout of the lineage states them."""
        from threadkeep.records import present

        for segment in self._lineage.newest_first():
            meta = segment.head.meta
            if meta is not None and present(meta.dynamic_tools):
                tools = msgspec.json.decode(meta.dynamic_tools)
                return [tool for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
        return []

    def unreadable(self, most_bytes: int) -> list[tuple[str, int]]:
        """(path, decoded byte offset) of the lines near the end of the current rollout that are no whole records.

        A first record that is lost is among them, as far as one can be seen to be.

        Args:
            most_bytes: How much of it is looked at, from its end back.
        """
        from threadkeep.records import lines_backward, record_of

        tip = self._lineage.tip
        floor = max(0, tip.end - most_bytes)
        found = []
        for offset, line in lines_backward(tip.source, tip.end):
            if offset < floor:
                break
            if line is None or (line.strip() and not record_of(offset, line).intact):
                found.append((tip.source.path or tip.rollout_id, offset))
        if tip.head.meta is None and (not found or found[-1][1] != 0):
            found.append((tip.source.path or tip.rollout_id, 0))
        return found[::-1]

    def occurrences(self, term: str, *, cursor: str | None = None, limit: int | None = None) -> OccurrencePage:
        """A page of the places where the term was said, oldest first, in inherited history, too.

        What the user said and what the agent answered is searched, no commands and no thoughts; case is ignored. Of
        Markdown the agent's text is taken as a reader sees it.

        Args:
            term: What to look for, white space as it stands.
            cursor: Where to go on: the cursor of the page before, of the same search.
            limit: Places of the page, 1 to 200; 50 where it is not given.

        Raises:
            InvalidRequest: The term is blank.
            InvalidCursor: The cursor is none, or belongs to another search.
            BrokenLineage: An ancestor is missing or changed.
        """
        from threadkeep.store._search import occurrences

        return occurrences(self._access, self._lineage, term, cursor=cursor, limit=limit)

    def all_turns(self, *, view: ItemsView = "full") -> Iterator[dict[str, Any]]:
        """Every turn, oldest first, one at a time: what all pages together would show.

        The time follows the length of the history; in memory there is one turn at a time, and a few numbers of each.
        Nothing is read before the first turn is asked for; the snapshot must stay open meanwhile.

        Args:
            view: How much of each turn's items is shown.

        Raises:
            BrokenLineage: An ancestor is missing or changed.
        """
        from threadkeep.replay import whole_turns

        found = whole_turns(self._lineage, view, first_start=lambda segment: self._access.of(segment).first_start)
        return (entry.turn for entry in found)

    def all_turns_encoded(self, *, view: ItemsView = "full") -> Iterator[bytes]:
        """`all_turns`, each as the bytes of its JSON."""
        return map(msgspec.json.encode, self.all_turns(view=view))
