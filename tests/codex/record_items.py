"""Makes ``tests/fixtures/items``: what the app-server of Codex 0.169.0 shows of crafted paginated rollouts.

Run it from the root of the repository::

    CODEX_BIN=/path/to/codex python -m tests.codex.record_items [--only TEXT] [--out FOLDER]

Each file holds the cases of one subject, as a list. A case is::

    {"name": ..., "segments": [{"records": [...], "later": [...]}, ...],
     "turns": [...], "summaries": [...], "items": [...], "pages": [...], "deferred": [...]}

``segments`` is the lineage, oldest first. ``records`` are the lines of a rollout up to where the next segment begins:
objects, or the text of a line that is none; ``later`` are the lines of the same rollout behind that, where the parent
went on. The rest is what the server answered, ascending, all pages in one: ``turns`` with all items, ``summaries``
with their summaries, ``items``. Where they are recorded, ``pages`` are single pages of the lists (the ids of the rows
and the cursors) and ``deferred`` the items with deferred outputs.

Nothing in a rollout comes from anybody else: all of it is crafted here, ids and times included, so that two runs write
the same files. In the answers, the two texts of :data:`tests.oracle.thread_items.TRUE_TEXTS` are replaced.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.codex.client import AppServer, JsonObject, write_config
from tests.codex.mock_responses import MockResponses
from tests.oracle.thread_items import TRUE_TEXTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FIXTURES: Final = Path(__file__).parent.parent / "fixtures" / "items"
"""Where the fixtures are."""

Line = JsonObject | str
"""One line of a rollout: a record, or the text of a line that is none."""

ABSENT: Final = object()
"""Stands for a member that is left out."""


def uuid(number: int) -> str:
    """The id of a thread: a fixed UUIDv7."""
    return f"01a20000-0000-7000-8000-{number:012d}"


# --- records ---------------------------------------------------------------------------------------------------------


def event(kind: str, **members: Any) -> JsonObject:
    """An ``event_msg`` without the envelope's time and ordinal, which :func:`numbered` gives it."""
    payload = {name: value for name, value in members.items() if value is not ABSENT}
    return {"type": "event_msg", "payload": {"type": kind, **payload}}


def started(turn: str, **members: Any) -> JsonObject:
    """A ``task_started``."""
    return event("task_started", turn_id=turn, **members)


def completed(turn: str, **members: Any) -> JsonObject:
    """A ``task_complete``."""
    return event("task_complete", turn_id=turn, **members)


def aborted(turn: str | None, **members: Any) -> JsonObject:
    """A ``turn_aborted``."""
    return event("turn_aborted", **{"turn_id": turn, "reason": "interrupted", **members})


def done(turn: str, item: JsonObject, /, **members: Any) -> JsonObject:
    """An ``item_completed``."""
    return event("item_completed", **{"thread_id": uuid(1), "turn_id": turn, "item": item, **members})


def user(name: str, text: str = "", **members: Any) -> JsonObject:
    """A ``UserMessage`` item."""
    part = {"type": "text", "text": text or f"says {name}", "text_elements": []}
    return {"type": "UserMessage", "id": name, "content": [part], **members}


def agent(name: str, phase: str | None = None, text: str = "") -> JsonObject:
    """An ``AgentMessage`` item."""
    item = {"type": "AgentMessage", "id": name, "content": [{"type": "Text", "text": text or f"answers {name}"}]}
    return item if phase is None else {**item, "phase": phase}


def plan(name: str) -> JsonObject:
    """A ``Plan`` item, which is neither a user message nor an agent message."""
    return {"type": "Plan", "id": name, "text": f"plans {name}"}


def all_done(turn: str, *items: JsonObject) -> list[JsonObject]:
    """An ``item_completed`` for each item."""
    return [done(turn, item) for item in items]


def turn(name: str, *items: JsonObject, **members: Any) -> list[JsonObject]:
    """A whole turn."""
    return [started(name), *all_done(name, *items), completed(name, **members)]


def session_meta(thread: int, **members: Any) -> JsonObject:
    """A ``session_meta`` with what a paginated rollout needs, and no more."""
    return {
        "type": "session_meta",
        "payload": {
            "session_id": uuid(thread),
            "id": uuid(thread),
            "timestamp": "2026-11-22T10:00:00.000Z",
            "cwd": "/home/me/project",
            "originator": "threadkeep",
            "cli_version": "0.169.0",
            "source": "vscode",
            "model_provider": "mock",
            "base_instructions": {"text": "none"},
            "history_mode": "paginated",
            **members,
        },
    }


def at(ordinal: int | None, record: JsonObject) -> JsonObject:
    """A record with an ordinal of its own choice; None: without one."""
    return {**record, "ordinal": ordinal}


def numbered(lines: Sequence[Line], first: int) -> list[Line]:
    """The lines with times and, from ``first`` on, ordinals, where they do not have them."""
    result: list[Line] = []
    ordinal = first
    for place, line in enumerate(lines):
        if isinstance(line, str):
            result.append(line)
            continue
        envelope: JsonObject = {"timestamp": f"2026-11-22T10:{place // 60:02d}:{place % 60:02d}.000Z"}
        if "ordinal" in line:
            ordinal = line["ordinal"] + 1 if isinstance(line["ordinal"], int) else ordinal
            envelope |= {} if line["ordinal"] is None else {"ordinal": line["ordinal"]}
        else:
            envelope["ordinal"] = ordinal
            ordinal += 1
        envelope.update((name, value) for name, value in line.items() if name != "ordinal")
        result.append(envelope)
    return result


def encoded(line: Line) -> bytes:
    """The line as it stands in the file."""
    text = line if isinstance(line, str) else json.dumps(line, separators=(",", ":"), ensure_ascii=False)
    return text.encode() + b"\n"


# --- cases -----------------------------------------------------------------------------------------------------------


@dataclass
class Segment:
    """One rollout of a case."""

    thread: int
    records: list[Line]
    later: list[Line] = field(default_factory=list)


@dataclass
class Case:
    """Some rollouts, the newest of which is asked for."""

    name: str
    segments: list[Segment]
    pages: list[JsonObject] = field(default_factory=list)
    """``{"method", "params"}`` of the single pages that are recorded."""
    deferred: str = ""
    """The turn whose items are recorded with deferred outputs."""


class Maker:
    """Gives every rollout its id, and every case its place."""

    def __init__(self) -> None:
        """Start with thread 1."""
        self.cases: dict[str, list[Case]] = {}
        self._threads = 0

    def one(self, subject: str, name: str, lines: Sequence[Line], **meta: Any) -> Case:
        """A case of one rollout."""
        return self.lineage(subject, name, [(lines, None)], **meta)

    def lineage(self, subject: str, name: str, parts: Sequence[tuple[Sequence[Line], int | None]], **meta: Any) -> Case:
        """A case of several rollouts: the lines of each, and the ordinal before which the next one begins.

        ``meta`` goes into the first record of the newest.
        """
        segments: list[Segment] = []
        base: JsonObject = {}
        for place, (lines, end) in enumerate(parts):
            self._threads += 1
            first = base["history_base"]["end_ordinal_exclusive"] if base else 0
            members = {**base, **(meta if place == len(parts) - 1 else {})}
            everything = numbered([session_meta(self._threads, **members), *lines], first)
            count = len(everything) if end is None else boundary(everything, end)
            segments.append(Segment(self._threads, everything[:count], everything[count:]))
            if end is not None:
                size = sum(len(encoded(line)) for line in everything[:count])
                position = {"thread_id": uuid(self._threads), "end_ordinal_exclusive": end, "end_byte_offset": size}
                base = {
                    "forked_from_id": uuid(self._threads),
                    "forked_from_ordinal_exclusive": end,
                    "history_base": position,
                }
        case = Case(name, segments)
        self.cases.setdefault(subject, []).append(case)
        return case

    def items(self, subject: str, *items: JsonObject, **members: Any) -> Case:
        """A case of one turn with these items, whose ids and times are given here."""
        lines = [
            done("turn", {"id": f"item-{place}", **item}, started_at_ms=1000 + place, completed_at_ms=2000 + place)
            for place, item in enumerate(items)
        ]
        return self.one(subject, f"{subject} {len(self.cases.get(subject, [])) + 1}", [*around(lines)], **members)


