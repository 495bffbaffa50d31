"""Every fault class has a broken build that a test sees; the list of them fits the source and is documented."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from tests.faults import mutations
from tests.faults.mutation_list import MUTATIONS
from tests.faults.mutations import ROOT, main, tried


def source(path: str) -> str:
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: f"{mutation.name}, {mutation.test}")
def test_a_mutation_fits_the_source_and_names_a_test(mutation: tuple[str, ...]) -> None:
    name, path, old, new, test = mutation
    assert source(path).count(old) == 1
    compile(source(path).replace(old, new), path, "exec")  # what is no Python fails every test, and proves nothing
    assert old != new
    file, _, function = test.partition("::")
    assert f"def {function.partition('[')[0]}(" in source(file)
    assert f"| {name} |" in source("docs/reliability.md")


@pytest.mark.parametrize("name", ["an append is not flushed", "the file is not compared with its path"])
def test_a_broken_build_is_caught(name: str) -> None:
    (mutation,) = (one for one in MUTATIONS if one.name == name)
    assert tried(mutation).caught


def test_a_build_that_is_not_broken_is_not_caught() -> None:
    mutation = next(one for one in MUTATIONS if one.name == "an append is not flushed")
    assert not tried(mutation._replace(new=mutation.old + "            # the same\n")).caught


def test_a_test_that_never_ends_is_a_row_beside_the_others(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    stuck = next(one for one in MUTATIONS if one.name == "an append is not flushed")._replace(name="stuck")
    caught = stuck._replace(name="caught", test=__file__)
    endless = textwrap.dedent("""
        import subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
        time.sleep(300)
    """)
    tables = []

    def run(command: list[str], **named: Any) -> subprocess.Popen[str]:
        tables.append(capfd.readouterr().out)
        code = endless if stuck.test in command else "import sys; sys.exit(1)"
        return popen([sys.executable, "-c", code], **named)

    popen = subprocess.Popen
    monkeypatch.setattr(mutations, "MUTATIONS", [stuck, caught])
    monkeypatch.setattr(mutations, "_SECONDS", 1)
    monkeypatch.setattr(subprocess, "Popen", run)
    assert main([]) == 1
    assert "| stuck |" not in tables[0]
    assert f"| stuck | `{stuck.test}` | NOT CAUGHT: ran out of time |" in tables[1], "a row is printed when it is known"
    assert "| caught |" in capfd.readouterr().out


def test_no_mutation_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "no such mutation"]) == 1
    assert "| broken |" in capsys.readouterr().out
