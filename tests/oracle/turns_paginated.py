"""The turns and items that the app-server shows of a paginated thread, computed forwards from its records.

The lineage comes as a list of *segments*, oldest first, each already cut at the boundary that the next one's history
base names::

    {"records": [(offset, record), (offset, None), ...]}

A record is the decoded line, None stands for a line that is no JSON object; offsets are not looked at. The first
record of a segment is its ``session_meta``; it says where the inherited history ends (``history_base``) and which
records are a copy of somebody else's (``subagent_history_start_ordinal``).

Every rule was tried on Codex 0.169.0 (crafted rollouts, no SQLite files, resumed, then listed); the recorded trials are
in ``tests/fixtures/items``. The rules in short:

* A line without a usable record, and a record without an ordinal, is nothing. An ordinal below the expected one is
  skipped; one above it is taken (a gap). What cannot be decoded does not use up its ordinal, what is of no
  interest here does (storage.md 5.1).
* ``task_started``, ``task_complete``, ``turn_aborted`` with an id and ``item_completed`` matter, nothing else:
  ``thread_rolled_back``, ``compacted``, the events of legacy rollouts and a second ``session_meta`` change nothing.
* Every segment has rows of its own. A turn's row is made by its first start or end and stands at its ordinal. Each
  further start or end overwrites it, until the first end: then it is closed for ever.
* An item stands where it was first completed in the segment, with the first times, and shows what was completed last.
* A turn id with rows in several segments is one turn, the newest row, with the items of all segments.

Where a parent went on after a fork in the middle of a turn, the server shows a child more than its records say: the
row of that turn as it became later, and no final message where a later one took its place. Here, and in the
recordings, a parent ends where the child begins.
"""

from __future__ import annotations

import calendar
import json
import re
from typing import TYPE_CHECKING, Any, Final

from tests.oracle import thread_items
from tests.oracle.thread_items import I64, U16, U64, UndecodableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.oracle.thread_items import JsonObject

RECORD_TYPES: Final = frozenset(
    re.findall(
        r"\w+",
        """
        session_meta dynamic_tools_updated response_item inter_agent_communication compacted turn_context
        world_state inter_agent_communication_metadata token_usage_record retained_context security_risk_score
        event_msg realtime_item
        """,
    )
)
"""The types of records that 0.169.0 knows."""

EVENT_TYPES: Final = frozenset(
    re.findall(
        r"\w+",
        """
        error warning auth_recovery_started auth_recovery_completed guardian_warning
        realtime_conversation_started realtime_conversation_realtime realtime_conversation_closed
        realtime_conversation_sdp model_reroute model_verification turn_moderation_metadata safety_buffering
        context_compacted thread_rolled_back task_started turn_started thread_settings_applied task_complete
        turn_complete token_count agent_message user_message agent_reasoning agent_reasoning_raw_content
        agent_reasoning_section_break session_configured environment_connected environment_disconnected
        thread_goal_updated thread_queue_changed mcp_startup_update mcp_startup_complete mcp_tool_call_begin
        mcp_tool_call_end web_search_begin web_search_end image_generation_begin image_generation_end
        exec_command_begin exec_command_output_delta terminal_interaction exec_command_end view_image_tool_call
        exec_approval_request request_permissions request_user_input dynamic_tool_call_request
        dynamic_tool_call_response elicitation_request elicitation_abandoned apply_patch_approval_request
        guardian_assessment deprecation_notice stream_error patch_apply_begin patch_apply_updated
        patch_apply_end turn_diff realtime_conversation_list_voices_response plan_update turn_aborted
        shutdown_complete entered_review_mode exited_review_mode raw_response_item raw_response_completed
        item_started item_completed hook_started hook_completed agent_message_content_delta plan_delta
        reasoning_content_delta reasoning_raw_content_delta collab_agent_spawn_begin collab_agent_spawn_end
        collab_agent_interaction_begin collab_agent_interaction_end collab_waiting_begin collab_waiting_end
        collab_close_begin collab_close_end collab_resume_begin collab_resume_end sub_agent_activity
        """,
    )
)
"""The types of events that 0.169.0 knows; ``turn_started`` and ``turn_complete`` are second names of ``task_`` ones."""

