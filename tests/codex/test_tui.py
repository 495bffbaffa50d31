"""Codex's own terminal interface works against threadkeep as it works against Codex's own server.

The same script is driven against both, so that what fails against threadkeep alone is threadkeep's fault. Screens are
kept as text under the folder that ``THREADKEEP_SCREENS`` names, else in the test's own.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import pytest
from tests.codex.client import clean_environment, write_config
from tests.codex.tmux import Screen

from threadkeep.store import ThreadStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.codex.mock_responses import MockResponses
    from tests.codex.scenarios import Lab

pytestmark = [
    pytest.mark.codex,
    pytest.mark.slow,
    pytest.mark.skipif(not Screen.is_possible(), reason="tmux is not installed"),
]

MODEL: Final = "mock-model"
"""A model that no catalog knows: nobody is asked to try a newer one."""

PROMPT: Final = "\u203a"
"""What stands before what a person wrote, and before the chosen line of a list."""

READY: Final = rf"^{PROMPT} Ask Codex to do anything"
"""An empty composer: the interface waits for a message."""

_WITHOUT_PROMPT: Final = rf"(?:[^{PROMPT}\n]*\n)*"
"""Whole lines, and the rest of one, in which nobody asks anything."""

STARTING_SECONDS: Final = 60.0
"""How long a server may take to listen."""


class Place:
    """A home with a server on it, and the terminal interface that talks to that server from a home of its own."""

    def __init__(self, url: str, codex: Path, client_home: Path, project: Path, screens: Path) -> None:
        self.url = url
        self._codex = codex
        self._client_home = client_home
        self._project = project
        self._screens = screens

    def terminal(self, *arguments: str) -> Screen:
        """The terminal interface with a command line; its own home holds nothing but its settings."""
        command: list[str | Path] = [self._codex, *arguments, "--remote", self.url]
        return Screen(command, home=self._client_home, cwd=self._project, log=self._screens)


def say(screen: Screen, text: str) -> None:
    """Type a message or a command and send it, once it stands in the composer: keys that come too fast are a paste."""
    screen.type(text)
    screen.wait(rf"^{PROMPT} {re.escape(text)}")
    screen.press("Enter")


def chat(screen: Screen, text: str) -> None:
    """Send a message and wait for its answer, and for the turn's end."""
    say(screen, text)
    answered(screen, text)


def answered(screen: Screen, text: str) -> str:
    """Wait until a message has its answer, the turn is over, and the next message can be typed; the screen.

    To a request without tools the mock answers with a summary.
    """
    answer = rf"mock (?:answer to: {re.escape(text)}|summary \d+)"
    return settled(screen, rf"^{PROMPT} {re.escape(text)}\n{_WITHOUT_PROMPT}^• {answer}$")


def settled(screen: Screen, shown: str) -> str:
    """Wait until the turn that shows something is over, and the next message can be typed; the screen."""
    return screen.wait(rf"{shown}{_WITHOUT_PROMPT} +Worked for .*\n(?:.*\n)*?{READY[1:]}")


def rewind(screen: Screen) -> None:
    """Take the last message back: it stands in the composer again."""
    screen.press_until("Escape", r"esc again to edit previous message")
    screen.press_until("Escape", r"rewind")
    screen.press("Enter")
    screen.wait(r"^• Conversation reverted to this point")


def leave(screen: Screen) -> str:
    """Quit, and return the id of the thread that was left."""
    say(screen, "/quit")
    text = screen.wait_end()
    # A line of the screen may end within the id.
    found = re.search(r"resume\s+((?:[0-9a-f-]\s*){36})", text)
    assert found is not None, text
    return "".join(found[1].split())


