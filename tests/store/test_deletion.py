"""Deleting: what others inherit stays theirs, whatever is deleted, in whichever order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.backends.local.homes import QuickFiles
from tests.store.threads import LEGACY, PAGINATED, add_turns, all_bytes, context_of, new_thread, turn_ids

from threadkeep.backends import RolloutRef
from threadkeep.backends.local import LocalBackend
from threadkeep.errors import ThreadBusy, ThreadNotFound
from threadkeep.store import ThreadStore
from threadkeep.store._deletion import _not_needed
from threadkeep.store._inheritance import Inheritance, Link

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from pathlib import Path

    from threadkeep.backends import Lease

MODES = pytest.mark.parametrize("mode", [PAGINATED, LEGACY])


def shown(store: ThreadStore) -> set[str]:
    return {thread.id for thread in store.list(limit=100).data}


@pytest.mark.parametrize("gone", [1, 40])
def test_forks_that_codex_removed_do_not_make_a_deletion_look_through_the_home_for_each(
    tmp_path: Path, gone: int
) -> None:
    class Looking(QuickFiles):
        looks = 0

        def scandir(self, path: str) -> Iterator[os.DirEntry[str]]:
            self.looks += 1
            return super().scandir(path)

    files = Looking()
    with ThreadStore(LocalBackend(str(tmp_path), files=files)) as store:
        parent, victim = new_thread(store, "one"), new_thread(store, "two")
        for _ in range(gone):
            (tmp_path / store.read(store.fork(parent).id).location).unlink()
        for day in range(20):
            (tmp_path / "sessions" / "2020" / "01" / f"{day + 1:02}").mkdir(parents=True)
        files.looks = 0
        store.delete(victim)
        assert files.looks < 400


def test_a_thread_that_nobody_inherits_from_is_removed(store: ThreadStore) -> None:
    alone, other = new_thread(store, "one"), new_thread(store, "two")
    plan = store.plan_delete(alone)
    assert [(step.id, step.action, step.kept_for) for step in plan.threads] == [(alone, "remove", [])]
    assert plan.bytes_freed == store.read(alone).size > 0
    assert store.delete(alone) == plan
    assert shown(store) == {other}
    with pytest.raises(ThreadNotFound):
        store.read(alone)


@MODES
def test_a_parent_is_hidden_and_its_child_is_what_it_was(store: ThreadStore, mode: str) -> None:
    parent = new_thread(store, "one", "two", mode=mode)
    child = store.fork(parent).id
    before = context_of(store, child), turn_ids(store, child), all_bytes(store)
    plan = store.delete(parent)
    assert [(step.action, step.bytes_freed, step.kept_for) for step in plan.threads] == [("hide", 0, [child])]
    assert shown(store) == {child}
    with pytest.raises(ThreadNotFound, match="deleted"):
        store.read(parent)
    assert (context_of(store, child), turn_ids(store, child), all_bytes(store)) == before


@MODES
def test_reclaiming_keeps_what_is_inherited_and_no_more(store: ThreadStore, mode: str) -> None:
    parent = new_thread(store, "one", "two", "three", mode=mode)
    child = store.fork(parent, through=turn_ids(store, parent)[0]).id
    inherited = store.tree(parent)[0].children[0].inherited_bytes
    add_turns(store, parent, "four " * 1000)
    before = context_of(store, child), turn_ids(store, child)
    held = all_bytes(store)[store.read(parent).location]
    planned = store.plan_delete(parent, reclaim=True)
    done = store.delete(parent, reclaim=True)
    assert done == planned
    kept = all_bytes(store)[done.threads[0].rollouts[0]]
    assert held.startswith(kept)
    assert len(kept) == done.bytes_kept == len(held) - done.bytes_freed
    assert b"four" not in kept
    assert inherited <= len(kept)
    assert (context_of(store, child), turn_ids(store, child)) == before


def test_a_hidden_parent_goes_with_its_last_child(store: ThreadStore) -> None:
    parent = new_thread(store, "one")
    first, second = store.fork(parent).id, store.fork(parent).id
    store.delete(parent)
    assert [step.action for step in store.delete(first).threads] == ["remove"]
    assert context_of(store, second)
    assert [(step.id, step.action) for step in store.delete(second).threads] == [(second, "remove"), (parent, "remove")]
    assert all_bytes(store) == {}
    assert not list(store.backend.pins())


def test_a_hidden_thread_between_two_others_stays_for_its_child(store: ThreadStore) -> None:
    root = new_thread(store, "one")
    middle = store.fork(root).id
    add_turns(store, middle, "two")
    leaf = store.fork(middle).id
    before = context_of(store, leaf)
    store.delete(root)
    plan = store.delete(middle)
    assert [(step.id, step.action, step.kept_for) for step in plan.threads] == [(middle, "hide", [leaf])]
    assert context_of(store, leaf) == before
    assert {step.id for step in store.delete(leaf).threads} == {leaf, middle, root}


def test_without_cascade_no_descendant_is_touched(store: ThreadStore) -> None:
    root = new_thread(store, "one")
    child = store.fork(root).id
    add_turns(store, child, "two")
    grandchild = store.fork(child).id
    assert {step.id for step in store.plan_delete(root).threads} == {root}
    plan = store.delete(root, cascade=True)
    assert {(step.id, step.action) for step in plan.threads} == {
        (root, "remove"),
        (child, "remove"),
        (grandchild, "remove"),
    }
    assert all_bytes(store) == {}


def test_planning_changes_nothing(store: ThreadStore) -> None:
    parent = new_thread(store, "one")
    store.fork(parent)
    before = all_bytes(store)
    store.plan_delete(parent, cascade=True, reclaim=True)
    assert all_bytes(store) == before
    assert store.read(parent).id == parent


def test_when_one_of_the_threads_is_written_to_nothing_is_deleted(store: ThreadStore) -> None:
    parent = new_thread(store, "one")
    child = store.fork(parent).id
    before = all_bytes(store)
    with store.writer(child), pytest.raises(ThreadBusy):
        store.delete(parent, cascade=True)
    assert all_bytes(store) == before
    assert shown(store) == {parent, child}


def test_a_reverted_thread_goes_with_all_its_rollouts(store: ThreadStore) -> None:
    thread = new_thread(store, "one", "two")
    store.revert(thread, before=turn_ids(store, thread)[1])
    assert len(store.plan_delete(thread).threads[0].rollouts) == 2
    store.delete(thread)
    assert all_bytes(store) == {}


def test_reclaiming_a_reverted_thread_keeps_the_rollouts_that_a_child_needs(store: ThreadStore) -> None:
    thread = new_thread(store, "one", "two")
    store.revert(thread, before=turn_ids(store, thread)[1])
    add_turns(store, thread, "three")
    child = store.fork(thread).id
    before = context_of(store, child)
    plan = store.delete(thread, reclaim=True)
    assert plan.threads[0].bytes_freed > 0
    assert context_of(store, child) == before
    assert b"Answer to: two" not in b"".join(all_bytes(store).values())


def test_an_ephemeral_child_counts_as_one_who_inherits(store: ThreadStore) -> None:
    parent = new_thread(store, "one")
    child = store.fork(parent, ephemeral=True).id
    before = context_of(store, child)
    assert [step.action for step in store.delete(parent).threads] == ["hide"]
    assert context_of(store, child) == before


def test_deleting_twice_is_told(store: ThreadStore) -> None:
    thread = new_thread(store, "one")
    store.delete(thread)
    with pytest.raises(ThreadNotFound):
        store.delete(thread)


def test_a_rollout_in_two_places_is_deleted_from_both(tmp_path: Path) -> None:
    with ThreadStore.open(tmp_path, durability="os") as store:
        thread, other = new_thread(store, "one"), new_thread(store, "two")
        first = tmp_path / store.read(thread).location
        (tmp_path / "archived_sessions").mkdir()
        (tmp_path / "archived_sessions" / first.name).write_bytes(first.read_bytes())
        store.delete(thread)
        assert shown(store) == {other}
        assert not list(tmp_path.glob(f"*sessions/**/*{thread}*"))


def test_a_fork_that_somebody_makes_meanwhile_goes_along_or_keeps_its_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Codex does not know threadkeep's guard: its fork may appear between two looks at the home."""
    with ThreadStore.open(tmp_path, durability="os") as store:
        parent = new_thread(store, "one")
        child = store.fork(parent).id
        path = tmp_path / store.read(child).location
        late = store.backend.ids.new()
        lease = store.backend.lease

        def leased(thread: str) -> Lease:
            twin = path.with_name(path.name.replace(child, late))
            if not twin.exists():
                twin.write_bytes(path.read_bytes().replace(child.encode(), late.encode()))
            return lease(thread)

        monkeypatch.setattr(store.backend, "lease", leased)
        plan = store.delete(parent, cascade=True)
        assert {step.id for step in plan.threads} == {parent, child, late}
        assert shown(store) == set()


