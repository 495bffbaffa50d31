"""Changes of a thread are done in order, reads start behind them, and threads do not wait for each other."""

from __future__ import annotations

import random
import threading
import time
from functools import partial
from typing import Final

from threadkeep.appserver._lane import Lanes
from threadkeep.appserver._workers import Workers

WAIT: Final = 60.0
"""Seconds that are waited for what comes; what must not be waited for lasts twice as long."""


def lanes(most: int = 8) -> Lanes:
    return Lanes(Workers("test", most))


def test_changes_of_a_thread_run_one_after_the_other_in_order() -> None:
    lane, seen, done = lanes(), list[int](), threading.Event()
    running = threading.Semaphore(1)

    def change(number: int) -> None:
        assert running.acquire(blocking=False), "two changes at once"
        seen.append(number)
        running.release()
        if number == 499:
            done.set()

    for number in range(500):
        lane.change("a", partial(change, number))
    assert done.wait(WAIT)
    assert seen == list(range(500))


def test_a_read_starts_after_the_changes_before_it_and_holds_up_none_behind_it() -> None:
    lane = lanes()
    first, read_began, read_may_end, second = (threading.Event() for _ in range(4))
    order: list[str] = []

    def change() -> None:
        first.wait(WAIT)
        order.append("first")

    def read() -> None:
        order.append("read")
        read_began.set()
        read_may_end.wait(2 * WAIT)

    def after() -> None:
        order.append("second")
        second.set()

    lane.change("a", change)
    lane.read("a", read)
    lane.change("a", after)
    assert not read_began.wait(0.05)
    first.set()
    assert read_began.wait(WAIT)
    assert second.wait(WAIT)  # while the read still runs
    read_may_end.set()
    assert order[0] == "first"
    assert set(order[1:]) == {"read", "second"}


def test_threads_do_not_wait_for_each_other() -> None:
    lane, held, done = lanes(), threading.Event(), threading.Event()

    def slow() -> None:
        held.wait(2 * WAIT)

    lane.change("slow", slow)
    lane.change("fast", done.set)
    assert done.wait(WAIT)
    held.set()


def test_a_change_that_fails_does_not_stop_the_lane(capsys: object) -> None:
    lane, done = lanes(), threading.Event()

    def fail() -> None:
        raise ValueError("on purpose")

    lane.change("a", fail)
    lane.change("a", done.set)
    assert done.wait(WAIT)


def test_a_lane_that_is_empty_is_forgotten() -> None:
    lane, done = lanes(), threading.Event()
    lane.change("a", lambda: None)
    lane.read("b", lambda: None)
    lane.change("a", done.set)
    assert done.wait(WAIT)
    deadline = time.monotonic() + WAIT
    while lane._lanes:
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.01)


def test_many_threads_put_at_once_and_everything_is_done_once() -> None:
    lane, counts = lanes(), {f"t{number}": 0 for number in range(7)}
    finished = threading.Semaphore(0)

    def add(key: str) -> None:
        counts[key] += 1  # one at a time for each key: no lock is needed
        finished.release()

    def put(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(300):
            key = chance.choice(list(counts))
            if chance.random() < 0.7:
                lane.change(key, partial(add, key))
            else:
                lane.read(key, finished.release)

    putters = [threading.Thread(target=put, args=(seed,)) for seed in range(6)]
    for putter in putters:
        putter.start()
    for putter in putters:
        putter.join(WAIT)
    assert all(finished.acquire(timeout=WAIT) for _ in range(1800))
