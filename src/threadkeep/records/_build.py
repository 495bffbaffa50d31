"""Payloads as Codex writes them: keys in its order (``storage.md`` 2.2 to 2.4), absent parts left out.

A builder makes the payload of one record; the envelope around it is `encode_record`'s. Times are given, never taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "agent_item",
    "agent_message_event",
    "assistant_message",
    "compacted",
    "context_compaction_item",
    "input_text",
    "item_completed",
    "message",
    "no_token_count",
    "reasoning_item",
    "said_item",
    "session_meta",
    "task_complete",
    "task_started",
    "thread_settings_applied",
    "token_count",
    "token_usage_record",
    "tool_call_item",
    "turn_aborted",
    "turn_context",
    "user_item",
    "user_message",
    "user_message_event",
]

Json = dict[str, Any]


def _without_none(**fields: Any) -> Json:
    return {key: value for key, value in fields.items() if value is not None}


def session_meta(
    *,
    thread_id: str,
    timestamp: str,
    cwd: str,
    originator: str,
    cli_version: str,
    source: Any,
    model_provider: str | None,
    base_instructions: Any,
    history_mode: str,
    session_id: str | None = None,
    forked_from_id: str | None = None,
    forked_from_ordinal_exclusive: int | None = None,
    thread_source: str | None = None,
    runtime_workspace_roots: Sequence[str] | None = None,
    dynamic_tools: Any = None,
    history_base: Any = None,
    window_id: str | None = None,
    git: Mapping[str, str] | None = None,
    state_instructions: bool = True,
) -> Json:
    """The first record of a rollout (``storage.md`` 2.2).

    ``state_instructions=False`` leaves ``base_instructions`` out, for a child whose readers inherit them.
    """
    payload = _without_none(
        session_id=session_id or thread_id,
        id=thread_id,
        forked_from_id=forked_from_id,
        forked_from_ordinal_exclusive=forked_from_ordinal_exclusive,
        timestamp=timestamp,
        cwd=cwd,
        runtime_workspace_roots=runtime_workspace_roots,
        originator=originator,
        cli_version=cli_version,
        source=source,
        thread_source=thread_source,
    )
    payload["model_provider"] = model_provider
    if state_instructions:
        payload["base_instructions"] = base_instructions
    if dynamic_tools is not None:
        payload["dynamic_tools"] = dynamic_tools
    payload["history_mode"] = history_mode
    if history_base is not None:
        payload["history_base"] = history_base
    if window_id is not None:
        payload["context_window"] = {"window_id": window_id}
    if git:
        payload["git"] = dict(git)
    return payload


def task_started(turn_id: str, *, started_at: int, model_context_window: int | None) -> Json:
    """A turn begins; ``started_at`` in Unix seconds."""
    return {
        "type": "task_started",
        "turn_id": turn_id,
        "root_turn_id": turn_id,
        "started_at": started_at,
        "model_context_window": model_context_window,
        "collaboration_mode_kind": "default",
    }


def task_complete(
    turn_id: str,
    *,
    last_agent_message: str | None,
    started_at: int,
    completed_at: int,
    duration_ms: int,
    error: Any = None,
) -> Json:
    """A turn ended; with ``error`` it failed."""
    payload: Json = {
        "type": "task_complete",
        "root_turn_id": turn_id,
        "turn_id": turn_id,
        "last_agent_message": last_agent_message,
    }
    if error is not None:
        payload["error"] = error
    payload |= {"started_at": started_at, "completed_at": completed_at, "duration_ms": duration_ms}
    return payload


def turn_aborted(
    turn_id: str,
    *,
    started_at: int | None,
    completed_at: int | None = None,
    duration_ms: int | None = None,
    reason: str = "interrupted",
) -> Json:
    """A turn was interrupted; the times after ``started_at`` are left out in a fork's own marker (``storage.md`` 4.4).

    ``reason`` is ``replaced`` where another turn took its place (0.169.0 observed).
    """
    return _without_none(
        type="turn_aborted",
        root_turn_id=turn_id,
        turn_id=turn_id,
        reason=reason,
        started_at=started_at,
        completed_at=completed_at,
        duration_ms=duration_ms,
    )


def turn_context(
    turn_id: str | None,
    *,
    cwd: str,
    model: str,
    approval_policy: Any,
    permission_profile: Any,
    effort: Any = None,
    sandbox_policy: Any = None,
) -> Json:
    """The settings that a turn runs with; its rights in both forms, since old readers know the policy alone."""
    payload = _without_none(
        turn_id=turn_id,
        root_turn_id=turn_id,
        cwd=cwd,
        approval_policy=approval_policy,
        permission_profile=permission_profile,
        model=model,
        effort=effort,
    )
    payload["summary"] = "none"
    if sandbox_policy is None:
        open_to_all = isinstance(permission_profile, dict) and permission_profile.get("type") == "disabled"
        sandbox_policy = {"type": "danger-full-access" if open_to_all else "read-only"}
    payload["sandbox_policy"] = sandbox_policy
    return payload


def thread_settings_applied(thread_id: str, settings: Mapping[str, Any]) -> Json:
    """The thread's settings, stated anew."""
    return {"type": "thread_settings_applied", "thread_id": thread_id, "thread_settings": dict(settings)}


def input_text(text: str) -> Json:
    """A text in a message to the model."""
    return {"type": "input_text", "text": text}


