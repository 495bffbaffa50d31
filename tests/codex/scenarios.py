"""What the fixtures are made of: short conversations that show each shape of rollout that a version can write.

A scenario is a function that gets a :class:`Lab` and a history mode (None: the version knows none) and drives one
binary. :data:`SCENARIOS` says which versions run which; :func:`make_fixtures.main` runs them.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.codex.client import AppServer, JsonObject, Proto, RpcError, clean_environment, write_config
from tests.codex.scrub import rollout_files, thread_id
from tests.codex.terminal import ESCAPE, Terminal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.codex.mock_responses import MockResponses

LOW_LIMIT: Final = 20_000
"""The token count at which the scenarios of automatic compaction compact."""

OLD_MODEL: Final = "gpt-5.1-codex-max"
"""The model of early versions; later ones do not know it, and offer the tools of multi-agent mode 1 for it."""

PATCH: Final = "*** Begin Patch\n*** Add File: note.txt\n+first line\n+größe\n*** End Patch\n"
"""A patch that adds a file."""

LEGACY: Final = "legacy"
PAGINATED: Final = "paginated"


@dataclass
class Lab:
    """One binary with one home, one project folder and one mock model."""

    version: str
    """The version of the binary."""
    binary: Path
    """Where it is."""
    root: Path
    """A folder of its own; everything is in here."""
    mock: MockResponses
    """The model."""
    texts: set[str] = field(default_factory=set)
    """Texts that the scenario brought in: these are ours, the scrubber keeps them."""

    def __post_init__(self) -> None:
        """Make the folders and a plain configuration."""
        self.project.mkdir(parents=True)
        self.configure()

    @property
    def home(self) -> Path:
        """The Codex home."""
        return self.root / ".codex"

    @property
    def project(self) -> Path:
        """The working folder of the conversations."""
        return self.root / "project"

    @property
    def number(self) -> tuple[int, ...]:
        """The version as numbers, to compare."""
        return tuple(int(part) for part in self.version.split("."))

    def configure(self, **options: str) -> None:
        """Write the configuration anew, with options of :func:`tests.codex.client.write_config`."""
        model = OLD_MODEL if self.number < (0, 125) else "gpt-5.5"
        write_config(self.home, self.mock.base_url, **{"model": model, **options})

    def server(self, *, env: dict[str, str] | None = None) -> AppServer:
        """A new app-server process, initialized."""
        command: list[str | Path] = [self.binary, "app-server"]
        server = AppServer(command, home=self.home, cwd=self.project, env=env, stderr=self.root / "stderr.log")
        server.initialize("lab")
        return server

    def run(self, *arguments: str, env: dict[str, str] | None = None) -> str:
        """Run the binary to its end with no input and return its output. Raises CalledProcessError."""
        done = subprocess.run(
            [self.binary, *arguments],
            cwd=self.project,
            env=clean_environment(self.home, env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=True,
        )
        return done.stdout.decode()

    def ours(self, *texts: str) -> str:
        """Say that these texts are ours, and return the first."""
        self.texts.update(texts)
        return texts[0]

    def start(self, server: AppServer, mode: str | None, **params: object) -> str:
        """Start a thread and return its id."""
        more = {} if mode is None else {"historyMode": mode}
        return str(server.request("thread/start", {"cwd": str(self.project), **more, **params})["thread"]["id"])

    def turn(self, server: AppServer, thread: str, text: str) -> str:
        """Run a turn to its end, whatever that is, and return its id."""
        return str(server.run_turn(thread, self.ours(text))["id"])

    def hold(self, server: AppServer, thread: str, text: str) -> str:
        """Start a turn that answers in part and then stands; return its id when the partial answer is there."""
        mark = server.mark()
        turn = server.start_turn(thread, self.ours(f"[[partial]] {text}"))
        self.mock.wait_for_prompt(text)
        server.wait_notification("item/completed", lambda params: params["item"]["type"] == "agentMessage", since=mark)
        server.settle()
        return turn

    def interrupt(self, server: AppServer, thread: str, turn: str) -> None:
        """Interrupt a turn and wait for its end."""
        mark = server.mark()
        server.request("turn/interrupt", {"threadId": thread, "turnId": turn})
        server.wait_notification("turn/completed", since=mark)

    def compact(self, server: AppServer, thread: str) -> None:
        """Compact by hand and wait for the end of it."""
        mark = server.mark()
        server.request("thread/compact/start", {"threadId": thread})
        server.wait_notification("turn/completed", since=mark)

    def rollback(self, server: AppServer, thread: str, turns: int) -> None:
        """Drop the last turns the way that versions up to 0.149 do it."""
        server.request("thread/rollback", {"threadId": thread, "numTurns": turns})
        server.settle()

    def fork(self, server: AppServer, thread: str, **params: object) -> str:
        """Fork a thread and return the child's id."""
        answer = server.request("thread/fork", {"threadId": thread, **params})
        server.settle()
        return str(answer["thread"]["id"])

    def resume(self, server: AppServer, thread: str) -> JsonObject:
        """Resume a thread and return the answer."""
        return server.request("thread/resume", {"threadId": thread})

    def call(self, command: str) -> str:
        """The directive for a shell call of ``command``, whose text is ours in every form that Codex gives it."""
        quoted = shlex.quote(command)
        self.ours(command, f"/bin/bash -lc {quoted}", f"bash -lc {quoted}", f"/bin/bash -c {quoted}")
        return f"[[call:{command}]]"

    def patch(self) -> str:
        """The directive for a call that applies :data:`PATCH`, by the tool where there is one."""
        if self.number < (0, 60):
            return self.call(f"apply_patch <<'EOF'\n{PATCH}EOF")
        return f"[[custom:apply_patch:{PATCH}]]"

    def make_repository(self) -> None:
        """Make the project folder a git repository with one commit, one remote and an AGENTS.md."""
        (self.project / "AGENTS.md").write_text("Say little.\n", encoding="utf-8")
        fixed = {"GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z"}
        environment = {**clean_environment(self.home), **fixed, "GIT_CONFIG_NOSYSTEM": "1"}
        me = ["-c", "user.name=me", "-c", "user.email=me@example.com"]
        for arguments in (
            ["init", "-q", "-b", "main"],
            ["remote", "add", "origin", "https://example.com/me/project.git"],
            ["add", "AGENTS.md"],
            [*me, "commit", "-q", "-m", "first"],
        ):
            subprocess.run(["git", *arguments], cwd=self.project, env=environment, check=True, timeout=60)


