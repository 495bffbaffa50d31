"""What is written stays true of the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import threadkeep

ROOT = Path(__file__).resolve().parent.parent


def test_the_library_reference_is_in_step() -> None:
    made = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "api-reference")], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert (ROOT / "docs" / "api.md").read_text() == made, "run: scripts/api-reference > docs/api.md"


def test_every_public_name_is_there_and_says_what_it_is() -> None:
    for name in threadkeep.__all__:
        thing = getattr(threadkeep, name)
        if isinstance(thing, type):
            assert (thing.__doc__ or "").strip(), name
            for member, value in vars(thing).items():
                if not member.startswith("_") and callable(value) and not name.endswith("Backend"):
                    assert (value.__doc__ or "").strip(), f"{name}.{member}"
    assert len(set(threadkeep.__all__)) == len(threadkeep.__all__)
    with pytest.raises(AttributeError, match="no attribute"):
        threadkeep.nothing  # noqa: B018


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, threadkeep; print(sorted({'msgspec', 'sqlite3', 'click', 'asyncio'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    "page",
    [*sorted(ROOT.glob("docs/*.md")), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md"))],
    ids=lambda p: p.name,
)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if "://" not in link:
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_the_ten_lines_of_the_readme_run(tmp_path: Path) -> None:
    code, with_the_sdk = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    compile(with_the_sdk, "README.md", "exec")  # tests/codex/test_sdk.py runs it
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len([line for line in code.splitlines() if line.strip()]) <= 14
