"""`threadkeep bench app-server` on tiny threads: what it says, and that it measures what it says."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.codex.binary import find_codex

from threadkeep.bench import _appserver, _appserver_beside, _appserver_crowd, _appserver_process
from threadkeep.bench._appserver import bench_app_server
from threadkeep.bench._appserver_calls import CALLS
from threadkeep.bench._appserver_crowd import _Member
from threadkeep.bench._appserver_homes import ServerHome
from threadkeep.bench._appserver_process import Answer, Failed, ServerProcess
from threadkeep.bench._appserver_socket import Closed
from threadkeep.bench._generate import Recipe
from threadkeep.bench._home import BenchHome, made_home
from threadkeep.bench._spread import Spread
from threadkeep.cli._bench_appserver import _show
from threadkeep.cli._bench_appserver import find_codex as codex_on_this_machine
from threadkeep.cli._main import cli
from threadkeep.cli._session import Session

if TYPE_CHECKING:
    from pathlib import Path

    from threadkeep.bench._appserver_report import AppServerReport

pytestmark = pytest.mark.slow


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name != "THREADKEEP_CODEX"}
    command = [sys.executable, "-m", "threadkeep", "bench", "app-server", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=500, check=False, env={**kept, "PATH": "/bin", **environment}
    )


def measured(*arguments: str) -> Any:
    done = run("--sizes", "0.1", "--runs", "1", "--modes", "paginated", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout)


def script(path: Path, *lines: str) -> str:
    path.write_text("\n".join(lines))
    path.chmod(0o755)
    return str(path)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> AppServerReport:
    """What was measured of a tiny thread, with another of threadkeep's servers in the place of Codex's."""
    folder = tmp_path_factory.mktemp("bench")
    other = script(
        folder / "codex",
        "#!/bin/sh",
        '[ "$1" = --version ] && { echo other 1.2; exit; }',
        f'exec {sys.executable} -m threadkeep "$@"',
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_appserver, "CLIENTS", 10)
        patch.setattr(_appserver_process, "_IDLE_SECONDS", 0.05)
        return bench_app_server(str(folder), codex=other, sizes=[100_000], modes=["legacy"], runs=1)


def test_every_call_is_measured_beside_another_server(report: AppServerReport) -> None:
    assert report.codex == "other 1.2"
    assert report.skipped == []
    assert [row.call for row in report.rows] == list(CALLS)
    for row in report.rows:
        assert row.codex is not None
        assert row.threadkeep.error is row.codex.error is None
        assert row.codex.answered == pytest.approx(row.threadkeep.answered, abs=64)
        assert row.threadkeep.at_once.runs == row.threadkeep.loaded.runs == 1
        assert row.ratio is not None
        assert row.ratio.median == pytest.approx(row.codex.at_once.ms / row.threadkeep.at_once.ms, abs=0.01)
        assert row.ratio_loaded is not None
    assert [start.server for start in report.starts] == ["threadkeep", "codex"]


def test_what_was_written_is_what_stays(report: AppServerReport) -> None:
    fork = next(row for row in report.rows if row.call == "fork-exclude").threadkeep.written
    read = next(row for row in report.rows if row.call == "read").threadkeep.written

    assert 20_000 < fork < 100_000  # the child's first record, and what is known of it
    assert read < 20_000


def test_small_requests_are_measured_beside_a_large_answer(report: AppServerReport) -> None:
    assert [each.server for each in report.beside] == ["threadkeep", "codex"]
    for each in report.beside:
        assert each.requests >= 1
        assert each.ms_p50 <= each.ms_p99 <= each.ms_max


def test_many_clients_are_measured_on_threadkeep(report: AppServerReport) -> None:
    (crowd,) = report.crowds
    assert (crowd.server, crowd.clients, crowd.wrong) == ("threadkeep", 10, [])
    assert crowd.notifications == 10 * 8


def test_people_are_told_what_the_figures_are(report: AppServerReport, capsysbinary: Any) -> None:
    _show(Session(), report)
    shown = capsysbinary.readouterr().out.decode()

    assert "other 1.2" in shown
    for said in ("initialize answered", "Legacy threads", "at once", "resume, no turns", "p99", "VmHWM", "10 clients"):
        assert said in shown
    assert "out of order: nothing" in shown
    tables = [
        list(lines) for is_row, lines in itertools.groupby(shown.splitlines(), lambda line: line[:1] == "|") if is_row
    ]
    assert [len(table) - 2 for table in tables] == [2, len(CALLS), 2]
    for titles, rules, *rows in tables:
        assert set(rules) <= set("|-: ")
        assert {len(line) for line in rows} == {len(titles)} == {len(rules)}
        assert {line.count("|") for line in rows} == {titles.count("|")}


def test_the_servers_are_asked_in_turns_and_who_comes_first_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def run_once(place: Any, _call: Any, into: Any, *, loaded: bool) -> None:
        ran.append(place)
        (into.loaded if loaded else into.at_once).append(1.0)

    monkeypatch.setattr(_appserver, "_run", run_once)
    _appserver._measured(["threadkeep", "codex"], CALLS["read"], 2)  # type: ignore[list-item]  # nobody looks in

    first = ["threadkeep", "codex"]
    assert ran == [*first, *first, *first[::-1], *first[::-1]]


def test_a_server_is_quicker_by_the_median_of_its_pairs(thread: BenchHome) -> None:
    answered = [Answer(1.0, 1, None)]
    ours = _appserver._Runs([10.0, 100.0, 10.0], [1.0, 2.0, 4.0], [], [0], answered)
    theirs = _appserver._Runs([20.0, 100.0, 40.0], [3.0, 2.0, 8.0], [], [0], answered)
    row = _appserver._row(thread, "read", [ours, theirs])

    assert row.ratio == Spread(2.0, 1.0, 4.0)  # the medians are 10 and 40
    assert row.ratio_loaded == Spread(2.0, 1.0, 3.0)


@pytest.mark.parametrize("arguments", [[], ["--json"]])
@pytest.mark.parametrize("wrong", [[], ["client 7 heard [] about t1"]])
def test_a_message_that_a_client_lost_fails_the_command(
    report: AppServerReport,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: Any,
    wrong: list[str],
    arguments: list[str],
) -> None:
    crowd = msgspec.structs.replace(report.crowds[0], wrong=wrong)
    lossy = msgspec.structs.replace(report, crowds=[crowd])
    monkeypatch.setattr(_appserver, "bench_app_server", lambda *_, **__: lossy)
    monkeypatch.setattr("threadkeep.cli._bench_appserver.check_space", lambda *_: None)

    with pytest.raises(SystemExit) as ended:
        cli.main(["bench", "app-server", *arguments])
    said = capsysbinary.readouterr()
    assert ended.value.code == (1 if wrong else 0)
    assert ("threadkeep: client 7 heard [] about t1" in said.err.decode()) is bool(wrong)
    if arguments:
        assert msgspec.json.decode(said.out)["crowds"][0]["wrong"] == wrong
    else:
        assert f"out of order: {len(wrong) or 'nothing'}" in said.out.decode()


def test_a_request_that_was_refused_fails_the_command(
    report: AppServerReport, monkeypatch: pytest.MonkeyPatch, capsysbinary: Any
) -> None:
    row = report.rows[0]
    refused = msgspec.structs.replace(row, threadkeep=msgspec.structs.replace(row.threadkeep, error="not so"))
    monkeypatch.setattr(
        _appserver, "bench_app_server", lambda *_, **__: msgspec.structs.replace(report, rows=[refused])
    )
    monkeypatch.setattr("threadkeep.cli._bench_appserver.check_space", lambda *_: None)

    with pytest.raises(SystemExit) as ended:
        cli.main(["bench", "app-server"])
    assert ended.value.code == 1
    assert f"threadkeep refused {row.call}" in capsysbinary.readouterr().err.decode()


@pytest.mark.parametrize(("said", "code"), [("thread/items/list is not supported yet", 0), ("thread not found: x", 1)])
def test_what_codex_cannot_do_yet_fails_nothing(
    report: AppServerReport, monkeypatch: pytest.MonkeyPatch, capsysbinary: Any, said: str, code: int
) -> None:
    row = report.rows[0]
    refused = msgspec.structs.replace(row, codex=msgspec.structs.replace(row.threadkeep, error=said))
    monkeypatch.setattr(
        _appserver, "bench_app_server", lambda *_, **__: msgspec.structs.replace(report, rows=[refused], crowds=[])
    )
    monkeypatch.setattr("threadkeep.cli._bench_appserver.check_space", lambda *_: None)

    with pytest.raises(SystemExit) as ended:
        cli.main(["bench", "app-server"])
    assert ended.value.code == code
    assert (f"Codex refused {row.call}" in capsysbinary.readouterr().err.decode()) == bool(code)


def test_without_codex_it_says_so_and_measures_threadkeep() -> None:
    told = measured("--parts", "beside")

    assert told["codex"] is None
    assert "not installed" in told["skipped"][0]
    assert [each["server"] for each in told["beside"]] == ["threadkeep"]


@pytest.mark.codex
@pytest.mark.slow
def test_codex_stands_beside_it() -> None:
    told = measured("--parts", "calls,beside", "--codex", str(find_codex()))

    assert told["codex"].startswith("codex-cli ")
    for row in told["rows"]:
        assert row["codex"]["error"] is None
        assert row["ratio"]["median"] > 0
    assert [each["server"] for each in told["beside"]] == ["threadkeep", "codex"]


@pytest.mark.parametrize(
    "wrong",
    [
        ("--parts", "other"),
        ("--sizes", "big"),
        ("--runs", "0"),
        ("--svg", "x.svg"),
        ("--codex", "/nowhere/codex"),
    ],
)
def test_what_cannot_be_measured_is_refused(wrong: tuple[str, str]) -> None:
    assert run(*wrong).returncode == 2


def test_the_options_of_app_servers_are_of_app_servers() -> None:
    command = [sys.executable, "-m", "threadkeep", "bench", "--parts", "crowd"]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 2


def test_the_binary_inside_a_package_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "lib" / "node_modules" / "@openai" / "codex"
    binary = package / "node_modules" / "@openai" / "codex-linux-x64" / "vendor" / "x" / "bin" / "codex"
    for path in (package / "bin", binary.parent, tmp_path / "bin"):
        path.mkdir(parents=True)
    binary.write_bytes(b"\x7fELF")
    wrapper = script(package / "bin" / "codex.js", "#!/usr/bin/env node")
    (tmp_path / "bin" / "codex").symlink_to(wrapper)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("THREADKEEP_CODEX", raising=False)

    assert codex_on_this_machine(None) == str(binary)


# The client


def served(tmp_path: Path, *lines: str) -> ServerProcess:
    """A process that answers as the lines of Python say; ``ask()`` reads a request's id."""
    code = script(
        tmp_path / "server.py",
        "import json, sys, time",
        "def ask(): return json.loads(sys.stdin.readline()).get('id')",
        "def say(text): sys.stdout.write(text + '\\n'); sys.stdout.flush()",
        *lines,
    )
    return ServerProcess([sys.executable, code], {}, cwd=str(tmp_path), errors=str(tmp_path / "stderr"))


