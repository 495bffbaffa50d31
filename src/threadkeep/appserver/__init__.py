"""The app-server: Codex's own clients work against threads that threadkeep keeps. Layer 7, a face of the store."""

from __future__ import annotations

TYPE_CHECKING = False  # as `typing` has it, which the start of the process has no time for
if TYPE_CHECKING:
    from typing import Any, Final

    from threadkeep.appserver._outbox import Outbox
    from threadkeep.appserver._server import Server

__all__ = ["Outbox", "Server"]

_HOMES: Final = {"Outbox": "threadkeep.appserver._outbox", "Server": "threadkeep.appserver._server"}


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for: `initialize` is answered before any of this is needed."""
    if name not in _HOMES:
        raise AttributeError(name)
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
