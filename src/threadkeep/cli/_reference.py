"""Writes the reference of the command line: ``python -m threadkeep.cli._reference > docs/cli.md``.

Everything that can be taken from the code is: the helps from the commands, the exit codes from their table, the JSON
objects from the structs and what their docstrings say of each member, the kinds of damage from theirs.
"""

from __future__ import annotations

import inspect
import re
import sys
from typing import TYPE_CHECKING, Final

import click

from threadkeep.bench import _appserver_report, _bench, _codex_report, _demo, _measure, _spread
from threadkeep.bench.peers import _report as _peers_report
from threadkeep.cli._commands import Commands
from threadkeep.cli._errors import EXIT_CODES
from threadkeep.cli._json import camel
from threadkeep.cli._main import cli
from threadkeep.records import DAMAGE_KINDS, Cost, Damage, GitInfo, TokenUsage, TokenUsageInfo
from threadkeep.replay import ContextItem, Counts, ModelContext, Position, Window
from threadkeep.store import _models as models
from threadkeep.store import _verification as verification

if TYPE_CHECKING:
    from collections.abc import Iterator

    import msgspec

__all__ = ["reference"]

_INTRODUCTION: Final = """\
# The command line

Written by `python -m threadkeep.cli._reference > docs/cli.md`; a test keeps it in step with the code.

## The home

A command works on one home, a folder: the one that `--home` names, else `THREADKEEP_HOME`, else `CODEX_HOME`, else
`~/.codex` where it exists, else a home of threadkeep's own, `$XDG_DATA_HOME/threadkeep` or
`~/.local/share/threadkeep`. A home that does not exist is made by the first command that writes to it.

## Threads and turns

An `ID` is a thread's id or any beginning of it, of at least four characters, that no other thread's id has. A `TURN`
is a turn's whole id: turns of one thread often begin alike, and to know that a beginning is unique would take reading
all of them.

## What is printed

- The answer goes to stdout; hints, questions, progress and errors go to stderr.
- On a terminal: colours (none with `NO_COLOR` set), tables with titles, cut to the width of the terminal, and progress
  of whatever takes longer than a second. Elsewhere: the same columns, aligned by spaces, without colours; titles only
  above figures (`du`, `demo`, `bench`), and texts cut to 120 columns.
- On a terminal of less than 110 columns, `list`, `tree` and `du` show beginnings of ids, which every command takes.
- `show` cuts what tools were given and gave back to a few lines and says how much more there is; `--json` cuts nothing.
- Nothing that was recorded can move the cursor, colour a line or turn its direction: control characters are shown as
  `\\x1b` or `\\u202e`.
- `--json` answers with one JSON object, in camel case throughout; objects and dicts that come from a rollout
  (`settings`, the response items) keep the names that they have there. Turns and items have the shapes of Codex's
  app-server. `turns --all`, `verify --all`, `materialize --all` and `doctor` answer with one object on each line, as
  they find it. On a terminal an object is indented.
- With `--json`, an error is one line on stderr: `{"error": {"type", "message", "exitCode", "thread", "rollout",
  "file", "byte", ...}}`; a type that knows more (`matches` of an ambiguous id, `pid` of a writer) says it there.
- No traceback is shown. `threadkeep --debug`, or `THREADKEEP_DEBUG=1`, shows where an error came from.
- `eval "$(_THREADKEEP_COMPLETE=bash_source threadkeep)"` completes commands and options in bash; `zsh_source` and
  `fish_source` do so in these.
"""

_ANSWERS: Final[dict[str, str | None]] = {
    "list": '`{"data": [`[Thread](#thread)`], "nextCursor"}`',
    "show": '`{"thread": `[Thread](#thread)`, "data": [turns with all items, oldest first], "nextCursor", '
    '"backwardsCursor"}`; `nextCursor` leads to older turns, for `turns --full --cursor`',
    "turns": '`{"data": [turns], "nextCursor", "backwardsCursor"}`; with `--all`, a turn on each line',
    "context": '`{"data": [response items]}`, each as the bytes that were recorded',
    "resume": "[Resumed](#resumed), with the members of its `context` ([ModelContext](#modelcontext), without its "
    "`settings` and `usage`) in its place, and `elapsedMs`",
    "fork": "[Thread](#thread): the new one",
    "revert": "[Thread](#thread)",
    "rename": "[Thread](#thread)",
    "archive": "[Thread](#thread)",
    "unarchive": "[Thread](#thread)",
    "delete": '`{"dryRun", "threads": [`[PlannedThread](#plannedthread)`], "bytesFreed", "bytesKept"}`',
    "erase": "[Erasure](#erasure)",
    "tree": '`{"data": [`[TreeNode](#treenode)`]}`: parents before children, with `parentId` and `depth` in place of '
    "`children`",
    "du": '`{"data": [`[Family](#family)`], "total"}`; `total` sums up `threads`, `rollouts` and the bytes',
    "materialize": "[Materialized](#materialized); with `--all`, one on each line, or "
    '`{"sourceId", "error"}` for a thread that cannot be written',
    "verify": "[Verification](#verification), with `ok`; with `--all`, one on each line, or "
    '`{"threadId", "ok": false, "error"}` for a thread that cannot be opened',
    "doctor": "[Finding](#finding), one on each line",
    "app-server": None,
    "demo": "[Demo](#demo)",
    "bench": "[Report](#report)",
    "bench app-server": "[AppServerReport](#appserverreport)",
    "bench codex": "[CodexReport](#codexreport)",
    "bench peers": "[PeersReport](#peersreport)",
}

