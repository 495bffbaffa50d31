"""The catalog: derived rows that may be lost, damaged, locked or unwritable at any time, and never stop anybody."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from threadkeep.backends import Catalog
from threadkeep.backends._catalog import CATALOG_VERSION
from threadkeep.backends.local import Files, LocalBackend

if TYPE_CHECKING:
    from pathlib import Path

ROW = ("a", "stamp", b"data")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.sqlite"


def works(catalog: Catalog) -> bool:
    """Whether rows and totals can be put there and taken out again."""
    catalog.put_rows([ROW])
    catalog.put_totals("a", 7, b"totals")
    return catalog.rows(["a"]) == {"a": ROW[1:]} and catalog.totals("a", 7) == (7, b"totals")


def test_rows_are_there_for_the_next_process(path: Path) -> None:
    catalog = Catalog(str(path))
    assert works(catalog)
    catalog.close()
    later = Catalog(str(path))
    assert not later.in_memory
    assert later.rows(["a"]) == {"a": ROW[1:]}
    assert later.sizes() == {"rows": 1, "totals": 1, "boundaries": 0, "folders": 0, "names": 0}
    later.close()


def test_a_catalog_in_memory_goes_with_its_process() -> None:
    catalog = Catalog(None)
    assert catalog.in_memory
    assert works(catalog)
    catalog.close()


@pytest.mark.parametrize("content", [b"this is no database", b"", b"SQLite format 3\0" + b"\xff" * 9_000])
def test_a_file_that_is_no_catalog_is_made_anew(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    catalog = Catalog(str(path))
    assert works(catalog)
    catalog.close()
    later = Catalog(str(path))
    assert later.rows(["a"]) == {"a": ROW[1:]}
    later.close()


@pytest.mark.parametrize("version", [CATALOG_VERSION - 1, CATALOG_VERSION + 1])
def test_a_catalog_of_another_version_is_made_anew(path: Path, version: int) -> None:
    """What its rows mean is not known."""
    first = Catalog(str(path))
    works(first)
    first.close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version={version}")
    db.close()
    catalog = Catalog(str(path))
    assert catalog.rows(["a"]) == {}
    assert works(catalog)
    catalog.close()


def test_a_catalog_that_is_damaged_while_it_is_open_is_made_anew(path: Path) -> None:
    catalog = Catalog(str(path))
    catalog.put_rows([(str(number), "stamp", b"x" * 1_000) for number in range(500)])
    catalog.run(lambda db: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
    with path.open("r+b") as file:
        file.seek(4_096)
        file.write(b"\xff" * (path.stat().st_size - 8_192))
    catalog.run(lambda db: db.execute("PRAGMA shrink_memory").fetchall())
    for number in range(500):
        found = catalog.rows([str(number)])
        assert found in ({}, {str(number): ("stamp", b"x" * 1_000)})
    assert works(catalog)
    catalog.close()


@pytest.mark.parametrize("table", ["rows", "totals"])
def test_a_table_that_is_gone_comes_back(path: Path, table: str) -> None:
    catalog = Catalog(str(path))
    works(catalog)
    other = sqlite3.connect(path)
    other.execute(f"DROP TABLE {table}")
    other.close()
    assert works(catalog)
    catalog.close()


def test_a_table_of_another_shape_is_worked_around(path: Path) -> None:
    first = Catalog(str(path))
    first.close()
    other = sqlite3.connect(path)
    other.execute("DROP TABLE rows")
    other.execute("CREATE TABLE rows (something)")
    other.commit()
    other.close()
    catalog = Catalog(str(path))
    assert works(catalog)
    catalog.close()


def test_a_catalog_that_is_deleted_while_it_is_open_does_no_harm(path: Path) -> None:
    catalog = Catalog(str(path))
    works(catalog)
    for name in os.listdir(path.parent):
        (path.parent / name).unlink()
    assert works(catalog)
    catalog.close()
    later = Catalog(str(path))
    assert works(later)
    later.close()


def test_a_catalog_that_somebody_holds_is_gone_on_without(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threadkeep.backends._catalog._BUSY_SECONDS", 0.1)
    catalog = Catalog(str(path))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert works(catalog)
    assert catalog.in_memory
    other.execute("ROLLBACK")
    other.close()
    catalog.close()


def test_a_full_disk_is_gone_on_without(path: Path) -> None:
    catalog = Catalog(str(path))
    works(catalog)
    catalog.run(lambda db: db.execute("PRAGMA max_page_count=1").fetchall())
    data = b"x" * 100_000
    catalog.put_rows([(str(number), "stamp", data) for number in range(20)])
    assert catalog.rows(["19"]) == {"19": ("stamp", data)}
    catalog.close()


@pytest.mark.parametrize("obstacle", ["a folder in its place", "a folder that cannot be made"])
def test_where_nothing_can_be_written_rows_live_in_memory(tmp_path: Path, obstacle: str) -> None:
    """Reading a home needs no right to write to it."""

    class ReadOnly(Files):
        def mkdir(self, path: str, mode: int = 0o700) -> None:
            raise OSError(30, "Read-only file system")

    home = tmp_path / "home"
    home.mkdir()
    if obstacle == "a folder in its place":
        (home / "threadkeep" / "catalog.sqlite").mkdir(parents=True)
    backend = LocalBackend(str(home), files=ReadOnly())
    assert works(backend.catalog)
    assert backend.catalog.in_memory
    assert list(backend.by_creation(descending=True, after=None)) == []
    backend.close()


def test_totals_of_a_few_prefixes_are_kept(path: Path) -> None:
    """The longest ones: where the rollout ends, and where children branched off last."""
    catalog = Catalog(str(path))
    for until in range(1_000):
        catalog.put_totals("a", until, b"%d" % until)
    assert catalog.sizes()["totals"] <= 16
    assert catalog.totals("a", 999) == (999, b"999")
    assert catalog.totals("a", 990) == (990, b"990")
    assert catalog.totals("a", 10) is None
    catalog.close()


def test_many_rows_are_asked_for_at_once(path: Path) -> None:
    catalog = Catalog(str(path))
    ids = [f"{number:05d}" for number in range(3_000)]
    catalog.put_rows([(id_, "stamp", id_.encode()) for id_ in ids])
    assert catalog.rows(ids) == {id_: ("stamp", id_.encode()) for id_ in ids}
    assert catalog.rows([]) == {}
    catalog.put_rows([])
    catalog.close()


_WORKER = """
import sys
from threadkeep.backends import Catalog
catalog = Catalog(sys.argv[1])
for number in range(100):
    key = f"{sys.argv[2]}-{number}"
    catalog.put_rows([(key, "stamp", key.encode())])
    assert catalog.rows([key]) == {key: ("stamp", key.encode())}
