"""What goes out for a thread's history is, item by item, what the real Codex sends for it.

The cases are those that ``tests/fixtures/context`` recorded from the binary: rollouts, and the ``input`` of the model
call after them. The context comes from the plain definition, its wire form from the engine.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from tests.codex.record_context import expand
from tests.oracle import context as oracle
from tests.oracle.test_context import CASES, context_of, name_of, unreadable

from threadkeep.appserver.engine import as_loaded
from threadkeep.appserver.engine._sent import sent_items, without_oldest
from threadkeep.replay import ContextItem, Position

Json = dict[str, Any]
PLACE = Position("", 0)
OUR_WORDS = {
    "[an image at a web address, which is not shown]": oracle.REMOTE_IMAGE,
    "[a sound, which is not played]": oracle.AUDIO,
}


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value, ensure_ascii=False).encode())


def sent(history: list[msgspec.Raw], *, openai: bool = False) -> list[Json]:
    items: list[Json] = json.loads(msgspec.json.encode(sent_items(history, openai=openai)))
    return items


def in_their_words(value: Any) -> Any:
    """A copy of JSON values where what we put in the place of images and sounds is what the fixtures have there."""
    if isinstance(value, dict):
        return {name: in_their_words(member) for name, member in value.items()}
    if isinstance(value, list):
        return [in_their_words(member) for member in value]
    return OUR_WORDS.get(value, value) if isinstance(value, str) else value


def loaded(context: oracle.Context) -> list[msgspec.Raw]:
    items = [
        ContextItem(
            raw(item),
            PLACE,
            msgspec.Raw(b"") if metadata is None else raw(metadata),
            checkpointed=index < context.from_checkpoint,
        )
        for index, (item, metadata) in enumerate(zip(context.history, context.history_metadata, strict=True))
    ]
    return as_loaded(items, None)


readable = pytest.mark.parametrize("case", [case for case in CASES if not unreadable(case)], ids=name_of)


@readable
def test_a_recorded_thread_is_sent_as_codex_sent_it(case: Json) -> None:
    assert in_their_words(sent(loaded(context_of(case)))) == expand(case["input"])


NOTED: Json = {"turn_id": "t", "create_time": 1.5, "content_item_metadata": [{}], "new": 1, "content_item_kinds": ["k"]}


@pytest.mark.parametrize(
    ("noted", "kinds"),
    [
        (None, ["unknown", "unknown"]),
        ({"content_item_kinds": ["a"]}, ["a", "unknown"]),
        ({"content_item_kinds": ["a", "b", "c"]}, ["a", "b"]),
        ({"content_item_kinds": ["a", 1]}, ["unknown", "unknown"]),
    ],
)
def test_openai_is_told_what_the_parts_of_a_message_are(noted: Json | None, kinds: list[str]) -> None:
    parts = [{"type": "input_text", "text": text} for text in "ab"]
    item = {"type": "message", "role": "user", "content": parts}
    more = {} if noted is None else {"internal_chat_message_metadata_passthrough": noted}
    expected = {**item, "internal_chat_message_metadata_passthrough": {"content_item_kinds": kinds}}
    assert sent([raw({**item, **more})], openai=True) == [expected]
    assert sent([raw({**item, **more})]) == [item]


def test_openai_alone_is_sent_what_is_noted_and_sealed_for_it() -> None:
    call = {"type": "function_call", "id": "fc_1", "name": "x", "arguments": "{}", "call_id": "c"}
    output = {"type": "function_call_output", "call_id": "c", "output": "o"}
    private = {"encrypted_content": "sealed", "internal_chat_message_metadata_passthrough": NOTED}
    told = {"turn_id": "t", "create_time": 1.5, "content_item_kinds": ["k"]}
    history = [raw({**call, **private}), raw(output)]
    assert sent(history) == [call, output]
    assert sent(history, openai=True) == [
        {**call, "encrypted_content": "sealed", "internal_chat_message_metadata_passthrough": told},
        output,
    ]


def test_numbers_and_escapes_go_out_as_they_are() -> None:
    arguments = b'{"big":18446744073709551615,"float":1.50,"text":"\\u00e9\\u2028"}'
    item = b'{"type":"tool_search_call","call_id":"c","execution":"server","status":"completed","arguments":'
    encoded = msgspec.json.encode(sent_items([msgspec.Raw(item + arguments + b"}")], openai=False))
    assert arguments in encoded


def test_an_output_is_cut_as_it_is_loaded_and_not_in_a_checkpoint() -> None:
    output = raw({"type": "function_call_output", "call_id": "c", "output": "x" * 1_000})
    metadata = raw({"fallback_token_limit_override": 100, "client_authored": False})
    items = [ContextItem(output, PLACE, metadata, checkpointed=checkpointed) for checkpointed in (True, False)]
    whole, cut = as_loaded(items, 12_000)
    assert whole == output
    assert json.loads(bytes(cut))["output"] == "x" * 200 + "…150 tokens truncated…" + "x" * 200


def test_the_oldest_item_goes_with_what_belongs_to_it() -> None:
    call = raw({"type": "function_call", "id": "fc_1", "name": "x", "arguments": "{}", "call_id": "c"})
    output = raw({"type": "function_call_output", "call_id": "c", "output": "o"})
    other = raw({"type": "custom_tool_call_output", "call_id": "c", "output": "o"})
    assert without_oldest([call, output, other]) == [other]
    assert without_oldest([output, other, call]) == [other]
    assert without_oldest([other, call, output]) == [call, output]


def test_the_engine_package_is_light() -> None:
    code = "import sys, threadkeep.appserver.engine\nprint(sorted({'asyncio', 'openai', 'httpx'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
