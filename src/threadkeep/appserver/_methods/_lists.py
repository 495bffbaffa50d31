"""Lists: of threads, and of a thread's turns and items, by pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from threadkeep.appserver import _rpc
from threadkeep.appserver._thread_ids import named_thread
from threadkeep.appserver._wire import thread_json, turns_json
from threadkeep.ids import canonical

if TYPE_CHECKING:
    from threadkeep.appserver._call import Call
    from threadkeep.appserver._loaded import LoadedThread
    from threadkeep.store import Snapshot, SortKey

__all__ = [
    "thread_items_list",
    "thread_items_read",
    "thread_list",
    "thread_loaded_list",
    "thread_turns_list",
]

_MOST_THREADS: Final = 100
_THREADS: Final = 25
_MOST_ITEMS: Final = 100

INTERACTIVE: Final = ("cli", "vscode")
"""The sources that a list shows where nobody names others."""


def thread_list(call: Call) -> Any:
    """A page of threads."""
    from threadkeep.appserver._methods._filters import chosen_threads

    server, params = call.server, call.params
    limit, chosen = params.get("limit"), chosen_threads(params)
    sort: SortKey = params.get("sortKey") or "created_at"
    if chosen is None or params.get("sortKey") == "section_position":
        return {"data": [], "readStates": {}, "nextCursor": None, "backwardsCursor": None}
    page = server.store.list(
        sort=sort,
        descending=params.get("sortDirection") != "asc",
        cursor=params.get("cursor"),
        limit=max(1, min(_MOST_THREADS, _THREADS if limit is None else limit)),
        chosen=chosen,
    )
    return {
        "data": [thread_json(server, thread, listed=True) for thread in page.data],
        "readStates": {thread.id: server.read_states.get(thread.id) for thread in page.data},
        "nextCursor": page.next_cursor,
        "backwardsCursor": page.backwards_cursor,
    }


def thread_loaded_list(call: Call) -> Any:
    """The ids of the threads that are loaded."""
    ids = call.server.threads.ids()
    cursor, limit = call.params.get("cursor"), call.params.get("limit")
    if ids and cursor is not None and canonical(cursor) is None:  # with none, it is passed over (0.169.0)
        raise _rpc.invalid(f"invalid cursor: {cursor}")
    if cursor is not None:
        ids = [thread_id for thread_id in ids if thread_id > cursor]
    size = len(ids) if limit is None else max(1, limit)
    return {"data": ids[:size], "nextCursor": ids[size - 1] if len(ids) > size else None}


def thread_turns_list(call: Call) -> Any:
    """A page of a thread's turns."""
    loaded, snapshot = _opened(call)
    with snapshot:
        page = snapshot.turns(
            cursor=call.params.get("cursor"),
            limit=call.params.get("limit"),
            descending=call.params.get("sortDirection") != "asc",
            view=call.params.get("itemsView") or "summary",
        )
    return {
        "data": turns_json(page.data, loaded.running if loaded is not None else None),
        "nextCursor": page.next_cursor,
        "backwardsCursor": page.backwards_cursor,
    }


def thread_items_list(call: Call) -> Any:
    """A page of a thread's items, of all turns or of one."""
    params = call.params
    cursor = params.get("cursor")
    turn: str | None = params.get("turnId") or None
    defer = (params.get("deferOutput") or {}) if turn else {}  # of one turn only (0.169.0 observed)
    if isinstance(cursor, dict) and turn is None:
        raise _rpc.invalid_params("turnId is required when cursor is an item anchor")
    _, snapshot = _opened(call)
    with snapshot:
        if isinstance(cursor, dict) and turn is not None:
            cursor = snapshot.item_cursor(turn, cursor["itemId"])
            if cursor is None:
                raise _rpc.invalid_params("cursor.itemId does not identify an item in the requested history scope")
        page = snapshot.items(
            turn=turn,
            cursor=cursor,
            limit=params.get("limit"),
            descending=params.get("sortDirection") == "desc",
        )
    return {
        "data": [_deferred(entry, defer) for entry in page.data],
        "nextCursor": page.next_cursor,
        "backwardsCursor": page.backwards_cursor,
    }


_DEFERRABLE: Final = {"commandExecution": "aggregatedOutput", "mcpToolCall": "result"}


def _deferred(entry: dict[str, Any], defer: dict[str, Any]) -> dict[str, Any]:
    """An entry without the output that the client fetches when it needs it: that of a call that succeeded."""
    item = entry["item"]
    member = _DEFERRABLE.get(item["type"])
    if member is None or not defer.get(item["type"]) or item["status"] != "completed" or not _has_text(item[member]):
        return entry
    return {
        "turnId": entry["turnId"],
        "item": {**item, member: None},
        "outputDeferred": True,
        "startedAtMs": entry["startedAtMs"],
        "completedAtMs": entry["completedAtMs"],
    }


def _has_text(output: Any) -> bool:
    """Whether an output is text, and not empty: a string, or the plain result of a tool."""
    if not isinstance(output, dict):
        return bool(output)
    content = output.get("content") or []
    return any(part.get("text") for part in content) and all(part.get("type") == "text" for part in content)


def thread_items_read(call: Call) -> Any:
    """Items of one turn, by their ids; those that it does not have are left out."""
    wanted = set(call.params["itemIds"])
    if not 1 <= len(call.params["itemIds"]) <= _MOST_ITEMS:
        raise _rpc.invalid(f"itemIds must contain 1 to {_MOST_ITEMS} IDs")
    turn_id = call.params["turnId"]
    _, snapshot = _opened(call)
    with snapshot:
        turn = snapshot.turn(turn_id)
    return {
        "data": [
            {
                "turnId": turn_id,
                "item": item,
                "startedAtMs": item["startedAtMs"],
                "completedAtMs": item["completedAtMs"],
            }
            for item in (turn["items"] if turn is not None else [])
            if item["id"] in wanted
        ]
    }


def _opened(call: Call) -> tuple[LoadedThread | None, Snapshot]:
    """The thread that is listed, as it stands now.

    Raises:
        RpcError: It has no records yet, or keeps none.
    """
    thread_id = named_thread(call)
    loaded = call.server.threads.get(thread_id)
    if loaded is not None and loaded.ephemeral:
        if call.method != "thread/turns/list":
            raise _rpc.unsupported(f"{call.method} is not supported yet")
        raise _rpc.invalid(f"ephemeral threads do not support {call.method}")
    if loaded is not None and not loaded.materialized:
        raise _rpc.invalid(
            f"thread {thread_id} is not materialized yet; {call.method} is unavailable before first user message"
        )
    return loaded, call.server.store.snapshot(thread_id)
