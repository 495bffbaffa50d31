"""What a client of an app-server sent and got, in words that do not depend on the run, and how two of those compare.

A *transcript* is a list of :class:`Entry` in the order of one connection. Ids become names in the order in which they
appear (``thread-1``, ``turn-2``), times, cursors and paths become ``<time>``, ``<cursor>`` and ``<root>/...``, so that
the transcripts of two servers are equal when the servers behave alike.
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.codex.client import Message

JsonObject = dict[str, Any]
"""One JSON object."""

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_COUNTED: Final = re.compile(r"\b(msg|rs|call|fc|ctc|resp)_[0-9a-f]{24}\b")
_LEGACY_ITEM: Final = re.compile(r"\bitem-\d+\b")
"""The id that a server makes up for an item of a legacy thread."""
_ROLLOUT: Final = re.compile(
    r"(sessions/)\d{4}/\d\d/\d\d/rollout-[0-9T-]{19}-|(archived_sessions/)rollout-[0-9T-]{19}-"
)
_PORT: Final = re.compile(r"http://127\.0\.0\.1:\d+/")
_TIMES: Final = frozenset(
    "createdAt updatedAt recencyAt sectionEnteredAt startedAt completedAt startedAtMs completedAtMs durationMs".split()
)
_CURSORS: Final = frozenset("nextCursor backwardsCursor turnsBackwardsCursor itemsBackwardsCursor turnCursor".split())
_MACHINE: Final = frozenset("userAgent serverName installationId processId cliVersion".split())
"""Members that tell of the machine or of the server's release."""
_PROSE: Final = frozenset("warning deprecationNotice configWarning".split())
"""Notifications that carry sentences, which every server words by itself."""
_KINDS: Final = {
    "threadId": "thread",
    "sessionId": "thread",
    "forkedFromId": "thread",
    "thread": "thread",
    "turnId": "turn",
    "rootTurnId": "turn",
    "turn": "turn",
    "turns": "turn",
    "lastTurnId": "turn",
    "beforeTurnId": "turn",
    "itemId": "item",
    "item": "item",
    "items": "item",
    "revision": "revision",
}
"""The kind of an id by the member that it stands in, or by the member whose object has it as ``id``."""


@dataclass(frozen=True)
class Entry:
    """One message of a transcript."""

    kind: str
    """``request``, ``result``, ``error``, ``notification``, ``ask`` (by the server), ``answer`` or ``broken``."""
    name: str
    """The method; of a result, the method of its request."""
    body: Any
    """Parameters, result or error, normalised."""

    def line(self) -> str:
        """One line that shows it whole."""
        return f"{self.kind} {self.name} {json.dumps(self.body, ensure_ascii=False, sort_keys=True)}"


def entry_of(message: Message, methods: dict[Any, str], names: Names) -> Entry | None:
    """One message as an entry; the client's own notifications are left out."""
    body = message.body
    method, request = body.get("method"), body.get("id")
    if message.outgoing:
        if method is None:
            return Entry("answer", "", names.clean(body.get("result")))
        if request is None:
            return None
        methods[request] = str(method)
        return Entry("request", str(method), names.clean(body.get("params")))
    if method is not None and request is not None:
        return Entry("ask", str(method), names.clean(body.get("params")))
    if method is not None:
        params = body.get("params")
        # A notification tells when it was sent; that is all that its own members beside these two may be.
        told = {"emittedAtMs": type(body.get("emittedAtMs")).__name__} if "emittedAtMs" in body else {}
        extra = {key: value for key, value in body.items() if key not in {"method", "params", "emittedAtMs"}}
        note = {**told, **extra}
        cleaned = names.clean(params)
        if method in _PROSE and isinstance(cleaned, dict):
            cleaned = {**cleaned, **{key: "<prose>" for key in ("message", "summary") if key in cleaned}}
        return Entry("notification", str(method), cleaned if note == {"emittedAtMs": "int"} else [cleaned, note])
    name = methods.get(request, "?")
    if "error" in body:
        return Entry("error", name, names.clean(body["error"]))
    return Entry("result", name, names.clean(body.get("result"), "result"))


class Names:
    """The names of one run: what each id, path and cursor is called."""

    def __init__(self, root: Path, *, tokens: bool = True) -> None:
        """``root`` is the folder that holds the home and the project; ``tokens`` False leaves counts of tokens out."""
        self._tokens = tokens
        self._root = str(root)
        self._names: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._cursors: dict[str, str] = {}

    def clean(self, value: Any, key: str = "", parent: str = "") -> Any:
        """``value`` with everything replaced that depends on the run; ``key`` is the member that it stands in."""
        if isinstance(value, dict):
            found = {self._text(name, "thread"): self.clean(member, name, key) for name, member in value.items()}
            return _without_prose(found)
        if isinstance(value, list):
            return [self.clean(member, key, parent) for member in value]
        if key in _TIMES and isinstance(value, int):
            return "<time>"
        if not self._tokens and key.endswith("Tokens") and isinstance(value, int):
            return "<tokens>"
        if key in _MACHINE and isinstance(value, str):
            return f"<{key}>"
        if not isinstance(value, str):
            return value
        if key in _CURSORS:
            self._cursors[value] = "<cursor>"
            return "<cursor>"
        if key == "cursor" and value in self._cursors:
            return self._cursors[value]
        return self._text(value, _KINDS.get(key) or (_KINDS.get(parent) if key == "id" else None) or "id")

    def _text(self, text: str, kind: str) -> str:
        if text.startswith("invalid cursor: ") and text[16:] in self._cursors:
            return "invalid cursor: <cursor>"
        text = text.replace(self._root, "<root>")
        text = _LEGACY_ITEM.sub("<legacy item>", text)
        text = _PORT.sub("http://127.0.0.1:<port>/", text)
        text = _ROLLOUT.sub(lambda match: f"{match[1] or match[2]}<when>-", text)
        text = _UUID.sub(lambda match: self._name(match[0], kind), text)
        return _COUNTED.sub(lambda match: self._name(match[0], match[1]), text)

    def _name(self, text: str, kind: str) -> str:
        if text not in self._names:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._names[text] = f"{kind}-{self._counts[kind]}"
        return self._names[text]