# --- 0.20.0: codex proto and codex exec ---------------------------------------------------------------------------


def proto_turns(lab: Lab, mode: str | None) -> None:
    """Plain turns, a call, a patch, a failed turn, an interrupted one, a compaction, in one process."""
    with Proto([lab.binary, "proto"], home=lab.home, cwd=lab.project) as proto:
        proto.run_turn(lab.ours("hello one, größe 你好 ☕"))
        proto.run_turn(lab.ours(f"[[reason]] {lab.call('echo hi')} two"))
        proto.run_turn(lab.ours(f"{lab.patch()} three"))
        proto.run_turn(lab.ours("[[fail:500]] four"))
        proto.submit("interrupt")  # Without it 0.20.0 takes the next input for the failed task, and loses it.
        proto.settle()
        proto.user_input(lab.ours("[[partial]] five"))
        lab.mock.wait_for_prompt("five")
        proto.settle()
        proto.submit("interrupt")
        proto.settle()
        mark = proto.mark()
        proto.submit("compact")
        proto.wait_event("task_complete", since=mark)
        proto.run_turn(lab.ours("six"))
        proto.submit("shutdown")
        proto.wait_event("shutdown_complete")
        proto.kill()


def proto_crash(lab: Lab, mode: str | None) -> None:
    """A process killed in the middle of a turn, and a later one that resumes the file and goes on."""
    with Proto([lab.binary, "proto"], home=lab.home, cwd=lab.project) as proto:
        proto.run_turn(lab.ours("before the crash"))
        proto.user_input(lab.ours("[[partial]] in the middle"))
        lab.mock.wait_for_prompt("in the middle")
        proto.settle()
        proto.kill()
    (path,) = (lab.home / "sessions").rglob("rollout-*.jsonl")
    command: list[str | Path] = [lab.binary, "proto", "-c", f"experimental_resume={path}"]
    with Proto(command, home=lab.home, cwd=lab.project) as proto:
        proto.run_turn(lab.ours("after the crash"))
        proto.settle()  # Its writer is behind its events, and nothing makes it wait.
        proto.kill()


