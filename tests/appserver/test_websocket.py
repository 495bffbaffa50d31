"""Over WebSocket, on a port or a socket file, each message is one text message, and the server's end is a clean one."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import stat
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.appserver.test_bounds import closed_with, joined
from tests.appserver.transport import WAIT, Echo, Process, ask, initialize, serving
from websockets.sync.client import connect, unix_connect

from threadkeep.appserver._listening import DEFAULT_SOCKET, Address, listening, parse

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_messages_go_both_ways_whole_and_in_order() -> None:
    with serving(Echo()) as port, joined(port) as client:
        texts = [f"message {number} äöü" for number in range(500)]
        for text in texts:
            client.send(text)
        assert [client.recv(timeout=WAIT) for _ in texts] == texts


@pytest.mark.parametrize("size", [1, 262_144, 262_145, 5_000_000])
def test_a_message_of_any_length_is_one_message(size: int) -> None:
    with serving(Echo()) as port, joined(port) as client:
        client.send("ö" * size)
        assert client.recv(timeout=WAIT) == "ö" * size


def test_a_message_may_come_in_pieces() -> None:
    with serving(Echo()) as port, joined(port) as client:
        client.send(["in ", "three ", "pieces"])
        assert client.recv(timeout=WAIT) == "in three pieces"


def test_an_answer_that_is_made_while_it_is_sent_is_one_message_and_the_next_comes_after_it() -> None:
    with serving(Echo()) as port, joined(port) as client:
        client.send("stream 300000 20")
        client.send("next")
        streamed = client.recv(timeout=WAIT)
        assert len(streamed) == 6_000_000
        assert client.recv(timeout=WAIT) == "next"


def test_when_the_server_ends_its_clients_get_what_waits_and_are_told() -> None:
    server = Echo()
    with contextlib.ExitStack() as leaving:
        with serving(server) as port:
            clients = [leaving.enter_context(joined(port)) for _ in range(5)]
            for client in clients:
                client.send("hello")
                assert client.recv(timeout=WAIT) == "hello"
        for client in clients:
            assert client.recv(timeout=WAIT) == '"the last word"'
            assert closed_with(client) == (1001, "the server ends")
    assert server.left.qsize() == 5


def test_when_the_server_ends_a_message_on_its_way_arrives_whole() -> None:
    got: queue.Queue[int] = queue.Queue()
    with contextlib.ExitStack() as leaving:
        with serving(Echo()) as port:
            client = leaving.enter_context(joined(port))
            client.send("big 20000000")
            pieces = client.recv_streaming()
            begun = len(next(pieces))
            threading.Thread(target=lambda: got.put(begun + sum(map(len, pieces)))).start()
        assert got.get(timeout=WAIT) == 20_000_000
        assert client.recv(timeout=WAIT) == '"the last word"'


def test_a_client_that_leaves_is_gone_for_the_server() -> None:
    server = Echo()
    with serving(server) as port:
        with joined(port) as client:
            client.send("hello")
            assert client.recv(timeout=WAIT) == "hello"
        assert server.left.get(timeout=WAIT) is server.clients[0]


def test_the_process_says_where_it_listens_and_ends_on_a_signal(tmp_path: Path) -> None:
    with Process(tmp_path, "app-server", "--listen", "ws://127.0.0.1:0") as served:
        url = served.listens_on()
        assert url.startswith("ws://127.0.0.1:")
        assert ask(int(url.rpartition(":")[2]), path="/readyz", upgrade=False) == (200, "")
        with connect(url, compression=None) as client:
            client.send(initialize(5).decode())
            assert f'"codexHome":"{tmp_path}"' in str(client.recv(timeout=WAIT))
            served.process.send_signal(signal.SIGTERM)
            assert closed_with(client) == (1001, "the server ends")
        assert served.end() == 0
        assert served.written == b""


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose name leaves room for that of a socket."""
    with tempfile.TemporaryDirectory(prefix="tk") as name:
        yield Path(name)


def test_the_process_serves_on_a_socket_file_that_it_removes(short_path: Path) -> None:
    with Process(short_path, "app-server", "--listen", "unix://") as served:
        path = short_path.joinpath(*DEFAULT_SOCKET)
        assert served.listens_on() == f"unix://{path}"
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.lstat().st_mode) == 0o700
        with unix_connect(str(path), compression=None) as client:
            client.send(initialize(5).decode())
            assert '"id":5' in str(client.recv(timeout=WAIT))
        served.process.send_signal(signal.SIGINT)
        assert served.end() == 0
        assert not path.exists()


def test_a_socket_file_that_a_server_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "old.sock"
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))
    assert path.exists()
    with listening(parse(f"unix://{path}", "")) as made, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        made.accept()[0].close()
    assert not path.exists()


def test_a_link_that_codex_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "old.sock"
    path.symlink_to(tmp_path / "gone")
    with listening(parse(f"unix://{path}", "")):
        assert stat.S_ISSOCK(path.lstat().st_mode)


def test_a_socket_file_on_which_a_server_listens_is_left_to_it(tmp_path: Path) -> None:
    address = parse(f"unix://{tmp_path}/live.sock", "")
    with listening(address) as first, pytest.raises(OSError, match="a server listens on it"), listening(address):
        pass
    with listening(address), pytest.raises(OSError, match="a server listens on it"), listening(address):
        pass
    assert first.fileno() == -1


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("mine")
    with pytest.raises(OSError, match="no socket"), listening(Address("unix", path=str(path))):
        pass
    assert path.read_text() == "mine"


def test_the_socket_of_another_server_is_not_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "taken.sock"
    with listening(Address("unix", path=str(path))):
        path.unlink()
        path.write_text("somebody else's")
    assert path.read_text() == "somebody else's"


def test_a_path_that_is_too_long_for_a_socket_is_told(tmp_path: Path) -> None:
    path = str(tmp_path / ("x" * 200))
    with pytest.raises(OSError, match="may not be as long"), listening(Address("unix", path=path)):
        pass


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with listening(Address("ws", "127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with Process(tmp_path, "app-server", "--listen", f"ws://127.0.0.1:{port}") as served:
            assert served.end() == 6
            assert "Address already in use" in " ".join(served.errors)


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "sys.modules['websockets'] = None\n"
        "sys.argv = ['threadkeep', 'app-server', '--listen', 'ws://127.0.0.1:0']\n"
        "from threadkeep.cli import main\n"
        "main()\n"
    )
    with Process(tmp_path, "-c", code, command=()) as served:
        assert served.end() == 2
        assert "pip install 'threadkeep[server]'" in served.errors[0]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("stdio://", Address("stdio")),
        ("ws://127.0.0.1:4500", Address("ws", "127.0.0.1", 4500)),
        ("ws://[::1]:0", Address("ws", "::1", 0)),
        ("unix:///run/x.sock", Address("unix", path="/run/x.sock")),
        ("unix://x.sock", Address("unix", path=os.path.abspath("x.sock"))),
        ("unix://", Address("unix", path="/home/me/threadkeep/app-server.sock")),
    ],
)
def test_where_to_listen(url: str, address: Address) -> None:
    assert parse(url, "/home/me") == address


@pytest.mark.parametrize(
    "url",
    "/ stdio stdio://x ws:// ws://localhost:1 ws://127.0.0.1 ws://127.0.0.1:65536 ws://::1:5 ws://[127.0.0.1]:5"
    " ws://127.0.0.1:-1 ws://127.0.0.1:5/ wss://127.0.0.1:5 off".split(),
)
def test_what_is_no_place_to_listen(url: str) -> None:
    with pytest.raises(ValueError, match="ws://IP:PORT"):
        parse(url, "/home/me")
