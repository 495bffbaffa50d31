"""``threadkeep turns``: pages of turns in the app-server's shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Home

TURN_KEYS = {
    "id", "rootTurnId", "items", "itemsView", "status", "error", "startedAt", "completedAt", "durationMs"
}  # fmt: skip


def test_a_page_in_the_app_servers_shape(recorded: Home) -> None:
    answer = recorded("turns", "01a2042d", "--limit", "2", "--json").json
    assert set(answer) == {"data", "nextCursor", "backwardsCursor"}
    assert [turn["status"] for turn in answer["data"]] == ["completed", "interrupted"]
    assert all(set(turn) == TURN_KEYS and turn["itemsView"] == "summary" for turn in answer["data"])


def test_full_has_all_items(recorded: Home) -> None:
    full = recorded("turns", "01a2042d", "--full", "--asc", "--json").json
    assert [item["type"] for item in full["data"][1]["items"]] == [
        "userMessage", "reasoning", "commandExecution", "agentMessage"
    ]  # fmt: skip
    assert "ran  /bin/bash -lc 'echo hi'" in recorded("turns", "01a2042d", "--full").out


def test_cursors_lead_forwards_and_back(home: Home) -> None:
    thread = home.thread("one", "two", "three")
    newest = home("turns", thread, "--limit", "1", "--json").json
    older = home("turns", thread, "--json", "--cursor", newest["nextCursor"]).json
    back = home("turns", thread, "--asc", "--json", "--cursor", older["backwardsCursor"]).json
    oldest_first = home.turn_ids(thread)
    assert [turn["id"] for turn in newest["data"] + older["data"]] == oldest_first[::-1]
    assert [turn["id"] for turn in back["data"]] == oldest_first[1:]


def test_all_gives_a_turn_on_each_line(home: Home) -> None:
    thread = home.thread(*(f"number {number}" for number in range(101)))
    streamed = home("turns", thread, "--all", "--asc", "--json").lines
    assert [turn["items"][0]["content"][0]["text"] for turn in streamed] == [
        f"number {number}" for number in range(101)
    ]
    assert len(home("turns", thread, "--all").out.splitlines()) == 101


def test_a_limit_beyond_a_page_of_the_store_is_kept(home: Home) -> None:
    thread = home.thread(*(f"number {number}" for number in range(103)))
    answer = home("turns", thread, "--limit", "102", "--json").json
    assert len(answer["data"]) == 102
    again = home("turns", thread, "--asc", "--limit", "1", "--json", "--cursor", answer["backwardsCursor"]).json
    assert again["data"][0]["id"] == answer["data"][0]["id"]
    rest = home("turns", thread, "--json", "--cursor", answer["nextCursor"]).json
    assert [turn["items"][0]["content"][0]["text"] for turn in rest["data"]] == ["number 0"]


def test_text_says_when_how_long_and_what(recorded: Home) -> None:
    lines = recorded("turns", "01a2042d").out.splitlines()
    assert len(lines) == 6
    assert "  interrupted  [[partial]] five" in lines[1]
    assert lines[2].split()[3:6] == ["32", "ms", "failed"]


def test_a_cut_page_says_so_beside_the_answer(home: Home) -> None:
    cut = home("turns", home.thread("one", "two"), "--limit", "1")
    assert len(cut.out.splitlines()) == 1
    cursor = cut.err.removeprefix("more: --cursor '").removesuffix("'\n")
    assert home("turns", home.thread("other"), "--cursor", cursor).code == 2


def test_a_cursor_that_is_none_is_refused(home: Home) -> None:
    refused = home("turns", home.thread("one"), "--cursor", "nonsense", "--json")
    assert refused.code == 2
    assert refused.error["type"] == "InvalidCursor"
