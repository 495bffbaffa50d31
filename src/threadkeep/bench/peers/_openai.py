"""OpenAI Agents: items of a session, in SQLite; the advanced one keeps branches, too."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import msgspec
from agents import SQLiteSession
from agents.extensions.memory import AdvancedSQLiteSession

from threadkeep.bench.peers._loop import Loop
from threadkeep.bench.peers._turns import MESSAGES, TOOL, made_turn

if TYPE_CHECKING:
    from threadkeep.bench.peers._turns import Turn

__all__ = ["AdvancedItems", "SqliteItems"]

_MAIN: Final = "main"
_AT_ONCE: Final = 1_000


class _Session:
    """What both have in common."""

    durable = "fsync (WAL, synchronous=FULL)"

    def __init__(self, folder: str) -> None:
        self._database = os.path.join(folder, "session.sqlite")
        self._loop = Loop()
        self._session: Any = None
        self._turns = 0

    def _opened(self, name: str) -> Any:
        raise NotImplementedError

    def prepare(self, turns: int, seconds: float) -> str:  # noqa: ARG002
        self._turns = turns
        self.open()
        for start in range(0, turns, _AT_ONCE):
            numbers = range(start, min(start + _AT_ONCE, turns))
            self._loop.run(self._session.add_items([item for number in numbers for item in _items(made_turn(number))]))
        return ""

    def open(self) -> None:
        self._session = self._opened(_MAIN)

    def close(self) -> None:
        self._session.close()

    def append(self, turn: Turn) -> None:
        self._loop.run(self._session.add_items(_items(turn)))

    def append_each(self, turn: Turn) -> None:
        for item in _items(turn):
            self._loop.run(self._session.add_items([item]))

    def last_turns(self, count: int) -> list[Any]:
        items: list[Any] = self._loop.run(self._session.get_items(limit=count * MESSAGES))
        return items

    def seen(self, answer: list[Any]) -> list[str]:
        return [_text_of(item) for item in answer]


class SqliteItems(_Session):
    """A session, and others that its items are copied to."""

    _forks = 0

    def _opened(self, name: str) -> Any:
        return SQLiteSession(name, self._database)

    def resume(self, fork: str | None = None) -> list[Any]:
        session = self._session if fork is None else self._opened(fork)
        try:
            items: list[Any] = self._loop.run(session.get_items())
        finally:
            if fork is not None:
                session.close()
        return items

    def fork_head(self) -> str:
        return str(self._loop.run(self._copy(None)))

    def fork_middle(self) -> str:
        return str(self._loop.run(self._copy(self._turns // 2 * MESSAGES)))

    async def _copy(self, messages: int | None) -> str:
        self._forks += 1
        name = f"fork-{self._forks}"
        items = (await self._session.get_items())[:messages]
        fork = self._opened(name)
        try:
            await fork.add_items(items)
        finally:
            fork.close()
        return name


class AdvancedItems(_Session):
    """A session with branches. A branch is made before a turn: the newest turn cannot be in it."""

    _appended = 0

    def _opened(self, name: str) -> Any:
        return AdvancedSQLiteSession(session_id=name, db_path=self._database, create_tables=True)

    def append(self, turn: Turn) -> None:
        super().append(turn)
        self._appended += 1

    def append_each(self, turn: Turn) -> None:
        super().append_each(turn)
        self._appended += 1

    def resume(self, fork: str = _MAIN) -> list[Any]:
        # After a fork the session is on the new branch until it is told otherwise.
        items: list[Any] = self._loop.run(self._session.get_items(branch_id=fork))
        return items

    def fork_head(self) -> str:
        return str(self._loop.run(self._branch(self._turns + self._appended)))

    def fork_middle(self) -> str:
        return str(self._loop.run(self._branch(self._turns // 2 + 1)))

    async def _branch(self, turn: int) -> str:
        branch: str = await self._session.create_branch_from_turn(turn)
        await self._session.switch_to_branch(_MAIN)
        return branch


def _text_of(item: Any) -> str:
    match item.get("type"):
        case "function_call":
            return str(msgspec.json.decode(item["arguments"])["path"])
        case "function_call_output":
            return str(item["output"])
        case "message":
            return str(item["content"][0]["text"])
    return str(item["content"])


def _items(turn: Turn) -> list[Any]:
    return [
        {"role": "user", "content": turn.question},
        {
            "type": "function_call",
            "call_id": turn.call_id,
            "name": TOOL,
            "arguments": f'{{"path":"{turn.path}"}}',
        },
        {"type": "function_call_output", "call_id": turn.call_id, "output": turn.output},
        {
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": turn.answer, "annotations": []}],
        },
    ]
