"""Threads that Codex has indexed are changed by Codex: threadkeep asks it, and both see the same afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from tests.codex.scenarios import LEGACY, PAGINATED, Lab
from tests.codex.scrub import rollout_files
from tests.store.threads import context_of, turn_ids

from threadkeep.errors import CodexOwned, ThreadBusy
from threadkeep.store import ThreadFilter, ThreadStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.codex.client import AppServer

pytestmark = pytest.mark.codex

MODES: Final = pytest.mark.parametrize("mode", [PAGINATED, LEGACY])


@pytest.fixture(autouse=True)
def _installed(codex_bin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Codex that threadkeep asks, as if it were on the search path."""
    monkeypatch.setenv("THREADKEEP_CODEX", str(codex_bin))


@pytest.fixture
def indexed(lab: Lab) -> Callable[[str], str]:
    """Makes a thread of two turns that Codex has indexed, and that no server holds."""

    def make(mode: str) -> str:
        with lab.server() as server:
            thread = lab.start(server, mode)
            lab.turn(server, thread, "first words")
            lab.turn(server, thread, "second words")
        return thread

    return make


@pytest.fixture
def store(lab: Lab) -> Iterator[ThreadStore]:
    with ThreadStore.open(lab.home) as opened:
        yield opened


def codex_bytes(lab: Lab) -> dict[Path, bytes]:
    return {path.relative_to(lab.home): path.read_bytes() for path in rollout_files(lab.home)}


def go_on(lab: Lab, server: AppServer, thread: str, text: str) -> str:
    """Resume a thread and run one more turn."""
    server.request("thread/resume", {"threadId": thread, "excludeTurns": True})
    return lab.turn(server, thread, text)


@MODES
def test_a_rename_is_codex_s_own(lab: Lab, store: ThreadStore, indexed: Callable[[str], str], mode: str) -> None:
    thread = indexed(mode)
    assert store.rename(thread, "called so").name == "called so"
    assert store.backend.marks(thread).name is None
    with lab.server() as server:
        assert server.request("thread/read", {"threadId": thread})["thread"]["name"] == "called so"


@MODES
def test_archiving_and_back(lab: Lab, store: ThreadStore, indexed: Callable[[str], str], mode: str) -> None:
    thread = indexed(mode)
    before = context_of(store, thread)
    assert store.archive(thread).archived
    assert store.read(thread).location.startswith("archived_sessions/")
    assert context_of(store, thread) == before
    with lab.server() as server:
        shown = server.request("thread/list", {"archived": True, "limit": 100})["data"]
        assert thread in {each["id"] for each in shown}
    assert not store.unarchive(thread).archived
    assert context_of(store, thread) == before
    assert thread in {each.id for each in store.list(chosen=ThreadFilter(archived=False), limit=100).data}
    with lab.server() as server:
        assert go_on(lab, server, thread, "third words")


def test_a_revert_is_codex_s_own(lab: Lab, store: ThreadStore, indexed: Callable[[str], str]) -> None:
    thread = indexed(PAGINATED)
    first, second = turn_ids(store, thread)
    reverted = store.revert(thread, before=second)
    assert reverted.rollout_id != thread
    assert turn_ids(store, thread) == [first]
    with lab.server() as server:
        page = server.request("thread/turns/list", {"threadId": thread, "limit": 10})
        assert [turn["id"] for turn in page["data"]] == [first]
        go_on(lab, server, thread, "another second")
    assert turn_ids(store, thread)[0] == first
    assert len(turn_ids(store, thread)) == 2


def test_what_codex_cannot_do_is_refused_and_changes_nothing(
    lab: Lab, store: ThreadStore, indexed: Callable[[str], str]
) -> None:
    thread = indexed(LEGACY)
    before = codex_bytes(lab)
    with pytest.raises(CodexOwned, match="paginated"):
        store.revert(thread, before=turn_ids(store, thread)[1])
    assert {path: data for path, data in codex_bytes(lab).items() if path in before} == before
    assert len(turn_ids(store, thread)) == 2


@MODES
def test_a_change_that_is_local_moves_nothing_of_codex_s(
    lab: Lab, store: ThreadStore, indexed: Callable[[str], str], mode: str
) -> None:
    thread = indexed(mode)
    before = codex_bytes(lab)
    first, second = turn_ids(store, thread)
    assert store.rename(thread, "mine", local=True).name == "mine"
    assert store.archive(thread, local=True).archived
    assert not store.unarchive(thread, local=True).archived
    store.revert(thread, before=second, local=True)
    assert turn_ids(store, thread) == [first]
    assert codex_bytes(lab) == before
    with lab.server() as server:
        read = server.request("thread/read", {"threadId": thread, "includeTurns": True})["thread"]
        assert read["name"] != "mine"
        assert len(read["turns"]) == 2


def test_a_thread_that_codex_holds_is_busy(lab: Lab, store: ThreadStore, indexed: Callable[[str], str]) -> None:
    thread = indexed(PAGINATED)
    with lab.server() as server:
        server.request("thread/resume", {"threadId": thread})
        with pytest.raises(ThreadBusy):
            store.archive(thread)
        with pytest.raises(ThreadBusy):
            store.delete(thread)
    assert not store.read(thread).archived


def test_without_codex_the_change_is_refused(
    store: ThreadStore, indexed: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = indexed(PAGINATED)
    monkeypatch.setenv("THREADKEEP_CODEX", "/nowhere/codex")
    second = turn_ids(store, thread)[1]
    changes: list[Callable[[], object]] = [
        lambda: store.rename(thread, "new"),
        lambda: store.archive(thread),
        lambda: store.revert(thread, before=second),
    ]
    for change in changes:
        with pytest.raises(CodexOwned, match=r"local=True.*--local"):
            change()
    assert store.read(thread).name is None


@MODES
def test_a_deleted_thread_is_gone_for_codex_too(
    lab: Lab, store: ThreadStore, indexed: Callable[[str], str], mode: str
) -> None:
    thread = indexed(mode)
    store.delete(thread)
    with lab.server() as server:
        assert thread not in {each["id"] for each in server.request("thread/list", {"limit": 100})["data"]}
    assert thread not in {each.id for each in store.list(limit=100).data}


def test_a_prefix_that_reclaiming_left_is_read_by_codex(
    lab: Lab, store: ThreadStore, indexed: Callable[[str], str]
) -> None:
    parent = indexed(PAGINATED)
    with lab.server() as server:
        forked = server.request("thread/fork", {"threadId": parent, "lastTurnId": turn_ids(store, parent)[0]})
        child = str(forked["thread"]["id"])
        lab.turn(server, child, "on the branch")
    before = context_of(store, child)
    plan = store.delete(parent, reclaim=True)
    assert plan.threads[0].action == "reclaim"
    assert plan.bytes_freed > 0
    assert context_of(store, child) == before
    with lab.server() as server:
        go_on(lab, server, child, "and on")
    assert "first words" in str(lab.mock.model_calls[-1].input)
    assert "second words" not in str(lab.mock.model_calls[-1].input)
    assert len(turn_ids(store, child)) == 3
