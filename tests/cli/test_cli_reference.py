"""``docs/cli.md`` says what the commands are."""

from __future__ import annotations

from pathlib import Path

from threadkeep.cli._main import COMMANDS
from threadkeep.cli._reference import _ANSWERS, reference

DOCUMENT = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_document_is_in_step_with_the_commands() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == reference(), "python -m threadkeep.cli._reference > docs/cli.md"


def test_every_command_is_in_it_with_its_answer() -> None:
    text = reference()
    assert all(f"\n## threadkeep {name}\n" in text for name in COMMANDS)
    assert set(COMMANDS) - set(_ANSWERS) <= {"demo", "bench"}
