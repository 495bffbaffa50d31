"""What a tool printed, told apart from the header that Codex puts before it for the model.

The formats are those of 0.20 to 0.169 (observed). They are known by their structure: the labels of header lines, the
members of a JSON object. A header is looked for in the first `HEADER_CHARS` characters alone, and what follows it is
cut off once, so that an output of any size costs one copy.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from threadkeep.replay.items._schema import I32

__all__ = ["HEADER_CHARS", "Output", "Part", "ToolOutput", "aborted", "never_ran", "output_text", "read_output"]

HEADER_CHARS: Final = 4096
"""Characters in which a header must end."""

_FIRST_LABELS: Final = ("Chunk ID: ", "Exit code: ", "Wall time: ")
_END: Final = "Output:"
_LINE: Final = re.compile(
    r"Exit code: (?P<exit>-?[0-9]{1,10})|Wall time: (?P<wall>[0-9]{1,12}(?:\.[0-9]{1,9})?) seconds"
    r"|Process exited with code (?P<exited>-?[0-9]{1,10})|Process running with session ID (?P<session>[0-9]{1,20})"
)
_NEVER_RAN: Final = (
    "unsupported call: ",
    "unsupported custom tool call: ",
    "failed to parse function arguments: ",
    "exec_command failed",
    "write_stdin failed",
    "exec command rejected",
    "apply_patch verification failed",
    "approval policy is ",
)
"""How the answer to a call starts that was refused before anything ran."""


class Part(msgspec.Struct):
    """A part of an output: a text, an image, a recording."""

    type: str
    text: str | None = None
    image_url: str | None = None
    audio_url: str | None = None


class ToolOutput(msgspec.Struct):
    """A response item that answers a call."""

    call_id: str
    output: str | list[Part]


class Output(msgspec.Struct, frozen=True):
    """The output of a tool that ran.

    Attributes:
        text: What it printed; None where it was interrupted, so that nothing of it was kept.
        exit_code: How its process ended, where that is said.
        duration_ms: How long that took, where it is said.
        session: The number of the process, where it went on running.
        process: Whether the header is that of a process with a terminal (``exec_command``, ``write_stdin``).
        headed: Whether there is a header at all.
    """

    text: str | None
    exit_code: int | None = None
    duration_ms: int | None = None
    session: str | None = None
    process: bool = False
    headed: bool = True


class _Metadata(msgspec.Struct):
    exit_code: I32
    duration_seconds: float | None = None


class _Formatted(msgspec.Struct):
    output: str
    metadata: _Metadata


_decode_formatted: Final = msgspec.json.Decoder(_Formatted).decode


def output_text(output: str | list[Part]) -> str:
    """An output as one text: its texts, a line each."""
    return output if isinstance(output, str) else "\n".join([part.text for part in output if part.text is not None])


def never_ran(text: str) -> bool:
    """Whether the answer says that nothing ran: an unknown tool, wrong arguments, a refusal."""
    return text.startswith(_NEVER_RAN)


def aborted(text: str) -> bool:
    """Whether the answer stands for one that an interruption took away (of tools whose outputs have no header)."""
    return text == "aborted" or text.startswith("aborted by user")


def read_output(text: str) -> Output:
    """The output that ``text`` is, in any of the formats; all of the text where it is in none of them."""
    if text.startswith("{"):
        formatted = _formatted(text)
        if formatted is not None:
            return formatted
    if text.startswith(_FIRST_LABELS):
        headed = _headed(text)
        if headed is not None:
            return headed
    if aborted(text):
        return Output(None)
    return Output(text, headed=False)


def _formatted(text: str) -> Output | None:
    try:
        value = _decode_formatted(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
    return Output(value.output, value.metadata.exit_code, _milliseconds(value.metadata.duration_seconds))


def _headed(text: str) -> Output | None:
    """The output below a header. A header that nothing follows belongs to a tool that was interrupted."""
    head = text[:HEADER_CHARS]
    exit_code = duration_ms = session = None
    process = head.startswith(_FIRST_LABELS[0])
    start, end = 0, head.find("\n")
    while end >= 0:
        line = head[start:end]
        if line == _END:
            return Output(text[end + 1 :], exit_code, duration_ms, session, process)
        found = _LINE.fullmatch(line)
        if found is not None:
            said: dict[str, Any] = found.groupdict()
            code = said["exit"] or said["exited"]
            exit_code = exit_code if code is None else int(code)
            duration_ms = duration_ms if said["wall"] is None else _milliseconds(float(said["wall"]))
            session = said["session"] or session
            process = process or bool(said["exited"] or said["session"])
        start = end + 1
        end = head.find("\n", start)
    if len(text) > len(head):
        return None
    return Output("" if head[start:] == _END else None, exit_code, duration_ms, session, process)


def _milliseconds(seconds: float | None) -> int | None:
    """Whole milliseconds; None for what no duration is."""
    return round(seconds * 1000) if seconds is not None and 0 <= seconds < 2**53 else None
