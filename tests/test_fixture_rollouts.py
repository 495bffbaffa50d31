"""Rollouts that real Codex binaries wrote, 0.20.0 to 0.169.0, are read as the real Codex 0.169.0 read them.

Every home of ``tests/fixtures/rollouts`` is opened as a user's home would be, and everything that the store tells of it
is held against ``expected.json``: what 0.169.0 answered for the very same files.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
from tests.codex.compare import (
    TOOLS,
    differences,
    flattened,
    history_sent,
    neutral,
    our_items,
    our_turns,
    plain,
    thread_object,
    verified,
    without_nulls,
    without_rebuilt,
)
from tests.codex.recorder import copy_home
from tests.codex.scrub import BASE_INSTRUCTIONS, rollout_files
from tests.oracle.turns_legacy import legacy_turns

from threadkeep.replay._metadata import parse_utc
from threadkeep.store import ThreadFilter, ThreadStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Json = dict[str, Any]
FIXTURES: Final = Path(__file__).parent / "fixtures" / "rollouts"
HOMES: Final = sorted(str(path.parent.relative_to(FIXTURES)) for path in FIXTURES.glob("*/*/expected.json"))
EVERY: Final = ThreadFilter(archived=None)

BEFORE_ENVELOPES: Final = "0.20.0/"
"""The version whose records have no envelope: 0.169.0 refuses its files, which say themselves what is to be shown."""

FORKS_BY_REFERENCE: Final = "its preview is what its history begins with, not what the fork itself said first"

OTHERWISE: Final[dict[str, dict[str, str]]] = {
    "0.125.0/subagent": {
        "parentThreadId": "the parent is the one that the source names",
        "sessionId": "no file states it: 0.169.0 makes a new one up with each resume, and shows that",
    },
    "0.60.1/review": {"sessionId": "the same"},
    "0.149.0/fork-paginated": {"preview": FORKS_BY_REFERENCE},
    "0.169.0/fork-paginated": {"preview": FORKS_BY_REFERENCE},
    "0.169.0/fork-compaction-paginated": {"preview": FORKS_BY_REFERENCE},
    "0.169.0/fork-running-paginated": {"preview": FORKS_BY_REFERENCE},
    "0.169.0/revert-paginated": {
        "path": "the list of 0.169.0 shows a reverted thread with the file that it was reverted from",
        "preview": FORKS_BY_REFERENCE,
    },
}
"""Members of thread objects that differ on purpose, by home."""


@cache
def expected(name: str) -> Json:
    recorded: Json = json.loads((FIXTURES / name / "expected.json").read_text())
    return recorded


def threads(name: str) -> list[Json]:
    """What is recorded of each thread of a home that 0.169.0 can read."""
    return [thread for thread in expected(name)["threads"] if "error" not in thread["read_cold"]]


def resumed_turns(thread: Json) -> list[Json]:
    """The turns of a recorded resume, oldest first; none where Codex refused to resume an archived thread."""
    turns: list[Json] = thread["resume"].get("thread", {}).get("turns", [])
    return turns


def recorded_turns(thread: Json) -> list[Json]:
    """The turns that Codex listed, newest first."""
    data = thread["turns"]["data"]
    return resumed_turns(thread)[::-1] if isinstance(data, dict) else data


def recorded_items(thread: Json) -> list[Json]:
    """The items that Codex listed, oldest first."""
    known = {(turn["id"], item["id"]): item for turn in resumed_turns(thread) for item in turn["items"]}
    return [
        {**row, "item": known[row["turnId"], row["item"]["same_as"]] if "same_as" in row["item"] else row["item"]}
        for row in thread["items"]["data"]
    ]


def refused(thread: Json) -> bool:
    """Whether Codex would not resume the thread, which is archived: then it has no turns to list either."""
    return "error" in thread["resume"]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], ThreadStore]]:
    """Opens the store of a fixture's home: a copy, as it was written."""
    yield from _stores(tmp_path_factory, lambda home: None)


