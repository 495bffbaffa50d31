"""The server: it takes requests from its clients and has them answered, in the order that threads need.

Three pools of threads do the work: one for requests, one for answers that are made while they are sent (a client that
reads slowly holds one of those), one for what overtakes everything (interrupts). Engines run on an event loop of their
own, which starts with the first turn.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from threadkeep.appserver import _rpc
from threadkeep.appserver._call import Call, Elsewhere
from threadkeep.appserver._connection import Connection
from threadkeep.appserver._lane import Lanes
from threadkeep.appserver._manifest import METHODS, refusal
from threadkeep.appserver._params import check
from threadkeep.appserver._rpc import RpcError
from threadkeep.appserver._thread_ids import plain
from threadkeep.appserver._workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from threadkeep.appserver._config import Config
    from threadkeep.appserver._loaded import LoadedThreads
    from threadkeep.appserver._loop import EngineLoop
    from threadkeep.appserver._manifest import Method
    from threadkeep.appserver._outbox import Outbox
    from threadkeep.appserver._read_states import ReadStates
    from threadkeep.appserver._rpc import Incoming
    from threadkeep.appserver.engine import Engine
    from threadkeep.store import ThreadStore

__all__ = ["Server"]

MOST_WORKERS: Final = 32
"""Requests that are worked on at once."""

MOST_STREAMING: Final = 512
"""Streamed answers that are made at once: one for each client that there may be, since a slow one holds a worker."""

MOST_URGENT: Final = 64
"""Requests at once that overtake everything: an interrupt waits for the end of its turn."""

SWITCH_INTERVAL: Final = 0.0001
"""Seconds after which a thread of the process makes way for another. A small request gives the interpreter away a dozen
times before it is answered, and beside a long answer waits this long to get it back each time."""

_NEEDED_SOON: Final = tuple(
    f"threadkeep.{module}"
    for module in (
        "store._store appserver._loaded appserver._config appserver._wire appserver._read_states appserver._usage "
        "appserver._damage appserver._git appserver._methods._read appserver._methods._resume "
        "appserver._methods._fork appserver._methods._lists appserver._methods._filters appserver._methods._start "
        "appserver._methods._manage backends.local store._snapshot store._threads store._writing store._writer "
        "store._forks store._lists store._turn_records store._boundaries lineage._forkpoint records._build "
        "replay._in_force replay._preview replay._said replay._metadata replay._before_envelope replay._totals "
        "replay._pages replay._find replay._paginated replay.items._turn_items replay._whole replay._replay "
        "replay._legacy replay._windows"
    ).split()
)
"""What is loaded after the handshake, before anybody asks for it."""

_A_MOMENT: Final = 0.005
_MOST_PATIENCE: Final = 200

MOST_SETTLING: Final = 2.0
"""Seconds for which the end waits for answers to requests that were begun."""

_CHANGES: Final = frozenset({"thread/start"})
"""What changes something and is in no thread's lane."""

_OVERLOADED: Final = "Server overloaded; retry later."


