"""A legacy history that is converted shows the turns, and sends the context, that it did before."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
from tests.replay.test_turns_recorded import legacy_file, turns_of
from tests.support import BytesSource, MemoryLibrary, dump

from threadkeep.lineage import Lineage
from threadkeep.records import Cost, lines_forward, record_of, records_of, renumbered
from threadkeep.replay import read_context
from threadkeep.replay._convert import LegacyConverter, RollbackPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from threadkeep.records import Record
    from threadkeep.replay import ModelContext

Json = dict[str, Any]
FIXTURES: Final = Path(__file__).parent.parent / "fixtures"
THREAD: Final = "01a20000-0000-7000-8000-000000000001"


def load(path: str) -> Any:
    return json.loads((FIXTURES / path).read_text())


def records(data: bytes) -> list[Record]:
    source = BytesSource(data)
    return list(records_of(lines_forward(source, 0, source.size)))


def converted_lines(data: bytes, thread_id: str = THREAD) -> list[bytes]:
    found = records(data)
    rolled_back = any(record.subtype == "thread_rolled_back" for record in found)
    converter = LegacyConverter(thread_id, RollbackPlan(found) if rolled_back else None)
    lines = [line for record in found for line in converter.feed(record)]
    return [*lines, *converter.close(context_of(data) if rolled_back else None)]


def context_of(data: bytes) -> ModelContext:
    thread_id = thread_of(data)
    library = MemoryLibrary()
    with Lineage(library, library.add(thread_id, data), thread_id, Cost()) as lineage:
        return read_context(lineage, None)


def thread_of(data: bytes) -> str:
    first = next(record for record in records(data) if record.kind == "session_meta")
    thread_id: str = json.loads(first.line)["payload"]["id"]
    return thread_id


def converted(data: bytes, thread_id: str = THREAD) -> bytes:
    """A legacy rollout as a paginated one."""
    found = records(data)
    first = json.loads(next(record for record in found if record.kind == "session_meta").line)
    first["payload"] |= {"history_mode": "paginated"}
    first["payload"].pop("history_base", None)
    first["payload"].pop("subagent_history_start_ordinal", None)
    lines = [dump(first), *(line.removesuffix(b"\n") for line in converted_lines(data, thread_id))]
    return b"".join(renumbered(line, ordinal) + b"\n" for ordinal, line in enumerate(lines))


def neutral(turns: Iterable[Json]) -> list[Json]:
    """Without the ids that one side counts and the other makes of offsets."""
    text = json.dumps(list(turns))
    text = re.sub(r'"rollout-\d+"', '"rollout"', text)
    text = re.sub(r'"(item|hook)-\d+"', '"made-up"', text)
    made: list[Json] = json.loads(text)
    for turn in made:
        for item in turn["items"]:
            if item["type"] == "hookPrompt" and re.fullmatch(r"[0-9a-f-]{36}", item["id"]):
                item["id"] = "made-up"
    return made


# --- turns, as Codex's own migration leaves them -----------------------------------------------------------------------

CRAFTED: Final = load("migrated/crafted.json")
WRITTEN: Final = load("migrated/written.json")
CASES: Final = {
    f"{path.stem}: {case['name']}": case
    for path in sorted((FIXTURES / "legacy").glob("*.json"))
    for case in json.loads(path.read_text())
}
OTHERWISE: Final[dict[str, str]] = {}
"""Where the turns differ from those that Codex's migration leaves, on purpose."""

crafted = pytest.mark.parametrize(
    "name", [name for name, turns in CRAFTED.items() if turns is not None and name not in OTHERWISE]
)
written = pytest.mark.parametrize(
    "name", [name for name, turns in WRITTEN.items() if turns is not None and name not in OTHERWISE]
)


@crafted
def test_turns_are_those_that_codex_shows_after_its_migration(name: str) -> None:
    thread_id, data = legacy_file(CASES[name])
    assert neutral(turns_of([(thread_id, converted(data, thread_id))], "full")) == neutral(CRAFTED[name])


@written
def test_turns_of_real_rollouts_are_those_that_codex_shows_after_its_migration(name: str) -> None:
    data = (FIXTURES / "rollouts" / name).read_bytes()
    thread_id = records(data)[0].view(dict)["id"]
    assert neutral(turns_of([(thread_id, converted(data, thread_id))], "full")) == neutral(WRITTEN[name])
