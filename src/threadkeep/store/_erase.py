"""Erasing a text: the only operation that changes a record.

Every form in which a record may hold the text is overwritten by as many bytes, so that no place moves and no boundary
with it. What proves a boundary is made anew before the bytes that it proves are changed: an interruption leaves a
child that says that its ancestor is not the one it knows, and erasing again finishes the work.
"""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING, Any, Final

from threadkeep.errors import InvalidRequest, StorageFailure, ThreadNotFound
from threadkeep.lineage import DIGEST_WINDOW, digest_of
from threadkeep.records import Boundary, Cost, decode_strict, lines_forward, read_head, record_of
from threadkeep.store._inheritance import Link, read_inheritance
from threadkeep.store._models import Erasure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from threadkeep.backends import Backend, Lease, Pin, RolloutRef
    from threadkeep.records import Source
    from threadkeep.store._access import Access, Located
    from threadkeep.store._inheritance import Inheritance

__all__ = ["erase"]

SHORTEST: Final = 4
"""Fewest characters of a text that is erased."""

_NESTING: Final = 3
"""How deep JSON inside of JSON strings is looked into: arguments of a call, a call inside of them."""

_STAR: Final = b"*"


class _Eraser:
    """The forms of one text, and what is done to a line that holds one."""

    def __init__(self, text: str) -> None:
        # A form that begins inside of an escape is none: "\n" followed by "abc" is not the text "nabc".
        forms = b"|".join(re.escape(form) for form in sorted(_forms(text), key=len, reverse=True))
        self._pattern = re.compile(rb"((?<!\\)(?:\\\\)*)(" + forms + rb")")
        self._first = re.compile(forms)

    def clean(self, line: bytes) -> tuple[bytes, int]:
        """The line without the text, and how often it held it."""
        if self._first.search(line) is None:
            return line, 0
        return self._pattern.subn(lambda found: found[1] + _STAR * len(found[2]), line)


def _forms(text: str) -> set[bytes]:
    """The text as JSON writes it, plainly or in ASCII alone, and as JSON inside of JSON strings does."""
    level = {text}
    forms: set[str] = set()
    for _ in range(_NESTING):
        level = {json.dumps(form, ensure_ascii=ascii_alone)[1:-1] for form in level for ascii_alone in (False, True)}
        level |= {re.sub(r"\\u[0-9a-f]{4}", lambda found: "\\u" + found[0][2:].upper(), form) for form in level}
        level |= {form.replace("/", "\\/") for form in level}
        forms |= level
    return {form.encode("utf-8", "surrogatepass") for form in forms}


def erase(access: Access, located: Located, text: str) -> Erasure:
    """Overwrite a text wherever a thread and its relatives hold it (see `ThreadStore.erase`)."""
    if len(text.strip()) < SHORTEST:
        raise InvalidRequest(f"a text that is erased has at least {SHORTEST} characters", thread=located.thread_id)
    eraser = _Eraser(text)
    erasure = Erasure(0, 0, [], [])
    with contextlib.ExitStack() as held:
        for backend in dict.fromkeys((access.scratch, access.backend)):
            held.enter_context(backend.guard(exclusive=True))
        inheritance = read_inheritance(access)
        inheritance.must_hold(located.thread_id)
        inheritance.must_be_whole(located.thread_id)
        links = [link for thread in _family(inheritance, located.thread_id) for link in inheritance.threads[thread]]
        hit = [link for link in links if _count(access, link, eraser, erasure)]
        leases: dict[str, Lease] = {}
        for thread in dict.fromkeys(link.ref.thread_id for link in hit):
            leases[thread] = access.backend_of(thread).lease(thread)
            held.callback(leases[thread].release)
        _drop_unfinished(access.backend, eraser)
        for link in hit:
            link.ref = _where_now(access.backend_of(link.ref.thread_id), link.ref)
            link.ref = _overwrite(access, inheritance, link, eraser, leases[link.ref.thread_id])
            erasure.rollouts.append(link.ref.location)
        _clean_pins(access, links, eraser, erasure)
        for rollout in {link.ref.rollout_id for link in links} | {link.base for link in links if link.base is not None}:
            access.backend.catalog.forget(rollout)
        access.backend.settle()  # no file that held the text comes back
    access.forget_totals()
    if not access.backend.catalog.compact():
        erasure.unreachable.append(
            "threadkeep's catalog is in use: remove threadkeep/catalog.sqlite* once nobody uses the home."
        )
    elif not access.backend.catalog.in_memory:
        erasure.unreachable.append(
            "A program that read the thread meanwhile may put it into threadkeep's catalog again: if one did, remove "
            "threadkeep/catalog.sqlite* once nobody uses the home."
        )
    erasure.unreachable.extend(_out_of_reach(access, located, text))
    return erasure


