"""Over standard input and output a client's messages arrive whole and in order, and the end of either side is clean."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest
from tests.appserver.transport import WAIT, Echo, Process, initialize, line

from threadkeep.appserver import _stdio
from threadkeep.appserver._stdio import Lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANY = 300


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Process]:
    with Process(tmp_path, "app-server", "--listen", "stdio://") as process:
        yield process


def numbered(count: int) -> bytes:
    """Requests that are answered as soon as they are read."""
    return b"".join(initialize(number) for number in range(count))


def test_requests_that_follow_initialize_at_once_are_all_answered_in_order(served: Process) -> None:
    served.write(numbered(MANY))
    answers = [served.answer() for _ in range(MANY)]
    assert [answer["id"] for answer in answers] == list(range(MANY))
    assert "result" in answers[0]
    assert {answer["error"]["message"] for answer in answers[1:]} == {"Already initialized"}


def test_messages_may_come_a_byte_at_a_time(served: Process) -> None:
    for byte in numbered(3):
        served.write(bytes([byte]))
    assert [served.answer()["id"] for _ in range(3)] == [0, 1, 2]


def test_lines_may_end_as_on_windows_and_be_empty(served: Process) -> None:
    served.write(initialize(0).replace(b"\n", b"\r\n") + b"\r\n\n" + initialize(1).replace(b"\n", b"\r\n"))
    assert [served.answer()["id"] for _ in range(2)] == [0, 1]


def test_what_was_asked_before_the_input_ended_is_answered(served: Process) -> None:
    served.write(initialize(0) + line(id=1, method="thread/loaded/list", params={}) + initialize(2).rstrip())
    assert served.leave() == 0
    assert sorted(served.answer()["id"] for _ in range(3)) == [0, 1, 2]


@pytest.mark.parametrize("sent", [b"", b"{", initialize(0)[:30]])
def test_a_client_that_leaves_before_it_said_anything_is_no_trouble(served: Process, sent: bytes) -> None:
    served.write(sent)
    assert served.leave() == 0
    assert served.errors == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_as_its_client_would(served: Process, number: signal.Signals) -> None:
    served.write(numbered(2))
    assert [served.answer()["id"] for _ in range(2)] == [0, 1]
    served.process.send_signal(number)
    assert served.end() == 0
    assert served.errors == []


def test_a_client_that_stops_reading_ends_it_quietly(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "nobody_reads, write = os.pipe()\n"
        "os.close(nobody_reads)\n"
        "os.dup2(write, 1)\n"
        "sys.argv = ['threadkeep', 'app-server']\n"
        "from threadkeep.cli import main\n"
        "main()\n"
    )
    with Process(tmp_path, "-c", code, command=()) as served:
        served.write(numbered(2))
        assert served.end() == 0
        assert served.errors == []


def test_nothing_but_the_protocol_is_written_to_standard_output(tmp_path: Path) -> None:
    code = (
        "import sys, threadkeep.appserver._server as server\n"
        "class Chatty(server.Server):\n"
        "    def connect(self, *a, **k):\n"
        "        print('a stray word', flush=True)\n"
        "        import os\n"
        "        os.write(1, b'and another\\n')\n"
        "        assert sys.stdin.read() == ''\n"
        "        return super().connect(*a, **k)\n"
        "server.Server = Chatty\n"
        "sys.argv = ['threadkeep', 'app-server']\n"
        "from threadkeep.cli import main\n"
        "main()\n"
    )
    with Process(tmp_path, "-c", code, command=()) as served:
        served.write(numbered(2))
        assert [served.answer()["id"] for _ in range(2)] == [0, 1]
        assert served.leave() == 0
    assert sorted(served.errors) == ["a stray word", "and another"]


class Pipes:
    """A client of `_stdio.serve` in a thread of this process."""

    def __init__(self, server: Echo, **bounds: int) -> None:
        source, self.write_end = os.pipe()
        self.read_end, sink = os.pipe()
        self.code: int | None = None

        def run() -> None:
            self.code = _stdio.serve(server, source, sink, received=b"early\n", handshake={"a": 1}, **bounds)
            os.close(sink)
            os.close(source)

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def everything(self) -> bytes:
        got = b""
        while chunk := os.read(self.read_end, 1 << 20):
            got += chunk
        os.close(self.read_end)
        self.thread.join(WAIT)
        return got


def test_the_end_of_the_input_ends_the_server_and_its_last_words_are_sent() -> None:
    server = Echo()
    pipes = Pipes(server)
    os.write(pipes.write_end, b"one\ntwo")
    os.close(pipes.write_end)
    assert pipes.everything() == b'early\none\ntwo\n"the last word"\n'
    assert pipes.code == 0
    assert server.handshakes == [{"a": 1}]
    assert server.ended.is_set()
    assert server.left.get(timeout=WAIT) is server.clients[0]


def test_an_answer_that_is_made_while_it_is_sent_is_one_line() -> None:
    server = Echo()
    pipes = Pipes(server)
    os.write(pipes.write_end, b"stream 100000 40\nnext\n")
    got = b""
    while not got.endswith(b"next\n"):
        got += os.read(pipes.read_end, 1 << 20)
    early, streamed, after, _ = got.split(b"\n")
    assert (early, len(streamed), after) == (b"early", 4_000_000, b"next")
    os.close(pipes.write_end)
    pipes.everything()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lines_are_the_same_however_they_are_cut(size: int) -> None:
    data = b"\nfirst\n\nsecond line\nthird"
    lines = Lines(20)
    got = [one for start in range(0, len(data), size) for one in lines.feed(data[start : start + size])]
    assert [*got, lines.rest()] == data.split(b"\n")
