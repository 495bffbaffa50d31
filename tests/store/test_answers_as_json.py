"""Answers of the store are structs that msgspec turns into JSON as they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
from tests.store.threads import new_thread

if TYPE_CHECKING:
    from threadkeep.store import ThreadStore


def test_a_resumed_thread_is_valid_json(store: ThreadStore) -> None:
    thread = new_thread(store, "one")
    item: dict[str, Any] = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "two"}]}
    with store.writer(thread) as writer:
        writer.append("response_item", item, {"delivered_assistant_message": False})
        with writer.turn("three") as turn:
            turn.compact("sum", [item, item], window_number=1)
    with store.writer(thread) as writer:
        writer.append("response_item", item, {"source": "here"})
    for found in (store.resume(thread), store.replay(thread)):
        items = json.loads(msgspec.json.encode(found))["context"]["items"]
        assert [entry["payload"] for entry in items][:2] == [item, item]
        assert ["metadata" in entry for entry in items] == [bool(bytes(kept.metadata)) for kept in found.context.items]
        assert items[-1]["metadata"] == {"source": "here"}
