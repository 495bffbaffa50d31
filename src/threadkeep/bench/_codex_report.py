"""What the measurements beside the real Codex say."""

from __future__ import annotations

import msgspec

from threadkeep.bench._bench import Machine
from threadkeep.bench._spread import Spread

__all__ = ["CodexReport", "CodexRow", "CodexSide", "FailedCheck"]


class CodexSide(msgspec.Struct):
    """One scenario on one server.

    Attributes:
        total: Milliseconds from before the process was started until the answer was read.
        action: Milliseconds of the request that starts, resumes or forks.
        written: Bytes by which the files of the home grew, at most.
        peak_bytes: The most memory that the process had (VmHWM), in the median run; None where the system does not say.
        refused: What the server said, where it refused.
    """

    total: Spread
    action: Spread
    written: int
    peak_bytes: int | None
    refused: str | None


class CodexRow(msgspec.Struct):
    """One scenario on one home, on both servers.

    Attributes:
        home: Which home: `late`, `early`, `none`, ...
        title: What it is, for people.
        mode: History mode of its thread.
        size: Bytes of its rollouts.
        scenario: What was done: `new`, `resume --last`, ...
        pairs: How often, on each server.
        threadkeep: What threadkeep took.
        codex: What Codex took; None where there is none.
        ratio: How many times as long Codex took, pair by pair; None where one of them refused.
        ratio_action: The same, of the action alone.
    """

    home: str
    title: str
    mode: str
    size: int
    scenario: str
    pairs: int
    threadkeep: CodexSide
    codex: CodexSide | None
    ratio: Spread | None
    ratio_action: Spread | None


class FailedCheck(msgspec.Struct):
    """An answer that was wrong, was not Codex's, or could not be compared since Codex's could not be read.

    Attributes:
        home: Which home it was.
        scenario: What was done.
        pair: In which pair, from 1.
        seed: What the home was made by.
        what: In what they differ.
        path: The home, as it was before the pair: it is left standing.
    """

    home: str
    scenario: str
    pair: int
    seed: int
    what: str
    path: str


class CodexReport(msgspec.Struct):
    """What was measured.

    Attributes:
        machine: Where.
        codex: The version of Codex, as it says it; None where there is none.
        seed: What generated homes were made by.
        rows: Scenarios on homes.
        checked: Answers of threadkeep that were checked; with Codex, compared with its own.
        failed: Those that were wrong, and those of Codex that could not be read.
        skipped: What was not measured, and why.
    """

    machine: Machine
    codex: str | None
    seed: int
    rows: list[CodexRow]
    checked: int
    failed: list[FailedCheck]
    skipped: list[str]
