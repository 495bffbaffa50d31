"""Threads that threadkeep made, forked, reverted or went on with are resumed by the real Codex, with the same context.

What the store says the next turn starts with is computed first. Then the binary resumes the thread and runs a turn
against the mock, and what the model was sent, less what that turn itself added, has to be exactly that.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.codex.client import AppServer, RpcError
from tests.codex.compare import history_sent, neutral, our_items, our_turns, their_items, their_turns, without_rebuilt
from tests.codex.scenarios import LEGACY, PAGINATED

from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.codex.scenarios import Lab

    from threadkeep.store import TurnWriter, Writer

pytestmark = pytest.mark.codex

Json = dict[str, Any]
MODEL: Final = "gpt-5.5"
INSTRUCTIONS: Final = "Say little, and say it in threadkeep's tests."
_numbers = itertools.count(1)


@dataclass
class Both:
    """One home that Codex and threadkeep work in."""

    lab: Lab
    """The home, and the binary on it."""
    store: ThreadStore
    """threadkeep on it."""
    server: AppServer
    """A Codex process on it."""

    def turn(self, writer: Writer, text: str) -> TurnWriter:
        """A turn of threadkeep's in this home's project folder."""
        return writer.turn(text, model=MODEL, cwd=str(self.lab.project), permission_profile={"type": "disabled"})

    def create(self, *texts: str, mode: str = PAGINATED) -> str:
        """A thread that threadkeep made, with a turn for each text; its id."""
        with self.store.create(
            cwd=str(self.lab.project), mode=mode, model_provider="mock", base_instructions=INSTRUCTIONS
        ) as writer:
            for text in texts:
                with self.turn(writer, text) as turn:
                    turn.say(f"answer to {text}")
            return writer.thread_id

    def turns(self, thread: str) -> list[str]:
        """Ids of a thread's turns, oldest first."""
        return [turn["id"] for turn in our_turns(self.store, thread, "notLoaded", descending=False)]


@pytest.fixture(scope="module")
def both(lab: Lab) -> Iterator[Both]:
    with lab.server() as server, ThreadStore.open(lab.home) as store:
        yield Both(lab, store, server)


def probe(both: Both, thread: str, server: AppServer | None = None) -> list[Json]:
    """What the model is sent of a thread when Codex resumes it and runs a turn, less what that turn adds."""
    server = server or both.server
    path = both.lab.home / both.store.read(thread).location
    plain = path.with_name(path.name.removesuffix(".zst"))
    before = {plain: plain.stat().st_size} if plain.exists() else {}
    text = f"probe {next(_numbers)}"
    answer = server.request("thread/resume", {"threadId": thread, "excludeTurns": True})
    assert server.run_turn(thread, text)["status"] == "completed"
    sent = both.lab.mock.wait_for_prompt(text).input
    records = plain.read_bytes()[before.get(plain, 0) :] if before else _new_records(plain, text)
    added = {
        record["payload"].get("id")
        for record in map(json.loads, records.splitlines())
        if record["type"] == "response_item"
    }
    assert answer["thread"]["id"] == thread
    instructions, history = sent[0], sent[1:]
    stated = both.store.base_instructions(thread)
    if stated == INSTRUCTIONS:  # of its own instructions Codex sends what suits the model
        assert instructions["content"][0]["text"] == stated
    return [item for item in history if item.get("id") not in added]


def _new_records(path: Path, text: str) -> bytes:
    """The records of a rollout that was compressed before, from the probe's turn on."""
    lines = path.read_bytes().splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if b'"task_started"' in line)
    assert any(text.encode() in line for line in lines[last:])
    return b"".join(lines[last:])


def resumed_the_same(both: Both, thread: str, server: AppServer | None = None) -> None:
    """Codex resumes a thread with the context that threadkeep computed, from the end and from the beginning."""
    fast, full = history_sent(both.store.resume(thread)), history_sent(both.store.replay(thread))
    assert fast == full
    assert probe(both, thread, server) == fast


