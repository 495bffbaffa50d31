"""Nothing is imported before it is needed: a process that reads one thread loads a small part of threadkeep."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.store.threads import new_thread

from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = ["backends", "lineage", "records", "replay", "replay.items", "store"]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_where_the_package_says(package: str) -> None:
    module = importlib.import_module(f"threadkeep.{package}")
    assert set(module._PLACES) == set(module.__all__)
    assert set(module.__all__) <= set(dir(module))
    for name, place in module._PLACES.items():
        assert getattr(module, name) is getattr(importlib.import_module(f"threadkeep.{package}.{place}"), name)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_name_that_is_not_there_is_an_attribute_error(package: str) -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = importlib.import_module(f"threadkeep.{package}").nonsense


@pytest.mark.parametrize(
    ("work", "not_needed"),
    [
        ("read", ["replay._machine", "replay._walk", "replay.items._turn_items", "store._forks", "store._lists"]),
        ("resume", ["replay._walk", "replay.items._turn_items", "store._forks", "store._writer"]),
        ("turns", ["replay._legacy", "replay.items._calls", "replay._machine", "store._forks"]),
    ],
)
def test_what_an_answer_does_not_need_is_not_loaded(tmp_path: Path, work: str, not_needed: list[str]) -> None:
    with ThreadStore.open(tmp_path) as store:
        thread = new_thread(store, "hello")
        store.read(thread)
    modules = [f"threadkeep.{module}" for module in not_needed]
    program = (
        "import sys; from threadkeep.store import ThreadStore\n"
        f"ThreadStore.open({str(tmp_path)!r}).{work}({thread!r})\n"
        f"print(*[module for module in {[*modules, 'tempfile', 'urllib.parse']!r} if module in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert loaded.stdout.split() == []
