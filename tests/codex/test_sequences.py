"""Every request, notification and error of threadkeep's app-server is that of the real Codex, in the same order."""

from __future__ import annotations

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest
from tests.codex.replaying import Stage
from tests.codex.sequences import SEQUENCES, STAGES
from tests.codex.transcripts import Difference, Entry, compare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.codex.sequences import Sequence

pytestmark = [pytest.mark.codex, pytest.mark.slow]


@dataclass(frozen=True)
class Allowed:
    """Differences that are meant."""

    divergence: str
    """The id in ``threadkeep.appserver._manifest.DIVERGENCES`` that explains them."""
    sequences: str
    """A pattern for the names of the sequences, with their mode (``forks-legacy``)."""
    line: str
    """A pattern for what :meth:`tests.codex.transcripts.Difference.line` says."""


_PAGES: Final = r"(error|result) thread/(items/list|items/read|searchOccurrences|timeline/list)\b"
"""Answers that a legacy thread has none of in Codex."""

ALLOWED: Final = (
    Allowed("legacy-items", r".*-legacy", _PAGES),
    Allowed("legacy-revert", r"reverts-legacy", r""),
    Allowed("legacy-revert", r".*-legacy", r"(error|result) thread/revert\b"),
    Allowed("legacy-forks", r".*-legacy", r'\.historyMode: expected "legacy", got "paginated"'),
    Allowed("legacy-forks", r".*-legacy", r'sBackwardsCursor: expected null, got "<cursor>"'),
    Allowed("legacy-forks", r".*-legacy", r'\.items\[\d+\]\.id: expected "<legacy item>"'),
    Allowed("legacy-forks", r".*-legacy", r'\.items\[\d+\]\.(startedAtMs|completedAtMs): expected null, got "<time>"'),
    Allowed("legacy-forks", r"(forks|watchers)-legacy", r"notification deprecationNotice: expected \(nothing\)"),
    Allowed(
        "legacy-forks", r"(forks|watchers)-legacy", r"notification thread/tokenUsage/updated: expected \(nothing\)"
    ),
    Allowed("legacy-item-ids", r"(tools|compaction)_.*-legacy", r"result thread/turns/list \.data\[\d+\]\.items: "),
    Allowed("empty-parents", r"fork_of_a_new_thread-.*", r""),
    Allowed("delete-parents", r"deletion_of_a_parent-paginated", r""),
    Allowed("fork-facts", r".*", r'\.preview: expected "", got '),
    Allowed("fork-facts", r".*", r"\.forkedFromId: expected null, got "),
    Allowed("fork-facts", r"reverts-paginated", r'\.serviceTier: expected "default", got null'),
    Allowed("fork-facts", r"forks-paginated", r"c #\d+\+ notification thread/tokenUsage/updated: expected \(nothing\)"),
    Allowed("fork-facts", r"forks-.*", r"result thread/read \.thread\.name: expected null, got "),
    Allowed("cursors", r"pages-legacy", r"error thread/turns/list .*anchor turn is no longer present"),
    Allowed("fresh-threads", r"just_started-paginated", r"(error|result) thread/(read|turns/list|items/list)\b"),
    Allowed("running-fork-summary", r"fork_of_a_running_thread-paginated", r"result thread/turns/list "),
    Allowed("given-history", r"start_from_a_history-.*", r'\.preview: expected "before", got ""'),
    Allowed("search-snippets", r"searches-.*", r"result thread/search "),
    Allowed("usage-turn", r"nobody_watches-.*", r"notification thread/tokenUsage/updated \.turnId: "),
    Allowed("writer-owner", r"two_processes-.*", r'\.data: expected \(nothing\), got \{"owner"'),
    Allowed("refusals", r".*", r"(error|result) (memory/reset|experimentalFeature/enablement/set)\b"),
    Allowed("refusals", r".*", r"error thread/timeline/list\b"),
    Allowed(
        "empty-answers", r".*", r"(error|result) (account/rateLimits/read|threadSection/list|hooks/list|skills/list)\b"
    ),
    Allowed("empty-answers", r".*", r"(error|result) thread/(goal/get|(queue|attachment|backgroundTerminals)/list)\b"),
    Allowed("attached-threads", r"experimental_gate-.*", r"error thread/fork .*attachToSource"),
)
"""Every difference that is meant; everything else is a defect."""

