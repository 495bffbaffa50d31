"""Fuzzing for as long as somebody likes: ``python -m tests.faults.fuzz --seconds 300``.

Each target runs in a process of its own, guided by the coverage of threadkeep's code (atheris, which instruments what
is imported), or by edits alone with ``--plain``. What breaks a promise is kept as a file and named.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from typing import TYPE_CHECKING, Final, NamedTuple, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Outcome", "main"]

_ROOT: Final = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

_HOW_TO_GET_IT: Final = """\
atheris is not installed for this Python: it is what guides the fuzzing by coverage (CPython 3.11 to 3.13, Linux).
  python3.11 -m venv fuzzing && fuzzing/bin/pip install -e . --group fuzz --group tests
  fuzzing/bin/python -m tests.faults.fuzz --seconds 300
Without it: --plain edits valid inputs, without looking at coverage."""

_MEMORY_BYTES: Final = 4 << 30
"""Address space that a target's process may have: beyond it an allocation fails, which breaks a promise."""

_SLACK_SECONDS: Final = 240

_NOTE: Final = "outcome.json"

_TARGETS: Final = (
    "records rollout appended lineage names zstd marks pins name-index read-states places ids catalog codex-state "
    "cursors messages config"
).split()


class Outcome(NamedTuple):
    """What came of one target.

    Attributes:
        target: Which.
        inputs: How many inputs it got.
        seconds: How long it ran.
        broken: What was broken, in a line; None where nothing was.
        kept: The input that broke it.
    """

    target: str
    inputs: int
    seconds: float
    broken: str | None
    kept: str | None


