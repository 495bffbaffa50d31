"""Calls of the tools that start, address, await and end other agents, and the items that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from threadkeep.replay.items._agents import CollabAgentToolCall, Ended, State
from threadkeep.replay.items._schema import ThreadId

if TYPE_CHECKING:
    from threadkeep.replay.items._schema import Json

__all__ = ["AgentState", "collab_call", "is_collab_tool", "went_wrong"]

AgentState = State | Ended
"""What an agent does, as records say it."""

_NAMESPACES: Final = frozenset({None, "multi_agent_v1"})


class _Asked(msgspec.Struct):
    message: str | None = None
    id: ThreadId | None = None
    target: ThreadId | None = None
    ids: list[ThreadId] = []
    targets: list[ThreadId] = []

    @property
    def receivers(self) -> list[str]:
        """The agents that are addressed: the names of the members differ by version."""
        return [agent for agent in (self.id, self.target) if agent is not None] + self.ids + self.targets


class _Spawned(msgspec.Struct):
    agent_id: ThreadId

    def fill(self, item: CollabAgentToolCall, asked: _Asked) -> None:
        item.tool, item.prompt = "spawn_agent", asked.message
        item.receiver_thread_ids, item.agents_states = [self.agent_id], {self.agent_id: "pending_init"}


class _Sent(msgspec.Struct):
    submission_id: str

    def fill(self, item: CollabAgentToolCall, asked: _Asked) -> None:
        item.tool, item.prompt, item.receiver_thread_ids = "send_input", asked.message, asked.receivers


class _Waited(msgspec.Struct):
    status: dict[ThreadId, AgentState]

    def fill(self, item: CollabAgentToolCall, asked: _Asked) -> None:
        item.tool, item.agents_states = "wait", self.status
        item.receiver_thread_ids = asked.receivers or sorted(self.status)
        item.status = "failed" if any(map(went_wrong, self.status.values())) else "completed"


class _Resumed(msgspec.Struct):
    status: AgentState

    def fill(self, item: CollabAgentToolCall, asked: _Asked) -> None:
        item.tool, item.receiver_thread_ids = "resume_agent", asked.receivers
        item.agents_states = dict.fromkeys(asked.receivers, self.status)
        item.status = "failed" if went_wrong(self.status) else "completed"


class _Closed(msgspec.Struct):
    previous_status: AgentState | None = None
    status: AgentState | None = None

    def fill(self, item: CollabAgentToolCall, asked: _Asked) -> None:
        state = self.status if self.previous_status is None else self.previous_status
        item.tool, item.receiver_thread_ids = "close_agent", asked.receivers
        item.agents_states = {} if state is None else dict.fromkeys(asked.receivers, state)
        item.status = "failed" if state is not None and went_wrong(state) else "completed"


_Answer = _Spawned | _Sent | _Waited | _Resumed | _Closed
_ANSWERS: Final[dict[str, msgspec.json.Decoder[_Answer]]] = {
    "spawn_agent": msgspec.json.Decoder(_Spawned),
    "send_input": msgspec.json.Decoder(_Sent),
    "wait": msgspec.json.Decoder(_Waited),
    "wait_agent": msgspec.json.Decoder(_Waited),
    "resume_agent": msgspec.json.Decoder(_Resumed),
    "close_agent": msgspec.json.Decoder(_Closed),
}
_decode_asked: Final = msgspec.json.Decoder(_Asked).decode


def went_wrong(state: AgentState) -> bool:
    """Whether a call about an agent in this state counts as failed."""
    return state == "not_found" or (isinstance(state, Ended) and state.errored is not msgspec.UNSET)


def is_collab_tool(namespace: str | None, name: str) -> bool:
    """Whether a call is of the first generation of these tools. Of the second, what agents do is shown instead."""
    return name in _ANSWERS and namespace in _NAMESPACES


def collab_call(item_id: str, sender: str, name: str, arguments: str, answer: str) -> Json:
    """The item of a call that `is_collab_tool`, by the thread ``sender``.

    The states of agents are those that the answer tells; where it tells none (``send_input``), there are none.

    Raises:
        msgspec.MsgspecError: The arguments or the answer are not the tool's, so that the call was refused.
        UndecodableError: The state of an agent is none.
    """
    asked, answered = _decode_asked(arguments), _ANSWERS[name].decode(answer)
    item = CollabAgentToolCall(item_id, "wait", "completed", sender)
    answered.fill(item, asked)
    return item.shown()
