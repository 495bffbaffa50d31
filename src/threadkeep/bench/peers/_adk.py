"""Google ADK: events of a session, in SQLite."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from google.adk.events.event import Event
from google.adk.sessions.base_session_service import GetSessionConfig
from google.adk.sessions.sqlite_session_service import SqliteSessionService
from google.genai import types

from threadkeep.bench.peers._loop import Loop
from threadkeep.bench.peers._turns import MESSAGES, TOOL, made_turn

if TYPE_CHECKING:
    from threadkeep.bench.peers._turns import Turn

__all__ = ["Adk"]

_WHO: Final = {"app_name": "bench", "user_id": "me"}
_MAIN: Final = "thread"


class Adk:
    """A session of a service."""

    durable = "fsync (rollback journal, synchronous=FULL), once a message"

    def __init__(self, folder: str) -> None:
        self._database = os.path.join(folder, "sessions.sqlite")
        self._loop = Loop()
        self._service: Any = None
        self._session: Any = None
        self._turns = 0
        self._forks = 0

    def prepare(self, turns: int, seconds: float) -> str:  # noqa: ARG002
        self._turns = turns
        self.open()
        self._session = self._loop.run(self._service.create_session(**_WHO, session_id=_MAIN))
        for number in range(turns):
            self.append(made_turn(number))
        return ""

    def open(self) -> None:
        self._service = SqliteSessionService(self._database)

    def close(self) -> None:
        self._loop.run(self._service.close())

    def append(self, turn: Turn) -> None:
        self._loop.run(self._append(self._session, _events(turn)))

    def append_each(self, turn: Turn) -> None:
        self.append(turn)  # it is the only way

    async def _append(self, session: Any, events: list[Any]) -> None:
        for event in events:
            await self._service.append_event(session, event)

    def resume(self, fork: str = _MAIN) -> list[Any]:
        events: list[Any] = self._loop.run(self._service.get_session(**_WHO, session_id=fork)).events
        return events

    def last_turns(self, count: int) -> list[Any]:
        config = GetSessionConfig(num_recent_events=count * MESSAGES)
        session = self._loop.run(self._service.get_session(**_WHO, session_id=_MAIN, config=config))
        events: list[Any] = session.events
        return events

    def fork_head(self) -> str:
        return str(self._loop.run(self._copy(None)))

    def fork_middle(self) -> str:
        return str(self._loop.run(self._copy(self._turns // 2 * MESSAGES)))

    async def _copy(self, messages: int | None) -> str:
        self._forks += 1
        name = f"fork-{self._forks}"
        source = await self._service.get_session(**_WHO, session_id=_MAIN)
        fork = await self._service.create_session(**_WHO, session_id=name)
        await self._append(fork, source.events[:messages])
        return name

    def seen(self, answer: list[Any]) -> list[str]:
        return [_text_of(part) for event in answer for part in event.content.parts]


def _text_of(part: Any) -> str:
    if part.function_call is not None:
        return str(part.function_call.args["path"])
    if part.function_response is not None:
        return str(part.function_response.response["result"])
    return str(part.text)


def _events(turn: Turn) -> list[Any]:
    call = types.FunctionCall(id=turn.call_id, name=TOOL, args={"path": turn.path})
    output = types.FunctionResponse(id=turn.call_id, name=TOOL, response={"result": turn.output})
    parts = (
        ("user", "user", types.Part(text=turn.question)),
        ("agent", "model", types.Part(function_call=call)),
        ("agent", "user", types.Part(function_response=output)),
        ("agent", "model", types.Part(text=turn.answer)),
    )
    return [
        Event(author=author, invocation_id=f"turn-{turn.number}", content=types.Content(role=role, parts=[part]))
        for author, role, part in parts
    ]
