"""A legacy history that is converted shows the turns, and sends the context, that it did before."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.replay import test_context_recorded as recorded_contexts
from tests.replay.test_context_recorded import _placeholders  # noqa: F401 - the corpus needs this fixture
from tests.replay.test_turns_recorded import legacy_file, turns_of
from tests.support import BytesSource, MemoryLibrary, dump

from threadkeep.lineage import Lineage
from threadkeep.records import Cost, lines_forward, records_of, renumbered
from threadkeep.replay import _convert, read_context
from threadkeep.replay._convert import LegacyConverter, RollbackPlan

if TYPE_CHECKING:
    from collections.abc import Iterable

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


def converted_lines(data: bytes) -> list[bytes]:
    found = records(data)
    rolled_back = any(record.subtype == "thread_rolled_back" for record in found)
    converter = LegacyConverter(THREAD, RollbackPlan(found) if rolled_back else None)
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


def converted(data: bytes) -> bytes:
    """A legacy rollout as a paginated one."""
    found = records(data)
    first = json.loads(next(record for record in found if record.kind == "session_meta").line)
    first["payload"] |= {"history_mode": "paginated"}
    first["payload"].pop("history_base", None)
    first["payload"].pop("subagent_history_start_ordinal", None)
    lines = [dump(first), *(line.removesuffix(b"\n") for line in converted_lines(data))]
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


# --- turns, as Codex's own migration leaves them ----------------------------------------------------------------------

CRAFTED: Final = load("migrated/crafted.json")
WRITTEN: Final = load("migrated/written.json")
CASES: Final = {
    f"{path.stem}: {case['name']}": case
    for path in sorted((FIXTURES / "legacy").glob("*.json"))
    for case in json.loads(path.read_text())
}
TWO_AT_ONCE: Final = "one turn runs at a time: an end of another turn makes a turn of its own, which stands elsewhere"
SUB_AGENT: Final = "of sub-agents Codex's migration keeps the context alone"
OTHERWISE: Final = {
    "boundaries: an end of an unknown turn ends one without a start": TWO_AT_ONCE,
    "boundaries: two turns of one id": "the nearest turn of an id is meant, not the first",
    "boundaries: unknown collaboration mode": "words that 0.169 does not know may be a newer version's",
    "calls: a call with the id of a message": "ids made up here never meet ids of calls",
    "calls: an MCP call belongs to the turn that it names": "an item that stands before its turn belongs to none",
    "calls: calls without a turn": TWO_AT_ONCE,
    "copies: a sub-agent that was given the history": SUB_AGENT,
    "copies: a sub-agent with a start ordinal": SUB_AGENT,
    "endings: a reason that nobody knows": "words that 0.169 does not know may be a newer version's",
    "endings: an unknown id ends a turn without a start": TWO_AT_ONCE,
    "endings: an unknown id spares a turn that a review opened": TWO_AT_ONCE,
    "endings: an unknown id spares a turn with a start": TWO_AT_ONCE,
    "lifecycle_items: an empty plan shows nothing but times": "a plan that shows nothing gives no times",
    "lifecycle_items: an old compaction stays as an empty turn": TWO_AT_ONCE,
    "lifecycle_items: items that are not": "what is no item for 0.169 may be a newer version's",
    "lifecycle_items: plans": "ids of turns without a start are made up otherwise",
    "lifecycle_items: reviews": "the sentence for an empty review is our own",
    "lifecycle_items: what reviews say": "the same",
    **{
        f"{home}/sessions/2026/11/22/rollout-2026-11-22T16-55-{rest}.jsonl": SUB_AGENT
        for home, rest in (
            ("0.125.0/subagent", "52-01a2042f-8280-7ee0-bc1d-5d1b3038c39a"),
            ("0.125.0/subagent", "53-01a2042f-8681-76f2-93e9-e59215d96e22"),
            ("0.60.1/review", "47-01a2042f-6ff3-7f42-9642-d447e76502a1"),
            ("0.60.1/review", "48-01a2042f-74f6-70b2-86a1-0b97e73bc0cc"),
        )
    },
}
"""Where the turns differ from those that Codex's migration leaves, on purpose."""


@pytest.mark.parametrize(
    "name", [name for name, turns in CRAFTED.items() if turns is not None and name not in OTHERWISE]
)
def test_turns_are_those_that_codex_shows_after_its_migration(name: str) -> None:
    thread_id, data = legacy_file(CASES[name])
    assert neutral(turns_of([(thread_id, converted(data))], "full")) == neutral(CRAFTED[name])


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, id=name) for name, turns in WRITTEN.items() if turns is not None and name not in OTHERWISE],
)
def test_turns_of_real_rollouts_are_those_that_codex_shows_after_its_migration(name: str) -> None:
    data = (FIXTURES / "rollouts" / name).read_bytes()
    assert neutral(turns_of([(thread_of(data), converted(data))], "full")) == neutral(WRITTEN[name])


