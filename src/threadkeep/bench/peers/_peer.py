"""What a library must do to be measured, and which libraries are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from threadkeep.bench.peers._turns import Turn

__all__ = ["CHECKPOINT_BACK", "FLOOR", "PEERS", "SUMMARY", "THREADKEEP", "Cannot", "Driven", "Peer"]

THREADKEEP: Final = "threadkeep"
FLOOR: Final = "floor"


CHECKPOINT_BACK: Final = 20
"""Turns that follow the checkpoint where there is one."""

SUMMARY: Final = "What came before."
"""The text of that checkpoint: one message in the place of all before it."""


class Cannot(Exception):
    """The library has no such operation; the message says why, for people."""


class Peer(Protocol):
    """One conversation that a library keeps. It is made with the folder that it may write to.

    Every operation may raise `Cannot`. What a library returns is handed through as it is: reading it with `seen` is not
    part of what is measured.
    """

    durable: str
    """Whether what was appended is on the disk when the call returns, and how."""

    def prepare(self, turns: int, seconds: float) -> str:
        """Make the conversation by the quickest means that the library offers, and open it.

        Args:
            turns: How many turns it has.
            seconds: After this time it is stopped.

        Returns:
            What is not as it would be had the turns come one by one; empty where nothing is.
        """

    def open(self) -> None:
        """Open what is stored, knowing nothing of it yet."""

    def close(self) -> None:
        """Close it: everything is in its files."""

    def append(self, turn: Turn) -> object:
        """Add a turn at the end, in as few steps as the library allows."""

    def append_each(self, turn: Turn) -> object:
        """Add a turn at the end, its messages one after the other, each kept before the next one."""

    def resume(self, fork: Any = None) -> Any:
        """All messages that the next call of a model starts with, of the conversation or of a fork of it."""

    def last_turns(self, count: int) -> Any:
        """The newest turns with all their messages."""

    def fork_head(self) -> Any:
        """A new conversation that goes on from the newest turn."""

    def fork_middle(self) -> Any:
        """A new conversation that goes on after half of the turns that were prepared (rounded down)."""

    def seen(self, answer: Any) -> list[str]:
        """The text of every message in an answer of `resume` or `last_turns`, oldest first; of a tool call its path."""


class Driven(NamedTuple):
    """Where a library is driven, and how.

    Attributes:
        title: Its name, for people.
        place: Module and class, below this package.
        package: The package whose version is told; empty where it is no other's.
        how: How it is driven, for people.
        checkpointed: Whether its context is shorter than the history, because a checkpoint stands in it.
        head_leaves_out: Turns that a fork at the head does not have, because the library cannot keep them.
    """

    title: str
    place: tuple[str, str]
    package: str
    how: str
    checkpointed: bool = False
    head_leaves_out: int = 0


PEERS: Final = {
    THREADKEEP: Driven(
        "threadkeep",
        ("_threadkeep", "Threadkeep"),
        "",
        "`append_all` of a turn's records, or a `TurnWriter`; `resume`, whose items are the JSON that a "
        "model is sent, undecoded; `turns`; `fork`. A tool's output is stored twice: for the model, and for people",
    ),
    "threadkeep-checkpoint": Driven(
        "threadkeep, checkpoint 20 turns back",
        ("_threadkeep", "Checkpointed"),
        "",
        "the same with a checkpoint (`TurnWriter.compact`) before the last 20 turns that were prepared: its context is "
        "shorter than that of all others, its history is not",
        checkpointed=True,
    ),
    FLOOR: Driven(
        "floor",
        ("_floor", "Floor"),
        "",
        "no library: a turn is four lines of JSON, one write and an fdatasync; a fork is a file that names a file and "
        "an offset; all lines are read and decoded",
    ),
    "langgraph": Driven(
        "LangGraph SqliteSaver",
        ("_langgraph", "LangGraph"),
        "langgraph-checkpoint-sqlite",
        "`update_state` of a graph with `add_messages`, `get_state`; a fork is an update of the checkpoint that it "
        "starts from",
    ),
    "openai-sqlite": Driven(
        "OpenAI Agents SQLiteSession",
        ("_openai", "SqliteItems"),
        "openai-agents",
        "`add_items`, `get_items`; it has no fork: the items are added to a new session",
    ),
    "openai-advanced": Driven(
        "OpenAI Agents AdvancedSQLiteSession",
        ("_openai", "AdvancedItems"),
        "openai-agents",
        "`add_items`, `get_items`, `create_branch_from_turn`, which leaves out the turn that it is made from: a fork "
        "at the head has all turns but the last",
        head_leaves_out=1,
    ),
    "claude": Driven(
        "Claude Agent SDK",
        ("_claude", "Claude"),
        "claude-agent-sdk",
        "`get_session_messages`, `fork_session` on a session file as its command line writes it",
    ),
    "pydantic-memory": Driven(
        "pydantic-ai InMemoryConversationStore",
        ("_pydantic", "InMemory"),
        "pydantic-ai-slim",
        "`load`, `save`, `fork`",
    ),
    "pydantic-sqlite": Driven(
        "pydantic-ai ConversationStore on SQLite",
        ("_pydantic", "OnSqlite"),
        "pydantic-ai-slim",
        "`load`, `save`, `fork`; the five primitives that it asks of a backend written here, on SQLite",
    ),
    "adk": Driven(
        "Google ADK SqliteSessionService",
        ("_adk", "Adk"),
        "google-adk",
        "`append_event` for each message, `get_session`; it has no fork: the events are appended to a new session",
    ),
}
"""What is measured, in the order of the table."""
