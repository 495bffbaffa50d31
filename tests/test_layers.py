"""Imports go down the layers only, and what needs an extra package is imported only where it is needed."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE: Final = Path(__file__).resolve().parents[1] / "src" / "threadkeep"

LAYERS: Final = (
    {"_lazy", "_version", "errors", "ids"},
    {"records"},
    {"lineage"},
    {"replay"},
    {"backends"},
    {"store"},
    {"bench", "testing"},
    {"adapters", "appserver", "web"},
    {"cli"},
)
"""From the lowest to the highest (``architecture.md``, "Layers"): each knows only itself and those before it."""

RANK: Final = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}

MODULES: Final = sorted(str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py"))


def top(module: str) -> str:
    """The part of the package that a file belongs to."""
    return module.split("/", 1)[0].removesuffix(".py")


def imports(module: str) -> Iterator[tuple[int, str]]:
    """(line, full name) of everything that a file imports, wherever in it and for whatever reason."""
    for node in ast.walk(ast.parse((SOURCE / module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: imports are absolute"
            assert node.module is not None
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def parts_imported(module: str) -> Iterator[tuple[int, str]]:
    """(line, part of threadkeep) of what a file imports from this package."""
    for line, name in imports(module):
        package, _, rest = name.partition(".")
        if package == "threadkeep" and rest:
            yield line, rest.split(".", 1)[0]


def test_every_part_of_the_package_has_its_layer() -> None:
    assert {top(module) for module in MODULES} - {"__init__", "__main__"} <= set(RANK)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_the_layers(module: str) -> None:
    own = top(module)
    if own in ("__init__", "__main__"):  # the package's front door shows what is inside
        return
    for line, part in parts_imported(module):
        if part == own:
            continue
        assert part in RANK, f"{module}:{line} imports threadkeep.{part}, which has no layer"
        assert RANK[part] < RANK[own] or RANK[own] == 0, f"{module}:{line} imports threadkeep.{part}, which is no lower"


@pytest.mark.parametrize("package", ["pytest", "hypothesis"])
def test_what_tests_need_is_imported_for_testing_alone(package: str) -> None:
    importing = {top(module) for module in MODULES for _, name in imports(module) if name.split(".")[0] == package}
    assert importing <= {"testing"}


def test_a_backend_knows_nothing_of_conversations() -> None:
    """It may use what a record's bytes are read through, and never what they mean."""
    allowed = {"Boundary", "Cost", "Source"}
    for module in MODULES:
        if top(module) != "backends":
            continue
        for line, name in imports(module):
            if name.startswith("threadkeep.records."):
                assert name.split(".")[2] in allowed, f"{module}:{line} imports {name}"
            assert not name.startswith(("threadkeep.lineage", "threadkeep.replay")), f"{module}:{line} imports {name}"
