"""``docs/cli.md`` says what the commands are."""

from __future__ import annotations

import re
from pathlib import Path

from threadkeep.cli._bench import BENCHMARKS
from threadkeep.cli._main import COMMANDS
from threadkeep.cli._reference import _ANSWERS, reference

DOCUMENT = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_document_is_in_step_with_the_commands() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == reference(), "python -m threadkeep.cli._reference > docs/cli.md"


def test_every_command_is_in_it_with_its_answer() -> None:
    text = reference()
    names = [*COMMANDS, *(f"bench {name}" for name in BENCHMARKS)]
    assert all(f"\n## threadkeep {name}\n" in text for name in names)
    assert set(_ANSWERS) == set(names)


def test_every_object_that_it_links_to_is_in_it() -> None:
    text = reference()
    linked = re.findall(r"\]\(#(\w+)\)", text)
    titles = {title.lower() for title in re.findall(r"^### (\w+)$", text, re.MULTILINE)}
    assert linked
    assert set(linked) <= titles


def test_every_member_of_an_object_says_what_it_is() -> None:
    silent = {"GitInfo", "TokenUsageInfo", "TokenUsage"}  # their names say it
    tables = re.findall(r"^### (\w+)\n\n\| member.*\n\| ---.*\n((?:\|.*\n)+)", reference(), re.MULTILINE)
    assert len(tables) > 20
    for title, table in tables:
        assert title in silent or "|  |" not in table, title
