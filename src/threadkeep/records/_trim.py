"""What is cut from items before they are stored in a paginated rollout (``storage.md`` 2.5)."""

from __future__ import annotations

from typing import Any, Final

from threadkeep.records._encode import encode_json

__all__ = ["MAX_STORED_OUTPUT", "trimmed_item"]

MAX_STORED_OUTPUT: Final = 64 * 1024
"""Most bytes of a command's output, or of an MCP call's result, that an item keeps. The model's own copy is not cut."""

_CUT: Final = "\n... output cut for storage ...\n"


def trimmed_item(item: dict[str, Any]) -> dict[str, Any]:
    """An ``item_completed``'s item as it is stored: the same object where nothing has to be cut."""
    if item.get("type") == "CommandExecution":
        output = item.get("aggregated_output")
        if isinstance(output, str) and len(output) > MAX_STORED_OUTPUT // 4:
            return {**item, "aggregated_output": _middle_out(output)}
    if item.get("type") == "McpToolCall" and item.get("result") is not None:
        result = encode_json(item["result"])
        if len(result) > MAX_STORED_OUTPUT:
            text = result.decode("utf-8", "replace")
            return {**item, "result": {"content": [{"type": "text", "text": _middle_out(text)}]}}
    return item


def _middle_out(text: str) -> str:
    """The beginning and the end of a text that is above the bound, with a mark between them."""
    data = text.encode("utf-8", "replace")
    if len(data) <= MAX_STORED_OUTPUT:
        return text
    half = (MAX_STORED_OUTPUT - len(_CUT)) // 2
    return data[:half].decode("utf-8", "ignore") + _CUT + data[-half:].decode("utf-8", "ignore")
