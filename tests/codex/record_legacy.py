"""Makes ``tests/fixtures/legacy``: crafted legacy rollouts, and the turns that Codex 0.169.0 shows for them.

Run it from the root of the repository::

    CODEX_BIN=/path/to/codex-0.169.0 python -m tests.codex.record_legacy

Each group of :data:`GROUPS` becomes one file, a list of ``{"name", "records", "turns", "summary"}``: ``records`` are
the lines of the rollout (an object is written as JSON, a string as it is), ``turns`` the answer of
``thread/turns/list`` with ``itemsView: "full"``, oldest first, and ``summary`` the same with ``"summary"``. Nothing
asks a model. All records are made up here; of Codex's own there is nothing but the answers, and in those the texts of
:data:`tests.oracle.thread_items.TRUE_TEXTS` are replaced.

It stops when ``thread/read`` or ``thread/resume`` answer other turns than ``thread/turns/list``: they never do.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from tests.codex.client import AppServer, RpcError, write_config
from tests.oracle.thread_items import TRUE_TEXTS
from tests.oracle.turns_legacy import INVENTED_ID

JsonObject = dict[str, Any]
"""One JSON object."""

Line = JsonObject | str
"""A line of a rollout: a record, or a text that is written as it is."""

FIXTURES: Final = Path(__file__).parent.parent / "fixtures" / "legacy"
"""Where the cases are."""

OTHER: Final = "01a20000-0000-7000-8000-0000000000aa"
"""The id of some other thread."""

THIS: Final = "THIS"
"""Stands for the id of the case's own thread."""


# --------------------------------------------------------------------------------------------------------------------
# Records


def meta(thread_id: str = THIS, **fields: object) -> JsonObject:
    """The first record of a thread."""
    payload = {
        "session_id": thread_id,
        "id": thread_id,
        "timestamp": "2026-11-22T10:00:00.000Z",
        "cwd": "/home/me/project",
        "originator": "tests",
        "cli_version": "0.169.0",
        "source": "vscode",
        "model_provider": "mock",
        "base_instructions": {"text": "Be brief."},
        "history_mode": "legacy",
    }
    return {"type": "session_meta", "payload": {**payload, **fields}}


def record(kind: str, /, **fields: object) -> JsonObject:
    return {"type": kind, "payload": fields}


def event(kind: str, /, **fields: object) -> JsonObject:
    return {"type": "event_msg", "payload": {"type": kind, **fields}}


def response(kind: str, /, **fields: object) -> JsonObject:
    return {"type": "response_item", "payload": {"type": kind, **fields}}


def user(text: str, **fields: object) -> JsonObject:
    return event("user_message", message=text, **fields)


def agent(text: str, **fields: object) -> JsonObject:
    return event("agent_message", message=text, **fields)


def started(turn_id: str, **fields: object) -> JsonObject:
    return event("task_started", turn_id=turn_id, **fields)


def complete(turn_id: str, **fields: object) -> JsonObject:
    return event("task_complete", turn_id=turn_id, last_agent_message=None, **fields)


def aborted(turn_id: str | None = None, **fields: object) -> JsonObject:
    named = {} if turn_id is None else {"turn_id": turn_id}
    return event("turn_aborted", **named, reason="interrupted", **fields)


def failure(message: str, info: object = None) -> JsonObject:
    return {"message": message, "codex_error_info": info}


def rolled_back(count: int) -> JsonObject:
    return event("thread_rolled_back", num_turns=count)


def message(role: str, text: str, **fields: object) -> JsonObject:
    kind = "output_text" if role == "assistant" else "input_text"
    return response("message", role=role, content=[{"type": kind, "text": text}], **fields)


def thought(text: str) -> JsonObject:
    return event("agent_reasoning", text=text)


def raw_thought(text: str) -> JsonObject:
    return event("agent_reasoning_raw_content", text=text)


def compacted(text: str = "what was said", **fields: object) -> JsonObject:
    return record("compacted", message=text, **fields)


def finished(item: JsonObject, turn_id: str, **fields: object) -> JsonObject:
    return event("item_completed", thread_id=OTHER, turn_id=turn_id, item=item, **fields)


def plan(text: str, item_id: str = "plan") -> JsonObject:
    return {"type": "Plan", "id": item_id, "text": text}


def turn(turn_id: str, *inner: Line) -> list[Line]:
    return [started(turn_id), user(f"ask {turn_id}"), agent(f"say {turn_id}"), *inner, complete(turn_id)]


def patch(call_id: str = "patch", **fields: object) -> JsonObject:
    changes = {"/home/me/a.txt": {"type": "add", "content": "one\n"}}
    base = {"stdout": "", "stderr": "", "success": True, "status": "completed", "changes": changes}
    return event("patch_apply_end", call_id=call_id, **{**base, **fields})


def mcp(call_id: str = "mcp", **fields: object) -> JsonObject:
    base = {
        "invocation": {"server": "notes", "tool": "find", "arguments": {"word": "sea"}},
        "duration": {"secs": 1, "nanos": 234_567_890},
        "result": {"Ok": {"content": [{"type": "text", "text": "found"}]}},
    }
    return event("mcp_tool_call_end", call_id=call_id, **{**base, **fields})


def web(call_id: str, action: object, **fields: object) -> JsonObject:
    return event("web_search_end", call_id=call_id, query="sea", action=action, **fields)


def image(call_id: str, **fields: object) -> JsonObject:
    return event("image_generation_end", call_id=call_id, status="completed", **{"result": "UE5H", **fields})


def review_finding(title: str, body: str, **fields: object) -> JsonObject:
    location = {"absolute_file_path": "/home/me/a.py", "line_range": {"start": 3, "end": 5}}
    base = {"title": title, "body": body, "confidence_score": 0.9, "priority": 1, "code_location": location}
    return {**base, **fields}


