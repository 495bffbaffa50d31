"""The official Python SDK sees the same of threadkeep as of the real Codex."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.codex.binary import REPOSITORY
from tests.codex.client import clean_environment, write_config
from tests.codex.mock_responses import MockResponses
from tests.codex.transcripts import members

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.codex, pytest.mark.slow]

SDK: Final = "0.163.0"
"""The release of ``openai-codex`` that ``scripts/install-codex`` installs."""

RUNS: Final = 3

EXPLAINED: Final = {
    r"\.forkedFromId: expected null, got ": "fork-facts",
    r'\.preview: expected "", got ': "fork-facts",
    r"list in another process.*\.(preview|reasoningEffort): ": "fork-facts",
}
"""Differences that are known: a pattern for the line that tells of one, and its id in the table of divergences."""


def drive(command: tuple[str, ...], root: Path) -> dict[str, Any]:
    """What :mod:`tests.codex.sdk_script` sees of the server that ``command`` starts: numbered step to value."""
    home, project = root / ".codex", root / "project"
    project.mkdir(parents=True)
    script = [sys.executable, "-m", "tests.codex.sdk_script", str(home), str(project), str(root), "--", *command]
    with MockResponses(toolless_summaries=False) as model:
        write_config(home, model.base_url)
        done = subprocess.run(
            script, cwd=REPOSITORY, env=clean_environment(home), capture_output=True, timeout=280, check=False
        )
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    return {f"{number}. {step}": value for number, (step, value) in enumerate(json.loads(done.stdout))}


@pytest.fixture(scope="module", autouse=True)
def sdk() -> None:
    """The SDK, in the release that the comparison was made with; without it the tests are skipped, in CI they fail."""
    if importlib.util.find_spec("openai_codex") is not None:
        import openai_codex

        assert openai_codex.__version__ == SDK
        return
    missing = f"no openai-codex: run scripts/install-codex, which installs {SDK}"
    if os.environ.get("THREADKEEP_REQUIRE_CODEX") == "1" or os.environ.get("CI") == "true":
        pytest.fail(missing, pytrace=False)
    pytest.skip(missing)


def played(codex_bin: Path, root: Path) -> list[str]:
    """What the program sees otherwise of threadkeep than of the real one: a line each."""
    real = drive((str(codex_bin), "app-server", "--listen", "stdio://"), root / "real")
    ours = drive((sys.executable, "-m", "threadkeep", "app-server", "--listen", "stdio://"), root / "ours")
    assert len(real) > 80, "the script has lost most of its steps"
    lines = [difference.line() for difference in members("", real, ours)]
    return [line for line in lines if not any(re.search(pattern, line) for pattern in EXPLAINED)]


def test_a_program_of_the_official_sdk_cannot_tell_threadkeep_from_codex(codex_bin: Path, tmp_path: Path) -> None:
    """Two runs of the real one differ at times in the order of what it tells: a difference must come every time."""
    found = played(codex_bin, tmp_path / "0")
    for again in range(1, RUNS):
        if found:
            found = played(codex_bin, tmp_path / str(again))
    assert not found, "\n".join(["", *found])


def test_the_program_of_the_readme_runs(tmp_path: Path) -> None:
    _, program = re.findall(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    scripts = os.path.dirname(sys.executable)
    with MockResponses(toolless_summaries=False) as model:
        write_config(tmp_path, model.base_url)
        environment = clean_environment(tmp_path, {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"})
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False, timeout=60
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "mock answer to: What is a rollout?\n"


def test_every_explained_difference_is_a_known_divergence() -> None:
    from threadkeep.appserver._manifest import DIVERGENCES

    assert set(EXPLAINED.values()) <= {each.id for each in DIVERGENCES}
