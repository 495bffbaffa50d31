"""The power goes at any moment of anything that a store does: nothing acknowledged is lost, whatever the disk holds.

Every state that the file system may leave (`tests.faults.disk`) is opened again: what was acknowledged up to then is
there, fast equals full, ``doctor`` finds no error, the next append works, what was cut off works when it is done again,
and no lock must be removed by hand. Then the disk fails while a crashed home is opened again, and the power goes a
second time.

Of one moment at most `BOUND` states are looked at; where there are more, the corners and a sample that follows from the
seed. With ``THREADKEEP_LONG=1`` the bound is larger, and ``THREADKEEP_SEED`` sets the seed.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, Final

import pytest
from tests.faults.disk import Event, Image, Recorder, crash_states, replayed
from tests.faults.disk_faults import Faults, kinds_of
from tests.faults.operations import LATER, OPERATIONS, Operation, Prepared, ground, opened
from tests.faults.operations_checks import Checker, named, outcome_of
from tests.store.threads import context_of, new_thread

from threadkeep.backends.local._layout import parse_name
from threadkeep.errors import InvalidRequest, StorageFailure, ThreadkeepError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.operations import Run

    from threadkeep.store import ThreadStore

LONG: Final = os.environ.get("THREADKEEP_LONG") == "1"
SEED: Final = int(os.environ.get("THREADKEEP_SEED", "0"))

BOUND: Final = 240 if LONG else 24
"""States of one moment."""

AGAIN: Final = 10 if LONG else 1
"""Crashed homes of an operation on which the disk fails again, and on which the power goes a second time."""

BOUND_AGAIN: Final = 30 if LONG else 3

FLUSHLESS: Final = frozenset(
    {
        "archive",
        "archive a reverted thread",
        "unarchive",
        "delete a leaf",
        "delete with what came of it",
        "make the catalog anew",
    }
)
"""Operations that flush no file: they change names alone, or what is derived."""

RECOVERED: Final = 2 * LATER
"""When a crashed home is opened again."""


def recorded(checker: Checker) -> tuple[list[Event], Image]:
    """What an operation does to the disk, and the home in the end."""
    checker.start.image.put(checker.home)
    recorder = Recorder(checker.home, checker.start.image)
    with opened(checker.home, recorder, hours=checker.hours) as store:
        checker.run(store, recorder.acknowledge)
        recorder.finish()
    return recorder.events, Image.of(checker.home)


def crashes(checker: Checker, bound: int) -> Iterator[tuple[bool, list[str], Image]]:
    """(whether the operation was done, what it had acknowledged, the home) of every state that a crash may leave."""
    events, after = recorded(checker)
    for past, image in crash_states(checker.start.image, events, after, bound=bound, seed=SEED):
        finished = any(event.kind == "done" for event in past)
        yield finished, [event.path for event in past if event.kind == "ack"], image


def check_all(checker: Checker, bound: int) -> list[Image]:
    """Look every state over; those that differ."""
    different = []
    for finished, acknowledged, image in crashes(checker, bound):
        if checker.check(image, finished=finished, acknowledged=acknowledged):
            different.append(image)
    return different


@pytest.mark.timeout(3600 if LONG else 120)
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_power_goes(name: str) -> None:
    with ground() as folder:
        checker = Checker.of(name, f"{folder}/home")
        different = check_all(checker, BOUND)
        assert different or name in ("verify and seal", "make the catalog anew")
        step = max(1, len(different) // AGAIN)
        for image in different[step // 2 :: step][:AGAIN]:
            recovery = recovering(checker, image)
            if recovery is not None:
                the_disk_fails(recovery)
                check_all(recovery, BOUND_AGAIN)


def recovering(checker: Checker, image: Image) -> Checker | None:
    """Opening a crashed home, resuming its threads and appending to one, as an operation of its own."""
    start = Prepared(image, dict(checker.start.threads))
    changing = [start.threads[thread] for thread in checker.operation.changes]
    image.put(checker.home)
    with opened(checker.home, hours=checker.hours + 1) as store:
        there = checker.observed(store)
    fresh = [thread for thread in there if thread not in checker.outcome.before]
    wanted = [thread for thread in (*fresh, *changing, *start.threads.values()) if thread in there]
    active = [thread for thread in wanted if not there[thread].archived and there[thread].turns]
    if checker.operation.breaks or not active:
        return None  # what is half erased is erased again first, which the check has done
    start.threads["it"] = active[0]
    operation = Operation(_recover, ("it",), repeats=True)
    name = f"{checker.name}, {image.digest()}"
    return Checker(name, checker.home, operation, start, outcome_of(operation, start, hours=RECOVERED), hours=RECOVERED)


def _recover(run: Run) -> None:
    for thread in run.store.list().data:
        run.store.resume(thread.id)
    run.turn("it", "recovered")


def the_disk_fails(checker: Checker) -> None:
    """Fail calls while a crashed home is opened again; in the short form every seventeenth."""
    for at in range(1, 2_000, 1 if LONG else 17):
        checker.start.image.put(checker.home)
        acknowledged: list[str] = []
        finished = True
        files = Faults(at, lambda call: kinds_of(call)[at % len(kinds_of(call))], for_good=at % 2 == 0)  # noqa: B023
        try:
            with opened(checker.home, files, hours=checker.hours) as store:
                checker.run(store, acknowledged.append)
        except ThreadkeepError as failure:
            finished = not named(failure)
            assert not finished, repr(failure)  # noqa: PT017
        if files.failed is None:
            return
        checker.check(Image.of(checker.home), finished=finished, acknowledged=acknowledged)
    raise AssertionError("opening a home goes on for ever")


@pytest.mark.parametrize("same_process", [True, False], ids=["tried again", "tried again by another"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_flush_fails_and_later_the_power_goes(name: str, same_process: bool) -> None:
    """The system forgets what it could not write, and says so once: what is acknowledged later does not rest on it."""
    with ground() as folder:
        checker = Checker.of(name, f"{folder}/home")
        flushes = sum(event.kind == "fsync" for event in recorded(checker)[0])
        assert (flushes == 0) == (name in FLUSHLESS)
        for refuse in range(1, flushes + 1):
            assert a_flush_fails(checker, refuse, same_process=same_process)


def a_flush_fails(checker: Checker, refuse: int, *, same_process: bool) -> bool:
    """Refuse the n-th flush of a file, do it again, and lose all that was not flushed; whether one failed."""
    checker.start.image.put(checker.home)
    recorder = Recorder(checker.home, checker.start.image, refuse=refuse)
    with opened(checker.home, recorder, hours=checker.hours) as store:
        try:
            checker.run(store, lambda _: None)
        except ThreadkeepError:
            if same_process:
                tried(checker, store)
    if not any(event.kind == "lost" for event in recorder.events):
        return False
    if not same_process:
        with opened(checker.home, recorder, hours=checker.hours + 1) as store:
            tried(checker, store)
    *_, (_, image) = crash_states(checker.start.image, recorder.events, Image.of(checker.home), bound=2)
    image.put(checker.home)
    with opened(checker.home, hours=checker.hours + 2) as store:
        now = checker.observed(store)
        checker.done(now)
        checker.sound(store, image, now)
        checker.goes_on(store, now)
    return True


def tried(checker: Checker, store: ThreadStore) -> None:
    """Do it again; that there is nothing to do any more is an answer, too."""
    with contextlib.suppress(InvalidRequest):
        checker.run(store, lambda _: None)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name.startswith(("fork", "revert"))])
def test_a_child_inherits_nothing_that_a_power_cut_can_take(name: str) -> None:
    """Codex flushes nothing that it writes: what a child inherits is flushed before the child is there."""
    with ground() as folder:
        checker = Checker.of(name, f"{folder}/home")
        events, after = recorded(checker)
        before = checker.start.image.copy()
        unflushed = []
        for path, node in before.names.items():
            if path.startswith("sessions/"):
                held = flushed(before, node)
                unflushed.append(Event("write", path, node, offset=held, data=before.data[node][held:]))
                before.data[node] = before.data[node][:held]
        children = 0
        for past, image in crash_states(before, [*unflushed, *events], after, bound=BOUND, seed=SEED):
            finished = any(event.kind == "done" for event in past)
            if not finished and after_names(image, before) == set():
                continue  # what Codex had not flushed and nobody inherits may be gone
            a_child_stands(checker, image)
            children += 1
        assert children


def test_a_deleted_fork_that_a_power_cut_brings_back_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its removal could not be flushed; then its deleted parent, which stayed for it alone, was tidied away."""
    with ground() as folder:
        home = f"{folder}/home"
        with opened(home, hours=0) as store:
            parent = new_thread(store, "one")
            child = store.fork(parent).id
            store.delete(parent)
        before = Image.of(home)
        recorder = Recorder(home, before)
        with opened(home, recorder) as store:
            with monkeypatch.context() as failing:
                failing.setattr(recorder, "sync_folder", refused)
                with pytest.raises(StorageFailure, match="removing"):
                    store.delete(child)
            assert {finding.kind for finding in store.doctor(fix=True) if finding.fixed} >= {"unused-pin"}
        back = 0
        for _, image in crash_states(before, recorder.events, Image.of(home), bound=BOUND, seed=SEED):
            image.put(home)
            with opened(home, hours=LATER + 1) as store:
                for thread in store.list().data:
                    assert thread.id == child
                    assert context_of(store, child)
                    back += 1
        assert back


