"""``thread/start``: a new thread. Its rollout is made with its first record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from threadkeep.appserver._failures import refuse_project
from threadkeep.appserver._loaded import LoadedThread
from threadkeep.appserver._methods._loading import warn_of_settings
from threadkeep.appserver._wire import thread_json
from threadkeep.store import Thread

if TYPE_CHECKING:
    from threadkeep.appserver._call import Call
    from threadkeep.appserver._config import SessionSettings
    from threadkeep.store import Writer

__all__ = ["source_of", "thread_start"]

_SOURCES: Final = {"codex-tui": "cli", "codex_cli_rs": "cli", "codex_exec": "exec"}
"""Where a thread is begun, by what its client calls itself; every other client is an editor (0.169.0 observed)."""


def source_of(client_name: str) -> str:
    """The ``source`` of a thread that a client begins."""
    return _SOURCES.get(client_name, "vscode")


def thread_start(call: Call) -> Any:
    """Begin a thread, and tell every client of it after the answer."""
    from threadkeep.appserver._config import session_settings
    from threadkeep.appserver._git import git_facts

    server, params = call.server, call.params
    refuse_project(params)
    settings = session_settings(server.config, params)
    ephemeral = bool(params.get("ephemeral"))
    git = git_facts(settings.cwd)
    tools = [{"type": "function", **tool} for tool in params.get("dynamicTools") or ()]
    writer = server.store.create(
        cwd=settings.cwd,
        mode=params.get("historyMode") or "paginated",
        model_provider=settings.model_provider,
        base_instructions=settings.base_instructions,
        source=source_of(call.connection.client_name),
        thread_source=params.get("threadSource"),
        originator=call.connection.client_name,
        git=git,
        dynamic_tools=tools or None,
        ephemeral=ephemeral,
    )
    thread = LoadedThread(
        server, writer, settings, ephemeral=ephemeral, seed=_seed(call, writer, settings, ephemeral=ephemeral)
    )
    thread.dynamic_tools = tools
    server.threads.add(thread)
    with thread.lock:
        thread.watch(call.connection)
        shown = thread_json(server, thread.described())
        call.respond({"thread": shown, **settings.response()})
        thread.announce("thread/started", {"thread": shown})
    warn_of_settings(call, thread)


def _seed(call: Call, writer: Writer, settings: SessionSettings, *, ephemeral: bool) -> Thread:
    """The thread as it is shown before it has a record."""
    from threadkeep.appserver._handshake import CODEX_VERSION

    now = call.server.now_ms()
    return Thread(
        id=writer.thread_id,
        rollout_id=writer.thread_id,
        mode=writer.mode,
        name=None,
        preview="",
        archived=False,
        created_ms=now,
        updated_ms=now,
        model=settings.model,
        effort=settings.effort,
        model_provider=settings.model_provider,
        cwd=settings.cwd,
        source=source_of(call.connection.client_name),
        thread_source=call.params.get("threadSource"),
        originator=call.connection.client_name,
        cli_version=CODEX_VERSION,
        location=writer.planned_location or "",
        ephemeral=ephemeral,
    )
