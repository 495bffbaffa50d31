"""What goes out for a thread's history is, item by item, what the real Codex sends for it.

The cases are those that ``tests/fixtures/context`` recorded from the binary: rollouts, and the ``input`` of the model
call after them. The context comes from the plain definition, its wire form from the engine.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from tests.codex.record_context import expand
from tests.oracle import context as oracle
from tests.oracle.test_context import CASES, context_of, name_of, unreadable

from threadkeep.appserver.engine import as_loaded
from threadkeep.appserver.engine._sent import sent_items
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
