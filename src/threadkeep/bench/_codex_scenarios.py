"""What people do with Codex, as a client of its app-server does it for them: start the server, look up, act.

The requests are those of Codex's own terminal interface (0.169.0, observed): the newest thread is looked up by one row
of the list that is sorted by changes, a thread that is named is read without its turns, and both resume and fork leave
the turns out: the screen is filled from pages afterwards. So there is no variant with all turns here.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from threadkeep.bench._appserver_process import UNREADABLE

if TYPE_CHECKING:
    from threadkeep.bench._appserver_process import Answer, ServerProcess

__all__ = ["SCENARIOS", "Done", "Scenario", "play"]

_USER: Final = {"threadSource": "user"}
_NEWEST: Final = {
    "limit": 1,
    "sortKey": "updated_at",
    "sourceKinds": ["cli", "vscode"],
    "modelProviders": [],
    "archived": False,
    "useStateDbOnly": True,
}


class Scenario(NamedTuple):
    """One thing that a person does.

    Attributes:
        method: The request that does it.
        params: Its parameters, without the thread's id.
        lookup: What finds the thread before: the list for the newest one, a read for a named one; None for a new one.
    """

    method: str
    params: dict[str, Any]
    lookup: str | None

    @property
    def makes(self) -> bool:
        """Whether it makes a thread."""
        return self.method != "thread/resume"


SCENARIOS: Final = {
    "new": Scenario("thread/start", {"historyMode": "paginated", **_USER}, None),
    "resume --last": Scenario("thread/resume", {"excludeTurns": True}, "thread/list"),
    "resume ID": Scenario("thread/resume", {"excludeTurns": True}, "thread/read"),
    "fork --last": Scenario("thread/fork", {"excludeTurns": True, **_USER}, "thread/list"),
    "fork ID": Scenario("thread/fork", {"excludeTurns": True, **_USER}, "thread/read"),
}
"""By what a person types."""


class Done(NamedTuple):
    """A scenario that was played.

    Attributes:
        total_ms: From before the process was started until the last byte of the last answer was read.
        action_ms: What the request that acts took of it.
        found: The thread that was looked up; None for a new one, and where none was found or the answer is unreadable.
        answer: The answer of the request that acts, or of the one that ended it.
    """

    total_ms: float
    action_ms: float
    found: str | None
    answer: Answer


class _Listed(msgspec.Struct):
    id: str


class _List(msgspec.Struct):
    data: list[_Listed]


class _ListAnswer(msgspec.Struct):
    result: _List


def play(process: ServerProcess, scenario: Scenario, thread: str, cwd: str) -> Done:
    """Play a scenario on a process that was just started.

    Args:
        process: The server.
        scenario: What is done.
        thread: The thread that is named.
        cwd: Where a new thread works.

    Raises:
        Failed: The server ended, or answered nothing in time.
    """
    process.initialize()
    found: str | None = None
    given: dict[str, Any] = {"cwd": cwd}
    if scenario.lookup is not None:
        params = _NEWEST if scenario.lookup == "thread/list" else {"threadId": thread, "includeTurns": False}
        answer = process.request(scenario.lookup, params, whole=True)
        if answer.error is not None:
            return Done(_since(process), 0.0, None, answer)
        found = thread if scenario.lookup == "thread/read" else _newest(answer)
        given = {"threadId": found or thread}
    answer = process.request(scenario.method, {**given, **scenario.params}, whole=True)
    return Done(_since(process), answer.ms, found, answer)


def _since(process: ServerProcess) -> float:
    return (time.perf_counter_ns() - process.started_ns) / 1e6


def _newest(answer: Answer) -> str | None:
    """The id of the first thread of a list; None where there is none, or no list."""
    try:
        data = msgspec.json.decode(answer.line, type=_ListAnswer).result.data
    except UNREADABLE:
        return None
    return data[0].id if data else None
