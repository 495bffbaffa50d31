"""For random histories: a fork begins as its parent was there, and nothing that becomes of the parent changes it."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Any

from hypothesis import assume, given
from hypothesis import strategies as st
from tests.property.answers import context_values, values
from tests.property.histories import Part
from tests.property.homes import Home, context, note, share
from tests.property.lineages import Family, Rollout, lineages
from tests.property.model import MARK
from tests.property.promises import one_at_a_time
from tests.traps.grounds import compressed

from threadkeep.backends import MemoryBackend
from threadkeep.records import LEGACY, PAGINATED, Cost
from threadkeep.replay._reader import TurnReader
from threadkeep.replay._replay import read_context

if TYPE_CHECKING:
    from threadkeep.store import ThreadStore

Json = dict[str, Any]

APART = ("window", "metadata")
"""What of a context is a thread's own: a fork has a window of its own as long as nothing was compacted."""


def settled(home: Home, family: Family) -> str:
    """Put the rollouts of a family into a store; the id of its thread."""
    backend = home.store.backend
    for identity, source in family.library.rollouts.items():
        if isinstance(backend, MemoryBackend):
            backend.put(identity, identity, source.data)
        else:
            assert home.folder is not None
            folder = os.path.join(home.folder, "sessions", "2026", "11", "22")
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, f"rollout-2026-11-22T10-00-00-{identity}.jsonl"), "wb") as file:
                file.write(source.data)
    home.reopen()
    return family.tip


def told(store: ThreadStore, thread: str) -> Json:
    """What the next turn of a thread starts with, whichever way it is computed."""
    bounded, full = (context_values(found.context) for found in (store.resume(thread), store.replay(thread)))
    assert bounded == full
    return {key: value for key, value in bounded.items() if key not in APART}


def listed(store: ThreadStore, thread: str) -> list[Json]:
    """Every turn of a thread with its items, oldest first, by small pages."""
    turns: list[Json] = []
    cursor: str | None = None
    while True:
        page = store.turns(thread, cursor=cursor, limit=2, descending=True, view="full")
        turns += page.data
        cursor = page.next_cursor
        if cursor is None:
            return list(values(turns[::-1]))


def everything(store: ThreadStore, thread: str) -> Json:
    return {"context": told(store, thread), "turns": listed(store, thread)}


def append_to(store: ThreadStore, thread: str) -> None:
    with store.writer(thread) as writer, writer.turn("later") as turn:
        turn.say("later")
        turn.compact("S", [], window_number=9)


def compress(home: Home, thread: str) -> None:
    """As Codex compresses a rollout: one zstd frame in the place of the file."""
    ref = home.store.backend.find(thread)
    if home.folder is None or ref is None or ref.compressed:
        return
    path = os.path.join(home.folder, ref.location)
    with open(path, "rb") as plain, open(f"{path}.zst", "wb") as file:
        file.write(compressed(plain.read()))
    os.unlink(path)
    home.reopen()


FATES = st.permutations(["append", "archive", "compress", "reopen"])


def befall(home: Home, thread: str, fate: str) -> None:
    """Let something happen to a thread that others inherit from."""
    store = home.store
    if fate == "append" and not store.read(thread).archived:
        append_to(store, thread)
    elif fate == "archive":
        store.archive(thread)
    elif fate == "compress":
        compress(home, thread)
    elif fate == "reopen":
        home.reopen()


def cut(store: ThreadStore, child: str) -> tuple[list[Json], Json]:
    """(turns, context) of what a child inherits, read from the rollout that it names, up to the boundary."""
    access = store._access
    with access.open(access.locate(child), Cost()) as lineage:
        base = lineage.tip.base
    if base is None or base.threadkeep is None:
        return [], {"items": []}
    owner = access.locate(base.thread_id)
    with access.open(owner, Cost(), end=base.threadkeep.end) as lineage:
        reader = TurnReader(lineage, "full", first_start=lambda segment: access.of(segment).first_start)
        turns = values([entry.turn for entry in reader][::-1])
    with access.open(owner, Cost(), end=base.threadkeep.end) as lineage:
        found = context_values(read_context(lineage, None))
    return turns, {key: value for key, value in found.items() if key not in APART}


