"""Handlers of one home, called without a server."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from threadkeep.appserver._config import Config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def ask(
    handler: Callable[[Any], Any],
    home: Path,
    text: str | None = None,
    *overrides: tuple[str, str],
    environ: dict[str, str] | None = None,
    **params: Any,
) -> Any:
    """What ``handler`` answers to ``params`` in a home whose ``config.toml`` is ``text``."""
    if text is not None:
        (home / "config.toml").write_text(text, encoding="utf-8")
    config = Config.load(str(home), overrides, cwd="/work", environ=environ or {})
    return handler(SimpleNamespace(server=SimpleNamespace(config=config), params=params))
