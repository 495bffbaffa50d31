"""The commands of the long proof (`scripts/proof`) are ones that exist: nobody runs it for hours to find that out."""

from __future__ import annotations

import os
import re
import shutil
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


@pytest.mark.parametrize("name", PARTS)
def test_a_part_can_be_run_alone(name: str, tmp_path: Path) -> None:
    """In a copy, with a Python that only says what it was asked, and Codex asked for only where it takes part."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/proof", tmp_path / "scripts/proof")
    program(tmp_path / "scripts/install-codex", f"echo asked >> {tmp_path}/asked; echo {tmp_path}/codex")
    program(tmp_path / "codex", "echo codex-cli")
    program(tmp_path / "bin/python", 'echo "python $@"')
    asked = {
        **{key: value for key, value in os.environ.items() if key not in {"CODEX_BIN", "THREADKEEP_PEERS"}},
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "SEED": "7",
    }
    command = [str(tmp_path / "scripts/proof"), str(tmp_path / "proof"), name]
    done = subprocess.run(command, env=asked, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "proof").iterdir()] == [f"{name}.txt"]
    assert (tmp_path / f"proof/{name}.txt").read_text().startswith("python ")
    assert (tmp_path / "asked").exists() == ("$codex" in PARTS[name])


def program(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_part_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / "scripts/proof", tmp_path / "proof", "faluts"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "no part faluts" in done.stderr
    for name in PARTS:
        assert f" {name} " in done.stderr
