"""The threads that are loaded: this server holds the right to write to each, and clients watch them.

A thread is loaded by ``thread/start``, ``thread/resume`` and ``thread/fork``, and stays so until nobody has watched it
for a while and nothing runs in it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from threadkeep.appserver import _rpc
from threadkeep.errors import ThreadkeepError

if TYPE_CHECKING:
    from collections.abc import Callable

    from threadkeep.appserver._config import SessionSettings
    from threadkeep.appserver._connection import Connection
    from threadkeep.appserver._running import Run
    from threadkeep.appserver._server import Server
    from threadkeep.store import Thread, Writer

__all__ = ["ACTIVE", "IDLE", "NOT_LOADED", "SYSTEM_ERROR", "LoadedThread", "LoadedThreads", "wait_for_the_end"]

NOT_LOADED: Final[dict[str, Any]] = {"type": "notLoaded"}
IDLE: Final[dict[str, Any]] = {"type": "idle"}
ACTIVE: Final[dict[str, Any]] = {"type": "active", "activeFlags": []}
SYSTEM_ERROR: Final[dict[str, Any]] = {"type": "systemError"}

UNLOAD_SECONDS: Final = 30 * 60
"""Seconds without a watcher and without a turn after which a thread is let go, as in 0.169.0."""

ENDING_SECONDS: Final = 30.0
"""Seconds that a request waits for a turn that is about to end."""

_LOOKED_AT_EVERY: Final = 30.0
_LEAST: Final = 0.02


class LoadedThread:
    """A thread that this server writes to.

    Attributes:
        server: The server.
        id: The thread.
        mode: Its history mode.
        ephemeral: Whether it lives in memory alone.
        writer: The right to append to it; changed only in the thread's lane.
        settings: What its turns run with.
        dynamic_tools: The client's tools, as the client gave them.
        run: The turn that is running; None while there is none. Set and cleared under `lock`.
        lock: Held while its watchers are told something, and while what they were told is compared with what a new one
            is shown.
    """

    def __init__(
        self,
        server: Server,
        writer: Writer,
        settings: SessionSettings,
        *,
        ephemeral: bool = False,
        seed: Thread | None = None,
    ) -> None:
        self.server = server
        self.id = writer.thread_id
        self.mode = writer.mode
        self.ephemeral = ephemeral
        self.writer = writer
        self.settings = settings
        self.dynamic_tools: list[dict[str, Any]] = []
        self.run: Run | None = None
        self.lock = threading.RLock()
        self._seed = seed
        self._status = IDLE
        self._watchers: tuple[Connection, ...] = ()
        self._unwatched_since = time.monotonic()

    # What it is

    @property
    def materialized(self) -> bool:
        """Whether its rollout exists: a new thread has none before its first record."""
        return self._seed is None or self.writer.rollout is not None

    def described(self) -> Thread:
        """The thread as lists and people see it."""
        if not self.materialized:
            assert self._seed is not None
            return self._seed
        return self.server.store.read(self.id)

    @property
    def status(self) -> dict[str, Any]:
        """What it is doing, in the protocol's words."""
        return self._status

    @property
    def running(self) -> str | None:
        """Id of the turn that is running."""
        run = self.run
        return run.turn_id if run is not None else None

    # Who watches it

    @property
    def watchers(self) -> tuple[Connection, ...]:
        """The clients that are told what happens in it."""
        return self._watchers

    def watch(self, connection: Connection) -> None:
        """Tell a client what happens from now on; one that is told already is told no more than before."""
        with self.lock:
            if connection not in self._watchers and not connection.gone:
                self._watchers = (*self._watchers, connection)

    def unwatch(self, connection: Connection) -> bool:
        """Tell a client no more; whether it was told."""
        with self.lock:
            watching = connection in self._watchers
            self._watchers = tuple(watcher for watcher in self._watchers if watcher is not connection)
            if watching and not self._watchers:
                self._unwatched_since = time.monotonic()
            return watching

    def publish(self, method: str, params: Any) -> None:
        """Tell every watcher, each once and in the same order."""
        message = _rpc.notification(method, params, self.server.now_ms())
        with self.lock:
            for watcher in self._watchers:
                watcher.tell(method, message)

    def announce(self, method: str, params: Any) -> None:
        """Tell every client of the server, in order with what watchers are told."""
        with self.lock:
            self.server.broadcast(method, params)

    def set_status(self, status: dict[str, Any]) -> None:
        """Say what it is doing, where that changes: to every client (0.169.0 observed)."""
        with self.lock:
            if status != self._status:
                self._status = status
                self.announce("thread/status/changed", {"threadId": self.id, "status": status})

    def renew(self) -> None:
        """Give the right to write back and take it again: the rollout is opened anew. Where that fails, let it go."""
        if self.run is not None or self.server.threads.get(self.id) is not self or not self.materialized:
            return
        self.writer.close()
        try:
            self.writer = self.server.store.writer(self.id)
            self._seed = None
        except ThreadkeepError as error:
            self.publish("warning", {"threadId": self.id, "message": f"thread {self.id} was let go: {error}"})
            self.server.threads.remove(self)

    # The end

    def idle_for(self, seconds: float) -> bool:
        """Whether nobody has watched it for so long, and nothing runs in it."""
        if self._watchers or self.run is not None:
            return False
        return time.monotonic() - self._unwatched_since >= seconds

    def close(self) -> None:
        """Give the right to write back."""
        self.writer.close()


