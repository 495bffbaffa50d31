"""On a real terminal, in a real pipe: colours, questions, progress, interruptions."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.cli.conftest import Home

LIMIT_SECONDS = 60.0

SLOW = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
from threadkeep.store import ThreadStore
from threadkeep.store._models import Family
def slow(self, progress):
    progress(7)
    sys.stdin.readline() if sys.stdin.isatty() else time.sleep(1.6)
    return [Family("0199a213", "", 1, 1, 0, 0, 0, 0)]
ThreadStore.families = slow
from threadkeep.cli import main
main()
"""


def environ(home: Home, **more: str) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "PYTHONUNBUFFERED")}
    return {**kept, "THREADKEEP_HOME": str(home.path), "TERM": "xterm", "COLUMNS": "100", **more}


class Terminal:
    """A process on a terminal of its own."""

    def __init__(self, argv: list[str], env: Mapping[str, str], *, keep_stdout: bool = False) -> None:
        self.leader, follower = pty.openpty()
        out = subprocess.PIPE if keep_stdout else follower
        self.process = subprocess.Popen(
            argv, stdin=follower, stdout=out, stderr=follower, env=env, start_new_session=True
        )
        os.close(follower)
        self.seen = ""

    def read(self, until: str | None = None) -> str:
        """What was written, up to a text or to the end."""
        end = time.monotonic() + LIMIT_SECONDS
        while until is None or until not in self.seen:
            ready, _, _ = select.select([self.leader], [], [], max(0, end - time.monotonic()))
            assert ready, f"nothing came within {LIMIT_SECONDS} s after {self.seen!r}"
            try:
                data = os.read(self.leader, 65_536)
            except OSError:  # the other end is closed
                break
            if not data:
                break
            self.seen += data.decode()
        return self.seen

    def type(self, text: str) -> None:
        os.write(self.leader, text.encode())

    def end(self) -> int:
        self.read()
        code = self.process.wait(LIMIT_SECONDS)
        os.close(self.leader)
        return code


def on_terminal(home: Home, *args: str, **more: str) -> Terminal:
    return Terminal([sys.executable, "-m", "threadkeep", *args], environ(home, **more))


def test_tables_have_titles_and_colours_and_fit_the_terminal(home: Home) -> None:
    home.thread("a title that is long " * 20)
    terminal = on_terminal(home, "list")
    assert terminal.end() == 0
    assert "TITLE" in terminal.seen
    assert "\x1b[36m" in terminal.seen
    assert "…" in terminal.seen


def test_on_a_narrow_terminal_ids_are_shown_by_a_beginning_that_commands_take(home: Home) -> None:
    thread = home.thread("a title that a narrow terminal has room for")
    for command in ("list", "tree"):
        terminal = on_terminal(home, command, NO_COLOR="1", COLUMNS="100")
        assert terminal.end() == 0
        shown = terminal.seen.splitlines()[1].split()[0]
        assert thread.startswith(shown)
        assert len(shown) == 18
        assert "room for" in terminal.seen
        assert home("show", shown).code == 0
        wide = on_terminal(home, command, NO_COLOR="1", COLUMNS="140")
        assert wide.end() == 0
        assert thread in wide.seen