def shown_the_same(both: Both, thread: str, server: AppServer | None = None) -> None:
    """Codex lists the turns and the items of a thread that it has resumed as threadkeep does."""
    server = server or both.server
    _index_ancestors(both, server, thread)
    theirs = their_turns(server, thread)
    ours = our_turns(both.store, thread)
    if both.store.read(thread).mode == LEGACY:
        theirs = neutral(theirs)
        assert without_rebuilt(neutral(ours), theirs) == theirs
    else:
        assert ours == theirs
        assert our_items(both.store, thread, limit=3) == their_items(server, thread)


def _index_ancestors(both: Both, server: AppServer, thread: str) -> None:
    """Make Codex index what a thread inherits: it lists no turn that it has not indexed (``storage.md`` 5.1)."""
    if both.store.read(thread).base is not None:
        newest = both.turns(thread)[-1]
        server.request(
            "thread/fork", {"threadId": thread, "lastTurnId": newest, "ephemeral": True, "excludeTurns": True}
        )


# --- threads that threadkeep made -----------------------------------------------------------------------------------


def message(role: str, text: str) -> Json:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def call(number: int, output: str) -> tuple[Json, Json]:
    """A call of a tool and its output."""
    return (
        {
            "type": "function_call",
            "id": f"fc_{number:08}",
            "name": "exec_command",
            "arguments": '{"cmd":"echo hi"}',
            "call_id": f"call_{number:08}",
        },
        {"type": "function_call_output", "call_id": f"call_{number:08}", "output": output},
    )


def plain_turns(both: Both, writer: Writer) -> None:
    for text in ("one, größe 你好 ☕", "two"):
        with both.turn(writer, text) as turn:
            turn.say("let me see", phase="commentary")
            turn.say(f"the answer to {text}", phase="final_answer")


def tool_calls(both: Both, writer: Writer) -> None:
    with both.turn(writer, "[calls]") as turn:
        called, output = call(1, "hi\n")
        turn.add(called)
        turn.add(
            output,
            shown={
                "type": "CommandExecution",
                "id": called["call_id"],
                "command": ["/bin/bash", "-lc", "echo hi"],
                "cwd": str(both.lab.project),
                "process_id": None,
                "source": "unified_exec_startup",
                "parsed_cmd": [{"type": "unknown", "cmd": "echo hi"}],
                "aggregated_output": "hi\n",
                "exit_code": 0,
                "duration": {"secs": 0, "nanos": 5_000_000},
                "status": "completed",
                "stdout": "hi\n",
                "stderr": "",
                "formatted_output": "hi\n",
            },
        )
        turn.add(
            {
                "type": "reasoning",
                "id": "rs_00000001",
                "summary": [{"type": "summary_text", "text": "thinking"}],
                "encrypted_content": "bW9jaw==",
            },
            shown={"type": "Reasoning", "id": "rs_00000001", "summary_text": ["thinking"], "raw_content": []},
        )
        turn.say("called")


def unanswered_call(both: Both, writer: Writer) -> None:
    with both.turn(writer, "[an unanswered call]") as turn:
        turn.add(call(2, "")[0])
        turn.interrupt()


def long_output(both: Both, writer: Writer) -> None:
    with both.turn(writer, "[a long output]") as turn:
        for item in call(3, "0123456789 größe\n" * 9_000):
            turn.add(item)
        turn.say("that was long")


def interrupted(both: Both, writer: Writer) -> None:
    with both.turn(writer, "one") as turn:
        turn.say("first")
    with both.turn(writer, "interrupted") as turn:
        turn.say("half an ans")
        turn.interrupt()


def failed(both: Both, writer: Writer) -> None:
    with both.turn(writer, "fails") as turn:
        turn.fail("the model is gone", "server_overloaded")
    with both.turn(writer, "works") as turn:
        turn.say("yes")


