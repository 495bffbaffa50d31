"""Makes ``tests/fixtures/context``: which model context Codex 0.169.0 makes of crafted rollouts.

Run it from the root of the repository::

    CODEX_BIN=/path/to/codex python -m tests.codex.record_context [--only TEXT] [--out FOLDER]

Each file holds the cases of one subject, as a list. A case is::

    {"name": ..., "mode": "legacy" | "paginated", "session_meta": {...}, "ancestors": [...], "records": [...],
     "input": [...], "observed": {...}}

``records`` are the lines of the rollout after its first: records without ``timestamp`` and ``ordinal``, which the
recorder adds, or the text of a line that is written as it is, or ``{"hex": ...}`` for a line that is no text.
``session_meta`` are the members of the first record's payload that differ from :func:`first_record`; a member that is
null is left out. ``ancestors`` are the older rollouts of a lineage, oldest first, each with its ``records`` up to where
the next one begins and the ``later`` ones behind that. A long text of few letters stands as
``{"runs": [[TEXT, TIMES], ...]}``; :func:`expand` makes a text of it again.

Every case is resumed twice, as two threads. The first runs one turn (``probe``): ``input`` is what the model was sent,
without what the turn itself added and without the instructions. The second is compacted at once. ``observed`` is what
the two wrote and answered:

====================  ================================================================================================
``error``             the message of ``thread/resume``, where the thread cannot be resumed; there is nothing else then
``settings_written``  whether the turn wrote a thread_settings_applied: it does so when it has no reference context
``world_state``       the kind of world_state that the turn wrote: ``full``, ``patch`` or none (null)
``forgotten``         the keys, not Codex's own, that the patch takes away: those of the world state that was loaded
``window_number``     of the compaction: one more than that of the loaded window
``first_window_id``   of the compaction, null where it is none of the rollout's ids (Codex made it)
``previous_window_id``  of the compaction, likewise: the id of the loaded window
``previous_turn_settings``  of the compaction's resume metadata
``token_info``        the totals of the first token_count that the compacting turn wrote: ``[total, last]`` or null
``thread_tokens``     what the thread had used before the turn, by the total of its token_usage_record
``usage_note``        the totals of the note ``thread/tokenUsage/updated`` of the resume: ``[total, last]`` or null. A
                      legacy thread gets none, nor does one whose count stands in no turn with a start
``resumed``           of the answer to ``thread/resume``: model, provider, cwd, approval policy, sandbox, effort, mode
====================  ================================================================================================

Nothing in a rollout comes from anybody else. The sentence that Codex puts before a summary is read from the binary's
own compaction; its placeholder in :mod:`tests.oracle.context` stands for it. Texts in ``input`` that are not
of the rollout are named by length and digest (:func:`~tests.oracle.context.scrubbed`).
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import os
import random
import re
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from tests.codex.client import AppServer, JsonObject, RpcError, write_config
from tests.codex.mock_responses import MockResponses
from tests.oracle import context as oracle

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

FIXTURES: Final = Path(__file__).parent.parent / "fixtures" / "context"
"""Where the fixtures are."""

MODEL: Final = "model-a"
"""The model of the configuration, one that Codex does not know."""

PROJECT: Final = "/home/me/project"
"""Stands for the folder in which the threads run."""

THREAD: Final = "01a20000-0000-7000-8000-00000000feed"
"""Stands in a record for the thread's own id."""

STAMP: Final = "2026-11-22T10:00:00.000Z"
"""The time of every record."""

BASE: Final = "crafted instructions"
"""The instructions of every thread."""

Line = JsonObject | str
"""One line of a rollout: a record, or the text of a line that is written as it is."""

ABSENT: Final = None
"""Stands for a member of the session_meta that is left out."""


def uuid(number: int) -> str:
    """A fixed UUIDv7."""
    return f"01a20000-0000-7000-8000-{number:012d}"


# --- records ---------------------------------------------------------------------------------------------------------


def event(kind: str, **members: Any) -> JsonObject:
    return {"type": "event_msg", "payload": {"type": kind, **members}}


def item(payload: JsonObject, metadata: JsonObject | None = None) -> JsonObject:
    record: JsonObject = {"type": "response_item", "payload": payload}
    return record if metadata is None else {**record, "metadata": metadata}


def message(role: str, *parts: str | JsonObject, turn: str | None = None, **members: Any) -> JsonObject:
    kind = "output_text" if role == "assistant" else "input_text"
    content = [{"type": kind, "text": part} if isinstance(part, str) else part for part in parts]
    payload: JsonObject = {"type": "message", "role": role, "content": content, **members}
    if turn is not None:
        payload["internal_chat_message_metadata_passthrough"] = {"turn_id": turn}
    return item(payload)


def user(*parts: str | JsonObject, turn: str | None = None, **members: Any) -> JsonObject:
    return message("user", *parts, turn=turn, **members)


def assistant(*parts: str | JsonObject, turn: str | None = None, **members: Any) -> JsonObject:
    return message("assistant", *parts, turn=turn, **members)


def developer(*parts: str, turn: str | None = None) -> JsonObject:
    return message("developer", *parts, turn=turn)


def started(turn: str) -> JsonObject:
    return event("task_started", turn_id=turn)


def complete(turn: str) -> JsonObject:
    return event("task_complete", turn_id=turn)


def aborted(turn: str | None) -> JsonObject:
    return event("turn_aborted", turn_id=turn, reason="interrupted")


def rolled_back(turns: int) -> JsonObject:
    return event("thread_rolled_back", num_turns=turns)


def turn_context(turn: str | None, model: str = MODEL, **members: Any) -> JsonObject:
    payload: JsonObject = {
        "turn_id": turn,
        "cwd": PROJECT,
        "approval_policy": "never",
        "permission_profile": {"type": "disabled"},
        "model": model,
        **members,
    }
    return {"type": "turn_context", "payload": payload}


def settings_applied(model: str = MODEL, thread: str | None = THREAD, **members: Any) -> JsonObject:
    settings = {"model": model, "reasoning_effort": None, "developer_instructions": None}
    applied = {
        "model": model,
        "model_provider_id": "mock",
        "approval_policy": "never",
        "approvals_reviewer": "user",
        "permission_profile": {"type": "disabled"},
        "cwd": PROJECT,
        "runtime_workspace_roots": [PROJECT],
        "collaboration_mode": {"mode": "default", "settings": settings},
        "disabled_plugin_ids": [],
        **members,
    }
    return event("thread_settings_applied", thread_id=thread, thread_settings=applied)


def world_state(*markers: str, full: bool = True, **state: Any) -> JsonObject:
    return {"type": "world_state", "payload": {"full": full, "state": {**dict.fromkeys(markers, 1), **state}}}


def compacted(summary: str = "S", history: Sequence[JsonObject] | None = None, **members: Any) -> JsonObject:
    payload: JsonObject = {"message": summary}
    if history is not None:
        payload["replacement_history"] = [entry.get("payload", entry) for entry in history]
    return {"type": "compacted", "payload": {**payload, **members}}


def resume_metadata(model: str | None = None, last_started: str | None = None) -> JsonObject:
    settings = None if model is None else {"model": model, "comp_hash": None, "realtime_active": False}
    return {
        "resume_metadata": {
            "multi_agent_version": "v1",
            "last_started_turn_id": last_started,
            "previous_turn_settings": settings,
        }
    }


def tokens(count: int) -> JsonObject:
    keys = ("cached_input_tokens", "cache_write_input_tokens", "output_tokens", "reasoning_output_tokens")
    return {"input_tokens": count, **dict.fromkeys(keys, 0), "total_tokens": count}


def token_count(total: int, last: int) -> JsonObject:
    info = {"total_token_usage": tokens(total), "last_token_usage": tokens(last), "model_context_window": 1000}
    return event("token_count", info=info, rate_limits=None)


def usage_record(thread: str, used: int, total: int) -> JsonObject:
    payload = {
        "thread_id": thread,
        "turn_id": "t",
        "session_id": thread,
        "root_turn_id": "t",
        "response_id": "r",
        "usage": tokens(used),
        "turn_token_usage": tokens(used),
        "thread_token_usage": tokens(total),
    }
    return {"type": "token_usage_record", "payload": payload}


def agents_say(content: str, **members: Any) -> JsonObject:
    """An inter-agent communication."""
    payload = {"author": "/root/a", "recipient": "/root", "content": content, "trigger_turn": True, **members}
    return {"type": "inter_agent_communication", "payload": payload}


def a_turn(turn: str, text: str, model: str = MODEL, *, states: bool = True) -> list[JsonObject]:
    """A whole turn with a marker of its own in the world state: ``marker-`` and the turn's id."""
    state = [world_state(f"marker-{turn}")] if states else []
    said = [user(text, turn=turn), assistant(f"answer to {text}", turn=turn)]
    return [started(turn), *state, turn_context(turn, model), *said, complete(turn)]


# --- cases -----------------------------------------------------------------------------------------------------------


@dataclass
class Case:
    """One crafted rollout, or the last of a lineage of them."""

    name: str
    records: Sequence[Line]
    mode: str = "paginated"
    session_meta: JsonObject = field(default_factory=dict)
    ancestors: list[JsonObject] = field(default_factory=list)


def both(name: str, records: Sequence[Line], **session_meta: Any) -> list[Case]:
    """The same records in both modes."""
    return [Case(name, list(records), mode, session_meta) for mode in ("paginated", "legacy")]


ONE_TURN: Final = a_turn("t1", "one")

EXTRA: Final[JsonObject] = {
    "id": "x_1",
    "internal_chat_message_metadata_passthrough": {"turn_id": "t1", "create_time": 1.5, "content_item_kinds": ["k"]},
    "unknown": {"a": 1},
}


