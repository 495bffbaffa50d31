"""Events of calls that some old files hold beside the response items, made when a client asked for extended history.

A legacy thread of 0.169.0 does not show them. They say more of a call than its output does, and so are the best source
for its item. Their shapes are those of 0.125 (observed): paths may be plain where newer records have URIs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import msgspec

from threadkeep.replay.items._agents import CollabAgentToolCall
from threadkeep.replay.items._call_agents import AgentState, went_wrong
from threadkeep.replay.items._call_patch import script_in_argv
from threadkeep.replay.items._call_paths import uri_of
from threadkeep.replay.items._commands import CommandExecution, ListFiles, Read, Search, Source, Status, Unknown
from threadkeep.replay.items._images import ImageView
from threadkeep.replay.items._schema import I32, Duration, Effort, Json, ThreadId
from threadkeep.replay.items._tools import DynamicAudio, DynamicImage, DynamicText, DynamicToolCall

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CallEvent", "ExecCommandEnd", "call_event"]


class CallEvent(Protocol):
    """An event that says how a call ended."""

    call_id: str

    def shown(self) -> Json:
        """The item of the call."""
        ...


class ExecCommandEnd(msgspec.Struct):
    """``exec_command_end``."""

    call_id: str
    command: list[str]
    cwd: str
    status: Status
    parsed_cmd: list[Read | ListFiles | Search | Unknown] = []
    source: Source = "agent"
    process_id: str | None = None
    aggregated_output: str = ""
    exit_code: I32 | None = None
    duration: Duration | None = None
    turn_id: str | None = None

    def item(self) -> CommandExecution:
        """The command that ran."""
        return CommandExecution(
            id=self.call_id,
            command=self.command,
            cwd=uri_of(self.cwd),
            parsed_cmd=self.parsed_cmd,
            source=self.source,
            status=self.status,
            process_id=self.process_id,
            aggregated_output=self.aggregated_output,
            exit_code=self.exit_code,
            duration=self.duration,
        )

    def shown(self) -> Json:
        """The command as the server shows it."""
        return self.item().shown()

    @property
    def user_script(self) -> str | None:
        """The script, where the user ran it."""
        return script_in_argv(self.command) if self.source == "user_shell" else None


class ViewImageToolCall(msgspec.Struct):
    """``view_image_tool_call``."""

    call_id: str
    path: str

    def shown(self) -> Json:
        """The image that was looked at."""
        return ImageView(self.call_id, uri_of(self.path)).shown()


class DynamicToolCallResponse(msgspec.Struct):
    """``dynamic_tool_call_response``."""

    call_id: str
    tool: str
    arguments: msgspec.Raw
    content_items: list[DynamicText | DynamicImage | DynamicAudio]
    success: bool
    namespace: str | None = None
    duration: Duration | None = None
    turn_id: str | None = None

    def item(self) -> DynamicToolCall:
        """The call of the client's tool."""
        return DynamicToolCall(
            id=self.call_id,
            tool=self.tool,
            arguments=self.arguments,
            status="completed" if self.success else "failed",
            namespace=self.namespace,
            content_items=self.content_items,
            success=self.success,
            duration=self.duration,
        )

    def shown(self) -> Json:
        """The call as the server shows it."""
        return self.item().shown()


class CollabSpawnEnd(msgspec.Struct):
    """``collab_agent_spawn_end``."""

    call_id: str
    sender_thread_id: ThreadId
    prompt: str
    status: AgentState
    new_thread_id: ThreadId | None = None
    model: str | None = None
    reasoning_effort: Effort | None = None

    def shown(self) -> Json:
        """The agent that was started; failed where there is none."""
        agent = self.new_thread_id
        return CollabAgentToolCall(
            id=self.call_id,
            tool="spawn_agent",
            status="failed" if agent is None or went_wrong(self.status) else "completed",
            sender_thread_id=self.sender_thread_id,
            receiver_thread_ids=[] if agent is None else [agent],
            prompt=self.prompt,
            model=self.model,
            reasoning_effort=self.reasoning_effort,
            agents_states={} if agent is None else {agent: self.status},
        ).shown()


class CollabReceiverEnd(msgspec.Struct):
    """``collab_agent_interaction_end``, ``collab_close_end`` and ``collab_resume_end``."""

    type: Literal["collab_agent_interaction_end", "collab_close_end", "collab_resume_end"]
    call_id: str
    sender_thread_id: ThreadId
    receiver_thread_id: ThreadId
    status: AgentState
    prompt: str | None = None

    def shown(self) -> Json:
        """The agent that was addressed, ended or resumed."""
        return CollabAgentToolCall(
            id=self.call_id,
            tool=_RECEIVER_TOOLS[self.type],
            status="failed" if went_wrong(self.status) else "completed",
            sender_thread_id=self.sender_thread_id,
            receiver_thread_ids=[self.receiver_thread_id],
            prompt=self.prompt,
            agents_states={self.receiver_thread_id: self.status},
        ).shown()


class CollabWaitingEnd(msgspec.Struct):
    """``collab_waiting_end``."""

    call_id: str
    sender_thread_id: ThreadId
    statuses: dict[ThreadId, AgentState]

    def shown(self) -> Json:
        """The agents that were waited for."""
        return CollabAgentToolCall(
            id=self.call_id,
            tool="wait",
            status="failed" if any(map(went_wrong, self.statuses.values())) else "completed",
            sender_thread_id=self.sender_thread_id,
            receiver_thread_ids=sorted(self.statuses),
            agents_states=dict(self.statuses),
        ).shown()


_RECEIVER_TOOLS: Final[dict[str, Literal["send_input", "close_agent", "resume_agent"]]] = {
    "collab_agent_interaction_end": "send_input",
    "collab_close_end": "close_agent",
    "collab_resume_end": "resume_agent",
}
_DECODERS: Final[dict[str, Callable[[msgspec.Raw], Any]]] = {
    "exec_command_end": msgspec.json.Decoder(ExecCommandEnd).decode,
    "view_image_tool_call": msgspec.json.Decoder(ViewImageToolCall).decode,
    "dynamic_tool_call_response": msgspec.json.Decoder(DynamicToolCallResponse).decode,
    "collab_agent_spawn_end": msgspec.json.Decoder(CollabSpawnEnd).decode,
    "collab_agent_interaction_end": msgspec.json.Decoder(CollabReceiverEnd).decode,
    "collab_waiting_end": msgspec.json.Decoder(CollabWaitingEnd).decode,
    "collab_close_end": msgspec.json.Decoder(CollabReceiverEnd).decode,
    "collab_resume_end": msgspec.json.Decoder(CollabReceiverEnd).decode,
}


def call_event(subtype: str, payload: msgspec.Raw) -> CallEvent | None:
    """The event, where it is one that says how a call ended.

    Raises:
        msgspec.MsgspecError: It does not fit its schema.
    """
    decode = _DECODERS.get(subtype)
    if decode is None:
        return None
    event: CallEvent = decode(payload)
    return event