def test_the_corpus_is_there() -> None:
    assert len(CRAFTED) > 140
    assert len(WRITTEN) > 35
    assert CRAFTED.keys() | WRITTEN.keys() >= OTHERWISE.keys()


# --- the model context ------------------------------------------------------------------------------------------------

CONTEXT_OTHERWISE: Final = {
    "keys twice": "what an envelope says is asked of the first of two keys, what a payload says of the last",
    "session meta within the rollout, no window id of its own": "the first record names the window, or nothing does",
}
CONTEXTS: Final = [
    case
    for case in recorded_contexts.CASES
    if case["mode"] == "legacy"
    and case["name"] not in recorded_contexts.LENIENT.keys() | CONTEXT_OTHERWISE.keys()
    and "error" not in case["observed"]
]


@pytest.mark.parametrize("case", CONTEXTS, ids=lambda case: case["name"])
def test_the_model_is_sent_the_same(case: Json) -> None:
    _, source = recorded_contexts.library_of(case)
    before, after = context_of(source.data), context_of(converted(source.data))
    assert [bytes(item.payload) for item in after.items] == [bytes(item.payload) for item in before.items]
    assert after.window == before.window
    if b"thread_rolled_back" in source.data:
        assert after.previous_turn_settings == before.previous_turn_settings
        assert after.world_state == before.world_state
        assert after.usage == before.usage


# --- records ----------------------------------------------------------------------------------------------------------


def line(kind: str, payload: Json, second: int = 1) -> bytes:
    return dump({"timestamp": f"2026-11-22T10:00:{second:02}.5Z", "type": kind, "payload": payload}) + b"\n"


def event(kind: str, second: int = 1, **members: Any) -> bytes:
    return line("event_msg", {"type": kind, **members}, second)


def lines(*parts: bytes) -> list[Json]:
    """What the lines become, decoded, without their write times."""
    head = line("session_meta", {"id": THREAD, "timestamp": "", "cwd": "/", "originator": "", "cli_version": ""})
    made = [json.loads(one) for one in converted_lines(head + b"".join(parts))]
    return [one["payload"] for one in made]


def test_what_is_no_event_stays_the_bytes_that_it_is() -> None:
    kept = [
        line(
            "response_item", {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "größe"}]}
        ),
        b'{ "type": "turn_context", "payload": {"model": "m" }, "timestamp": "2026-11-22T10:00:00.000Z", "n": 1.50}\n',
        line("compacted", {"message": "", "replacement_history": []}),
        line("world_state", {"full": True, "state": {}}),
        line("kind_of_the_future", {"any": [1]}),
        event("token_count", info=None),
        event("task_started", turn_id="t"),
        event("task_complete", turn_id="t", last_agent_message=None),
    ]
    assert converted_lines(b"".join(kept)) == kept


def test_reasoning_that_comes_in_pieces_is_one_item() -> None:
    made = lines(
        event("task_started", turn_id="t"),
        event("agent_reasoning", 2, text="first"),
        event("token_count", 3, info=None),
        event("agent_reasoning_raw_content", 4, text="raw"),
        event("agent_reasoning", 5, text="second"),
        event("agent_message", 6, message="said"),
        event("agent_reasoning", 7, text="third"),
        event("task_complete", 8, turn_id="t", last_agent_message=None),
    )
    items = [one["item"] for one in made if one["type"] == "item_completed"]
    assert [item["type"] for item in items] == ["Reasoning", "AgentMessage", "Reasoning"]
    assert (items[0]["summary_text"], items[0]["raw_content"]) == (["first", "second"], ["raw"])
    times = [one["completed_at_ms"] % 60_000 for one in made if one["type"] == "item_completed"]
    assert times == [2500, 6500, 7500]
    assert made[-1]["type"] == "task_complete"


def test_turns_without_lifecycle_get_one() -> None:
    made = lines(
        event("user_message", 1, message="one"),
        event("agent_message", 2, message="said"),
        event("user_message", 3, message="two"),
        event("turn_aborted", 4, reason="interrupted"),
        event("agent_message", 5, message="late"),
    )
    assert [(one["type"], one["turn_id"]) for one in made] == [
        ("task_started", made[0]["turn_id"]),
        ("item_completed", made[0]["turn_id"]),
        ("item_completed", made[0]["turn_id"]),
        ("task_complete", made[0]["turn_id"]),
        ("task_started", made[4]["turn_id"]),
        ("item_completed", made[4]["turn_id"]),
        ("turn_aborted", made[4]["turn_id"]),
        ("task_started", made[7]["turn_id"]),
        ("item_completed", made[7]["turn_id"]),
        ("task_complete", made[7]["turn_id"]),
    ]
    assert len({one["turn_id"] for one in made}) == 3


