"""The protocol's shapes of threads and turns."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from threadkeep.appserver._loaded import NOT_LOADED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from threadkeep.appserver._server import Server
    from threadkeep.store import Thread

__all__ = ["NO_TURNS_NOTICE", "as_it_runs", "deprecation", "environments", "thread_json", "turns_json"]

NO_TURNS_NOTICE: Final = (
    "This answer holds the whole history of a paginated thread, which clients should page through instead: ask without "
    "turns, then use `thread/turns/list` and `thread/items/list`."
)
"""What a client is told that asks for all turns of a paginated thread at once."""


def thread_json(server: Server, thread: Thread, *, listed: bool = False) -> dict[str, Any]:
    """A ``Thread`` without turns.

    Args:
        server: The server.
        thread: The thread.
        listed: It is an entry of a list: whether a client may write to it is left open.
    """
    loaded = server.threads.get(thread.id)
    cwd = loaded.settings.cwd if loaded is not None else thread.cwd
    git = thread.git
    return {
        "id": thread.id,
        "environments": environments(cwd) if loaded is not None and cwd else None,
        "extra": None,
        "sessionId": thread.session_id or thread.id,
        "forkedFromId": thread.forked_from_id,
        "attachedToThreadId": None,
        "parentThreadId": thread.parent_thread_id,
        "preview": thread.preview,
        "ephemeral": thread.ephemeral,
        "section": None,
        "sectionEnteredAt": None,
        "projectId": None,
        "historyMode": thread.mode,
        "modelProvider": loaded.settings.model_provider if loaded is not None else thread.model_provider or "",
        "model": loaded.settings.model if loaded is not None else thread.model,
        "reasoningEffort": loaded.settings.effort if loaded is not None else thread.effort,
        "createdAt": thread.created_ms // 1000,
        "updatedAt": thread.updated_ms // 1000,
        "recencyAt": thread.updated_ms // 1000,
        "status": loaded.status if loaded is not None else NOT_LOADED,
        "path": os.path.join(server.home, thread.location) if thread.location and not thread.ephemeral else None,
        "cwd": cwd or "/",
        "cliVersion": thread.cli_version or "",
        "originator": thread.originator,
        "source": thread.source if thread.source is not None else "unknown",
        "canAcceptDirectInput": True if loaded is not None and not listed else None,
        "threadSource": thread.thread_source,
        "agentNickname": thread.agent_nickname,
        "agentRole": thread.agent_role,
        "gitInfo": (
            {"sha": git.commit_hash, "branch": git.branch, "originUrl": git.repository_url} if git is not None else None
        ),
        "name": thread.name,
        "daybreakEnabled": None,
        "turns": [],
    }


def environments(cwd: str) -> list[dict[str, Any]]:
    """Where a loaded thread works: on this machine, in its folder."""
    return [{"environmentId": "local", "cwd": cwd, "runtimeWorkspaceRoots": [cwd]}]


def as_it_runs(turn: dict[str, Any], running: str | None) -> dict[str, Any]:
    """A turn of a page: the one that is running has not ended, whatever its records say so far."""
    if running is None or turn["id"] != running:
        return turn
    return {**turn, "status": "inProgress", "error": None, "completedAt": None, "durationMs": None}


def turns_json(turns: Iterable[dict[str, Any]], running: str | None) -> list[dict[str, Any]]:
    """The turns of a page."""
    return [as_it_runs(turn, running) for turn in turns]


def deprecation() -> dict[str, Any]:
    """The parameters of a ``deprecationNotice`` for a whole history."""
    return {"summary": NO_TURNS_NOTICE, "details": None}