def around(lines: Iterable[JsonObject]) -> list[JsonObject]:
    """The lines as one turn."""
    return [started("turn", started_at=1795341600), *lines, completed("turn", completed_at=1795341700)]


def boundary(lines: Sequence[Line], end: int) -> int:
    """How many of the lines stand before the first one with the ordinal ``end`` or a later one."""
    for place, line in enumerate(lines):
        if not isinstance(line, str) and isinstance(line.get("ordinal"), int) and line["ordinal"] >= end:
            return place
    return len(lines)


def variants(base: JsonObject, *changes: JsonObject) -> list[JsonObject]:
    """``base`` with the members of each change; :data:`ABSENT` takes one away."""
    return [
        {name: value for name, value in {**base, **change}.items() if value is not ABSENT} for change in ({}, *changes)
    ]


def each(member: str, *values: Any) -> list[JsonObject]:
    """One change for each value of a member."""
    return [{member: value} for value in values]


def message_items(make: Maker) -> None:
    """User messages, agent messages and what is made of a text alone."""
    parts: list[JsonObject] = [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "é\n", "text_elements": [{"byte_range": {"start": 0, "end": 2}, "placeholder": "p"}]},
        {"type": "text", "text": "a", "text_elements": [{"byte_range": {"end": 1, "start": 0, "x": 1}}], "x": 1},
        {"type": "text", "text": "a", "text_elements": None},
        {"type": "text", "text": "a", "text_elements": [{"byte_range": {"start": -1, "end": 1}}]},
        {"type": "text"},
        {"type": "image", "image_url": "u"},
        {"type": "image", "image_url": "u", "file_id": "f", "detail": "original"},
        {"type": "image", "image_url": 5, "file_id": "f", "detail": None},
        {"type": "image", "file_id": "f", "detail": "low"},
        {"type": "image", "image_url": "u", "detail": "huge"},
        {"type": "image", "url": "u"},
        {"type": "local_image", "path": "/a/b.png"},
        {"type": "local_image", "path": "rel", "detail": "auto"},
        {"type": "localImage", "path": "/a/b.png"},
        {"type": "audio", "audio_url": "u"},
        {"type": "audio", "file_id": "f", "audio_url": None},
        {"type": "audio"},
        {"type": "local_audio", "path": "/p"},
        {"type": "skill", "name": "n", "path": "p", "x": 1},
        {"type": "mention", "name": "n", "path": "p"},
        {"type": "mention", "name": "n"},
        {"type": "unheard_of"},
    ]
    message = {"type": "UserMessage", "content": []}
    make.items(
        "user_messages",
        *variants(
            message,
            *({"content": [part]} for part in parts),
            {"content": [parts[0], parts[19], parts[1]], "client_id": "c"},
            *each("client_id", None, "", 5),
            *each("content", ABSENT, None, "text"),
            {"unknown": {"x": [1]}},
        ),
    )
    make.items(
        "user_messages",
        *({"content": [], **wrong} for wrong in ({"type": "Unheard"}, {}, {"type": "UserMessage", "id": 7})),
        {"type": "UserMessage", "content": [], "id": ""},
    )
    text = {"type": "Text", "text": "a"}
    display = {"action": "x", "blockType": "b", "checkTrustedContacts": True, "cyberTrustedAccess": False}
    entry = {"path": "p", "lineStart": 1, "lineEnd": 2, "note": "n"}
    make.items(
        "agent_messages",
        *variants(
            {"type": "AgentMessage", "content": [text]},
            *each("content", [], [text, {"type": "Text", "text": "b", "x": 1}, {"type": "Text", "text": "\n"}]),
            *each("content", [{"type": "text", "text": "a"}], [{"type": "Text"}], None, ABSENT),
            *each("phase", "commentary", "partial_answer", "final_answer", None, "finalAnswer"),
            *each("delivery", "async", None, "sync"),
            *each("memory_citation", None, {"entries": [entry], "rolloutIds": ["r"]}, {"entries": []}, {}),
            *each(
                "memory_citation", {"entries": [], "rollout_ids": []}, {"entries": [{"path": "p"}], "rolloutIds": []}
            ),
            *each("moderation", {"moderated": True}, {"moderated": False, "display": display}, {"display": None}),
            *each("moderation", {"moderated": True, "display": {"action": "x", "block_type": "b"}}, None),
            *each("questions", [], [{"title": "t"}, {"title": "u", "options": ["a"]}], None),
            *each("questions", [{"title": "t", "x": 1}], [{"options": ["a"]}]),
            {"unknown": 1, "text": "z"},
        ),
    )
    output = [
        {"type": "input_text", "text": "t", "x": 1},
        {"type": "input_image", "image_url": "u"},
        {"type": "input_image", "file_id": "f", "detail": "low"},
        {"type": "input_image", "image_url": "u", "file_id": "f", "detail": None},
        {"type": "input_audio", "audio_url": "u"},
        {"type": "input_audio", "file_id": "f"},
        {"type": "encrypted_content", "encrypted_content": "e"},
    ]
    make.items(
        "small_items",
        *variants(
            {"type": "FunctionCallOutput", "name": "n", "output": "text"},
            *each("output", output, [], None, [{"type": "x"}], {"a": 1}, ABSENT),
            *each("namespace", "ns", None),
            *each("name", ABSENT),
        ),
        *variants(
            {"type": "HookPrompt", "fragments": [{"text": "t", "hookRunId": "h", "x": 1}]},
            *each("fragments", [], ABSENT, [{"text": "t", "hook_run_id": "h"}]),
        ),
        *variants({"type": "Plan", "text": "p"}, *each("text", "", ABSENT)),
        *variants(
            {"type": "Reasoning", "summary_text": ["a", "b"]},
            *each("raw_content", ["c"], [], None),
            *each("summary_text", [], "a", ABSENT),
        ),
        *variants({"type": "ContextCompaction"}, {"unknown": 1}),
        *variants(
            {"type": "ImageView", "path": "file:///a%20b/%C3%A9.png"},
            *each("path", "/a/b.png", "rel.png", "", ABSENT, "file:///C:/a/b", "http://x/y"),
        ),
    )


