"""Names and the archive in a home that both use: what one of them says of a thread, the other shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.codex.client import AppServer, RpcError
from tests.codex.compare import our_turns
from tests.codex.scenarios import LEGACY, PAGINATED

from threadkeep.errors import InvalidRequest, ThreadNotFound
from threadkeep.store import ThreadFilter, ThreadStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.codex.scenarios import Lab

pytestmark = pytest.mark.codex

Json = dict[str, Any]
modes = pytest.mark.parametrize("mode", [PAGINATED, LEGACY])


@pytest.fixture(scope="module")
def server(lab: Lab) -> Iterator[AppServer]:
    with lab.server() as started:
        yield started


@pytest.fixture(scope="module")
def store(lab: Lab) -> Iterator[ThreadStore]:
    with ThreadStore.open(lab.home) as opened:
        yield opened


def begun(lab: Lab, mode: str) -> str:
    """A thread of Codex's that nobody holds."""
    with lab.server() as server:
        thread = lab.start(server, mode)
        lab.turn(server, thread, "one")
    return thread


def created(lab: Lab, store: ThreadStore, mode: str) -> str:
    """A thread of ours, which Codex has not indexed."""
    with (
        store.create(cwd=str(lab.project), mode=mode, model_provider="mock") as writer,
        writer.turn("one", model="mock-model") as turn,
    ):
        turn.say("first answer")
    return writer.thread_id


def listed(store: ThreadStore, **chosen: Any) -> set[str]:
    return {thread.id for thread in store.list(chosen=ThreadFilter(**chosen), limit=1_000).data}


def shown(server: AppServer, thread: str) -> Json:
    """The thread as Codex reads it."""
    found: Json = server.request("thread/read", {"threadId": thread})["thread"]
    return found


# --- by Codex -------------------------------------------------------------------------------------------------------


@modes
def test_a_name_that_codex_gave_is_the_name(lab: Lab, store: ThreadStore, mode: str) -> None:
    with lab.server() as server:
        thread = lab.start(server, mode)
        lab.turn(server, thread, "one")
        assert store.read(thread).name is None
        for name in ("A first name", "Größe, the newer name"):
            server.request("thread/name/set", {"threadId": thread, "name": name})
            assert store.read(thread).name == name == shown(server, thread)["name"]
    assert store.read(thread).name == "Größe, the newer name"  # after the server's end, too
    assert thread in listed(store, text="größe, the NEWER")
    assert thread not in listed(store, text="A first name")


@modes
def test_a_name_outlives_a_cold_resume(lab: Lab, store: ThreadStore, mode: str) -> None:
    thread = begun(lab, mode)
    with lab.server() as server:
        server.request("thread/name/set", {"threadId": thread, "name": "A lasting name"})
    with lab.server() as server:
        lab.resume(server, thread)
        lab.turn(server, thread, "two")
        assert store.read(thread).name == "A lasting name" == shown(server, thread)["name"]
    assert store.read(thread).name == "A lasting name"


def test_a_fork_by_codex_has_the_name_of_its_source(lab: Lab, store: ThreadStore, server: AppServer) -> None:
    thread = lab.start(server, PAGINATED)
    lab.turn(server, thread, "one")
    server.request("thread/name/set", {"threadId": thread, "name": "A name to inherit"})
    child = lab.fork(server, thread)
    assert store.read(child).name == "A name to inherit" == shown(server, child)["name"]
    assert store.read(child).preview == "one" == shown(server, child)["preview"]


@modes
def test_what_codex_archives_is_archived(lab: Lab, store: ThreadStore, server: AppServer, mode: str) -> None:
    thread = begun(lab, mode)
    before = our_turns(store, thread)
    server.request("thread/archive", {"threadId": thread})
    assert store.read(thread).archived
    assert store.read(thread).location.startswith("archived_sessions/")
    assert thread in listed(store, archived=True)
    assert thread not in listed(store)
    assert our_turns(store, thread) == before
    with pytest.raises(InvalidRequest, match="archived"):
        store.writer(thread)
    server.request("thread/unarchive", {"threadId": thread})
    assert not store.read(thread).archived
    assert thread in listed(store)
    assert our_turns(store, thread) == before
    with store.writer(thread) as writer, writer.turn("ours") as turn:
        turn.say("back again")


