"""Copies that threadkeep wrote are found, listed and resumed by the real Codex, with the same context and turns.

What the source's next turn starts with is computed before the copy is made. Then the binary resumes the copy and runs a
turn against the mock: what the model was sent, less what that turn itself added, has to be exactly that.
"""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.codex.compare import TOOLS, history_sent, our_turns, their_turns, without_nulls
from tests.codex.record_legacy import scrubbed
from tests.codex.scenarios import LEGACY, PAGINATED
from tests.replay.test_convert import CASES, CRAFTED, converted, neutral, thread_of
from tests.replay.test_turns_recorded import legacy_file

from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.codex.client import AppServer
    from tests.codex.scenarios import Lab

pytestmark = pytest.mark.codex

Json = dict[str, Any]
ROLLOUTS: Final = Path(__file__).parent.parent / "fixtures" / "rollouts"
_numbers = itertools.count(1)


def probe(lab: Lab, store: ThreadStore, server: AppServer, thread: str) -> list[Json]:
    """What the model is sent of a thread when Codex resumes it and runs a turn, less what that turn adds."""
    path = lab.home / store.read(thread).location
    size = path.stat().st_size
    text = f"probe of the copy {next(_numbers)}"
    server.request("thread/resume", {"threadId": thread, "excludeTurns": True})
    assert server.run_turn(thread, text)["status"] == "completed"
    sent = lab.mock.wait_for_prompt(text).input
    records = map(json.loads, path.read_bytes()[size:].splitlines())
    added = {record["payload"]["id"] for record in records if record["type"] == "response_item"}
    return [item for item in sent[1:] if item.get("id") not in added]


def read_turns(server: AppServer, thread: str) -> list[Json]:
    """A thread's turns by ``thread/read``, oldest first."""
    found: list[Json] = without_nulls(
        server.request("thread/read", {"threadId": thread, "includeTurns": True})["thread"]["turns"]
    )
    return found


def what_was_said(turns: list[Json]) -> list[Json]:
    """Turns without tool calls, of which a legacy thread shows more here than its copy does, and without times."""
    return [
        {
            "id": turn["id"],
            "status": turn["status"],
            "items": [
                {name: value for name, value in item.items() if name not in {"startedAtMs", "completedAtMs"}}
                for item in turn["items"]
                if item["type"] not in TOOLS
            ],
        }
        for turn in turns
    ]


def copied_well(lab: Lab, store: ThreadStore, server: AppServer, source: str, expected: list[Json]) -> str:
    """Copy a thread and let Codex resume the copy; its id."""
    before = our_turns(store, source, descending=False)
    made = store.materialize(source)
    ours = our_turns(store, made.thread_id, descending=False)
    assert what_was_said(ours) == what_was_said(before)
    assert probe(lab, store, server, made.thread_id) == expected
    assert their_turns(server, made.thread_id, descending=False)[:-1] == ours
    assert read_turns(server, made.thread_id)[:-1] == ours
    return made.thread_id


def legacy_thread(lab: Lab, server: AppServer) -> str:
    """A legacy thread of Codex's with calls, reasoning and a compaction."""
    thread = lab.start(server, LEGACY)
    lab.turn(server, thread, "one")
    lab.turn(server, thread, f"[[reason]] {lab.call('echo hi')} two")
    lab.compact(server, thread)
    lab.turn(server, thread, "three")
    return thread


def add_turn(lab: Lab, store: ThreadStore, thread: str, text: str) -> None:
    """A turn of threadkeep's."""
    with store.writer(thread) as writer, writer.turn(text, model="gpt-5.5", cwd=str(lab.project)) as turn:
        turn.say(f"answer to {text}")


def test_a_fork_of_a_legacy_thread_is_resumed_under_its_own_id(lab: Lab) -> None:
    with lab.server() as server:
        parent = legacy_thread(lab, server)
    with ThreadStore.open(lab.home) as store:
        child = store.fork(parent).id
        add_turn(lab, store, child, "four")
        expected = history_sent(store.resume(child))
        with lab.server() as server:
            assert copied_well(lab, store, server, child, expected) == child
            assert server.run_turn(child, "and on")["status"] == "completed"
        with lab.server() as server:
            rows = {row["id"]: row for row in server.request("thread/list", {"useStateDbOnly": True})["data"]}
            assert rows[child]["path"].endswith(store.read(child).location)
            assert rows[child]["preview"] == "one"
        assert store.to_materialize() == []


@pytest.mark.parametrize("first", ["thread/list", "thread/read", "thread/resume"])
def test_codex_finds_the_copy_whatever_it_does_first(lab: Lab, first: str) -> None:
    with lab.server() as server:
        parent = lab.start(server, LEGACY)
        lab.turn(server, parent, "one")
    with ThreadStore.open(lab.home) as store:
        child = store.fork(parent).id
        store.materialize(child)
        with lab.server() as server:
            server.request(first, {} if first == "thread/list" else {"threadId": child})
            resumed = server.request("thread/resume", {"threadId": child})["thread"]
            assert resumed["path"].endswith(store.read(child).location)
            assert [turn["items"][0]["type"] for turn in resumed["turns"]] == ["userMessage"]


