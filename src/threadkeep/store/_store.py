"""`ThreadStore`: everything that a user can do with threads, on any backend."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self

from threadkeep.backends import MemoryBackend
from threadkeep.store._access import Access
from threadkeep.store._keeping import Keeping
from threadkeep.store._reading import Reading
from threadkeep.store._writing import Writing

if TYPE_CHECKING:
    from threadkeep.backends import Backend, Durability

__all__ = ["ThreadStore"]


class ThreadStore(Reading, Writing, Keeping):
    """Threads in one place: a Codex home, a home of threadkeep's own, or memory.

    A store may be used by several threads of a process at once, and by several processes on one home. Use it as a
    context manager, or close it.

    Args:
        backend: Where the threads are kept.
        durability: ``fsync``: what was acknowledged survives power loss. ``os``: it survives the process.
    """

    def __init__(self, backend: Backend, *, durability: Durability = "fsync") -> None:
        self.backend = backend
        self.durability: Durability = durability
        self._access = Access(backend, MemoryBackend(clock=backend.clock, ids=backend.ids))

    @classmethod
    def open(cls, home: str | os.PathLike[str], *, durability: Durability = "fsync") -> Self:
        """The store of a home folder, which need not exist yet."""
        from threadkeep.backends.local import LocalBackend

        return cls(LocalBackend(os.fspath(home)), durability=durability)

    @classmethod
    def in_memory(cls) -> Self:
        """A store that lives as long as the process."""
        return cls(MemoryBackend(), durability="os")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the backend."""
        self._access.scratch.close()
        self.backend.close()
