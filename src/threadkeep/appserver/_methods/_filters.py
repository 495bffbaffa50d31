"""Which threads a list shows, from the parameters of ``thread/list``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from threadkeep.store import ThreadFilter

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["chosen_threads"]

_INTERACTIVE: Final = frozenset({"cli", "vscode"})
"""The sources that a list shows where nobody names others (0.169.0 observed)."""


def chosen_threads(params: Mapping[str, Any]) -> ThreadFilter:
    """The filter that a client asks for."""
    kinds = params.get("sourceKinds")
    return ThreadFilter(
        archived=bool(params.get("archived")),
        cwd=params.get("cwd") if isinstance(params.get("cwd"), str) else None,
        sources=frozenset(kinds) if kinds else _INTERACTIVE,
        text=params.get("searchTerm"),
    )
