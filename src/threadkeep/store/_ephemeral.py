"""The end of ephemeral threads: what lives in memory goes when nobody needs it any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from threadkeep.errors import InvalidRequest, StillInherited
from threadkeep.records import Cost

if TYPE_CHECKING:
    from threadkeep.store._access import Access, Located

__all__ = ["forget"]


def forget(access: Access, located: Located) -> None:
    """Let an ephemeral thread go (see `ThreadStore.forget`)."""
    thread_id, scratch = located.thread_id, access.scratch
    if access.backend_of(thread_id) is not scratch:
        raise InvalidRequest(f"thread {thread_id} is kept: delete it instead", thread=thread_id)
    own = {ref.rollout_id for ref in scratch.rollouts_of(thread_id)}
    heirs = []
    for ref, _ in list(scratch.stats()):
        if ref.rollout_id not in own:
            with access.open(access.locate(ref.thread_id), Cost()) as lineage:
                base = lineage.tip.base
            if base is not None and base.thread_id in own:
                heirs.append(ref.thread_id)
    if heirs:
        raise StillInherited(f"other ephemeral threads inherit from thread {thread_id}", thread=thread_id, heirs=heirs)
    lease = scratch.lease(thread_id)
    try:
        for ref in scratch.rollouts_of(thread_id):
            scratch.remove(ref, lease)
    finally:
        lease.release()
