"""Finding rollouts and reading them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from threadkeep.errors import CorruptHistory, ThreadNotFound
from threadkeep.records import Cost
from threadkeep.testing._hooks import Hooks, add, line, read

if TYPE_CHECKING:
    from threadkeep.backends import Backend, RolloutRef

__all__ = ["ReadingCases"]


def threads_of(backend: Backend, *, descending: bool, after: tuple[int, str] | None = None) -> list[str]:
    """Ids of threads by creation."""
    return [thread for _, thread, _ in backend.by_creation(descending=descending, after=after)]


class ReadingCases(Hooks):
    """A rollout is found by its id, by its thread and by its age, and its bytes stand still while they are read."""

    def test_what_is_not_there_is_not_found(self, backend: Backend) -> None:
        """An empty backend knows nothing, and says so without an error."""
        unknown = backend.ids.new()
        assert backend.find(unknown) is None
        assert backend.rollouts_of(unknown) == []
        assert list(backend.stats()) == []
        assert threads_of(backend, descending=True) == []
        assert backend.with_prefix(unknown[:8], 10) == []
        facts = backend.facts([unknown])[unknown]
        assert (facts.indexed, facts.name, facts.current) == (False, None, None)

    def test_what_was_created_is_found(self, backend: Backend) -> None:
        """A rollout is found by its own id and by its thread's, and holds the bytes that it was created with."""
        other = add(backend, line(1))
        ref = add(backend, line(2) + line(3))
        assert backend.find(ref.rollout_id) == ref
        assert backend.rollouts_of(ref.thread_id) == [ref]
        assert (ref.archived, ref.compressed) == (False, False)
        assert read(backend, ref) == line(2) + line(3)
        assert read(backend, other) == line(1)

    def test_what_was_created_is_found_by_who_opens_it_later(self, backend: Backend, beside: Backend) -> None:
        """Another opening sees a rollout as soon as it was created, also when it looked before."""
        assert list(beside.stats()) == []
        ref = add(backend, line(1))
        assert beside.find(ref.rollout_id) == ref
        assert beside.rollouts_of(ref.thread_id) == [ref]
        assert threads_of(beside, descending=True) == [ref.thread_id]
        assert read(beside, ref) == line(1)

    def test_the_rollouts_of_a_thread_come_oldest_id_first(self, backend: Backend) -> None:
        """Whatever the order in which they were created."""
        thread, *later = (backend.ids.new() for _ in range(4))
        for rollout in (later[2], thread, later[0], later[1]):
            backend.create(thread, rollout, line(1), durability="os", kept=False)
        add(backend, line(2))
        found = backend.rollouts_of(thread)
        assert [ref.rollout_id for ref in found] == [thread, *later]
        assert {ref.thread_id for ref in found} == {thread}

    def test_a_rollout_that_is_kept_apart_is_found(self, backend: Backend) -> None:
        """Where only threadkeep looks is a place, too."""
        thread, rollout = backend.ids.new(), backend.ids.new()
        ref = backend.create(thread, rollout, line(1), durability="fsync", kept=True)
        assert backend.find(rollout) == ref
        assert backend.rollouts_of(thread) == [ref]
        assert read(backend, ref) == line(1)

    def test_every_rollout_has_one_stat(self, backend: Backend) -> None:
        """One pass names each rollout once, with what `stat` says of it."""
        refs = [add(backend, line(number, 100 * number)) for number in range(5)]
        refs.append(add(backend, line(9), refs[0].thread_id))
        found = list(backend.stats())
        assert sorted(ref.rollout_id for ref, _ in found) == sorted(ref.rollout_id for ref in refs)
        for ref, stat in found:
            assert stat == backend.stat(ref)
            assert stat.size == len(read(backend, ref))

    @pytest.mark.parametrize("descending", [True, False])
    def test_threads_come_in_the_order_of_their_creation(self, backend: Backend, *, descending: bool) -> None:
        """With all rollouts of each, and none of them is opened for that."""
        refs = [add(backend, line(number)) for number in range(7)]
        second = add(backend, line(8), refs[3].thread_id)
        found = list(backend.by_creation(descending=descending, after=None))
        expected = [ref.thread_id for ref in refs]
        assert [thread for _, thread, _ in found] == (expected[::-1] if descending else expected)
        keys = [(created, thread) for created, thread, _ in found]
        assert keys == sorted(keys, reverse=descending)
        assert {thread: rollouts for _, thread, rollouts in found} == {
            ref.thread_id: [ref, second] if ref == refs[3] else [ref] for ref in refs
        }

    @pytest.mark.parametrize("descending", [True, False])
    def test_a_list_goes_on_after_any_thread(self, backend: Backend, *, descending: bool) -> None:
        """What follows is what follows in the whole list, also when the thread itself is gone by then."""
        for number in range(6):
            add(backend, line(number))
        found = list(backend.by_creation(descending=descending, after=None))
        order = [thread for _, thread, _ in found]
        for place, (created, thread, _) in enumerate(found):
            assert threads_of(backend, descending=descending, after=(created, thread)) == order[place + 1 :]
        created, thread, (gone,) = found[2]
        lease = backend.lease(thread)
        backend.remove(gone, lease)
        lease.release()
        assert threads_of(backend, descending=descending, after=(created, thread)) == order[3:]

    def test_a_prefix_finds_the_threads_that_start_with_it(self, backend: Backend) -> None:
        """In order, each once, and no more of them than were asked for."""
        threads = sorted(add(backend, line(number)).thread_id for number in range(5))
        add(backend, line(9), threads[0])
        shared = "".join(
            digits[0] for digits in itertools.takewhile(lambda d: len(set(d)) == 1, zip(*threads, strict=True))
        )
        assert backend.with_prefix(shared, 10) == threads
        assert backend.with_prefix(shared, 3) == threads[:3]
        assert backend.with_prefix(threads[2], 10) == [threads[2]]
        assert backend.with_prefix("ffffffff", 10) == []

    def test_a_rollout_that_grows_has_another_stat(self, backend: Backend) -> None:
        """Whoever kept the old one can tell."""
        ref = add(backend, line(1))
        before = backend.stat(ref)
        append(backend, ref, line(2))
        after = backend.stat(ref)
        assert after != before
        assert after.identity == before.identity
        assert after.size == before.size + len(line(2))

    def test_any_stretch_of_a_rollout_is_read(self, backend: Backend) -> None:
        """Positions are offsets into the bytes, and what is read is counted."""
        data = b"".join(line(number, 3_000) for number in range(200))
        ref = add(backend, data)
        cost = Cost()
        source = backend.open(ref, cost)
        assert (source.size, source.rollout_id) == (len(data), ref.rollout_id)
        for offset, size in ((0, 1), (0, len(data)), (len(data) - 1, 1), (70_000, 300_001), (len(data), 0)):
            assert source.read(offset, size) == data[offset : offset + size]
        source.close()
        assert cost.rollouts_opened == 1
        assert cost.bytes_read == 1 + len(data) + 1 + 300_001

    def test_what_is_read_is_fixed_when_it_is_opened(self, backend: Backend) -> None:
        """Bytes that are appended later belong to a later opening."""
        ref = add(backend, line(1))
        early = backend.open(ref, Cost())
        append(backend, ref, line(2))
        assert early.size == len(line(1))
        assert early.read(0, early.size) == line(1)
        with pytest.raises(CorruptHistory):
            early.read(0, early.size + 1)
        early.close()
        assert read(backend, ref) == line(1) + line(2)

    def test_a_source_may_rest(self, backend: Backend) -> None:
        """A lineage of any depth needs few descriptors; closing twice is no error."""
        ref = add(backend, line(1) + line(2))
        source = backend.open(ref, Cost())
        source.rest()
        source.rest()
        assert source.read(len(line(1)), len(line(2))) == line(2)
        source.rest()
        source.close()
        source.close()

    @pytest.mark.parametrize("resting", [True, False])
    def test_a_rollout_that_is_cut_while_it_is_read_is_noticed(self, backend: Backend, *, resting: bool) -> None:
        """Fewer bytes than there were are an error that names the rollout, never a short answer."""
        ref = add(backend, b"".join(line(number, 1_000) for number in range(50)))
        source = backend.open(ref, Cost())
        if resting:
            source.rest()
        self.cut(backend, ref, 10_000)
        with pytest.raises(CorruptHistory) as failure:
            source.read(20_000, 1_000)
        assert failure.value.rollout == ref.rollout_id
        source.close()

    def test_a_rollout_that_is_gone_cannot_be_opened(self, backend: Backend) -> None:
        """The error says which one."""
        ref = add(backend, line(1))
        lease = backend.lease(ref.thread_id)
        backend.remove(ref, lease)
        lease.release()
        for ask in (lambda: backend.open(ref, Cost()), lambda: backend.stat(ref)):
            with pytest.raises(ThreadNotFound) as failure:
                ask()
            assert failure.value.rollout == ref.rollout_id


def append(backend: Backend, ref: RolloutRef, *lines: bytes) -> None:
    """Append durably, under a lease of its own."""
    lease = backend.lease(ref.thread_id)
    appender = backend.appender(ref, lease, Cost(), durability="fsync")
    for data in lines:
        appender.append(data)
    appender.flush()
    appender.close()
    lease.release()