class Server:
    """An app-server on one home.

    Args:
        home: The home folder.
        overrides: ``--config`` options: keys with values as they were written.
        engine: What runs turns; by default the built-in engine, made with the first turn.
        store: The threads; by default those of the home, opened when they are first needed.

    Attributes:
        home: The home folder, absolute.
        workers: The workers that do what requests ask for.
        bulk: The workers that make streamed answers.
    """

    def __init__(
        self,
        home: str,
        *,
        overrides: Sequence[tuple[str, str]] = (),
        engine: Engine | None = None,
        store: ThreadStore | None = None,
    ) -> None:
        self.home = os.path.abspath(home)
        self.bulk = Workers("answer", MOST_STREAMING)
        self.workers = Workers("request", MOST_WORKERS)
        self._urgent = Workers("urgent", MOST_URGENT)
        self._lanes = Lanes(self.workers)
        self._overrides = tuple(overrides)
        self._lock = threading.RLock()
        self._connections: dict[int, Connection] = {}
        self._numbers = 0
        self._engine = engine
        self._store = store
        self._config: Config | None = None
        self._threads: LoadedThreads | None = None
        self._loop: EngineLoop | None = None
        self._read_states: ReadStates | None = None
        self._handlers: dict[str, Callable[[Call], Any]] = {}
        self._stopping = False
        self._warmed = False
        if sys.getswitchinterval() > SWITCH_INTERVAL:
            sys.setswitchinterval(SWITCH_INTERVAL)

    # What handlers need, made when it is first needed

    @property
    def store(self) -> ThreadStore:
        """The threads of the home."""
        if self._store is None:
            from threadkeep.store import ThreadStore

            with self._lock:
                if self._store is None:
                    self._store = ThreadStore.open(self.home)
        return self._store

    @property
    def config(self) -> Config:
        """The home's configuration; read again when the file changed."""
        from threadkeep.appserver._config import Config

        with self._lock:
            if self._config is None or self._config.stale():
                self._config = Config.load(self.home, self._overrides)
            return self._config

    def wrong_overrides(self) -> str | None:
        """What is wrong with the ``--config`` options; None where nothing is."""
        if not self._overrides:
            return None
        from threadkeep.appserver._config import ConfigProblem

        try:
            _ = self.config
        except ConfigProblem as problem:
            return str(problem)
        return None

    @property
    def threads(self) -> LoadedThreads:
        """The threads that are loaded."""
        if self._threads is None:
            from threadkeep.appserver._loaded import LoadedThreads

            with self._lock:
                if self._threads is None:
                    self._threads = LoadedThreads(self)
        return self._threads

    @property
    def read_states(self) -> ReadStates:
        """What of each thread was not read yet."""
        if self._read_states is None:
            from threadkeep.appserver._read_states import ReadStates

            with self._lock:
                if self._read_states is None:
                    self._read_states = ReadStates(os.path.join(self.home, "threadkeep"))
        return self._read_states

    @property
    def loop(self) -> EngineLoop:
        """The event loop that engines run on."""
        if self._loop is None:
            from threadkeep.appserver._loop import EngineLoop

            with self._lock:
                if self._loop is None:
                    self._loop = EngineLoop()
        return self._loop

    @property
    def engine(self) -> Engine:
        """What runs turns."""
        if self._engine is None:
            from threadkeep.appserver.engine._responses import ResponsesEngine

            with self._lock:
                if self._engine is None:
                    self._engine = ResponsesEngine(stored_key=self._stored_key)
        return self._engine

    def _stored_key(self) -> str | None:
        return self.config.stored_key()

    def now_ms(self) -> int:
        """The time, Unix milliseconds."""
        return time.time_ns() // 1_000_000

    # Clients

    def connect(self, outbox: Outbox, *, handshake: Mapping[str, Any] | None = None) -> Connection:
        """A new client.

        Args:
            outbox: Where its messages are put.
            handshake: Parameters of an ``initialize`` that its transport answered already.
        """
        with self._lock:
            self._numbers += 1
            connection = Connection(self, self._numbers, outbox)
            self._connections[connection.number] = connection
        if handshake is not None:
            connection.shake_hands(handshake)
            self._greet(connection)
        return connection

    def disconnect(self, connection: Connection) -> None:
        """A client is gone. Its threads go on; nobody is told of them on its behalf."""
        with self._lock:
            self._connections.pop(connection.number, None)
        connection.left()
        if self._threads is not None:
            self._threads.forget_client(connection)

    def broadcast(self, method: str, params: Any) -> None:
        """Tell every client."""
        message = _rpc.notification(method, params, self.now_ms())
        with self._lock:
            connections = list(self._connections.values())
        for connection in connections:
            connection.tell(method, message)

    # Requests

    def handle(self, connection: Connection, incoming: Incoming) -> None:
        """Have a request answered. Quick: called by the transport that reads from the client."""
        assert incoming.id is not None
        assert incoming.method is not None
        if incoming.method == "initialize":
            self._initialize(connection, incoming)
            return
        try:
            # Parameters are looked at first, the experimental ones among them last (0.169.0 observed).
            gated = connection.ready and not connection.experimental
            params = check(incoming.method, incoming.params, experimental=not gated)
            if not connection.ready:
                raise _rpc.invalid("Not initialized")
            method = METHODS[incoming.method]
        except RpcError as error:
            connection.refuse_at_once(incoming.id, error)
            return
        except Exception as error:  # noqa: BLE001  # whatever a client sends, the transport goes on
            connection.refuse_at_once(incoming.id, self._unexpected(error))
            return
        if self._stopping or not connection.admit():
            connection.refuse_at_once(incoming.id, RpcError(_rpc.OVERLOADED, _OVERLOADED))
            return
        call = Call(self, connection, incoming.id, incoming.method, params)
        self._schedule(method, call, partial(self._perform, call, method))

    def _schedule(self, method: Method, call: Call, task: Callable[[], None]) -> None:
        named = call.params.get("threadId")
        key = plain(named) if isinstance(named, str) else None
        if method.lane == "urgent":
            self._urgent.submit(task)
        elif key is None or method.lane == "none":
            (self.workers if call.method in _CHANGES else call.connection.reading).submit(task)
        elif method.lane == "thread":
            call.lane = key
            self._lanes.change(key, task)
        else:
            self._lanes.read(key, partial(call.connection.reading.submit, task))

    def in_lane(self, thread_id: str, task: Callable[[], None]) -> None:
        """Do something to a thread when the changes before it are done."""
        self._lanes.change(thread_id, task)

    def _perform(self, call: Call, method: Method) -> None:
        if call.connection.gone and method.lane in ("none", "read") and call.method not in _CHANGES:
            call.fail(_rpc.internal("the client left"))  # nobody waits for what it wanted to read
            return
        try:
            call.respond(self._handler(call.method, method)(call))
        except Elsewhere as other:
            call.lane = other.thread_id
            self._lanes.change(other.thread_id, partial(self._perform, call, method))
        except RpcError as error:
            call.fail(error)
        except Exception as error:  # noqa: BLE001  # one request's trouble is nobody else's
            from threadkeep.appserver._failures import rpc_error

            known = rpc_error(error, call)
            call.fail(known if known is not None else self._unexpected(error))

    def _handler(self, name: str, method: Method) -> Callable[[Call], Any]:
        handler = self._handlers.get(name)
        if handler is None:
            handler = self._handlers[name] = self._import(name, method)
        return handler

    @staticmethod
    def _import(name: str, method: Method) -> Callable[[Call], Any]:
        if method.handler is None:
            if method.status == "empty":
                return lambda _: method.answer
            raise _rpc.unsupported(refusal(name))
        module, _, function = method.handler.partition(":")
        loaded = importlib.import_module(f"threadkeep.appserver._methods.{module.rpartition('.')[2]}")
        handler: Callable[[Call], Any] = getattr(loaded, function)
        return handler

    @staticmethod
    def _unexpected(error: BaseException) -> RpcError:
        """An error of ours: the whole story goes to standard error, the client is told what it was."""
        import traceback

        traceback.print_exception(error, file=sys.stderr)
        return _rpc.internal(f"internal error: {type(error).__name__}: {error}")

    def _initialize(self, connection: Connection, incoming: Incoming) -> None:
        from threadkeep.appserver import _handshake

        assert incoming.id is not None
        if connection.ready:
            connection.refuse_at_once(incoming.id, _rpc.invalid("Already initialized"))
            return
        params = _rpc.plain(incoming.params)
        answer = _handshake.answer(params, self.home)
        if isinstance(answer, str):
            connection.refuse_at_once(incoming.id, _rpc.invalid(answer))
            return
        connection.send_result(incoming.id, answer)  # before anything that others do is told
        connection.shake_hands(params)
        self._greet(connection)

    def _greet(self, connection: Connection) -> None:
        """The first thing that a client hears after the handshake."""
        from threadkeep.appserver import _handshake

        connection.notify("remoteControl/status/changed", _handshake.remote_control(self.home))
        if not self._warmed:
            self._warmed = True
            self.workers.submit(self._warm)

    def _warm(self) -> None:
        """Load what requests will need, while nobody waits for anything."""
        for name in _NEEDED_SOON:
            self._wait_until_idle()
            with contextlib.suppress(Exception):  # whoever needs it is told what is wrong
                importlib.import_module(name)
        self._wait_until_idle()
        with contextlib.suppress(Exception):  # what is wrong with the home is told to whoever asks for a thread
            self.store.backend.with_prefix("0000", 1)
            self.store.backend.facts([])
            _ = self.config, self.threads
        self._wait_until_idle()
        with contextlib.suppress(Exception):
            from threadkeep.appserver._rehearsal import rehearse

            rehearse()
        self._wait_until_idle()
        if not gc.isenabled():  # the start of the process goes without the collector
            gc.collect()
            gc.freeze()  # what is loaded stays: it need not be looked at again
            gc.enable()

    def _wait_until_idle(self) -> None:
        """Make way for requests, for a while."""
        for _ in range(_MOST_PATIENCE):
            with self._lock:
                busy = any(connection.busy for connection in self._connections.values())
            if not busy:
                return
            time.sleep(_A_MOMENT)

    # The end

    def shutdown(self, seconds: float = 10.0) -> None:
        """Take no more requests, end running turns as interrupted, finish appends, and let go of everything."""
        with self._lock:
            if self._stopping:
                return
            self._stopping = True
            connections = list(self._connections.values())
        deadline = time.monotonic() + min(seconds, MOST_SETTLING)
        for connection in connections:  # what a client asked before it left is done and answered
            connection.settled(max(0.0, deadline - time.monotonic()))
        if self._threads is not None:
            self._threads.close_all(seconds)
        if self._loop is not None:
            self._loop.close(self._engine, seconds)
        with self._lock:
            connections = list(self._connections.values())
        deadline = time.monotonic() + min(seconds, 2.0)
        for connection in connections:
            connection.finish(max(0.0, deadline - time.monotonic()))
        if self._store is not None:
            self._store.close()
