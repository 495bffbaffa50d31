"""Rollouts in memory: for tests, for ephemeral threads, and as the smallest example of a backend."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any

import msgspec

from threadkeep.backends._protocol import Durability, Facts, Lease, Leftover, Marks, Pin, RolloutRef, RolloutStat, Seal
from threadkeep.errors import CodexOwned, CorruptHistory, LeaseLost, StorageFailure, ThreadBusy, ThreadNotFound
from threadkeep.ids import Clock, IdSource, SystemClock, Uuid7Source, timestamp_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from threadkeep.backends._catalog import Catalog
    from threadkeep.records import Boundary, Cost, Source

__all__ = ["MemoryBackend"]


class _Rollout(msgspec.Struct):
    ref: RolloutRef
    data: bytearray
    mtime_ns: int
    identity: int


class _MemorySource:
    """A rollout's bytes as they stood when it was opened."""

    def __init__(self, rollout: _Rollout, path: str, cost: Cost) -> None:
        self._rollout = rollout
        self._data = rollout.data
        self._path = path
        self._size = len(rollout.data)
        self._cost = cost
        cost.rollouts_opened += 1

    @property
    def rollout_id(self) -> str:
        return self._rollout.ref.rollout_id

    @property
    def path(self) -> str:
        return self._path

    @property
    def size(self) -> int:
        return self._size

    @property
    def cost(self) -> Cost:
        return self._cost

    def read(self, offset: int, size: int) -> bytes:
        if offset < 0 or offset + size > self._size:
            raise CorruptHistory(
                f"the rollout held only {self._size} bytes when it was opened", rollout=self.rollout_id, offset=offset
            )
        # A slice, and no view: while bytes are viewed, another thread cannot append to them.
        data = bytes(self._data[offset : offset + size])
        if len(data) != size:
            raise CorruptHistory("the rollout was cut while it was being read", rollout=self.rollout_id, offset=offset)
        self._cost.bytes_read += size
        return data

    def rest(self) -> None:
        """Nothing to let go of."""

    def close(self) -> None:
        """Nothing to let go of."""


class _MemoryLease:
    def __init__(self, backend: MemoryBackend, thread_id: str) -> None:
        self._backend = backend
        self._thread_id = thread_id

    @property
    def thread_id(self) -> str:
        return self._thread_id

    def check(self) -> None:
        if self._backend.holder(self._thread_id) is not self:
            raise LeaseLost("the lease was released", thread=self._thread_id)

    def release(self) -> None:
        self._backend.give_back(self)


class _MemoryAppender:
    def __init__(self, backend: MemoryBackend, ref: RolloutRef, lease: Lease, cost: Cost) -> None:
        self._backend = backend
        self._ref = ref
        self._lease = lease
        self._cost = cost
        self._lock = threading.Lock()
        data = backend.data_of(ref)
        self._torn = len(data) > 0 and data[-1] != 0x0A
        self._end = len(data)

    @property
    def end(self) -> int:
        return self._end + 1 if self._torn else self._end

    def append(self, line: bytes) -> int:
        self._lease.check()
        with self._lock:
            data = self._backend.data_of(self._ref)
            if len(data) != self._end:
                raise LeaseLost("somebody else wrote into the rollout", thread=self._lease.thread_id, offset=self._end)
            if self._torn:
                self._backend.grow(self._ref, b"\n")
                self._torn = False
            offset = len(data)
            self._backend.grow(self._ref, line)
            self._end = offset + len(line)
            self._cost.bytes_written += len(line)
            return offset

    def flush(self) -> None:
        self._lease.check()

    def close(self) -> None:
        """Nothing to let go of."""


