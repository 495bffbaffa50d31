"""The turns that a legacy rollout shows, read forwards: what 0.169.0 answers, in plain lists and dicts.

:func:`legacy_turns` is what ``thread/turns/list`` (``itemsView: "full"``, oldest first), ``thread/read includeTurns``
and ``thread/resume`` answer for a thread that is not running; the three are the same. :func:`summary_view` and
:func:`not_loaded_view` make the other two views of it.

Every rule here was observed on 0.169.0 (storage.md 5.3 has the outline); ``tests/fixtures/legacy`` holds the answers of
the binary that this is compared with. The order of things:

1. A line that does not decode is not there: it shows nothing and is not counted. The same goes for a record that
   decodes but that a legacy rollout does not keep (storage.md 2.5): an old ``exec_command_end`` or ``error`` event
   shows nothing. :func:`kept` decides both.
2. The kept records are numbered from 0, the first ``session_meta`` being number 0 as a rule. A turn that nothing
   opened gets the id ``rollout-N`` of the record that made it.
3. Messages, reasoning, compactions and reviews get ids ``item-N`` from a counter; calls bring their own ids.
"""

from __future__ import annotations

import re
import uuid
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final
from xml.parsers import expat

from tests.oracle.context import is_contextual_text, is_summary_text

if TYPE_CHECKING:
    from collections.abc import Sequence

JsonObject = dict[str, Any]
"""One JSON object."""

INVENTED_ID: Final = "<invented>"
"""The id of a hook prompt whose message has none: the server makes up another UUID at every read."""

NO_REVIEW: Final = "SCRUBBED-REVIEW"
"""Stands for the sentence that the server shows for a review that has nothing to say."""

# --------------------------------------------------------------------------------------------------------------------
# Shapes: which payloads decode. A field is "KIND!" (required), "KIND?" (may be missing or null) or "KIND=" (may be
# missing, must not be null). A kind is one of KINDS below, a name of SHAPES, a tagged union of UNIONS, or "list:KIND".
# Unknown fields are ignored everywhere.

U16: Final = 2**16 - 1
U32: Final = 2**32 - 1
I64: Final = 2**63 - 1
U64: Final = 2**64 - 1