_MODES: Final = thread_items.same("plan", "code", "custom", "default", "execute", "pair_programming")
_ABORT_REASONS: Final = thread_items.same("interrupted", "replaced", "review_ended", "budget_limited")
_ERROR_WORDS: Final = thread_items.camel(
    "context_window_exceeded",
    "session_budget_exceeded",
    "usage_limit_exceeded",
    "rate_limit_exceeded",
    "flex_unavailable",
    "server_overloaded",
    "model_not_found",
    "policy_capacity_unavailable",
    "cyber_policy",
    "misalignment_policy_violation",
    "too_many_denials",
    "internal_server_error",
    "unauthorized",
    "bad_request",
    "thread_rollback_failed",
    "sandbox_error",
    "other",
    "inference_hook_denied",
)
"""The causes of a failure that are words; every other word is ``other``."""
_ERROR_OBJECTS: Final = thread_items.camel(
    "http_connection_failed",
    "response_stream_connection_failed",
    "response_stream_disconnected",
    "response_too_many_failed_attempts",
    "active_turn_not_steerable",
)
"""The causes of a failure that are objects with one member."""


# --- one record ------------------------------------------------------------------------------------------------------


def decode(record: JsonObject, fits: Callable[[JsonObject], bool] | None = None) -> JsonObject:
    """What a record says of turns: ``{"kind": "start" | "end" | "item" | "", ...}``.

    ``fits`` may judge the payloads of the records that say nothing of turns; without it, those with a known type fit.
    Raises :class:`UndecodableError`.
    """
    check_integers(record)
    thread_items.string(record, "timestamp")
    kind = thread_items.word(thread_items.required(record, "type"), thread_items.same(*RECORD_TYPES))
    payload = thread_items.as_object(thread_items.required(record, "payload"))
    event = ""
    if kind == "event_msg":
        event = thread_items.word(thread_items.required(payload, "type"), thread_items.same(*EVENT_TYPES))
    if event in {"task_started", "turn_started"}:
        return started(payload)
    if event in {"task_complete", "turn_complete"}:
        return completed(payload)
    if event == "turn_aborted":
        return aborted(payload)
    if event == "item_completed":
        return item_completed(payload)
    if fits is not None and not fits(record):
        raise UndecodableError(f"a {kind} record that does not fit")
    return {"kind": ""}


def check_integers(value: Any) -> None:
    """Refuse integers beyond 64 bits, wherever they stand."""
    if isinstance(value, dict):
        for member in value.values():
            check_integers(member)
    elif isinstance(value, list):
        for member in value:
            check_integers(member)
    elif isinstance(value, int) and not isinstance(value, bool):
        thread_items.as_integer(value, (I64[0], U64[1]))


def started(payload: JsonObject) -> JsonObject:
    """``task_started``: the turn runs."""
    thread_items.word(payload.get("collaboration_mode_kind", "default"), _MODES)
    thread_items.optional_string(payload, "trace_id")
    thread_items.optional_integer(payload, "model_context_window", I64)
    if payload.get("turn_attribution") is not None:
        attribution = thread_items.as_object(payload["turn_attribution"])
        thread_items.string(attribution, "turn_id")
        for name in ("turn_trigger", "parent_turn_id", "root_turn_id"):
            thread_items.optional_string(attribution, name)
        if attribution.get("initiating_agent_path") is not None:
            thread_items.agent_path(attribution["initiating_agent_path"])
    return {
        "kind": "start",
        "turn": thread_items.string(payload, "turn_id"),
        "root": thread_items.optional_string(payload, "root_turn_id"),
        "row": {
            "status": "inProgress",
            "error": None,
            "startedAt": thread_items.optional_integer(payload, "started_at", I64),
            "completedAt": None,
            "durationMs": None,
        },
    }


def completed(payload: JsonObject) -> JsonObject:
    """``task_complete``: the turn is completed, or failed when there is an error."""
    thread_items.optional_string(payload, "last_agent_message")
    thread_items.optional_integer(payload, "time_to_first_token_ms", I64)
    error = turn_error(payload)
    turn = thread_items.string(payload, "turn_id")
    return ended(payload, turn, "completed" if error is None else "failed", error)


