"""``threadkeep delete`` and ``threadkeep erase``: they say what they will do, and ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Home

SECRET = "sk-live-0123456789"


def test_a_dry_run_says_what_would_be_done_and_does_nothing(home: Home) -> None:
    thread = home.thread("hello")
    planned = home("delete", thread, "--dry-run")
    assert planned.code == 0
    assert planned.out.startswith(f"remove     {thread}  hello\n")
    assert "would be freed" in planned.out
    assert thread in home("list").out


def test_without_a_terminal_nothing_is_deleted_unless_told_to(home: Home) -> None:
    thread = home.thread("hello")
    refused = home("delete", thread)
    assert refused.code == 2
    assert "--yes or --dry-run" in refused.err
    assert thread in home("list").out
    done = home("delete", thread, "--yes")
    assert done.out.startswith(f"removed    {thread}  hello\n1 thread: ")
    assert home("list").out == ""


def test_a_parent_is_hidden_and_its_heirs_are_named(home: Home) -> None:
    parent = home.thread("hello")
    child = home("fork", parent).out.strip()
    done = home("delete", parent, "--yes")
    assert done.out.startswith(f"hidden     {parent}  hello\n")
    assert f"stay for {child}\n" in done.out
    assert len(home.turn_ids(child)) == 1


def test_cascade_takes_what_came_from_it(home: Home) -> None:
    parent = home.thread("hello")
    child = home("fork", parent).out.strip()
    answer = home("delete", parent, "--cascade", "--yes", "--json").json
    assert {thread["id"] for thread in answer["threads"]} == {parent, child}
    assert home("list").out == ""


def test_reclaim_is_passed_on(home: Home) -> None:
    parent = home.thread("one", "two")
    home("fork", parent, "--through", home.turn_ids(parent)[0])
    answer = home("delete", parent, "--reclaim", "--dry-run", "--json").json
    assert answer["threads"][0]["action"] == "reclaim"


def test_json_members(home: Home) -> None:
    answer = home("delete", home.thread("hello"), "--dry-run", "--json").json
    assert set(answer) == {"dryRun", "threads", "bytesFreed", "bytesKept"}
    assert answer["dryRun"] is True
    assert set(answer["threads"][0]) == {"id", "title", "action", "bytesFreed", "bytesKept", "keptFor", "rollouts"}
    assert answer["bytesFreed"] == answer["threads"][0]["bytesFreed"] > 0


def test_erase_reads_the_text_from_stdin(home: Home) -> None:
    thread = home.thread(f"my key is {SECRET}, keep it")
    done = home("erase", thread, "--yes", "--json", stdin=f"{SECRET}\n")
    assert done.code == 0
    assert set(done.json) == {"records", "places", "rollouts", "unreachable"}
    assert done.json["places"] >= 1
    assert not any(SECRET.encode() in rollout.read_bytes() for rollout in home.rollouts())


def test_erase_says_where_it_was_and_never_repeats_it(home: Home) -> None:
    thread = home.thread(f"my key is {SECRET}")
    done = home("erase", thread, "--yes", stdin=SECRET)
    assert done.out.startswith("overwritten in ")
    assert "rollout-" in done.out
    assert SECRET not in done.out + done.err


def test_a_text_that_is_nowhere_is_no_error(home: Home) -> None:
    done = home("erase", home.thread("hello"), "--yes", stdin="not there")
    assert done.code == 0
    assert done.out.startswith("the text is in none of the records")


def test_erase_takes_no_text_from_the_command_line(home: Home) -> None:
    assert home("erase", home.thread(SECRET), SECRET, "--yes").code == 2


def test_erase_needs_to_be_told_where_nobody_can_be_asked(home: Home) -> None:
    thread = home.thread(f"my key is {SECRET}")
    assert home("erase", thread, stdin=SECRET).code == 2
    assert SECRET in home("show", thread).out


def test_only_the_newline_at_the_end_is_left_out(home: Home) -> None:
    thread = home.thread("key: abcd, and abcde")
    assert home("erase", thread, "--yes", "--json", stdin="abcd \r\n").json["places"] == 0
    assert home("erase", thread, "--yes", "--json", stdin="abcde\r\n").json["places"] > 0


def test_a_text_that_is_no_text_is_refused(home: Home) -> None:
    assert home("erase", home.thread("hello"), "--yes", stdin=b"\xff\xfe\xfd\xfc\xfb").code == 2
