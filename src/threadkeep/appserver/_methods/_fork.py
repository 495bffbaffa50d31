"""``thread/fork``: a new thread that goes on from a place in another; nothing is copied."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from threadkeep.appserver import _rpc
from threadkeep.appserver._methods._loading import load, refuse_archived, usage_json, with_all_turns
from threadkeep.appserver._methods._resume import by_path
from threadkeep.appserver._methods._start import source_of
from threadkeep.appserver._thread_ids import named_thread
from threadkeep.appserver._wire import deprecation, thread_json
from threadkeep.errors import InvalidRequest, ThreadkeepError, TurnNotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from threadkeep.appserver._call import Call
    from threadkeep.appserver._loaded import LoadedThread
    from threadkeep.appserver._rpc import RpcError
    from threadkeep.appserver._server import Server
    from threadkeep.store import Thread, Writer

__all__ = ["thread_fork"]


def thread_fork(call: Call) -> Any:
    """Fork a thread, attach the client to the child, and tell every client of it after the answer."""
    server, params = call.server, call.params
    through, before = params.get("lastTurnId"), params.get("beforeTurnId")
    source_id = by_path(call) if params.get("path") else named_thread(call)
    source = server.threads.get(source_id)
    ephemeral = bool(params.get("ephemeral"))
    parent = _parent(call, source_id, source)
    mode = source.mode if source is not None else parent.mode
    _refuse(params, mode, source)
    try:
        child = server.store.fork(
            source_id,
            through=through,
            before=before,
            ephemeral=ephemeral,
            # Who began the conversation, not who forks it (0.169.0 observed).
            originator=parent.originator or call.connection.client_name,
            source=source_of(call.connection.client_name),
            thread_source=params.get("threadSource"),
        )
    except TurnNotFound:
        raise _no_such_turn(params, mode) from None
    with ExitStack() as undoing:
        undoing.callback(_forget, server, child.id)
        writer = server.store.writer(child.id)
        undoing.callback(writer.close)
        child = _named(server, child, parent, writer)
        snapshot = server.store.snapshot(child.id)
        undoing.callback(snapshot.close)
        latest = snapshot.latest()
        thread = load(call, snapshot, latest.settings, writer, fork=True, ephemeral=ephemeral)
        undoing.callback(server.threads.remove, thread)
        if source is not None and not thread.dynamic_tools:
            thread.dynamic_tools = list(source.dynamic_tools)
        whole = not params.get("excludeTurns")
        with thread.lock:
            if whole and thread.mode == "paginated":
                call.connection.notify("deprecationNotice", deprecation())
            thread.watch(call.connection)
            shown = thread_json(server, child)
            rest = thread.settings.response()
            if whole:
                call.respond(with_all_turns(snapshot, shown, rest, None))
                undoing.pop_all()
                usage = usage_json(thread.id, latest)
                if usage is not None:
                    call.connection.notify("thread/tokenUsage/updated", usage)
            else:
                call.respond({"thread": shown, **rest})
                undoing.pop_all()
                snapshot.close()
            thread.announce("thread/started", {"thread": shown})


def _named(server: Server, child: Thread, parent: Thread, writer: Writer) -> Thread:
    """A child has the name of its parent from the beginning (0.169.0 observed); each is renamed by itself."""
    with suppress(InvalidRequest):  # Codex gave a name that threadkeep gives to none
        if parent.name:
            return server.store.rename(child.id, parent.name, local=True, writer=writer)
    return child


def _forget(server: Server, thread_id: str) -> None:
    """Nobody was told of a fork that could not be loaded."""
    with suppress(ThreadkeepError):
        server.store.delete(thread_id)


def _no_such_turn(params: Mapping[str, Any], mode: str) -> RpcError:
    """The words for a turn that is not there, which differ by history mode (0.169.0 observed)."""
    name = "lastTurnId" if params.get("lastTurnId") is not None else "beforeTurnId"
    turn = params[name]
    if mode == "legacy":
        return _rpc.invalid(f"{name} '{turn}' was not found in the source thread")
    return _rpc.invalid(f"turn not found: {turn}")


def _parent(call: Call, source_id: str, source: LoadedThread | None) -> Thread:
    """The thread that is forked, as lists show it: read once.

    Raises:
        RpcError: It is archived, or has no rollout (0.169.0 observed).
    """
    if source is None:
        return refuse_archived(call.server, source_id)
    if source.ephemeral or (not source.materialized and source.mode == "legacy"):
        raise _rpc.invalid(f"no rollout found for thread id {source_id}")
    if not source.materialized:
        source.writer.materialize()
    return source.described()


def _refuse(params: Mapping[str, Any], mode: str, source: LoadedThread | None) -> None:
    """What cannot be forked so (0.169.0 observed)."""
    through = params.get("lastTurnId")
    if through is not None and params.get("beforeTurnId") is not None:
        raise _rpc.invalid("`beforeTurnId` cannot be combined with `lastTurnId`")
    if params.get("attachToSource"):
        if mode == "legacy":
            raise _rpc.invalid("attachToSource requires a paginated parent")
        raise _rpc.unsupported("thread/fork.attachToSource is not supported by threadkeep")
    if params.get("ephemeral") and mode == "paginated" and not params.get("excludeTurns"):
        raise _rpc.invalid("ephemeral paginated thread/fork requires `excludeTurns: true`")
    if through is not None and source is not None and source.running == through:
        raise _rpc.invalid(f"lastTurnId '{through}' identifies an in-progress turn")
