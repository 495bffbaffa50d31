"""One library on one conversation, in a process of its own: ``python -m threadkeep.bench.peers._run '{...}'``.

What becomes of each step is printed as a line of JSON, the first line says what is measured.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import sys
import warnings

import msgspec

from threadkeep.bench.peers._peer import PEERS
from threadkeep.bench.peers._steps import Work

__all__ = ["Hello", "Task", "main"]


class Task(msgspec.Struct):
    """What is to be measured.

    Attributes:
        name: The library.
        folder: Where it keeps its files: an empty folder.
        turns: Turns of the conversation.
        runs: Runs of each step.
        limit: Seconds that a step may take.
    """

    name: str
    folder: str
    turns: int
    runs: int
    limit: float


class Hello(msgspec.Struct):
    """The first line.

    Attributes:
        version: Version of the library; empty for what is none.
        durable: Whether what was appended is on the disk when the call returns, and how.
        missing: The module that is not installed; empty where all are.
    """

    version: str = ""
    durable: str = ""
    missing: str = ""


def main(given: str) -> None:
    """Do a task and print what became of it."""
    warnings.simplefilter("ignore")  # a library's words on its own future
    task = msgspec.json.decode(given, type=Task)
    driven = PEERS[task.name]
    module, name = driven.place
    try:
        peer = getattr(importlib.import_module(f"threadkeep.bench.peers.{module}"), name)(task.folder)
        version = importlib.metadata.version(driven.package) if driven.package else ""
    except ModuleNotFoundError as error:
        _say(Hello(missing=error.name or str(error)))
        return
    _say(Hello(version, peer.durable))
    for step in Work(peer, driven, task.folder, turns=task.turns, runs=task.runs, limit=task.limit).steps():
        _say(step)


def _say(value: msgspec.Struct) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1])
    os._exit(0)  # threads of a library that was stopped must not be waited for