def test_an_answer_is_found_among_what_else_is_said(tmp_path: Path) -> None:
    with served(
        tmp_path,
        "ask()",
        """say('{"method":"note","params":{"id":1}}')""",
        """say('{"id":1,"method":"from/server"}')""",
        """say('{"id":1,"result":"' + "x" * 3_000_000 + '"}')""",
        """say('{"method":"after"}')""",
        "ask()",
        """say('{"error":{"code":-32600,"message":"not so"},"id":2}')""",
    ) as process:
        first = process.request("one", {})
        second = process.request("two", {})

    assert (first.size, first.error) == (len('{"id":1,"result":""}\n') + 3_000_000, None)
    assert second.error == "not so"


def test_the_time_ends_with_the_last_byte_of_the_answer(tmp_path: Path) -> None:
    with served(
        tmp_path,
        "ask()",
        """sys.stdout.write('{"id":1,'); sys.stdout.flush(); time.sleep(0.2); say('"result":1}')""",
        "ask()",  # which never comes: whoever waits for more than the answer waits for ever
    ) as process:
        answer = process.request("one", {})

    assert answer.ms >= 200


def test_a_server_that_ends_is_told_with_what_it_said_last(tmp_path: Path) -> None:
    with (
        served(tmp_path, "ask()", "sys.exit('no such luck')") as process,
        pytest.raises(Failed, match=r"ended with 1: no such luck"),
    ):
        process.request("one", {})


