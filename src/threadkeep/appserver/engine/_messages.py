"""Messages of a history, as far as an engine has to read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Said", "kind_of", "message_of", "states"]


class _Text(msgspec.Struct):
    text: str = ""


class Said(msgspec.Struct):
    """What an item says, where it is a message."""

    type: str
    role: str | None = None
    content: list[_Text] | str | None = None

    @property
    def text(self) -> str:
        """All its texts, one behind the other."""
        if isinstance(self.content, str) or self.content is None:
            return self.content or ""
        return "".join(part.text for part in self.content)


_decode: Final = msgspec.json.Decoder(Said).decode
_decode_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def message_of(item: msgspec.Raw) -> Said | None:
    """The item where it is a message."""
    try:
        found = _decode(item)
    except msgspec.MsgspecError:  # items of other kinds have contents of other shapes
        return None
    return found if found.type == "message" else None


def kind_of(item: msgspec.Raw) -> bytes:
    """The type of an item, as JSON."""
    return bytes(_decode_members(item).get("type", b""))


def states(history: Iterable[msgspec.Raw], instructions: str) -> bool:
    """Whether a developer's message of a history is these very instructions, as Codex states them for newer models."""
    for item in history:
        if len(item) < len(instructions):
            continue
        said = message_of(item)
        if said is not None and said.role == "developer" and said.text == instructions:
            return True
    return False
