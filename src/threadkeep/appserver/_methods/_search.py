"""``thread/search`` and ``thread/searchOccurrences``: which threads hold a term, and where in a thread it was said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from threadkeep.appserver import _rpc
from threadkeep.appserver._thread_ids import named_thread
from threadkeep.appserver._wire import thread_json
from threadkeep.errors import ThreadNotFound

if TYPE_CHECKING:
    from threadkeep.appserver._call import Call
    from threadkeep.store import Occurrence

__all__ = ["thread_search", "thread_search_occurrences"]

_THREADS: Final = 25
_MOST_THREADS: Final = 100


def thread_search(call: Call) -> Any:
    """A page of the threads in which a term was said."""
    from threadkeep.store import INTERACTIVE, ThreadFilter

    server, params = call.server, call.params
    limit, kinds = params.get("limit"), params.get("sourceKinds")
    page = server.store.search(
        _term(call).strip(),
        sort=params.get("sortKey") or "created_at",
        descending=params.get("sortDirection") != "asc",
        cursor=params.get("cursor"),
        limit=max(1, min(_MOST_THREADS, _THREADS if limit is None else limit)),
        chosen=ThreadFilter(
            archived=bool(params.get("archived")), sources=frozenset(kinds) if kinds else INTERACTIVE, spoken=True
        ),
    )
    return {
        "data": [
            {"thread": thread_json(server, found.thread, listed=True), "snippet": found.snippet} for found in page.data
        ],
        "nextCursor": page.next_cursor,
        "backwardsCursor": page.backwards_cursor,
    }


def thread_search_occurrences(call: Call) -> Any:
    """A page of the places of a thread where a term was said, oldest first."""
    thread_id, term = named_thread(call), _term(call)
    loaded = call.server.threads.get(thread_id)
    if loaded is not None and (loaded.ephemeral or not loaded.materialized):
        raise _not_searched(call)
    try:
        snapshot = call.server.store.snapshot(thread_id)
    except ThreadNotFound as error:
        raise _not_searched(call) from error
    with snapshot:
        page = snapshot.occurrences(term, cursor=call.params.get("cursor"), limit=call.params.get("limit"))
    return {"data": [_occurrence(found) for found in page.data], "nextCursor": page.next_cursor}


def _term(call: Call) -> str:
    term: str = call.params["searchTerm"]
    if not term.strip():
        raise _rpc.invalid(f"{call.method} requires a non-empty searchTerm")
    return term


def _not_searched(call: Call) -> _rpc.RpcError:
    """What is said of a thread that has no records (0.169.0 observed)."""
    return _rpc.unsupported(f"{call.method} is not supported yet")


def _occurrence(found: Occurrence) -> dict[str, Any]:
    return {
        "turnId": found.turn_id,
        "itemId": found.item_id,
        "snippet": found.snippet,
        "snippetMatchRange": {"start": found.start, "end": found.end},
        "turnCursor": found.turn_cursor,
    }