def aborted(payload: JsonObject) -> JsonObject:
    """``turn_aborted``: the turn is interrupted, for whatever reason; an error is shown. Without an id: nothing."""
    thread_items.word(thread_items.required(payload, "reason"), _ABORT_REASONS)
    turn = thread_items.optional_string(payload, "turn_id")
    event = ended(payload, turn, "interrupted", turn_error(payload))
    return event if turn is not None else {"kind": ""}


def ended(payload: JsonObject, turn: str | None, status: str, error: JsonObject | None) -> JsonObject:
    """The end of a turn. Its own ``started_at`` is what counts from now on, also when it has none."""
    return {
        "kind": "end",
        "turn": turn,
        "root": thread_items.optional_string(payload, "root_turn_id"),
        "row": {
            "status": status,
            "error": error,
            "startedAt": thread_items.optional_integer(payload, "started_at", I64),
            "completedAt": thread_items.optional_integer(payload, "completed_at", I64),
            "durationMs": thread_items.optional_integer(payload, "duration_ms", I64),
        },
    }


def turn_error(payload: JsonObject) -> JsonObject | None:
    """The optional ``error`` as the server shows it."""
    if payload.get("error") is None:
        return None
    source = thread_items.as_object(payload["error"])
    return {
        "message": thread_items.string(source, "message"),
        "codexErrorInfo": error_info(source.get("codex_error_info")),
        "additionalDetails": None,
        "misalignment": None,
    }


def error_info(info: Any) -> Any:
    """The cause of a failure: null, a word, or an object with one member; an unknown one is ``other``."""
    if info is None:
        return None
    if isinstance(info, str):
        if info in _ERROR_OBJECTS:
            raise UndecodableError(f"{info} is no word")
        return _ERROR_WORDS.get(info, "other")
    if len(thread_items.as_object(info)) != 1:
        raise UndecodableError(f"not one variant: {info!r}")
    [(name, value)] = info.items()
    if name not in _ERROR_OBJECTS:
        if value is not None and name in {*_ERROR_WORDS, "bio_policy", "invalid_prompt"}:
            raise UndecodableError(f"{name} has no members")
        return _ERROR_WORDS.get(name, "other")
    value = thread_items.as_object(value)
    if name == "active_turn_not_steerable":
        kind = thread_items.word(thread_items.required(value, "turn_kind"), thread_items.same("review", "compact"))
        return {_ERROR_OBJECTS[name]: {"turnKind": kind}}
    return {_ERROR_OBJECTS[name]: {"httpStatusCode": thread_items.optional_integer(value, "http_status_code", U16)}}


def item_completed(payload: JsonObject) -> JsonObject:
    """``item_completed``: the thread id must be one, but may be any; a missing completion time is 0."""
    thread_items.thread_id(thread_items.required(payload, "thread_id"))
    thread_items.optional_integer(payload, "content_token_count", U64)
    started_at = thread_items.optional_integer(payload, "started_at_ms", I64)
    completed_at = thread_items.as_integer(payload.get("completed_at_ms", 0), I64) or None
    shown = thread_items.decode_item(thread_items.required(payload, "item"))
    return {
        "kind": "item",
        "turn": thread_items.string(payload, "turn_id"),
        "item": {**shown, "startedAtMs": started_at, "completedAtMs": completed_at},
    }


def is_timestamp(text: str) -> bool:
    """Whether ``text`` is an instant of RFC 3339: ``T`` in any case or a space, any fraction, a zone."""
    parts = re.fullmatch(
        r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]+)?"
        r"(?:[Zz]|[+\u2212-]([0-9]{2}):([0-9]{2}))",
        text,
    )
    if parts is None:
        return False
    year, month, day, hour, minute, second, zone_hour, zone_minute = (int(part or 0) for part in parts.groups())
    if not 1 <= month <= 12 or not 1 <= day <= calendar.monthrange(year + 400, month)[1]:
        return False
    return hour < 24 and minute < 60 and second <= 60 and zone_hour < 24 and zone_minute < 60


# --- one segment -----------------------------------------------------------------------------------------------------


