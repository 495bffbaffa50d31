"""What threadkeep remembers by itself: one line a change, nothing lost to what stands around it."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from tests.backends.local.homes import QuickFiles, opened

from threadkeep.backends import Marks
from threadkeep.backends.local import Files, _marks
from threadkeep.errors import StorageFailure
from threadkeep.records import PAGINATED, Boundary

if TYPE_CHECKING:
    from pathlib import Path

ONE, TWO = "01a202e2-a5ee-76a2-aa05-46ea5fdb223b", "01a202e2-a4aa-7752-a4df-e20a720e5005"
ANCHOR = Boundary(7, "0" * 32, PAGINATED, "turn")


def marks_file(home: Path) -> Path:
    return home / "threadkeep" / "marks.jsonl"


def test_nothing_is_written_by_asking(tmp_path: Path) -> None:
    backend = opened(tmp_path / "home")
    assert backend.marks(ONE) == Marks()
    assert backend.marked() == {}
    assert backend.anchored(ONE) is None
    assert not (tmp_path / "home").exists()


def test_a_change_is_one_line_after_the_others(tmp_path: Path) -> None:
    backend = opened(tmp_path / "home")
    backend.change_marks(ONE, lambda _: Marks(name="n"))
    first = marks_file(tmp_path / "home").read_bytes()
    backend.change_marks(ONE, lambda _: Marks(archived=True))
    backend.set_anchor(TWO, ANCHOR)
    data = marks_file(tmp_path / "home").read_bytes()
    assert data.startswith(first)
    assert data.count(b"\n") == 3
    assert backend.marks(ONE) == Marks(archived=True)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\n",
        b"\0" * 4_096,
        b"{}\n",
        b"[]\n",
        b"no json\n",
        b'{"at":"x","more":' + b"[" * 10_000 + b"\n",
        b"\xff\n",
        b'{"at":"x","thread":"a","marks":{"hidden":"yes"}}\n',
        b'{"at":"x","thread":7,"marks":{}}\n',
        b'{"at":"x","thread":"a","mar',
    ],
)
def test_what_cannot_be_read_is_skipped_and_swallows_nothing(tmp_path: Path, garbage: bytes) -> None:
    home = tmp_path / "home"
    opened(home).change_marks(ONE, lambda _: Marks(hidden=True))
    with marks_file(home).open("ab") as file:
        file.write(garbage)
    backend = opened(home)
    assert backend.marks(ONE) == Marks(hidden=True)
    backend.change_marks(TWO, lambda _: Marks(current=ONE))
    backend.set_anchor(TWO, ANCHOR)
    later = opened(home)
    assert later.marked() == {ONE: Marks(hidden=True), TWO: Marks(current=ONE)}
    assert later.anchored(TWO) == ANCHOR
    assert garbage in marks_file(home).read_bytes(), "what is not understood is kept"


def test_members_of_a_later_version_are_passed_over(tmp_path: Path) -> None:
    home = tmp_path / "home"
    marks_file(home).parent.mkdir(parents=True)
    marks_file(home).write_text(f'{{"at":"x","thread":"{ONE}","marks":{{"hidden":true,"new":1}},"also":"new"}}\n')
    assert opened(home).marks(ONE) == Marks(hidden=True)


_WRITER = """
import sys
from msgspec.structs import replace
from tests.backends.local.homes import QuickFiles
from threadkeep.backends import Marks
from threadkeep.backends.local import LocalBackend
backend = LocalBackend(sys.argv[1], files=QuickFiles())
for number in range(50):
    name = f"{sys.argv[2]}-{number}"
    backend.change_marks(name, lambda _: Marks(name=str(number)))
    backend.change_marks("common", lambda marks: replace(marks, git={**marks.git, name: "kept"}))
"""


def test_many_processes_write_and_every_line_stands(tmp_path: Path) -> None:
    home = tmp_path / "home"
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(home), str(number)], cwd=_root(), env=_environment())
        for number in range(4)
    ]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    found = opened(home).marked()
    assert found.pop("common").git == {f"{writer}-{number}": "kept" for writer in range(4) for number in range(50)}, (
        "nobody undid what another changed"
    )
    assert found == {f"{writer}-{number}": Marks(name=str(number)) for writer in range(4) for number in range(50)}


def _root() -> str:
    from pathlib import Path

    return str(Path(__file__).resolve().parents[3])


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join([_root(), *filter(None, [os.environ.get("PYTHONPATH")])])}


def test_threads_of_a_process_write_and_every_line_stands(tmp_path: Path) -> None:
    backend = opened(tmp_path / "home", QuickFiles())

    def write(worker: int) -> None:
        for number in range(25):
            backend.change_marks(f"{worker}-{number}", lambda _: Marks(hidden=True))
            assert backend.marks(f"{worker}-{number}") == Marks(hidden=True)

    workers = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert len(backend.marked()) == 100


def test_marks_that_somebody_holds_for_ever_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_marks, "_WAIT_SECONDS", 0.1)
    backend = opened(tmp_path / "home")
    backend.change_marks(ONE, lambda _: Marks(name="before"))
    with marks_file(tmp_path / "home").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(StorageFailure, match="holds threadkeep's marks"):
            backend.change_marks(ONE, lambda _: Marks(name="after"))
    assert backend.marks(ONE) == Marks(name="before")


def test_marks_that_cannot_be_read_are_never_guessed(tmp_path: Path) -> None:
    """A deleted thread must not come back, and a reverted one not jump forward, because of a bad disk."""

    class Broken(Files):
        def pread(self, fd: int, size: int, offset: int) -> bytes:
            raise OSError(5, "Input/output error")

    home = tmp_path / "home"
    opened(home).change_marks(ONE, lambda _: Marks(hidden=True))
    backend = opened(home, Broken())
    for ask in (lambda: backend.marks(ONE), backend.marked, lambda: backend.anchored(ONE)):
        with pytest.raises(StorageFailure, match="cannot read threadkeep's marks"):
            ask()
