r"""Makes ``tests/fixtures/rollouts``: rollouts that real Codex binaries wrote, and how 0.169.0 reads them.

Run it from the root of the repository, on a machine with git::

    THREADKEEP_CODEX_BINARIES=/path/to/binaries python -m tests.codex.make_fixtures \
        [--only TEXT] [--keep FOLDER] [--out FOLDER]

``THREADKEEP_CODEX_BINARIES`` names a folder with one executable ``codex-VERSION`` per version of
:data:`tests.codex.scenarios.SCENARIOS` (a link to the binary inside the npm package ``@openai/codex@VERSION`` will
do) and ``codex-0.169.0``, which reads them all. Versions that are not there are skipped and named. ``--only`` runs the
scenarios whose ``VERSION/NAME`` contains the text (several times: any of them); ``--keep`` leaves what the
binaries wrote, unscrubbed, in a folder; never commit that. ``--out`` writes elsewhere, and the runs too that are not
part of the repository.

Nothing leaves the machine: the model is :mod:`tests.codex.mock_responses` on loopback. What is written for each
scenario is ``VERSION/NAME/`` with ``sessions/``, ``archived_sessions/`` and ``session_index.jsonl`` as in a Codex home
and ``expected.json`` (:mod:`tests.codex.recorder`), scrubbed by :mod:`tests.codex.scrub`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.codex.mock_responses import MockResponses
from tests.codex.recorder import record_expected
from tests.codex.scenarios import SCENARIOS, Lab, Run, Scenario
from tests.codex.scrub import HOME, Scrubber, encode, rollout_files, scrub_home

BINARIES: Final = "THREADKEEP_CODEX_BINARIES"
"""The environment variable that names the folder of the binaries."""

READER: Final = "0.169.0"
"""The version whose answers are recorded."""

FIXTURES: Final = Path(__file__).parent.parent / "fixtures" / "rollouts"
"""Where the fixtures are."""


def binary(version: str) -> Path | None:
    """The binary of a version, or None when the folder has none. Raises SystemExit when no folder is named."""
    folder = os.environ.get(BINARIES)
    if folder is None:
        sys.exit(f"set {BINARIES} to a folder with codex-{READER} and the others")
    path = Path(folder).absolute() / f"codex-{version}"
    return path if path.exists() else None


def make(scenario: Scenario, run: Run, fixtures: Path, root: Path) -> str:
    """Run one scenario, write its fixture below ``fixtures`` and return a line about it."""
    writer, reader = binary(run.version), binary(READER)
    if writer is None or reader is None:
        return f"skipped: no codex-{run.version if writer is None else READER}"
    target = fixtures / run.version / run.name
    shutil.rmtree(target, ignore_errors=True)
    with MockResponses() as mock:
        lab = Lab(run.version, writer, root / "written", mock)
        scenario.drive(lab, run.mode)
        scrubber = Scrubber(
            [(str(lab.home), f"{HOME}/.codex"), (str(lab.project), f"{HOME}/project"), (str(lab.root), HOME)]
        )
        scrubber.add_ours(lab.texts)
        scrubber.add_ours(mock.said)
    scrub_home(lab.home, target, scrubber)
    expected = record_expected(target, reader, root / "read", scrubber.ours)
    (target / "expected.json").write_text(dump(expected), encoding="utf-8")
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    return f"{len(rollout_files(target))} rollouts, {size} bytes"


def dump(expected: dict[str, object]) -> str:
    """An ``expected.json``: every array element and member of the upper levels on a line of its own."""

    def layout(value: object, depth: int) -> str:
        if depth == 0 or not value or not isinstance(value, dict | list):
            return encode(value).decode()
        if isinstance(value, list):
            return "[\n" + ",\n".join(layout(member, depth - 1) for member in value) + "\n]"
        return (
            "{\n"
            + ",\n".join(f"{json.dumps(key)}: {layout(member, depth - 1)}" for key, member in value.items())
            + "\n}"
        )

    return layout(expected, 5) + "\n"


def main() -> None:
    """Make the fixtures that the command line asks for."""
    parser = argparse.ArgumentParser(description="Make the rollout fixtures with real Codex binaries.")
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="part of VERSION/NAME")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave the unscrubbed homes here")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write here, and every run that works")
    options = parser.parse_args()
    fixtures: Path = options.out or FIXTURES
    failed = 0
    with tempfile.TemporaryDirectory(prefix="threadkeep-fixtures-") as folder:
        keep: Path = options.keep or Path(folder)
        for scenario, run in ((each, run) for each in SCENARIOS for run in each.runs()):
            label = f"{run.version}/{run.name}"
            if options.only and not any(text in label for text in options.only):
                continue
            if not run.committed and options.out is None:
                continue
            root = keep / run.version / run.name
            shutil.rmtree(root, ignore_errors=True)
            started = time.monotonic()
            try:
                result = make(scenario, run, fixtures, root)
            except Exception as error:  # noqa: BLE001 - one scenario that fails shall not lose the others
                result = f"FAILED: {type(error).__name__}: {error}"
                failed += 1
            print(f"{label}: {result}, {time.monotonic() - started:.1f} s", flush=True)  # noqa: T201
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
