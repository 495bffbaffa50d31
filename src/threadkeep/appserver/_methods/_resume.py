"""``thread/resume``: a thread that exists is loaded, or watched by one client more."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from threadkeep.appserver import _rpc
from threadkeep.appserver._call import Elsewhere
from threadkeep.appserver._loaded import IDLE
from threadkeep.appserver._methods._loading import (
    Head,
    first_page,
    load,
    refuse_archived,
    resumed_response,
    usage_json,
    warn_of_settings,
    with_all_turns,
)
from threadkeep.appserver._thread_ids import named_thread, plain
from threadkeep.appserver._wire import deprecation, thread_json
from threadkeep.errors import ThreadkeepError

if TYPE_CHECKING:
    from threadkeep.appserver._call import Call
    from threadkeep.appserver._loaded import LoadedThread
    from threadkeep.store import Snapshot, Writer

__all__ = ["thread_resume"]


def thread_resume(call: Call) -> Any:
    """Load a thread, attach the client to it, and answer with what its next turn goes on from."""
    params, server = call.params, call.server
    if params.get("history") is not None:
        from threadkeep.appserver._methods._given import resume_given

        return resume_given(call)
    _refuse_stale_path(call)
    thread_id = by_path(call) if params.get("path") else named_thread(call)
    thread = server.threads.get(thread_id)
    if thread is None:
        _cold(call, thread_id)
    else:
        _hot(call, thread)
    return None


def _refuse_stale_path(call: Call) -> None:
    """A loaded thread has one rollout, and is not resumed from another."""
    path: str = call.params.get("path") or ""
    named = plain(call.params["threadId"]) if path else None
    thread = call.server.threads.get(named) if named is not None else None
    if thread is None:
        return
    active = os.path.join(call.server.home, thread.described().location)
    try:
        stale = os.path.realpath(path) != os.path.realpath(active)
    except ValueError:  # a null byte: nothing lies there
        stale = True
    if stale:
        raise _rpc.invalid(
            f"cannot resume running thread {thread.id} with stale path: requested `{path}`, active `{active}`"
        )


def by_path(call: Call) -> str:
    """The thread whose rollout a client names by its path.

    Raises:
        Elsewhere: The request is in the lane of another thread.
        RpcError: No rollout of the home lies there.
    """
    path: str = call.params["path"]
    found = call.server.store.thread_at(path)
    if found is None:
        raise _rpc.invalid(f"failed to resolve rollout path `{path}`: file does not exist")
    if call.lane != found:
        raise Elsewhere(found)
    return found


def _cold(call: Call, thread_id: str) -> None:
    server = call.server
    with ExitStack() as undoing:
        writer = _writer(call, thread_id)  # before the snapshot: nobody else appends after it
        undoing.callback(writer.close)
        snapshot = server.store.snapshot(thread_id)
        undoing.callback(snapshot.close)
        latest = snapshot.latest()
        thread = load(call, snapshot, latest.settings, writer)
        undoing.callback(server.threads.remove, thread)
        head = _head(snapshot)
        with thread.lock:
            thread.watch(call.connection)
            thread.announce("thread/status/changed", {"threadId": thread.id, "status": IDLE})
            kept = _answer(call, thread, snapshot, head)
            undoing.pop_all()
            if not kept:
                snapshot.close()
            usage = usage_json(thread.id, latest)
            if usage is not None and not (thread.mode == "legacy" and call.params.get("excludeTurns")):
                call.connection.notify("thread/tokenUsage/updated", usage)
            thread.announce("thread/goal/cleared", {"threadId": thread.id})
    warn_of_settings(call, thread)
    from threadkeep.appserver._damage import tell_of_damage

    tell_of_damage(thread)


def _writer(call: Call, thread_id: str) -> Writer:
    """The right to write to the thread; whether or not it can be had, the client is told of what it asks for first.

    Raises:
        RpcError: The thread is archived.
        ThreadkeepError: It cannot be loaded.
    """
    try:
        writer = call.server.store.writer(thread_id)
    except ThreadkeepError:
        _notice(call, refuse_archived(call.server, thread_id).mode)
        raise
    _notice(call, writer.mode)
    return writer


def _notice(call: Call, mode: str) -> None:
    """Tell a client that it should not ask for a whole paginated history."""
    if mode == "paginated" and not call.params.get("excludeTurns"):
        call.connection.notify("deprecationNotice", deprecation())


def _hot(call: Call, thread: LoadedThread) -> None:
    """The thread is loaded: its settings are not changed, and the answer and what follows it leave no gap."""
    if not thread.materialized:
        raise _rpc.invalid(f"no rollout found for thread id {thread.id}")
    with thread.lock:
        snapshot = call.server.store.snapshot(thread.id)
        kept = False
        try:
            _notice(call, thread.mode)
            thread.watch(call.connection)
            head = _head(snapshot)
            usage = None if call.params.get("excludeTurns") else usage_json(thread.id, snapshot.latest())
            kept = _answer(call, thread, snapshot, head)
            if usage is not None:
                call.connection.notify("thread/tokenUsage/updated", usage)
            thread.announce("thread/goal/cleared", {"threadId": thread.id})
        finally:
            if not kept:
                snapshot.close()


def _head(snapshot: Snapshot) -> Head | None:
    """Where lists go backwards from; clients page through paginated threads alone (0.169.0 observed)."""
    return Head(snapshot) if snapshot.mode == "paginated" else None


def _answer(call: Call, thread: LoadedThread, snapshot: Snapshot, head: Head | None) -> bool:
    """Answer; whether the snapshot is still needed, since the answer is made while it is sent."""
    shown = thread_json(call.server, snapshot.thread())
    running = thread.running
    rest = {
        **resumed_response(thread.settings),
        "initialTurnsPage": first_page(snapshot, call.params.get("initialTurnsPage"), running),
        "turnsBackwardsCursor": head.turns_cursor if head is not None else None,
        "itemsBackwardsCursor": head.items_cursor if head is not None else None,
    }
    if call.params.get("excludeTurns"):
        call.respond({"thread": shown, **rest})
        return False
    call.respond(with_all_turns(snapshot, shown, rest, running))
    return True