SHAPES: Final[dict[str, dict[str, str]]] = {
    # records
    "session_meta": {
        "id": "uuid!", "session_id": "uuid=", "timestamp": "str!", "cwd": "str!", "originator": "str!",
        "cli_version": "str!", "model_provider": "str?", "history_mode": "history_mode=", "forked_from_id": "uuid?",
        "parent_thread_id": "uuid?", "memory_mode": "str?", "agent_nickname": "str?", "agent_role": "str?",
        "agent_path": "str?", "account_scoped": "bool=", "attached_thread": "bool=", "base_instructions": "object?",
        "creator_account_id": "str?", "creator_user_id": "str?", "dynamic_tools": "list:object?",
        "forked_from_ordinal_exclusive": "u64?", "history_base": "object?", "multi_agent_version": "agents?",
        "context_window": "object?", "runtime_workspace_roots": "list:str?", "thread_source": "str?",
        "selected_capability_roots": "list:object=", "source": "source=", "subagent_history_start_ordinal": "u64?",
    },
    "turn_context": {
        "turn_id": "str?", "root_turn_id": "str?", "cwd": "path!", "model": "str!",
        "approval_policy": "approval!", "approvals_reviewer": "str?", "permission_profile": "permissions?",
        "active_permission_profile": "object?", "collaboration_mode": "collaboration?", "summary": "summary?",
        "effort": "str?", "comp_hash": "str?", "realtime_active": "bool?", "cyber_access_program": "str?",
        "disabled_plugin_ids": "list:str?", "direct_only_tool_namespaces": "list:str?",
        "multi_agent_version": "agents?",
    },
    "compacted": {
        "message": "str!", "replacement_history": "list:response_item?", "replacement_history_metadata": "list:object?",
        "window_number": "u64?", "first_window_id": "str?", "previous_window_id": "str?",
        "compaction_response_id": "str?",
    },
    "world_state": {"full": "bool!", "state": "object!"},
    "token_usage_record": {
        "thread_id": "uuid!", "session_id": "uuid!", "turn_id": "str!", "root_turn_id": "str!", "response_id": "str!",
        "usage": "usage!", "turn_token_usage": "usage!", "thread_token_usage": "usage!",
    },
    "usage": {
        "input_tokens": "i64!", "cached_input_tokens": "i64!", "cache_write_input_tokens": "i64=",
        "output_tokens": "i64!", "reasoning_output_tokens": "i64!", "total_tokens": "i64!",
    },
    "security_risk_score": {"scores": "map:number!", "call_id": "str?", "sampled_at": "time?"},
    "dynamic_tools_updated": {"thread_id": "uuid!", "tools": "list:object!"},
    "inter_agent_communication": {
        "author": "agent_path!", "recipient": "agent_path!", "content": "str!", "trigger_turn": "bool!", "id": "str?",
        "other_recipients": "list:agent_path=",
    },
    "inter_agent_communication_metadata": {"trigger_turn": "bool!"},
    # events
    "task_started": {
        "turn_id": "str!", "root_turn_id": "str?", "trace_id": "str?", "started_at": "i64?",
        "model_context_window": "i64?", "collaboration_mode_kind": "mode=", "turn_attribution": "object?",
    },
    "task_complete": {
        "turn_id": "str!", "root_turn_id": "str?", "last_agent_message": "str?", "error": "error?",
        "started_at": "i64?", "completed_at": "i64?", "duration_ms": "i64?", "time_to_first_token_ms": "i64?",
    },
    "turn_aborted": {
        "turn_id": "str?", "root_turn_id": "str?", "reason": "abort_reason!", "error": "error?", "started_at": "i64?",
        "completed_at": "i64?", "duration_ms": "i64?",
    },
    "error": {"message": "str!", "codex_error_info": "error_info?"},
    "token_count": {"info": "token_info?", "rate_limits": "object?"},
    "token_info": {"total_token_usage": "usage!", "last_token_usage": "usage!", "model_context_window": "i64?"},
    "thread_settings_applied": {"thread_id": "uuid?", "thread_settings": "settings!"},
    "settings": {
        "model": "str!", "model_provider_id": "str!", "approval_policy": "approval!", "approvals_reviewer": "str!",
        "permission_profile": "permissions!", "cwd": "path!", "collaboration_mode": "collaboration!",
    },
    "collaboration": {"mode": "mode!", "settings": "object!"},
    "granular": {"sandbox_approval": "bool!", "rules": "bool!", "mcp_elicitations": "bool!"},
    "thread_goal_updated": {"threadId": "uuid!", "turnId": "str?", "goal": "goal!"},
    "goal": {
        "threadId": "uuid!", "objective": "str!", "status": "goal_status!", "tokensUsed": "i64!",
        "timeUsedSeconds": "i64!", "createdAt": "i64!", "updatedAt": "i64!", "tokenBudget": "i64?",
    },
    "thread_rolled_back": {"num_turns": "u32!"},
    "user_message": {
        "message": "str!", "client_id": "str?", "images": "list:str?", "image_details": "list:image_detail|null=",
        "local_images": "list:str=", "local_image_details": "list:image_detail|null=", "file_ids": "list:str?",
        "file_id_details": "list:image_detail|null=", "image_order": "list:media=", "audio": "list:str?",
        "audio_references": "list:audio_reference?", "audio_order": "list:media=", "local_audio": "list:str=",
        "text_elements": "list:text_element=",
    },
    "text_element": {"byte_range": "byte_range!", "placeholder": "str?"},
    "byte_range": {"start": "u64!", "end": "u64!"},
    "agent_message": {
        "message": "str!", "phase": "phase?", "memory_citation": "citation?", "delivery": "delivery?",
        "questions": "list:question?", "moderation": "moderation?",
    },
    "citation": {"entries": "list:citation_entry!", "rolloutIds": "list:str!"},
    "citation_entry": {"path": "str!", "lineStart": "u32!", "lineEnd": "u32!", "note": "str!"},
    "question": {"title": "str!", "options": "list:str?"},
    "moderation": {"item_id": "str!", "moderated": "bool!", "display": "display?"},
    "display": {"action": "str!", "blockType": "str?", "cyberTrustedAccess": "bool?", "checkTrustedContacts": "bool?"},
    "agent_reasoning": {"text": "str!"},
    "agent_reasoning_raw_content": {"text": "str!"},
    "context_compacted": {},
    "entered_review_mode": {
        "target": "review_target!", "user_facing_hint": "str?", "item_id": "str?", "turn_id": "str?",
    },
    "exited_review_mode": {"review_output": "review_output?", "item_id": "str?", "turn_id": "str?"},
    "review_output": {
        "findings": "list:finding!", "overall_correctness": "str!", "overall_explanation": "str!",
        "overall_confidence_score": "number!",
    },
    "finding": {
        "title": "str!", "body": "str!", "confidence_score": "number!", "priority": "i64!",
        "code_location": "code_location!",
    },
    "code_location": {"absolute_file_path": "str!", "line_range": "line_range!"},
    "line_range": {"start": "u32!", "end": "u32!"},
    "patch_apply_end": {
        "call_id": "str!", "turn_id": "str=", "stdout": "str!", "stderr": "str!", "success": "bool!",
        "status": "patch_status!", "changes": "map:file_change=",
    },
    "mcp_tool_call_end": {
        "call_id": "str!", "turn_id": "str=", "invocation": "invocation!", "duration": "duration!",
        "result": "mcp_result!", "connector_id": "str?", "link_id": "str?", "app_name": "str?", "action_name": "str?",
        "mcp_app_resource_uri": "str?", "mcp_app_ui": "object?", "plugin_id": "str?", "read_only_hint": "bool?",
    },
    "invocation": {"server": "str!", "tool": "str!"},
    "duration": {"secs": "u64!", "nanos": "u32!"},
    "call_result": {"content": "list:any!", "isError": "bool?"},
    "web_search_end": {"call_id": "str!", "query": "str!", "action": "web_action!", "results": "list:any?"},
    "image_generation_end": {
        "call_id": "str!", "status": "str!", "revised_prompt": "str?", "transparent_background": "bool?",
        "failure": "object?", "saved_path": "path?", "generation_id": "str?", "input_images": "list:input_image=",
    },
    "input_image": {"path": "path!", "sha256": "str!"},
    "sub_agent_activity": {
        "event_id": "str!", "agent_thread_id": "uuid!", "agent_path": "agent_path!", "kind": "activity!",
        "occurred_at_ms": "i64=", "model": "str?", "reasoning_effort": "str?",
    },
    "item_completed": {
        "thread_id": "uuid!", "turn_id": "str!", "item": "turn_item!", "started_at_ms": "i64?",
        "completed_at_ms": "i64=", "content_token_count": "i64?",
    },
    # turn items that a legacy rollout keeps
    "Plan": {"id": "str!", "text": "str!"},
    "FunctionCallOutput": {"id": "str!", "name": "str!", "namespace": "str?", "output": "tool_output!"},
    "SubAgentActivity": {
        "id": "str!", "agent_thread_id": "uuid!", "agent_path": "agent_path!", "kind": "activity!", "model": "str?",
        "reasoning_effort": "str?",
    },
    "Extension": {"id": "str!", "durationMs": "u64!"},
    # response items
    "message": {
        "role": "str!", "content": "list:content!", "id": "str?", "phase": "phase?", "status": "str?",
        "encrypted_content": "str?",
    },
    "response_agent_message": {"author": "str!", "recipient": "str!", "content": "list:object!", "id": "str?"},
    "additional_tools": {"role": "str!", "tools": "list:any!", "id": "str?"},
    "reasoning": {"summary": "list:object!", "content": "list:object?", "encrypted_content": "str?", "id": "str?"},
    "local_shell_call": {
        "action": "shell_action!", "status": "shell_status!", "call_id": "str?", "id": "str?",
        "encrypted_content": "str?",
    },
    "shell_action": {"command": "list:str!", "timeout_ms": "u64?", "working_directory": "str?", "user": "str?"},
    "function_call": {
        "name": "str!", "arguments": "str!", "call_id": "str!", "namespace": "str?", "id": "str?", "status": "str?",
        "encrypted_content": "str?", "encrypted_function_args": "list:any?",
    },
    "function_call_output": {
        "output": "tool_output!", "call_id": "str?", "name": "str?", "namespace": "str?", "id": "str?",
    },
    "custom_tool_call": {
        "name": "str!", "input": "str!", "call_id": "str!", "namespace": "str?", "id": "str?", "status": "str?",
        "encrypted_content": "str?",
    },
    "custom_tool_call_output": {"output": "tool_output!", "call_id": "str!", "name": "str?", "id": "str?"},
    "tool_search_call": {
        "execution": "str!", "call_id": "str?", "status": "str?", "id": "str?", "encrypted_content": "str?",
    },
    "tool_search_output": {
        "execution": "str!", "status": "str!", "tools": "list:any!", "call_id": "str?", "id": "str?",
    },
    "web_search_call": {"action": "web_action?", "status": "str?", "id": "str?", "encrypted_content": "str?"},
    "image_generation_call": {
        "result": "str!", "status": "str!", "revised_prompt": "str?", "id": "str?", "encrypted_content": "str?",
    },
    "compaction": {"encrypted_content": "str!", "id": "str?"},
    "compaction_summary": {"encrypted_content": "str!", "id": "str?"},
    "context_compaction": {"encrypted_content": "str?", "id": "str?"},
    "configuration_update": {"reasoning": "object!"},
    "compaction_trigger": {},
}  # fmt: skip

