"""`threadkeep bench peers` on tiny conversations: every library's answers are right, and what is not is said."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from threadkeep.bench import _peers
from threadkeep.bench._bench import Machine
from threadkeep.bench._peers import bench_peers
from threadkeep.bench.peers import _steps
from threadkeep.bench.peers._floor import Floor
from threadkeep.bench.peers._peer import PEERS, Cannot
from threadkeep.bench.peers._report import PeerReport, PeerRow, PeersReport, PeerStep
from threadkeep.bench.peers._steps import STEPS, Work
from threadkeep.bench.peers._threadkeep import Checkpointed
from threadkeep.bench.peers._turns import made_turn
from threadkeep.cli._bench_peers import _NAMES, _show
from threadkeep.cli._session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from threadkeep.bench.peers._peer import Peer
    from threadkeep.bench.peers._report import Outcome
    from threadkeep.bench.peers._turns import Turn

pytestmark = pytest.mark.timeout(600, method="thread")  # the limit of a step is the alarm that pytest-timeout would use

INSTALLED = os.environ.get("THREADKEEP_PEERS")
"""A Python that has the extra `bench`."""

CANNOT = {
    "claude": {"append", "append-each"},
    "pydantic-memory": {"cold", "disk", "per-fork"},
}


def run(*arguments: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    command = [python, "-m", "threadkeep", "bench", "peers", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    """What was measured of every library that is installed."""
    done = run("--turns", "3", "--runs", "1", "--limit", "60", "--json", python=INSTALLED or sys.executable)
    assert done.returncode == 0, done.stdout + done.stderr
    return {peer["name"]: peer for peer in msgspec.json.decode(done.stdout)["peers"]}


@pytest.mark.parametrize("name", list(PEERS))
def test_a_library_answers_what_was_stored(measured: dict[str, Any], name: str) -> None:
    peer = measured[name]
    if peer["skipped"] is not None:
        assert INSTALLED is None, peer["skipped"]
        pytest.skip(f"{peer['skipped']}: THREADKEEP_PEERS names no Python that has it")

    (row,) = peer["rows"]
    assert [step["name"] for step in row["steps"]] == list(STEPS)
    told = {step["name"]: step for step in row["steps"]}
    assert {step for step in told if told[step]["outcome"] == "cannot"} == CANNOT.get(name, set())
    for step in told.values():
        assert step["outcome"] in ("measured", "cannot"), step
        if step["outcome"] == "measured":
            assert step["ms"] or step["bytes"], step
    assert bool(peer["version"]) is bool(PEERS[name].package)
    assert peer["durable"]


def test_a_fork_of_threadkeep_is_small(measured: dict[str, Any]) -> None:
    for name in ("threadkeep", "threadkeep-checkpoint"):
        (per_fork,) = [step for step in measured[name]["rows"][0]["steps"] if step["name"] == "per-fork"]
        assert per_fork["runs"] == 100
        assert 0 < per_fork["bytes"] < 5_000


# What is compared, on made-up libraries


def work(peer: Peer, folder: Path, *, turns: int = 4, limit: float = 20.0, name: str = "floor") -> dict[str, PeerStep]:
    done = Work(peer, PEERS[name], str(folder), turns=turns, runs=1, limit=limit)
    return {step.name: step for step in done.steps()}


class Forgetful(Floor):
    """Loses a message of what it resumes, and of nothing else."""

    def resume(self, fork: str | None = None) -> list[Any]:
        return super().resume(fork)[1:]


class Confused(Floor):
    """Has as many messages as it should, and not those."""

    def resume(self, fork: str | None = None) -> list[Any]:
        return list(reversed(super().resume(fork)))


class Swaps(Floor):
    """Has all messages, two of them in each other's place."""

    def resume(self, fork: str | None = None) -> list[Any]:
        first, second, *others = super().resume(fork)
        return [second, first, *others]


class Garbles(Floor):
    """Loses the end of an output in the middle of what it resumes."""

    def resume(self, fork: str | None = None) -> list[Any]:
        messages = super().resume(fork)
        messages[6]["text"] = messages[6]["text"][:-1]
        return messages


