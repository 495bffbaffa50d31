"""Names and folders: local time as Codex writes it, ids of every version, dates and clocks that change."""

from __future__ import annotations

import os
import time
import uuid
from typing import TYPE_CHECKING

import pytest
from tests.backends.local.homes import IDS, LINE, StillClock, opened

from threadkeep.backends.local._layout import candidate_days, day_folder, parse_name, rollout_name
from threadkeep.ids import Uuid7Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ONE = "01a202e2-a5ee-76a2-aa05-46ea5fdb223b"
TWO = "01a202e2-a4aa-7752-a4df-e20a720e5005"


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    yield monkeypatch
    monkeypatch.undo()
    time.tzset()


def set_zone(zone: pytest.MonkeyPatch, name: str) -> None:
    zone.setenv("TZ", name)
    time.tzset()


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.zst"])
def test_a_name_says_thread_rollout_time_and_form(ending: str) -> None:
    plain = parse_name(f"rollout-2026-11-22T10-52-17-{ONE}{ending}")
    assert plain is not None
    assert (plain.stamp, plain.thread_id, plain.rollout_id) == ("2026-11-22T10-52-17", ONE, ONE)
    assert plain.compressed == ending.endswith("zst")
    reverted = parse_name(f"rollout-2026-11-22T10-52-17-{ONE}_{TWO}{ending}")
    assert reverted is not None
    assert (reverted.thread_id, reverted.rollout_id) == (ONE, TWO)


@pytest.mark.parametrize("version", [1, 3, 4, 5])
def test_a_name_may_carry_an_id_of_any_version(version: int) -> None:
    id_ = str(
        {1: uuid.uuid1, 4: uuid.uuid4}[version]()
        if version in (1, 4)
        else {3: uuid.uuid3, 5: uuid.uuid5}[version](uuid.NAMESPACE_DNS, "a")
    )
    name = parse_name(rollout_name(1_750_000_000_000, id_, id_))
    assert name is not None
    assert name.thread_id == id_


def test_ids_in_names_are_taken_whatever_their_case() -> None:
    name = parse_name(f"rollout-2026-11-22T10-52-17-{ONE.upper()}_{TWO.upper()}.jsonl")
    assert name is not None
    assert (name.thread_id, name.rollout_id) == (ONE, TWO)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".jsonl",
        f"rollout-{ONE}.jsonl",
        f"rollout-2026-11-22T10-52-17-{ONE}",
        f"rollout-2026-11-22T10-52-17-{ONE}.json",
        f"rollout-2026-11-22T10-52-17-{ONE}.jsonl.gz",
        f"rollout-2026-11-22T10-52-17-{ONE}.jsonl.zst.zst",
        f"rollout-2026-11-22T10-52-17-{ONE}_.jsonl",
        f"rollout-2026-11-22T10-52-17-{ONE}_{TWO}_{TWO}.jsonl",
        f"rollout-2026-11-22T10-52-17-{ONE[:-1]}.jsonl",
        f"rollout-2026-11-22 10:52:17-{ONE}.jsonl",
        f"rollout-\u0662\u0660\u0662\u0666-11-22T10-52-17-{ONE}.jsonl",
        f"rollout-2026-11-22T10-52-17-{ONE}.jsonl\n",
        f".threadkeep-{ONE}.tmp",
        f"rollout-2026-11-22T10-52-17-{ONE}.jsonl.tmp",
    ],
)
def test_other_names_are_no_rollouts(name: str) -> None:
    assert parse_name(name) is None