WORDS: Final[dict[str, tuple[str, ...]]] = {
    "history_mode": ("legacy", "paginated"),
    "abort_reason": ("interrupted", "replaced", "review_ended", "budget_limited"),
    "summary": ("auto", "concise", "detailed", "none"),
    "goal_status": ("active", "paused", "blocked", "usageLimited", "budgetLimited", "complete"),
    "mode": ("plan", "default", "custom", "code", "pair_programming", "execute"),
    "image_detail": ("auto", "low", "high", "original"),
    "media": ("inline", "file"),
    "phase": ("commentary", "partial_answer", "final_answer"),
    "delivery": ("async",),
    "patch_status": ("completed", "failed", "declined"),
    "activity": ("started", "interacted", "interrupted", "completed"),
    "internal": ("memory_consolidation", "guardian"),
    "agents": ("disabled", "v1", "v2"),
    "shell_status": ("completed", "in_progress", "incomplete"),
}
"""Kinds that are one of a few words."""

UNIONS: Final[dict[str, dict[str, dict[str, str]]]] = {
    "file_change": {
        "add": {"content": "str!"},
        "delete": {"content": "str!"},
        "update": {"unified_diff": "str!", "move_path": "str?"},
    },
    "review_target": {
        "uncommittedChanges": {},
        "baseBranch": {"branch": "str!"},
        "commit": {"sha": "str!", "title": "str?"},
        "custom": {"instructions": "str!"},
    },
    "sandbox": {"danger-full-access": {}, "read-only": {}, "workspace-write": {}, "external-sandbox": {}},
}
"""Kinds that are an object whose ``type`` says which fields it has; an unknown ``type`` does not decode."""

ERROR_INFO: Final = {
    "context_window_exceeded": "contextWindowExceeded",
    "session_budget_exceeded": "sessionBudgetExceeded",
    "usage_limit_exceeded": "usageLimitExceeded",
    "rate_limit_exceeded": "rateLimitExceeded",
    "flex_unavailable": "flexUnavailable",
    "server_overloaded": "serverOverloaded",
    "model_not_found": "modelNotFound",
    "policy_capacity_unavailable": "policyCapacityUnavailable",
    "cyber_policy": "cyberPolicy",
    "misalignment_policy_violation": "misalignmentPolicyViolation",
    "too_many_denials": "tooManyDenials",
    "internal_server_error": "internalServerError",
    "unauthorized": "unauthorized",
    "bad_request": "badRequest",
    "sandbox_error": "sandboxError",
    "thread_rollback_failed": "threadRollbackFailed",
    "inference_hook_denied": "inferenceHookDenied",
}
"""What the app-server calls an error; a word that is not here is ``other``."""

HTTP_ERRORS: Final = {
    "http_connection_failed": "httpConnectionFailed",
    "response_stream_connection_failed": "responseStreamConnectionFailed",
    "response_stream_disconnected": "responseStreamDisconnected",
    "response_too_many_failed_attempts": "responseTooManyFailedAttempts",
}
"""The same for the errors that carry an HTTP status."""

AGENT_PATH: Final = re.compile(r"/root(/[a-z0-9_]+)*")


def fits(value: Any, kind: str) -> bool:
    """Whether ``value`` decodes as ``kind``."""
    if kind.startswith("list:"):
        return isinstance(value, list) and all(fits(one, kind[5:]) for one in value)
    if kind.startswith("map:"):
        return isinstance(value, dict) and all(fits(one, kind[4:]) for one in value.values())
    if kind.endswith("|null"):
        return value is None or fits(value, kind[:-5])
    if kind in WORDS:
        return isinstance(value, str) and value in WORDS[kind]
    if kind in UNIONS:
        return isinstance(value, dict) and value.get("type") in UNIONS[kind] and has(value, UNIONS[kind][value["type"]])
    if kind in SHAPES:
        return isinstance(value, dict) and has(value, SHAPES[kind])
    return fits_special(value, kind)


def has(value: JsonObject, fields: dict[str, str]) -> bool:
    """Whether the object has the fields that it must have, and no wrong ones."""
    for name, rule in fields.items():
        kind, need = rule[:-1], rule[-1]
        if name not in value:
            if need == "!":
                return False
        elif value[name] is None and (need == "?" or kind == "any"):
            continue
        elif not fits(value[name], kind):
            return False
    return True