def segment_bounds(segments: Sequence[JsonObject], index: int) -> tuple[int, int, int]:
    """The ordinal expected first, the first and the last (exclusive) ordinal that is shown, of one segment."""
    base = first_payload(segments[index]).get("history_base")
    expected = 0 if base is None else int(base["end_ordinal_exclusive"])
    end = U64[1] + 1
    if index + 1 < len(segments):
        end = int(first_payload(segments[index + 1])["history_base"]["end_ordinal_exclusive"])
    return expected, expected + 1, end


def first_payload(segment: JsonObject) -> JsonObject:
    """The payload of the first record, the ``session_meta``."""
    first = next(record for _, record in segment["records"] if record is not None)
    return thread_items.as_object(first["payload"])


def project(
    segments: Sequence[JsonObject], index: int, fits: Callable[[JsonObject], bool] | None = None
) -> tuple[dict[str, JsonObject], dict[tuple[str, str], JsonObject]]:
    """The rows of the turns and the items of one segment, by their ids, what is not shown left out."""
    rows: dict[str, JsonObject] = {}
    items: dict[tuple[str, str], JsonObject] = {}
    expected, first, end = segment_bounds(segments, index)
    copied_before = first_payload(segments[index]).get("subagent_history_start_ordinal") or 0
    for _, record in segments[index]["records"]:
        if record is None:
            continue
        try:
            event = decode(record, fits)
            ordinal = thread_items.as_integer(record.get("ordinal"), U64)
        except UndecodableError:
            continue
        if ordinal < expected:
            continue
        expected = ordinal + 1
        if ordinal < copied_before:
            continue
        if event["kind"] in {"start", "end"}:
            apply_turn(rows, items, ordinal, event)
        elif event["kind"] == "item" and (
            event["item"]["startedAtMs"] is not None or is_timestamp(record["timestamp"])
        ):
            apply_item(rows, items, ordinal, event)
    return (
        {turn: row for turn, row in rows.items() if first <= row["ordinal"] < end},
        {key: item for key, item in items.items() if first <= item["ordinal"] < end},
    )


def apply_turn(
    rows: dict[str, JsonObject], items: dict[tuple[str, str], JsonObject], ordinal: int, event: JsonObject
) -> None:
    """A start or an end of a turn: overwrites all but the place and a root turn id that is there."""
    new = {"id": event["turn"], "ordinal": ordinal, "root": None, "status": "inProgress", "first": None, "final": None}
    row = rows.setdefault(event["turn"], new)
    if row["status"] != "inProgress":
        return
    row.update(event["row"])
    row["root"] = event["root"] if row["root"] is None else row["root"]
    note_first(row, items)
    note_final(row, items)


def apply_item(
    rows: dict[str, JsonObject], items: dict[tuple[str, str], JsonObject], ordinal: int, event: JsonObject
) -> None:
    """A completed item: stays where it was completed first, keeps each time that it has, shows the last content.

    A turn that is closed does not see it.
    """
    item = event["item"]
    entry = items.setdefault((event["turn"], item["id"]), {"turn": event["turn"], "ordinal": ordinal, "item": item})
    times = {name: entry["item"][name] for name in ("startedAtMs", "completedAtMs") if entry["item"][name] is not None}
    entry["item"] = {**item, **times}
    row = rows.get(event["turn"])
    if row is None or row["status"] != "inProgress":
        return
    if item["type"] == "userMessage" and row["first"] is None:
        row["first"] = item["id"]
    elif item["type"] == "agentMessage" and item["phase"] == "final_answer":
        row["final"] = item["id"]


def note_first(row: JsonObject, items: dict[tuple[str, str], JsonObject]) -> None:
    """At a start or an end: the first user message that was made, unless there is one already."""
    messages = messages_of(row, items, "userMessage")
    if row["first"] is None and messages:
        row["first"] = messages[0]["id"]


def note_final(row: JsonObject, items: dict[tuple[str, str], JsonObject]) -> None:
    """At a start or an end: the last message made that is a final answer; at an end, else the last without a phase."""
    messages = messages_of(row, items, "agentMessage")
    answers = [message for message in messages if message["phase"] == "final_answer"]
    plain = [message for message in messages if message["phase"] is None]
    if answers:
        row["final"] = answers[-1]["id"]
    elif row["status"] != "inProgress" and plain:
        row["final"] = plain[-1]["id"]


