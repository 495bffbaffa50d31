"""Outputs of tools: the items that they are, and how much of one a model is shown (0.169.0 observed)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.records import harness_metadata

if TYPE_CHECKING:
    from collections.abc import Sequence

    from threadkeep.replay import ContextItem

__all__ = ["OUTPUTS", "as_loaded", "output_item", "shown_output"]

BYTES_PER_TOKEN: Final = 4
"""What a token counts as where only bytes are known."""
UNKNOWN_MODEL_BYTES: Final = 12_000
"""Bytes of one tool output that a model is shown which nobody knows."""

OUTPUTS: Final = {
    "function_call": ("fco", "function_call_output"),
    "custom_tool_call": ("ctco", "custom_tool_call_output"),
    "local_shell_call": ("fco", "function_call_output"),
    "tool_search_call": ("tso", "tool_search_output"),
}
"""Of each kind of call: the prefix of its output's id, and the kind of its output."""

_CUT: Final = frozenset({"function_call_output", "custom_tool_call_output"})


class _Kind(msgspec.Struct):
    type: str


_decode_kind: Final = msgspec.json.Decoder(_Kind).decode


def output_item(kind: str, call_id: str, output: Any, *, item_id: str | None = None) -> dict[str, Any]:
    """The item that answers a call; a search for tools has no words for its answer: it finds none.

    Args:
        kind: The kind of the call.
        call_id: Which call it is.
        output: What the model sees.
        item_id: The item's id, without its prefix; None for an item without one.
    """
    prefix, answer = OUTPUTS[kind]
    named = {"id": f"{prefix}_{item_id}"} if item_id is not None else {}
    nothing = {"status": "completed", "execution": "client", "tools": []}
    return {
        "type": answer,
        **named,
        "call_id": call_id,
        **(nothing if answer == "tool_search_output" else {"output": output}),
    }


def as_loaded(items: Sequence[ContextItem], output_tokens: int | None) -> list[msgspec.Raw]:
    """The items of a resumed context as a history begins with them: outputs cut to what a model is shown.

    Codex cuts outputs as it loads them; what stands in a checkpoint's replacement history it takes as it is.

    Args:
        items: The items of a resumed thread's context.
        output_tokens: Tokens of one output that the model is shown, where the item itself does not say; None for a
            model that nobody knows.
    """
    history = []
    for item in items:
        tokens = output_tokens
        if not item.checkpointed and len(item.metadata):
            noted = harness_metadata(item.metadata)
            if noted is not None and noted.fallback_token_limit_override is not None:
                tokens = noted.fallback_token_limit_override
        history.append(item.payload if item.checkpointed else shown_output(item.payload, tokens))
    return history


def shown_output(item: msgspec.Raw, output_tokens: int | None) -> msgspec.Raw:
    """An item as a model is shown it: the same bytes, unless it is an output of a tool that is too long.

    Args:
        item: A response item.
        output_tokens: As for `as_loaded`.
    """
    unit, budget = (
        ("chars", UNKNOWN_MODEL_BYTES) if output_tokens is None else ("tokens", output_tokens * BYTES_PER_TOKEN)
    )
    if len(item) <= budget or _decode_kind(item).type not in _CUT:
        return item
    members: dict[str, Any] = msgspec.json.decode(item, type=dict[str, msgspec.Raw])
    members["output"] = _cut_output(msgspec.json.decode(members["output"]), unit, budget)
    return msgspec.Raw(msgspec.json.encode(members))


def _cut_output(output: Any, unit: str, budget: int) -> Any:
    """Its texts share one budget; what is no text passes, texts after the budget is used up are only counted."""
    if isinstance(output, str):
        return _cut(output, unit, budget)
    if not isinstance(output, list):
        return output
    parts: list[Any] = []
    omitted = 0
    for part in output:
        if part.get("type") != "input_text":
            parts.append(part)
        elif budget <= 0:
            omitted += 1
        else:
            parts.append({**part, "text": _cut(part["text"], unit, budget)})
            budget = max(0, budget - len(part["text"].encode()))
    if omitted:
        parts.append({"type": "input_text", "text": f"[omitted {omitted} text items ...]"})
    return parts


def _cut(text: str, unit: str, budget: int) -> str:
    """The beginning and the end of a text, half of the budget (bytes) each, and a marker between them."""
    data = text.encode()
    if len(data) <= budget:
        return text
    left = budget // 2
    head = data[:left].decode(errors="ignore")
    start = len(data) - (budget - left)
    while start < len(data) and data[start] & 0xC0 == 0x80:
        start += 1
    tail = data[start:].decode()
    gone = math.ceil((len(data) - budget) / BYTES_PER_TOKEN) if unit == "tokens" else len(text) - len(head) - len(tail)
    return f"{head}…{gone} {unit} truncated…{tail}"