class ForksTooMuch(Floor):
    """Forks at the head wherever it is told to fork."""

    def fork_middle(self) -> str:
        return self.fork_head()


class ForgetsAppends(Floor):
    """Acknowledges what it does not keep."""

    def append(self, turn: Turn) -> None:
        """Not."""


@pytest.mark.parametrize(
    ("library", "step", "why"),
    [
        (Forgetful, "resume", "15 messages, not 16"),
        (Forgetful, "cold", "15 messages, not 16"),
        (Confused, "resume", "message 1 of 16 is 'Answer 3: "),
        (Swaps, "resume", "message 1 of 16 is 'src/module_00000000.py', not 'Question 0: "),
        (Swaps, "fork-middle", "message 1 of 8 is"),
        (Garbles, "resume", "message 7 of 16 is '', not '"),
        (Garbles, "cold", "from character 3,999 on"),
        (Garbles, "append-each", "message 7 of 32 is"),
        (ForksTooMuch, "fork-middle", "32 messages, not 8"),
        (ForgetsAppends, "append", "16 messages, not 24"),
    ],
)
def test_a_wrong_answer_is_told(tmp_path: Path, library: type[Floor], step: str, why: str) -> None:
    told = work(library(str(tmp_path)), tmp_path)

    assert told[step].outcome == "wrong"
    assert why in told[step].why
    assert told["last"].outcome == "measured"


class TurnsPages(Floor):
    """Gives its pages newest first, and says nothing of it."""

    def last_turns(self, count: int) -> list[Any]:
        messages = super().last_turns(count)
        return messages[4:] + messages[:4]


def test_a_page_out_of_order_is_told(tmp_path: Path) -> None:
    told = work(TurnsPages(str(tmp_path)), tmp_path, turns=2)

    assert told["last"].outcome == "wrong"
    assert "message 1 of 8 is '1: " in told["last"].why


def test_making_a_turn_up_is_no_part_of_what_an_append_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def made(number: int) -> Turn:
        done.append("made")
        return made_turn(number)

    class Notes(Floor):
        def append(self, turn: Turn) -> None:
            done.append("appended")
            super().append(turn)

    monkeypatch.setattr(_steps, "made_turn", made)
    work(Notes(str(tmp_path)), tmp_path, turns=1)

    assert done == ["made", *["made"] * 2, *["appended"] * 2, *["made"] * 2]  # the last two are appended one by one


def test_right_answers_are_not_called_wrong(tmp_path: Path) -> None:
    assert {step.outcome for step in work(Floor(str(tmp_path)), tmp_path).values()} == {"measured"}


@pytest.mark.parametrize("turns", [1, 20, 21, 39, 45])
def test_a_context_that_begins_with_a_checkpoint_is_known_for_what_it_is(tmp_path: Path, turns: int) -> None:
    told = work(Checkpointed(str(tmp_path)), tmp_path, turns=turns, name="threadkeep-checkpoint")

    assert told.pop("fork-middle").outcome == ("measured" if turns > 1 else "cannot")
    assert {step.outcome for step in told.values()} == {"measured"}


class Slow(Floor):
    """Takes its time to fork, and to append a second turn, which it keeps at once."""

    appended = 0

    def fork_middle(self) -> str:
        time.sleep(600)
        raise AssertionError

    def append(self, turn: Turn) -> None:
        super().append(turn)
        self.appended += 1
        if self.appended > 1:
            time.sleep(600)


def test_a_step_that_takes_too_long_is_stopped_and_the_others_go_on(tmp_path: Path) -> None:
    told = work(Slow(str(tmp_path)), tmp_path, limit=1.0)

    assert (told["fork-middle"].outcome, told["fork-middle"].ms) == ("stopped", None)
    assert "in 1 s" in told["fork-middle"].why
    assert (told["append"].outcome, told["append"].runs) == ("measured", 1)  # the first time it was done
    assert told["append"].why == "stopped after 1 of 1 runs, the last answer not compared"
    # What is stored after an append that was stopped is not known: nobody is called wrong for it.
    assert {told[name].outcome for name in ("append-each", "fork-head", "per-fork")} == {"measured"}


