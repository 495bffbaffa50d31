"""Deliberately broken builds: each must be seen by the test that guards against it.

``python -m tests.faults.mutations`` breaks a copy of the source in one place at a time, runs the named test on it, and
says which were caught. A mutation that nobody catches is a hole in the tests.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Final

import msgspec
from tests.faults.mutation_list import MUTATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.mutation_list import Mutation

__all__ = ["ROOT", "Result", "tried"]

ROOT: Final = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_SECONDS: Final = 900
_COPIED: Final = ("src", "tests", "pyproject.toml")


class Result(msgspec.Struct):
    """What became of one mutation.

    Attributes:
        name: What was broken.
        test: The test that must see it.
        caught: Whether it failed, as it must.
        last: The last line that the run said.
    """

    name: str
    test: str
    caught: bool
    last: str


def tried(mutation: Mutation) -> Result:
    """Run a mutation's test on a copy of the source that has the mutation.

    Raises:
        ValueError: The text that is to be replaced does not stand there exactly once.
    """
    with tempfile.TemporaryDirectory(prefix="threadkeep-mutation-") as folder:
        for name in _COPIED:
            source, target = os.path.join(ROOT, name), os.path.join(folder, name)
            if os.path.isdir(source):
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, target)
        _broken(folder, mutation)
        status, said = _run(folder, mutation.test)
    # 1: tests failed. Anything else is no verdict: nothing was collected, pytest itself broke, or it never ended.
    return Result(mutation.name, mutation.test, status == 1, said)


def _run(folder: str, test: str) -> tuple[int | None, str]:
    """How pytest ended, and the last line that it said; what it had started is ended with it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", test],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.path.join(folder, "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            lines = process.communicate(timeout=_SECONDS)[0].strip().splitlines() or ["nothing"]
        except subprocess.TimeoutExpired:
            return None, "ran out of time"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, lines[-1]


def _broken(folder: str, mutation: Mutation) -> None:
    path = os.path.join(folder, mutation.path)
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if text.count(mutation.old) != 1:
        raise ValueError(f"{mutation.path} holds {text.count(mutation.old)} times what {mutation.name!r} replaces")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(mutation.old, mutation.new))


def _tell(line: str) -> None:
    """Print it now: what was tried stands there, whatever becomes of the rest."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.mutations", description=__doc__)
    parser.add_argument("--only", default="", help="only those whose name holds this text")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results = []
    if not given.json:
        _tell("| broken | caught by | |\n| --- | --- | --- |")
    for mutation in MUTATIONS:
        if given.only in mutation.name:
            if sys.stderr.isatty():
                sys.stderr.write(f"{mutation.name}\n")
            result = tried(mutation)
            results.append(result)
            if not given.json:
                verdict = "caught" if result.caught else f"NOT CAUGHT: {result.last}"
                _tell(f"| {result.name} | `{result.test}` | {verdict} |")
    if given.json:
        _tell(msgspec.json.encode(results).decode())
    return 0 if results and all(result.caught for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
