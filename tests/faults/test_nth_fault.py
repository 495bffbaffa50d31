"""The n-th call to the file system fails, n = 1, 2, 3 ..., whatever a store is doing: nothing acknowledged is lost.

Afterwards every thread is there and resumes, fast equals full, ``doctor`` finds no error, the next append works, and
what failed works when it is tried again.

Here every call of every operation fails in one way at least, and those that change something in each of their ways.
With ``THREADKEEP_LONG=1`` every call fails in every way, once and for good, and is tried again in the same process and
in another.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
from tests.faults.disk import Image
from tests.faults.disk_faults import CHANGING, Faults, kinds_of
from tests.faults.operations import OPERATIONS, ground, opened
from tests.faults.operations_checks import Checker, named

from threadkeep.errors import ThreadkeepError, ThreadNotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG: Final = os.environ.get("THREADKEEP_LONG") == "1"

MOST_CALLS: Final = 2_000


class Try(NamedTuple):
    """How one run fails."""

    at: int
    kind: int
    for_good: bool


def fails(checker: Checker, tried: Try, *, same_process: bool) -> str | None:
    """Run an operation with one failure and look at what is left; the call that failed, None where none did."""
    checker.start.image.put(checker.home)
    acknowledged: list[str] = []
    files = Faults(tried.at, lambda call: kinds_of(call)[tried.kind % len(kinds_of(call))], for_good=tried.for_good)
    finished = True
    failure: ThreadkeepError | None = None
    with opened(checker.home, files, hours=checker.hours) as store:
        try:
            checker.run(store, acknowledged.append)
        except ThreadkeepError as error:
            failure = error
            finished = False
        if failure is not None:
            assert files.failed is not None, failure
            assert named(failure), f"{failure!r} names neither thread nor file"
            assert not isinstance(failure, ThreadNotFound), f"{files.failed}: it is there, and {failure!r}"
        if same_process and not finished:
            files.mend()
            image = Image.of(checker.home)
            checker.again(store, checker.observed(store), finished=False)
            store.close()
            checker.check(image, finished=False, acknowledged=acknowledged)
            return files.failed[0] if files.failed is not None else None
    checker.check(Image.of(checker.home), finished=finished, acknowledged=acknowledged)
    return files.failed[0] if files.failed is not None else None


def tries(at: int, call: str) -> Iterator[tuple[Try, bool]]:
    """The further ways in which the n-th call fails, and whether it is tried again in the same process."""
    kinds = range(len(kinds_of(call)))
    if LONG:
        for kind in kinds:
            for for_good in (False, True):
                for same_process in (False, True):
                    yield Try(at, kind, for_good), same_process
    elif call in CHANGING:
        for kind in kinds:
            yield Try(at, kind, (at + kind) % 2 == 0), (at + kind) % 4 == 1


@pytest.mark.timeout(1200 if LONG else 120)
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_call_fails(name: str) -> None:
    with ground() as folder:
        every_call_fails(Checker.of(name, f"{folder}/home"))


def every_call_fails(checker: Checker) -> int:
    """Fail the first call of an operation, the second, and so on; how many runs it took."""
    runs = 0
    for at in range(1, MOST_CALLS):
        call = fails(checker, Try(at, 0, for_good=at % 3 == 0), same_process=at % 32 == 0)
        if call is None:
            break
        runs += 1
        for tried, same_process in tries(at, call):
            fails(checker, tried, same_process=same_process)
            runs += 1
    else:
        raise AssertionError("the operation goes on for ever")
    assert at > 10, "an operation of a store looks at files"
    return runs
