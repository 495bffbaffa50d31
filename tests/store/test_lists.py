"""Lists of threads: in every order, in both directions, and only those that were asked for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from tests.store.threads import add_turns, new_thread

from threadkeep.errors import InvalidCursor
from threadkeep.records import PAGINATED, encode_record
from threadkeep.records import _build as build
from threadkeep.store import INTERACTIVE, SortKey, ThreadFilter, ThreadStore

if TYPE_CHECKING:
    from pathlib import Path

SORTS: list[SortKey] = ["created_at", "updated_at", "recency_at"]


def listed(store: ThreadStore, **chosen: Any) -> set[str]:
    """The ids of the threads that a filter lets through."""
    return {thread.id for thread in store.list(chosen=ThreadFilter(**chosen)).data}


def spawned(
    store: ThreadStore, parent: str | None, source: Any = "cli", *, cwd: str = "/project", thread: str | None = None
) -> str:
    """A thread with the source, and perhaps with a parent, that its first record names."""
    thread = thread or store.backend.ids.new()
    meta = build.session_meta(
        thread_id=thread,
        timestamp="2026-01-01T00:00:00.000Z",
        cwd=cwd,
        originator="somebody",
        cli_version="1",
        source=source,
        model_provider="mock",
        base_instructions=None,
        history_mode=PAGINATED,
    )
    if parent is not None:
        meta["parent_thread_id"] = parent
    line = encode_record("session_meta", meta, timestamp="2026-01-01T00:00:00.000Z", ordinal=0)
    store.backend.create(thread, thread, line, durability="os", kept=False)
    return thread


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("descending", [True, False])
def test_pages_go_on_where_the_one_before_ended(store: ThreadStore, sort: SortKey, descending: bool) -> None:
    threads = [new_thread(store, f"thread {number}") for number in range(5)]
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = store.list(sort=sort, descending=descending, cursor=cursor, limit=2)
        found += [thread.id for thread in page.data]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(found) == sorted(threads)
    assert found == [thread.id for thread in store.list(sort=sort, descending=descending).data]


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("descending", [True, False])
def test_a_page_can_be_turned_around(store: ThreadStore, sort: SortKey, descending: bool) -> None:
    for number in range(5):
        new_thread(store, f"thread {number}")
    whole = [thread.id for thread in store.list(sort=sort, descending=descending).data]
    first = store.list(sort=sort, descending=descending, limit=2)
    second = store.list(sort=sort, descending=descending, limit=2, cursor=first.next_cursor)
    back = store.list(sort=sort, descending=not descending, cursor=second.backwards_cursor)
    assert [thread.id for thread in back.data] == whole[2::-1]


def test_an_empty_list_has_no_way_back(store: ThreadStore) -> None:
    page = store.list()
    assert (page.data, page.next_cursor, page.backwards_cursor) == ([], None, None)


@pytest.mark.parametrize("sort", SORTS)
def test_a_thread_of_a_far_future_does_not_end_the_pages(tmp_path: Path, sort: SortKey) -> None:
    """Its file's time is that of a clock that was wrong."""
    with ThreadStore.open(tmp_path, durability="os") as store:
        threads = [new_thread(store, said) for said in ("one", "two", "three")]
        for thread in threads:
            os.utime(tmp_path / store.read(thread).location, (7_258_118_400, 7_258_118_400))
    with ThreadStore.open(tmp_path, durability="os") as store:
        met: list[str] = []
        cursor: str | None = None
        while len(met) < 3:
            page = store.list(sort=sort, limit=1, cursor=cursor)
            met.extend(found.id for found in page.data)
            cursor = page.next_cursor
        assert sorted(met) == sorted(threads)


def test_a_cursor_of_another_order_is_refused(store: ThreadStore) -> None:
    new_thread(store, "one")
    cursor = store.list(sort="created_at").backwards_cursor
    for bad in (cursor, "nonsense", "", "é"):
        with pytest.raises(InvalidCursor):
            store.list(sort="updated_at", cursor=bad)


def _next_millisecond(store: ThreadStore) -> None:
    """What happens from now on happens later than what happened, by the store's clock."""
    clock = store.backend.clock
    now = clock.now_ms()
    while clock.now_ms() == now:
        pass


def test_the_thread_that_changed_last_comes_first(store: ThreadStore) -> None:
    first, second = new_thread(store, "one"), new_thread(store, "two")
    _next_millisecond(store)
    add_turns(store, first, "again")
    assert [thread.id for thread in store.list(sort="updated_at").data] == [first, second]
    assert [thread.id for thread in store.list(sort="recency_at").data] == [first, second]
    assert [thread.id for thread in store.list(sort="created_at").data] == [second, first]