def reviewed(explanation: str, *findings: JsonObject, **fields: object) -> JsonObject:
    output = {
        "findings": list(findings),
        "overall_correctness": "fine",
        "overall_explanation": explanation,
        "overall_confidence_score": 0.5,
    }
    return event("exited_review_mode", review_output=output, **fields)


def activity(event_id: str, kind: str, **fields: object) -> JsonObject:
    path = {"agent_path": "/root/helper", "agent_thread_id": OTHER}
    return event("sub_agent_activity", event_id=event_id, kind=kind, **{**path, **fields})


def hook(text: str, **fields: object) -> JsonObject:
    return message("user", text, **fields)


HOOK: Final = '<hook_prompt hook_run_id="run">go on</hook_prompt>'
TOKENS: Final = event("token_count", info=None, rate_limits=None)
ENTERED: Final = {"type": "uncommittedChanges"}
CONTEXT: Final = {"cwd": "/home/me", "approval_policy": "never", "model": "m", "summary": "auto"}
PROFILE: Final = {"type": "disabled"}
USAGE: Final = {
    "input_tokens": 1,
    "cached_input_tokens": 0,
    "output_tokens": 1,
    "reasoning_output_tokens": 0,
    "total_tokens": 2,
}
SPAWNED: Final = {
    "subagent": {
        "thread_spawn": {
            "parent_thread_id": OTHER,
            "depth": 1,
            "agent_path": None,
            "agent_nickname": None,
            "agent_role": None,
        }
    }
}

# --------------------------------------------------------------------------------------------------------------------
# Cases: name -> lines after the first session_meta. A case that begins with a session_meta, or with None, brings its
# own first line.

Cases = dict[str, list[Line]]


def boundaries() -> Cases:
    """Where turns begin and end."""
    return {
        "nothing but session_meta": [],
        "nothing to show": [TOKENS],
        "a whole turn": [
            started("t", started_at=100, root_turn_id="root"),
            user("ask"),
            agent("say"),
            complete("t", root_turn_id="later", started_at=101, completed_at=105, duration_ms=5000),
        ],
        "no times": turn("t"),
        "times come from where they stand": [
            started("t"),
            complete("t", started_at=20, completed_at=30, duration_ms=9),
        ],
        "negative times": [started("t", started_at=-5), complete("t", completed_at=-1, duration_ms=-2)],
        "the root turn comes from the start alone": [
            started("t", turn_attribution={"turn_id": "t", "root_turn_id": "a"}),
            complete("t", root_turn_id="b"),
        ],
        "the other names of start and end": [
            event("turn_started", turn_id="t"),
            user("ask"),
            event("turn_complete", turn_id="t", completed_at=1),
        ],
        "no lifecycle at all": [user("a"), agent("b"), user("c"), agent("d")],
        "no lifecycle, with response items": [
            message("user", "a"),
            user("a"),
            message("assistant", "b"),
            agent("b"),
            user("c"),
        ],
        "lifecycle without ids": [
            event("task_started", model_context_window=5),
            user("a"),
            agent("b"),
            event("task_complete", last_agent_message="b"),
            user("c"),
        ],
        "steering": [started("t"), user("a"), agent("b"), user("c"), agent("d"), complete("t")],
        "events after the end": [*turn("t"), agent("late"), agent("later"), *turn("u")],
        "events before the first turn": [agent("early"), thought("hm"), *turn("t")],
        "a turn without a user message": [started("t"), agent("alone"), complete("t")],
        "empty turns with a start stay": [started("t"), complete("t"), *turn("u")],
        "an empty turn at the end": [*turn("t"), started("u")],
        "a start while a turn is open": [started("t", started_at=5), user("a"), *turn("u")],
        "the end of the file in a turn": [started("t", started_at=5), user("a"), agent("b")],
        "the end of the file in a turn without a start": [user("a"), agent("b")],
        "an end of an unknown turn ends the open one": [
            started("t"),
            user("a"),
            complete("x", completed_at=9),
            agent("after"),
        ],
        "an end of an unknown turn with none open": [*turn("t"), complete("x", completed_at=9), agent("after")],
        "an end of an unknown turn ends one without a start": [user("a"), complete("x", completed_at=3), agent("b")],
        "a second end of a finished turn": [
            started("t"),
            complete("t", completed_at=5, duration_ms=6),
            started("u"),
            complete("t", completed_at=9),
            agent("still u"),
            complete("u"),
        ],
        "two turns of one id": [
            started("t", started_at=1),
            user("a"),
            complete("t"),
            started("t", started_at=2),
            user("b"),
            complete("t", completed_at=9),
            started("u"),
            complete("t", completed_at=11),
        ],
        "a turn started twice": [
            started("t", started_at=1),
            user("a"),
            started("t", started_at=2),
            user("b"),
            complete("t", completed_at=9),
        ],
        "bad start": [started("t", started_at="soon"), user("a"), started("u", started_at=1.5), user("b")],
        "unknown collaboration mode": [started("t", collaboration_mode_kind="new"), user("a")],
        "turn context opens nothing": [
            record("turn_context", **CONTEXT, turn_id="t", permission_profile=PROFILE),
            user("a"),
        ],
    }


