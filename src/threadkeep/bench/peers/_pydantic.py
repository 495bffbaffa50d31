"""pydantic-ai: its conversation store, in memory as it comes, and on SQLite by the primitives that it asks for."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter
from pydantic_ai.conversation import Conversation
from pydantic_ai.conversation_store import (
    ConversationConflict,
    ConversationEntry,
    ConversationRecord,
    ConversationStore,
    InMemoryConversationStore,
)
from pydantic_ai.messages import (
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from threadkeep.bench.peers._loop import Loop
from threadkeep.bench.peers._peer import Cannot
from threadkeep.bench.peers._turns import MESSAGES, TOOL, made_turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from threadkeep.bench.peers._turns import Turn

__all__ = ["InMemory", "OnSqlite"]

_ID: Final = "thread"
_records: Final = TypeAdapter(ConversationRecord)
_entries: Final = TypeAdapter(ConversationEntry)

_SCHEMA: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS records (id TEXT PRIMARY KEY, revision TEXT NOT NULL, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS entries (id TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
"""


class SqliteStore(ConversationStore):  # type: ignore[misc]  # the package need not be there when types are checked
    """The five primitives."""

    def __init__(self, path: str) -> None:
        self._database = sqlite3.connect(path)
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        self._database.close()

    async def read_record(self, conversation_id: str) -> Any:
        found = self._database.execute("SELECT data FROM records WHERE id = ?", (conversation_id,)).fetchone()
        return None if found is None else _records.validate_json(found[0])

    async def read_records(self, *, scope: str | None = None, limit: int | None = None) -> Sequence[Any]:
        raise NotImplementedError

    async def write_record(
        self, record: Any, *, new_entries: Sequence[Any] = (), expected_revision: str | None
    ) -> None:
        found = self._database.execute(
            "SELECT revision FROM records WHERE id = ?", (record.conversation_id,)
        ).fetchone()
        if (found[0] if found is not None else None) != expected_revision:
            raise ConversationConflict(record.conversation_id)
        with self._database:
            self._database.executemany(
                "INSERT INTO entries VALUES (?, ?)", ((entry.id, _entries.dump_json(entry)) for entry in new_entries)
            )
            self._database.execute(
                "INSERT OR REPLACE INTO records VALUES (?, ?, ?)",
                (record.conversation_id, record.revision, _records.dump_json(record)),
            )

    async def delete_record(self, conversation_id: str, *, expected_revision: str) -> None:
        raise NotImplementedError

    async def read_entry(self, entry_id: str) -> Any:
        found = self._database.execute("SELECT data FROM entries WHERE id = ?", (entry_id,)).fetchone()
        return _entries.validate_json(found[0])


class _Conversations:
    """A conversation of a store."""

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, "conversations.sqlite")
        self._loop = Loop()
        self._store: Any = None
        self._conversation: Any = None
        self._turns = 0

    def prepare(self, turns: int, seconds: float) -> str:  # noqa: ARG002
        self._turns = turns
        self.open()
        messages = [message for number in range(turns) for message in _messages(made_turn(number))]
        self._conversation = Conversation(conversation_id=_ID, messages=messages)
        self._loop.run(self._store.save(self._conversation))
        self._conversation = self._loop.run(self._store.load(_ID))
        return ""

    def open(self) -> None:
        raise NotImplementedError

    def append(self, turn: Turn) -> None:
        self._save(_messages(turn))

    def append_each(self, turn: Turn) -> None:
        for message in _messages(turn):
            self._save([message])

    def _save(self, messages: list[Any]) -> None:
        if self._conversation is None:
            self._conversation = self._loop.run(self._store.load(_ID))
        self._conversation.messages.extend(messages)
        self._loop.run(self._store.save(self._conversation))

    def resume(self, fork: str | None = None) -> list[Any]:
        messages: list[Any] = self._loop.run(self._store.load(fork or _ID)).messages
        return messages

    def last_turns(self, count: int) -> list[Any]:
        messages: list[Any] = self._loop.run(self._store.load(_ID, limit=count * MESSAGES)).messages
        return messages

    def fork_head(self) -> str:
        return str(self._loop.run(self._store.fork(_ID)).conversation_id)

    def fork_middle(self) -> str:
        return str(self._loop.run(self._store.fork(_ID, at=self._turns // 2 * MESSAGES)).conversation_id)

    def seen(self, answer: list[Any]) -> list[str]:
        parts = [part for message in answer for part in message.parts]
        return [str(part.args["path"] if isinstance(part, ToolCallPart) else part.content) for part in parts]


class InMemory(_Conversations):
    """As it comes: gone with the process."""

    durable = "no (in memory)"

    def open(self) -> None:
        if self._store is not None:
            raise Cannot("it is in memory alone: a fresh store is empty")
        self._store = InMemoryConversationStore()

    def close(self) -> None:
        """Closing it would lose it."""


class OnSqlite(_Conversations):
    """On SQLite."""

    durable = "fsync (WAL, synchronous=FULL)"

    def open(self) -> None:
        self._store = SqliteStore(self._path)

    def close(self) -> None:
        self._store.close()
        self._conversation = None


def _messages(turn: Turn) -> list[Any]:
    return [
        ModelRequest(parts=[UserPromptPart(turn.question)]),
        ModelResponse(parts=[ToolCallPart(TOOL, {"path": turn.path}, turn.call_id)]),
        ModelRequest(parts=[ToolReturnPart(TOOL, turn.output, turn.call_id)]),
        ModelResponse(parts=[TextPart(turn.answer)]),
    ]
