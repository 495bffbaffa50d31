"""Damaged threads: what can be read is served, what cannot is named, nothing is made up, and it goes on from there.

The long form, which asks the real server about everything: ``python -m tests.faults.damage --codex PATH``.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Final

import pytest
from tests.codex.binary import find_codex
from tests.faults.damage import main, row
from tests.faults.damage_homes import recorded, written
from tests.faults.damage_kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.damage_homes import DamagedHome

SOME: Final = ("intact", "bad-first-line", "bad-middle-line", "invalid-utf8-middle", "truncated-last-turn")
"""What the real server is asked about in CI."""


@pytest.fixture(scope="module", params=["paginated", "legacy"])
def home(request: pytest.FixtureRequest) -> Iterator[DamagedHome]:
    with recorded(request.param) as made:
        yield made


@pytest.mark.parametrize("database", [True, False], ids=["with SQLite", "without"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_damage(home: DamagedHome, kind: str, database: bool) -> None:
    made = row(home, KINDS[kind], database=database)
    assert made.broken == []


def test_every_kind_changes_the_file(home: DamagedHome) -> None:
    for name, kind in KINDS.items():
        assert (kind.change(home.intact) == home.intact) == (name == "intact"), name


def test_the_rows_can_be_had_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--kind", "intact", "--json"]) == 0
    assert [made["kind"] for made in json.loads(capsys.readouterr().out)] == ["intact"] * 4


@pytest.mark.codex
@pytest.mark.parametrize("mode", ["paginated", "legacy"])
def test_beside_the_real_server(mode: str) -> None:
    """Whatever Codex serves of a damaged thread, threadkeep serves at least as many turns of it."""
    if shutil.which("bash") is None:
        pytest.skip("the mock's calls need a shell")
    with written(mode, find_codex()) as made:
        for name in SOME:
            asked = row(made, KINDS[name], database=True, codex=find_codex())
            assert asked.broken == [], name
            assert asked.codex is not None
            if asked.codex.read.isdecimal():
                assert int(asked.threadkeep.read) >= int(asked.codex.read), name
            if name == "intact":
                assert asked.codex.read == asked.threadkeep.read == asked.threadkeep.turns
            if name == "bad-first-line":
                assert not asked.codex.read.isdecimal()