def test_folders_are_compared_as_wholes_and_through_links(store: ThreadStore, tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    here, there, below = (spawned(store, None, cwd=str(cwd)) for cwd in (real, "/other", real / "sub"))
    assert listed(store, cwd=str(tmp_path / "link")) == {here}
    assert listed(store, cwd=frozenset({str(real), "/other"})) == {here, there}
    assert below not in listed(store, cwd=str(real))


def test_a_folder_that_no_system_has_does_not_end_a_list(store: ThreadStore, tmp_path: Path) -> None:
    here, nowhere = spawned(store, None, cwd=str(tmp_path)), spawned(store, None, cwd="/a\0b")
    assert listed(store, cwd=str(tmp_path)) == {here}
    assert listed(store, cwd="/a\0b") == {nowhere}
    assert listed(store, cwd="\0") == set()


def test_at_a_path_that_no_system_has_lies_no_thread(store: ThreadStore) -> None:
    name = os.path.basename(store.read(new_thread(store, "one")).location)
    assert store.thread_at(f"/a\0b/{name}") is None


def test_texts_are_found_as_they_stand_or_in_any_case(store: ThreadStore) -> None:
    thread = new_thread(store, "Needle in the hay")
    named = new_thread(store, "something else")
    store.rename(named, "the Needle")
    assert listed(store, exact_text="Needle") == {thread, named}
    assert listed(store, exact_text="needle") == set()
    assert listed(store, text="NEEDLE") == {thread, named}


@pytest.mark.parametrize(
    ("source", "names", "others"),
    [
        ("cli", ["cli"], ["vscode", "exec", "unknown"]),
        ("mcp", ["mcp", "appServer"], ["cli"]),
        ({"custom": "atlas"}, ["custom", "custom:atlas"], ["cli", "subAgent"]),
        ({"subagent": "review"}, ["subagent", "subAgent", "subAgentReview"], ["subAgentCompact", "subAgentOther"]),
        ({"subagent": {"thread_spawn": {"depth": 1}}}, ["subAgentThreadSpawn"], ["subAgentOther"]),
        ({"subagent": {"other": "x"}}, ["subAgentOther"], ["subAgentReview"]),
        (None, ["unknown"], ["cli"]),
    ],
)
def test_sources_have_the_names_of_rollouts_and_of_the_protocol(
    store: ThreadStore, source: Any, names: list[str], others: list[str]
) -> None:
    thread = spawned(store, None, source)
    for name in names:
        assert listed(store, sources=frozenset({name})) == {thread}
    for name in others:
        assert listed(store, sources=frozenset({name})) == set()


def test_threads_that_people_began_are_interactive(store: ThreadStore) -> None:
    ours = {spawned(store, None, source) for source in ("cli", "vscode", {"custom": "atlas"})}
    spawned(store, None, {"subagent": "review"})
    spawned(store, None, "exec")
    assert listed(store, sources=INTERACTIVE) == ours


def test_what_a_thread_spawned_is_found_at_any_remove(store: ThreadStore) -> None:
    root = spawned(store, None)
    child = spawned(store, root)
    grandchild = spawned(store, child)
    orphan = spawned(store, store.backend.ids.new())
    assert listed(store, parent=root) == {child}
    assert listed(store, ancestor=root) == {child, grandchild}
    assert listed(store, ancestor=child) == {grandchild}
    assert listed(store, ancestor=orphan) == set()


def test_two_threads_that_say_they_spawned_each_other_end_the_search(store: ThreadStore) -> None:
    first, second = store.backend.ids.new(), store.backend.ids.new()
    root = spawned(store, None)
    spawned(store, second, thread=first)
    spawned(store, first, thread=second)
    assert listed(store, ancestor=root) == set()
    assert listed(store, ancestor=first) == {second}


def test_providers_clients_and_exceptions(store: ThreadStore) -> None:
    one, other = new_thread(store, "one"), spawned(store, None)
    assert listed(store, model_providers=frozenset({"mock"})) == {one, other}
    assert listed(store, model_providers=frozenset({"openai"})) == set()
    assert listed(store, originators=frozenset({"somebody"})) == {other}
    assert listed(store, excluded=frozenset({one})) == {other}
    assert listed(store, spoken=True) == {one}