def _family(inheritance: Inheritance, thread_id: str) -> list[str]:
    """Everything that a thread came from, and everything that came from that."""
    root, seen = thread_id, {thread_id}
    while (above := inheritance.came_from(root)) is not None and above not in seen:
        seen.add(above)
        root = above
    return [root, *inheritance.descendants(root)]


def _drop_unfinished(backend: Backend, eraser: _Eraser) -> None:
    """Remove what was being written when its program was stopped, where it holds the text: it is part of nothing."""
    for location, source in backend.unfinished():
        try:
            # A line above the size bound cannot be looked into, and is not worth keeping.
            holds = any(line is None or eraser.clean(line)[1] for _, line in lines_forward(source, 0, source.size))
        finally:
            source.close()
        if holds:
            backend.drop_unfinished(location)


def _count(access: Access, link: Link, eraser: _Eraser, erasure: Erasure) -> bool:
    """Whether a rollout holds the text; what overwriting it would break is refused before anything is changed."""
    source = access.backend_of(link.ref.thread_id).open(link.ref, Cost())
    records = 0
    try:
        for offset, line in lines_forward(source, 0, source.size):
            if line is None:
                erasure.unreachable.append(
                    f"The line at byte {offset} of {link.ref.location} is above the size bound and was not looked into."
                )
                continue
            cleaned, places = eraser.clean(line)
            if not places:
                continue
            records += 1
            erasure.places += places
            if not _same_shape(record_of(offset, line).intact, line, cleaned):
                raise InvalidRequest(
                    "overwriting the text would change more than a text: it is part of a record's structure",
                    thread=link.ref.thread_id,
                    rollout=link.ref.rollout_id,
                    path=source.path,
                    offset=offset,
                )
    finally:
        source.close()
    erasure.records += records
    return records > 0


def _same_shape(intact: bool, before: bytes, after: bytes) -> bool:
    """Whether two lines differ in string values alone; a line that was damaged before cannot be broken."""
    if not intact:
        return True
    pending: list[tuple[Any, Any]] = [(decode_strict(before), decode_strict(after))]
    while pending:
        one, other = pending.pop()
        if type(one) is not type(other):
            return False
        if isinstance(one, dict):
            if list(one) != list(other) or one.get("type") != other.get("type"):
                return False
            pending.extend(zip(one.values(), other.values(), strict=True))
        elif isinstance(one, list):
            if len(one) != len(other):
                return False
            pending.extend(zip(one, other, strict=True))
        elif not isinstance(one, str) and one != other:
            return False
    return True


def _where_now(backend: Backend, ref: RolloutRef) -> RolloutRef:
    """Where a rollout lies; its lease is held: until then it may have been moved."""
    there = backend.rollouts_of(ref.thread_id)
    return ref if ref in there else next((each for each in there if each.rollout_id == ref.rollout_id), ref)


def _overwrite(access: Access, inheritance: Inheritance, link: Link, eraser: _Eraser, lease: Lease) -> RolloutRef:
    """Put the cleaned bytes in the place of a rollout; where they lie."""
    backend = access.backend_of(link.ref.thread_id)
    source = backend.open(link.ref, Cost())
    try:
        digests = {}
        for heir in inheritance.heirs.get(link.ref.rollout_id, []):
            if 0 < heir.end <= source.size:
                digests[heir.ref.rollout_id] = _new_digest(source, heir.end, eraser)
                _anchor(access, heir, source, digests[heir.ref.rollout_id])
                _unseal(access, heir.ref.rollout_id)
        ref = backend.replace(link.ref, _cleaned(source, source.size, eraser), lease)
        for pin in access.backend.pins_of(link.ref.rollout_id) if backend is access.backend else []:
            if pin.end <= source.size:
                access.backend.unpin(pin)
                access.backend.pin(pin.child, ref, pin.end, _new_digest(source, pin.end, eraser))
        return ref
    finally:
        source.close()


