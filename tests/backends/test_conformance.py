"""The backends that ship with threadkeep pass the cases that every backend must pass."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from threadkeep.backends import Backend, MemoryBackend, RolloutRef
from threadkeep.backends.local import LocalBackend
from threadkeep.testing import BackendConformance, StoreConformance

if TYPE_CHECKING:
    from pathlib import Path


class TestLocalBackend(BackendConformance):
    def new_backend(self, folder: Path) -> Backend:
        return LocalBackend(str(folder / "home"))

    def again(self, backend: Backend) -> Backend:
        return LocalBackend(backend.name)

    def cut(self, backend: Backend, ref: RolloutRef, size: int) -> None:
        os.truncate(os.path.join(backend.name, ref.location), size)


class TestLocalBackendThroughALink(TestLocalBackend):
    """Symlinked ``sessions`` folders are the user's right."""

    def new_backend(self, folder: Path) -> Backend:
        (folder / "elsewhere").mkdir()
        (folder / "home").mkdir()
        (folder / "home" / "sessions").symlink_to(folder / "elsewhere")
        return LocalBackend(str(folder / "home"))


class TestMemoryBackend(BackendConformance):
    def new_backend(self, folder: Path) -> Backend:
        return MemoryBackend()

    def cut(self, backend: Backend, ref: RolloutRef, size: int) -> None:
        assert isinstance(backend, MemoryBackend)
        del backend.data_of(ref)[size:]


class TestLocalStore(StoreConformance):
    def new_backend(self, folder: Path) -> Backend:
        return LocalBackend(str(folder / "home"))


class TestMemoryStore(StoreConformance):
    def new_backend(self, folder: Path) -> Backend:
        return MemoryBackend()
