"""Choosing the checkpoint: which one a thread resumes from, and what is still needed from before it."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
from tests.oracle.turns_legacy import legacy_turns
from tests.traps.grounds import (
    IDS,
    Ground,
    Rollout,
    asked,
    check_as_the_definition,
    check_fast_is_full,
    plain,
    said,
    turns_of,
    user_texts,
)

from threadkeep.records import PAGINATED
from threadkeep.records import _build as build

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]


def kept(*texts: str) -> list[Json]:
    """User messages as a checkpoint holds them."""
    return [build.user_message(text, item_id=f"msg_{IDS.new()}", turn_id=IDS.new()) for text in texts]


def oracle_turn_ids(data: bytes) -> list[str]:
    """The turns of a legacy rollout by the plain definition, oldest first."""
    offset, records = 0, []
    for line in data.splitlines(keepends=True):
        records.append((offset, json.loads(line)))
        offset += len(line)
    return [turn["id"] for turn in legacy_turns(records)]


# --- 9: rollbacks ----------------------------------------------------------------------------------------------------

AGES: dict[str, Json] = {
    "current": {},
    "no resume metadata": {"resume": False},
    "no window number": {"window": None},
    "no replacement history": {"replacement": False},
}


def compacted_thread(mode: str, age: Json, *, again: bool = False) -> Rollout:
    """Two turns, a compaction, two turns; with ``again`` another compaction and a turn."""
    rollout = Rollout(mode=mode)
    for text in ("question 1", "question 2"):
        rollout.turn(text)
    rollout.compact(keep=kept("question 1", "question 2"), **age)
    for text in ("question 3", "question 4"):
        rollout.turn(text)
    if again:
        rollout.compact("more was done", keep=kept("question 2", "question 4"), **{"window": 2, **age})
        rollout.turn("question 5")
    return rollout


@pytest.mark.parametrize("again", [False, True], ids=["one compaction", "two compactions"])
@pytest.mark.parametrize("age", AGES)
@pytest.mark.parametrize("back", [1, 2, 3, 4, 5, 6, 7, 9])
def test_trap_09_a_rollback_after_at_or_past_the_checkpoint(
    memory: Ground, mode: str, age: str, again: bool, back: int
) -> None:
    check_rollback(memory, compacted_thread(mode, AGES[age], again=again), back)


@pytest.mark.parametrize("back", [1, 3, 5])
def test_trap_09_a_rollback_in_every_store(ground: Ground, mode: str, back: int) -> None:
    check_rollback(ground, compacted_thread(mode, {}), back)


def check_rollback(ground: Ground, rollout: Rollout, back: int) -> None:
    turns = [line["payload"]["turn_id"] for line in started(rollout)]
    rollout.roll_back(back)
    thread = ground.put(rollout)
    check_as_the_definition(ground.store, thread, rollout.data)
    check_shown(ground, rollout, turns)
    rollout.turn("and on")
    ground.edit(thread, rollout.data)
    check_as_the_definition(ground.store, thread, rollout.data)
    assert said(ground.store, thread)[-2:] == ["and on", "AND ON"]


def started(rollout: Rollout) -> list[Json]:
    lines = [json.loads(line) for line in rollout.data.splitlines()]
    return [line for line in lines if line["payload"].get("type") == "task_started"]


def check_shown(ground: Ground, rollout: Rollout, turns: list[str]) -> None:
    """Lists of a paginated thread ignore the marker; those of a legacy one leave out what it took back."""
    shown = [turn["id"] for turn in reversed(turns_of(ground.store, rollout.thread))]
    assert shown == (turns if rollout.mode == PAGINATED else oracle_turn_ids(rollout.data))
    check_fast_is_full(ground.store, rollout.thread)


@pytest.mark.parametrize("marks", [(1, 1), (2, 1), (1, 3), (4, 1), (1, 1, 1)])
def test_trap_09_rollbacks_that_follow_one_another(memory: Ground, mode: str, marks: tuple[int, ...]) -> None:
    rollout = compacted_thread(mode, {})
    for number, back in enumerate(marks):
        rollout.roll_back(back)
        if number == 0:
            rollout.turn("in between")
    thread = memory.put(rollout)
    check_as_the_definition(memory.store, thread, rollout.data)
    check_fast_is_full(memory.store, thread)


def test_trap_09_codex_cuts_inside_the_replacement_history(ground: Ground) -> None:
    """Turns 1, 2, compaction, 3, 4, rollback 3: the model gets the message of turn 1 alone (0.169.0 observed)."""
    rollout = Rollout()
    for text in ("question 1", "question 2"):
        rollout.turn(text)
    rollout.compact(keep=kept("question 1", "question 2"))
    for text in ("question 3", "question 4"):
        rollout.turn(text)
    rollout.roll_back(4)  # of the summary, too: its sentence here is not Codex's, so it counts as asked
    thread = ground.put(rollout)
    assert said(ground.store, thread) == said(ground.store, thread, full=True) == ["question 1"]
    assert asked(ground.store, thread) == ["question 1", "question 2", "", "question 3", "question 4"]


@pytest.mark.parametrize("back", [1, 2, 3, 4])
@pytest.mark.parametrize("compaction", ["in the parent", "in the child", "nowhere"])
def test_trap_09_a_rollback_in_a_child_reaches_into_what_it_inherits(
    ground: Ground, back: int, compaction: str
) -> None:
    parent = Rollout()
    parent.turn("question 1")
    if compaction == "in the parent":
        parent.compact(keep=kept("question 1"))
    parent.turn("question 2")
    child = Rollout(base=parent)
    if compaction == "in the child":
        child.compact(keep=kept("question 1", "question 2"))
    child.turn("question 3")
    child.roll_back(back)
    for rollout in (parent, child):
        ground.put(rollout)
    before = said(ground.store, parent.thread)
    check_as_the_definition(ground.store, child.thread, parent.data, child.data)
    check_fast_is_full(ground.store, child.thread)
    assert said(ground.store, parent.thread) == before


# --- 10: half-said things --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize("older", [False, True], ids=["alone", "after a checkpoint"])
def test_trap_10_a_compaction_without_replacement_history(ground: Ground, mode: str, older: bool, after: int) -> None:
    rollout = Rollout(mode=mode)
    rollout.turn("question 1")
    if older:
        rollout.compact(keep=kept("question 1"))
    rollout.turn("question 2")
    rollout.compact("a bare summary", replacement=False)
    for text in user_texts(after):
        rollout.turn(f"later {text}")
    thread = ground.put(rollout)
    check_as_the_definition(ground.store, thread, rollout.data)
    check_fast_is_full(ground.store, thread)
    assert "a bare summary" in said(ground.store, thread)
    assert "question 2" in said(ground.store, thread)


def no_start(rollout: Rollout) -> None:
    turn = IDS.new()
    rollout.context(turn)
    rollout.user("no start", turn)
    rollout.finish(turn)


def no_end(rollout: Rollout) -> None:
    rollout.user("no end", rollout.start())


def two_starts(rollout: Rollout) -> None:
    turn = rollout.start()
    rollout.user("two starts", turn)
    rollout.start(turn)
    rollout.finish(turn)


def end_of_another(rollout: Rollout) -> None:
    turn = rollout.start()
    rollout.user("the end of another", turn)
    rollout.finish(IDS.new())


def context_of_nobody(rollout: Rollout) -> None:
    turn = rollout.start(context=False)
    rollout.context(None)
    rollout.user("a context of nobody", turn)
    rollout.finish(turn)


def context_of_another(rollout: Rollout) -> None:
    turn = rollout.start(context=False)
    rollout.context(IDS.new(), model="gpt-other")
    rollout.user("a context of another", turn)
    rollout.finish(turn)


def aborted_by_nobody(rollout: Rollout) -> None:
    rollout.user("aborted by nobody", rollout.start())
    rollout.event(type="turn_aborted", reason="interrupted")


def one_inside_another(rollout: Rollout) -> None:
    outer = rollout.start()
    rollout.user("outer", outer)
    rollout.turn("inner")
    rollout.finish(outer)


AMBIGUOUS = [
    no_start,
    no_end,
    two_starts,
    end_of_another,
    context_of_nobody,
    context_of_another,
    aborted_by_nobody,
    one_inside_another,
]


@pytest.mark.parametrize("odd", AMBIGUOUS)
@pytest.mark.parametrize("place", ["before the checkpoint", "after it", "last", "rolled back"])
@pytest.mark.parametrize("age", ["current", "no resume metadata"])
def test_trap_10_an_ambiguous_turn_boundary(memory: Ground, mode: str, odd: Any, place: str, age: str) -> None:
    check_ambiguous(memory, mode, odd, place, age)


@pytest.mark.parametrize("odd", AMBIGUOUS)
def test_trap_10_an_ambiguous_turn_boundary_in_every_store(ground: Ground, mode: str, odd: Any) -> None:
    check_ambiguous(ground, mode, odd, "last", "current")


def check_ambiguous(ground: Ground, mode: str, odd: Any, place: str, age: str) -> None:
    rollout = Rollout(mode=mode)
    rollout.turn("question 1")
    if place == "before the checkpoint":
        odd(rollout)
    rollout.compact(keep=kept("question 1"), **AGES[age])
    if place == "after it":
        odd(rollout)
    rollout.turn("question 2")
    if place in {"last", "rolled back"}:
        odd(rollout)
    if place == "rolled back":
        rollout.roll_back(1)
    thread = ground.put(rollout)
    check_as_the_definition(ground.store, thread, rollout.data)
    if odd is not one_inside_another:  # one turn runs at a time; the lists of such a file are not Codex's
        check_fast_is_full(ground.store, thread)


@pytest.mark.parametrize("last", ["message", "compacted", "task_complete", "turn_context", "thread_rolled_back"])
def test_trap_10_a_torn_last_line_is_not_part_of_the_history(ground: Ground, mode: str, last: str) -> None:
    rollout = Rollout(mode=mode)
    rollout.turn("question 1")
    turn = rollout.start()
    rollout.user("question 2", turn)
    whole = len(rollout.data)
    if last == "message":
        rollout.user("question 3", turn)
    elif last == "compacted":
        rollout.compact(keep=kept("question 1"), inside=turn)
    elif last == "task_complete":
        rollout.finish(turn)
    elif last == "turn_context":
        rollout.context(turn, model="gpt-torn")
    else:
        rollout.roll_back(1)
    record = rollout.data[whole:].splitlines()[0]
    thread = ground.put(rollout.data[:whole], thread=rollout.thread)
    for cut in (1, len(record) // 2, len(record) - 1):
        ground.edit(thread, rollout.data[:whole] + record[:cut])
        check_as_the_definition(ground.store, thread, rollout.data[:whole])
        check_fast_is_full(ground.store, thread)
    ground.edit(thread, rollout.data[:whole] + record)  # whole but for its newline: Codex keeps it
    check_as_the_definition(ground.store, thread, rollout.data[:whole] + record)
    check_fast_is_full(ground.store, thread)


# --- 11: from before the checkpoint ----------------------------------------------------------------------------------


@pytest.mark.parametrize("filler", [0, 10], ids=["near", "10 MB back"])
@pytest.mark.parametrize("along", ["in one rollout", "in an ancestor"])
def test_trap_11_what_only_stands_before_the_checkpoint_is_still_there(
    ground: Ground, mode: str, filler: int, along: str
) -> None:
    git = {"commit_hash": "c0ffee", "branch": "main", "repository_url": "https://example.org/x.git"}
    rollout = Rollout(mode=mode, git=git)
    turn = rollout.start(model="gpt-before", effort="high")
    rollout.user("what was said first", turn)
    usage = {"input_tokens": 70, "cached_input_tokens": 0, "output_tokens": 7}
    usage |= {"reasoning_output_tokens": 0, "total_tokens": 77}
    rollout.record("event_msg", build.token_count(usage, usage, model_context_window=1_000))
    rollout.finish(turn)
    rollout.compact(keep=kept("what was said first"), context=False)
    thread = ground.put(rollout)
    ground.store.rename(thread, "a name of its own")
    if along == "in an ancestor":
        ground.store.fork(thread)
        thread = ground.store.list(sort="created_at").data[0].id
        ground.store.rename(thread, "a name of its own")
    with ground.store.writer(thread) as writer:
        for number in range(filler):
            item = build.user_message("x" * 1_000_000, item_id=f"msg_{number}", turn_id=turn)
            writer.append("response_item", item)
    for store in (ground.store, ground.reopened(cold=True)):
        read = store.read(thread)
        assert read.preview == "what was said first"
        assert read.name == "a name of its own"
        assert (read.model, read.effort) == ("gpt-before", "high")
        assert read.usage is not None
        assert read.usage.total_token_usage.total_tokens == 77
        assert read.model_provider == "openai"
        if along == "in one rollout":
            assert read.git is not None
            assert plain(read.git) == git
        resumed, full = store.resume(thread), store.replay(thread)
        assert resumed.settings is not None
        assert resumed.settings["model"] == "gpt-before"
        assert plain(resumed.usage) == plain(full.usage)
        assert resumed.usage is not None
        assert resumed.usage.total_token_usage.total_tokens == 77
        assert resumed.context.previous_turn_settings == full.context.previous_turn_settings
        (listed,) = [shown for shown in store.list().data if shown.id == thread]
        assert plain(listed) == plain(read)


# --- 12: large records -----------------------------------------------------------------------------------------------

LARGE = 100_000_000

SCRIPT = """
    import os, re, resource, sys
    from threadkeep.store import ThreadStore

    def peak_bytes():
        # What getrusage says of a program begins with what the one that started it took; the kernel also counts anew.
        if os.path.exists("/proc/self/status"):
            return int(re.search("VmHWM:[^0-9]*([0-9]+)", open("/proc/self/status").read())[1]) * 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    store = ThreadStore.open(sys.argv[1])
    thread, bound = sys.argv[2], int(sys.argv[3])
    resumed = store.resume(thread)
    turns = store.turns(thread, limit=2)
    read = store.read(thread)
    child = store.fork(thread)
    peak = peak_bytes()
    assert peak < bound, f"{peak:,} bytes of memory"
    print(len(resumed.context.items), len(turns.data), read.preview, resumed.cost.bytes_read, child.size)