def messages_of(row: JsonObject, items: dict[tuple[str, str], JsonObject], kind: str) -> list[JsonObject]:
    """The items of one type of the row's turn, in order."""
    ours = sorted((entry for entry in items.values() if entry["turn"] == row["id"]), key=lambda entry: entry["ordinal"])
    return [entry["item"] for entry in ours if entry["item"]["type"] == kind]


# --- the thread ------------------------------------------------------------------------------------------------------


def entries(segments: Sequence[JsonObject], fits: Callable[[JsonObject], bool] | None = None) -> list[JsonObject]:
    """All items of the thread in the order in which they were made: ``{"turn", "ordinal", "item"}``."""
    result: list[JsonObject] = []
    for index in range(len(segments)):
        _, items = project(segments, index, fits)
        result += sorted(items.values(), key=lambda entry: entry["ordinal"])
    return result


def list_items(segments: Sequence[JsonObject], fits: Callable[[JsonObject], bool] | None = None) -> list[JsonObject]:
    """``thread/items/list``, ascending, all pages in one."""
    return [
        {
            "turnId": entry["turn"],
            "item": entry["item"],
            "startedAtMs": entry["item"]["startedAtMs"],
            "completedAtMs": entry["item"]["completedAtMs"],
        }
        for entry in entries(segments, fits)
    ]


def newest_rows(segments: Sequence[JsonObject], fits: Callable[[JsonObject], bool] | None = None) -> list[JsonObject]:
    """The row that stands for each turn, in order; ``oldest`` and ``segment`` say where else to look."""
    newest: dict[str, JsonObject] = {}
    oldest: dict[str, JsonObject] = {}
    for index in range(len(segments)):
        rows, _ = project(segments, index, fits)
        for turn, row in rows.items():
            newest[turn] = {**row, "segment": index}
            oldest.setdefault(turn, newest[turn])
    ordered = sorted(newest.values(), key=lambda row: (row["segment"], row["ordinal"]))
    return [{**row, "oldest": oldest[row["id"]]} for row in ordered]


def shown_turn(row: JsonObject, view: str, items: list[JsonObject]) -> JsonObject:
    """A turn as the server writes it. Of a thread that is not running, a turn without an end was interrupted."""
    return {
        "id": row["id"],
        "rootTurnId": row["root"],
        "items": items,
        "itemsView": view,
        "status": "interrupted" if row["status"] == "inProgress" else row["status"],
        "error": row["error"],
        "startedAt": row["startedAt"],
        "completedAt": row["completedAt"],
        "durationMs": row["durationMs"],
    }


def list_turns(segments: Sequence[JsonObject], fits: Callable[[JsonObject], bool] | None = None) -> list[JsonObject]:
    """``thread/turns/list`` with ``itemsView`` full, ascending, all pages in one; also ``thread/read includeTurns``."""
    everything = entries(segments, fits)
    return [
        shown_turn(row, "full", [entry["item"] for entry in everything if entry["turn"] == row["id"]])
        for row in newest_rows(segments, fits)
    ]


def list_summaries(
    segments: Sequence[JsonObject], fits: Callable[[JsonObject], bool] | None = None
) -> list[JsonObject]:
    """``thread/turns/list`` with ``itemsView`` summary, ascending, all pages in one."""
    return [shown_turn(row, "summary", summary_items(segments, row, fits)) for row in newest_rows(segments, fits)]


def list_not_loaded(
    segments: Sequence[JsonObject], fits: Callable[[JsonObject], bool] | None = None
) -> list[JsonObject]:
    """``thread/turns/list`` with ``itemsView`` notLoaded, ascending, all pages in one."""
    return [shown_turn(row, "notLoaded", []) for row in newest_rows(segments, fits)]