def refused(path: str) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO), path)


def flushed(image: Image, node: int) -> int:
    """How much of a rollout was flushed when children were made of it: as their pins say."""
    pins = [path for path, pinned in image.names.items() if pinned == node and "/pins/" in path]
    return max((int(os.path.basename(path).split(".")[1]) for path in pins), default=0)


def after_names(image: Image, before: Image) -> set[str]:
    """The rollouts that are there since."""
    return {
        path for path in image.names.keys() - before.names.keys() if path.endswith(".jsonl") and "/pins/" not in path
    }


def a_child_stands(checker: Checker, image: Image) -> None:
    """The new rollout's thread is whole."""
    before, after = checker.outcome
    image.put(checker.home)
    with opened(checker.home, hours=checker.hours + 2) as store:
        for path in after_names(image, checker.start.image):
            name = parse_name(os.path.basename(path))
            assert name is not None
            assert checker.shown(store, name.thread_id) in [
                after[each] for each in after if after[each] != before.get(each)
            ]


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_record_of_what_was_done_is_whole(name: str) -> None:
    """What was recorded, done again to the home as it was, gives the home as it is."""
    with ground() as folder:
        checker = Checker.of(name, f"{folder}/home")
        events, after = recorded(checker)
        again = replayed(checker.start.image, events)
        assert again.digest() == after.digest()
