"""Whatever bytes stand in a home or come from a client: an answer or a clear error, in time, in bounds, in the home.

The long form of the same targets, guided by coverage: ``python -m tests.faults.fuzz``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.faults import fuzz
from tests.faults.fuzz_edits import edited
from tests.faults.fuzz_ground import BrokenPromise, _unchanged
from tests.faults.fuzz_targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.fuzz_edits import Edit

REGRESSIONS: Final = Path(__file__).parent / "regressions"
"""Inputs that broke a promise once, by target: what they broke stays mended."""

_NUMBERS = st.integers(0, (1 << 24) - 1)
_EDITS = st.lists(st.tuples(_NUMBERS, _NUMBERS, _NUMBERS, _NUMBERS), min_size=1, max_size=4)

_KEPT = sorted(path for path in REGRESSIONS.glob("*/*") if path.is_file())


def test_every_target_can_be_chosen() -> None:
    assert sorted(TARGETS) == sorted(fuzz._TARGETS)
    assert {path.parent.name for path in _KEPT} <= TARGETS.keys()


@pytest.mark.parametrize("path", _KEPT, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_broke_once_holds(path: Path) -> None:
    TARGETS[path.parent.name].run(path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_hard_inputs(name: str) -> None:
    for data in (*TARGETS[name].seeds(), *TARGETS[name].hard()):
        TARGETS[name].run(data)


@pytest.mark.parametrize("name", TARGETS)
def test_edited_inputs(name: str) -> None:
    target = TARGETS[name]
    seeds: Sequence[bytes] = list(target.seeds())
    tokens = list(target.tokens())

    @settings(
        max_examples=target.examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(st.integers(0, len(seeds) - 1), _EDITS)
    def holds(seed: int, edits: list[Edit]) -> None:
        target.run(edited(seeds[seed], edits, tokens, seeds))

    holds()


@pytest.mark.parametrize(
    ("place", "allowed"),
    [
        ("threadkeep", True),
        ("threadkeep/marks.jsonl", True),
        ("threadkeep/pins/a/b.jsonl", True),
        ("threadkeep/rollouts", False),
        ("threadkeep-other", False),
        ("sessions/x", False),
    ],
)
def test_what_reading_makes_is_noticed(place: str, allowed: bool) -> None:
    if allowed:
        _unchanged({}, {place: "made"})
    else:
        with pytest.raises(BrokenPromise, match="reading made"):
            _unchanged({}, {place: "made"})


def test_the_figures_can_be_had_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz.main(["--plain", "--seconds", "0.1", "--target", "ids", "--seed", "7", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["seed"] == 7
    assert [target["target"] for target in figures["targets"]] == ["ids"]


def test_a_target_that_got_no_input_proves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ids").mkdir()
    (tmp_path / "ids" / "outcome.json").write_text('{"inputs": 9, "broken": null, "kept": null}')  # of another run
    monkeypatch.setattr(sys, "executable", "/bin/true")
    outcome = fuzz._target("ids", 1.0, argparse.Namespace(seed=1, plain=True), str(tmp_path))
    assert outcome.inputs == 0
    assert "no input" in str(outcome.broken)


def test_each_input_counts_however_its_process_ends(tmp_path: Path) -> None:
    runner = fuzz._Runner("ids", str(tmp_path))
    runner(b"01a2")
    assert fuzz._noted(str(tmp_path)) == (1, None, None)