_OBJECTS: Final[tuple[type[msgspec.Struct], ...]] = (
    models.Thread,
    models.Resumed,
    ModelContext,
    ContextItem,
    Window,
    Position,
    GitInfo,
    TokenUsageInfo,
    TokenUsage,
    Counts,
    Cost,
    models.PlannedThread,
    models.Erasure,
    models.TreeNode,
    models.Family,
    models.Materialized,
    verification.Verification,
    verification.Check,
    Damage,
    models.Finding,
    _demo.Demo,
    _demo.DemoThread,
    _demo.DemoStep,
    _bench.Report,
    _bench.Machine,
    _bench.BenchRow,
    _measure.Measured,
    _bench.Limit,
    _bench.AppendLimit,
    _appserver_report.AppServerReport,
    _appserver_report.Start,
    _appserver_report.AppServerRow,
    _appserver_report.Served,
    _appserver_report.Took,
    _appserver_report.Beside,
    _appserver_report.Crowd,
    _codex_report.CodexReport,
    _codex_report.CodexRow,
    _codex_report.CodexSide,
    _spread.Spread,
    _codex_report.FailedCheck,
    _peers_report.PeersReport,
    _peers_report.PeerReport,
    _peers_report.PeerRow,
    _peers_report.PeerStep,
)

_ATTRIBUTE: Final = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)
_CLASS: Final = re.compile(r"(?<!`)`(?:\w+\.)?(\w+)`(?!`)")


def reference() -> str:
    """The whole reference, as Markdown."""
    parts = [_INTRODUCTION, _exit_codes(), *_commands(), *_objects(), _damage()]
    return "\n".join(parts)


def _exit_codes() -> str:
    rows = "\n".join(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items())
    return f"## Exit codes\n\n| code | meaning |\n| --- | --- |\n{rows}\n"


def _commands() -> Iterator[str]:
    root = click.Context(cli, info_name="threadkeep", terminal_width=80, **cli.context_settings)
    yield f"## threadkeep\n\n```text\n{cli.get_help(root)}\n```\n"
    yield from _commands_of(cli, root, "")


def _commands_of(group: Commands, above: click.Context, before: str) -> Iterator[str]:
    """The commands of a group, each followed by its own."""
    for name in group.places:
        command = group.get_command(above, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=above, terminal_width=80)
        yield f"## threadkeep {before}{name}\n\n```text\n{command.get_help(context)}\n```\n"
        if (answer := _ANSWERS[before + name]) is not None:
            yield f"`--json`: {answer}.\n"
        if isinstance(command, Commands):
            yield from _commands_of(command, context, f"{before}{name} ")


def _objects() -> Iterator[str]:
    yield "## JSON objects\n\nMembers are always there, null where there is nothing.\n"
    for kind in _OBJECTS:
        said = dict(_ATTRIBUTE.findall(inspect.getdoc(kind) or ""))
        rows = [f"| `{camel(name)}` | {_markdown(said.get(name, ''))} |" for name in kind.__struct_fields__]
        yield f"### {kind.__name__}\n\n| member | |\n| --- | --- |\n" + "\n".join(rows) + "\n"


def _damage() -> str:
    rows = [f"| `{kind}` | {severity} | {_markdown(meaning)} |" for kind, (severity, meaning) in DAMAGE_KINDS.items()]
    return "## Kinds of damage\n\n| kind | severity | what it means |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"


def _markdown(text: str) -> str:
    """A docstring's text in Markdown, in the words of JSON."""
    named = re.sub(r"\bNone\b", "null", _CLASS.sub(r"`\1`", text))
    return " ".join(named.split()).replace("``", "`").replace("|", r"\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