assert not catalog.in_memory
catalog.close()
"""


def test_processes_share_a_catalog(path: Path) -> None:
    """Also those that make it at the same time."""
    workers = [subprocess.Popen([sys.executable, "-c", _WORKER, path, str(number)]) for number in range(4)]
    assert [worker.wait(60) for worker in workers] == [0] * 4
    catalog = Catalog(str(path))
    assert catalog.sizes()["rows"] == 400
    catalog.close()


def test_threads_share_a_catalog(path: Path) -> None:
    catalog = Catalog(str(path))
    troubles: list[BaseException] = []

    def work(worker: int) -> None:
        try:
            for number in range(50):
                catalog.put_totals(str(worker), number, b"%d" % number)
                assert catalog.totals(str(worker), number) == (number, b"%d" % number)
        except BaseException as error:  # noqa: BLE001 - told to the test
            troubles.append(error)

    workers = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert troubles == []
    catalog.close()


def test_what_is_forgotten_is_not_in_the_file_any_more(path: Path) -> None:
    """After an erasure nothing derived may hold the text."""
    catalog = Catalog(str(path))

    def kept() -> list[str]:
        return [name for name in os.listdir(path.parent) if b"the secret" in (path.parent / name).read_bytes()]

    catalog.put_rows([("a", "stamp", b"the secret " * 500)])
    assert kept()
    catalog.forget("a")
    catalog.compact()
    catalog.close()
    assert kept() == []


def test_a_text_that_is_none_is_damage(path: Path) -> None:
    """The file is made anew, and not gone on without each time a process meets that row."""
    catalog = Catalog(str(path))
    works(catalog)
    catalog.run(lambda db: db.execute("UPDATE rows SET stamp = CAST(x'ff' AS TEXT)"))
    assert catalog.rows(["a"]) == {}
    assert works(catalog)
    assert not catalog.in_memory
    catalog.close()
    later = Catalog(str(path))
    assert later.rows(["a"]) == {"a": ROW[1:]}
    later.close()
