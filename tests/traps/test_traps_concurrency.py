"""Concurrency and crash: one writer in all processes, and nothing acknowledged is lost."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.traps.grounds import (
    HOMES,
    NOWHERE,
    Ground,
    Rollout,
    asked,
    check_as_the_definition,
    check_fast_is_full,
    compressed,
    everything,
    history,
    refused,
    said,
    turns_of,
)

from threadkeep.backends.local import Files
from threadkeep.errors import DurabilityUnknown, LeaseLost, StorageFailure, ThreadBusy, ThreadkeepError
from threadkeep.records import PAGINATED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from threadkeep.store import ThreadStore, Writer

Json = dict[str, Any]

SECONDS = 100.0


# --- 26: one writer --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def another_process(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A process that runs ``code`` and is known to have come as far as its first line of output."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        watchdog = threading.Timer(SECONDS, process.kill)
        watchdog.start()
        line = process.stdout.readline()
        watchdog.cancel()
        assert line == "ready\n", process.communicate()
        yield process
    finally:
        process.kill()
        process.communicate(timeout=SECONDS)


THREADKEEP_WRITER = """
    import sys
    from threadkeep.store import ThreadStore

    with ThreadStore.open(sys.argv[1]) as store, store.writer(sys.argv[2]) as writer:
        print("ready", flush=True)
        sys.stdin.read()
"""

CODEX_LIKE_WRITER = """
    import fcntl, os, sys

    folder = os.path.join(sys.argv[1], "thread-writer-locks")
    os.makedirs(folder, exist_ok=True)
    lock = open(os.path.join(folder, sys.argv[2] + ".lock"), "w")
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    print("ready", flush=True)
    sys.stdin.read()
"""


def change_calls(store: ThreadStore, thread: str, child: str) -> dict[str, Callable[[], Any]]:
    """Every change of a thread, and of one that inherits from it where that changes the thread."""
    newest = turns_of(store, thread)[0]["id"]
    return {
        "append": lambda: store.writer(thread),
        "rename": lambda: store.rename(thread, "another name"),
        "archive": lambda: store.archive(thread),
        "revert": lambda: store.revert(thread, before=newest),
        "delete": lambda: store.delete(thread),
        "reclaim": lambda: store.delete(thread, reclaim=True),
        "erase": lambda: store.erase(thread, "needle"),
        "erase of a child": lambda: store.erase(child, "needle"),
    }


CHANGES = ["append", "rename", "archive", "revert", "delete", "reclaim", "erase", "erase of a child"]


@pytest.mark.parametrize("writer", [THREADKEEP_WRITER, CODEX_LIKE_WRITER], ids=["threadkeep", "as Codex locks"])
def test_trap_26_every_change_is_refused_while_another_process_writes(home: Ground, writer: str) -> None:
    thread = home.thread("needle", "two")
    child = home.store.fork(thread).id
    before = everything(home.store, thread)
    with another_process(writer, str(home.root), thread) as process:
        for name, change in change_calls(home.store, thread, child).items():
            with refused(home, ThreadBusy, thread, str(process.pid)):
                change()
            with pytest.raises(ThreadBusy) as refusal:
                change()
            assert refusal.value.pid == process.pid, name
        assert everything(home.store, thread) == before  # reading goes on
        assert asked(home.store, home.store.fork(thread).id) == ["needle", "two"]  # and so does forking
        process.send_signal(signal.SIGKILL)
        process.wait(SECONDS)
        home.add(thread, "after the owner's death")
        assert home.store.rename(thread, "another name").name == "another name"
    assert asked(home.store, thread) == ["needle", "two", "after the owner's death"]
    locks = home.root / "thread-writer-locks"
    assert [path.name for path in locks.iterdir() if path.name != ".coordination.lock"] == []


@pytest.mark.parametrize("change", CHANGES)
def test_trap_26_every_change_is_refused_while_this_process_writes(ground: Ground, change: str) -> None:
    thread = ground.thread("needle", "two")
    child = ground.store.fork(thread).id
    calls = change_calls(ground.store, thread, child)
    with ground.store.writer(thread), refused(ground, ThreadBusy, thread, str(os.getpid())):
        calls[change]()
    calls[change]()


def test_trap_26_an_archived_thread_is_not_taken_out_while_somebody_holds_it(ground: Ground) -> None:
    thread = ground.thread("one")
    ground.store.archive(thread)
    lease = ground.store.backend.lease(thread)
    with refused(ground, ThreadBusy, thread, str(os.getpid())):
        ground.store.unarchive(thread)
    lease.release()
    assert not ground.store.unarchive(thread).archived


def test_trap_26_a_note_of_a_dead_owner_is_not_believed(home: Ground) -> None:
    thread = home.thread("one")
    locks = home.root / "thread-writer-locks"
    locks.mkdir(exist_ok=True)
    lock = locks / f"{thread}.lock"
    lock.write_text(json.dumps({"pid": 1, "since": "2026-01-01T00:00:00.000Z", "program": "dead"}))
    home.add(thread, "two")
    lock.write_text(json.dumps({"pid": 1, "since": "2026-01-01T00:00:00.000Z", "program": "dead"}))
    with lock.open("r") as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(ThreadBusy) as refusal:
            home.store.writer(thread)
    assert refusal.value.pid == os.getpid()
    assert refusal.value.program != "dead"


def test_trap_26_a_lease_whose_lock_was_taken_away_writes_nothing(home: Ground) -> None:
    thread = home.thread("one")
    with home.store.writer(thread) as writer:
        home.turn(writer, "two")
        before = home.data(thread)
        (home.root / "thread-writer-locks" / f"{thread}.lock").unlink()
        with pytest.raises(LeaseLost, match=thread):
            home.turn(writer, "three")
        assert home.data(thread) == before
        home.add(thread, "of another writer")
        with pytest.raises(LeaseLost):
            home.turn(writer, "four")
    assert asked(home.store, thread) == ["one", "two", "of another writer"]


RACER = """
    import sys, time
    from threadkeep.errors import ThreadBusy
    from threadkeep.store import ThreadStore

    print("ready", flush=True)
    sys.stdin.readline()
    deadline = time.monotonic() + 100
    with ThreadStore.open(sys.argv[1], durability="os") as store:
        for number in range(15):
            while True:
                try:
                    with store.writer(sys.argv[2]) as writer:
                        with writer.turn(f"{sys.argv[3]} {number}", model="m", cwd="/") as turn:
                            turn.say("an answer")
                    break
                except ThreadBusy:
                    assert time.monotonic() < deadline
                    time.sleep(0.001)
    print("done", flush=True)