def exec_git(lab: Lab, mode: str | None) -> None:
    """One turn of ``codex exec`` in a git repository with an AGENTS.md."""
    lab.make_repository()
    lab.run("exec", lab.ours(f"{lab.call('echo hi')} in a repository"))


def exec_names(lab: Lab, mode: str | None) -> None:
    """One turn in each of two time zones whose dates differ."""
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        lab.run("exec", "--skip-git-repo-check", lab.ours(f"hello from {zone}"), env={"TZ": zone})


# --- 0.60.1 and later: codex app-server ---------------------------------------------------------------------------


def turns(lab: Lab, mode: str | None) -> None:
    """Plain turns, reasoning, a call, a patch, a failed turn and an interrupted one."""
    with lab.server() as server:
        thread = lab.start(server, mode)
        lab.turn(server, thread, "hello one, größe 你好 ☕")
        lab.turn(server, thread, f"[[reason]] {lab.call('echo hi')} two")
        lab.turn(server, thread, f"{lab.patch()} three")
        lab.turn(server, thread, "[[fail:500]] four")
        lab.interrupt(server, thread, lab.hold(server, thread, "five"))
        lab.turn(server, thread, "six")


def crash(lab: Lab, mode: str | None) -> None:
    """Killed in mid-turn, resumed by a later process that goes on; then a third process, and a kill at the end."""
    with lab.server() as server:
        thread = lab.start(server, mode)
        lab.turn(server, thread, "before the crash")
        lab.hold(server, thread, "in the middle")
        server.kill()
    with lab.server() as server:
        lab.resume(server, thread)
        lab.turn(server, thread, f"{lab.call('echo hi')} after the crash")
    with lab.server() as server:
        lab.resume(server, thread)
        lab.turn(server, thread, "a third process")
        lab.hold(server, thread, "never answered")
        server.kill()


def compaction(lab: Lab, mode: str | None) -> None:
    """Two compactions by hand, turns between and after them, a resume after the first."""
    with lab.server() as server:
        thread = lab.start(server, mode)
        lab.turn(server, thread, "one")
        lab.turn(server, thread, f"[[reason]] {lab.call('echo hi')} two")
        lab.compact(server, thread)
    with lab.server() as server:
        lab.resume(server, thread)
        lab.turn(server, thread, "three")
        lab.compact(server, thread)
        lab.turn(server, thread, "four")


def compaction_auto(lab: Lab, mode: str | None) -> None:
    """Compaction that starts by itself: before a turn, and in the middle of one."""
    lab.configure(top=f"model_auto_compact_token_limit = {LOW_LIMIT}\n")
    with lab.server() as server:
        thread = lab.start(server, mode)
        lab.turn(server, thread, f"[[usage:{LOW_LIMIT * 2}]] one")
        lab.turn(server, thread, f"[[usage:{LOW_LIMIT // 2}]] two")
        lab.turn(server, thread, f"[[usage:{LOW_LIMIT * 2}]] {lab.call('echo hi')} three")
        lab.turn(server, thread, f"[[usage:{LOW_LIMIT // 2}]] four")


def compaction_remote(lab: Lab, mode: str | None) -> None:
    """Compaction by the provider (one that is called OpenAI), which leaves an encrypted item."""
    lab.configure(provider_name="OpenAI", top=f"model_auto_compact_token_limit = {LOW_LIMIT}\n")
    with lab.server() as server:
        thread = lab.start(server, mode)
        lab.turn(server, thread, f"[[usage:{LOW_LIMIT * 2}]] one")
        lab.turn(server, thread, f"[[usage:{LOW_LIMIT // 2}]] two")
        if lab.number >= (0, 100):
            lab.compact(server, thread)
        lab.turn(server, thread, f"[[usage:{LOW_LIMIT // 2}]] three")


