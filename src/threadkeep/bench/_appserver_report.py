"""What the measurements of app-servers say."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Final

import msgspec

from threadkeep.bench._bench import Machine
from threadkeep.bench._spread import Spread

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["AppServerReport", "AppServerRow", "Beside", "Crowd", "Served", "Start", "Took", "took"]

_NOT_YET: Final = "is not supported yet"
"""What Codex says of what it has no answer to in a history mode (0.169.0 observed)."""


class Took(msgspec.Struct):
    """How long something took.

    Attributes:
        ms: Milliseconds, the median of the runs.
        ms_min: The quickest run.
        runs: How many there were.
    """

    ms: float
    ms_min: float
    runs: int


class Served(msgspec.Struct):
    """One call to one server.

    Attributes:
        at_once: Sent the moment `initialize` was answered: what the server had not loaded yet is in it.
        loaded: Sent when the process was idle.
        answered: Bytes of the answer.
        written: Bytes by which the files of the home grew.
        peak_bytes: The most memory that the process had (VmHWM), in the median run; None where the system does not say.
        error: What the server said, where it refused.
    """

    at_once: Took
    loaded: Took
    answered: int
    written: int
    peak_bytes: int | None
    error: str | None


class AppServerRow(msgspec.Struct):
    """One call on one thread, to both servers.

    Attributes:
        mode: History mode.
        size: Bytes of history.
        call: What was asked.
        threadkeep: What threadkeep took.
        codex: What Codex took; None where there is none.
        ratio: How many times as long Codex took, both asked at once, run by run; None where one of them refused.
        ratio_loaded: The same, both idle before.
    """

    mode: str
    size: int
    call: str
    threadkeep: Served
    codex: Served | None
    ratio: Spread | None
    ratio_loaded: Spread | None


class Start(msgspec.Struct):
    """From the start of a process to `initialize` answered, and the idle process after it.

    Attributes:
        server: Which server.
        took: Since before the process was made.
        resident_bytes: Memory of the idle process (VmRSS); None where the system does not say.
        peak_bytes: The most that it had so far (VmHWM).
    """

    server: str
    took: Took
    resident_bytes: int | None
    peak_bytes: int | None


class Beside(msgspec.Struct):
    """Small requests on one connection while another receives a large answer.

    Attributes:
        server: Which server.
        answered: Bytes of the large answer.
        large_ms: Milliseconds that it took.
        requests: Small requests that were answered meanwhile.
        ms_p50: Milliseconds of a small request, the median.
        ms_p99: What one of a hundred exceeds.
        ms_max: The slowest.
        alone_p50: The median where nothing else is asked.
        alone_max: The slowest of those: what the machine adds.
        peak_bytes: The most memory that the server had (VmHWM); None where the system does not say.
        grown_bytes: By how much the large answer raised that.
    """

    server: str
    answered: int
    large_ms: float
    requests: int
    ms_p50: float
    ms_p99: float
    ms_max: float
    alone_p50: float
    alone_max: float
    peak_bytes: int | None
    grown_bytes: int | None


class Crowd(msgspec.Struct):
    """Many clients on one server, each starting, naming, forking and reading threads of its own.

    Attributes:
        server: Which server.
        clients: Connections at the same time.
        requests: Requests that were answered, each once and with what was asked for.
        notifications: Notifications about a client's own threads, each received once and in order.
        wrong: What was lost, came twice or out of order: a sentence each.
        seconds: How long all of it took.
        ms_p50: Milliseconds of a request, the median.
        ms_p99: What one of a hundred exceeds.
        idle_bytes: Memory of the server with all clients connected (VmHWM); None where the system does not say.
        peak_bytes: The most that it had when all were done.
    """

    server: str
    clients: int
    requests: int
    notifications: int
    wrong: list[str]
    seconds: float
    ms_p50: float
    ms_p99: float
    idle_bytes: int | None
    peak_bytes: int | None


class AppServerReport(msgspec.Struct):
    """What was measured.

    Attributes:
        machine: Where.
        codex: The version of the other server, as it says it; None where there is none.
        tail_bytes: How far before the end the last checkpoint stands.
        starts: Starts of processes.
        rows: Calls on threads of every size.
        beside: Small requests beside a large answer.
        crowds: Many clients at the same time.
        skipped: What was not measured, and why.
    """

    machine: Machine
    codex: str | None
    tail_bytes: int
    starts: list[Start]
    rows: list[AppServerRow]
    beside: list[Beside]
    crowds: list[Crowd]
    skipped: list[str]

    @property
    def wrong(self) -> list[str]:
        """Sentences on what was refused, and on what the clients of crowds lost, heard twice or out of order.

        What Codex says it cannot do yet is no such thing: the table shows it.
        """
        refused = [
            f"{server} refused {row.call} ({row.mode}, {row.size:,} bytes): {served.error}"
            for row in self.rows
            for server, served in (("threadkeep", row.threadkeep), ("Codex", row.codex))
            if served is not None and served.error is not None
            if served is row.threadkeep or not served.error.endswith(_NOT_YET)
        ]
        return [*refused, *(sentence for crowd in self.crowds for sentence in crowd.wrong)]


def took(taken: Sequence[float]) -> Took:
    """The median and the quickest of some milliseconds."""
    return Took(round(statistics.median(taken), 3), round(min(taken), 3), len(taken))