"""


def test_trap_26_processes_that_race_write_one_after_the_other(home: Ground) -> None:
    thread = home.thread("one")
    with contextlib.ExitStack() as running:
        racers = [running.enter_context(another_process(RACER, str(home.root), thread, name)) for name in ("a", "b")]
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        for racer in racers:
            out, err = racer.communicate(timeout=SECONDS)
            assert out == "done\n", err
    texts = asked(home.store, thread)
    assert sorted(texts) == sorted(["one", *(f"{name} {number}" for name in "ab" for number in range(15))])
    lines = home.lines(thread)
    assert [line["ordinal"] for line in lines] == list(range(len(lines)))
    assert {turn["status"] for turn in turns_of(home.store, thread)} == {"completed"}


# --- 27: flushes and tails -------------------------------------------------------------------------------------------


class FailingFiles(Files):
    """Fails the n-th call of those that change something, and notes what was done."""

    CHANGING = ("write", "fsync", "link", "rename", "unlink", "mkdir", "truncate")

    def __init__(self) -> None:
        self.left: int | None = None
        self.fail_fsync_of: str | None = None
        self.done: list[tuple[str, str]] = []

    def _count(self, name: str, path: str) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise OSError(errno.EIO, "Input/output error", path)
        self.done.append((name, path))

    def write(self, fd: int, data: bytes | memoryview) -> int:
        self._count("write", os.readlink(f"/proc/self/fd/{fd}"))
        return super().write(fd, data)

    def fsync(self, fd: int) -> None:
        path = os.readlink(f"/proc/self/fd/{fd}")
        if self.fail_fsync_of is not None and path.endswith(self.fail_fsync_of):
            raise OSError(errno.EIO, "Input/output error", path)
        self._count("fsync", path)
        super().fsync(fd)

    def drop_cache(self, fd: int) -> None:
        self.done.append(("dropped", os.readlink(f"/proc/self/fd/{fd}")))
        super().drop_cache(fd)

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        self.done.append(("opened", path))
        return super().open(path, flags, mode)

    def link(self, source: str, target: str) -> None:
        self._count("link", f"{source} {target}")
        super().link(source, target)

    def rename(self, source: str, target: str) -> None:
        self._count("rename", f"{source} {target}")
        super().rename(source, target)

    def unlink(self, path: str) -> None:
        self._count("unlink", path)
        super().unlink(path)

    def mkdir(self, path: str, mode: int = 0o700) -> None:
        self._count("mkdir", path)
        super().mkdir(path, mode)


@pytest.fixture(params=HOMES)
def failing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Ground, FailingFiles]]:
    files = FailingFiles()
    made = Ground(request.param, tmp_path / "home", files=files, durability="fsync")
    yield made, files
    made.close()


def test_trap_27_after_a_failed_flush_what_stands_is_reported(failing: tuple[Ground, FailingFiles]) -> None:
    home, files = failing
    thread = home.thread("one")
    path = str(home.path(thread))
    durable = len(home.data(thread))
    writer = home.store.writer(thread)
    writer.append("world_state", {"full": True, "state": {}})
    durable = len(home.data(thread))
    files.done.clear()
    files.fail_fsync_of = f"{thread}.jsonl"
    with pytest.raises(DurabilityUnknown) as failure:
        writer.append("world_state", {"full": True, "state": {"more": 1}})
    error = failure.value
    assert (error.thread, error.rollout, error.path) == (thread, thread, path)
    assert error.durable_end == durable
    assert error.standing_end == len(home.data(thread))
    # The cached pages were dropped and the file was opened again before anything was said of it.
    assert ("dropped", path) in files.done
    assert files.done.index(("opened", path)) < files.done.index(("dropped", path))
    files.fail_fsync_of = None
    before = home.data(thread)
    for _ in range(4):  # a flush that succeeds now would lie
        with pytest.raises(DurabilityUnknown):
            writer.append("world_state", {"full": True, "state": {"yet": "more"}})
    assert home.data(thread) == before
    writer.close()
    home.add(thread, "two")  # a new writer reads again what stands
    assert asked(home.store, thread) == ["one", "two"]
    assert [line["ordinal"] for line in home.lines(thread)] == list(range(len(home.lines(thread))))


def test_trap_27_a_record_that_did_not_reach_the_disk_is_not_said_to_stand(
    failing: tuple[Ground, FailingFiles],
) -> None:
    home, files = failing
    thread = home.thread("one")
    path = home.path(thread)
    writer = home.store.writer(thread)
    writer.append("world_state", {"full": True, "state": {}})
    durable = len(home.data(thread))

    def drop_cache(fd: int) -> None:
        os.truncate(path, durable + 30)  # the disk never got the rest

    files.drop_cache = drop_cache  # type: ignore[method-assign]
    files.fail_fsync_of = f"{thread}.jsonl"
    with pytest.raises(DurabilityUnknown) as failure:
        writer.append("world_state", {"full": True, "state": {"lost": True}})
    assert (failure.value.durable_end, failure.value.standing_end) == (durable, durable)
    files.fail_fsync_of = None
    writer.close()
    home.add(thread, "two")
    assert asked(home.store, thread) == ["one", "two"]
    assert "lost" not in json.dumps(home.store.resume(thread).context.world_state)


def packed(home: Ground, thread: str) -> Ground:
    home.pack(thread)
    return home


OPERATIONS: dict[str, Callable[[Ground, str, str], Any]] = {
    "create": lambda home, thread, child: home.thread("new"),
    "append": lambda home, thread, child: home.add(thread, "more"),
    "fork": lambda home, thread, child: home.store.fork(thread),
    "revert": lambda home, thread, child: home.store.revert(thread, before=turns_of(home.store, thread)[0]["id"]),
    "rename": lambda home, thread, child: home.store.rename(thread, "another name"),
    "archive": lambda home, thread, child: home.store.archive(thread),
    "delete": lambda home, thread, child: home.store.delete(thread),
    "delete a leaf": lambda home, thread, child: home.store.delete(child),
    "reclaim": lambda home, thread, child: home.store.delete(thread, reclaim=True),
    "materialize": lambda home, thread, child: home.store.materialize(child),
    "unpack": lambda home, thread, child: packed(home, thread).add(thread, "more"),
}


class LeapingClock:
    """Seconds pass between any two looks: nobody waits for a new one to name a file by."""

    def __init__(self) -> None:
        self.ms = 1_790_000_000_000

    def now_ms(self) -> int:
        self.ms += 1_500
        return self.ms


@pytest.mark.parametrize("operation", OPERATIONS)
def test_trap_27_whatever_call_fails_nothing_acknowledged_is_lost(tmp_path: Path, operation: str) -> None:
    for number in range(60):
        files = FailingFiles()
        home = Ground("own home", tmp_path / str(number), files=files, clock=LeapingClock(), durability="fsync")
        thread = home.thread("one", "two", "three")
        child = home.store.fork(thread, before=turns_of(home.store, thread)[0]["id"]).id
        home.add(child, "of the child")
        files.left = number
        failed = False
        try:
            OPERATIONS[operation](home, thread, child)
        except (ThreadkeepError, OSError) as error:
            failed = True
            assert isinstance(error, ThreadkeepError), repr(error)  # noqa: PT017 - of an operation that may succeed
        files.left = None
        store = home.reopened(cold=True)
        if operation != "delete a leaf":
            assert asked(store, child) == ["one", "two", "of the child"]
            assert said(store, child)[::2] == ["one", "two", "of the child"]
        if operation in {"create", "append", "fork", "rename", "archive", "materialize", "unpack", "delete a leaf"}:
            assert asked(store, thread)[:3] == ["one", "two", "three"]
        for path in home.root.rglob("*.jsonl"):
            assert path.read_bytes().startswith(b'{"timestamp"') or path.name.endswith(("marks.jsonl", "index.jsonl"))
        OPERATIONS_AGAIN.get(operation, OPERATIONS[operation])(home, thread, child)
        home.close()
        if not failed:
            break
    else:
        raise AssertionError("the operation never came to its end")
    assert number > 0


def ignoring_refusals(operation: str) -> Callable[[Ground, str, str], Any]:
    def again(home: Ground, thread: str, child: str) -> None:
        with contextlib.suppress(ThreadkeepError):
            OPERATIONS[operation](home, thread, child)

    return again


OPERATIONS_AGAIN: dict[str, Callable[[Ground, str, str], Any]] = {
    "unpack": lambda home, thread, child: home.add(thread, "once more"),
    "materialize": ignoring_refusals("materialize"),
    "delete a leaf": ignoring_refusals("delete a leaf"),
    "delete": ignoring_refusals("delete"),
    "reclaim": ignoring_refusals("reclaim"),
}
"""How an operation is done once more: what was interrupted can be finished, or was finished and is refused."""


@pytest.mark.parametrize("operation", ["create", "fork", "revert", "reclaim", "unpack", "materialize"])
def test_trap_27_files_get_their_names_whole_in_their_own_folder(tmp_path: Path, operation: str) -> None:
    files = FailingFiles()
    home = Ground("own home", tmp_path / "home", files=files, durability="fsync")
    thread = home.thread("one", "two", "three")
    child = home.store.fork(thread, before=turns_of(home.store, thread)[0]["id"]).id
    files.done.clear()
    OPERATIONS[operation](home, thread, child)
    named = [paths.split(" ") for what, paths in files.done if what in {"link", "rename"} and "/pins/" not in paths]
    assert named
    for aside, path in named:
        assert os.path.dirname(aside) == os.path.dirname(path)
        order = [done for done in files.done if aside in done[1] or done == ("fsync", os.path.dirname(path))]
        kinds = [what for what, _ in order]
        name = kinds.index("link") if "link" in kinds else kinds.index("rename")
        assert "write" in kinds[:name]
        assert kinds[:name][-1] == "fsync"  # the bytes are safe before they get their name
        assert "fsync" in kinds[name:]  # and the name before anybody is told
    assert [path for path in home.root.rglob("*") if path.name.endswith(".tmp")] == []
    home.close()


TAILS = {
    "torn": b'{"timestamp":"2026-11-22T10:00:00.000Z","ordi',
    "NULs": bytes(4096),
    "torn, then NULs": b'{"timestamp":"2026-11' + bytes(512),
    "NULs and a newline": bytes(100) + b"\n",
    "garbage": b"\xff\xfe\x00garbage",
    "half a character": '{"timestamp":"é'.encode()[:-1],
}


@pytest.mark.parametrize("tail", TAILS)
def test_trap_27_a_tail_after_power_loss_is_closed_by_the_next_append(ground: Ground, mode: str, tail: str) -> None:
    thread = ground.thread("one", "two", mode=mode)
    whole = ground.data(thread)
    before = everything(ground.store, thread)
    ground.edit(thread, whole + TAILS[tail])
    assert everything(ground.store, thread) | {"counts": before["counts"]} == before
    child = ground.store.fork(thread).id
    ground.add(thread, "three")
    data = ground.data(thread)
    assert data.startswith(whole + TAILS[tail])  # nothing is cut off
    assert data[len(whole + TAILS[tail].rstrip(b"\n")) :][:1] == b"\n"
    assert asked(ground.store, thread) == ["one", "two", "three"]
    assert asked(ground.store, child) == ["one", "two"]
    if mode == PAGINATED:
        ordinals = [json.loads(line)["ordinal"] for line in data.splitlines() if line.startswith(b"{") and ok(line)]
        assert ordinals == list(range(len(ordinals)))
    check_fast_is_full(ground.store, thread)
    check_as_the_definition(ground.store, thread, whole + data[len(whole) + len(TAILS[tail].rstrip(b"\n")) + 1 :])


def ok(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


# --- 28: after a kill ------------------------------------------------------------------------------------------------

KILLED = """
    import sys
    from threadkeep.store import ThreadStore

    store = ThreadStore.open(sys.argv[1])
    writer = store.create(cwd="/", mode=sys.argv[2])
    with writer.turn("one", model="m", cwd="/") as turn:
        turn.say("an answer")
    turn = writer.turn("two", model="m", cwd="/").__enter__()
    turn.add({"type": "function_call", "name": "exec", "arguments": "{}", "call_id": "c1"})
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_trap_28_a_killed_writers_turn_is_interrupted_and_the_thread_resumes(home: Ground, mode: str) -> None:
    with another_process(KILLED, str(home.root), mode) as process:
        process.kill()
        process.wait(SECONDS)
    (thread,) = [thread.id for thread in home.store.list().data]
    check_interrupted(home, thread)


