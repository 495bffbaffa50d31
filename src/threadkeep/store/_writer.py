"""Writing to a thread: one writer at a time, one record a write, nothing acknowledged before it is safe."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from threadkeep.errors import DurabilityUnknown, InvalidRecord, LeaseLost, StorageFailure
from threadkeep.ids import utc
from threadkeep.records import PAGINATED, Cost, encode_record, is_persisted, trimmed_item
from threadkeep.replay import Position

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from threadkeep.backends import Appender, Backend, Durability, Lease, RolloutRef
    from threadkeep.store._turns import TurnWriter

__all__ = ["NewRecord", "Writer"]

_STATING: Final = frozenset({"turn_context", "thread_settings_applied", "compacted"})
"""Types of records that state settings, or begin a context without those that were stated."""


class NewRecord(msgspec.Struct):
    """A record to be appended.

    Attributes:
        kind: Its type, such as ``event_msg``.
        payload: JSON values, or the payload's own bytes as `msgspec.Raw`, which pass through untouched.
        metadata: Harness metadata of a response item; None to leave it out.
    """

    kind: str
    payload: Any
    metadata: Any = None


class Writer:
    """The right to append to one thread, until it is closed; use it as a context manager.

    Appends may come from several threads of the process: they are written one after the other, and those that wait
    for the disk at the same time share a flush.

    Attributes:
        thread_id: The thread.
        mode: History mode of the rollout.
        planned_location: Where the rollout lies, or will lie once a new thread's is made, in the backend's own words.
    """

    def __init__(
        self,
        backend: Backend,
        lease: Lease,
        *,
        mode: str,
        durability: Durability,
        location: str,
        open_rollout: Callable[[Lease, Cost], tuple[RolloutRef, int | None]],
        settings: Callable[[], Mapping[str, Any]],
        first: NewRecord | None = None,
    ) -> None:
        self.thread_id = lease.thread_id
        self.mode = mode
        self.planned_location = location
        self.cost = Cost()
        self._backend = backend
        self._lease = lease
        self._durability: Durability = durability
        self._open_rollout = open_rollout
        self._settings = settings
        self._known: Mapping[str, Any] | None = None
        self._first = first
        self._lock = threading.Lock()
        self._appender: Appender | None = None
        self._ref: RolloutRef | None = None
        self._ordinal: int | None = None
        self._unsure = False
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def lease(self) -> Lease:
        """The right that the writer holds."""
        return self._lease

    @property
    def rollout(self) -> RolloutRef | None:
        """The rollout that is written to; None for a new thread before its first record."""
        return self._ref

    @property
    def shared_with_codex(self) -> bool:
        """Whether Codex may go on with the thread, so that it must find what it needs."""
        return self._backend.shared_with_codex

    def append(self, kind: str, payload: Any, metadata: Any = None) -> Position | None:
        """Append one record; when this returns, the record is kept.

        Args:
            kind: The record's type, such as ``response_item``.
            payload: JSON values, or bytes as `msgspec.Raw`.
            metadata: Harness metadata of a response item.

        Returns:
            Where the record stands; None where a rollout of this mode does not keep such records (``storage.md`` 2.5).

        Raises:
            InvalidRecord: The record has no JSON form or is above the size bound.
            LeaseLost: Somebody else may be writing: nothing was written.
            StorageFailure: The system refused; the record was not stored.
            DurabilityUnknown: The flush failed; the error says what stands. The writer takes no more records.
        """
        return self.append_all([NewRecord(kind, payload, metadata)])[0]

    def append_all(self, records: Iterable[NewRecord]) -> list[Position | None]:
        """Append several records, each with a write of its own, and flush them together; as `append` otherwise."""
        with self._lock:
            places = [self._write(record) for record in records]
            appender = self._appender
        if appender is not None and any(place is not None for place in places):
            appender.flush()
        return places

    def materialize(self) -> RolloutRef:
        """Make a new thread's rollout now, before its first record: other operations find the thread from here on.

        The rollout of a thread that has one is left as it is. It lies where `planned_location` says.

        Raises:
            LeaseLost: Somebody else may be writing: nothing was written.
            StorageFailure: The system refused; the rollout was not made.
        """
        with self._lock:
            self._must_be_held()
            if self._first is not None:
                self._create()
            elif self._ref is None:
                self._opened()
            assert self._ref is not None
            return self._ref

    def turn(self, text: str, **settings: Any) -> TurnWriter:
        """Begin a turn with what the user said; use it as a context manager (see `threadkeep.store.TurnWriter`)."""
        from threadkeep.store._turns import TurnWriter

        return TurnWriter(self, text, **settings)

    def close(self) -> None:
        """Close the rollout and give the lease back. What was acknowledged is kept; closing twice is no error."""
        with self._lock:
            if self._appender is not None:
                self._appender.close()
                self._appender = None
            self._closed = True
        self._lease.release()

    def settings(self) -> Mapping[str, Any]:
        """What the thread was set to last, as far as a turn takes it over (`TurnWriter`). Read when it is asked for."""
        if self._known is None:
            self._known = self._settings()
        return self._known

    def remember(self, settings: Mapping[str, Any]) -> None:
        """A turn that was recorded here ran with these settings: nobody else writes, so they need not be read again."""
        self._known = settings

    def now_ms(self) -> int:
        """The time, by the store's clock."""
        return self._backend.clock.now_ms()

    def new_id(self) -> str:
        """A new id, by the store's source."""
        return self._backend.ids.new()

    def _write(self, record: NewRecord) -> Position | None:
        kept = self._kept(record)
        if kept is None:
            return None
        record = kept
        appender = self._appender
        if appender is None or self._unsure:
            self._must_be_held()
            if self._first is not None:
                return self._create(record)
            appender = self._opened()
        assert self._ref is not None
        line = self._encoded(record)
        try:
            offset = appender.append(line)
        except DurabilityUnknown:
            raise  # the writer is dead: to open the rollout again here would be to go on as if nothing had happened
        except StorageFailure:
            # A fragment may stand, or a whole record that was not acknowledged: the ordinal is read again.
            self._unsure = True
            raise
        if self._ordinal is not None:
            self._ordinal += 1
        return Position(self._ref.rollout_id, offset)

    def _kept(self, record: NewRecord) -> NewRecord | None:
        """The record as a rollout of this mode keeps it."""
        payload = record.payload
        subtype, item_type = _types(payload)
        if not is_persisted(record.kind, subtype, self.mode, item_type=item_type):
            return None
        if record.kind in _STATING or subtype in _STATING:
            self._known = None
        if self.mode == PAGINATED and item_type in {"CommandExecution", "McpToolCall"}:
            payload = msgspec.json.decode(payload) if isinstance(payload, msgspec.Raw) else payload
            item = trimmed_item(payload["item"])
            if item is not payload["item"]:
                return NewRecord(record.kind, {**payload, "item": item}, record.metadata)
        return record

    def _encoded(self, record: NewRecord) -> bytes:
        return encode_record(
            record.kind,
            record.payload,
            timestamp=utc(self._backend.clock.now_ms()),
            ordinal=self._ordinal if self.mode == PAGINATED else None,
            metadata=record.metadata,
        )

    def _must_be_held(self) -> None:
        if self._closed:
            raise LeaseLost("the writer is closed", thread=self.thread_id)
        self._lease.check()

    def _create(self, record: NewRecord | None = None) -> Position | None:
        """Make a new thread's rollout: with its first record as a rule, not before (``storage.md`` 7.2)."""
        assert self._first is not None
        if self.mode == PAGINATED:
            self._ordinal = 0
        head = self._encoded(self._first)
        if self.mode == PAGINATED:
            self._ordinal = 1
        line = self._encoded(record) if record is not None else b""
        self._ref = self._backend.create(
            self.thread_id, self.thread_id, head + line, durability=self._durability, kept=False
        )
        self.cost.bytes_written += len(head) + len(line)
        self._first = None
        if self._ordinal is not None and record is not None:
            self._ordinal += 1
        self._appender = self._backend.appender(self._ref, self._lease, self.cost, durability=self._durability)
        return Position(self._ref.rollout_id, len(head)) if record is not None else None

    def _opened(self) -> Appender:
        """The rollout, opened anew to append; from then on the appender sees to the lease itself, at every write."""
        if self._appender is not None:
            self._appender.close()
        self._ref, self._ordinal = self._open_rollout(self._lease, self.cost)
        self._appender = self._backend.appender(self._ref, self._lease, self.cost, durability=self._durability)
        self._unsure = False
        return self._appender


class _ItemTyped(msgspec.Struct):
    type: str = ""


class _Typed(msgspec.Struct):
    type: str = ""
    item: _ItemTyped | None = None


# Also what `convert` needs of the type is made here, once: threads that do so at the same time crash the process.
_decode_typed: Final = msgspec.json.Decoder(_Typed).decode


def _types(payload: Any) -> tuple[str, str]:
    """(the payload's own type, its item's type), of values or of bytes."""
    try:
        typed = _decode_typed(payload) if isinstance(payload, msgspec.Raw) else msgspec.convert(payload, _Typed)
    except msgspec.MsgspecError:
        try:
            kind = msgspec.json.decode(payload) if isinstance(payload, msgspec.Raw) else payload
        except msgspec.MsgspecError as error:
            raise InvalidRecord(f"the payload is no JSON: {error}") from error
        if not isinstance(kind, dict):
            raise InvalidRecord("a record's payload is a JSON object") from None
        return str(kind.get("type", "")), ""
    return typed.type, typed.item.type if typed.item is not None else ""
