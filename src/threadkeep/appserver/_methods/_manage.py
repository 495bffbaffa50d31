"""What is done to a thread as a whole: its name, its place, its facts, its end."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from threadkeep import errors
from threadkeep.appserver import _rpc
from threadkeep.appserver._failures import no_such_thread, refuse_project
from threadkeep.appserver._loaded import IDLE, NOT_LOADED, wait_for_the_end
from threadkeep.appserver._methods._loading import Head
from threadkeep.appserver._settings_change import keep_settings, tell_settings
from threadkeep.appserver._thread_ids import named_thread
from threadkeep.appserver._wire import thread_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from threadkeep.appserver._call import Call
    from threadkeep.appserver._loaded import LoadedThread
    from threadkeep.store import Thread

__all__ = [
    "thread_archive",
    "thread_delete",
    "thread_memory_mode_set",
    "thread_metadata_update",
    "thread_name_set",
    "thread_read_state_update",
    "thread_revert",
    "thread_settings_update",
    "thread_unarchive",
    "thread_unsubscribe",
]


def changed(call: Call, thread_id: str, change: Callable[[bool], Thread]) -> Thread:
    """Change a thread as a whole: through Codex where Codex has indexed it and is installed, else as threadkeep's own.

    Args:
        call: The request.
        thread_id: The thread.
        change: Called with whether the change is to be kept to threadkeep.
    """
    with _lent(call.server.threads.get(thread_id)):
        try:
            return change(False)
        except errors.CodexOwned as error:
            done = change(True)
            call.connection.notify(
                "warning",
                {"threadId": thread_id, "message": f"kept to threadkeep, where Codex does not see it: {error}"},
            )
            return done


@contextmanager
def _lent(loaded: LoadedThread | None) -> Iterator[None]:
    """Give a loaded thread's right to write to whoever changes the thread as a whole.

    It is taken again where the thread is still loaded at the end: where it was not put away, or that failed.
    """
    if loaded is not None:
        loaded.writer.close()
    try:
        yield
    finally:
        if loaded is not None:
            loaded.renew()


def thread_name_set(call: Call) -> Any:
    """Give a thread a name, and tell every client."""
    thread_id = named_thread(call)
    name = call.params["name"].strip()
    if not name:
        raise _rpc.invalid("thread name must not be empty")
    store, loaded = call.server.store, call.server.threads.get(thread_id)
    _refuse_ephemeral(loaded)
    if loaded is not None and not loaded.materialized:
        loaded.writer.materialize()
    if loaded is None and store.read(thread_id).archived:
        raise no_such_thread(call.method, thread_id)
    if loaded is not None and loaded.run is not None:
        # The turn that runs needs the right to write: Codex cannot be asked now.
        store.rename(thread_id, name, local=True, writer=loaded.writer)
    else:
        changed(call, thread_id, lambda local: store.rename(thread_id, name, local=local))
    call.respond({})
    call.server.broadcast("thread/name/updated", {"threadId": thread_id, "threadName": name})


def thread_metadata_update(call: Call) -> Any:
    """Set git facts of a thread; it is in no project, and stays in none."""
    thread_id = named_thread(call)
    params, server = call.params, call.server
    if not any(name in params for name in ("gitInfo", "projectId", "daybreakEnabled")):
        raise _rpc.invalid("thread metadata update must include at least one field")
    if params.get("projectId"):  # an empty one takes a thread out of its project
        refuse_project(params)
    git = params.get("gitInfo")
    if git is not None and not any(name in git for name in ("sha", "branch", "originUrl")):
        raise _rpc.invalid("gitInfo must include at least one field")
    loaded = server.threads.get(thread_id)
    _refuse_ephemeral(loaded)
    if loaded is not None and not loaded.materialized:
        loaded.writer.materialize()
    if git is not None:
        names = {"sha": "commit_hash", "branch": "branch", "originUrl": "repository_url"}
        facts = {names[name]: value for name, value in git.items() if name in names}
        thread = server.store.set_git(thread_id, facts)
    else:
        thread = server.store.read(thread_id)
    return {"thread": thread_json(server, thread, listed=True)}


def thread_memory_mode_set(call: Call) -> Any:
    """Say whether a thread is used for memories: threadkeep makes none, so only the thread is looked for."""
    thread_id = named_thread(call)
    loaded = call.server.threads.get(thread_id)
    _refuse_ephemeral(loaded)
    if loaded is None:
        call.server.store.read(thread_id)
    elif not loaded.materialized:
        loaded.writer.materialize()
    return {}


def thread_archive(call: Call) -> Any:
    """Put a thread away."""
    thread_id = named_thread(call)
    store, loaded = call.server.store, call.server.threads.get(thread_id)
    if loaded is not None and loaded.ephemeral:
        raise no_such_thread(call.method, thread_id)
    if loaded is not None and not loaded.materialized:
        loaded.writer.materialize()
    if store.read(thread_id).archived:
        raise no_such_thread(call.method, thread_id)
    _stop(loaded)

    def put_away(local: bool) -> Thread:
        thread = store.archive(thread_id, local=local)
        _unload(loaded)
        return thread

    changed(call, thread_id, put_away)
    call.respond({})
    call.server.broadcast("thread/archived", {"threadId": thread_id})


def thread_unarchive(call: Call) -> Any:
    """Take a thread out of the archive."""
    thread_id = named_thread(call)
    store = call.server.store
    if not store.read(thread_id).archived:
        raise no_such_thread(call.method, thread_id)
    thread = changed(call, thread_id, lambda local: store.unarchive(thread_id, local=local))
    call.respond({"thread": thread_json(call.server, thread)})
    call.server.broadcast("thread/unarchived", {"threadId": thread_id})


def thread_delete(call: Call) -> Any:
    """Delete a thread; what others inherit from it stays theirs."""
    thread_id = named_thread(call)
    store, loaded = call.server.store, call.server.threads.get(thread_id)
    if loaded is not None and loaded.ephemeral:
        raise _rpc.invalid(f"thread is not persisted and cannot be deleted: {thread_id}")
    new = loaded is not None and not loaded.materialized
    if not new:
        store.read(thread_id)
    _stop(loaded)
    with _lent(loaded):
        if not new:
            store.delete(thread_id)
        _unload(loaded)
    call.server.read_states.forget(thread_id)
    call.respond({})
    call.server.broadcast("thread/deleted", {"threadId": thread_id})


def thread_revert(call: Call) -> Any:
    """Take the newest turns of a thread back."""
    thread_id = named_thread(call)
    server, before = call.server, call.params["beforeTurnId"]
    store, loaded = server.store, server.threads.require(thread_id)
    if loaded.ephemeral:
        raise _rpc.invalid("ephemeral threads do not support thread/revert")
    if not loaded.materialized:
        raise _rpc.invalid(f"turn not found: {before}")
    _stop(loaded)
    loaded.set_status(NOT_LOADED)
    try:
        thread = changed(call, thread_id, lambda local: store.revert(thread_id, before=before, local=local))
    finally:
        if server.threads.get(thread_id) is loaded:  # it was let go where somebody else has the right to write by now
            loaded.set_status(IDLE)
    with store.snapshot(thread_id) as snapshot:
        head = Head(snapshot)
    call.respond(
        {
            "thread": thread_json(server, thread),
            "turnsBackwardsCursor": head.turns_cursor,
            "itemsBackwardsCursor": head.items_cursor,
        }
    )
    server.broadcast("thread/reverted", {"threadId": thread_id})


def thread_unsubscribe(call: Call) -> Any:
    """Tell the client no more of a thread; the thread stays loaded."""
    loaded = call.server.threads.get(named_thread(call))
    if loaded is None:
        return {"status": "notLoaded"}
    return {"status": "unsubscribed" if loaded.unwatch(call.connection) else "notSubscribed"}


def thread_settings_update(call: Call) -> Any:
    """Change what the next turns of a thread run with, and keep it."""
    thread = call.server.threads.require(named_thread(call))
    changes = keep_settings(thread, thread.settings.changed(call.params, call.server.config))
    with thread.lock:
        call.respond({})
        if changes:
            tell_settings(thread)


def thread_read_state_update(call: Call) -> Any:
    """Say what of a thread was read."""
    thread_id = named_thread(call)
    server, kind = call.server, call.params["operation"]["type"]
    loaded = server.threads.get(thread_id)
    if loaded is None:
        server.store.read(thread_id)
    elif not loaded.materialized or loaded.ephemeral:
        raise _rpc.invalid("thread read state unavailable")
    first = {"type": "threadStart"} if kind == "unread" else None
    state = server.read_states.update(thread_id, call.params["expectedRevision"], first)
    if loaded is not None:
        loaded.publish("thread/readState/changed", {"threadId": thread_id, "readState": state})
    return {"readState": state}


def _refuse_ephemeral(loaded: LoadedThread | None) -> None:
    if loaded is not None and loaded.ephemeral:
        raise _rpc.invalid(f"ephemeral thread does not support metadata updates: {loaded.id}")


def _stop(loaded: LoadedThread | None) -> None:
    """End a running turn as interrupted.

    Raises:
        RpcError: It has not ended yet: its right to write is not taken away.
    """
    if loaded is not None and (run := loaded.run) is not None:
        run.interrupt()
        wait_for_the_end(run)


def _unload(loaded: LoadedThread | None) -> None:
    """The thread is put away or gone: it is loaded no more."""
    if loaded is not None:
        loaded.server.threads.remove(loaded)
