"""Files that appear whole or not at all: written beside their place, flushed, then given their name."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from threadkeep.backends.local._files import Files
    from threadkeep.ids import IdSource

__all__ = ["Aside"]

_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS, errno.EXDEV})
"""What a file system without hard links says."""


class Aside:
    """Writes whole files. Their temporary names begin with ``.threadkeep-`` and end with ``.tmp``.

    Args:
        files: The file system.
        ids: Makes the temporary names.
    """

    def __init__(self, files: Files, ids: IdSource) -> None:
        self._files = files
        self._ids = ids

    def create(
        self, path: str, pieces: Iterable[bytes], *, durable: bool, times: tuple[int, int] | None = None
    ) -> None:
        """Make a file that is not there yet; nothing is left of a failure.

        Args:
            path: Its name, in a folder that is there.
            pieces: What it holds.
            durable: Return when the file and its name survive a power cut.
            times: Access and modification time, nanoseconds; by default now.

        Raises:
            FileExistsError: It is there.
            OSError: The system refused.
        """
        aside = self._written(path, pieces, durable=durable, times=times)
        try:
            self._name(aside, path)
        except BaseException:
            self._drop(aside)
            raise
        try:
            self._settle(path, durable=durable)
        except BaseException:
            self._drop(path)  # it was refused, so nobody may find it
            raise

    def replace(self, path: str, pieces: Iterable[bytes]) -> None:
        """Put other bytes in the place of a file, or make it; on a failure it holds either the old ones or the new.

        Args:
            path: Its name, in a folder that is there.
            pieces: What it holds from then on, also after a power cut.

        Raises:
            OSError: The system refused.
        """
        aside = self._written(path, pieces, durable=True, times=None)
        try:
            self._files.rename(aside, path)
        except BaseException:
            self._drop(aside)
            raise
        self._settle(path, durable=True)

    def _written(self, path: str, pieces: Iterable[bytes], *, durable: bool, times: tuple[int, int] | None) -> str:
        """The name of a temporary file in the folder of ``path`` that holds ``pieces``."""
        aside = os.path.join(os.path.dirname(path), f".threadkeep-{self._ids.new()}.tmp")
        fd = self._files.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            try:
                for piece in pieces:
                    self._files.write_all(fd, piece)
                if times is not None:
                    self._files.utime(aside, times)
                if durable:
                    self._files.fsync(fd)
            finally:
                self._files.close(fd)
        except BaseException:
            self._drop(aside)
            raise
        return aside

    def _name(self, aside: str, path: str) -> None:
        """Give a temporary file its name, unless somebody has it."""
        try:
            self._files.link(aside, path)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if self._files.exists(path):  # without links: ids are unique, so that nobody else wants the name meanwhile
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from None
            self._files.rename(aside, path)
            return
        self._drop(aside)

    def _settle(self, path: str, *, durable: bool) -> None:
        if durable:
            self._files.sync_folder(os.path.dirname(path))

    def _drop(self, path: str) -> None:
        """Remove a name that nobody needs; one that the system will not let go of is left for ``doctor``."""
        for _ in range(2):
            try:
                self._files.unlink(path)
            except FileNotFoundError:
                return
            except OSError:
                continue
            return