PLAYS: Final = [(sequence, mode) for sequence in SEQUENCES for mode in sequence.modes]


class Theatre:
    """The servers of one command, one for each stage, started when they are first needed."""

    def __init__(self, command: tuple[str, ...], root: Path) -> None:
        self.command = command
        self.root = root
        self.stages: dict[str, Stage] = {}

    def play(self, sequence: Sequence, mode: str) -> dict[str, list[Entry]]:
        """Play one sequence on its stage."""
        if sequence.alone:
            with self._new(f"{sequence.name}-{mode}", sequence.stage) as stage:
                return stage.play(sequence.run, mode, tokens=sequence.tokens)
        if sequence.stage not in self.stages:
            self.stages[sequence.stage] = self._new(sequence.stage, sequence.stage).__enter__()
        return self.stages[sequence.stage].play(sequence.run, mode, tokens=sequence.tokens)

    def close(self) -> None:
        """End all servers."""
        for stage in self.stages.values():
            stage.__exit__(None, None, None)

    def _new(self, name: str, stage: str) -> Stage:
        setting = STAGES[stage]
        return Stage(self.command, self.root / name, listen=setting.listen, top=setting.top, change=setting.change)


@pytest.fixture(scope="module")
def theatres(codex_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Theatre, Theatre]]:
    """The real Codex, and threadkeep."""
    real = Theatre((str(codex_bin), "app-server"), tmp_path_factory.mktemp("real"))
    ours = Theatre((sys.executable, "-m", "threadkeep", "app-server"), tmp_path_factory.mktemp("ours"))
    try:
        yield real, ours
    finally:
        real.close()
        ours.close()


_AGAIN: Final = 2
"""How often a sequence that differs is played again, on servers of its own."""


def differing(theatres: tuple[Theatre, Theatre], sequence: Sequence, mode: str) -> list[Difference]:
    """What differs between the real Codex and threadkeep when both play a sequence, and is not meant to."""
    with ThreadPoolExecutor(2) as pool:
        real, ours = pool.map(lambda theatre: theatre.play(sequence, mode), theatres)
    assert "(the sequence)" not in real, f"the real Codex does not play this: {real['(the sequence)'][0].body}"
    differences = compare(real, ours, ordered=sequence.ordered)
    return [each for each in differences if not allowed(f"{sequence.name}-{mode}", each)]


@pytest.mark.parametrize(("sequence", "mode"), PLAYS, ids=[f"{sequence.name}-{mode}" for sequence, mode in PLAYS])
def test_a_client_cannot_tell_threadkeep_from_codex(
    theatres: tuple[Theatre, Theatre], sequence: Sequence, mode: str, tmp_path: Path
) -> None:
    found = differing(theatres, sequence, mode)
    for again in range(_AGAIN):
        if not found:
            break
        # Two runs of the real Codex differ, too, when its tasks meet in another order: what is meant differs always.
        fresh = [Theatre(theatre.command, tmp_path / f"{number}-{again}") for number, theatre in enumerate(theatres)]
        try:
            found = differing((fresh[0], fresh[1]), sequence, mode)
        finally:
            for theatre in fresh:
                theatre.close()
    assert not found, "\n".join(["", *(each.line() for each in found)])


def allowed(name: str, difference: Difference) -> bool:
    """Whether a difference in the sequence ``name`` is meant."""
    return any(re.fullmatch(each.sequences, name) and re.search(each.line, difference.line()) for each in ALLOWED)


def test_every_allowed_difference_is_a_known_divergence() -> None:
    from threadkeep.appserver._manifest import DIVERGENCES

    assert {each.divergence for each in ALLOWED} <= {each.id for each in DIVERGENCES}


def test_a_comparison_sees_what_is_missing_more_changed_or_moved() -> None:
    first = Entry("notification", "turn/started", {"turnId": "turn-1"})
    second = Entry("notification", "turn/completed", {"turnId": "turn-1"})
    assert compare({"a": [first, second]}, {"a": [first, second]}) == []
    for got in ([first], [first, second, second], [second, first], [first, Entry(second.kind, second.name, {})], []):
        assert compare({"a": [first, second]}, {"a": got})
    assert compare({"a": [first, second]}, {"a": [second, first]}, ordered=False) == []
    assert compare({}, {"a": [first]})
