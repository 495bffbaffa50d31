"""`threadkeep bench codex` on tiny threads: what it says, that it measures what it says, and that it checks answers."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import msgspec
import pytest
from tests.codex.binary import find_codex

from threadkeep.bench import _appserver_process, _codex
from threadkeep.bench._bench import Machine
from threadkeep.bench._codex import bench_codex
from threadkeep.bench._codex_checks import Asked, Seen, differences, mistakes
from threadkeep.bench._codex_homes import DEFAULT_HOMES, HOMES, Choice, plans
from threadkeep.bench._codex_own import copied_lineage
from threadkeep.bench._codex_report import CodexReport, CodexRow, CodexSide, FailedCheck
from threadkeep.bench._codex_scenarios import SCENARIOS, play
from threadkeep.bench._copy import copy_file
from threadkeep.bench._generate import Recipe
from threadkeep.bench._home import made_home
from threadkeep.bench._home_many import made_many
from threadkeep.bench._spread import Spread
from threadkeep.bench._svg import drawn_codex
from threadkeep.cli._bench_codex import _DEFAULT_HOMES, _HOMES, _show
from threadkeep.cli._session import Session
from threadkeep.errors import ThreadNotFound
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from threadkeep.bench._appserver_places import Place

KB = 1_000
TINY = Choice(homes=("late",), sizes=[100 * KB], modes=["paginated"])


def quiet(_what: str) -> None:
    """Nobody wants to know."""


def stand_in(folder: Path, filtered: str = "") -> str:
    """A program in the place of Codex: another of threadkeep's servers, what it says changed by a script of sed."""
    path = folder / "codex"
    serve = f'{sys.executable} -m threadkeep "$@"'
    path.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && { echo other 1.2; exit; }\n'
        + (f"{serve} | sed -u '{filtered}'\n" if filtered else f"exec {serve}\n")
    )
    path.chmod(0o755)
    return str(path)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name != "THREADKEEP_CODEX"}
    command = [sys.executable, "-m", "threadkeep", "bench", "codex", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=110, check=False, env={**kept, "PATH": "/bin:/usr/bin"}
    )