def tool_items(make: Maker) -> None:
    """Commands, changes of files, calls of tools, searches and images."""
    command = {
        "type": "CommandExecution",
        "command": ["bash", "-lc", "echo hi"],
        "cwd": "file:///home/me/project",
        "parsed_cmd": [],
        "source": "agent",
        "status": "completed",
    }
    make.items(
        "commands",
        *variants(
            command,
            *each("status", "in_progress", "failed", "declined", "inProgress", ABSENT),
            *each("source", "user_shell", "unified_exec_startup", "unified_exec_interaction", "userShell", ABSENT),
            {
                "exit_code": 0,
                "aggregated_output": "out\n",
                "process_id": "12",
                "plugin_id": "p",
                "script_path": "rel/s",
                "interaction_input": "in",
            },
            *each("exit_code", -1, None, 2**31, 1.0),
            *each("aggregated_output", "", None, 5),
            *each("duration", {"secs": 1, "nanos": 999_999_999}, {"secs": 0, "nanos": 999_999}, None, {"secs": 1}),
            *each("duration", {"secs": 0, "nanos": 4_294_967_295}, {"secs": 0, "nanos": 4_294_967_296}, "1s"),
            *each("duration", {"secs": 9_223_372_036_854_774, "nanos": 0}, {"secs": 9_223_372_036_854_776, "nanos": 0}),
            *each("duration", {"secs": 2**64 - 1, "nanos": 10**9}, {"secs": 1, "nanos": 2, "x": 1}, {"secs": -1}),
            *each("process_id", 5),
            *each("parsed_cmd", ABSENT, None),
            *each("command", [], [""], "x", ABSENT, ["a", None]),
            {"unknown": 1},
        ),
    )
    words = ["a b", "it's", '"q"', "$HOME", "`x`", "a\\b", "^", "^a", "a^b", "^^", "^'", "'^", "!", "a!b", "!^", "$'^`"]
    words += [
        "#x",
        "~",
        "~/x",
        "*",
        "?",
        "[a]",
        "{a,b}",
        "a=b",
        "a%b",
        "-n",
        "--x=y",
        "a:b",
        "a,b",
        "@x",
        "+1",
        "]",
        "[",
    ]
    words += ["é", "\u00a0", "\U0001f600", "\t", "a\nb", "\r", "\x07", "\x7f", "|", "&", ";", "<", ">", "(", ")", "''"]
    words += ["'\"'", "a'b\"c$d`e\\f!g^h", "\\'", "\\\\", "/a/b.c", "A" * 50, "a b'c d", "\\^", '"^', "^ '", "' ^"]
    make.items(
        "shell_words",
        *variants(
            command,
            *each("command", words, ["a\0b", "c d"], ["x", "", "y"]),
            *each("command", [chr(code) for code in range(1, 128)], [f"a{chr(code)}" for code in range(1, 128)]),
        ),
    )
    folders = ["/home/me", "rel", "", "file:///", "file:///a/../x/", "file:///a/./b/..", "file:///a/%2e%2e/b", "file:x"]
    folders += [
        "file:///a%20b",
        "file:///a b",
        "file:///%FF",
        "file:///a%zz",
        "file:///%C3%A9",
        "file:///é",
        "file:////a",
    ]
    folders += [
        "FILE:///a",
        "file:/a",
        "file:",
        " file:///a ",
        "file:///a\tb",
        "file:///a?b",
        "file:///a#",
        "file:///%00",
    ]
    folders += [
        "file:///a//b",
        "file:///a\\b",
        "file:///%5Ca",
        "file:///a%2Fb",
        "file://localhost/a",
        "file://LocalHost/a",
    ]
    folders += ["file:///C:/a%20b/c", "file:///c%3A/x", "file:///c:", "file:///C:/..", "file://c:/x", "file:///C|/x"]
    folders += [
        "file://host/share/a/",
        "file://Host/a",
        "file://host/",
        "file://host:8/a",
        "file://u@h/a",
        "http://a/b",
    ]
    folders += ["file:///cc:/y", "file:///x/C:/y", "file:///%43:/x", "file:///~/x", "file:///..", "file:///a/..."]
    make.items("working_folders", *variants(command, *each("cwd", *folders, None, ABSENT)))
    paths = ["a", "a/b", "./a", "../a", "../../../../a", "a/..", "..", ".", "", "a/", "a//b", "/", "/a", "//a", "/a//b"]
    paths += [
        "/a/../b",
        "/a/..",
        "/a/b/.",
        "/a/",
        "/a/./",
        "a?b#c",
        "a%41",
        "/a%41",
        "a b",
        "é",
        "a\\b",
        "C:\\x",
        "C:/x",
    ]
    paths += ["c:x", "\\\\h\\s\\x", "\\a", "a:b", "/C:/x", "~/x", "a\tb", "a\0b", "file:///q", "..\\a", "..."]
    bases = [
        "file:///home/me/project",
        "file:///",
        "file:///a/b/",
        "file:///a//b",
        "file:///C:/w/v",
        "file://host/sh/d",
    ]
    make.items(
        "command_actions",
        *(
            {
                **command,
                "cwd": base,
                "parsed_cmd": [{"type": "read", "cmd": path, "name": "n", "path": path} for path in paths],
            }
            for base in bases
        ),
        *variants(
            command,
            *each(
                "parsed_cmd",
                [{"type": "list_files", "cmd": "ls"}, {"type": "list_files", "cmd": "ls", "path": "../a"}],
                [{"type": "search", "cmd": "rg", "query": "q", "path": "p"}, {"type": "search", "cmd": "rg"}],
                [{"type": "unknown", "cmd": "x", "extra": 1}, {"type": "unknown", "cmd": ""}],
                [{"type": "read", "cmd": "cat a", "name": "a"}],
                [{"type": "unheard", "cmd": "x"}],
                [{"type": "listFiles", "cmd": "x"}],
            ),
        ),
    )
    add = {"type": "add", "content": "x\n"}
    make.items(
        "file_changes",
        *variants(
            {"type": "FileChange", "changes": {}, "status": "completed"},
            *each("status", "failed", "declined", None, ABSENT, "in_progress"),
            *each(
                "changes",
                {"/b": add, "/a": {"type": "delete", "content": "old"}, "rel": {"type": "update", "unified_diff": ""}},
                {"/c": {"type": "update", "unified_diff": "@@\n", "move_path": None}},
                {"/c": {"type": "update", "unified_diff": "@@", "move_path": "/new"}},
                {"B": add, "a": add, "é": add, "A/b": add, "A.b": add, "A": add, "": add, "/": add},
                {"/a//b": add, "/a/./b": add, "/a/b/": {"type": "add", "content": "last"}},
                {"./a": add, "a": add, "a/.": {"type": "delete", "content": ""}},
                {"/a": {"type": "update"}},
                {"/a": {"type": "delete"}},
                {"/a": {"type": "unheard"}},
                [],
                ABSENT,
            ),
            {"auto_approved": True, "stdout": "o", "stderr": "e"},
            *each("auto_approved", 1),
            *each("stdout", 1),
        ),
    )
    text = {"type": "text", "text": "r"}
    ui = {"resourceUri": "u", "preferredModelDisplayMode": "inline"}
    make.items(
        "mcp_calls",
        *variants(
            {
                "type": "McpToolCall",
                "server": "s",
                "tool": "t",
                "arguments": {"b": 1, "a": [1.5]},
                "status": "completed",
            },
            *each(
                "arguments", ABSENT, None, "text", {"n": 2**64 - 1, "m": -(2**63)}, {"n": 2**64}, {"m": -(2**63) - 1}
            ),
            *each("status", "inProgress", "failed", "in_progress", ABSENT),
            *each(
                "result",
                {"content": []},
                {"content": [text, 1, None], "structuredContent": {"z": 1}, "isError": True, "_meta": {"m": 1}},
                {"content": [], "structured_content": {"a": 1}, "structuredContent": None},
                {},
                None,
                {"Ok": {"content": []}},
                {"content": [], "isError": "x"},
            ),
            *each("error", {"message": "m", "x": 1}, "m", {}, None),
            *each("duration", {"secs": 2, "nanos": 5_000_000}),
            {"pluginId": "p", "readOnlyHint": True, "mcpAppResourceUri": "ui://x"},
            {"plugin_id": "p", "connector_id": "c"},
            {"connectorId": "c"},
            {"connectorId": "c", "linkId": "l", "appName": "a", "actionName": "b", "mcpAppResourceUri": "ui://x"},
            {"linkId": "l", "appName": "a"},
            *each("mcpAppUi", ui, {**ui, "preferredModelDisplayMode": "x"}, {"resourceUri": "u"}, None),
        ),
    )
    make.items(
        "dynamic_calls",
        *variants(
            {"type": "DynamicToolCall", "tool": "t", "arguments": {"x": 1}, "status": "completed"},
            *each("status", "in_progress", "failed", "inProgress", ABSENT),
            {"error": "e", "success": False, "namespace": "ns", "duration": {"secs": 0, "nanos": 1}},
            *each("arguments", ABSENT, None),
            *each(
                "content_items",
                [],
                None,
                [
                    {"type": "inputText", "text": "x", "y": 1},
                    {"type": "inputImage", "imageUrl": "u"},
                    {"type": "inputAudio", "audioUrl": "u"},
                ],
                [{"type": "input_text", "text": "x"}],
                [{"type": "inputImage", "image_url": "u"}],
            ),
            *each("success", "x"),
        ),
    )
    other, third = uuid(2), uuid(3)
    states = ["pending_init", "running", "interrupted", {"completed": None}, {"completed": "c"}, {"errored": "e"}]
    states += ["shutdown", "not_found", "unheard", "completed", {"errored": None}, {"completed": "a", "errored": "b"}]
    make.items(
        "agents",
        *variants(
            {"type": "CollabAgentToolCall", "tool": "spawn_agent", "sender_thread_id": uuid(1), "status": "completed"},
            *each("tool", "send_input", "resume_agent", "wait", "close_agent", "send_message", "followup_task"),
            *each("tool", "interrupt_agent", "list_agents", "spawnAgent"),
            *each("status", "in_progress", "failed", "interrupted", "declined"),
            {"receiver_thread_ids": [third, other], "prompt": "p", "model": "m", "reasoning_effort": "low"},
            *each("agents_states", *({other: state} for state in states), {"x": "running"}, None),
            *each("agents_states", {other.upper(): "running", other: "shutdown"}),
            *each("receiver_agents", [{"thread_id": other, "agent_nickname": "n"}], [{}], None),
            *each("receiver_thread_ids", ["x"], None),
            *each("sender_thread_id", ABSENT, "{" + other + "}", "urn:uuid:" + other, other.upper().replace("-", "")),
            *each("reasoning_effort", "", 5, None),
        ),
        *variants(
            {"type": "SubAgentActivity", "agent_thread_id": other, "agent_path": "/root/a", "kind": "started"},
            *each("kind", "interacted", "interrupted", "completed", "unheard"),
            *each(
                "agent_path", "/root", "/root/a_1/9", "/morpheus", "/root/", "/root/A", "/root/root", "/x", "", ABSENT
            ),
            *each("agent_path", "/root/a-b", "/root//a", "/morpheus/a", "root/a"),
            {"model": "m", "reasoning_effort": "high"},
            *each("reasoning_effort", "", "Own"),
            *each("agent_thread_id", "x", other.replace("-", "")),
        ),
    )
    actions = [
        {"type": "search"},
        {"type": "search", "query": "q", "queries": ["a"]},
        {"type": "open_page", "url": "u"},
    ]
    actions += [{"type": "openPage", "url": "u"}, {"type": "find_in_page", "url": "u", "pattern": "p"}, {"type": "x"}]
    actions += [{"type": "findInPage", "pattern": "p"}, {"type": "other", "x": 1}, {}, {"type": "search", "queries": 1}]
    make.items(
        "searches",
        *variants(
            {"type": "WebSearch", "query": "q", "action": {"type": "open_page"}},
            *each("action", *actions, None, ABSENT),
            *each("query", "", ABSENT),
            *each("results", [], [{"b": 1}, None, "x"], None, {}),
        ),
        *variants(
            {"type": "Extension", "kind": "web.search", "query": "q"},
            *each("action", *actions, None),
            *each("query", "", ABSENT),
            *each("results", [], [{"b": 1}, None, "x"], None, {}),
        ),
    )
    failure = {"type": "usageLimitExceeded", "limitId": "l"}
    make.items(
        "images_and_sleep",
        *variants(
            {"type": "ImageGeneration", "status": "any", "result": "r"},
            *each("status", ABSENT),
            *each("result", ABSENT, None),
            *each("saved_path", "/a/../b/./c//d/", "/..", "//x", "rel", "", "~/x", "file:///a", None),
            *each("revised_prompt", "p", None),
        ),
        *variants(
            {"type": "Extension", "kind": "image_gen.generation", "status": "any", "result": "r"},
            {"fileId": "f"},
            {"fileId": "f", "result": ABSENT},
            {"fileId": 5},
            {"result": 5, "fileId": "f"},
            {"result": ABSENT},
            {"revisedPrompt": "p", "savedPath": "/a/b/", "generationId": "g", "transparentBackground": True},
            {"revised_prompt": "p", "savedPath": "rel"},
            *each("inputImages", [], None, [{"path": "/a/../b", "sha256": "s"}], [{"path": "rel", "sha256": "s"}]),
            *each("failure", failure, {**failure, "resetsAt": -5}, {"type": "other"}, {"type": "usageLimitExceeded"}),
            *each("status", ABSENT),
        ),
        *variants(
            {"type": "Extension", "kind": "clock.sleep", "durationMs": 5},
            *each("durationMs", 2**64 - 1, -1, 1.5, ABSENT),
            *each("kind", "unheard.of", ABSENT),
        ),
    )
    place = {"absolute_file_path": "/a/b.py", "line_range": {"start": 1, "end": 2}}
    found = {"title": "T", "body": "B", "confidence_score": 0.5, "priority": 1, "code_location": place}
    review = {"findings": [], "overall_correctness": "c", "overall_explanation": "why", "overall_confidence_score": 1}
    reviews: list[JsonObject] = [
        {**review, "findings": findings}
        for findings in (
            [found],
            [found, {**found, "body": "B1\r\n\nB2\n"}],
            [{**found, "title": " t ", "body": ""}],
            [{**found, "body": "\n\n"}],
            [{**found, "body": "x\r"}, {**found, "body": "B\n"}, found],
            [{**found, "priority": 1.5}],
            [{**found, "confidence_score": "x"}],
            [{**found, "code_location": ABSENT}],
        )
    ]
    for one in reviews:
        one["findings"] = variants({}, *one["findings"])[1:]
    reviews += [{**review, "overall_explanation": text} for text in ("", " pad \n", "\t")]
    reviews += [{**review, "overall_explanation": " ", "findings": [found]}, {}, review]
    make.items(
        "reviews",
        *variants(
            {"type": "EnteredReviewMode", "target": {"type": "uncommittedChanges"}, "user_facing_hint": "h"},
            *each("target", {"type": "baseBranch", "branch": "b"}, {"type": "commit", "sha": "s", "title": None}),
            *each("target", {"type": "custom", "instructions": "i"}, {"type": "custom"}, {"type": "unheard"}, ABSENT),
            *each("user_facing_hint", "", None, ABSENT),
        ),
        *variants({"type": "ExitedReviewMode"}, *each("review_output", None, *reviews), {"review": "x"}),
    )