def begins_as_its_parent_was(store: ThreadStore, child: str, shown: Json) -> None:
    turns, context = cut(store, child)
    items = shown["context"]["items"]
    if len(items) > len(context["items"]):  # a turn ran there: the model is told, and the child shows it interrupted
        assert items[:-1] == context["items"]
        assert [turn["id"] for turn in shown["turns"]] == [turn["id"] for turn in turns]
        assert shown["turns"][:-1] == turns[:-1]
        assert shown["turns"][-1]["items"] == turns[-1]["items"]
        assert shown["turns"][-1]["status"] == "interrupted"
    else:
        assert shown["turns"] == turns
        assert shown["context"] == (context if turns or items else shown["context"])


def check(home: Home, rollouts: list[Rollout], how: str, place: int, fates: list[str], *, reclaim: bool) -> None:
    family = Family(rollouts)
    parent = settled(home, family)
    turns = listed(home.store, parent)
    if how == "head" or not turns:
        expected = [turn["id"] for turn in turns]
        child = home.store.fork(parent).id
    else:
        at = place % len(turns)
        expected = [turn["id"] for turn in turns[: at + (how == "through")]]
        named = turns[at]["id"]
        store = home.store
        child = (store.fork(parent, through=named) if how == "through" else store.fork(parent, before=named)).id
    shown = everything(home.store, child)
    ids = [turn["id"] for turn in shown["turns"]]
    unterminated = any(damage.kind == "unterminated" for rollout in rollouts for damage in rollout.damage)
    # A record without its newline is still being written: a turn that has no other is shown, and not inherited.
    assert ids == expected or (unterminated and how == "head" and ids == expected[:-1])
    expected = ids
    begins_as_its_parent_was(home.store, child, shown)
    grandchild = home.store.fork(child).id
    shown_of_it = everything(home.store, grandchild)
    assert [turn["id"] for turn in shown_of_it["turns"]] == expected
    begins_as_its_parent_was(home.store, grandchild, shown_of_it)
    for fate in fates:
        for thread in family.library.rollouts:
            befall(home, thread, fate)
        assert everything(home.store, child) == shown, fate
    for thread in [*family.library.rollouts][::-1]:
        home.store.delete(thread, reclaim=reclaim)
    assert everything(home.store, child) == shown
    assert everything(home.store, grandchild) == shown_of_it


drawn = {
    "rollouts": lineages(PAGINATED, LEGACY, "mixed", only_orderly=True),
    "how": st.sampled_from(["head", "through", "before"]),
    "place": st.integers(0, 8),
    "fates": FATES,
    "reclaim": st.booleans(),
}


@share(50)
@given(**drawn)
def test_a_fork_in_memory_is_a_prefix_for_ever(
    rollouts: list[Rollout], how: str, place: int, fates: list[str], reclaim: bool
) -> None:
    assume(one_at_a_time(Family(rollouts)))
    check(Home(None), rollouts, how, place, fates, reclaim=reclaim)


@share(15)
@given(**drawn)
def test_a_fork_in_a_home_is_a_prefix_for_ever(
    rollouts: list[Rollout], how: str, place: int, fates: list[str], reclaim: bool
) -> None:
    assume(one_at_a_time(Family(rollouts)))
    with tempfile.TemporaryDirectory(prefix="threadkeep-property-") as folder:
        home = Home(folder)
        try:
            check(home, rollouts, how, place, fates, reclaim=reclaim)
        finally:
            home.store.close()


def test_a_turn_that_was_rolled_back_does_not_run_where_a_fork_begins() -> None:
    parts = [Part("start", 0, 1), Part("said", 0, 1), Part("roll back", 5), Part("answered", 0)]
    check(Home(None), [Rollout(LEGACY, parts)], "head", 0, [], reclaim=False)


def test_a_turn_that_never_ended_is_interrupted_by_a_fork_behind_it_whatever_follows_it() -> None:
    home = Home(None)
    with home.store.create(cwd="/project") as writer:
        for text in ("a", "b"):
            writer.turn(text).__enter__()
    thread = writer.thread_id
    unended, other = (turn["id"] for turn in listed(home.store, thread))
    home.store.revert(thread, before=other)
    with home.store.writer(thread) as writer:
        note(writer)
        with writer.turn("c"):
            pass
    child = home.store.fork(thread, through=unended).id
    assert [turn["id"] for turn in listed(home.store, child)] == [unended]
    assert context(home.store, child) == ["a", MARK]