@contextlib.contextmanager
def serving(kind: str, codex: Path, home: Path, project: Path, folder: Path) -> Iterator[str]:
    """A server of a home: the address that clients are given."""
    program: list[str] = [str(codex)] if kind == "codex" else [sys.executable, "-m", "threadkeep"]
    socket = folder / "s"
    listen = f"unix://{socket}" if kind.endswith("unix") else "ws://127.0.0.1:0"
    said = folder / "server.log"
    with said.open("wb") as log:
        process = subprocess.Popen(
            [*program, "app-server", "--listen", listen],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=project,
            # Changes of what Codex has indexed go through Codex.
            env=clean_environment(home, {"THREADKEEP_CODEX": str(codex)}),
        )
    try:
        yield _address(said, process, str(socket) if kind.endswith("unix") else None)
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(60)


def _address(said: Path, process: subprocess.Popen[bytes], socket: str | None) -> str:
    """Wait until the server says where it listens."""
    deadline = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < deadline:
        found = re.search(r"ws://127\.0\.0\.1:[0-9]+", said.read_text(encoding="utf-8", errors="replace"))
        if socket is not None and os.path.exists(socket):
            return f"unix://{socket}"
        if socket is None and found is not None:
            return found[0]
        assert process.poll() is None, said.read_text(encoding="utf-8", errors="replace")
        time.sleep(0.02)
    raise AssertionError(f"no server after {STARTING_SECONDS} s: {said.read_text(encoding='utf-8', errors='replace')}")