@pytest.mark.parametrize("kind", ["function_call", "custom_tool_call", "local_shell_call"])
def test_trap_28_a_call_without_its_output_and_a_turn_without_its_end(ground: Ground, mode: str, kind: str) -> None:
    rollout = Rollout(mode=mode)
    rollout.turn("one")
    turn = rollout.start()
    rollout.user("two", turn)
    call: Json = {"type": kind, "name": "exec", "call_id": "c1"}
    if kind == "local_shell_call":
        call = {"type": kind, "call_id": "c1", "status": "completed", "action": {"type": "exec", "command": ["ls"]}}
    else:
        call["arguments" if kind == "function_call" else "input"] = "{}"
    rollout.record("response_item", call)
    thread = ground.put(rollout)
    check_as_the_definition(ground.store, thread, rollout.data)
    check_interrupted(ground, thread)


def check_interrupted(ground: Ground, thread: str) -> None:
    store = ground.store
    before = ground.data(thread)
    newest = turns_of(store, thread)[0]
    assert newest["status"] == "interrupted"
    calls = [item for item in history(store.resume(thread).context) if item.get("call_id") == "c1"]
    assert len(calls) == 1
    assert ground.data(thread) == before  # nothing is repaired by looking
    check_fast_is_full(store, thread)
    child = store.fork(thread).id
    assert said(store, child)[-1].startswith("<turn_aborted>")
    ground.add(thread, "and on")
    assert asked(store, thread) == ["one", "two", "and on"]
    assert [turn["status"] for turn in turns_of(store, thread)] == ["completed", "interrupted", "completed"]
    check_fast_is_full(store, thread)
    assert ground.data(thread).startswith(before)


