"""Records of tool calls, written by hand, and the items that they give."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from threadkeep.replay.items import plain
from threadkeep.replay.items._calls import CallBuilder

Json = dict[str, Any]
Sample = tuple[str, Json]
"""A response item or an event: its type and its other members."""

THREAD: Final = "01a20000-0000-7000-8000-000000000001"
AGENT: Final = "01a20000-0000-7000-8000-0000000000aa"
HOME: Final = "/home/me/project"


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def builder(**options: Any) -> CallBuilder:
    return CallBuilder(**{"thread_id": THREAD, "cwd": HOME, **options})


def items(*records: Sample, running: bool = False, shown: tuple[str, ...] = (), **options: Any) -> list[Json]:
    """The items of a turn of these response items and events; the n-th record stands at byte 100 n."""
    turn = builder(**options)
    for place, (subtype, payload) in enumerate(records):
        feed = turn.event if subtype.endswith(("_end", "_response", "view_image_tool_call")) else turn.response_item
        feed(100 * place, subtype, raw({"type": subtype, **payload}))
    return [plain(item) for _, item in turn.finish(shown_ids=shown, running=running)]


def call(name: str, arguments: Json | str, call_id: str = "c", **more: Any) -> Sample:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return "function_call", {"name": name, "arguments": text, "call_id": call_id, **more}


def answer(output: Any, call_id: str = "c", kind: str = "function_call_output") -> Sample:
    return kind, {"call_id": call_id, "output": output}


def formatted(text: str, exit_code: int = 0, seconds: float = 0.2) -> str:
    return json.dumps({"output": text, "metadata": {"exit_code": exit_code, "duration_seconds": seconds}})


def process(text: str, end: str = "Process exited with code 0", seconds: str = "0.1452") -> str:
    return f"Chunk ID: 24d4da\nWall time: {seconds} seconds\n{end}\nOriginal token count: 1\nOutput:\n{text}"


def command_item(**members: Any) -> Json:
    return {
        "type": "commandExecution", "id": "c", "pluginId": None, "scriptPath": None, "command": "make", "cwd": HOME,
        "processId": None, "source": "agent", "status": "completed",
        "commandActions": [{"type": "unknown", "command": "make"}], "aggregatedOutput": "built\n", "exitCode": 0,
        "durationMs": 200, "startedAtMs": None, "completedAtMs": None, **members,
    }  # fmt: skip
