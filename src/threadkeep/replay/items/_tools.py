"""Tools other than the shell: MCP servers, the client's own tools, the web, the clock."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec

from threadkeep.records import EMPTY_RAW, present
from threadkeep.replay.items._opaque import opaque, opaque_array
from threadkeep.replay.items._schema import (
    U64,
    Duration,
    Json,
    camel_words,
    check_u64,
    milliseconds,
)

__all__ = ["DynamicToolCall", "McpToolCall", "Sleep", "WebSearch", "WebSearchExtension"]


# --- MCP servers ------------------------------------------------------------------------------------------------------


class McpAppUi(msgspec.Struct, rename="camel"):
    """What an app shows of the call; spelt and ordered like the server's."""

    resource_uri: str
    preferred_model_display_mode: Literal["inline", "fullscreen"]


class McpResult(
    msgspec.Struct, rename={"structured_content": "structuredContent", "meta": "_meta", "is_error": "isError"}
):
    """What an MCP server answered."""

    content: msgspec.Raw
    structured_content: msgspec.Raw = EMPTY_RAW
    meta: msgspec.Raw = EMPTY_RAW
    is_error: bool | None = None

    def shown(self) -> Json:
        """As the server shows it: whether it is an error is not said. All members are raw JSON."""
        return {
            "content": opaque_array(self.content),
            "structuredContent": opaque(self.structured_content) if present(self.structured_content) else None,
            "_meta": opaque(self.meta) if present(self.meta) else None,
        }


class McpError(msgspec.Struct):
    """Why there is no answer; spelt like the server's."""

    message: str


class McpToolCall(msgspec.Struct, tag=True, rename="camel"):
    """A call of a tool that an MCP server offers; in camel case in the rollout already."""

    id: str
    server: str
    tool: str
    status: Literal["inProgress", "completed", "failed"]
    arguments: msgspec.Raw
    connector_id: str | None = None
    link_id: str | None = None
    mcp_app_resource_uri: str | None = None
    app_name: str | None = None
    action_name: str | None = None
    mcp_app_ui: McpAppUi | None = None
    plugin_id: str | None = None
    read_only_hint: bool | None = None
    result: McpResult | None = None
    error: McpError | None = None
    duration: Duration | None = None

    def shown(self) -> Json:
        """As the server shows it: an app's context grouped, ``mcpAppResourceUri`` only where it has a value."""
        resource = {} if self.mcp_app_resource_uri is None else {"mcpAppResourceUri": self.mcp_app_resource_uri}
        return {
            "type": "mcpToolCall",
            "id": self.id,
            "server": self.server,
            "tool": self.tool,
            "status": self.status,
            "arguments": opaque(self.arguments),
            "appContext": self._app_context(),
            **resource,
            "mcpAppUi": None if self.mcp_app_ui is None else msgspec.to_builtins(self.mcp_app_ui),
            "pluginId": self.plugin_id,
            "readOnlyHint": self.read_only_hint,
            "result": None if self.result is None else self.result.shown(),
            "error": None if self.error is None else {"message": self.error.message},
            "durationMs": milliseconds(self.duration),
        }

    def _app_context(self) -> Json | None:
        if self.connector_id is None:
            return None
        return {
            "connectorId": self.connector_id,
            "linkId": self.link_id,
            "resourceUri": self.mcp_app_resource_uri,
            "appName": self.app_name,
            "actionName": self.action_name,
        }


# --- tools of the client ----------------------------------------------------------------------------------------------

DynamicStatus: TypeAlias = Literal["in_progress", "completed", "failed"]
_DYNAMIC_STATUSES: Final = camel_words(DynamicStatus)


class DynamicText(msgspec.Struct, tag="inputText"):
    """A text that a tool answered; spelt and ordered like the server's."""

    text: str


class DynamicImage(msgspec.Struct, tag="inputImage", rename="camel"):
    """An image that a tool answered; spelt and ordered like the server's."""

    image_url: str


class DynamicAudio(msgspec.Struct, tag="inputAudio", rename="camel"):
    """A recording that a tool answered; spelt and ordered like the server's."""

    audio_url: str


