"""``doctor``: the whole home looked over, and what can be mended without losing anything mended on request.

Everything is read: every rollout once, every lineage to its root. What is found of one kind in one rollout is one
finding. Nothing is removed but what nobody needs, under the guard that forks and deletions hold, and with the thread's
lease where a thread is concerned; what somebody is using is left for the next time.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, TypeVar

from threadkeep.backends import Marks
from threadkeep.errors import (
    AmbiguousRollout,
    BrokenLineage,
    Conflict,
    CorruptHistory,
    StorageFailure,
    ThreadNotFound,
)
from threadkeep.lineage import Lineage, boundary_digest
from threadkeep.records import Cost
from threadkeep.records._damage import inspect
from threadkeep.store._anchoring import anchor_again
from threadkeep.store._deletion import delete, gone_heirs
from threadkeep.store._inheritance import read_inheritance
from threadkeep.store._models import Finding
from threadkeep.store._verify import being_written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from threadkeep.backends import Pin
    from threadkeep.records import Damage
    from threadkeep.store._access import Access, Located
    from threadkeep.store._inheritance import Inheritance, Link

__all__ = ["doctor"]

T = TypeVar("T")


def doctor(access: Access, *, fix: bool, progress: Callable[[str], None] | None = None) -> Iterator[Finding]:
    """Look everything over (see `ThreadStore.doctor`)."""
    for leftover in access.backend.leftovers():
        fixed = fix and leftover.removable and _done(access, access.backend.clear, leftover)
        yield Finding(
            leftover.kind,
            leftover.severity,
            leftover.thread,
            leftover.path,
            leftover.detail,
            leftover.removable,
            fixed,
        )
    inheritance = read_inheritance(access)
    pinned = {pin.child for pin in access.backend.pins()}
    sound: set[str] = set()
    broken: set[str] = set()
    for thread_id, links in sorted(inheritance.threads.items()):
        if links[0].ephemeral:
            continue
        if progress is not None:
            progress(thread_id)
        for finding in _thread(access, thread_id, links, sound, fix=fix):
            if finding.kind == "broken-lineage" and not finding.fixed:
                broken.add(thread_id)
            yield finding
    links_to_pin = [link for link in inheritance.links.values() if link.ref.thread_id not in broken]
    yield from _unpinned(access, links_to_pin, pinned, fix=fix)
    if "" not in inheritance.unseen:  # else nobody can say what is gone
        unused = gone_heirs(access, inheritance)
        # A power cut may bring a rollout back whose removal was not flushed: until it is, it needs its pin and marks.
        marked = _marked_and_gone(access, inheritance)
        settled = fix and (not (unused or marked) or _done(access, lambda home: home.settle(), access.backend))
        yield from _unused_pins(access, unused, fix=settled)
        yield from _marks_of_nothing(access, marked, fix=settled)
    yield from _deleted(access, inheritance, fix=fix)


def _done(access: Access, mend: Callable[[T], object], of: T) -> bool:
    """Mend something with nobody forking or deleting meanwhile; whether it was done."""
    try:
        with access.backend.guard(exclusive=True):
            return mend(of) is not False
    except (Conflict, StorageFailure, CorruptHistory, ThreadNotFound):
        return False


# Threads


def _thread(access: Access, thread_id: str, links: list[Link], sound: set[str], *, fix: bool) -> Iterator[Finding]:
    unreadable = False
    try:
        located = access.locate(thread_id, hidden=True)
        for finding in _lineage(access, located, sound, fix=fix):
            unreadable = unreadable or finding.kind == "unreadable"
            yield finding
    except AmbiguousRollout as error:
        yield Finding("ambiguous", "error", thread_id, error.path, str(error))
    except ThreadNotFound:
        pass  # removed meanwhile, or only Codex's index knows it
    for link in links:
        yield from _damage(access, link, unreadable=unreadable)


def _lineage(access: Access, located: Located, sound: set[str], *, fix: bool) -> Iterator[Finding]:
    """Whether the thread can be read back to its root, or to a rollout of which that is known (which is then added)."""
    thread_id = located.thread_id
    try:
        with access.open(located, Cost()) as lineage:
            try:
                for segment in lineage.newest_first():
                    if segment.rollout_id in sound:
                        break
                sound.update(segment.rollout_id for segment in lineage.resolved)
            except BrokenLineage as error:
                child = lineage.resolved[-1]
                boundary = anchor_again(access, child)
                fixed = fix and boundary is not None and _done(access, functools.partial(_anchor, access), thread_id)
                detail = str(error)
                if boundary is not None:
                    detail += f"; turn {boundary.after_turn} still stands there, up to byte {boundary.end}"
                yield Finding("broken-lineage", "error", thread_id, error.path, detail, boundary is not None, fixed)
    except (CorruptHistory, StorageFailure) as error:
        yield Finding("unreadable", "error", thread_id, error.path, str(error))


def _anchor(access: Access, thread_id: str) -> bool:
    """Place the boundary again that still is broken: an erasure changes anchors before what they prove."""
    with access.open(access.locate(thread_id, hidden=True), Cost()) as lineage:
        try:
            for _ in lineage.newest_first():
                pass
        except BrokenLineage:
            child = lineage.resolved[-1]
            boundary = anchor_again(access, child)
            if boundary is None:
                return False
            access.backend.set_anchor(child.rollout_id, boundary)
    return True


def _damage(access: Access, link: Link, *, unreadable: bool) -> Iterator[Finding]:
    """One finding for each kind of damage that loses something or shows something else than was meant."""
    found: dict[str, tuple[Damage, int]] = {}
    try:
        source = access.backend.open(link.ref, Cost())
    except (StorageFailure, ThreadNotFound):
        return
    try:
        at_work = being_written(access, link.ref.thread_id, source)
        for damage in inspect(source, thread_id=link.ref.thread_id, being_written=at_work):
            first, count = found.get(damage.kind, (damage, 0))
            found[damage.kind] = first, count + damage.count
    except (CorruptHistory, StorageFailure) as error:
        if not unreadable:
            yield Finding("unreadable", "error", link.ref.thread_id, link.ref.location, str(error))
    finally:
        source.close()
    for kind, (first, count) in found.items():
        if first.severity != "info":
            place = f"line {first.line}, byte {first.offset}: {first.detail}"
            more = f" ({count:,} times; this is the first)" if count > 1 else ""
            yield Finding(kind, first.severity, link.ref.thread_id, link.ref.location, place + more)


# Who inherits from whom


def _unpinned(access: Access, links: list[Link], pinned: set[str], *, fix: bool) -> Iterator[Finding]:
    """Children whose inherited bytes only the parent itself holds.

    Those that Codex made were pinned when their lineage was read above; the others lost their pin.
    """
    backend = access.backend
    for link in links:
        child = link.ref.rollout_id
        if link.base is None or link.ephemeral or child in pinned:
            continue
        fixed = any(pin.child == child for pin in backend.pins_of(link.base))
        if not fixed and backend.find(link.base) is None:
            continue  # a broken lineage, or bytes that only another child's pin holds: nothing can be linked
        if not fixed and fix:
            fixed = _done(access, functools.partial(_pin, access), link)
        yield Finding(
            "unpinned-base",
            "info",
            link.ref.thread_id,
            link.ref.location,
            f"the thread inherits from rollout {link.base}, and nothing but that rollout itself holds the bytes: what "
            "another program does to it reaches the thread",
            fixable=True,
            fixed=fixed,
        )


def _pin(access: Access, link: Link) -> bool:
    """Pin a child's base, when it still is what was inherited."""
    assert link.base is not None
    ref = access.backend.find(link.base)
    if ref is None:
        return False
    source = access.backend.open(link.ref, Cost())
    with contextlib.closing(source), Lineage(access, source, link.ref.thread_id, source.cost) as lineage:
        base = lineage.segment(link.base)
        if base is None or base.source.path is None or not base.source.path.endswith(ref.location):
            return False
        return access.backend.pin(link.ref.rollout_id, ref, base.end, boundary_digest(base.source, base.end))