@pytest.mark.parametrize("more", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colours_where_they_are_not_wanted(home: Home, more: dict[str, str]) -> None:
    home.thread("hello")
    terminal = on_terminal(home, "list", **more)
    assert terminal.end() == 0
    assert "TITLE" in terminal.seen
    assert "\x1b" not in terminal.seen


def test_json_is_indented_and_steers_no_terminal(home: Home) -> None:
    thread = home.thread("csi \x9b31m left \u202e")
    terminal = on_terminal(home, "show", thread, "--json")
    assert terminal.end() == 0
    assert '\r\n  "thread": {' in terminal.seen
    assert "\\u009b31m left \\u202e" in terminal.seen
    assert not set(terminal.seen) & set("\x9b\u202e\x1b")


def test_delete_shows_what_it_will_do_and_asks(home: Home) -> None:
    thread = home.thread("hello")
    terminal = on_terminal(home, "delete", thread)
    terminal.read("Delete? [y/N]")
    assert f"remove     {thread}" in terminal.seen
    terminal.type("n\n")
    assert terminal.end() == 130
    assert thread in home("list").out
    terminal = on_terminal(home, "delete", thread)
    terminal.read("Delete? [y/N]")
    terminal.type("y\n")
    assert terminal.end() == 0
    assert home("list").out == ""


def test_erase_asks_for_the_text_without_showing_it(home: Home) -> None:
    thread = home.thread("the key is hunter2hunter2")
    terminal = on_terminal(home, "erase", thread)
    terminal.read("Text to overwrite (not shown): ")
    terminal.type("hunter2hunter2\n")
    terminal.read("[y/N]")
    terminal.type("y\n")
    assert terminal.end() == 0
    assert "hunter2" not in terminal.seen
    assert "hunter2" not in home("show", thread).out


def test_the_text_is_not_shown_where_errors_go_elsewhere_either(home: Home) -> None:
    thread = home.thread("the key is hunter2hunter2")
    terminal = Terminal(
        ["/bin/sh", "-c", f"exec {sys.executable} -m threadkeep erase {thread} --yes 2>/dev/null"], environ(home)
    )
    wait_for_hidden_input(terminal.leader)
    terminal.type("hunter2hunter2\n")
    assert terminal.end() == 0
    assert "hunter2" not in terminal.seen
    assert "hunter2" not in home("show", thread).out


def wait_for_hidden_input(leader: int) -> None:
    """Wait until what is typed is not shown."""
    end = time.monotonic() + LIMIT_SECONDS
    while termios.tcgetattr(leader)[3] & termios.ECHO:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_progress_is_shown_after_a_second_and_taken_away(home: Home) -> None:
    terminal = Terminal([sys.executable, "-c", SLOW, "du"], environ(home), keep_stdout=True)
    terminal.read("looking ..., 7 threads, ")
    terminal.type("\n")
    assert terminal.end() == 0
    assert re.search(r"looking \.\.\., 7 threads, [1-9]\d*\.0 s", terminal.seen)
    assert terminal.seen.endswith("\r\x1b[K")
    assert terminal.process.stdout is not None
    assert b"looking" not in terminal.process.stdout.read()
    terminal.process.stdout.close()


def test_no_progress_where_stderr_is_no_terminal(home: Home) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SLOW, "du"], env=environ(home), stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    assert done.stderr == b""


def test_an_interrupt_ends_quietly(home: Home) -> None:
    terminal = Terminal([sys.executable, "-c", SLOW, "du"], environ(home))
    terminal.read("looking")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert "Traceback" not in terminal.seen


def test_a_reader_that_stops_reading_ends_it_quietly(home: Home) -> None:
    thread = home.thread("short\n" * 20_000)
    process = subprocess.Popen(
        [sys.executable, "-m", "threadkeep", "show", thread],
        env=environ(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(LIMIT_SECONDS) == 141


def test_a_full_disk_is_told(home: Home) -> None:
    home.thread("hello")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "threadkeep", "list"],
            env=environ(home),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=LIMIT_SECONDS,
        )
    assert done.returncode == 6
    assert done.stderr.startswith(b"threadkeep: ")
    assert b"No space left" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_characters_that_the_output_cannot_take_are_escaped(home: Home) -> None:
    home.thread("größe ☕")
    done = subprocess.run(
        [sys.executable, "-m", "threadkeep", "tree"],
        env=environ(home, PYTHONIOENCODING="ascii"),
        capture_output=True,
        check=True,
        timeout=LIMIT_SECONDS,
    )
    assert done.stdout.rstrip().endswith(rb"gr\xf6\xdfe \u2615")


def test_without_any_output_it_still_works(home: Home) -> None:
    thread = home.thread("hello")
    command = f"exec {sys.executable} -m threadkeep rename {thread} x <&- >&- 2>&-"
    assert (
        subprocess.run(["/bin/sh", "-c", command], env=environ(home), check=False, timeout=LIMIT_SECONDS).returncode
        == 0
    )
    assert "  x\n" in home("list").out
