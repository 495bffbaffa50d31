"""Changes of what a thread's turns run with: kept in the thread's records, then told."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadkeep.appserver._config import SessionSettings
    from threadkeep.appserver._loaded import LoadedThread

__all__ = ["keep_settings", "tell_settings"]


def keep_settings(thread: LoadedThread, settings: SessionSettings) -> bool:
    """Have the next turns of a thread run with these settings; whether they are others than before.

    Other ones are recorded, where the thread has records already.

    Args:
        thread: The thread; called in its lane.
        settings: All of its settings.

    Raises:
        StorageFailure: The change could not be kept: nothing was changed.
    """
    if settings == thread.settings:
        return False
    if thread.materialized:
        from threadkeep.records import _build as build

        thread.writer.append("event_msg", build.thread_settings_applied(thread.id, settings.applied()))
    thread.settings = settings
    return True


def tell_settings(thread: LoadedThread) -> None:
    """Tell the watchers of a thread what its turns run with now."""
    params = {"threadId": thread.id, "threadSettings": thread.settings.notification()}
    thread.publish("thread/settings/updated", params)