def terminal_backtrack(lab: Lab, mode: str | None) -> None:
    """The terminal interface of 0.60.1: backtracking before the second of three messages, then ``/compact``."""
    with (lab.home / "config.toml").open("a", encoding="utf-8") as config:
        config.write(f'[projects."{lab.project}"]\ntrust_level = "trusted"\n')
    with Terminal([lab.binary], home=lab.home, cwd=lab.project) as terminal:
        for text in ("first message", "second message", "third message"):
            terminal.enter(lab.ours(text))
            lab.mock.wait_for_prompt(text)
            terminal.settle()
        for _ in range(3):
            terminal.press(ESCAPE)
        terminal.press("\r")
        terminal.enter(", edited")
        lab.ours("second message, edited", ", editedsecond message")
        lab.mock.wait_for_prompt(", edited")
        terminal.settle()
        terminal.enter("/compact")
        terminal.settle(2.0)
        terminal.enter(lab.ours("fourth message"))
        lab.mock.wait_for_prompt("fourth message")
        terminal.settle()


def rollback(lab: Lab, mode: str | None) -> None:
    """Rollbacks of the last turn, of several, of an interrupted one and of more than there are; a resume between."""
    with lab.server() as server:
        thread = lab.start(server, mode)
        for text in ("one", f"{lab.call('echo hi')} two", "three"):
            lab.turn(server, thread, text)
        lab.rollback(server, thread, 1)
        lab.turn(server, thread, "three, again")
        lab.rollback(server, thread, 2)
        lab.turn(server, thread, "two, again")
    with lab.server() as server:
        lab.resume(server, thread)
        lab.interrupt(server, thread, lab.hold(server, thread, "interrupted"))
        lab.rollback(server, thread, 1)
        lab.turn(server, thread, "last")
        other = lab.start(server, mode)
        lab.turn(server, other, "all of this goes")
        lab.turn(server, other, "and this")
        lab.rollback(server, other, 5)
        lab.turn(server, other, "a new start")


def rollback_compaction(lab: Lab, mode: str | None) -> None:
    """Rollbacks around a compaction: one of the turn after it, which ends the file, and one of turns on both sides."""
    with lab.server() as server:
        for count, after in ((1, None), (2, "after")):
            thread = lab.start(server, mode)
            lab.turn(server, thread, "one")
            lab.turn(server, thread, "two")
            lab.compact(server, thread)
            lab.turn(server, thread, "three")
            lab.rollback(server, thread, count)
            if after is not None:
                lab.turn(server, thread, after)


def fork(lab: Lab, mode: str | None) -> None:
    """Forks at the head, of a fork, and (where the version has them) through and before a turn and in mid-turn."""
    with lab.server() as server:
        thread = lab.start(server, mode)
        first = lab.turn(server, thread, "one")
        second = lab.turn(server, thread, f"{lab.call('echo hi')} two")
        child = lab.fork(server, thread)
        lab.turn(server, child, "in the fork")
        lab.turn(server, thread, "three, in the parent")
        grandchild = lab.fork(server, child)
        lab.turn(server, grandchild, "in the fork of the fork")
        if lab.number >= (0, 149):
            through = lab.fork(server, thread, lastTurnId=first)
            lab.turn(server, through, "after a fork through the first turn")
        if mode == PAGINATED:
            lab.fork(server, thread, beforeTurnId=second)
            lab.fork(server, grandchild, lastTurnId=first)
            lab.fork(server, thread, beforeTurnId=first)


def fork_running(lab: Lab, mode: str | None) -> None:
    """A fork of a thread whose turn is running; the parent is interrupted afterwards."""
    with lab.server() as server:
        thread = lab.start(server, mode)
        lab.turn(server, thread, "one")
        turn = lab.hold(server, thread, "running")
        child = lab.fork(server, thread)
        lab.turn(server, child, "in the fork")
        lab.interrupt(server, thread, turn)
        lab.turn(server, thread, "in the parent")


def fork_rollback(lab: Lab, mode: str | None) -> None:
    """A fork of a thread with a rollback in it, and a rollback in the fork that reaches inherited turns."""
    with lab.server() as server:
        thread = lab.start(server, mode)
        for text in ("one", "two", "three"):
            lab.turn(server, thread, text)
        lab.rollback(server, thread, 1)
        child = lab.fork(server, thread)
        lab.turn(server, child, "in the fork")
        lab.rollback(server, child, 2)
        lab.turn(server, child, "in the fork, again")


