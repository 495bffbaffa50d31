"""The command line: a face of the store, with no semantics of its own. Layer 7."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run ``threadkeep`` with the arguments of this process, and exit with its code."""
    arguments = sys.argv[1:]
    try:
        if "app-server" in arguments:  # a client waits for its first answer: what that does not need comes later
            from threadkeep.cli import _starting

            plain = _starting.plain(arguments)
            if plain is not None:
                from threadkeep.appserver._entry import serve_stdio

                sys.exit(serve_stdio(*plain))
            arguments = _starting.rearranged(arguments)
        from threadkeep.cli._main import cli

        cli(arguments, prog_name="threadkeep")
    except KeyboardInterrupt:  # before the commands' own handling stands, or while it reports
        sys.exit(130)
