"""``threadkeep verify``, ``doctor`` and ``materialize``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.cli.conftest import copied

from threadkeep import errors
from threadkeep.records import Cost
from threadkeep.store import ThreadStore
from threadkeep.store._models import Finding, Materialized
from threadkeep.store._verification import Check, Verification

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Home

VERIFICATION_KEYS = {"threadId", "ok", "checks", "damage", "problem", "cost"}
FINDING_KEYS = {"kind", "severity", "thread", "path", "detail", "fixable", "fixed"}
MATERIALIZED_KEYS = {"threadId", "sourceId", "rolloutId", "location", "bytesWritten"}


def test_a_sound_thread_is_ok(home: Home) -> None:
    thread = home.thread("hello")
    verified = home("verify", thread)
    assert verified.code == 0
    assert verified.out.startswith(f"ok      {thread}")
    assert "  context      equal, " in verified.out


def test_verify_json_members(home: Home) -> None:
    answer = home("verify", home.thread("hello"), "--json").json
    assert set(answer) == VERIFICATION_KEYS
    assert set(answer["checks"][0]) == {"name", "ok", "compared", "difference"}
    assert answer["ok"] is True


def test_lost_records_are_told_with_their_place_and_the_exit_code(home: Home) -> None:
    thread = home.thread("one", "two")
    rollout = home.rollouts()[0]
    lines = rollout.read_bytes().splitlines(keepends=True)
    lines[3] = b"\x00" * 20 + b"\n"
    rollout.write_bytes(b"".join(lines))
    verified = home("verify", thread)
    assert verified.code == 1
    assert verified.out.startswith(f"problem {thread}")
    assert "error   nul-bytes: " in verified.out
    assert f"(line 4, byte {sum(map(len, lines[:3]))} of {rollout})" in verified.out
    damage = home("verify", thread, "--json").json["damage"]
    assert set(damage[0]) == {"kind", "rollout", "path", "line", "offset", "length", "detail", "severity", "count"}


def test_all_tells_each_thread_on_a_line(tmp_path: Path) -> None:
    home = copied("0.169.0/fork-paginated", tmp_path)
    threads = {thread["id"] for thread in home("list", "--all", "--json").json["data"]}
    verified = home("verify", "--all", "--json")
    assert {answer["threadId"] for answer in verified.lines} == threads
    assert {line.split()[1] for line in home("verify", "--all").out.splitlines() if line[:1] != " "} == threads
    assert verified.code == (0 if all(answer["ok"] for answer in verified.lines) else 1)


def test_all_takes_in_archived_threads_and_one_that_is_bad_decides_the_exit_code(home: Home) -> None:
    good, bad = home.thread("good"), home.thread("bad")
    home("archive", good)
    assert {answer["threadId"] for answer in home("verify", "--all", "--json").lines} == {good, bad}
    assert home("verify", "--all").code == 0
    with next(rollout for rollout in home.rollouts() if bad in rollout.name).open("ab") as file:
        file.write(b"no record\n")
    # The newest comes first: what is found to be good after it takes nothing back.
    verified = home("verify", "--all", "--json")
    assert [answer["ok"] for answer in verified.lines] == [False, True]
    assert verified.code == 1


def test_a_difference_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = [Check("context", True, 3), Check("turns", False, 2, "turn \x1b[31m 2 differs")]
    answer = Verification("T", checks, [], None, Cost())
    monkeypatch.setattr(ThreadStore, "verify", lambda *_, **__: answer)
    verified = home("verify", home.thread("hello"))
    assert verified.code == 1
    assert "  turns        differs: turn \\x1b[31m 2 differs\n" in verified.out


def test_one_thread_that_cannot_be_opened_does_not_end_verify_all(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = home.thread("bad"), home.thread("good")
    verify = ThreadStore.verify

    def fail(store: ThreadStore, thread: str, **options: object) -> Verification:
        if thread == bad:
            raise errors.AmbiguousRollout("two of them", thread=bad)
        return verify(store, thread)

    monkeypatch.setattr(ThreadStore, "verify", fail)
    verified = home("verify", "--all", "--json")
    assert verified.code == 1
    by_thread = {answer["threadId"]: answer for answer in verified.lines}
    assert by_thread[bad]["error"]["type"] == "AmbiguousRollout"
    assert by_thread[bad]["ok"] is False
    assert by_thread[good]["ok"] is True
    assert f"failed  {bad}  two of them" in home("verify", "--all").out


@pytest.mark.parametrize("command", ["verify", "materialize"])
def test_a_thread_or_all_of_them(home: Home, command: str) -> None:
    assert home(command).code == 2
    assert home(command, home.thread("hello"), "--all").code == 2


def findings(*found: Finding) -> object:
    def doctor(_: ThreadStore, *, fix: bool, progress: object) -> Iterator[Finding]:
        yield from found

    return doctor


def test_doctor_of_a_sound_home(home: Home) -> None:
    home.thread("hello")
    looked = home("doctor")
    assert (looked.code, looked.err.splitlines()[-1]) == (0, "nothing found")


@pytest.mark.parametrize(
    ("severity", "fixed", "code"), [("info", False, 0), ("warning", False, 1), ("error", False, 1), ("error", True, 0)]
)
def test_doctor_s_exit_code_says_whether_something_is_left(
    home: Home, monkeypatch: pytest.MonkeyPatch, severity: str, fixed: bool, code: int
) -> None:
    found = Finding("stale-lock", severity, None, "/l", "left over", fixable=True, fixed=fixed)  # type: ignore[arg-type]
    monkeypatch.setattr(ThreadStore, "doctor", findings(found))
    looked = home("doctor", "--fix")
    assert looked.code == code
    assert looked.out == f"{severity:<7} stale-lock: left over (/l){'; mended' if fixed else '; --fix mends it'}\n"
    assert looked.err == ("1 finding, 1 mended\n" if fixed else "1 finding, 1 that --fix can mend\n")


def test_doctor_json_is_a_finding_on_each_line(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Finding("unused-pin", "info", "T", None, "x")
    monkeypatch.setattr(ThreadStore, "doctor", findings(found, found))
    looked = home("doctor", "--json")
    assert [set(one) for one in looked.lines] == [FINDING_KEYS] * 2
    assert looked.err == ""


def test_materialize_writes_a_copy(home: Home) -> None:
    parent = home.thread("one")
    child = home("fork", parent).out.strip()
    answer = home("materialize", child, "--json")
    assert answer.code == 0, answer.err
    assert set(answer.json) == MATERIALIZED_KEYS
    assert answer.json["sourceId"] == child
    assert (home.path / answer.json["location"]).stat().st_size == answer.json["bytesWritten"]


def test_materialize_all_passes_over_what_cannot_be_written(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def materialize(_: ThreadStore, thread: str, *, progress: object) -> Materialized:
        if thread == "bad":
            raise errors.ThreadBusy("held", thread="bad")
        return Materialized("new", thread, "R", "sessions/x", 1_234)

    monkeypatch.setattr(ThreadStore, "to_materialize", lambda _: ["bad", "good"])
    monkeypatch.setattr(ThreadStore, "materialize", materialize)
    written = home("materialize", "--all", "--json")
    assert written.code == 4
    bad, good = written.lines
    assert (bad["sourceId"], bad["error"]["type"]) == ("bad", "ThreadBusy")
    assert set(good) == MATERIALIZED_KEYS
    assert home("materialize", "--all").out == "new (of good)  1.2 kB  sessions/x\n"


def test_materialize_all_where_nothing_needs_it(home: Home) -> None:
    assert home("materialize", "--all").err == f"{home.path} does not exist\n"
    home.path.mkdir()
    done = home("materialize", "--all")
    assert (done.code, done.out) == (0, "")
    assert done.err == "Codex can read every thread as it is\n"