def test_trap_28_a_turn_that_failed_in_the_middle_is_closed_by_its_writer(ground: Ground, mode: str) -> None:
    def interrupted(writer: Writer) -> None:
        with writer.turn("two", model="m", cwd=NOWHERE) as turn:
            turn.say("half")
            raise KeyboardInterrupt

    thread = ground.thread("one", mode=mode)
    with ground.store.writer(thread) as writer, pytest.raises(KeyboardInterrupt):
        interrupted(writer)
    assert [turn["status"] for turn in turns_of(ground.store, thread)] == ["interrupted", "completed"]
    assert said(ground.store, thread)[-1].startswith("<turn_aborted>")


# --- 29: compression -------------------------------------------------------------------------------------------------


class Meanwhile(Files):
    """Lets something happen just before a rollout is opened to write."""

    def __init__(self) -> None:
        self.event: Callable[[], None] | None = None

    def open(self, path: str, flags: int, mode: int = 0o600) -> int:
        if self.event is not None and flags & os.O_APPEND and "/sessions/" in path:
            event, self.event = self.event, None
            event()
        return super().open(path, flags, mode)


@pytest.mark.parametrize("kind", HOMES)
def test_trap_29_compressed_between_looking_and_opening(tmp_path: Path, mode: str, kind: Any) -> None:
    files = Meanwhile()
    home = Ground(kind, tmp_path / "home", files=files)
    thread = home.thread("one", mode=mode)
    happened: list[Path] = []

    def event() -> None:
        home.pack(thread)
        happened.extend(home.paths(thread))

    files.event = event
    with contextlib.suppress(StorageFailure, LeaseLost):  # refused, or done: never half
        home.add(thread, "two")
    assert [path.suffix for path in happened] == [".zst"]
    texts = asked(home.store, thread)
    assert texts in (["one"], ["one", "two"])
    home.add(thread, "three")
    assert asked(home.reopened(cold=True), thread) == [*texts, "three"]
    assert [path.suffix for path in home.paths(thread)] == [".jsonl"]
    home.close()


