"""``threadkeep bench``: each benchmark has options of its own, and none is loaded before it is called."""

from __future__ import annotations

import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from threadkeep.cli._bench import BENCHMARKS, bench
from threadkeep.cli._commands import Commands
from threadkeep.cli._main import cli

OPTIONS = {
    "": {"--sizes", "--modes", "--runs", "--home", "--svg", "--json"},
    "app-server": {"--sizes", "--modes", "--runs", "--home", "--codex", "--parts", "--json"},
    "codex": {
        "--homes",
        "--sizes",
        "--modes",
        "--threads",
        "--forks",
        "--home",
        "--thread",
        "--runs",
        "--seed",
        "--keep",
        "--codex",
        "--svg",
        "--json",
    },
}


def test_the_help_loads_no_benchmark() -> None:
    modules = [f"threadkeep.cli.{place.module}" for place in BENCHMARKS.values()]
    code = (
        "import sys\nsys.argv = ['threadkeep', 'bench', '--help']\n"
        "from threadkeep.cli import main\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print(*[name for name in {[*modules, 'msgspec', 'threadkeep.bench']!r} if name in sys.modules], "
        "file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr.split() == []
    assert all(name in done.stdout for name in BENCHMARKS)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_does_what_the_list_says_and_has_an_example(name: str) -> None:
    assert isinstance(bench, Commands)
    command = bench.get_command(click.Context(bench), name)
    assert command is not None
    assert command.help is not None
    assert command.name == name
    assert command.help.splitlines()[0] == BENCHMARKS[name].does
    shown = CliRunner().invoke(cli, ["bench", name, "--help"]).stdout
    assert f"threadkeep bench {name}" in shown.partition("Example:")[2]


@pytest.mark.parametrize("name", OPTIONS)
def test_every_benchmark_has_its_own_options_alone(name: str) -> None:
    shown = CliRunner().invoke(cli, ["bench", *name.split(), "--help"]).stdout
    assert set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", shown, re.MULTILINE)) - {"--help"} == OPTIONS[name]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--sizes", "1", "codex"], "options of threadkeep bench codex stand behind its name"),
        (["--svg", "x.svg", "app-server"], "options of threadkeep bench app-server stand behind its name"),
        (["other"], "No such command 'other'"),
        (["codex", "--homes", "other"], "no list of late, early, none"),
        (["codex", "--sizes", "big"], "no list of megabytes"),
        (["codex", "--runs", "0"], "--runs"),
        (["codex", "--parts", "calls"], "--parts"),
        (["codex", "--home", "/tmp"], "--home goes with --thread"),
        (["codex", "--homes", "forks", "--svg", "x.svg"], "not among those that are measured"),
        (["codex", "--svg", "/nowhere/x.svg"], "no folder for /nowhere/x.svg"),
        (["codex", "--codex", "/nowhere/codex"], "is no program"),
        (["app-server", "--svg", "x.svg"], "--svg"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is(args: list[str], told: str) -> None:
    ran = CliRunner().invoke(cli, ["bench", *args])
    assert ran.exit_code == 2
    assert told in ran.stderr
    assert ran.stdout == ""


def test_a_thread_that_the_home_has_not_is_not_found(tmp_path: object) -> None:
    ran = CliRunner().invoke(cli, ["bench", "codex", "--home", str(tmp_path), "--thread", "0199", "--runs", "1"])
    assert ran.exit_code == 3
    assert "begins with 0199" in ran.stderr
