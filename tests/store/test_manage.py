"""Names and the archive."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from tests.store.threads import add_turns, all_bytes, context_of, new_thread, turn_ids

from threadkeep.backends import Facts, Marks
from threadkeep.errors import InvalidRequest, ThreadBusy, ThreadNotFound, TurnNotFound
from threadkeep.store import ThreadFilter, ThreadStore
from threadkeep.store._manage import rename, set_archived, set_git

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from threadkeep.backends import Lease
    from threadkeep.store._access import Access, Located


def test_a_name_is_kept_shown_and_found(store: ThreadStore) -> None:
    thread = new_thread(store, "what was said")
    assert store.rename(thread, "  The Name ").name == "The Name"
    assert store.list(chosen=ThreadFilter(text="the name")).data[0].id == thread
    assert store.rename(thread, "").name is None
    assert store.list(chosen=ThreadFilter(text="the name")).data == []


def test_a_name_stays_when_the_home_is_opened_again(tmp_path: Path) -> None:
    with ThreadStore.open(tmp_path) as store:
        thread = new_thread(store, "one")
        store.rename(thread, "kept")
    with ThreadStore.open(tmp_path) as store:
        assert store.read(thread).name == "kept"


@pytest.mark.parametrize("name", ["two\nlines", "x" * 1001, "\x1b[31mred"])
def test_a_name_is_one_printable_line(store: ThreadStore, name: str) -> None:
    thread = new_thread(store, "one")
    with pytest.raises(InvalidRequest):
        store.rename(thread, name)


def test_an_archived_thread_is_put_away_and_comes_back(store: ThreadStore) -> None:
    thread, other = new_thread(store, "one"), new_thread(store, "two")
    child = store.fork(thread).id
    before = context_of(store, child)
    bytes_before = sorted(all_bytes(store).values())
    assert store.archive(thread).archived
    assert store.archive(thread).archived
    assert {found.id for found in store.list().data} == {other, child}
    assert [found.id for found in store.list(chosen=ThreadFilter(archived=True)).data] == [thread]
    with pytest.raises(InvalidRequest, match="archived"):
        store.writer(thread)
    assert context_of(store, child) == before
    assert not store.unarchive(thread).archived
    add_turns(store, thread, "again")
    after = b"".join(sorted(all_bytes(store).values()))
    assert all(data in after for data in bytes_before)
    assert context_of(store, child) == before


def test_every_rollout_of_a_reverted_thread_is_moved(store: ThreadStore) -> None:
    thread = new_thread(store, "one", "two")
    store.revert(thread, before=turn_ids(store, thread)[1])
    before = context_of(store, thread)
    store.archive(thread)
    assert [ref.archived for ref in store.backend.rollouts_of(thread)] == [True, True]
    assert context_of(store, thread) == before
    store.unarchive(thread)
    assert [ref.archived for ref in store.backend.rollouts_of(thread)] == [False, False]
    assert context_of(store, thread) == before


def test_a_thread_that_is_written_to_is_left_alone(store: ThreadStore) -> None:
    thread = new_thread(store, "one")
    with store.writer(thread):
        with pytest.raises(ThreadBusy):
            store.rename(thread, "new")
        with pytest.raises(ThreadBusy):
            store.archive(thread)
    assert store.read(thread).name is None
    assert not store.read(thread).archived


def test_git_facts_are_set_while_somebody_writes_to_the_thread(store: ThreadStore) -> None:
    thread = new_thread(store, "one")
    with store.writer(thread):
        store.set_git(thread, {"branch": "ours"})
    store.set_git(thread, {"commit_hash": "abc"})
    git = store.read(thread).git
    assert git is not None
    assert (git.branch, git.commit_hash) == ("ours", "abc")


CHANGES: dict[str, Callable[[Access, Located], object]] = {
    "git facts": lambda access, located: set_git(access, located, {"branch": "b"}),
    "a name": lambda access, located: rename(access, located, "new", local=False),
    "the archive": lambda access, located: set_archived(access, located, archived=False, local=False),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_thread_that_is_deleted_while_it_is_changed_stays_deleted(
    store: ThreadStore, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    thread = new_thread(store, "one")
    store.fork(thread)
    store.backend.change_marks(thread, lambda _: Marks(name="old", archived=True))
    located = store._access.locate(thread)
    located.facts = Facts(indexed=True)
    monkeypatch.setattr(store.backend, "ask_codex", lambda *_: None)
    remember = store.backend.change_marks

    def late(wanted: str, what: Callable[[Marks], Marks]) -> None:
        monkeypatch.setattr(store.backend, "change_marks", remember)
        store.delete(wanted)
        remember(wanted, what)

    monkeypatch.setattr(store.backend, "change_marks", late)
    with contextlib.suppress(ThreadNotFound):
        CHANGES[change](store._access, located)
    assert store.backend.marks(thread).hidden


def test_an_archived_thread_is_not_reverted(store: ThreadStore) -> None:
    thread = new_thread(store, "one", "two")
    second = turn_ids(store, thread)[1]
    store.archive(thread)
    with pytest.raises(InvalidRequest, match="archived"):
        store.revert(thread, before=second)
    assert store.read(thread).archived


def test_a_revert_takes_back_what_stands_when_it_has_the_lease(
    store: ThreadStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two people take turns back at once: the later one goes on from what the earlier one left."""
    thread = new_thread(store, "one", "two", "three")
    turns = turn_ids(store, thread)
    lease = store.backend.lease

    def leased(wanted: str) -> Lease:
        monkeypatch.setattr(store.backend, "lease", lease)
        store.revert(thread, before=turns[2])
        add_turns(store, thread, "four")
        return lease(wanted)

    monkeypatch.setattr(store.backend, "lease", leased)
    with pytest.raises(TurnNotFound):
        store.revert(thread, before=turns[2])
    assert turn_ids(store, thread)[:2] == turns[:2]
    assert b"four" in b"".join(context_of(store, thread))
