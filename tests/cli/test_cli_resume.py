"""``threadkeep context`` and ``threadkeep resume``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cli.conftest import copied

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Home

RESUMED_KEYS = set(
    "threadId rolloutId mode settings usage cost items checkpoint window lastStartedTurn previousTurnSettings "
    "referenceContext worldState elapsedMs".split()
)


def test_context_gives_the_bytes_that_were_recorded(recorded: Home) -> None:
    out = recorded("context", "01a2042d", "--json").out.encode()
    with recorded.store() as store:
        items = store.resume("01a2042d").context.items
    assert out == b'{"data":[' + b",".join(bytes(item.payload) for item in items) + b"]}\n"
    rollout = recorded.rollouts()[0].read_bytes()
    assert all(bytes(item.payload) in rollout for item in items)


def test_context_for_people_has_an_item_on_each_line(recorded: Home) -> None:
    lines = recorded("context", "01a2042d").out.splitlines()
    assert len(lines) == len(recorded("context", "01a2042d", "--json").json["data"])
    assert lines[2].split(maxsplit=3) == ["2", "message", "user", "hello one, größe 你好 ☕"]
    assert any('exec_command {"cmd": "echo hi"}' in line for line in lines)


def test_resume_says_what_the_next_turn_starts_with_and_what_it_cost(recorded: Home) -> None:
    answer = recorded("resume", "01a2042d", "--json").json
    assert set(answer) == RESUMED_KEYS
    assert answer["settings"]["model"] == "gpt-5.5"
    assert set(answer["usage"]) == {"totalTokenUsage", "lastTokenUsage", "modelContextWindow"}
    assert set(answer["items"][0]) == {"payload", "metadata", "position", "checkpointed"}
    assert set(answer["items"][0]["position"]) == {"rollout", "offset"}
    assert answer["cost"]["bytesRead"] > 0
    assert answer["elapsedMs"] > 0


def test_resume_for_people(recorded: Home) -> None:
    shown = dict(line.split(maxsplit=1) for line in recorded("resume", "01a2042d").out.splitlines())
    assert shown["model"] == "gpt-5.5"
    assert shown["items"].startswith("19: 14 message, ")
    assert shown["tokens"] == "59,875 in all, 10,417 in the last call of a window of 258,400"
    assert "read " in shown["cost"]
    assert "(the rollout has 40.0 kB)" in shown["cost"]


def test_resume_names_the_checkpoint(tmp_path: Path) -> None:
    home = copied("0.169.0/compaction-paginated", tmp_path)
    thread = home("list", "--json").json["data"][0]["id"]
    answer = home("resume", thread, "--json").json
    shown = home("resume", thread).out
    assert f"at byte {answer['checkpoint']['offset']:,} of rollout {thread}" in shown


def test_resume_last_takes_the_thread_that_changed_last(home: Home) -> None:
    home.thread("old")
    newest = home.thread("new")
    assert home("resume", "--last", "--json").json["threadId"] == newest


def test_resume_wants_a_thread_or_the_last_one(home: Home) -> None:
    assert home("resume").code == 2
    assert home("resume", home.thread("x"), "--last").code == 2


def test_there_is_no_last_thread_in_an_empty_home(home: Home) -> None:
    assert home("resume", "--last").code == 3
