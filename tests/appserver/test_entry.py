"""``threadkeep app-server`` takes what clients start it with, and answers before it loads what that does not need."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.appserver.transport import HELLO, WAIT, Process, environment, initialize, line

from threadkeep._version import __version__
from threadkeep.appserver import _handshake
from threadkeep.appserver._outbox import Outbox
from threadkeep.appserver._server import Server
from threadkeep.cli import _starting

if TYPE_CHECKING:
    from pathlib import Path

HOME = "/somewhere"


def asked(params: Any) -> bytes:
    return json.dumps({"id": 7, "method": "initialize", "params": params}).encode()


def of_the_server(message: bytes) -> bytes:
    """What the server itself says to a first message; nothing where it says nothing."""
    outbox = Outbox()
    Server(HOME).connect(outbox).receive(message)
    taken = outbox.try_take()
    return b"" if taken is None else taken[0]


def client(**members: Any) -> Any:
    return {"clientInfo": {"name": "a", "version": "1", **members}}


VALID = [
    HELLO,
    client(title=None),
    client(title="A client", more=[1, {}]),
    client(name="", version=""),
    client(name=" a ", version="1"),
    client(name="a/b (c); d"),
    {**client(), "capabilities": None},
    {**client(), "capabilities": {"experimentalApi": True, "optOutNotificationMethods": ["thread/started"]}},
    {**client(), "capabilities": {"optOutNotificationMethods": None, "extensions": {"a": 5}, "nope": 1}},
    {**client(), "more": 5},
]

INVALID: list[tuple[Any, str]] = [
    (None, "Invalid request: missing field `params`"),
    ("x", 'Invalid request: invalid type: string "x", expected struct InitializeParams'),
    ({}, "Invalid request: missing field `clientInfo`"),
    ({"clientInfo": None}, "Invalid request: invalid type: null, expected struct ClientInfo"),
    ({"clientInfo": 1.0}, "Invalid request: invalid type: floating point `1.0`, expected struct ClientInfo"),
    ({"clientInfo": {}}, "Invalid request: missing field `name`"),
    ({"clientInfo": {"name": "a"}}, "Invalid request: missing field `version`"),
    ({"clientInfo": {"version": 5}}, "Invalid request: invalid type: integer `5`, expected a string"),
    (client(version=None), "Invalid request: invalid type: null, expected a string"),
    (client(title=True), "Invalid request: invalid type: boolean `true`, expected a string"),
    (client(name=[1]), "Invalid request: invalid type: sequence, expected a string"),
    (
        {"capabilities": 5, "clientInfo": 5},
        "Invalid request: invalid type: integer `5`, expected struct InitializeCapabilities",
    ),
    (
        {**client(), "capabilities": {"experimentalApi": None}},
        "Invalid request: invalid type: null, expected a boolean",
    ),
    (
        {**client(), "capabilities": {"optOutNotificationMethods": {}}},
        "Invalid request: invalid type: map, expected a sequence",
    ),
    (
        {**client(), "capabilities": {"optOutNotificationMethods": [5]}},
        "Invalid request: invalid type: integer `5`, expected a string",
    ),
    ({**client(), "capabilities": {"extensions": []}}, "Invalid request: invalid type: sequence, expected a map"),
    (client(name="a\x7f"), "Invalid clientInfo.name: 'a\x7f'. Must be a valid HTTP header value."),
]
"""Parameters and what 0.169.0 says to them (observed)."""


@pytest.mark.parametrize("params", VALID, ids=str)
def test_the_early_answer_is_the_servers_answer(params: Any) -> None:
    early = _handshake.answered_early(asked(params), HOME)
    assert early is not None
    assert early == (params, of_the_server(asked(params)))


@pytest.mark.parametrize(("params", "message"), INVALID, ids=str)
def test_what_is_not_valid_is_refused_in_the_words_of_codex(params: Any, message: str) -> None:
    assert _handshake.answered_early(asked(params), HOME) is None
    refused = json.loads(of_the_server(asked(params)))
    assert refused["error"] == {"code": -32600, "message": message}


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"[]",
        b"5",
        b'{"id":1,"method":"thread/list","params":{}}',
        b'{"method":"initialize","params":{"clientInfo":{"name":"a","version":"1"}}}',
        b'{"id":null,"method":"initialize","params":{"clientInfo":{"name":"a","version":"1"}}}',
        b'{"id":1.5,"method":"initialize","params":{"clientInfo":{"name":"a","version":"1"}}}',
        b'{"id":true,"method":"initialize","params":{"clientInfo":{"name":"a","version":"1"}}}',
        b'{"id":9223372036854775808,"method":"initialize","params":{"clientInfo":{"name":"a","version":"1"}}}',
        b'{"id":1,"id":2,"method":"initialize","params":{"clientInfo":{"name":"a","version":"1"}}}',
        b'{"id":1,"method":"initialize","params":{"clientInfo":{"name":"a","version":"1"}},"trace":5}',
        b'{"id":1,"method":"initialize","params":{"clientInfo":{"name":"a","version":"1"},"x":NaN}}',
        b'{"id":1,"method":"initialize","params":{"clientInfo":{"name":"\\ud800","version":"1"}}}',
        b'{"id":1,"method":"initialize","params":{"clientInfo":{"name":"a\xff","version":"1"}}}',
        b'\xef\xbb\xbf{"id":1,"method":"initialize","params":{"clientInfo":{"name":"a","version":"1"}}}',
        b'{"id":1,"method":"initialize","params":{"clientInfo":{"name":"a","version":"1"},"x":' + b"[" * 5000,
    ],
)
def test_the_least_doubt_about_a_first_message_is_left_to_the_server(message: bytes) -> None:
    assert _handshake.answered_early(message, HOME) is None


def test_clients_read_a_version_of_codex_and_ours_out_of_the_user_agent() -> None:
    answer = _handshake.answer(client(name="sdk", version="0.1\n2"), HOME)
    assert isinstance(answer, dict)
    assert list(answer) == ["userAgent", "codexHome", "platformFamily", "platformOs"]
    assert answer["codexHome"] == HOME
    name, _, rest = answer["userAgent"].partition("/")
    assert name == "sdk"
    assert tuple(map(int, rest.split()[0].split("."))) >= (0, 151, 0)
    assert rest.endswith(f") threadkeep/{__version__} (sdk; 0.1_2)")


def test_the_answer_is_sent_before_anything_heavy_is_loaded(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "sys.argv = ['threadkeep', '--config', 'a=b', 'app-server', '--listen', 'stdio://']\n"
        "sys.modules['threadkeep.appserver._stdio'] = None\n"  # what comes after the answer
        "from threadkeep.cli import main\n"
        "try:\n    main()\n"
        "except ImportError:\n    print(*sys.modules, sep='\\n', file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        input=initialize(3),
        capture_output=True,
        check=True,
        timeout=WAIT,
        env=environment(tmp_path),
    )
    assert json.loads(done.stdout)["id"] == 3
    loaded = set(done.stderr.decode().split())
    heavy = {"msgspec", "click", "asyncio", "threading", "typing", "sqlite3", "threadkeep.store", "uuid", "logging"}
    assert loaded.isdisjoint(heavy)


def test_what_takes_msgspec_longest_to_load_is_not_loaded_and_can_be_later(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "sys.argv = ['threadkeep', 'app-server']\n"
        "from threadkeep.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "print(*sys.modules, sep='\\n', file=sys.stderr)\n"
        "import typing_extensions\n"
        "print(typing_extensions.TypedDict.__name__, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=initialize(3),
        capture_output=True,
        check=True,
        timeout=WAIT,
        env=environment(tmp_path),
    )
    *loaded, later = done.stderr.decode().split()
    assert "msgspec" in loaded
    assert "typing_extensions" not in loaded
    assert later == "TypedDict"


@pytest.mark.parametrize(
    "arguments",
    [
        ["app-server"],
        ["app-server", "--stdio"],
        ["app-server", "--listen=stdio://"],
        ["--config", 'model="x"', "--config", "a.b=1", "app-server", "--listen", "stdio://"],
        ["-c", "model=x", "app-server", "-c", "a=b=c"],
        ["--home", "{home}", "app-server", "--config=a=b"],
        ["--debug", "app-server"],  # by way of click
    ],
    ids=" ".join,
)
def test_it_is_started_as_clients_start_codex(tmp_path: Path, arguments: list[str]) -> None:
    given = [argument.format(home=tmp_path) for argument in arguments]
    with Process(tmp_path, *given) as served:
        served.write(initialize(1))
        answer = served.answer()
        assert (answer["id"], answer["result"]["codexHome"]) == (1, str(tmp_path))
        assert served.leave() == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-c", "a=b", "--home", "x", "app-server", "--stdio"], ["--home", "x", "app-server", "-c", "a=b", "--stdio"]),
        (["--config=a=b", "--debug", "app-server"], ["--debug", "app-server", "--config=a=b"]),
        (["--home=x", "app-server"], ["--home=x", "app-server"]),
        (["rename", "0199", "app-server"], ["rename", "0199", "app-server"]),
        (["--home", "app-server", "list"], ["--home", "app-server", "list"]),
        (["-c", "app-server"], ["-c", "app-server"]),
    ],
)
def test_settings_may_stand_before_the_command_and_other_commands_keep_their_arguments(
    arguments: list[str], expected: list[str]
) -> None:
    assert _starting.rearranged(arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--config", "nothing", "app-server"], "a setting is KEY=VALUE"),
        (["app-server", "--listen", "tcp://x"], "none of stdio://"),
        (["app-server", "--listen", "ws://localhost:1"], "no IP address and port"),
        (["app-server", "--listen", "ws://0.0.0.0:0"], "is reached from other machines"),
        (["app-server", "--listen", "ws://127.0.0.1:0", "--ws-auth", "capability-token"], "--ws-token-file"),
        (["app-server", "--listen", "ws://127.0.0.1:0", "--ws-token-sha256", "00"], "--ws-auth"),
        (["app-server", "--nope"], "No such option"),
        (["--home", __file__, "app-server"], "is no folder"),
    ],
    ids=str,
)
def test_arguments_that_cannot_be_meant_are_told_on_standard_error(
    tmp_path: Path, arguments: list[str], told: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "threadkeep", *arguments],
        input=initialize(),
        capture_output=True,
        check=False,
        timeout=WAIT,
        env=environment(tmp_path),
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert told in done.stderr.decode()


def test_a_first_message_that_is_no_initialize_is_answered_as_any_other(tmp_path: Path) -> None:
    with Process(tmp_path, "app-server") as served:
        served.write(line(id=1, method="thread/loaded/list", params={}) + b"nonsense\n" + initialize(2))
        assert served.answer()["error"]["message"] == "Not initialized"
        late = served.answer()
        assert late["id"] == 2
        assert served.leave() == 0
    with Process(tmp_path, "app-server") as served:
        served.write(initialize(2))
        assert served.answer() == late
