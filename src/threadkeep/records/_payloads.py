"""Typed views of the payloads that semantics depend on.

A view names only the fields that threadkeep reads; unknown fields are tolerated and stay in the record's bytes.
A required field that is missing or of another type means that the record does not count (``storage.md`` 2.1).
Optional parts that only pass through are `msgspec.Raw`, empty where absent.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from threadkeep.records._record import EMPTY_RAW

__all__ = [
    "Boundary",
    "Compacted",
    "GitInfo",
    "HistoryBase",
    "InterAgentCommunication",
    "ItemCompleted",
    "ItemCompletedHead",
    "ResumeMetadata",
    "RolledBack",
    "SessionMeta",
    "TaskComplete",
    "TaskStarted",
    "ThreadSettings",
    "ThreadSettingsApplied",
    "TokenCount",
    "TokenUsage",
    "TokenUsageInfo",
    "TurnAborted",
    "TurnContext",
    "WindowId",
    "WorldState",
    "present",
]


Unsigned = Annotated[int, msgspec.Meta(ge=0)]

Signed = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""64 bits: with more of them the record does not fit its schema, and does not count."""
Unsigned32 = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
AgentPath = Annotated[str, msgspec.Meta(pattern=r"^(/morpheus|/root(/(?!root(/|$))[a-z0-9_]+)*)$")]
AbsolutePath = Annotated[str, msgspec.Meta(pattern="^/")]


def present(raw: msgspec.Raw) -> bool:
    """Whether an optional raw part is there and not ``null``."""
    return len(raw) > 0 and (len(raw) != 4 or bytes(raw) != b"null")


class Boundary(msgspec.Struct, rename={"after_turn": "turn"}, omit_defaults=True):
    """threadkeep's own key in a history base: what pins the inherited bytes.

    Attributes:
        end: Decoded byte offset in the base rollout where inherited history ends.
        digest: First 32 hex digits of the SHA-256 of the base's bytes just before ``end`` (at most
            `threadkeep.lineage.DIGEST_WINDOW` of them).
        mode: History mode of the base rollout when the boundary was made.
        after_turn: Id of the newest turn before the boundary; None for a base without turns.
    """

    end: int
    digest: str
    mode: str
    after_turn: str | None = None


class HistoryBase(msgspec.Struct, omit_defaults=True):
    """Where inherited history ends (``storage.md`` 4.2): ``thread_id`` is really a rollout id."""

    thread_id: str
    end_ordinal_exclusive: int
    end_byte_offset: int
    threadkeep: Boundary | None = None


class GitInfo(msgspec.Struct):
    """The git facts of a thread, as far as they were recorded."""

    commit_hash: str | None = None
    branch: str | None = None
    repository_url: str | None = None


class WindowId(msgspec.Struct):
    """The initial context window."""

    window_id: str | None = None


class SessionMeta(msgspec.Struct):
    """The first record of a rollout (``storage.md`` 2.2), as far as threadkeep reads it."""

    id: str
    timestamp: str = ""
    session_id: str | None = None
    forked_from_id: str | None = None
    forked_from_ordinal_exclusive: int | None = None
    attached_thread: bool = False
    parent_thread_id: str | None = None
    cwd: str | None = None
    runtime_workspace_roots: msgspec.Raw = EMPTY_RAW
    originator: str | None = None
    cli_version: str | None = None
    source: Any = None
    thread_source: Any = None
    agent_nickname: str | None = None
    agent_role: str | None = None
    agent_type: str | None = None
    agent_path: str | None = None
    model_provider: str | None = None
    base_instructions: msgspec.Raw = EMPTY_RAW
    instructions: msgspec.Raw = EMPTY_RAW
    dynamic_tools: msgspec.Raw = EMPTY_RAW
    memory_mode: str | None = None
    history_mode: str = "legacy"
    history_base: HistoryBase | None = None
    subagent_history_start_ordinal: int | None = None
    multi_agent_version: str | None = None
    context_window: WindowId | None = None
    git: GitInfo | None = None


class TurnAttribution(msgspec.Struct):
    """Who asked for a turn."""

    turn_id: str


class TaskStarted(msgspec.Struct):
    """A turn began."""

    turn_id: str
    root_turn_id: str | None = None
    trace_id: str | None = None
    started_at: Signed | None = None
    model_context_window: Signed | None = None
    collaboration_mode_kind: str = "default"
    turn_attribution: TurnAttribution | None = None


class TaskComplete(msgspec.Struct):
    """A turn ended by itself, well or with an error."""

    turn_id: str
    root_turn_id: str | None = None
    last_agent_message: str | None = None
    time_to_first_token_ms: Signed | None = None
    error: msgspec.Raw = EMPTY_RAW
    started_at: Signed | None = None
    completed_at: Signed | None = None
    duration_ms: Signed | None = None


class TurnAborted(msgspec.Struct):
    """A turn was interrupted."""

    reason: str
    turn_id: str | None = None
    root_turn_id: str | None = None
    error: msgspec.Raw = EMPTY_RAW
    started_at: Signed | None = None
    completed_at: Signed | None = None
    duration_ms: Signed | None = None


