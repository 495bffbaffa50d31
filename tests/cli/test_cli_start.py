"""The command line starts fast, lists its commands without loading them, and says which version it is."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from threadkeep import _version
from threadkeep.cli import _starting
from threadkeep.cli._main import COMMANDS, cli

HEAVY = ("msgspec", "sqlite3", "threadkeep.store", "threadkeep.records", "threadkeep.backends", "asyncio", "json")


def loaded_by(*args: str) -> set[str]:
    """The modules that a process of the command line loads."""
    code = (
        "import sys\n"
        f"sys.argv = ['threadkeep', *{args!r}]\n"
        "from threadkeep.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout
    return set(done.stderr.split())


@pytest.mark.parametrize("args", [("--help",), ("--version",), ("list", "--help"), ("verify", "--help")])
def test_help_loads_nothing_heavy(args: tuple[str, ...]) -> None:
    assert loaded_by(*args).isdisjoint(HEAVY)


def test_the_help_loads_no_command() -> None:
    commands = {f"threadkeep.cli.{place.module}" for place in COMMANDS.values()}
    assert loaded_by("--help").isdisjoint(commands)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_does_what_the_list_of_commands_says(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.help is not None
    assert command.name == name
    assert command.help.splitlines()[0] == COMMANDS[name].does


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_and_answers_in_json(name: str) -> None:
    shown = CliRunner().invoke(cli, [name, "--help"])
    assert shown.exit_code == 0
    assert "Example:" in shown.stdout
    assert f"threadkeep {name}" in shown.stdout.partition("Example:")[2]
    assert ("--json" in shown.stdout) == (name != "app-server"), "a server answers its clients, not its caller"


def test_version() -> None:
    shown = CliRunner().invoke(cli, ["--version"], prog_name="threadkeep")
    assert (shown.exit_code, shown.stdout) == (0, f"threadkeep {_version.__version__}\n")


def test_python_m_threadkeep_is_the_same_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "threadkeep", "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == f"threadkeep {_version.__version__}\n"


def test_without_a_command_the_help_is_shown_and_the_exit_code_says_that_nothing_was_done() -> None:
    shown = CliRunner().invoke(cli, [])
    assert shown.exit_code == 2
    assert "Commands:" in shown.stderr


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ("app-server", []),
        ("app-server --stdio", []),
        ("app-server --listen stdio:// -c a=b", [("a", "b")]),
        ("-c a=b --config=c=d app-server --listen=stdio:// --config e=f=g", [("a", "b"), ("c", "d"), ("e", "f=g")]),
    ],
)
def test_what_clients_start_the_server_with_is_read_without_click(
    arguments: str, given: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THREADKEEP_HOME", "/nowhere")
    assert _starting.plain(arguments.split()) == ("/nowhere", given)
    assert _starting.plain(["--home", "/elsewhere", *arguments.split()]) == ("/elsewhere", given)


@pytest.mark.parametrize(
    "arguments",
    [
        "app-server --home /nowhere",
        "app-server app-server",
        "-c=a=b app-server",
        "app-server -c=a=b",
        "app-server -c",
        "app-server --listen",
        "app-server --stdio=yes",
        "--stdio app-server",
        "--listen stdio:// app-server",
        "--home= app-server",
        "--debug app-server",
        "app-server -- --stdio",
        "app-server --help",
        "list app-server",
        "",
    ],
)
def test_every_other_way_to_start_the_server_is_left_to_click(arguments: str) -> None:
    assert _starting.plain(arguments.split()) is None
