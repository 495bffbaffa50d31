"""What a backend remembers beside the rollouts: marks, names, anchors, pins, catalog rows."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from threadkeep.backends import Marks
from threadkeep.errors import ThreadkeepError
from threadkeep.records import PAGINATED, Boundary, Cost
from threadkeep.testing._hooks import Hooks, add, line, read

if TYPE_CHECKING:
    from threadkeep.backends import Backend, Pin

__all__ = ["KeepingCases"]

_DIGEST = "0123456789abcdef0123456789abcdef"


def held(backend: Backend, pin: Pin) -> bytes:
    """The inherited bytes, out of a pin."""
    source = backend.open_pin(pin, Cost())
    try:
        return source.read(0, pin.end)
    finally:
        source.close()


class KeepingCases(Hooks):
    """What was remembered is there, for every opening; what is derived may be lost without harm."""

    def test_a_thread_without_marks_has_empty_ones(self, backend: Backend) -> None:
        """Nothing is remembered of a thread that nobody spoke of."""
        assert backend.marks(backend.ids.new()) == Marks()
        assert backend.marked() == {}

    def test_marks_are_remembered_and_the_last_ones_count(self, backend: Backend) -> None:
        """All four, for each thread its own."""
        one, two = backend.ids.new(), backend.ids.new()
        backend.change_marks(one, lambda _: Marks(name="first", archived=True))
        backend.change_marks(two, lambda _: Marks(hidden=True, current=one))
        backend.change_marks(one, lambda _: Marks(name="", archived=False))
        assert backend.marks(one) == Marks(name="", archived=False)
        assert backend.marks(two) == Marks(hidden=True, current=one)
        assert backend.marked() == {one: Marks(name="", archived=False), two: Marks(hidden=True, current=one)}

    def test_who_changes_one_thing_leaves_the_others_as_they_are_at_that_moment(self, backend: Backend) -> None:
        """Two changes that come at the same time are both there afterwards."""
        thread, workers = backend.ids.new(), 4

        def add(worker: int) -> None:
            for number in range(5):
                named = {f"{worker}-{number}": "kept"}
                backend.change_marks(thread, lambda marks: replace(marks, git={**marks.git, **named}))  # noqa: B023

        threads = [Thread(target=add, args=(worker,)) for worker in range(workers)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert len(backend.marks(thread).git) == 5 * workers

    def test_what_is_remembered_is_there_for_every_opening(self, backend: Backend, beside: Backend) -> None:
        """Marks, names and anchors, also for one that looked before."""
        thread, child = backend.ids.new(), backend.ids.new()
        assert beside.marks(thread) == Marks()
        backend.change_marks(thread, lambda _: Marks(hidden=True))
        backend.set_name(thread, "known to all")
        backend.set_anchor(child, Boundary(7, _DIGEST, PAGINATED, None))
        assert beside.marks(thread) == Marks(hidden=True)
        assert beside.facts([thread])[thread].name == "known to all"
        assert beside.anchored(child) == Boundary(7, _DIGEST, PAGINATED, None)

    def test_a_name_is_set_changed_and_cleared(self, backend: Backend) -> None:
        """Any text, for each thread its own."""
        one, two = backend.ids.new(), backend.ids.new()
        for name in ("plain", 'odd "quotes" \\ ü 漢 \U0001f9f5', "last"):
            backend.set_name(one, name)
            assert backend.facts([one, two])[one].name == name
        assert backend.facts([one, two])[two].name is None
        backend.set_name(one, "")
        assert backend.facts([one])[one].name is None

    def test_everybody_asked_for_has_facts(self, backend: Backend) -> None:
        """Also who is unknown, and who is asked for twice."""
        ids = [backend.ids.new() for _ in range(3)]
        assert set(backend.facts([*ids, ids[0]])) == set(ids)
        assert backend.facts([]) == {}

    def test_an_anchor_is_remembered(self, backend: Backend) -> None:
        """The last one counts; a child without one has none."""
        child = backend.ids.new()
        assert backend.anchored(child) is None
        backend.set_anchor(child, Boundary(7, _DIGEST, PAGINATED, None))
        backend.set_anchor(child, Boundary(9, _DIGEST[::-1], PAGINATED, "a turn"))
        assert backend.anchored(child) == Boundary(9, _DIGEST[::-1], PAGINATED, "a turn")
        assert backend.anchored(backend.ids.new()) is None

    @pytest.mark.parametrize("what", ["removed", "replaced", "archived", "grown"])
    def test_a_pin_holds_what_a_child_inherits(self, backend: Backend, what: str) -> None:
        """Whatever becomes of the base."""
        base = add(backend, line(1) + line(2))
        child = backend.ids.new()
        end = len(line(1))
        if not backend.pin(child, base, end, _DIGEST):
            pytest.skip("the backend cannot pin")
        (pin,) = backend.pins_of(base.rollout_id)
        assert (pin.child, pin.base, pin.end, pin.digest) == (child, base.rollout_id, end, _DIGEST)
        assert list(backend.pins()) == [pin]
        lease = backend.lease(base.thread_id)
        if what == "removed":
            backend.remove(base, lease)
        elif what == "replaced":
            backend.replace(base, [line(3)], lease)
        elif what == "archived":
            backend.move(base, lease, archived=True)
        else:
            appender = backend.appender(base, lease, Cost(), durability="fsync")
            appender.append(line(3))
            appender.flush()
            appender.close()
        lease.release()
        assert held(backend, pin) == line(1)

    def test_a_pin_tells_what_it_holds(self, backend: Backend) -> None:
        """The same bytes as the base while that stands; other ones once it was replaced."""
        base = add(backend, line(1))
        if not backend.pin(backend.ids.new(), base, 3, _DIGEST):
            pytest.skip("the backend cannot pin")
        (pin,) = backend.pins_of(base.rollout_id)
        stat = backend.stat(base)
        assert backend.pinned_size(pin) == (stat.identity, stat.size)
        lease = backend.lease(base.thread_id)
        fresh = backend.replace(base, [line(2, 100)], lease)
        lease.release()
        assert backend.pinned_size(pin) == (stat.identity, stat.size)
        assert backend.stat(fresh).identity != stat.identity

    def test_pins_are_let_go_one_by_one(self, backend: Backend) -> None:
        """Each child has its own; letting go twice is no error."""
        base, other = add(backend, line(1)), add(backend, line(2))
        children = sorted(backend.ids.new() for _ in range(3))
        if not all(backend.pin(child, base, 5, _DIGEST) for child in children):
            pytest.skip("the backend cannot pin")
        backend.pin(children[0], other, 5, _DIGEST)
        assert sorted(pin.child for pin in backend.pins_of(base.rollout_id)) == children
        for pin in backend.pins_of(base.rollout_id)[:2]:
            backend.unpin(pin)
            backend.unpin(pin)
            assert backend.pinned_size(pin) is None
            with pytest.raises(ThreadkeepError):
                backend.open_pin(pin, Cost())
        (left,) = backend.pins_of(base.rollout_id)
        assert held(backend, left) == line(1)[:5]
        backend.unpin(left)
        assert backend.pins_of(base.rollout_id) == []
        assert [pin.base for pin in backend.pins()] == [other.rollout_id]
        assert read(backend, base) == line(1)

    def test_pinning_twice_is_one_pin(self, backend: Backend) -> None:
        """Asking again for the same hold changes nothing."""
        base, child = add(backend, line(1)), backend.ids.new()
        if not backend.pin(child, base, 5, _DIGEST):
            pytest.skip("the backend cannot pin")
        assert backend.pin(child, base, 5, _DIGEST)
        assert len(backend.pins_of(base.rollout_id)) == 1

    def test_what_a_pin_holds_is_rewritten_whole(self, backend: Backend) -> None:
        """The base itself is not touched by that."""
        base, child = add(backend, line(1)), backend.ids.new()
        if not backend.pin(child, base, 5, _DIGEST):
            pytest.skip("the backend cannot pin")
        (pin,) = backend.pins_of(base.rollout_id)
        fresh = backend.rewrite_pin(pin, [line(2)[:3], line(2)[3:]], _DIGEST[::-1])
        assert backend.pins_of(base.rollout_id) == [fresh]
        assert (fresh.child, fresh.end, fresh.digest) == (child, 5, _DIGEST[::-1])
        assert held(backend, fresh) == line(2)[:5]
        assert read(backend, base) == line(1)

    @pytest.mark.parametrize("base", ["", "..", "../..", "no id", "a\0b", "/", "x" * 5_000])
    def test_what_is_no_id_has_no_rollout_and_no_pin(self, backend: Backend, base: str) -> None:
        """What a record names as its base may be anything."""
        assert backend.pins_of(base) == []
        assert backend.find(base) is None

    def test_catalog_rows_are_kept_by_rollout(self, backend: Backend) -> None:
        """The last row of a rollout counts; of others there is none."""
        catalog = backend.catalog
        catalog.put_rows([("a", "stamp 1", b"one"), ("b", "stamp 2", b"two\0")])
        catalog.put_rows([("a", "stamp 3", b"three")])
        assert catalog.rows(["a", "b", "c"]) == {"a": ("stamp 3", b"three"), "b": ("stamp 2", b"two\0")}
        catalog.forget("a")
        assert catalog.rows(["a", "b"]) == {"b": ("stamp 2", b"two\0")}
        catalog.clear()
        assert catalog.rows(["a", "b"]) == {}

    def test_totals_are_those_of_the_longest_prefix(self, backend: Backend) -> None:
        """That does not reach beyond what was asked for."""
        catalog = backend.catalog
        for until in (100, 300, 200):
            catalog.put_totals("a", until, b"%d" % until)
        catalog.put_totals("b", 250, b"other")
        assert catalog.totals("a", 50) is None
        assert catalog.totals("a", 250) == (200, b"200")
        assert catalog.totals("a", 300) == (300, b"300")
        assert catalog.totals("a", 9_999) == (300, b"300")
        catalog.forget("a")
        assert catalog.totals("a", 9_999) is None
        assert catalog.totals("b", 9_999) == (250, b"other")

    def test_changing_a_rollout_forgets_what_was_derived(self, backend: Backend) -> None:
        """Rows of bytes that are not there any more would be found by those that took their place."""
        refs = [add(backend, line(number)) for number in range(2)]
        for ref in refs:
            backend.catalog.put_rows([(ref.rollout_id, "stamp", b"row")])
            backend.catalog.put_totals(ref.rollout_id, 5, b"totals")
            lease = backend.lease(ref.thread_id)
            if ref == refs[0]:
                backend.remove(ref, lease)
            else:
                backend.replace(ref, [line(7)], lease)
            lease.release()
            assert backend.catalog.rows([ref.rollout_id]) == {}
            assert backend.catalog.totals(ref.rollout_id, 5) is None

    def test_ids_and_time_come_from_the_backend(self, backend: Backend) -> None:
        """New ids are greater than every id before."""
        ids = [backend.ids.new() for _ in range(100)]
        assert ids == sorted(set(ids))
        assert backend.clock.now_ms() > 0