class MemoryBackend:
    """Everything in memory; gone with the process. Leases exclude the writers of this backend only."""

    keeps_history_bases = True
    shared_with_codex = False
    name = "memory"

    def __init__(self, *, clock: Clock | None = None, ids: IdSource | None = None) -> None:
        self.clock = clock or SystemClock()
        self.ids = ids or Uuid7Source(self.clock)
        self._catalog: Catalog | None = None
        self._lock = threading.RLock()
        self._rollouts: dict[str, _Rollout] = {}
        self._leases: dict[str, _MemoryLease] = {}
        self._marks: dict[str, Marks] = {}
        self._names: dict[str, str] = {}
        self._anchors: dict[str, Boundary] = {}
        self._seals: dict[str, Seal] = {}
        self._pins: dict[str, tuple[Pin, _Rollout]] = {}
        self._count = 0

    @property
    def catalog(self) -> Catalog:
        """The catalog, in memory as well; made when it is first needed."""
        with self._lock:
            if self._catalog is None:
                from threadkeep.backends._catalog import Catalog

                self._catalog = Catalog(None)
            return self._catalog

    # What the appender, the lease and tests need

    def data_of(self, ref: RolloutRef) -> bytearray:
        """The bytes of a rollout, to be looked at or damaged by tests."""
        return self._rollout(ref).data

    def grow(self, ref: RolloutRef, line: bytes) -> None:
        """Add bytes to a rollout."""
        with self._lock:
            rollout = self._rollout(ref)
            rollout.data += line
            rollout.mtime_ns = self.clock.now_ms() * 1_000_000

    def holder(self, thread_id: str) -> _MemoryLease | None:
        """Who holds the lease of a thread."""
        return self._leases.get(thread_id)

    def give_back(self, lease: _MemoryLease) -> None:
        """Release a lease."""
        with self._lock:
            if self._leases.get(lease.thread_id) is lease:
                del self._leases[lease.thread_id]

    def put(self, thread_id: str, rollout_id: str, data: bytes, *, archived: bool = False) -> RolloutRef:
        """Put a rollout with these bytes there, as if it had always been."""
        with self._lock:
            self._count += 1
            ref = RolloutRef(rollout_id, thread_id, f"memory/{rollout_id}", archived)
            self._rollouts[rollout_id] = _Rollout(ref, bytearray(data), self.clock.now_ms() * 1_000_000, self._count)
            return ref

    def _rollout(self, ref: RolloutRef) -> _Rollout:
        rollout = self._rollouts.get(ref.rollout_id)
        if rollout is None:
            raise ThreadNotFound("the rollout is gone", thread=ref.thread_id, rollout=ref.rollout_id)
        return rollout

    def troubles(self) -> list[str]:
        return []

    # Finding

    def find(self, rollout_id: str) -> RolloutRef | None:
        rollout = self._rollouts.get(rollout_id)
        return rollout.ref if rollout else None

    def thread_at(self, path: str) -> str | None:  # noqa: ARG002  # nothing here has a path
        return None

    def rollouts_of(self, thread_id: str) -> list[RolloutRef]:
        with self._lock:
            found = [rollout.ref for rollout in self._rollouts.values() if rollout.ref.thread_id == thread_id]
        return sorted(found, key=lambda ref: ref.rollout_id)

    def stats(self, missed: list[str] | None = None) -> Iterator[tuple[RolloutRef, RolloutStat]]:  # noqa: ARG002  # all can be looked at
        with self._lock:
            rollouts = list(self._rollouts.values())
        for rollout in rollouts:
            yield rollout.ref, RolloutStat(len(rollout.data), rollout.mtime_ns, str(rollout.identity))

    def by_creation(
        self, *, descending: bool, after: tuple[int, str] | None
    ) -> Iterator[tuple[int, str, list[RolloutRef]]]:
        threads: dict[str, list[RolloutRef]] = {}
        with self._lock:
            for rollout in self._rollouts.values():
                threads.setdefault(rollout.ref.thread_id, []).append(rollout.ref)
        ordered = sorted(((timestamp_ms(thread) or 0, thread) for thread in threads), reverse=descending)
        for entry in ordered:
            if after is None or (entry < after if descending else entry > after):
                yield *entry, sorted(threads[entry[1]], key=lambda ref: ref.rollout_id)

    def with_prefix(self, prefix: str, limit: int) -> list[str]:
        with self._lock:
            threads = {rollout.ref.thread_id for rollout in self._rollouts.values()}
        return sorted(thread for thread in threads if thread.startswith(prefix))[:limit]

    def stat(self, ref: RolloutRef) -> RolloutStat:
        rollout = self._rollout(ref)
        return RolloutStat(len(rollout.data), rollout.mtime_ns, str(rollout.identity))

    def facts(self, thread_ids: Sequence[str]) -> dict[str, Facts]:
        return {thread_id: Facts(name=self._names.get(thread_id) or None) for thread_id in thread_ids}

    # Reading

    def open(self, ref: RolloutRef, cost: Cost) -> Source:
        return _MemorySource(self._rollout(ref), ref.location, cost)

    def open_pin(self, pin: Pin, cost: Cost) -> Source:
        held = self._pins.get(pin.location)
        if held is None:
            raise ThreadNotFound("the pin is gone", rollout=pin.base)
        return _MemorySource(held[1], pin.location, cost)

    # Writing

    def lease(self, thread_id: str) -> Lease:
        with self._lock:
            if thread_id in self._leases:
                raise ThreadBusy(
                    f"thread {thread_id} already has an active writer: this process ({os.getpid()})",
                    thread=thread_id,
                    pid=os.getpid(),
                    program="threadkeep",
                )
            lease = self._leases[thread_id] = _MemoryLease(self, thread_id)
            return lease

    def held(self, thread_id: str) -> bool:
        return thread_id in self._leases

    def planned_location(self, thread_id: str, rollout_id: str) -> str:
        del thread_id
        return f"memory/{rollout_id}"

    def create(
        self, thread_id: str, rollout_id: str, lines: bytes | Iterable[bytes], *, durability: Durability, kept: bool
    ) -> RolloutRef:
        del durability, kept
        with self._lock:
            if rollout_id in self._rollouts:
                raise StorageFailure(
                    "the rollout was not created: it is there already", thread=thread_id, rollout=rollout_id
                )
            return self.put(thread_id, rollout_id, lines if isinstance(lines, bytes) else b"".join(lines))

    def appender(self, ref: RolloutRef, lease: Lease, cost: Cost, *, durability: Durability) -> _MemoryAppender:
        del durability
        return _MemoryAppender(self, ref, lease, cost)

    def flush(self, ref: RolloutRef) -> None:
        self._rollout(ref)

    def move(self, ref: RolloutRef, lease: Lease, *, archived: bool) -> RolloutRef:
        lease.check()
        with self._lock:
            rollout = self._rollout(ref)
            rollout.ref = msgspec.structs.replace(rollout.ref, archived=archived)
            return rollout.ref

    def remove(self, ref: RolloutRef, lease: Lease) -> None:
        lease.check()
        with self._lock:
            self._rollouts.pop(ref.rollout_id, None)
        self.catalog.forget(ref.rollout_id)

    def replace(self, ref: RolloutRef, pieces: Iterable[bytes], lease: Lease) -> RolloutRef:
        lease.check()
        with self._lock:
            rollout = self._rollout(ref)
            self._count += 1
            fresh = _Rollout(rollout.ref, bytearray(b"".join(pieces)), rollout.mtime_ns, self._count)
            self._rollouts[ref.rollout_id] = fresh
        self.catalog.forget(ref.rollout_id)
        return fresh.ref

    @contextlib.contextmanager
    def guard(self, *, exclusive: bool) -> Iterator[None]:
        del exclusive
        with self._lock:
            yield

    # What threadkeep remembers

    def marks(self, thread_id: str) -> Marks:
        return self._marks.get(thread_id) or Marks()

    def marked(self) -> dict[str, Marks]:
        return dict(self._marks)

    def change_marks(self, thread_id: str, change: Callable[[Marks], Marks]) -> None:
        with self._lock:
            self._marks[thread_id] = change(self._marks.get(thread_id) or Marks())

    def set_name(self, thread_id: str, name: str) -> None:
        self._names[thread_id] = name

    def ask_codex(self, thread_id: str, requests: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        del requests
        raise CodexOwned("Codex has no part in what is in memory", thread=thread_id)

    def anchored(self, child: str) -> Boundary | None:
        return self._anchors.get(child)

    def set_anchor(self, child: str, boundary: Boundary) -> None:
        self._anchors[child] = boundary

    def sealed(self, child: str) -> Seal | None:
        return self._seals.get(child)

    def set_seal(self, child: str, seal: Seal | None) -> None:
        if seal is None:
            self._seals.pop(child, None)
        else:
            self._seals[child] = seal

    def pin(self, child: str, ref: RolloutRef, end: int, digest: str) -> bool:
        with self._lock:
            location = f"memory/pins/{ref.rollout_id}/{child}.{end}.{digest}"
            held = self._pins.get(ref.location)  # what another pin holds can be pinned, too
            rollout = held[1] if held is not None else self._rollout(ref)
            self._pins[location] = (Pin(child, ref.rollout_id, end, digest, location), rollout)
        return True

    def pins(self) -> Iterator[Pin]:
        with self._lock:
            return iter([pin for pin, _ in self._pins.values()])

    def pins_of(self, base: str) -> list[Pin]:
        return sorted((pin for pin in self.pins() if pin.base == base), key=lambda pin: pin.location)

    def pinned_size(self, pin: Pin) -> tuple[str, int] | None:
        held = self._pins.get(pin.location)
        return (str(held[1].identity), len(held[1].data)) if held is not None else None

    def rewrite_pin(self, pin: Pin, pieces: Iterable[bytes], digest: str) -> Pin:
        with self._lock:
            held = self._pins.pop(pin.location)[1]
            self._count += 1
            location = f"memory/pins/{pin.base}/{pin.child}.{pin.end}.{digest}"
            fresh = msgspec.structs.replace(pin, digest=digest, location=location)
            rollout = _Rollout(held.ref, bytearray(b"".join(pieces)), held.mtime_ns, self._count)
            self._pins[location] = (fresh, rollout)
        return fresh

    def unpin(self, pin: Pin) -> None:
        self._pins.pop(pin.location, None)

    def leftovers(self) -> Iterator[Leftover]:
        return iter(())

    def clear(self, leftover: Leftover) -> bool:
        del leftover
        return False

    def unfinished(self) -> Iterator[tuple[str, Source]]:
        return iter(())

    def settle(self) -> None:
        pass

    def drop_unfinished(self, location: str) -> None:
        del location

    def close(self) -> None:
        with self._lock:
            if self._catalog is not None:
                self._catalog.close()
                self._catalog = None
