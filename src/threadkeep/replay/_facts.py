"""What a thread is, for lists and for people: the answers of `read_facts` and `read_counts`."""

from __future__ import annotations

from typing import Any

import msgspec

from threadkeep.records import GitInfo, TokenUsageInfo

__all__ = ["Counts", "ThreadFacts"]


class ThreadFacts(msgspec.Struct):
    """What the records of a thread say about it.

    Attributes:
        thread_id: The thread's id.
        rollout_id: Id of the current rollout.
        mode: History mode of the current rollout.
        created_ms: When the thread was made, Unix milliseconds.
        preview: What the user said first; empty before that.
        model: The model that was set last.
        effort: The reasoning effort that was set last.
        model_provider: The provider that was set last.
        cwd: The folder that the thread works in.
        git: The git facts, as far as they were recorded.
        source: Where the thread was begun, as the first record says it.
        thread_source: Who began it (``user``, ``subagent``).
        originator: The client that began it.
        cli_version: Version of the program that wrote the first record.
        session_id: The root thread's id for a sub-agent, else the thread's own.
        forked_from_id: The thread that it was forked from.
        parent_thread_id: The thread that spawned it, for a sub-agent.
        agent_nickname: A sub-agent's nickname.
        agent_role: A sub-agent's role.
        memory_mode: ``disabled`` or None.
        usage: Tokens used, by the newest record that counts them; along a lineage the newest is the sum (trap 32).
        base: The rollout that it inherits from; None for a root.
    """

    thread_id: str
    rollout_id: str
    mode: str
    created_ms: int
    preview: str = ""
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


class Counts(msgspec.Struct):
    """What the whole lineage holds, as far as it belongs to the thread. Recorded facts: what was rolled back counts.

    Attributes:
        records: Records.
        turns: Turns that were started explicitly.
        items: Records that show an item.
        response_items: Response items.
        compactions: Compactions.
        own_bytes: Decoded bytes of the current rollout.
        inherited_bytes: Decoded bytes of its ancestors that belong to the thread.
    """

    records: int = 0
    turns: int = 0
    items: int = 0
    response_items: int = 0
    compactions: int = 0
    own_bytes: int = 0
    inherited_bytes: int = 0
