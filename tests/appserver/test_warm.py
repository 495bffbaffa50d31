"""What requests need is loaded before they come, and never in their way."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

import msgspec
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROGRAM: Final = """
import sys, threading, time
import msgspec
from threadkeep.appserver import Outbox, Server
from threadkeep.appserver import _rehearsal

rehearsed, real = threading.Event(), _rehearsal.rehearse
def rehearse():
    real()
    rehearsed.set()
_rehearsal.rehearse = rehearse

server, outbox = Server(sys.argv[1]), Outbox()
client = {"clientInfo": {"name": "x", "version": "1"}, "capabilities": {"experimentalApi": True}}
connection = server.connect(outbox, handshake=client)
assert rehearsed.wait(60)
before = set(sys.modules)
methods = "thread/read thread/resume thread/turns/list thread/items/list thread/fork".split()
for number, method in enumerate(methods):
    params = {"threadId": sys.argv[2], "excludeTurns": True, "limit": 20}
    connection.receive(msgspec.json.encode({"id": number, "method": method, "params": params}))
    while True:
        message, _ = outbox.take(60)
        answer = msgspec.json.decode(message)
        if answer.get("id") == number:
            assert "result" in answer, answer
            break
print(msgspec.json.encode(sorted(set(sys.modules) - before)).decode())
server.shutdown()
"""


@pytest.mark.parametrize("mode", ["paginated", "legacy"])
def test_a_request_loads_nothing_once_the_server_is_warm(
    make_thread: Callable[..., str], home: Path, mode: str
) -> None:
    thread = make_thread(3, mode=mode)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(home), thread], capture_output=True, check=True, timeout=100
    )
    assert msgspec.json.decode(done.stdout) == []
