"""Families: which thread came from which, and what the bytes of all of them come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from threadkeep.errors import CorruptHistory, StorageFailure, ThreadkeepError, ThreadNotFound
from threadkeep.records import PAGINATED, Cost, lines_forward, read_head, record_of
from threadkeep.store._inheritance import read_inheritance
from threadkeep.store._models import Family, TreeNode
from threadkeep.store._threads import read_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from threadkeep.backends import RolloutStat
    from threadkeep.records import Source
    from threadkeep.store._access import Access, Located
    from threadkeep.store._inheritance import Inheritance, Link

__all__ = ["families", "fork_tree"]

_BATCH: Final = 256

Relation = Literal["root", "fork", "copy", "agent"]


def fork_tree(access: Access, wanted: str | None, *, progress: Callable[[int], None] | None) -> list[TreeNode]:
    """The fork trees of a store, or the one that a thread belongs to; that with the newest change first."""
    inheritance = read_inheritance(access, progress=progress)
    children, roots = _arranged(inheritance)
    if wanted is not None:
        roots = [root for root in roots if wanted in _members(children, root)]
    members = [thread for root in roots for thread in _members(children, root)]
    nodes = _nodes(access, inheritance, members)
    newest: dict[str, int] = {}
    for thread in reversed(members):  # children stand behind their parents
        nodes[thread].children = [nodes[child] for child in children.get(thread, [])]
        newest[thread] = max([nodes[thread].updated_ms, *(newest[child] for child in children.get(thread, []))])
    return sorted((nodes[root] for root in roots), key=lambda node: (-newest[node.id], node.id))


def _arranged(inheritance: Inheritance) -> tuple[dict[str, list[str]], list[str]]:
    """Each thread's children, oldest first, and the threads that came from none that is there."""
    children: dict[str, list[str]] = {}
    roots: list[str] = []
    cut = _first_of_circles(inheritance)
    for thread in sorted(inheritance.threads):
        source = inheritance.came_from(thread)
        if source is None or thread in cut:
            roots.append(thread)
        else:
            children.setdefault(source, []).append(thread)
    return children, roots


def _first_of_circles(inheritance: Inheritance) -> set[str]:
    """Of threads that claim to come from one another, the first: its claim is not followed."""
    found: set[str] = set()
    walked: dict[str, str] = {}
    for start in inheritance.threads:
        path: list[str] = []
        thread: str | None = start
        while thread is not None and thread not in walked:
            walked[thread] = start
            path.append(thread)
            thread = inheritance.came_from(thread)
        if thread is not None and walked[thread] == start:
            found.add(min(path[path.index(thread) :]))
    return found


def _members(children: dict[str, list[str]], root: str) -> list[str]:
    found = [root]
    for thread in found:
        found.extend(children.get(thread, []))
    return found


def _nodes(access: Access, inheritance: Inheritance, members: list[str]) -> dict[str, TreeNode]:
    nodes: dict[str, TreeNode] = {}
    marked = access.backend.marked()
    for first in range(0, len(members), _BATCH):
        batch = members[first : first + _BATCH]
        found: list[tuple[Located, RolloutStat]] = []
        for thread in batch:
            links = inheritance.threads[thread]
            newest = links[-1]
            nodes[thread] = TreeNode(
                thread,
                "",
                _relation(inheritance, thread),
                newest.ref.archived,
                thread in marked and marked[thread].hidden,
                sum(link.size for link in links),
                inheritance.inherited_bytes(newest.ref.rollout_id),
                max(link.mtime_ns for link in links) // 1_000_000,
                [],
            )
            try:
                located = access.locate(thread, hidden=True)
                found.append((located, access.backend_of(thread).stat(located.ref)))
            except ThreadkeepError:
                continue
        for (located, _), read in zip(found, read_threads(access, found, Cost()), strict=True):
            node = nodes[located.thread_id]
            node.title = read.name or read.preview
            node.archived = located.archived
            node.inherited_bytes = inheritance.inherited_bytes(located.ref.rollout_id)
    return nodes


def _relation(inheritance: Inheritance, thread: str) -> Relation:
    link = inheritance.threads[thread][0]
    if inheritance.came_from(thread) is None:
        return "root"
    if link.parent is not None:
        return "agent"
    return "fork" if inheritance.inherits_from(thread) is not None else "copy"