def _without_prose(found: JsonObject) -> JsonObject:
    """``found`` without the sentences of a model's failure, which every server words by itself."""
    if found.get("codexErrorInfo") == "internalServerError":
        return {**found, "message": "<prose>"}
    if isinstance(found.get("additionalDetails"), str):
        return {**found, "additionalDetails": "<prose>"}
    return found


@dataclass(frozen=True)
class Difference:
    """One place where two transcripts differ."""

    where: str
    """Client, number, kind and method of the message, then the members: ``a #4 result thread/read .thread.name``."""
    expected: Any
    """What the first has there; :data:`NOTHING` for a message or member that it has not."""
    got: Any
    """What the second has there."""

    def line(self) -> str:
        """One line that shows it, cut where it is long."""
        return f"{self.where}: expected {_short(self.expected)}, got {_short(self.got)}"


NOTHING: Final = "(nothing)"
"""What stands in a :class:`Difference` for something that is not there."""


def compare(expected: dict[str, list[Entry]], got: dict[str, list[Entry]], *, ordered: bool = True) -> list[Difference]:
    """Where the transcripts of the clients of one sequence differ, messages missing or in another order included.

    ``ordered`` False compares what came, in whatever order.
    """
    found: list[Difference] = []
    for name in {**expected, **got}:
        sides = [_placed(side.get(name, [])) for side in (expected, got)]
        if not ordered:
            # Whether something counts as read is a matter of that order.
            sides = [[entry for entry in side if entry.name != "thread/readState/changed"] for side in sides]
            sides = [sorted(side, key=Entry.line) for side in sides]
        found.extend(_compare_client(name, *sides))
    return found


def _compare_client(name: str, expected: list[Entry], got: list[Entry]) -> Iterator[Difference]:
    heads = [[(entry.kind, entry.name, _subject(entry)) for entry in side] for side in (expected, got)]
    matcher = difflib.SequenceMatcher(None, heads[0], heads[1], autojunk=False)
    for tag, first, last, other, other_last in matcher.get_opcodes():
        if tag == "equal":
            for number in range(first, last):
                left, right = expected[number], got[other + number - first]
                yield from members(f"{name} #{number} {left.kind} {left.name} ", left.body, right.body)
            continue
        for number in range(first, last):
            entry = expected[number]
            yield Difference(f"{name} #{number} {entry.kind} {entry.name}", entry.body, NOTHING)
        for number in range(other, other_last):
            entry = got[number]
            yield Difference(f"{name} #{first}+ {entry.kind} {entry.name}", NOTHING, entry.body)


def _placed(entries: list[Entry]) -> list[Entry]:
    """The messages that have a fixed place in 0.169.0, each in it.

    Without one are: a client's own requests (one may go before or after what an earlier one still causes), what the
    server tells of itself to a new connection, and the status ``notLoaded`` (its number varies, too). The answer of
    ``turn/start`` comes at any time while the turn begins; it is put before that.
    """
    found: list[Entry] = []
    for entry in entries:
        if entry.kind == "request" or entry.name.startswith("remoteControl/"):
            continue
        if entry.name == "thread/status/changed" and _subject(entry) == "notLoaded":
            continue
        place = len(found)
        if (entry.kind, entry.name) == ("result", "turn/start"):
            while place and found[place - 1].kind == "notification" and found[place - 1].name in _BEGINNING:
                place -= 1
        found.insert(place, entry)
    return found


_BEGINNING: Final = frozenset(
    "thread/settings/updated thread/status/changed turn/started item/started item/completed".split()
)
"""What may come while a turn begins."""


def _subject(entry: Entry) -> str:
    """What a message is about, to match the messages of two transcripts: the thread's status, or the item."""
    body = entry.body if isinstance(entry.body, dict) else {}
    status, item = body.get("status"), body.get("item")
    if isinstance(status, dict):
        return str(status.get("type"))
    return str(item.get("type")) if isinstance(item, dict) else ""


def members(where: str, expected: Any, got: Any) -> Iterator[Difference]:
    """Where two values differ, member by member, each place with ``where`` before it."""
    if isinstance(expected, dict) and isinstance(got, dict):
        for key in {**expected, **got}:
            yield from members(f"{where}.{key}", expected.get(key, NOTHING), got.get(key, NOTHING))
    elif isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for number, (left, right) in enumerate(zip(expected, got, strict=True)):
            yield from members(f"{where}[{number}]", left, right)
    elif expected != got or type(expected) is not type(got):
        yield Difference(where, expected, got)


def _short(value: Any) -> str:
    text = value if value is NOTHING else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else f"{text[:300]}..."