FINAL: Final = "final_answer"
COMMENTARY: Final = "commentary"


def turn_rows(make: Maker) -> None:
    """What a turn's row says, and what makes it."""
    begin = [started("A", started_at=5)]
    end = [completed("A")]
    lines: dict[str, Sequence[Line]] = {
        "completed": turn("A", user("u"), agent("a")),
        "without an end": [*begin, *all_done("A", user("u"), agent("a"))],
        "without an end, then another": [*begin, *all_done("A", user("u")), *turn("B", user("v"))],
        "started twice": [*begin, done("A", user("u")), started("A", started_at=6, root_turn_id="R"), *end],
        "started twice, the second without a time": [*begin, started("A")],
        "started again after its end": [
            *begin,
            *end,
            started("A", started_at=9),
            done("A", agent("a")),
            completed("A"),
        ],
        "an end with all times": [*begin, completed("A", started_at=6, completed_at=7, duration_ms=8)],
        "an end with some times": [*begin, completed("A", completed_at=7)],
        "an end with no times": [*begin, *end],
        "aborted with all times": [*begin, aborted("A", started_at=6, completed_at=7, duration_ms=8)],
        "aborted with no times": [*begin, aborted("A")],
        "negative times": [started("A", started_at=-5), completed("A", started_at=-5, completed_at=-6, duration_ms=-7)],
        "aborted, for another reason": [*begin, aborted("A", reason="budget_limited", error={"message": "m"})],
        "aborted, for an unknown reason": [*begin, aborted("A", reason="unheard")],
        "aborted, without a reason": [*begin, event("turn_aborted", turn_id="A")],
        "aborted, without an id": [*begin, aborted(None, completed_at=7)],
        "aborted, never started": [aborted("A", started_at=6, completed_at=7, duration_ms=8)],
        "completed, never started": [completed("A", started_at=6, root_turn_id="R")],
        "aborted, then started": [aborted("A", completed_at=7), *begin, done("A", user("u")), *end],
        "completed twice": [
            *begin,
            completed("A", completed_at=7),
            completed("A", completed_at=8, error={"message": "m"}),
        ],
        "completed, then aborted": [*begin, *end, aborted("A", completed_at=8)],
        "aborted, then completed": [*begin, aborted("A"), completed("A", completed_at=8)],
        "two turns at once": [
            *(started("A"), started("B"), done("B", user("ub")), done("A", user("ua"))),
            *(completed("B"), done("A", agent("a")), completed("A")),
        ],
        "root: started": [started("A", root_turn_id="R")],
        "root: the first stays": [started("A", root_turn_id="R"), started("A", root_turn_id="S"), completed("A")],
        "root: from the end": [started("A"), completed("A", root_turn_id="S")],
        "root: an empty one": [started("A", root_turn_id=""), completed("A", root_turn_id="S")],
        "root: not after the end": [started("A"), completed("A"), completed("A", root_turn_id="S")],
        "root: not from the attribution": [started("A", turn_attribution={"turn_id": "A", "root_turn_id": "R"})],
        "second names": [event("turn_started", turn_id="A"), event("turn_complete", turn_id="A", completed_at=7)],
        "a time that is none": [{**begin[0], "timestamp": "never"}, {**completed("A"), "timestamp": ""}],
        "an id that is empty": turn("", user("u")),
    }
    starts: dict[str, JsonObject] = {
        "times as floats": {"started_at": 5.0},
        "times as texts": {"started_at": "5"},
        "times beyond 64 bits": {"started_at": 2**63},
        "an unknown mode": {"collaboration_mode_kind": "unheard"},
        "a null mode": {"collaboration_mode_kind": None},
        "an old mode": {"collaboration_mode_kind": "pair_programming"},
        "an attribution without an id": {"turn_attribution": {}},
        "an attribution with a wrong path": {"turn_attribution": {"turn_id": "A", "initiating_agent_path": "x"}},
        "unknown members": {"unknown": {"a": [None]}},
        "an unknown member beyond 64 bits": {"unknown": [{"n": 2**64}]},
        "nulls": {"started_at": None, "root_turn_id": None, "trace_id": None, "model_context_window": None},
    }
    for name, value in starts.items():
        lines[f"a start with {name}"] = [event("task_started", turn_id="A", **value), done("A", user("u"))]
    lines["a start without an id"] = [event("task_started"), done("A", user("u"))]
    ends: dict[str, JsonObject] = {
        "a message that is no text": {"last_agent_message": 5},
        "a message": {"last_agent_message": "m", "time_to_first_token_ms": 5},
        "a null error": {"error": None},
        "an error that is a text": {"error": "m"},
        "an error without a message": {"error": {"codex_error_info": "other"}},
        "an error with more": {"error": {"message": "m", "additional_details": "d", "misalignment": {"x": 1}}},
    }
    for name, value in ends.items():
        lines[f"an end with {name}"] = [*begin, completed("A", **value)]
    for name, records in lines.items():
        make.one("turn_rows", name, records)
    words = "context_window_exceeded session_budget_exceeded usage_limit_exceeded rate_limit_exceeded flex_unavailable"
    words += " server_overloaded model_not_found cyber_policy bio_policy misalignment_policy_violation too_many_denials"
    words += " internal_server_error unauthorized bad_request invalid_prompt sandbox_error thread_rollback_failed other"
    words += " policy_capacity_unavailable inference_hook_denied unheard contextWindowExceeded http_connection_failed"
    infos: list[Any] = [None, *words.split(), "", {}, {"other": None}, {"other": {}}, {"unheard": 1}, 5, []]
    for name in ("http_connection_failed", "response_stream_connection_failed"):
        infos += [{name: {}}, {name: {"http_status_code": 500, "x": 1}}, {name: {"http_status_code": None}}]
        infos += [{name: {"http_status_code": 70000}}, {name: None}, name]
    for name in ("response_stream_disconnected", "response_too_many_failed_attempts"):
        infos += [{name: {"http_status_code": 429}}, {name: {}, "other": None}]
    infos += [{"active_turn_not_steerable": {"turn_kind": kind}} for kind in ("review", "compact", "unheard")]
    infos += [{"active_turn_not_steerable": {}}, {"bio_policy": None}]
    failures: list[Line] = []
    for place, info in enumerate(infos):
        error = {"message": "m", "codex_error_info": info}
        failures += [started(f"turn-{place}"), completed(f"turn-{place}", error=error)]
    make.one("turn_rows", "causes of failures", failures)


