"""Turns that were not ended, ends without a start, and tool calls without an output: what one pass can see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from threadkeep.records._damage_report import Place, Report, printable
from threadkeep.records._items import (
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    LocalShellCall,
    ToolSearchCall,
    ToolSearchOutput,
)
from threadkeep.records._payloads import TaskComplete, TaskStarted, TurnAborted

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MOST_CALLS", "MOST_TURNS", "Turns"]

MOST_TURNS: Final = 16_384
"""Turn ids that are remembered. With more of them an end is no longer said to be without a start."""

MOST_CALLS: Final = 4_096
"""Tool calls that are waited for at once; the oldest one is given up for the next."""

_FUNCTION, _CUSTOM, _SEARCH = "function", "custom", "search"

# An output answers a call of its own kind alone (0.169.0 observed).
_CALLS: Final[dict[type, str]] = {
    FunctionCall: _FUNCTION,
    LocalShellCall: _FUNCTION,
    CustomToolCall: _CUSTOM,
    ToolSearchCall: _SEARCH,
}
_OUTPUTS: Final[dict[type, str]] = {
    FunctionCallOutput: _FUNCTION,
    CustomToolCallOutput: _CUSTOM,
    ToolSearchOutput: _SEARCH,
}


class Turns:
    """Follows starts and ends of turns, and calls and outputs, oldest first."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._open: tuple[str, Place] | None = None
        self._known: dict[str, None] = {}
        self._forgot = False
        self._inherits = False
        self._calls: dict[tuple[str, str], Place] = {}

    def inherits(self) -> None:
        """Say that the rollout has a history base: the turn that was open there may end here."""
        self._inherits = True

    def feed(self, view: Any, place: Place) -> None:
        """Take the view of the next record that counts."""
        follow = _FOLLOW.get(type(view))
        if follow is not None:
            follow(self, view, place)

    def finish(self, *, being_written: bool) -> None:
        """The rollout ends here; when a writer holds it, its open turn is running."""
        running = self._open[1].offset if being_written and self._open is not None else None
        if self._open is not None and not being_written:
            turn_id, place = self._open
            self._report.add(
                "turn-without-end",
                place,
                f"turn {printable(turn_id)} starts here and has no end: it is shown as interrupted",
            )
        for (_, call_id), place in self._calls.items():
            if running is None or place.offset < running:
                self._unanswered(call_id, place)

    # Turns

    def started(self, event: TaskStarted, place: Place) -> None:
        """A turn starts."""
        if self._open is not None and self._open[0] != event.turn_id:
            turn_id, start = self._open
            self._report.add(
                "turn-without-end",
                start,
                f"turn {printable(turn_id)} starts here and has no end before line {place.line}, where the next turn "
                "starts: it is shown as interrupted",
            )
        self._open = (event.turn_id, place)
        self._remember(event.turn_id)

    def ended(self, event: TaskComplete | TurnAborted, place: Place) -> None:
        """A turn ends."""
        turn_id = event.turn_id
        if turn_id is None or (self._open is not None and self._open[0] == turn_id):
            self._open = None
            return
        inherited = self._inherits and not self._known
        if turn_id not in self._known and not self._forgot and not inherited:
            self._report.add(
                "turn-without-start",
                place,
                f"turn {printable(turn_id)} ends here and starts nowhere before in this rollout",
            )
        self._remember(turn_id)

    def _remember(self, turn_id: str) -> None:
        self._known[turn_id] = None
        if len(self._known) > MOST_TURNS:
            del self._known[next(iter(self._known))]
            self._forgot = True

    # Calls

    def called(self, item: Any, place: Place) -> None:
        """A tool is called."""
        if item.call_id is None:
            return
        self._calls[_CALLS[type(item)], item.call_id] = place
        if len(self._calls) > MOST_CALLS:
            group, call_id = next(iter(self._calls))
            self._unanswered(call_id, self._calls.pop((group, call_id)))

    def answered(self, item: Any, _place: Place) -> None:
        """A tool answered."""
        if item.call_id is not None:
            self._calls.pop((_OUTPUTS[type(item)], item.call_id), None)

    def _unanswered(self, call_id: str, place: Place) -> None:
        self._report.add(
            "call-without-output",
            place,
            f"tool call {printable(call_id)} has no output after it: the model is told that it was aborted",
        )


_FOLLOW: Final[dict[type, Callable[[Turns, Any, Place], None]]] = {
    TaskStarted: Turns.started,
    TaskComplete: Turns.ended,
    TurnAborted: Turns.ended,
    **dict.fromkeys(_CALLS, Turns.called),
    **dict.fromkeys(_OUTPUTS, Turns.answered),
}
