"""Items of a turn, from records to the shapes that the app-server shows (``ThreadItem``).

What is shown of a paginated rollout comes from its ``item_completed`` records, one by one: `thread_item`. Of a legacy
one it comes from events, `legacy_item`, and from the response items of its tool calls: `CallBuilder`. Which records
make up a turn, and in which order its items stand, is not decided here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from threadkeep._lazy import lazily

if TYPE_CHECKING:
    from threadkeep.replay.items._call_tools import dynamic_tools, has_hosted_images
    from threadkeep.replay.items._calls import CallBuilder
    from threadkeep.replay.items._deferred import without_output
    from threadkeep.replay.items._errors import turn_error
    from threadkeep.replay.items._head import ItemHead, item_head, item_type
    from threadkeep.replay.items._legacy import LegacyItem, hook_prompt, legacy_item, reasoning_text
    from threadkeep.replay.items._legacy_hooks import is_hook_text
    from threadkeep.replay.items._opaque import plain
    from threadkeep.replay.items._reviews import EMPTY_REVIEW
    from threadkeep.replay.items._schema import UndecodableError
    from threadkeep.replay.items._shell import NUL_COMMAND
    from threadkeep.replay.items._stored import StoredItem, stored_hook_prompt, stored_item, stored_reasoning
    from threadkeep.replay.items._turn_items import thread_item

__all__ = [
    "EMPTY_REVIEW",
    "NUL_COMMAND",
    "CallBuilder",
    "ItemHead",
    "LegacyItem",
    "StoredItem",
    "UndecodableError",
    "dynamic_tools",
    "has_hosted_images",
    "hook_prompt",
    "is_hook_text",
    "item_head",
    "item_type",
    "legacy_item",
    "plain",
    "reasoning_text",
    "stored_hook_prompt",
    "stored_item",
    "stored_reasoning",
    "thread_item",
    "turn_error",
    "without_output",
]

_PLACES: Final = {
    "dynamic_tools": "_call_tools",
    "has_hosted_images": "_call_tools",
    "CallBuilder": "_calls",
    "without_output": "_deferred",
    "turn_error": "_errors",
    "ItemHead": "_head",
    "item_head": "_head",
    "item_type": "_head",
    "LegacyItem": "_legacy",
    "hook_prompt": "_legacy",
    "legacy_item": "_legacy",
    "reasoning_text": "_legacy",
    "is_hook_text": "_legacy_hooks",
    "plain": "_opaque",
    "EMPTY_REVIEW": "_reviews",
    "UndecodableError": "_schema",
    "NUL_COMMAND": "_shell",
    "StoredItem": "_stored",
    "stored_hook_prompt": "_stored",
    "stored_item": "_stored",
    "stored_reasoning": "_stored",
    "thread_item": "_turn_items",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _PLACES)