@modes
def test_what_codex_deletes_is_gone(lab: Lab, store: ThreadStore, server: AppServer, mode: str) -> None:
    thread = begun(lab, mode)
    assert thread in listed(store)
    server.request("thread/delete", {"threadId": thread})
    assert thread not in listed(store, archived=None)
    with pytest.raises(ThreadNotFound):
        store.read(thread)


def test_what_codex_reverted_goes_on_from_there(lab: Lab, store: ThreadStore, server: AppServer) -> None:
    thread = lab.start(server, PAGINATED)
    first, second = (lab.turn(server, thread, text) for text in ("one", "two"))
    before = store.read(thread)
    server.request("thread/revert", {"threadId": thread, "beforeTurnId": second})
    after = store.read(thread)
    assert after.rollout_id != before.rollout_id
    assert (after.preview, after.name) == (before.preview, before.name)
    assert abs(after.created_ms - before.created_ms) < 100  # by its id; its first record is some moments younger
    assert [turn["id"] for turn in our_turns(store, thread)] == [first]
    assert [row.id for row in store.list(limit=1_000).data].count(thread) == 1


# --- by threadkeep, of threads that Codex has not indexed -----------------------------------------------------------


def test_a_legacy_thread_that_we_named_has_its_name_in_codex(lab: Lab, store: ThreadStore, server: AppServer) -> None:
    thread = created(lab, store, LEGACY)
    assert store.rename(thread, "Named by threadkeep").name == "Named by threadkeep"
    assert shown(server, thread)["name"] == "Named by threadkeep"
    lab.resume(server, thread)
    lab.turn(server, thread, "two")
    assert store.read(thread).name == "Named by threadkeep" == shown(server, thread)["name"]


def test_a_paginated_thread_that_we_named_keeps_its_name_here(lab: Lab, store: ThreadStore, server: AppServer) -> None:
    """Codex shows a paginated thread by the name in its own database alone, which nobody else may write."""
    thread = created(lab, store, PAGINATED)
    store.rename(thread, "Named by threadkeep")
    assert shown(server, thread)["name"] is None
    assert store.read(thread).name == "Named by threadkeep"
    server.request("thread/name/set", {"threadId": thread, "name": "Named by Codex since"})
    assert store.read(thread).name == "Named by Codex since"


@modes
def test_a_thread_that_we_archived_is_archived_for_codex(lab: Lab, store: ThreadStore, mode: str) -> None:
    thread = created(lab, store, mode)
    assert store.archive(thread).archived
    with lab.server() as server:
        with pytest.raises(RpcError, match="is archived"):
            lab.resume(server, thread)
        rows = server.request("thread/list", {"archived": True, "limit": 100, "sourceKinds": ["cli"]})["data"]
        assert thread in {row["id"] for row in rows}
        server.request("thread/unarchive", {"threadId": thread})
        assert not store.read(thread).archived
        lab.resume(server, thread)
        lab.turn(server, thread, "two")
    assert len(our_turns(store, thread)) == 2


@modes
def test_a_thread_that_we_took_out_of_the_archive_is_resumed(lab: Lab, store: ThreadStore, mode: str) -> None:
    thread = created(lab, store, mode)
    store.archive(thread)
    assert not store.unarchive(thread).archived
    with lab.server() as server:
        lab.resume(server, thread)
        lab.turn(server, thread, "two")
    assert len(our_turns(store, thread)) == 2


@modes
def test_what_we_keep_to_ourselves_codex_does_not_see(lab: Lab, store: ThreadStore, mode: str) -> None:
    thread = begun(lab, mode)
    assert store.rename(thread, "For us alone", local=True).name == "For us alone"
    assert store.archive(thread, local=True).archived
    with lab.server() as server:
        assert shown(server, thread)["name"] is None
        lab.resume(server, thread)
        lab.turn(server, thread, "two")
    assert store.read(thread).name == "For us alone"
    assert store.read(thread).archived
    assert thread not in listed(store)
