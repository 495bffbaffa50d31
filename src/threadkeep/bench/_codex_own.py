"""A copy of one thread of a person's own home, with everything that it inherits; the home is only read.

No store is opened on it: a store keeps a catalog in a home, and pins what it sees. What is copied is found by names and
first records alone.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final

import msgspec

from threadkeep.backends import RolloutRef
from threadkeep.backends.local import LocalBackend
from threadkeep.backends.local._layout import parse_name
from threadkeep.bench._copy import copy_file
from threadkeep.bench._home import rollouts_in
from threadkeep.errors import ThreadkeepError, ThreadNotFound
from threadkeep.lineage import snapshot_end
from threadkeep.records import Cost, read_head

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OwnHome", "copied_lineage"]

_SECOND_NS: Final = 1_000_000_000


class OwnHome(msgspec.Struct):
    """A copy of a thread and of what it inherits.

    Attributes:
        path: The folder of the copy.
        thread_id: The thread.
        ancestors: The threads that it inherits from, oldest first.
        mode: Its history mode.
        locations: The rollouts that were copied, below the folder, the thread's own first.
        size: Their bytes.
        shared: Whether the copies share the originals' blocks.
        missing: Rollouts that are inherited from and that the home has not.
    """

    path: str
    thread_id: str
    ancestors: list[str]
    mode: str
    locations: list[str]
    size: int
    shared: bool
    missing: list[str]


def copied_lineage(home: str, thread: str, target: str, *, progress: Callable[[str], None]) -> OwnHome:
    """Copy a thread, and every rollout that it inherits from, into a home of their own.

    Args:
        home: The home; nothing in it is written, moved or linked to.
        thread: The thread's id, or a beginning of it that no other has.
        target: The folder of the copy; made new.
        progress: Told what is copied.

    Raises:
        ThreadNotFound: The home has no such thread, or several whose ids begin so.
    """
    found = _rollouts(home)
    ids = sorted({ref.thread_id for ref in found.values() if ref.thread_id.startswith(thread.lower())})
    if len(ids) != 1:
        raise ThreadNotFound(f"{len(ids)} threads of {home} have an id that begins with {thread}", path=home)
    own = sorted(rollout for rollout, ref in found.items() if ref.thread_id == ids[0])
    needed, missing, modes = _closure(home, found, own)
    shutil.rmtree(target, ignore_errors=True)
    ancestors = list(dict.fromkeys(found[rollout].thread_id for rollout in reversed(needed)))
    ancestors.remove(ids[0])
    copy = OwnHome(target, ids[0], ancestors, modes[own[-1]], [], 0, shared=True, missing=missing)
    for rollout in needed:
        location = found[rollout].location
        progress(f"copying {location}")
        path = os.path.join(target, location)
        copy.shared &= copy_file(os.path.join(home, location), path)
        copy.locations.append(location)
        copy.size += os.path.getsize(path)
    _make_newest(target, found[own[-1]].location, copy.locations)
    return copy


def _rollouts(home: str) -> dict[str, RolloutRef]:
    """The rollouts of a home by id; of two with the same id the one that is not compressed."""
    found: dict[str, RolloutRef] = {}
    for location in rollouts_in(home):
        name = parse_name(os.path.basename(location))
        if name is None or (name.compressed and name.rollout_id in found):
            continue
        found[name.rollout_id] = RolloutRef(name.rollout_id, name.thread_id, location, compressed=name.compressed)
    return found


def _closure(home: str, found: dict[str, RolloutRef], own: list[str]) -> tuple[list[str], list[str], dict[str, str]]:
    """(rollouts that these need, themselves included; those that are not there; history modes)."""
    backend = LocalBackend(home)  # reads what it is told to, and writes nothing for that
    needed: dict[str, None] = dict.fromkeys(own)
    missing: list[str] = []
    modes: dict[str, str] = {}
    waiting = list(own)
    while waiting:
        rollout = waiting.pop()
        source = backend.open(found[rollout], Cost())
        try:
            head = read_head(source, snapshot_end(source))
        except ThreadkeepError:  # a damaged one is copied as it is
            modes[rollout] = "unknown"
            continue
        finally:
            source.close()
        modes[rollout] = head.mode
        base = head.meta.history_base.thread_id if head.meta is not None and head.meta.history_base else None
        if base is None or base in needed:
            continue
        if base not in found:
            missing.append(base)
            continue
        needed[base] = None
        waiting.append(base)
    return list(needed), missing, modes


def _make_newest(home: str, location: str, locations: list[str]) -> None:
    """Let the thread be the one that was changed last, as it was when its person came back to it."""
    newest = max(os.stat(os.path.join(home, each)).st_mtime_ns for each in locations) + _SECOND_NS
    os.utime(os.path.join(home, location), ns=(newest, newest))
