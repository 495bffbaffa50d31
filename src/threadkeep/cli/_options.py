"""What commands have in common: their options, their argument, their example."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from threadkeep.cli._session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["example", "json_option", "local_option", "one_or_all", "thread_argument"]

F = TypeVar("F", bound="Callable[..., Any]")


def json_option(command: F) -> F:
    """``--json``: the session is told, so that errors are told in JSON, too."""
    return click.option(
        "--json",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_answer_in_json,
        help="Answer in JSON.",
    )(command)


def _answer_in_json(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Session).json = True


def local_option(command: F) -> F:
    """``--local``: of changes to threads that Codex has indexed."""
    return click.option(
        "--local",
        is_flag=True,
        help="For a thread that Codex has indexed: keep the change to threadkeep, moving nothing of Codex's.",
    )(command)


def thread_argument(command: F) -> F:
    """``ID``: a thread."""
    return click.argument("thread", metavar="ID")(command)


def one_or_all(thread: str | None, *, everything: bool) -> None:
    """Refuse a command that names no thread, or one and all of them.

    Raises:
        click.UsageError: Neither or both are named.
    """
    if (thread is None) != everything:
        raise click.UsageError(
            "name a thread, or all of them with --all" if thread is None else "ID or --all, not both"
        )


def example(*lines: str) -> str:
    """The end of a command's help."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)
