"""What a store answers."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from threadkeep.records import Cost, GitInfo, TokenUsageInfo
from threadkeep.replay import Counts, ModelContext

__all__ = [
    "ORIGINATOR",
    "DeletePlan",
    "Erasure",
    "Family",
    "Finding",
    "Latest",
    "Materialized",
    "Page",
    "PlannedThread",
    "Resumed",
    "Thread",
    "ThreadPage",
    "TreeNode",
]

ORIGINATOR: Final = "threadkeep"
"""The client that threadkeep calls itself where nobody names another."""


class Thread(msgspec.Struct):
    """One thread, as lists and people see it.

    Attributes:
        id: Its id.
        rollout_id: Id of its current rollout; the same but for a thread that was reverted.
        mode: History mode of that rollout (``legacy`` or ``paginated``).
        name: Its name; None where it has none.
        preview: What the user said first; empty before that.
        archived: Whether it is archived.
        created_ms: When it was made, Unix milliseconds.
        updated_ms: When its current rollout changed last, Unix milliseconds.
        model: The model that was set last.
        effort: The reasoning effort that was set last.
        model_provider: The provider that was set last.
        cwd: The folder that it works in.
        git: The git facts, as far as they were recorded.
        source: Where it was begun (``cli``, ``vscode``, or an object for sub-agents).
        thread_source: Who began it.
        originator: The client that began it.
        cli_version: Version of the program that wrote its first record.
        session_id: The root thread's id for a sub-agent, else its own.
        forked_from_id: The thread that it was forked from.
        parent_thread_id: The thread that spawned it, for a sub-agent.
        agent_nickname: A sub-agent's nickname.
        agent_role: A sub-agent's role.
        memory_mode: ``disabled`` or None.
        usage: Tokens used, by the newest record that counts them.
        base: Id of the rollout that it inherits from.
        size: Stored bytes of its current rollout.
        location: Where the rollout lies, in the backend's own words (below the home).
        compressed: Whether the rollout is compressed.
        ephemeral: Whether it lives in memory alone.
        counts: Counts, where they were asked for.
        problem: What keeps the thread from being read in full; None where nothing does.
    """

    id: str
    rollout_id: str
    mode: str
    name: str | None
    preview: str
    archived: bool
    created_ms: int
    updated_ms: int
    model: str | None = None
    effort: str | None = None
    model_provider: str | None = None
    cwd: str | None = None
    git: GitInfo | None = None
    source: Any = None
    thread_source: Any = None
    originator: str | None = None
    cli_version: str | None = None
    session_id: str | None = None
    forked_from_id: str | None = None
    parent_thread_id: str | None = None
    agent_nickname: str | None = None
    agent_role: str | None = None
    memory_mode: str | None = None
    usage: TokenUsageInfo | None = None
    base: str | None = None
    size: int = 0
    location: str = ""
    compressed: bool = False
    ephemeral: bool = False
    counts: Counts | None = None
    problem: str | None = None


class Latest(msgspec.Struct):
    """What a thread was set to last, and what it has used.

    Attributes:
        settings: The settings of `Resumed`; where these are a turn's, also what was applied to the thread before it.
            None where there are none.
        usage: The newest token usage; None where none was recorded.
        usage_turn: Id of the turn that it was counted in; None where that is not near the end.
    """

    settings: dict[str, Any] | None
    usage: TokenUsageInfo | None
    usage_turn: str | None


class Resumed(msgspec.Struct):
    """What the next turn of a thread starts with, and what it cost to find.

    Attributes:
        thread_id: The thread.
        rollout_id: Its current rollout.
        mode: History mode of that rollout.
        context: The model context and what goes with it.
        settings: The settings in force: the newest ``turn_context`` or ``thread_settings_applied``; None where there is
            none.
        usage: The newest token usage; None where none was recorded.
        cost: What it cost.
    """

    thread_id: str
    rollout_id: str
    mode: str
    context: ModelContext
    settings: dict[str, Any] | None
    usage: TokenUsageInfo | None
    cost: Cost


class Page(msgspec.Struct):
    """One page of turns or items in the app-server's shapes.

    Attributes:
        data: ``Turn`` or ``ThreadItemEntry`` objects.
        next_cursor: Where the next page in the same order begins; None at the end.
        backwards_cursor: Where a page in the other order begins, with the first entry of this one.
        cost: What it cost.
    """

    data: list[dict[str, Any]]
    next_cursor: str | None
    backwards_cursor: str | None
    cost: Cost


class ThreadPage(msgspec.Struct):
    """One page of threads; the cursors are those of `Page`."""

    data: list[Thread]
    next_cursor: str | None
    backwards_cursor: str | None = None


class PlannedThread(msgspec.Struct):
    """What a deletion does with one thread.

    Attributes:
        id: The thread.
        title: Its name, else its preview; empty where it has neither.
        action: ``remove``: its rollouts go; ``hide``: they stay, since others inherit from them, and the thread is
            shown no more; ``reclaim``: what others inherit stays, the rest goes.
        bytes_freed: Stored bytes that are given back.
        bytes_kept: Stored bytes that stay.
        kept_for: The threads that inherit what stays.
        rollouts: Its rollouts, as the backend names them.
    """

    id: str
    title: str
    action: Literal["remove", "hide", "reclaim"]
    bytes_freed: int
    bytes_kept: int
    kept_for: list[str]
    rollouts: list[str]


class DeletePlan(msgspec.Struct):
    """What a deletion would do, or did: every thread that it touches, the named one first."""

    threads: list[PlannedThread]

    @property
    def bytes_freed(self) -> int:
        """Stored bytes that are given back."""
        return sum(thread.bytes_freed for thread in self.threads)

    @property
    def bytes_kept(self) -> int:
        """Stored bytes that stay for threads that inherit them."""
        return sum(thread.bytes_kept for thread in self.threads)


class Erasure(msgspec.Struct):
    """What `ThreadStore.erase` did.

    Attributes:
        records: Records that held the text.
        places: Places in them that were overwritten.
        rollouts: The rollouts that were changed, as the backend names them.
        unreachable: What may still hold the text and is out of reach, a sentence each.
    """

    records: int
    places: int
    rollouts: list[str]
    unreachable: list[str]


class TreeNode(msgspec.Struct):
    """A thread in the fork tree.

    Attributes:
        id: The thread.
        title: Its name, else its preview.
        relation: How it came from the thread above it: ``root``, ``fork`` (by reference), ``copy`` (a fork that copied
            the history), ``agent`` (spawned).
        archived: Whether it is archived.
        deleted: Whether it was deleted and stays only for threads that inherit from it.
        own_bytes: Stored bytes of its rollouts.
        inherited_bytes: Bytes that it inherits by reference from others.
        updated_ms: When it changed last, Unix milliseconds.
        children: The threads that came from it, oldest first.
    """

    id: str
    title: str
    relation: Literal["root", "fork", "copy", "agent"]
    archived: bool
    deleted: bool
    own_bytes: int
    inherited_bytes: int
    updated_ms: int
    children: list[TreeNode]


class Family(msgspec.Struct):
    """The bytes of a thread and all that came from it.

    Attributes:
        root: Id of the thread that all the others came from.
        title: Its name, else its preview.
        threads: How many threads there are.
        rollouts: How many rollouts they have.
        own_bytes: Stored bytes of all their rollouts.
        inherited_bytes: Bytes that are inherited by reference: what forks by copy would have cost.
        duplicated_bytes: Bytes that copied forks hold a second time.
        pinned_bytes: Stored bytes that only pins still hold.
    """

    root: str
    title: str
    threads: int
    rollouts: int
    own_bytes: int
    inherited_bytes: int
    duplicated_bytes: int
    pinned_bytes: int


class Materialized(msgspec.Struct):
    """A self-contained copy that `ThreadStore.materialize` wrote.

    Attributes:
        thread_id: The thread that now has it: the source itself, or a new one.
        source_id: The thread whose history it holds.
        rollout_id: Id of the new rollout.
        location: Where it lies, in the backend's own words.
        bytes_written: Its size.
    """

    thread_id: str
    source_id: str
    rollout_id: str
    location: str
    bytes_written: int


class Finding(msgspec.Struct):
    """One thing that `ThreadStore.doctor` found.

    Attributes:
        kind: What it is, one word or two with a hyphen.
        severity: ``info``, ``warning`` or ``error``.
        thread: The thread concerned, where one is.
        path: The file concerned, where one is.
        detail: What it means and what can be done, for people.
        fixable: Whether ``fix`` can mend it.
        fixed: Whether it was mended now.
    """

    kind: str
    severity: Literal["info", "warning", "error"]
    thread: str | None
    path: str | None
    detail: str
    fixable: bool = False
    fixed: bool = False
