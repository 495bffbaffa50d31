"""Packages that show many names and load few: what is behind a name is imported when somebody asks for it.

A process that reads one thread needs a small part of threadkeep, and often waits for nothing but its start.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as `typing` has it, which the start of the app-server has no time for
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

__all__ = ["lazily"]


def lazily(package: str, places: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The ``__getattr__`` and the ``__dir__`` of a package whose names are in modules of its own.

    Args:
        package: The package's full name.
        places: For each name the module, without the package's name, that defines it.
    """

    def find(name: str) -> Any:
        place = places.get(name)
        if place is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        import importlib

        value = getattr(importlib.import_module(f"{package}.{place}"), name)
        setattr(sys.modules[package], name, value)  # the next one who asks finds it at once
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *places})

    return find, names
