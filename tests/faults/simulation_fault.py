"""What goes wrong on a simulated machine."""

from __future__ import annotations

from typing import Final

__all__ = ["Fault", "Killed"]


class Killed(BaseException):
    """The process is gone: nothing that it had to do is done."""


class Fault:
    """What goes wrong for a client: once, or from then on.

    Args:
        kind: ``EIO``, ``ENOSPC``, ``short`` (a write that takes a part), ``flush`` (a flush that fails and may lose),
            ``kill``, ``torn`` (killed in a write), ``power``.
        at: At its how many-th call that this can happen to.
        for_good: Whether it stays so.
    """

    def __init__(self, kind: str, at: int, *, for_good: bool) -> None:
        self.kind = kind
        self.left = at
        self.for_good = for_good
        self.struck = False

    _MEETS: Final = {
        "EIO": frozenset("open write pread fsync stat fstat link rename unlink mkdir scandir".split()),
        "ENOSPC": frozenset("open write link mkdir rename".split()),
        "short": frozenset({"write"}),
        "flush": frozenset({"fsync"}),
        "torn": frozenset({"write"}),
    }

    def strikes(self, call: str) -> bool:
        """Whether it happens to this call."""
        meets = self._MEETS.get(self.kind)
        if meets is not None and call not in meets:
            return False
        self.left -= 1
        struck = self.left == 0 or (self.left < 0 and self.for_good)
        self.struck = self.struck or struck
        return struck