def endings() -> Cases:
    """Interruptions and errors."""
    return {
        "interrupted": [
            started("t", started_at=1),
            user("a"),
            aborted("t", started_at=7, completed_at=4, duration_ms=3),
            agent("after"),
            user("b"),
        ],
        "interrupted without id": [started("t"), user("a"), aborted(completed_at=4), agent("after"), *turn("u")],
        "interrupted without id or start": [user("a"), aborted(), agent("after"), user("b")],
        "an unknown id spares a turn with a start": [
            started("t"),
            user("a"),
            aborted("x", completed_at=4),
            agent("still t"),
            complete("t"),
        ],
        "an unknown id at the end of the file": [started("t"), user("a"), aborted("x", completed_at=4), agent("b")],
        "an unknown id ends a turn without a start": [
            user("a"),
            aborted("x", completed_at=4, duration_ms=3),
            agent("b"),
        ],
        "an unknown id spares a turn that a review opened": [
            event("entered_review_mode", target=ENTERED, turn_id="r"),
            aborted("x", completed_at=4),
            agent("still r"),
            complete("y", completed_at=5),
            agent("after"),
        ],
        "an interruption with nothing open": [aborted(), aborted("x"), user("a")],
        "interrupted after its end": [
            started("t"),
            complete("t", completed_at=5, duration_ms=6),
            started("u"),
            aborted("t", completed_at=9),
            agent("still u"),
            complete("u"),
        ],
        "ended after an interruption": [started("t"), aborted("t", completed_at=1), complete("t", completed_at=3)],
        "ended, interrupted, ended": [
            started("t"),
            complete("t", completed_at=4),
            aborted("t", completed_at=5),
            complete("t", completed_at=6, duration_ms=7),
        ],
        "replaced": [started("t"), event("turn_aborted", turn_id="t", reason="replaced", completed_at=3)],
        "a reason that nobody knows": [started("t"), event("turn_aborted", turn_id="t", reason="new", completed_at=3)],
        "interrupted by an error": [started("t"), aborted("t", error=failure("no money", "usage_limit_exceeded"))],
        "interrupted by an error, then again": [started("t"), aborted("t", error=failure("first")), aborted("t")],
        "failed": [started("t"), user("a"), complete("t", error=failure("boom", "server_overloaded"), completed_at=4)],
        "failed without a kind": [started("t"), complete("t", error={"message": "boom"})],
        "failed with an unknown kind": [started("t"), complete("t", error=failure("boom", "new"))],
        "failed with an unknown kind of object": [started("t"), complete("t", error=failure("boom", {"new": {}}))],
        "failed with a kind that is none": [started("t"), complete("t", error=failure("boom", 5), completed_at=1)],
        "failed with a status": [
            started("t"),
            complete("t", error=failure("boom", {"response_stream_disconnected": {"http_status_code": 503}})),
            started("u"),
            complete("u", error=failure("boom", {"http_connection_failed": {}})),
        ],
        "failed because it could not be steered": [
            started("t"),
            complete("t", error=failure("no", {"active_turn_not_steerable": {"turn_kind": "review"}})),
        ],
        "failed, then ended": [started("t"), complete("t", error=failure("boom")), complete("t", completed_at=5)],
        "failed twice": [
            started("t"),
            complete("t", error=failure("one")),
            complete("t", error=failure("two", "bad_request")),
        ],
        "failed, then interrupted": [started("t"), complete("t", error=failure("boom")), aborted("t", completed_at=5)],
        "kinds of errors": [
            line
            for kind in (
                "context_window_exceeded",
                "session_budget_exceeded",
                "rate_limit_exceeded",
                "flex_unavailable",
                "model_not_found",
                "cyber_policy",
                "bio_policy",
                "policy_capacity_unavailable",
                "misalignment_policy_violation",
                "too_many_denials",
                "internal_server_error",
                "unauthorized",
                "invalid_prompt",
                "sandbox_error",
                "thread_rollback_failed",
                "inference_hook_denied",
                "other",
            )
            for line in (started(kind), complete(kind, error=failure("boom", kind)))
        ],
        "error events of old files are not there": [
            user("a"),
            event("error", message="boom", codex_error_info="other"),
            event("stream_error", message="again"),
            agent("b"),
            user("c"),
        ],
    }