def test_a_busy_process_is_waited_for(tmp_path: Path) -> None:
    with served(
        tmp_path,
        "ask()",
        'say(\'{"id":1,"result":0}\')',
        "end = time.process_time() + 0.5",
        "while time.process_time() < end: pass",
        "ask()",
    ) as process:
        process.request("one", {})
        started = time.monotonic()
        process.idle()

    assert time.monotonic() - started > 0.5


# The homes


@pytest.fixture
def thread(tmp_path: Path) -> BenchHome:
    return made_home(str(tmp_path / "threads"), Recipe(size=50_000))


def test_what_a_run_did_is_undone(thread: BenchHome, tmp_path: Path) -> None:
    home = ServerHome(str(tmp_path / "server"), thread)
    rollout, other = os.path.join(home.path, thread.location), os.path.join(home.path, "db")
    with open(other, "wb") as file:
        file.write(b"before")
    home.keep()
    before, sizes = home._look(), home.sizes()

    with open(rollout, "ab") as file:
        file.write(b"appended")
    with open(other, "wb") as file:
        file.write(b"after!")
    with open(os.path.join(home.path, "new"), "wb") as file:
        file.write(b"new")
    os.link(rollout, os.path.join(home.path, "second-name"))

    assert home.grown(sizes) == len(b"appended") + len(b"new")
    home.put_back()
    assert {name: seen[:2] for name, seen in home._look().items()} == {n: s[:2] for n, s in before.items()}
    with open(other, "rb") as file:
        assert file.read() == b"before"
    with open(thread.rollout, "rb") as first, open(rollout, "rb") as second:
        assert first.read() == second.read()