def fork_compaction(lab: Lab, mode: str | None) -> None:
    """A fork after a compaction, and one through a turn before it; a compaction in the fork; the parent archived."""
    with lab.server() as server:
        thread = lab.start(server, mode)
        first = lab.turn(server, thread, "one")
        lab.compact(server, thread)
        lab.turn(server, thread, "two")
        child = lab.fork(server, thread)
        lab.turn(server, child, "in the fork")
        lab.compact(server, child)
        lab.turn(server, child, "after the fork's compaction")
        early = lab.fork(server, thread, lastTurnId=first)
        lab.turn(server, early, "after a fork before the compaction")
        server.request("thread/archive", {"threadId": thread})


def revert(lab: Lab, mode: str | None) -> None:
    """Reverts to before the last turn, and from there to before a turn that a compaction followed; a fork of that."""
    with lab.server() as server:
        thread = lab.start(server, mode)
        lab.turn(server, thread, "one")
        second = lab.turn(server, thread, "two")
        lab.compact(server, thread)
        third = lab.turn(server, thread, "three")
        server.request("thread/revert", {"threadId": thread, "beforeTurnId": third})
        lab.turn(server, thread, "three, again")
        server.request("thread/revert", {"threadId": thread, "beforeTurnId": second})
        lab.turn(server, thread, "two, again")
        child = lab.fork(server, thread)
        lab.turn(server, child, "in the fork")


def repository(lab: Lab, mode: str | None) -> None:
    """Turns in a git repository with an AGENTS.md, one of which changes a file (ghost snapshots, where they exist)."""
    lab.make_repository()
    if lab.number < (0, 140):
        lab.configure(features="undo = true\n")
    with lab.server() as server:
        thread = lab.start(server, mode)
        lab.turn(server, thread, f"{lab.call('echo new > new.txt')} one")
        lab.turn(server, thread, "two")
        if lab.number >= (0, 100):
            lab.compact(server, thread)
            lab.turn(server, thread, "three")


def archived(lab: Lab, mode: str | None) -> None:
    """An archived thread, a named one beside it, and one that was archived and is back."""
    with lab.server() as server:
        gone, named, back = (lab.start(server, mode) for _ in range(3))
        for thread, text in ((gone, "archived"), (named, "named"), (back, "archived and back")):
            lab.turn(server, thread, text)
        server.request("thread/archive", {"threadId": gone})
        if lab.number >= (0, 100):
            server.request("thread/name/set", {"threadId": named, "name": lab.ours("A name — größer")})
            server.request("thread/name/set", {"threadId": named, "name": lab.ours("The newer name")})
            server.request("thread/archive", {"threadId": back})
            server.request("thread/unarchive", {"threadId": back})
        server.settle()


def names(lab: Lab, mode: str | None) -> None:
    """One turn in each of two time zones whose dates differ."""
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        with lab.server(env={"TZ": zone}) as server:
            lab.turn(server, lab.start(server, mode), f"hello from {zone}")


def execute(lab: Lab, mode: str | None) -> None:
    """``codex exec`` and ``codex exec resume``."""
    lab.run("exec", "--skip-git-repo-check", lab.ours(f"{lab.call('echo hi')} by exec"))
    (path,) = rollout_files(lab.home)
    lab.run("exec", "--skip-git-repo-check", "resume", thread_id(path), lab.ours("by exec resume"))


def review(lab: Lab, mode: str | None) -> None:
    """A review inside a thread, and a detached one."""
    target = {"type": "custom", "instructions": lab.ours("look at the change")}
    with lab.server() as server:
        thread = lab.start(server, mode)
        lab.turn(server, thread, "one")
        for delivery in ("inline", "detached"):
            mark = server.mark()
            try:
                server.request("review/start", {"threadId": thread, "target": target, "delivery": delivery})
            except RpcError:
                continue  # This version has no such delivery.
            server.wait_notification("turn/completed", since=mark)
            server.settle()
        lab.turn(server, thread, "two")


