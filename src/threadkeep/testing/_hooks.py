"""What a backend under test must tell the cases, and what the cases share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from threadkeep.records import Cost

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from threadkeep.backends import Backend, RolloutRef

__all__ = ["Hooks", "add", "line", "read"]


class Hooks:
    """How a backend is made, opened again and damaged. Only `new_backend` must be overridden."""

    def new_backend(self, folder: Path) -> Backend:
        """An empty backend.

        Args:
            folder: A fresh temporary folder, for a backend that needs one.
        """
        raise NotImplementedError

    def again(self, backend: Backend) -> Backend | None:
        """What ``backend`` stored, opened once more beside it, as another process would; None where that cannot be."""
        del backend
        return None

    def cut(self, backend: Backend, ref: RolloutRef, size: int) -> None:
        """Cut a rollout to its first ``size`` bytes behind the backend's back."""
        del backend, ref, size
        pytest.skip("the backend does not say how a rollout is cut")

    @pytest.fixture
    def backend(self, tmp_path: Path) -> Iterator[Backend]:
        """An empty backend, closed after the case."""
        backend = self.new_backend(tmp_path)
        yield backend
        backend.close()

    @pytest.fixture
    def beside(self, backend: Backend) -> Iterator[Backend]:
        """A second opening of the same storage; the case is skipped where there can be none."""
        beside = self.again(backend)
        if beside is None:
            pytest.skip("the backend does not say how it is opened again")
        yield beside
        beside.close()


def line(number: int, size: int = 0) -> bytes:
    """A line that no other number gives, at least ``size`` bytes long."""
    return b'{"n":%d,"pad":"%s"}\n' % (number, b"x" * size)


def add(backend: Backend, data: bytes, thread_id: str | None = None) -> RolloutRef:
    """Create a rollout, of a new thread or as a further one of ``thread_id``."""
    rollout_id = backend.ids.new()
    return backend.create(thread_id or rollout_id, rollout_id, data, durability="fsync", kept=False)


def read(backend: Backend, ref: RolloutRef) -> bytes:
    """All bytes of a rollout."""
    source = backend.open(ref, Cost())
    try:
        return source.read(0, source.size)
    finally:
        source.close()
