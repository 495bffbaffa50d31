"""What of each thread was not read yet: what clients share, kept in ``threadkeep/read-states.jsonl``.

Codex keeps it in its SQLite files, which are not ours to write. It is a convenience and no history: a line that cannot
be read is passed over, and nobody waits for the disk.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from typing import Any, Final

import msgspec

from threadkeep.appserver import _rpc

__all__ = ["ReadStates"]

MOST_KEPT: Final = 10_000
"""Threads whose state is kept; beyond that the one that changed longest ago is forgotten, and counts as read."""

MOST_BYTES: Final = 16 * 1024 * 1024
"""Bytes of the file that are read."""

_SPARSE: Final = 4
"""How many lines for each thread there may be before the file is written anew."""


class _Line(msgspec.Struct):
    thread: str
    state: dict[str, Any] | None = None


_decode_line: Final = msgspec.json.Decoder(_Line).decode


def _is_state(state: dict[str, Any]) -> bool:
    """Whether a state that stands in the file is one that clients can be told."""
    first = state.get("firstUnread", 0)
    return isinstance(state.get("revision"), str) and (first is None or isinstance(first, dict))


class ReadStates:
    """The read state of every thread.

    Args:
        folder: Where the file lies.
    """

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, "read-states.jsonl")
        self._lock = threading.Lock()
        self._states: dict[str, dict[str, Any]] = {}
        self._seen: tuple[int, int] | None = None
        self._lines = 0

    def get(self, thread_id: str) -> dict[str, Any]:
        """A thread's state (``firstUnread``, ``revision``): read, where nothing happened to it."""
        with self._lock:
            self._refresh()
            return dict(self._known(thread_id))

    def turn_ended(self, thread_id: str, turn_id: str) -> dict[str, Any]:
        """A turn is there that nobody read yet: the new state."""
        with self._lock:
            self._refresh()
            first = self._known(thread_id)["firstUnread"]
            return self._put(thread_id, first or {"type": "turn", "turnId": turn_id})

    def update(self, thread_id: str, expected: str, first_unread: dict[str, Any] | None) -> dict[str, Any]:
        """Set where the unread part begins; None: everything was read.

        Raises:
            RpcError: The state is no longer the one that the client saw.
        """
        with self._lock:
            self._refresh()
            state = self._known(thread_id)
            if state["revision"] != expected:
                conflict = {"reason": "readStateConflict", "readState": dict(state)}
                raise _rpc.RpcError(_rpc.INVALID_REQUEST, "read state changed", conflict)
            return self._put(thread_id, first_unread)

    def forget(self, thread_id: str) -> None:
        """The thread is gone."""
        with self._lock:
            self._refresh()
            if self._states.pop(thread_id, None) is not None:
                self._keep(_Line(thread_id))

    def _known(self, thread_id: str) -> dict[str, Any]:
        return self._states.get(thread_id) or {"firstUnread": None, "revision": f"initial:{thread_id}"}

    def _put(self, thread_id: str, first_unread: dict[str, Any] | None) -> dict[str, Any]:
        import uuid

        self._states.pop(thread_id, None)
        state = self._states[thread_id] = {"firstUnread": first_unread, "revision": str(uuid.uuid4())}
        while len(self._states) > MOST_KEPT:
            self._states.pop(next(iter(self._states)))
        self._keep(_Line(thread_id, state))
        return dict(state)

    # The file, which several servers of one home may add to

    def _refresh(self) -> None:
        """Read the file again where another server changed it."""
        stamp = self._stamp()
        if stamp is None or stamp == self._seen:
            return
        with contextlib.suppress(OSError), open(self._path, "rb") as file:
            self._states.clear()
            self._lines = 0
            for line in file.read(MOST_BYTES).splitlines():
                self._lines += 1
                with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                    said = _decode_line(line)
                    self._states.pop(said.thread, None)
                    if said.state is not None and _is_state(said.state):
                        self._states[said.thread] = said.state
            self._seen = stamp

    def _keep(self, line: _Line) -> None:
        """Add a line. Where that cannot be, the state lives as long as the server."""
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            if self._lines > _SPARSE * (len(self._states) + 16):
                self._write_anew()
            else:
                with open(
                    os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o600), "ab"
                ) as file:
                    file.write(msgspec.json.encode(line) + b"\n")
                self._lines += 1
            self._seen = self._stamp()

    def _write_anew(self) -> None:
        beside = f"{self._path}.{os.getpid()}"
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            lines = (msgspec.json.encode(_Line(thread, state)) for thread, state in self._states.items())
            file.writelines(line + b"\n" for line in lines)
        os.replace(beside, self._path)
        self._lines = len(self._states)

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        if not stat.S_ISREG(found.st_mode):  # a pipe would keep its reader waiting
            return None
        return found.st_mtime_ns, found.st_size