class RolledBack(msgspec.Struct):
    """The newest ``num_turns`` turns were taken back."""

    num_turns: Unsigned32


class ItemCompletedHead(msgspec.Struct):
    """An item's turn and nothing else: enough to put the record where it belongs."""

    turn_id: str


class ItemCompleted(msgspec.Struct):
    """An item of a turn is complete; ``item`` is kept as bytes until the item is shown."""

    turn_id: str
    item: msgspec.Raw
    started_at_ms: Signed | None = None
    completed_at_ms: Signed | None = None


class _Kinded(msgspec.Struct):
    type: str


class _CollaborationSettings(msgspec.Struct):
    model: str
    reasoning_effort: str | None = None
    developer_instructions: str | None = None


class _Collaboration(msgspec.Struct):
    mode: str
    settings: _CollaborationSettings


class _Rules(msgspec.Struct):
    sandbox_approval: bool
    rules: bool
    mcp_elicitations: bool


class _Granular(msgspec.Struct):
    granular: _Rules


class TurnContext(msgspec.Struct):
    """The settings that a turn ran with."""

    model: str
    cwd: AbsolutePath
    approval_policy: str | _Granular
    turn_id: str | None = None
    root_turn_id: str | None = None
    comp_hash: str | None = None
    cyber_access_program: str | None = None
    realtime_active: bool | None = None
    effort: str | None = None
    summary: str | None = None
    permission_profile: _Kinded | None = None
    sandbox_policy: _Kinded | None = None
    collaboration_mode: _Collaboration | None = None
    multi_agent_version: str | None = None
    approvals_reviewer: str | None = None
    disabled_plugin_ids: list[str] | None = None

    @property
    def counts(self) -> bool:
        """Whether the record counts: it states the turn's rights, in one of the forms that were used for them."""
        return self.permission_profile is not None or self.sandbox_policy is not None


class ThreadSettings(msgspec.Struct):
    """The settings in force from here on, as far as threadkeep reads them."""

    model: str | None = None
    model_provider_id: str | None = None
    cwd: str | None = None
    effort: Any = None
    reasoning_effort: Any = None


class ThreadSettingsApplied(msgspec.Struct):
    """The thread's settings changed, or were stated anew."""

    thread_settings: ThreadSettings
    thread_id: str | None = None


class TokenUsage(msgspec.Struct, kw_only=True):
    """Tokens, as the model provider counted them."""

    input_tokens: Signed
    cached_input_tokens: Signed
    cache_write_input_tokens: Signed = 0
    output_tokens: Signed
    reasoning_output_tokens: Signed
    total_tokens: Signed


class TokenUsageInfo(msgspec.Struct):
    """Token totals of the thread and of the newest model call."""

    total_token_usage: TokenUsage
    last_token_usage: TokenUsage
    model_context_window: Signed | None = None


class TokenCount(msgspec.Struct):
    """The usage after a model call; ``info`` is None in records that carry rate limits alone."""

    info: TokenUsageInfo | None = None


class InterAgentCommunication(msgspec.Struct):
    """What one agent told another."""

    author: AgentPath
    recipient: AgentPath
    content: str
    trigger_turn: bool
    other_recipients: list[AgentPath] = []
    id: str | None = None
    encrypted_content: str | None = None
    internal_chat_message_metadata_passthrough: dict[str, Any] | None = None


class WorldState(msgspec.Struct):
    """What the model was last told about its surroundings: a snapshot, or an RFC 7396 merge patch to one."""

    full: bool
    state: msgspec.Raw


class PreviousSettings(msgspec.Struct):
    """The settings of the last turn of a person before a checkpoint."""

    model: str
    comp_hash: str | None = None
    realtime_active: bool | None = None
    cyber_access_program: str | None = None


class ResumeMetadata(msgspec.Struct):
    """What a checkpoint carries over from before it, as far as replay reads it."""

    last_started_turn_id: str | None = None
    previous_turn_settings: PreviousSettings | None = None
    multi_agent_version: str | None = None
    rejected_audio_file_ids: list[str] = []
    turn_attribution: TurnAttribution | None = None
    dynamic_tools: dict[str, Any] | None = None


class _UsageRecord(msgspec.Struct):
    thread_id: str
    session_id: str
    turn_id: str
    root_turn_id: str
    response_id: str
    usage: TokenUsage
    turn_token_usage: TokenUsage
    thread_token_usage: TokenUsage


class Compacted(msgspec.Struct):
    """A compaction; a checkpoint where it has a ``replacement_history`` (``storage.md`` 2.3)."""

    message: str
    replacement_history: list[msgspec.Raw] | None = None
    replacement_history_metadata: list[msgspec.Raw] | None = None
    window_number: Unsigned | None = None
    first_window_id: str | None = None
    previous_window_id: str | None = None
    window_id: str | Unsigned | None = None
    compaction_response_id: str | None = None
    latest_token_usage_record: _UsageRecord | None = None
    resume_metadata: ResumeMetadata | None = None
