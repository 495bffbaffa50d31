"""What can go wrong, in one tree.

An exception says whose fault it was: the caller's (``InvalidRequest``), the stored bytes' (``CorruptHistory``),
somebody else's who holds what is needed (``Conflict``), or the world's (``StorageFailure``)::

    ThreadkeepError
    ├── InvalidRequest          the request cannot be carried out as it was put
    │   ├── ThreadNotFound      no such thread in this store
    │   ├── TurnNotFound        the thread has no such turn (or it was rolled back)
    │   ├── AmbiguousId         a prefix that more than one id starts with
    │   ├── InvalidCursor       a cursor of another thread, list or history, or one whose anchor changed
    │   ├── InvalidForkPoint    the place named is not one where a fork can start
    │   ├── InvalidRecord       what was to be appended is no record
    │   └── Unsupported         the backend or the home cannot do this
    ├── CorruptHistory          the bytes that are there do not say what they must say
    │   ├── UnreadableRollout   a rollout whose first record or history mode cannot be understood
    │   ├── BrokenLineage       an ancestor is missing, changed, cut, cyclic or ambiguous
    │   └── RolloutReplaced     a rollout was replaced while it was read: asking again helps
    ├── Conflict                somebody else's claim stands in the way
    │   ├── ThreadBusy          another writer holds the thread's lease
    │   ├── LeaseLost           the lease was taken away or never belonged to this process
    │   ├── AmbiguousRollout    two rollouts claim to be the thread's current one
    │   ├── CodexOwned          Codex has indexed the thread: the change must go through Codex
    │   └── StillInherited      other threads inherit from it
    └── StorageFailure          the operating system refused, or an outcome is unknown
        └── DurabilityUnknown   a flush failed: what of the unacknowledged tail stands is reported

Every error carries what it knows of thread, rollout, file and byte as attributes, so that a caller can act on it
and a person can look.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AmbiguousId",
    "AmbiguousRollout",
    "BrokenLineage",
    "CodexOwned",
    "Conflict",
    "CorruptHistory",
    "DurabilityUnknown",
    "InvalidCursor",
    "InvalidForkPoint",
    "InvalidRecord",
    "InvalidRequest",
    "LeaseLost",
    "RolloutReplaced",
    "StillInherited",
    "StorageFailure",
    "ThreadBusy",
    "ThreadNotFound",
    "ThreadkeepError",
    "TurnNotFound",
    "UnreadableRollout",
    "Unsupported",
]


class ThreadkeepError(Exception):
    """The root of every error that threadkeep raises on purpose.

    Attributes:
        thread: Id of the thread concerned, where one is.
        rollout: Id of the rollout concerned, where one is.
        path: The file concerned, where the backend has files.
        offset: Decoded byte offset in that rollout, where a place is known.
    """

    def __init__(
        self,
        message: str,
        *,
        thread: str | None = None,
        rollout: str | None = None,
        path: str | None = None,
        offset: int | None = None,
    ) -> None:
        super().__init__(message)
        self.thread = thread
        self.rollout = rollout
        self.path = path
        self.offset = offset

    def __str__(self) -> str:
        """The message, followed by the place as far as it is known and not already part of the message."""
        message = super().__str__()
        known = (("thread", self.thread), ("rollout", self.rollout), ("file", self.path))
        place = [f"{name} {value}" for name, value in known if value is not None and value not in message]
        byte = f"byte {self.offset}"
        if self.offset is not None and not re.search(rf"\b{byte}\b", message):
            place.append(byte)
        return f"{message} ({', '.join(place)})" if place else message


class InvalidRequest(ThreadkeepError):
    """The request cannot be carried out as it was put; nothing was changed."""


class ThreadNotFound(InvalidRequest):
    """No thread of that id is in this store."""


class TurnNotFound(InvalidRequest):
    """The thread shows no turn of that id: it never had one, or the turn was rolled back."""


class AmbiguousId(InvalidRequest):
    """More than one thread id starts with the prefix that was given.

    Attributes:
        matches: The ids that match, at most ten of them.
    """

    def __init__(self, message: str, *, matches: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.matches = tuple(matches)


class InvalidCursor(InvalidRequest):
    """A cursor that was made for another thread, list or history, or whose anchor record is not what it was."""


class InvalidForkPoint(InvalidRequest):
    """The place named is not one where a fork or a revert can start."""


class InvalidRecord(InvalidRequest):
    """What was to be appended is not a record of this history mode, or exceeds a stated bound."""


class Unsupported(InvalidRequest):
    """The backend, the platform or the home cannot do what was asked."""


class CorruptHistory(ThreadkeepError):
    """The stored bytes do not say what they must say; nothing made up was served."""


class UnreadableRollout(CorruptHistory):
    """A rollout whose beginning cannot be understood, or whose history mode is unknown."""


class BrokenLineage(CorruptHistory):
    """An ancestor that a thread inherits from is missing, changed, cut, cyclic or ambiguous."""


class RolloutReplaced(CorruptHistory):
    """A rollout was replaced while it was read, as `ThreadStore.erase` does: who asks again reads the new one."""


class Conflict(ThreadkeepError):
    """Somebody else's claim stands in the way; nothing was changed."""


class ThreadBusy(Conflict):
    """Another writer holds the thread's lease.

    Attributes:
        pid: Process id of the owner, where the system tells it.
        since: When the owner took the lease (RFC 3339, UTC), where it is known.
        program: Name of the owner's program, where it is known.
    """

    def __init__(
        self,
        message: str,
        *,
        thread: str | None = None,
        pid: int | None = None,
        since: str | None = None,
        program: str | None = None,
    ) -> None:
        super().__init__(message, thread=thread)
        self.pid = pid
        self.since = since
        self.program = program


class LeaseLost(Conflict):
    """The lease is not held (any more) by this process: nothing was written."""


class AmbiguousRollout(Conflict):
    """Two rollouts claim to be the thread's current one, and nothing decides between them."""


class CodexOwned(Conflict):
    """Codex has indexed the thread, so the change must go through Codex, and no Codex could be asked."""


class StillInherited(Conflict):
    """Other threads inherit from what was to be removed.

    Attributes:
        heirs: Ids of the threads that inherit.
    """

    def __init__(self, message: str, *, thread: str | None = None, heirs: Sequence[str] = ()) -> None:
        super().__init__(message, thread=thread)
        self.heirs = tuple(heirs)


class StorageFailure(ThreadkeepError):
    """The operating system refused an operation; what had been acknowledged before still stands."""


class DurabilityUnknown(StorageFailure):
    """A flush failed, so the outcome of the unacknowledged appends is unknown and the writer is dead.

    Attributes:
        durable_end: Decoded byte offset up to which every record was flushed before the failure.
        standing_end: Byte offset up to which the file, read again from the disk after the failure, holds what was
            written; None where it could not be read again.
    """

    def __init__(
        self,
        message: str,
        *,
        thread: str | None = None,
        rollout: str | None = None,
        path: str | None = None,
        durable_end: int = 0,
        standing_end: int | None = None,
    ) -> None:
        super().__init__(message, thread=thread, rollout=rollout, path=path)
        self.durable_end = durable_end
        self.standing_end = standing_end
