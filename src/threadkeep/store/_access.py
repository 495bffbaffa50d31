"""Finding and opening threads: which rollout is current, what it inherits from, what is known of it."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import msgspec

from threadkeep.backends import Facts, Marks, RolloutRef
from threadkeep.errors import (
    AmbiguousId,
    AmbiguousRollout,
    BrokenLineage,
    CodexOwned,
    Conflict,
    InvalidRequest,
    StorageFailure,
    ThreadkeepError,
    ThreadNotFound,
)
from threadkeep.ids import canonical
from threadkeep.lineage import Lineage, boundary_digest
from threadkeep.records import Cost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from threadkeep.backends import Backend
    from threadkeep.lineage import Segment
    from threadkeep.records import Boundary, HistoryBase, Source
    from threadkeep.replay import ThreadFacts, Totals

__all__ = ["Access", "Located", "current_of", "must_be_pointed_at", "newness"]

_AT_HAND: Final = 64
"""Of how many rollouts a store keeps the totals at hand, and of how many the facts, besides those in the catalog."""

_MOST_MATCHES: Final = 10
_MIN_PREFIX: Final = 4


class Located(msgspec.Struct):
    """A thread that was found.

    Attributes:
        thread_id: Its id.
        ref: Its current rollout.
        facts: What others in the home say of it.
        marks: What threadkeep remembers of it.
    """

    thread_id: str
    ref: RolloutRef
    facts: Facts
    marks: Marks

    @property
    def archived(self) -> bool:
        """Whether the thread is archived: as threadkeep was told, as Codex's index says, or by its place."""
        if self.marks.archived is not None:
            return self.marks.archived
        return self.ref.archived if self.facts.archived is None else self.facts.archived

    @property
    def kept_apart(self) -> bool:
        """Whether changes that are not asked of Codex are kept where Codex does not look: it has a row, or may have."""
        return self.facts.indexed or self.facts.trouble is not None

    def is_codex_s(self, *, local: bool) -> bool:
        """Whether Codex must make a change to the thread.

        Args:
            local: The change is to be kept to threadkeep.

        Raises:
            CodexOwned: Nobody can say, since Codex's index cannot be read.
        """
        if local:
            return False
        if self.facts.trouble is not None:
            raise CodexOwned(
                f"nobody can say whether Codex has indexed thread {self.thread_id}: {self.facts.trouble}; with "
                "`local=True` (`--local`) threadkeep keeps the change to itself",
                thread=self.thread_id,
            )
        return self.facts.indexed

    @property
    def name(self) -> str | None:
        """The thread's name: the one given here, else the one that others in the home know."""
        if self.marks.name is not None:
            return self.marks.name or None
        return self.facts.name


