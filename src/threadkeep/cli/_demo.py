"""``threadkeep demo``: a long thread in each history mode, and what it takes to use it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import TYPE_CHECKING, Final

import click

from threadkeep.cli._errors import OK, PROBLEM
from threadkeep.cli._options import example, json_option

if TYPE_CHECKING:
    from threadkeep.bench._demo import Demo, DemoThread
    from threadkeep.cli._session import Session

__all__ = ["demo"]

_MB: Final = 1_000_000
_BAR: Final = 16
"""Columns of the longest bar: with the figures beside it a line has at most 80."""

_MOST_MB: Final = 100_000


@click.command(epilog=example("threadkeep demo", "threadkeep demo --size 500 --keep /tmp/threads"))
@click.option(
    "--size",
    metavar="MB",
    type=click.FloatRange(0.01, _MOST_MB),
    default=50,
    show_default=True,
    help="Megabytes of each thread.",
)
@click.option(
    "--keep", metavar="DIR", help="Make the home here, and leave it: a folder that is empty or not there yet."
)
@json_option
@click.pass_obj
def demo(session: Session, size: float, keep: str | None) -> int:
    """Try it on made-up threads.

    Makes a long thread in each history mode, resumes it, forks it, reads its newest page, checks that the quick answer
    is the one that the whole history gives, and says what each took. Touches no home of yours.
    """
    from threadkeep.bench._demo import demo as run

    if keep is not None and os.path.lexists(keep) and (not os.path.isdir(keep) or os.listdir(keep)):
        raise click.UsageError(f"{keep} is there already, and is no empty folder")
    with contextlib.ExitStack() as stack:
        home = keep if keep is not None else stack.enter_context(tempfile.TemporaryDirectory(prefix="threadkeep-demo-"))
        progress = stack.enter_context(session.working("trying"))
        done = run(os.path.abspath(home), size=int(size * _MB), kept=keep is not None, progress=progress)
    if session.json:
        session.answer(done)
    else:
        _show(session, done)
    return OK if all(thread.equal for thread in done.threads) else PROBLEM


def _show(session: Session, done: Demo) -> None:
    from threadkeep.cli._text import clean

    session.line("Two made-up threads: what is done with one, beside a full replay of the same.")
    session.line()
    for thread in done.threads:
        _show_thread(session, thread)
    if done.home is None:
        session.note("The threads are gone again; --keep DIR leaves them. `threadkeep bench` measures more.")
        return
    home = clean(done.home)
    session.line(f"The home is in {home}. To go on with it:")
    thread = done.threads[0]
    for command in (
        "list",
        f"resume {thread.thread_id}",
        f"turns {thread.fork_id} --limit 5",
        "tree",
        f"verify {thread.thread_id}",
    ):
        session.line(f"  threadkeep --home {home} {command}")


def _show_thread(session: Session, thread: DemoThread) -> None:
    from threadkeep.cli._table import Column
    from threadkeep.cli._text import amount, size

    made = f"{size(thread.size)}, {amount(thread.turns, 'turn')}, {amount(thread.items, 'item')} in the model context"
    session.line(f"{session.style(f'A {thread.mode} thread', 'bold')}: {made}")
    slowest = max(step.ms for step in thread.steps)
    rows = []
    for step in thread.steps:
        bar = ("█" if session.draws else "#") * max(1, round(_BAR * step.ms / slowest))
        quicker = f"{step.ratio:.{0 if step.ratio >= 10 else 1}f}x" if step is not thread.steps[-1] else ""
        rows.append([step.title, f"{step.ms:.1f} ms", size(step.bytes_read), size(step.bytes_written), quicker, bar])
    session.table(
        [
            Column("", least=22),
            Column("took", right=True, style="good"),
            Column("read", right=True),
            Column("written", right=True),
            Column("quicker", right=True, style="bold"),
            Column("", style="dim"),
        ],
        rows,
        titled=True,
    )
    verdict = "yes, for the thread and for its fork" if thread.equal else "NO, the whole history says something else"
    session.line(f"Fast equals full: {session.style(verdict, 'good' if thread.equal else 'bad')}")
    session.line()
