"""``verify`` proves on a user's own thread that fast equals full, and says in words what does not."""

from __future__ import annotations

import glob
import os
import shutil
import tracemalloc
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest

from threadkeep.bench._generate import Generated, Recipe, generate
from threadkeep.records import LEGACY, PAGINATED, Cost
from threadkeep.replay import Totals
from threadkeep.store import ThreadFilter, ThreadStore, _verify_pages, _verify_replay

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from threadkeep.store import Writer
    from threadkeep.store._verification import Check, Verification

ROLLOUTS: Final = os.path.join(os.path.dirname(__file__), "..", "fixtures", "rollouts")
CHECKS: Final = ["context", "settings", "usage", "metadata", "turns", "items", "cursors", "inheritance"]


def homes() -> list[str]:
    found = glob.glob(os.path.join(ROLLOUTS, "*", "*", "expected.json"))
    return sorted(os.path.relpath(os.path.dirname(path), ROLLOUTS) for path in found)


@pytest.fixture
def home(tmp_path: Path) -> str:
    return str(tmp_path / "home")


def put(home: str, recipe: Recipe) -> Generated:
    made = Generated()
    folder = os.path.join(home, "sessions", "2025", "10", "09")
    os.makedirs(folder, exist_ok=True)
    made_up = os.path.join(folder, "made-up")
    with open(made_up, "wb") as file:
        file.writelines(generate(recipe, made))
    os.rename(made_up, os.path.join(folder, f"rollout-2025-10-09T10-00-00-{made.thread_id}.jsonl"))
    return made


def talk(writer: Writer, *texts: str) -> None:
    for text in texts:
        with writer.turn(text) as turn:
            turn.say(f"answer to {text}")


def begun(store: ThreadStore, *texts: str) -> str:
    with store.create(cwd="/home/me") as writer:
        talk(writer, *texts)
        return writer.thread_id


def path_of(store: ThreadStore, thread: str) -> str:
    return os.path.join(store.backend.name, store.read(thread).location)


def check_of(found: Verification, name: str) -> Check:
    return next(check for check in found.checks if check.name == name)


# --- what is right ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recorded", homes())
def test_every_thread_that_real_codex_wrote_verifies(recorded: str, home: str) -> None:
    shutil.copytree(os.path.join(ROLLOUTS, recorded), home)
    with ThreadStore.open(home, durability="os") as store:
        threads = store.list(chosen=ThreadFilter(archived=None)).data
        assert threads
        for thread in threads:
            found = store.verify(thread.id)
            assert found.ok, (found.problem, [check for check in found.checks if not check.ok], found.damage)
            assert [check.name for check in found.checks] == CHECKS


@pytest.mark.parametrize("mode", [PAGINATED, LEGACY])
def test_a_long_thread_and_a_fork_of_its_fork_verify(mode: str, home: str) -> None:
    made = put(home, Recipe(mode=mode, size=400_000, tail=150_000))
    with ThreadStore.open(home, durability="os") as store:
        child = store.fork(made.thread_id)
        with store.writer(child.id) as writer:
            talk(writer, "and now?")
        grandchild = store.fork(child.id)
        for thread in (made.thread_id, child.id, grandchild.id):
            found = store.verify(thread)
            assert found.ok, found
            assert found.damage == []
            assert check_of(found, "turns").compared >= made.turns
            assert check_of(found, "inheritance").compared >= (0 if thread == made.thread_id else 1)


def test_a_thread_in_memory_verifies() -> None:
    with ThreadStore.in_memory() as store:
        thread = begun(store, "one", "two", "three")
        child = store.fork(thread).id
        assert store.verify(thread).ok
        assert store.verify(child).ok


def test_progress_tells_the_bytes_that_were_read(home: str) -> None:
    made = put(home, Recipe(size=600_000))
    told: list[int] = []
    with ThreadStore.open(home, durability="os") as store:
        found = store.verify(made.thread_id, progress=told.append)
    assert told == sorted(told)
    assert len(told) > 3
    assert told[-1] == found.cost.bytes_read


# --- rows that are wrong ---------------------------------------------------------------------------------------------


def test_a_catalog_row_that_lies_is_reported_and_made_anew(home: str) -> None:
    with ThreadStore.open(home, durability="os") as store:
        thread = begun(store, "hello", "again")
        assert store.read(thread).preview == "hello"
        catalog = store.backend.catalog
        stamp, row = catalog.rows([thread])[thread]
        catalog.put_rows([(thread, stamp, row.replace(b"hello", b"jello"))])
        assert store.read(thread).preview == "jello"
        found = check_of(store.verify(thread), "metadata")
        assert not found.ok
        assert "preview" in (found.difference or "")
        assert "jello" in (found.difference or "")
        assert store.read(thread).preview == "hello"
        assert store.verify(thread).ok