class Access:
    """What every operation of a store needs: it finds threads and opens their lineages.

    It is also where lineages find ancestors, and where replay finds totals.
    """

    def __init__(self, backend: Backend, scratch: Backend) -> None:
        self.backend = backend
        self.scratch = scratch
        self._lock = threading.Lock()
        self._totals: OrderedDict[str, Totals] = OrderedDict()
        self._facts: OrderedDict[str, ThreadFacts] = OrderedDict()
        self._told: set[str] = set()

    # Threads

    def backend_of(self, thread_id: str) -> Backend:
        """The backend that holds a thread: the store's, or, for an ephemeral one, memory."""
        return self.scratch if self.scratch.rollouts_of(thread_id) else self.backend

    def thread_id(self, given: str) -> str:
        """The id of the one thread that ``given`` names: its id, or any prefix that no other thread's id has.

        Raises:
            ThreadNotFound: None has it.
            AmbiguousId: More than one has it.
            InvalidRequest: It is too short to be meant.
        """
        whole = canonical(given)
        if whole is not None:
            return whole
        prefix = given.strip().lower()
        if len(prefix) < _MIN_PREFIX or not set(prefix) <= set("0123456789abcdef-"):
            raise InvalidRequest(f"{given!r} is no thread id and no prefix of one (at least {_MIN_PREFIX} characters)")
        found = self.scratch.with_prefix(prefix, 2) + self.backend.with_prefix(prefix, _MOST_MATCHES + 1)
        if not found:
            raise ThreadNotFound(f"no thread's id begins with {given!r} in {self.backend.name}")
        if len(found) > 1:
            listed = ", ".join(found[:_MOST_MATCHES]) + (" ..." if len(found) > _MOST_MATCHES else "")
            raise AmbiguousId(f"{given!r} begins the ids of several threads: {listed}", matches=found[:_MOST_MATCHES])
        return found[0]

    def locate(self, given: str, *, hidden: bool = False) -> Located:
        """The thread that ``given`` names, with its current rollout.

        The current rollout is the one that a local revert made, else the one that Codex's index points at, else the
        one with the newest id. Where the index and the newest id disagree, nothing decides. Where only ids tell, and
        something of the home cannot be read, a newer one may lie there: that is logged, once for each place.

        Args:
            given: The id, or a prefix of it.
            hidden: Find deleted threads, too, that others inherit from.

        Raises:
            ThreadNotFound: There is none.
            AmbiguousRollout: Two rollouts claim to be the current one.
        """
        thread_id = self.thread_id(given)
        backend = self.backend_of(thread_id)
        marks = backend.marks(thread_id)
        if marks.hidden and not hidden:
            raise ThreadNotFound(f"thread {thread_id} was deleted; others still inherit from it", thread=thread_id)
        facts = backend.facts([thread_id])[thread_id]
        try:
            current = current_of(thread_id, backend, backend.rollouts_of(thread_id), facts, marks)
        except AmbiguousRollout:
            # Who looks into one folder after the other sees what is moved meanwhile twice.
            facts = backend.facts([thread_id])[thread_id]
            current = current_of(thread_id, backend, backend.rollouts_of(thread_id), facts, marks)
        if facts.current is None and marks.current is None:
            self._tell_of_troubles(backend)
        return Located(thread_id, current, facts, marks)

    def _tell_of_troubles(self, backend: Backend) -> None:
        for trouble in backend.troubles():
            if trouble not in self._told:
                self._told.add(trouble)
                import logging

                log = logging.getLogger("threadkeep")
                log.warning("%s: threads that were renamed or reverted may be shown as they were before", trouble)

    @contextlib.contextmanager
    def while_nobody_removes(self) -> Iterator[None]:
        """A time in which nobody deletes or erases; where that cannot be had, any time."""
        with contextlib.ExitStack() as held:
            for backend in dict.fromkeys((self.scratch, self.backend)):
                with contextlib.suppress(Conflict, StorageFailure):
                    held.enter_context(backend.guard(exclusive=False))
            yield

    def open(self, located: Located, cost: Cost, *, end: int | None = None) -> Lineage:
        """The lineage of a thread, its end fixed now; close it after use.

        Raises:
            UnreadableRollout: The rollout's beginning cannot be understood, or is another thread's.
        """
        backend = self.backend_of(located.thread_id)
        source = backend.open(located.ref, cost)
        try:
            return Lineage(self, source, located.thread_id, cost, end=end)
        except BaseException:
            source.close()
            raise

    # Ancestors (threadkeep.lineage.Library)

    def sources(self, rollout_id: str, cost: Cost) -> Iterator[Source]:
        """Every place that may hold a rollout: memory, the rollout itself, then what pins keep of it.

        Raises:
            CorruptHistory: None of them can be opened: what is wrong with the best.
            StorageFailure: Likewise.
        """
        opened = False
        trouble: ThreadkeepError | None = None
        for opening in self._openings(rollout_id, cost):
            try:
                source = opening()
            except ThreadNotFound:
                continue  # gone meanwhile
            except ThreadkeepError as error:
                trouble = trouble or error
                continue
            opened = True
            yield source
        if trouble is not None and not opened:
            raise trouble

    def _openings(self, rollout_id: str, cost: Cost) -> Iterator[Callable[[], Source]]:
        for backend in (self.scratch, self.backend):
            ref = backend.find(rollout_id)
            if ref is not None:
                yield functools.partial(backend.open, ref, cost)
        for pin in self.backend.pins_of(rollout_id):
            yield functools.partial(self.backend.open_pin, pin, cost)

    def anchored(self, child: str) -> Boundary | None:
        """The boundary that took the place of the one in a child's first record."""
        return self.backend.anchored(child)

    def first_seen(self, child: str, base: HistoryBase, source: Source, end: int) -> None:
        """Pin the base of a child that Codex made, when it is first seen; later, the pin says what it inherited.

        Raises:
            BrokenLineage: These are not the bytes that were pinned, or another rollout claims to be that base, too.
        """
        digest = boundary_digest(source, end)
        pin = next((pin for pin in self.backend.pins_of(base.thread_id) if pin.child == child), None)
        if pin is None:
            ref = self.backend.find(base.thread_id)
            if ref is not None and source.path is not None and source.path.endswith(ref.location):
                self._refuse_twins(child, ref, end, digest)
                self.backend.pin(child, ref, end, digest)
        elif pin.end == end and pin.digest != digest:
            raise BrokenLineage(
                f"rollout {child} inherits from rollout {base.thread_id} up to byte {end}, but the records before that "
                "place are not the ones that stood there when it was first seen",
                rollout=base.thread_id,
                path=source.path,
                offset=end,
            )

    def _refuse_twins(self, child: str, ref: RolloutRef, end: int, digest: str) -> None:
        """Nothing says which of two rollouts of one id a child without a digest inherits from, where they differ."""
        twins = [twin for twin in self.backend.rollouts_of(ref.thread_id) if twin.rollout_id == ref.rollout_id]
        for twin in twins if len(twins) > 1 else ():
            source = self.backend.open(twin, Cost())
            try:
                if source.size >= end and boundary_digest(source, end) == digest:
                    continue
            finally:
                source.close()
            places = " and ".join(twin.location for twin in twins)
            raise BrokenLineage(
                f"rollout {child} inherits from rollout {ref.rollout_id}, which is in several places with different "
                f"records: {places}; remove or rename the wrong one",
                rollout=ref.rollout_id,
            )

    # Totals (threadkeep.replay.TotalsSource)

    def of(self, segment: Segment) -> Totals:
        """The totals of a segment's rollout up to the segment's end: known ones, extended by what came since."""
        from threadkeep.replay import Totals, count

        known = self._known(segment)
        totals = known if known is not None else Totals(0)
        cost = segment.source.cost
        if totals.end < segment.end:
            if totals.end == 0:
                cost.full_scans.append(f"rollout {segment.rollout_id}: totals were not known")
            totals = count(segment, totals, segment.end, cost)
            totals.digest = boundary_digest(segment.source, totals.end)
            self.backend.catalog.put_totals(segment.rollout_id, totals.end, msgspec.msgpack.encode(totals))
        with self._lock:
            self._totals[f"{segment.rollout_id}:{segment.end}"] = totals
            while len(self._totals) > _AT_HAND:
                self._totals.popitem(last=False)
        return totals

    def forget_totals(self) -> None:
        """Drop the totals and facts that are at hand."""
        with self._lock:
            self._totals.clear()
            self._facts.clear()

    # Facts of threads that are forked again and again

    def facts_at_hand(self, stamp: str) -> ThreadFacts | None:
        """What the records of a thread say at its end, by the stamp of its rollout; None where that is not at hand."""
        with self._lock:
            return self._facts.get(stamp)

    def keep_facts_at_hand(self, stamp: str, facts: ThreadFacts) -> None:
        """Keep them at hand."""
        with self._lock:
            self._facts[stamp] = facts
            while len(self._facts) > _AT_HAND:
                self._facts.popitem(last=False)

    def _known(self, segment: Segment) -> Totals | None:
        with self._lock:
            held = self._totals.get(f"{segment.rollout_id}:{segment.end}")
        if held is None:
            row = self.backend.catalog.totals(segment.rollout_id, segment.end)
            if row is None:
                return None
            from threadkeep.replay._totals import decode_totals

            try:
                held = decode_totals(row[1])
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                return None
        if held.end > segment.end or held.digest != boundary_digest(segment.source, held.end):
            return None
        return held