def fits_special(value: Any, kind: str) -> bool:
    """:func:`fits` for the kinds that are neither shapes nor words."""
    integer = isinstance(value, int) and not isinstance(value, bool)
    match kind:
        case "any":
            return True
        case "str":
            return isinstance(value, str)
        case "bool":
            return isinstance(value, bool)
        case "object":
            return isinstance(value, dict)
        case "number":
            return integer or isinstance(value, float)
        case "u16":
            return integer and 0 <= value <= U16
        case "u32":
            return integer and 0 <= value <= U32
        case "u64":
            return integer and 0 <= value <= U64
        case "i64":
            return integer and -I64 - 1 <= value <= I64
        case "path":
            return isinstance(value, str) and value.startswith("/")
        case "agent_path":
            return isinstance(value, str) and AGENT_PATH.fullmatch(value) is not None
        case "uuid":
            return isinstance(value, str) and is_uuid(value)
        case "time":
            return isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", value) is not None
        case "approval":
            words = ("untrusted", "on-failure", "on-request", "never")
            return value in words if isinstance(value, str) else fits_only(value, {"granular": "granular"})
        case "permissions":
            names = {"managed": ("file_system", "network"), "external": ("network",), "disabled": (), None: ()}
            kind_of = value.get("type") if isinstance(value, dict) else ""
            return kind_of in names and all(name in value for name in names[kind_of])
        case "source":
            parts = {"custom": "str", "subagent": "subagent", "internal": "internal"}
            return isinstance(value, str) or fits_only(value, parts)
        case "subagent":
            plain = ("review", "compact", "memory_consolidation")
            parts = {"thread_spawn": "object", "other": "str"}
            return value in plain if isinstance(value, str) else fits_only(value, parts)
        case "error_info":
            return is_error_info(value)
        case "audio_reference":
            return isinstance(value, dict) and (is_text(value, "audio_url") or is_text(value, "file_id"))
        case "tool_output":
            return isinstance(value, str) or fits(value, "list:output_part")
        case "content":
            return isinstance(value, dict) and is_part(
                value, ("input_text", "input_image", "input_audio", "output_text")
            )
        case "output_part":
            kinds = ("input_text", "input_image", "input_audio", "encrypted_content")
            return isinstance(value, dict) and is_part(value, kinds)
        case "mcp_result":
            if not isinstance(value, dict) or len(value) != 1:
                return False
            return fits(value["Ok"], "call_result") if "Ok" in value else isinstance(value.get("Err"), str)
        case "web_action":
            return isinstance(value, dict) and is_web_action(value)
        case "turn_item":
            return isinstance(value, dict) and isinstance(value.get("type"), str)
        case "response_item":
            return isinstance(value, dict) and is_response_item(value)
    raise AssertionError(kind)


def fits_only(value: Any, kinds: dict[str, str]) -> bool:
    """Whether it is an object of exactly one of the members, of that kind."""
    return (
        isinstance(value, dict)
        and len(value) == 1
        and all(name in kinds and fits(part, kinds[name]) for name, part in value.items())
    )


def is_text(value: JsonObject, name: str) -> bool:
    return isinstance(value.get(name), str)


def is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def is_error_info(value: Any) -> bool:
    """Any word, or an object of one known member; an unknown member is ``other``, a known one must be right."""
    if isinstance(value, str):
        return True
    if not isinstance(value, dict) or len(value) != 1:
        return False
    [(name, details)] = value.items()
    if name in HTTP_ERRORS:
        return isinstance(details, dict) and has(details, {"http_status_code": "u16?"})
    if name == "active_turn_not_steerable":
        return isinstance(details, dict) and details.get("turn_kind") in ("review", "compact")
    return name not in ERROR_INFO


def is_part(value: JsonObject, kinds: tuple[str, ...]) -> bool:
    """Whether it is a content part of one of the ``kinds``."""
    kind = value.get("type")
    if kind not in kinds:
        return False
    match kind:
        case "input_image":
            return is_text(value, "image_url") or is_text(value, "file_id")
        case "input_audio":
            return is_text(value, "audio_url") or is_text(value, "file_id")
        case "encrypted_content":
            return is_text(value, "encrypted_content")
    return is_text(value, "text")


def is_web_action(value: JsonObject) -> bool:
    """An unknown ``type`` is an action of type ``other``."""
    match value.get("type"):
        case "search":
            return has(value, {"query": "str?", "queries": "list:str?"})
        case "open_page":
            return has(value, {"url": "str?"})
        case "find_in_page":
            return has(value, {"url": "str?", "pattern": "str?"})
    return is_text(value, "type")


def is_response_item(value: JsonObject) -> bool:
    """Whether it decodes: a known type must be right, an unknown one is ``other``."""
    kind = value.get("type")
    passthrough = value.get("internal_chat_message_metadata_passthrough")
    if not isinstance(kind, str) or not (passthrough is None or isinstance(passthrough, dict)):
        return False
    if kind == "tool_search_call" and "arguments" not in value:
        return False
    if kind == "local_shell_call":
        action = value.get("action")
        return has(value, SHAPES[kind]) and isinstance(action, dict) and action.get("type") == "exec"
    if kind == "agent_message":
        return has(value, SHAPES["response_agent_message"])
    return kind not in RESPONSE_ITEMS or has(value, SHAPES[kind])


RESPONSE_ITEMS: Final = (
    "message", "agent_message", "additional_tools", "reasoning", "local_shell_call", "function_call",
    "function_call_output", "custom_tool_call", "custom_tool_call_output", "tool_search_call", "tool_search_output",
    "web_search_call", "image_generation_call", "compaction", "compaction_summary", "context_compaction",
    "configuration_update", "compaction_trigger",
)  # fmt: skip
"""The response items that 0.169.0 knows; any other decodes as ``other``, which no rollout keeps."""

EVENT_ALIASES: Final = {"turn_started": "task_started", "turn_complete": "task_complete"}
"""Other names of events that are understood."""

KEPT_EVENTS: Final = (
    "task_started", "task_complete", "turn_aborted", "token_count", "thread_settings_applied", "thread_goal_updated",
    "thread_rolled_back", "item_completed", "user_message", "agent_message", "agent_reasoning",
    "agent_reasoning_raw_content", "entered_review_mode", "exited_review_mode", "patch_apply_end", "context_compacted",
    "mcp_tool_call_end", "web_search_end", "image_generation_end", "sub_agent_activity",
)  # fmt: skip
"""The events that a legacy rollout keeps (storage.md 2.5). Every other event is dropped on reading, too."""

KEPT_RECORDS: Final = (
    "session_meta", "turn_context", "world_state", "token_usage_record", "security_risk_score",
    "dynamic_tools_updated", "inter_agent_communication", "inter_agent_communication_metadata",
)  # fmt: skip
"""The kept records that show nothing but are counted (``retained_context``, too; ``realtime_item`` is dropped)."""


