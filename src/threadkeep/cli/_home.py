"""Which home a command works on."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # as `typing` has it, which the start of the app-server has no time for
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["find_home"]


def find_home(given: str | None, environ: Mapping[str, str]) -> str:
    """The folder of the home, which need not exist.

    ``--home``, else ``THREADKEEP_HOME``, else ``CODEX_HOME``, else ``~/.codex`` where it exists, else a home of
    threadkeep's own in the user's data folder. An empty variable counts as one that is not set; a relative
    ``XDG_DATA_HOME`` is ignored, as the XDG base directory specification asks.
    """
    named = given or environ.get("THREADKEEP_HOME") or environ.get("CODEX_HOME")
    if named:
        return os.path.abspath(os.path.expanduser(named))
    codex = os.path.expanduser("~/.codex")
    if os.path.isdir(codex):
        return codex
    data = environ.get("XDG_DATA_HOME", "")
    if not os.path.isabs(data):
        data = os.path.expanduser("~/.local/share")
    return os.path.join(data, "threadkeep")
