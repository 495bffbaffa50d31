"""50,000 threads: a page costs what it shows, and a change of order costs one look at every name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.backends.local.homes import CountingFiles, StillClock, opened

from threadkeep.backends.local._layout import day_folder, rollout_name
from threadkeep.ids import Uuid7Source, utc
from threadkeep.records import PAGINATED, Cost, encode_record
from threadkeep.records import _build as build
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 50_000
START = 1_740_000_000_000
STEP = 600_000
DAYS = COUNT * STEP // 86_400_000 + 2


def made(home: Path) -> list[str]:
    """Threads of one record and a turn's start, ten minutes apart, over most of a year."""
    clock = StillClock(START)
    ids = Uuid7Source(clock)
    threads = []
    folder = ""
    for number in range(COUNT):
        clock.ms = START + number * STEP
        thread = ids.new()
        threads.append(thread)
        meta = build.session_meta(
            thread_id=thread,
            timestamp=utc(clock.ms),
            cwd="/work",
            originator="test",
            cli_version="0",
            source="cli",
            model_provider=None,
            base_instructions=None,
            history_mode=PAGINATED,
            window_id=thread,
        )
        day = str(home / "sessions" / day_folder(clock.ms))
        if day != folder:
            os.makedirs(day)
            folder = day
        path = os.path.join(day, rollout_name(clock.ms, thread, thread))
        fd = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.write(fd, encode_record("session_meta", meta, timestamp=utc(clock.ms), ordinal=0))
        os.close(fd)
        os.utime(path, ns=(clock.ms * 1_000_000, clock.ms * 1_000_000))
    return threads


@pytest.mark.slow
def test_a_page_of_threads_costs_what_it_shows(tmp_path: Path) -> None:
    threads = made(tmp_path / "home")
    opened(tmp_path / "home").with_prefix("0", 1)
    files = CountingFiles()
    with ThreadStore(opened(tmp_path / "home", files)) as store:
        cost = Cost()
        page = store.list(sort="updated_at", limit=50, cost=cost)
        assert [thread.id for thread in page.data] == threads[:-51:-1]
        assert files.counts["entry stat"] == COUNT, "one look at every file, and no more"
        assert files.counts["scandir"] <= DAYS * 2 + 30, "one pass over the folders"
        assert cost.rollouts_opened <= 51 * 2
        assert cost.bytes_read <= 51 * 4 * 128 * 1024

        files.counts.clear()
        cost = Cost()
        page = store.list(sort="updated_at", limit=50, cost=cost)
        assert cost.rollouts_opened == 0, "rows that are still true are taken from the catalog"

        files.counts.clear()
        cost = Cost()
        page = store.list(sort="created_at", limit=50, cost=cost)
        assert [thread.id for thread in page.data] == threads[:-51:-1]
        assert files.counts.get("entry stat", 0) == 0, "only names are looked at"
        assert cost.rollouts_opened == 0

        files.counts.clear()
        cost = Cost()
        page = store.list(sort="created_at", descending=False, limit=50, cost=cost)
        assert [thread.id for thread in page.data] == threads[:50]
        assert cost.rollouts_opened <= 51 * 2
        assert files.counts["open"] <= 51 * 2 + 10
        again = store.list(sort="created_at", descending=False, limit=50, cursor=page.next_cursor)
        assert [thread.id for thread in again.data] == threads[50:100]

        files.counts.clear()
        assert store.thread_id(threads[777][:13]) == threads[777]
        assert store.read(threads[777]).id == threads[777]
        assert files.counts.get("entry stat", 0) == 0