class LoadedThreads:
    """The threads that a server has loaded."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._threads: dict[str, LoadedThread] = {}
        self._closed = threading.Event()
        self._keeper: threading.Thread | None = None

    def get(self, thread_id: str) -> LoadedThread | None:
        """A loaded thread; None where it is not loaded."""
        return self._threads.get(thread_id)

    def require(self, thread_id: str) -> LoadedThread:
        """A loaded thread.

        Raises:
            RpcError: It is not loaded.
        """
        thread = self.get(thread_id)
        if thread is None:
            raise _rpc.invalid(f"thread not found: {thread_id}")
        return thread

    def ids(self) -> list[str]:
        """The ids of all of them."""
        with self._lock:
            return sorted(self._threads)

    def all(self) -> list[LoadedThread]:
        """All of them."""
        with self._lock:
            return list(self._threads.values())

    def add(self, thread: LoadedThread) -> None:
        """A thread was loaded."""
        with self._lock:
            self._threads[thread.id] = thread
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name="unload", daemon=True)
                self._keeper.start()

    def remove(self, thread: LoadedThread) -> None:
        """A thread is loaded no more: its lease is given back, and its watchers are told."""
        with self._lock:
            if self._threads.get(thread.id) is thread:
                del self._threads[thread.id]
        thread.close()
        if thread.ephemeral:
            with contextlib.suppress(ThreadkeepError):  # it has no records yet, or an ephemeral fork needs them
                self._server.store.forget(thread.id)
        thread.set_status(NOT_LOADED)

    def forget_client(self, connection: Connection) -> None:
        """A client is gone."""
        for thread in self.all():
            thread.unwatch(connection)

    def close_all(self, seconds: float) -> None:
        """End what runs as interrupted, and give every lease back."""
        self._closed.set()
        deadline = time.monotonic() + seconds
        running = [(thread, thread.run) for thread in self.all()]
        for _, run in running:
            if run is not None:
                run.interrupt()
        for _, run in running:
            if run is not None:
                run.ended.wait(max(0.1, deadline - time.monotonic()))
        for thread in self.all():
            thread.close()

    def _keep(self) -> None:
        while not self._closed.wait(min(_LOOKED_AT_EVERY, max(_LEAST, self._unload_seconds() / 4))):
            for thread in self.all():
                if thread.idle_for(self._unload_seconds()):
                    self._server.in_lane(thread.id, self._unloading(thread))

    def _unload_seconds(self) -> float:
        said = self._server.config.thread_unload_delay_secs
        return UNLOAD_SECONDS if said is None else float(said)

    def _unloading(self, thread: LoadedThread) -> Callable[[], None]:
        def unload() -> None:
            if self.get(thread.id) is thread and thread.idle_for(self._unload_seconds()):
                self.remove(thread)
                self._server.broadcast("thread/closed", {"threadId": thread.id})

        return unload


def wait_for_the_end(run: Run) -> None:
    """Wait until a turn that is to end has ended.

    Raises:
        RpcError: It has not ended yet: its right to write is not taken away.
    """
    if not run.ended.wait(ENDING_SECONDS):
        raise _rpc.internal(f"turn {run.turn_id} is ending and has not ended yet; try again")
