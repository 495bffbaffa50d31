"""Threads that the real Codex wrote are read as the server that wrote them reads them.

One home for each history mode is filled by the binary: turns with tools, compactions, forks at the head, through and
before a turn, in mid-turn and after a checkpoint, reverts, interruptions, an archived thread, and servers that were
killed in the middle of a turn. Then everything that a server tells of these threads is held against what the store
tells of the same files: turns in every view, order and page size, items, thread objects, lists.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.codex import scenarios
from tests.codex.client import AppServer, RpcError
from tests.codex.compare import (
    differences,
    flattened,
    neutral,
    our_items,
    our_turns,
    their_items,
    their_turns,
    thread_object,
    verified,
    without_nulls,
    without_rebuilt,
)
from tests.codex.mock_responses import MockResponses
from tests.codex.scenarios import LEGACY, PAGINATED, Lab
from tests.codex.scrub import rollout_files, thread_id

from threadkeep.store import ThreadFilter, ThreadStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.codex.compare import View

pytestmark = pytest.mark.codex

Json = dict[str, Any]
EVERY: Final = ThreadFilter(archived=None)
VIEWS: Final[tuple[View, ...]] = ("full", "summary", "notLoaded")

WRITTEN: Final = (
    scenarios.turns,
    scenarios.crash,
    scenarios.compaction,
    scenarios.fork,
    scenarios.fork_running,
    scenarios.fork_compaction,
    scenarios.revert,
    scenarios.archived,
    scenarios.repository,
    scenarios.compaction_auto,
    scenarios.subagent,
    scenarios.agents,
    scenarios.extras,  # lets every held answer of the mock go: nothing that holds one can follow
)


@dataclass
class Home:
    """A home that Codex filled, read by both."""

    mode: str
    """The history mode of its threads."""
    lab: Lab
    """The home."""
    store: ThreadStore
    """threadkeep on it."""
    server: AppServer
    """A Codex process that wrote nothing of it."""
    threads: list[str]
    """Ids of its threads, oldest first."""

    @property
    def path(self) -> str:
        """The folder, as Codex names it."""
        return str(self.lab.home)

    def is_legacy(self, thread: str) -> bool:
        """Whether a thread is a legacy one; agents that 0.169.0 spawns never are."""
        return self.store.read(thread).mode == LEGACY


@pytest.fixture(scope="module", params=[PAGINATED, LEGACY])
def home(request: pytest.FixtureRequest, codex_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    mode: str = request.param
    with MockResponses() as mock:
        lab = Lab("0.169.0", codex_bin, tmp_path_factory.mktemp(mode), mock)
        for write in WRITTEN:
            if mode == PAGINATED or write is not scenarios.revert:  # only paginated threads can be reverted
                write(lab, mode)
                lab.configure()
        threads = sorted({thread_id(path) for path in rollout_files(lab.home)})
        with lab.server() as server, ThreadStore.open(lab.home) as store:
            yield Home(mode, lab, store, server, threads)


def aligned(home: Home, thread: str, ours: list[Json], theirs: list[Json]) -> tuple[list[Json], list[Json]]:
    """Both lists of turns without what differs on purpose."""
    if not home.is_legacy(thread):
        return ours, [_as_inherited(*pair) for pair in zip(ours, theirs, strict=True)]
    theirs = neutral(theirs)
    return without_rebuilt(neutral(ours), theirs), theirs


def _as_inherited(ours: Json, theirs: Json) -> Json:
    """A turn of Codex's without an answer that became the turn's last one after the thread had been forked off.

    The summary of a turn that a fork cut off is taken from the source's row, by 0.169.0 as that row is today: what the
    source's turn came to after the fork shows through. threadkeep takes it from the records that are inherited.
    """
    if ours["itemsView"] != "summary" or ours["status"] != "interrupted" or len(theirs["items"]) != 2:
        return theirs
    asked, answered = theirs["items"]
    return {**theirs, "items": [asked]} if ours["items"] == [asked] and answered["type"] == "agentMessage" else theirs


def test_every_thread_is_there(home: Home) -> None:
    assert len(home.threads) >= 17
    assert sorted(thread.id for thread in home.store.list(chosen=EVERY, limit=1_000).data) == home.threads


@pytest.mark.parametrize("descending", [True, False], ids=["newest first", "oldest first"])
@pytest.mark.parametrize("view", VIEWS)
def test_turns_are_the_same(home: Home, view: View, descending: bool) -> None:
    for thread in home.threads:
        theirs = their_turns(home.server, thread, view, descending=descending)
        ours, theirs = aligned(home, thread, our_turns(home.store, thread, view, descending=descending), theirs)
        assert ours == theirs, thread


@pytest.mark.parametrize("descending", [True, False], ids=["newest first", "oldest first"])
@pytest.mark.parametrize("limit", [1, 2, 5])
def test_pages_of_turns_are_the_same(home: Home, limit: int, descending: bool) -> None:
    for thread in home.threads:
        theirs = their_turns(home.server, thread, "summary", limit=limit, descending=descending)
        ours = our_turns(home.store, thread, "summary", limit=limit, descending=descending)
        ours, theirs = aligned(home, thread, ours, theirs)
        assert ours == theirs, thread


def test_each_page_has_as_many_turns_as_codex_gives(home: Home) -> None:
    for thread in home.threads:
        params: Json = {"threadId": thread, "limit": 2, "sortDirection": "asc", "itemsView": "notLoaded"}
        theirs = home.server.request("thread/turns/list", params)
        ours = home.store.turns(thread, limit=2, descending=False, view="notLoaded")
        assert len(ours.data) == len(theirs["data"])
        assert (ours.next_cursor is None) == (theirs["nextCursor"] is None)
        assert (ours.backwards_cursor is None) == (theirs["backwardsCursor"] is None)


@pytest.mark.parametrize("descending", [True, False], ids=["newest first", "oldest first"])
@pytest.mark.parametrize("limit", [1, 3, 100])
def test_items_are_the_same(home: Home, limit: int, descending: bool) -> None:
    for thread in home.threads:
        ours = our_items(home.store, thread, limit=limit, descending=descending)
        if home.is_legacy(thread):
            with pytest.raises(RpcError, match="not supported yet"):
                their_items(home.server, thread)
            whole = flattened(our_turns(home.store, thread, descending=False))
            assert ours == (whole[::-1] if descending else whole), thread
        else:
            assert ours == their_items(home.server, thread, limit=limit, descending=descending), thread


def test_items_of_a_turn_are_the_same(home: Home) -> None:
    for thread in home.threads:
        for turn in our_turns(home.store, thread):
            ours = our_items(home.store, thread, turn=turn["id"], limit=2)
            assert [row["item"] for row in ours] == turn["items"]
            if not home.is_legacy(thread):
                assert ours == their_items(home.server, thread, turn=turn["id"], limit=2)


def test_a_thread_that_is_read_with_its_turns_is_the_same(home: Home) -> None:
    for thread in home.threads:
        answer = home.server.request("thread/read", {"threadId": thread, "includeTurns": True})
        theirs = without_nulls(answer["thread"]["turns"])
        ours, theirs = aligned(home, thread, our_turns(home.store, thread, descending=False), theirs)
        assert ours == theirs, thread


def unexpected(home: Home, thread: str, theirs: Json, *leave: str) -> Json:
    """The members of a thread object that differ and should not.

    On purpose differ: when a reverted thread was created (0.169.0 dates it by its revert); what
    ``thread/metadata/update`` says of a paginated thread, which stands in Codex's SQLite alone; and from whom a
    sub-agent came, which Codex tells only of those that it has loaded.
    """
    shown = home.store.read(thread)
    found = differences(thread_object(shown, home.path), without_nulls(theirs), leave=leave)
    if shown.rollout_id != thread:
        found.pop("createdAt", None)
    if home.mode == PAGINATED and theirs["gitInfo"] and theirs["gitInfo"]["branch"] == "other":
        assert found.pop("gitInfo")[0]["branch"] == "main"
    if isinstance(theirs["source"], dict):
        for name in ("sessionId", "parentThreadId", "threadSource"):
            if theirs[name] in {None, thread}:
                found.pop(name, None)
    return found


def test_threads_are_described_as_codex_reads_them(home: Home) -> None:
    for thread in home.threads:
        # Read cold, a legacy thread was updated when it was created.
        leave = ["updatedAt"] if home.is_legacy(thread) else []
        theirs = home.server.request("thread/read", {"threadId": thread})["thread"]
        assert unexpected(home, thread, theirs, *leave) == {}, thread


@pytest.mark.parametrize("archived", [False, True], ids=["active", "archived"])
def test_threads_are_described_as_codex_lists_them(home: Home, archived: bool) -> None:
    ours = {row.id for row in home.store.list(chosen=ThreadFilter(archived=archived), limit=1_000).data}
    theirs = {row["id"]: row for row in listed(home.server, archived=archived)}
    # A fork that begins before the first turn has nothing to show: Codex lists it nowhere.
    assert {thread for thread in ours - theirs.keys() if home.store.read(thread).preview} == set()
    assert theirs.keys() <= ours
    for thread, row in theirs.items():
        assert unexpected(home, thread, row, "forkedFromId") == {}, thread  # its lists never say it


def listed(server: AppServer, *, archived: bool) -> list[Json]:
    """Every row that the default list of Codex has, of all sources and providers."""
    kinds = ["cli", "vscode", "exec", "appServer", "subAgent", "unknown"]
    params: Json = {"archived": archived, "limit": 100, "modelProviders": [], "sourceKinds": kinds}
    rows: list[Json] = server.request("thread/list", params)["data"]
    return rows


def test_names_are_the_same(home: Home) -> None:
    names = {home.store.read(thread).name for thread in home.threads}
    assert "The newer name" in names


def test_nothing_is_found_wrong(home: Home) -> None:
    assert {thread: verified(home.store, thread) for thread in home.threads} == dict.fromkeys(home.threads)


@pytest.mark.parametrize("mode", [PAGINATED, LEGACY])
def test_a_review_inside_a_thread_is_the_same(
    codex_bin: Path, tmp_path_factory: pytest.TempPathFactory, mode: str
) -> None:
    """Its turn has no start, begins before the turn that it runs, and ends after it."""
    with MockResponses() as mock:
        lab = Lab("0.169.0", codex_bin, tmp_path_factory.mktemp("review"), mock)
        scenarios.review(lab, mode)
        threads = sorted({thread_id(path) for path in rollout_files(lab.home)})
        with lab.server() as server, ThreadStore.open(lab.home) as store:
            home = Home(mode, lab, store, server, threads)
            for thread in threads:
                for view, limit, descending in itertools.product(VIEWS, (1, 2, 100), (True, False)):
                    theirs = their_turns(server, thread, view, descending=descending)
                    ours = our_turns(store, thread, view, limit=limit, descending=descending)
                    ours, theirs = aligned(home, thread, ours, theirs)
                    assert ours == theirs, (thread, view, limit, descending)
                if not home.is_legacy(thread):
                    for limit, descending in itertools.product((1, 3, 100), (True, False)):
                        items = our_items(store, thread, limit=limit, descending=descending)
                        assert items == their_items(server, thread, descending=descending), (thread, limit, descending)
