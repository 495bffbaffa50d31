"""Which threads a list shows, from the parameters of ``thread/list``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from threadkeep.appserver import _rpc
from threadkeep.appserver._failures import refuse_project
from threadkeep.appserver._thread_ids import plain, what_is_wrong
from threadkeep.store import INTERACTIVE, ThreadFilter

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["chosen_threads"]


def chosen_threads(params: Mapping[str, Any]) -> ThreadFilter | None:
    """The filter that a client asks for; None where nothing can pass it.

    Raises:
        RpcError: An id is none, or a project is named.
    """
    refuse_project(params, _rpc.INVALID_PARAMS)
    if params.get("attachedToThreadId") or params.get("sectionId"):
        return None  # no thread is attached to another, or in a section
    kinds, cwd, providers = params.get("sourceKinds"), params.get("cwd"), params.get("modelProviders")
    return ThreadFilter(
        archived=bool(params.get("archived")),
        cwd=frozenset(cwd) if isinstance(cwd, list) else cwd,
        model_providers=frozenset(providers) if providers else None,
        sources=frozenset(kinds) if kinds else INTERACTIVE,
        originators=frozenset(params["originators"]) if params.get("originators") else None,
        exact_text=params.get("searchTerm"),
        parent=_id(params.get("parentThreadId")),
        ancestor=_id(params.get("ancestorThreadId")),
        excluded=frozenset(_id(given) or "" for given in params.get("excludedThreadIds") or ()),
        spoken=True,
    )


def _id(given: str | None) -> str | None:
    if given is None:
        return None
    whole = plain(given)
    if whole is None:
        raise _rpc.invalid(f"invalid thread id: {what_is_wrong(given)}")
    return whole
