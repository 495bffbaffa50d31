"""Promise 1: what an operation reads does not grow with the history. Counts, not times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from threadkeep.bench._generate import Recipe
from threadkeep.bench._home import BenchHome, made_home, scratch_copy
from threadkeep.bench._measure import forget_catalog
from threadkeep.bench._operations import FULL_REPLAY, OPERATIONS
from threadkeep.records import Cost
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Callable

MB = 1_000_000
SIZES = (1 * MB, 4 * MB, 16 * MB)
MODES = ("paginated", "legacy")

# A page of 20 turns reads those turns, which are not of one size; everything reads whole blocks of 128 KiB.
MOST_BYTES_APART = 800_000
MOST_RECORDS_APART = 300


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[BenchHome]]:
    folder = tmp_path_factory.mktemp("growth")
    made = {mode: [made_home(str(folder), Recipe(mode=mode, size=size)) for size in SIZES] for mode in MODES}
    return made.__getitem__


def cost_of(home: BenchHome, name: str, *, warm: bool) -> Cost:
    with scratch_copy(home) as path, ThreadStore.open(path) as store:
        operation = OPERATIONS[name]
        cost = operation.run(store, home.thread_id)
        return operation.run(store, home.thread_id) if warm else cost


def spread(numbers: list[int]) -> int:
    return max(numbers) - min(numbers)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", list(OPERATIONS))
def test_a_thread_sixteen_times_as_long_costs_the_same(
    homes: Callable[[str], list[BenchHome]], name: str, mode: str
) -> None:
    costs = [cost_of(home, name, warm=True) for home in homes(mode)]

    assert [cost.full_scans for cost in costs] == [[], [], []]
    assert spread([cost.bytes_read for cost in costs]) < MOST_BYTES_APART
    assert spread([cost.records_seen for cost in costs]) < MOST_RECORDS_APART
    assert spread([cost.records_decoded for cost in costs]) < MOST_RECORDS_APART


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["resume", "page", "fork"])
def test_it_costs_the_same_the_first_time(homes: Callable[[str], list[BenchHome]], name: str, mode: str) -> None:
    costs = [cost_of(home, name, warm=False) for home in homes(mode)]

    assert [cost.full_scans for cost in costs] == [[], [], []]
    assert spread([cost.bytes_read for cost in costs]) < MOST_BYTES_APART


@pytest.mark.parametrize("mode", MODES)
def test_a_full_replay_does_read_everything(homes: Callable[[str], list[BenchHome]], mode: str) -> None:
    for home in homes(mode):
        with ThreadStore.open(home.path) as store:
            cost = FULL_REPLAY.run(store, home.thread_id)

        assert cost.bytes_read > 0.95 * home.size


@pytest.mark.parametrize("mode", MODES)
def test_a_fork_writes_the_same_few_bytes_whatever_the_history(
    homes: Callable[[str], list[BenchHome]], mode: str
) -> None:
    written = [cost_of(home, "fork", warm=False).bytes_written for home in homes(mode)]

    assert spread(written) <= 12  # an offset has more digits in a longer file
    assert max(written) <= 1_269


def test_what_is_known_of_a_thread_is_read_from_no_rollout(homes: Callable[[str], list[BenchHome]]) -> None:
    for mode in MODES:
        for home in homes(mode):
            for name in ("read", "list"):
                assert cost_of(home, name, warm=True).bytes_read == 0


def test_a_legacy_thread_is_scanned_once_where_nothing_is_known_of_it(
    homes: Callable[[str], list[BenchHome]],
) -> None:
    home = homes("legacy")[1]
    forget_catalog(home.path)
    with ThreadStore.open(home.path) as store:
        first = OPERATIONS["read"].run(store, home.thread_id)
        second = OPERATIONS["read"].run(store, home.thread_id)

    assert len(first.full_scans) == 1
    assert second == Cost()
