"""Who may connect: no web page that was not allowed, and nobody without the token where one is asked for."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.appserver.transport import WAIT, Echo, Process, ask, environment, initialize, serving
from websockets.sync.client import connect

from threadkeep.appserver._auth import Guard, digest_of_file, digest_of_hex, is_loopback

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "a secret-token ö"
DIGEST = hashlib.sha256(TOKEN.encode()).digest()


@pytest.mark.parametrize("path", ["/readyz", "/healthz", "/healthz?now"])
def test_anybody_may_ask_whether_it_runs(path: str) -> None:
    with serving(Echo(), Guard(token=DIGEST)) as port:
        assert ask(port, path=path, upgrade=False) == (200, "")
        assert ask(port, path=path) == (200, "")


def test_other_paths_serve_no_pages() -> None:
    with serving(Echo()) as port:
        status, _ = ask(port, path="/", upgrade=False)
        assert status == 426
        assert ask(port, path="/anything")[0] == 101


@pytest.mark.parametrize("origin", ["https://example.org", "null", "http://127.0.0.1", ""])
@pytest.mark.parametrize("path", ["/", "/healthz"])
def test_a_web_page_may_not_connect(path: str, origin: str) -> None:
    with serving(Echo(), Guard(origins=["https://allowed.example"])) as port:
        assert ask(port, f"Origin: {origin}", path=path) == (403, "")


def test_a_web_page_of_an_origin_that_is_allowed_may_connect() -> None:
    with serving(Echo(), Guard(origins=["https://allowed.example/", "http://localhost:8000"])) as port:
        assert ask(port, "Origin: https://Allowed.example")[0] == 101
        assert ask(port, "Origin: http://localhost:8000")[0] == 101
        assert ask(port, "Origin: http://localhost:8001")[0] == 403
        assert ask(port, "Origin: http://localhost:8000", "Origin: https://evil.example")[0] == 403


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_token_lets_in(scheme: str) -> None:
    with serving(Echo(), Guard(token=DIGEST)) as port:
        assert ask(port, f"Authorization: {scheme} {TOKEN}")[0] == 101


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ([], "missing"),
        (["Authorization: Basic abc"], "missing"),
        ([f"Authorization: {TOKEN}"], "missing"),
        (["Authorization: Bearer"], "invalid"),
        (["Authorization: Bearer wrong"], "invalid"),
        ([f"Authorization: Bearer {TOKEN}x"], "invalid"),
        ([f"Authorization: Bearer {DIGEST.hex()}"], "invalid"),
        ([f"Authorization: Bearer {TOKEN}", f"Authorization: Bearer {TOKEN}"], "missing"),
    ],
)
def test_without_the_token_nobody_gets_in(headers: list[str], told: str) -> None:
    with serving(Echo(), Guard(token=DIGEST)) as port:
        assert ask(port, *headers) == (401, f"{told} websocket bearer token")


def test_a_token_comes_from_a_file_or_as_its_digest(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"  {TOKEN}\n")
    assert digest_of_file(str(file)) == digest_of_hex(DIGEST.hex()) == DIGEST
    file.write_text(" \n")
    with pytest.raises(ValueError, match="holds no token"):
        digest_of_file(str(file))
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        digest_of_hex("abcd")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("0.0.0.0", False), ("::", False), ("10.0.0.1", False)],
)
def test_what_other_machines_reach(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "192.0.2.1"])
def test_it_does_not_listen_for_other_machines_without_a_token(tmp_path: Path, host: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "threadkeep", "app-server", "--listen", f"ws://{host}:0"],
        capture_output=True,
        check=False,
        timeout=WAIT,
        env=environment(tmp_path),
    )
    assert done.returncode == 2
    assert b"--ws-auth capability-token" in done.stderr


def test_it_listens_for_other_machines_with_a_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("a-secret-token\n")
    options = ("--ws-auth", "capability-token", "--ws-token-file", str(file))
    with Process(tmp_path, "app-server", "--listen", "ws://0.0.0.0:0", *options) as served:
        port = int(served.listens_on().rpartition(":")[2])
        assert ask(port)[0] == 401
        headers = {"Authorization": "Bearer a-secret-token"}
        with connect(f"ws://127.0.0.1:{port}", additional_headers=headers, compression=None) as client:
            client.send(initialize(5).decode())
            assert '"id":5' in str(client.recv(timeout=WAIT))