def summary_items(
    segments: Sequence[JsonObject], row: JsonObject, fits: Callable[[JsonObject], bool] | None = None
) -> list[JsonObject]:
    """The first user message and the final agent message that the row knows, in the order in which they were made.

    An interrupted row that knows neither (the end that a fork writes for a turn that was running) shows those of the
    turn's oldest row. One item that is both (a user message that became an agent message) stands there twice, but once
    when it comes from the oldest row.
    """
    wanted = [row["first"], row["final"]]
    if row["status"] == "interrupted" and wanted == [None, None]:
        row = row["oldest"]
        wanted = list(dict.fromkeys([row["first"], row["final"]]))
    _, items = project(segments, row["segment"], fits)
    found = [items[row["id"], item] for item in wanted if (row["id"], item) in items]
    return [entry["item"] for entry in sorted(found, key=lambda entry: entry["ordinal"])]


# --- deferred outputs -------------------------------------------------------------------------------------------------


def deferred(entry: JsonObject, *, commands: bool, mcp_calls: bool) -> JsonObject:
    """An entry of ``thread/items/list`` with ``deferOutput``, which works when one turn (``turnId``) is asked for.

    Only what succeeded and has a completion time is deferred: the output of a command with exit code 0, the result
    of an MCP call that is plain text alone, and not meant for an app.
    """
    item = entry["item"]
    output: JsonObject = {}
    if item["completedAtMs"] is None or item.get("status") != "completed":
        return entry
    if (
        commands
        and item["type"] == "commandExecution"
        and item["exitCode"] == 0
        and item["aggregatedOutput"] is not None
    ):
        output = {"aggregatedOutput": None}
    elif mcp_calls and item["type"] == "mcpToolCall" and is_plain_text(item):
        output = {"result": {"content": [], "structuredContent": None, "_meta": None}}
    if not output:
        return entry
    return {
        "turnId": entry["turnId"],
        "item": {**item, **output},
        "outputDeferred": True,
        "startedAtMs": entry["startedAtMs"],
        "completedAtMs": entry["completedAtMs"],
    }


def is_plain_text(item: JsonObject) -> bool:
    """Whether an MCP call brought texts, at least one of them not empty, and nothing else."""
    result = item["result"]
    if item["error"] is not None or item["mcpAppUi"] is not None or "mcpAppResourceUri" in item or result is None:
        return False
    if result["structuredContent"] is not None or result["_meta"] is not None:
        return False
    parts = result["content"]
    texts = [part.get("text") for part in parts if isinstance(part, dict) and set(part) == {"type", "text"}]
    plain = len(texts) == len(parts) and all(isinstance(text, str) for text in texts)
    return plain and all(part["type"] == "text" for part in parts) and any(texts)


# --- pages -----------------------------------------------------------------------------------------------------------


def page(
    ordinals: Sequence[int],
    thread_id: str,
    kind: str,
    *,
    limit: int = 25,
    descending: bool,
    cursor: str | None = None,
) -> tuple[list[int], str | None, str | None]:
    """One page of rows at these (ascending) ordinals: places in the list, ``nextCursor``, ``backwardsCursor``.

    ``kind`` is ``turns`` or ``itemsByCreatedAtOrdinal``. A cursor is the ordinal of a row and whether that row is
    included; it needs no row to be there. ``nextCursor`` names the last row of a page that is not the last one,
    ``backwardsCursor`` the first row of a page that is not empty. A limit is at least 1 and at most 100.
    """
    places = list(range(len(ordinals)))
    if descending:
        places.reverse()
    if cursor is not None:
        anchor = json.loads(cursor)
        at, included = anchor["rolloutOrdinal"], anchor["includeAnchor"]
        places = [
            place
            for place in places
            if (ordinals[place] < at if descending else ordinals[place] > at) or (included and ordinals[place] == at)
        ]
    shown, more = places[: min(max(limit, 1), 100)], len(places) > min(max(limit, 1), 100)

    def name(place: int, *, included: bool) -> str:
        scope = {"kind": kind}
        position = {"requestedThreadId": thread_id, "rolloutOrdinal": ordinals[place], "includeAnchor": included}
        return json.dumps({**position, "scope": scope}, separators=(",", ":"))

    return (
        shown,
        name(shown[-1], included=False) if more else None,
        name(shown[0], included=True) if shown else None,
    )
