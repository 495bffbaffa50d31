"""What a user said: as the model sees it, as a turn shows it, and as a legacy rollout keeps it."""

from __future__ import annotations

from collections.abc import Sequence  # msgspec evaluates the fields
from typing import TYPE_CHECKING, Any

import msgspec

from threadkeep.records import _build as build

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["UserInput"]

Json = dict[str, Any]


class UserInput(msgspec.Struct, frozen=True):
    """One message of a user.

    Attributes:
        parts: Its parts as a turn item has them (``text``, ``image``, ``local_image``, ``skill``, ``mention``).
        content: What the model sees of them.
        kinds: Where each part of ``content`` comes from, such as ``user.text``.
        client_id: The client's own id of the message.
    """

    parts: Sequence[Json]
    content: Sequence[Json]
    kinds: Sequence[str]
    client_id: str | None = None

    @classmethod
    def of_text(cls, text: str) -> UserInput:
        """A message that is one text."""
        return cls([{"type": "text", "text": text, "text_elements": []}], [build.input_text(text)], ["user.text"])

    def item(self, item_id: str) -> Json:
        """The message as a turn item."""
        return build.said_item(self.parts, item_id=item_id, client_id=self.client_id)

    def message(self, item_id: str, turn_id: str) -> Json:
        """The message as a response item."""
        return build.message("user", self.content, kinds=self.kinds, item_id=item_id, turn_id=turn_id)

    def event(self) -> Json:
        """The message as a legacy rollout keeps it: its texts as one, its images beside it (0.169.0 observed)."""
        text, elements = self._text()
        inline = [part for part in self.parts if part["type"] == "image"]
        local = [part for part in self.parts if part["type"] == "local_image"]
        urls = [part for part in inline if "image_url" in part]
        files = [part for part in inline if "file_id" in part]
        event = build.user_message_event(text, text_elements=elements)
        event["images"] = [part["image_url"] for part in urls]
        event["local_images"] = [part["path"] for part in local]
        event |= _given(
            client_id=self.client_id,
            image_details=_details(urls),
            file_ids=[part["file_id"] for part in files],
            file_id_details=_details(files),
            image_order=["inline" if "image_url" in part else "file" for part in inline],
            local_image_details=_details(local),
        )
        return event

    def _text(self) -> tuple[str, list[Json]]:
        """The texts, joined by nothing, and their elements at the places where they stand then."""
        text, size = "", 0
        elements: list[Json] = []
        for part in self.parts:
            if part["type"] != "text":
                continue
            for element in part["text_elements"]:
                place = element["byte_range"]
                moved = {"start": place["start"] + size, "end": place["end"] + size}
                elements.append({**element, "byte_range": moved})
            text += part["text"]
            size += len(part["text"].encode())
        return text, elements


def _given(**members: Any) -> Json:
    """The members that say something."""
    return {name: value for name, value in members.items() if value}


def _details(parts: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The detail of each image; nothing where none has one."""
    details = [part.get("detail") for part in parts]
    return details if any(detail is not None for detail in details) else []
