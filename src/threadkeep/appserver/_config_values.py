"""Values of the configuration: overrides as they are written, tables laid over tables, where a value stands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["ConfigProblem", "deeper", "dotted", "flattened", "laid_over", "parse_override", "place_of"]

MAX_DEPTH: Final = 64
"""How deep tables are laid over each other: deeper ones are replaced as a whole."""


class ConfigProblem(ValueError):
    """A configuration cannot be used as it stands; its text says why, where clients know it in the words of 0.169.0."""


def parse_override(key: str, value: str) -> tuple[str, Any]:
    """One ``--config key=value``: the value as TOML, and as the text that it is where it is no TOML.

    Args:
        key: A dotted key.
        value: What follows the first ``=``.
    """
    import tomllib

    try:
        return key.strip(), tomllib.loads(f"_x_ = {value.strip()}")["_x_"]
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        # As the real command line: `model=o3` needs no quotes (0.169.0 observed, also for `model=[1`).
        return key.strip(), value.strip().strip("\"'")


def dotted(values: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Keys with dots as tables within tables; the last value of a key counts."""
    tables: dict[str, Any] = {}
    for key, value in values:
        table = tables
        *parents, last = key.split(".")
        for parent in parents[:MAX_DEPTH]:
            inner = table.get(parent)
            if not isinstance(inner, dict):
                inner = table[parent] = {}
            table = inner
        known = table.get(last)
        table[last] = laid_over(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return tables


def laid_over(base: Mapping[str, Any], upper: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """The tables of ``base`` with those of ``upper`` over them: tables are joined, everything else is replaced."""
    joined = dict(base)
    for key, value in upper.items():
        known = joined.get(key)
        if isinstance(known, dict) and isinstance(value, dict) and depth < MAX_DEPTH:
            joined[key] = laid_over(known, value, depth + 1)
        else:
            joined[key] = value
    return joined


def flattened(values: Any, prefix: str = "", depth: int = 0) -> list[str]:
    """The dotted names of every value that is not a table or an array, as ``origins`` of ``config/read`` name them."""
    if isinstance(values, dict):
        inner: Iterable[tuple[str, Any]] = values.items()
    elif isinstance(values, list):
        inner = ((str(index), value) for index, value in enumerate(values))
    else:
        return [prefix]
    if depth >= MAX_DEPTH:
        return []
    names: list[str] = []
    for key, value in inner:
        names += flattened(value, f"{prefix}.{key}" if prefix else key, depth + 1)
    return names


def deeper(values: Any, most: int) -> bool:
    """Whether tables and arrays are nested deeper than ``most``: dotted keys nest without any end."""
    level = [values]
    for _ in range(most):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def place_of(text: str, names: Sequence[str]) -> str:
    """``line:column`` of a value in a TOML text, as errors name it; empty where no line begins with its name.

    Args:
        text: The text.
        names: The names that lead to the value. One within a value that stands in one line is at that value's place.
    """
    table: tuple[str, ...] | None = ()
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith("["):
            table = _header(line)
        elif table is not None and table == tuple(names[: len(table)]) and len(names) > len(table):
            quoted = re.escape(names[len(table)])
            found = re.match(rf"""\s*(["']?){quoted}\1\s*=\s*""", line)
            if found is not None:
                return f"{number}:{found.end() + 1}"
    return ""


def _header(line: str) -> tuple[str, ...] | None:
    """The names of a table that begins with a line; None where none does."""
    import tomllib

    names: list[str] = []
    try:
        table: Any = tomllib.loads(line)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
    while isinstance(table, dict) and table:
        ((name, table),) = table.items()
        names.append(name)
    return tuple(names)