def test_a_long_chain_of_deleted_forks_is_judged_in_one_pass() -> None:
    """Each is needed by the next alone; who needs the last is not found out again for every one."""
    depth = 1_000
    names = [f"{number:05}" for number in range(depth)]
    links = [Link(RolloutRef(name, name, name), 10, 0, start=1) for name in names]
    for child, base in zip(links[1:], names, strict=False):
        child.base, child.end = base, 5
    looked_at = 0

    class Counting(dict[str, Link]):
        def get(self, key: str, default: Any = None) -> Any:
            nonlocal looked_at
            looked_at += 1
            return super().get(key, default)

    inheritance = Inheritance(links, {})
    inheritance.links = Counting(inheritance.links)
    inheritance.heirs = Counting(inheritance.heirs)  # type: ignore[assignment, arg-type]
    assert _not_needed(inheritance, names[:-1], set()) == set()
    assert _not_needed(inheritance, names[:-1], {names[-1]}) == set(names[:-1])
    assert looked_at <= 4 * depth


def test_who_is_about_to_fork_a_thread_that_is_deleted_first_does_not_find_it(
    store: ThreadStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = new_thread(store, "one", "two", "three")
    first, _, last = turn_ids(store, thread)
    heir = store.fork(thread, through=first).id
    guard = store.backend.guard

    def deleted_first(*, exclusive: bool) -> object:
        monkeypatch.undo()
        store.delete(thread, reclaim=True)  # what the heir needs of it stays
        return guard(exclusive=exclusive)

    monkeypatch.setattr(store.backend, "guard", deleted_first)
    with pytest.raises(ThreadNotFound):
        store.fork(thread, before=last)
    assert [each.id for each in store.list().data] == [heir]
