"""LangGraph: the messages of a graph's state, in checkpoints of a `SqliteSaver`."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from typing import TYPE_CHECKING, Any, Final

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, MessagesState, StateGraph

from threadkeep.bench.peers._turns import MESSAGES, TOOL, made_turn

if TYPE_CHECKING:
    from threadkeep.bench.peers._turns import Turn

__all__ = ["LangGraph"]

_TURN_BYTES: Final = 7_000
_MOST_BYTES: Final = 6_000_000_000
_THREAD: Final = {"configurable": {"thread_id": "thread"}}


class LangGraph:
    """A thread of a graph with one node."""

    durable = "fsync (WAL, synchronous=FULL)"

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._turns = 0
        self._graph: Any = None
        self._database: sqlite3.Connection | None = None
        self._head: Any = _THREAD
        self._middle: Any = None

    def prepare(self, turns: int, seconds: float) -> str:
        """A checkpoint holds all messages: where one a turn takes too long or too much, there are two of them."""
        self._turns = turns
        self.open()
        half = turns // 2
        needed = turns * turns // 2 * _TURN_BYTES
        if needed < min(_MOST_BYTES, shutil.disk_usage(self._folder).free // 2) and self._one_by_one(seconds / 2):
            return ""
        for numbers in (range(half), range(half, turns)):
            self._middle = self._head
            self._update([message for number in numbers for message in _messages(made_turn(number))])
        return (
            f"made in two checkpoints, since the {turns:,} of so many turns would take too long or some "
            f"{needed / 1e9:,.1f} GB: its bytes on disk are not those of such a thread"
        )

    def _one_by_one(self, seconds: float) -> bool:
        """Append all turns; False, with nothing left of it, where that takes too long."""
        until = time.monotonic() + seconds
        for number in range(self._turns):
            self.append(made_turn(number))
            if number + 1 == self._turns // 2:
                self._middle = self._head
            if time.monotonic() > until:
                self.close()
                for name in os.listdir(self._folder):
                    os.unlink(os.path.join(self._folder, name))
                self._head = _THREAD
                self.open()
                return False
        return True

    def open(self) -> None:
        self._database = sqlite3.connect(os.path.join(self._folder, "graph.sqlite"), check_same_thread=False)
        builder = StateGraph(MessagesState)
        builder.add_node("agent", _nothing)
        builder.add_edge(START, "agent")
        builder.add_edge("agent", END)
        self._graph = builder.compile(checkpointer=SqliteSaver(self._database))

    def close(self) -> None:
        if self._database is not None:
            self._database.close()

    def append(self, turn: Turn) -> None:
        self._update(_messages(turn))

    def append_each(self, turn: Turn) -> None:
        for message in _messages(turn):
            self._update([message])

    def resume(self, fork: Any = None) -> list[Any]:
        messages: list[Any] = self._graph.get_state(fork or _THREAD).values["messages"]
        return messages

    def last_turns(self, count: int) -> list[Any]:
        return self.resume()[-count * MESSAGES :]

    def fork_head(self) -> Any:
        return self._graph.update_state(self._head, {"messages": []}, as_node="agent")

    def fork_middle(self) -> Any:
        return self._graph.update_state(self._middle, {"messages": []}, as_node="agent")

    def seen(self, answer: list[Any]) -> list[str]:
        return [
            str(said.tool_calls[0]["args"]["path"] if getattr(said, "tool_calls", None) else said.content)
            for said in answer
        ]

    def _update(self, messages: list[Any]) -> None:
        self._head = self._graph.update_state(self._head, {"messages": messages}, as_node="agent")


def _nothing(_state: Any) -> dict[str, Any]:
    return {}


def _messages(turn: Turn) -> list[Any]:
    call = {"name": TOOL, "args": {"path": turn.path}, "id": turn.call_id}
    return [
        HumanMessage(turn.question),
        AIMessage("", tool_calls=[call]),
        ToolMessage(turn.output, tool_call_id=turn.call_id),
        AIMessage(turn.answer),
    ]
