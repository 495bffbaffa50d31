"""Calls of tools that MCP servers offer, and the items that they and their outputs make.

The names and the formats are those of 0.20 to 0.169 (observed).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.records import EMPTY_RAW
from threadkeep.replay.items._call_output import Output, Part, aborted, never_ran, read_output
from threadkeep.replay.items._tools import McpError, McpResult, McpToolCall

if TYPE_CHECKING:
    from threadkeep.replay.items._schema import Json

__all__ = ["json_arguments", "mcp_target", "mcp_tool_call"]

_RESOURCE_TOOLS: Final = frozenset({"list_mcp_resources", "list_mcp_resource_templates", "read_mcp_resource"})
_FAILED: Final = ("tool call error: ", "err: ", "user rejected ", "user cancelled ", "resources/")
"""How an answer starts that is no result."""

_LONGEST_ERROR: Final = 1 << 16
"""Characters of a content array that is looked into for an error. A longer one is a result."""

_NULL: Final = msgspec.Raw(b"null")


class _Resource(msgspec.Struct):
    server: str | None = None


_decode_any: Final = msgspec.json.Decoder().decode
_decode_raw: Final = msgspec.json.Decoder(msgspec.Raw).decode
_decode_parts: Final = msgspec.json.Decoder(list[Part]).decode
_decode_resource: Final = msgspec.json.Decoder(_Resource).decode


def mcp_target(namespace: str | None, name: str, arguments: str) -> tuple[str, str] | None:
    """Server and tool that a function call is for; None where it is for no MCP server.

    ``server__tool`` (0.20), ``mcp__server__tool`` (to 0.100), ``mcp__server__`` or ``mcp__server`` as the namespace of
    ``tool`` (later). The tools that read resources belong to the server they name, else to ``codex``.
    """
    if namespace is not None:
        server = namespace.removeprefix("mcp__").removesuffix("__")
        return (server, name) if namespace.startswith("mcp__") and server else None
    if name in _RESOURCE_TOOLS:
        try:
            server = _decode_resource(arguments).server or "codex"
        except (msgspec.MsgspecError, RecursionError):
            server = "codex"
        return server, name
    server, _, tool = name.removeprefix("mcp__").partition("__")
    return (server, tool) if server and tool else None


def mcp_tool_call(item_id: str, target: tuple[str, str], arguments: str, output: str | list[Part]) -> Json | None:
    """The item of a call of an MCP tool; None where nothing ran, or an interruption took its answer away.

    An answer that calls itself an error is not told apart from others: outputs do not say it.
    """
    if isinstance(output, str) and (never_ran(output) or aborted(output)):
        return None
    text, rest, duration_ms = _without_header(output)
    failed = text.startswith(_FAILED)
    item = McpToolCall(
        id=item_id,
        server=target[0],
        tool=target[1],
        status="failed" if failed else "completed",
        arguments=json_arguments(arguments),
        result=None if failed else _mcp_result(rest, structured=target[1] not in _RESOURCE_TOOLS),
        error=McpError(text) if failed else None,
    ).shown()
    return {**item, "durationMs": duration_ms}


def _without_header(output: str | list[Part]) -> tuple[str, str | list[Part], int | None]:
    """The text that may be an error, the output without its header, and the time that the header tells."""
    if isinstance(output, str):
        head = _header(output)
        text = output if head is None else head.text or ""
        return _single_text(text), text, None if head is None else head.duration_ms
    head = _header(output[0].text or "") if output else None
    rest = output if head is None or head.text else output[1:]
    text = rest[0].text or "" if len(rest) == 1 else ""
    return text, rest, None if head is None else head.duration_ms


def _header(text: str) -> Output | None:
    head = read_output(text) if text.startswith("Wall time: ") else None
    return head if head is not None and head.headed and head.text is not None else None


def _single_text(text: str) -> str:
    """The text of a content array of one text, which may be an error; else the text as it is."""
    if not text.startswith('[{"') or len(text) > _LONGEST_ERROR:
        return text
    try:
        parts = _decode_parts(text)
    except (msgspec.MsgspecError, RecursionError):
        return text
    return parts[0].text if len(parts) == 1 and parts[0].text is not None else text


def _mcp_result(output: str | list[Part], *, structured: bool) -> McpResult:
    """The result: a content array as it was stored; else an object or a text, which were stored in its place."""
    if not isinstance(output, str):
        return McpResult(_encoded([_content(part) for part in output]))
    value = _json(output) if structured and output[:1] in {"[", "{"} else None
    if value is not None and output.startswith("["):
        return McpResult(value)
    return McpResult(_encoded([{"type": "text", "text": output}]), EMPTY_RAW if value is None else value)


def _content(part: Part) -> Json:
    """A part as the server gave it: data URLs were made of its data and media type."""
    if part.text is not None:
        return {"type": "text", "text": part.text}
    url = part.image_url or part.audio_url or ""
    head, comma, data = url.partition(",")
    media = head.removeprefix("data:").removesuffix(";base64")
    if comma and head == f"data:{media};base64":
        return {"type": "image" if part.image_url else "audio", "data": data, "mimeType": media}
    return {name: value for name, value in msgspec.to_builtins(part).items() if value is not None}


def json_arguments(text: str) -> msgspec.Raw:
    """The arguments as JSON; as a string where they are none, null where there are none."""
    return (_json(text) or _encoded(text)) if text.strip() else _NULL


def _json(text: str) -> msgspec.Raw | None:
    """``text`` as JSON on one line; None where it is no JSON."""
    try:
        if "\n" in text or "\r" in text:
            return _encoded(_decode_any(text))
        return msgspec.Raw(bytes(_decode_raw(text)))
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None


def _encoded(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
