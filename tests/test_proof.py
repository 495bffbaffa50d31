"""The commands of the long proof (`scripts/proof`) are ones that exist: nobody runs it for hours to find that out."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent

PARTS: Final = dict(
    re.findall(r"^part (\S+) (.*)$", (ROOT / "scripts/proof").read_text().replace("\\\n ", ""), re.MULTILINE)
)


@pytest.mark.parametrize("name", PARTS)
def test_a_part_of_the_proof_names_a_command_and_options_that_it_has(name: str) -> None:
    module, *words = PARTS[name].partition(" -m ")[2].split()
    options = [word for word in words if word.startswith("--")]
    commands = words[: words.index(options[0])] if options else words
    asked = [sys.executable, "-m", module, *(commands if module == "threadkeep" else ()), "--help"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    for option in options:
        assert f"{option} " in done.stdout or f"{option}=" in done.stdout, f"{module} has no {option}"
    for path in (word for word in words if word.startswith("tests/")):
        assert (ROOT / path).is_file(), path


def test_a_part_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / "scripts/proof", tmp_path / "proof", "faluts"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "no part faluts" in done.stderr
    for name in PARTS:
        assert f" {name} " in done.stderr
