"""What a user said, as the event of legacy rollouts has it: a text beside lists of images and recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

import msgspec

from threadkeep.replay.items._messages import (
    Audio,
    Detail,
    Image,
    LocalAudio,
    LocalImage,
    Text,
    TextElement,
    UserMessage,
)
from threadkeep.replay.items._schema import first_string

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["WHITE_SPACE", "UserMessageEvent"]

T = TypeVar("T")
Medium: TypeAlias = Literal["inline", "file"]

WHITE_SPACE: Final = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
"""What the server takes for blank: Unicode's white space. `str.strip` alone would take U+001C to U+001F as well."""


class AudioReference(msgspec.Struct):
    """A recording by its URL, else by the id of a file."""

    audio_url: Any = None
    file_id: Any = None


class UserMessageEvent(msgspec.Struct):
    """``user_message``."""

    message: str
    client_id: str | None = None
    images: list[str] | None = None
    image_details: list[Detail | None] = []
    local_images: list[str] = []
    local_image_details: list[Detail | None] = []
    file_ids: list[str] | None = None
    file_id_details: list[Detail | None] = []
    image_order: list[Medium] = []
    audio: list[str] | None = None
    audio_references: list[AudioReference] | None = None
    audio_order: list[Medium] = []
    local_audio: list[str] = []
    text_elements: list[TextElement] = []

    def item(self, item_id: str) -> UserMessage:
        """The message: its text (unless it is blank), images, local images, recordings, local recordings.

        Raises:
            UndecodableError: A recording has neither a URL nor the id of a file.
        """
        content: list[Any] = [Text(self.message, self.text_elements)] if self.message.strip(WHITE_SPACE) else []
        content += self._images()
        content += [LocalImage(path, detail) for path, detail in _pairs(self.local_images, self.local_image_details)]
        content += self._audio()
        content += [LocalAudio(path) for path in self.local_audio]
        return UserMessage(item_id, content, self.client_id)

    def _images(self) -> list[Image]:
        inline = [Image(image_url=url, detail=detail) for url, detail in _pairs(self.images, self.image_details)]
        files = [Image(file_id=name, detail=detail) for name, detail in _pairs(self.file_ids, self.file_id_details)]
        return _merged(self.image_order, inline, files) or inline + files

    def _audio(self) -> list[Audio]:
        """The references, where there are some or an empty list; an order that fits puts the URLs between them."""
        inline = [Audio(audio_url=url) for url in self.audio or []]
        if self.audio_references is None:
            return inline
        references = [Audio(audio_url=one.audio_url, file_id=one.file_id) for one in self.audio_references]
        if all("file_id" in first_string(audio_url=one.audio_url, file_id=one.file_id) for one in references):
            return _merged(self.audio_order, inline, references) or references
        return references


def _pairs(values: Sequence[str] | None, details: Sequence[Detail | None]) -> list[tuple[str, Detail | None]]:
    """Each value with its detail; there may be fewer details than values."""
    return [(value, details[i] if i < len(details) else None) for i, value in enumerate(values or [])]


def _merged(order: list[Medium], inline: list[T], files: list[T]) -> list[T] | None:
    """Both lists in the order given; None where that does not count them right."""
    if order.count("inline") != len(inline) or order.count("file") != len(files):
        return None
    first, second = iter(inline), iter(files)
    return [next(first if medium == "inline" else second) for medium in order]