def killed(both: Both, writer: Writer) -> None:
    """The process that recorded the turn ended in the middle of it."""
    plain_turns(both, writer)
    turn = both.turn(writer, "killed")
    turn.__enter__()
    turn.say("half an ans")


def compacted(both: Both, writer: Writer) -> None:
    plain_turns(both, writer)
    with both.turn(writer, "[compact]") as turn:
        turn.compact("all of it", [message("user", "one"), message("user", "a summary")], window_number=1)
    with both.turn(writer, "after the compaction") as turn:
        turn.say("I remember")


def compacted_at_the_end(both: Both, writer: Writer) -> None:
    plain_turns(both, writer)
    with both.turn(writer, "[compact]") as turn:
        turn.compact("all of it", [message("user", "a summary")], window_number=1)


def compacted_twice(both: Both, writer: Writer) -> None:
    compacted(both, writer)
    with both.turn(writer, "[compact again]") as turn:
        turn.compact("more", [message("user", "a second summary")], window_number=2)
        turn.say("in the turn of the compaction")
    with both.turn(writer, "once more") as turn:
        turn.say("yes")


WRITTEN: Final = (
    plain_turns,
    tool_calls,
    unanswered_call,
    long_output,
    interrupted,
    failed,
    killed,
    compacted,
    compacted_at_the_end,
    compacted_twice,
)


@pytest.mark.parametrize("mode", [PAGINATED, LEGACY])
@pytest.mark.parametrize("write", WRITTEN)
def test_a_thread_of_ours(both: Both, write: Callable[[Both, Writer], None], mode: str) -> None:
    with both.store.create(
        cwd=str(both.lab.project), mode=mode, model_provider="mock", base_instructions=INSTRUCTIONS
    ) as writer:
        write(both, writer)
        thread = writer.thread_id
    resumed_the_same(both, thread)
    shown_the_same(both, thread)


def test_a_thread_of_ours_is_listed_by_codex(both: Both) -> None:
    thread = both.create("first said", "then said")
    rows = {
        row["id"]: row for row in both.server.request("thread/list", {"limit": 100, "sourceKinds": ["cli"]})["data"]
    }
    assert rows[thread]["preview"] == "first said"
    assert rows[thread]["cwd"] == str(both.lab.project)


# --- forks ----------------------------------------------------------------------------------------------------------


def at_the_head(both: Both, parent: str) -> str:
    return both.store.fork(parent).id


def through_the_first(both: Both, parent: str) -> str:
    return both.store.fork(parent, through=both.turns(parent)[0]).id


def through_the_last(both: Both, parent: str) -> str:
    return both.store.fork(parent, through=both.turns(parent)[-1]).id


def before_the_second(both: Both, parent: str) -> str:
    return both.store.fork(parent, before=both.turns(parent)[1]).id


def before_the_first(both: Both, parent: str) -> str:
    return both.store.fork(parent, before=both.turns(parent)[0]).id


def of_a_fork(both: Both, parent: str) -> str:
    child = both.store.fork(parent, through=both.turns(parent)[-1]).id
    with both.store.writer(child) as writer, both.turn(writer, "in the fork") as turn:
        turn.say("said in the fork")
    return both.store.fork(child).id


def of_a_fork_at_an_inherited_turn(both: Both, parent: str) -> str:
    child = both.store.fork(parent).id
    with both.store.writer(child) as writer, both.turn(writer, "in the fork") as turn:
        turn.say("said in the fork")
    return both.store.fork(child, through=both.turns(parent)[0]).id


def gone_on_with(both: Both, parent: str) -> str:
    child = both.store.fork(parent).id
    for text in ("first in the fork", "second in the fork"):
        with both.store.writer(child) as writer, both.turn(writer, text) as turn:
            turn.say(f"answer to {text}")
    return child


