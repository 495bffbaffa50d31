"""What threadkeep writes is its owner's alone, and what others wrote keeps the permissions that it had."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.backends.local.homes import IDS, LINE, append, opened, put, rollout_id

from threadkeep.backends import Marks
from threadkeep.records import PAGINATED, Boundary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=[0o000, 0o022, 0o077])
def mask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("mask")
def test_everything_that_is_made_is_the_owners_alone(tmp_path: Path) -> None:
    """Whatever the process's mask allows others."""
    home = tmp_path / "home"
    backend = opened(home)
    thread = IDS.new()
    ref = backend.create(thread, thread, LINE, durability="os", kept=False)
    backend.create(thread, IDS.new(), LINE, durability="os", kept=True)
    append(backend, ref, LINE)
    backend.change_marks(thread, lambda _: Marks(hidden=True))
    backend.set_anchor(thread, Boundary(8, "0" * 32, PAGINATED, None))
    backend.set_name(thread, "name")
    backend.pin(IDS.new(), ref, 8, "0" * 32)
    lease = backend.lease(thread)
    backend.replace(backend.move(ref, lease, archived=True), [LINE], lease)
    lease.release()
    with backend.guard(exclusive=True):
        pass
    backend.catalog.put_rows([("a", "b", b"c")])
    assert len(list(backend.stats())) == 2
    modes = {str(path.relative_to(home)): path.stat().st_mode & 0o777 for path in (home, *home.rglob("*"))}
    assert {name for name in modes if name.startswith("threadkeep/catalog")} >= {"threadkeep/catalog.sqlite"}
    for name, mode in modes.items():
        assert mode == (0o700 if (home / name).is_dir() else 0o600), name
    backend.close()


def test_a_file_of_codex_keeps_its_permissions_when_it_grows(tmp_path: Path) -> None:
    path = put(tmp_path / "home")
    path.chmod(0o644)
    backend = opened(tmp_path / "home")
    ref = backend.find(rollout_id(path))
    assert ref is not None
    append(backend, ref, LINE)
    assert path.stat().st_mode & 0o777 == 0o644
    backend.close()


def open_files() -> str:
    """What the descriptors of this process are of."""
    folder = "/proc/self/fd"
    return " ".join(os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder) if os.path.exists(f"{folder}/{fd}"))


def test_no_child_program_inherits_what_is_open(tmp_path: Path) -> None:
    backend = opened(tmp_path / "home")
    thread = IDS.new()
    backend.create(thread, thread, LINE, durability="os", kept=False)
    lease = backend.lease(thread)
    assert str(tmp_path) in open_files()
    program = f"import os\n{inspect.getsource(open_files)}\nprint(open_files())"
    shown = subprocess.run(
        [sys.executable, "-c", program], close_fds=False, capture_output=True, text=True, check=True, timeout=60
    )
    assert "pipe:" in shown.stdout
    assert str(tmp_path) not in shown.stdout
    lease.release()
    backend.close()