def summaries(make: Maker) -> None:
    """Which items stand for a turn in its summary."""
    begin, end = [started("A")], [completed("A")]
    for name, items in {
        "a final answer before a plain one": [user("u"), agent("f", FINAL), agent("n")],
        "a final answer after a plain one": [user("u"), agent("n"), agent("f", FINAL)],
        "two final answers": [user("u"), agent("f", FINAL), agent("g", FINAL), agent("c", COMMENTARY)],
        "commentary alone": [user("u"), agent("c", COMMENTARY)],
        "a partial answer alone": [user("u"), agent("p", "partial_answer")],
        "a plain one before commentary": [user("u"), agent("n"), agent("c", COMMENTARY)],
        "the answer before the question": [agent("f", FINAL), user("u")],
        "steered": [user("u"), agent("n"), user("v"), agent("m")],
        "no user message": [agent("n"), plan("p")],
        "nothing": [plan("p")],
        "a final answer that becomes commentary": [agent("f", FINAL), agent("f", COMMENTARY)],
        "of two, the last becomes commentary": [agent("f", FINAL), agent("g", FINAL), agent("g", COMMENTARY)],
        "of two, the first comes again": [agent("f", FINAL), agent("g", FINAL), agent("f", FINAL)],
        "commentary that becomes final": [agent("f", FINAL), agent("c", COMMENTARY), agent("c", FINAL)],
        "a plain one that becomes commentary": [agent("n"), agent("m"), agent("m", COMMENTARY)],
        "a final answer that becomes a plan": [agent("f", FINAL), plan("f")],
        "a user message that becomes an answer": [user("x"), user("v"), agent("x")],
        "an answer that becomes a user message": [agent("x"), user("v"), user("x")],
        "an answer that becomes the user message": [agent("x"), user("x")],
        "an item that comes again": [user("u"), agent("a", text="old"), agent("b"), agent("a", text="new")],
    }.items():
        make.one("summaries", f"{name}, running", [*begin, *all_done("A", *items)])
        make.one("summaries", f"{name}, completed", [*begin, *all_done("A", *items), *end])
        make.one("summaries", f"{name}, aborted before it starts", [*all_done("A", *items), aborted("A"), *begin])
        make.one("summaries", f"{name}, started last", [*all_done("A", *items), *begin])
        make.one("summaries", f"{name}, all too late", [*begin, *end, *all_done("A", *items)])
    late = [user("u"), agent("f", FINAL)]
    make.one("summaries", "late items", [*turn("A", *late), *all_done("A", user("v"), agent("g", FINAL))])
    make.one("summaries", "late content", [*turn("A", *late), *all_done("A", agent("f", FINAL, "new"), agent("u"))])


