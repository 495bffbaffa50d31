"""A rollout under two names: what a power cut in the middle of a move may leave (btrfs keeps both)."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadkeep.backends._protocol import RolloutRef
    from threadkeep.backends.local._backend import LocalBackend

__all__ = ["drop_second_names", "is_second_name", "name_that_stays"]


def name_that_stays(home: LocalBackend, ref: RolloutRef) -> RolloutRef:
    """The name of a file that Codex's index points at, where it is one of its names; else the one that is given.

    Raises:
        OSError: One of them cannot be looked at.
    """
    pointed = home.facts([ref.thread_id])[ref.thread_id].current
    with contextlib.suppress(FileNotFoundError):
        if pointed is not None and is_second_name(home, pointed, ref):
            return pointed
    return ref


def is_second_name(home: LocalBackend, other: RolloutRef, ref: RolloutRef) -> bool:
    """Whether ``other`` names the file that ``ref`` names, in another folder.

    A folder that is reached in two ways gives a file two paths and one name, which must stay.

    Raises:
        OSError: One of them cannot be looked at.
    """
    if other.rollout_id != ref.rollout_id or other.location == ref.location:
        return False
    paths = [home.path_of(each) for each in (other, ref)]
    return _identity(home, *paths) == 1 and _identity(home, *map(os.path.dirname, paths)) == 2


def _identity(home: LocalBackend, *paths: str) -> int:
    """How many files these are."""
    return len({(facts.st_dev, facts.st_ino) for facts in map(home.files.stat, paths)})


def drop_second_names(home: LocalBackend, ref: RolloutRef) -> None:
    """Leave a rollout the one name of ``ref``, on the disk, too; its lease is held.

    Raises:
        OSError: The system refused.
    """
    for other in home.rollouts_of(ref.thread_id):
        with contextlib.suppress(FileNotFoundError):
            if is_second_name(home, other, ref):
                path = home.path_of(other)
                # The name that stays may never have been flushed: whoever made it may be no program that flushes.
                home.files.sync_folder(os.path.dirname(home.path_of(ref)))
                home.files.unlink(path)
                home.files.sync_folder(os.path.dirname(path))
