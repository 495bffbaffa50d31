"""What `ThreadStore.verify` answers."""

from __future__ import annotations

import msgspec

from threadkeep.records import Cost, Damage

__all__ = ["Check", "Verification"]


class Check(msgspec.Struct):
    """One comparison of `ThreadStore.verify`.

    Attributes:
        name: What was compared: ``context``, ``settings``, ``usage``, ``metadata``, ``turns``, ``items``,
            ``cursors``, ``inheritance``.
        ok: Whether fast equals full.
        compared: How many things were compared.
        difference: The first difference, for people; None where there is none.
    """

    name: str
    ok: bool
    compared: int
    difference: str | None = None


class Verification(msgspec.Struct):
    """What `ThreadStore.verify` found of one thread.

    Attributes:
        thread_id: The thread.
        checks: The comparisons, in a fixed order.
        damage: What is wrong with the rollouts of its lineage.
        problem: Why the thread could not be verified at all; None where it could.
        cost: What it cost.
    """

    thread_id: str
    checks: list[Check]
    damage: list[Damage]
    problem: str | None
    cost: Cost

    @property
    def ok(self) -> bool:
        """Whether everything compared is equal and nothing that was recorded is lost."""
        return (
            self.problem is None
            and all(check.ok for check in self.checks)
            and not any(damage.severity == "error" for damage in self.damage)
        )