def item_rows(make: Maker) -> None:
    """Where items stand, and what their events have to be."""
    begin, end = [started("A")], [completed("A")]
    for name, lines in {
        "of a turn that never starts": all_done("Z", user("u"), agent("a")),
        "before their turn": [*all_done("A", user("u")), *begin, *all_done("A", agent("a")), *end],
        "before an end alone": [*all_done("A", user("u")), *end],
        "late, after the next turn started": [
            *begin,
            *end,
            started("B"),
            *all_done("A", agent("late")),
            completed("B"),
        ],
        "the same id in two turns": [*turn("A", user("u")), *turn("B", user("u", "other"))],
        "a wrong record between": [*begin, done("A", {"type": "Unheard", "id": "x"}), done("A", user("u")), *end],
    }.items():
        make.one("item_rows", name, lines)
    times: list[JsonObject] = [
        {},
        {"started_at_ms": 5},
        {"completed_at_ms": 6},
        {"started_at_ms": 5, "completed_at_ms": 6},
    ]
    again: list[JsonObject] = [
        {},
        {"started_at_ms": 7},
        {"completed_at_ms": 8},
        {"started_at_ms": 7, "completed_at_ms": 8},
    ]
    lines = [
        done("A", agent(f"item-{place}-{other}"), **members)
        for other in range(4)
        for place, first in enumerate(times)
        for members in (first, again[other])
    ]
    make.one("item_rows", "times of items that come again", [*begin, *lines, *end])
    changes: list[JsonObject] = [
        {},
        *each("started_at_ms", None, 0, -5, 5.0, "5", 2**63),
        *each("completed_at_ms", None, 0, -5, 5.0, "5", 2**63),
        *each("content_token_count", None, 5, -1, "5"),
        *each("thread_id", ABSENT, "x", uuid(77), None),
        *each("turn_id", ABSENT, None, 5),
        *each("item", ABSENT, None, [], "x"),
        {"unknown": {"x": [None, {"y": 1.5}]}},
        {"unknown": 2**64},
    ]
    lines = [done("A", user(f"item-{place}"), **change) for place, change in enumerate(changes)]
    make.one("item_rows", "events", [*begin, *lines, *end])
    stamps = ["2026-11-22T10:00:05.000Z", "2026-11-22 10:00:05Z", "2026-11-22t10:00:05z", "2026-11-22T10:00:05+02:00"]
    stamps += [
        "2026-11-22T10:00:05",
        "2026-11-22T10:00:60Z",
        "2026-11-22T10:00:61Z",
        "2026-11-22T24:00:00Z",
        "",
        "never",
    ]
    stamps += ["2023-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "2026-11-22T10:00:05.Z", "2026-11-22T10:00:05+24:00"]
    stamps += ["2026-11-22T10:00:05,5Z", "2026-11-22T10:00:05+0200", "2026-1-2T0:0:0Z", "10000-01-01T00:00:00Z"]
    stamps += ["0000-01-01T00:00:00Z", "2026-11-22T10:00:05\u221202:00", " 2026-11-22T10:00:05Z"]
    stamped = [{**done("A", user(f"item-{place}")), "timestamp": stamp} for place, stamp in enumerate(stamps)]
    known = [
        {**done("A", user(f"known-{place}"), started_at_ms=5), "timestamp": stamp} for place, stamp in enumerate(stamps)
    ]
    odd = [{**done("A", user("number")), "timestamp": 5}, {**done("A", user("null")), "timestamp": None}]
    make.one("item_rows", "times of records", [*begin, *stamped, *known, *odd, *end])


def ordinals(make: Maker) -> None:
    """Which records count: ordinals, lines that are none, and records that say nothing of turns."""
    begin, end = started("A"), completed("A")
    first, second = done("A", user("u")), done("A", agent("x"))
    unknown = {"type": "unheard", "payload": {}}
    for name, lines in {
        "the same one twice": [at(1, begin), at(2, first), at(2, second), at(3, end)],
        "the same one twice, of turns": [at(1, begin), at(1, started("B")), at(2, first), at(4, end)],
        "a gap": [at(1, begin), at(5, first), at(10**15, end)],
        "a step back": [at(1, begin), at(5, first), at(3, second), at(6, end)],
        "none": [at(1, begin), at(None, first), at(2, second), at(3, end)],
        "the first record's own": [at(0, begin), at(1, first), at(2, end)],
        "that of an unknown record": [at(1, begin), at(2, unknown), at(2, second), at(3, end)],
        "that of an unknown event": [at(1, begin), at(2, event("unheard")), at(2, second), at(3, end)],
        "a high one of an unknown record": [at(1, begin), at(50, unknown), at(2, second), at(3, end)],
        "that of an unknown item": [
            at(1, begin),
            at(2, done("A", {"type": "X", "id": "x"})),
            at(2, second),
            at(3, end),
        ],
        "that of a record that says nothing": [at(1, begin), at(2, event("token_count", info=None)), at(2, second)],
        "that of an unknown response item": [
            *(at(1, begin), at(2, {"type": "response_item", "payload": {"type": "unheard"}}), at(2, second)),
        ],
        "that of a record with a wrong time": [at(1, begin), {**at(2, first), "timestamp": "never"}, at(2, second)],
        "a high one of a record with a wrong time": [at(1, begin), {**at(20, first), "timestamp": "never"}, at(2, end)],
    }.items():
        make.one("ordinals", name, lines)
    for name, value in {"as a text": "2", "as a float": 2.0, "negative": -1, "null": None, "true": True}.items():
        odd = {**first, "ordinal": value}
        case = make.one("ordinals", f"one that is {name}", [begin, second, end])
        case.segments[0].records.insert(2, {"timestamp": "2026-11-22T10:00:00.000Z", **odd})
    for first_ordinal in (None, 5):
        case = make.one(
            "ordinals", f"the first record has {first_ordinal}", [at(place, started(f"T{place}")) for place in range(8)]
        )
        head = {**session_meta(case.segments[0].thread), "timestamp": "2026-11-22T10:00:00.000Z"}
        case.segments[0].records[0] = head if first_ordinal is None else {**head, "ordinal": first_ordinal}
    turn_lines = [*turn("A", user("u"), agent("a"))]
    message = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]}
    betweens: dict[str, list[Line]] = {
        "a blank line": ["", "   "],
        "a line that is no JSON": ["{", "no", "[1]", "null", "\0\0"],
        "a rollback": [event("thread_rolled_back", num_turns=1)],
        "a compaction": [{"type": "compacted", "payload": {"message": "m"}}],
        "events of legacy rollouts": [event("user_message", message="m"), event("agent_message", message="m")],
        "a response item": [{"type": "response_item", "payload": message}],
        "a realtime item": [
            {
                "type": "realtime_item",
                "payload": {"id": "r", "realtime_session_id": "s", "type": "realtime_session_started"},
            }
        ],
        "another thread's first record": [session_meta(990)],
        "another first record": [session_meta(990, subagent_history_start_ordinal=100, history_mode="legacy")],
    }
    for name, between in betweens.items():
        make.one("ordinals", f"{name} between", [*turn_lines, *between, *turn("B", user("v"))])
        make.one("ordinals", f"{name} within", [turn_lines[0], *between, *turn_lines[1:]])
    copied = [*turn("A", user("u"), agent("a")), *turn("B", user("v"))]
    for start in (0, 1, 3, 4, 5, 6):
        make.one("ordinals", f"a copied prefix before {start}", copied, subagent_history_start_ordinal=start)
    for name, lines in {
        "steps back": [at(1, started("T1")), at(9, started("T9")), at(2, started("T2")), at(10, started("T10"))],
        "an unknown record": [at(1, started("T1")), at(2, unknown), at(2, started("T2")), at(3, started("T3"))],
    }.items():
        make.one("ordinals", f"a copied prefix with {name}", lines, subagent_history_start_ordinal=3)


