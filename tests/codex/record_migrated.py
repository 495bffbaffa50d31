"""Records what Codex shows of legacy threads after its own migration: ``tests/fixtures/migrated``.

The legacy rollouts are those of ``tests/fixtures/legacy`` (crafted, one case each) and of ``tests/fixtures/rollouts``
(written by real binaries). Each is put into a Codex home, made known to Codex by reading it, and migrated there by
``codex migrate-rollouts --apply``. Recorded are the turns that the server lists then, ``null`` for a rollout that the
migration leaves alone. Run it with the binary of 0.169.0::

    CODEX_BIN=/path/to/codex python -m tests.codex.record_migrated
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.codex.client import AppServer, JsonObject, RpcError, clean_environment, write_config
from tests.codex.record_legacy import FIXTURES as LEGACY
from tests.codex.record_legacy import scrubbed, write_rollout
from tests.codex.scrub import rollout_files, thread_id

if TYPE_CHECKING:
    from collections.abc import Iterable

ROLLOUTS: Final = LEGACY.parent / "rollouts"
MIGRATED: Final = LEGACY.parent / "migrated"


def is_legacy(path: Path) -> bool:
    """Whether the rollout is one that the migration would look at."""
    first = json.loads(path.read_bytes().split(b"\n", 1)[0])
    return bool(first.get("type") == "session_meta" and first["payload"].get("history_mode", "legacy") == "legacy")


def migrated(home: Path, binary: Path, threads: Iterable[str]) -> dict[str, list[JsonObject] | None]:
    """Thread id -> its turns after the migration of the home, oldest first; None where it was not migrated."""
    threads = list(threads)
    project = home.parent / "project"
    project.mkdir(exist_ok=True)
    with AppServer([binary, "app-server"], home=home, cwd=project) as server:
        server.initialize()
        for thread in threads:
            asked(server, "thread/read", thread)
    command = [str(binary), "migrate-rollouts", "--apply", "--json"]
    done = subprocess.run(
        command, env=clean_environment(home), cwd=project, capture_output=True, text=True, check=False, timeout=300
    )
    outcomes = {outcome["thread_id"]: outcome["status"] for outcome in json.loads(done.stdout)["outcomes"]}
    found: dict[str, list[JsonObject] | None] = {}
    with AppServer([binary, "app-server"], home=home, cwd=project) as server:
        server.initialize()
        for thread in threads:
            page = asked(server, "thread/turns/list", thread) if outcomes.get(thread) == "migrated" else None
            found[thread] = scrubbed(page["data"]) if page is not None else None
    return found


def asked(server: AppServer, method: str, thread: str) -> JsonObject | None:
    """The answer for one thread; None for an error."""
    try:
        return server.request(method, {"threadId": thread, "itemsView": "full", "limit": 100, "sortDirection": "asc"})
    except RpcError:
        return None


def crafted(folder: Path, binary: Path) -> dict[str, list[JsonObject] | None]:
    """Case -> turns."""
    home = folder / "crafted" / "home"
    write_config(home, "http://127.0.0.1:9/v1")
    names: dict[str, str] = {}
    for path in sorted(LEGACY.glob("*.json")):
        for case in json.loads(path.read_text()):
            first = next(r for r in case["records"] if isinstance(r, dict) and r.get("type") == "session_meta")
            names[first["payload"]["id"]] = f"{path.stem}: {case['name']}"
            write_rollout(home, first["payload"]["id"], case["records"])
    turns = migrated(home, binary, names)
    return {name: turns[thread] for thread, name in names.items()}


def written(folder: Path, binary: Path) -> dict[str, list[JsonObject] | None]:
    """Rollout's path below ``tests/fixtures/rollouts`` -> turns."""
    found: dict[str, list[JsonObject] | None] = {}
    for number, fixture in enumerate(sorted(path.parent for path in ROLLOUTS.glob("*/*/expected.json"))):
        files = [path for path in rollout_files(fixture) if is_legacy(path)]
        if not files:
            continue
        home = folder / f"written-{number}" / "home"
        write_config(home, "http://127.0.0.1:9/v1")
        for path in files:
            copy = home / path.relative_to(fixture)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        turns = migrated(home, binary, [thread_id(path) for path in files])
        found |= {str(path.relative_to(ROLLOUTS)): turns[thread_id(path)] for path in files}
    return found


def main() -> None:
    """Record both. Needs the real binary."""
    binary = os.environ.get("CODEX_BIN")
    if binary is None:
        sys.exit("set CODEX_BIN to the Codex 0.169.0 binary")
    folder = Path(tempfile.mkdtemp(prefix="threadkeep-migrated-"))
    try:
        MIGRATED.mkdir(parents=True, exist_ok=True)
        for name, record in (("crafted", crafted), ("written", written)):
            found = record(folder, Path(binary).absolute())
            texts = [
                f"{json.dumps(case)}:{json.dumps(turns, ensure_ascii=False, separators=(',', ':'))}"
                for case, turns in found.items()
            ]
            (MIGRATED / f"{name}.json").write_text("{\n" + ",\n".join(texts) + "\n}\n", encoding="utf-8")
            left = sum(turns is None for turns in found.values())
            print(f"{name}: {len(found)} rollouts, {left} left alone", flush=True)  # noqa: T201
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
