"""Searching over the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.appserver.in_process import Client

Json = dict[str, Any]


def failure(client: Client, method: str, params: Json) -> tuple[int, str]:
    error = client.response(client.send(method, params))["error"]
    return error["code"], error["message"]


@pytest.fixture
def thread(make_thread: Callable[..., str], mode: str) -> str:
    """A thread that says ``Hello First``, a line break and a number, twice."""
    return make_thread(2, mode=mode, text="Hello First\nsecond")


def test_a_thread_is_found_with_what_stands_around_the_term(client: Client, thread: str) -> None:
    answer = client.request("thread/search", {"searchTerm": " first ", "sourceKinds": ["cli", "vscode", "exec"]})
    assert [(found["thread"]["id"], found["snippet"]) for found in answer["data"]] == [(thread, "Hello First second 0")]
    assert answer["nextCursor"] is None
    assert isinstance(answer["backwardsCursor"], str)
    assert client.request("thread/search", {"searchTerm": "nowhere"}) == {
        "data": [],
        "nextCursor": None,
        "backwardsCursor": None,
    }


def test_places_name_turn_item_and_range(client: Client, thread: str) -> None:
    answer = client.request("thread/searchOccurrences", {"threadId": thread, "searchTerm": "FIRST", "limit": 1})
    (found,) = answer["data"]
    assert found["snippet"] == "Hello First\nsecond 0"
    assert found["snippetMatchRange"] == {"start": 6, "end": 11}
    turns = client.request(
        "thread/turns/list", {"threadId": thread, "cursor": found["turnCursor"], "sortDirection": "asc", "limit": 1}
    )
    assert turns["data"][0]["id"] == found["turnId"]
    assert found["itemId"] in [item["id"] for item in turns["data"][0]["items"]]


def test_pages_of_places_go_on(client: Client, thread: str) -> None:
    params: Json = {"threadId": thread, "searchTerm": "o"}
    whole = client.request("thread/searchOccurrences", params)["data"]
    first = client.request("thread/searchOccurrences", {**params, "limit": 0})
    rest = client.request("thread/searchOccurrences", {**params, "cursor": first["nextCursor"]})
    assert first["data"] + rest["data"] == whole
    assert len(first["data"]) == 1


@pytest.mark.parametrize("term", ["", "  "])
def test_a_blank_term_is_refused(client: Client, thread: str, term: str) -> None:
    assert failure(client, "thread/search", {"searchTerm": term}) == (
        -32600,
        "thread/search requires a non-empty searchTerm",
    )
    assert failure(client, "thread/searchOccurrences", {"threadId": thread, "searchTerm": term}) == (
        -32600,
        "thread/searchOccurrences requires a non-empty searchTerm",
    )


def test_an_odd_cursor_is_refused(client: Client, thread: str) -> None:
    for method in ("thread/search", "thread/searchOccurrences"):
        params = {"threadId": thread, "searchTerm": "o", "cursor": "bad"}
        assert failure(client, method, params) == (-32600, "invalid cursor: bad")


def test_a_thread_without_records_is_not_searched(client: Client) -> None:
    message = (-32601, "thread/searchOccurrences is not supported yet")
    started = client.request("thread/start", {"cwd": "/work"})["thread"]["id"]
    for thread in (started, "01a20539-62c4-7d30-b194-c0a5e6cebfff"):
        assert failure(client, "thread/searchOccurrences", {"threadId": thread, "searchTerm": "x"}) == message