def kept(record: JsonObject | None) -> tuple[str, JsonObject] | None:
    """What the reader makes of a line: (kind, payload) with the event's type as its kind, or None for nothing.

    The kind is ``response_item`` for a response item, ``other`` for a kept record that shows nothing.
    """
    if record is None or not isinstance(record.get("timestamp"), str) or not isinstance(record.get("payload"), dict):
        return None
    if record.get("ordinal") is not None and not fits(record["ordinal"], "u64"):
        return None
    payload: JsonObject = record["payload"]
    match record.get("type"):
        case "event_msg":
            return kept_event(payload)
        case "response_item":
            metadata = record.get("metadata")
            dropped = payload.get("type") not in RESPONSE_ITEMS or payload["type"] == "compaction_trigger"
            if dropped or not is_response_item(payload) or not (metadata is None or isinstance(metadata, dict)):
                return None
            return "response_item", payload
        case "compacted":
            history, metadata = payload.get("replacement_history"), payload.get("replacement_history_metadata")
            wrong = metadata is not None and (history is None or len(history) != len(metadata))
            return None if wrong or not fits(payload, "compacted") else ("compacted", payload)
        case "turn_context":
            # Older Codex wrote a sandbox policy where 0.169.0 has a permission profile; one of them must be there.
            profile = payload.get("permission_profile") is not None or fits(payload.get("sandbox_policy"), "sandbox")
            return ("other", payload) if profile and fits(payload, "turn_context") else None
        case "retained_context":
            known = ("accepted_file_audio", "verified_answer", "delivered_assistant_message")
            return ("other", payload) if payload.get("type") in known else None
        case str(kind) if kind in KEPT_RECORDS:
            return ("other", payload) if fits(payload, kind) else None
    return None


def kept_event(payload: JsonObject) -> tuple[str, JsonObject] | None:
    """:func:`kept` for an ``event_msg``."""
    kind = payload.get("type")
    kind = EVENT_ALIASES.get(kind, kind) if isinstance(kind, str) else None
    if kind not in KEPT_EVENTS or not fits(payload, kind):
        return None
    if kind == "image_generation_end" and not (is_text(payload, "fileId") or is_text(payload, "result")):
        return None
    if kind == "sub_agent_activity" and payload["kind"] == "completed":
        return None  # It is kept as an item_completed instead.
    if kind == "item_completed" and not kept_item(payload["item"]):
        return None
    return kind, payload


def kept_item(item: JsonObject) -> bool:
    """Whether a legacy rollout keeps the ``item_completed`` of the item."""
    match item["type"]:
        case "Plan" | "FunctionCallOutput":
            return fits(item, item["type"])
        case "SubAgentActivity":
            return fits(item, "SubAgentActivity") and item["kind"] == "completed"
        case "Extension":
            return item.get("kind") == "clock.sleep" and fits(item, "Extension")
    return False


def before_envelope(item: JsonObject) -> list[tuple[str, JsonObject]]:
    """What is read instead of a response item without an envelope, of which no event tells.

    A user's message is a ``user_message``, unless one of its texts is the harness's; an assistant's is an
    ``agent_message``; each text of reasoning is an event of its own. All else is the response item that it is.
    """
    if item["type"] not in RESPONSE_ITEMS or not is_response_item(item):
        return []
    if item["type"] == "reasoning":
        summary = [("agent_reasoning", {"text": part["text"]}) for part in item["summary"]]
        content = [("agent_reasoning_raw_content", {"text": part["text"]}) for part in item.get("content") or []]
        return summary + content
    if item["type"] == "message" and item["role"] == "assistant":
        texts = [part["text"] for part in item["content"] if part["type"] == "output_text"]
        return [("agent_message", {"message": "".join(texts)})]
    if item["type"] == "message" and item["role"] == "user":
        texts = [part["text"] for part in item["content"] if part["type"] == "input_text"]
        if not any(is_contextual_text(text) or is_summary_text(text) or is_instructions(text) for text in texts):
            urls = [part.get("image_url") for part in item["content"] if part["type"] == "input_image"]
            images = [url for url in urls if isinstance(url, str)]
            return [("user_message", {"message": "".join(texts), "images": images})]
    return [("response_item", item)]


def is_instructions(text: str) -> bool:
    """Whether a text is what 0.20.0 put before the first message: the instructions of the project."""
    return text.strip().startswith("<user_instructions>") and text.strip().endswith("</user_instructions>")


# --------------------------------------------------------------------------------------------------------------------
# Turns


def legacy_turns(records: Sequence[tuple[int, JsonObject | None]]) -> list[JsonObject]:
    """The turns that 0.169.0 shows for a legacy rollout that no process writes, oldest first, with all items.

    ``records`` is (byte offset, decoded line or None) in file order. A line that is no JSON object is None; so are
    those that Python decodes and the server does not: ``NaN``, a lone surrogate escape, more than 127 levels of
    nesting. The offsets are not looked at. Copied history of a parent (several ``session_meta``) is read like any
    other record.

    A line from before the envelope is given as the object that it is. 0.169.0 refuses files that begin with such lines
    and drops the lines elsewhere; what they show here is threadkeep's own rule (:func:`before_envelope`).
    """
    builder = Builder()
    for _offset, record in records:
        if record is not None and "payload" not in record and isinstance(record.get("type"), str):
            for kind, payload in before_envelope(record):
                builder.feed(kind, payload)
            continue
        read = kept(record)
        if read is not None:
            builder.feed(*read)
    builder.close()
    return [shown(turn) for turn in builder.turns]