@pytest.mark.parametrize(
    ("field", "value"), [("turns", 9), ("last_token_count", 1), ("late", None), ("first_start", None), ("records", 2)]
)
def test_totals_that_lie_are_reported_and_counted_anew(field: str, value: Any, home: str) -> None:
    made = put(home, Recipe(size=200_000))
    thread = made.thread_id
    with ThreadStore.open(home, durability="os") as store:
        right = store.read(thread, counts=True).counts
        row = store.backend.catalog.totals(thread, 1 << 40)
        assert row is not None
        totals = msgspec.msgpack.decode(row[1], type=Totals)
        setattr(totals, field, value)
        store.backend.catalog.put_totals(thread, totals.end, msgspec.msgpack.encode(totals))
    with ThreadStore.open(home, durability="os") as store:
        found = check_of(store.verify(thread), "metadata")
        assert not found.ok
        assert field.replace("_", " ") in (found.difference or "")
        assert store.verify(thread).ok
        assert store.read(thread, counts=True).counts == right


# --- ancestors that are wrong ----------------------------------------------------------------------------------------


def forked(store: ThreadStore) -> tuple[str, str]:
    """A parent with kilobytes of history before the fork point, and its child."""
    parent = begun(store, *(f"question {number} " + "x" * 2_000 for number in range(12)))
    child = store.fork(parent).id
    assert store.verify(child).ok
    return parent, child


def test_trap_25_an_ancestor_that_was_broken_far_from_the_boundary_is_found(home: str) -> None:
    with ThreadStore.open(home, durability="os") as store:
        parent, child = forked(store)
        with open(path_of(store, parent), "r+b") as file:
            data = file.read()
            place = data.index(b"question 2 ")
            file.seek(place)
            file.write(b'"')
        found = store.verify(child)
        assert not found.ok
        damage = next(damage for damage in found.damage if damage.severity == "error")
        assert (damage.rollout, damage.kind) == (parent, "not-json")
        assert damage.offset <= place < damage.offset + damage.length
        assert not check_of(found, "inheritance").ok
        assert f"byte {damage.offset}" in (check_of(found, "inheritance").difference or "")


def test_trap_25_an_ancestor_that_another_program_rewrote_is_compared_with_its_pin(home: str) -> None:
    with ThreadStore.open(home, durability="os") as store:
        parent, child = forked(store)
        path = path_of(store, parent)
        with open(path, "rb") as file:
            data = file.read()
        place = data.index(b"question 2 ")
        with open(path + ".new", "wb") as file:
            file.write(data[:place] + b"Q" + data[place + 1 :])
        os.replace(path + ".new", path)
        found = store.verify(child)
        inheritance = check_of(found, "inheritance")
        assert not found.ok
        assert found.damage == []  # every record is whole: only the pin tells
        assert inheritance.difference is not None
        assert f"byte {place} differs" in inheritance.difference
        assert store.verify(parent).ok


def test_damage_of_the_parent_after_the_fork_point_is_not_the_childs(home: str) -> None:
    with ThreadStore.open(home, durability="os") as store:
        parent, child = forked(store)
        with open(path_of(store, parent), "ab") as file:
            file.write(b"what?\n")
        assert store.verify(child).ok
        assert [damage.kind for damage in store.verify(parent).damage] == ["not-json"]


def test_a_missing_ancestor_is_a_problem_in_words_and_what_is_there_is_inspected(home: str) -> None:
    with ThreadStore.open(home, durability="os") as store:
        parent, child = forked(store)
        with open(path_of(store, child), "ab") as file:
            file.write(b"what?\n")
        os.unlink(path_of(store, parent))
        shutil.rmtree(os.path.join(home, "threadkeep", "pins"))
        found = store.verify(child)
        assert not found.ok
        assert found.problem is not None
        assert parent in found.problem
        assert [(damage.rollout, damage.kind) for damage in found.damage] == [(child, "not-json")]


# --- the rollout itself ----------------------------------------------------------------------------------------------


def test_a_damaged_record_is_reported_and_fast_still_equals_full(home: str) -> None:
    made = put(home, Recipe(size=300_000, tail=100_000))
    with ThreadStore.open(home, durability="os") as store:
        path = path_of(store, made.thread_id)
        with open(path, "r+b") as file:
            file.seek(150_000)
            file.write(b"\0\xff\n")
        found = store.verify(made.thread_id)
        assert not found.ok
        assert {damage.kind for damage in found.damage} & {"nul-bytes", "invalid-utf8"}
        assert all(check.ok for check in found.checks), found.checks


