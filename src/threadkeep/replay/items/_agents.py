"""Other agents: calls of the tools that start, address and end them, and what they did."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from threadkeep.replay.items._schema import (
    AgentPath,
    Effort,
    Json,
    ThreadId,
    UndecodableError,
    camel_words,
    thread_id,
)

__all__ = ["CollabAgentToolCall", "SubAgentActivity"]

Tool: TypeAlias = Literal[
    "spawn_agent",
    "send_input",
    "resume_agent",
    "wait",
    "close_agent",
    "send_message",
    "followup_task",
    "interrupt_agent",
    "list_agents",
]
Status: TypeAlias = Literal["in_progress", "completed", "failed", "interrupted"]
State: TypeAlias = Literal["pending_init", "running", "interrupted", "shutdown", "not_found"]

_TOOLS: Final = camel_words(Tool)
_STATUSES: Final = camel_words(Status)
_STATES: Final = camel_words(State)


class Ended(msgspec.Struct, forbid_unknown_fields=True):
    """The state of an agent that came to its end, in one of two ways, with what it said."""

    completed: str | msgspec.UnsetType | None = msgspec.UNSET
    errored: str | msgspec.UnsetType = msgspec.UNSET


class ReceiverAgent(msgspec.Struct):
    """An agent that is addressed: it must fit, and is not shown."""

    thread_id: ThreadId
    agent_nickname: str | None = None
    agent_role: str | None = None


class CollabAgentToolCall(msgspec.Struct, tag=True):
    """A call of a tool that is about other agents."""

    id: str
    tool: Tool
    status: Status
    sender_thread_id: ThreadId
    receiver_thread_ids: list[ThreadId] = []
    receiver_agents: list[ReceiverAgent] = []
    prompt: str | None = None
    model: str | None = None
    reasoning_effort: Effort | None = None
    agents_states: dict[ThreadId, State | Ended] = {}

    def shown(self) -> Json:
        """As the server shows it. Its order of ``agentsStates`` is random; here it is the rollout's."""
        return {
            "type": "collabAgentToolCall",
            "id": self.id,
            "tool": _TOOLS[self.tool],
            "status": _STATUSES[self.status],
            "senderThreadId": thread_id(self.sender_thread_id),
            "receiverThreadIds": [thread_id(agent) for agent in self.receiver_thread_ids],
            "prompt": self.prompt,
            "model": self.model,
            "reasoningEffort": self.reasoning_effort,
            "agentsStates": {thread_id(agent): _state(state) for agent, state in self.agents_states.items()},
        }


def _state(state: State | Ended) -> Json:
    if isinstance(state, str):
        return {"status": _STATES[state], "message": None}
    ends = msgspec.to_builtins(state)
    if len(ends) != 1:
        raise UndecodableError("an agent ends in one way")
    [(status, message)] = ends.items()
    return {"status": status, "message": message}


class SubAgentActivity(msgspec.Struct, tag=True):
    """An agent was started, spoken to or interrupted, or came to its end."""

    id: str
    kind: Literal["started", "interacted", "interrupted", "completed"]
    agent_thread_id: ThreadId
    agent_path: AgentPath
    model: str | None = None
    reasoning_effort: Effort | None = None

    def shown(self) -> Json:
        """As the server shows it."""
        return {
            "type": "subAgentActivity",
            "model": self.model,
            "reasoningEffort": self.reasoning_effort,
            "id": self.id,
            "kind": self.kind,
            "agentThreadId": thread_id(self.agent_thread_id),
            "agentPath": self.agent_path,
        }
