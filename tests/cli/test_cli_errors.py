"""What went wrong is told in one line, with the place, and with an exit code that a script can use."""

from __future__ import annotations

import inspect
import random
from typing import TYPE_CHECKING

import pytest
from tests.cli.conftest import ROLLOUTS, copied

from threadkeep import errors
from threadkeep.cli._errors import EXIT_CODES, exit_code
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Home

CODES = {
    errors.InvalidRequest: 2,
    errors.ThreadNotFound: 3,
    errors.TurnNotFound: 3,
    errors.AmbiguousId: 2,
    errors.InvalidCursor: 2,
    errors.InvalidForkPoint: 2,
    errors.InvalidRecord: 2,
    errors.Unsupported: 2,
    errors.CorruptHistory: 5,
    errors.UnreadableRollout: 5,
    errors.BrokenLineage: 5,
    errors.Conflict: 4,
    errors.RolloutReplaced: 4,
    errors.ThreadBusy: 4,
    errors.LeaseLost: 4,
    errors.AmbiguousRollout: 4,
    errors.CodexOwned: 4,
    errors.StillInherited: 4,
    errors.StorageFailure: 6,
    errors.DurabilityUnknown: 6,
    PermissionError: 6,
    KeyboardInterrupt: 130,
    ZeroDivisionError: 70,
    RecursionError: 70,
    MemoryError: 70,
}


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let every resume fail so."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(ThreadStore, "resume", fail)


@pytest.mark.parametrize(("kind", "code"), CODES.items(), ids=lambda value: getattr(value, "__name__", None))
def test_each_kind_of_error_has_its_exit_code(
    home: Home, monkeypatch: pytest.MonkeyPatch, kind: type[BaseException], code: int
) -> None:
    failing(monkeypatch, kind("what went wrong"))
    told = home("context", "0123", "--json")
    assert (told.code, told.out) == (code, "")
    assert told.error["type"] == kind.__name__
    assert told.error["exitCode"] == code
    assert code in EXIT_CODES


def test_no_kind_of_error_is_without_one() -> None:
    kinds = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)}
    assert kinds - {errors.ThreadkeepError} == {kind for kind in CODES if issubclass(kind, errors.ThreadkeepError)}
    assert all(exit_code(kind("x")) != 70 for kind in kinds - {errors.ThreadkeepError})


def test_the_place_is_told_for_people_and_for_scripts(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, errors.BrokenLineage("an ancestor is gone", thread="T", rollout="R", path="/f", offset=7))
    assert home("context", "0123").err == "threadkeep: an ancestor is gone (thread T, rollout R, file /f, byte 7)\n"
    assert home("context", "0123", "--json").error == {
        "type": "BrokenLineage",
        "message": "an ancestor is gone",
        "exitCode": 5,
        "thread": "T",
        "rollout": "R",
        "file": "/f",
        "byte": 7,
    }


def test_what_an_error_alone_knows_is_told_in_json(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, errors.ThreadBusy("held", thread="T", pid=12, since="2026-11-22T00:00:00Z", program="codex"))
    error = home("context", "0123", "--json").error
    assert {name: error[name] for name in ("pid", "since", "program")} == {
        "pid": 12,
        "since": "2026-11-22T00:00:00Z",
        "program": "codex",
    }
    failing(monkeypatch, errors.DurabilityUnknown("flush", durable_end=5, standing_end=None))
    assert home("context", "0123", "--json").error["durableEnd"] == 5


def test_an_unexpected_error_is_one_line_unless_debugging(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, ValueError("odd \x1b[31m\nthing"))
    told = home("context", "0123")
    assert told.err.count("\n") == 1
    assert "unexpected ValueError" in told.err
    assert "\x1b" not in told.err