class Builder:
    """The turns so far, and the one that is open."""

    def __init__(self) -> None:
        self.turns: list[JsonObject] = []
        """The closed turns, oldest first."""
        self.open: JsonObject | None = None
        """The open turn. ``explicit``: a task_started opened it; ``named``: its id was given, not made of a number;
        ``compacted``: it holds a compacted record. ``times``: item id -> the first start and the first completion
        that a record gave, whether it showed the item or not."""
        self.number = -1
        """The number of the record that is being read."""
        self.next_item = 1
        """The number of the next ``item-N``."""

    def feed(self, kind: str, payload: JsonObject) -> None:
        """Read one kept record."""
        self.number += 1
        handler = getattr(self, f"on_{kind}", None)
        if handler is not None:
            handler(payload)

    # -- turns

    def new_turn(self, turn_id: str | None = None, started_at: int | None = None) -> JsonObject:
        """A turn, completed as long as nothing says otherwise."""
        return {
            "id": f"rollout-{self.number}" if turn_id is None else turn_id,
            "root": None,
            "named": turn_id is not None,
            "explicit": False,
            "compacted": False,
            "items": [],
            "times": {},
            "status": "completed",
            "error": None,
            "started_at": started_at,
            "completed_at": None,
            "duration_ms": None,
        }

    def current(self) -> JsonObject:
        """The open turn; a new one if there is none."""
        if self.open is None:
            self.open = self.new_turn()
        return self.open

    def close(self) -> None:
        """Close the open turn. One that nothing opened is dropped when it is empty."""
        turn, self.open = self.open, None
        if turn is not None and (turn["items"] or turn["explicit"] or turn["compacted"]):
            self.turns.append(turn)

    def find(self, turn_id: str) -> JsonObject | None:
        """The open turn of that id, else the first closed one."""
        if self.open is not None and self.open["id"] == turn_id:
            return self.open
        return next((turn for turn in self.turns if turn["id"] == turn_id), None)

    def on_task_started(self, event: JsonObject) -> None:
        self.close()
        self.open = self.new_turn(event["turn_id"], event.get("started_at"))
        self.open.update(explicit=True, status="inProgress", root=event.get("root_turn_id"))

    def on_task_complete(self, event: JsonObject) -> None:
        """It ends the turn of its id; the open turn when there is none of that id."""
        turn = self.find(event["turn_id"]) or self.open
        if turn is None:
            return
        if event.get("error") is not None:
            turn.update(status="failed", error=turn_error(event["error"]))
        elif turn["status"] == "inProgress":
            turn["status"] = "completed"
        turn.update(completed_at=event.get("completed_at"), duration_ms=event.get("duration_ms"))
        if turn is self.open:
            self.close()

    def on_turn_aborted(self, event: JsonObject) -> None:
        """It interrupts the turn of its id, the open turn if it names none. An unknown id spares a named turn."""
        turn_id = event.get("turn_id")
        turn = self.open if turn_id is None else self.find(turn_id)
        if turn is None and self.open is not None and not self.open["named"]:
            turn = self.open
        if turn is None:
            return
        turn.update(status="interrupted", completed_at=event.get("completed_at"), duration_ms=event.get("duration_ms"))
        if event.get("error") is not None:
            turn["error"] = turn_error(event["error"])
        if turn is self.open:
            self.close()

    def on_thread_rolled_back(self, event: JsonObject) -> None:
        """It closes the open turn, drops the last turns and lets the item numbers go on after the items that stay."""
        self.close()
        count = event["num_turns"]
        if count:
            del self.turns[-count:]
        self.next_item = 1 + sum(len(turn["items"]) for turn in self.turns)

    def on_compacted(self, _record: JsonObject) -> None:
        """It shows nothing, but a turn that holds it is kept."""
        self.current()["compacted"] = True

    # -- items

    def new_id(self) -> str:
        """The next ``item-N``."""
        self.next_item += 1
        return f"item-{self.next_item - 1}"

    def append(self, item: JsonObject) -> None:
        """Append an item to the open turn."""
        self.current()["items"].append(item)

    def put(self, turn: JsonObject, item: JsonObject) -> None:
        """Append an item, or replace the first of its id in the turn where it stands."""
        for place, old in enumerate(turn["items"]):
            if old["id"] == item["id"]:
                turn["items"][place] = item
                return
        turn["items"].append(item)

    def put_in(self, turn_id: str, item: JsonObject) -> None:
        """:meth:`put` into the turn of that id; an unknown turn's item is lost. An empty id is the open turn."""
        turn = self.find(turn_id) if turn_id else self.current()
        if turn is not None:
            self.put(turn, item)

    def note_times(self, turn: JsonObject, item_id: str, started_ms: int | None, completed_ms: int) -> None:
        """Remember when an item of the turn began and ended; a completion of 0 is none."""
        times = turn["times"].setdefault(item_id, {"startedAtMs": None, "completedAtMs": None})
        if times["startedAtMs"] is None:
            times["startedAtMs"] = started_ms
        if times["completedAtMs"] is None:
            times["completedAtMs"] = completed_ms or None

    def on_user_message(self, event: JsonObject) -> None:
        """It stays in a turn with its own start; else it starts one, unless the open one is a bare compaction."""
        turn = self.open
        if turn is not None and not turn["explicit"] and not (turn["compacted"] and not turn["items"]):
            self.close()
        self.append(
            {
                "type": "userMessage",
                "id": self.new_id(),
                "clientId": event.get("client_id"),
                "content": user_content(event),
            }
        )

    def on_agent_message(self, event: JsonObject) -> None:
        if not event["message"]:
            return
        item_id = self.new_id()
        moderation = event.get("moderation")
        self.append(
            {
                "type": "agentMessage",
                "id": item_id if moderation is None else moderation["item_id"],
                "text": event["message"],
                "phase": event.get("phase"),
                "memoryCitation": citation(event.get("memory_citation")),
                "delivery": event.get("delivery"),
                "questions": questions(event.get("questions")),
                "moderation": None if moderation is None else moderated(moderation),
            }
        )

    def on_agent_reasoning(self, event: JsonObject) -> None:
        self.reasoning("summary", event["text"])

    def on_agent_reasoning_raw_content(self, event: JsonObject) -> None:
        self.reasoning("content", event["text"])

    def reasoning(self, name: str, text: str) -> None:
        """Reasoning is one item as long as no other item comes between."""
        if not text:
            return
        items = self.current()["items"]
        if items and items[-1]["type"] == "reasoning":
            items[-1][name].append(text)
            return
        item: JsonObject = {"type": "reasoning", "id": self.new_id(), "summary": [], "content": []}
        item[name].append(text)
        self.append(item)

    def on_context_compacted(self, _event: JsonObject) -> None:
        self.append({"type": "contextCompaction", "id": self.new_id()})

    def on_entered_review_mode(self, event: JsonObject) -> None:
        hint = event.get("user_facing_hint")
        self.review(event, "enteredReviewMode", "Review requested." if hint is None else hint)

    def on_exited_review_mode(self, event: JsonObject) -> None:
        self.review(event, "exitedReviewMode", review_text(event.get("review_output")))

    def review(self, event: JsonObject, kind: str, text: str) -> None:
        """Review items, unlike others, open the turn that they name when it is unknown (an empty id, too)."""
        item_id = event.get("item_id")
        item = {"type": kind, "id": self.new_id() if item_id is None else item_id, "review": text}
        turn_id = event.get("turn_id")
        turn = self.current() if turn_id is None else self.find(turn_id)
        if turn is None:
            self.close()
            turn = self.open = self.new_turn(turn_id)
        self.put(turn, item)

    def on_patch_apply_end(self, event: JsonObject) -> None:
        changes = event.get("changes", {})
        item = {
            "type": "fileChange",
            "id": event["call_id"],
            "changes": [file_change(path, changes[path]) for path in sorted(changes, key=str.encode)],
            "status": event["status"],
        }
        self.put_in(event.get("turn_id", ""), item)

    def on_mcp_tool_call_end(self, event: JsonObject) -> None:
        self.put_in(event.get("turn_id", ""), mcp_tool_call(event))

    def on_web_search_end(self, event: JsonObject) -> None:
        item = {
            "type": "webSearch",
            "id": event["call_id"],
            "query": event["query"],
            "action": web_action(event["action"]),
            "results": event.get("results"),
        }
        self.put(self.current(), item)

    def on_image_generation_end(self, event: JsonObject) -> None:
        item = {
            "type": "imageGeneration",
            "id": event["call_id"],
            "status": event["status"],
            "revisedPrompt": event.get("revised_prompt"),
            "transparentBackground": event.get("transparent_background"),
            "failure": event.get("failure"),
            "generationId": event.get("generation_id"),
        }
        source = "fileId" if is_text(event, "fileId") else "result"
        item[source] = event[source]
        if event.get("saved_path") is not None:
            item["savedPath"] = event["saved_path"]
        if event.get("input_images"):
            item["inputImages"] = event["input_images"]
        self.put(self.current(), item)

    def on_sub_agent_activity(self, event: JsonObject) -> None:
        turn = self.current()
        self.put(turn, sub_agent_activity(event["event_id"], event))
        self.note_times(turn, event["event_id"], None, event.get("occurred_at_ms", 0))

    def on_item_completed(self, event: JsonObject) -> None:
        item, turn = event["item"], self.find(event["turn_id"])
        if turn is None:
            return
        self.note_times(turn, item["id"], event.get("started_at_ms"), event.get("completed_at_ms", 0))
        made: JsonObject
        match item["type"]:
            case "Plan":
                if not item["text"]:
                    return
                made = {"type": "plan", "id": item["id"], "text": item["text"]}
            case "FunctionCallOutput":
                made = {
                    "type": "functionCallOutput",
                    "id": item["id"],
                    "name": item["name"],
                    "namespace": item.get("namespace"),
                    "output": item["output"],
                }
            case "SubAgentActivity":
                made = sub_agent_activity(item["id"], item)
            case _:
                made = {"type": "sleep", "id": item["id"], "durationMs": item["durationMs"]}
        self.put(turn, made)

    def on_response_item(self, item: JsonObject) -> None:
        """No response item shows anything, except a user message that consists of hook prompts."""
        if item["type"] != "message" or item["role"] != "user":
            return
        fragments = hook_fragments(item["content"])
        if fragments:
            item_id = item.get("id")
            self.append(
                {"type": "hookPrompt", "id": INVENTED_ID if item_id is None else item_id, "fragments": fragments}
            )