@pytest.fixture(scope="module")
def compressed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], ThreadStore]]:
    """The same homes after Codex has compressed every rollout."""
    yield from _stores(tmp_path_factory, _compress)


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], ThreadStore]]:
    """The same homes after every thread was archived."""
    yield from _stores(tmp_path_factory, _archive)


def _stores(factory: pytest.TempPathFactory, change: Callable[[Path], None]) -> Iterator[Callable[[str], ThreadStore]]:
    kept: dict[str, ThreadStore] = {}

    def open_home(name: str) -> ThreadStore:
        if name not in kept:
            home = factory.mktemp("home")
            copy_home(FIXTURES / name, home)
            change(home)
            kept[name] = ThreadStore.open(home, durability="os")
        return kept[name]

    yield open_home
    for store in kept.values():
        store.close()


def _compress(home: Path) -> None:
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        from backports import zstd  # type: ignore[no-redef, unused-ignore]
    for path in rollout_files(home):
        facts = path.stat()
        packed = path.with_name(path.name + ".zst")
        packed.write_bytes(zstd.compress(path.read_bytes(), 3))
        os.utime(packed, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        path.unlink()


def _archive(home: Path) -> None:
    folder = home / "archived_sessions"
    folder.mkdir(exist_ok=True)
    for path in rollout_files(home):
        path.rename(folder / path.name)


every_home = pytest.mark.parametrize("name", HOMES)


def test_the_homes_of_all_versions_are_there() -> None:
    assert {name.partition("/")[0] for name in HOMES} == {
        *("0.20.0", "0.60.1", "0.100.0", "0.125.0", "0.140.0", "0.149.0", "0.169.0")
    }
    assert len(HOMES) >= 39
    assert OTHERWISE.keys() <= set(HOMES)


# --- lists and metadata -------------------------------------------------------------------------------------------


@every_home
def test_every_thread_is_listed(name: str, opened: Callable[[str], ThreadStore]) -> None:
    store = opened(name)
    there = {thread["id"] for thread in expected(name)["threads"]}
    assert {thread.id for thread in store.list(chosen=EVERY).data} == there
    archived = {thread.id for thread in store.list(chosen=ThreadFilter(archived=True)).data}
    assert archived == {row["id"] for row in expected(name)["list_archived"]["data"]}
    assert {thread.id for thread in store.list().data} == there - archived


@every_home
def test_no_thread_has_a_problem(name: str, opened: Callable[[str], ThreadStore]) -> None:
    assert [(thread.id, thread.problem) for thread in opened(name).list(chosen=EVERY).data if thread.problem] == []


def metadata(name: str, thread: Json) -> Json:
    """What Codex says of a thread: read cold, as its list has it (with the file's time), with the session resumed."""
    rows = {row["id"]: row for which in ("list", "list_archived") for row in expected(name)[which]["data"]}
    resumed = thread["resume"].get("thread", {})
    session = {"sessionId": resumed["sessionId"]} if "sessionId" in resumed else {}
    return {**thread["read_cold"]["thread"], **rows.get(thread["id"], {}), **session}


@every_home
def test_threads_are_described_as_codex_describes_them(name: str, opened: Callable[[str], ThreadStore]) -> None:
    store = opened(name)
    listed = {thread.id: thread for thread in store.list(chosen=EVERY).data}
    differing: dict[str, set[str]] = {}
    for thread in threads(name):
        shown = store.read(thread["id"])
        assert msgspec.json.encode(shown) == msgspec.json.encode(listed[shown.id])
        theirs = without_nulls(metadata(name, thread))
        # What Codex does not list has no row with the file's time; its cold read gives the time of creation instead.
        row = {row["id"] for which in ("list", "list_archived") for row in expected(name)[which]["data"]}
        leave = () if shown.id in row else ("updatedAt",)
        found = differences(thread_object(shown, "$HOME_DIR"), theirs, leave=leave)
        unexpected = {key: pair for key, pair in found.items() if key not in OTHERWISE.get(name, {})}
        assert unexpected == {}, shown.id
        for key in found:
            differing.setdefault(key, set()).add(shown.id)
    assert differing.keys() == OTHERWISE.get(name, {}).keys(), "an exception that is none any more"


@every_home
def test_a_fork_by_reference_is_shown_by_what_its_history_begins_with(
    name: str, opened: Callable[[str], ThreadStore]
) -> None:
    store = opened(name)
    for thread in threads(name):
        shown = store.read(thread["id"])
        if shown.base is not None:
            said = [item for turn in our_turns(store, shown.id)[::-1] for item in turn["items"]]
            first = next(item for item in said if item["type"] == "userMessage")
            assert shown.preview == "".join(part["text"] for part in first["content"])


# --- turns and items ----------------------------------------------------------------------------------------------


@every_home
def test_turns_are_those_that_codex_shows(name: str, opened: Callable[[str], ThreadStore]) -> None:
    store = opened(name)
    for thread in threads(name):
        if refused(thread):
            continue
        theirs = neutral(recorded_turns(thread))
        ours = neutral(our_turns(store, thread["id"]))
        if thread["read_cold"]["thread"]["historyMode"] == "legacy":
            ours = without_rebuilt(ours, theirs)
        assert ours == theirs, thread["id"]


@every_home
def test_items_are_those_that_codex_shows(name: str, opened: Callable[[str], ThreadStore]) -> None:
    store = opened(name)
    for thread in threads(name):
        ours = our_items(store, thread["id"])
        assert ours == flattened(our_turns(store, thread["id"], descending=False)), thread["id"]
        if "data" in thread["items"] and not refused(thread):  # Codex lists no items of legacy threads
            assert ours == recorded_items(thread), thread["id"]


@every_home
def test_archived_threads_keep_their_turns(name: str, opened: Callable[[str], ThreadStore]) -> None:
    """0.169.0 refuses to resume them, and a home without its SQLite files then shows no turn of a paginated one."""
    for thread in threads(name):
        if refused(thread):
            turns = our_turns(opened(name), thread["id"])
            assert [turn["status"] for turn in turns] == ["completed"] * len(turns)
            assert len(turns) >= 1


@every_home
def test_pages_together_are_the_whole(name: str, opened: Callable[[str], ThreadStore]) -> None:
    store = opened(name)
    for thread in expected(name)["threads"]:
        turns = our_turns(store, thread["id"])
        items = our_items(store, thread["id"])
        for limit in (1, 2, 3):
            assert our_turns(store, thread["id"], limit=limit) == turns
            assert our_turns(store, thread["id"], limit=limit, descending=False) == turns[::-1]
            assert our_items(store, thread["id"], limit=limit) == items
            assert our_items(store, thread["id"], limit=limit, descending=True) == items[::-1]


@every_home
def test_a_turn_is_found_by_its_id(name: str, opened: Callable[[str], ThreadStore]) -> None:
    store = opened(name)
    for thread in expected(name)["threads"]:
        for turn in our_turns(store, thread["id"]):
            assert plain(store.turn(thread["id"], turn["id"])) == turn
            items = [row["item"] for row in our_items(store, thread["id"], turn=turn["id"])]
            assert items == turn["items"]


# --- the model context --------------------------------------------------------------------------------------------


@every_home
def test_the_model_is_sent_what_codex_sent_it(name: str, opened: Callable[[str], ThreadStore]) -> None:
    store = opened(name)
    for thread in threads(name):
        sent = thread.get("probe", {}).get("input")
        if sent is None:
            continue  # archived, or an agent that takes no input: Codex ran no turn
        added = {words[-1] for words in thread["probe"]["appended"] if words[0] == "response_item"}
        history = [item for item in sent[1:] if item.get("id") not in added]
        assert history_sent(store.resume(thread["id"])) == history, thread["id"]
        stated = store.base_instructions(thread["id"])
        assert (stated == BASE_INSTRUCTIONS) == (sent[0]["content"][0]["text"] == BASE_INSTRUCTIONS)


@every_home
def test_resuming_from_the_end_is_resuming_from_the_beginning(name: str, opened: Callable[[str], ThreadStore]) -> None:
    store = opened(name)
    for thread in expected(name)["threads"]:
        fast, full = store.resume(thread["id"]), store.replay(thread["id"])
        for member in ("context", "settings", "usage", "mode", "rollout_id"):
            one, other = getattr(fast, member), getattr(full, member)
            assert msgspec.json.encode(one) == msgspec.json.encode(other), (thread["id"], member)


@every_home
def test_nothing_is_found_wrong(name: str, opened: Callable[[str], ThreadStore]) -> None:
    store = opened(name)
    assert {thread["id"]: verified(store, thread["id"]) for thread in threads(name)} == {
        thread["id"]: None for thread in threads(name)
    }


# --- files that 0.169.0 refuses -----------------------------------------------------------------------------------

OLD: Final = [name for name in HOMES if name.startswith(BEFORE_ENVELOPES)]


def lines_of_files(name: str) -> dict[str, list[Json]]:
    """The lines of a home's rollouts, by thread."""
    files = [[json.loads(line) for line in path.read_bytes().splitlines()] for path in rollout_files(FIXTURES / name)]
    return {lines[0]["id"]: lines for lines in files}


@pytest.mark.parametrize("name", OLD)
def test_turns_from_before_the_envelope_are_shown(name: str, opened: Callable[[str], ThreadStore]) -> None:
    store, files = opened(name), lines_of_files(name)
    assert files.keys() == {thread["id"] for thread in expected(name)["threads"] if "error" in thread["read_cold"]}
    for thread, lines in files.items():
        turns = our_turns(store, thread, descending=False)
        wanted = without_nulls(legacy_turns([(0, line) for line in lines]))
        assert len(wanted) == len([line for line in lines if line.get("role") == "user"]) > 0
        assert without_rebuilt(neutral(turns), neutral(wanted)) == neutral(wanted)
        assert our_items(store, thread) == flattened(turns)
        called = [line["call_id"] for line in lines if line.get("type") == "function_call"]
        assert [item["id"] for turn in turns for item in turn["items"] if item["type"] in TOOLS] == called
        assert verified(store, thread) is None


@pytest.mark.parametrize("name", OLD)
def test_threads_from_before_the_envelope_are_described_by_what_was_recorded(
    name: str, opened: Callable[[str], ThreadStore]
) -> None:
    store = opened(name)
    for thread, lines in lines_of_files(name).items():
        shown = store.read(thread, counts=True)
        said = [line["content"][0]["text"] for line in lines if line.get("type") == "message"]
        assert shown.preview == said[0]
        assert shown.created_ms == parse_utc(lines[0]["timestamp"])
        assert shown.counts is not None
        assert (shown.counts.records, shown.counts.items) == (len(lines), len(said))
        git = lines[0].get("git")
        assert (git or {}) == (json.loads(msgspec.json.encode(shown.git)) if shown.git else {})
        assert {shown.cwd, shown.model, shown.model_provider, shown.cli_version, shown.source, shown.usage} == {None}


# --- the same files, put away -------------------------------------------------------------------------------------


def told(store: ThreadStore, thread: str) -> Json:
    """Everything that a store tells of a thread's history."""
    resumed = store.resume(thread)
    return {
        "preview": store.read(thread).preview,
        "turns": our_turns(store, thread, limit=2),
        "summaries": our_turns(store, thread, "summary", descending=False, limit=1),
        "items": our_items(store, thread, limit=3),
        "context": msgspec.json.encode(resumed.context),
    }


@every_home
def test_compressed_rollouts_say_the_same(
    name: str, opened: Callable[[str], ThreadStore], compressed: Callable[[str], ThreadStore]
) -> None:
    for thread in expected(name)["threads"]:
        assert told(compressed(name), thread["id"]) == told(opened(name), thread["id"])
        assert compressed(name).read(thread["id"]).compressed


@every_home
def test_archived_rollouts_say_the_same(
    name: str, opened: Callable[[str], ThreadStore], archived: Callable[[str], ThreadStore]
) -> None:
    for thread in expected(name)["threads"]:
        assert told(archived(name), thread["id"]) == told(opened(name), thread["id"])
        assert archived(name).read(thread["id"]).archived
