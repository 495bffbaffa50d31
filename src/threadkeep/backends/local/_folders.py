"""The folders of a home: made when they are needed, their names on the disk before anything in them is acknowledged."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadkeep.backends.local._files import Files

__all__ = ["Folders"]


class Folders:
    """Makes folders of one home.

    That a folder is there does not say that its name is on the disk: another process may have made it a moment ago,
    or this one, just before a flush failed. So the folder above is flushed once in the life of a process, whoever
    made the folder.

    Args:
        files: The file system.
        home: The home's folder; what lies above it is the user's.
    """

    def __init__(self, files: Files, home: str) -> None:
        self._files = files
        self._home = home
        self._lock = threading.Lock()
        self._settled: dict[str, tuple[int, int]] = {}

    def make(self, path: str, *, durable: bool) -> None:
        """Make a folder at or below the home, and what is missing above it.

        Args:
            path: The folder.
            durable: Return when the folder's name survives a power cut.

        Raises:
            OSError: The system refused.
        """
        self._files.make_folders(path)
        if not durable:
            return
        with self._lock:
            assert os.path.commonpath((path, self._home)) == self._home, "only folders of the home are made"
            folder = path
            while True:
                facts = self._files.stat(folder)
                identity = (facts.st_dev, facts.st_ino)
                if self._settled.get(folder) != identity:
                    above = os.path.dirname(folder)
                    # What is above the home may be closed to its owner, who then did not make the home's name.
                    with contextlib.suppress(*([PermissionError] if folder == self._home else [])):
                        self._files.sync_folder(above)
                    self._settled[folder] = identity
                if folder == self._home:
                    return
                folder = os.path.dirname(folder)
