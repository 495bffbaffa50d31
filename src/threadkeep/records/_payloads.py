"""Typed views of the payloads that semantics depend on.

A view names only the fields that threadkeep reads; unknown fields are tolerated and stay in the record's bytes.
A required field that is missing or of another type means that the record does not count (``storage.md`` 2.1).
Optional parts that only pass through are `msgspec.Raw`, empty where absent.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from threadkeep.records._record import EMPTY_RAW

__all__ = [
    "Boundary",
    "Compacted",
    "GitInfo",
    "HistoryBase",
    "ItemCompleted",
    "ItemCompletedHead",
    "Reanchored",
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


def present(raw: msgspec.Raw) -> bool:
    """Whether an optional raw part is there and not ``null``."""
    return len(raw) > 0 and bytes(raw) != b"null"


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


class TaskStarted(msgspec.Struct):
    """A turn began."""

    turn_id: str
    root_turn_id: str | None = None
    started_at: int | None = None
    model_context_window: int | None = None


class TaskComplete(msgspec.Struct):
    """A turn ended by itself, well or with an error."""

    turn_id: str
    root_turn_id: str | None = None
    error: msgspec.Raw = EMPTY_RAW
    started_at: int | None = None
    completed_at: int | None = None
    duration_ms: int | None = None


class TurnAborted(msgspec.Struct):
    """A turn was interrupted."""

    reason: str = ""
    turn_id: str | None = None
    root_turn_id: str | None = None
    started_at: int | None = None
    completed_at: int | None = None
    duration_ms: int | None = None


class RolledBack(msgspec.Struct):
    """The newest ``num_turns`` turns were taken back."""

    num_turns: int


class ItemCompletedHead(msgspec.Struct):
    """An item's turn and nothing else: enough to put the record where it belongs."""

    turn_id: str


class ItemCompleted(msgspec.Struct):
    """An item of a turn is complete; ``item`` is kept as bytes until the item is shown."""

    turn_id: str
    item: msgspec.Raw
    started_at_ms: int | None = None
    completed_at_ms: int | None = None


class TurnContext(msgspec.Struct):
    """The settings that a turn ran with."""

    model: str
    cwd: str
    turn_id: str | None = None
    comp_hash: Any = None
    cyber_access_program: Any = None
    realtime_active: bool | None = None
    effort: Any = None
    approval_policy: Any = None
    permission_profile: Any = None
    sandbox_policy: Any = None


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


class TokenUsage(msgspec.Struct):
    """Tokens, as the model provider counted them."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_output_tokens: int = 0
    total_tokens: int = 0


class TokenUsageInfo(msgspec.Struct):
    """Token totals of the thread and of the newest model call."""

    total_token_usage: TokenUsage
    last_token_usage: TokenUsage
    model_context_window: int | None = None


class TokenCount(msgspec.Struct):
    """The usage after a model call; ``info`` is None in records that carry rate limits alone."""

    info: TokenUsageInfo | None = None


class WorldState(msgspec.Struct):
    """What the model was last told about its surroundings: a snapshot, or an RFC 7396 merge patch to one."""

    full: bool
    state: msgspec.Raw


class ResumeMetadata(msgspec.Struct):
    """What a checkpoint carries over from before it, as far as replay reads it."""

    last_started_turn_id: str | None = None
    previous_turn_settings: msgspec.Raw = EMPTY_RAW


class Compacted(msgspec.Struct):
    """A compaction; a checkpoint where it has a ``replacement_history`` (``storage.md`` 2.3)."""

    message: str
    replacement_history: list[msgspec.Raw] | None = None
    replacement_history_metadata: list[msgspec.Raw] | None = None
    window_number: int | None = None
    first_window_id: str | None = None
    previous_window_id: str | None = None
    window_id: str | int | None = None
    latest_token_usage_record: msgspec.Raw = EMPTY_RAW
    resume_metadata: msgspec.Raw = EMPTY_RAW


class Reanchored(msgspec.Struct):
    """A boundary that ``doctor`` put in the place of the one in a child's first record."""

    base: str
    boundary: Boundary


UNSET_LINE: Final = -1
"""Stands for a line number that was not counted."""