@pytest.fixture
def screens(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The file that the screens of a test go to."""
    folder = os.environ.get("THREADKEEP_SCREENS")
    if folder is None:
        return tmp_path / "screens.txt"
    os.makedirs(folder, exist_ok=True)
    from pathlib import Path as Folder

    return Folder(folder) / (re.sub(r"[^\w.-]+", "-", request.node.name).strip("-") + ".txt")


@pytest.fixture
def client_home(tmp_path: Path) -> Path:
    """The home of the terminal interface: a model that could be called is not in it."""
    home = tmp_path / "client" / ".codex"
    write_config(home, "http://127.0.0.1:9/v1", model=MODEL)
    return home


@pytest.fixture
def place(
    request: pytest.FixtureRequest,
    codex_bin: Path,
    mock: MockResponses,
    tmp_path: Path,
    client_home: Path,
    screens: Path,
) -> Iterator[Place]:
    """A new home, served by the server that the parameter names."""
    home, project = tmp_path / "served" / ".codex", tmp_path / "project"
    project.mkdir()
    write_config(home, mock.base_url, model=MODEL)
    with serving(request.param, codex_bin, home, project, tmp_path) as url:
        yield Place(url, codex_bin, client_home, project, screens)


SERVERS: Final = ("codex", "threadkeep", "threadkeep-unix")


@pytest.mark.parametrize("place", SERVERS, indirect=True)
def test_a_person_chats_renames_compacts_rewinds_forks_and_resumes(place: Place) -> None:
    with place.terminal() as screen:
        screen.wait(READY)
        chat(screen, "first message")
        chat(screen, "second message")
        say(screen, "/rename My thread")
        screen.wait(r" · My thread$")
        say(screen, "/compact")
        settled(screen, r"^• Context compacted")
        chat(screen, "third message")
        rewind(screen)
        text = screen.wait(rf"^{PROMPT} third message")
        assert "mock answer to: third" not in text, text
        screen.type(", edited")
        screen.wait(rf"^{PROMPT} third message, edited")
        screen.press("Enter")
        answered(screen, "third message, edited")
        say(screen, "/fork")
        text = screen.wait(r"^• Fork created")
        assert "Thread forked from My thread" in text, text
        chat(screen, "in the child")
        child = leave(screen)

    with place.terminal("resume") as screen:
        # Parent and child are there under the same name; the child was used last and stands first. (The real server
        # shows a thread that was rewound twice.)
        screen.wait(rf"^ +{PROMPT} .*(?:ago|now) +(?:● )?My thread\n +.*(?:ago|now) +(?:● )?My thread$")
        screen.press("Down")
        screen.wait(rf"(?:ago|now) +.*My thread\n +{PROMPT} .*(?:ago|now) +(?:● )?My thread$")
        screen.press("Enter")
        text = answered(screen, "third message, edited")
        assert "in the child" not in text
        parent = leave(screen)
    assert parent != child

    with place.terminal("resume", child) as screen:
        text = answered(screen, "in the child")
        for shown in ("first message", "second message", "• Context compacted", "third message, edited"):
            assert re.search(rf"^(?:{PROMPT} )?{shown}", text, re.MULTILINE) is not None, (shown, text)
        chat(screen, "in the child again")

    with place.terminal("fork", parent) as screen:
        text = answered(screen, "third message, edited")
        assert "Thread forked from My thread" in text, text
        chat(screen, "in another child")
        assert leave(screen) not in (parent, child)


@pytest.mark.parametrize("mode", ["paginated", "legacy"])
def test_a_thread_of_codex_goes_on_and_codex_goes_on_with_it(
    new_lab: Callable[[], Lab], client_home: Path, tmp_path: Path, screens: Path, mode: str
) -> None:
    lab = new_lab()
    write_config(lab.home, lab.mock.base_url, model=MODEL)
    with lab.server() as server:
        thread = lab.start(server, mode)
        lab.turn(server, thread, "hello from codex")
        lab.turn(server, thread, f"{lab.call('echo hi')} with a command")
        lab.compact(server, thread)
        lab.turn(server, thread, "after the compaction")
    with serving("threadkeep", lab.binary, lab.home, lab.project, tmp_path) as url:
        place = Place(url, lab.binary, client_home, lab.project, screens)
        with place.terminal("resume") as screen:
            screen.wait(rf"^ +{PROMPT} .*(?:ago|now) +(?:● )?hello from codex$")
            screen.press("Enter")
            text = answered(screen, "after the compaction")
            for shown in ("mock answer to: hello from codex", "Ran echo hi", "Context compacted"):
                assert f"• {shown}" in text, (shown, text)
            if mode == "paginated":
                # Codex cannot rewind a legacy thread, so it would not see that threadkeep did.
                chat(screen, "a question that is taken back")
                rewind(screen)
                screen.press("C-u")
            chat(screen, "asked of threadkeep")
            assert leave(screen) == thread
    with serving("codex", lab.binary, lab.home, lab.project, tmp_path) as url:
        place = Place(url, lab.binary, client_home, lab.project, screens)
        with place.terminal("resume", thread) as screen:
            text = answered(screen, "asked of threadkeep")
            assert "mock answer to: hello from codex" in text, text
            assert "taken back" not in text, text
            chat(screen, "asked of codex")


@pytest.mark.parametrize("mode", ["paginated", "legacy"])
def test_a_thread_that_threadkeep_made_goes_on(
    codex_bin: Path, mock: MockResponses, client_home: Path, tmp_path: Path, screens: Path, mode: str
) -> None:
    home, project = tmp_path / "served" / ".codex", tmp_path / "project"
    project.mkdir()
    write_config(home, mock.base_url, model=MODEL)
    with (
        ThreadStore.open(str(home)) as store,
        store.create(cwd=str(project), mode=mode, model_provider="mock") as writer,
    ):
        for number in range(40):
            with writer.turn(f"question {number}", model=MODEL) as turn:
                turn.say(f"answer {number}")
        thread = writer.thread_id
    with serving("threadkeep", codex_bin, home, project, tmp_path) as url:
        place = Place(url, codex_bin, client_home, project, screens)
        with place.terminal("resume", thread) as screen:
            settled(screen, r"^• answer 39")
            chat(screen, "a question that is taken back")
            rewind(screen)
            screen.press("C-u")
            chat(screen, "one more")
            say(screen, "/rename Mine")
            screen.wait(r" · Mine$")
            assert leave(screen) == thread
        with place.terminal("resume") as screen:
            screen.wait(rf"^ +{PROMPT} .*(?:ago|now) +(?:● )?Mine$")
            screen.press("Enter")
            text = answered(screen, "one more")
            assert "answer 39" in text, text
            assert "taken back" not in text, text