def subagent(lab: Lab, mode: str | None) -> None:
    """An agent spawned by a turn, without and (where the version has it) with the parent's context."""
    feature = "collab" if lab.number < (0, 125) else "multi_agent"
    lab.configure(model=OLD_MODEL, features=f"{feature} = true\n")
    with lab.server() as server:
        thread = lab.start(server, mode)
        lab.turn(server, thread, "one")
        variants: list[tuple[str, JsonObject]] = [("task without context", {})]
        if lab.number >= (0, 125):
            variants.append(("task with context", {"fork_context": True}))
        for task, more in variants:
            lab.ours(task)
            arguments = _compact({"message": task, **more})
            lab.turn(server, thread, f"[[tool:spawn_agent:{arguments}]] spawn for a {task}")
            lab.mock.wait_for_prompt(task)
            server.settle()


def agents(lab: Lab, mode: str | None) -> None:
    """Multi-agent mode 2: an agent spawned with the whole context, one with none, and a message to it."""
    lab.configure(model=OLD_MODEL, features="multi_agent_v2 = true\n")
    with lab.server() as server:
        thread = lab.start(server, mode)
        lab.turn(server, thread, "one")
        for name, context in (("first", "all"), ("second", "none")):
            task = lab.ours(f"task of the {name}")
            arguments = _compact({"task_name": name, "message": task, "fork_turns": context})
            lab.turn(server, thread, f"[[tool:spawn_agent:{arguments}]] spawn the {name}")
            server.settle(1.0)
        arguments = _compact({"target": "first", "message": lab.ours("a message for the first")})
        lab.turn(server, thread, f"[[tool:send_message:{arguments}]] send a message")
        server.settle(1.0)


def extras(lab: Lab, mode: str | None) -> None:
    """A steered turn, the user's own shell command, injected items, a metadata update, memory switched off."""
    with lab.server() as server:
        thread = lab.start(server, mode)
        lab.turn(server, thread, "one")
        turn = lab.hold(server, thread, "to be steered")
        text = {"type": "text", "text": lab.ours("steered")}
        server.request("turn/steer", {"threadId": thread, "expectedTurnId": turn, "input": [text]})
        mark = server.mark()
        lab.mock.release()
        server.wait_notification("turn/completed", since=mark)
        mark = server.mark()
        server.request("thread/shellCommand", {"threadId": thread, "command": lab.ours("echo by hand")})
        server.wait_notification("turn/completed", since=mark)
        message = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": lab.ours("injected")}]}
        server.request("thread/inject_items", {"threadId": thread, "items": [message]})
        git = {"sha": "0" * 40, "branch": "other", "originUrl": "https://example.com/other.git"}
        server.request("thread/metadata/update", {"threadId": thread, "gitInfo": git})
        server.request("thread/memoryMode/set", {"threadId": thread, "mode": "disabled"})
        lab.turn(server, thread, "two")


def _compact(value: JsonObject) -> str:
    """JSON without spaces."""
    return json.dumps(value, separators=(",", ":"))


@dataclass(frozen=True)
class Run:
    """One run of a scenario."""

    version: str
    """The version of the binary."""
    mode: str | None
    """The history mode, or None for a version that has none."""
    name: str
    """The folder of the fixture, below the one of the version."""
    committed: bool
    """Whether its fixture is part of the repository."""


@dataclass(frozen=True)
class Scenario:
    """One scenario and who runs it. A run is written ``VERSION`` or ``VERSION MODE``."""

    name: str
    """Its folder; the history mode is added where the version has modes."""
    drive: Callable[[Lab, str | None], None]
    """What is done."""
    committed: tuple[str, ...]
    """The runs whose fixtures are part of the repository (chosen to show every shape in little space)."""
    more: tuple[str, ...] = ()
    """The other runs that work: for a closer look, and for tests with a live binary."""

    def runs(self) -> list[Run]:
        """The runs, those of the repository first."""
        found = []
        for run in (*self.committed, *self.more):
            version, _, mode = run.partition(" ")
            name = f"{self.name}-{mode}" if mode else self.name
            found.append(Run(version, mode or None, name, run in self.committed))
        return found


_LEGACY_149: Final = "0.149.0 legacy"
_PAGINATED_149: Final = "0.149.0 paginated"
_LEGACY_169: Final = "0.169.0 legacy"
_PAGINATED_169: Final = "0.169.0 paginated"