def shown(turn: JsonObject) -> JsonObject:
    """The turn as the app-server writes it. A turn that was never ended is interrupted: nobody runs it any more."""
    unknown = {"startedAtMs": None, "completedAtMs": None}
    return {
        "id": turn["id"],
        "rootTurnId": turn["root"],
        "items": [{**deepcopy(item), **turn["times"].get(item["id"], unknown)} for item in turn["items"]],
        "itemsView": "full",
        "status": "interrupted" if turn["status"] == "inProgress" else turn["status"],
        "error": turn["error"],
        "startedAt": turn["started_at"],
        "completedAt": turn["completed_at"],
        "durationMs": turn["duration_ms"],
    }


def summary_view(turns: list[JsonObject]) -> list[JsonObject]:
    """The same turns with ``itemsView: "summary"``: the first user message, then the last agent message.

    Of whatever phase, and in this order even where the agent spoke first. Paginated threads choose otherwise
    (storage.md 5.1).
    """
    summaries = []
    for turn in turns:
        users = [item for item in turn["items"] if item["type"] == "userMessage"]
        agents = [item for item in turn["items"] if item["type"] == "agentMessage"]
        summaries.append({**turn, "items": users[:1] + agents[-1:], "itemsView": "summary"})
    return summaries


def not_loaded_view(turns: list[JsonObject]) -> list[JsonObject]:
    """The same turns with ``itemsView: "notLoaded"``."""
    return [{**turn, "items": [], "itemsView": "notLoaded"} for turn in turns]


# --------------------------------------------------------------------------------------------------------------------
# Parts of items


def turn_error(error: JsonObject) -> JsonObject:
    """The error of a turn, of an error object."""
    return {
        "message": error["message"],
        "codexErrorInfo": error_info(error.get("codex_error_info")),
        "additionalDetails": None,
        "misalignment": None,
    }


def error_info(info: Any) -> Any:
    """What kind of error it was."""
    if info is None:
        return None
    if isinstance(info, str):
        return ERROR_INFO.get(info, "other")
    [(name, details)] = info.items()
    if name in HTTP_ERRORS:
        return {HTTP_ERRORS[name]: {"httpStatusCode": details.get("http_status_code")}}
    if name == "active_turn_not_steerable":
        return {"activeTurnNotSteerable": {"turnKind": details["turn_kind"]}}
    return "other"


def user_content(event: JsonObject) -> list[JsonObject]:
    """The text (unless it is blank), images, local images, audio and local audio of a user message, in this order."""
    content: list[JsonObject] = []
    if event["message"].strip():
        elements = [
            {"byteRange": pick(element["byte_range"], "start", "end"), "placeholder": element.get("placeholder")}
            for element in event.get("text_elements", [])
        ]
        content.append({"type": "text", "text": event["message"], "text_elements": elements})
    content += images(event)
    details = event.get("local_image_details", [])
    content += [
        {"type": "localImage", "path": path, "detail": at(details, place)}
        for place, path in enumerate(event.get("local_images", []))
    ]
    content += audio(event)
    content += [{"type": "localAudio", "path": path} for path in event.get("local_audio", [])]
    return content


def images(event: JsonObject) -> list[JsonObject]:
    """Images by URL, then by file id; in the order of ``image_order`` where that counts them right."""
    details, file_details = event.get("image_details", []), event.get("file_id_details", [])
    inline = [
        {"type": "image", "url": url, "detail": at(details, place)}
        for place, url in enumerate(event.get("images") or [])
    ]
    files = [
        {"type": "image", "fileId": file_id, "detail": at(file_details, place)}
        for place, file_id in enumerate(event.get("file_ids") or [])
    ]
    return merged(event.get("image_order", []), inline, files) or inline + files