def test_a_rollout_that_was_replaced_or_cut_is_put_back(thread: BenchHome, tmp_path: Path) -> None:
    home = ServerHome(str(tmp_path / "server"), thread)
    rollout = os.path.join(home.path, thread.location)
    home.keep()
    with open(thread.rollout, "rb") as file:
        before = file.read()

    for replaced in (b"x" * (len(before) + 10), b"cut"):
        with open(f"{rollout}.new", "wb") as file:
            file.write(replaced)
        os.rename(f"{rollout}.new", rollout)
        home.put_back()
        with open(rollout, "rb") as file:
            assert file.read() == before


# The crowd


class Script:
    """A connection on which messages come that were written before."""

    def __init__(self, *messages: object) -> None:
        self._messages = [msgspec.json.encode(message) for message in messages]

    def send(self, message: bytes) -> None:
        pass

    def receive(self) -> bytes:
        return self._messages.pop(0)


def note(method: str, thread: str) -> dict[str, Any]:
    return {"method": method, "params": {"threadId": thread}}


@pytest.mark.parametrize(
    ("heard", "wrong"),
    [
        (["thread/started", "thread/name/updated"], None),
        (["thread/name/updated", "thread/started"], "heard ['thread/name/updated', 'thread/started']"),
        (["thread/started", "thread/started", "thread/name/updated"], "thread/started about t1 2 times"),
        (["thread/started"], "heard ['thread/started'] about t1"),
    ],
)
def test_a_client_of_the_crowd_says_what_was_wrong(
    monkeypatch: pytest.MonkeyPatch, heard: list[str], wrong: str | None
) -> None:
    monkeypatch.setattr("threadkeep.bench._appserver_crowd._SETTLE_SECONDS", 0)
    messages = [{"id": 1, "result": {"thread": {"id": "t1"}}}, *(note(method, "t1") for method in heard)]
    member = _Member(7, Script(*messages, {"id": 2, "result": {}}), "shared", "/")  # type: ignore[arg-type]  # a fake
    member._thread("thread/start", {})
    member.request("thread/read", {})
    member.own.update({"t2": heard[:0], "t3": heard[:0], "t4": heard[:0]})
    member.check()

    about_it = [sentence for sentence in member.wrong if "t1" in sentence]
    assert bool(about_it) is (wrong is not None)
    assert wrong is None or any(wrong in sentence for sentence in about_it)


def test_a_client_of_the_crowd_notices_a_thread_that_is_announced_too_early() -> None:
    early = [note("thread/started", "t1"), {"id": 1, "result": {"thread": {"id": "t1"}}}]
    member = _Member(7, Script(*early), "shared", "/")  # type: ignore[arg-type]  # a fake
    member._thread("thread/start", {})

    assert member.wrong == ["client 7 heard of t1 before the answer"]


@pytest.mark.parametrize("said", [b"5", b"{", b'{"id":1}', b'{"id":1,"result":null}', None])
def test_a_server_that_answers_no_client_of_the_crowd_is_told(
    monkeypatch: pytest.MonkeyPatch, said: bytes | None
) -> None:
    class Odd(Script):
        def __init__(self, _port: int) -> None:
            super().__init__()
            self._messages = [said] if said is not None else []

        def receive(self) -> bytes:
            if not self._messages:
                raise Closed("gone")
            return super().receive()

        def close(self) -> None: ...

    monkeypatch.setattr(_appserver_crowd, "SocketClient", Odd)
    told = _appserver_crowd.crowd("it", 0, os.getpid(), "thread", "/", 2)

    for client in ("client 0: ", "client 1: "):
        assert any(sentence.startswith(client) for sentence in told.wrong)


def test_one_small_request_is_measured_however_short_the_large_answer() -> None:
    class Quick:
        def request_size(self, _method: str, _params: dict[str, Any]) -> int:
            return 7

    size, _, taken = _appserver_beside._while_receiving(Quick(), "thread", lambda: 1.5)  # type: ignore[arg-type]
    assert size == 7
    assert taken
    assert set(taken) == {1.5}


@pytest.mark.parametrize("said", [b"{", b"5", b'{"id":1,"error":"no"}', b"\xff{}"])
def test_a_small_request_whose_answer_cannot_be_read_is_told(said: bytes) -> None:
    class Odd(Script):
        def receive(self) -> bytes:
            return said

    with pytest.raises(Failed, match="initialize: "):
        _appserver_beside.Client(Odd())  # type: ignore[arg-type]  # a fake


def test_a_client_of_the_crowd_gives_up_on_a_server_that_answers_others() -> None:
    class Others(Script):
        def receive(self) -> bytes:
            return b'{"id":"other","result":{}}'

    member = _Member(7, Others(), "shared", "/")  # type: ignore[arg-type]  # a fake
    with pytest.raises(Failed, match="answered 20 other requests"):
        member.request("thread/read", {})
