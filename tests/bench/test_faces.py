"""`threadkeep demo` and `threadkeep bench` on tiny threads: what they say can be read by programs and by people."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import msgspec
import pytest

from threadkeep.bench._bench import BenchRow, Limit, Machine, Report, bench
from threadkeep.bench._demo import demo
from threadkeep.bench._limit import bare_append, beside
from threadkeep.bench._measure import Measured
from threadkeep.bench._spread import Spread
from threadkeep.bench._svg import drawn

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "threadkeep", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def json_of(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout)


def test_the_demo_answers_in_json_and_leaves_nothing_behind() -> None:
    shown = json_of(run("demo", "--size", "0.2", "--json"))

    assert shown["home"] is None
    assert [thread["mode"] for thread in shown["threads"]] == ["paginated", "legacy"]
    for thread in shown["threads"]:
        assert thread["equal"] is True
        assert [step["title"] for step in thread["steps"]][-1] == "full replay"
        assert all(step["ms"] > 0 for step in thread["steps"])


def test_the_demo_keeps_its_home_where_it_is_told_to(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    done = run("demo", "--size", "0.2", "--keep", str(kept))

    assert done.returncode == 0, done.stderr
    assert f"threadkeep --home {kept} list" in done.stdout
    assert len(run("--home", str(kept), "list").stdout.splitlines()) == 8  # a thread and three forks in each mode


def test_the_demo_fits_eighty_columns_and_names_its_figures() -> None:
    shown = run("demo", "--size", "0.2").stdout.splitlines()

    assert max(map(len, shown)) <= 80
    assert sum(line.split() == ["took", "read", "written", "quicker"] for line in shown) == 2


def test_threads_of_the_demo_say_what_they_are(tmp_path: Path) -> None:
    demo(str(tmp_path), size=200_000)

    titles = [line.rsplit("  ", 1)[-1] for line in run("--home", str(tmp_path), "list").stdout.splitlines()]
    assert set(titles) == {"A made-up paginated thread", "A made-up legacy thread"}


def test_the_demo_refuses_a_folder_that_is_in_use(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = run("demo", "--size", "0.2", "--keep", str(tmp_path))

    assert done.returncode == 2
    assert "no empty folder" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_demo_writes_little_for_a_fork(tmp_path: Path) -> None:
    shown = demo(str(tmp_path), size=200_000)

    for thread in shown.threads:
        fork = next(step for step in thread.steps if step.title == "fork")
        assert 0 < fork.bytes_written <= 1_269


def test_the_benchmark_answers_in_json_and_draws(tmp_path: Path) -> None:
    picture = tmp_path / "cost.svg"
    report = json_of(
        run("bench", "--sizes", "0.1,0.3", "--modes", "legacy", "--runs", "1", "--json", "--svg", str(picture))
    )

    operations = {row["measured"]["operation"] for row in report["rows"]}
    assert operations == {"resume", "page", "fork", "read", "list", "replay"}
    assert {row["mode"] for row in report["rows"]} == {"legacy"}
    assert len(report["limits"]) == 2
    (appends,) = report["appends"]
    assert (appends["mode"], appends["pairs"]) == ("legacy", 20)
    assert 6_300 < appends["size"] < 6_500
    assert appends["bareMs"] > 0
    for limit in (appends, *report["limits"]):
        assert 0 < limit["ratio"]["low"] <= limit["ratio"]["median"] <= limit["ratio"]["high"]
    assert {row["age"] for row in report["aged"]} == {
        "no-resume-metadata",
        "no-window-number",
        "no-replacement-history",
    }
    assert report["machine"]["python"]
    ET.fromstring(picture.read_text())


def test_the_benchmark_uses_the_threads_that_are_there(tmp_path: Path) -> None:
    said: list[str] = []
    first = bench(str(tmp_path), sizes=[100_000], modes=["paginated"], runs=1, progress=said.append)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jsonl")}
    second = bench(str(tmp_path), sizes=[100_000], modes=["paginated"], runs=1)

    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jsonl")} == files
    assert [row.size for row in second.rows] == [row.size for row in first.rows]
    assert "paginated, 0.1 MB: resume" in said


@pytest.mark.parametrize("wrong", [("--sizes", "big"), ("--sizes", "0"), ("--modes", "other"), ("--runs", "0")])
def test_what_cannot_be_measured_is_refused(wrong: tuple[str, str]) -> None:
    assert run("bench", *wrong).returncode == 2


def report_of(**ms: float) -> Report:
    rows = [
        BenchRow("paginated", size, "current", Measured(name, False, took * size / 1e6, took, 1, 0, 0, 0, 0, 0))
        for name, took in ms.items()
        for size in (1_000_000, 10_000_000)
    ]
    limit = Limit("paginated", 1_000_000, 5, 3, 3, 1, 1, Spread(3, 2, 4), 20)
    return Report(Machine("s", "p", 2, "y", "t", "m"), 1_000_000, rows, [], [limit])


def test_the_picture_is_the_same_for_the_same_figures() -> None:
    report = report_of(resume=2.0, fork=2.0, page=2.1, replay=40.0)

    assert drawn(report, "paginated") == drawn(report, "paginated")


def test_the_labels_of_the_picture_do_not_cover_each_other() -> None:
    picture = ET.fromstring(drawn(report_of(resume=2.0, fork=2.0, page=2.1, replay=40.0), "paginated"))
    space = "{http://www.w3.org/2000/svg}"
    heights = sorted(float(text.get("y", "0")) for text in picture.iter(f"{space}text") if ", " in (text.text or ""))

    assert len(heights) == 4
    assert all(below - above >= 15.9 for above, below in itertools.pairwise(heights))


def test_the_picture_is_read_on_any_page() -> None:
    picture = drawn(report_of(resume=2.0, replay=40.0), "paginated")

    assert 'class="ground"' in picture
    assert ">1 MB<" in picture
    assert ">10 MB<" in picture
    assert ">100 ms<" in picture


def test_a_picture_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    done = run("bench", "--sizes", "0.1", "--svg", str(tmp_path / "missing" / "x.svg"))

    assert (done.returncode, done.stdout) == (2, "")
    assert "no folder" in done.stderr


def test_a_mode_that_was_not_measured_is_not_drawn() -> None:
    with pytest.raises(ValueError, match="legacy"):
        drawn(report_of(resume=1.0), "legacy")


def test_an_append_is_paired_with_a_bare_one_of_the_same_bytes_in_changing_order(tmp_path: Path) -> None:
    bare, seen = tmp_path / "bare", []
    with bare_append(str(bare), b"0123456789") as append:
        pairs = beside(lambda: seen.append(bare.stat().st_size), append, 3)

    assert len(pairs) == 3
    assert seen == [10, 10, 30, 30]  # after, before, after, before the other; the first pair does not count
    assert bare.read_bytes() == b"0123456789" * 4
    assert all(pair.bare_ms > 0 and pair.ms > 0 for pair in pairs)