def message(role: str, content: Sequence[Json], *, kinds: Sequence[str], item_id: str, turn_id: str) -> Json:
    """A message to the model; ``kinds`` says of each part of ``content`` where it comes from."""
    return {
        "type": "message",
        "id": item_id,
        "role": role,
        "content": list(content),
        "internal_chat_message_metadata_passthrough": {"turn_id": turn_id, "content_item_kinds": list(kinds)},
    }


def user_message(text: str, *, item_id: str, turn_id: str) -> Json:
    """A user's message as the model sees it."""
    return message("user", [input_text(text)], kinds=["user.text"], item_id=item_id, turn_id=turn_id)


def assistant_message(text: str, *, item_id: str, turn_id: str) -> Json:
    """The assistant's message as the model sees it."""
    return {
        "type": "message",
        "id": item_id,
        "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
        "internal_chat_message_metadata_passthrough": {"turn_id": turn_id, "content_item_kinds": ["unknown"]},
    }


def user_item(text: str, *, item_id: str) -> Json:
    """A user's message as a turn item."""
    return said_item([{"type": "text", "text": text, "text_elements": []}], item_id=item_id)


def said_item(content: Sequence[Json], *, item_id: str, client_id: str | None = None) -> Json:
    """What a user said as a turn item, texts and all else; ``client_id`` is the client's own id of it."""
    return {**_without_none(type="UserMessage", id=item_id, client_id=client_id), "content": list(content)}


def reasoning_item(summary: Sequence[str], content: Sequence[str], *, item_id: str) -> Json:
    """What the model thought as a turn item."""
    return {"type": "Reasoning", "id": item_id, "summary_text": list(summary), "raw_content": list(content)}


def tool_call_item(
    *,
    item_id: str,
    tool: str,
    namespace: str | None,
    arguments: Any,
    content_items: Sequence[Json],
    success: bool,
    error: str | None,
    duration_ms: int,
) -> Json:
    """The call of a client's tool that was answered, or was not, as a turn item."""
    return {
        **_without_none(type="DynamicToolCall", id=item_id, namespace=namespace, tool=tool),
        "arguments": arguments,
        "status": "completed" if success else "failed",
        "content_items": list(content_items),
        "success": success,
        **_without_none(error=error),
        "duration": {"secs": duration_ms // 1000, "nanos": duration_ms % 1000 * 1_000_000},
    }


def context_compaction_item(item_id: str) -> Json:
    """That the context was compacted, as a turn item."""
    return {"type": "ContextCompaction", "id": item_id}


def agent_item(text: str, *, item_id: str) -> Json:
    """The assistant's message as a turn item."""
    return {"type": "AgentMessage", "id": item_id, "content": [{"type": "Text", "text": text}]}


def item_completed(item: Any, *, thread_id: str, turn_id: str, started_at_ms: int, completed_at_ms: int) -> Json:
    """An item of a turn is complete."""
    return {
        "type": "item_completed",
        "thread_id": thread_id,
        "turn_id": turn_id,
        "item": item,
        "started_at_ms": started_at_ms,
        "completed_at_ms": completed_at_ms,
    }


def user_message_event(text: str, *, text_elements: Sequence[Json] = ()) -> Json:
    """A user's message in a legacy rollout."""
    return {
        "type": "user_message",
        "message": text,
        "images": [],
        "local_images": [],
        "audio": [],
        "local_audio": [],
        "text_elements": list(text_elements),
    }


def agent_message_event(text: str) -> Json:
    """The assistant's message in a legacy rollout."""
    return {"type": "agent_message", "message": text, "phase": None, "memory_citation": None}


def no_token_count() -> Json:
    """Written where a usage is due before any is known."""
    return {"type": "token_count", "info": None, "rate_limits": None}


def token_count(total: Mapping[str, int], last: Mapping[str, int], *, model_context_window: int | None) -> Json:
    """The usage after a model call."""
    return {
        "type": "token_count",
        "info": {
            "total_token_usage": dict(total),
            "last_token_usage": dict(last),
            "model_context_window": model_context_window,
        },
        "rate_limits": None,
    }


def token_usage_record(
    *,
    thread_id: str,
    turn_id: str,
    response_id: str,
    usage: Mapping[str, int],
    turn_usage: Mapping[str, int],
    thread_usage: Mapping[str, int],
) -> Json:
    """The usage of one model response."""
    return {
        "thread_id": thread_id,
        "turn_id": turn_id,
        "session_id": thread_id,
        "root_turn_id": turn_id,
        "response_id": response_id,
        "usage": dict(usage),
        "turn_token_usage": dict(turn_usage),
        "thread_token_usage": dict(thread_usage),
    }


def compacted(
    message: str,
    replacement_history: Sequence[Any],
    *,
    replacement_history_metadata: Sequence[Any] | None = None,
    window_number: int | None = None,
    first_window_id: str | None = None,
    previous_window_id: str | None = None,
    window_id: str | None = None,
    response_id: str | None = None,
    usage_record: Any = None,
    resume_metadata: Any = None,
) -> Json:
    """A checkpoint: everything the model needs of what came before it (``storage.md`` 2.3)."""
    payload: Json = {"message": message, "replacement_history": list(replacement_history)}
    if replacement_history_metadata is not None:
        payload["replacement_history_metadata"] = list(replacement_history_metadata)
    payload |= _without_none(
        window_number=window_number,
        first_window_id=first_window_id,
        previous_window_id=previous_window_id,
        window_id=window_id,
    )
    payload |= {"compaction_response_id": response_id, "latest_token_usage_record": usage_record}
    if resume_metadata is not None:
        payload["resume_metadata"] = resume_metadata
    return payload