SCENARIOS: Final = (
    Scenario("turns", proto_turns, ("0.20.0",)),
    Scenario("crash", proto_crash, ("0.20.0",)),
    Scenario("repository", exec_git, ("0.20.0",)),
    Scenario("names", exec_names, ("0.20.0",)),
    Scenario(
        "turns",
        turns,
        ("0.60.1", "0.100.0", "0.125.0", _LEGACY_169, _PAGINATED_169),
        ("0.140.0", _LEGACY_149, _PAGINATED_149),
    ),
    Scenario(
        "crash", crash, ("0.60.1", _PAGINATED_169), ("0.100.0", "0.125.0", _LEGACY_149, _PAGINATED_149, _LEGACY_169)
    ),
    Scenario(
        "compaction",
        compaction,
        ("0.140.0", _PAGINATED_149, _LEGACY_169, _PAGINATED_169),
        ("0.100.0", "0.125.0", _LEGACY_149),
    ),
    Scenario(
        "compaction-auto",
        compaction_auto,
        ("0.60.1", _PAGINATED_169),
        ("0.100.0", "0.125.0", "0.140.0", _LEGACY_149, _PAGINATED_149, _LEGACY_169),
    ),
    Scenario(
        "compaction-remote",
        compaction_remote,
        ("0.125.0",),
        ("0.60.1", "0.100.0", _LEGACY_149, _PAGINATED_149, _LEGACY_169, _PAGINATED_169),
    ),
    Scenario("terminal-backtrack", terminal_backtrack, ("0.60.1",)),
    Scenario("rollback", rollback, ("0.100.0", _LEGACY_149), ("0.125.0",)),
    Scenario("rollback-compaction", rollback_compaction, ("0.100.0", "0.125.0", _LEGACY_149), ("0.140.0",)),
    Scenario("fork", fork, (_PAGINATED_149, _PAGINATED_169), ("0.100.0", "0.125.0", _LEGACY_149, _LEGACY_169)),
    Scenario(
        "fork-running",
        fork_running,
        (_LEGACY_169, _PAGINATED_169),
        ("0.100.0", "0.125.0", _LEGACY_149, _PAGINATED_149),
    ),
    Scenario("fork-rollback", fork_rollback, ("0.100.0",), ("0.125.0", _LEGACY_149)),
    Scenario("fork-compaction", fork_compaction, (_PAGINATED_169,), (_LEGACY_149, _PAGINATED_149, _LEGACY_169)),
    Scenario("revert", revert, (_PAGINATED_169,), (_PAGINATED_149,)),
    Scenario(
        "repository",
        repository,
        ("0.60.1", "0.125.0"),
        ("0.100.0", _LEGACY_149, _PAGINATED_149, _LEGACY_169, _PAGINATED_169),
    ),
    Scenario(
        "archived",
        archived,
        ("0.125.0",),
        ("0.60.1", "0.100.0", _LEGACY_149, _PAGINATED_149, _LEGACY_169, _PAGINATED_169),
    ),
    Scenario(
        "names",
        names,
        ("0.60.1",),
        ("0.100.0", "0.125.0", _LEGACY_149, _PAGINATED_149, _LEGACY_169, _PAGINATED_169),
    ),
    Scenario("exec", execute, (), ("0.60.1", "0.100.0", "0.125.0", _PAGINATED_149, _PAGINATED_169)),
    Scenario(
        "review",
        review,
        ("0.60.1",),
        ("0.100.0", "0.125.0", _LEGACY_149, _PAGINATED_149, _LEGACY_169, _PAGINATED_169),
    ),
    Scenario(
        "subagent",
        subagent,
        ("0.125.0",),
        ("0.100.0", _LEGACY_149, _PAGINATED_149, _LEGACY_169, _PAGINATED_169),
    ),
    Scenario("agents", agents, (_PAGINATED_169,), (_LEGACY_149, _PAGINATED_149, _LEGACY_169)),
    Scenario("extras", extras, ("0.125.0",), (_LEGACY_149, _PAGINATED_149, _LEGACY_169, _PAGINATED_169)),
)
"""Every scenario."""