class DynamicToolCall(msgspec.Struct, tag=True):
    """A call of a tool that the client offers. Its ``error`` is not shown."""

    id: str
    tool: str
    arguments: msgspec.Raw
    status: DynamicStatus
    namespace: str | None = None
    content_items: list[DynamicText | DynamicImage | DynamicAudio] | None = None
    success: bool | None = None
    error: str | None = None
    duration: Duration | None = None

    def shown(self) -> Json:
        """As the server shows it."""
        return {
            "type": "dynamicToolCall",
            "id": self.id,
            "namespace": self.namespace,
            "tool": self.tool,
            "arguments": opaque(self.arguments),
            "status": _DYNAMIC_STATUSES[self.status],
            "contentItems": None if self.content_items is None else msgspec.to_builtins(self.content_items),
            "success": self.success,
            "durationMs": milliseconds(self.duration),
        }


# --- the web, the clock -----------------------------------------------------------------------------------------------


class Action(msgspec.Struct):
    """What a search did: its type, whatever else it holds."""

    type: str


class Find(msgspec.Struct):
    """Something was searched for; spelt and ordered like the server's."""

    query: str | None = None
    queries: list[str] | None = None


class OpenPage(msgspec.Struct):
    """A page was opened; spelt and ordered like the server's."""

    url: str | None = None


class FindInPage(msgspec.Struct):
    """A page was searched; spelt and ordered like the server's."""

    url: str | None = None
    pattern: str | None = None


_decode_action: Final = msgspec.json.Decoder(Action).decode

_SNAKE_ACTIONS: Final[dict[str, tuple[str, msgspec.json.Decoder[Any]]]] = {
    "search": ("search", msgspec.json.Decoder(Find)),
    "open_page": ("openPage", msgspec.json.Decoder(OpenPage)),
    "find_in_page": ("findInPage", msgspec.json.Decoder(FindInPage)),
}
_CAMEL_ACTIONS: Final = {name: (name, decoder) for name, decoder in _SNAKE_ACTIONS.values()}


def _action(raw: msgspec.Raw, known: dict[str, tuple[str, msgspec.json.Decoder[Any]]]) -> Json:
    """What a search did; ``other`` for a type that is not ``known``, which includes one in the wrong case."""
    kind = _decode_action(raw).type
    if kind not in known:
        return {"type": "other"}
    name, decoder = known[kind]
    return {"type": name, **msgspec.to_builtins(decoder.decode(raw))}


class WebSearch(msgspec.Struct, tag=True):
    """A search in the web by the model provider."""

    id: str
    query: str
    action: msgspec.Raw
    results: msgspec.Raw = EMPTY_RAW

    def shown(self) -> Json:
        """As the server shows it; ``results`` is raw JSON. The types of actions are in snake case here."""
        return {
            "type": "webSearch",
            "id": self.id,
            "query": self.query,
            "action": _action(self.action, _SNAKE_ACTIONS),
            "results": opaque_array(self.results) if present(self.results) else None,
        }


class WebSearchExtension(msgspec.Struct, tag_field="kind", tag="web.search"):
    """A search in the web by an extension."""

    id: str
    query: str
    action: msgspec.Raw = EMPTY_RAW
    results: msgspec.Raw = EMPTY_RAW

    def shown(self) -> Json:
        """As the server shows it; ``results`` is raw JSON. The types of actions are in camel case here."""
        return {
            "type": "webSearch",
            "id": self.id,
            "query": self.query,
            "action": _action(self.action, _CAMEL_ACTIONS) if present(self.action) else None,
            "results": opaque_array(self.results) if present(self.results) else None,
        }


class Sleep(msgspec.Struct, tag_field="kind", tag="clock.sleep", rename="camel"):
    """The agent waited."""

    id: str
    duration_ms: U64

    def shown(self) -> Json:
        """As the server shows it."""
        check_u64(self.duration_ms)
        return {"type": "sleep", "id": self.id, "durationMs": self.duration_ms}