class Deaf(Floor):
    """Makes an error of its own of whatever stops it in the middle of an append."""

    def append_each(self, turn: Turn) -> None:
        self.append(turn)
        try:
            time.sleep(30)
        except BaseException:  # noqa: BLE001
            raise ValueError("a hook failed") from None


def test_a_step_that_was_stopped_is_no_failure_whatever_the_library_makes_of_it(tmp_path: Path) -> None:
    told = work(Deaf(str(tmp_path)), tmp_path, limit=1.0)

    assert told["append-each"].outcome == "stopped"
    assert told["fork-head"].outcome == "measured"


class HalfAppends(Floor):
    """Fails when half of a turn is kept."""

    def append_each(self, turn: Turn) -> None:
        self.append(turn)
        raise OSError("half of it")


def test_nobody_is_called_wrong_for_what_a_failed_append_left_behind(tmp_path: Path) -> None:
    told = work(HalfAppends(str(tmp_path)), tmp_path)

    assert (told["append-each"].outcome, told["append-each"].why) == ("failed", "OSError: half of it")
    assert told["fork-head"].outcome == "measured"


class Broken(Floor):
    """Can do less than the others."""

    def last_turns(self, count: int) -> list[Any]:
        raise Cannot("it has no pages")

    def fork_head(self) -> str:
        raise RuntimeError("no luck")


def test_what_a_library_cannot_do_and_what_fails_are_told_apart(tmp_path: Path) -> None:
    told = work(Broken(str(tmp_path)), tmp_path)

    assert (told["last"].outcome, told["last"].why) == ("cannot", "it has no pages")
    assert (told["fork-head"].outcome, told["fork-head"].why) == ("failed", "RuntimeError: no luck")
    assert told["fork-middle"].outcome == "measured"


# The processes