def counting() -> Cases:
    """What is read at all: the ids of turns without a start count the records before them."""
    broken = '{"timestamp":"2026-11-22T10:00:00.000Z","ty'
    return {
        "what does not decode is not counted": [
            "no JSON",
            "[]",
            "",
            "   ",
            broken,
            record("new_kind"),
            event("new_event"),
            response("new_item"),
            response("ghost_snapshot", ghost_commit={"id": "c"}),
            user("a"),
        ],
        "events that are not kept are not counted": [
            event("warning", message="w"),
            event(
                "exec_command_begin", call_id="c", command=["ls"], cwd="file:///", parsed_cmd=[], turn_id="rollout-1"
            ),
            event(
                "exec_command_end",
                call_id="c",
                command=["ls"],
                cwd="file:///",
                parsed_cmd=[],
                turn_id="rollout-1",
                exit_code=0,
                duration={"secs": 0, "nanos": 0},
                status="completed",
            ),
            event("view_image_tool_call", call_id="v", path="file:///a.png"),
            event("web_search_begin", call_id="w"),
            event("shutdown_complete"),
            activity("e", "completed"),
            finished({"type": "ContextCompaction", "id": "i"}, "rollout-1"),
            response("other"),
            response("compaction_trigger"),
            record("realtime_item", id="r", realtime_session_id="s", type="realtime_session_started"),
            user("a"),
        ],
        "records that are kept are counted": [
            meta(OTHER),
            meta(THIS, memory_mode="disabled"),
            record("turn_context", **CONTEXT, permission_profile=PROFILE),
            record("world_state", full=True, state={}),
            record(
                "token_usage_record",
                thread_id=OTHER,
                session_id=OTHER,
                turn_id="t",
                root_turn_id="t",
                response_id="r",
                usage=USAGE,
                turn_token_usage=USAGE,
                thread_token_usage=USAGE,
            ),
            record("inter_agent_communication", author="/root", recipient="/root/a", content="c", trigger_turn=True),
            record("inter_agent_communication_metadata", trigger_turn=True),
            record("dynamic_tools_updated", thread_id=OTHER, tools=[]),
            record("security_risk_score", scores={"a": 0.5}, action="allow"),
            record("retained_context", type="verified_answer", call_id="c", questions=[], turn_id="t"),
            TOKENS,
            rolled_back(0),
            complete("x"),
            response("reasoning", summary=[]),
            response("function_call", call_id="c", name="n", arguments="{}"),
            response("function_call_output", call_id="c", output="o"),
            response("compaction_summary", encrypted_content="e"),
            user("a"),
        ],
        "old turn contexts": [
            record("turn_context", **CONTEXT, sandbox_policy={"type": "danger-full-access"}),
            user("counted"),
            record("turn_context", **CONTEXT, sandbox_policy={"mode": "danger-full-access"}),
            user("not counted"),
            record("turn_context", **CONTEXT),
            user("not counted either"),
        ],
        "the envelope": [
            '{"type":"event_msg","payload":{"type":"token_count"}}',
            '{"timestamp":5,"type":"event_msg","payload":{"type":"token_count"}}',
            '{"timestamp":"t","ordinal":"x","type":"event_msg","payload":{"type":"token_count"}}',
            '{"timestamp":"t","type":"event_msg","payload":null}',
            user("none of them counted"),
            '{"timestamp":"t","type":"event_msg","payload":{"type":"token_count"}}',
            '{"timestamp":"t","ordinal":7,"type":"event_msg","payload":{"type":"token_count"},"more":1}',
            '  {"payload":{"type":"token_count"},"type":"event_msg","timestamp":"t"}\r',
            user("all of them counted"),
        ],
        "a wrong field": [
            event("user_message"),
            user("a", text_elements=None),
            user("b", images="u"),
            user("c", local_images=None),
            agent("d", phase="new"),
            event("agent_reasoning"),
            event("thread_rolled_back", num_turns=-1),
            event("token_count", info="x"),
            record("compacted"),
            compacted(replacement_history=[{"type": "message"}]),
            compacted(replacement_history_metadata=[]),
            user("the only one"),
        ],
        "an unknown response item in a checkpoint": [compacted(replacement_history=[{"type": "new"}]), user("a")],
        "carriage returns": [json.dumps(at_second(user("a"), 1)) + "\r", json.dumps(at_second(agent("b"), 2)) + "\r"],
        "a blank first line": ["", meta(), user("a")],
        "garbage before the session_meta": ["garbage", meta(), user("a")],
        "an event before the session_meta": [TOKENS, meta(), user("a")],
        "a foreign session_meta first": [meta(OTHER), meta(), user("a")],
        "a history base that legacy threads do not follow": [
            meta(history_base={"thread_id": OTHER, "end_ordinal_exclusive": 3, "end_byte_offset": 400}),
            user("a"),
        ],
        "NUL bytes at the end": [user("a"), "\0\0\0\0"],
        "a torn line at the end": [user("a"), agent("b"), broken],
    }


