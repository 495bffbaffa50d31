"""Commands as calls of old and new tools name them, and the items that they and their outputs make."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from threadkeep.replay.items._call_output import HEADER_CHARS, Output, never_ran, read_output
from threadkeep.replay.items._call_patch import Patch, file_changes, patch_in_argv, patch_in_script, script_in_argv
from threadkeep.replay.items._call_paths import path_in
from threadkeep.replay.items._shell import shell_command

if TYPE_CHECKING:
    from threadkeep.replay.items._schema import Json

__all__ = ["Command", "CommandCall", "command_in_argv", "command_in_call", "patch_in_call", "user_shell"]

_ARGV_TOOLS: Final = frozenset({"shell", "container.exec", "local_shell"})
_FAILED: Final = ("execution error: ", "failed in sandbox", "sandbox error: ")
"""How the answer to a command starts that could not be run to its end."""

_APPLIED: Final = "Success."


class Command(msgspec.Struct, frozen=True):
    """What was to be run.

    Attributes:
        line: The command as one line: the script, where the tool takes one; the words of the command, quoted.
        action: What it does, as far as that is known: the script, or the line again.
        folder: The folder it runs in, as written; None for the folder of the turn.
        source: Who ran it, as items say it.
        patch: The patch, where it applies one and does nothing else.
    """

    line: str
    action: str
    folder: str | None = None
    source: str = "agent"
    patch: Patch | None = None


class _Argv(msgspec.Struct):
    command: list[str]
    workdir: str | None = None


class _Script(msgspec.Struct):
    command: str
    workdir: str | None = None


class _Cmd(msgspec.Struct):
    cmd: str
    workdir: str | None = None


class _Input(msgspec.Struct):
    input: str


_decode_argv: Final = msgspec.json.Decoder(_Argv).decode
_decode_script: Final = msgspec.json.Decoder(_Script).decode
_decode_cmd: Final = msgspec.json.Decoder(_Cmd).decode
_decode_input: Final = msgspec.json.Decoder(_Input).decode


def command_in_argv(argv: list[str], folder: str | None) -> Command:
    """The command that ``argv`` is."""
    line = shell_command(argv)
    script = script_in_argv(argv)
    return Command(line, line if script is None else script, folder, patch=patch_in_argv(argv))


def command_in_call(name: str, arguments: str) -> Command | None:
    """The command that a function call asks for; None for a call of another tool.

    Raises:
        msgspec.MsgspecError: The arguments are not those of the tool, so that nothing ran.
    """
    if name == "exec_command":
        call = _decode_cmd(arguments)
        return Command(call.cmd, call.cmd, call.workdir, "unifiedExecStartup", patch_in_script(call.cmd))
    if name == "shell_command":
        script = _decode_script(arguments)
        return Command(script.command, script.command, script.workdir, patch=patch_in_script(script.command))
    if name in _ARGV_TOOLS:
        argv = _decode_argv(arguments)
        return command_in_argv(argv.command, argv.workdir)
    return None


def patch_in_call(arguments: str) -> Command:
    """The patch of a function call of ``apply_patch``. Raises `msgspec.MsgspecError` for wrong arguments."""
    patch = _decode_input(arguments).input
    return Command("", "", patch=Patch(patch))


class CommandCall:
    """A call that runs a command or applies a patch, and what came of it.

    Attributes:
        offset: Byte offset of the record at which its item stands: that of its output, once there is one.
        session: The number of its process while that goes on running.
    """

    def __init__(self, item_id: str, offset: int, command: Command, folder: str | None) -> None:
        self.offset = offset
        self.session: str | None = None
        self._id = item_id
        self._command = command
        self._folder = folder if command.folder is None else path_in(folder, command.folder)
        self._first: Output | None = None  # what the call itself was answered
        self._ran = True
        self._failed = False
        self._texts: list[str] = []
        self._exit_code: int | None = None

    def answer(self, offset: int, text: str) -> None:
        """Take the output of the call."""
        self.offset = offset
        self._texts.clear()
        self._ran = not never_ran(text)
        self._failed = text.startswith(_FAILED)
        if self._ran:
            self._first = self._take(read_output(text))

    def go_on(self, offset: int, text: str) -> None:
        """Take the output of a later call that the process printed more to, or ended before."""
        output = read_output(text)
        if output.headed and output.process:
            self._take(output)
            self.offset = offset if self.session is None else self.offset

    def _take(self, output: Output) -> Output:
        self.session = output.session
        self._exit_code = output.exit_code
        if output.text:
            self._texts.append(output.text)
        return output

    def item(self, *, running: bool) -> Json | None:
        """The item: of a command, or of the files that a patch changed; None where nothing ran."""
        if not self._ran:
            return None
        if self._command.patch is not None and not (self._first is not None and self._first.process):
            return self._patch_item(self._command.patch)
        return self._command_item(running=running)

    def _command_item(self, *, running: bool) -> Json:
        first = self._first
        return _execution(
            self._id,
            self._command,
            self._folder,
            process_id=None if first is None else first.session,
            status=self._status(running=running),
            output="".join(self._texts),
            exit_code=self._exit_code,
            # The time of a process that went on is the sum of waits and of what passed between them, which is unknown.
            duration_ms=None if first is None or first.session is not None else first.duration_ms,
        )

    def _status(self, *, running: bool) -> str:
        if self._first is None or self.session is not None:
            return "inProgress" if running else "failed"
        if self._exit_code is not None:
            return "completed" if self._exit_code == 0 else "failed"
        # An answer without a header says nothing of an end. Old header forms all say how it ended.
        return "failed" if self._failed or self._first.headed else "completed"

    def _patch_item(self, patch: Patch) -> Json | None:
        """The item of a patch; None for one that was not applied, or of which nobody knows whether it was."""
        if self._first is None or self._first.text is None:
            return None
        exit_code, text = self._exit_code, self._first.text
        if exit_code is None and self._first.headed:  # exec_command puts its own header before that of the patch
            inner = read_output(text)
            exit_code, text = inner.exit_code, inner.text or ""
        if exit_code is None and not text.startswith(_APPLIED):
            return None
        changes = file_changes(patch, self._folder)
        if changes is None:
            return None
        status = "failed" if exit_code else "completed"
        return {"type": "fileChange", "id": self._id, "changes": changes, "status": status}


# --- commands that the user ran -----------------------------------------------------------------------------------

_USER_HEAD: Final = "<user_shell_command>\n<command>\n"
_USER_MIDDLE: Final = "\n</command>\n<result>\n"
_USER_TAIL: Final = "\n</result>\n</user_shell_command>"
_USER_RESULT: Final = re.compile(
    r"Exit code: (-?[0-9]{1,10})\nDuration: ([0-9]{1,12}(?:\.[0-9]{1,9})?) seconds\nOutput:\n"
)


def user_shell(item_id: str, text: str, folder: str | None) -> Json | None:
    """The command that a user ran, as the message for the model tells it; None for a message that is something else."""
    text = text.strip() if len(text) < HEADER_CHARS else text
    if not (text.startswith(_USER_HEAD) and text.endswith(_USER_TAIL)):
        return None
    middle = text.find(_USER_MIDDLE, len(_USER_HEAD))
    result = _USER_RESULT.match(text, middle + len(_USER_MIDDLE)) if middle >= 0 else None
    if result is None:
        return None
    line = text[len(_USER_HEAD) : middle]
    exit_code = int(result[1])
    return _execution(
        item_id,
        Command(line, line, source="userShell"),
        folder,
        process_id=None,
        status="completed" if exit_code == 0 else "failed",
        output=text[result.end() : -len(_USER_TAIL)],
        exit_code=exit_code,
        duration_ms=round(float(result[2]) * 1000),
    )


def _execution(
    item_id: str,
    command: Command,
    folder: str | None,
    *,
    process_id: str | None,
    status: str,
    output: str,
    exit_code: int | None,
    duration_ms: int | None,
) -> Json:
    """A ``commandExecution`` as the server orders it; ``cwd`` must be a text, and is empty where it is unknown."""
    return {
        "type": "commandExecution",
        "id": item_id,
        "pluginId": None,
        "scriptPath": None,
        "command": command.line,
        "cwd": folder or "",
        "processId": process_id,
        "source": command.source,
        "status": status,
        "commandActions": [{"type": "unknown", "command": command.action}],
        "aggregatedOutput": output or None,
        "exitCode": exit_code,
        "durationMs": duration_ms,
    }
