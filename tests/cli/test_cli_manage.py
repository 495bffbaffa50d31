"""``threadkeep rename``, ``archive``, ``unarchive``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.cli.conftest import THREAD_KEYS

if TYPE_CHECKING:
    from tests.cli.conftest import Home


def test_a_name_is_given_and_taken_away(home: Home) -> None:
    thread = home.thread("hello")
    assert home("rename", thread, "the parser").out == f"{thread} is called the parser\n"
    assert "  the parser\n" in home("list").out
    assert home("rename", thread, "").out == f"{thread} has no name\n"
    assert "  hello\n" in home("list").out


def test_archive_and_unarchive(home: Home) -> None:
    thread = home.thread("hello")
    assert home("archive", thread).out == f"{thread} is archived\n"
    assert home("list").out == ""
    assert home("archive", thread).code == 0, "archiving an archived thread is no error"
    assert home("unarchive", thread).out == f"{thread} is not archived\n"
    assert thread in home("list").out


@pytest.mark.parametrize("command", [("rename", "x"), ("archive",), ("unarchive",)])
def test_each_answers_with_the_thread_in_json_and_takes_local(home: Home, command: tuple[str, ...]) -> None:
    name, *rest = command
    thread = home.thread("hello")
    answer = home(name, thread, *rest, "--local", "--json").json
    assert set(answer) == THREAD_KEYS
    assert answer["id"] == thread
    assert answer["archived"] == (name == "archive")


def test_a_name_of_two_lines_is_refused(home: Home) -> None:
    refused = home("rename", home.thread("hello"), "two\nlines")
    assert refused.code == 2
    assert refused.err.startswith("threadkeep: a name is one line")
