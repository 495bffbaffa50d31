"""``threadkeep list``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.cli.conftest import THREAD_KEYS

if TYPE_CHECKING:
    from tests.cli.conftest import Home


def age(home: Home, thread: str, seconds: int) -> None:
    """Let a thread's last change be that long ago."""
    for rollout in home.rollouts():
        if thread in rollout.name:
            when = rollout.stat().st_mtime - seconds
            os.utime(rollout, (when, when))


def ids(home: Home, *args: str) -> list[str]:
    return [thread["id"] for thread in home("list", "--json", *args).json["data"]]


def test_newest_change_first_or_newest_first(home: Home) -> None:
    first, second = home.thread("one"), home.thread("two")
    age(home, second, 60)
    assert ids(home) == [first, second]
    assert ids(home, "--sort", "created") == [second, first]


def test_archived_threads_are_shown_when_asked_for(home: Home) -> None:
    kept, put_away = home.thread("kept"), home.thread("put away")
    home("archive", put_away)
    assert ids(home) == [kept]
    assert ids(home, "--archived") == [put_away]
    assert set(ids(home, "--all")) == {kept, put_away}
    assert "[archived] put away" in home("list", "--all").out


def test_search_looks_in_names_and_first_messages(home: Home) -> None:
    said, named = home.thread("the Parser fails"), home.thread("x", name="parser, second try")
    home.thread("something else")
    assert set(ids(home, "--search", "PARSER")) == {said, named}


def test_by_folder(home: Home) -> None:
    here = home.thread("here", cwd="/work/here")
    home.thread("there", cwd="/work/there")
    assert ids(home, "--cwd", "/work/here") == [here]


def test_a_cursor_goes_on_where_the_page_ended(home: Home) -> None:
    threads = {home.thread(f"number {number}") for number in range(3)}
    first = home("list", "--limit", "2", "--json").json
    second = home("list", "--limit", "2", "--json", "--cursor", first["nextCursor"]).json
    assert len(first["data"]) == 2
    assert {thread["id"] for thread in first["data"] + second["data"]} == threads
    assert second["nextCursor"] is None


def test_a_cut_list_says_so_beside_the_answer(home: Home) -> None:
    for number in range(2):
        home.thread(f"number {number}")
    cut = home("list", "--limit", "1")
    assert len(cut.out.splitlines()) == 1
    assert cut.err.startswith("more: --cursor ")
    assert home("list").err == ""


def test_json_members(home: Home) -> None:
    home.thread("hello")
    answer = home("list", "--json").json
    assert set(answer) == {"data", "nextCursor"}
    assert set(answer["data"][0]) == THREAD_KEYS


def test_when_piped_there_are_aligned_columns_and_nothing_else(home: Home) -> None:
    thread = home.thread("hello\nworld")
    listed = home("list").out
    assert listed.startswith(f"{thread}  ")
    assert listed.endswith("  /work  hello world\n")
    assert "\x1b" not in listed


def test_a_long_first_message_is_cut(home: Home) -> None:
    home.thread("long " * 2_000)
    for command in ("list", "tree"):
        line = home(command).out.rstrip("\n")
        assert "\n" not in line
        assert len(line[line.index("long") :]) == 120


def test_a_search_without_an_answer_is_no_empty_home(home: Home) -> None:
    home.thread("hello")
    assert home("list", "--search", "other").err == "no such threads\n"
    assert home("list", "--archived").err == "no such threads\n"


def test_a_limit_out_of_range_is_refused(home: Home) -> None:
    assert home("list", "--limit", "0").code == 2
    assert home("list", "--limit", "1001").code == 2
