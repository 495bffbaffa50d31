"""One writer at a time, whoever it is: Codex and threadkeep keep each other out, and leave no lock behind."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest
from tests.codex.client import AppServer, RpcError
from tests.codex.compare import our_turns, their_turns
from tests.codex.scenarios import LEGACY, PAGINATED

from threadkeep.errors import ThreadBusy
from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.codex.scenarios import Lab

pytestmark = pytest.mark.codex

BUSY: Final = "already has an active writer"
modes = pytest.mark.parametrize("mode", [PAGINATED, LEGACY])


@pytest.fixture
def store(lab: Lab) -> Iterator[ThreadStore]:
    with ThreadStore.open(lab.home) as opened:
        yield opened


def locks(lab: Lab) -> list[str]:
    """The lock files of threads."""
    return [path.name for path in (lab.home / "thread-writer-locks").glob("*.lock") if not path.name.startswith(".")]


def begun(lab: Lab, mode: str) -> str:
    """A thread of Codex's that nobody holds."""
    with lab.server() as server:
        thread = lab.start(server, mode)
        lab.turn(server, thread, "one")
    return thread


def busy_with(store: ThreadStore, thread: str, server: AppServer) -> None:
    """The thread is Codex's, and the refusal names the process that has it."""
    with pytest.raises(ThreadBusy) as caught:
        store.writer(thread)
    assert caught.value.thread == thread
    assert caught.value.pid == server.pid
    assert caught.value.program == "codex"
    assert str(server.pid) in str(caught.value)


@modes
def test_a_thread_that_codex_has_loaded_is_not_written_by_us(lab: Lab, store: ThreadStore, mode: str) -> None:
    with lab.server() as server:
        thread = lab.start(server, mode)
        lab.turn(server, thread, "one")
        size = store.read(thread).size
        busy_with(store, thread, server)
        assert store.read(thread).size == size
    with store.writer(thread) as writer, writer.turn("ours") as turn:
        turn.say("now it is free")
    assert locks(lab) == []


def test_a_running_turn_of_codex_is_not_disturbed(lab: Lab, store: ThreadStore) -> None:
    with lab.server() as server:
        thread = lab.start(server, PAGINATED)
        lab.turn(server, thread, "one")
        turn = lab.hold(server, thread, "running, not disturbed")
        busy_with(store, thread, server)
        assert [shown["status"] for shown in our_turns(store, thread)] == ["interrupted", "completed"]
        with lab.server() as other:  # seen from outside, by Codex as by us
            assert our_turns(store, thread) == their_turns(other, thread)
        assert store.fork(thread).forked_from_id == thread  # a fork needs no lease
        lab.interrupt(server, thread, turn)
        assert lab.turn(server, thread, "goes on") == our_turns(store, thread)[0]["id"]


@modes
def test_codex_does_not_resume_a_thread_that_we_write(lab: Lab, store: ThreadStore, mode: str) -> None:
    thread = begun(lab, mode)
    with store.writer(thread) as writer, lab.server() as server:
        for method in ("thread/resume", "thread/archive", "thread/delete"):
            with pytest.raises(RpcError, match=BUSY):
                server.request(method, {"threadId": thread})
        with pytest.raises(RpcError, match="thread not found"):
            server.start_turn(thread, "by Codex")
        assert server.request("thread/read", {"threadId": thread})["thread"]["id"] == thread
        with writer.turn("ours") as turn:
            turn.say("undisturbed")
        writer.close()
        lab.resume(server, thread)
        assert lab.turn(server, thread, "by Codex") == our_turns(store, thread)[0]["id"]
    assert locks(lab) == []


def test_codex_does_not_resume_a_thread_that_we_are_beginning(lab: Lab, store: ThreadStore) -> None:
    with (
        store.create(cwd=str(lab.project), model_provider="mock") as writer,
        writer.turn("one", model="mock-model") as turn,
        lab.server() as server,
    ):
        with pytest.raises(RpcError, match=BUSY):
            lab.resume(server, writer.thread_id)
        turn.say("the first answer")
    with lab.server() as server:
        lab.resume(server, writer.thread_id)
        lab.turn(server, writer.thread_id, "two")
    assert [shown["status"] for shown in our_turns(store, writer.thread_id)] == ["completed", "completed"]
    assert locks(lab) == []


@modes
def test_a_killed_codex_holds_nothing(lab: Lab, store: ThreadStore, mode: str) -> None:
    with lab.server() as server:
        thread = lab.start(server, mode)
        lab.turn(server, thread, "one")
        lab.hold(server, thread, f"killed {mode}")
        server.kill()
    assert locks(lab) == [f"{thread}.lock"]
    with store.writer(thread) as writer, writer.turn("ours") as turn:
        turn.say("after the crash")
    assert [shown["status"] for shown in our_turns(store, thread)] == ["completed", "interrupted", "completed"]
    assert locks(lab) == []


WRITES_AND_WAITS: Final = """
import sys
from threadkeep.store import ThreadStore
with ThreadStore.open(sys.argv[1]) as store, store.writer(sys.argv[2]) as writer, writer.turn("ours") as turn:
    turn.say("half an ans")
    print("written", flush=True)
    sys.stdin.read()
"""


@modes
def test_a_killed_process_of_ours_holds_nothing(lab: Lab, store: ThreadStore, mode: str) -> None:
    thread = begun(lab, mode)
    command = [sys.executable, "-c", WRITES_AND_WAITS, str(lab.home), thread]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"written\n"
            with pytest.raises(ThreadBusy) as caught:
                store.writer(thread)
            assert caught.value.pid == process.pid
            assert caught.value.program == "threadkeep"
            with lab.server() as server, pytest.raises(RpcError, match=BUSY):
                lab.resume(server, thread)
        finally:
            process.kill()
    with lab.server() as server:
        lab.resume(server, thread)
        lab.turn(server, thread, "by Codex")
    assert [shown["status"] for shown in our_turns(store, thread)] == ["completed", "interrupted", "completed"]
    assert locks(lab) == []
