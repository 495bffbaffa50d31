"""What the measurements of libraries say."""

from __future__ import annotations

from typing import Literal

import msgspec

from threadkeep.bench._bench import Machine

__all__ = ["Outcome", "PeerReport", "PeerRow", "PeerStep", "PeersReport"]

Outcome = Literal["measured", "cannot", "stopped", "wrong", "failed"]
"""``cannot``: the library has no such operation; ``stopped``: the limit was over before it ended once; ``wrong``: it
answered something else than what was stored; ``failed``: it raised an error, or its process died."""


class PeerStep(msgspec.Struct):
    """One operation on one conversation.

    Attributes:
        name: The operation.
        outcome: What became of it.
        ms: Milliseconds, the median of the runs; None where there is no whole run.
        ms_min: The quickest run.
        runs: How many there were.
        bytes: What it is about in bytes, where it is about bytes.
        why: Why it was not measured, or what was wrong; for what was measured, what is to be known of the figure.
    """

    name: str
    outcome: Outcome = "measured"
    ms: float | None = None
    ms_min: float | None = None
    runs: int = 0
    bytes: int | None = None
    why: str = ""


class PeerRow(msgspec.Struct):
    """A library on a conversation of one length.

    Attributes:
        turns: Turns that the conversation had.
        steps: What was measured, in order.
    """

    turns: int
    steps: list[PeerStep]

    def step(self, name: str) -> PeerStep | None:
        """One of the steps; None where it was not reached."""
        return next((step for step in self.steps if step.name == name), None)


class PeerReport(msgspec.Struct):
    """A library.

    Attributes:
        name: Its name.
        title: Its name for people.
        version: Its version; empty for threadkeep, whose version the machine has, and the floor.
        how: How it is driven.
        durable: Whether what was appended is on the disk when the call returns, and how.
        skipped: Why it was not measured; None where it was.
        rows: What was measured.
    """

    name: str
    title: str
    version: str
    how: str
    durable: str
    skipped: str | None
    rows: list[PeerRow]


class PeersReport(msgspec.Struct):
    """What was measured.

    Attributes:
        machine: Where.
        turn_bytes: Characters of the four messages of a turn.
        limit_seconds: How long a step may take.
        runs: Runs of each step, as far as the limit allows.
        peers: The libraries.
    """

    machine: Machine
    turn_bytes: int
    limit_seconds: float
    runs: int
    peers: list[PeerReport]

    def told(self, outcome: Outcome) -> list[str]:
        """Sentences on the steps that came out so."""
        return [
            f"{peer.title}, {row.turns:,} turns, {step.name}: {step.why}"
            for peer in self.peers
            for row in peer.rows
            for step in row.steps
            if step.outcome == outcome
        ]