def compacted_in_the_fork(both: Both, parent: str) -> str:
    child = both.store.fork(parent).id
    with both.store.writer(child) as writer:
        with both.turn(writer, "[compact]") as turn:
            turn.compact("all", [message("user", "a summary of the fork")], window_number=7)
        with both.turn(writer, "after it") as turn:
            turn.say("yes")
    return child


FORKS: Final = (
    at_the_head,
    through_the_first,
    through_the_last,
    before_the_second,
    before_the_first,
    of_a_fork,
    of_a_fork_at_an_inherited_turn,
    gone_on_with,
    compacted_in_the_fork,
)

Parent = "Callable[[Both], str]"


def ours(both: Both) -> str:
    return both.create("one", "two", "three")


def codex_s(both: Both) -> str:
    """A thread of Codex's, which Codex holds."""
    thread = both.lab.start(both.server, PAGINATED)
    both.lab.turn(both.server, thread, "[[reason]] [[call:echo hi]] one")
    both.lab.turn(both.server, thread, "two")
    both.lab.compact(both.server, thread)
    both.lab.turn(both.server, thread, "three")
    return thread


@pytest.mark.parametrize("parent", [ours, codex_s])
@pytest.mark.parametrize("fork", FORKS)
def test_a_fork_of_ours(both: Both, parent: Callable[[Both], str], fork: Callable[[Both, str], str]) -> None:
    child = fork(both, parent(both))
    resumed_the_same(both, child)
    shown_the_same(both, child)


def test_a_fork_of_a_running_turn_of_codex(both: Both) -> None:
    thread = both.lab.start(both.server, PAGINATED)
    both.lab.turn(both.server, thread, "one")
    turn = both.lab.hold(both.server, thread, f"running {next(_numbers)}")
    child = both.store.fork(thread).id
    both.lab.interrupt(both.server, thread, turn)
    assert both.turns(child) == both.turns(thread)
    resumed_the_same(both, child)
    shown_the_same(both, child)


def test_a_fork_of_a_running_turn_of_ours(both: Both) -> None:
    with both.store.create(cwd=str(both.lab.project), model_provider="mock", base_instructions=INSTRUCTIONS) as writer:
        plain_turns(both, writer)
        with both.turn(writer, "running") as turn:
            turn.say("half an ans")
            child = both.store.fork(writer.thread_id).id
            turn.say("wer")
    assert our_turns(both.store, child)[0]["status"] == "interrupted"
    resumed_the_same(both, child)
    shown_the_same(both, child)


def test_a_fork_before_a_turn_that_a_fork_cut_off(both: Both) -> None:
    with both.store.create(cwd=str(both.lab.project), model_provider="mock", base_instructions=INSTRUCTIONS) as writer:
        plain_turns(both, writer)
        with both.turn(writer, "running") as turn:
            turn.say("half an ans")
            child = both.store.fork(writer.thread_id).id
    cut_off = both.turns(child)[-1]
    grandchild = both.store.fork(child, before=cut_off).id
    assert both.turns(grandchild) == both.turns(child)[:-1]
    resumed_the_same(both, grandchild)
    shown_the_same(both, grandchild)


def test_a_fork_of_a_thread_without_a_turn(both: Both) -> None:
    child = both.store.fork(before_the_first(both, ours(both))).id
    assert both.turns(child) == []
    resumed_the_same(both, child)


@pytest.mark.parametrize("parent", [ours, codex_s])
def test_a_fork_of_a_compressed_parent(both: Both, new_lab: Callable[[], Lab], parent: Callable[[Both], str]) -> None:
    lab = new_lab()
    with lab.server() as server, ThreadStore.open(lab.home) as store:
        here = Both(lab, store, server)
        thread = parent(here)
    with lab.server() as server, ThreadStore.open(lab.home) as store:
        here = Both(lab, store, server)
        before = history_sent(store.resume(thread)), our_turns(store, thread)
        compress(here)
        assert store.read(thread).compressed
        assert (history_sent(store.resume(thread)), our_turns(store, thread)) == before
        for fork in (at_the_head, through_the_first, gone_on_with):
            child = fork(here, thread)
            resumed_the_same(here, child)
        assert store.read(thread).compressed


