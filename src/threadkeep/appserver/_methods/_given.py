"""``thread/resume`` with a history that the client gives: a new thread that begins with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from threadkeep.appserver import _rpc
from threadkeep.appserver._loaded import IDLE, LoadedThread
from threadkeep.appserver._methods._loading import resumed_response
from threadkeep.appserver._methods._start import source_of
from threadkeep.appserver._thread_ids import plain
from threadkeep.appserver._wire import thread_json
from threadkeep.store import NewRecord

if TYPE_CHECKING:
    from threadkeep.appserver._call import Call

__all__ = ["resume_given"]


def resume_given(call: Call) -> Any:
    """Make a thread of the items, and load it.

    Raises:
        RpcError: The thread that the request names is loaded, or there are no items.
    """
    from threadkeep.appserver._config import session_settings

    server, params = call.server, call.params
    named = plain(params["threadId"])
    if named is not None and server.threads.get(named) is not None:
        raise _rpc.invalid(f"cannot resume thread {named} with history while it is already running")
    items = params["history"]
    if not items:
        raise _rpc.invalid("history must not be empty")
    settings = session_settings(server.config, params)
    writer = server.store.create(
        cwd=settings.cwd,
        model_provider=settings.model_provider,
        base_instructions=settings.base_instructions,
        source=source_of(call.connection.client_name),
        originator=call.connection.client_name,
    )
    try:
        writer.append_all([NewRecord("response_item", item) for item in items])
    except BaseException:
        writer.close()
        raise
    thread = LoadedThread(server, writer, settings)
    server.threads.add(thread)
    with thread.lock:
        thread.watch(call.connection)
        thread.announce("thread/status/changed", {"threadId": thread.id, "status": IDLE})
        shown = thread_json(server, thread.described())
        rest = {
            **resumed_response(settings),
            "initialTurnsPage": None,
            "turnsBackwardsCursor": None,
            "itemsBackwardsCursor": None,
        }
        call.respond({"thread": shown, **rest})
        thread.announce("thread/goal/cleared", {"threadId": thread.id})
