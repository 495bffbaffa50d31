"""Changes of what a thread's turns run with: kept in the thread's records, and told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from threadkeep.appserver._loaded import LoadedThread

__all__ = ["change_settings"]


def change_settings(thread: LoadedThread, params: Mapping[str, Any]) -> bool:
    """Take over what a request asks for; whether anything changed.

    What changed is recorded, where the thread has records already, and its watchers are told.

    Args:
        thread: The thread; called in its lane.
        params: Names of ``turn/start`` and ``thread/settings/update``.

    Raises:
        RpcError: The request contradicts itself or the configuration.
        StorageFailure: The change could not be kept: nothing was changed.
    """
    changed = thread.settings.changed(params, thread.server.config)
    if changed == thread.settings:
        return False
    if thread.materialized:
        from threadkeep.records import _build as build

        payload = build.thread_settings_applied(thread.id, changed.applied())
        thread.writer.append("event_msg", payload)
    thread.settings = changed
    thread.publish("thread/settings/updated", {"threadId": thread.id, "threadSettings": changed.notification()})
    return True
