"""Calls of tools that the client or the model provider offers, and the items that they and their outputs make.

The formats are those of 0.20 to 0.169 (observed).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from threadkeep.records import EMPTY_RAW, present
from threadkeep.replay.items._call_mcp import json_arguments
from threadkeep.replay.items._call_output import Part, aborted, never_ran
from threadkeep.replay.items._call_paths import path_in
from threadkeep.replay.items._images import ImageGeneration
from threadkeep.replay.items._tools import DynamicToolCall, WebSearch

if TYPE_CHECKING:
    from threadkeep.replay.items._schema import Json

__all__ = [
    "ImageGenerationCall",
    "WebSearchCall",
    "dynamic_tool_call",
    "dynamic_tools",
    "has_hosted_images",
    "image_view",
]


# --- tools of the client ----------------------------------------------------------------------------------------------


class _Spec(msgspec.Struct):
    name: str
    namespace: str | None = None
    tools: list[_Spec] | None = None


_decode_specs: Final = msgspec.json.Decoder(list[_Spec]).decode


def dynamic_tools(specs: msgspec.Raw) -> frozenset[tuple[str | None, str]]:
    """Namespace and name of every tool that the client offers, of ``dynamic_tools`` or ``tools`` in a record."""
    if not present(specs):
        return frozenset()
    try:
        listed = _decode_specs(specs)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return frozenset()
    plain = [(spec.namespace, spec.name) for spec in listed if spec.tools is None]
    return frozenset([*plain, *((spec.name, tool.name) for spec in listed for tool in spec.tools or [])])


def dynamic_tool_call(
    item_id: str, namespace: str | None, tool: str, arguments: str, output: str | list[Part]
) -> Json | None:
    """The item of a call of a tool that the client offers; None where nothing ran. Failures leave no trace."""
    text = output if isinstance(output, str) else ""
    if never_ran(text) or aborted(text):
        return None
    item = DynamicToolCall(item_id, tool, json_arguments(arguments), "completed", namespace).shown()
    parts = [Part("input_text", output)] if isinstance(output, str) else output
    return {**item, "contentItems": [content for part in parts if (content := _dynamic_content(part)) is not None]}


def _dynamic_content(part: Part) -> Json | None:
    if part.text is not None:
        return {"type": "inputText", "text": part.text}
    if part.image_url is not None:
        return {"type": "inputImage", "imageUrl": part.image_url}
    return None if part.audio_url is None else {"type": "inputAudio", "audioUrl": part.audio_url}


# --- images -----------------------------------------------------------------------------------------------------------


class _Path(msgspec.Struct):
    path: str


_decode_path: Final = msgspec.json.Decoder(_Path).decode


def image_view(item_id: str, arguments: str, output: str | list[Part], folder: str | None) -> Json | None:
    """The item of a ``view_image`` call that worked: it was answered with the image, or with a note that it follows.

    Raises:
        msgspec.MsgspecError: The arguments are not those of the tool.
    """
    path = _decode_path(arguments).path
    if isinstance(output, str):
        worked = output.startswith("attached local image")
    else:
        worked = any(part.image_url is not None for part in output)
    return {"type": "imageView", "id": item_id, "path": path_in(folder, path)} if worked else None


class ImageGenerationCall(msgspec.Struct):
    """``image_generation_call``: an image that the model provider made."""

    status: str
    result: str
    id: str | None = None
    revised_prompt: str | None = None

    def shown(self, own_id: str) -> Json:
        """The item."""
        item_id = own_id if self.id is None else self.id
        return ImageGeneration(item_id, self.status, self.result, self.revised_prompt).shown()


def has_hosted_images(cli_version: str | None) -> bool:
    """Whether images of the model provider were shown by the version that wrote a rollout: by those before 0.149."""
    major, _, rest = (cli_version or "").partition(".")
    minor = rest.partition(".")[0]
    return major == "0" and minor.isascii() and minor.isdigit() and len(minor) < 6 and int(minor) < 149


# --- the web ----------------------------------------------------------------------------------------------------------


_OTHER: Final = msgspec.Raw(b'{"type":"other"}')


class WebSearchCall(msgspec.Struct):
    """``web_search_call``: something that the model provider looked for."""

    id: str | None = None
    action: msgspec.Raw = EMPTY_RAW

    def shown(self, own_id: str) -> Json:
        """The item; what was found is not stored.

        Raises:
            msgspec.MsgspecError: The action is none.
        """
        action = self.action if present(self.action) else _OTHER
        item = WebSearch(own_id if self.id is None else self.id, "", action).shown()
        return {**item, "query": _query(item["action"])}


def _query(action: Json) -> str:
    """What an action is about, as the server words it."""
    match action["type"]:
        case "search":
            first, *more = action["queries"] or [""]
            return action["query"] or (f"{first} ..." if first and more else first)
        case "openPage":
            return action["url"] or ""
        case "findInPage":
            url, pattern = action["url"], action["pattern"]
            if pattern is None:
                return url or ""
            return f"'{pattern}'" if url is None else f"'{pattern}' in {url}"
    return ""