def lineages(make: Maker) -> None:
    """Forks: at every place, with what a fork writes for a turn that was running, and with what nobody writes."""
    parent: list[Line] = [
        *[started("A", started_at=1), *all_done("A", user("ua"), agent("a"))],
        completed("A", started_at=1, completed_at=2, duration_ms=3),
        *[started("B", started_at=10, root_turn_id="R"), *all_done("B", user("ub"), agent("b1"), agent("b2", FINAL))],
        completed("B", started_at=10, completed_at=20, duration_ms=30),
        *[started("C", started_at=100), *all_done("C", user("uc"))],
    ]
    own = turn("D", user("ud"), agent("d"))
    for end in range(1, len(parent) + 2):
        make.lineage("lineages", f"cut before {end}", [(parent[: end - 1], end), (own, None)])
        make.lineage("lineages", f"cut before {end}, the parent goes on", [(parent, end), (own, None)])
    children: dict[str, Sequence[Line]] = {
        "aborts": [aborted("B", started_at=10)],
        "aborts without a time": [aborted("B")],
        "aborts with a root": [aborted("B", root_turn_id="S")],
        "adds an item and aborts": [done("B", agent("x", FINAL)), aborted("B")],
        "adds a user message and aborts": [done("B", user("x")), aborted("B")],
        "adds commentary and aborts": [done("B", agent("x", COMMENTARY)), aborted("B")],
        "aborts and adds an item": [aborted("B"), done("B", agent("x", FINAL))],
        "adds an item": [done("B", agent("x", FINAL))],
        "completes": [completed("B")],
        "starts again": [started("B", started_at=50)],
        "starts again and aborts": [started("B"), aborted("B")],
        "starts again, adds items and completes": [started("B"), *all_done("B", user("v"), agent("x")), completed("B")],
        "says the same items again": [*all_done("B", user("ub", "new"), agent("b1")), aborted("B")],
        "adds to a turn that is over": [done("A", agent("late"))],
        "aborts a turn that is over": [aborted("A"), aborted("B")],
    }
    for name, lines in children.items():
        for end in (8, 9):
            make.lineage("lineages", f"{name}, cut before {end}", [(parent[: end - 1], end), ([*lines, *own], None)])
        make.lineage("lineages", f"{name}, the parent goes on", [(parent, 8), ([*lines, *own], None)])
        last = 9 + len(lines) + len(own)
        for child, more in {"aborts": [aborted("B", started_at=77)], "starts": [started("B")]}.items():
            make.lineage(
                "lineages",
                f"{name}, then a fork {child}",
                [(parent[:7], 8), ([*lines, *own], last), (more, None)],
            )
        make.lineage(
            "lineages", f"{name}, then a fork before it", [(parent[:7], 8), (lines, 9), ([aborted("B")], None)]
        )
    begin, stop = started("B"), aborted("B")
    both: list[Line] = [begin, done("B", user("x")), done("B", agent("x")), completed("B")]
    make.lineage("lineages", "one item is both", [(both, 5), ([stop], None)])
    known: list[Line] = [done("B", user("x")), stop]
    make.lineage("lineages", "the oldest row knows nothing", [([begin], 2), (known, 5), ([stop], None)])
    rowless: list[Line] = [done("B", user("u"))]
    later: list[Line] = [begin, done("B", user("v"))]
    make.lineage("lineages", "the oldest has items and no row", [(rowless, 2), (later, 5), ([stop], None)])
    odd = [at(3, started("T3")), at(8, started("T8")), at(9, started("T9"))]
    make.lineage("lineages", "ordinals of a child", [(parent, 8), (odd, None)])
    copied = [started("T9"), started("T10"), started("T11")]
    make.lineage(
        "lineages", "a copied prefix in a child", [(parent, 8), (copied, None)], subagent_history_start_ordinal=10
    )


def pages(make: Maker) -> None:
    """Single pages, cursors, and deferred outputs."""
    parent = [line for name in "ABC" for line in turn(name, user(f"u{name}"), agent(f"a{name}"))]
    parent += [started("X"), done("X", user("uX"))]
    child = [aborted("X")] + [line for name in "DE" for line in turn(name, user(f"u{name}"), agent(f"a{name}"))]
    case = make.lineage("pages", "two segments", [(parent, len(parent) + 1), (child, None)])
    thread = uuid(case.segments[-1].thread)
    for method, kind in (("thread/turns/list", "turns"), ("thread/items/list", "itemsByCreatedAtOrdinal")):
        for direction in ("asc", "desc"):
            case.pages += [
                {"method": method, "params": {"limit": limit, "sortDirection": direction}}
                for limit in (0, 1, 2, 3, 5, 100, 101)
            ]
            for ordinal in (1, 2, 3, 5, 6, 13, 14, 16, 17, 18, 20, 26, 100):
                for included in (True, False):
                    anchor = {"requestedThreadId": thread, "rolloutOrdinal": ordinal, "includeAnchor": included}
                    cursor = json.dumps({**anchor, "scope": {"kind": kind}}, separators=(",", ":"))
                    params = {"limit": 2, "sortDirection": direction, "cursor": cursor}
                    case.pages.append({"method": method, "params": params})
    for name in ("A", "X", "none"):
        for direction in ("asc", "desc"):
            params = {"turnId": name, "limit": 1, "sortDirection": direction}
            case.pages.append({"method": "thread/items/list", "params": params})
    call = {"type": "McpToolCall", "server": "s", "tool": "t", "arguments": {}, "status": "completed"}
    ran = {"type": "CommandExecution", "command": ["a"], "cwd": "file:///a", "parsed_cmd": [], "source": "agent"}
    text = {"type": "text", "text": "r"}
    content = {"content": [text]}
    items = [
        *variants(
            {**ran, "status": "completed", "aggregated_output": "out", "exit_code": 0},
            *each("exit_code", ABSENT, 1, -1),
            *each("status", "failed", "in_progress", "declined"),
            *each("aggregated_output", "", " ", ABSENT),
            *each("source", "user_shell"),
        ),
        *variants(
            {**call, "result": content},
            *each("status", "failed", "inProgress"),
            *each(
                "result",
                {"content": [text, text]},
                {"content": []},
                {"content": [{"type": "text", "text": ""}]},
                {"content": [{"type": "text", "text": ""}, text]},
                {"content": [text, {"type": "image", "data": "x"}]},
                {"content": [{**text, "annotations": None}]},
                {"content": [{"type": "text", "text": 5}]},
                {"content": ["r"]},
                {**content, "structuredContent": {}},
                {**content, "_meta": {}},
                {**content, "isError": True},
                None,
            ),
            {"error": {"message": "m"}},
            {"mcpAppResourceUri": "ui://x"},
            {"mcpAppUi": {"resourceUri": "u", "preferredModelDisplayMode": "inline"}},
            {"connectorId": "c", "readOnlyHint": True, "pluginId": "p", "duration": {"secs": 1, "nanos": 0}},
        ),
        {"type": "DynamicToolCall", "tool": "t", "arguments": {}, "status": "completed", "content_items": []},
        {"type": "FunctionCallOutput", "name": "n", "output": "o"},
    ]
    make.items("pages", *items).deferred = "turn"
    times: list[JsonObject] = [{}, {"started_at_ms": 5}, {"completed_at_ms": 5}, {"completed_at_ms": 0}]
    lines = [done("turn", {"id": f"item-{place}", **items[0]}, **members) for place, members in enumerate(times)]
    make.one("pages", "deferred outputs need a time", around(lines)).deferred = "turn"


