"""Homes to work on, and a way to run commands on them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from threadkeep.cli._main import cli
from threadkeep.store import ThreadStore

ROLLOUTS = Path(__file__).parents[1] / "fixtures" / "rollouts"

THREAD_KEYS = set(
    "id rolloutId mode name preview archived createdMs updatedMs model effort modelProvider cwd git source "
    "threadSource originator cliVersion sessionId forkedFromId parentThreadId agentNickname agentRole memoryMode usage "
    "base size location compressed ephemeral counts problem".split()
)
"""The members of a thread in JSON."""


class Ran(msgspec.Struct):
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> Any:
        return json.loads(self.err)["error"]


class Home:
    """A home, and ``threadkeep`` run on it inside this process."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, *args: str, stdin: str | bytes | None = None, environ: dict[str, str] | None = None) -> Ran:
        ran = CliRunner(env=environ).invoke(cli, ["--home", str(self.path), *args], input=stdin, prog_name="threadkeep")
        assert isinstance(ran.exception, SystemExit | None), f"a traceback reached the user: {ran.exception!r}"
        assert "Traceback" not in ran.stderr
        return Ran(ran.exit_code, ran.stdout, ran.stderr)

    def store(self) -> ThreadStore:
        return ThreadStore.open(self.path)

    def thread(self, *turns: str, cwd: str = "/work", name: str | None = None) -> str:
        """A new thread in which these things were said."""
        with self.store() as store, store.create(cwd=cwd) as writer:
            for text in turns:
                with writer.turn(text, model="m1", cwd=cwd) as turn:
                    turn.say(f"answer to {text}")
            if name is not None:
                writer.close()
                store.rename(writer.thread_id, name)
            return writer.thread_id

    def turn_ids(self, thread: str) -> list[str]:
        """Ids of a thread's turns, oldest first."""
        with self.store() as store:
            return [turn["id"] for turn in store.turns(thread, descending=False).data]

    def rollouts(self) -> list[Path]:
        return sorted(self.path.rglob("rollout-*.jsonl"))


@pytest.fixture(autouse=True)
def _no_other_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the homes of whoever runs it."""
    for name in ("THREADKEEP_HOME", "CODEX_HOME", "XDG_DATA_HOME", "THREADKEEP_DEBUG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home."""
    return Home(tmp_path / "home")


@pytest.fixture
def recorded(tmp_path: Path) -> Home:
    """A home with one paginated thread of six turns, as Codex wrote it."""
    return copied("0.169.0/turns-paginated", tmp_path)


def copied(scenario: str, tmp_path: Path) -> Home:
    """A copy of a recorded home."""
    path = tmp_path / scenario.replace("/", "-")
    shutil.copytree(ROLLOUTS / scenario, path)
    return Home(path)
