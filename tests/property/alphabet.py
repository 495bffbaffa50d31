"""The records that random histories are made of: each made of a turn's id and a small number, so that they collide.

A name here is what a failing example shows; the tables say which records of that name are written.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from tests.codex import record_context as spoken
from tests.codex import record_legacy as shown
from tests.codex.record_context import agents_say, assistant, developer, event, item, message, user

Json = dict[str, Any]
Make = Callable[[str, int], Json]
"""Makes a record, without its write time and ordinal, for a turn's id and a number."""

SUMMARY: Final = "SUMMARY-PREFIX\nwhat was said"
"""A summary that Codex wrote; the sentence before it is a placeholder, as in the recorded cases."""

HOOK: Final = shown.HOOK
_WORDS: Final = ("a", "b", "ab", "é" * 3)
_CONTEXT: Final = "<environment_context>x</environment_context>"
_SWITCH: Final = "<model_switch>x</model_switch>"
_ENVELOPE: Final = json.dumps({"author": "/root/a", "recipient": "/root", "content": "c", "trigger_turn": True})
_WINDOWS: Final = tuple(f"01a20000-0000-7000-8000-0000000000f{n}" for n in range(4))


def word(number: int) -> str:
    """One of few texts."""
    return _WORDS[number % len(_WORDS)]


def item_id(number: int) -> str:
    """One of few ids of items."""
    return f"i{number % 3}"


# --- what the model is told ------------------------------------------------------------------------------------------

CONTEXT: Final[dict[str, Make]] = {
    "user": lambda turn, n: user(word(n), turn=turn, id=f"msg_{n}"),
    "user without a turn": lambda _, n: user(word(n)),
    "user of two parts": lambda turn, n: user(word(n), _CONTEXT if n % 2 else "c", turn=turn),
    "surroundings": lambda turn, _: user(_CONTEXT, turn=turn),
    "summary": lambda _, __: user(SUMMARY),
    "developer": lambda turn, n: developer(word(n), turn=turn),
    "skills": lambda turn, _: developer("<skills_instructions>x", turn=turn),
    "switch": lambda turn, n: developer(_SWITCH, *(["kept"] if n % 2 else []), turn=turn),
    "assistant": lambda turn, n: assistant(word(n), turn=turn),
    "envelope": lambda turn, _: assistant(_ENVELOPE, turn=turn),
    "system": lambda _, n: message("system", word(n)),
    "agent message": lambda _, n: item(
        {
            "type": "agent_message",
            "author": "/root/a",
            "recipient": "/root",
            "content": [{"type": "input_text", "text": word(n)}],
        }
    ),
    "agents": lambda _, n: agents_say(word(n), **({"encrypted_content": "E"} if n % 2 else {})),
    "agents from nowhere": lambda _, n: agents_say(word(n), author="nowhere"),
    "reasoning": lambda _, n: item(
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": word(n)}],
            "encrypted_content": "E",
        }
    ),
    "call": lambda _, n: item({"type": "function_call", "name": "f", "arguments": "{}", "call_id": f"c{n % 2}"}),
    "output": lambda _, n: item({"type": "function_call_output", "call_id": f"c{n % 2}", "output": word(n)}),
    "output that is none": lambda _, __: item({"type": "function_call_output", "call_id": "c0", "output": None}),
    "custom call": lambda _, n: item(
        {
            "type": "custom_tool_call",
            "name": "f",
            "input": word(n),
            "call_id": f"c{n % 2}",
        }
    ),
    "custom output": lambda _, n: item({"type": "custom_tool_call_output", "call_id": f"c{n % 2}", "output": "o"}),
    "with metadata": lambda turn, n: item(user(word(n), turn=turn)["payload"], {"client_authored": True, "q": n}),
    "with wrong metadata": lambda turn, n: item(user(word(n), turn=turn)["payload"], {"client_authored": "yes"}),
    "delivered": lambda turn, n: item(
        assistant(word(n), turn=turn)["payload"],
        {"delivered_assistant_message": "codex:code-mode-delivery:v1:complete", "user_input_order": n},
    ),
    "trigger": lambda _, __: item({"type": "compaction_trigger"}),
    "ghost": lambda _, __: item({"type": "ghost_snapshot", "ghost_commit": {"id": "g"}}),
    "unknown item": lambda _, n: item({"type": "tomorrow", "text": word(n)}),
    "world": lambda _, n: spoken.world_state(f"k{n % 3}"),
    "world changes": lambda _, n: spoken.world_state(full=False, **{f"k{n % 3}": None if n % 2 else {"v": n}}),
    "world that is none": lambda _, __: {"type": "world_state", "payload": {"full": True, "state": []}},
    "settings of the turn": lambda turn, n: spoken.turn_context(turn, model=f"m{n % 3}"),
    "settings of no turn": lambda _, n: spoken.turn_context(None, model=f"m{n % 3}"),
    "settings without rights": lambda turn, n: spoken.turn_context(turn, model=f"m{n % 3}", permission_profile=None),
    "settings that are wrong": lambda turn, n: spoken.turn_context(turn, cwd=word(n)),
    "settings": lambda _, n: spoken.settings_applied(model=f"m{n % 3}", thread=None),
    "settings of nothing": lambda _, __: event("thread_settings_applied"),
    "usage": lambda _, n: spoken.token_count(100 + n, n),
    "usage of limits": lambda _, __: event("token_count", info=None, rate_limits=None),
    "usage that is wrong": lambda _, n: event("token_count", info={"total_token_usage": n}),
    "spent": lambda _, n: spoken.usage_record(spoken.THREAD, n, 100 + n),
    "retained": lambda _, __: {"type": "retained_context", "payload": {"type": "verified_answer", "x": 1}},
}
"""Records that the context, the settings and the usage are made of."""

