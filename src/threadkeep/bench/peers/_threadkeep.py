"""threadkeep itself, through its public operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.bench.peers._peer import CHECKPOINT_BACK, SUMMARY
from threadkeep.bench.peers._turns import TOOL, made_turn
from threadkeep.records import _build as build
from threadkeep.store import NewRecord, ThreadStore
from threadkeep.store._turn_records import TurnRecords
from threadkeep.store._user_input import UserInput

if TYPE_CHECKING:
    from threadkeep.bench.peers._turns import Turn
    from threadkeep.store import Writer

__all__ = ["Checkpointed", "Threadkeep"]

_CWD: Final = "/project"
_SETTINGS: Final[dict[str, Any]] = {
    "cwd": _CWD,
    "model": "made-up",
    "approval_policy": "never",
    "permission_profile": {"type": "disabled"},
}


class _Part(msgspec.Struct):
    text: str = ""


class _Arguments(msgspec.Struct):
    path: str


class _Item(msgspec.Struct):
    content: list[_Part] = []
    arguments: str = ""
    output: str = ""

    @property
    def text(self) -> str:
        if self.arguments:
            return _decode_arguments(self.arguments).path
        return self.output or "".join(part.text for part in self.content)


_decode_item: Final = msgspec.json.Decoder(_Item).decode
_decode_arguments: Final = msgspec.json.Decoder(_Arguments).decode


class Threadkeep:
    """A thread of a home."""

    durable = "fsync"

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._store: ThreadStore | None = None
        self._writer: Writer | None = None
        self._thread = ""
        self._middle = ""

    def prepare(self, turns: int, seconds: float) -> str:  # noqa: ARG002
        with ThreadStore.open(self._folder, durability="os") as store, store.create(cwd=_CWD) as writer:
            self._thread = writer.thread_id
            for number in range(turns):
                turn_id = self._recorded(writer, made_turn(number), last=number == turns - CHECKPOINT_BACK - 1)
                if number + 1 == turns // 2:
                    self._middle = turn_id
        self.open()
        return ""

    def _recorded(self, writer: Writer, turn: Turn, *, last: bool = False) -> str:  # noqa: ARG002
        """Record a turn step by step; ``last``: it is the last one that a checkpoint stands for."""
        return _recorded(writer, turn)

    def open(self) -> None:
        self._store = ThreadStore.open(self._folder)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._opened.close()
        self._store = None

    def append(self, turn: Turn) -> None:
        writer = self._written
        writer.append_all(_records(writer, turn))

    def append_each(self, turn: Turn) -> None:
        _recorded(self._written, turn)

    def resume(self, fork: str | None = None) -> list[msgspec.Raw]:
        return [item.payload for item in self._opened.resume(fork or self._thread).context.items]

    def last_turns(self, count: int) -> list[dict[str, Any]]:
        return self._opened.turns(self._thread, limit=count, view="full").data

    def fork_head(self) -> str:
        return self._opened.fork(self._thread).id

    def fork_middle(self) -> str:
        return self._opened.fork(self._thread, through=self._middle).id

    def seen(self, answer: list[Any]) -> list[str]:
        if answer and isinstance(answer[0], dict):  # turns, newest first
            turns = msgspec.json.decode(msgspec.json.encode(answer[::-1]))  # some of them is undecoded yet
            return [text for turn in turns for item in turn["items"] for text in _texts_of(item)]
        return [_decode_item(item).text for item in answer]

    @property
    def _opened(self) -> ThreadStore:
        assert self._store is not None, "it was opened"
        return self._store

    @property
    def _written(self) -> Writer:
        if self._writer is None:
            self._writer = self._opened.writer(self._thread)
        return self._writer


class Checkpointed(Threadkeep):
    """The same with a checkpoint some turns before the end of what is prepared."""

    def _recorded(self, writer: Writer, turn: Turn, *, last: bool = False) -> str:
        return _recorded(writer, turn, compact=last)


def _texts_of(item: dict[str, Any]) -> list[str]:
    """The texts of an item of a turn: a tool call and its output are one."""
    if item["type"] == "dynamicToolCall":
        return [item["arguments"]["path"], item["contentItems"][0]["text"]]
    return [item["text"] if "text" in item else item["content"][0]["text"]]


def _recorded(writer: Writer, turn: Turn, *, compact: bool = False) -> str:
    with writer.turn(turn.question, **_SETTINGS) as recorded:
        recorded.add(_call(turn))
        recorded.add(_output(turn), shown=_shown(turn))
        recorded.say(turn.answer)
        if compact:
            summary = build.user_message(SUMMARY, item_id=f"msg_{writer.new_id()}", turn_id=recorded.id)
            recorded.compact(SUMMARY, [summary], window_number=1)
    return recorded.id


def _records(writer: Writer, turn: Turn) -> list[NewRecord]:
    """The records of the same turn, for one append."""
    records = TurnRecords(writer, context=lambda turn_id: build.turn_context(turn_id, **_SETTINGS), applied=None)
    item_id = f"msg_{writer.new_id()}"
    said = build.assistant_message(turn.answer, item_id=item_id, turn_id=records.id)
    return [
        records.start(),
        records.context(),
        *records.said(UserInput.of_text(turn.question)).records,
        NewRecord("response_item", _call(turn)),
        *records.shown(_shown(turn), payload=_output(turn)).records,
        *records.shown(build.agent_item(turn.answer, item_id=item_id), payload=said).records,
        records.completed(last=turn.answer, error=None),
    ]


def _call(turn: Turn) -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": f"fc_{turn.number}",
        "name": TOOL,
        "arguments": f'{{"path":"{turn.path}"}}',
        "call_id": turn.call_id,
    }


def _output(turn: Turn) -> dict[str, Any]:
    return {
        "type": "function_call_output",
        "id": f"fco_{turn.number}",
        "call_id": turn.call_id,
        "output": turn.output,
    }


def _shown(turn: Turn) -> dict[str, Any]:
    return build.tool_call_item(
        item_id=turn.call_id,
        tool=TOOL,
        namespace=None,
        arguments={"path": turn.path},
        content_items=[{"type": "inputText", "text": turn.output}],
        success=True,
        error=None,
        duration_ms=1,
    )
