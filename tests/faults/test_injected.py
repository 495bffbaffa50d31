"""Whatever touches a home goes through the injected `Files`, and every time and id through the injected sources.

Only then does a test that makes calls fail, or that writes them down, know of all of them.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import threadkeep

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE: Final = Path(threadkeep.__file__).parent

LAYERS: Final = ("backends", "store", "lineage", "replay", "records", "errors.py", "ids.py")

MODULES: Final = sorted(
    str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py") if path.relative_to(SOURCE).parts[0] in LAYERS
)

HARMLESS: Final = frozenset(
    "os.PathLike os.DirEntry os.stat_result os.fspath os.path.join os.path.dirname os.path.basename os.path.abspath "
    "os.path.normpath os.path.relpath os.path.isabs os.path.commonpath os.path.expanduser os.sep os.strerror "
    "os.makedev os.getpid os.environ os.environ.get os.O_RDONLY os.O_RDWR os.O_WRONLY os.O_APPEND os.O_CREAT "
    "os.O_EXCL os.O_CLOEXEC os.O_DIRECTORY os.O_NOFOLLOW os.O_NONBLOCK "
    "time.gmtime time.localtime time.mktime time.strptime time.struct_time "
    "time.monotonic time.sleep datetime.UTC datetime.datetime "
    "datetime.datetime.fromisoformat sqlite3.Connection".split()
)
"""What names and computes things, or waits; it reads and changes no file, and decides nothing that is stored.

Of the catalog's connection the type is named where queries are handed to it.
"""

STATED: Final[dict[str, frozenset[str]]] = {
    # The injected objects themselves.
    "backends/local/_files.py": frozenset({"os", "fcntl"}),
    "ids.py": frozenset({"time.time_ns", "os.urandom"}),
    # The catalog is SQLite's, derived, and thrown away whenever anything is wrong with it.
    "backends/_catalog.py": frozenset({"os.open", "os.close", "os.unlink", "sqlite3"}),
    # What was decoded for a moment, in an unnamed file outside of the home.
    "backends/local/_source.py": frozenset({"tempfile"}),
    # Codex's own database: read with SQLite, as the last resort from a private copy outside of the home. When it was
    # read is compared with the times of the file system, which are the system's.
    "backends/local/_codex.py": frozenset({"sqlite3", "shutil", "tempfile", "os.path.realpath", "time.time_ns"}),
    # When folders were read is compared with their times, which are the system's.
    "backends/local/_names.py": frozenset({"time.time_ns"}),
    # Who holds a lock, as the system's own lists tell.
    "backends/local/_lock.py": frozenset({"open", "os.sysconf"}),
    # The installed Codex is started, and spoken to through a pipe.
    "backends/local/_ask_codex.py": frozenset({"subprocess", "shutil", "os.read"}),
    # Where links lead: which file a path means, which folder a thread works in.
    "backends/local/_backend.py": frozenset({"os.path.realpath"}),
    "store/_filter.py": frozenset({"os.path.realpath"}),
}
"""What a module does past the injected objects, and why."""

WATCHED: Final = frozenset(
    "os fcntl time datetime random secrets uuid shutil tempfile pathlib io sqlite3 subprocess mmap glob socket".split()
)
"""Modules by which files, times and chance can be had."""


def uses(module: str) -> Iterator[tuple[int, str]]:
    """(line, full name) of everything of the watched modules that a file uses, and of every bare ``open``."""
    tree = ast.parse((SOURCE / module).read_text(encoding="utf-8"))
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "open" and "open" not in names:
            yield node.lineno, "open"
        elif isinstance(node, ast.Attribute | ast.Name) and id(node) not in inner:
            parts: list[str] = []
            top: ast.expr = node
            while isinstance(top, ast.Attribute):
                parts.insert(0, top.attr)
                top = top.value
            if isinstance(top, ast.Name) and top.id in names:
                full = ".".join((names[top.id], *parts))
                if full.split(".")[0] in WATCHED:
                    yield node.lineno, full


def allowed(module: str, used: str) -> bool:
    stated = STATED.get(module, frozenset())
    return used in HARMLESS or any(used == each or used.startswith(f"{each}.") for each in stated)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_touches_files_and_times_through_what_is_injected(module: str) -> None:
    past = [f"{module}:{line}: {used}" for line, used in uses(module) if not allowed(module, used)]
    assert past == []


def test_every_exception_is_needed() -> None:
    for module, stated in STATED.items():
        used = {name for _, name in uses(module)}
        for each in stated:
            assert any(name == each or name.startswith(f"{each}.") for name in used), f"{module} does not use {each}"