def test_a_thread_that_codex_has_indexed_goes_on_in_a_new_one(lab: Lab) -> None:
    with lab.server() as server:
        parent = legacy_thread(lab, server)
        with ThreadStore.open(lab.home) as store:
            child = store.fork(parent).id
            add_turn(lab, store, child, "four")
            store.rename(child, "the name")
            server.request("thread/list", {})
            expected = history_sent(store.resume(child))
            copy = copied_well(lab, store, server, child, expected)
            assert copy != child
            assert server.request("thread/read", {"threadId": copy})["thread"]["forkedFromId"] == child
            assert store.read(copy).name == "the name"
            assert child not in store.to_materialize()


def test_a_local_revert_of_codexs_thread_goes_on_in_a_new_one(lab: Lab) -> None:
    with lab.server() as server:
        thread = lab.start(server, PAGINATED)
        for text in ("one", "two", "three"):
            lab.turn(server, thread, text)
    with ThreadStore.open(lab.home) as store, lab.server() as server:
        second = our_turns(store, thread, "notLoaded", descending=False)[1]["id"]
        store.revert(thread, before=second, local=True)
        expected = history_sent(store.resume(thread))
        assert thread in store.to_materialize()
        copy = copied_well(lab, store, server, thread, expected)
        assert copy != thread
        assert len(their_turns(server, copy)) == 2


def test_a_fork_outlives_its_source(lab: Lab) -> None:
    with lab.server() as server:
        parent = lab.start(server, PAGINATED)
        lab.turn(server, parent, "one")
        lab.turn(server, parent, f"[[reason]] {lab.call('echo hi')} two")
        child = lab.fork(server, parent)
        lab.turn(server, child, "three")
    with ThreadStore.open(lab.home) as store:
        expected = history_sent(store.resume(child))
        (lab.home / store.read(parent).location).unlink()
        assert child in store.to_materialize()
        with lab.server() as server:
            copied_well(lab, store, server, child, expected)


def test_what_a_sub_agent_was_given_stays_out_of_sight(new_lab: Callable[[], Lab]) -> None:
    lab = new_lab()
    shutil.copytree(ROLLOUTS / "0.169.0" / "agents-paginated" / "sessions", lab.home / "sessions")
    with ThreadStore.open(lab.home) as store, lab.server() as server:
        agents = [row.id for row in store.list(limit=100).data if row.parent_thread_id is not None]
        assert agents
        for agent in agents:
            child = store.fork(agent).id
            copied_well(lab, store, server, child, history_sent(store.resume(child)))


LEGACY_HOMES: Final = sorted(
    path.parent
    for path in ROLLOUTS.glob("*/*/expected.json")
    if path.parent.parent.name != "0.20.0" and "paginated" not in path.parent.name
)


@pytest.mark.parametrize("fixture", LEGACY_HOMES, ids=lambda path: f"{path.parent.name} {path.name}")
def test_forks_of_all_versions_threads_are_resumed(fixture: Path, new_lab: Callable[[], Lab]) -> None:
    lab = new_lab()
    for path in fixture.rglob("*.jsonl"):
        place = lab.home / path.relative_to(fixture)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    with ThreadStore.open(lab.home) as store, lab.server() as server:
        for source in [row.id for row in store.list(limit=100).data]:
            child = store.fork(source).id
            expected = history_sent(store.resume(child))
            copy = store.materialize(child).thread_id
            sent = [item for item in probe(lab, store, server, copy) if item != {"type": "other"}]
            assert sent == expected, (
                "but for shells of unknown items in checkpoints, which Codex sends of the source, too"
            )
            ours = our_turns(store, copy, descending=False)
            assert their_turns(server, copy, descending=False) == ours


MIGRATED_OTHERWISE: Final = frozenset(
    {
        "boundaries: unknown collaboration mode",  # words that 0.169 does not know may be a newer version's
        "calls: a call with the id of a message",  # ids made up here never meet ids of calls
        "copies: a sub-agent that was given the history",  # Codex's migration keeps the context of sub-agents alone
        "copies: a sub-agent with a start ordinal",
        "lifecycle_items: plans",  # ids of turns without a start are made up otherwise
    }
)


def test_codex_shows_a_conversion_as_it_shows_its_own_migration(new_lab: Callable[[], Lab]) -> None:
    lab = new_lab()
    cases = {
        name: (thread_of(data), data)
        for name, turns in CRAFTED.items()
        if turns is not None and name not in MIGRATED_OTHERWISE
        for _, data in [legacy_file(CASES[name])]
    }
    for thread, data in cases.values():
        place = lab.home / f"sessions/2026/11/22/rollout-2026-11-22T10-00-00-{thread}.jsonl"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(converted(data))
    different = []
    with lab.server() as server:
        for name, (thread, _) in cases.items():
            server.request("thread/resume", {"threadId": thread, "excludeTurns": True})
            page = {"threadId": thread, "itemsView": "full", "limit": 100, "sortDirection": "asc"}
            shown = scrubbed(server.request("thread/turns/list", page)["data"])
            if neutral(shown) != neutral(CRAFTED[name]):
                different.append(name)
            server.request("thread/unsubscribe", {"threadId": thread})
    assert different == []
    assert len(cases) > 130