def _tell(text: str, stream: TextIO | None = None) -> None:
    print(text, file=stream or sys.stdout, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz, print a table, and return 1 where a promise was broken."""
    options = _options(arguments)
    if options.inside:
        return _inside(options)
    if not options.plain and not _has_atheris():
        _tell(_HOW_TO_GET_IT, sys.stderr)
        return 2
    folder = options.corpus or tempfile.mkdtemp(prefix="threadkeep-corpus-")
    _tell(f"seed {options.seed}, corpus and findings in {folder}", sys.stderr)
    targets = options.target or _TARGETS
    outcomes = [_target(target, options.seconds / len(targets), options, folder) for target in targets]
    figures = {"seed": options.seed, "targets": [outcome._asdict() for outcome in outcomes]}
    _tell(json.dumps(figures) if options.json else _table(outcomes))
    broken = [outcome for outcome in outcomes if outcome.broken is not None]
    for outcome in broken:
        again = f"\n  again: {_again(outcome)}" if outcome.kept else ""
        _tell(f"{outcome.target}: {outcome.broken}{again}", sys.stderr)
    if not broken and not options.corpus:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if broken else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0, help="for all targets together")
    parser.add_argument("--target", action="append", choices=_TARGETS, help="only this one; may be repeated")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(31))
    parser.add_argument("--corpus", help="where inputs are kept from run to run")
    parser.add_argument("--plain", action="store_true", help="edits alone, without atheris")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--input", help="run one kept input of --target, and say what it breaks")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.input is not None:
        options.inside = True
    return options


def _has_atheris() -> bool:
    import importlib.util

    return importlib.util.find_spec("atheris") is not None


def _again(outcome: Outcome) -> str:
    return f"python -m tests.faults.fuzz --target {outcome.target} --input {outcome.kept}"


# A process for each target


def _target(target: str, seconds: float, options: argparse.Namespace, folder: str) -> Outcome:
    """Run a target in a process of its own: what kills it, kills nothing else."""
    place = os.path.join(folder, target)
    os.makedirs(place, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):  # what an earlier run noted is no outcome of this one
        os.unlink(os.path.join(place, _NOTE))
    command = [sys.executable, "-m", "tests.faults.fuzz", "--inside", "--target", target, "--corpus", place]
    command += ["--seconds", str(seconds), "--seed", str(options.seed), *(["--plain"] if options.plain else [])]
    log = os.path.join(folder, f"{target}.log")
    started = time.monotonic()
    with open(log, "wb") as file:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join((_ROOT, os.path.join(_ROOT, "src")))}
        process = subprocess.Popen(command, cwd=_ROOT, env=environment, stdout=file, stderr=file)
        try:
            code = process.wait(seconds + _SLACK_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            code = -9
    took = time.monotonic() - started
    inputs, broken, kept = _noted(place)
    if code != 0 and broken is None:
        broken = f"the process ended with {code}, see {log}"
        kept = os.path.join(place, "now")
    if not inputs and broken is None:
        broken = f"it got no input at all, see {log}"
    if sys.stderr.isatty():
        _tell(f"{target}: {inputs} inputs in {took:.0f} s{': ' + broken if broken else ''}", sys.stderr)
    return Outcome(target, inputs, round(took, 1), broken, kept)


def _noted(place: str) -> tuple[int, str | None, str | None]:
    try:
        with open(os.path.join(place, _NOTE), encoding="utf-8") as file:
            noted = json.load(file)
    except (OSError, ValueError):
        return 0, None, None
    return noted["inputs"], noted["broken"], noted["kept"]


def _table(outcomes: Sequence[Outcome]) -> str:
    lines = ["| target | inputs | seconds | broken promises |", "| --- | ---: | ---: | --- |"]
    lines += [
        f"| {outcome.target} | {outcome.inputs:,} | {outcome.seconds:.0f} | {outcome.broken or 'none'} |"
        for outcome in outcomes
    ]
    return "\n".join(lines)


# Inside of it


class _Runner:
    """Gives inputs to a target, counts them, and keeps the one that breaks a promise."""

    def __init__(self, target: str, place: str) -> None:
        from tests.faults.fuzz_targets import TARGETS

        self.target = TARGETS[target]
        self.place = place
        self.inputs = 0
        self.broken: str | None = None
        self.kept: str | None = None

    def __call__(self, data: bytes) -> None:
        self.inputs += 1
        with open(os.path.join(self.place, "now"), "wb") as file:
            file.write(data)
        try:
            self.target.run(data)
        except BaseException as error:
            traceback.print_exc()
            self.broken = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            self.kept = os.path.join(self.place, f"broken-{os.getpid()}-{self.inputs}")
            shutil.copyfile(os.path.join(self.place, "now"), self.kept)
            raise
        finally:
            self._note()

    def _note(self) -> None:
        """Write down how far it came, after each input: libFuzzer ends the process without a word to Python."""
        noted = {"inputs": self.inputs, "broken": self.broken, "kept": self.kept}
        with open(os.path.join(self.place, _NOTE), "w", encoding="utf-8") as file:
            json.dump(noted, file)


def _inside(options: argparse.Namespace) -> int:
    (target,) = options.target or [""]
    if options.input is not None:
        from tests.faults.fuzz_targets import TARGETS

        with open(options.input, "rb") as file:
            TARGETS[target].run(file.read())
        _tell("no promise was broken")
        return 0
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    if os.path.isdir("/dev/shm"):  # homes that live for milliseconds belong into memory
        tempfile.tempdir = "/dev/shm"
    return (_edits if options.plain else _guided)(target, options)


def _edits(target: str, options: argparse.Namespace) -> int:
    """Valid inputs, each edited a few times at random."""
    from tests.faults.fuzz_edits import edited

    runner = _Runner(target, options.corpus)
    chance = random.Random(options.seed)
    seeds, tokens = list(runner.target.seeds()), list(runner.target.tokens())
    deadline = time.monotonic() + options.seconds
    try:
        for seed in seeds:
            runner(seed)
        while time.monotonic() < deadline:
            runner(edited(chance.choice(seeds), _some(chance), tokens, seeds))
    except Exception:  # noqa: BLE001  # it is told and kept already
        return 1
    return 0


def _some(chance: random.Random) -> list[tuple[int, int, int, int]]:
    bits = chance.getrandbits
    return [(bits(24), bits(24), bits(24), bits(24)) for _ in range(chance.randint(1, 4))]


def _guided(target: str, options: argparse.Namespace) -> int:
    """Edits of what reached new code, by libFuzzer."""
    import atheris  # type: ignore[import-untyped]  # it has no types, and is not installed where types are checked

    with atheris.instrument_imports(include=["threadkeep"], enable_loader_override=False):
        runner = _Runner(target, options.corpus)
        _loaded()
    from tests.faults.fuzz_edits import edited

    seeds, tokens = list(runner.target.seeds()), list(runner.target.tokens())
    inputs = os.path.join(options.corpus, "inputs")
    os.makedirs(inputs, exist_ok=True)
    for number, seed in enumerate(seeds):
        with open(os.path.join(inputs, f"seed-{number}"), "wb") as file:
            file.write(seed)

    def edit(data: bytes, most: int, seed: int) -> bytes:
        return edited(data, _some(random.Random(seed)), tokens, seeds)[:most]

    started = [
        sys.argv[0],
        inputs,
        f"-max_total_time={max(1, int(options.seconds))}",
        f"-seed={options.seed}",
        f"-max_len={1 << 20}",
        f"-artifact_prefix={options.corpus}/",
        "-rss_limit_mb=0",
        "-timeout=1000000",  # each input has an alarm of its own; 0 would set off libFuzzer's after a second
        "-print_final_stats=1",
    ]
    atheris.Setup(started, runner, custom_mutator=edit)
    atheris.Fuzz()
    return 0


def _loaded() -> None:
    """Import all that there is while imports are instrumented: much of it is imported when it is needed first."""
    import importlib
    import pkgutil

    import threadkeep

    for module in pkgutil.walk_packages(threadkeep.__path__, "threadkeep."):
        if ".bench" not in module.name and not module.name.endswith(("__main__", ".testing")):
            try:
                importlib.import_module(module.name)
            except ImportError:
                continue


if __name__ == "__main__":
    sys.exit(main())
