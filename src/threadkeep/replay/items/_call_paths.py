"""Paths as arguments of calls name them, seen from the folder that the call ran in."""

from __future__ import annotations

import ntpath
import re
from typing import Final
from urllib.parse import quote

from threadkeep.replay.items._paths import absolute_path

__all__ = ["path_in", "uri_of"]

_WINDOWS: Final = re.compile(r"[A-Za-z]:[\\/]|\\\\")


def path_in(folder: str | None, path: str) -> str:
    """``path``, absolute where it is or the folder is known; a relative path in no known folder stays as it is.

    The folder says which system's rules apply; without one the path does.
    """
    if _WINDOWS.match(folder or path):
        return ntpath.normpath(ntpath.join(folder or "", path))
    if path.startswith("/"):
        return absolute_path(path)
    if folder is not None and folder.startswith("/"):
        return absolute_path(f"{folder}/{path}")
    return path


def uri_of(path: str) -> str:
    """A path as the ``file:`` URI that newer records have in its place; a URI stays as it is."""
    if path[:5].lower() == "file:":
        return path
    if _WINDOWS.match(path):
        path = path.replace("\\", "/")
        return "file:" + quote(path if path.startswith("//") else f"///{path}", safe="/:")
    return "file://" + quote(path)
