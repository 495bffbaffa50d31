"""Compaction: what a provider is asked, and what of a context stays (0.169.0 observed).

What people said stays, the newest of it, word for word; then comes what the provider made of everything: a summary in
words, or one that it sealed. The words around a summary, and those that ask for it, are threadkeep's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.appserver.engine._ids import new_id
from threadkeep.appserver.engine._messages import Said, kind_of, message_of
from threadkeep.replay import kept_messages

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "COMPACT_PROMPT",
    "answer_text",
    "is_sealed_summary",
    "replacement",
    "split_fresh",
    "summary_item",
    "summary_words",
    "user_message",
]

SUMMARY_TOKENS: Final = 20_000
"""Tokens of what people said that stay beside a summary in words."""
SEALED_TOKENS: Final = 64_000
"""Tokens of what people said that stay beside a sealed summary."""

COMPACT_PROMPT: Final = (
    "The conversation above is about to be replaced by a summary that you write now; whoever goes on with it will see "
    "nothing else but the user's own messages. Write down what the user wants and which rules they set, what has been "
    "done and found out, every name, path, number and decision that is still needed, and what is left to do next."
)
"""What a model is asked for a summary with, where the configuration does not say."""

_BEFORE: Final = (
    "<external_threadkeep_summary>\n"
    "The conversation up to here was long and has been summed up. Go on from this summary:\n"
)
_AFTER: Final = "\n</external_threadkeep_summary>"
"""Tags that Codex, too, takes for what no person said: it neither counts the message as a turn nor keeps it."""

_ENVIRONMENT: Final = ("<environment_context>", "# agents.md instructions")
"""How user messages begin that say where the model works, in lower case."""


def split_fresh(history: Sequence[msgspec.Raw]) -> int:
    """Where in a history the input begins that nothing has answered yet: what follows the model's last item."""
    for index in range(len(history) - 1, -1, -1):
        message = message_of(history[index])
        if message is None or message.role not in {"user", "developer"}:
            return index + 1
    return 0


def replacement(history: Sequence[msgspec.Raw], made: msgspec.Raw, *, sealed: bool) -> list[msgspec.Raw]:
    """What stands for a history: what people said, where they work, and what the provider made of it.

    As Codex does, what the model was told of its work stands before the last thing that a person said; tools and
    instructions that the history itself states, as it does for newer models, stand first.

    Args:
        history: The response items that are compacted, oldest first.
        made: The summary.
        sealed: Whether only the provider can read it: then images stay, and more of the words.
    """
    said = kept_messages(history, SEALED_TOKENS if sealed else SUMMARY_TOKENS, media=sealed)
    stated = _stated_first(history)
    told = _told([*history[: stated.start], *history[stated.stop :]])
    return [*history[stated], *said[:-1], *told, *said[-1:], made]


def summary_item(summary: str, turn_id: str) -> msgspec.Raw:
    """The message that a summary in words becomes."""
    item = {
        "type": "message",
        "id": f"msg_{new_id()}",
        "role": "user",
        "content": [{"type": "input_text", "text": summary_words(summary)}],
        "internal_chat_message_metadata_passthrough": {"turn_id": turn_id},
    }
    return msgspec.Raw(msgspec.json.encode(item))


def summary_words(summary: str) -> str:
    """A summary, with what says that it is one around it."""
    return f"{_BEFORE}{summary}{_AFTER}"


def user_message(text: str) -> dict[str, Any]:
    """A message that asks the model for something and is not kept."""
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def answer_text(item: msgspec.Raw) -> str | None:
    """The text of a message of the model; None where an item is none."""
    message = message_of(item)
    return message.text if message is not None and message.role == "assistant" else None


def is_sealed_summary(item: msgspec.Raw) -> bool:
    """Whether an item is a summary that the provider sealed."""
    return kind_of(item) in {b'"compaction"', b'"compaction_summary"'}


def _stated_first(history: Sequence[msgspec.Raw]) -> slice:
    """Where the newest tools stand that a history states, with the instructions behind them."""
    for index in range(len(history) - 1, -1, -1):
        if kind_of(history[index]) == b'"additional_tools"':
            behind = message_of(history[index + 1]) if index + 1 < len(history) else None
            return slice(index, index + (2 if behind is not None and behind.role == "developer" else 1))
    return slice(0, 0)


def _told(history: Sequence[msgspec.Raw]) -> list[msgspec.Raw]:
    """What the model was told of its work, by developers' messages and of its environment: the newest that fits."""
    kept: list[msgspec.Raw] = []
    budget = SUMMARY_TOKENS * 4
    for item in reversed(history):
        message = message_of(item)
        if message is None or not (message.role == "developer" or _is_environment(message)):
            continue
        budget -= len(message.text.encode())
        if budget < 0:
            break
        kept.append(item)
    return kept[::-1]


def _is_environment(message: Said) -> bool:
    return message.role == "user" and message.text.lstrip()[:40].lower().startswith(_ENVIRONMENT)