def with_module(tmp_path: Path, *lines: str) -> dict[str, str]:
    """An environment in which one of LangGraph's modules is this."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "langchain_core.py").write_text("\n".join(lines))
    return {**os.environ, "PYTHONPATH": str(tmp_path / "modules")}


def measured_with(environment: dict[str, str], tmp_path: Path, limit: float = 10.0) -> PeerReport:
    folder = tmp_path / "work"
    folder.mkdir()
    report = bench_peers(str(folder), turns=[2, 3], runs=1, limit=limit, names=["langgraph"], environment=environment)
    assert list(folder.iterdir()) == []
    return report.peers[0]


def test_a_library_that_is_not_installed_is_left_out(tmp_path: Path) -> None:
    environment = with_module(tmp_path, "raise ModuleNotFoundError('no', name='langchain_core')")
    peer = measured_with(environment, tmp_path)

    assert peer.skipped == "langchain_core is not installed"
    assert peer.rows == []


def test_a_process_that_dies_is_told_with_its_last_words(tmp_path: Path) -> None:
    environment = with_module(
        tmp_path, "import os, sys", "print('so long', file=sys.stderr, flush=True)", "os._exit(3)"
    )
    peer = measured_with(environment, tmp_path)

    assert [(step.name, step.outcome, step.why) for step in peer.rows[0].steps] == [
        ("prepare", "failed", "the process ended with 3: so long")
    ]
    assert len(peer.rows) == 2


def test_a_process_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_peers, "_GRACE_SECONDS", 0.2)
    peer = measured_with(with_module(tmp_path, "import time", "time.sleep(600)"), tmp_path, limit=0.3)

    assert [(step.name, step.outcome) for step in peer.rows[0].steps] == [("prepare", "stopped")]
    assert "could not be stopped after 0.5 s" in peer.rows[0].steps[0].why


# The command


def test_people_read_a_table_that_markdown_reads_too() -> None:
    done = run("--only", "threadkeep,floor", "--turns", "2,3", "--runs", "1")
    assert done.returncode == 0, done.stderr

    table = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert len(table) == 4
    assert len({line.count("|") for line in table}) == 1
    assert [line.split("|")[1].strip() for line in table[2:]] == ["threadkeep", "floor"]
    assert "fdatasync" in done.stdout


def shown(peers: Sequence[PeerReport], capsysbinary: Any) -> str:
    report = PeersReport(Machine("s", "p", 2, "y", "t", "m"), 5_800, 60.0, 3, list(peers))
    _show(Session(), report)
    return str(capsysbinary.readouterr().out.decode())


def test_people_are_told_what_was_not_measured_and_why(capsysbinary: Any) -> None:
    steps = [
        PeerStep("prepare", ms=1.0, runs=1),
        PeerStep("resume", "wrong", ms=1.0, runs=1, why="3 messages, not 4"),
        PeerStep("append", "cannot", why="nobody knows how"),
        PeerStep("fork-head", "stopped", why="not done once in 60 s"),
        PeerStep("disk", bytes=1_234),
        PeerStep("last", "failed", why="no luck"),
    ]
    late = [PeerStep("prepare", "stopped", why="not done once in 60 s")]
    peers = [
        PeerReport("x", "Library", "1.2", "somehow", "no", None, [PeerRow(10, steps), PeerRow(1_000, late)]),
        PeerReport("y", "Other", "", "somehow", "", "y is not installed", []),
    ]
    said = shown(peers, capsysbinary)

    row = next(line for line in said.splitlines() if line.startswith("| Library"))
    cells = [cell.strip() for cell in row.split("|")]
    assert "WRONG / -" in cells
    assert "> 60 s / -" in cells
    assert "1.2 kB / -" in cells
    assert "Append: nobody knows how (at 10)." in said
    assert "Preparing it: not done once in 60 s (at 1,000)." in said
    assert "WRONG: Library, 10 turns, resume: 3 messages, not 4" in said
    assert "FAILED: Library, 10 turns, last: no luck" in said
    assert "failed / -" in cells
    assert cells.count("- / -") == 0  # what was not reached is no failure: one dash for all lengths
    assert "Other: left out: y is not installed." in said
    assert "pip install 'threadkeep[bench]'" in said


@pytest.mark.parametrize("arguments", [[], ["--json"]])
@pytest.mark.parametrize(
    ("outcome", "code"), [("measured", 0), ("cannot", 0), ("stopped", 0), ("wrong", 1), ("failed", 1), (None, 0)]
)
def test_a_wrong_answer_or_a_failed_step_fails_the_command_when_all_is_told(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: Any, outcome: Outcome | None, code: int, arguments: list[str]
) -> None:
    rows = [PeerRow(1, [PeerStep("prepare"), PeerStep("resume", outcome, why="so it is")])] if outcome else []
    peer = PeerReport("x", "X", "1", "", "no", None if outcome else "x is not installed", rows)
    report = PeersReport(Machine("s", "p", 2, "y", "t", "m"), 5_800, 60.0, 3, [peer])
    monkeypatch.setattr(_peers, "bench_peers", lambda *_, **__: report)
    from threadkeep.cli._main import cli

    with pytest.raises(SystemExit) as ended:
        cli.main(["bench", "peers", *arguments])
    assert ended.value.code == code
    said = capsysbinary.readouterr().out
    if arguments:
        assert msgspec.json.decode(said)["peers"][0]["name"] == "x"
    else:
        assert ("FAILED: X, 1 turns, resume: so it is" in said.decode()) is (outcome == "failed")


@pytest.mark.parametrize(
    "wrong", [("--turns", "0"), ("--turns", "many"), ("--only", "nobody"), ("--limit", "0"), ("--runs", "0")]
)
def test_what_cannot_be_measured_is_refused(wrong: tuple[str, str]) -> None:
    assert run(*wrong).returncode == 2


def test_the_command_knows_every_library() -> None:
    assert tuple(PEERS) == _NAMES
