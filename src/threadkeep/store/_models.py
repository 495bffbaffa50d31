"""What a store answers."""

from __future__ import annotations

from typing import Any

import msgspec

from threadkeep.records import Cost, GitInfo, TokenUsageInfo
from threadkeep.replay import Counts, ModelContext

__all__ = ["Page", "Resumed", "Thread", "ThreadPage"]


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
    """One page of threads; the cursor is that of `Page`."""

    data: list[Thread]
    next_cursor: str | None
