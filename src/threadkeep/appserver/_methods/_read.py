"""``thread/read``: a thread as it stands, loaded or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from threadkeep.appserver import _rpc
from threadkeep.appserver._methods._loading import with_all_turns
from threadkeep.appserver._thread_ids import named_thread
from threadkeep.appserver._wire import deprecation, thread_json

if TYPE_CHECKING:
    from threadkeep.appserver._call import Call

__all__ = ["thread_read"]


def thread_read(call: Call) -> Any:
    """A thread, with all of its turns where that is asked for."""
    server = call.server
    thread_id = named_thread(call)
    loaded = server.threads.get(thread_id)
    kept = loaded is None or (loaded.materialized and not loaded.ephemeral)
    state = server.read_states.get(thread_id) if kept else None
    if not call.params.get("includeTurns"):
        described = loaded.described() if loaded is not None else server.store.read(thread_id)
        return {"thread": thread_json(server, described), "readState": state}
    if loaded is not None and loaded.ephemeral:
        raise _rpc.invalid("ephemeral threads do not support includeTurns")
    if loaded is not None and not loaded.materialized:
        raise _rpc.invalid(
            f"thread {thread_id} is not materialized yet; includeTurns is unavailable before first user message"
        )
    snapshot = server.store.snapshot(thread_id)
    try:
        shown = thread_json(server, snapshot.thread())
        if shown["historyMode"] == "paginated":
            call.connection.notify("deprecationNotice", deprecation())
        running = loaded.running if loaded is not None else None
        return with_all_turns(snapshot, shown, {"readState": state}, running)
    except BaseException:
        snapshot.close()
        raise
