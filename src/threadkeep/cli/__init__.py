"""The command line: a face of the store, with no semantics of its own. Layer 7."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run ``threadkeep`` with the arguments of this process, and exit with its code."""
    try:
        from threadkeep.cli._main import cli

        cli(prog_name="threadkeep")
    except KeyboardInterrupt:  # before the commands' own handling stands, or while it reports
        sys.exit(130)
