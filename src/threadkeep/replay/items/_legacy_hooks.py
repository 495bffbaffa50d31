"""Hook prompts: messages in the user's role that a hook wrote, as the XML that they are in legacy rollouts."""

from __future__ import annotations

from typing import Final
from xml.parsers import expat

import msgspec

from threadkeep.replay.items._legacy_user import WHITE_SPACE
from threadkeep.replay.items._messages import HookFragment, HookPrompt

__all__ = ["hook_prompt_item", "is_hook_text"]

_LONGEST: Final = 1 << 20
"""Characters of a part. A longer one is not read as XML, and so is no hook prompt."""

_XML_SPACE: Final = " \t\r\n"


class _Part(msgspec.Struct):
    type: str
    text: str | None = None


class _Message(msgspec.Struct):
    role: str
    content: list[_Part]
    id: str | None = None


class _Closed(Exception):
    """The element is complete: what follows does not matter."""


class _Refused(Exception):
    """The text is no hook prompt."""


_decode_message: Final = msgspec.json.Decoder(_Message).decode


def hook_prompt_item(payload: msgspec.Raw, own_id: str) -> HookPrompt | None:
    """The hook prompts that a message of the user's role consists of; None for every other message.

    Raises:
        msgspec.MsgspecError: The payload does not fit the schema of a message.
    """
    message = _decode_message(payload)
    if message.role != "user" or not message.content:
        return None
    fragments = []
    for part in message.content:
        fragment = _fragment(part.text) if part.type == "input_text" and part.text is not None else None
        if fragment is None:
            return None
        fragments.append(fragment)
    return HookPrompt(own_id if message.id is None else message.id, fragments)


def is_hook_text(text: str) -> bool:
    """Whether a text is a hook prompt."""
    return _fragment(text) is not None


def _fragment(text: str) -> HookFragment | None:
    """The hook prompt that ``text`` is: any XML element with ``hook_run_id``, not blank, and one stretch of text.

    Children cut the text into stretches; those of white space alone do not count, and what the children hold does not
    either. What follows the element is not looked at (0.169.0 observed). The server takes more than is well-formed:
    ``<`` and unknown entities in attributes, control characters, ``]]>``, names that are none. Nobody writes these,
    and here such a text is no hook prompt; nor is one with declarations, so that no entity is ever expanded.
    """
    text = text.strip(WHITE_SPACE)
    if len(text) > _LONGEST or not text.startswith(("<", "\ufeff<")) or "hook_run_id" not in text:
        return None
    element = _Element()
    try:
        element.read(text)
    except (expat.ExpatError, _Refused):
        return None
    stretches = [stretch for stretch in element.stretches if stretch.strip(_XML_SPACE)]
    if len(stretches) != 1 or element.run_id is None or not element.run_id.strip(WHITE_SPACE):
        return None
    return HookFragment(stretches[0], element.run_id)


class _Element:
    """The first element of a text: its ``hook_run_id``, and its own text, cut where a child stands."""

    def __init__(self) -> None:
        self.run_id: str | None = None
        self._pieces: list[list[str]] = [[]]
        self._depth = 0

    @property
    def stretches(self) -> list[str]:
        return ["".join(pieces) for pieces in self._pieces]

    def read(self, text: str) -> None:
        """Read up to the end of the element. Raises `expat.ExpatError` and `_Refused`."""
        parser = expat.ParserCreate(encoding="utf-8")  # whatever the text says of its encoding
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        try:
            parser.Parse(text.encode(), True)
        except _Closed:
            return

    def _doctype(self, _name: str, _system: str | None, _public: str | None, has_declarations: bool) -> None:
        if has_declarations:
            raise _Refused

    def _start(self, _name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > 1:
            self._pieces.append([])
            return
        ids = [value for name, value in attributes.items() if name.rpartition(":")[2] == "hook_run_id"]
        if len(ids) != 1:
            raise _Refused
        self.run_id = ids[0]

    def _end(self, _name: str) -> None:
        self._depth -= 1
        if self._depth == 0:
            raise _Closed

    def _data(self, text: str) -> None:
        if self._depth == 1:
            self._pieces[-1].append(text)