def state_of(folder: Path) -> dict[str, tuple[bytes, int, int, int]]:
    """Every file below a folder: its bytes, the time of its last change, its inode, its names."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), facts.st_mtime_ns, facts.st_ino, facts.st_nlink)
        for path in folder.rglob("*")
        if path.is_file() and (facts := path.stat())
    }


@pytest.fixture(autouse=True, scope="module")
def _soon_idle() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_appserver_process, "_IDLE_SECONDS", 0.05)
        yield


# Against another server


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> CodexReport:
    folder = tmp_path_factory.mktemp("bench")
    choice = Choice(homes=("late",), sizes=[100 * KB], modes=["legacy"], seed=7)
    return bench_codex(str(folder / "homes"), codex=stand_in(folder), choice=choice, runs=1)


def test_every_scenario_is_measured_on_both_servers(report: CodexReport) -> None:
    assert (report.codex, report.seed, report.skipped) == ("other 1.2", 7, [])
    assert [row.scenario for row in report.rows] == list(SCENARIOS)
    for row in report.rows:
        assert (row.home, row.mode, row.pairs) == ("late", "legacy", 1)
        for side in (row.threadkeep, row.codex):
            assert side is not None
            assert side.refused is None
            assert 0 < side.action.low <= side.action.median <= side.action.high < side.total.high
        assert row.ratio is not None
        assert row.ratio_action is not None
        assert row.ratio.low <= row.ratio.median <= row.ratio.high


def test_equal_answers_are_no_failed_checks(report: CodexReport) -> None:
    assert (report.checked, report.failed) == (len(SCENARIOS), [])


def test_what_is_written_is_counted(report: CodexReport) -> None:
    forked = next(row for row in report.rows if row.scenario == "fork ID")

    assert 20_000 < forked.threadkeep.written < forked.size  # its first record has the instructions; nothing is copied


def test_an_answer_that_differs_is_told_with_its_seed_and_its_home_stays(tmp_path: Path) -> None:
    other = stand_in(tmp_path, 's/"preview":"/"preview":"not /')
    sizes = ("--sizes", "0.1", "--modes", "paginated", "--homes", "late", "--runs", "1", "--seed", "5")
    done = run(*sizes, "--codex", other, "--keep", str(tmp_path / "kept"))

    assert done.returncode == 1
    assert "wrong: 5." in done.stdout
    assert "resume ID, pair 1, seed 5: the answer, result, thread, preview: threadkeep" in done.stdout
    (line,) = {line.strip() for line in done.stdout.splitlines() if "the home stands in" in line}
    assert os.path.isdir(os.path.join(line.rsplit(" ", 1)[1], "sessions"))


def test_what_codex_refuses_is_told_and_compared_with_nothing(tmp_path: Path) -> None:
    refusal = r's/^{"id":3,"result".*/{"id":3,"error":{"code":-32600,"message":"not today"}}/'
    report = bench_codex(str(tmp_path / "homes"), codex=stand_in(tmp_path, refusal), choice=TINY, runs=1)

    resumed = next(row for row in report.rows if row.scenario == "resume ID")
    assert resumed.codex is not None
    assert resumed.codex.refused == "not today"
    assert resumed.ratio is None
    assert report.failed == []


def test_an_answer_of_codex_that_cannot_be_read_is_a_wrong_one_and_the_run_goes_on(tmp_path: Path) -> None:
    other = stand_in(tmp_path, r's/^{"id":3,"result".*/{"id":3,"result":{}}/')
    sizes = ("--sizes", "0.1", "--modes", "paginated", "--homes", "late", "--runs", "1", "--json")
    done = run(*sizes, "--codex", other, "--keep", str(tmp_path / "kept"))

    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    told = msgspec.json.decode(done.stdout)
    assert [row["scenario"] for row in told["rows"]] == list(SCENARIOS)
    assert [each["scenario"] for each in told["failed"]] == [name for name in SCENARIOS if name != "new"]
    assert all("Codex gave an answer that cannot be read: " in each["what"] for each in told["failed"])


def test_a_list_of_codex_that_cannot_be_read_is_a_wrong_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = stand_in(tmp_path, r's/^{"id":2,"result":{"data".*/{"id":2,"result":[]}/')
    monkeypatch.setattr(_codex, "SCENARIOS", {"resume --last": SCENARIOS["resume --last"]})
    report = bench_codex(str(tmp_path / "homes"), codex=other, choice=TINY, runs=1)

    assert [each.what for each in report.failed] == ["the thread that was looked up: only threadkeep gave it"]


def test_what_threadkeep_alone_refuses_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    played = play

    def refused(*args: Any) -> Any:
        done = played(*args)
        return done._replace(answer=done.answer._replace(error="no")) if args[1] is SCENARIOS["new"] else done

    monkeypatch.setattr(_codex, "play", refused)
    report = bench_codex(str(tmp_path / "homes"), codex=None, choice=TINY, runs=1)

    assert [(each.scenario, each.what) for each in report.failed] == [("new", "refused: no")]


def test_who_comes_first_changes_with_every_pair(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran: list[str] = []
    measured = _codex._run

    def noted(place: Place, asked: Asked, *, weighed: bool) -> Any:
        ran.append(place.server.name)
        return measured(place, asked, weighed=weighed)

    monkeypatch.setattr(_codex, "_run", noted)
    monkeypatch.setattr(_codex, "SCENARIOS", {"new": SCENARIOS["new"]})
    bench_codex(str(tmp_path / "homes"), codex=stand_in(tmp_path), choice=TINY, runs=3)

    assert ran == ["threadkeep", "codex", "codex", "threadkeep", "threadkeep", "codex"]


def test_every_run_begins_with_the_home_as_it_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    states: list[dict[str, bytes]] = []
    measured = _codex._run

    def noted(place: Place, asked: Asked, *, weighed: bool) -> Any:
        (home,) = tmp_path.glob("homes/servers-*/home")
        states.append({name: seen[0] for name, seen in state_of(home).items()})
        return measured(place, asked, weighed=weighed)

    monkeypatch.setattr(_codex, "_run", noted)
    monkeypatch.setattr(_codex, "SCENARIOS", {name: SCENARIOS[name] for name in ("fork --last", "new")})
    bench_codex(str(tmp_path / "homes"), codex=None, choice=TINY, runs=2)

    assert len(states) == 4
    assert all(state == states[0] for state in states)


def test_without_codex_it_says_so_and_measures_threadkeep() -> None:
    done = run("--sizes", "0.1", "--modes", "paginated", "--homes", "late", "--runs", "1", "--json")

    assert done.returncode == 0, done.stderr
    told = msgspec.json.decode(done.stdout)
    assert told["codex"] is None
    assert "not installed" in told["skipped"][0]
    assert told["checked"] == len(SCENARIOS)
    assert all(row["codex"] is None for row in told["rows"])


# The real Codex


@pytest.mark.codex
@pytest.mark.slow
def test_homes_of_every_kind_are_served_as_codex_serves_them(tmp_path: Path) -> None:
    choice = Choice(homes=["late", "rollbacks", "forks"], sizes=[60 * KB], forks=3)
    report = bench_codex(str(tmp_path), codex=str(find_codex()), choice=choice, runs=1)

    assert report.codex is not None
    assert report.codex.startswith("codex-cli ")
    homes = [("late", "paginated"), ("late", "legacy"), ("rollbacks", "legacy"), ("forks", "paginated")]
    assert [(row.home, row.mode, row.scenario) for row in report.rows] == [
        (*home, n) for home in homes for n in SCENARIOS
    ]
    assert report.failed == []
    for row in report.rows:
        assert row.codex is not None
        assert row.codex.refused is None
        assert row.ratio is not None


# What is checked

THREAD = "0199c82c-c001-7103-8386-bbc4cd613e30"
FORK = "0199c82c-c001-7103-8386-bbc4cd613e31"


def asked(name: str, *, legacy: bool = False, inherits: bool = False) -> Asked:
    return Asked(SCENARIOS[name], THREAD, legacy, inherits, "/work")


def answer(**changed: Any) -> bytes:
    thread = {
        "id": THREAD,
        "cwd": "/work",
        "forkedFromId": None,
        "preview": "hello",
        "path": "/a",
        "updatedAt": 1,
        "originator": "me",
        "historyMode": "legacy",
    }
    model = changed.pop("model", "gpt-5")
    cursor = changed.pop("cursor", None)
    return msgspec.json.encode(
        {"id": 3, "result": {"thread": {**thread, **changed}, "model": model, "turnsBackwardsCursor": cursor}}
    )


def page(*texts: str, more: str | None = None, first: str = "item-1") -> bytes:
    turns = [{"id": "t1", "status": "completed", "items": [{"id": first, "text": text}]} for text in texts]
    return msgspec.json.encode({"id": 4, "result": {"data": turns, "nextCursor": more}})


def seen(answer: bytes, page_: bytes | None = None, **more: Any) -> Seen:
    return Seen(more.get("found", THREAD), answer, page_, more.get("usage"), more.get("refused"))


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        (answer(), answer(preview="other"), "preview: threadkeep 'hello', Codex 'other'"),
        (answer(), answer(cwd="/other"), "cwd"),
        (answer(), answer(model="other"), "model"),
        (answer(), answer(forkedFromId=FORK), "forkedFromId"),
        (answer(), answer(path="/b"), "path"),
        (answer(), answer(extra=1), "extra: threadkeep nothing, Codex 1"),
        (answer(cursor="a"), answer(), "turnsBackwardsCursor"),
    ],
)
def test_a_resume_that_says_something_else_is_noticed(ours: bytes, theirs: bytes, told: str) -> None:
    (found,) = differences(asked("resume ID"), seen(ours, page("a")), seen(theirs, page("a")))
    assert told in found


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        (page("a", "b"), page("a"), "data: threadkeep 2 of them, Codex 1 of them"),
        (page("a", "b"), page("a", "c"), "data, 1, items, 0, text: threadkeep 'b', Codex 'c'"),
        (page("a", more="x"), page("a"), "nextCursor"),
        (page("a", first="msg_1"), page("a", first="msg_2"), "items, 0, id"),
        (page("a"), None, "only threadkeep gave it"),
    ],
)
def test_a_page_that_says_something_else_is_noticed(ours: bytes, theirs: bytes | None, told: str) -> None:
    (found,) = differences(asked("resume ID"), seen(answer(), ours), seen(answer(), theirs))
    assert "the page of turns" in found
    assert told in found


def test_a_usage_that_only_one_tells_is_noticed() -> None:
    usage = msgspec.json.encode({"method": "thread/tokenUsage/updated", "params": {"total": 1}})
    others = msgspec.json.encode({"method": "thread/tokenUsage/updated", "params": {"total": 2}})

    assert differences(asked("resume ID"), seen(answer(), usage=usage), seen(answer()))
    assert differences(asked("resume ID"), seen(answer(), usage=usage), seen(answer(), usage=others))
    assert not differences(asked("resume ID"), seen(answer(), usage=usage), seen(answer(), usage=usage))


BROKEN = [
    b'{"id":3',
    b'{"id":3,"result":{}}',
    b'{"id":3,"result":{"thread":5}}',
    b'{"id":3,"result":"\xff"}',
    b"[" * 9999,
]


@pytest.mark.parametrize(
    "broken",
    [
        *(seen(line, page("a")) for line in BROKEN),
        *(seen(answer(), line) for line in (b'{"id":4', b"[4]", b'{"id":4,"result":"\xff"}')),
        seen(answer(), page("a"), usage=b'["thread/tokenUsage/updated"]'),
    ],
)
def test_an_answer_that_cannot_be_read_is_told_with_whose_it_is(broken: Seen) -> None:
    whole = seen(answer(), page("a"), usage=b"{}" if broken.usage else None)
    for ours, theirs, server in ((whole, broken, "Codex"), (broken, whole, "threadkeep")):
        (found,) = differences(asked("resume ID"), ours, theirs)
        assert found.startswith(f"{server} gave an answer that cannot be read: ")


@pytest.mark.parametrize("line", BROKEN)
def test_an_answer_of_threadkeep_that_cannot_be_read_is_told_once(line: bytes) -> None:
    report = made_up()
    pair = [_codex._Run(2.0, 1.0, None, None, each) for each in (seen(line), seen(answer()))]
    _codex._check(report, "home", "resume ID", asked("resume ID"), [pair], "/home")

    (check,) = report.failed
    assert check.what.startswith("threadkeep gave an answer that cannot be read: ")


def test_times_cursors_and_made_up_ids_are_each_servers_own() -> None:
    ours = seen(answer(updatedAt=1, cursor="a"), page("a", more="x", first="item-1"))
    theirs = seen(answer(updatedAt=2, cursor="b"), page("a", more="y", first="item-90"))

    assert differences(asked("resume ID"), ours, theirs) == []


def test_a_fork_has_an_id_and_a_path_of_its_own_on_each_server() -> None:
    ours = answer(id=FORK, forkedFromId=THREAD, path="/a", cliVersion="1")
    theirs = answer(id=FORK[:-1] + "2", forkedFromId=THREAD, path="/b", cliVersion="2")

    assert differences(asked("fork ID"), seen(ours), seen(theirs)) == []
    assert differences(asked("resume ID"), seen(ours), seen(theirs)) != []


def test_a_history_mode_may_differ_in_forks_of_legacy_threads_alone() -> None:
    ours, theirs = (seen(answer(id=FORK, historyMode=mode)) for mode in ("paginated", "legacy"))

    assert differences(asked("fork ID", legacy=True), ours, theirs) == []
    assert differences(asked("fork ID"), ours, theirs) != []


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("resume --last", seen(answer(), found=FORK), "looked up"),
        ("resume --last", seen(answer(), found=None), "looked up None"),
        ("resume ID", seen(answer(id=FORK)), f"answered with {FORK}"),
        ("fork ID", seen(answer(forkedFromId=THREAD)), f"answered with {THREAD}"),
        ("fork ID", seen(answer(id=FORK)), "is one of None"),
        ("new", seen(answer(id=FORK, cwd="/else"), found=None), "works in /else"),
        ("new", seen(b"", refused="no"), "refused: no"),
    ],
)
def test_an_answer_about_something_else_is_noticed_without_another_server(name: str, given: Seen, told: str) -> None:
    (found,) = mistakes(asked(name), given)
    assert told in found


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("resume --last", seen(answer())),
        ("fork --last", seen(answer(id=FORK, forkedFromId=THREAD))),
        ("new", seen(answer(id=FORK), found=None)),
    ],
)
def test_a_right_answer_is_no_mistake(name: str, given: Seen) -> None:
    assert mistakes(asked(name), given) == []


# A person's own home


@pytest.fixture
def own(tmp_path: Path) -> tuple[Path, str]:
    """A home in which a thread was forked, and the fork forked again; and the last one's id."""
    home = made_many(str(tmp_path / "made"), "forks", Recipe(size=60 * KB), 2, progress=quiet)
    path = tmp_path / "own"
    os.rename(home.path, path)
    with ThreadStore.open(path) as store, store.create(cwd="/other") as writer, writer.turn("not this one") as turn:
        turn.say("no")
    return path, home.thread_id