def _unused_pins(access: Access, unused: list[Pin], *, fix: bool) -> Iterator[Finding]:
    """Pins whose child is gone."""
    backend = access.backend

    def let_go(pin: Pin) -> bool:
        if backend.find(pin.child) is not None:
            return False
        backend.unpin(pin)
        return True

    for pin in unused:
        held = backend.pinned_size(pin)
        yield Finding(
            "unused-pin",
            "info",
            None,
            pin.location,
            f"it holds {held[1] if held is not None else 0:,} bytes of rollout {pin.base} for rollout {pin.child}, "
            "which is gone",
            fixable=True,
            fixed=fix and _done(access, let_go, pin),
        )


# What threadkeep remembers


def _marked_and_gone(access: Access, inheritance: Inheritance) -> list[str]:
    """The threads that threadkeep remembers something of, and that are gone."""
    marked = sorted(thread_id for thread_id, marks in access.backend.marked().items() if marks != Marks())
    unknown = (thread_id for thread_id in marked if thread_id not in inheritance.threads)
    return [thread_id for thread_id in unknown if not access.backend.rollouts_of(thread_id)]


def _marks_of_nothing(access: Access, marked: list[str], *, fix: bool) -> Iterator[Finding]:
    backend = access.backend

    def forget(thread_id: str) -> bool:
        if backend.rollouts_of(thread_id):
            return False
        backend.change_marks(thread_id, lambda _: Marks())
        return True

    for thread_id in marked:
        yield Finding(
            "unused-marks",
            "info",
            thread_id,
            None,
            "threadkeep remembers a name or a state of the thread, and the thread is gone",
            fixable=True,
            fixed=fix and _done(access, forget, thread_id),
        )


def _deleted(access: Access, inheritance: Inheritance, *, fix: bool) -> Iterator[Finding]:
    """Deleted threads that stayed for others, when the others are gone."""
    for thread_id, marks in sorted(access.backend.marked().items()):
        links = inheritance.threads.get(thread_id, [])
        if not marks.hidden or not links or inheritance.needed(thread_id, set()):
            continue
        try:
            inheritance.must_be_whole(thread_id)
        except StorageFailure:
            continue  # nobody can say who needs it
        freed = sum(link.size for link in links)
        fixed = False
        if fix:
            try:
                done = delete(access, thread_id, cascade=False, reclaim=False)
                fixed = done.threads[0].action == "remove"
            except ThreadNotFound:
                continue  # removed together with one before
            except (Conflict, StorageFailure):
                fixed = False
        yield Finding(
            "unneeded-thread",
            "info",
            thread_id,
            None,
            f"the thread was deleted and stayed for others that are gone; its {freed:,} bytes can go",
            fixable=True,
            fixed=fixed,
        )