@pytest.mark.parametrize("zone_name", ["UTC", "Pacific/Kiritimati", "Etc/GMT+12", "Asia/Kathmandu", "Europe/Berlin"])
def test_names_carry_local_time_and_ids_say_the_day(zone: pytest.MonkeyPatch, zone_name: str) -> None:
    """Wherever the clock stands, the folder is one of the three days that the id allows (trap 19)."""
    set_zone(zone, zone_name)
    for ms in (1_767_225_599_999, 1_767_225_600_000, 1_771_000_000_000, 1_772_323_199_999):
        id_ = Uuid7Source(StillClock(ms)).new()
        local = time.localtime(ms // 1000)
        assert rollout_name(ms, id_, id_).startswith(time.strftime("rollout-%Y-%m-%dT%H-%M-%S-", local))
        assert day_folder(ms) == time.strftime("%Y/%m/%d", local)
        assert day_folder(ms) in candidate_days(id_)
        assert len(candidate_days(id_)) == 3


@pytest.mark.parametrize(
    ("zone_name", "ms"),
    [
        ("Europe/Berlin", 1_774_745_999_000),  # 2026-03-29 01:59:59, the second before the clock goes forward
        ("Europe/Berlin", 1_774_746_000_000),
        ("Europe/Berlin", 1_792_886_400_000),  # 2026-10-25 02:00:00, which comes twice
        ("Europe/Berlin", 1_792_890_000_000),
        ("America/Sao_Paulo", 1_541_300_400_000),  # 2018-11-04: midnight did not exist
        ("Pacific/Apia", 1_325_239_200_000),  # 2011-12-30 did not exist
    ],
)
def test_a_thread_made_when_the_clock_changes_is_found(
    tmp_path: Path, zone: pytest.MonkeyPatch, zone_name: str, ms: int
) -> None:
    set_zone(zone, zone_name)
    clock = StillClock(ms)
    backend = opened(tmp_path / "home", clock=clock)
    threads = []
    for step in (-1, 0, 1, 3_600_000):
        clock.ms = ms + step
        thread = backend.ids.new()
        threads.append(backend.create(thread, thread, LINE, durability="os", kept=False))
    set_zone(zone, "UTC")
    later = opened(tmp_path / "home")
    for ref in threads:
        assert later.find(ref.rollout_id) == ref
        assert later.rollouts_of(ref.thread_id) == [ref]
    assert [thread for _, thread, _ in later.by_creation(descending=False, after=None)] == [
        ref.thread_id for ref in threads
    ]
    backend.close()
    later.close()


def test_a_thread_lies_where_its_id_says_however_late_its_first_record_comes(tmp_path: Path) -> None:
    """Codex fixes the path when the thread is started; the file may appear days later."""
    clock = StillClock(1_771_000_000_000)
    backend = opened(tmp_path / "home", clock=clock)
    thread = backend.ids.new()
    clock.ms += 5 * 86_400_000
    ref = backend.create(thread, thread, LINE, durability="os", kept=False)
    assert ref.location == f"sessions/{day_folder(1_771_000_000_000)}/" + rollout_name(
        1_771_000_000_000, thread, thread
    )
    backend.close()


def test_an_id_that_carries_no_time_or_an_impossible_one_lies_where_the_clock_says(tmp_path: Path) -> None:
    clock = StillClock(1_771_000_000_000)
    backend = opened(tmp_path / "home", clock=clock)
    for thread in (str(uuid.uuid4()), "ffffffff-ffff-7fff-bfff-ffffffffffff"):
        ref = backend.create(thread, thread, LINE, durability="os", kept=False)
        assert os.path.dirname(ref.location) == f"sessions/{day_folder(1_771_000_000_000)}"
        assert backend.find(thread) == ref
    backend.close()


def test_a_rollout_that_is_taken_out_of_the_archive_goes_where_its_name_says(tmp_path: Path) -> None:
    """As Codex does, whatever the clock says by then."""
    clock = StillClock(1_771_000_000_000)
    backend = opened(tmp_path / "home", clock=clock)
    thread = IDS.new()
    rollout = Uuid7Source(clock).new()
    ref = backend.create(thread, rollout, LINE, durability="os", kept=False)
    lease = backend.lease(thread)
    away = backend.move(ref, lease, archived=True)
    assert away.location == f"archived_sessions/{os.path.basename(ref.location)}"
    clock.ms += 90 * 86_400_000
    assert backend.move(away, lease, archived=False) == ref
    lease.release()
    backend.close()


def test_a_rollout_is_not_moved_over_another(tmp_path: Path) -> None:
    from threadkeep.errors import Conflict

    backend = opened(tmp_path / "home")
    thread = IDS.new()
    ref = backend.create(thread, thread, LINE, durability="os", kept=False)
    twin = tmp_path / "home/archived_sessions" / os.path.basename(ref.location)
    twin.parent.mkdir()
    twin.write_bytes(b"another\n")
    lease = backend.lease(thread)
    with pytest.raises(Conflict, match="there already"):
        backend.move(ref, lease, archived=True)
    lease.release()
    assert twin.read_bytes() == b"another\n"
    backend.close()
