"""What went wrong in the store, in the protocol's codes and words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from threadkeep import errors
from threadkeep.appserver import _rpc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from threadkeep.appserver._call import Call
    from threadkeep.appserver._rpc import RpcError

__all__ = ["no_such_thread", "refuse_project", "rpc_error"]

_NOT_LOADED: Final = frozenset({"thread/read", "thread/turns/list", "thread/readState/update"})
_NOT_FOUND: Final = frozenset(
    {"turn/start", "turn/steer", "turn/interrupt", "thread/compact/start", "thread/inject_items", "thread/revert"}
)

_UNSUPPORTED: Final = frozenset({"thread/items/list", "thread/items/read", "thread/searchOccurrences"})


def no_such_thread(method: str, thread_id: str) -> RpcError:
    """The words that a method has for a thread that does not exist (0.169.0 observed)."""
    if method in _NOT_LOADED:
        return _rpc.invalid(f"thread not loaded: {thread_id}")
    if method in _NOT_FOUND:
        return _rpc.invalid(f"thread not found: {thread_id}")
    if method in _UNSUPPORTED:
        return _rpc.unsupported(f"{method} is not supported yet")
    archived = "archived " if method == "thread/unarchive" else ""
    return _rpc.invalid(f"no {archived}rollout found for thread id {thread_id}")


def refuse_project(params: Mapping[str, Any], code: int = _rpc.INVALID_REQUEST) -> None:
    """Refuse a request that names a project: there is none (texts: 0.169.0 observed)."""
    project = params.get("projectId")
    if project is not None:
        raise _rpc.RpcError(code, f"project not found: {project}" if project else "projectId must not be empty")


def rpc_error(error: Exception, call: Call) -> RpcError | None:
    """The error that a client is told; None for one that nobody expected."""
    if not isinstance(error, errors.ThreadkeepError):
        return None
    thread_id = error.thread or str(call.params.get("threadId", ""))
    if isinstance(error, errors.ThreadNotFound):
        return no_such_thread(call.method, thread_id)
    if isinstance(error, errors.TurnNotFound):
        return _rpc.invalid(f"turn not found: {_turn_of(call)}")
    if isinstance(error, errors.InvalidCursor):
        return _rpc.invalid(f"invalid cursor: {call.params.get('cursor')}")
    if isinstance(error, errors.ThreadBusy):
        return _rpc.RpcError(
            _rpc.INVALID_REQUEST, f"thread {thread_id} already has an active writer", {"owner": str(error)}
        )
    if isinstance(error, (errors.InvalidRequest, errors.Conflict, errors.RolloutReplaced)):
        return _rpc.invalid(str(error))
    return _rpc.internal(str(error))


def _turn_of(call: Call) -> str:
    for name in ("beforeTurnId", "lastTurnId", "turnId"):
        if isinstance(call.params.get(name), str):
            return str(call.params[name])
    return ""