def messages() -> Cases:
    """User and agent messages, reasoning."""
    pictures = {"images": ["u1", "u2"], "file_ids": ["f1", "f2"]}
    sounds = {"audio": ["a1", "a2"], "audio_references": [{"file_id": "f1"}]}
    return {
        "everything that a user can send": [
            user(
                "look",
                client_id="client",
                images=["https://example.org/1.png", "data:image/png;base64,AA"],
                image_details=["high", None],
                local_images=["/home/me/1.png", "2.png"],
                local_image_details=[None, "low"],
                audio=["data:audio/wav;base64,AA"],
                local_audio=["/home/me/1.wav"],
                text_elements=[
                    {"byte_range": {"start": 0, "end": 2}, "placeholder": "lo"},
                    {"byte_range": {"start": 3, "end": 4}},
                ],
            )
        ],
        "blank text": [started("t"), user(""), user(" \n"), user("", images=["u"])],
        "fewer details than images": [user("a", images=["u", "v"], image_details=["auto"], local_images=["p"])],
        "a kind that old versions wrote": [user("a", kind="plain", images=None)],
        "image order": [
            started("t"),
            user("right", **pictures, image_order=["file", "inline", "file", "inline"], file_id_details=["low"]),
            user("none", **pictures),
            user("short", **pictures, image_order=["file"]),
            user("wrong counts", **pictures, image_order=["file", "file", "file", "inline"]),
        ],
        "audio order": [
            started("t"),
            user("right", **sounds, audio_order=["inline", "file", "inline"]),
            user("none", **sounds),
            user("wrong counts", **sounds, audio_order=["file"]),
            user("no references", audio=["a1"], audio_order=["inline"]),
            user("empty references", audio=["a1"], audio_references=[]),
            user("empty references, in order", audio=["a1"], audio_references=[], audio_order=["inline"]),
            user(
                "references with addresses",
                audio=["a1"],
                audio_references=[{"file_id": "f1"}, {"audio_url": "x"}],
                audio_order=["inline", "file", "file"],
            ),
        ],
        "everything that an agent can say": [
            started("t"),
            agent("one", phase="commentary", memory_citation=None),
            agent(
                "two",
                phase="final_answer",
                delivery="async",
                questions=[{"title": "q"}, {"title": "r", "options": ["s"]}],
            ),
            agent(
                "three",
                phase="partial_answer",
                memory_citation={
                    "entries": [{"path": "p", "lineStart": 1, "lineEnd": 2, "note": "n"}],
                    "rolloutIds": ["r"],
                },
            ),
            agent(
                "four",
                moderation={"item_id": "given", "moderated": True, "display": {"action": "hide", "blockType": "b"}},
            ),
            agent("five", moderation={"item_id": "given", "moderated": False}),
            agent("six"),
        ],
        "agent messages that say nothing": [started("t"), agent(""), agent(" "), complete("t"), agent(""), user("a")],
        "reasoning is gathered": [
            started("t"),
            user("a"),
            thought("one"),
            raw_thought("raw"),
            TOKENS,
            message("assistant", "x"),
            thought("two"),
            agent("b"),
            raw_thought("raw alone"),
            thought("three"),
            mcp(),
            thought("after a call"),
            agent(""),
            thought("more"),
            mcp(),
            thought("after the call was replaced in its place"),
        ],
        "reasoning does not go over turns": [thought("a"), started("t"), thought("b"), complete("t"), thought("c")],
        "empty reasoning opens nothing": [thought(""), raw_thought(""), user("a")],
        "response items show nothing": [
            started("t"),
            message("user", "typed"),
            message("assistant", "answered"),
            message("developer", "rules"),
            response("function_call", call_id="c", name="exec_command", arguments='{"cmd":"ls"}'),
            response("function_call_output", call_id="c", output="a"),
            response("custom_tool_call", call_id="p", name="apply_patch", input="x"),
            response("web_search_call", id="w", status="completed", action={"type": "search", "query": "sea"}),
            response("local_shell_call", call_id="l", status="completed", action={"type": "exec", "command": ["ls"]}),
            record("inter_agent_communication", author="/root", recipient="/root/a", content="c", trigger_turn=True),
        ],
        "hook prompts": [
            started("t"),
            hook(HOOK, id="one"),
            response(
                "message",
                role="user",
                id="two",
                content=[
                    {"type": "input_text", "text": "<x more=\"1\" hook_run_id='a&amp;b'>c &lt; d</x> tail"},
                    {
                        "type": "input_text",
                        "text": '\n<?xml version="1.0"?><hook_prompt hook_run_id=" r ">\ntwo\n</hook_prompt>\n',
                    },
                ],
            ),
            hook(HOOK, id="one"),
            hook("<hook_prompt hook_run_id='r'>first<b>second</b></hook_prompt>", id="three"),
        ],
        "hook prompts end reasoning": [started("t"), thought("a"), hook(HOOK, id="h"), thought("b")],
        "a hook prompt opens a turn": [hook(HOOK, id="h"), user("a")],
        "a hook prompt without an id": [started("t"), hook(HOOK)],
        "no hook prompts": [
            hook('<hook_prompt hook_run_id=" ">blank run</hook_prompt>', id="a"),
            hook('<hook_prompt hook_run_id="r"> </hook_prompt>', id="b"),
            hook('<hook_prompt hook_run_id="r"/>', id="c"),
            hook("<hook_prompt>no run</hook_prompt>", id="d"),
            hook('<hook_prompt hook_run_id="r">not closed', id="e"),
            hook('<hook_prompt hook_run_id="r">a & b</hook_prompt>', id="f"),
            hook("before " + HOOK, id="g"),
            message("developer", HOOK, id="h"),
            response(
                "message",
                role="user",
                id="i",
                content=[{"type": "input_text", "text": HOOK}, {"type": "input_text", "text": "and this"}],
            ),
            response(
                "message",
                role="user",
                id="j",
                content=[{"type": "input_text", "text": HOOK}, {"type": "input_image", "image_url": "u"}],
            ),
            user("a"),
        ],
        "summaries": [
            *turn("two answers", agent("last")),
            *turn("phases", agent("final", phase="final_answer"), agent("comment", phase="commentary")),
            *turn("steered", user("more"), agent("done")),
            started("agent first"),
            agent("before"),
            user("after"),
            complete("agent first"),
            started("agent alone"),
            agent("alone"),
            complete("agent alone"),
            started("neither"),
            thought("hm"),
            complete("neither"),
            started("open"),
            user("a"),
            agent("b", phase="commentary"),
        ],
    }