STRANGE: Final[dict[str, Make]] = {
    "unknown record": lambda turn, n: {"type": "tomorrow", "payload": {"turn_id": turn, "n": n}},
    "unknown event": lambda turn, n: event("tomorrow", turn_id=turn, n=n),
    "unknown field": lambda turn, n: {**user(word(n), turn=turn), "tomorrow": [n]},
    "start of nothing": lambda _, n: event("task_started", started_at=n),
    "end of nothing": lambda _, n: event("task_complete", completed_at=n),
    "message of nothing": lambda _, n: event("user_message", images=[n]),
    "answer of nothing": lambda _, n: event("agent_message", message=n),
    "rollback of nothing": lambda _, __: event("thread_rolled_back", num_turns=-1),
    "compaction of nothing": lambda _, __: {"type": "compacted", "payload": {"replacement_history": []}},
    "no payload": lambda _, __: {"type": "compacted"},
    "payload of another kind": lambda _, n: {"type": "event_msg", "payload": [n]},
}
"""Records that say nothing to this version, or that do not fit."""


def _history(number: int) -> list[Json]:
    """The replacement history of a checkpoint."""
    said = user(word(number), turn=f"t{number}")
    histories: tuple[list[Json], ...] = (
        [user(SUMMARY)],
        [said, user(SUMMARY)],
        [developer(_SWITCH, turn=f"t{number}"), said, user(_CONTEXT), user("b", turn="u"), assistant("c")],
        [],
    )
    return histories[number % len(histories)]


def _windows(number: int) -> Json:
    first, previous, current = _WINDOWS[0], _WINDOWS[number % 4], _WINDOWS[(number + 1) % 4]
    return {"window_number": number + 1, "first_window_id": first, "previous_window_id": previous, "window_id": current}


CHECKPOINTS: Final[dict[str, Make]] = {
    "compacted": lambda turn, n: spoken.compacted(
        "S", _history(n), **_windows(n), **spoken.resume_metadata(f"m{n % 3}" if n % 2 else None, turn)
    ),
    "compacted, as 0.149 did": lambda _, n: spoken.compacted("S", _history(n), **_windows(n)),
    "compacted, as 0.125 did": lambda _, n: spoken.compacted("S", _history(n)),
    "compacted, as 0.100 did": lambda _, n: spoken.compacted(word(n) if n % 3 else ""),
    "compacted, with the number as id": lambda _, n: spoken.compacted("S", _history(n), window_id=n),
    "compacted, with an id alone": lambda _, n: spoken.compacted("S", _history(n), window_id=_WINDOWS[n % 4]),
    "compacted, with a window and no history": lambda _, n: spoken.compacted("S", **_windows(n)),
    "compacted, resuming without a window": lambda turn, n: spoken.compacted(
        "S", _history(n), **spoken.resume_metadata("m1", turn)
    ),
    "compacted, with metadata": lambda _, n: spoken.compacted(
        "S",
        _history(n),
        replacement_history_metadata=[{"client_authored": False} for _ in _history(n)],
        **_windows(n),
        **spoken.resume_metadata(),
    ),
    "compacted, with metadata of others": lambda _, n: spoken.compacted(
        "S", _history(n), replacement_history_metadata=[{}] * (len(_history(n)) + 1), **(_windows(n) if n % 2 else {})
    ),
    "compacted, with strangers": lambda _, n: spoken.compacted(
        "S", [*_history(n), {"type": "tomorrow"}, {"type": "ghost_snapshot"}], **_windows(n), **spoken.resume_metadata()
    ),
    "compacted, with a wrong item": lambda _, n: spoken.compacted(
        "S", [*_history(n), {"type": "message", "role": "user"}], **_windows(n)
    ),
}
"""Compactions of every age, and some that do not count."""


