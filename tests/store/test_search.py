"""Searching in what was said: threads that hold a term, and where in a thread it stands."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.store.threads import LEGACY, PAGINATED, add_turns, new_thread, turn_ids

from threadkeep.errors import InvalidCursor, InvalidRequest
from threadkeep.store import OccurrencePage, ThreadFilter, ThreadStore
from threadkeep.store._matches import Term, snippet
from threadkeep.store._plain_text import plain_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import DataObject

PIECES = (
    *("needle", "stra", "ße", "ss", "ﬁ", "fi", "\u212a", "k", "İ", "i", "\u017f", "s", "é", "\x7f"),
    *("**", "*", "_", "\\_", "\\", "`", "&amp;", "&#110;", "&szlig;", "[a](b)", "<http://a.b>", '"', "/", " ", "\n"),
)

MODES = pytest.mark.parametrize("mode", [LEGACY, PAGINATED])


def places(store: ThreadStore, thread: str, term: str) -> list[str]:
    """What is shown for each place in which the term stands, the match in brackets."""
    with store.snapshot(thread) as snap:
        page = snap.occurrences(term, limit=200)
    assert page.next_cursor is None
    return [marked(page, number) for number in range(len(page.data))]


def marked(page: OccurrencePage, number: int) -> str:
    found = page.data[number]
    units = found.snippet.encode("utf-16-le")
    before, match, after = units[: 2 * found.start], units[2 * found.start : 2 * found.end], units[2 * found.end :]
    return f"{before.decode('utf-16-le')}[{match.decode('utf-16-le')}]{after.decode('utf-16-le')}"


# Where in a thread


@MODES
def test_what_both_sides_said_is_found_oldest_first(store: ThreadStore, mode: str) -> None:
    thread = new_thread(store, "a needle", "hay", "Needle, NEEDLE", mode=mode)
    assert places(store, thread, "needle") == [
        "a [needle]",
        "Answer to: a [needle]",
        "[Needle], NEEDLE",
        "Needle, [NEEDLE]",
        "Answer to: [Needle], NEEDLE",
        "Answer to: Needle, [NEEDLE]",
    ]


@MODES
def test_commands_names_and_what_was_taken_back_are_not_searched(store: ThreadStore, mode: str) -> None:
    thread = new_thread(store, "kept", "taken needle", mode=mode)
    store.rename(thread, "needle")
    store.revert(thread, before=turn_ids(store, thread)[1])
    assert places(store, thread, "needle") == []
    assert store.search("needle").data == []
    assert [found.thread.id for found in store.search("kept").data] == [thread]


@MODES
def test_a_fork_shows_what_it_inherits(store: ThreadStore, mode: str) -> None:
    thread = new_thread(store, "old needle", mode=mode)
    fork = store.fork(thread).id
    add_turns(store, fork, "new needle")
    add_turns(store, thread, "later needle")
    assert [text for text in places(store, fork, "needle") if "Answer" not in text] == ["old [needle]", "new [needle]"]


@MODES
@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_of_places_make_the_whole(store: ThreadStore, mode: str, limit: int) -> None:
    thread = new_thread(store, "x x x", "none", "x", "x x", mode=mode)
    whole = places(store, thread, "x")
    found: list[str] = []
    cursor: str | None = None
    with store.snapshot(thread) as snap:
        while True:
            page = snap.occurrences("x", cursor=cursor, limit=limit)
            assert len(page.data) <= limit
            found += [marked(page, number) for number in range(len(page.data))]
            cursor = page.next_cursor
            if cursor is None:
                break
            assert page.data
    assert found == whole
    assert len(whole) == 12


def test_a_place_leads_to_the_page_of_its_turn(store: ThreadStore) -> None:
    thread = new_thread(store, "one", "two needle", "three")
    with store.snapshot(thread) as snap:
        found = snap.occurrences("needle").data[0]
        for descending, expected in ((True, ["two", "one"]), (False, ["two", "three"])):
            page = snap.turns(cursor=found.turn_cursor, descending=descending)
            assert page.data[0]["id"] == found.turn_id
            assert [turn["items"][0]["content"][0]["text"].split()[0] for turn in page.data] == expected
            assert found.item_id in {item["id"] for item in page.data[0]["items"]}


def test_a_cursor_belongs_to_one_search(store: ThreadStore) -> None:
    thread, other = new_thread(store, "x x"), new_thread(store, "x x")
    with store.snapshot(thread) as snap, store.snapshot(other) as apart:
        cursor = snap.occurrences("x", limit=1).next_cursor
        assert cursor is not None
        for again, term, given in ((snap, "y", cursor), (apart, "x", cursor), (snap, "x", "bad"), (snap, "x", "é")):
            with pytest.raises(InvalidCursor):
                again.occurrences(term, cursor=given)


@pytest.mark.parametrize("term", ["", " ", "\n\t"])
def test_a_blank_term_is_refused(store: ThreadStore, term: str) -> None:
    thread = new_thread(store, "one")
    with pytest.raises(InvalidRequest):
        store.search(term)
    with store.snapshot(thread) as snap, pytest.raises(InvalidRequest):
        snap.occurrences(term)


# Which threads


@MODES
def test_threads_are_found_by_what_was_said_in_them(store: ThreadStore, mode: str) -> None:
    first = new_thread(store, "hay", "a Needle\n  in the hay", mode=mode)
    second = new_thread(store, "another needle", mode=mode)
    new_thread(store, "nothing", mode=mode)
    found = store.search("needle").data
    assert [(entry.thread.id, entry.snippet) for entry in found] == [
        (second, "another needle"),
        (first, "a Needle in the hay"),
    ]
    assert [entry.thread.id for entry in store.search("  needle in ").data] == [first]


@given(
    pieces=st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map("".join),
    fold=st.sampled_from([str, str.upper, str.lower, str.casefold]),
    data=st.data(),
)
def test_a_thread_in_which_a_term_stands_is_found_by_it(
    pieces: str, fold: Callable[[str], str], data: DataObject
) -> None:
    """However the term is written in the file: as Markdown, as entities, folded, escaped."""
    with ThreadStore.in_memory() as store:
        with store.create(cwd="/project") as writer, writer.turn("hay") as turn:
            turn.say(pieces)
        shown = plain_text(pieces)
        first = data.draw(st.integers(0, len(shown)))
        term = fold(shown[first : data.draw(st.integers(first, len(shown)))])
        assume(term.strip())
        if places(store, writer.thread_id, term):
            assert [found.thread.id for found in store.search(term).data] == [writer.thread_id]


def test_threads_come_by_pages_and_by_what_was_asked_for(store: ThreadStore) -> None:
    threads = [new_thread(store, f"needle {number}") for number in range(4)]
    new_thread(store, "hay")
    store.archive(threads[0])
    page = store.search("needle", limit=2)
    assert [entry.thread.id for entry in page.data] == [threads[3], threads[2]]
    page = store.search("needle", limit=2, cursor=page.next_cursor)
    assert [entry.thread.id for entry in page.data] == [threads[1]]
    assert page.next_cursor is None
    back = store.search("needle", descending=False, cursor=page.backwards_cursor)
    assert [entry.thread.id for entry in back.data] == threads[1:]
    assert [entry.thread.id for entry in store.search("needle", chosen=ThreadFilter(archived=True)).data] == [
        threads[0]
    ]


def test_a_fork_is_found_by_its_own_history(store: ThreadStore) -> None:
    thread = new_thread(store, "needle")
    fork = store.fork(thread).id
    assert [entry.thread.id for entry in store.search("needle").data] == [thread]
    add_turns(store, fork, "pin")
    assert [entry.thread.id for entry in store.search("pin").data] == [fork]


@pytest.mark.parametrize("term", ['say "cheese"', "back\\slash", "a/b", "straße", "😀", "x" * 300])
def test_terms_that_files_spell_otherwise_are_found(store: ThreadStore, term: str) -> None:
    thread = new_thread(store, f"before {term} after")
    assert [entry.thread.id for entry in store.search(term).data] == [thread]
    assert len(places(store, thread, term)) >= 1


# Matches


@pytest.mark.parametrize(
    ("term", "text", "found"),
    [
        ("aa", "aaaa", ["aa", "aa"]),
        ("STRASSE", "eine straße", ["straße"]),
        ("ß", "Strasse", ["ss"]),
        ("s", "ß", ["ß"]),
        ("i̇stanbul", "in İstanbul", ["İstanbul"]),
        ("k", "\u212a", ["\u212a"]),
        ("É", "été é", ["é", "é", "é"]),
        ("x", "abc", []),
    ],
)
def test_case_is_ignored_in_the_way_of_unicode(term: str, text: str, found: list[str]) -> None:
    assert [text[start:end] for start, end in Term(term).spans(text)] == found


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (48, 96, "b" * 48 + "KEY" + "a" * 96),
        (49, 97, "b" * 49 + "KEY" + "a" * 96 + " ..."),
        (50, 98, "... " + "b" * 49 + "KEY" + "a" * 96 + " ..."),
    ],
)
def test_a_snippet_shows_as_much_as_the_real_server(before: int, after: int, shown: str) -> None:
    text, start, end = snippet("b" * before + "KEY" + "a" * after, before, before + 3)
    assert text == shown
    assert shown[start:end] == "KEY"


def test_ranges_count_utf_16_units() -> None:
    text, start, end = snippet("😀é😀x", 2, 3)
    assert (text, start, end) == ("😀é😀x", 3, 5)


@pytest.mark.parametrize(
    ("markdown", "plain"),
    [  # 0.169.0 observed
        ("**bold** x", "bold x"),
        ("`code` x", "code x"),
        ("[link](http://e.co) x", "link x"),
        ("![img](u.png) x", "img x"),
        ("~~gone~~ x", "~~gone~~ x"),
        ("_it_ x", "it x"),
        ("snake_case_name x", "snake_case_name x"),
        ("say:\n- item x", "say: item x"),
        ("a  \nhard x", "a hard x"),
        ("&amp; <b>h</b> x", "& <b>h</b> x"),
        ("1\\*2 x", "1*2 x"),
        ("http://a.b x", "http://a.b x"),
        ("two   sp x", "two sp x"),
        ("par\n\npar x", "par par x"),
        ("say:\n```py\ncode  *b*\n x\n```\ny", "say: code *b* x y"),
        ("say:\n\n---\nx", "say: x"),
        ("# head\n> quote", "head quote"),
        ("2 * 3 * 4", "2 * 3 * 4"),
    ],
)
def test_markdown_is_searched_as_it_is_read(markdown: str, plain: str) -> None:
    assert plain_text(markdown) == plain


@pytest.mark.parametrize(
    "mark", ["**", "*", "_", "`", "[", "![", "](", "<", "\\", "&", "**a ", "[a](", "`a", "> ", "- "]
)
def test_odd_markdown_costs_no_more_than_its_length(mark: str) -> None:
    def seconds(marks: int) -> float:
        started = time.process_time()
        plain_text(mark * marks)
        return time.process_time() - started

    few, many = (min(seconds(marks) for _ in range(3)) for marks in (1_000, 10_000))
    assert many < 10 * 5 * max(few, 0.001)  # ten times the marks; going back over all of it would cost a hundred times