def newness(ref: RolloutRef) -> tuple[bool, str]:
    """What sorts a thread's rollouts by age: the one that has the thread's own id was first, whatever that id says."""
    return ref.rollout_id != ref.thread_id, ref.rollout_id


def must_be_pointed_at(backend: Backend, thread_id: str, rollout_id: str) -> bool:
    """Whether a thread's new rollout must be remembered as the current one, since by its id another is newer.

    So it is after the clock was set back, and where another rollout was remembered before.
    """
    if backend.marks(thread_id).current is not None:
        return True
    return any(ref.rollout_id > rollout_id for ref in backend.rollouts_of(thread_id) if ref.rollout_id != thread_id)


def _one_file(backend: Backend, refs: list[RolloutRef]) -> bool:
    """Whether these names are those of one file."""
    try:
        return len({backend.stat(ref).identity for ref in refs}) == 1
    except StorageFailure:
        return False  # nobody can say


def current_of(thread_id: str, backend: Backend, refs: list[RolloutRef], facts: Facts, marks: Marks) -> RolloutRef:
    """Which of a thread's rollouts is the current one (see `Access.locate`).

    Raises:
        ThreadNotFound: It has none.
        AmbiguousRollout: Two claim to be it.
    """
    if marks.current is not None:
        ref = backend.find(marks.current)
        if ref is not None and ref.thread_id == thread_id:
            return ref
    open_to_all = [ref for ref in refs if not ref.location.startswith("threadkeep/")]
    pointed = facts.current
    if pointed is None and not open_to_all:
        raise ThreadNotFound(f"no thread {thread_id} in {backend.name}", thread=thread_id)
    if not open_to_all:
        assert pointed is not None
        return pointed
    newest = max(open_to_all, key=newness)
    if pointed is None:
        twins = [ref for ref in open_to_all if ref.rollout_id == newest.rollout_id]
        if len(twins) > 1 and _one_file(backend, twins):
            # A power cut in the middle of a move may have kept both names of the one file (btrfs).
            return min(twins, key=lambda ref: ref.archived)
        if len(twins) > 1:
            places = " and ".join(ref.location for ref in twins)
            raise AmbiguousRollout(
                f"thread {thread_id} has the same rollout in several places: {places}; remove or rename one of them",
                thread=thread_id,
                rollout=newest.rollout_id,
            )
        return newest
    if newness(newest) > newness(pointed):
        raise AmbiguousRollout(
            f"Codex's index says that {pointed.location} is the current rollout of thread {thread_id}, "
            f"but {newest.location} is newer; nothing decides between them",
            thread=thread_id,
            rollout=newest.rollout_id,
        )
    return pointed
