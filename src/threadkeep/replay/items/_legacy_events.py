"""The events of legacy rollouts that show an item, each as what it says of that item.

Each event is a class whose fields are the members that 0.169.0 reads, and whose ``shown`` gives the item; the shapes
that newer records share with them come from the modules of paginated items.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec

from threadkeep.records import EMPTY_RAW
from threadkeep.replay.items._agents import SubAgentActivity
from threadkeep.replay.items._commands import Added, Deleted, FileChange, Updated
from threadkeep.replay.items._images import GenerationFailure, ImageGenerationExtension, InputImage
from threadkeep.replay.items._messages import (
    AgentMessage,
    AgentText,
    MemoryCitation,
    Moderation,
    ModerationDisplay,
    Phase,
    Question,
)
from threadkeep.replay.items._reviews import (
    BaseBranch,
    Commit,
    Custom,
    EnteredReviewMode,
    ExitedReviewMode,
    ReviewOutput,
    UncommittedChanges,
)
from threadkeep.replay.items._schema import I64, AgentPath, Duration, Effort, Json, ThreadId
from threadkeep.replay.items._tools import McpAppUi, McpError, McpResult, McpToolCall, WebSearch

__all__ = [
    "AgentMessageEvent",
    "AgentReasoning",
    "EnteredReview",
    "ExitedReview",
    "ImageGenerationEnd",
    "ItemCompletedEvent",
    "McpToolCallEnd",
    "PatchApplyEnd",
    "SubAgentActivityEvent",
    "WebSearchEnd",
]

_NULL: Final = msgspec.Raw(b"null")
_REQUESTED: Final = "Review requested."

Activity: TypeAlias = Literal["started", "interacted", "interrupted", "completed"]


class GivenModeration(msgspec.Struct):
    """The moderation of a message, which gives the message its id."""

    item_id: str
    moderated: bool
    display: ModerationDisplay | None = None


class AgentMessageEvent(msgspec.Struct):
    """``agent_message``."""

    message: str
    phase: Phase | None = None
    memory_citation: MemoryCitation | None = None
    delivery: Literal["async"] | None = None
    questions: list[Question] | None = None
    moderation: GivenModeration | None = None

    def item(self, own_id: str) -> AgentMessage:
        """The message, with the id that its moderation gives it, if any."""
        given = self.moderation
        return AgentMessage(
            id=own_id if given is None else given.item_id,
            content=[AgentText("Text", self.message)],
            phase=self.phase,
            memory_citation=self.memory_citation,
            moderation=None if given is None else Moderation(given.moderated, given.display),
            delivery=self.delivery,
            questions=self.questions,
        )

    def shown(self, own_id: str) -> Json:
        """The message as the server shows it."""
        return self.item(own_id).shown()


class AgentReasoning(msgspec.Struct):
    """``agent_reasoning`` and ``agent_reasoning_raw_content``."""

    text: str


class EnteredReview(msgspec.Struct):
    """``entered_review_mode``."""

    target: UncommittedChanges | BaseBranch | Commit | Custom
    user_facing_hint: str | None = None
    item_id: str | None = None
    turn_id: str | None = None

    def item(self, own_id: str) -> EnteredReviewMode:
        """The beginning of the review: the hint, whatever is reviewed."""
        hint = _REQUESTED if self.user_facing_hint is None else self.user_facing_hint
        return EnteredReviewMode(own_id if self.item_id is None else self.item_id, self.target, hint)

    def shown(self, own_id: str) -> Json:
        """The beginning of the review as the server shows it."""
        return self.item(own_id).shown()


class ExitedReview(msgspec.Struct):
    """``exited_review_mode``."""

    review_output: ReviewOutput | None = None
    item_id: str | None = None
    turn_id: str | None = None

    def item(self, own_id: str) -> ExitedReviewMode:
        """The end of the review: what was found."""
        return ExitedReviewMode(own_id if self.item_id is None else self.item_id, self.review_output)

    def shown(self, own_id: str) -> Json:
        """The end of the review as the server shows it."""
        return self.item(own_id).shown()


class PatchApplyEnd(msgspec.Struct):
    """``patch_apply_end``. Versions that wrote no status had their patches lost by it."""

    call_id: str
    stdout: str
    stderr: str
    success: bool
    status: Literal["completed", "failed", "declined"]
    turn_id: str = ""
    changes: dict[str, Added | Deleted | Updated] = {}

    def item(self) -> FileChange:
        """The files that changed, or were to change."""
        return FileChange(self.call_id, self.changes, self.status, self.stdout or None, self.stderr or None)

    def shown(self) -> Json:
        """The files as the server shows them."""
        return self.item().shown()


class Invocation(msgspec.Struct):
    """Which tool of which MCP server was called."""

    server: str
    tool: str
    arguments: msgspec.Raw = _NULL


class McpOutcome(msgspec.Struct, rename={"answer": "Ok", "failure": "Err"}, forbid_unknown_fields=True):
    """What came of the call: one of the two."""

    answer: McpResult | msgspec.UnsetType = msgspec.UNSET
    failure: str | msgspec.UnsetType = msgspec.UNSET


class McpToolCallEnd(msgspec.Struct):
    """``mcp_tool_call_end``."""

    call_id: str
    invocation: Invocation
    duration: Duration
    result: McpOutcome
    turn_id: str = ""
    connector_id: str | None = None
    link_id: str | None = None
    app_name: str | None = None
    action_name: str | None = None
    mcp_app_resource_uri: str | None = None
    mcp_app_ui: McpAppUi | None = None
    plugin_id: str | None = None
    read_only_hint: bool | None = None

    def item(self) -> McpToolCall | None:
        """The call: failed where there is no answer, or one that says so. None without exactly one outcome."""
        answer, failure = self.result.answer, self.result.failure
        if (answer is msgspec.UNSET) is (failure is msgspec.UNSET):
            return None
        failed = answer is msgspec.UNSET or answer.is_error
        return McpToolCall(
            id=self.call_id,
            server=self.invocation.server,
            tool=self.invocation.tool,
            status="failed" if failed else "completed",
            arguments=self.invocation.arguments,
            connector_id=self.connector_id,
            link_id=self.link_id,
            mcp_app_resource_uri=self.mcp_app_resource_uri,
            app_name=self.app_name,
            action_name=self.action_name,
            mcp_app_ui=self.mcp_app_ui,
            plugin_id=self.plugin_id,
            read_only_hint=self.read_only_hint,
            result=None if answer is msgspec.UNSET else answer,
            error=None if failure is msgspec.UNSET else McpError(failure),
            duration=self.duration,
        )

    def shown(self) -> Json | None:
        """The call as the server shows it."""
        item = self.item()
        return None if item is None else item.shown()


class WebSearchEnd(msgspec.Struct):
    """``web_search_end``."""

    call_id: str
    query: str
    action: msgspec.Raw
    results: msgspec.Raw = EMPTY_RAW

    def item(self) -> WebSearch:
        """The search."""
        return WebSearch(self.call_id, self.query, self.action, self.results)

    def shown(self) -> Json:
        """The search as the server shows it."""
        return self.item().shown()


class ImageGenerationEnd(msgspec.Struct):
    """``image_generation_end``."""

    call_id: str
    status: str
    result: Any = None
    file_id: Any = msgspec.field(name="fileId", default=None)
    revised_prompt: str | None = None
    transparent_background: bool | None = None
    failure: GenerationFailure | None = None
    saved_path: str | None = None
    generation_id: str | None = None
    input_images: list[InputImage] = []

    def item(self) -> ImageGenerationExtension:
        """The image: a file by its id, else the image itself."""
        return ImageGenerationExtension(
            id=self.call_id,
            status=self.status,
            revised_prompt=self.revised_prompt,
            file_id=self.file_id,
            result=self.result,
            transparent_background=self.transparent_background,
            failure=self.failure,
            saved_path=self.saved_path,
            input_images=self.input_images,
            generation_id=self.generation_id,
        )

    def shown(self) -> Json:
        """The image as the server shows it."""
        return self.item().shown()


class SubAgentActivityEvent(msgspec.Struct):
    """``sub_agent_activity``."""

    event_id: str
    agent_thread_id: ThreadId
    agent_path: AgentPath
    kind: Activity
    occurred_at_ms: I64 = 0
    model: str | None = None
    reasoning_effort: Effort | None = None

    def item(self) -> SubAgentActivity:
        """What the agent did."""
        return SubAgentActivity(
            id=self.event_id,
            kind=self.kind,
            agent_thread_id=self.agent_thread_id,
            agent_path=self.agent_path,
            model=self.model,
            reasoning_effort=self.reasoning_effort,
        )

    def shown(self) -> Json:
        """What the agent did as the server shows it."""
        return self.item().shown()


class ItemCompletedEvent(msgspec.Struct):
    """``item_completed``, its item as bytes."""

    thread_id: ThreadId
    turn_id: str
    item: msgspec.Raw
    started_at_ms: I64 | None = None
    completed_at_ms: I64 = 0
    content_token_count: I64 | None = None