@pytest.mark.parametrize("how", ["option", "variable"])
def test_debug_shows_where_it_came_from(home: Home, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    failing(monkeypatch, ValueError("odd \x1b[31m thing"))
    if how == "variable":
        monkeypatch.setenv("THREADKEEP_DEBUG", "1")
    args = ["--debug"] if how == "option" else []
    with pytest.raises(AssertionError, match="Traceback"):
        home(*args, "context", "0123")


@pytest.mark.parametrize(
    "args", [("nonsense",), ("list", "--nonsense"), ("show",), ("turns", "x", "--limit", "many"), ("verify",)]
)
def test_a_command_that_is_misspelt_is_told_in_json_too(home: Home, args: tuple[str, ...]) -> None:
    told = home(*args, "--json")
    assert told.code == told.error["exitCode"] == 2
    assert home(*args).err.startswith("threadkeep: ")
    assert home(*args).err.endswith("--help'.\n")


def test_what_was_typed_cannot_steer_the_terminal(home: Home) -> None:
    for args in (("\x1b[31m",), ("list", "--\x1b[31m"), ("show", "\x1b[31m")):
        told = home(*args)
        assert told.code == 2
        assert "\x1b" not in told.err


def test_ids_that_are_none_unknown_or_ambiguous(home: Home) -> None:
    one, two = home.thread("one"), home.thread("two")
    assert home("show", "xyz").code == 2
    assert home("show", "00000000-0000-7000-8000-000000000000").code == 3
    ambiguous = home("show", one[:8], "--json")
    assert ambiguous.code == 2
    assert set(ambiguous.error["matches"]) == {one, two}


def test_a_thread_that_somebody_writes_to_is_busy(home: Home) -> None:
    thread = home.thread("hello")
    with home.store() as store, store.writer(thread):
        refused = home("rename", thread, "x", "--json")
    assert refused.code == 4
    assert refused.error["type"] == "ThreadBusy"


def test_a_child_whose_parent_was_changed_is_not_shown_made_up(home: Home) -> None:
    parent = home.thread("one", "two")
    child = home("fork", parent).out.strip()
    for rollout in home.path.rglob("*"):
        if rollout.is_file() and child not in rollout.name and rollout.suffix in (".jsonl", ".pin", ""):
            data = rollout.read_bytes()
            if b"answer to two" in data:
                rollout.write_bytes(data.replace(b"answer to two", b"answer to too"))
    told = home("context", child, "--json")
    assert told.code == 5
    assert told.error["type"] == "BrokenLineage"


@pytest.mark.parametrize("command", ["list", "tree", "du"])
def test_a_home_that_is_a_file_is_refused(home: Home, command: str) -> None:
    home.path.write_text("no folder")
    told = home(command)
    assert told.code == 2
    assert told.err.startswith(f"threadkeep: {home.path} is no folder\n")


COMMANDS_ON_A_THREAD = ("show", "turns", "context", "resume", "verify", "tree", "fork", "materialize", "archive")
COMMANDS_ON_A_HOME = (
    ("list",),
    ("list", "--json"),
    ("list", "--sort", "created", "--all"),
    ("resume", "--last"),
    ("tree",),
    ("du",),
    ("verify", "--all"),
    ("doctor",),
    ("doctor", "--fix"),
    ("materialize", "--all"),
)


def damaged(path: Path, chance: random.Random) -> None:
    """Overwrite, cut, or fill a file with bytes that mean nothing."""
    data = bytearray(path.read_bytes())
    kind = chance.randrange(4)
    if kind == 0:
        data = bytearray(chance.randbytes(chance.randrange(2_000)))
    elif kind == 1:
        del data[chance.randrange(len(data) + 1) :]
    else:
        for _ in range(chance.randrange(1, 40)):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("scenario", ["0.169.0/fork-paginated", "0.125.0/archived", "0.169.0/turns-legacy"])
def test_a_damaged_home_never_shows_a_traceback(tmp_path: Path, scenario: str, seed: int) -> None:
    home = copied(scenario, tmp_path)
    chance = random.Random(f"{scenario}{seed}")
    home("list")  # so that there is a catalog to be damaged
    files = sorted(path for path in home.path.rglob("*") if path.is_file())
    for path in files:
        if chance.random() < 0.7:
            damaged(path, chance)
    threads = {path.name[-42:-6] for path in home.rollouts()}
    calls = [*COMMANDS_ON_A_HOME, *((name, thread) for thread in threads for name in COMMANDS_ON_A_THREAD)]
    for args in calls:
        told = home(*args)  # the call itself asserts that no traceback came out
        assert told.code in (0, 1, 2, 3, 4, 5, 6), f"{args}: {told.err}"


def test_every_recorded_home_can_be_looked_at(tmp_path: Path) -> None:
    for scenario in sorted(path.relative_to(ROLLOUTS) for path in ROLLOUTS.glob("*/*") if path.is_dir()):
        home = copied(str(scenario), tmp_path)
        for thread in home("list", "--all", "--json").json["data"]:
            assert home("show", thread["id"]).code == 0
            assert home("resume", thread["id"]).code == 0