def test_a_home_of_ones_own_is_never_touched(own: tuple[Path, str], tmp_path: Path) -> None:
    home, thread = own
    before = state_of(home)
    folders = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_dir()}
    choice = Choice(homes=())
    report = bench_codex(str(tmp_path / "bench"), codex=None, choice=choice, own=(str(home), thread), runs=1)

    assert [row.scenario for row in report.rows] == list(SCENARIOS)
    assert {(row.home, row.mode) for row in report.rows} == {("own", "paginated")}
    assert report.failed == []
    assert state_of(home) == before
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_dir()} == folders


def test_a_copy_has_the_whole_lineage_and_nothing_else(own: tuple[Path, str], tmp_path: Path) -> None:
    home, thread = own
    copy = copied_lineage(str(home), thread[:25], str(tmp_path / "copy"), progress=quiet)

    assert (copy.thread_id, copy.mode, copy.missing) == (thread, "paginated", [])
    assert len(copy.locations) == 3
    assert len(copy.ancestors) == 2
    for location in copy.locations:
        original, copied = home / location, tmp_path / "copy" / location
        assert copied.read_bytes() == original.read_bytes()
        assert copied.stat().st_nlink == 1
    with ThreadStore.open(home) as one, ThreadStore.open(tmp_path / "copy") as other:
        assert other.turns(thread).data == one.turns(thread).data