def calls() -> Cases:
    """Tool calls that events show, and in which turn."""
    update = {"type": "update", "unified_diff": "@@ -1 +1 @@\n-a\n+b\n"}
    return {
        "patches": [
            started("t"),
            patch(
                changes={
                    "/z": {"type": "add", "content": "new\n"},
                    "/Z": {"type": "delete", "content": "old\n"},
                    "/m": {**update, "move_path": None},
                    "/n": {**update, "move_path": "/o"},
                    "/é": update,
                    "relative": {"type": "add", "content": ""},
                }
            ),
            patch("failed", success=False, status="failed"),
            patch("declined", success=False, status="declined"),
            event("patch_apply_end", call_id="no changes", stdout="", stderr="", success=True, status="completed"),
            event("patch_apply_end", call_id="no status", stdout="", stderr="", success=True),
        ],
        "a patch belongs to the turn that it names": [
            *turn("t"),
            started("u"),
            patch("to t", turn_id="t"),
            patch("lost", turn_id="x"),
            patch("to u, no name", turn_id=""),
            patch("to u", turn_id="u"),
            complete("u"),
            patch("its own turn"),
            patch("to u, late", turn_id="u"),
        ],
        "a patch of an unknown turn opens nothing": [patch(turn_id="x"), user("a")],
        "MCP calls": [
            started("t"),
            mcp(
                connector_id="c",
                link_id="l",
                app_name="app",
                action_name="act",
                mcp_app_resource_uri="ui://a",
                mcp_app_ui={"resourceUri": "ui://b", "preferredModelDisplayMode": "inline"},
                plugin_id="p",
                read_only_hint=True,
            ),
            mcp("resource alone", mcp_app_resource_uri="ui://a", link_id="l"),
            mcp(
                "said no",
                result={"Ok": {"content": [], "isError": True, "structuredContent": {"k": 1}, "_meta": {"z": 2}}},
            ),
            mcp("no answer", result={"Err": "gone"}, invocation={"server": "s", "tool": "t"}),
            mcp(
                "old spelling", result={"Ok": {"content": [], "is_error": True}}, duration={"secs": 0, "nanos": 999_999}
            ),
            mcp("both", result={"Ok": {"content": []}, "Err": "x"}),
            mcp("no result", result={}),
        ],
        "an MCP call belongs to the turn that it names": [
            *turn("t"),
            started("u"),
            mcp("to t", turn_id="t"),
            mcp("lost", turn_id="x"),
            complete("u"),
            mcp("to u, late", turn_id="u"),
            mcp("lost, too", turn_id="x"),
            mcp("its own turn"),
        ],
        "web searches": [
            started("t"),
            web("1", {"type": "search", "query": "sea"}),
            web("2", {"type": "search", "queries": ["sea", "sun"]}, results=[{"title": "t"}]),
            web("3", {"type": "open_page", "url": "u"}),
            web("4", {"type": "find_in_page", "url": "u", "pattern": "p"}),
            web("5", {"type": "other"}),
            web("6", {"type": "new"}),
            web("7", None),
        ],
        "images": [
            started("t"),
            image("plain"),
            image(
                "full",
                revised_prompt="r",
                saved_path="/home/me/i.png",
                transparent_background=True,
                generation_id="g",
                input_images=[{"path": "/home/me/j.png", "sha256": "00"}],
                failure={"type": "usageLimitExceeded", "limitId": "l", "resetsAt": 5},
            ),
            image("file", result=None, fileId="f"),
            image("both", fileId="f"),
            image("empty", result=""),
            image("none", result=None),
            image("relative", saved_path="i.png"),
        ],
        "sub-agents": [
            started("t"),
            activity("one", "started", occurred_at_ms=5),
            activity("two", "interrupted", model="m", reasoning_effort="high"),
            activity("one", "interacted", occurred_at_ms=9, agent_thread_id=OTHER.upper()),
            activity("bad path", "started", agent_path="/elsewhere"),
            finished(
                {
                    "type": "SubAgentActivity",
                    "id": "two",
                    "kind": "completed",
                    "agent_thread_id": OTHER,
                    "agent_path": "/root/helper",
                },
                "t",
                completed_at_ms=20,
            ),
        ],
        "a call comes again": [
            started("t"),
            user("a"),
            mcp(),
            agent("b"),
            mcp(result={"Err": "later"}),
            complete("t"),
            started("u"),
            mcp(),
        ],
        "a call of another kind takes the place": [started("t"), mcp("same"), agent("b"), patch("same")],
        "a call with the id of a message": [started("t"), user("a"), mcp("item-1"), agent("b")],
        "calls without a turn": [mcp(), user("a"), complete("x"), web("w", {"type": "other"}), image("i"), user("b")],
    }


def lifecycle_items() -> Cases:
    """``item_completed``, reviews, compactions."""
    output = [{"type": "input_text", "text": "x"}, {"type": "input_image", "image_url": "u", "detail": "high"}]
    return {
        "items that are kept": [
            started("t"),
            finished(plan("do"), "t", started_at_ms=4000, completed_at_ms=5000),
            finished({"type": "FunctionCallOutput", "id": "f", "name": "n", "namespace": "s", "output": output}, "t"),
            finished({"type": "FunctionCallOutput", "id": "g", "name": "n", "output": "text"}, "t", completed_at_ms=7),
            finished({"type": "Extension", "kind": "clock.sleep", "id": "s", "durationMs": 500}, "t", started_at_ms=0),
        ],
        "items that are not": [
            started("t"),
            finished({"type": "AgentMessage", "id": "a", "content": [{"type": "Text", "text": "x"}]}, "t"),
            finished({"type": "Extension", "kind": "web.search", "id": "w", "query": "q"}, "t"),
            finished({"type": "ContextCompaction", "id": "c"}, "t"),
            finished({"type": "FunctionCallOutput", "id": "f", "name": "n", "output": [{"type": "new"}]}, "t"),
            finished({"type": "New", "id": "n"}, "t"),
            finished(plan("x"), "t", completed_at_ms=None),
        ],
        "plans": [
            started("t"),
            finished(plan("first"), "t", started_at_ms=5),
            finished(plan(""), "t"),
            finished(plan("second"), "t", started_at_ms=7, completed_at_ms=8),
            complete("t"),
            finished(plan("third"), "t"),
            finished(plan("lost"), "x"),
            user("a"),
            finished(plan("in a turn without a start"), "rollout-8"),
        ],
        "an empty plan shows nothing but times": [
            started("t"),
            hook(HOOK, id="h"),
            finished(plan("", "h"), "t", started_at_ms=3, completed_at_ms=4),
            finished(plan("", "mcp"), "x", started_at_ms=3, completed_at_ms=4),
            complete("t"),
            started("x"),
            mcp(),
        ],
        "the first times stay, whatever takes the place": [
            started("t"),
            finished(plan("x", "mcp"), "t", started_at_ms=5, completed_at_ms=6),
            mcp(),
        ],
        "reviews": [
            started("t"),
            event("entered_review_mode", target=ENTERED, user_facing_hint="current changes"),
            reviewed("all is well"),
            event("entered_review_mode", target={"type": "baseBranch", "branch": "main"}),
            event("entered_review_mode", target={"type": "custom", "instructions": "i"}, item_id="given", turn_id="t"),
            event("entered_review_mode", user_facing_hint="no target"),
            event("entered_review_mode", target={"type": "new"}),
            event("exited_review_mode"),
        ],
        "what reviews say": [
            started("t"),
            reviewed(
                "two things \n", review_finding("One", "first\nsecond"), review_finding("Two", "third\r\n\nfourth ")
            ),
            reviewed(" ", review_finding("One", "")),
            reviewed(""),
            reviewed("x", review_finding("no priority", "body", priority=None)),
        ],
        "reviews open the turn that they name": [
            user("a"),
            event("entered_review_mode", target=ENTERED, item_id="in", turn_id="r"),
            agent("b"),
            reviewed("done", item_id="out", turn_id="r"),
            user("c"),
            reviewed("late", item_id="late", turn_id="r"),
            started("t"),
            reviewed("other", turn_id="x"),
            agent("goes on there"),
            complete("t"),
        ],
        "a compaction of its own turn": [started("t"), TOKENS, compacted(), event("context_compacted"), complete("t")],
        "an old compaction stays as an empty turn": [user("a"), complete("x"), compacted(), *turn("t")],
        "a compaction alone": [compacted()],
        "a compaction before the first message": [compacted(), user("a"), agent("b")],
        "a compaction after a message": [user("a"), compacted(), user("b")],
        "a shown compaction before a message": [compacted(), event("context_compacted"), user("a")],
        "a compaction that is ended": [compacted(), complete("x", completed_at=3), user("a")],
        "a compaction that is interrupted": [compacted(), aborted(completed_at=3), user("a")],
    }


