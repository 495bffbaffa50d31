"""Loading a thread that exists: what resume and fork have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from threadkeep.appserver import _rpc
from threadkeep.appserver._call import Streamed
from threadkeep.appserver._loaded import LoadedThread
from threadkeep.appserver._settings_change import keep_settings
from threadkeep.appserver._wire import as_it_runs, turns_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from threadkeep.appserver._call import Call
    from threadkeep.appserver._config import SessionSettings
    from threadkeep.appserver._server import Server
    from threadkeep.store import Latest, Snapshot, Thread, Writer

__all__ = [
    "Head",
    "first_page",
    "load",
    "refuse_archived",
    "resumed_response",
    "usage_json",
    "warn_of_settings",
    "with_all_turns",
]

_PIECE: Final = 256 * 1024
"""Bytes of a streamed history that are sent at once."""


def load(
    call: Call,
    snapshot: Snapshot,
    found: Mapping[str, Any] | None,
    writer: Writer,
    *,
    fork: bool = False,
    ephemeral: bool = False,
) -> LoadedThread:
    """Load a thread, with the settings that it goes on with.

    Args:
        call: The request.
        snapshot: The thread; taken after the writer, so that nobody else's records are missing.
        found: The settings in force, as its records state them.
        writer: The right to write to it. It is the caller's to close where this raises.
        fork: Whether the thread is a fork that was made just now.
        ephemeral: Whether it lives in memory alone.

    Raises:
        RpcError: The settings do not fit the configuration.
        StorageFailure: They could not be kept.
    """
    from threadkeep.appserver._config import session_settings

    server, params = call.server, call.params
    stated = dict(found or {})
    described = snapshot.thread()
    stated.setdefault("cwd", described.cwd)
    stated.setdefault("model_provider", described.model_provider)
    if stated.get("model") is None:
        stated["model"] = described.model
    settings = session_settings(server.config, params, stated, fork=fork)
    overridden = not fork and any(params.get(name) is not None for name in _OVERRIDES)
    before = session_settings(server.config, {}, stated) if overridden else settings
    thread = LoadedThread(server, writer, before, ephemeral=ephemeral)
    keep_settings(thread, settings)  # what a resume sets stays set, without a turn, too (0.169.0 observed)
    thread.dynamic_tools = snapshot.dynamic_tools()
    server.threads.add(thread)
    return thread


_OVERRIDES: Final = (
    "model modelProvider cwd approvalPolicy approvalsReviewer sandbox permissions serviceTier config personality "
    "runtimeWorkspaceRoots"
).split()


def warn_of_settings(call: Call, thread: LoadedThread) -> None:
    """Tell a client what of its settings could not be taken over."""
    tier = thread.settings.unsupported_tier
    if tier is not None:
        message = f"model {thread.settings.model} has no service tier `{tier}`; the thread runs without one"
        call.connection.notify("warning", {"threadId": thread.id, "message": message})


def resumed_response(settings: SessionSettings) -> dict[str, Any]:
    """What the answer to a resume says of the settings."""
    return {**settings.response(), "collaborationMode": settings.collaboration_mode()}


def refuse_archived(server: Server, thread_id: str) -> Thread:
    """The thread, as lists show it; an archived one is not loaded.

    Raises:
        RpcError: It is archived.
        ThreadNotFound: There is none.
    """
    thread = server.store.read(thread_id)
    if thread.archived:
        raise _rpc.invalid(f"session {thread_id} is archived. Run `codex unarchive {thread_id}` to unarchive it first.")
    return thread


def usage_json(thread_id: str, latest: Latest) -> dict[str, Any] | None:
    """The parameters of ``thread/tokenUsage/updated`` for what was counted last; None where nothing was."""
    from threadkeep.appserver._usage import token_usage

    if latest.usage is None:
        return None
    return {"threadId": thread_id, "turnId": latest.usage_turn or "", "tokenUsage": token_usage(latest.usage)}


class Head:
    """Where lists of a thread that go backwards begin.

    Attributes:
        turns_cursor: A list of turns that goes backwards from here begins with the newest.
        items_cursor: The same of items.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.turns_cursor = snapshot.turns(limit=1, view="notLoaded").backwards_cursor
        self.items_cursor = snapshot.items(limit=1, descending=True).backwards_cursor


def first_page(snapshot: Snapshot, asked: Mapping[str, Any] | None, running: str | None) -> dict[str, Any] | None:
    """The page of turns that a client wants at once."""
    if asked is None:
        return None
    page = snapshot.turns(
        limit=asked.get("limit"),
        descending=asked.get("sortDirection") != "asc",
        view=asked.get("itemsView") or "summary",
    )
    return {
        "data": turns_json(page.data, running),
        "nextCursor": page.next_cursor,
        "backwardsCursor": page.backwards_cursor,
    }


def with_all_turns(snapshot: Snapshot, thread: dict[str, Any], rest: dict[str, Any], running: str | None) -> Streamed:
    """A result whose thread holds all of its turns, made while it is sent; the snapshot is closed at its end."""
    return Streamed(_pieces(snapshot, thread, rest, running), snapshot.close)


def _pieces(snapshot: Snapshot, thread: dict[str, Any], rest: dict[str, Any], running: str | None) -> Iterator[bytes]:
    encode = msgspec.json.Encoder().encode
    bare = {name: value for name, value in thread.items() if name != "turns"}
    waiting = bytearray(b'{"thread":' + encode(bare)[:-1] + b',"turns":[')
    first = True
    for turn in snapshot.all_turns(view="full"):
        if not first:
            waiting += b","
        first = False
        waiting += encode(as_it_runs(turn, running))
        if len(waiting) >= _PIECE:
            yield bytes(waiting)
            waiting.clear()
    waiting += b"]}"
    encoded = encode(rest)
    waiting += b"," + encoded[1:] if rest else b"}"
    yield bytes(waiting)
