"""Deleting threads without changing what others inherit.

A thread from which nobody inherits is removed. One from which others do is hidden: it is gone for people, and its
bytes stay. Reclaiming keeps the prefixes that are needed and gives the rest back; a prefix is written to a new file
that takes the place of the old one, so that at any moment a reader finds the one or the other. The thread is hidden
before any byte goes: what was interrupted is found hidden, and deleting it again finishes the work.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec

from threadkeep.backends import Marks
from threadkeep.errors import ThreadkeepError, ThreadNotFound
from threadkeep.records import BLOCK_BYTES, Cost
from threadkeep.store._access import newness
from threadkeep.store._inheritance import Inheritance, Link, read_inheritance
from threadkeep.store._models import DeletePlan, PlannedThread
from threadkeep.store._threads import read_threads

if TYPE_CHECKING:
    from threadkeep.backends import Backend, Lease, Pin
    from threadkeep.store._access import Access

__all__ = ["delete", "gone_heirs", "plan_delete"]


class _Step(msgspec.Struct):
    """What is done with one thread: which rollouts go, and up to where the others are kept."""

    planned: PlannedThread
    removed: list[Link]
    cut: list[tuple[Link, int]]


def plan_delete(access: Access, given: str, *, cascade: bool, reclaim: bool) -> DeletePlan:
    """What `delete` would do, changing nothing (see `ThreadStore.plan_delete`)."""
    thread_id = _known(access, given)
    inheritance = read_inheritance(access)
    inheritance.must_be_whole(thread_id)
    steps = _plan(access, inheritance, thread_id, cascade=cascade, reclaim=reclaim)
    return DeletePlan([step.planned for step in steps])


def delete(access: Access, given: str, *, cascade: bool, reclaim: bool) -> DeletePlan:
    """Delete a thread (see `ThreadStore.delete`)."""
    thread_id = _known(access, given)
    with contextlib.ExitStack() as held:
        for backend in dict.fromkeys((access.scratch, access.backend)):
            held.enter_context(backend.guard(exclusive=True))
        # Every lease is taken before anything is changed; what is decided is decided under them.
        leases: dict[str, Lease] = {}
        while True:
            inheritance = read_inheritance(access)
            inheritance.must_be_whole(thread_id)
            steps = _plan(access, inheritance, thread_id, cascade=cascade, reclaim=reclaim)
            further = [step.planned.id for step in steps if step.planned.id not in leases]
            if not further:
                break
            for each in further:
                leases[each] = access.backend_of(each).lease(each)
                held.callback(leases[each].release)
        if any(step.removed or step.cut for step in steps) and any(
            pin.child not in inheritance.links for pin in access.backend.pins()
        ):
            # A power cut may bring back one whose removal was not flushed, and its pin holds what its base had alone.
            access.backend.settle()
        # Heirs first: an interruption leaves no thread without the bytes that it inherits, and what was named is
        # still there to be named again.
        heirs_first = sorted(steps, key=lambda step: _depth(inheritance, step.planned.id), reverse=True)
        for step in sorted(heirs_first, key=lambda step: step.planned.action != "remove"):
            _carry_out(access, step, inheritance, leases[step.planned.id])
        return DeletePlan([step.planned for step in steps])


def gone_heirs(access: Access, inheritance: Inheritance) -> list[Pin]:
    """The pins of rollouts that are gone: of each the removal was interrupted, or was somebody else's."""
    backend = access.backend
    return [pin for pin in backend.pins() if pin.child not in inheritance.links and backend.find(pin.child) is None]


def _depth(inheritance: Inheritance, thread_id: str) -> int:
    """How many threads a thread came from, one from the other."""
    above = {thread_id: None}
    source = inheritance.came_from(thread_id)
    while source is not None and source not in above:
        above[source] = None
        source = inheritance.came_from(source)
    return len(above) - 1


def _known(access: Access, given: str) -> str:
    """The thread that is meant, a hidden or a damaged one included."""
    thread_id = access.thread_id(given)
    if not access.backend_of(thread_id).rollouts_of(thread_id):
        raise ThreadNotFound(f"no thread {thread_id} in {access.backend.name}", thread=thread_id)
    return thread_id


def _plan(access: Access, inheritance: Inheritance, thread_id: str, *, cascade: bool, reclaim: bool) -> list[_Step]:
    inheritance.must_hold(thread_id)
    named = [thread_id, *(inheritance.descendants(thread_id) if cascade else [])]
    gone = _not_needed(inheritance, named, set())
    # What was deleted before and stayed for these alone is not needed any more.
    gone |= _not_needed(inheritance, _hidden(access, inheritance, {*gone, *named}), gone)
    order = [*named, *sorted(gone - set(named))]
    titles = _titles(access, order)
    return [_step(inheritance, thread, gone, titles[thread], reclaim=reclaim) for thread in order]


