"""``threadkeep show``: a conversation as a person reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cli.conftest import THREAD_KEYS

if TYPE_CHECKING:
    from tests.cli.conftest import Home


def test_newest_last_with_who_said_what(home: Home) -> None:
    shown = home("show", home.thread("first", "second")).out
    places = [shown.index(text) for text in ("  first\n", "  answer to first\n", "  second\n", "  answer to second\n")]
    assert places == sorted(places)
    assert "user\n  first\n" in shown
    assert "assistant\n  answer to first\n" in shown


def test_only_so_many_turns_with_a_hint_at_older_ones(home: Home) -> None:
    thread = home.thread("first", "second", "third")
    cut = home("show", thread, "--limit", "2").out
    assert "  first\n" not in cut
    assert "answer to second" in cut
    assert "older turns: --limit 4" in cut
    assert "older turns" not in home("show", thread).out


def test_more_turns_than_a_page_of_the_store_holds(home: Home) -> None:
    thread = home.thread(*(f"number {number}" for number in range(103)))
    answer = home("show", thread, "--limit", "102", "--json").json
    assert len(answer["data"]) == 102
    assert answer["data"][0]["items"][0]["content"][0]["text"] == "number 1"
    assert answer["nextCursor"] is not None


def test_tools_failures_and_interruptions_are_shown(recorded: Home) -> None:
    shown = recorded("show", "01a2042d").out
    assert "ran  /bin/bash -lc 'echo hi' (exit 0, 0 ms)\n  hi\n" in shown
    assert "thought\n  **Thinking** about it\n" in shown
    assert "edited  /home/me/project/note.txt (add)\n  first line\n" in shown
    assert "error  SCRUBBED" in shown
    assert "interrupted" in shown


def test_json_has_the_thread_and_its_turns_oldest_first(recorded: Home) -> None:
    answer = recorded("show", "01a2042d", "--limit", "2", "--json").json
    assert set(answer) == {"thread", "data", "nextCursor", "backwardsCursor"}
    assert set(answer["thread"]) == THREAD_KEYS
    assert [turn["status"] for turn in answer["data"]] == ["interrupted", "completed"]
    assert {turn["itemsView"] for turn in answer["data"]} == {"full"}
    older = recorded("turns", "01a2042d", "--full", "--json", "--cursor", answer["nextCursor"]).json
    assert older["data"][0]["status"] == "failed"
    assert len(older["data"]) == 4


def test_what_was_recorded_cannot_steer_the_terminal(home: Home) -> None:
    thread = home.thread("red \x1b[31m, title \x1b]0;x\x07, left \u202e, csi \x9b31m, back \x08, return \rover")
    for shown in (home("show", thread), home("list"), home("turns", thread), home("tree"), home("context", thread)):
        assert shown.code == 0
        assert not set(shown.out) & set("\x1b\x07\u202e\x9b\x08\r")
    assert (
        r"red \x1b[31m, title \x1b]0;x\x07, left \u202e, csi \x9b31m, back \x08, return \x0dover"
        in home("show", thread).out
    )


def test_long_tool_output_is_cut_and_messages_are_not(home: Home) -> None:
    with home.store() as store, store.create(cwd="/w") as writer, writer.turn("a\n" * 50) as turn:
        turn.add(
            {"type": "function_call_output", "call_id": "c", "output": "x"},
            shown={
                "type": "CommandExecution",
                "id": "c",
                "command": ["seq", "30"],
                "cwd": "file:///w",
                "parsed_cmd": [],
                "source": "agent",
                "status": "completed",
                "aggregated_output": "".join(f"line {number}\n" for number in range(30)),
                "exit_code": 0,
            },
        )
    shown = home("show", writer.thread_id).out
    assert shown.count("  a\n") == 50
    assert "  line 11\n  ... 18 more lines (--json has all)\n" in shown


def test_one_long_line_of_a_tool_is_cut_too(home: Home) -> None:
    with home.store() as store, store.create(cwd="/w") as writer, writer.turn("run it") as turn:
        turn.add(
            {"type": "function_call_output", "call_id": "c", "output": "x"},
            shown={
                "type": "CommandExecution",
                "id": "c",
                "command": ["echo", "y" * 9_000],
                "cwd": "file:///w",
                "parsed_cmd": [],
                "source": "agent",
                "status": "completed",
                "aggregated_output": "z" * 10_000,
                "exit_code": 0,
            },
        )
    shown = home("show", writer.thread_id)
    assert max(map(len, shown.out.splitlines())) < 400
    assert "  ... 9,701 more characters (--json has all)\n" in shown.out
    assert "… (exit 0)\n" in shown.out
    assert "z" * 10_000 in home("show", writer.thread_id, "--json").out
