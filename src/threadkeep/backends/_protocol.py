"""What storage must provide: one narrow protocol, so that semantics are written once, above it.

A backend stores rollouts as sequences of bytes, finds them, appends to them durably, lends leases, and keeps what
threadkeep itself has to remember. It knows no semantics of conversations: it never looks into a record.
`threadkeep.testing` holds the cases that every backend must pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from threadkeep.backends._catalog import Catalog
    from threadkeep.ids import Clock, IdSource
    from threadkeep.records import Boundary, Cost, Source

__all__ = [
    "Appender",
    "Backend",
    "Durability",
    "Facts",
    "Lease",
    "Leftover",
    "Marks",
    "Pin",
    "RolloutRef",
    "RolloutStat",
    "Seal",
]

Durability = Literal["fsync", "os"]
"""``fsync``: an append that returned survives power loss. ``os``: it survives the death of the process."""


class RolloutRef(msgspec.Struct, frozen=True, gc=False):
    """Where one rollout lies.

    Attributes:
        rollout_id: Id of the rollout.
        thread_id: Id of the thread that it belongs to.
        location: The backend's own name for the place (for a home: the path below the home).
        archived: Whether it lies among the archived ones.
        compressed: Whether it must be decoded to be read, and unpacked to be appended to.
    """

    rollout_id: str
    thread_id: str
    location: str
    archived: bool = False
    compressed: bool = False


class RolloutStat(msgspec.Struct, frozen=True, gc=False):
    """What changes when a rollout changes.

    Attributes:
        size: Stored bytes.
        mtime_ns: Time of the last change, nanoseconds since the epoch.
        identity: Changes when the rollout is replaced by another (device and inode of a file).
    """

    size: int
    mtime_ns: int
    identity: str


class Marks(msgspec.Struct, omit_defaults=True):
    """What threadkeep remembers of one thread that no rollout says.

    Attributes:
        name: The name given here; empty for a name that was cleared; None when none was given here.
        archived: The archive state given here; None when the place of the rollout says it.
        hidden: Deleted, but still needed by threads that inherit from it.
        current: Id of the current rollout after a revert that was made here; None when the newest id says it.
        git: Git facts given here (``commit_hash``, ``branch``, ``repository_url``; None for one that was cleared), in
            place of those that the records state.
    """

    name: str | None = None
    archived: bool | None = None
    hidden: bool = False
    current: str | None = None
    git: dict[str, str | None] = {}


class Facts(msgspec.Struct, frozen=True):
    """What others in the same home say of one thread, read and never written.

    Attributes:
        indexed: Codex has a row of the thread: changes to it must go through Codex.
        name: The name set through Codex; None where there is none.
        archived: Archive state in Codex's index; None where it has no row.
        current: The rollout that Codex's index points at; None where it has no row or the file is gone.
        preview: The preview that Codex's index holds; None where it has no row.
        trouble: Why Codex's index cannot be read, so that nobody knows whether it has a row; None where it can.
    """

    indexed: bool = False
    name: str | None = None
    archived: bool | None = None
    current: RolloutRef | None = None
    preview: str | None = None
    trouble: str | None = None


class Pin(msgspec.Struct, frozen=True):
    """A second hold on the bytes that a child inherits.

    Attributes:
        child: Id of the rollout that inherits.
        base: Id of the rollout that it inherits from.
        end: Decoded byte offset where the inheritance ends.
        digest: Digest of the bytes before that place.
        location: The backend's own name for the pin.
        compressed: Whether the pinned bytes must be decoded.
    """

    child: str
    base: str
    end: int
    digest: str
    location: str
    compressed: bool = False


class Leftover(msgspec.Struct, frozen=True):
    """Something in the storage that nothing needs, or that leads nowhere.

    Attributes:
        kind: What it is, one word or two with a hyphen.
        severity: ``info``, ``warning`` or ``error``.
        detail: What it means, for people.
        path: Where it lies, in the backend's own words.
        thread: The thread concerned, where one is.
        removable: Whether `Backend.clear` can remove it without losing anything.
    """

    kind: str
    severity: Literal["info", "warning", "error"]
    detail: str
    path: str | None = None
    thread: str | None = None
    removable: bool = False


class Seal(msgspec.Struct, frozen=True):
    """What a child inherits, as it was when all of it was read for the first time.

    Attributes:
        base: Id of the rollout that it inherits from.
        end: Decoded byte offset where the inheritance ends.
        digest: SHA-256 of the base's bytes before that place, in hex.
    """

    base: str
    end: int
    digest: str


class Lease(Protocol):
    """The right to append to one thread: one writer, in all processes."""

    @property
    def thread_id(self) -> str:
        """The thread."""
        ...

    def check(self) -> None:
        """Make sure that the lease is still held by this process.

        Raises:
            LeaseLost: It is not.
        """
        ...

    def release(self) -> None:
        """Give the lease back. Releasing twice is no error."""
        ...


class Appender(Protocol):
    """The open end of one rollout."""

    @property
    def end(self) -> int:
        """Decoded byte offset at which the next record will start."""
        ...

    def append(self, line: bytes) -> int:
        """Write one record with one write; return the offset of its first byte. Not durable before `flush`.

        Raises:
            LeaseLost: The lease is not held any more, which is looked at before each write.
            StorageFailure: The system refused.
        """
        ...

    def flush(self) -> None:
        """Return when everything appended before this call is durable."""
        ...

    def close(self) -> None:
        """Let go of the rollout."""
        ...


class Backend(Protocol):
    """Storage of rollouts and of what threadkeep remembers about them.

    Attributes:
        name: What a message calls this store (a path, ``memory``).
        clock: Where the time comes from.
        ids: Where new ids come from.
        keeps_history_bases: Whether the backend can keep a history base; one that cannot refuses forks by reference.
    """

    name: str
    clock: Clock
    ids: IdSource
    keeps_history_bases: bool

    @property
    def shared_with_codex(self) -> bool:
        """Whether Codex reads the same rollouts, so that they must state what Codex needs."""
        ...

    @property
    def catalog(self) -> Catalog:
        """Derived rows, disposable."""
        ...

    def troubles(self) -> list[str]:
        """What could not be read of what was looked at so far, for people: without it something may be missing."""
        ...

    # Finding

    def find(self, rollout_id: str) -> RolloutRef | None:
        """The rollout of this id, without looking at every rollout."""
        ...

    def thread_at(self, path: str) -> str | None:
        """The thread whose rollout lies at a path; None where none does, and for a backend without paths."""
        ...

    def rollouts_of(self, thread_id: str) -> list[RolloutRef]:
        """Every rollout of a thread, wherever it lies, oldest id first. Empty for an unknown thread."""
        ...

    def stats(self, missed: list[str] | None = None) -> Iterator[tuple[RolloutRef, RolloutStat]]:
        """Every rollout with what changes when it changes, in no particular order; one that is moved meanwhile, too.

        At its end, what could not be looked at is added to ``missed``, for people: rollouts may have been left out.
        """
        ...

    def by_creation(
        self, *, descending: bool, after: tuple[int, str] | None
    ) -> Iterator[tuple[int, str, list[RolloutRef]]]:
        """Threads as (creation time in ms, thread id, rollouts), in that order, beyond ``after``; none is opened."""
        ...

    def with_prefix(self, prefix: str, limit: int) -> list[str]:
        """Ids of threads that start with ``prefix``, at most ``limit`` of them."""
        ...

    def stat(self, ref: RolloutRef) -> RolloutStat:
        """What changes when this rollout changes."""
        ...

    def facts(self, thread_ids: Sequence[str]) -> dict[str, Facts]:
        """What others say of threads; every id that was asked for has an entry."""
        ...

    # Reading

    def open(self, ref: RolloutRef, cost: Cost) -> Source:
        """The rollout's decoded bytes."""
        ...

    def open_pin(self, pin: Pin, cost: Cost) -> Source:
        """The pinned bytes."""
        ...

    # Writing

    def lease(self, thread_id: str) -> Lease:
        """Take the right to append to a thread.

        Raises:
            ThreadBusy: Somebody else holds it; the error names the owner where the system tells.
        """
        ...

    def held(self, thread_id: str) -> bool:
        """Whether somebody, this process included, holds the lease of a thread; looking changes nothing.

        Raises:
            StorageFailure: Nobody can say.
        """
        ...

    def planned_location(self, thread_id: str, rollout_id: str) -> str:
        """Where `create` will put a rollout, in the backend's own words."""
        ...

    def create(
        self, thread_id: str, rollout_id: str, lines: bytes | Iterable[bytes], *, durability: Durability, kept: bool
    ) -> RolloutRef:
        """Create a rollout with its first records, all or nothing.

        Args:
            thread_id: The thread.
            rollout_id: The rollout's own id.
            lines: Its first records, at once or in pieces.
            durability: When to return.
            kept: Put it where only threadkeep looks.
        """
        ...

    def appender(self, ref: RolloutRef, lease: Lease, cost: Cost, *, durability: Durability) -> Appender:
        """Open a rollout to append to it; a compressed one is unpacked first."""
        ...

    def flush(self, ref: RolloutRef) -> None:
        """Make everything that a rollout holds durable, whoever wrote it."""
        ...

    def move(self, ref: RolloutRef, lease: Lease, *, archived: bool) -> RolloutRef:
        """Move a rollout to or from the archived ones."""
        ...

    def remove(self, ref: RolloutRef, lease: Lease) -> None:
        """Remove a rollout."""
        ...

    def replace(self, ref: RolloutRef, pieces: Iterable[bytes], lease: Lease) -> RolloutRef:
        """Put new bytes in the place of a rollout, atomically (``--reclaim`` and ``erase`` alone)."""
        ...

    def guard(self, *, exclusive: bool) -> AbstractContextManager[None]:
        """Hold who inherits from whom: shared while a fork is made, exclusive while something is removed."""
        ...

    # What threadkeep remembers

    def marks(self, thread_id: str) -> Marks:
        """What threadkeep remembers of a thread."""
        ...

    def marked(self) -> dict[str, Marks]:
        """Every thread that threadkeep remembers something of."""
        ...

    def change_marks(self, thread_id: str, change: Callable[[Marks], Marks]) -> None:
        """Remember something else of a thread, durably.

        ``change`` makes it of what is remembered, and nobody changes it between: no lease is needed.
        """
        ...

    def set_name(self, thread_id: str, name: str) -> None:
        """Set the name of a thread that Codex has not indexed, where others in the home look for it."""
        ...

    def ask_codex(self, thread_id: str, requests: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Have Codex change a thread that it has indexed: requests of its app-server protocol, in order.

        Raises:
            CodexOwned: None is installed, or it refused.
            ThreadBusy: Another process is writing to the thread.
        """
        ...

    def anchored(self, child: str) -> Boundary | None:
        """The boundary that took the place of the one in a child's first record."""
        ...

    def set_anchor(self, child: str, boundary: Boundary) -> None:
        """Remember it, durably."""
        ...

    def sealed(self, child: str) -> Seal | None:
        """What all the bytes that a child inherits were when they were read first; None where nobody read them yet."""
        ...

    def set_seal(self, child: str, seal: Seal | None) -> None:
        """Remember it, or forget it."""
        ...

    def pin(self, child: str, ref: RolloutRef, end: int, digest: str) -> bool:
        """Keep hold of a rollout's bytes for a child; whether the backend could."""
        ...

    def pins(self) -> Iterator[Pin]:
        """Every pin."""
        ...

    def pins_of(self, base: str) -> list[Pin]:
        """The pins that hold bytes of a rollout."""
        ...

    def pinned_size(self, pin: Pin) -> tuple[str, int] | None:
        """(identity, stored bytes) of what a pin holds, the identity as in `RolloutStat`; None where it is gone."""
        ...

    def rewrite_pin(self, pin: Pin, pieces: Iterable[bytes], digest: str) -> Pin:
        """Put new bytes in the place of those that a pin holds, atomically (``erase`` alone)."""
        ...

    def unpin(self, pin: Pin) -> None:
        """Let go of a pin."""
        ...

    # Mending

    def leftovers(self) -> Iterator[Leftover]:
        """What was left behind in the storage, and what in it leads nowhere; looks at everything, changes nothing."""
        ...

    def clear(self, leftover: Leftover) -> bool:
        """Remove a leftover, if it still is one; whether it is gone.

        Raises:
            Conflict: Somebody is using it.
            StorageFailure: The system refused.
        """
        ...

    def unfinished(self) -> Iterator[tuple[str, Source]]:
        """What programs that were stopped had written beside its place, or what one still writes.

        Yields:
            Where it lies, and what is there so far; close each.

        Raises:
            StorageFailure: Something cannot be read.
        """
        ...

    def settle(self) -> None:
        """Make sure that rollouts that are not found stay away: no power cut brings one back from here on.

        Raises:
            StorageFailure: The system refused.
        """
        ...

    def drop_unfinished(self, location: str) -> None:
        """Remove it (``erase`` alone); who still writes it is refused its place, and has acknowledged nothing.

        Raises:
            StorageFailure: The system refused.
        """
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...