def rollbacks() -> Cases:
    """``thread_rolled_back``."""
    one, two, three, four = (turn(name) for name in ("one", "two", "three", "four"))
    return {
        "the last turn": [*one, *two, *three, rolled_back(1), *four],
        "two turns": [*one, *two, *three, rolled_back(2), *four],
        "more than there are": [*one, *two, rolled_back(9), *four],
        "far more than there are": [*one, rolled_back(2**32 - 1), *four],
        "a number that does not decode": [*one, rolled_back(2**32), *four],
        "none": [*one, rolled_back(0), *four],
        "none, in an open turn": [started("t"), user("a"), rolled_back(0), agent("b"), complete("t", completed_at=3)],
        "none, in a turn without a start": [user("a"), rolled_back(0), agent("b")],
        "in an open turn": [*one, started("t"), user("a"), rolled_back(1), agent("late"), complete("t"), user("b")],
        "several": [*one, *two, *three, rolled_back(1), rolled_back(1), *four, rolled_back(1)],
        "at the end": [*one, *two, rolled_back(1)],
        "turns without a start": [user("a"), agent("b"), user("c"), agent("d"), user("e"), rolled_back(1), user("f")],
        "an empty turn counts": [*one, started("t"), complete("t"), started("u"), complete("u"), rolled_back(1)],
        "a turn of late events counts": [*one, agent("late"), rolled_back(1), user("a")],
        "a compaction counts": [*one, compacted(), rolled_back(1), user("a")],
        "a dropped empty turn does not count": [*one, thought(""), agent(""), rolled_back(1), *two],
        "item numbers go on after all items that stay": [
            *turn("t", mcp(), patch(), thought("a"), thought("b")),
            *two,
            rolled_back(1),
            *three,
        ],
        "ends of dropped turns": [*one, started("t"), user("a"), rolled_back(1), complete("t"), aborted("t"), *four],
        "items of dropped turns": [
            *one,
            *two,
            rolled_back(1),
            patch(turn_id="two"),
            mcp(turn_id="two"),
            mcp("m", turn_id="one"),
        ],
        "a review of a dropped turn": [*one, *two, rolled_back(1), reviewed("x", item_id="r", turn_id="two")],
        "of an interrupted turn": [*one, started("t"), user("a"), aborted("t"), rolled_back(1), *four],
    }


def copies() -> Cases:
    """Files that hold the history of another thread, too."""
    return {
        "a fork": [
            meta(forked_from_id=OTHER),
            meta(OTHER),
            *turn("parent"),
            event("thread_settings_applied", thread_settings={}),
            *turn("child"),
        ],
        "a fork of a fork": [meta(forked_from_id=OTHER), meta(OTHER), meta(OTHER), *turn("parent"), user("no start")],
        "a fork through a running turn": [
            meta(forked_from_id=OTHER),
            meta(OTHER),
            started("parent", started_at=5),
            user("a"),
            message("user", "<turn_aborted>\nstopped\n</turn_aborted>"),
            aborted("parent", started_at=5),
            *turn("child"),
        ],
        "a sub-agent that was given the history": [
            meta(source=SPAWNED, thread_source="subagent", parent_thread_id=OTHER, forked_from_id=OTHER),
            meta(OTHER),
            started("parent"),
            user("a"),
            *turn("child"),
        ],
        "a sub-agent with a start ordinal": [
            meta(source=SPAWNED, parent_thread_id=OTHER, subagent_history_start_ordinal=6),
            meta(OTHER),
            *turn("parent"),
            *turn("child"),
        ],
        "an update of its own metadata": [*turn("one"), meta(memory_mode="disabled"), user("no start")],
        "a session_meta that calls it paginated": [meta(), meta(history_mode="paginated"), user("a")],
        "no history mode": [without_mode(meta()), user("a"), agent("b")],
        "a copied turn of the same id": [meta(), meta(OTHER), *turn("t"), *turn("t", agent("again"))],
    }


def without_mode(first: JsonObject) -> JsonObject:
    """A first record from before there were history modes."""
    return {**first, "payload": {name: value for name, value in first["payload"].items() if name != "history_mode"}}


