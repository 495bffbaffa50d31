"""Which records of a legacy history its rollbacks took back, so that it can be written without their markers.

A rollback counts turns as the model sees them: from one message of a person, or of another agent, to the next. Which
records go with such a turn follows Codex's own migration (``storage.md`` 5.4; 0.169.0 observed).
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final

import msgspec

from threadkeep.records import (
    Compacted,
    InputImage,
    InputText,
    InterAgentCommunication,
    Message,
    RolledBack,
    response_item,
)
from threadkeep.replay._spoken import is_boundary, is_contextual, is_contextual_developer
from threadkeep.replay._starts import ENDS, starts_turn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from threadkeep.records import Record

__all__ = ["RollbackPlan"]

_NOBODY: Final = -1
_NAME_A_TURN: Final = frozenset(
    {
        "item_completed",
        "exec_command_end",
        "patch_apply_end",
        "dynamic_tool_call_response",
        "entered_review_mode",
        "exited_review_mode",
    }
)


class _Named(msgspec.Struct):
    turn_id: str | None = None


class _Said(msgspec.Struct):
    message: str
    images: list[str] | None = None
    local_images: list[str] = []
    local_audio: list[str] = []


class RollbackPlan:
    """Which records of a legacy history survive its rollbacks.

    Each record belongs to the spoken turn that is the newest one when it is written, or to that of the turn which it
    names. What leads up to a spoken turn (context messages, the start and the settings of its turn) belongs to it;
    before the first one, context messages belong to nobody. Memory: four bytes a record, some hundred bytes a turn.

    Args:
        records: The whole history, oldest first; `survives` counts the same records.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self._owners = array("i")
        self._alive: list[bool] = []
        self._stack: list[int] = []
        self._active: str | None = None
        self._turns: dict[str, int] = {}  # turn id -> the spoken turn that its records go with
        self._early: list[int] = []  # records of the active turn before anybody spoke in it
        self._context: list[int] = []  # context messages that lead up to the next spoken turn
        self._spoke: tuple[int, Message] | None = None
        for record in records:
            self._take(record)

    def survives(self, index: int) -> bool:
        """Whether no rollback took the record back; ``index`` counts the records from 0."""
        owner = self._owners[index]
        return owner == _NOBODY or self._alive[owner]

    # One record

    def _take(self, record: Record) -> None:
        index = len(self._owners)
        self._owners.append(self._stack[-1] if self._stack else _NOBODY)
        spoke, self._spoke = self._spoke, None
        kind = record.kind
        if kind in {"session_meta", "security_risk_score"}:
            self._owners[index] = _NOBODY
        elif kind == "response_item":
            self._response_item(record, index)
        elif kind == "inter_agent_communication":
            if record.view(InterAgentCommunication) is not None:
                self._begin(index)
        elif kind == "compacted":
            if record.view(Compacted) is not None:
                owner = self._turns.get(self._active) if self._active is not None else None
                self._owners[index] = _NOBODY if owner is None else owner
        elif kind == "turn_context":
            if self._active is not None and self._active not in self._turns:
                self._early.append(index)
        elif kind == "token_usage_record":
            self._assign(index, _turn_of(record))
        elif kind == "event_msg":
            self._event(record, index, spoke)

    def _response_item(self, record: Record, index: int) -> None:
        if record.subtype not in {"message", "agent_message"}:
            return
        payload = record.payload
        item = response_item(payload) if payload is not None else None
        if item is None or isinstance(item, str):
            return
        if is_boundary(item):
            begun = self._begin(index)
            if isinstance(item, Message):
                self._spoke = (begun, item)
        elif is_contextual(item) or is_contextual_developer(item):
            self._context.append(index)

    def _event(self, record: Record, index: int, spoke: tuple[int, Message] | None) -> None:
        subtype = record.subtype
        if subtype == "thread_rolled_back":
            rolled = record.view(RolledBack)
            if rolled is not None and rolled.num_turns:
                self._roll_back(rolled.num_turns)
        elif starts_turn(record):
            self._active = _turn_of(record)
            self._early = [index]
        elif subtype in ENDS:
            turn_id = _turn_of(record)
            self._assign(index, turn_id)
            if turn_id is not None and turn_id == self._active:
                self._active, self._early = None, []
        elif subtype == "user_message":
            said = record.view(_Said)
            if said is not None:
                paired = spoke is not None and _same_words(spoke[1], said)
                self._owners[index] = spoke[0] if spoke is not None and paired else self._begin(index)
        else:
            self._assign(index, _turn_of(record) if subtype in _NAME_A_TURN else None)

    # Spoken turns

    def _begin(self, index: int) -> int:
        """A spoken turn begins: what led up to it, and what its turn holds already, goes with it."""
        begun = len(self._alive)
        self._alive.append(True)
        if self._stack:  # what stands before the first one stays whatever happens
            for earlier in self._context:
                self._owners[earlier] = begun
        for earlier in self._early:
            self._owners[earlier] = begun
        self._context, self._early = [], []
        self._owners[index] = begun
        self._stack.append(begun)
        if self._active is not None:
            self._turns[self._active] = begun
        return begun

    def _assign(self, index: int, turn_id: str | None) -> None:
        known = self._turns.get(turn_id) if turn_id else None
        if known is not None:
            self._owners[index] = known
        elif self._active is not None and self._active not in self._turns:
            self._early.append(index)

    def _roll_back(self, count: int) -> None:
        for _ in range(min(count, len(self._stack))):
            self._alive[self._stack.pop()] = False
        self._active, self._early, self._context = None, [], []


def _turn_of(record: Record) -> str | None:
    named = record.view(_Named)
    return named.turn_id if named is not None else None


def _same_words(item: Message, said: _Said) -> bool:
    """Whether an event tells of the same message as the response item before it."""
    if said.local_images or said.local_audio:
        return False
    if not all(isinstance(part, InputText | InputImage) for part in item.content):
        return False
    text = "".join(part.text for part in item.content if isinstance(part, InputText))
    images = [part.image_url for part in item.content if isinstance(part, InputImage)]
    return text == said.message and images == (said.images or [])