def compress(both: Both) -> None:
    """Have Codex compress every rollout that it does not hold."""
    old = time.time() - 30 * 86_400
    for path in (both.lab.home / "sessions").rglob("*.jsonl"):
        os.utime(path, (old, old))
    both.server.request("rollout/compress", {})
    deadline = time.monotonic() + 60
    while list((both.lab.home / "sessions").rglob("*.jsonl")):
        assert time.monotonic() < deadline, "the rollouts were not compressed"
        time.sleep(0.05)


def test_a_fork_of_an_archived_parent(both: Both) -> None:
    thread = codex_s(both)
    both.server.request("thread/archive", {"threadId": thread})
    assert both.store.read(thread).archived
    for fork in (at_the_head, through_the_first, gone_on_with):
        resumed_the_same(both, fork(both, thread))


def test_a_compressed_thread_of_ours(new_lab: Callable[[], Lab]) -> None:
    lab = new_lab()
    with lab.server() as server, ThreadStore.open(lab.home) as store:
        here = Both(lab, store, server)
        thread = ours(here)
        compress(here)
        with store.writer(thread) as writer, here.turn(writer, "after the compression") as turn:
            turn.say("goes on")
        assert not store.read(thread).compressed
        resumed_the_same(here, thread)
        shown_the_same(here, thread)


def test_codex_deletes_no_parent_of_our_forks(both: Both) -> None:
    thread = codex_s(both)
    at_the_head(both, thread)
    with pytest.raises(RpcError, match="forked history still references it"):
        both.server.request("thread/delete", {"threadId": thread})
    assert both.store.read(thread).id == thread


# --- reverts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_thread_that_we_reverted(both: Both, number: int) -> None:
    thread = ours(both)
    turns = both.turns(thread)
    both.store.revert(thread, before=turns[number])
    assert both.turns(thread) == turns[:number]
    with both.store.writer(thread) as writer, both.turn(writer, "again") as turn:
        turn.say("another answer")
    resumed_the_same(both, thread)
    shown_the_same(both, thread)


def test_a_fork_of_ours_that_we_reverted(both: Both) -> None:
    child = gone_on_with(both, ours(both))
    both.store.revert(child, before=both.turns(child)[1])  # an inherited turn
    resumed_the_same(both, child)
    shown_the_same(both, child)


def test_a_thread_that_codex_reverted_is_forked_by_us(both: Both) -> None:
    thread = codex_s(both)
    turns = both.turns(thread)
    both.server.request("thread/revert", {"threadId": thread, "beforeTurnId": turns[3]})
    both.lab.turn(both.server, thread, "three, again")
    for fork in (at_the_head, through_the_first, gone_on_with):
        child = fork(both, thread)
        resumed_the_same(both, child)
        shown_the_same(both, child)


# --- in turns -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["codex", "threadkeep"])
@pytest.mark.parametrize("mode", [PAGINATED, LEGACY])
def test_codex_and_we_go_on_with_one_thread_in_turns(both: Both, mode: str, first: str) -> None:
    lab = both.lab
    thread = "" if first == "codex" else both.create("begun by us", mode=mode)
    with lab.server() as server:
        if not thread:
            thread = lab.start(server, mode)
            lab.turn(server, thread, "[[reason]] [[call:echo hi]] begun by Codex")
        else:
            resumed_the_same(both, thread, server)
    for number in range(2):
        with both.store.writer(thread) as writer:
            with both.turn(writer, f"ours {number}") as turn:
                for item in call(100 + number, "hi\n"):
                    turn.add(item)
                turn.say("done")
            with both.turn(writer, f"ours, interrupted {number}") as turn:
                turn.interrupt()
        with lab.server() as server:
            resumed_the_same(both, thread, server)
            shown_the_same(both, thread, server)
            if number == 0:
                lab.compact(server, thread)
            lab.turn(server, thread, f"[[call:echo hi]] Codex's {number}")
        with both.store.writer(thread) as writer:
            with both.turn(writer, "[compact]") as turn:
                turn.compact("all", [message("user", "our summary")], window_number=number + 2)
            with both.turn(writer, "after our compaction") as turn:
                turn.say("yes")
        with lab.server() as server:
            resumed_the_same(both, thread, server)
            shown_the_same(both, thread, server)


