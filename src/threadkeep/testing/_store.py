"""What a user does with threads, on a backend under test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from threadkeep.errors import InvalidRequest, ThreadBusy, ThreadNotFound, Unsupported
from threadkeep.records import LEGACY, PAGINATED
from threadkeep.store import ThreadFilter, ThreadStore
from threadkeep.testing._hooks import Hooks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from threadkeep.backends import Backend

__all__ = ["StoreConformance"]

MODES = (PAGINATED, LEGACY)


def talk(store: ThreadStore, *texts: str, thread: str | None = None, mode: str = PAGINATED) -> str:
    """Record a turn for each text, in a new thread or in ``thread``; returns the thread's id."""
    with store.create(cwd="/work", mode=mode) if thread is None else store.writer(thread) as writer:
        for text in texts:
            with writer.turn(text, model="a-model", cwd="/work") as turn:
                turn.say(f"{text} answered")
        return writer.thread_id


def pages(store: ThreadStore, thread: str, *, limit: int, descending: bool = True) -> list[dict[str, Any]]:
    """Every turn of a thread, page by page."""
    turns: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = store.turns(thread, cursor=cursor, limit=limit, descending=descending, view="full")
        turns += page.data
        cursor = page.next_cursor
        if cursor is None:
            return turns


def said(store: ThreadStore, thread: str) -> list[str]:
    """What the user said in each turn of a thread, oldest first."""
    return [turn["items"][0]["content"][0]["text"] for turn in pages(store, thread, limit=3, descending=False)]


def context(store: ThreadStore, thread: str) -> bytes:
    """The items that the next model call of a thread starts with; the fast way and the full one must agree on all."""
    fast, full = store.resume(thread).context, store.replay(thread).context
    assert msgspec.json.encode(fast) == msgspec.json.encode(full)
    return b"\n".join(bytes(item.payload) for item in fast.items)