def families(access: Access, *, progress: Callable[[int], None] | None) -> list[Family]:
    """The bytes of every family, those with the most stored bytes first."""
    inheritance = read_inheritance(access, progress=progress)
    children, roots = _arranged(inheritance)
    pinned = _pinned(access, inheritance)
    found: list[Family] = []
    for root in roots:
        members = _members(children, root)
        links = [link for thread in members for link in inheritance.threads[thread]]
        family = Family(
            root,
            "",
            len(members),
            len(links),
            own_bytes=sum(link.size for link in links),
            inherited_bytes=sum(inheritance.inherited_bytes(_current(inheritance, thread)) for thread in members),
            duplicated_bytes=sum(_duplicated(access, inheritance, thread) for thread in members),
            pinned_bytes=sum(pinned.pop(base, 0) for base in _bases(links)),
        )
        found.append(family)
    found.sort(key=lambda family: (-(family.own_bytes + family.pinned_bytes), family.root))
    titles = _nodes(access, inheritance, [family.root for family in found])
    for family in found:
        family.title = titles[family.root].title
    return found


def _current(inheritance: Inheritance, thread: str) -> str:
    return inheritance.threads[thread][-1].ref.rollout_id


def _bases(links: Sequence[Link]) -> list[str]:
    return list(dict.fromkeys(link.base for link in links if link.base is not None))


def _pinned(access: Access, inheritance: Inheritance) -> dict[str, int]:
    """Stored bytes of rollouts that are held by pins alone, by rollout."""
    held: dict[str, dict[str, int]] = {}
    for pin in access.backend.pins():
        size = access.backend.pinned_size(pin)
        if size is not None:
            identity, stored = size
            held.setdefault(pin.base, {})[identity] = stored
    for base, link in inheritance.links.items():
        if base in held and not link.ephemeral:
            try:
                held[base].pop(access.backend.stat(link.ref).identity, None)
            except ThreadNotFound:
                continue
    return {base: sum(sizes.values()) for base, sizes in held.items()}


def _duplicated(access: Access, inheritance: Inheritance, thread: str) -> int:
    """Bytes at the beginning of a copied fork that its source holds as well."""
    link = inheritance.threads[thread][0]
    source = inheritance.came_from(thread)
    if source is None or link.base is not None or link.ref.compressed:
        return 0
    parent = inheritance.threads[source][0]
    if parent.ref.compressed:
        return 0
    try:
        own = access.backend_of(thread).open(link.ref, Cost())
        try:
            if link.copied_until is not None:
                return max(0, _first_own(own, link.start, link.copied_until) - link.start)
            other = access.backend_of(source).open(parent.ref, Cost())
            try:
                return _copied(own, link, other)
            finally:
                other.close()
        finally:
            own.close()
    except (ThreadNotFound, CorruptHistory, StorageFailure):
        return 0


def _first_own(source: Source, start: int, ordinal: int) -> int:
    """Where the first record with at least this ordinal stands: ordinals grow along a rollout."""

    def copied(place: int) -> bool:
        line = _line_at(source, place)
        stands = record_of(place, line).ordinal if line is not None else None
        return stands is not None and stands < ordinal

    return _first_line(source, start, copied)


def _copied(own: Source, link: Link, other: Source) -> int:
    """How many bytes of a copied fork its source holds: records keep their lengths, so places map by a shift."""
    head = read_head(other, other.size)
    if head.record is None or head.mode == PAGINATED:
        return 0
    shift = link.start - head.record.offset

    def copied(place: int) -> bool:
        here, there = _line_at(own, place), _line_at(other, place - shift)
        return here is not None and there is not None and _untimed(here) == _untimed(there)

    return _first_line(own, link.start, copied) - link.start


def _untimed(line: bytes) -> bytes:
    """A record without its write time, which a copied one has anew (``storage.md`` 4.1)."""
    return line.partition(b'"type":')[2]


def _line_at(source: Source, place: int) -> bytes | None:
    return next(lines_forward(source, place, source.size), (place, None))[1] if place < source.size else None


def _first_line(source: Source, start: int, before: Callable[[int], bool]) -> int:
    """Where the first line that is not ``before`` begins, by bisection; the end where all are.

    Args:
        source: The rollout.
        start: Where a line begins.
        before: Whether the line at a place belongs to the first part.
    """
    low, high, answer = start, source.size, source.size
    while low < high:
        middle = (low + high) // 2
        line = _line_from(source, middle, start)
        if line >= high:
            high = middle
        elif before(line):
            low = _line_from(source, line + 1, start)
        else:
            answer, high = line, middle
    return answer


def _line_from(source: Source, place: int, start: int) -> int:
    """Where the first line that begins at or after a place begins; ``start`` is such a place."""
    if place <= start:
        return start
    for offset, line in lines_forward(source, place - 1, source.size):
        return offset + len(line) + 1 if line is not None else source.size
    return source.size
