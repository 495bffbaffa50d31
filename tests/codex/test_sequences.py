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


_LISTS: Final = r"thread/(goal/get|(queue|attachment|backgroundTerminals)/list)"

ALLOWED: Final = (
    Allowed(
        "legacy-items",
        r".*-legacy",
        r'error thread/items/list: expected .*"thread/items/list is not supported yet"\}, got \(nothing\)$',
    ),
    Allowed("legacy-items", r".*-legacy", r'result thread/items/(list|read): expected \(nothing\), got \{"data": \['),
    Allowed(
        "legacy-items", r"(just_started|pages)-legacy", r"error thread/items/list \.code: expected -32601, got -32600$"
    ),
    Allowed(
        "legacy-items",
        r"pages-legacy",
        r'error thread/items/list \.message: expected "thread/items/list is not supported yet", got "invalid cursor: ',
    ),
    Allowed(
        "legacy-items",
        r"just_started-legacy",
        r'error thread/items/list \.message: expected "thread/items/list is not supported yet", got '
        r'"thread thread-8 is not materialized yet; ',
    ),
    Allowed(
        "legacy-items",
        r"items_by_id-legacy",
        r'error thread/items/read: expected \(nothing\), got .*"message": "itemIds must contain 1 to 100 IDs"\}$',
    ),
    Allowed(
        "legacy-revert",
        r"reverts-legacy",
        r'error thread/revert: expected .*"thread/revert only supports paginated threads"\}, got \(nothing\)$',
    ),
    Allowed(
        "legacy-revert",
        r"reverts-legacy",
        r'error thread/revert \.message: expected "thread/revert only supports paginated threads", got "turn not found',
    ),
    Allowed(
        "legacy-revert",
        r"reverts-legacy",
        r"(result thread/revert|notification thread/(reverted|goal/cleared|readState/changed|status/changed)): "
        r"expected \(nothing\), got \{",
    ),
    Allowed(
        "legacy-forks",
        r".*-legacy",
        r"(result thread/(fork|read|resume)|notification thread/started) \.thread\.historyMode: "
        r'expected "legacy", got "paginated"$',
    ),
    Allowed(
        "legacy-forks",
        r"(forks|watchers)-legacy",
        r'result thread/resume \.(items|turns)BackwardsCursor: expected null, got "<cursor>"$',
    ),
    Allowed(
        "legacy-forks",
        r"(deletions|fork_of_a_running_thread|forks|two_processes)-legacy",
        r'result thread/turns/list \.data\[[01]\]\.items\[\d+\]\.id: expected "<legacy item>", got "(item|msg)-\d+"$',
    ),
    Allowed(
        "legacy-forks",
        r"(deletions|fork_of_a_running_thread|forks|two_processes)-legacy",
        r"result thread/turns/list \.data\[[01]\]\.items\[\d+\]\.(startedAtMs|completedAtMs): "
        r'expected null, got "<time>"$',
    ),
    Allowed(
        "legacy-forks",
        r"forks-legacy",
        r'notification deprecationNotice: expected \(nothing\), got \{"summary": "<prose>", "details": null\}$',
    ),
    Allowed(
        "legacy-forks",
        r"forks-legacy",
        r'c #\d+\+ notification thread/tokenUsage/updated: expected \(nothing\), got \{"threadId": "thread-3", ',
    ),
    Allowed(
        "legacy-item-ids",
        r"(tools_of_the_client|compaction_by_itself)-legacy",
        r"result thread/turns/list \.data\[[1-5]\]\.items: expected \[",
    ),
    Allowed(
        "empty-parents",
        r"fork_of_a_new_thread-paginated",
        r'error thread/fork: expected .*"message": "no rollout found for thread id thread-1"\}, got \(nothing\)$',
    ),
    Allowed(
        "empty-parents",
        r"fork_of_a_new_thread-paginated",
        r'(result thread/fork|notification thread/started): expected \(nothing\), got \{"thread": \{"id": "thread-2", ',
    ),
    Allowed(
        "delete-parents",
        r"deletion_of_a_parent-paginated",
        r'error thread/delete: expected .*"cannot delete thread thread-1: forked history still references it"\}, got '
        r"\(nothing\)$",
    ),
    Allowed(
        "delete-parents",
        r"deletion_of_a_parent-paginated",
        r"(result thread/delete: expected \(nothing\), got \{\}|notification thread/deleted: expected \(nothing\), got "
        r'\{"threadId": "thread-1"\})$',
    ),
    Allowed(
        "fork-facts",
        r"(ephemeral_threads|forks)-.*",
        r'result thread/read \.thread\.preview: expected "", got "one \[\[usage:100\]\]"$',
    ),
    Allowed("fork-facts", r"forks-.*", r'result thread/read \.thread\.forkedFromId: expected null, got "thread-1"$'),
    Allowed("fork-facts", r"forks-.*", r'result thread/read \.thread\.name: expected null, got "a name"$'),
    Allowed("fork-facts", r"reverts-paginated", r'result thread/resume \.serviceTier: expected "default", got null$'),
    Allowed(
        "fork-facts",
        r"forks-paginated",
        r'c #\d+\+ notification thread/tokenUsage/updated: expected \(nothing\), got \{"threadId": "thread-3", ',
    ),
    Allowed(
        "cursors",
        r"pages-legacy",
        r'error thread/turns/list \.message: expected "invalid cursor: anchor turn is no longer present", got "invalid '
        r"cursor: ",
    ),
    Allowed(
        "fresh-threads",
        r"just_started-paginated",
        r"error thread/(read|turns/list|items/list) \.code: expected -32601, got -32600$",
    ),
    Allowed(
        "fresh-threads",
        r"just_started-paginated",
        r'error thread/(read|turns/list|items/list) \.message: expected "(list_turns|thread/items/list) is not '
        r'supported yet", got "thread thread-\d is not materialized yet; ',
    ),
    Allowed(
        "running-fork-summary",
        r"fork_of_a_running_thread-paginated",
        r"result thread/turns/list \.data\[1\]\.items: expected \[",
    ),
    Allowed(
        "given-history",
        r"start_from_a_history-.*",
        r'result thread/resume \.thread\.preview: expected "before", got ""$',
    ),
    Allowed(
        "search-snippets",
        r"searches-.*",
        r'result thread/search \.data\[\d\]\.snippet: expected "<environment_context> ',
    ),
    Allowed(
        "usage-turn",
        r"nobody_watches-paginated",
        r'notification thread/tokenUsage/updated \.turnId: expected "turn-1", got "turn-2"$',
    ),
    Allowed(
        "writer-owner",
        r"two_processes-.*",
        r"b #\d+ error thread/(resume|archive|delete) \.data: "
        r'expected \(nothing\), got \{"owner": "thread thread-1 already has an active writer: process \d+ ',
    ),
    Allowed(
        "refusals",
        r"catalogs-.*",
        r"error experimentalFeature/enablement/set \.(code: expected -32600, got -32601|message: expected \"Invalid "
        r'request: missing field `enablement`", got "`experimentalFeature/enablement/set` is not supported by '
        r'threadkeep")$',
    ),
    Allowed(
        "refusals",
        r"experimental_gate-.*",
        r'error memory/reset \.message: expected "Invalid request: invalid type: map, expected unit", got '
        r'"memory/reset requires experimentalApi capability"$',
    ),
    Allowed(
        "refusals",
        r"(ephemeral_threads|unknown_threads)-.*",
        r"error thread/timeline/list \.(code: expected -32600, got -32601|message: .*, got "
        r'"`thread/timeline/list` is not supported by threadkeep")$',
    ),
    Allowed(
        "empty-answers",
        r"catalogs-.*",
        r"result (skills/list \.data\[0\]\.skills|threadSection/list \.data): expected \[\{.*, got \[\]$",
    ),
    Allowed(
        "empty-answers",
        r"(experimental_gate|unknown_threads)-.*",
        rf'error {_LISTS}: expected .*"message": "(thread not found|invalid thread id|failed to read thread): .*, got '
        r"\(nothing\)$",
    ),
    Allowed(
        "empty-answers",
        r"(experimental_gate|unknown_threads)-.*",
        rf'result {_LISTS}: expected \(nothing\), got (\{{"goal": null\}}|\{{"data": \[\], "nextCursor": null\}})$',
    ),
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
