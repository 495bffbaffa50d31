"""The servers that are measured, and their homes: used before, so that each knows its threads as after normal use."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Final, NamedTuple

from threadkeep.bench._appserver_calls import CALLS
from threadkeep.bench._appserver_homes import ServerHome, clean_environment
from threadkeep.bench._appserver_process import ServerProcess

if TYPE_CHECKING:
    from threadkeep.bench._appserver_homes import Template

__all__ = ["CODEX", "THREADKEEP", "Place", "Server", "order", "scratch", "servers_of", "use", "used", "version_of"]

THREADKEEP: Final = "threadkeep"
CODEX: Final = "codex"


class Server(NamedTuple):
    """A server that is measured.

    Attributes:
        name: What it is called here.
        command: What starts it on stdio.
    """

    name: str
    command: tuple[str, ...]


class Place(NamedTuple):
    """A server and its home."""

    server: Server
    home: ServerHome

    def start(self, *more: str) -> ServerProcess:
        """The server, just started: on its pipes, or with ``more`` arguments that say where it listens."""
        return ServerProcess(
            (*self.server.command, *more),
            clean_environment(self.home.path),
            cwd=self.home.cwd,
            errors=self.home.errors,
            listening=bool(more),
        )


def servers_of(codex: str | None) -> list[Server]:
    """The servers that are measured: threadkeep's, and Codex's where there is one.

    Args:
        codex: The binary.
    """
    servers = [Server(THREADKEEP, (sys.executable, "-m", "threadkeep", "app-server"))]
    return servers if codex is None else [*servers, Server(CODEX, (codex, "app-server"))]


def version_of(codex: str | None) -> str | None:
    """The version of Codex, as it says it; None where there is none."""
    if codex is None:
        return None
    done = subprocess.run([codex, "--version"], capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.strip() or "unknown"


def scratch(template: Template) -> tempfile.TemporaryDirectory[str]:
    """A folder for the servers' homes, on the file system of the threads."""
    return tempfile.TemporaryDirectory(prefix="servers-", dir=os.path.dirname(template.path))


def used(server: Server, folder: str, template: Template) -> Place:
    """A server's home in which the server was before: it knows the threads, as it does after normal use."""
    place = Place(server, ServerHome(os.path.join(folder, server.name), template))
    use(place)
    place.home.keep()
    return place


def use(place: Place) -> None:
    """Let a server get to know its home's threads, as they were made: ancestors first."""
    place.home.read_all()
    with place.start() as process:
        process.initialize()
        process.idle()
        for thread in place.home.ancestors:
            process.request(CALLS["resume-exclude"].method, {"threadId": thread, **CALLS["resume-exclude"].params})
        for call in (CALLS["resume"], CALLS["read"]):
            process.request(call.method, {"threadId": place.home.thread_id, **call.params})
        process.idle()


def order(count: int, run: int) -> list[int]:
    """Who comes first changes with every run."""
    return list(range(count)) if run % 2 == 0 else list(reversed(range(count)))
