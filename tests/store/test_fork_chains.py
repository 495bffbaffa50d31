"""Lists of threads that were forked from one another many times: each thread costs what it adds, not its depth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.store.threads import add_turns, new_thread

from threadkeep.backends import MemoryBackend
from threadkeep.records import Cost
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from threadkeep.backends import RolloutRef
    from threadkeep.records import Source

DEPTH = 200


def chain(store: ThreadStore, depth: int) -> list[str]:
    """Forks of forks, oldest first, each with a record of its own, so that each inherits from the one before."""
    threads = [new_thread(store, "the first words")]
    for number in range(depth):
        threads.append(store.fork(threads[-1]).id)
        with store.writer(threads[-1]) as writer:
            writer.append("response_item", {"type": "message", "role": "assistant", "content": [], "id": f"{number}"})
    return threads


def test_a_list_of_a_chain_of_forks_opens_each_of_them_a_few_times() -> None:
    with ThreadStore(MemoryBackend(), durability="os") as store:
        threads = chain(store, DEPTH)
        for descending in (True, False):
            store.backend.catalog.clear()
            cost = Cost()
            page = store.list(limit=1_000, sort="created_at", descending=descending, cost=cost)
            assert len(page.data) == len(threads)
            assert {thread.preview for thread in page.data} == {"the first words"}
            assert {thread.model for thread in page.data} == {"unknown"}
            assert cost.rollouts_opened <= 4 * DEPTH


def test_the_tree_of_a_chain_of_forks_opens_each_of_them_a_few_times() -> None:
    backend = _Counting()
    with ThreadStore(backend, durability="os") as store:
        threads = chain(store, DEPTH)
        backend.catalog.clear()
        backend.opened = 0
        (node,) = store.tree(threads[-1])
        assert node.title == "the first words"
        assert backend.opened <= 5 * DEPTH


class _Counting(MemoryBackend):
    opened = 0

    def open(self, ref: RolloutRef, cost: Cost) -> Source:
        self.opened += 1
        return super().open(ref, cost)


def test_a_deep_thread_that_grew_costs_no_walk_to_its_root(tmp_path: Path) -> None:
    with ThreadStore.open(tmp_path, durability="os") as store:
        thread = chain(store, 20)[-1]
        store.read(thread)
        add_turns(store, thread, "more")
        cost = Cost()
        assert store.read(thread, cost=cost).preview == "the first words"
        assert cost.rollouts_opened <= 2


def test_what_a_fork_inherits_is_what_stood_before_its_boundary(store: ThreadStore) -> None:
    """What its source says later is the source's; what the fork says itself goes before what it inherits."""
    root = _empty(store)
    quiet, talking = store.fork(root).id, store.fork(root).id
    add_turns(store, root, "the root's words")
    add_turns(store, talking, "the fork's words")
    with store.writer(talking) as writer, writer.turn("again", model="gpt-own"):
        pass
    below = store.fork(talking).id
    for forgotten in ((), (below,), (root, quiet, talking, below)):
        for thread in forgotten:
            store.backend.catalog.forget(thread)
        assert {found.id: (found.preview, found.model) for found in store.list().data} == {
            root: ("the root's words", "unknown"),
            quiet: ("", None),
            talking: ("the fork's words", "gpt-own"),
            below: ("the fork's words", "gpt-own"),
        }


def _empty(store: ThreadStore) -> str:
    with store.create(cwd="/project", model_provider="mock") as writer:
        writer.append("response_item", {"type": "message", "role": "developer", "content": []})
        return writer.thread_id


def test_a_damaged_row_of_a_boundary_is_not_believed(store: ThreadStore) -> None:
    child = store.fork(new_thread(store, "one")).id
    add_turns(store, child, "two")
    store.read(child)
    for data in (b"\xc1", b"\x90"):
        _spoil(store, data)
        assert store.read(child).preview == "one"


def _spoil(store: ThreadStore, data: bytes) -> None:
    def work(db: sqlite3.Connection) -> None:
        db.execute("UPDATE boundaries SET data = ?", (data,))
        db.execute("DELETE FROM rows")

    store.backend.catalog.run(work)


def test_erased_words_are_not_kept_with_boundaries(store: ThreadStore) -> None:
    root = new_thread(store, "the password is hunter2")
    child = store.fork(root).id
    add_turns(store, child, "two")

    def kept() -> bytes:
        rows = store.backend.catalog.run(lambda db: db.execute("SELECT data FROM boundaries").fetchall())
        return b"".join(data for (data,) in rows)

    assert "hunter2" in store.read(child).preview
    assert b"hunter2" in kept()
    store.erase(root, "hunter2")
    assert "hunter2" not in store.read(child).preview
    assert kept()
    assert b"hunter2" not in kept()
