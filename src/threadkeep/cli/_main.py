"""The group of all commands. A command's module is imported when the command is called, and the store after that."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from threadkeep._version import __version__
from threadkeep.cli._commands import Commands, Place
from threadkeep.cli._errors import OutputClosed, report, stop_writing
from threadkeep.cli._session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["COMMANDS", "Face", "cli"]


COMMANDS: Final = {
    "list": Place("_list", "list_threads", "List threads, newest change first."),
    "show": Place("_show", "show", "Show a conversation as a person would read it, newest last."),
    "turns": Place("_show", "turns", "List the turns of a thread, newest first."),
    "context": Place("_resume", "context", "Show the items that the next model call starts with."),
    "resume": Place("_resume", "resume", "Show what the next turn starts with, and what that cost."),
    "fork": Place("_fork", "fork", "Make a new thread that goes on from a place in this one."),
    "revert": Place("_fork", "revert", "Take the newest turns of a thread back."),
    "rename": Place("_manage", "rename", "Give a thread a name; an empty one takes its name away."),
    "archive": Place("_manage", "archive", "Put a thread away: lists leave it out."),
    "unarchive": Place("_manage", "unarchive", "Take a thread out of the archive."),
    "delete": Place("_delete", "delete", "Delete a thread; what others inherit from it stays theirs."),
    "erase": Place("_delete", "erase", "Overwrite a text wherever a thread and its relatives hold it."),
    "tree": Place("_family", "tree", "Show which thread came from which."),
    "du": Place("_family", "du", "Show the bytes of each family of threads."),
    "materialize": Place("_materialize", "materialize", "Write a copy of a thread that Codex can read on its own."),
    "verify": Place("_verify", "verify", "Compare what is answered fast with the whole history."),
    "doctor": Place("_verify", "doctor", "Look the whole home over for damage and leftovers."),
    "app-server": Place("_appserver", "app_server", "Serve the Codex app-server protocol."),
    "demo": Place("_demo", "demo", "Try it on made-up threads."),
    "bench": Place("_bench", "bench", "Measure it on this machine."),
}


class Face(Commands):
    """The group of all: lets no traceback reach a user."""

    def main(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        **extra: Any,
    ) -> NoReturn:
        """Run a command and exit: with the code that it returns, or the one of what went wrong."""
        given = list(sys.argv[1:] if args is None else args)
        session = Session()
        _prepare_streams()
        try:
            code = super().main(given, prog_name, complete_var, False, **{**extra, "obj": session})
        except (click.ClickException, click.Abort) as error:
            # The options of a command that is misspelt were never read.
            as_json = session.json or "--json" in given
            code = report(error, as_json=as_json, debug=session.debug)
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command; what goes wrong in it is told here."""
        session = ctx.ensure_object(Session)
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # no traceback ever reaches a user
            if isinstance(error, BrokenPipeError) and not session.opened:
                stop_writing()  # it was a help text that nobody reads
                error = OutputClosed()
            return report(error, as_json=session.json, debug=session.debug)


def _prepare_streams() -> None:
    """Nothing that is written may fail for its encoding, or because a stream is not there."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper) and mode == "w":
            stream.reconfigure(errors="backslashreplace")


@click.group(
    cls=Face,
    places=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="An ID may be shortened to any beginning that no other thread has. Every command takes --help.",
)
@click.option(
    "--home", metavar="DIR", help="The home: by default THREADKEEP_HOME, CODEX_HOME, or ~/.codex if it exists."
)
@click.option("--debug", is_flag=True, help="Show where an unexpected error came from.")
@click.version_option(__version__, prog_name="threadkeep", message="%(prog)s %(version)s")
@click.pass_obj
def cli(session: Session, home: str | None, debug: bool) -> None:
    """Resume, fork, page and keep the conversation threads of AI agents."""
    if home == "":
        raise click.BadParameter("no folder is named", param_hint="--home")
    session.given_home = home
    session.debug = session.debug or debug
