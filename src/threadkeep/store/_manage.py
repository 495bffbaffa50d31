"""Names and the archive: what a thread is called and where it is put away.

Nobody may change these behind Codex's back: of a thread that Codex has indexed they are changed by the installed
Codex, or, where that is asked for, remembered by threadkeep alone.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from threadkeep.errors import InvalidRequest, ThreadkeepError
from threadkeep.records import Cost
from threadkeep.store._threads import read_thread

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from threadkeep.backends import Backend, Lease, RolloutRef
    from threadkeep.store._access import Access, Located
    from threadkeep.store._models import Thread

__all__ = ["MAX_NAME", "rename", "set_archived", "set_git"]

MAX_NAME: Final = 1_000
"""Most characters of a name."""

_UNFIT: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What no name has: control characters, ends of lines, halves of characters."""


def rename(access: Access, located: Located, name: str, *, local: bool, held: Lease | None = None) -> Thread:
    """Give a thread a name (see `ThreadStore.rename`)."""
    thread_id = located.thread_id
    name = name.strip()
    if len(name) > MAX_NAME or _UNFIT.search(name):
        raise InvalidRequest(f"a name is one line of at most {MAX_NAME} characters", thread=thread_id)
    backend = access.backend_of(thread_id)
    if located.is_codex_s(local=local):
        backend.ask_codex(thread_id, [("thread/name/set", {"threadId": thread_id, "name": name})])
        _remember(backend, thread_id, name=None)
        return _again(access, thread_id)
    with _leased(backend, thread_id, held):
        if located.kept_apart:
            _remember(backend, thread_id, name=name)
        else:
            backend.set_name(thread_id, name)
            _remember(backend, thread_id, name=None)
    return _again(access, thread_id)


def set_git(access: Access, located: Located, facts: Mapping[str, str | None]) -> Thread:
    """Set git facts of a thread (see `ThreadStore.set_git`)."""
    backend = access.backend_of(located.thread_id)
    backend.change_marks(located.thread_id, lambda marks: replace(marks, git={**marks.git, **facts}))
    return _again(access, located.thread_id)


def set_archived(access: Access, located: Located, *, archived: bool, local: bool) -> Thread:
    """Put a thread away, or take it out again (see `ThreadStore.archive`)."""
    thread_id = located.thread_id
    backend = access.backend_of(thread_id)
    if located.archived == archived:
        return _again(access, thread_id)
    if located.is_codex_s(local=local):
        if located.facts.archived != archived:
            backend.ask_codex(
                thread_id, [("thread/archive" if archived else "thread/unarchive", {"threadId": thread_id})]
            )
        _remember(backend, thread_id, archived=None)
        return _again(access, thread_id)
    with _leased(backend, thread_id) as lease:
        if located.kept_apart:
            _remember(backend, thread_id, archived=archived)
        else:
            _move(access, backend, lease, archived=archived)
            _remember(backend, thread_id, archived=None)
    return _again(access, thread_id)


@contextlib.contextmanager
def _leased(backend: Backend, thread_id: str, held: Lease | None = None) -> Iterator[Lease]:
    """Hold the lease of a thread, or use the caller's."""
    lease = held or backend.lease(thread_id)
    try:
        lease.check()
        yield lease
    finally:
        if held is None:
            lease.release()


def _move(access: Access, backend: Backend, lease: Lease, *, archived: bool) -> None:
    """Move every rollout of a thread, the current one last; when one cannot be moved, the others go back."""
    current = access.locate(lease.thread_id).ref
    moved: list[RolloutRef] = []
    refs = [ref for ref in backend.rollouts_of(lease.thread_id) if ref.archived != archived]
    try:
        for ref in sorted(refs, key=lambda ref: ref == current):
            there = backend.move(ref, lease, archived=archived)
            moved.append(there)
    except ThreadkeepError:
        for ref in moved:
            backend.move(ref, lease, archived=not archived)
        raise


def _remember(backend: Backend, thread_id: str, **changes: Any) -> None:
    """Change marks of a thread; the others stay as they are at that moment."""
    backend.change_marks(thread_id, lambda marks: replace(marks, **changes))


def _again(access: Access, thread_id: str) -> Thread:
    return read_thread(access, access.locate(thread_id), Cost())
