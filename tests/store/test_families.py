"""The fork tree, and what families of threads take up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.store.threads import LEGACY, add_turns, new_thread, turn_ids

from threadkeep.records import Cost

if TYPE_CHECKING:
    from pathlib import Path

    from threadkeep.store import ThreadStore, TreeNode


def drawn(node: TreeNode) -> tuple[str, str, list[object]]:
    return node.id, node.relation, [drawn(child) for child in node.children]


def test_the_tree_shows_who_came_from_whom(store: ThreadStore) -> None:
    root, other = new_thread(store, "one", "two"), new_thread(store, "alone")
    first = store.fork(root).id
    inherited = store.fork(first, through=turn_ids(store, root)[0]).id  # holds nothing of `first` itself
    add_turns(store, first, "three")
    assert {drawn(node)[0] for node in store.tree()} == {root, other}
    (tree,) = store.tree(inherited)
    assert drawn(tree) == (root, "root", [(first, "fork", [(inherited, "fork", [])])])


def test_own_and_inherited_bytes(store: ThreadStore) -> None:
    root = new_thread(store, "one", "two")
    child = store.fork(root).id
    (tree,) = store.tree(root)
    size = store.read(root).size
    assert (tree.own_bytes, tree.inherited_bytes) == (size, 0)
    below = tree.children[0]
    assert below.own_bytes == store.read(child).size
    head = _first_line(store, root)
    assert below.inherited_bytes == size - len(head)
    (family,) = store.families()
    assert (family.root, family.threads, family.rollouts) == (root, 2, 2)
    assert family.own_bytes == tree.own_bytes + below.own_bytes
    assert family.inherited_bytes == below.inherited_bytes
    assert family.duplicated_bytes == family.pinned_bytes == 0


def _first_line(store: ThreadStore, thread: str) -> bytes:
    (ref,) = store.backend.rollouts_of(thread)
    source = store.backend.open(ref, Cost())
    data = source.read(0, source.size)
    source.close()
    return data[: data.index(b"\n") + 1]


def test_a_copied_fork_counts_what_it_holds_twice(tmp_path: Path) -> None:
    from threadkeep.store import ThreadStore

    with ThreadStore.open(tmp_path, durability="os") as store:
        root = new_thread(store, *(f"turn {number}" for number in range(40)), mode=LEGACY)
        file = tmp_path / store.read(root).location
        lines = file.read_bytes().splitlines(keepends=True)
        thread = "0199d3ab-1234-7abc-8def-0123456789ab"
        meta = json.loads(lines[0])
        meta["payload"] |= {"id": thread, "forked_from_id": root}
        head = json.dumps(meta, separators=(",", ":")).encode() + b"\n"
        copied = [line.replace(line[14:38], b"2031-01-01T00:00:00.000Z") for line in lines]
        own = [lines[-1].replace(b"task_complete", b"token_counted")]
        (file.parent / f"rollout-2026-01-01T00-00-00-{thread}.jsonl").write_bytes(head + b"".join(copied + own))
        (family,) = store.families()
        assert family.threads == 2
        assert family.duplicated_bytes == sum(map(len, copied))
        (tree,) = store.tree()
        assert [child.relation for child in tree.children] == ["copy"]


def test_bytes_that_pins_alone_hold_are_counted(tmp_path: Path) -> None:
    from threadkeep.store import ThreadStore

    with ThreadStore.open(tmp_path, durability="os") as store:
        root = new_thread(store, "one")
        child = store.fork(root).id
        size = store.read(root).size
        assert store.families()[0].pinned_bytes == 0
        (tmp_path / store.read(root).location).unlink()
        (family,) = store.families()
        assert (family.root, family.pinned_bytes) == (child, size)


def test_threads_that_claim_to_come_from_each_other_are_shown(tmp_path: Path) -> None:
    from threadkeep.store import ThreadStore

    with ThreadStore.open(tmp_path, durability="os") as store:
        one, other = new_thread(store, "one", mode=LEGACY), new_thread(store, "two", mode=LEGACY)
        for thread, source in ((one, other), (other, one)):
            file = tmp_path / store.read(thread).location
            first, _, rest = file.read_bytes().partition(b"\n")
            meta = json.loads(first)
            meta["payload"]["forked_from_id"] = source
            file.write_bytes(json.dumps(meta, separators=(",", ":")).encode() + b"\n" + rest)
        (tree,) = store.tree()
        assert {tree.id, tree.children[0].id} == {one, other}


def test_a_deep_chain_of_forks_is_drawn_in_time() -> None:
    """What is known of a thread's ancestors is not found out again for each of its descendants."""
    from threadkeep.backends import RolloutRef
    from threadkeep.store._families import _arranged
    from threadkeep.store._inheritance import Inheritance, Link

    depth = 3_000
    names = [f"{number:05}" for number in range(depth)]
    links = [Link(RolloutRef(name, name, name), 10, 0, start=1) for name in names]
    for child, base in zip(links[1:], names, strict=False):
        child.base, child.end = base, 5
    asked = 0

    class Counting(Inheritance):
        def came_from(self, thread_id: str) -> str | None:
            nonlocal asked
            asked += 1
            return super().came_from(thread_id)

    inheritance = Counting(links)
    _, roots = _arranged(inheritance)
    assert roots == names[:1]
    assert asked <= 3 * depth
    assert [inheritance.inherited_bytes(name) for name in reversed(names)] == [4 * n for n in range(depth)][::-1]
    links[0].base = names[-1]
    assert _arranged(Inheritance(links))[1] == names[:1]
