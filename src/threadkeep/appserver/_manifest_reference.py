"""Writes the reference of the app-server: ``python -m threadkeep.appserver._manifest_reference > docs/app-server.md``.

All of it comes from the manifest.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import msgspec

from threadkeep.appserver._manifest import DIVERGENCES, METHODS, NOTIFICATIONS, SERVER_REQUESTS, refusal
from threadkeep.appserver._param_tables import TABLES
from threadkeep.appserver._param_types import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from threadkeep.appserver._manifest import Message

__all__ = ["reference"]

_INTRODUCTION: Final = """\
# The app-server

Written by `python -m threadkeep.appserver._manifest_reference > docs/app-server.md`; tests keep it in step with the
code, and the names with those of the real server.

`threadkeep app-server` speaks the protocol of Codex's app-server as version 0.169.0 does. Every method, notification
and request of that version is listed here with what is done with it.

- *implemented*: answered as the real server answers, the divergences below aside.
- *empty*: answered with one constant answer, because there is never anything to tell. Parameters are not looked at.
- *refused*: answered with an error, code -32601, whatever the parameters are.
- *experimental*: the client must ask for it, with `capabilities: {"experimentalApi": true}` in `initialize`. The same
  holds for the parameters that are named as experimental, unless they are null or false.

Changes of one thread are carried out one after the other, in the order in which they came (*in order*). Reads begin
when the changes that came before them are done, and then run beside everything else (*reads*). What stops or steers a
turn overtakes them all (*at once*).
"""

_LANES: Final = {"thread": "in order", "read": "reads", "urgent": "at once", "none": ""}


def reference() -> str:
    """The whole reference, as Markdown."""
    return "\n".join([_INTRODUCTION, *_methods(), *_messages(), _divergences()])


def _methods() -> Iterator[str]:
    counts = dict.fromkeys(("implemented", "empty", "refused"), 0)
    for method in METHODS.values():
        counts[method.status] += 1
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    yield f"## Methods\n\n{len(METHODS)} methods: {told}.\n"
    yield "### Implemented\n"
    yield _table(
        ("method", "order", "experimental", ""),
        (
            (f"`{name}`", _LANES[method.lane], _experimental(name), method.note)
            for name, method in METHODS.items()
            if method.status == "implemented"
        ),
    )
    yield "### Empty\n"
    yield _table(
        ("method", "experimental", "answer"),
        (
            (f"`{name}`", "yes" if method.experimental else "", f"`{msgspec.json.encode(method.answer).decode()}`")
            for name, method in METHODS.items()
            if method.status == "empty"
        ),
    )
    yield f"### Refused\n\nThe message is, for `command/exec`: ``{refusal('command/exec')}``.\n"
    yield _table(
        ("method", "experimental", "what it is for"),
        (
            (f"`{name}`", "yes" if method.experimental else "", method.note)
            for name, method in METHODS.items()
            if method.status == "refused"
        ),
    )


def _experimental(name: str) -> str:
    """Whether a method is experimental, or which of its parameters are."""
    if METHODS[name].experimental:
        return "yes"
    table = TABLES.get(name)
    return ", ".join(f"`{path}`" for path in _gated(table)) if isinstance(table, Struct) else ""


def _gated(table: Struct) -> Iterator[str]:
    for field in table.fields:
        if field.gated:
            yield field.name
        elif field.name == "approvalPolicy":
            yield "approvalPolicy.granular"
        elif isinstance(field.type, Struct):
            yield from (f"{field.name}.{path}" for path in _gated(field.type))


def _messages() -> Iterator[str]:
    tables: tuple[tuple[str, Mapping[str, Message]], ...] = (
        ("Notifications", NOTIFICATIONS),
        ("Requests to the client", SERVER_REQUESTS),
    )
    for title, messages in tables:
        yield f"## {title}\n"
        yield _table(
            (title.split()[0].lower().removesuffix("s"), "", ""),
            ((f"`{name}`", message.status, message.note) for name, message in messages.items()),
        )


def _divergences() -> str:
    rows = ((f"`{one.id}`", _code(one.where), one.codex, one.threadkeep, one.why) for one in DIVERGENCES)
    return "## Divergences\n\n" + _table(("id", "where", "Codex 0.169.0", "threadkeep", "why"), rows)


def _code(names: str) -> str:
    return ", ".join(f"`{name}`" if "/" in name and " " not in name else name for name in names.split(", "))


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(titles)
    lines = [head, ["---"] * len(head), *(list(row) for row in rows)]
    return "".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |\n" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(reference())
