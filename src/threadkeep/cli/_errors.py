"""What went wrong, for people and for scripts: exit codes, and a message that names the place."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

import click

__all__ = ["EXIT_CODES", "OutputClosed", "describe", "exit_code", "message", "report", "stop_writing"]

OK: Final = 0
PROBLEM: Final = 1
INVALID: Final = 2
NOT_FOUND: Final = 3
CONFLICT: Final = 4
CORRUPT: Final = 5
STORAGE: Final = 6
UNEXPECTED: Final = 70
INTERRUPTED: Final = 130
CLOSED: Final = 141

EXIT_CODES: Final = {
    OK: "Done.",
    PROBLEM: "A problem was found: `verify` saw a difference or lost records, `doctor` something that is not mended, a "
    "benchmark a wrong answer.",
    INVALID: "The command, an option, an id or a cursor is not one that can be carried out. Nothing was changed.",
    NOT_FOUND: "There is no such thread, or the thread shows no such turn.",
    CONFLICT: "Somebody else's claim stands in the way: a writer, Codex's index, threads that inherit; "
    "or a rollout was replaced while it was read. Nothing was changed.",
    CORRUPT: "The stored bytes do not say what they must say. Nothing made up was shown.",
    STORAGE: "The operating system refused.",
    UNEXPECTED: "A defect of threadkeep; `--debug` shows where.",
    INTERRUPTED: "Interrupted, or a question was answered with no.",
    CLOSED: "Whoever read the output stopped reading.",
}


class OutputClosed(Exception):
    """Whoever read the output stopped reading: there is nothing left to say."""


def exit_code(error: BaseException) -> int:
    """The exit code that tells a script what kind of thing went wrong."""
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, OutputClosed):
        return CLOSED
    if isinstance(error, click.ClickException):
        return INVALID
    from threadkeep import errors

    kinds: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], int], ...] = (
        ((errors.ThreadNotFound, errors.TurnNotFound), NOT_FOUND),
        (errors.InvalidRequest, INVALID),
        ((errors.Conflict, errors.RolloutReplaced), CONFLICT),
        (errors.CorruptHistory, CORRUPT),
        ((errors.StorageFailure, OSError), STORAGE),
    )
    return next((code for kind, code in kinds if isinstance(error, kind)), UNEXPECTED)


def message(error: BaseException) -> str:
    """What went wrong, on one line, with the place as far as it is known."""
    from threadkeep.cli._text import clean

    if isinstance(error, click.ClickException):
        return clean(error.format_message())
    if exit_code(error) == UNEXPECTED:
        said = f": {error}" if str(error) else ""
        return clean(f"unexpected {type(error).__name__}{said} (a defect of threadkeep; --debug shows where)")
    if isinstance(error, OSError) and error.strerror:
        return clean(error.strerror + (f" (file {error.filename})" if error.filename else ""))
    return clean(str(error) or type(error).__name__)


def describe(error: BaseException) -> dict[str, Any]:
    """An error as a JSON object: its type, its message and whatever it knows; the members are always there.

    ``file`` and ``byte`` say where, as for the message; what an error alone knows (``matches``, ``heirs``, ``pid``)
    stands beside.
    """
    from threadkeep.cli._json import camel, plain
    from threadkeep.errors import ThreadkeepError

    known = {name: plain(value) for name, value in vars(error).items() if _is_plain(value)}
    place = {
        "thread": known.pop("thread", None),
        "rollout": known.pop("rollout", None),
        "file": known.pop("path", None) or getattr(error, "filename", None),
        "byte": known.pop("offset", None),
    }
    told = {
        "type": type(error).__name__,
        "message": str(error.args[0]) if isinstance(error, ThreadkeepError) else message(error),
        "exitCode": exit_code(error),
        **place,
    }
    return told | {camel(name): value for name, value in known.items()} if isinstance(error, ThreadkeepError) else told


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | tuple | list)


def report(error: BaseException, *, as_json: bool, debug: bool) -> int:
    """Tell the user what went wrong, on stderr, and give the exit code."""
    code = exit_code(error)
    if code == CLOSED:
        return code
    if debug and not isinstance(error, click.ClickException | click.Abort | KeyboardInterrupt):
        import traceback

        from threadkeep.cli._text import body

        click.echo(body("".join(traceback.format_exception(error))), err=True, nl=False)
    if as_json:
        from threadkeep.cli._json import encode

        click.echo(encode({"error": describe(error)}), err=True)
    elif isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
    elif code != INTERRUPTED:
        click.echo(f"threadkeep: {message(error)}", err=True)
        if isinstance(error, click.UsageError) and error.ctx is not None:
            click.echo(f"Try '{error.ctx.command_path} --help'.", err=True)
    return code


def stop_writing() -> None:
    """Let what is still buffered for stdout go nowhere: Python would complain of it when it ends."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