@pytest.mark.parametrize("durability", ["fsync", "os"])
def test_trap_29_compressed_under_a_writer_that_has_it_open(tmp_path: Path, durability: Any) -> None:
    home = Ground("own home", tmp_path / "home", durability=durability)
    thread = home.thread("one")
    with home.store.writer(thread) as writer:
        home.turn(writer, "two")
        home.pack(thread)
        with pytest.raises(LeaseLost, match=thread):  # what was written now would be lost, so it is not acknowledged
            writer.append("world_state", {"full": True, "state": {}})
        with pytest.raises(LeaseLost, match=thread):
            home.turn(writer, "three")
    assert asked(home.store, thread) == ["one", "two"]
    home.add(thread, "four")
    assert asked(home.reopened(cold=True), thread) == ["one", "two", "four"]
    home.close()


def test_trap_29_the_plain_file_wins_and_its_old_compressed_form_never_comes_back(home: Ground, mode: str) -> None:
    thread = home.thread("one", mode=mode)
    stale = home.path(thread).with_name(home.path(thread).name + ".zst")
    stale.write_bytes(compressed(home.data(thread)))
    home.store.list()
    home.add(thread, "two")
    plain = [path for path in home.paths(thread) if path.suffix == ".jsonl"]
    assert len(plain) == 1
    assert asked(home.reopened(cold=True), thread) == ["one", "two"]
    assert len(home.store.list().data) == 1
    home.store.delete(thread)
    assert home.paths(thread) == []
    assert home.reopened(cold=True).list().data == []