class StoreConformance(Hooks):
    """Semantics are written once, above the backend; here they must hold on it."""

    @pytest.fixture
    def backend(self, tmp_path: Path) -> Backend:
        """An empty backend; the store closes it."""
        return self.new_backend(tmp_path)

    @pytest.fixture
    def store(self, backend: Backend) -> Iterator[ThreadStore]:
        """A store on the backend."""
        with ThreadStore(backend) as store:
            yield store

    @pytest.fixture
    def forks(self, backend: Backend) -> None:
        """Cases that fork by reference are skipped on a backend that keeps no history base."""
        if not backend.keeps_history_bases:
            pytest.skip("the backend keeps no history bases")

    @pytest.mark.parametrize("mode", MODES)
    def test_what_was_said_is_read_back(self, store: ThreadStore, mode: str) -> None:
        """By turns, by items, and as the context of the next model call."""
        thread = talk(store, "one", "two", mode=mode)
        assert said(store, thread) == ["one", "two"]
        texts = [entry["item"].get("text") for entry in store.items(thread).data]
        assert [text for text in texts if text] == ["one answered", "two answered"]
        held = context(store, thread)
        for text in (b"one", b"one answered", b"two", b"two answered"):
            assert b'"' + text + b'"' in held
        read = store.read(thread)
        assert (read.mode, read.preview, read.model, read.cwd) == (mode, "one", "a-model", "/work")

    @pytest.mark.parametrize("mode", MODES)
    def test_a_thread_goes_on_where_it_ended(self, store: ThreadStore, mode: str) -> None:
        """Appending to it later adds to what was there."""
        thread = talk(store, "one", mode=mode)
        talk(store, "two", thread=thread)
        assert said(store, thread) == ["one", "two"]
        context(store, thread)

    def test_a_thread_without_a_record_is_not_there(self, store: ThreadStore) -> None:
        """Its rollout is made with the first record, not before."""
        with store.create(cwd="/work") as writer, pytest.raises(ThreadNotFound):
            store.read(writer.thread_id)
        assert store.list().data == []

    def test_a_thread_has_one_writer(self, store: ThreadStore) -> None:
        """Readers do not mind."""
        thread = talk(store, "one")
        with store.writer(thread):
            with pytest.raises(ThreadBusy):
                store.writer(thread)
            assert said(store, thread) == ["one"]
        store.writer(thread).close()

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    def test_pages_are_the_whole_once(self, store: ThreadStore, mode: str, limit: int) -> None:
        """In either direction, whatever the size of a page."""
        thread = talk(store, *(f"turn {number}" for number in range(7)), mode=mode)
        newest = pages(store, thread, limit=limit)
        assert [turn["items"][0]["content"][0]["text"] for turn in newest] == [f"turn {n}" for n in range(6, -1, -1)]
        assert pages(store, thread, limit=limit, descending=False) == newest[::-1]

    def test_a_cursor_survives_appending(self, store: ThreadStore) -> None:
        """What follows a page is what followed it before something was added."""
        thread = talk(store, "one", "two", "three")
        first = store.turns(thread, limit=1)
        before = store.turns(thread, cursor=first.next_cursor).data
        talk(store, "four", thread=thread)
        assert store.turns(thread, cursor=first.next_cursor).data == before

    @pytest.mark.usefixtures("forks")
    @pytest.mark.parametrize("mode", MODES)
    def test_a_fork_has_what_stood_before_it_and_nothing_later(self, store: ThreadStore, mode: str) -> None:
        """Neither side sees what the other adds."""
        parent = talk(store, "one", "two", mode=mode)
        inherited = context(store, parent)
        child = store.fork(parent).id
        assert context(store, child) == inherited
        talk(store, "of the parent", thread=parent)
        talk(store, "of the child", thread=child)
        assert said(store, parent) == ["one", "two", "of the parent"]
        assert said(store, child) == ["one", "two", "of the child"]
        assert context(store, child) != context(store, parent)
        assert store.read(child).forked_from_id == parent

    @pytest.mark.usefixtures("forks")
    def test_a_fork_starts_through_a_turn_or_before_it(self, store: ThreadStore) -> None:
        """The turn that is named is the last one, or the first that is left out."""
        parent = talk(store, "one", "two", "three")
        second = pages(store, parent, limit=10, descending=False)[1]["id"]
        assert said(store, store.fork(parent, through=second).id) == ["one", "two"]
        assert said(store, store.fork(parent, before=second).id) == ["one"]
        with pytest.raises(InvalidRequest):
            store.fork(parent, through=second, before=second)

    @pytest.mark.usefixtures("forks")
    def test_forks_of_forks_inherit_from_all(self, store: ThreadStore) -> None:
        """Ten generations, each with a turn of its own."""
        thread = talk(store, "0")
        for number in range(1, 10):
            thread = store.fork(thread).id
            talk(store, str(number), thread=thread)
        assert said(store, thread) == [str(number) for number in range(10)]
        context(store, thread)

    @pytest.mark.usefixtures("forks")
    def test_a_fork_costs_one_small_record(self, store: ThreadStore) -> None:
        """Whatever its source holds."""
        thread = talk(store, "x" * 200_000, "two")
        assert store.read(store.fork(thread).id).size < 5_000

    @pytest.mark.usefixtures("forks")
    def test_a_child_outlives_its_parent(self, store: ThreadStore) -> None:
        """Deleting the parent, and reclaiming what nobody needs of it, changes nothing for the child."""
        parent = talk(store, "one", "two")
        second = pages(store, parent, limit=10, descending=False)[1]["id"]
        child = store.fork(parent, before=second).id
        before = pages(store, child, limit=10), context(store, child)
        for reclaim in (False, True):
            store.delete(parent, reclaim=reclaim)
            with pytest.raises(ThreadNotFound):
                store.read(parent)
            assert (pages(store, child, limit=10), context(store, child)) == before
        talk(store, "further", thread=child)
        assert said(store, child) == ["one", "further"]

    @pytest.mark.usefixtures("forks")
    def test_a_revert_takes_turns_back(self, store: ThreadStore) -> None:
        """The thread goes on from there, under its own id."""
        thread = talk(store, "one", "two", "three")
        second = pages(store, thread, limit=10, descending=False)[1]["id"]
        reverted = store.revert(thread, before=second)
        assert reverted.id == thread
        assert said(store, thread) == ["one"]
        talk(store, "otherwise", thread=thread)
        assert said(store, thread) == ["one", "otherwise"]
        assert b'"two"' not in context(store, thread)
        assert [listed.id for listed in store.list().data] == [thread]

    @pytest.mark.usefixtures("forks")
    def test_an_ephemeral_fork_leaves_nothing(self, store: ThreadStore, backend: Backend) -> None:
        """It can be talked to, and the backend never hears of it."""
        parent = talk(store, "one")
        child = store.fork(parent, ephemeral=True).id
        talk(store, "aside", thread=child)
        assert said(store, child) == ["one", "aside"]
        assert [ref.thread_id for ref, _ in backend.stats()] == [parent]

    def test_a_backend_without_history_bases_refuses_a_fork(self, store: ThreadStore, backend: Backend) -> None:
        """Clearly, and with nothing half made."""
        if backend.keeps_history_bases:
            backend.keeps_history_bases = False
        thread = talk(store, "one")
        with pytest.raises(Unsupported):
            store.fork(thread)
        assert [ref.thread_id for ref, _ in backend.stats()] == [thread]

    @pytest.mark.parametrize("sort", ["created_at", "updated_at"])
    def test_threads_are_listed_by_pages(self, store: ThreadStore, sort: Any) -> None:
        """Each once, in one order."""
        threads = [talk(store, f"thread {number}") for number in range(5)]
        found: list[str] = []
        cursor = None
        while True:
            page = store.list(sort=sort, limit=2, cursor=cursor)
            found += [thread.id for thread in page.data]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert sorted(found) == sorted(threads)
        if sort == "created_at":
            assert found == threads[::-1]

    def test_a_thread_has_a_name(self, store: ThreadStore) -> None:
        """It is found by it, and can lose it."""
        thread = talk(store, "one")
        talk(store, "another")
        assert store.rename(thread, "The name").name == "The name"
        assert [found.id for found in store.list(chosen=ThreadFilter(text="the NAME")).data] == [thread]
        assert store.rename(thread, "").name is None

    def test_an_archived_thread_is_put_away(self, store: ThreadStore) -> None:
        """Lists leave it out, nothing is appended to it, and it comes back as it was."""
        thread = talk(store, "one")
        held = context(store, thread)
        assert store.archive(thread).archived
        assert store.list().data == []
        assert [found.id for found in store.list(chosen=ThreadFilter(archived=True)).data] == [thread]
        with pytest.raises(InvalidRequest):
            store.writer(thread)
        assert context(store, thread) == held
        assert not store.unarchive(thread).archived
        talk(store, "two", thread=thread)
        assert said(store, thread) == ["one", "two"]

    def test_a_deleted_thread_is_gone(self, store: ThreadStore, backend: Backend) -> None:
        """Nothing of it is left."""
        thread, other = talk(store, "one"), talk(store, "two")
        store.delete(thread)
        with pytest.raises(ThreadNotFound):
            store.read(thread)
        assert [ref.thread_id for ref, _ in backend.stats()] == [other]

    def test_what_is_derived_may_be_lost(self, store: ThreadStore, backend: Backend) -> None:
        """Without a row in the catalog every answer is the same."""
        threads = [talk(store, f"thread {number}", "further") for number in range(3)]

        def answers() -> list[Any]:
            read = [store.read(thread, counts=True) for thread in threads]
            return [store.list().data, read, [context(store, thread) for thread in threads]]

        warm = answers()
        backend.catalog.clear()
        assert answers() == warm
        assert answers() == warm