"""


def large_thread(path: Path, place: str) -> str:
    """A thread with one record of 100 MB, written in pieces."""
    thread = IDS.new()
    rollout = Rollout(thread)
    rollout.turn("question 1")
    turn = rollout.start()
    rollout.user("question 2", turn)
    message = build.assistant_message("@", item_id="msg_large", turn_id=turn)
    start = rollout.end
    rollout.record("response_item", message)
    head, _, tail = rollout.pieces.pop().partition(b"@")
    later = Rollout(thread)
    later.ordinal = rollout.ordinal
    later.pieces.clear()
    later.finish(turn)
    if place == "before the checkpoint":
        later.compact(keep=kept("question 1"))
    later.turn("question 3", tokens=1_000)
    folder = path / "sessions" / "2026" / "11" / "22"
    folder.mkdir(parents=True)
    with (folder / f"rollout-2026-11-22T10-00-00-{thread}.jsonl").open("wb") as file:
        file.write(rollout.data[:start] + head)
        for _ in range(LARGE // 1_000_000):
            file.write(b"x" * 1_000_000)
        file.write(tail + later.data)
    return thread


@pytest.mark.slow
@pytest.mark.parametrize("place", ["before the checkpoint", "in the context"])
def test_trap_12_one_record_of_100_mb(tmp_path: Path, place: str) -> None:
    thread = large_thread(tmp_path / "home", place)
    bound = 430_000_000 if place == "in the context" else 300_000_000
    script = [sys.executable, "-c", textwrap.dedent(SCRIPT), str(tmp_path / "home"), thread, str(bound)]
    ran = subprocess.run(script, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    items, turns, *preview, read, child = ran.stdout.split()
    assert (turns, " ".join(preview)) == ("2", "question 1")
    assert int(child) < 5_000
    if place == "before the checkpoint":
        assert items == "4"  # the two that the checkpoint holds, and the two of the last turn
        assert int(read) < 1_000_000
    else:
        assert items == "6"


# --- 13: many compactions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("age", AGES)
def test_trap_13_the_newest_turns_of_a_thread_that_compacted_often_are_on_the_first_page(
    ground: Ground, mode: str, age: str
) -> None:
    rollout = Rollout(mode=mode)
    expected: list[str] = []
    for number in range(25):
        expected += [rollout.turn(f"question {number}{which}") for which in "ab"]
        expected.append(rollout.compact(window=None if "window" in AGES[age] else number + 1, **without_window(age)))
    thread = ground.put(rollout)
    page = ground.store.turns(thread, limit=10)
    assert [turn["id"] for turn in page.data] == expected[:-11:-1]
    whole = [turn["id"] for turn in turns_of(ground.store, thread)]
    assert whole == expected[::-1]
    assert page.cost.records_seen < len(rollout.pieces) / 2
    check_as_the_definition(ground.store, thread, rollout.data)


def without_window(age: str) -> Json:
    return {key: value for key, value in AGES[age].items() if key != "window"}


# --- 14: the turn context before its compaction ----------------------------------------------------------------------


@pytest.mark.parametrize("age", AGES)
@pytest.mark.parametrize("between", [0, 3])
@pytest.mark.parametrize("back", [0, 1])
def test_trap_14_the_context_of_the_surviving_turn_stands_before_its_compaction(
    memory: Ground, mode: str, age: str, between: int, back: int
) -> None:
    rollout = Rollout(mode=mode)
    rollout.turn("question 1", model="gpt-oldest")
    turn = rollout.start(model="gpt-before")
    rollout.user("question 2", turn)
    for number in range(between):
        rollout.answer(f"so far {number}", turn)
    rollout.compact(keep=kept("question 1", "question 2"), inside=turn, context=False, **AGES[age])
    rollout.answer("and further", turn)
    rollout.finish(turn)
    if back:
        rollout.turn("question 3", model="gpt-newest")
        rollout.roll_back(back)
    thread = memory.put(rollout)
    check_as_the_definition(memory.store, thread, rollout.data)
    check_fast_is_full(memory.store, thread)
    if age in {"no window number", "no replacement history"}:
        previous = memory.store.resume(thread).context.previous_turn_settings
        assert previous is not None
        assert previous["model"] == "gpt-before"


def test_trap_14_the_scan_goes_on_until_the_context_is_in(ground: Ground) -> None:
    parent = Rollout()
    parent.turn("question 1", model="gpt-before")
    child = Rollout(base=parent)
    child.compact(keep=kept("question 1"), context=False, resume=False)
    child.record("response_item", build.user_message("alone", item_id="msg_1", turn_id=IDS.new()))
    for rollout in (parent, child):
        ground.put(rollout)
    check_as_the_definition(ground.store, child.thread, parent.data, child.data)
    previous = ground.store.resume(child.thread).context.previous_turn_settings
    assert previous == ground.store.replay(child.thread).context.previous_turn_settings