def test_commands_of_extended_histories_become_items() -> None:
    made = lines(
        event("task_started", turn_id="t"),
        event(
            "exec_command_end",
            call_id="c",
            turn_id="t",
            command=["bash", "-lc", "ls"],
            cwd="/a b",
            parsed_cmd=[{"type": "list_files", "cmd": "ls", "path": None}],
            status="completed",
            aggregated_output="x",
            exit_code=0,
            duration={"secs": 1, "nanos": 5},
        ),
        event("exec_command_begin", call_id="c", turn_id="t"),
        event("error", message="lost"),
    )
    assert made[1]["item"] == {
        "type": "CommandExecution",
        "id": "c",
        "command": ["bash", "-lc", "ls"],
        "cwd": "file:///a%20b",
        "parsed_cmd": [{"type": "list_files", "cmd": "ls"}],
        "source": "agent",
        "status": "completed",
        "aggregated_output": "x",
        "exit_code": 0,
        "duration": {"secs": 1, "nanos": 5},
    }
    assert len(made) == 2


def test_what_cannot_be_read_is_left_out() -> None:
    made = converted_lines(
        b"".join(
            [
                event("task_started", turn_id="t"),
                b'{"torn\n',
                b"\xff\xfe\n",
                event("user_message", wrong=True),
                line("response_item", {"type": "ghost_snapshot"}),
                line("response_item", {"type": "item_of_the_future"}),
                line("session_meta", {"id": "another"}),
                event("agent_message", message="said"),
            ]
        )
    )
    assert len(made) == 2


def test_a_history_from_before_the_envelope_gets_one() -> None:
    head = b'{"id":"%b","timestamp":"2025-07-01T10:00:00.000Z","instructions":null}\n' % THREAD.encode()
    said = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "one"}]}
    made = converted_lines(head + b'{"record_type":"state"}\n' + dump(said) + b"\n")
    assert json.loads(made[0]) == {"timestamp": "2025-07-01T10:00:00.000Z", "type": "response_item", "payload": said}
    place = len(head) + len(b'{"record_type":"state"}\n')
    shown = [json.loads(one)["payload"] for one in made[1:]]
    assert [(one["type"], one["turn_id"]) for one in shown] == [
        ("task_started", f"rollout-{place}"),
        ("item_completed", f"rollout-{place}"),
        ("task_complete", f"rollout-{place}"),
    ]
    assert shown[1]["item"]["content"] == [{"type": "text", "text": "one", "text_elements": []}]


def said_by(role: str, text: str) -> bytes:
    return line("response_item", {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]})


def test_a_late_item_of_an_ended_turn_starts_no_other() -> None:
    review = {"type": "uncommittedChanges"}
    made = lines(
        event("task_started", turn_id="t"),
        event("task_complete", turn_id="t", last_agent_message=None),
        event("entered_review_mode", target=review, turn_id="t"),
        event("exited_review_mode", turn_id="unknown"),
    )
    assert [(one["type"], one["turn_id"]) for one in made[2:]] == [
        ("item_completed", "t"),
        ("task_started", "unknown"),
        ("item_completed", "unknown"),
        ("task_complete", "unknown"),
    ]


def test_what_leads_up_to_the_first_turn_outlives_a_rollback() -> None:
    surroundings = said_by("user", "<environment_context>here</environment_context>")
    parts = [surroundings, said_by("user", "one"), surroundings, said_by("user", "two")]
    rolled_back = event("thread_rolled_back", num_turns=2)
    found = records(b"".join(parts) + rolled_back)
    plan = RollbackPlan(found)
    assert [plan.survives(number) for number in range(4)] == [True, False, False, False]


def test_a_turn_that_a_rollback_cut_off_does_not_go_on() -> None:
    found = records(
        event("task_started", turn_id="one")
        + event("user_message", message="a")
        + event("task_complete", turn_id="one", last_agent_message=None)
        + event("task_started", turn_id="two")
        + event("thread_rolled_back", num_turns=1)
        + event("user_message", message="b")
    )
    plan = RollbackPlan(found)
    assert [number for number in range(len(found)) if plan.survives(number)] == [5]


def test_little_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_convert, "_MOST_TURNS", 10)
    converter = LegacyConverter(THREAD)
    for number in range(100):
        turn = event("task_started", turn_id=f"t{number}") + event("agent_message", message="x" * 1000)
        for record in records(turn + event("task_complete", turn_id=f"t{number}", last_agent_message=None)):
            assert len(list(converter.feed(record))) == 1
    assert list(converter._ended) == [f"t{number}" for number in range(90, 100)]
    assert converter._lines == []
