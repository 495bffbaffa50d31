"""Speech from before the envelope, told as the events that later versions wrote beside it (``storage.md`` 2.1).

Codex of mid-2025 recorded what the model saw and no events (0.20.0 observed), so that what a person said and was
answered stands in its messages and reasoning alone. Here each stands for the event that tells people of it in every
later legacy rollout: turns, previews and counts follow from it by the rules that there are. A response item with an
envelope stands for nothing: events stand beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.records import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["as_told"]

_SPEECH: Final = frozenset({"message", "reasoning"})
_INSTRUCTIONS: Final = ("<user_instructions>", "</user_instructions>")
"""Around the project's instructions, in the user's role: 0.20.0 knows this tag, 0.169.0 does not any more."""


def as_told(record: Record) -> Sequence[Record]:
    """What tells people of a record of a legacy rollout, oldest first: as a rule the record itself.

    For speech from before the envelope these are events, which stand where the record stands; none for reasoning that
    is sealed. What the harness said in the user's name stays what it is.
    """
    if not record.bare or record.kind != "response_item" or record.subtype not in _SPEECH:
        return (record,)
    return _speech(record)


def _speech(record: Record) -> Sequence[Record]:
    from threadkeep.records import InputImage, Message, OutputText, item_of
    from threadkeep.records._items import Reasoning
    from threadkeep.replay._spoken import is_boundary

    found = item_of(record)
    item = found[2] if found is not None else None
    if isinstance(item, Reasoning):
        summary = [_event(record, "agent_reasoning", text=part.text) for part in item.summary]
        return summary + [_event(record, "agent_reasoning_raw_content", text=part.text) for part in item.content or ()]
    if not isinstance(item, Message):
        return (record,)
    if item.role == "assistant":
        text = "".join(part.text for part in item.content if isinstance(part, OutputText))
        return (_event(record, "agent_message", message=text),)
    if item.role == "user" and is_boundary(item) and not any(map(_instructs, item.texts)):
        images = [part.image_url for part in item.content if isinstance(part, InputImage)]
        urls = [url for url in images if isinstance(url, str)]
        return (_event(record, "user_message", message="".join(item.texts), images=urls),)
    return (record,)


def _event(record: Record, subtype: str, **members: Any) -> Record:
    line = msgspec.json.encode({"type": subtype, **members})
    return Record(record.offset, line, "event_msg", subtype, ("", None), bare=True)


def _instructs(text: str) -> bool:
    trimmed = text.strip()
    return trimmed.startswith(_INSTRUCTIONS[0]) and trimmed.endswith(_INSTRUCTIONS[1])