def at_second(line: JsonObject, second: int) -> JsonObject:
    """The record with its timestamp."""
    return {"timestamp": f"2026-11-22T10:{second // 60:02}:{second % 60:02}.{second:03}Z", **line}


GROUPS: Final = {
    "boundaries": boundaries(),
    "endings": endings(),
    "counting": counting(),
    "messages": messages(),
    "calls": calls(),
    "lifecycle_items": lifecycle_items(),
    "rollbacks": rollbacks(),
    "copies": copies(),
}
"""File name -> its cases."""


# --------------------------------------------------------------------------------------------------------------------
# Recording


def lines_of(lines: list[Line], thread_id: str, name: str) -> list[Line]:
    """The whole rollout: its first record, unless the case brings one, timestamps and the thread's id."""
    brings_first = any(isinstance(line, dict) and line["type"] == "session_meta" for line in lines)
    later = name in ("records that are kept are counted", "an update of its own metadata")
    whole = lines if brings_first and not later else [meta(), *lines]
    text = json.dumps([line if isinstance(line, str) else at_second(line, place) for place, line in enumerate(whole)])
    made: list[Line] = json.loads(text.replace(f'"{THIS}"', f'"{thread_id}"'))
    return made


def write_rollout(home: Path, thread_id: str, lines: list[Line]) -> None:
    """Write the rollout into the Codex home."""
    folder = home / "sessions" / "2026" / "11" / "22"
    folder.mkdir(parents=True, exist_ok=True)
    texts = [
        line if isinstance(line, str) else json.dumps(line, ensure_ascii=False, separators=(",", ":")) for line in lines
    ]
    path = folder / f"rollout-2026-11-22T10-00-00-{thread_id}.jsonl"
    path.write_bytes("".join(f"{text}\n" for text in texts).encode())


def ask(server: AppServer, thread_id: str, view: str) -> list[JsonObject]:
    """The turns of one thread, oldest first."""
    params = {"threadId": thread_id, "itemsView": view, "limit": 100, "sortDirection": "asc"}
    turns: list[JsonObject] = server.request("thread/turns/list", params)["data"]
    return turns


def without_invented_ids(turns: list[JsonObject], again: list[JsonObject]) -> None:
    """Replace the ids that differ between two equal answers by :data:`INVENTED_ID`, in both."""
    for one, other in zip(turns, again, strict=True):
        for item, same in zip(one["items"], other["items"], strict=True):
            if item["type"] == "hookPrompt" and item["id"] != same["id"]:
                item["id"] = same["id"] = INVENTED_ID


def scrubbed(value: Any) -> Any:
    """A copy of an answer without the texts of :data:`TRUE_TEXTS`."""
    if isinstance(value, dict):
        return {name: scrubbed(member) for name, member in value.items()}
    if isinstance(value, list):
        return [scrubbed(member) for member in value]
    if isinstance(value, str):
        for placeholder, (_, digest) in TRUE_TEXTS.items():
            if hashlib.sha256(value.encode()).hexdigest() == digest:
                return placeholder
    return value


def answers(server: AppServer, thread_id: str) -> tuple[list[JsonObject], list[JsonObject]]:
    """The full and the summary view of a thread. Raises AssertionError when the ways to ask for them disagree."""
    turns, summary = ask(server, thread_id, "full"), ask(server, thread_id, "summary")
    read = server.request("thread/read", {"threadId": thread_id, "includeTurns": True})["thread"]["turns"]
    without_invented_ids(turns, read)
    assert read == turns, f"{thread_id}: thread/read disagrees"
    try:
        resumed = server.request("thread/resume", {"threadId": thread_id})["thread"]["turns"]
    except RpcError:
        resumed = None  # A damaged start can be listed, not resumed.
    if resumed is not None:
        without_invented_ids(turns, resumed)
        for one, other in zip(turns, resumed, strict=True):
            for item, same in zip(one["items"], other["items"], strict=True):
                if item["id"] == INVENTED_ID:
                    same["id"] = INVENTED_ID
        assert resumed == turns, f"{thread_id}: thread/resume disagrees"
    return turns, summary


def main() -> None:
    """Record every group. Needs the real binary."""
    binary = os.environ.get("CODEX_BIN")
    if binary is None:
        sys.exit("set CODEX_BIN to the Codex 0.169.0 binary")
    folder = Path(tempfile.mkdtemp(prefix="threadkeep-legacy-"))
    try:
        home, project = folder / "home", folder / "project"
        project.mkdir()
        write_config(home, "http://127.0.0.1:9/v1")
        recorded: dict[str, list[JsonObject]] = {}
        ids: dict[str, list[str]] = {}
        for group, cases in GROUPS.items():
            recorded[group], ids[group] = [], []
            for name, lines in cases.items():
                thread_id = f"01a20000-0000-7000-8000-{sum(map(len, ids.values())) + 1:012x}"
                records = lines_of(lines, thread_id, name)
                write_rollout(home, thread_id, records)
                recorded[group].append({"name": name, "records": records})
                ids[group].append(thread_id)
        with AppServer([Path(binary).absolute(), "app-server"], home=home, cwd=project) as server:
            server.initialize()
            for group, cases_done in recorded.items():
                for case, thread_id in zip(cases_done, ids[group], strict=True):
                    case["turns"], case["summary"] = map(scrubbed, answers(server, thread_id))
        FIXTURES.mkdir(parents=True, exist_ok=True)
        for group, cases_done in recorded.items():
            texts = [json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases_done]
            (FIXTURES / f"{group}.json").write_text("[\n" + ",\n".join(texts) + "\n]\n", encoding="utf-8")
            print(f"{group}: {len(cases_done)} cases", flush=True)  # noqa: T201
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
