"""The cases that every backend must pass, for whoever writes one: `BackendConformance` and `StoreConformance`.

Subclass both in a test file of your own, say how an empty backend is made, and run pytest::

    from threadkeep.testing import BackendConformance, StoreConformance

    class TestMyBackend(BackendConformance):
        def new_backend(self, folder):  # an empty backend; folder is a fresh temporary one
            return MyBackend(folder / "threads.db")

        def again(self, backend):  # what was stored, opened a second time, as another process would
            return MyBackend(backend.path)

        def cut(self, backend, ref, size):  # somebody cuts a rollout behind the backend's back
            backend.damage(ref, size)

    class TestMyStore(StoreConformance):
        def new_backend(self, folder):
            return MyBackend(folder / "threads.db")

``again`` and ``cut`` may be left out: the cases that need them are skipped then. The cases use nothing but the
`threadkeep.backends.Backend` protocol. This package needs pytest; nothing else of threadkeep imports it.
"""

import pytest

pytest.register_assert_rewrite(
    "threadkeep.testing._keeping",
    "threadkeep.testing._reading",
    "threadkeep.testing._store",
    "threadkeep.testing._writing",
)

from threadkeep.testing._hooks import Hooks  # noqa: E402 - what fails in them is to be explained
from threadkeep.testing._keeping import KeepingCases  # noqa: E402
from threadkeep.testing._reading import ReadingCases  # noqa: E402
from threadkeep.testing._store import StoreConformance  # noqa: E402
from threadkeep.testing._writing import WritingCases  # noqa: E402

__all__ = ["BackendConformance", "Hooks", "StoreConformance"]


class BackendConformance(ReadingCases, WritingCases, KeepingCases):
    """Everything that the `threadkeep.backends.Backend` protocol promises."""