def test_a_copy_says_what_its_home_has_not(own: tuple[Path, str], tmp_path: Path) -> None:
    home, thread = own
    root = min(home.glob("sessions/**/*.jsonl"), key=lambda path: path.name[-41:])
    root.unlink()
    copy = copied_lineage(str(home), thread, str(tmp_path / "copy"), progress=quiet)

    assert [root.name.endswith(f"{missing}.jsonl") for missing in copy.missing] == [True]


def test_a_thread_that_is_not_there_is_not_copied(own: tuple[Path, str], tmp_path: Path) -> None:
    home, thread = own
    for named in ("ffff", thread[:4]):  # none, and several
        with pytest.raises(ThreadNotFound, match="begins with"):
            copied_lineage(str(home), named, str(tmp_path / "copy"), progress=quiet)


def test_a_copy_shares_blocks_where_it_can_and_is_made_byte_by_byte_where_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, target = tmp_path / "original", tmp_path / "below" / "copy"
    original.write_bytes(b"x" * 100_000)
    os.utime(original, ns=(5, 5))

    def refuses(*_: object) -> int:
        raise OSError(95, "not here")

    monkeypatch.setattr(fcntl, "ioctl", refuses)
    assert copy_file(str(original), str(target)) is False
    assert target.read_bytes() == original.read_bytes()
    assert target.stat().st_mtime_ns == 5
    assert target.stat().st_ino != original.stat().st_ino

    if sys.platform == "linux":
        monkeypatch.setattr(fcntl, "ioctl", lambda *_: 0)  # it is the system that puts the bytes there
        assert copy_file(str(original), str(target)) is True
        assert target.read_bytes() == b""