def test_a_rollout_that_cannot_be_opened_is_inspected_all_the_same(home: str) -> None:
    with ThreadStore.open(home, durability="os") as store:
        thread = begun(store, "hello")
        with open(path_of(store, thread), "r+b") as file:
            data = file.read().replace(b'"paginated"', b'"quantised"')
            file.seek(0)
            file.write(data)
        found = store.verify(thread)
        assert found.problem is not None
        assert "quantised" in found.problem
        assert found.checks == []
        assert "unknown-mode" in {damage.kind for damage in found.damage}


def test_a_line_that_its_writer_is_at_is_no_damage(home: str) -> None:
    with ThreadStore.open(home, durability="os") as store:
        thread = begun(store, "hello")
        path = path_of(store, thread)
        with open(path, "ab") as file:
            file.write(b'{"timestamp":"2026-')
        assert [damage.kind for damage in store.verify(thread).damage] == ["torn-tail"]
        with ThreadStore.open(home, durability="os") as other, other.writer(thread):
            found = store.verify(thread)
        assert [damage.kind for damage in found.damage] == ["being-written"]
        assert found.ok


# --- differences -----------------------------------------------------------------------------------------------------


def shorter(answer: Any) -> Any:
    del answer.items[0]
    return answer


def with_another(name: str, value: Any) -> Callable[[Any], Any]:
    def changed(answer: Any) -> Any:
        setattr(answer, name, value)
        return answer

    return changed


def without_one(answer: Any) -> Any:
    if len(answer.data) > 1:
        del answer.data[1]
    return answer


def reworded(answer: Any) -> Any:
    for entry in answer.data:
        shown: dict[str, Any] = entry.turn if hasattr(entry, "turn") else entry.item
        shown["id"] = "another"
    return answer


def ended(answer: Any) -> Any:
    answer.next_cursor = None
    return answer


SABOTAGE: Final = {
    "an item of the context is lost": ("context", _verify_replay, "read_context", shorter),
    "the window is another": ("context", _verify_replay, "read_context", with_another("window", None)),
    "the settings are others": ("settings", _verify_replay, "read_context", with_another("settings", None)),
    "the usage is another": ("usage", _verify_replay, "read_context", with_another("usage", None)),
    "the model is another": ("metadata", _verify_replay, "read_facts", with_another("model", "gpt-1")),
    "a turn is left out": ("turns", _verify_pages, "turn_page", without_one),
    "a turn shows something else": ("turns", _verify_pages, "turn_page", reworded),
    "a turn is not found": ("turns", _verify_pages, "find_turn", lambda _: None),
    "an item is left out": ("items", _verify_pages, "item_page", without_one),
    "an item shows something else": ("items", _verify_pages, "item_page", reworded),
    "a page of turns is taken for the last": ("cursors", _verify_pages, "turn_page", ended),
    "a page of items is taken for the last": ("cursors", _verify_pages, "item_page", ended),
    "a page leads back to the end": ("cursors", _verify_pages, "turn_page", with_another("backwards_cursor", "x")),
}


@pytest.mark.parametrize("name", SABOTAGE)
def test_a_difference_is_seen_and_put_into_words(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong, module, function, spoil = SABOTAGE[name]
    honest = getattr(module, function)

    def spoiled(*args: Any, **kwargs: Any) -> Any:
        full = function == "read_context" and args[1] is None
        return honest(*args, **kwargs) if full else spoil(honest(*args, **kwargs))

    with ThreadStore.in_memory() as store:
        thread = begun(store, *(f"question {number}" for number in range(105)))
        with store.writer(thread) as writer:
            usage = dict.fromkeys(
                ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens", "total_tokens"), 7
            )
            info = {"total_token_usage": usage, "last_token_usage": usage}
            assert writer.append("event_msg", {"type": "token_count", "info": info}) is not None
        assert store.verify(thread).ok
        monkeypatch.setattr(module, function, spoiled)
        found = store.verify(thread)
    assert not found.ok
    check = check_of(found, wrong)
    assert not check.ok
    assert check.difference


def test_what_verify_holds_of_a_list_does_not_grow_with_the_bytes_of_the_thread(tmp_path: Path) -> None:
    peaks = []
    for size in (1_000_000, 6_000_000):
        home = str(tmp_path / str(size))
        made = put(home, Recipe(size=size, tail=200_000))
        with ThreadStore.open(home, durability="os") as store:
            access = store._access
            with access.open(access.locate(made.thread_id), Cost()) as lineage:
                tracemalloc.start()
                try:
                    turns, items = _verify_pages._one_pass(access, lineage, lambda: None)
                    peaks.append(tracemalloc.get_traced_memory()[1])
                finally:
                    tracemalloc.stop()
        assert len(turns) == made.turns
        assert len(items) > 10 * made.turns
    assert peaks[1] - peaks[0] < 400_000