def test_trap_29_an_unpacked_rollout_keeps_its_bytes_and_its_time(home: Ground, mode: str) -> None:
    thread = home.thread("one", "two", mode=mode)
    path = home.path(thread)
    os.utime(path, ns=(1_700_000_000_000_000_000, 1_700_000_000_000_000_000))
    before, data = everything(home.store, thread), home.data(thread)
    child = home.store.fork(thread).id
    home.pack(thread)
    assert everything(home.store, thread) == before
    with home.store.writer(thread) as writer:
        writer.append("event_msg", {"type": "warning"})  # not kept: nothing is unpacked for it
        assert [each.suffix for each in home.paths(thread)] == [".zst"]
        home.turn(writer, "three")
    assert home.path(thread) == path
    assert home.data(thread).startswith(data)
    assert asked(home.store, thread) == ["one", "two", "three"]
    assert asked(home.store, child) == ["one", "two"]


@pytest.mark.parametrize("state", ["cut", "garbage", "empty"])
def test_trap_29_a_compressed_file_that_is_damaged_is_refused_and_kept(home: Ground, state: str) -> None:
    thread = home.thread("one")
    home.pack(thread)
    path = home.path(thread)
    data = path.read_bytes()
    path.write_bytes({"cut": data[: len(data) // 2], "garbage": b"no zstd at all", "empty": b""}[state])
    store = home.reopened(cold=True)
    for ask in (store.resume, store.turns, store.writer, store.fork):
        with refused(home, ThreadkeepError, thread):
            ask(thread)
    (listed,) = store.list().data
    assert listed.problem is not None