def item_cases() -> Iterator[Case]:
    """How each kind of response item is sent."""
    text = {"type": "input_text", "text": "x"}
    shell = {"type": "exec", "command": ["ls"]}
    call = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c1"}
    output = {"type": "function_call_output", "call_id": "c1", "output": "o"}
    custom = {"type": "custom_tool_call", "name": "f", "input": "i", "call_id": "c1"}
    custom_output = {"type": "custom_tool_call_output", "call_id": "c1", "output": "o"}
    search = {"type": "tool_search_call", "execution": "client", "arguments": {"q": 1}, "call_id": "c1"}
    found = {
        "type": "tool_search_output",
        "execution": "client",
        "status": "completed",
        "tools": [{"n": 1}],
        "call_id": "c1",
    }
    local = {"type": "local_shell_call", "status": "completed", "call_id": "c1", "action": shell}
    full_action = {**shell, "timeout_ms": 5, "working_directory": "/", "env": {"a": "b"}, "user": "u"}
    kinds: dict[str, list[JsonObject]] = {
        "message of a user": [{"type": "message", "role": "user", "content": [text], "status": "completed", **EXTRA}],
        "message of an assistant": [
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "x", "annotations": [{"a": 1}], "logprobs": [2], "z": 1}],
                "phase": "final_answer",
                "encrypted_content": "E",
                **EXTRA,
            }
        ],
        "message with nulls": [
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "x", "annotations": None}],
                "phase": None,
                "id": None,
                "status": None,
            }
        ],
        "messages of every role": [
            {"type": "message", "role": role, "content": [text]} for role in ("developer", "system", "tool", "User")
        ],
        "messages with nothing in them": [
            {"type": "message", "role": "user", "content": []},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": ""}]},
        ],
        "message with an uploaded image": [
            {"type": "message", "role": "user", "content": [text, {"type": "input_image", "file_id": "f1"}]}
        ],
        "message with a remote image": [
            {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "https://a.example/"}]}
        ],
        "message with an image of an unknown scheme": [
            {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "a:b", "z": 1}]}
        ],
        "message with a sound": [
            {"type": "message", "role": "user", "content": [{"type": "input_audio", "file_id": "f1"}]}
        ],
        "additional tools": [{"type": "additional_tools", "role": "developer", "tools": [{"n": 1}, 2], "id": "at_1"}],
        "agent message": [
            {
                "type": "agent_message",
                "author": "any text",
                "recipient": "/root",
                "content": [text, {"type": "encrypted_content", "encrypted_content": "E"}],
                **EXTRA,
            }
        ],
        "reasoning": [
            {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "s"}],
                "content": None,
                "encrypted_content": "E",
                **EXTRA,
            }
        ],
        "reasoning without encrypted content": [{"type": "reasoning", "summary": []}],
        "reasoning with content": [
            {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "r"}]},
            {"type": "reasoning", "summary": [], "content": [{"type": "text", "text": "r"}]},
            {"type": "reasoning", "summary": [], "content": []},
            {
                "type": "reasoning",
                "summary": [],
                "content": [{"type": "text", "text": "a"}, {"type": "reasoning_text", "text": "b"}],
            },
        ],
        "function call and output": [
            {**call, "status": "completed", "namespace": "n", "encrypted_content": "E", **EXTRA},
            {**output, "name": "f", "namespace": "n", **EXTRA},
        ],
        "function call output of parts": [
            call,
            {**output, "output": [text, {"type": "encrypted_content", "encrypted_content": "E", "z": 1}]},
        ],
        "function call output without a call id": [{"type": "function_call_output", "output": "o", "name": "n"}],
        "custom tool call and output": [
            {**custom, "status": "completed", "namespace": "n", **EXTRA},
            {**custom_output, "name": "f", **EXTRA},
        ],
        "tool search and output": [{**search, **EXTRA}, {**found, **EXTRA}],
        "tool search of the server": [{**search, "call_id": None, "execution": "server"}, {**found, "call_id": None}],
        "local shell call and output": [{**local, "action": full_action, **EXTRA}, output],
        "local shell call without a call id": [{**local, "call_id": None}, output],
        "web searches": [
            {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}, **EXTRA},
            {"type": "web_search_call", "action": {"type": "search", "queries": ["a"], "query": None, "z": 1}},
            {"type": "web_search_call", "action": {"type": "open_page", "url": "u"}},
            {"type": "web_search_call", "action": {"type": "find_in_page", "url": "u", "pattern": "p"}},
            {"type": "web_search_call", "action": {"type": "unheard_of", "url": "u"}},
            {"type": "web_search_call", "encrypted_content": "E"},
        ],
        "image generation": [
            {"type": "image_generation_call", "status": "completed", "revised_prompt": "p", "result": "AAAA", **EXTRA}
        ],
        "compaction": [
            {"type": "compaction", "encrypted_content": "E", **EXTRA},
            {"type": "compaction_summary", "encrypted_content": "F"},
        ],
        "context compaction": [
            {"type": "context_compaction", "encrypted_content": "E", **EXTRA},
            {"type": "context_compaction"},
        ],
        "items that are never sent": [
            {"type": "configuration_update", "reasoning": {"effort": "high"}},
            {"type": "compaction_trigger"},
            {"type": "other"},
            {"type": "unheard_of", "x": 1},
            {"type": "ghost_snapshot", "ghost_commit": {"id": "a"}},
        ],
    }
    for name, payloads in kinds.items():
        records = [started("t1"), turn_context("t1"), user("before"), *map(item, payloads), assistant("after")]
        yield Case(name, records)
        if "of every role" in name or "call and output" in name or "never sent" in name:
            yield Case(name, records, "legacy")
    everything = [item(payload) for payloads in kinds.values() for payload in payloads]
    yield Case("every kind of item in a legacy rollout", everything, "legacy")
    history = [payload for payloads in kinds.values() for payload in payloads if payload["type"] != "other"]
    yield from both("every kind of item in a replacement history", [compacted("S", history, window_number=1)])
    ids = ("x", "a_b", "_b", "a_", "_", "a_b_c", "A_1", "é_1", "1_2", "a b_c", "", "a-b", uuid(1))
    yield Case("ids", [item({"type": "compaction", "encrypted_content": "E", "id": name}) for name in ids])


