"""The body of a model call, as Codex 0.169 writes it (observed at a mock of the provider)."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.appserver.engine._messages import states
from threadkeep.appserver.engine._outputs import BYTES_PER_TOKEN
from threadkeep.appserver.engine._sent import sent_items

if TYPE_CHECKING:
    from collections.abc import Sequence

    from threadkeep.appserver._config import Provider
    from threadkeep.appserver.engine._protocol import TurnSettings

__all__ = ["call_headers", "estimated_tokens", "is_openai", "request_body"]

SCHEMA_NAME: Final = "codex_output_schema"
"""What a schema of the final answer is called."""
_IMAGE: Final = re.compile(rb'"data:image/[^"]*"')
_IMAGE_BYTES: Final = 7_000
"""What an image weighs, in bytes of text, whatever its size."""
_encode: Final = msgspec.json.Encoder().encode


def is_openai(provider: Provider) -> bool:
    """Whether a provider is OpenAI, known by its name: it seals summaries itself, and gets what is noted for it."""
    return provider.name == "OpenAI"


def request_body(
    settings: TurnSettings,
    thread_id: str,
    history: Sequence[msgspec.Raw],
    tools: Sequence[dict[str, Any]],
    *,
    last: Sequence[dict[str, Any]] = (),
    parallel: bool = True,
) -> bytes:
    """A request for a response.

    Args:
        settings: What the turn runs with.
        thread_id: Also the key by which the provider finds what it has read before.
        history: Response items, oldest first. Instructions that stand in it are not said twice.
        tools: What the model may call.
        last: Items that follow the history, as they are sent.
        parallel: Whether it may call several at once.
    """
    openai = is_openai(settings.provider)
    told = settings.instructions
    instructions = [] if told is None or states(history, told) else [_instructions(told, thread_id)]
    reasoning = {"effort": settings.effort, "summary": None if settings.summary == "none" else settings.summary}
    reasoning = {name: value for name, value in reasoning.items() if value is not None}
    text = {"verbosity": settings.verbosity, "format": _format(settings.output_schema)}
    text = {name: value for name, value in text.items() if value is not None}
    body: dict[str, Any] = {
        "model": settings.model,
        "stream": True,
        "input": [*instructions, *sent_items(history, openai=openai), *last],
        "tools": list(tools),
        "tool_choice": "auto",
        "parallel_tool_calls": parallel,
        "reasoning": reasoning or None,
        "store": False,
        "include": ["reasoning.encrypted_content"] if reasoning else [],
        "prompt_cache_key": thread_id,
        "text": text or None,
        "service_tier": settings.service_tier,
    }
    return _encode({name: value for name, value in body.items() if value is not None})


def call_headers(thread_id: str) -> dict[str, str]:
    """The headers of a model call beside those of its provider."""
    return {
        "Accept": "text/event-stream",
        "Content-Type": "application/json",
        "session-id": thread_id,
        "thread-id": thread_id,
        "x-client-request-id": thread_id,
    }


def estimated_tokens(items: Sequence[msgspec.Raw]) -> int:
    """Tokens of items that no provider has counted yet: four bytes each, an image as much as any other (roughly)."""
    return sum(-(-_size(item) // BYTES_PER_TOKEN) for item in items)


def _size(item: msgspec.Raw) -> int:
    """Bytes of an item, images at their usual weight."""
    size = len(item)
    if size > _IMAGE_BYTES:
        size += sum(_IMAGE_BYTES - len(found[0]) for found in _IMAGE.finditer(bytes(item)))
    return size


def _instructions(text: str, thread_id: str) -> dict[str, Any]:
    """What the model is told first: a developer's message, the same in every call of a thread."""
    id_ = uuid.uuid5(uuid.NAMESPACE_URL, f"threadkeep:instructions:{thread_id}:{text}")
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "id": f"msg_{id_}", "role": "developer", "content": content}


def _format(schema: Any) -> dict[str, Any] | None:
    if schema is None:
        return None
    return {"type": "json_schema", "strict": True, "schema": schema, "name": SCHEMA_NAME}