# The homes


def test_homes_are_those_that_were_chosen() -> None:
    def named(**chosen: Any) -> list[tuple[str, str]]:
        return [(plan.name, plan.mode) for plan in plans(Choice(**chosen))]

    assert named(homes=["late"], sizes=[KB, 2 * KB], modes=["legacy"]) == [("late", "legacy")] * 2
    assert named(homes=["forks", "rollbacks"]) == [("rollbacks", "legacy"), ("forks", "paginated")]
    assert len(named(homes=["ages"])) == 6
    assert {name for name, _ in named(homes=list(HOMES))} == set(HOMES)


def test_the_command_knows_every_home() -> None:
    assert tuple(HOMES) == _HOMES
    assert ",".join(DEFAULT_HOMES) == _DEFAULT_HOMES


@pytest.mark.parametrize("mode", ["paginated", "legacy"])
def test_the_measured_one_of_many_threads_is_the_newest(tmp_path: Path, mode: str) -> None:
    home = made_many(str(tmp_path), "threads", Recipe(mode=mode, size=60 * KB), 4, progress=quiet)

    with ThreadStore.open(home.path) as store:
        listed = store.list(sort="updated_at").data
    assert len(home.locations) == len(listed) == 5
    assert listed[0].id == home.thread_id


def test_a_chain_of_forks_inherits_all_the_way_down(tmp_path: Path) -> None:
    home = made_many(str(tmp_path), "forks", Recipe(size=60 * KB), 3, progress=quiet)

    with ThreadStore.open(home.path) as store:
        chain = [home.thread_id]
        while (parent := store.read(chain[-1]).forked_from_id) is not None:
            chain.append(parent)
        assert store.list(sort="updated_at").data[0].id == home.thread_id
    assert [*home.ancestors, home.thread_id] == chain[::-1]
    assert len(chain) == 4