def pairing_cases() -> Iterator[Case]:
    """Calls without an output and outputs without a call: a turn that was cut short, and what is damaged."""
    calls: dict[str, list[JsonObject]] = {
        "function call": [{"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c1", "id": "fc_1"}],
        "function call without an id": [{"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c1"}],
        "function call with an id that is not sent": [
            {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c1", "id": "x"}
        ],
        "custom tool call": [{"type": "custom_tool_call", "name": "f", "input": "i", "call_id": "c1", "id": "ctc_1"}],
        "local shell call": [
            {
                "type": "local_shell_call",
                "status": "in_progress",
                "call_id": "c1",
                "id": "ls_1",
                "action": {"type": "exec", "command": ["ls"]},
            }
        ],
        "tool search": [
            {"type": "tool_search_call", "execution": "client", "arguments": {}, "call_id": "c1", "id": "ts_1"}
        ],
        "tool search without a call id": [{"type": "tool_search_call", "execution": "client", "arguments": {}}],
    }
    for name, payloads in calls.items():
        records = [started("t1"), turn_context("t1"), user("go", turn="t1"), *map(item, payloads)]
        yield from both(f"{name} without an output", records)
        yield Case(f"{name} without an output in a turn that ended", [*records, aborted("t1"), *a_turn("t2", "two")])
    two = [
        item({"type": "function_call", "name": "f", "arguments": "{}", "call_id": f"c{n}", "id": f"fc_{n}"})
        for n in (1, 2)
    ]
    answer = item({"type": "function_call_output", "call_id": "c2", "output": "o"})
    yield Case("two calls, one output", [user("go"), *two, answer])
    yield Case("an output before its call", [user("go"), answer, *two])
    yield Case("a message between call and output", [user("go"), *two, user("in between"), answer])
    yield Case("two outputs of one call", [user("go"), two[1], answer, answer])
    orphans: list[JsonObject] = [
        {"type": "function_call_output", "call_id": "c9", "output": "o"},
        {"type": "function_call_output", "call_id": "c9", "output": "o", "name": "f", "namespace": "n"},
        {"type": "custom_tool_call_output", "call_id": "c9", "output": "o"},
        {"type": "tool_search_output", "call_id": "c9", "status": "s", "execution": "client", "tools": []},
        {"type": "tool_search_output", "call_id": "c9", "status": "s", "execution": "server", "tools": []},
    ]
    yield from both("outputs without a call", [user("go"), *map(item, orphans)])
    mixed = [
        {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c1"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "o"},
        {"type": "custom_tool_call", "name": "f", "input": "i", "call_id": "c2"},
        {"type": "function_call_output", "call_id": "c2", "output": "o"},
    ]
    yield Case("outputs of another kind than their calls", [user("go"), *map(item, mixed)])
    yield Case(
        "reasoning at the end", [user("go"), item({"type": "reasoning", "summary": [], "encrypted_content": "E"})]
    )


def long_text(size: int, letter: str = "a") -> str:
    """A text of `size` letters whose ends differ from its middle."""
    return f"<{letter * (size - 2)}>"


def output_cases() -> Iterator[Case]:
    """How much of a tool output is sent."""
    call = item({"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c1"})

    def case(name: str, output: Any, metadata: JsonObject | None = None) -> Case:
        result = item({"type": "function_call_output", "call_id": "c1", "output": output}, metadata)
        return Case(name, [started("t1"), turn_context("t1"), user("go"), call, result, complete("t1")])

    def part(size: int) -> JsonObject:
        return {"type": "input_text", "text": long_text(size)}

    picture = {"type": "input_image", "file_id": "f1"}
    saved = {"fallback_token_limit_override": 2000, "client_authored": False}
    yield case("output of 12,000 bytes", long_text(12_000))
    yield case("output of 12,001 bytes", long_text(12_001))
    yield case("output of 50,000 bytes", long_text(50_000))
    yield case("output of 50,000 bytes, limit saved", long_text(50_000), saved)
    yield case("output within the saved limit", long_text(8_000), saved)
    yield case("output one byte above the saved limit", long_text(8_001), saved)
    yield case(
        "output with a saved limit above the model's", long_text(50_000), {"fallback_token_limit_override": 20_000}
    )
    yield case("output of two-byte letters", long_text(9_000, "é"))
    yield case("output of two-byte letters, odd", "x" + long_text(9_000, "é") + long_text(2_000, "日"))
    yield case("output of three-byte letters, limit saved", long_text(9_000, "日"), saved)
    yield case("output parts share the limit", [part(5_000), part(5_000), part(5_000)])
    yield case("output parts, the first uses all", [part(12_000), part(5), part(5)])
    yield case("output parts with an image", [part(20_000), picture, part(10), picture])
    yield case("output parts, image first", [picture, part(20_000)])
    yield case("output parts, limit saved", [part(5_000), part(5_000), part(5_000)], saved)
    yield case("output parts, encrypted", [{"type": "encrypted_content", "encrypted_content": "E" * 20_000}, part(500)])
    history = [call, item({"type": "function_call_output", "call_id": "c1", "output": long_text(50_000)}), user("u")]
    later = [call, item({"type": "custom_tool_call", "name": "f", "input": "i", "call_id": "c2"})]
    cut = item({"type": "custom_tool_call_output", "call_id": "c2", "output": long_text(50_000)})
    yield from both("output in a replacement history", [compacted("S", history, window_number=1), *later, cut])
    yield Case("other long items", [user(long_text(100_000)), assistant(long_text(100_000))])


def raw_cases() -> Iterator[Case]:
    """Lines that are no records, and lines that are written otherwise than Codex writes them."""
    payload = '{"type":"message","role":"user","content":[{"type":"input_text","text":"x"}]}'

    def line(text: str = "x", *, stamp: str = f'"timestamp":"{STAMP}",', inside: str = "", top: str = "") -> str:
        content = f'[{{"type":"input_text","text":"{text}"}}]'
        said = f'{{"type":"message","role":"user","content":{content}{inside}}}'
        return f'{{{stamp}"type":"response_item","payload":{said}{top}}}'

    def number(text: str) -> str:
        arguments = f'"execution":"server","arguments":{{"a":{text}}}'
        return f'{{"timestamp":"{STAMP}","type":"response_item","payload":{{"type":"tool_search_call",{arguments}}}}}'

    groups: dict[str, list[str]] = {
        "numbers": [
            number(text)
            for text in (
                "1e300",
                "18446744073709551615",
                "18446744073709551616",
                "-9223372036854775808",
                "-9223372036854775809",
                "1.5",
                "1.0",
                "-0",
                "NaN",
                "Infinity",
                "01",
                "1.",
                "+1",
                "1E5",
            )
        ],
        "strings": [
            line(text)
            for text in (
                "lone high \\ud800",
                "lone low \\udc00",
                "pair \\ud83d\\ude00",
                "wrong way \\ude00\\ud83d",
                "escaped nul \\u0000",
                "raw nul \x00",
                "raw tab \t",
                "raw delete \x7f",
                "line separator \u2028",
                "wrong escape \\x",
                "mark \ufeff",
            )
        ],
        "lone surrogates elsewhere": [
            line("a", top=',"k\\ud800":1'),
            line("b", inside=',"z":"\\ud800"'),
            line("c", top=',"metadata":{"z":"\\ud800"}'),
        ],
        "keys twice": [
            f'{{"timestamp":"{STAMP}","type":"turn_context","type":"response_item","payload":{payload}}}',
            f'{{"timestamp":"{STAMP}","type":"response_item","payload":{{"type":"other"}},"payload":{payload}}}',
            line("a", inside=',"role":"assistant"'),
            line("b", inside=',"z":1,"z":2', top=',"y":1,"y":2'),
            line('a","text":"c'),
        ],
        "keys": [
            line("unknown", top=',"z":{"a":[1]}'),
            f'{{"payload":{payload},"type":"response_item","timestamp":"{STAMP}"}}',
            line("no stamp", stamp=""),
            line("stamp is a number", stamp='"timestamp":5,'),
            line("stamp is null", stamp='"timestamp":null,'),
            line("stamp is no time", stamp='"timestamp":"",'),
            f'{{"timestamp":"{STAMP}","type":"response_item","payload":["message"]}}',
            f'{{"timestamp":"{STAMP}","type":"response_item"}}',
            f'{{"timestamp":"{STAMP}","payload":{payload}}}',
            f'{{"timestamp":"{STAMP}","type":"unheard_of","payload":{{}}}}',
            f'{{"timestamp":"{STAMP}","type":5,"payload":{{}}}}',
            '["a",1]',
            "5",
        ],
        "ordinals": [
            line(f"ordinal {text}", stamp=f'"timestamp":"{STAMP}","ordinal":{text},')
            for text in ("1", "18446744073709551615", "null", '"5"', "-5", "5.0", "18446744073709551616", "1e2")
        ],
        "white space": [
            f" \t{line('around')}\t ",
            f"{line('carriage return')}\r",
            line("inside")
            .replace(",", " , ")
            .replace(":", "\t:\t")
            .replace(f'"{STAMP}"'.replace(":", "\t:\t"), f'"{STAMP}"'),
            f"\x0c{line('form feed')}",
            f"\u00a0{line('no-break space')}",
            "",
            "   ",
            f"{line('garbage')}x",
            line("comma", top=","),
            line("a") + line("b"),
            line("half")[:40],
        ],
        "metadata": [
            line("null", top=',"metadata":null'),
            line("empty", top=',"metadata":{}'),
            line("unknown", top=',"metadata":{"z":1}'),
            line("number", top=',"metadata":5'),
            line("wrong", top=',"metadata":{"history_sequence":"x"}'),
        ],
        "depth": [line(f"depth {depth}", top=f',"z":{"[" * depth}{"]" * depth}') for depth in (100, 126, 127, 130, 200)]
        + [number("[" * depth + "]" * depth) for depth in (124, 125, 130, 200)],
    }
    for name, lines in groups.items():
        records: list[Line] = []
        for number_, text in enumerate(lines):
            records += [assistant(f"line {number_}"), text]
        yield from both(name, [user("go"), *records, user("last")])
    bad = {"hex": line("a\u0001b").encode().replace(b"\\u0001", b"\x01").replace(b"\x01", b"\xff").hex()}
    surrogate = {"hex": line("aXb").encode().replace(b"X", b"\xed\xa0\x80").hex()}
    yield from both("invalid UTF-8", [user("go"), bad, surrogate, user("last")])


def schema_cases() -> Iterator[Case]:
    """Payloads that do not fit their schema, each followed by a message that shows where it would stand."""
    text = {"type": "input_text", "text": "x"}
    shell = {"type": "exec", "command": ["ls"]}
    kinds: dict[str, tuple[JsonObject, dict[str, list[Any]]]] = {
        "message": (
            {"type": "message", "role": "user", "content": [text]},
            {
                "role": [..., None, 5],
                "content": [
                    ...,
                    None,
                    "x",
                    {},
                    [5],
                    [{}],
                    [{"type": "input_text"}],
                    [{"type": "input_text", "text": 5}],
                ],
                "id": [5, None],
                "phase": ["x", None, "commentary", "partial_answer"],
                "status": [5, None],
                "encrypted_content": [5],
                "internal_chat_message_metadata_passthrough": [
                    5,
                    {},
                    {"turn_id": 5},
                    {"create_time": "x"},
                    {"turn_id": None},
                ],
                "type": [..., None, 5],
                "unknown": [5],
            },
        ),
        "content": (
            {"type": "message", "role": "user"},
            {
                "content": [
                    [{"type": "input_video", "x": 1}],
                    [{"type": "refusal", "refusal": "x"}],
                    [{"type": "input_image"}],
                    [{"type": "input_image", "image_url": {"url": "a:b"}}],
                    [{"type": "input_image", "image_url": "a:b", "file_id": "f"}],
                    [{"type": "input_image", "file_id": "f", "detail": "x"}],
                    [{"type": "input_image", "file_id": "f", "detail": None}],
                    [{"type": "input_audio"}],
                    [{"type": "output_text", "text": "x", "annotations": 5}],
                    [{"type": "output_text", "text": "x", "annotations": [], "logprobs": []}],
                ]
            },
        ),
        "reasoning": (
            {"type": "reasoning", "summary": [], "encrypted_content": "E"},
            {
                "summary": [
                    ...,
                    None,
                    ["x"],
                    [{"type": "summary_text", "text": "s", "z": 1}],
                    [{"type": "x", "text": "s"}],
                ],
                "content": [None, "x", [{"type": "x", "text": "s"}]],
                "encrypted_content": [..., None, 5],
                "status": [5],
            },
        ),
        "local shell call": (
            {"type": "local_shell_call", "status": "completed", "action": shell},
            {
                "status": [..., "x", "in_progress", "incomplete"],
                "call_id": [5, None],
                "action": [
                    ...,
                    None,
                    {"type": "x"},
                    {**shell, "command": "ls"},
                    {**shell, "timeout_ms": -1},
                    {**shell, "env": 5},
                ],
            },
        ),
        "function call": (
            {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"},
            {
                "name": [..., 5],
                "arguments": [..., {}],
                "call_id": [..., None],
                "namespace": [5],
                "encrypted_function_args": [5, [5], ["a"]],
            },
        ),
        "function call output": (
            {"type": "function_call_output", "output": "o"},
            {
                "output": [..., None, 5, {"content": "x", "success": True}, [5], [{"type": "x"}], [text]],
                "call_id": [5, None, ""],
                "name": [5, "n"],
            },
        ),
        "custom tool call": (
            {"type": "custom_tool_call", "name": "f", "input": "i", "call_id": "c"},
            {"name": [...], "input": [..., {}], "call_id": [..., None], "status": [5]},
        ),
        "custom tool call output": (
            {"type": "custom_tool_call_output", "output": "o", "call_id": "c"},
            {"output": [..., {}], "call_id": [..., None], "name": [5]},
        ),
        "tool search call": (
            {"type": "tool_search_call", "execution": "client", "arguments": {}},
            {"execution": [..., 5], "arguments": [..., None, "x", 5], "call_id": [5]},
        ),
        "tool search output": (
            {"type": "tool_search_output", "execution": "client", "status": "s", "tools": []},
            {"execution": [...], "status": [..., None], "tools": [..., {}, [5, None]]},
        ),
        "web search call": (
            {"type": "web_search_call"},
            {"action": [None, "x", {}, {"type": 5}, {"type": "search", "query": 5}], "status": [5]},
        ),
        "image generation call": (
            {"type": "image_generation_call", "status": "s", "result": ""},
            {"status": [..., None], "result": [..., None], "revised_prompt": [5]},
        ),
        "compaction": ({"type": "compaction", "encrypted_content": "E"}, {"encrypted_content": [..., None, 5]}),
        "context compaction": ({"type": "context_compaction"}, {"encrypted_content": [None, 5], "id": [5]}),
        "additional tools": (
            {"type": "additional_tools", "role": "developer", "tools": []},
            {"role": [..., None], "tools": [..., {}, [1, "a", None]]},
        ),
        "agent message": (
            {"type": "agent_message", "author": "a", "recipient": "b", "content": [text]},
            {
                "author": [..., 5],
                "recipient": [...],
                "content": [..., "x", [], [{"type": "output_text", "text": "x"}], [{"type": "encrypted_content"}]],
            },
        ),
    }
    for name, (payload, changes) in kinds.items():
        records: list[JsonObject] = [user("go")]
        for key, values in changes.items():
            for value in values:
                changed = {**payload, key: value}
                if value is ...:
                    del changed[key]
                records += [item(changed), assistant(f"{key} {len(records)}")]
        yield Case(f"response item: {name}", records)
        if name in {"message", "function call output"}:
            yield Case(f"response item: {name}", records, "legacy")
    yield from changed_records(
        "inter-agent communication",
        agents_say("hi"),
        {
            "author": [
                ...,
                "a",
                "",
                "/",
                "/root",
                "/other",
                "/morpheus",
                "/root/A",
                "/root/a-b",
                "/root/a_b/c1",
                "/root/root",
                "/root/",
            ],
            "recipient": [..., "a"],
            "content": [..., None, ""],
            "trigger_turn": [..., None, "x", False],
            "other_recipients": [None, ["a"], ["/root/b"]],
            "encrypted_content": [5, None, "E", ""],
            "id": [5, "am_1", "x"],
        },
    )
    wrong: dict[str, list[Any]] = {
        "turn_id": [..., None, 5, "other"],
        "cwd": [..., "", "a", 5],
        "approval_policy": [..., None, "x", "on-failure", "untrusted", {"granular": {}}],
        "model": [..., None],
        "permission_profile": [..., None, "x", {"type": "x"}],
        "sandbox_policy": [{"type": "x"}, {"type": "read-only"}],
        "summary": [..., None, "x", "detailed"],
        "effort": [None, 5, "high"],
        "collaboration_mode": [..., None, {"mode": "x", "settings": {"model": "m"}}, {"mode": "default"}],
        "multi_agent_version": [None, "x", "v2"],
        "realtime_active": [..., None, 1],
        "disabled_plugin_ids": [None, [1]],
        "approvals_reviewer": ["x"],
        "comp_hash": [5, "h"],
        "unknown": [1],
    }
    for key, values in wrong.items():
        for value in values:
            context = turn_context("t1")
            context["payload"][key] = value
            if value is ...:
                del context["payload"][key]
            records = [started("t1"), world_state("marker"), context, user("one"), complete("t1")]
            yield Case(f"turn context: {key} {value!r}", records)
    old = {
        "turn_id": "t1",
        "cwd": PROJECT,
        "approval_policy": "never",
        "sandbox_policy": {"type": "read-only"},
        "model": MODEL,
    }
    for payload in (old, {key: value for key, value in old.items() if key != "sandbox_policy"}):
        aged = {"type": "turn_context", "payload": {**payload, "personality": "x", "network": 5}}
        name = "with" if "sandbox_policy" in payload else "without"
        yield from both(
            f"turn context of an old version, {name} sandbox policy",
            [started("t1"), world_state("marker"), aged, user("one"), complete("t1")],
        )
    states: dict[str, list[Any]] = {"full": [..., None, 1], "state": [..., None, [], "x"], "unknown": [1]}
    for key, values in states.items():
        for value in values:
            state = world_state("marker")
            state["payload"][key] = value
            if value is ...:
                del state["payload"][key]
            yield Case(f"world state: {key} {value!r}", [started("t1"), state, turn_context("t1"), user("one")])
    starts: dict[str, list[Any]] = {
        "turn_id": [..., None, 5],
        "collaboration_mode_kind": [..., None, "x", "plan", "execute"],
        "started_at": [None, "x", 1.5],
        "turn_attribution": [None, 5, {}, {"turn_id": "x"}],
        "type": ["turn_started"],
    }
    for key, values in starts.items():
        for value in values:
            start = started("t2")
            start["payload"][key] = value
            if value is ...:
                del start["payload"][key]
            rest = [turn_context("t2"), user("two"), rolled_back(1)]
            yield Case(f"task started: {key} {value!r}", [*ONE_TURN, start, *rest])
    for value in (..., None, "1", -1, 1.0, 0, 1, 2**32 - 1, 2**32):
        mark = rolled_back(1)
        mark["payload"]["num_turns"] = value
        if value is ...:
            del mark["payload"]["num_turns"]
        yield from both(f"rollback of {value!r} turns", [*ONE_TURN, *a_turn("t2", "two"), mark])


def changed_records(name: str, record: JsonObject, changes: dict[str, list[Any]]) -> Iterator[Case]:
    """One case with every change of the record's payload, each followed by a message."""
    records: list[JsonObject] = [user("go")]
    for key, values in changes.items():
        for value in values:
            changed = copy.deepcopy(record)
            changed["payload"][key] = value
            if value is ...:
                del changed["payload"][key]
            records += [changed, assistant(f"{key} {len(records)}")]
    yield from both(name, records)


def checkpoint_cases() -> Iterator[Case]:
    """Which compaction the context begins at, and what its fields are worth."""
    kept = [user("kept")]
    metadata: JsonObject = {"client_authored": False}
    fields: dict[str, JsonObject] = {
        "full": {"window_number": 3, **resume_metadata("model-r", "t9")},
        "without resume metadata": {"window_number": 3},
        "without window number": {**resume_metadata("model-r")},
        "with a null window number": {"window_number": None},
        "with window ids": {
            "window_number": 4,
            "first_window_id": uuid(901),
            "previous_window_id": uuid(902),
            "window_id": uuid(903),
        },
        "with window ids of another version": {
            "window_number": 4,
            "first_window_id": "5c1e7a94-8a1c-4a55-9d5d-0d3f2f0c6a11",
            "window_id": "5c1e7a94-8a1c-4a55-9d5d-0d3f2f0c6a11",
        },
        "with a window id that is no id": {"window_number": 4, "window_id": "x"},
        "with a number as window id": {"window_id": 7},
        "with a number as window id beside a window number": {"window_id": 7, "window_number": 3},
        "with a negative number as window id": {"window_id": -7},
        "with window number 0": {"window_number": 0},
        "with the greatest window number": {"window_number": 2**64 - 1},
        "with a text as window number": {"window_number": "4"},
        "with a fraction as window number": {"window_number": 4.0},
        "with metadata": {"window_number": 3, "replacement_history_metadata": [metadata]},
        "with metadata that is null": {"window_number": 3, "replacement_history_metadata": None},
        "with too much metadata": {"window_number": 3, "replacement_history_metadata": [metadata, metadata]},
        "with too little metadata": {"window_number": 3, "replacement_history_metadata": []},
        "with wrong metadata": {"window_number": 3, "replacement_history_metadata": [5]},
        "with empty resume metadata": {"window_number": 3, "resume_metadata": {}},
        "with wrong resume metadata": {"window_number": 3, "resume_metadata": 5},
        "with wrong previous settings": {"window_number": 3, "resume_metadata": {"previous_turn_settings": 5}},
        "with an unknown key": {"window_number": 3, "unknown": 5},
        "with a wrong token usage record": {"window_number": 3, "latest_token_usage_record": 5},
    }
    for name, members in fields.items():
        records = [*ONE_TURN, started("c"), compacted("S", kept, **members), complete("c"), *a_turn("t2", "two")]
        yield from both(f"compaction {name}", records)
    for name, payload in {
        "without a replacement history": {"message": "S", "window_number": 3},
        "with a null replacement history": {"message": "S", "replacement_history": None, "window_number": 3},
        "with an empty replacement history": {"message": "S", "replacement_history": [], "window_number": 3},
        "with metadata alone": {"message": "S", "replacement_history_metadata": [], "window_number": 3},
        "without a message": {"replacement_history": [kept[0]["payload"]], "window_number": 3},
        "with a null message": {"message": None, "replacement_history": [kept[0]["payload"]], "window_number": 3},
    }.items():
        record = {"type": "compacted", "payload": payload}
        yield from both(f"compaction {name}", [*ONE_TURN, record, *a_turn("t2", "two")])
    odd: dict[str, Any] = {
        "a message without a role": {"type": "message", "content": []},
        "an object without a type": {"x": 1},
        "a text": "x",
        "null": None,
        "an unknown item": {"type": "unheard_of", "x": 1},
        "an other item": {"type": "other"},
        "a compaction trigger": {"type": "compaction_trigger"},
        "a ghost snapshot": {"type": "ghost_snapshot", "ghost_commit": {"id": "a"}},
        "a system message": {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "x"}]},
        "a configuration update": {"type": "configuration_update", "reasoning": {"effort": "high"}},
        "an orphan output": {"type": "function_call_output", "call_id": "c", "output": "o"},
        "a delivered message": assistant("again", turn="t1")["payload"],
    }
    for name, entry in odd.items():
        payload = {"message": "S", "replacement_history": [kept[0]["payload"], entry], "window_number": 3}
        yield from both(f"replacement history with {name}", [*ONE_TURN, {"type": "compacted", "payload": payload}])
    new = {"window_number": 2, **resume_metadata("model-r", "c2")}
    first = [
        started("c1"),
        compacted("S", [user("first")], window_number=1, **resume_metadata("model-q")),
        complete("c1"),
    ]
    second = [started("c2"), compacted("T", [user("second")], **new), complete("c2")]
    third = [started("c3"), compacted("U", [user("third")]), complete("c3")]
    bare = [started("c4"), compacted("V"), complete("c4")]
    chains = {
        "two": [*first, *second],
        "two, the newer without window number": [*first, *third],
        "two, the older without window number": [*third, *second],
        "two, the newer without replacement history": [*first, *bare],
        "two, the older without replacement history": [*bare, *second],
        "two in one turn": [*first[:2], user("between"), *second[1:]],
        "two bare": [*bare, *a_turn("t3", "three"), *bare],
    }
    for name, chain in chains.items():
        yield from both(f"compactions: {name}", [*ONE_TURN, *chain, *a_turn("t2", "two")])
        yield from both(f"compactions: {name}, at the end", [*ONE_TURN, *a_turn("t2", "two"), *chain])
    tail = [world_state("marker-c"), turn_context("c", "model-c")]
    for name, members in {
        "new": {"window_number": 3, **resume_metadata("model-r")},
        "old": {"window_number": 3},
    }.items():
        compaction = [started("c"), compacted("S", kept, **members)]
        ends = {
            "at the very end": [],
            "then its end": [complete("c")],
            "then world state": [world_state("marker-c")],
            "then turn context": [turn_context("c", "model-c")],
            "then both": tail,
            "then both and its end": [*tail, complete("c")],
            "then both and a user": [*tail, user("more"), complete("c")],
            "then both and a user, interrupted": [*tail, user("more"), aborted("c")],
            "then an open turn": [*tail, complete("c"), started("t2"), turn_context("t2", "model-2"), user("two")],
            "then a turn without its start": [
                *tail,
                complete("c"),
                turn_context("t2", "model-2"),
                user("two"),
                complete("t2"),
            ],
        }
        for end, records in ends.items():
            yield from both(f"{name} compaction, {end}", [*ONE_TURN, *compaction, *records])


def legacy_compaction_cases() -> Iterator[Case]:
    """A compaction without replacement history: which messages of the user stay, and in which form."""
    bare = compacted("S")
    cases: dict[str, list[JsonObject]] = {
        "ids and parts": [user("a", "b", id="msg_1"), assistant("x"), user("c", id="msg_2", turn="t1"), bare],
        "with media": [
            user("caption", {"type": "input_image", "file_id": "f"}),
            user({"type": "input_image", "file_id": "f"}),
            user({"type": "output_text", "text": "x"}),
            bare,
        ],
        "empty messages": [user(""), user("  "), user(), user("z"), bare],
        "empty summary": [user("u"), compacted(""), user("after")],
        "blank summary": [user("u"), compacted("  "), user("after")],
        "earlier summaries": [
            user("u"),
            user("SUMMARY-PREFIX\nold"),
            compacted("SUMMARY-PREFIX\nnew"),
            user("v"),
            bare,
        ],
        "context and others": [
            user("<environment_context>e</environment_context>"),
            user("u"),
            user("<environment_context>e</environment_context>", "with more"),
            developer("d"),
            item({"type": "agent_message", "author": "a", "recipient": "b", "content": []}),
            agents_say("hi"),
            bare,
        ],
        "nothing before": [bare],
        "a summary of two parts": [user("x", "SUMMARY-PREFIX\nold"), user("SUMMARY-PREFIX\nold", "x"), bare],
    }
    for name, records in cases.items():
        yield from both(f"bare compaction: {name}", records)
    sizes = {
        "all fit": [10_000, 30_000, 39_990],
        "just fit": [40_000, 40_000],
        "one byte too many": [40_001, 40_000],
        "the newest does not fit": [10, 80_001],
        "the newest fills it": [10, 80_000],
        "the oldest is cut": [30_000, 60_000],
        "the rest is cut away": [5, 30_000, 60_000, 40],
        "many": [20_000] * 6,
        "rounding": [3, 79_993, 3],
        "exactly used up, then an empty one": [0, 80_000],
    }
    for name, lengths in sizes.items():
        texts = [user(long_text(size, "abcdef"[n]) if size > 1 else "") for n, size in enumerate(lengths)]
        yield Case(f"bare compaction, budget: {name}", [*texts, bare])
    parts = [user(long_text(30_000), long_text(30_000, "b"), id="msg_1"), user(long_text(50_000, "c")), bare]
    yield Case("bare compaction, budget: parts that are cut", parts)
    rest = user(long_text(79_996))
    for name, text in {"": "abcdefgh", ", two-byte letters": "éééé", ", three-byte letters": "日日日日"}.items():
        yield Case(f"bare compaction, budget: one token left{name}", [user(text), rest, bare])
    image = {"type": "input_image", "file_id": "f"}
    yield Case(
        "bare compaction, budget: an image with text that is cut",
        [user(long_text(9_000), image), user(long_text(60_000)), bare],
    )
    yield Case("bare compaction, budget: image tags", [user("<image>", image, "</image>", "caption"), bare])
    yield Case(
        "bare compaction, budget: two-byte letters", [user(long_text(30_000, "é")), user(long_text(25_000, "ü")), bare]
    )


def rollback_cases() -> Iterator[Case]:
    """Where a rollback cuts, and what else goes with it."""
    two = [*ONE_TURN, *a_turn("t2", "two", "model-2")]
    three = [*two, *a_turn("t3", "three", "model-3")]
    kept = [user("a"), assistant("b"), user("c"), user("SUMMARY-PREFIX\nsummary")]
    new = [started("c"), compacted("S", kept, window_number=1, window_id=uuid(903), **resume_metadata("model-r", "c"))]
    old = [started("c"), compacted("S", kept, window_number=1)]
    oldest = [started("c"), compacted("S", kept)]
    none = [started("c"), compacted("SUMMARY-PREFIX\nS")]
    after = [world_state("marker-c"), turn_context("c", "model-c"), complete("c")]
    later = [*a_turn("t2", "two", "model-2"), *a_turn("t3", "three", "model-3")]
    for turns in (0, 1, 2, 3, 9):
        yield from both(f"rollback by {turns} of 3 turns", [*three, rolled_back(turns)])
    for name, compaction in {"new": new, "old": old, "oldest": oldest, "bare": none}.items():
        for turns in (1, 2, 3, 4, 5, 9):
            records = [*ONE_TURN, *compaction, *after, *later, rolled_back(turns)]
            yield from both(f"rollback by {turns}, {name} compaction before 2 turns", records)
        inside = [
            started("t2"),
            turn_context("t2", "model-2"),
            user("two"),
            compaction[1],
            user("more"),
            complete("t2"),
        ]
        for turns in (1, 2):
            yield from both(
                f"rollback by {turns} of a turn with a {name} compaction", [*ONE_TURN, *inside, rolled_back(turns)]
            )
            records = [*ONE_TURN, *inside, rolled_back(turns), *a_turn("t3", "three")]
            yield from both(f"rollback by {turns} of a turn with a {name} compaction, then a turn", records)
        yield from both(f"rollback before a {name} compaction", [*two, rolled_back(1), *compaction, *after, *later])
    sequences = {
        "two markers": [*three, rolled_back(1), rolled_back(1)],
        "a marker, a turn, a marker": [*two, rolled_back(1), *a_turn("t3", "three", "model-3"), rolled_back(1)],
        "a marker, a turn, a marker that goes past": [*two, rolled_back(1), *a_turn("t3", "three"), rolled_back(2)],
        "a marker within an open turn": [
            *ONE_TURN,
            *a_turn("t2", "two")[:-1],
            rolled_back(1),
            user("more"),
            complete("t2"),
        ],
        "a marker first": [rolled_back(3), *ONE_TURN],
        "a turn without a user": [
            *ONE_TURN,
            started("t2"),
            turn_context("t2"),
            assistant("a"),
            complete("t2"),
            rolled_back(1),
        ],
        "a turn with context only": [
            *ONE_TURN,
            started("t2"),
            turn_context("t2"),
            user("<environment_context>e</environment_context>"),
            complete("t2"),
            rolled_back(1),
        ],
        "a turn of an agent": [
            *ONE_TURN,
            started("t2"),
            turn_context("t2"),
            agents_say("hi"),
            complete("t2"),
            rolled_back(1),
        ],
        "a turn of two messages": [
            *ONE_TURN,
            started("t2"),
            turn_context("t2"),
            user("two", turn="t2"),
            assistant("a"),
            user("and more", turn="t2"),
            complete("t2"),
            rolled_back(1),
        ],
        "a turn with the user's event alone": [
            *ONE_TURN,
            started("t2"),
            turn_context("t2"),
            event("user_message", message="two", images=[], local_images=[], text_elements=[]),
            complete("t2"),
            rolled_back(1),
        ],
        "messages outside of turns": [user("a"), assistant("b"), user("c"), rolled_back(1)],
        "no user at all": [assistant("b"), developer("d"), rolled_back(1)],
        "what stands before the first user": [assistant("b"), developer("d"), user("a"), rolled_back(4)],
    }
    for name, records in sequences.items():
        yield from both(f"rollback: {name}", records)
    context = user("<environment_context>e</environment_context>")
    switch = developer("<model_switch>q</model_switch>")
    trims = {
        "context before the cut": [context],
        "several before the cut": [context, switch, context],
        "plain text among them": [switch, developer("plain"), context],
        "mixed message": [developer("<permissions instructions>q", "plain")],
        "mixed message, the tag second": [developer("plain", "<permissions instructions>q")],
        "plain": [developer("plain")],
        "a tag in capitals": [developer("  <TOOLS>q")],
        "an unknown tag": [developer("<unheard_of>q</unheard_of>")],
        "a tag with an attribute": [developer('<tools a="b">q</tools>')],
        "a user's tag from a developer": [developer("<skill>q</skill>")],
        "a developer's tag from a user": [user("<tools>q</tools>")],
        "a summary": [user("SUMMARY-PREFIX\nsummary")],
        "reasoning": [item({"type": "reasoning", "summary": [], "encrypted_content": "E"})],
    }
    for name, between in trims.items():
        records = [started("t1"), user("a"), assistant("b"), *between, user("c"), assistant("d"), rolled_back(1)]
        yield Case(f"rollback trims: {name}", records)
    for tag in (
        "apps_instructions",
        "collaboration_mode",
        "context_window",
        "context_window_guidance",
        "environments_instructions",
        "git_attribution",
        "managed_developer_instructions",
        "model_switch",
        "multi_agent_mode",
        "multi_agent_role",
        "permissions instructions",
        "persistent_mode",
        "personality_spec",
        "plugins_instructions",
        "realtime_conversation",
        "rollout_budget",
        "skills_instructions",
        "token_budget",
        "tools",
        "environment_context",
        "model_catalog",
    ):
        records = [user("a"), assistant("b"), developer(f"<{tag}>\nq"), user("c"), rolled_back(1)]
        yield Case(f"rollback trims the tag {tag}", records)
    firsts = {
        "of the first turn": [developer("<model_switch>q</model_switch>", turn="t1"), user("a", turn="t1")],
        "of another turn": [developer("<model_switch>q</model_switch>", turn="t0"), user("a", turn="t1")],
        "of no turn": [switch, user("a")],
        "among other parts": [developer("x", "<model_switch>q</model_switch>", "y", turn="t1"), user("a", turn="t1")],
        "left open": [developer("<model_switch>q", turn="t1"), user("a", turn="t1")],
        "with space around": [developer(" <model_switch>q</model_switch>\n", turn="t1"), user("a", turn="t1")],
        "in capitals": [developer("<MODEL_SWITCH>q</Model_Switch>", turn="t1"), user("a", turn="t1")],
        "with something behind": [developer("<model_switch>q</model_switch>x", turn="t1"), user("a", turn="t1")],
        "of another kind": [developer("<collaboration_mode>q</collaboration_mode>", turn="t1"), user("a", turn="t1")],
        "in a later turn": [
            user("z", turn="t0"),
            assistant("y", turn="t0"),
            developer("<model_switch>q</model_switch>", turn="t1"),
            assistant("b", turn="t1"),
            user("a", turn="t1"),
        ],
    }
    for name, records in firsts.items():
        yield Case(f"rollback to the beginning: model switch {name}", [*records, rolled_back(1)])


BOUNDARY_TEXTS: Final[dict[str, list[str]]] = {
    "plain": ["x"],
    "empty": [""],
    "agents file": ["# AGENTS.md instructions for /x\n\n<INSTRUCTIONS>\nq\n</INSTRUCTIONS>"],
    "agents file, short": ["# AGENTS.md instructions</INSTRUCTIONS>"],
    "agents file, other case and space": [" \n# agents.md INSTRUCTIONS q </instructions>\t"],
    "agents file, no end": ["# AGENTS.md instructions q"],
    "agents file, text behind": ["# AGENTS.md instructions q </INSTRUCTIONS> z"],
    "environment": ["<environment_context>q</environment_context>"],
    "environment, capitals": ["<ENVIRONMENT_CONTEXT>q</Environment_Context>"],
    "environment, odd spaces": ["\u00a0<environment_context>q</environment_context>\u2003"],
    "environment, left open": ["<environment_context>q"],
    "environment, attribute": ['<environment_context a="b">q</environment_context>'],
    "environment, text behind": ["<environment_context>q</environment_context>x"],
    "environment and text": ["<environment_context>q</environment_context>", "x"],
    "text and environment": ["x", "<environment_context>q</environment_context>"],
    "external": ["<external_a>q</external_a>"],
    "external, no key": ["<external_>q</external_>"],
    "external, odd key": ["<external_a b\né>q</external_a b\né>"],
    "external, other key": ["<external_a>q</external_b>"],
    "external, capitals": ["<EXTERNAL_a>q</EXTERNAL_a>"],
    "skill": ["<skill>q</skill>"],
    "shell command": ["<user_shell_command>q</user_shell_command>"],
    "aborted": ["<turn_aborted>q</turn_aborted>"],
    "subagent": ["<subagent_notification>q</subagent_notification>"],
    "message board": ["<agent_message_board_notification>q</agent_message_board_notification>"],
    "goal": ["<goal_context>q</goal_context>"],
    "plugins": ["<recommended_plugins>q</recommended_plugins>"],
    "internal": ['<codex_internal_context source="a1_b">q</codex_internal_context>'],
    "internal, no source": ["<codex_internal_context>q</codex_internal_context>"],
    "internal, empty source": ['<codex_internal_context source="">q</codex_internal_context>'],
    "internal, source with a capital": ['<codex_internal_context source="A">q</codex_internal_context>'],
    "internal, source with a digit first": ['<codex_internal_context source="1">q</codex_internal_context>'],
    "internal, source with a hyphen": ['<codex_internal_context source="a-b">q</codex_internal_context>'],
    "internal, two attributes": ['<codex_internal_context a="b" source="x">q</codex_internal_context>'],
    "internal, several lines": ['\n<codex_internal_context source="x">\nq\n</codex_internal_context>\n'],
    "hook": ['<hook_prompt hook_run_id="r">q</hook_prompt>'],
    "hook, other element": ['<x hook_run_id="r">q</x>'],
    "hook, blank id": ['<x hook_run_id=" ">q</x>'],
    "hook, no id": ["<x>q</x>"],
    "hook, no text": ['<x hook_run_id="r"></x>'],
    "hook, blank text": ['<x hook_run_id="r"> </x>'],
    "hook, empty element": ['<x hook_run_id="r"/>'],
    "hook, nested element": ['<x hook_run_id="r"><b>q</b></x>'],
    "hook, entity": ['<x hook_run_id="r">q &amp; r</x>'],
    "hook, wrong entity": ['<x hook_run_id="r">q & r</x>'],
    "hook, character data": ['<x hook_run_id="r"><![CDATA[q]]></x>'],
    "hook, comment": ['<x hook_run_id="r"><!-- c -->q</x>'],
    "hook, quotes": ["  <x a='b' hook_run_id='r'>q</x>  "],
    "hook, declaration": ['<?xml version="1.0"?><x hook_run_id="r">q</x>'],
    "hook, text before": ['z<x hook_run_id="r">q</x>'],
    "hook, text behind": ['<x hook_run_id="r">q</x>z'],
    "hook, other end": ['<x hook_run_id="r">q</y>'],
    "hook, attribute twice": ['<x hook_run_id="r" hook_run_id="s">q</x>'],
    "hook and text": ['<x hook_run_id="r">q</x>', "x"],
    "summary": ["SUMMARY-PREFIX\nx"],
    "summary, no newline": ["SUMMARY-PREFIX x"],
    "summary, the sentence alone": ["SUMMARY-PREFIX"],
    "summary, space before": [" SUMMARY-PREFIX\nx"],
    "summary, carriage return": ["SUMMARY-PREFIX\r\nx"],
    "summary in a later part": ["x", "SUMMARY-PREFIX\nx"],
    "first warning": ["WARNING-1 5 and more"],
    "second warning, exactly": [" WARNING-2"],
    "second warning, text before": ["x WARNING-2"],
    "third warning": ["WARNING-3-BEGINx. WARNING-3-END"],
    "third warning, another end": ["WARNING-3-BEGINx. WARNING-3-END x"],
    "tools": ["<tools>q</tools>"],
    "user instructions": ["<user_instructions>q</user_instructions>"],
    "image": ["<image>q</image>"],
    "unknown": ["<unheard_of>q</unheard_of>"],
}
"""Texts of a user message."""

ENVELOPES: Final[dict[str, str]] = {
    "whole": '{"author":"/root/a","recipient":"/root","content":"hi","trigger_turn":true}',
    "with all": '{"author":"/root","recipient":"/root/a","other_recipients":["/root/b"],"content":"",'
    '"trigger_turn":false,"id":"x","z":1}',
    "with space around": ' {"author":"/root/a","recipient":"/root","content":"hi","trigger_turn":true}\n',
    "with text behind": '{"author":"/root/a","recipient":"/root","content":"hi","trigger_turn":true}x',
    "without trigger": '{"author":"/root/a","recipient":"/root","content":"hi"}',
    "without content": '{"author":"/root/a","recipient":"/root","trigger_turn":true}',
    "with a wrong path": '{"author":"a","recipient":"/root","content":"hi","trigger_turn":true}',
    "with a wrong recipient": '{"author":"/root/a","recipient":"/other","content":"hi","trigger_turn":true}',
    "with null recipients": '{"author":"/root/a","recipient":"/root","other_recipients":null,"content":"",'
    '"trigger_turn":true}',
    "with a key twice": '{"author":"/root/a","recipient":"/root","content":"a","content":"b","trigger_turn":true}',
    "with an unknown key twice": '{"author":"/root/a","recipient":"/root","content":"a","z":1,"z":2,'
    '"trigger_turn":true}',
}
"""Texts of an assistant message."""


def boundary_cases() -> Iterator[Case]:
    """Which items begin a turn: a rollback by one cuts before them, or before the one that stands first."""

    def case(name: str, record: JsonObject) -> Case:
        return Case(
            f"boundary: {name}", [started("t1"), user("first"), assistant("a"), record, assistant("b"), rolled_back(1)]
        )

    for name, texts in BOUNDARY_TEXTS.items():
        yield case(f"user: {name}", user(*texts))
    for name, text in ENVELOPES.items():
        yield case(f"envelope: {name}", assistant(text))
    yield case("envelope: of two parts", assistant(ENVELOPES["whole"], "x"))
    yield case(
        "envelope: in a text of the other kind",
        message("assistant", {"type": "input_text", "text": ENVELOPES["whole"]}),
    )
    yield case("envelope: from a user", user(ENVELOPES["whole"]))
    context = "<environment_context>q</environment_context>"
    for kinds in (["user.text"], ["environments.environment_context"], [], ["user.text", "user.text"]):
        passthrough: dict[str, Any] = {"internal_chat_message_metadata_passthrough": {"content_item_kinds": kinds}}
        yield case(f"user: context, kinds {kinds}", user(context, **passthrough))
        yield case(f"user: text, kinds {kinds}", user("x", **passthrough))
    yield case("user: context in an output text", user({"type": "output_text", "text": context}))
    yield case("user: an image alone", user({"type": "input_image", "file_id": "f"}))
    yield case("user: nothing", user())
    yield case("developer", developer("x"))
    yield case("another role", message("tool", "x"))
    yield case("agent message", item({"type": "agent_message", "author": "a", "recipient": "b", "content": []}))
    yield case("inter-agent communication", agents_say("hi"))
    yield case("delivered message", item(assistant("D", turn="t1")["payload"], {**DELIVERED, "user_input_order": 1}))


DELIVERED: Final[JsonObject] = {"delivered_assistant_message": "codex:code-mode-delivery:v1:complete"}
"""Metadata of a message that was delivered already."""


def side_record_cases() -> Iterator[Case]:
    """Inter-agent communications, deliveries, and records that are no part of the context."""
    partly = {"delivered_assistant_message": "codex:code-mode-delivery:v1:incomplete:x", "user_input_order": 1}
    deliveries = {
        "delivered": item(assistant("D", turn="t1")["payload"], {**DELIVERED, "user_input_order": 1}),
        "delivered in part": item(assistant("D", turn="t1")["payload"], partly),
        "no order": item(assistant("D", turn="t1")["payload"], DELIVERED),
        "no turn": item(assistant("D")["payload"], {**DELIVERED, "user_input_order": 1}),
        "another mark": item(
            assistant("D", turn="t1")["payload"], {"delivered_assistant_message": "x", "user_input_order": 1}
        ),
        "two parts": item(assistant("D", "E", turn="t1")["payload"], {**DELIVERED, "user_input_order": 1}),
        "from a user": item(user("D", turn="t1")["payload"], {**DELIVERED, "user_input_order": 1}),
    }
    for name, record in deliveries.items():
        yield from both(f"delivery: {name}", [user("go"), record, assistant("after")])
    talk = [
        agents_say("plain"),
        agents_say("", encrypted_content="E"),
        agents_say("", encrypted_content="E", trigger_turn=False, author="/root", recipient="/root/a"),
        agents_say("with id", id="am_1", internal_chat_message_metadata_passthrough={"turn_id": "t1"}),
        {"type": "inter_agent_communication_metadata", "payload": {"trigger_turn": True}},
    ]
    yield from both("inter-agent communications", [user("go"), *talk, user("after")])
    others: list[JsonObject] = [
        {
            "type": "retained_context",
            "payload": {"type": "verified_answer", "call_id": "c", "turn_id": "t", "questions": []},
        },
        {"type": "dynamic_tools_updated", "payload": {"thread_id": uuid(7), "tools": []}},
        {"type": "security_risk_score", "payload": {"scores": {}, "action": "allow"}},
        event("agent_message", message="x", phase=None),
        event("agent_reasoning", text="x"),
        event("context_compacted"),
        event("unheard_of", x=1),
    ]
    yield from both("records that are no part of the context", [user("go"), *others, assistant("after")])


def segment_cases() -> Iterator[Case]:
    """Turns that lack their start, their end or their context: what the next turn is compared with."""
    zero = a_turn("t0", "zero", "model-0")
    whole = a_turn("t1", "one", "model-1")
    start, state, context, said, answer, end = whole
    odd: dict[str, list[JsonObject]] = {
        "whole": whole,
        "without start": whole[1:],
        "without end": whole[:-1],
        "without context": [start, state, said, answer, end],
        "without world state": [start, context, said, answer, end],
        "without user": [start, state, context, answer, end],
        "without user and world state": [start, context, answer, end],
        "with another context": [start, state, turn_context("tx", "model-x"), said, answer, end],
        "with a context of no turn": [start, state, turn_context(None, "model-x"), said, answer, end],
        "with two contexts": [start, state, context, said, turn_context("t1", "model-2"), answer, end],
        "with the end of another": [start, state, context, said, answer, complete("tx")],
        "with the interruption of another": [start, state, context, said, answer, aborted("tx")],
        "with an interruption of none": [start, state, context, said, answer, aborted(None)],
        "with the end of the one before": [start, state, context, said, answer, complete("t0")],
        "with two ends": [*whole, complete("tx")],
        "with another start inside": [start, state, context, started("tx"), said, answer, end],
        "with two starts": [start, *whole],
        "with its context first": [context, start, state, said, answer, end],
        "with a user behind its end": [start, state, context, answer, end, user("behind")],
        "only an end": [end],
        "only a start": [start],
        "only a user": [said],
        "with a patch": [
            start,
            world_state("marker-new", full=False, **{"marker-t0": None}),
            context,
            said,
            answer,
            end,
        ],
        "with a patch before the full state": [start, world_state("marker-new", full=False), state, context, said, end],
    }
    for name, records in odd.items():
        for lead, before in {"": zero, " first": []}.items():
            yield from both(f"turn{lead} {name}", [*before, *records])
            yield from both(f"turn{lead} {name}, rolled back", [*before, *records, rolled_back(1)])
    checkpoint = compacted("S", [user("kept")], window_number=1, **resume_metadata("model-r"))
    named = compacted("S", [user("kept")], window_number=1, **resume_metadata("model-r", "t1"))
    foreign = compacted("S", [user("kept")], window_number=1, **resume_metadata("model-r", "tz"))
    for label, compaction in {"": checkpoint, ", known turn": named, ", other turn": foreign}.items():
        for name in ("without start", "with the end of another", "with another context", "with two ends"):
            records = [started("c"), compaction, *[record for record in odd[name] if record is not start]]
            yield from both(f"checkpoint{label}, then a turn {name}", records)
    patches = {
        "a patch on nothing": [world_state("marker-a", full=False)],
        "two patches": [
            world_state("marker-a"),
            world_state("marker-b", full=False),
            world_state("marker-c", full=False),
        ],
        "a nested patch": [
            world_state(marker={"a": 1, "b": {"c": 2}}),
            world_state(full=False, marker={"a": None, "b": {"d": 3}}),
            world_state(full=False, marker={"b": None}),
        ],
        "a patch that empties": [world_state("marker-a", "marker-b"), world_state(full=False, **{"marker-a": None})],
        "a null in the full state": [world_state(full=True, **{"marker-a": None})],
        "two full states": [world_state("marker-a"), world_state("marker-b")],
    }
    for name, states in patches.items():
        yield from both(
            f"world state: {name}", [started("t1"), *states, turn_context("t1"), user("one"), complete("t1")]
        )


def setting_cases() -> Iterator[Case]:
    """Which record the settings of a resumed thread come from."""
    plan = {"mode": "plan", "settings": {"model": "model-p", "reasoning_effort": "low", "developer_instructions": "D"}}

    def turn(*records: JsonObject, name: str = "t1") -> list[JsonObject]:
        return [started(name), *records, user(name), complete(name)]

    own = settings_applied("model-s", approval_policy="on-request", cwd=f"{PROJECT}/own", reasoning_effort="low")
    foreign = settings_applied("model-f", uuid(7), approval_policy="on-request", cwd=f"{PROJECT}/own")
    nobody = settings_applied("model-n", None, approval_policy="on-request", cwd=f"{PROJECT}/own")
    context = turn_context("t1", "model-c", approval_policy="untrusted", effort="high")
    checkpoint = compacted("S", [user("kept")], window_number=1)
    cases: dict[str, list[JsonObject]] = {
        "nothing": [user("x")],
        "context": turn(context),
        "applied": turn(own),
        "context, applied": turn(context, own),
        "applied, context": turn(own, context),
        "context, foreign": turn(context, foreign),
        "foreign, context": turn(foreign, context),
        "context, of no thread": turn(context, nobody),
        "context elsewhere": turn(turn_context("t1", "model-c", cwd=f"{PROJECT}/own")),
        "context, plan mode": turn(turn_context("t1", "model-c", collaboration_mode=plan)),
        "applied, plan mode": turn(settings_applied("model-s", collaboration_mode=plan)),
        "applied, then context in plan mode": turn(own, turn_context("t1", "model-c", collaboration_mode=plan)),
        "applied in plan mode, then context": turn(settings_applied("model-s", collaboration_mode=plan), context),
        "context with effort, then one without": [*turn(context), *turn(turn_context("t2", "model-d"), name="t2")],
        "context with effort, then applied without": turn(context, settings_applied("model-s")),
        "context, rolled back": [
            *turn(context),
            *turn(turn_context("t2", "model-d", approval_policy="on-request"), name="t2"),
            rolled_back(1),
        ],
        "applied, rolled back": [*turn(context, settings_applied("model-q")), *turn(own, name="t2"), rolled_back(1)],
        "context, then a checkpoint": [*turn(context), checkpoint],
        "applied, then a checkpoint": [*turn(context, own), checkpoint],
        "applied, then a checkpoint and a context": [
            *turn(context, own),
            checkpoint,
            *turn(turn_context("t2", "model-d"), name="t2"),
        ],
        "applied with two roots": turn(
            settings_applied("model-s", runtime_workspace_roots=[f"{PROJECT}/own", f"{PROJECT}/other"])
        ),
        "context of another turn": [started("t1"), turn_context("tx", "model-x"), user("x"), complete("t1")],
    }
    for name, records in cases.items():
        yield from both(f"settings: {name}", records)
    yield from both(
        "settings: folder of the first record",
        [user("x")],
        cwd=f"{PROJECT}/own",
        runtime_workspace_roots=[f"{PROJECT}/own"],
    )
    yield from both("settings: provider that is not configured", [user("x")], model_provider="gone")


def usage_cases() -> Iterator[Case]:
    """Where the counts of used tokens go on from."""

    def turn(name: str, *records: JsonObject) -> list[JsonObject]:
        return [started(name), turn_context(name), user(name), *records, complete(name)]

    mine, theirs = usage_record(THREAD, 70, 7000), usage_record(uuid(7), 70, 7000)
    no_info = event("token_count", info=None, rate_limits=None)
    last = usage_record(THREAD, 80, 8000)["payload"]
    cases: dict[str, list[JsonObject]] = {
        "none": turn("t1"),
        "count": turn("t1", token_count(5000, 500)),
        "record": turn("t1", mine),
        "both": turn("t1", mine, token_count(5000, 500)),
        "record of another thread": turn("t1", theirs, token_count(5000, 500)),
        "the newest counts": [
            *turn("t1", mine, token_count(9000, 900)),
            *turn("t2", usage_record(THREAD, 1, 10), token_count(20, 2)),
        ],
        "count without info": turn("t1", token_count(5000, 500), no_info),
        "rolled back": [
            *turn("t1", mine, token_count(5000, 500)),
            *turn("t2", usage_record(THREAD, 1, 9000), token_count(9100, 91)),
            rolled_back(1),
        ],
        "checkpoint": [
            *turn("t1", mine, token_count(5000, 500)),
            started("c"),
            compacted("S", [user("k")], window_number=1),
        ],
        "checkpoint with resume metadata": [
            *turn("t1", mine, token_count(5000, 500)),
            started("c"),
            compacted("S", [user("k")], window_number=1, **resume_metadata(None, "c")),
        ],
        "checkpoint with its record": [
            *turn("t1", mine, token_count(5000, 500)),
            started("c"),
            compacted("S", [user("k")], window_number=1, latest_token_usage_record=last),
        ],
        "checkpoint, then more": [
            *turn("t1", mine, token_count(5000, 500)),
            compacted("S", [user("k")], window_number=1, latest_token_usage_record=last),
            *turn("t2", usage_record(THREAD, 5, 8005), token_count(5005, 5)),
        ],
        "checkpoint, then a rollback": [
            *turn("t1", mine, token_count(5000, 500)),
            compacted("S", [user("k")], window_number=1),
            *turn("t2"),
            rolled_back(1),
        ],
        "checkpoint, then one without window number": [
            *turn("t1", token_count(5000, 500)),
            compacted("S", [user("k")], window_number=1),
            *turn("t2"),
            compacted("T", [user("l")]),
        ],
        "bare compaction": [*turn("t1", mine, token_count(5000, 500)), compacted("S")],
    }
    for name, records in cases.items():
        yield from both(f"usage: {name}", records)


def lineage_cases() -> Iterator[Case]:
    """Forks and reverts: the same rules over the records of all segments."""
    zero, one, two = a_turn("t0", "zero", "model-0"), a_turn("t1", "one", "model-1"), a_turn("t2", "two", "model-2")
    checkpoint = compacted("S", [user("kept")], window_number=4, window_id=uuid(903), first_window_id=uuid(901))
    new = compacted("S", [user("kept")], window_number=4, window_id=uuid(903), **resume_metadata("model-r", "t0"))
    marker = [user("<turn_aborted>q</turn_aborted>", turn="t1"), aborted("t1")]
    other = {"type": "session_meta", "payload": first_record(uuid(8), "paginated")}

    def fork(
        name: str, parents: Sequence[tuple[list[JsonObject], list[JsonObject]]], records: list[JsonObject], **meta: Any
    ) -> Case:
        ancestors = [{"records": inherited, "later": later} for inherited, later in parents]
        return Case(name, list(records), "paginated", meta, ancestors)

    yield fork("fork", [(zero, [])], one)
    yield fork("fork of a fork", [(zero, []), (one, [])], two)
    yield fork("fork of a fork with nothing of its own", [(zero, []), ([], [])], two)
    yield fork("fork before the last turn", [(zero, one)], two)
    yield fork("fork through a turn", [([*zero, *one[:4]], one[4:])], [*marker, *two])
    yield fork("fork through a turn, nothing written", [([*zero, *one[:4]], one[4:])], [])
    yield fork(
        "fork with a call that runs",
        [
            (
                [*zero, *one[:4], item({"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c1"})],
                [item({"type": "function_call_output", "call_id": "c1", "output": "o"})],
            )
        ],
        [*marker, *two],
    )
    yield fork("checkpoint in the parent", [([*zero, checkpoint, *one], [])], two)
    yield fork("new checkpoint in the parent", [([*zero, new, *one], [])], two)
    yield fork("fork right behind the checkpoint", [([*zero, new], one)], two)
    yield fork("fork right before the checkpoint", [(zero, [new, *one])], two)
    yield fork(
        "checkpoint without window number in the parent", [([*zero, compacted("S", [user("kept")]), *one], [])], two
    )
    yield fork("checkpoint in the child", [([*zero, *one], [])], [checkpoint, *two])
    yield fork("rollback in the child, past the fork", [([*zero, *one], [])], [*two, rolled_back(2)])
    yield fork(
        "rollback in the child, past a checkpoint in the parent", [([*zero, new, *one], [])], [*two, rolled_back(3)]
    )
    yield fork("rollback in the parent", [([*zero, *one, rolled_back(1)], [])], two)
    yield fork("child without a window id", [(zero, [])], one, context_window=ABSENT)
    yield fork("session meta within the child", [(zero, [])], [*one, other, *two])
    yield fork("session meta within the parent", [([*zero, other, *one], [])], two)
    yield fork("session meta within the parent, checkpoint before", [([*zero, checkpoint, other, *one], [])], two)
    yield Case("session meta within the rollout", [*zero, other, *one])
    yield Case("session meta within the rollout, checkpoint before", [*zero, checkpoint, *one, other, *two])
    short = {"id": uuid(8), "timestamp": STAMP, "cwd": "/", "originator": "x", "cli_version": "1"}
    for key in ("", *short):
        payload = {name: value for name, value in short.items() if name != key}
        yield Case(
            f"session meta within the rollout, without {key or 'more'}",
            [*zero, {"type": "session_meta", "payload": payload}, *one],
        )
    legacy_meta = {"type": "session_meta", "payload": first_record(uuid(8), "legacy")}
    yield Case("session meta within the rollout", [*zero, legacy_meta, *one], "legacy")
    yield Case(
        "session meta within the rollout, no window id of its own",
        [legacy_meta, *zero, *one],
        "legacy",
        {"context_window": ABSENT},
    )
    wrong = {"window_id": "5c1e7a94-8a1c-4a55-9d5d-0d3f2f0c6a11"}
    yield from both("first window id of another version", ONE_TURN, context_window=wrong)
    yield from both("no first window id", ONE_TURN, context_window=ABSENT)
    yield from both(
        "no first window id, two compactions", [*ONE_TURN, compacted("S"), compacted("T")], context_window=ABSENT
    )
    yield from both("two compactions without window number", [*ONE_TURN, compacted("S"), compacted("T", [user("k")])])
    spawned = {
        "subagent_history_start_ordinal": len(zero) + len(one) + 2,
        "parent_thread_id": uuid(8),
        "forked_from_id": uuid(8),
        "source": {"subagent": {"thread_spawn": {"parent_thread_id": uuid(8), "depth": 1, "agent_path": None}}},
    }
    yield Case("copied beginning of a subagent", [other, *zero, *one], "paginated", spawned)
    yield Case("copied beginning of a subagent, own turn", [other, *zero, *one, *two], "paginated", spawned)


class Random:
    """Rollouts made of everything at random; the same number makes the same rollout."""

    def __init__(self, seed: int, mode: str) -> None:
        self.random = random.Random(seed)
        self.mode = mode
        self.count = 0

    def number(self) -> int:
        self.count += 1
        return self.count

    def turn_id(self, turn: str) -> str | None:
        return self.random.choices([turn, None, "tx"], [18, 1, 1])[0]

    def items(self, turn: str | None) -> list[JsonObject]:
        records: list[JsonObject] = []
        for _ in range(self.random.choice([0, 1, 1, 2, 3])):
            number = self.number()
            of = turn if self.random.random() < 0.8 else None
            kind = self.random.choices(range(11), [8, 4, 1, 1, 1, 1, 1, 1, 1, 1, 1])[0]
            call = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": f"c{number}"}
            records += [
                [user(f"u{number}", turn=of)],
                [assistant(f"a{number}", turn=of)],
                [user(f"<environment_context>e{number}</environment_context>", turn=of)],
                [developer(f"<model_switch>d{number}</model_switch>", turn=of)],
                [developer(f"<model_switch>d{number}</model_switch>", "x", turn=of)],
                [developer(f"plain {number}", turn=of)],
                [user(f"SUMMARY-PREFIX\nsum{number}", turn=of)],
                [item({"type": "agent_message", "author": "a", "recipient": "b", "content": []})],
                [agents_say(f"i{number}")],
                [item(call)],
                [assistant(ENVELOPES["whole"])],
            ][kind]
        return records

    def compaction(self) -> JsonObject:
        chance, number = self.random.random, self.number()
        members: JsonObject = {}
        if chance() < 0.8:
            members["window_number"] = self.random.choice([1, 2, 5])
        for key in ("window_id", "first_window_id", "previous_window_id"):
            if chance() < 0.5:
                members[key] = self.random.choice([uuid(1000 + number), "bad"])
        if chance() < 0.6:
            members |= resume_metadata(self.random.choice([None, f"model-r{number}"]), self.random.choice([None, "tz"]))
        kept = [record for record in self.items("q") if record["type"] == "response_item"]
        return compacted(f"SUMMARY-PREFIX\nS{number}", kept if chance() < 0.8 else None, **members)

    def turn(self) -> list[JsonObject]:
        chance = self.random.random
        turn = f"t{self.number()}"
        body: list[JsonObject] = []
        if chance() < 0.7:
            number = self.number()
            gone = {f"marker-{self.random.randint(1, number)}": None} if chance() < 0.3 else {}
            body.append(world_state(f"marker-{number}", full=chance() < 0.6, **gone))
        contexts = self.random.choice([0, 1, 1, 1, 2])
        body += [turn_context(self.turn_id(turn), f"model-{self.number()}") for _ in range(contexts)]
        body += self.items(turn)
        if chance() < 0.5:
            body.append(event("user_message", message="x", images=[], local_images=[], text_elements=[]))
        if chance() < 0.25:
            body.append(self.compaction())
        if chance() < 0.3:
            body.append(token_count(self.number() + 1000, self.count))
        if chance() < 0.4:
            self.random.shuffle(body)
        records = [started(turn)] if chance() < 0.9 else []
        records += body
        end = chance()
        if end < 0.85:
            records.append(complete(self.turn_id(turn) or turn) if end < 0.7 else aborted(self.turn_id(turn)))
        if chance() < 0.2:
            records.append(rolled_back(self.random.choice([0, 1, 1, 1, 2, 3, 9])))
        if chance() < 0.1:
            records += self.items(None)
        return records

    def rollout(self) -> list[JsonObject]:
        return [record for _ in range(self.random.randint(1, 6)) for record in self.turn()]


def random_cases() -> Iterator[Case]:
    """Sixty rollouts of each mode."""
    for seed in range(60):
        for mode in ("paginated", "legacy"):
            yield Case(f"random {seed}", list(Random(seed, mode).rollout()), mode)


SUBJECTS: Final = {
    "items": item_cases,
    "pairing": pairing_cases,
    "outputs": output_cases,
    "raw": raw_cases,
    "schema": schema_cases,
    "checkpoints": checkpoint_cases,
    "bare_compactions": legacy_compaction_cases,
    "rollbacks": rollback_cases,
    "boundaries": boundary_cases,
    "side_records": side_record_cases,
    "segments": segment_cases,
    "settings": setting_cases,
    "usage": usage_cases,
    "lineage": lineage_cases,
    "random": random_cases,
}
"""The subjects and what makes their cases; each is a file of the fixtures."""


# --- rollouts --------------------------------------------------------------------------------------------------------


def first_record(thread: str, mode: str) -> JsonObject:
    """The payload of a rollout's first record."""
    return {
        "session_id": thread,
        "id": thread,
        "timestamp": STAMP,
        "cwd": PROJECT,
        "runtime_workspace_roots": [PROJECT],
        "originator": "tests",
        "cli_version": "0.169.0",
        "source": "vscode",
        "model_provider": "mock",
        "base_instructions": {"text": BASE},
        "history_mode": mode,
        "context_window": {"window_id": uuid(900)},
    }


def session_meta(thread: str, mode: str, changes: JsonObject) -> JsonObject:
    """The first record of a rollout: :func:`first_record` with `changes`; a null takes a member out."""
    payload = {**first_record(thread, mode), **changes}
    return {"type": "session_meta", "payload": {key: value for key, value in payload.items() if value is not None}}


def encode(line: Line, ordinal: int | None) -> bytes:
    """The bytes of one line, without its newline."""
    if isinstance(line, str):
        return line.encode()
    if list(line) == ["hex"]:
        return bytes.fromhex(line["hex"])
    envelope: JsonObject = {"timestamp": STAMP}
    if ordinal is not None:
        envelope["ordinal"] = ordinal
    return json.dumps({**envelope, **line}, separators=(",", ":"), ensure_ascii=False).encode()


def expand(value: Any) -> Any:
    """`value` with every ``{"runs": ...}`` in it made a text again."""
    if isinstance(value, dict):
        if list(value) == ["runs"]:
            return "".join(text * times for text, times in value["runs"])
        return {key: expand(part) for key, part in value.items()}
    return [expand(part) for part in value] if isinstance(value, list) else value


def shrink(value: Any) -> Any:
    """The reverse of :func:`expand`, for texts of more than 300 letters that have runs of 100."""
    if isinstance(value, dict):
        return {key: shrink(part) for key, part in value.items()}
    if isinstance(value, list):
        return [shrink(part) for part in value]
    if not isinstance(value, str) or len(value) <= 300 or not re.search(r"(.)\1{99}", value, re.DOTALL):
        return value
    matches = re.finditer(r"(.)\1{99,}|(?:(?!(.)\2{99}).)+", value, re.DOTALL)
    return {"runs": [[match[1], len(match[0])] if match[1] else [match[0], 1] for match in matches]}


@dataclass
class Rollout:
    """Where a case's current rollout was written, and under which id."""

    thread: str
    path: Path


def write_case(case: Case, number: int, home: Path, texts: dict[str, str]) -> Rollout:
    """Write the rollouts of a case, as thread `number`, into a home; `texts` are those that placeholders stand for."""
    folder = home / "sessions" / "2026" / "11" / "22"
    folder.mkdir(parents=True, exist_ok=True)
    changes: JsonObject = {}
    ordinal = 0
    rollout = Rollout("", folder)
    parts = [*case.ancestors, {"records": case.records, "later": [], "session_meta": case.session_meta}]
    for depth, part in enumerate(parts):
        last = depth == len(parts) - 1
        thread = uuid(number if last else number * 1000 + depth)
        first = session_meta(thread, case.mode, {**changes, **part.get("session_meta", {})})
        lines: list[bytes] = []
        for place, line in enumerate([first, *part["records"], *part["later"]]):
            encoded = encode(line, ordinal + place if case.mode == "paginated" else None)
            for stands, text in {**texts, THREAD: thread}.items():
                encoded = encoded.replace(stands.encode(), json.dumps(text, ensure_ascii=False)[1:-1].encode())
            lines.append(encoded)
        inherited = 1 + len(part["records"])
        path = folder / f"rollout-2026-11-22T10-00-00-{thread}.jsonl"
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        ordinal += inherited
        base = {
            "thread_id": thread,
            "end_ordinal_exclusive": ordinal,
            "end_byte_offset": sum(len(line) + 1 for line in lines[:inherited]),
        }
        changes = {"forked_from_id": thread, "forked_from_ordinal_exclusive": ordinal, "history_base": base}
        rollout = Rollout(thread, path)
    return rollout


# --- what the binary makes of it -------------------------------------------------------------------------------------


class Recorder:
    """Runs cases on one home; the server is started anew now and then, the home stays."""

    def __init__(self, binary: Path, root: Path) -> None:
        self.binary, self.home, self.project = binary, root / "home", root / "project"
        for folder in (self.project, self.project / "own", self.project / "other"):
            folder.mkdir(parents=True)
        self.mock = MockResponses()
        self.server: AppServer | None = None
        self.texts = {PROJECT: str(self.project)}
        self.number = 10_000
        self.left = 0

    def __enter__(self) -> Self:
        self.mock.__enter__()
        write_config(self.home, self.mock.base_url, model=MODEL)
        self.texts |= {oracle.SUMMARY_PREFIX.stands: self._read_prefix(), **_warnings(self.binary)}
        return self

    def __exit__(self, *error: object) -> None:
        if self.server is not None:
            self.server.close()
        self.mock.__exit__(None, None, None)

    def _running(self) -> AppServer:
        if self.left == 0 and self.server is not None:
            self.server.close()
            self.server = None
        if self.server is None:
            command = [str(self.binary), "app-server"]
            self.server = AppServer(command, home=self.home, cwd=self.project)
            self.server.initialize()
            self.left = 80
        self.left -= 1
        return self.server

    def _read_prefix(self) -> str:
        """The sentence before a summary, from a compaction of the binary's own."""
        server = self._running()
        thread = server.request("thread/start", {"cwd": str(self.project)})["thread"]
        server.run_turn(thread["id"], "hello")
        mark = server.mark()
        server.request("thread/compact/start", {"threadId": thread["id"]})
        server.wait_notification("turn/completed", since=mark)
        server.settle(0.1)
        found = [record for record in _records(Path(thread["path"])) if record["type"] == "compacted"]
        prefix = str(found[-1]["payload"]["message"]).partition("\n")[0]
        assert oracle.SUMMARY_PREFIX.equals(prefix), "the sentence before a summary is another one"
        return prefix

    def record(self, case: Case) -> JsonObject:
        """The case with what the binary made of it."""
        recorded: JsonObject = {"name": case.name, "mode": case.mode}
        if case.session_meta:
            recorded["session_meta"] = case.session_meta
        if case.ancestors:
            recorded["ancestors"] = case.ancestors
        recorded["records"] = case.records
        server = self._running()
        probed, resumed = self._resume(server, case)
        if "error" in resumed:
            return {**shrink(recorded), "observed": {"error": resumed["error"]}}
        recorded["input"], observed = self._probe(server, probed, case)
        observed["resumed"] = self._neutral(resumed["resumed"], set())
        observed["usage_note"] = resumed["usage_note"]
        compacting, _ = self._resume(server, case)
        observed |= self._compact(server, compacting, case)
        recorded["observed"] = observed
        return dict(shrink(recorded))

    def _resume(self, server: AppServer, case: Case) -> tuple[Rollout, JsonObject]:
        self.number += 1
        rollout = write_case(case, self.number, self.home, self.texts)
        mark = server.mark()
        try:
            answer = server.request("thread/resume", {"threadId": rollout.thread, "excludeTurns": True})
        except RpcError as error:
            return rollout, {"error": error.code}
        server.settle(0.05, 1.0)
        notes = [message.body for message in server.messages[mark:] if not message.outgoing]
        usage = [
            [note["params"]["tokenUsage"][key]["totalTokens"] for key in ("total", "last")]
            for note in notes
            if note.get("method") == "thread/tokenUsage/updated"
        ]
        resumed = {
            "model": answer["model"],
            "model_provider": answer["modelProvider"],
            "cwd": answer["cwd"],
            "runtime_workspace_roots": answer["runtimeWorkspaceRoots"],
            "approval_policy": answer["approvalPolicy"],
            "sandbox": answer["sandbox"]["type"],
            "reasoning_effort": answer["reasoningEffort"],
            "collaboration_mode": answer["collaborationMode"]["mode"],
        }
        return rollout, {"resumed": resumed, "usage_note": usage[0] if usage else None}

    def _probe(self, server: AppServer, rollout: Rollout, case: Case) -> tuple[list[JsonObject], JsonObject]:
        before, calls = len(_records(rollout.path)), len(self.mock.model_calls)
        server.run_turn(rollout.thread, "probe")
        server.settle(0.05, 1.0)
        written = _records(rollout.path)[before:]
        sent = self.mock.model_calls[calls].input
        own = 0
        for record in written:
            if record["type"] == "response_item":
                own += 1
                if record["payload"].get("role") == "user" and record["payload"]["content"][0]["text"] == "probe":
                    break
        sent = sent[: len(sent) - own]
        if sent and sent[0].get("content") == [{"type": "input_text", "text": BASE}]:
            del sent[0]
        states = [record["payload"] for record in written if record["type"] == "world_state"]
        state = states[0] if states else None
        spent = [record["payload"] for record in written if record["type"] == "token_usage_record"]
        return self._neutral(sent, set(_strings(json.loads(json.dumps(self._known(case)))))), {
            "settings_written": any(
                record["type"] == "event_msg" and record["payload"]["type"] == "thread_settings_applied"
                for record in written
            ),
            "world_state": None if state is None else "full" if state["full"] else "patch",
            "forgotten": sorted(
                key
                for key, value in ({} if state is None or state["full"] else state["state"]).items()
                if value is None
            ),
            "thread_tokens": spent[0]["thread_token_usage"]["total_tokens"] - spent[0]["usage"]["total_tokens"],
        }

    def _compact(self, server: AppServer, rollout: Rollout, case: Case) -> JsonObject:
        before = len(_records(rollout.path))
        mark = server.mark()
        server.request("thread/compact/start", {"threadId": rollout.thread})
        server.wait_notification("turn/completed", since=mark)
        server.settle(0.05, 1.0)
        written = _records(rollout.path)[before:]
        payload = next(record["payload"] for record in written if record["type"] == "compacted")
        counts = [
            record["payload"]["info"]
            for record in written
            if record["type"] == "event_msg" and record["payload"]["type"] == "token_count"
        ]
        info = counts[0] if counts else None
        known = {uuid(900), *_strings(self._known(case))}
        settings = payload["resume_metadata"]["previous_turn_settings"]
        return {
            "window_number": payload["window_number"],
            "first_window_id": payload["first_window_id"] if payload["first_window_id"] in known else None,
            "previous_window_id": payload["previous_window_id"] if payload["previous_window_id"] in known else None,
            "previous_turn_settings": settings,
            "token_info": None
            if info is None
            else [info[key]["total_tokens"] for key in ("total_token_usage", "last_token_usage")],
        }

    def _known(self, case: Case) -> list[Any]:
        lines = [*case.records, case.session_meta]
        for ancestor in case.ancestors:
            lines += [*ancestor["records"], *ancestor["later"]]
        return [oracle.decode_line(line.encode()) or line if isinstance(line, str) else line for line in lines]

    def _neutral(self, value: Any, ours: set[str]) -> Any:
        """`value` without texts that are neither of the rollout nor short, and without this run's folders.

        The header before encrypted content of another agent keeps what it says: kind, recipient and author.
        """
        if isinstance(value, list):
            return [self._neutral(part, ours) for part in value]
        if isinstance(value, dict):
            neutral = {key: self._neutral(part, ours) for key, part in value.items()}
            parts = value.get("content")
            if value.get("type") == "agent_message" and parts and parts[-1]["type"] == "encrypted_content":
                text = parts[0].get("text", "")
                if text not in ours and value["author"] in text and value["recipient"] in text:
                    kind = "NEW_TASK" if "NEW_TASK" in text else "MESSAGE"
                    header = f"{oracle.INTER_AGENT_HEADER} {kind} {value['recipient']} {value['author']}"
                    neutral["content"][0] = {"type": "input_text", "text": header}
            return neutral
        if not isinstance(value, str):
            return value
        text = value
        for stands, true in self.texts.items():
            text = text.replace(true, stands)
        if text in ours or len(text) < 45 or re.search(r"…\d+ (chars|tokens) truncated…", text):
            return text
        return text if any(text in known for known in ours) else oracle.scrubbed(text)


def _warnings(binary: Path) -> dict[str, str]:
    """The sentences of :data:`~tests.oracle.context.WARNINGS`, found in the binary by their digests."""
    data = binary.read_bytes()
    found: dict[str, str] = {}
    for match in re.finditer(rb"Warning: |Use the ", data):
        for sentence in oracle.WARNINGS:
            text = data[match.start() : match.start() + sentence.length]
            if hashlib.sha256(text).hexdigest() == sentence.digest:
                found[sentence.stands] = text.decode()
    return found


def _records(path: Path) -> list[JsonObject]:
    """The records of a rollout; what is none is left out."""
    records = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            records.append(json.loads(line))
        except ValueError:
            records.append({"type": "none", "payload": {}})
    return [record if isinstance(record, dict) else {"type": "none", "payload": {}} for record in records]


def _strings(value: Any) -> set[str]:
    """Every text in `value`."""
    if isinstance(value, str):
        return {value}
    if isinstance(value, dict):
        value = list(value.values())
    return set().union(*map(_strings, value)) if isinstance(value, list) else set()


# --- the command -----------------------------------------------------------------------------------------------------


def write_fixture(path: Path, cases: Iterable[JsonObject]) -> None:
    """One case per line: a change of one case is a change of one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Record the cases whose name holds what ``--only`` says, or all of them; only whole subjects are written."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--only", default="", help="subjects whose name holds this")
    parser.add_argument("--out", type=Path, default=FIXTURES)
    options = parser.parse_args(arguments)
    binary = os.environ.get("CODEX_BIN")
    if not binary:
        sys.exit("set CODEX_BIN to a Codex 0.169.0")
    with (
        tempfile.TemporaryDirectory(prefix="threadkeep-context-") as root,
        Recorder(Path(binary), Path(root)) as recorder,
    ):
        for subject, make in SUBJECTS.items():
            if options.only not in subject:
                continue
            began = time.monotonic()
            cases = [recorder.record(case) for case in make()]
            write_fixture(options.out / f"{subject}.json", cases)
            sys.stderr.write(f"{subject}: {len(cases)} cases, {time.monotonic() - began:.0f} s\n")


if __name__ == "__main__":
    main()