def _ended(turn: str, number: int, **more: Any) -> Json:
    return {"turn_id": turn, "started_at": number, "completed_at": number + 5, "duration_ms": 10 * number, **more}


LIFECYCLE: Final[dict[str, Make]] = {
    "start": lambda turn, n: event("task_started", turn_id=turn, started_at=n, root_turn_id=turn if n % 2 else None),
    "start, as it was named": lambda turn, n: event("turn_started", turn_id=turn, started_at=n),
    "complete": lambda turn, n: event("task_complete", **_ended(turn, n)),
    "complete, as it was named": lambda turn, n: event("turn_complete", **_ended(turn, n)),
    "fail": lambda turn, n: event("task_complete", **_ended(turn, n, error={"message": word(n)})),
    "abort": lambda turn, n: event("turn_aborted", **_ended(turn, n, reason="interrupted")),
    "abort whatever runs": lambda _, n: event("turn_aborted", reason="interrupted", completed_at=n),
}
"""Where turns begin and end."""

ROLLBACKS: Final[dict[str, Make]] = {
    "roll back": lambda _, n: event("thread_rolled_back", num_turns=n),
    "roll back all": lambda _, __: event("thread_rolled_back", num_turns=2**32 - 1),
}


# --- what a person is shown ------------------------------------------------------------------------------------------


def _completed(turn: str, number: int, shown_item: Json) -> Json:
    times: Json = {"started_at_ms": 1_000 + number, "completed_at_ms": 2_000 + number} if number % 2 else {}
    return event("item_completed", thread_id=spoken.THREAD, turn_id=turn, item=shown_item, **times)


def _phased(number: int) -> Json:
    phase = (None, "final_answer", "commentary")[number % 3]
    return {} if phase is None else {"phase": phase}


PAGINATED_ITEMS: Final[dict[str, Make]] = {
    "said": lambda turn, n: _completed(
        turn,
        n,
        {
            "type": "UserMessage",
            "id": f"u{n % 2}",
            "content": [{"type": "text", "text": word(n), "text_elements": []}],
        },
    ),
    "answered": lambda turn, n: _completed(
        turn,
        n,
        {
            "type": "AgentMessage",
            "id": f"a{n % 3}",
            "content": [{"type": "Text", "text": word(n)}],
            **_phased(n),
        },
    ),
    "planned": lambda turn, n: _completed(turn, n, {"type": "Plan", "id": item_id(n), "text": word(n)}),
    "compaction shown": lambda turn, n: _completed(turn, n, {"type": "ContextCompaction", "id": f"x{n % 2}"}),
    "item of tomorrow": lambda turn, n: _completed(turn, n, {"type": "Tomorrow", "id": item_id(n)}),
    "item that is none": lambda turn, n: _completed(turn, n, {"type": "Plan", "id": item_id(n)}),
}
"""Items of paginated rollouts."""

LEGACY_ITEMS: Final[dict[str, Make]] = {
    "said": lambda _, n: shown.user(word(n)),
    "answered": lambda _, n: shown.agent(word(n), **_phased(n)),
    "answered nothing": lambda _, __: shown.agent(""),
    "thought": lambda _, n: shown.thought(word(n)),
    "thought nothing": lambda _, __: shown.thought(""),
    "thought aloud": lambda _, n: shown.raw_thought(word(n)),
    "planned": lambda turn, n: _completed(turn, n, {"type": "Plan", "id": item_id(n), "text": word(n)}),
    "patched": lambda turn, n: shown.patch(item_id(n), **({"turn_id": turn} if n % 2 else {})),
    "asked a server": lambda turn, n: shown.mcp(item_id(n), **({"turn_id": turn} if n % 2 else {})),
    "searched": lambda _, n: shown.web(item_id(n), {"type": "search", "query": word(n)}),
    "drew": lambda _, n: shown.image(item_id(n)),
    "helper": lambda _, n: shown.activity(item_id(n), "started", occurred_at_ms=n),
    "compaction shown": lambda _, __: event("context_compacted"),
    "hooked": lambda _, n: message("user", HOOK, id=f"msg_h{n % 2}"),
    "review": lambda turn, n: event(
        "entered_review_mode", target={"type": "uncommittedChanges"}, **({"turn_id": turn} if n % 2 else {})
    ),
    "reviewed": lambda turn, n: shown.reviewed(word(n), **({"turn_id": turn} if n % 2 else {})),
    "old command": lambda turn, n: event("exec_command_end", turn_id=turn, call_id=f"c{n % 2}"),
}
"""Items of legacy rollouts."""

LATE: Final = ("planned",)
"""Items that may stand after their turn, among the records of a newer one, in either mode."""