def test_homes_of_many_threads_are_made_once(tmp_path: Path) -> None:
    recipe = Recipe(size=60 * KB)
    first = made_many(str(tmp_path), "threads", recipe, 2, progress=quiet)
    before = state_of(tmp_path)
    assert made_many(str(tmp_path), "threads", recipe, 2, progress=quiet) == first
    assert state_of(tmp_path) == before

    os.truncate(os.path.join(first.path, first.locations[0]), 5)
    assert made_many(str(tmp_path), "threads", recipe, 2, progress=quiet).size == first.size


def test_there_is_no_chain_of_legacy_forks(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no chains"):
        made_many(str(tmp_path), "forks", Recipe(mode="legacy"), 2, progress=quiet)


# What is shown


def side(total: float, refused: str | None = None) -> CodexSide:
    return CodexSide(Spread(total, total, total), Spread(total / 2, 1, total), 22_000, 30_000_000, refused)


def made_up(*, refused: str | None = None, codex: bool = True) -> CodexReport:
    ratio = None if refused or not codex else Spread(4.0, 3.0, 5.5)
    rows = [
        CodexRow(
            "late",
            "checkpoint late",
            mode,
            size,
            scenario,
            20,
            side(40.0),
            side(160.0, refused) if codex else None,
            ratio,
            ratio,
        )
        for scenario in SCENARIOS
        for mode in ("paginated", "legacy")
        for size in (1_000_000, 100_000_000)
    ]
    machine = Machine("s", "p", 2, "y", "t", "m")
    return CodexReport(machine, "codex-cli 9" if codex else None, 3, rows, 40, [], [])


def shown(report: CodexReport, capsysbinary: Any) -> str:
    _show(Session(), report)
    text: str = capsysbinary.readouterr().out.decode()
    return text


def test_people_get_a_table_in_markdown(capsysbinary: Any) -> None:
    text = shown(made_up(), capsysbinary)
    table = [line for line in text.splitlines() if line.startswith("|")]

    assert len({line.count("|") for line in table}) == 1
    assert len({len(line) for line in table}) == 1
    assert set(table[1]) <= set("|-: ")
    assert len(table) == 2 + 20
    assert "4.0x (3.0-5.5)" in table[2]
    assert "codex-cli 9" in text
    assert "Seed 3." in text
    assert "Answers compared with Codex's: 40; wrong: none." in text


def test_people_are_told_what_was_refused_and_what_was_wrong(capsysbinary: Any) -> None:
    report = made_up(refused="too deep\x1b")
    report.failed.append(FailedCheck("late", "new", 2, 3, "cwd: ...", "/tmp/x"))
    text = shown(report, capsysbinary)

    assert "Codex refused on checkpoint late, legacy (fork ID): too deep\\x1b" in text
    assert "late, new, pair 2, seed 3: cwd: ..." in text
    assert "/tmp/x" in text


def test_the_picture_has_a_chart_for_every_scenario_and_a_line_for_each_server_and_mode() -> None:
    picture = ET.fromstring(drawn_codex(made_up()))
    space = "{http://www.w3.org/2000/svg}"
    texts = [text.text or "" for text in picture.iter(f"{space}text")]

    assert [any(text.startswith(f"{name}:") for text in texts) for name in SCENARIOS] == [True] * 5
    assert len(list(picture.iter(f"{space}polyline"))) == 5 * 4
    assert "Codex, legacy, 160 ms" in texts
    assert "threadkeep, paginated, 40 ms" in texts
    names = [text for text in picture.iter(f"{space}text") if "name" in text.get("class", "")]
    assert all(float(name.get("x", "0")) + 7 * len(name.text or "") < 720 for name in names)


def test_the_picture_leaves_out_whoever_was_not_there_or_refused() -> None:
    space = "{http://www.w3.org/2000/svg}"
    for report in (made_up(codex=False), made_up(refused="no")):
        assert len(list(ET.fromstring(drawn_codex(report)).iter(f"{space}polyline"))) == 5 * 2


def test_nothing_is_drawn_of_nothing() -> None:
    report = made_up()
    report.rows.clear()
    with pytest.raises(ValueError, match="late checkpoint"):
        drawn_codex(report)


def test_a_home_is_told_from_one_that_was_made_otherwise(tmp_path: Path) -> None:
    recipes = [
        Recipe(mode="legacy", size=60 * KB),
        Recipe(mode="legacy", size=60 * KB, checkpoints="none"),
        Recipe(mode="legacy", size=60 * KB, rollback_every=1),
    ]
    assert len({made_home(str(tmp_path), recipe).path for recipe in recipes}) == 3
