"""Leases, appending, and what changes rollouts as wholes."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

import pytest

from threadkeep.errors import CorruptHistory, LeaseLost, StorageFailure, ThreadBusy
from threadkeep.records import Cost
from threadkeep.testing._hooks import Hooks, add, line, read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from threadkeep.backends import Backend

__all__ = ["WritingCases"]

_SECONDS = 60.0


class WritingCases(Hooks):
    """One writer at a time; records one after the other; all or nothing."""

    def test_an_id_is_given_to_one_rollout_alone(self, backend: Backend) -> None:
        """Creating it again is refused and changes nothing."""
        ref = add(backend, line(1))
        with pytest.raises(StorageFailure):
            backend.create(ref.thread_id, ref.rollout_id, line(2), durability="fsync", kept=False)
        assert backend.rollouts_of(ref.thread_id) == [ref]
        assert read(backend, ref) == line(1)

    def test_a_thread_has_one_writer(self, backend: Backend) -> None:
        """The refusal names the thread; the lease can be had again once it was given back."""
        thread = backend.ids.new()
        lease = backend.lease(thread)
        assert lease.thread_id == thread
        with pytest.raises(ThreadBusy) as refusal:
            backend.lease(thread)
        assert refusal.value.thread == thread
        assert refusal.value.pid in (None, os.getpid())
        lease.check()
        lease.release()
        again = backend.lease(thread)
        again.check()
        again.release()

    def test_the_writer_of_another_opening_excludes_too(self, backend: Backend, beside: Backend) -> None:
        """In all processes there is one writer."""
        thread = backend.ids.new()
        lease = backend.lease(thread)
        with pytest.raises(ThreadBusy):
            beside.lease(thread)
        lease.release()
        other = beside.lease(thread)
        with pytest.raises(ThreadBusy):
            backend.lease(thread)
        other.release()

    def test_everybody_can_see_whether_a_thread_has_a_writer(self, backend: Backend, beside: Backend) -> None:
        """Looking takes no lease and stands in nobody's way."""
        thread = backend.ids.new()
        assert not backend.held(thread)
        lease = beside.lease(thread)
        assert backend.held(thread)
        assert beside.held(thread)
        lease.check()
        lease.release()
        assert not backend.held(thread)
        backend.lease(thread).release()

    def test_threads_do_not_wait_for_one_another(self, backend: Backend) -> None:
        """A lease is of one thread."""
        leases = [backend.lease(backend.ids.new()) for _ in range(5)]
        for lease in leases:
            lease.check()
            lease.release()

    def test_a_lease_that_was_given_back_is_lost(self, backend: Backend) -> None:
        """Giving it back twice is no error, and never takes away somebody else's."""
        thread = backend.ids.new()
        lease = backend.lease(thread)
        lease.release()
        with pytest.raises(LeaseLost):
            lease.check()
        other = backend.lease(thread)
        lease.release()
        other.check()
        with pytest.raises(ThreadBusy):
            backend.lease(thread)
        other.release()

    def test_of_many_that_want_a_lease_one_gets_it(self, backend: Backend) -> None:
        """However close together they ask."""
        thread = backend.ids.new()
        start = threading.Barrier(8)
        got = []

        def ask() -> None:
            start.wait(_SECONDS)
            with contextlib.suppress(ThreadBusy):
                got.append(backend.lease(thread))

        askers = [threading.Thread(target=ask) for _ in range(8)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join(_SECONDS)
        assert len(got) == 1
        got[0].release()

    def test_records_stand_where_the_appender_says(self, backend: Backend) -> None:
        """Each at the offset that was returned, one after the other, and counted."""
        ref = add(backend, line(0))
        lease = backend.lease(ref.thread_id)
        cost = Cost()
        appender = backend.appender(ref, lease, cost, durability="fsync")
        end = len(line(0))
        for number in range(1, 6):
            assert appender.end == end
            assert appender.append(line(number, number)) == end
            end += len(line(number, number))
        appender.flush()
        assert appender.end == end
        appender.close()
        lease.release()
        assert read(backend, ref) == line(0) + b"".join(line(number, number) for number in range(1, 6))
        assert cost.bytes_written == end - len(line(0))

    def test_what_was_flushed_is_seen_by_who_opens_it_later(self, backend: Backend, beside: Backend) -> None:
        """An acknowledged record is there for everybody."""
        ref = add(backend, line(0))
        lease = backend.lease(ref.thread_id)
        appender = backend.appender(ref, lease, Cost(), durability="fsync")
        appender.append(line(1))
        appender.flush()
        assert read(beside, ref) == line(0) + line(1)
        appender.close()
        lease.release()

    def test_a_torn_tail_is_closed_and_kept(self, backend: Backend) -> None:
        """What a writer left half written stays, and the next record starts on a line of its own."""
        ref = add(backend, line(0))
        lease = backend.lease(ref.thread_id)
        torn = backend.appender(ref, lease, Cost(), durability="fsync")
        torn.append(b'{"torn')
        torn.flush()
        torn.close()
        appender = backend.appender(ref, lease, Cost(), durability="fsync")
        assert appender.end == len(line(0)) + 7
        assert appender.append(line(1)) == len(line(0)) + 7
        appender.flush()
        appender.close()
        lease.release()
        assert read(backend, ref) == line(0) + b'{"torn\n' + line(1)

    def test_opening_to_append_changes_nothing(self, backend: Backend) -> None:
        """A torn tail is only closed by a record."""
        ref = add(backend, line(0) + b'{"torn')
        lease = backend.lease(ref.thread_id)
        backend.appender(ref, lease, Cost(), durability="fsync").close()
        lease.release()
        assert read(backend, ref) == line(0) + b'{"torn'

    def test_who_lost_the_lease_appends_nothing(self, backend: Backend) -> None:
        """The record is refused before a byte is written."""
        ref = add(backend, line(0))
        lease = backend.lease(ref.thread_id)
        appender = backend.appender(ref, lease, Cost(), durability="fsync")
        lease.release()
        with pytest.raises(LeaseLost):
            appender.append(line(1))
        appender.close()
        assert read(backend, ref) == line(0)

    def test_records_of_somebody_else_are_noticed(self, backend: Backend) -> None:
        """An appender whose end is not the rollout's end any more refuses to go on."""
        ref = add(backend, line(0))
        lease = backend.lease(ref.thread_id)
        first, second = (backend.appender(ref, lease, Cost(), durability="fsync") for _ in range(2))
        second.append(line(1))
        second.flush()
        with pytest.raises(LeaseLost):
            first.append(line(2))
        first.close()
        second.close()
        lease.release()
        assert read(backend, ref) == line(0) + line(1)

    def test_records_of_several_threads_are_not_mixed(self, backend: Backend) -> None:
        """Each is whole, at the offset that its writer was told, while others read."""
        ref = add(backend, line(0))
        lease = backend.lease(ref.thread_id)
        appender = backend.appender(ref, lease, Cost(), durability="fsync")
        places: dict[int, bytes] = {}
        troubles: list[BaseException] = []

        def write(worker: int) -> None:
            try:
                for number in range(20):
                    data = line(100 * worker + number, 500)
                    places[appender.append(data)] = data
                    appender.flush()
                    read(backend, ref)
            except BaseException as error:  # noqa: BLE001 - told to the case
                troubles.append(error)

        workers = [threading.Thread(target=write, args=(worker,)) for worker in range(1, 5)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(_SECONDS)
        appender.close()
        lease.release()
        assert troubles == []
        data = read(backend, ref)
        assert len(places) == 80
        assert all(data.startswith(written, offset) for offset, written in places.items())
        assert len(data) == len(line(0)) + sum(map(len, places.values()))

    def test_flushing_what_somebody_else_wrote(self, backend: Backend) -> None:
        """No lease is needed to make another's records safe."""
        ref = add(backend, line(0))
        backend.flush(ref)
        assert read(backend, ref) == line(0)

    def test_a_rollout_goes_to_the_archive_and_back(self, backend: Backend) -> None:
        """It is found at either place, by its id and by its thread, with the same bytes."""
        ref = add(backend, line(1))
        lease = backend.lease(ref.thread_id)
        away = backend.move(ref, lease, archived=True)
        assert (away.rollout_id, away.thread_id, away.archived) == (ref.rollout_id, ref.thread_id, True)
        assert backend.find(ref.rollout_id) == away
        assert backend.rollouts_of(ref.thread_id) == [away]
        assert read(backend, away) == line(1)
        back = backend.move(away, lease, archived=False)
        lease.release()
        assert back == ref
        assert [found for found, _ in backend.stats()] == [ref]
        assert read(backend, back) == line(1)

    def test_a_rollout_is_removed(self, backend: Backend) -> None:
        """Nothing finds it any more; the thread's others stay; removing it again is no error."""
        other = add(backend, line(1))
        ref = add(backend, line(2), other.thread_id)
        lease = backend.lease(ref.thread_id)
        backend.remove(ref, lease)
        backend.remove(ref, lease)
        lease.release()
        assert backend.find(ref.rollout_id) is None
        assert backend.rollouts_of(ref.thread_id) == [other]
        assert [found for found, _ in backend.stats()] == [other]

    def test_a_rollout_is_replaced_whole(self, backend: Backend) -> None:
        """Who opened it before reads the old bytes or is told, and who opens it later the new ones: never a mixture."""
        old = b"".join(line(number, 1_000) for number in range(20))
        new = b"".join(line(number + 50, 1_000) for number in range(20))
        ref = add(backend, old)
        before = backend.stat(ref)
        early = backend.open(ref, Cost())
        lease = backend.lease(ref.thread_id)
        fresh = backend.replace(ref, (new[at : at + 777] for at in range(0, len(new), 777)), lease)
        lease.release()
        assert (fresh.rollout_id, fresh.thread_id) == (ref.rollout_id, ref.thread_id)
        assert read(backend, fresh) == new
        assert backend.find(ref.rollout_id) == fresh
        assert backend.stat(fresh).identity != before.identity
        with contextlib.suppress(CorruptHistory):
            assert early.read(0, len(old)) == old
        early.close()

    def test_a_replacement_that_fails_changes_nothing(self, backend: Backend) -> None:
        """All or nothing, also where the new bytes give out in the middle."""
        ref = add(backend, line(1))

        def pieces() -> Iterator[bytes]:
            yield line(2)
            raise CorruptHistory("no more bytes")

        lease = backend.lease(ref.thread_id)
        with pytest.raises(CorruptHistory, match="no more bytes"):
            backend.replace(ref, pieces(), lease)
        lease.release()
        assert read(backend, ref) == line(1)
        assert [found for found, _ in backend.stats()] == [ref]

    def test_who_lost_the_lease_changes_nothing(self, backend: Backend) -> None:
        """Moving, removing and replacing need the lease as appending does."""
        ref = add(backend, line(1))
        lease = backend.lease(ref.thread_id)
        lease.release()
        for change in (
            lambda: backend.move(ref, lease, archived=True),
            lambda: backend.remove(ref, lease),
            lambda: backend.replace(ref, [line(2)], lease),
        ):
            with pytest.raises(LeaseLost):
                change()
        assert backend.find(ref.rollout_id) == ref
        assert read(backend, ref) == line(1)

    @pytest.mark.parametrize("exclusive", [True, False])
    def test_nobody_forks_while_something_is_removed(self, backend: Backend, *, exclusive: bool) -> None:
        """The guard of a removal waits for every other, and the other way round."""
        entered = threading.Event()

        def enter() -> None:
            with backend.guard(exclusive=not exclusive):
                entered.set()

        other = threading.Thread(target=enter)
        with backend.guard(exclusive=exclusive):
            other.start()
            assert not entered.wait(0.1)
        assert entered.wait(_SECONDS)
        other.join(_SECONDS)
        with backend.guard(exclusive=True):  # nothing is left locked
            pass