def audio(event: JsonObject) -> list[JsonObject]:
    """Audio by URL, or the references instead where there are any; both where ``audio_order`` counts them right."""
    urls = [{"type": "audio", "url": url} for url in event.get("audio") or []]
    references = event.get("audio_references")
    if references is None:
        return urls
    listed = [
        {"type": "audio", "url": reference["audio_url"]}
        if is_text(reference, "audio_url")
        else {"type": "audio", "fileId": reference["file_id"]}
        for reference in references
    ]
    files = all("fileId" in part for part in listed)
    return (merged(event.get("audio_order", []), urls, listed) if files else []) or listed


def merged(order: list[str], inline: list[JsonObject], files: list[JsonObject]) -> list[JsonObject]:
    """Both lists in the given order; empty when the order does not name each entry once."""
    if order.count("inline") != len(inline) or order.count("file") != len(files):
        return []
    sources = {"inline": iter(inline), "file": iter(files)}
    return [next(sources[kind]) for kind in order]


def at(values: list[Any], place: int) -> Any:
    """The value at the place, or None past the end."""
    return values[place] if place < len(values) else None


def pick(source: JsonObject, *names: str) -> JsonObject:
    """The named members alone."""
    return {name: source[name] for name in names}


def citation(value: JsonObject | None) -> JsonObject | None:
    if value is None:
        return None
    entries = [pick(entry, "path", "lineStart", "lineEnd", "note") for entry in value["entries"]]
    return {"entries": entries, "threadIds": value["rolloutIds"]}


def questions(values: list[JsonObject] | None) -> list[JsonObject] | None:
    if values is None:
        return None
    return [{"title": value["title"], "options": value.get("options")} for value in values]


def moderated(value: JsonObject) -> JsonObject:
    display = value.get("display")
    names = ("action", "blockType", "cyberTrustedAccess", "checkTrustedContacts")
    return {
        "moderated": value["moderated"],
        "display": None if display is None else {name: display.get(name) for name in names},
    }


def review_text(output: JsonObject | None) -> str:
    """What a review says: its explanation, then its findings."""
    parts = []
    if output is not None:
        parts.append(output["overall_explanation"].strip())
        parts.append(findings_text(output["findings"]))
    return "\n\n".join(part for part in parts if part) or NO_REVIEW


def findings_text(findings: list[JsonObject]) -> str:
    if not findings:
        return ""
    blocks = ["Review comment:" if len(findings) == 1 else "Full review comments:"]
    for finding in findings:
        location = finding["code_location"]
        lines = location["line_range"]
        text = f"- {finding['title']} — {location['absolute_file_path']}:{lines['start']}-{lines['end']}"
        body = finding["body"].removesuffix("\n").removesuffix("\r")
        if finding["body"]:
            text += "".join("\n  " + line.removesuffix("\r") for line in body.split("\n"))
        blocks.append(text)
    return "\n\n".join(blocks).strip()


def file_change(path: str, change: JsonObject) -> JsonObject:
    """One changed file. A file that was moved says so after its diff."""
    if change["type"] != "update":
        return {"path": path, "kind": {"type": change["type"]}, "diff": change["content"]}
    target = change.get("move_path")
    diff = change["unified_diff"] + ("" if target is None else f"\n\nMoved to: {target}")
    return {"path": path, "kind": {"type": "update", "move_path": target}, "diff": diff}


def mcp_tool_call(event: JsonObject) -> JsonObject:
    """The call of an MCP tool: failed when there was no result, or one that says so."""
    result, failure = event["result"].get("Ok"), event["result"].get("Err")
    connector, resource = event.get("connector_id"), event.get("mcp_app_resource_uri")
    item = {
        "type": "mcpToolCall",
        "id": event["call_id"],
        "server": event["invocation"]["server"],
        "tool": event["invocation"]["tool"],
        "status": "failed" if result is None or result.get("isError") else "completed",
        "arguments": event["invocation"].get("arguments"),
        "appContext": None
        if connector is None
        else {
            "connectorId": connector,
            "linkId": event.get("link_id"),
            "resourceUri": resource,
            "appName": event.get("app_name"),
            "actionName": event.get("action_name"),
        },
        "mcpAppUi": event.get("mcp_app_ui"),
        "pluginId": event.get("plugin_id"),
        "readOnlyHint": event.get("read_only_hint"),
        "result": None
        if result is None
        else {
            "content": result["content"],
            "structuredContent": result.get("structuredContent"),
            "_meta": result.get("_meta"),
        },
        "error": None if failure is None else {"message": failure},
        "durationMs": event["duration"]["secs"] * 1000 + event["duration"]["nanos"] // 1_000_000,
    }
    if resource is not None:
        item["mcpAppResourceUri"] = resource
    return item


def web_action(action: JsonObject) -> JsonObject:
    match action["type"]:
        case "search":
            return {"type": "search", "query": action.get("query"), "queries": action.get("queries")}
        case "open_page":
            return {"type": "openPage", "url": action.get("url")}
        case "find_in_page":
            return {"type": "findInPage", "url": action.get("url"), "pattern": action.get("pattern")}
    return {"type": "other"}


def sub_agent_activity(item_id: str, source: JsonObject) -> JsonObject:
    return {
        "type": "subAgentActivity",
        "id": item_id,
        "kind": source["kind"],
        "agentThreadId": str(uuid.UUID(source["agent_thread_id"])),
        "agentPath": source["agent_path"],
        "model": source.get("model"),
        "reasoningEffort": source.get("reasoning_effort"),
    }


def hook_fragments(content: list[JsonObject]) -> list[JsonObject]:
    """The hook prompts of a message, if each of its parts is one; else nothing."""
    fragments = []
    for part in content:
        fragment = hook_fragment(part["text"]) if part["type"] == "input_text" else None
        if fragment is None:
            return []
        fragments.append(fragment)
    return fragments


def hook_fragment(text: str) -> JsonObject | None:
    """The hook prompt that a text is: any XML element with ``hook_run_id`` and text, neither of them blank.

    What follows the element is ignored, and so is what stands inside it from its first child on.
    """
    depth = 0
    run_id: str | None = None
    children = False
    pieces: list[str] = []

    def start(_name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, run_id, children
        depth += 1
        if depth == 1:
            run_id = attributes.get("hook_run_id")
        else:
            children = True

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1
        if depth == 0:
            raise StopIteration

    def data(piece: str) -> None:
        if not children:
            pieces.append(piece)

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, data
    try:
        parser.Parse(text.strip(), True)
    except StopIteration:
        inner = "".join(pieces)
        if run_id is not None and run_id.strip() and inner.strip():
            return {"text": inner, "hookRunId": run_id}
    except expat.ExpatError:
        pass
    return None
