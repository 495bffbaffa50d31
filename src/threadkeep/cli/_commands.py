"""Groups of commands whose modules are imported when a command is called."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Commands", "Place"]


class Place(NamedTuple):
    """Where a command is defined, and what it does: the first line of its help."""

    module: str
    name: str
    does: str


class Commands(click.Group):
    """A group that finds its commands without importing them.

    Args:
        places: The commands, in the order of the help.
    """

    def __init__(self, *args: Any, places: Mapping[str, Place], **more: Any) -> None:
        super().__init__(*args, **more)
        self.places = places

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The commands' names, in the order of the help."""
        return list(self.places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """A command, imported now."""
        place = self.places.get(cmd_name)
        if place is None:
            return None
        command: click.Command = getattr(importlib.import_module(f"threadkeep.cli.{place.module}"), place.name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The commands in the help, by what is known of them without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.does) for name, place in self.places.items()])
