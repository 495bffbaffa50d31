"""What must hold of a home after a failure or a crash, whatever was being done."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import pytest
from tests.faults.disk import Image, passing
from tests.faults.operations import LATER, OPERATIONS, Operation, Prepared, Run, ground, opened, prepared

from threadkeep.errors import BrokenLineage, InvalidRequest, ThreadkeepError
from threadkeep.store import ThreadFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from threadkeep.store import Thread, ThreadStore

__all__ = ["FRAGMENTS", "Checker", "Outcome", "Seen", "images_checked", "named", "observed", "outcome_of"]

FRAGMENTS: Final = frozenset({"nul-bytes"})
"""Damage that an append which was never acknowledged leaves where a power cut kept its end and not its beginning.

Nobody can tell such a line from a record that was damaged later, so ``doctor`` calls it an error.
"""


_MARKER: Final = "<turn_aborted>"


class Seen(NamedTuple):
    """A thread as a person and a model see it, without ids and times.

    Attributes:
        name: Its name.
        archived: Whether it is archived.
        branch: Its git branch.
        turns: Status and texts of each turn.
        context: The texts that the model starts with.
    """

    name: str | None
    archived: bool
    branch: str | None
    turns: tuple[tuple[str, ...], ...]
    context: tuple[str, ...]


_REFUSED: Final = ("refused",)


def observed(store: ThreadStore, *, refusing: Collection[str] = ()) -> dict[str, Seen]:
    """Every thread of a store, each resumed and paged through.

    Args:
        store: The store.
        refusing: Threads that may say that their ancestor is not the one that they know.
    """
    found: dict[str, Seen] = {}
    for archived in (False, True):
        for thread in store.list(chosen=ThreadFilter(archived=archived), limit=100).data:
            if thread.problem is not None and thread.id in refusing:
                with pytest.raises(BrokenLineage):
                    store.resume(thread.id)
                found[thread.id] = Seen(thread.name, thread.archived, None, (), _REFUSED)
                continue
            assert thread.problem is None, thread.problem
            found[thread.id] = _seen(store, thread)
    return found


def _seen(store: ThreadStore, thread: Thread) -> Seen:
    with store.snapshot(thread.id) as one:
        context = [json.loads(bytes(item.payload)) for item in one.resume().context.items]
        turns = one.turns(descending=False, limit=100, view="full").data
    return Seen(
        thread.name,
        thread.archived,
        thread.git.branch if thread.git is not None else None,
        tuple((turn["status"], *_texts(turn)) for turn in turns),
        tuple(str(item["content"][0]["text"]) for item in context),
    )


def _texts(turn: dict[str, Any]) -> list[str]:
    return [
        item["content"][0]["text"] if item["type"] == "userMessage" else item.get("text", "") for item in turn["items"]
    ]


def _begins(longer: tuple[str, ...], shorter: tuple[str, ...]) -> bool:
    return longer[: len(shorter)] == shorter


def _between(before: Seen | None, seen: Seen | None, after: Seen | None) -> bool:
    """Whether a thread is as it was, as it was to be, or on its way from the one to the other."""
    if seen in (before, after) or (seen is not None and seen.context == _REFUSED):
        return True
    if seen is None or after is None:
        return False
    # What a writer adds when it could not go on.
    seen = seen._replace(context=tuple(text for text in seen.context if not text.startswith(_MARKER)))
    start = before if before is not None else Seen(after.name, after.archived, after.branch, (), ())
    if seen[:3] not in (start[:3], after[:3]):
        return False
    if not (_begins(seen.context, start.context) and _begins(after.context, seen.context)):
        return False
    if len(seen.turns) > len(after.turns):
        return False
    # Of a turn that was being recorded there is a part; one before it is as it was.
    if seen.turns[: max(0, len(start.turns) - 1)] != start.turns[: max(0, len(start.turns) - 1)]:
        return False
    if all(_begins(whole[1:], part[1:]) for whole, part in zip(after.turns, seen.turns, strict=False)):
        return True
    # Where its start was lost in a hole, what follows belongs to the turn that was running before.
    running = bool(start.turns) and start.turns[-1][0] != "completed"
    return running and _begins(_shown(after), _shown(seen))


def _shown(seen: Seen) -> tuple[str, ...]:
    return tuple(text for turn in seen.turns for text in turn[1:])


def _contains(longer: Iterable[str], shorter: Iterable[str]) -> bool:
    """Whether the one has the texts of the other in their order, and perhaps others between."""
    rest = iter(longer)
    return all(text in rest for text in shorter)


class Outcome(NamedTuple):
    """What an operation does when nothing fails: the threads before, and afterwards."""

    before: dict[str, Seen]
    after: dict[str, Seen]


def outcome_of(operation: Operation, start: Prepared, *, hours: int = LATER) -> Outcome:
    """What an operation does when nothing fails."""
    with ground() as folder:
        home = f"{folder}/home"
        start.image.put(home)
        with opened(home, hours=hours + 1) as store:
            before = observed(store)
        start.image.put(home)
        with opened(home, hours=hours) as store:
            operation.do(Run(store, start.threads, lambda _: None))
        with opened(home, hours=hours + 1) as store:
            return Outcome(before, observed(store))


@cache
def _outcome(name: str) -> Outcome:
    return outcome_of(OPERATIONS[name], prepared(name))


_verified: set[str] = set()
_checked: dict[tuple[str, bool, tuple[str, ...], str], None] = {}


def images_checked() -> int:
    """How many different homes were looked over so far."""
    return len(_checked)


class Checker:
    """What an operation promises, and whether a home keeps it.

    Args:
        name: What it is called.
        home: A folder to work in; it is replaced.
        operation: The operation.
        start: The home on which it is tried.
        outcome: What it does when nothing fails.
        hours: When it is tried: later than what the home went through before.
    """

    def __init__(
        self, name: str, home: str, operation: Operation, start: Prepared, outcome: Outcome, *, hours: int = LATER
    ) -> None:
        self.hours = hours
        self.name = name
        self.home = home
        self.operation = operation
        self.start = start
        self.outcome = outcome
        self._changing = {start.threads[thread] for thread in operation.changes}
        self._refusing = set(start.threads.values()) if operation.breaks else set[str]()
        self._met: set[tuple[str, bool, tuple[str, ...], str]] = set()

    @classmethod
    def of(cls, name: str, home: str) -> Self:
        """The checker of an operation of the table."""
        operation, start, outcome = OPERATIONS[name], prepared(name), _outcome(name)
        gone = {start.threads[thread] for thread in operation.gone}
        assert outcome.before.keys() - outcome.after.keys() == gone, "the table says what goes"
        return cls(name, home, operation, start, outcome)

    def run(self, store: ThreadStore, acknowledge: Callable[[str], None]) -> None:
        """Do the operation."""
        self.operation.do(Run(store, self.start.threads, acknowledge))

    def check(self, image: Image, *, finished: bool, acknowledged: list[str]) -> bool:
        """Look a home over: nothing acknowledged is missing, nothing is in the way of anybody.

        Args:
            image: The home.
            finished: Whether the operation returned.
            acknowledged: What it acknowledged on the way.

        Returns:
            Whether it is new to this checker. One that is byte by byte like another is not looked over again,
            whichever test met it first.
        """
        key = (self.name, finished, tuple(acknowledged), image.digest())
        new = key not in self._met
        self._met.add(key)
        if key in _checked:
            return new
        image.put(self.home)
        with opened(self.home, hours=self.hours + 2) as store:
            seen = self.observed(store)
            self.holds(seen, finished=finished, acknowledged=acknowledged)
            if finished or not self.operation.breaks:
                self.sound(store, image, seen)
        if finished and self.operation.erased:
            self.erased(image)
        image.put(self.home)  # what was looked at is as it was
        with opened(self.home, hours=self.hours + 3) as store:
            now = self.again(store, seen, finished=finished)
            if self.operation.breaks:
                self.sound(store, Image.of(self.home), seen)
                self.erased(Image.of(self.home))
            self.goes_on(store, now)
        _checked[key] = None
        return new

    def erased(self, image: Image) -> None:
        """No file holds what was erased, the catalog left aside: that it was cleaned a power cut may undo."""
        held = [path for path, node in image.names.items() if self.operation.erased in image.data[node]]
        assert not [path for path in held if not passing(path)], "it was to be erased"

    def observed(self, store: ThreadStore) -> dict[str, Seen]:
        """Every thread; one may be refused only where the operation says so."""
        return observed(store, refusing=self._refusing)

    def shown(self, store: ThreadStore, thread: str) -> Seen:
        """One thread."""
        return _seen(store, store.read(thread))

    def holds(self, seen: dict[str, Seen], *, finished: bool, acknowledged: list[str]) -> None:
        """What was kept before is kept, and what was done is done: wholly where it was acknowledged."""
        before, after = self.outcome
        for thread, was in before.items():
            now = seen.get(thread)
            if thread in self._changing:
                assert _between(was, now, after.get(thread)), f"{thread}: {was} became {now}"
            else:
                assert now == was, f"{thread}: {was} became {now}"
        to_come = [after[thread] for thread in after if thread not in before]
        for thread in seen.keys() - before.keys():
            assert any(_between(None, seen[thread], wanted) for wanted in to_come), f"{thread}: {seen[thread]}"
        if finished:
            for thread in before:
                assert seen.get(thread) == after.get(thread), "it was acknowledged"
            assert sorted(map(str, to_come)) == sorted(str(seen[thread]) for thread in seen.keys() - before.keys())
        if acknowledged:
            held = [seen[thread] for thread in seen if thread in self._changing or thread not in before]
            assert any(_contains(one.context, acknowledged) for one in held), f"{acknowledged} were acknowledged"
            shown = [[text for turn in one.turns for text in turn] for one in held]
            assert any(_contains(texts, acknowledged) for texts in shown), f"nobody sees {acknowledged}"

    def sound(self, store: ThreadStore, image: Image, threads: Collection[str]) -> None:
        """Fast equals full for every thread, and ``doctor`` finds no error."""
        parts = {path: hashlib.sha256(image.data[node]).hexdigest() for path, node in image.names.items()}
        for thread in threads:
            family = _family(image, thread)
            key = str(sorted((path, held) for path, held in parts.items() if any(part in path for part in family)))
            if key in _verified:
                continue
            verified = store.verify(thread)
            assert verified.problem is None, verified.problem
            assert not [check for check in verified.checks if not check.ok], verified.checks
            bad = [damage for damage in verified.damage if damage.severity == "error"]
            assert not [damage for damage in bad if not self._is_fragment(thread, damage.kind)], bad
            _verified.add(key)
        self.no_errors(store)

    def no_errors(self, store: ThreadStore) -> None:
        """``doctor`` finds nothing that is lost, and nothing that stands in anybody's way."""
        bad = [finding for finding in store.doctor() if finding.severity == "error"]
        assert not [one for one in bad if not self._is_fragment(one.thread, one.kind)], bad

    def _is_fragment(self, thread: str | None, kind: str) -> bool:
        """Whether it may be what is left of an append that was never acknowledged."""
        return kind in FRAGMENTS and (thread in self._changing or thread not in self.outcome.before)

    def again(self, store: ThreadStore, seen: dict[str, Seen], *, finished: bool) -> dict[str, Seen]:
        """Tried again, the operation does what it is for. Returns the threads as they are then."""
        before, after = self.outcome
        if finished and not self.operation.repeats:
            return seen
        try:
            self.run(store, lambda _: None)
        except InvalidRequest:
            assert all(seen.get(thread) == after.get(thread) for thread in before), "it is not done, and cannot be"
            return seen
        now = self.observed(store)
        self.done(now)
        return now

    def done(self, now: dict[str, Seen]) -> None:
        """What the operation is for is done; what repeats may be there more than once."""
        before, after = self.outcome
        if not self.operation.repeats:
            assert {thread: now[thread] for thread in now if thread in before} == {
                thread: after[thread] for thread in after if thread in before
            }
            return
        for thread in before.keys() & after.keys():
            if (
                thread in self._changing
                and before[thread] != after[thread]
                and _contains(after[thread].context, before[thread].context)
            ):
                assert _contains(now[thread].context, after[thread].context), f"{thread}: {now[thread]}"
        for thread in after.keys() - before.keys():
            assert any(_contains(one.context, after[thread].context) for one in now.values())

    def goes_on(self, store: ThreadStore, now: dict[str, Seen]) -> None:
        """The next append to each thread that was worked on is kept; no lock is in its way."""
        before = self.outcome.before
        for thread, one in now.items():
            if one.archived or (thread in before and thread not in self._changing and thread != _any(before)):
                continue
            Run(store, {"it": thread}, lambda _: None).turn("it", "next")
            context = [json.loads(bytes(item.payload)) for item in store.resume(thread).context.items]
            texts = [item["content"][0]["text"] for item in context]
            assert texts == [*one.context, "next", "re next"]
        self.no_errors(store)


def _any(threads: dict[str, Seen]) -> str:
    return min(threads)


def _family(image: Image, thread: str) -> set[str]:
    """Ids that occur in the names of files that a thread may depend on: everything it is related to, and the marks."""
    family = {thread}
    while True:
        more = {
            part
            for path in image.names
            if "/pins/" in path and any(each in path for each in family)
            for part in (path.split("/")[-2], path.split("/")[-1].split(".")[0])
        }
        if more <= family:
            return {*family, "marks.jsonl", "session_index"}
        family |= more


def named(error: ThreadkeepError) -> bool:
    """Whether an error says what it is about."""
    return error.thread is not None or error.path is not None or error.rollout is not None