def _cleaned(source: Source, end: int, eraser: _Eraser) -> Iterator[bytes]:
    for offset, line in lines_forward(source, 0, end):
        if line is None:
            raise StorageFailure("a line above the size bound cannot be erased from", rollout=source.rollout_id)
        yield eraser.clean(line)[0]
        if offset + len(line) < end:
            yield b"\n"


def _new_digest(source: Source, end: int, eraser: _Eraser) -> str:
    """The digest that a boundary will have: that of the last bytes before it, once they are cleaned."""
    start = max(0, end - DIGEST_WINDOW)
    tail = b""
    for offset, line in lines_forward(source, _line_start(source, start), end):
        if line is not None:
            tail = (tail + eraser.clean(line)[0] + (b"\n" if offset + len(line) < end else b""))[-DIGEST_WINDOW:]
    return digest_of(tail)


def _line_start(source: Source, place: int) -> int:
    """Where the line begins that a place lies in."""
    while place > 0:
        low = max(0, place - (1 << 16))
        cut = source.read(low, place - low).rfind(b"\n")
        if cut >= 0:
            return low + cut + 1
        place = low
    return 0


def _anchor(access: Access, heir: Link, source: Source, digest: str) -> None:
    """Let a child know its ancestor by the digest that it is going to have."""
    head = read_head(source, source.size)
    known = access.anchored(heir.ref.rollout_id)
    turn = known.after_turn if known is not None else None
    backend = access.backend_of(heir.ref.thread_id)
    if known is None:
        child = backend.open(heir.ref, Cost())
        try:
            meta = read_head(child, child.size).meta
        finally:
            child.close()
        stated = meta.history_base.threadkeep if meta is not None and meta.history_base is not None else None
        if stated is None:
            return  # a child of Codex's: no digest to keep
        turn = stated.after_turn
    access.backend.set_anchor(heir.ref.rollout_id, Boundary(heir.end, digest, head.mode, turn))


def _unseal(access: Access, child: str) -> None:
    """What a child inherits changes, and is meant to."""
    if access.backend.sealed(child) is not None:
        access.backend.set_seal(child, None)


def _clean_pins(access: Access, links: list[Link], eraser: _Eraser, erasure: Erasure) -> None:
    """Pins that hold bytes of a rollout that is gone or was replaced."""
    backend = access.backend
    for base in dict.fromkeys(link.base for link in links if link.base is not None):
        ref = backend.find(base)
        current = backend.stat(ref).identity if ref is not None else None
        for pin in backend.pins_of(base):
            held = backend.pinned_size(pin)
            if held is not None and held[0] != current:
                _clean_pin(access, backend, pin, eraser, erasure)


def _clean_pin(access: Access, backend: Backend, pin: Pin, eraser: _Eraser, erasure: Erasure) -> None:
    try:
        source = backend.open_pin(pin, Cost())
    except ThreadNotFound:
        return
    try:
        places = sum(eraser.clean(line)[1] for _, line in lines_forward(source, 0, source.size) if line is not None)
        if not places:
            return
        erasure.places += places
        digest = _new_digest(source, min(pin.end, source.size), eraser)
        child = backend.find(pin.child)
        if child is not None:
            _anchor(access, Link(child, 0, 0, base=pin.base, end=pin.end), source, digest)
            _unseal(access, pin.child)
        backend.rewrite_pin(pin, _cleaned(source, source.size, eraser), digest)
        erasure.rollouts.append(pin.location)
    finally:
        source.close()


def _out_of_reach(access: Access, located: Located, text: str) -> list[str]:
    found = []
    if located.name is not None and text in located.name:
        found.append("The thread's name holds it: rename the thread; where names are kept, old ones stay.")
    if access.backend.shared_with_codex:
        found.append(
            "Codex's own databases, logs and history in this home may hold it; threadkeep does not write to them."
        )
    found.append(
        "Encrypted contents, images, and texts that were cut in two by the end of a record are not looked into."
    )
    found.append("Copies that `materialize` made of the thread are threads of their own: erase it from them, too.")
    found.append("Copies that were made elsewhere: backups, snapshots of the file system, what was sent to a model.")
    return found