def test_a_thread_whose_codex_was_killed_is_gone_on_with(both: Both) -> None:
    lab = both.lab
    with lab.server() as server:
        thread = lab.start(server, PAGINATED)
        lab.turn(server, thread, "one")
        lab.hold(server, thread, f"killed {next(_numbers)}")
        server.kill()
    assert [turn["status"] for turn in our_turns(both.store, thread)] == ["interrupted", "completed"]
    with both.store.writer(thread) as writer, both.turn(writer, "after the crash") as turn:
        turn.say("still here")
    resumed_the_same(both, thread)
    shown_the_same(both, thread)


# --- children of legacy threads -------------------------------------------------------------------------------------


def codex_s_legacy(both: Both) -> str:
    thread = both.lab.start(both.server, LEGACY)
    for text in ("one", "two"):
        both.lab.turn(both.server, thread, text)
    return thread


def our_legacy(both: Both) -> str:
    thread = both.create("one", "two", mode=LEGACY)
    both.server.request("thread/read", {"threadId": thread})  # Codex indexes it now
    return thread


def refused_everywhere(server: AppServer, child: str) -> None:
    """Codex tells nothing of the history of a thread that only threadkeep can read, rather than something wrong."""
    for method, params in (
        ("thread/resume", {}),
        ("thread/resume", {"excludeTurns": True}),
        ("thread/fork", {}),
        ("thread/read", {"includeTurns": True}),
        ("thread/turns/list", {}),
        ("thread/items/list", {}),
    ):
        with pytest.raises(RpcError, match="source ordinal overflow"):
            server.request(method, {"threadId": child, **params})
    assert server.request("thread/read", {"threadId": child})["thread"]["turns"] == []


@pytest.mark.parametrize("parent", [codex_s_legacy, our_legacy])
def test_a_fork_of_a_legacy_thread_is_for_threadkeep_alone(
    new_lab: Callable[[], Lab], parent: Callable[[Both], str]
) -> None:
    lab = new_lab()
    with lab.server() as server, ThreadStore.open(lab.home) as store:
        both = Both(lab, store, server)
        thread = parent(both)
        bare, own = at_the_head(both, thread), gone_on_with(both, thread)
        told = {child: (our_turns(store, child), history_sent(store.resume(child))) for child in (bare, own)}
        assert [len(turns) for turns, _ in told.values()] == [2, 4]
        for child in told:
            refused_everywhere(server, child)
        with pytest.raises(RpcError, match="forked history still references it"):
            server.request("thread/delete", {"threadId": thread})
    with lab.server() as server:
        server.request("thread/list", {"limit": 100})  # Codex migrates only what it has indexed, all of it or nothing
    lab.run("migrate-rollouts", "--apply")
    assert b'"history_mode":"paginated"' in next((lab.home / "sessions").rglob(f"*{thread}.jsonl")).read_bytes()
    with lab.server() as server, ThreadStore.open(lab.home) as store:
        for child, (turns, history) in told.items():
            refused_everywhere(server, child)
            assert our_turns(store, child) == turns
            assert history_sent(store.resume(child)) == history
        with pytest.raises(RpcError, match="forked history still references it"):
            server.request("thread/delete", {"threadId": thread})