def _not_needed(inheritance: Inheritance, candidates: list[str], gone: set[str]) -> set[str]:
    """Those of the candidates from which nobody inherits who is not to go as well."""
    found = set(candidates)
    staying = [thread for thread in inheritance.threads if thread not in found and thread not in gone]
    while staying:  # what one that stays inherits from stays, too
        for base in inheritance.bases(staying.pop()):
            if base in found:
                found.remove(base)
                staying.append(base)
    return found


def _hidden(access: Access, inheritance: Inheritance, leave: set[str]) -> list[str]:
    marked = access.backend.marked()
    return [
        thread
        for thread, marks in marked.items()
        if marks.hidden and thread in inheritance.threads and thread not in leave
    ]


def _titles(access: Access, threads: list[str]) -> dict[str, str]:
    titles = dict.fromkeys(threads, "")
    for thread in threads:
        with contextlib.suppress(ThreadkeepError):
            located = access.locate(thread, hidden=True)
            backend = access.backend_of(thread)
            read = read_threads(access, [(located, backend.stat(located.ref))], Cost())[0]
            titles[thread] = read.name or read.preview
    return titles


def _step(inheritance: Inheritance, thread_id: str, gone: set[str], title: str, *, reclaim: bool) -> _Step:
    links = inheritance.threads[thread_id]
    locations = [link.ref.location for link in links]
    stored = sum(link.size for link in links)
    if thread_id in gone:
        return _Step(PlannedThread(thread_id, title, "remove", stored, 0, [], locations), list(links), [])
    needs = inheritance.needed(thread_id, gone)
    heirs = inheritance.through({heir for _, threads in needs.values() for heir in threads})
    if not reclaim:
        return _Step(PlannedThread(thread_id, title, "hide", 0, stored, heirs, locations), [], [])
    removed = [link for link in links if link.ref.rollout_id not in needs]
    cut = []
    freed = sum(link.size for link in removed)
    for link in links:
        end = needs.get(link.ref.rollout_id, (0, set[str]()))[0]
        if 0 < end < link.size:  # of a compressed rollout a prefix may well be larger than the whole
            cut.append((link, end))
            freed += link.size - end
    return _Step(PlannedThread(thread_id, title, "reclaim", freed, stored - freed, heirs, locations), removed, cut)


def _carry_out(access: Access, step: _Step, inheritance: Inheritance, lease: Lease) -> None:
    thread_id = step.planned.id
    backend = access.backend_of(thread_id)
    if step.planned.action != "remove" or len(step.removed) > 1:
        # Nothing of a thread is shown any more once a part of it goes.
        backend.change_marks(thread_id, lambda marks: msgspec.structs.replace(marks, hidden=True))
    for link, end in step.cut:
        _cut(backend, link, end, lease)
    # Newest first: a reverted thread's newer rollouts need the older ones.
    for link in sorted(step.removed, key=lambda link: newness(link.ref), reverse=True):
        backend.remove(link.ref, lease)
        _unpin(access, link, inheritance)
    if step.planned.action == "remove":
        _forget(backend, thread_id)


def _forget(backend: Backend, thread_id: str) -> None:
    """What is remembered of a thread goes with it."""
    backend.change_marks(thread_id, lambda _: Marks())
    if backend.facts([thread_id])[thread_id].name:
        backend.set_name(thread_id, "")


def _cut(backend: Backend, link: Link, end: int, lease: Lease) -> None:
    """Keep the first ``end`` bytes of a rollout, and let its heirs' pins hold those instead of the whole."""
    source = backend.open(link.ref, Cost())
    try:
        pieces = (source.read(at, min(BLOCK_BYTES, end - at)) for at in range(0, end, BLOCK_BYTES))
        ref = backend.replace(link.ref, pieces, lease)
    finally:
        source.close()
    for pin in backend.pins_of(link.ref.rollout_id):
        if pin.end <= end:
            backend.unpin(pin)
            backend.pin(pin.child, ref, pin.end, pin.digest)


def _unpin(access: Access, link: Link, inheritance: Inheritance) -> None:
    """Drop the pins that a removed rollout had, and those on it that only its own thread had."""
    for backend in dict.fromkeys((access.scratch, access.backend)):
        for pin in backend.pins_of(link.base) if link.base is not None else []:
            if pin.child == link.ref.rollout_id:
                backend.unpin(pin)
        for pin in backend.pins_of(link.ref.rollout_id):
            child = inheritance.links.get(pin.child)
            if child is not None and child.ref.thread_id == link.ref.thread_id:
                backend.unpin(pin)