def random_threads(make: Maker) -> None:
    """Sequences that nobody thought of, the same in every run."""
    for seed in range(40):
        dice = random.Random(seed)
        make.one("random", f"random {seed}", _random_lines(dice, 14))
    for seed in range(40, 70):
        dice = random.Random(seed)
        first = numbered(_random_lines(dice, 9), 1)
        end = 1 + max((line["ordinal"] for line in first if isinstance(line, dict) and "ordinal" in line), default=0)
        parts: list[tuple[Sequence[Line], int | None]] = [(first, end), (_random_lines(dice, 7), None)]
        if seed % 2:
            second = numbered(parts[1][0], end + 1)
            last = 1 + max(
                (line["ordinal"] for line in second if isinstance(line, dict) and "ordinal" in line), default=end
            )
            parts = [parts[0], (second, last), (_random_lines(dice, 6), None)]
        make.lineage("random", f"random {seed}", parts)


def _random_lines(dice: random.Random, count: int) -> list[Line]:
    lines: list[Line] = []
    for _ in range(dice.randrange(1, count)):
        name = dice.choice("AABC")
        item = dice.choice(["i1", "i2", "i3", "i4"])
        times = {
            key: dice.choice([ABSENT, dice.randrange(99)]) for key in ("started_at", "completed_at", "duration_ms")
        }
        millis = {key: dice.choice([ABSENT, dice.randrange(99)]) for key in ("started_at_ms", "completed_at_ms")}
        root = dice.choice([ABSENT, ABSENT, "R", "S"])
        error = dice.choice([ABSENT, ABSENT, {"message": "m"}])
        phase = dice.choice([None, FINAL, COMMENTARY])
        text = f"text {dice.randrange(99)}"
        choices: list[Line] = [
            started(name, started_at=times["started_at"], root_turn_id=root),
            completed(name, **times, root_turn_id=root, error=error),
            aborted(name, **times, root_turn_id=root),
            done(name, user(item, text), **millis),
            done(name, agent(item, phase, text), **millis),
            done(name, plan(item), **millis),
            "",
            event("unheard"),
            event("thread_rolled_back", num_turns=1),
        ]
        lines.append(dice.choices(choices, [12, 9, 6, 18, 24, 6, 1, 1, 1])[0])
    return lines


SUBJECTS: Final = (
    message_items,
    tool_items,
    turn_rows,
    summaries,
    item_rows,
    ordinals,
    lineages,
    pages,
    random_threads,
)


# --- recording -------------------------------------------------------------------------------------------------------


def as_recorded(value: Any) -> Any:
    """A copy of an answer without the texts of :data:`TRUE_TEXTS`."""
    if isinstance(value, dict):
        return {name: as_recorded(member) for name, member in value.items()}
    if isinstance(value, list):
        return [as_recorded(member) for member in value]
    if isinstance(value, str):
        for placeholder, (length, digest) in TRUE_TEXTS.items():
            if len(value) == length and hashlib.sha256(value.encode()).hexdigest() == digest:
                return placeholder
    return value


def write_rollout(home: Path, segment: Segment) -> None:
    """Write one rollout of a case into a Codex home."""
    folder = home / "sessions" / "2026" / "11" / "22"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"rollout-2026-11-22T10-00-00-{uuid(segment.thread)}.jsonl"
    path.write_bytes(b"".join(encoded(line) for line in [*segment.records, *segment.later]))


def all_pages(server: AppServer, method: str, params: JsonObject) -> list[JsonObject]:
    """All rows of a list, oldest first."""
    rows: list[JsonObject] = []
    cursor: str | None = None
    while True:
        answer = server.request(method, {"limit": 100, "sortDirection": "asc", **params, "cursor": cursor})
        rows += answer["data"]
        cursor = answer["nextCursor"]
        if cursor is None:
            return rows


def record(server: AppServer, case: Case) -> JsonObject:
    """Resume the rollouts of a case, so that each is indexed, and ask for the newest one."""
    for segment in case.segments:
        thread = uuid(segment.thread)
        server.request("thread/resume", {"threadId": thread, "excludeTurns": True})
        server.request("thread/unsubscribe", {"threadId": thread})
    thread = uuid(case.segments[-1].thread)
    result: JsonObject = {
        "name": case.name,
        "segments": [
            {"records": segment.records, **({"later": segment.later} if segment.later else {})}
            for segment in case.segments
        ],
        "turns": all_pages(server, "thread/turns/list", {"threadId": thread, "itemsView": "full"}),
        "summaries": all_pages(server, "thread/turns/list", {"threadId": thread, "itemsView": "summary"}),
        "items": all_pages(server, "thread/items/list", {"threadId": thread}),
    }
    if case.pages:
        result["pages"] = [page(server, thread, request) for request in case.pages]
    if case.deferred:
        which = {"commandExecution": True, "mcpToolCall": True}
        params = {"threadId": thread, "turnId": case.deferred, "deferOutput": which}
        result["deferred"] = all_pages(server, "thread/items/list", params)
    return {name: as_recorded(value) for name, value in result.items()}


def page(server: AppServer, thread: str, request: JsonObject) -> JsonObject:
    """One page: what was asked, the ids of its rows, and its cursors."""
    answer = server.request(request["method"], {"threadId": thread, **request["params"]})
    ids = [row["id"] if "id" in row else row["item"]["id"] for row in answer["data"]]
    return {**request, "ids": ids, "nextCursor": answer["nextCursor"], "backwardsCursor": answer["backwardsCursor"]}


def dump(cases: list[JsonObject]) -> str:
    """A fixture: every record, turn and item on a line of its own."""

    def layout(value: Any, depth: int) -> str:
        if depth == 0 or not value or not isinstance(value, dict | list):
            return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        if isinstance(value, list):
            return "[\n" + ",\n".join(layout(member, depth - 1) for member in value) + "\n]"
        members = (f"{json.dumps(name)}: {layout(member, depth - 1)}" for name, member in value.items())
        return "{\n" + ",\n".join(members) + "\n}"

    def case(value: JsonObject) -> str:
        depths = {"segments": 3}
        members = (f"{json.dumps(name)}: {layout(member, depths.get(name, 1))}" for name, member in value.items())
        return "{\n" + ",\n".join(members) + "\n}"

    return "[\n" + ",\n".join(case(one) for one in cases) + "\n]\n"


def main() -> None:
    """Record the subjects that the command line asks for."""
    parser = argparse.ArgumentParser(description="Record what the real Codex shows of crafted paginated rollouts.")
    parser.add_argument("--only", default="", metavar="TEXT", help="part of a subject")
    parser.add_argument("--out", type=Path, default=FIXTURES, metavar="FOLDER", help="where to write")
    options = parser.parse_args()
    binary = os.environ.get("CODEX_BIN")
    if binary is None:
        sys.exit("set CODEX_BIN to a Codex 0.169.0")
    make = Maker()
    for subject in SUBJECTS:
        subject(make)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, cases in make.cases.items():
        if options.only not in name:
            continue
        with tempfile.TemporaryDirectory(prefix="threadkeep-items-") as folder, MockResponses() as mock:
            home = Path(folder) / "home"
            write_config(home, mock.base_url)
            for segment in (segment for case in cases for segment in case.segments):
                write_rollout(home, segment)
            with AppServer([binary, "app-server"], home=home, cwd=Path(folder)) as server:
                server.initialize()
                recorded = [record(server, case) for case in cases]
        text = dump(recorded)
        (options.out / f"{name}.json").write_text(text, encoding="utf-8")
        print(f"{name}: {len(cases)} cases, {len(text)} characters", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
