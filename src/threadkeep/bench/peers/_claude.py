"""The Claude Agent SDK: sessions in JSONL files that its command line writes, which the SDK reads and forks."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any, Final

import msgspec
from claude_agent_sdk import fork_session, get_session_messages, project_key_for_directory

from threadkeep.bench.peers._peer import Cannot
from threadkeep.bench.peers._turns import MESSAGES, TOOL, made_turn

if TYPE_CHECKING:
    from threadkeep.bench.peers._turns import Turn

__all__ = ["Claude"]

_NO_APPEND: Final = "the SDK has no call that appends: its command line writes the file"
_encode: Final = msgspec.json.Encoder().encode


class Claude:
    """A session file below a configuration folder."""

    durable = "no (a fork is written, not flushed)"

    def __init__(self, folder: str) -> None:
        os.environ["CLAUDE_CONFIG_DIR"] = folder
        self._cwd = os.path.join(folder, "project")
        self._files = os.path.join(folder, "projects", project_key_for_directory(self._cwd))
        self._session = str(uuid.uuid4())
        self._messages = 0
        self._middle = ""

    def prepare(self, turns: int, seconds: float) -> str:  # noqa: ARG002
        os.makedirs(self._cwd)
        os.makedirs(self._files)
        self._messages = turns * MESSAGES
        parent: str | None = None
        with open(os.path.join(self._files, f"{self._session}.jsonl"), "wb") as file:
            for number in range(turns):
                if number == turns // 2:
                    self._middle = parent or ""
                for kind, message in _messages(made_turn(number)):
                    this = str(uuid.uuid4())
                    file.write(_encode(self._entry(kind, message, this, parent)) + b"\n")
                    parent = this
        return ""

    def open(self) -> None:
        """Nothing is kept open."""

    def close(self) -> None:
        """Nothing is kept open."""

    def append(self, turn: Turn) -> object:  # noqa: ARG002
        raise Cannot(_NO_APPEND)

    def append_each(self, turn: Turn) -> object:  # noqa: ARG002
        raise Cannot(_NO_APPEND)

    def resume(self, fork: str | None = None) -> list[Any]:
        messages: list[Any] = get_session_messages(fork or self._session, directory=self._cwd)
        return messages

    def last_turns(self, count: int) -> list[Any]:
        offset = max(0, self._messages - count * MESSAGES)
        messages: list[Any] = get_session_messages(self._session, directory=self._cwd, offset=offset)
        return messages

    def fork_head(self) -> str:
        return str(fork_session(self._session, directory=self._cwd).session_id)

    def fork_middle(self) -> str:
        fork = fork_session(self._session, directory=self._cwd, up_to_message_id=self._middle)
        return str(fork.session_id)

    def seen(self, answer: list[Any]) -> list[str]:
        return [_text_of(said.message["content"]) for said in answer]

    def _entry(self, kind: str, message: dict[str, Any], this: str, parent: str | None) -> dict[str, Any]:
        return {
            "parentUuid": parent,
            "isSidechain": False,
            "userType": "external",
            "cwd": self._cwd,
            "sessionId": self._session,
            "version": "2.0.0",
            "type": kind,
            "message": message,
            "uuid": this,
            "timestamp": "2026-01-01T00:00:00.000Z",
        }


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    (part,) = content
    return str(part["input"]["path"] if part["type"] == "tool_use" else part.get("text") or part["content"])


def _messages(turn: Turn) -> list[tuple[str, dict[str, Any]]]:
    call = {"type": "tool_use", "id": turn.call_id, "name": TOOL, "input": {"path": turn.path}}
    output = {"type": "tool_result", "tool_use_id": turn.call_id, "content": turn.output}
    said = {"type": "text", "text": turn.answer}
    return [
        ("user", {"role": "user", "content": turn.question}),
        ("assistant", {"id": f"msg_{turn.number}a", "role": "assistant", "content": [call]}),
        ("user", {"role": "user", "content": [output]}),
        ("assistant", {"id": f"msg_{turn.number}b", "role": "assistant", "content": [said]}),
    ]
