"""Pins: a second name for a base's file, so that its bytes stay for a child whatever others do to the first one.

``threadkeep/pins/<base>/<child>.<end>.<digest>.jsonl``: everything that is known of a pin stands in its name. A link
alone is no snapshot, since the base grows in place: link, end and digest together are.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from threadkeep.backends._protocol import Pin
from threadkeep.backends.local._layout import OWN_FOLDER
from threadkeep.errors import StorageFailure
from threadkeep.ids import is_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from threadkeep.backends._protocol import RolloutRef
    from threadkeep.backends.local._aside import Aside
    from threadkeep.backends.local._files import Files
    from threadkeep.backends.local._folders import Folders

__all__ = ["PinFolder"]

_FOLDER: Final = f"{OWN_FOLDER}/pins"
_PARTS: Final = 3


class PinFolder:
    """The pins of a home."""

    def __init__(self, files: Files, folders: Folders, aside: Aside, home: str) -> None:
        self._files = files
        self._folders = folders
        self._aside = aside
        self._home = home

    def add(self, child: str, ref: RolloutRef, end: int, digest: str) -> bool:
        """Pin a rollout's bytes for a child; False where the file system has no links, or refuses this one."""
        pins = os.path.join(self._home, _FOLDER)
        folder = os.path.join(pins, ref.rollout_id)
        name = _name(child, end, digest, compressed=ref.compressed)
        try:
            self._folders.make(pins, durable=True)
            self._files.make_folders(folder)
            self._files.sync_folder(pins)  # every time: the folder goes with its last pin, and its number comes again
            with contextlib.suppress(FileExistsError):
                self._files.link(os.path.join(self._home, ref.location), os.path.join(folder, name))
            self._files.sync_folder(folder)
        except OSError:
            with contextlib.suppress(OSError):
                self._files.rmdir(folder)  # only where it is empty
            return False
        return True

    def all(self) -> Iterator[Pin]:
        """Every pin.

        Raises:
            StorageFailure: The folders cannot be read.
        """
        for base in self._listed(_FOLDER):
            yield from self.of(base)

    def of(self, base: str) -> list[Pin]:
        """The pins of one rollout; none for what is no id.

        Raises:
            StorageFailure: The folder cannot be read.
        """
        if not is_id(base):  # it comes from a record, and must not lead anywhere
            return []
        found = (_parsed(base, name) for name in self._listed(f"{_FOLDER}/{base}"))
        return sorted((pin for pin in found if pin is not None), key=lambda pin: pin.location)

    def _listed(self, folder: str) -> list[str]:
        path = os.path.join(self._home, folder)
        try:
            return [entry.name for entry in self._files.scandir(path)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise StorageFailure(f"cannot list the pins: {error.strerror}", path=path) from error

    def size(self, pin: Pin) -> tuple[str, int] | None:
        """Identity and size of a pin's file; None where it is gone."""
        try:
            facts = self._files.stat(os.path.join(self._home, pin.location))
        except OSError:
            return None
        return f"{facts.st_dev}:{facts.st_ino}", facts.st_size

    def rewrite(self, pin: Pin, pieces: Iterable[bytes], digest: str) -> Pin:
        """Put new bytes in the place of a pin's.

        Raises:
            StorageFailure: The system refused; the pin holds either the old bytes or the new ones.
        """
        name = _name(pin.child, pin.end, digest, compressed=False)
        fresh = Pin(pin.child, pin.base, pin.end, digest, f"{_FOLDER}/{pin.base}/{name}")
        path = os.path.join(self._home, fresh.location)
        try:
            self._aside.replace(path, pieces)
        except OSError as error:
            raise StorageFailure(f"replacing the pin failed: {error.strerror}", rollout=pin.base, path=path) from error
        if fresh.location != pin.location:
            self.remove(pin)
        return fresh

    def remove(self, pin: Pin) -> None:
        """Remove a pin, and the base's folder with the last one.

        Raises:
            StorageFailure: The system refused.
        """
        path = os.path.join(self._home, pin.location)
        try:
            self._files.unlink(path)
            self._files.sync_folder(os.path.dirname(path))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise StorageFailure(
                f"letting go of the pin failed: {error.strerror}", rollout=pin.base, path=path
            ) from error
        with contextlib.suppress(OSError):
            self._files.rmdir(os.path.dirname(path))


def _name(child: str, end: int, digest: str, *, compressed: bool) -> str:
    return f"{child}.{end}.{digest}.jsonl" + (".zst" if compressed else "")


def _parsed(base: str, name: str) -> Pin | None:
    compressed = name.endswith(".jsonl.zst")
    if not compressed and not name.endswith(".jsonl"):
        return None
    parts = name.removesuffix(".zst").removesuffix(".jsonl").split(".")
    if len(parts) != _PARTS:
        return None
    child, end, digest = parts
    if not (is_id(child) and end.isascii() and end.isdecimal()):
        return None
    return Pin(child, base, int(end), digest, f"{_FOLDER}/{base}/{name}", compressed)
