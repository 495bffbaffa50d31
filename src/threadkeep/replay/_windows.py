"""Context windows: which one a thread is in, as its compactions state it or are counted (``storage.md`` 2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from threadkeep.ids import canonical
from threadkeep.replay._context import Window

if TYPE_CHECKING:
    from threadkeep.lineage import Segment
    from threadkeep.records import Compacted, Record

__all__ = ["Windows", "window_of"]


class Windows:
    """What is known of the newest window, while records come in newest first."""

    def __init__(self) -> None:
        self._window: Window | None = None
        self._entered = False
        self._first: str | None = None
        self._updated: str | None = None
        self._compactions = 0
        self._unnumbered = 0

    @property
    def known(self) -> bool:
        """Whether a compaction that counts stated its window's number."""
        return self._window is not None

    @property
    def needs_count(self) -> bool:
        """Whether the window has no number but the count of all compactions, older ones included."""
        return self._window is None and self._unnumbered > 0

    def enter(self, segment: Segment) -> None:
        """The next older segment begins: the first record of the current rollout may name the thread's first window."""
        meta = segment.head.meta
        if not self._entered and meta is not None and meta.context_window is not None:
            self._first = _uuid7(meta.context_window.window_id)
        self._entered = True

    def update(self, record: Record) -> None:
        """Take a later ``session_meta`` of a legacy rollout."""
        self._updated = _stated_window(record) or self._updated

    def met(self, compaction: Compacted) -> Window | None:
        """Count a compaction, whether it survives or not; the window that it states."""
        window = window_of(compaction)
        self._compactions += 1
        self._unnumbered += window is None
        return window

    def take(self, window: Window | None) -> None:
        """Take the window of a compaction that survives; the newest stays."""
        if self._window is None:
            self._window = window

    def newest(self, compactions: int | None) -> Window:
        """The thread's window.

        Args:
            compactions: How many the whole lineage holds; None: those that were met are all.
        """
        if self._window is not None:
            return self._window
        first = self._first or self._updated
        if self._unnumbered == 0 and first is not None:
            return Window(0, first, None, first)
        return Window(self._compactions if compactions is None else compactions)


def _uuid7(value: str | None) -> str | None:
    """A UUIDv7 as it is written; None for anything else."""
    id_ = canonical(value) if value is not None else None
    return id_ if id_ is not None and id_[14] == "7" else None


class _WindowId(msgspec.Struct):
    window_id: str | None = None


class _WindowMeta(msgspec.Struct):
    context_window: _WindowId | None = None


def _stated_window(record: Record) -> str | None:
    """The first window that a later ``session_meta`` of a legacy rollout names."""
    meta = record.view(_WindowMeta)
    return _uuid7(meta.context_window.window_id) if meta is not None and meta.context_window is not None else None


def window_of(view: Compacted) -> Window | None:
    """The window that a compaction began; very old files hold its number in ``window_id`` (``storage.md`` 2.3)."""
    number, window_id = view.window_number, view.window_id
    if isinstance(window_id, int):
        number, window_id = (window_id if number is None else number), None
    if number is None:
        return None
    return Window(number, _uuid7(view.first_window_id), _uuid7(view.previous_window_id), _uuid7(window_id))
